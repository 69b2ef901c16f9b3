// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The verdict on a set is reached by `dmremap health --record`, the same that people call: what
 * the journal says is what they see.  That child reads the history and adds to it, so the loop
 * waits for no file either.  Here: when that is due, and what of it is news.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "state.h"
#include "util/foreign.h"

/* At the latest, and at the earliest: a storm is not a process a second. */
#define CHECKUP_SECONDS 3600
#define PAUSE_SECONDS 5

/* As `dmremap` exits; see dmremap(8). */
#define EXIT_OK 0
#define EXIT_NOT_FOUND 3

/* What a verdict depends on: not on how often counters were saved. */
static struct remap_status seen_of(const struct set_state *set)
{
	struct remap_status seen = set->device.status;

	seen.saves_ok = 0;
	seen.saves_failed = 0;
	seen.generation = 0;
	return seen;
}

static bool has_changed(const struct set_state *set)
{
	struct remap_status seen = seen_of(set);
	const struct checkup *last = &set->checkup;

	return memcmp(&seen, &last->seen, sizeof(seen)) != 0 ||
	       memcmp(set->is_gone, last->is_gone, sizeof(last->is_gone)) != 0 ||
	       !set->policy.nr_fast != !last->nr_fast;
}

static bool is_busy(const struct manager *m)
{
	return jobs_nr(&m->jobs, true) >= JOBS_BESIDE_MAX;
}

/* A new reason is news as well; that one has gone is not, as long as the word is the same. */
static bool is_news(const struct checkup *last, enum verdict_level level, uint64_t reasons)
{
	return level != last->level || (reasons & ~last->reasons);
}

/* "watch 2000 saved: the main device had 1 error": the last word is about the history. */
static bool parse(const char *said, struct checkup *now)
{
	char word[16], saved[16];

	if (sscanf(said, "%15s %" SCNx64 " %15[a-z]:", word, &now->reasons, saved) != 3 ||
	    verdict_from_name(word, &now->level) < 0)
		return false;
	now->is_unsaved = streq(saved, "unsaved");
	return true;
}

/*
 * What was reported is noted in the runtime directory, which is memory: after a restart of the
 * daemon nothing is reported again, but the result of a child that was not waited for is.  After
 * a boot whatever is not good is reported once more.
 */
static void note_path(const struct set_state *set, char *path, size_t nr_bytes)
{
	const struct dm_device *device = &set->device;
	const char *run = getenv("RUNTIME_DIRECTORY");

	snprintf(path, nr_bytes, "%s/verdict-%s", run && *run ? run : "/run/dm-remapd",
		 *device->dm_uuid ? device->dm_uuid : device->name);
}

static void read_note(struct set_state *set)
{
	struct checkup *last = &set->checkup, noted = { 0 };
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];

	note_path(set, path, sizeof(path));
	last->level = VERDICT_GOOD;
	last->reasons = 0;
	if (read_file(path, &text, NULL) == 0 && parse(text, &noted)) {
		last->level = noted.level;
		last->reasons = noted.reasons;
	}
}

static void write_note(const struct set_state *set)
{
	char path[PATH_MAX], text[64];

	note_path(set, path, sizeof(path));
	snprintf(text, sizeof(text), "%s %" PRIx64 " told:\n", verdict_name(set->checkup.level),
		 set->checkup.reasons);
	/* without it the verdict is reported again */
	write_file_atomic(path, text, strlen(text), 0600);
}

static void tell(struct manager *m, struct set_state *set, const char *said,
		 const struct checkup *now)
{
	struct foreign_text shown = foreign_text(set->device.name, sizeof(set->device.name));
	const char *name = shown.text, *uuid = uuid_of_device(&set->device);
	struct checkup *last = &set->checkup;
	const char *why = strchr(said, ':');
	bool is_other;

	why += 1 + strspn(why + 1, " ");
	if (!last->is_known) {
		read_note(set);
		alert_verdict(&m->alerts, name, uuid, last->level, "", now_seconds(m));
	}
	is_other = now->level != last->level || now->reasons != last->reasons;
	if (is_news(last, now->level, now->reasons))
		journal_verdict(&set->device, now->level, why);
	alert_verdict(&m->alerts, name, uuid, now->level, why, now_seconds(m));
	if (now->is_unsaved && !last->is_unsaved)
		sd_journal_print(LOG_WARNING,
				 "%s: cannot write its history; run dmremap health %s --record to "
				 "see why",
				 name, name);
	last->is_known = true;
	last->level = now->level;
	last->reasons = now->reasons;
	last->is_unsaved = now->is_unsaved;
	if (is_other)
		write_note(set);
}

