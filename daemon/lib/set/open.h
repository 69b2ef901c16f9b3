/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a verb takes a set that is not active: found, locked, looked at again, and opened.
 *
 * Callers: verbs that change a set, not those that end or make one.
 */
#ifndef DM_REMAP_OPEN_H
#define DM_REMAP_OPEN_H

#include "set/handle.h"
#include "set/inventory.h"

/**
 * struct open_set - an inactive set that is locked
 * @inventory: what there is
 * @set: the set
 * @lock: of the set and its members
 * @handle: both members open, exclusively
 */
struct open_set {
	struct inventory inventory;
	const struct assembly *set;
	int lock;
	struct set_handle handle;
};

#define OPEN_SET_NONE                                 \
	{                                             \
		.lock = -1, .handle = SET_HANDLE_NONE \
	}

/*
 * Locks the set that @what means.  -EBUSY: it is active, or its create or release was cut short;
 * members may be missing, and it may be another host's.
 */
int set_lock_inactive(const char *what, struct open_set *open, struct error *error);
/*
 * The same, and both members are opened: -EAGAIN: one is missing, -EEXIST: which one it is cannot be
 * told.  @any: also of another host, or with other hardware than recorded; else -EPERM.
 */
int set_open_locked(const char *what, bool any, struct open_set *open, struct error *error);
/* The members are held: nothing can be done with them meanwhile, and others need not wait. */
void set_unlock(struct open_set *open);
void set_close(struct open_set *open);
/* Why a member is missing: a disk that does not answer may be it, and is named. */
int set_refuse_missing(const struct open_set *open, struct error *error);

#endif /* DM_REMAP_OPEN_H */
