/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A spare that has bad sectors itself: what of it can be used.  A place of a table block is named
 * dead in the superblock (C8), a slot is entered as bad, what nothing will be written to does not
 * matter; where a superblock or the counters must be, nothing helps.
 * Callers: create.c, region_format.c.
 */
#ifndef DM_REMAP_SPARE_LAYOUT_H
#define DM_REMAP_SPARE_LAYOUT_H

#include "format/places.h"
#include "remap_format.h"
#include "util/progress.h"

/* Zeros over some sectors; those that cannot be written are added to @bad, without an error. */
int spare_zero(int fd, uint64_t sector, uint64_t end, struct sector_ranges *bad);
/*
 * Zeros over the first and last MiB of the device and all places of metadata of the region on it,
 * durably.  Sectors that do not take them, or were in @suspects and still cannot be read, are
 * added to @bad: all of them are tried.  Errors are those of the device as a whole.  @progress
 * (may be NULL) makes spare_wipe_steps().
 */
int spare_wipe(int fd, uint64_t device_sectors, const struct remap_geometry *geometry,
	       const struct sector_ranges *suspects, struct sector_ranges *bad,
	       struct progress *progress, struct error *error);
uint64_t spare_wipe_steps(uint64_t device_sectors, const struct remap_geometry *geometry);

/*
 * Pure: the codes of dead places, for the superblock.  -EIO with the sector: the region cannot do
 * without it.
 */
int spare_dead_places(const struct remap_geometry *geometry, const struct sector_ranges *bad,
		      u32 dead[REMAP_DEAD_MAX], struct error *error);
/* Zeros into one slot, durably, and back; -EIO: it is added to @bad. */
int spare_try_slot(int fd, const struct remap_geometry *geometry, uint32_t slot,
		   struct sector_ranges *bad);
/* Pure: whether a slot has a bad sector. */
bool spare_slot_is_bad(const struct remap_geometry *geometry, const struct sector_ranges *bad,
		       uint32_t slot);
/* Pure: whether one of the places of a table block is dead: its entries never change again. */
bool spare_block_is_dead(const u32 dead[REMAP_DEAD_MAX], uint32_t block);

#endif /* DM_REMAP_SPARE_LAYOUT_H */
