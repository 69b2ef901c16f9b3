/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backup that is made again and again: the last three are kept, and one of each of the last two
 * weeks.  Callers: `dmremap backup --renew` and status.
 */
#ifndef DM_REMAP_BACKUP_RENEW_H
#define DM_REMAP_BACKUP_RENEW_H

#include "format/backup.h"

/*
 * Writes @backup to @path, which has the one before it, unless that is the same.
 * *@is_current: it had all remaps.  If anything is remapped otherwise, what was there becomes
 * PATH.1, that PATH.2, and that PATH.week when the one there is a week older, which becomes
 * PATH.week2.  Refused, and all left as it is, where the new one lacks what the old one has: hidden
 * chunks that cannot be read, or main's header.
 * A crash leaves the old or the new one at @path; the old one may be PATH.1 as well, until a
 * renewal succeeds.
 */
int backup_renew(const struct backup *backup, const char *path, bool *is_current,
		 struct error *error);
/* The same file in another directory, whole or not at all. */
int backup_copy(const char *path, const char *directory, struct error *error);

#endif /* DM_REMAP_BACKUP_RENEW_H */
