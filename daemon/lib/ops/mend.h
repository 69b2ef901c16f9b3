/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What activation does with a set whose create or release was cut short. */
#ifndef DM_REMAP_MEND_H
#define DM_REMAP_MEND_H

#include "set/handle.h"
#include "set/inventory.h"

/*
 * Undoes or completes what was interrupted; -ECANCELED with a sentence when that is done and there
 * is no set any more, 1: the set was completed, and counts.  @any_hardware: main is taken for the
 * set's although its hardware is not what was recorded.
 */
int mend_set(const struct inventory *inventory, const struct assembly *set, bool any_hardware,
	     struct error *error);
/*
 * The same of a create, with both open: 0: it was undone, the spare is blank; 1: completed, where
 * undoing it would leave zeros in place of sectors that could not be read.  -ENODEV: main is not
 * the disk that was to be hidden.
 */
int mend_create(struct set_handle *handle, struct error *error);

#endif /* DM_REMAP_MEND_H */
