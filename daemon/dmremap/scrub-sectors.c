// SPDX-License-Identifier: GPL-2.0-or-later
#include "remap_format.h"
#include "scrub.h"
#include "system/events.h"

/**
 * struct collector - sectors of a dump of remaps
 * @runs: them
 * @kind: which
 * @geometry: of the region on the spare
 */
struct collector {
	struct runs runs;
	enum scrub_sectors kind;
	struct remap_geometry geometry;
};

static int collect(void *userdata, const struct remap_slot *line)
{
	struct collector *collector = userdata;
	uint64_t sector = line->chunk * REMAP_CHUNK_SECTORS;
	uint32_t mask = collector->kind == SCRUB_LOST ? line->lost : line->redirected;
	int r = 0;

	if (collector->kind == SCRUB_BAD_SLOTS) {
		if (line->state == REMAP_ENTRY_USED || line->slot >= collector->geometry.slots)
			return 0;
		sector = remap_slot_sector(&collector->geometry, line->slot);
		return runs_add(&collector->runs, sector, REMAP_CHUNK_SECTORS, sector);
	}
	for (unsigned int i = 0; !r && i < REMAP_CHUNK_SECTORS; i++)
		if (line->state == REMAP_ENTRY_USED && mask & 1U << i)
			r = runs_add(&collector->runs, sector + i, 1, sector + i);
	return r;
}

int scrub_find_sectors(const struct dm_device *device, enum scrub_sectors kind, struct runs *runs,
		       struct error *error)
{
	struct collector collector = { .kind = kind };
	int r = 0;

	if (kind == SCRUB_BAD_SLOTS &&
	    remap_geometry_compute(device->line.spare_sectors, &collector.geometry) < 0)
		return 0;
	if (!device->fallback)
		r = event_dump_remaps(device->major, device->minor, collect, &collector, error);
	if (!r)
		r = runs_sort(&collector.runs);
	if (r < 0)
		runs_done(&collector.runs);
	*runs = collector.runs;
	return r;
}

int scrub_find_unreadable(const struct plan *plan, struct runs *runs)
{
	int r = 0;

	for (size_t i = 0; !r && i < plan->nr_spans; i++)
		if (plan->span[i].state == SPAN_BAD)
			r = runs_add(runs, plan->span[i].sector, plan->span[i].nr,
				     plan->span[i].sector);
	return r;
}
