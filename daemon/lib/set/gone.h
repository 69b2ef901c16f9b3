/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members that went from under an active set.  Whether is in sysfs; since when only the daemon
 * knows, which leaves a note below its runtime directory.
 */
#ifndef DM_REMAP_GONE_H
#define DM_REMAP_GONE_H

#include "util/util.h"

/* Whether there is a device of what a table line names ("8:17", or a path). */
bool member_is_here(const char *in_table);
/*
 * The daemon: notes that it went, now if it is not noted yet, or forgets that.  @key: of its set,
 * see key_of_device().
 */
void gone_note(const char *key, const char *role, bool is_gone);
/* Seconds since 1970; 0: not noted. */
uint64_t gone_since(const char *key, const char *role);

#endif /* DM_REMAP_GONE_H */
