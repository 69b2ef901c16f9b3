/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What activation does with a set whose create or release was cut short. */
#ifndef DM_REMAP_MEND_H
#define DM_REMAP_MEND_H

#include "set/inventory.h"

/*
 * Undoes or completes what was interrupted; -ECANCELED with a sentence when that is done and there
 * is no set any more, 1: the set was completed, and counts.
 */
int mend_set(const struct inventory *inventory, const struct assembly *set, struct error *error);

#endif /* DM_REMAP_MEND_H */
