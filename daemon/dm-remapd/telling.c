// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the journal's entries to hooks: what is told when is in alert.c, how hooks run in hooks.c,
 * which is a process of its own.
 */
#include <errno.h>
#include <limits.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "alert-text.h"
#include "hooks.h"
#include "journal.h"
#include "state.h"

#define BUSY_SECONDS 2
#define NEVER_SECONDS 3600
/* Each hook has its own limit; this is for what starts them. */
#define START_SECONDS 30
#define FIXED_ARGUMENTS 2

/* A line "WORD NAME: WHAT" of the report; false: something else was printed. */
static bool parse_line(char *line, const char **word, const char **name, const char **what)
{
	static const char *const words[] = { HOOK_OK, HOOK_FAILED, HOOK_LATE, HOOK_REFUSED,
					     HOOK_SKIPPED };
	size_t length = strcspn(line, " ");
	char *colon = strstr(line, ": ");
	bool is_known = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		is_known |= strlen(words[i]) == length && !strncmp(line, words[i], length);
	if (!is_known || !line[length])
		return false;
	line[length] = '\0';
	*word = line;
	*name = line + length + 1;
	*what = colon ? colon + 2 : "";
	if (colon)
		*colon = '\0';
	return true;
}

static bool was_refused(const struct manager *m, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = m->refused_hooks; (at = strstr(at, line)) != NULL; at += length)
		if ((at == m->refused_hooks || at[-1] == '\n') && at[length] == '\n')
			return true;
	return false;
}

/* A failure is told each time, a refusal until it changes: it stays until the file does. */
static void report_hooks(struct manager *m, const char *text)
{
	char refused[JOB_TEXT_BYTES] = "";

	while (*text) {
		int length = (int)strcspn(text, "\n");
		_cleanup_free_ char *line = strndup(text, (size_t)length), *copy = NULL;
		const char *word, *name, *what;
		size_t used = strlen(refused);

		text += length + (text[length] == '\n');
		copy = line ? strdup(line) : NULL;
		if (!copy)
			continue;
		if (!parse_line(copy, &word, &name, &what)) {
			journal_hook("(all)",
				     line); /* as systemd-run says why it did not run them */
		} else if (streq(word, HOOK_REFUSED)) {
			snprintf(refused + used, sizeof(refused) - used, "%s\n", line);
			if (!was_refused(m, line))
				journal_hook(name, what);
		} else if (!streq(word, HOOK_OK) && !streq(word, HOOK_SKIPPED)) {
			journal_hook(name, what);
		}
	}
	snprintf(m->refused_hooks, sizeof(m->refused_hooks), "%s", refused);
}

static void on_told(void *userdata, const struct job *job)
{
	struct manager *m = userdata;

	if (job->code < 0 || job->code > 1)
		journal_hook("(all)", *job->text ? job->text : "what runs them was killed");
	else
		report_hooks(m, job->text);
	if (m->stopping)
		tell_hooks(m, 0);
	action_came_back(m, job);
	poll_within(m, SECOND_US);
}

static int run_hooks(struct manager *m, const struct alert *alert)
{
	const char *arguments[FIXED_ARGUMENTS + ALERT_VARIABLES_MAX + 1];
	struct alert_variables variables;
	char directory[PATH_MAX], seconds[16], host[65] = "";
	int r;

	gethostname(host, sizeof(host) - 1);
	r = alert_variables(alert, host, (uint64_t)time(NULL), &variables);
	if (r < 0)
		return r;
	snprintf(directory, sizeof(directory), "%s/hooks.d", m->config_dir);
	snprintf(seconds, sizeof(seconds), "%u", m->config.hook_seconds);
	arguments[0] = directory;
	arguments[1] = seconds;
	for (unsigned int i = 0; i <= variables.nr; i++)
		arguments[FIXED_ARGUMENTS + i] = variables.at[i];
	r = job_start_hooks(&m->jobs, arguments,
			    START_SECONDS + HOOKS_MAX * (m->config.hook_seconds + 4), m->stopping,
			    on_told);
	alert_variables_done(&variables);
	return r;
}

static bool is_running(const struct manager *m)
{
	for (const struct job *job = m->jobs.first; job; job = job->next)
		if (job->is_hooks)
			return true;
	return false;
}

unsigned int tell_hooks(struct manager *m, uint64_t now)
{
	struct alert_config config = { m->config.hook_interval_seconds,
				       m->config.policy.reminder_seconds };
	uint64_t next = alert_next(&m->alerts, &config);
	struct alert alert;
	int r;

	if (next == ALERT_NEVER)
		return NEVER_SECONDS;
	if (now && next > now)
		return next - now < NEVER_SECONDS ? (unsigned int)(next - now) : NEVER_SECONDS;
	if (is_running(m))
		return BUSY_SECONDS;
	if (!alert_take(&m->alerts, &config, now, !now, &alert))
		return NEVER_SECONDS;
	r = run_hooks(m, &alert);
	if (r < 0)
		sd_journal_print(LOG_ERR, "cannot run hooks: %s", strerror(-r));
	return BUSY_SECONDS;
}

static void on_entry(void *userdata, const struct alert_news *news)
{
	struct manager *m = userdata;

	if (alert_wants(news))
		alert_add(&m->alerts, news, now_seconds(m));
}

void tell_hooks_of_journal(struct manager *m)
{
	journal_listen(on_entry, m);
}
