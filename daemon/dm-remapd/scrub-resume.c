// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A scrub that a reboot, a kill or a missing disk interrupted goes on: a child looks, once for
 * each set that becomes active, and each time that its table is loaded again.  And whether one is
 * at work: that is in memory.
 */
#include <errno.h>
#include <limits.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "scrub/scrub-lock.h"
#include "scrub/scrub-state.h"
#include "state.h"

#define EXIT_OK 0

static void on_resumed(void *userdata, const struct job *job)
{
	if (job->code != EXIT_OK)
		journal_job_failed(job);
	action_came_back(userdata, job);
}

static bool has_file(const struct set_state *set)
{
	char key[256], path[PATH_MAX];

	key_of_device(&set->device, key, sizeof(key));
	return scrub_state_path(key, path, sizeof(path)) == 0 && access(path, F_OK) == 0;
}

/* One that has ended meanwhile counts: its last errors are seen after its end. */
bool is_scrubbed(struct set_state *set)
{
	char key[256];

	key_of_device(&set->device, key, sizeof(key));
	set->was_scrubbed |= scrub_find_process(key) != 0;
	return set->was_scrubbed;
}

void resume_scrub(struct manager *m, struct set_state *set)
{
	const char *arguments[] = { "--resume", "--quiet", "--", "start", set->device.name, NULL };
	int r;

	if (set->is_scrub_seen || set->device.suspended || !has_file(set))
		return;
	set->is_scrub_seen = true;
	r = job_start(&m->jobs, set->device.name, "scrub", arguments, JOB_OUTSIDE | JOB_BESIDE, 0,
		      on_resumed);
	if (r < 0 && r != -EBUSY)
		sd_journal_print(LOG_ERR, "%s: cannot run `dmremap scrub`: %s", set->device.name,
				 strerror(-r));
}
