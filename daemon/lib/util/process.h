/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which process it is that has something, for sentences that name it.  Callers: lock.c, handle.c. */
#ifndef DM_REMAP_PROCESS_H
#define DM_REMAP_PROCESS_H

#include "util/util.h"

/* Whether process @pid, a number as text, is the one. */
typedef bool (*process_f)(const char *pid, const void *userdata);

/* The first for which @f is true, as "process 123 (dmremap release data)"; false: there is none. */
bool process_find(process_f f, const void *userdata, char *text, size_t nr_bytes);

#endif /* DM_REMAP_PROCESS_H */
