/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main of a set without guard shows its own content: a rule for udev takes its links by
 * content away and says that it is not to be used, so that the mapped device alone is found by
 * them (O5).  The rule lies in /etc, for it must be there before the spare is.
 */
#ifndef DM_REMAP_MASK_H
#define DM_REMAP_MASK_H

#include <sys/types.h>

#include "util.h"

/* Writes the rule of the set @uuid, or writes it anew for another main. */
int mask_write(const uint8_t uuid[16], dev_t main, struct error *error);
/* The set has ended; there may be none.  A rule that stays hides a disk that is nobody's main. */
int mask_remove(const uint8_t uuid[16], struct error *error);

#endif /* DM_REMAP_MASK_H */
