// SPDX-License-Identifier: GPL-2.0-or-later
/* files: which files, metadata or free space sectors of a set hit. */
#include <errno.h>
#include <inttypes.h>
#include <sys/sysmacros.h>

#include "files/files.h"
#include "health.h"
#include "print-hits.h"
#include "progress-line.h"
#include "remap_format.h"
#include "scrub.h"
#include "sectors.h"
#include "system/events.h"
#include "verbs.h"

const struct verb_option options_files[] = {
	{ "lost", NULL, "of lost sectors (the default)" },
	{ "remapped", NULL, "of all sectors that are on the spare" },
	{ "unreadable", NULL, "of what the last scrub could not read" },
	{ "disk", NULL, "the numbers are of the whole disk, as in the kernel's log" },
	{ "brief", NULL, "a line each, as dm-remapd reads it" },
	{ "time", "SECONDS", "look through files for so long at most" },
	{ NULL },
};

/**
 * struct collector - the sectors of a dump of remaps
 * @runs: them
 * @lost_only: of remapped ones only those that are lost
 */
struct collector {
	struct runs runs;
	bool lost_only;
};

static int collect(void *userdata, const struct remap_slot *line)
{
	struct collector *collector = userdata;
	uint64_t sector = line->chunk * REMAP_CHUNK_SECTORS;
	uint32_t mask = collector->lost_only ? line->lost : line->redirected;
	int r = 0;

	/* what is on the spare to hide main, or for the set itself, is well */
	if (line->state != REMAP_ENTRY_USED ||
	    (!collector->lost_only &&
	     (line->cause == REMAP_CAUSE_GUARD || line->cause == REMAP_CAUSE_PROBE)))
		return 0;
	for (unsigned int i = 0; !r && i < REMAP_CHUNK_SECTORS; i++)
		if (mask & 1U << i)
			r = runs_add(&collector->runs, sector + i, 1, sector + i);
	return r;
}

/* Of the sectors that the call names. */
static int add_named(struct invocation *invocation, const struct dm_device *device,
		     struct runs *runs, struct error *error)
{
	int r = 0;

	for (int i = 1; !r && i < invocation->argc; i++) {
		struct sectors sectors;

		r = parse_sectors_argument(invocation, device, invocation->argv[i], &sectors,
					   error);
		if (!r)
			r = runs_add(runs, sectors.sector, sectors.nr_sectors, sectors.sector);
	}
	return r;
}

static int add_unreadable(const struct dm_device *device, struct runs *runs, struct error *error)
{
	_cleanup_scrub_ struct scrub_state state = { 0 };
	char key[256];
	int r;

	key_of_device(device, key, sizeof(key));
	r = scrub_state_load(key, &state);
	if (!r)
		r = scrub_find_unreadable(&state.plan[SCRUB_SET], runs);
	return r < 0 ? error_set(error, -r,
				 "%s: there is no result of a scrub: dmremap scrub "
				 "start %s",
				 device->name, device->name) :
		       0;
}

static int find_sectors(struct invocation *invocation, const struct dm_device *device,
			struct runs *runs, struct error *error)
{
	struct collector collector = { .lost_only = !option_value(invocation, "remapped") };
	int r;

	if (option_value(invocation, "unreadable"))
		return add_unreadable(device, runs, error);
	if (invocation->argc > 1)
		return add_named(invocation, device, runs, error);
	if (device->fallback)
		return error_set(error, EBUSY,
				 "%s is active without the module (fallback), which does not say "
				 "what is lost: name sectors",
				 device->name);
	r = event_dump_remaps(device->major, device->minor, collect, &collector, error);
	*runs = collector.runs;
	return r;
}

int verb_files(struct invocation *invocation, struct error *error)
{
	const char *seconds = option_value(invocation, "time");
	_cleanup_hits_ struct hits hits = { 0 };
	struct files_request request = { 0 };
	struct progress_line line;
	struct dm_device device;
	uint64_t limit = 0;
	int r;

	if (seconds && (parse_number(seconds, &limit) < 0 || !limit || limit > UINT32_MAX))
		return error_set(error, EINVAL, "--time \"%s\" is not a number of seconds",
				 seconds);
	if (invocation->argc > 1 &&
	    (option_value(invocation, "lost") || option_value(invocation, "remapped") ||
	     option_value(invocation, "unreadable")))
		return error_set(error, EINVAL,
				 "name sectors, or use one of --lost, --remapped "
				 "and --unreadable");
	if (invocation->argc == 1 && option_value(invocation, "disk"))
		return error_set(error, EINVAL, "--disk is for sectors that are named");
	if (option_value(invocation, "brief") && invocation->json)
		return error_set(error, EINVAL, "--brief does not print JSON");
	r = find_device(invocation->argv[0], &device, error);
	if (!r)
		r = find_sectors(invocation, &device, &request.runs, error);
	if (!r) {
		progress_begin(&line, invocation, "looking through files", 0);
		request.devno = makedev(device.major, device.minor);
		request.seconds = (unsigned int)limit;
		request.by_mounts = option_value(invocation, "brief");
		request.progress = &line.progress;
		r = files_find(&request, &hits, error);
		progress_end(&line);
	}
	runs_done(&request.runs);
	if (r < 0)
		return r;
	if (option_value(invocation, "brief"))
		hits_print_brief(&hits);
	else if (invocation->json)
		hits_print_json(&device, &hits);
	else
		hits_print(invocation, &device, &hits, SIZE_MAX);
	return 0;
}
