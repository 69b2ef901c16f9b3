/* SPDX-License-Identifier: GPL-2.0-or-later */
/* That a scrub is at work: a lock on a file in memory, which waits for no disk. */
#ifndef DM_REMAP_SCRUB_LOCK_H
#define DM_REMAP_SCRUB_LOCK_H

#include "util/util.h"

/*
 * A scrub of @key (as of its history) is at work as long as its process holds this.  -EBUSY:
 * another one is.
 */
int scrub_lock(const char *key, int *fd, struct error *error);
/* The process; 0: none. */
pid_t scrub_find_process(const char *key);

#endif /* DM_REMAP_SCRUB_LOCK_H */
