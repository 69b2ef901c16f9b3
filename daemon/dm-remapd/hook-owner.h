/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Only root may say what root runs: who owns the way to a hook. */
#ifndef DM_REMAP_HOOK_OWNER_H
#define DM_REMAP_HOOK_OWNER_H

#include <limits.h>
#include <sys/stat.h>

#include "util/util.h"

/*
 * Follows @path, which is absolute, to @real, and says in @st what is there.  Each directory and
 * each link on the way, and what is there, must be root's, and others must not write to them; a
 * directory on the way may have the sticky bit, for in it nobody can replace what is root's.
 *
 * Return: 0; -EPERM and in @why what to do; or another negative errno and its text.
 */
int hook_owner_check(const char *path, char real[PATH_MAX], struct stat *st, char *why,
		     size_t nr_bytes);

#endif /* DM_REMAP_HOOK_OWNER_H */
