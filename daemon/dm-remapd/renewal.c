// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backup of a set's metadata: some time after its table changed, so that many changes make
 * one backup, and when the daemon ends.  It is read from the spare: a child's work.
 */
#include <errno.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "state.h"

#define NEVER_SECONDS 3600
#define BUSY_SECONDS 5
#define FULL_SECONDS 1
#define EXIT_OK 0

/* Numbers of the children: of one set there may be one of each. */
enum {
	RENEWS,
	RENEWS_AND_COPIES,
};

static void on_renewed(void *userdata, const struct job *job)
{
	struct manager *m = userdata;
	bool has_failed = job->code != EXIT_OK;

	for (size_t i = 0; i < m->sets.nr; i++) {
		struct renewal *renewal = &m->sets.at[i].renewal;

		if (!streq(m->sets.at[i].device.name, job->set))
			continue;
		if (has_failed && !renewal->has_failed)
			journal_job_failed(job);
		renewal->has_failed = has_failed;
		if (has_failed) /* it is tried again */
			renewal->at = now_seconds(m) + m->config.backup_seconds;
		if (renewal->has_stale_copies && job->number == RENEWS_AND_COPIES) {
			renewal->has_stale_copies = false;
			renewal->at = now_seconds(m);
			poll_within(m, 0);
		}
	}
	action_came_back(m, job);
}

static int start_one(struct manager *m, struct set_state *set, uint64_t number)
{
	const char *arguments[7] = { "--renew", "--quiet", "--", set->device.name };
	int r;

	if (number == RENEWS_AND_COPIES) {
		arguments[2] = "--copies";
		arguments[3] = m->config.backup_copies;
		arguments[4] = "--";
		arguments[5] = set->device.name;
	}
	r = job_start(&m->jobs, set->device.name, "backup", arguments,
		      JOB_OUTSIDE | JOB_BESIDE | JOB_AWAITED, number, on_renewed);
	if (r < 0 && r != -EBUSY)
		sd_journal_print(LOG_ERR, "%s: cannot run `dmremap backup`: %s", set->device.name,
				 strerror(-r));
	return r;
}

/* A directory of copies that hangs, as of a server that is away, keeps no backup from renewal. */
static int start(struct manager *m, struct set_state *set)
{
	bool has_copies = *m->config.backup_copies;
	int r = start_one(m, set, has_copies ? RENEWS_AND_COPIES : RENEWS);

	if (r != -EBUSY || !has_copies ||
	    !jobs_late(&m->jobs, set->device.name, "backup", RENEWS_AND_COPIES))
		return r;
	r = start_one(m, set, RENEWS);
	set->renewal.has_stale_copies |= !r;
	return r;
}

/*
 * A set that the daemon did not see before may have any backup; of those it did, what has not
 * changed has one.  Sets without a UUID are plain dmsetup's.
 */
unsigned int renew_backup(struct manager *m, struct set_state *set, uint64_t now)
{
	const struct remap_status *s = &set->device.status;
	const uint64_t seen[4] = { s->used_slots, s->bad_slots, s->lost_sectors, s->relocations };
	struct renewal *renewal = &set->renewal;
	bool has_changed = renewal->is_seen &&
			   (renewal->has_event || memcmp(seen, renewal->seen, sizeof(seen)) != 0);

	if (!m->config.backup_seconds || set->device.fallback || !*uuid_of_device(&set->device))
		return NEVER_SECONDS;
	if (!now) {
		/* one that is due later: of a change before we were started, or that failed */
		if (has_changed || renewal->at)
			start(m, set);
		return NEVER_SECONDS;
	}
	if (!renewal->at && (has_changed || !renewal->is_seen))
		renewal->at = now + m->config.backup_seconds;
	if (!renewal->is_seen)
		memcpy(renewal->seen, seen, sizeof(seen));
	renewal->is_seen = true;
	if (!renewal->at)
		return NEVER_SECONDS;
	if (now < renewal->at)
		return (unsigned int)(renewal->at - now);
	if (jobs_nr(&m->jobs, true) >= JOBS_BESIDE_MAX)
		return FULL_SECONDS;
	if (start(m, set) == -EBUSY)
		return BUSY_SECONDS;
	memcpy(renewal->seen, seen, sizeof(seen));
	renewal->has_event = false;
	renewal->at = 0;
	return NEVER_SECONDS;
}
