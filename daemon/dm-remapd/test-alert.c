// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>
#include <syslog.h>
#include <time.h>

#include "alert-text.h"
#include "config.h"
#include "hooks.h"
#include "jobs.h"
#include "systemd-run.h"
#include "test-alert.h"

static void ignore_mistake(void *userdata, const char *sentence)
{
}

/* Prints the report, line by line as it comes; how many hooks succeeded, -EIO: one did not. */
static int print_report(FILE *report)
{
	int nr_ok = 0, nr_bad = 0;
	char line[1024];

	while (fgets(line, sizeof(line), report)) {
		printf("%s", line);
		fflush(stdout);
		nr_ok += !strncmp(line, HOOK_OK " ", strlen(HOOK_OK " "));
		nr_bad += strncmp(line, HOOK_OK " ", strlen(HOOK_OK " ")) &&
			  strncmp(line, HOOK_SKIPPED " ", strlen(HOOK_SKIPPED " "));
	}
	return nr_bad ? -EIO : nr_ok;
}

/* In a child, as the daemon does it: within a unit of its own where there is a systemd. */
static int run(const char *directory, unsigned int seconds, char *const *variables)
{
	const char *argv[JOB_PREFIX_MAX + ALERT_VARIABLES_MAX + 5];
	char path[PATH_MAX] = "", seconds_text[16], limit[64];
	_cleanup_free_ char *room = NULL;
	int nr, own, pipes[2], r;
	FILE *report;

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0 || pipe(pipes) < 0)
		return -errno;
	snprintf(seconds_text, sizeof(seconds_text), "%u", seconds);
	nr = job_hooks_prefix(argv, limit, sizeof(limit), HOOKS_MAX * (seconds + 4));
	own = nr;
	argv[nr++] = path;
	argv[nr++] = "--run-hooks";
	argv[nr++] = directory;
	argv[nr++] = seconds_text;
	for (int i = 0; variables[i]; i++)
		argv[nr++] = variables[i];
	argv[nr] = NULL;
	r = own ? systemd_run_quote(argv + own, &room) : 0;
	if (r < 0)
		return r;
	switch (fork()) {
	case -1:
		return -errno;
	case 0:
		dup2(pipes[1], STDOUT_FILENO);
		dup2(pipes[1], STDERR_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(pipes[1]);
	report = fdopen(pipes[0], "r");
	r = report ? print_report(report) : -ENOMEM;
	if (report)
		fclose(report);
	return r;
}

int test_alert(void)
{
	const char *admin = getenv("CONFIGURATION_DIRECTORY");
	struct alert alert = { .kind = ALERT_TEST, .priority = LOG_NOTICE, .nr_lines = 1 };
	char directory[PATH_MAX], host[65] = "";
	struct alert_variables variables;
	struct config config;
	int r;

	if (geteuid() != 0) {
		fprintf(stderr, "dm-remapd: --test-alert needs root, as whom hooks run\n");
		return EXIT_FAILURE;
	}
	admin = admin ? admin : CONFIG_ADMIN_DIR;
	config_defaults(&config);
	config_read(CONFIG_VENDOR_DIR, admin, &config, ignore_mistake, NULL);
	snprintf(directory, sizeof(directory), "%s/hooks.d", admin);
	gethostname(host, sizeof(host) - 1);
	snprintf(alert.line[0].text, sizeof(alert.line[0].text),
		 "This is a test of dm-remapd on %s: nothing has happened.", host);
	r = alert_variables(&alert, host, (uint64_t)time(NULL), &variables);
	if (r >= 0) {
		r = run(directory, config.hook_seconds, variables.at);
		alert_variables_done(&variables);
	}
	if (!r)
		fprintf(stderr,
			"dm-remapd: no hook ran: %s has none, so alerts are only in the journal; "
			"see dm-remapd(8)\n",
			directory);
	else if (r < 0)
		fprintf(stderr, "dm-remapd: %s\n",
			r == -EIO ? "not all hooks succeeded" : strerror(-r));
	return r > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
