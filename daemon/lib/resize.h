/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set's spare exchanged for a larger one (or a smaller one, if all fits): every slot in use
 * is copied to another device, under a layout of that size, and the old spare becomes blank.
 * The set is not active.  First everything is looked at and nothing written.
 */
#ifndef DM_REMAP_RESIZE_H
#define DM_REMAP_RESIZE_H

#include "adopt.h"

/**
 * struct resizing - a set on its way to another spare; the first part is the caller's
 * @adopted: the set, opened for writing
 * @path: the new spare
 * @fd: opened for direct I/O, exclusively
 * @region_bytes: length of the new region; 0: the whole device
 * @wipe_spare: also onto a device with something else on it
 *
 * @device_sectors: length of the new device
 * @region_sectors: length of the region on it
 * @identity: hardware of the new spare
 * @slot: old slots in use, in the order of the new ones
 * @entry: the same as entries of the new table
 * @nr_used: how many
 * @nr_slots: of the new region
 * @nr_unreadable: sectors that the old spare does not give back: they become lost
 * @not_wiped: why the old spare is not blank; empty: it is
 * @no_backup: why there is no new backup; empty: there is
 */
struct resizing {
	struct adopted *adopted;
	const char *path;
	int fd;
	uint64_t region_bytes;
	bool wipe_spare;

	uint64_t device_sectors;
	uint64_t region_sectors;
	char identity[REMAP_IDENTITY_BYTES];
	uint32_t *slot;
	struct remap_entry *entry;
	uint32_t nr_used;
	uint32_t nr_slots;
	uint32_t nr_unreadable;
	struct error not_wiped;
	struct error no_backup;
};

/* Looks, and reads all that is to be copied; every refusal is a sentence. */
int resize_look(struct resizing *resizing, struct error *error);
/* Does it; may be repeated after a power cut. */
int resize_carry_out(struct resizing *resizing, struct error *error);
void resize_done(struct resizing *resizing);

#endif /* DM_REMAP_RESIZE_H */
