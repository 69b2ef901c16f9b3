// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an unreadable sector belongs to.  Its entry is in the journal already: a child looks for the
 * file, for a few seconds at most, and what it finds is an entry of its own.  Where a disk hangs,
 * or the file system is a large one that does not say what its blocks are, there is none.
 */
#include <errno.h>
#include <inttypes.h>
#include <systemd/sd-journal.h>

#include "journal.h"
#include "state.h"

/* Places that one child looks for, and seconds that it may walk through files. */
#define PLACES_MAX 8
#define WALK_SECONDS "5"
#define PLACE_BYTES 40
#define FIXED_ARGUMENTS 5

/* "SECTOR COUNT KIND WHAT", as `dmremap files --brief` prints it. */
static void tell_line(const struct dm_device *device, char *line)
{
	uint64_t sector, nr_sectors;
	char kind[16];
	int length = 0;

	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %15s %n", &sector, &nr_sectors, kind, &length) ==
		    3 &&
	    length && line[length])
		journal_file(device, sector, nr_sectors, kind, line + length);
}

/* Where it finds nothing, nothing is said: `dmremap files` says why. */
static void on_named(void *userdata, const struct job *job)
{
	struct manager *m = userdata;
	struct set_state *set = set_state_named(&m->sets, job->set);
	_cleanup_free_ char *text = strdup(job->text);
	char *save = NULL, *line;

	for (line = set && text && !job->code ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		tell_line(&set->device, line);
	action_came_back(m, job);
	poll_within(m, SECOND_US);
}

/* A scrub names the files at its end. */
void name_later(struct manager *m, struct set_state *set, uint64_t sector, uint32_t nr_sectors)
{
	if (m->config.files && !is_scrubbed(set))
		salvage_add(&set->nameless, sector, nr_sectors);
}

unsigned int name_files(struct manager *m, struct set_state *set, uint64_t now)
{
	char place[PLACES_MAX][PLACE_BYTES];
	const char *arguments[FIXED_ARGUMENTS + PLACES_MAX + 1] = { "--brief", "--time",
								    WALK_SECONDS, "--",
								    set->device.name };
	uint32_t nr_sectors;
	uint64_t sector;
	int nr = 0, r;

	if (!set->nameless.nr)
		return SALVAGE_SECONDS;
	for (const struct job *job = m->jobs.first; job; job = job->next)
		if (streq(job->set, set->device.name) && streq(job->verb, "files"))
			return SALVAGE_SECONDS; /* it waits for a disk, or ends soon */
	while (nr < PLACES_MAX && salvage_take(&set->nameless, now, &sector, &nr_sectors)) {
		snprintf(place[nr], sizeof(place[nr]), "%" PRIu64 "+%" PRIu32, sector, nr_sectors);
		arguments[FIXED_ARGUMENTS + nr] = place[nr];
		nr++;
	}
	if (!nr)
		return SALVAGE_SECONDS;
	r = job_start(&m->jobs, set->device.name, "files", arguments,
		      JOB_OUTSIDE | JOB_BESIDE | JOB_LINES, 0, on_named);
	if (r < 0)
		sd_journal_print(LOG_ERR, "%s: cannot run `dmremap files`: %s", set->device.name,
				 strerror(-r));
	return 1;
}
