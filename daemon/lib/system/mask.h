/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main of a set without guard shows its own content: a rule for udev takes its links by
 * content away and says that it is not to be used, so that the mapped device alone is found by
 * them (O5).  The rule lies in /etc, for it must be there before the spare is: it is durable
 * before the set counts, and gone before the set has ended.  udev is notified of each change of a
 * rule; that it looks at the device again is up to the caller.
 *
 * Callers: create.c, release.c, activate.c and the verbs, under the lock of the set.
 */
#ifndef DM_REMAP_MASK_H
#define DM_REMAP_MASK_H

#include <sys/types.h>
#include <time.h>

#include "util/util.h"

/* Whether a rule for @main could be written; says why not. */
int mask_check(dev_t main, struct error *error);
/*
 * Writes the rule of the set @uuid, or writes it anew for another main, durably.  @complete:
 * the set counts already; else mask_clean() may remove the rule until it is written again.
 */
int mask_write(const uint8_t uuid[16], dev_t main, bool complete, struct error *error);
/* 1: there was none, or not this one, and there is now. */
int mask_mend(const uint8_t uuid[16], dev_t main);
/* Whether mask_remove() would fail. */
int mask_check_removable(const uint8_t uuid[16], struct error *error);
/* The set ends; there may be no rule.  One that stays would hide a disk that is no main. */
int mask_remove(const uint8_t uuid[16], struct error *error);
/*
 * Removes the rules of sets that were being made when create was killed, but not those of
 * @kept: of sets that are present, nor those of a set that is locked, nor what is younger than
 * @looked, when these were looked for.  A set that is not here, because its spare is unplugged,
 * gets its rule back when it is activated.  Returns whether there was one.
 */
bool mask_clean(const uint8_t (*kept)[16], size_t nr_kept, const struct timespec *looked);
/* Whether there is a rule of a set that is being made, or was when create was killed. */
bool mask_is_unfinished(void);

#endif /* DM_REMAP_MASK_H */
