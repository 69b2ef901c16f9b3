// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is done to sets: counters saved, metadata compared, sectors rescued, sets
 * activated.  All of it may wait for a disk, so children do it (jobs.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "state.h"
#include "util/foreign.h"

/* As `dmremap` exits; see dmremap(8). */
#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_WAITING 4
/* of activate --exit-code */
#define EXIT_WAS_ACTIVE 12
#define EXIT_HAS_FAULT 13
#define EXIT_RETURNED 14

void action_late(void *userdata, const struct job *job)
{
	if (job->is_hooks)
		journal_hook("(all)",
			     "they do not end, and cannot be killed: does a disk hang? No hook "
			     "runs before they have ended");
	else
		journal_job_late(job, true);
}

static int save(struct manager *m, struct set_state *set);

void action_came_back(struct manager *m, const struct job *job)
{
	struct set_state *set = set_state_named(&m->sets, job->set);

	if (job->late)
		journal_job_late(job, false);
	/* another one may be at work still, beside which this one was */
	if (set && set->save_owed && save(m, set) != -EBUSY)
		set->save_owed = false;
	if (m->stopping && !jobs_at_work(&m->jobs))
		sd_event_exit(m->loop, 0);
}

static bool takes_messages(const struct set_state *set)
{
	return !set->device.suspended && !set->device.fallback;
}

static int start(struct manager *m, struct set_state *set, const char *verb,
		 const char *const *arguments, uint64_t number, job_done_f done)
{
	const char *name = set->device.name;
	int r = job_start(&m->jobs, name, verb, arguments, 0, number, done);

	if (r < 0 && r != -EBUSY)
		sd_journal_print(LOG_ERR, "%s: cannot run `dmremap %s`: %s", name, verb,
				 strerror(-r));
	return r;
}

static void on_saved(void *userdata, const struct job *job)
{
	struct manager *m = userdata;
	struct set_state *set = set_state_named(&m->sets, job->set);
	bool failed = job->code != EXIT_OK;

	/* a failing save is tried at every turn, and reported once */
	if (failed && !(set && set->save_failed))
		journal_job_failed(job);
	if (set)
		set->save_failed = failed;
	if (set && !failed)
		set->activity = job->number;
	action_came_back(m, job);
}

static int save(struct manager *m, struct set_state *set)
{
	const char *arguments[] = { "--quiet", "--", set->device.name, NULL };

	if (!takes_messages(set))
		return 0;
	return start(m, set, "save", arguments, status_activity(&set->device.status), on_saved);
}

bool action_save(struct manager *m, bool always)
{
	bool all = true;

	for (size_t i = 0; i < m->sets.nr; i++) {
		struct set_state *set = &m->sets.at[i];

		if (!always && status_activity(&set->device.status) == set->activity)
			continue;
		if (save(m, set) == -EBUSY) {
			set->save_owed = m->stopping;
			all = false;
		}
	}
	return all;
}

static void on_restored(void *userdata, const struct job *job)
{
	if (job->code != EXIT_OK)
		journal_job_failed(job);
	else
		sd_journal_print(LOG_INFO,
				 "%s: udev reported a member; its metadata was compared: %s",
				 FOREIGN(job->set), job->text);
	action_came_back(userdata, job);
}

/* A member was reported under its number: what is on it must be what we think it is. */
void action_restore(struct manager *m, struct set_state *set)
{
	const char *arguments[] = { "--", set->device.name, NULL };

	if (!takes_messages(set) || start(m, set, "restore", arguments, 0, on_restored) != -EBUSY)
		set->reported = false; /* else at the next poll */
}

static void on_salvaged(void *userdata, const struct job *job)
{
	struct manager *m = userdata;

	if (job->code != EXIT_OK)
		journal_job_failed(job); /* what was moved is an event of its own */
	action_came_back(m, job);
	poll_within(m, 0); /* there may be more of them */
}

void action_salvage(struct manager *m, struct set_state *set, uint64_t now)
{
	char sector_text[24], nr_text[24];
	const char *arguments[] = { "--cause",	 "rescue", "--", set->device.name,
				    sector_text, nr_text,  NULL };
	uint32_t nr_sectors;
	uint64_t sector;

	/* in a storm, or when the set has troubles of its own, nothing is given up */
	if (!m->config.rescue || !streq(set->device.status.mode, "rw") ||
	    set->limit[DM_REMAP_EVENT_READ_ERROR].nr_suppressed) {
		salvage_forget(&set->salvage);
		return;
	}
	if (!takes_messages(set) || jobs_busy(&m->jobs, set->device.name) ||
	    !salvage_take(&set->salvage, now, &sector, &nr_sectors))
		return;
	snprintf(sector_text, sizeof(sector_text), "%" PRIu64, sector);
	snprintf(nr_text, sizeof(nr_text), "%" PRIu32, nr_sectors);
	start(m, set, "remap", arguments, 0, on_salvaged);
}

static void on_thawed(void *userdata, const struct job *job)
{
	struct manager *m = userdata;

	if (job->code != EXIT_OK)
		journal_job_failed(job);
	action_came_back(m, job);
	poll_within(m, 0);
}

/* A storm that probes contradict: the disk answers, it has many bad places (policy.h). */
void action_thaw(struct manager *m, struct set_state *set, uint64_t now)
{
	const char *arguments[] = { "--quiet", "--", set->device.name, NULL };
	const struct remap_status *s = &set->device.status;
	unsigned int nr;

	if (jobs_busy(&m->jobs, set->device.name) || !takes_messages(set) ||
	    !policy_thaw(&set->thaw, set->is_storm && streq(s->mode, "frozen"), s->probe_ok,
			 m->config.thaws, now, &nr))
		return;
	journal_thawed(&set->device, nr, m->config.thaws);
	start(m, set, "thaw", arguments, 0, on_thawed);
}

/* Exit codes 2 to 6 are answers: nothing changes them but a member that comes or goes. */
static void on_activated(void *userdata, const struct job *job)
{
	struct manager *m = userdata;
	struct waiting *waiting = waiting_find(&m->waiting, job->set);
	bool failed = job->code == EXIT_FAILED || job->code < 0;
	/* a new device is no news: the kernel reports it */
	bool is_news = job->code != EXIT_OK && job->code != EXIT_WAS_ACTIVE;

	if (waiting && waiting_result(waiting, failed, is_news ? job->text : "", now_seconds(m))) {
		if (job->code == EXIT_RETURNED)
			journal_returned(waiting, job->text);
		else if (job->code != EXIT_WAITING || *waiting->name)
			journal_not_active(waiting, job->text, failed);
		/* else it lacks a member: reported when its timeout is over */
	}
	action_came_back(m, job);
	poll_within(m, 0);
}

/* As udev's one-shot, not by request: no set of no host (O7), and none that was deactivated. */
void action_activate(struct manager *m, struct waiting *waiting)
{
	const char *arguments[] = { waiting->uuid, "--auto", "--exit-code", NULL };
	int r = job_start(&m->jobs, waiting->uuid, "activate", arguments, JOB_OUTSIDE, 0,
			  on_activated);

	if (r < 0 && r != -EBUSY)
		sd_journal_print(LOG_ERR, "%s: cannot run `dmremap activate`: %s", waiting->uuid,
				 strerror(-r));
}
