/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Activation and deactivation: idempotent, under one lock (/run/dm-remap/lock, O13).
 * Callers: `dmremap activate` (also --auto, from udev), create, release.
 */
#ifndef DM_REMAP_ACTIVATE_H
#define DM_REMAP_ACTIVATE_H

#include <time.h>

#include "assemble.h"
#include "dm.h"

/**
 * struct activate_options - how
 * @name: name of the mapped device instead of the set's own; NULL: the set's
 * @automatic: not asked for by name: only a set of this host (O7), and none that was
 *             deactivated by hand
 * @read_only: read-only
 * @foreign: also a set of another host
 * @any_hardware: also with a member that is not the recorded hardware (O12)
 * @force_rw: read-write although one replica of the metadata cannot be repaired (C5)
 * @fallback: with linear and error segments, without the module (O9)
 * @note: may be NULL; a sentence about what was done besides, or empty: main's write cache
 */
struct activate_options {
	const char *name;
	bool automatic;
	bool read_only;
	bool foreign;
	bool any_hardware;
	bool force_rw;
	bool fallback;
	struct error *note;
};

/**
 * struct machine - what there is on this machine
 * @members: of all sets
 * @nr_members: how many
 * @silent: devices that may be members and do not answer, see scan.h
 * @nr_silent: how many
 * @devices: remap devices
 * @nr_devices: how many
 * @sets: what they make
 * @nr_sets: how many
 * @waiting_noted: when the note below was last left, as of the begin of the look; zero:
 *                 there was none
 */
struct machine {
	struct member *members;
	size_t nr_members;
	struct member *silent;
	size_t nr_silent;
	struct dm_device *devices;
	size_t nr_devices;
	struct assembly *sets;
	size_t nr_sets;
	struct timespec waiting_noted;
};

/*
 * Looks at all there is, without waiting for a disk longer than seconds.  @what: what the user
 * named, so that a device is looked at whatever udev says of it; NULL: nothing.  @thorough: as
 * in struct scan_request.  Not under the lock.
 */
int machine_look(struct machine *machine, const char *what, bool thorough, struct error *error);
void machine_done(struct machine *machine);
#define _cleanup_machine_ _cleanup_(machine_done)
/*
 * The set that @what means: a UUID, the name or label of a set, the path of a member.
 * -ENODEV: none.
 */
int machine_find(const struct machine *machine, const char *what, const struct assembly **set,
		 struct error *error);

/* One at a time on this machine; *@fd is closed by the caller and holds it. */
int activation_lock(int *fd, struct error *error);
/*
 * Looks for the set that @what means, takes the lock, and looks again at what may have changed:
 * nothing but the set's own members is looked at under the lock.
 */
int machine_lock_set(const char *what, struct machine *machine, const struct assembly **set,
		     int *lock, struct error *error);

/*
 * Leaves a note for udev when a set waits for a main without guard, which no rule can
 * recognise: then every device that comes is looked at.  Under the lock; one that was left
 * since @machine was looked at stays: its look may have seen more.
 */
void machine_note_waiting(const struct machine *machine);

/*
 * Activates the set that @what means, under the lock.  Already active: 0, and partitions
 * that are missing are made.  A member that had vanished is put in again (O18).  -EAGAIN: a
 * member is missing.  An interrupted create is undone, an interrupted release completed:
 * -ECANCELED with the sentence.
 * On return *@set (may be NULL) tells what was decided.
 */
int activate(const char *what, const struct activate_options *options, struct assembly *set,
	     struct error *error);
/*
 * Removes the partitions, then the device.  -EBUSY: it is open; then the
 * partitions that were removed are there again.
 */
int deactivate(const char *name, struct error *error);
/* The same for a caller that holds the lock. */
int deactivate_locked(const char *name, struct error *error);

#endif /* DM_REMAP_ACTIVATE_H */
