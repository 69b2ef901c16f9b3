/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Activation and deactivation: idempotent, under the locks of the set (lock.h, O13).
 * Callers: `dmremap activate` (also --auto, from udev), create, release.
 */
#ifndef DM_REMAP_ACTIVATE_H
#define DM_REMAP_ACTIVATE_H

#include "set/inventory.h"

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

/*
 * Activates the set that @what means, under the lock.  Already active: 0, and partitions
 * that are missing are made.  A member that had vanished is put in again (O18).  -EAGAIN: a
 * member is missing; -ETIMEDOUT: it is perhaps a disk that does not answer, or another command
 * is busy with the set.  An interrupted create is undone, an interrupted release completed:
 * -ECANCELED with the sentence.  On return *@set (may be NULL) tells what was decided.
 */
int activate(const char *what, const struct activate_options *options, struct assembly *set,
	     struct error *error);
/* What an interrupted create of a set that there is not has left beside it. */
void activate_clean(const struct inventory *inventory);
/*
 * Removes the partitions, then the device.  -EBUSY: it is open; then the
 * partitions that were removed are there again.  @note: a sentence if it was done, and may be
 * activated automatically; else it is left as it is.
 */
int deactivate(const char *name, struct error *note, struct error *error);
/* The locks of the set of a mapped device.  -EBUSY: its name is another device's by now. */
int lock_mapped_device(const struct dm_device *device, int *lock, struct error *error);
/* The same as deactivate(), for a caller that holds the locks of the set. */
int deactivate_locked(const char *name, struct error *error);

#endif /* DM_REMAP_ACTIVATE_H */
