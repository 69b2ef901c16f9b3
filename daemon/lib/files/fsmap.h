/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a mounted file system itself says of its blocks (FS_IOC_GETFSMAP: ext4, xfs).  No tools are
 * needed, and nothing is read but what the file system has in memory, or needs for that.
 */
#ifndef DM_REMAP_FSMAP_H
#define DM_REMAP_FSMAP_H

#include "files/walk.h"

/**
 * struct owners - sectors whose inodes are known
 * @at: them
 * @nr: how many
 * @room: for so many
 */
struct owners {
	struct owner *at;
	size_t nr;
	size_t room;
};

void owners_done(struct owners *owners);

/*
 * @fd: a directory of the file system on @devno.  What is free or metadata goes from @runs to
 * @hits, that whose inode is known to @owners; what is left in @runs is in use, by what is not
 * known.  -EOPNOTSUPP: the file system says nothing, and nothing was changed.
 */
int fsmap_sort(int fd, dev_t devno, const char *device, struct runs *runs, struct hits *hits,
	       struct owners *owners);

#endif /* DM_REMAP_FSMAP_H */
