/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btrfs: sectors of one of its devices, through its chunks to logical addresses, and there to
 * inodes and paths.  By ioctls of the mounted file system; no tools are needed.
 */
#ifndef DM_REMAP_BTRFS_H
#define DM_REMAP_BTRFS_H

#include "files/hits.h"
#include "files/mounts.h"

/* Whether the btrfs mounted at @mount has a device @devno; @id: as it calls it. */
bool btrfs_has_device(const struct mount *mount, dev_t devno, uint64_t *id);
/* What is known goes from @runs to @hits. */
int btrfs_sort(const struct mount *mount, uint64_t id, const char *device, struct runs *runs,
	       struct hits *hits);

#endif /* DM_REMAP_BTRFS_H */