static void on_checked(void *userdata, const struct job *job)
{
	struct manager *m = userdata;
	struct checkup now = { 0 };
	struct set_state *set = set_state_named(&m->sets, job->set);

	if (set && parse(job->text, &now))
		tell(m, set, job->text, &now);
	else if (set && job->code != EXIT_NOT_FOUND) /* it has gone meanwhile */
		journal_job_failed(job);
	if (*m->config.metrics_path) {
		m->metrics_at = 0;
		poll_within(m, SECOND_US);
	}
	action_came_back(m, job);
}

static void on_asked(void *userdata, const struct job *job)
{
	struct manager *m = userdata;
	struct set_state *set = set_state_named(&m->sets, job->set);

	if (set)
		set->checkup.is_wanted = true;
	if (job->code != EXIT_OK && job->code != EXIT_NOT_FOUND)
		journal_job_failed(job);
	action_came_back(m, job);
	poll_within(m, 0);
}

/* SMART: not from here, and not at once of all sets; in how many seconds that is due. */
static unsigned int ask_disks(struct manager *m, struct set_state *set, uint64_t now)
{
	const char *arguments[] = { "--record", "--", set->device.name, NULL };
	struct checkup *last = &set->checkup;
	uint64_t pause = m->config.smart_seconds;
	int r;

	if (!pause)
		return CHECKUP_SECONDS;
	if (last->smart_at && now < last->smart_at + pause)
		return (unsigned int)(last->smart_at + pause - now);
	if (is_busy(m))
		return PAUSE_SECONDS;
	r = job_start(&m->jobs, set->device.name, "smart", arguments, JOB_OUTSIDE | JOB_BESIDE, 0,
		      on_asked);
	if (r < 0 && r != -EBUSY)
		sd_journal_print(LOG_ERR, "%s: cannot run `dmremap smart`: %s", set->device.name,
				 strerror(-r));
	last->smart_at = now ? now : 1;
	return (unsigned int)pause;
}

static unsigned int check(struct manager *m, struct set_state *set, uint64_t now)
{
	struct checkup *last = &set->checkup;
	char fast[48] = "";
	const char *arguments[] = { "--record", "--", set->device.name, NULL, NULL, NULL };
	bool is_due = !last->at || now >= last->at + CHECKUP_SECONDS || has_changed(set) ||
		      last->is_wanted;
	int r;

	if (!is_due)
		return CHECKUP_SECONDS;
	if (last->at && now < last->at + PAUSE_SECONDS)
		return (unsigned int)(last->at + PAUSE_SECONDS - now);
	if (is_busy(m))
		return 1;
	if (!last->since)
		last->since = now;
	/* they do not come fast: that is known when they were counted for so long */
	if (set->policy.nr_fast || now - last->since >= m->config.policy.error_seconds) {
		snprintf(fast, sizeof(fast), "%u/%u", set->policy.nr_fast,
			 m->config.policy.error_seconds);
		arguments[1] = "--fast";
		arguments[2] = fast;
		arguments[3] = "--";
		arguments[4] = set->device.name;
	}
	r = job_start(&m->jobs, set->device.name, "health", arguments, JOB_BESIDE | JOB_ANSWERS, 0,
		      on_checked);
	if (r == -EBUSY)
		return PAUSE_SECONDS;
	if (r < 0)
		sd_journal_print(LOG_ERR, "%s: cannot run `dmremap health`: %s", set->device.name,
				 strerror(-r));
	last->seen = seen_of(set);
	memcpy(last->is_gone, set->is_gone, sizeof(last->is_gone));
	last->nr_fast = set->policy.nr_fast;
	last->is_wanted = false;
	last->at = now ? now : 1;
	return CHECKUP_SECONDS;
}

unsigned int checkup(struct manager *m, struct set_state *set, uint64_t now)
{
	unsigned int due = check(m, set, now), due_disks = CHECKUP_SECONDS;

	/* which disks they are its table does not say */
	if (!set->device.fallback)
		due_disks = ask_disks(m, set, now);
	return due < due_disks ? due : due_disks;
}
