/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sectors of an inactive set that are to be lost: what a copy of main does not have reads as an
 * error until it is written, and not as the zeros that the copy holds there (P2).  Callers:
 * replace-main --map, import --lost.
 */
#ifndef DM_REMAP_LOST_H
#define DM_REMAP_LOST_H

#include "format/badlist.h"
#include "set/handle.h"

/**
 * struct losing - sectors that are to be lost
 * @handle: the set, opened exclusively
 * @nr_sectors: that are not lost yet, and are not served from the spare
 * @nr_served: of those named that the spare serves: they stay as they are
 * @nr_slots: that this takes
 * @entry: all entries as they are to be
 * @dirty: per table block: whether it has to be written
 */
struct losing {
	struct set_handle *handle;
	uint64_t nr_sectors;
	uint64_t nr_served;
	uint32_t nr_slots;
	struct remap_entry *entry;
	bool *dirty;
};

/* Plans, and writes nothing.  -ENOSPC: the free slots do not do. */
int losing_look(struct losing *losing, const struct bad_range *range, size_t nr_ranges,
		struct error *error);
/* After a power cut some of them are lost: the same command continues. */
int losing_carry_out(struct losing *losing, struct error *error);
void losing_done(struct losing *losing);

#endif /* DM_REMAP_LOST_H */
