/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a set, and of a create that was cut short (FORMAT.md section 7). */
#ifndef DM_REMAP_RELEASE_H
#define DM_REMAP_RELEASE_H

#include "set/handle.h"

enum undo_of {
	UNDO_FOUND,	/* of a create that was cut short: main may be another disk */
	UNDO_OWN,	/* by the process that was creating it, and had not begun to hide main */
	UNDO_OWN_BEGUN, /* or had */
};

/*
 * Undoes an interrupted create: main as it was, the spare wiped.  -ENODEV: main is not the disk
 * that was to be hidden, and nothing was changed.  Sectors of the first chunk that could not be
 * read, and were written to, cannot be made so again: handle->zeroed.
 */
int release_undo_create(struct set_handle *handle, enum undo_of of, struct error *error);
/* What release_run() would refuse and that can be known by reading the spare: no change. */
int release_check(struct set_handle *handle, struct error *error);
/*
 * Ends a set: main gets back what the spare serves, is read again, then the spare is wiped.
 * -EBUSY with the first sector that main does not take, or that is lost: that is found
 * before anything that counts is changed, and the set is as it was.  If main fails between
 * the trial and the end, the release is taken back; the sentence says if that failed, too.
 */
int release_run(struct set_handle *handle, struct error *error);
/*
 * Whether a set can end with its lost sectors.  One that main cannot read either stays the error
 * that it is; another must be in handle.give_up, for main would return something older, or what
 * the set itself has put there: -EBUSY with all of them.  -EINVAL: one of give_up is not lost.
 */
int release_check_lost(struct set_handle *handle, struct error *error);

#endif /* DM_REMAP_RELEASE_H */
