// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "remap_format.h"
#include "room.h"
#include "system/events.h"

/* What a spare is beside its slots, at most, for a sentence. */
#define SPARE_OVERHEAD_PERCENT 5

uint64_t room_free(const struct dm_device *device)
{
	const struct remap_status *s = &device->status;
	uint64_t taken = s->used_slots + s->bad_slots + s->retired_slots + s->reserved_slots;

	return taken < s->total_slots ? s->total_slots - taken : 0;
}

int room_check(const struct dm_device *device, uint64_t needed, const char *otherwise,
	       struct error *error)
{
	uint64_t nr_free = room_free(device), nr_bytes;

	if (needed <= nr_free)
		return 0;
	nr_bytes = (device->status.total_slots - nr_free + needed) * REMAP_CHUNK_BYTES / 100 *
		   (100 + SPARE_OVERHEAD_PERCENT);
	return error_set(error, EPERM,
			 "%s: %" PRIu64 " slots needed, but only %" PRIu64 " free; nothing was "
			 "remapped. Move to a spare of %" PRIu64 " MiB (dmremap resize)%s",
			 device->name, needed, nr_free, (nr_bytes >> 20) + 1, otherwise);
}

/**
 * struct counting - chunks of a range
 * @first: number of the first one
 * @last: of the last one
 * @nr_mapped: of them that have a slot
 */
struct counting {
	uint64_t first;
	uint64_t last;
	uint64_t nr_mapped;
};

static int count(void *userdata, const struct remap_slot *line)
{
	struct counting *counting = userdata;

	counting->nr_mapped += line->state == REMAP_ENTRY_USED && line->chunk >= counting->first &&
			       line->chunk <= counting->last;
	return 0;
}

int room_check_sectors(const struct dm_device *device, const struct sectors *sectors,
		       struct error *error)
{
	struct counting counting = {
		.first = sectors->sector / REMAP_CHUNK_SECTORS,
		.last = (sectors->sector + sectors->nr_sectors - 1) / REMAP_CHUNK_SECTORS,
	};
	uint64_t nr = counting.last - counting.first + 1;

	if (nr <= room_free(device) ||
	    event_dump_remaps(device->major, device->minor, count, &counting, NULL) < 0)
		return 0;
	return room_check(device, nr - counting.nr_mapped, "", error);
}
