/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets that were deactivated by request, and are activated by request only: a note for each in
 * /run/dm-remap, of the disks that were in it.  udev's one-shot may come late, and the
 * daemon starts anew; as long as the same disks are plugged in, both leave the set alone.
 * Every disk has another sequence number each time it comes (diskseq in sysfs).
 * Callers: activate.c, under its lock; the daemon asks whether there is a note.
 */
#ifndef DM_REMAP_DEACTIVATED_H
#define DM_REMAP_DEACTIVATED_H

#include "util/util.h"

/*
 * Before the mapped device @devno of the set is removed; it is removed even if this fails, and
 * the user hears of it: deactivated_cannot().
 */
int deactivated_note(const char *uuid, dev_t devno);
/* The same of a set that is not active, by its members. */
int deactivated_note_members(const char *uuid, dev_t main, dev_t spare);
/* What it means for set @name that a note failed with @r; returns @r. */
int deactivated_cannot(const char *name, int r, struct error *error);
/* It was not removed, or it is activated by request. */
void deactivated_forget(const char *uuid);
bool deactivated_noted(const char *uuid);
/* Whether the set was deactivated with these two, and both were present ever since. */
bool deactivated_holds(const char *uuid, dev_t main, dev_t spare);

#endif /* DM_REMAP_DEACTIVATED_H */
