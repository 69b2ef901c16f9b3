/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set's spare exchanged for a larger one (or a smaller one, if all fits): every slot in use
 * is copied to another device, under a layout of that size, and the old spare becomes blank.
 * The set is not active.  First everything is looked at and nothing written.
 */
#ifndef DM_REMAP_RESIZE_H
#define DM_REMAP_RESIZE_H

#include "set/handle.h"

/**
 * struct resizing - a set on its way to another spare; the first part is the caller's
 * @handle: the set, opened for writing
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
 * @nr_unreadable: sectors of the old spare that cannot be read: they become lost
 * @number: what all blocks of the new spare get
 * @lock: of the set, had before the old spare does not count any more; the caller closes it
 * @half_done: main has, or may have, that number already
 * @old_read_only: it takes no writes, and so cannot be made blank; main's mark says that it is old
 * @old_fails: less of it can be read than when it was examined
 * @not_wiped: why the old spare is not blank; empty: it is
 * @no_backup: why there is no new backup; empty: there is
 */
struct resizing {
	struct set_handle *handle;
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
	uint64_t number;
	int lock;
	bool half_done;
	bool old_read_only;
	bool old_fails;
	struct error not_wiped;
	struct error no_backup;
};

/* Looks, and reads all that is to be copied; every refusal is a sentence. */
int resize_look(struct resizing *resizing, struct error *error);
/* Does it; may be repeated after a power cut. */
int resize_carry_out(struct resizing *resizing, struct error *error);
/*
 * Whether an earlier resize to the device @fd had come so far that the old spare is older than
 * main says, and not further.  *@super: the superblock that the new one lacks.
 */
bool resize_is_half_done(int main_fd, int fd, const uint8_t uuid[REMAP_UUID_BYTES],
			 struct remap_super *super);
/* Then: all but that is there; it is looked at, and counts. */
int resize_complete(struct resizing *resizing, const struct remap_super *super,
		    struct error *error);
/*
 * The end of it, when the new spare counts: @now is the set with that.  @old is made blank;
 * NULL: it is not here.
 */
int resize_finish(struct resizing *resizing, struct set_handle *now, const struct region *old,
		  struct error *error);
void resize_done(struct resizing *resizing);

#endif /* DM_REMAP_RESIZE_H */
