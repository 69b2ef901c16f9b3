/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What there is on this machine: members, mapped devices and the sets that they make; and a set
 * taken by its locks (lock.h).
 */
#ifndef DM_REMAP_INVENTORY_H
#define DM_REMAP_INVENTORY_H

#include <time.h>

#include "set/assemble.h"
#include "system/dm.h"

/**
 * struct inventory - what there is on this machine
 * @members: of all sets
 * @nr_members: how many
 * @silent: devices that may be members and do not answer, see scan.h
 * @nr_silent: how many
 * @strangers: other devices that do not answer, see scan.h
 * @nr_strangers: how many
 * @devices: remap devices
 * @nr_devices: how many
 * @sets: what they make
 * @nr_sets: how many
 * @looked: when the look began, by the clock of files
 * @is_whole: the look came to its end, and the one under the lock, if there was one; and it was
 *            for all sets
 * @is_of_one: only the set @uuid was looked for
 * @uuid: of that set
 */
struct inventory {
	struct member *members;
	size_t nr_members;
	struct member *silent;
	size_t nr_silent;
	struct member *strangers;
	size_t nr_strangers;
	struct dm_device *devices;
	size_t nr_devices;
	struct assembly *sets;
	size_t nr_sets;
	struct timespec looked;
	bool is_whole;
	bool is_of_one;
	uint8_t uuid[16];
};

/*
 * Looks at all there is, without waiting for a disk longer than seconds.  @what: what the user
 * named, so that a device is looked at whatever udev says of it; NULL: nothing.  @thorough: as
 * in struct scan_request.  Not under the lock.
 */
int inventory_look(struct inventory *inventory, const char *what, bool thorough,
		   struct error *error);
/*
 * The same, not thoroughly, for the one set that @what means: where udev knows which disks are
 * members of other sets, these are not asked.  @what: its UUID, or the path of a member.
 */
int inventory_look_for(struct inventory *inventory, const char *what, struct error *error);
void inventory_done(struct inventory *inventory);
#define _cleanup_inventory_ _cleanup_(inventory_done)
/*
 * The set that @what means: a UUID, the name or label of a set, the path of a member.
 * -ENODEV: none; -ETIMEDOUT: it is a disk, or has one, that does not answer.
 */
int inventory_find(const struct inventory *inventory, const char *what, const struct assembly **set,
		   struct error *error);

/*
 * Before a member is given up for gone: -EAGAIN with its path while a device does not answer that
 * may be the member in @role of set @uuid.  @recorded: what the other member says of its hardware;
 * @any_hardware: a main without guard: none is ruled out by its hardware.
 */
int inventory_check_silent(const struct inventory *inventory, const uint8_t uuid[16],
			   enum member_role role, const char *recorded, bool any_hardware,
			   struct error *error);

/* -EAGAIN, with what to type if the member that is missing does not come back. */
int inventory_refuse_missing(const struct inventory *inventory, const struct assembly *set,
			     struct error *error);

/*
 * Looks for the set that @what means, takes the locks of it and its members (*@lock), and looks
 * again at what may have changed: nothing but the set's own members is looked at under the lock.
 * @thorough: as in struct scan_request; else no other set is looked for.
 */
int inventory_look_and_lock(const char *what, bool thorough, struct inventory *inventory,
			    const struct assembly **set, int *lock, struct error *error);
/* Once more, of set @uuid, whose locks are held. */
int inventory_look_again(struct inventory *inventory, const uint8_t uuid[16],
			 const struct assembly **set, struct error *error);
/* The same as inventory_look_and_lock(), thoroughly. */
int inventory_lock_set(const char *what, struct inventory *inventory, const struct assembly **set,
		       int *lock, struct error *error);

/* The locks of a set whose members are known; a number of 0: none. */
int inventory_lock_members(const uint8_t uuid[16], dev_t main, dev_t spare, int *lock,
			   struct error *error);
/* Device number of what a table line names; 0: that device is gone. */
dev_t number_in_table(const char *text);

/*
 * Leaves a note for udev of each set that waits for a main without guard, which no rule can
 * recognise: then every device that comes is looked at.  One that was left since @inventory was
 * looked at stays: its look may have seen more.
 */
void inventory_note_waiting(const struct inventory *inventory);

#endif /* DM_REMAP_INVENTORY_H */
