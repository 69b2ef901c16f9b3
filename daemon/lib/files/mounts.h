/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where file systems are mounted, by the text of /proc/self/mountinfo.  Pure. */
#ifndef DM_REMAP_MOUNTS_H
#define DM_REMAP_MOUNTS_H

#include "util/util.h"

#define MOUNT_PATH_BYTES 4096

/**
 * struct mount - a mounted file system
 * @devno: as its files say it is theirs
 * @type: "ext4"
 * @root: what of it is mounted, "/": all
 * @place: where
 */
struct mount {
	dev_t devno;
	char type[32];
	char root[MOUNT_PATH_BYTES];
	char place[MOUNT_PATH_BYTES];
};

/* The next mount of a text from *@at on; false: there is none. */
bool mounts_next(const char **at, struct mount *mount);
/* Of @devno, the one that shows most of it; -ENOENT: there is none. */
int mounts_find(const char *text, dev_t devno, struct mount *mount);

#endif /* DM_REMAP_MOUNTS_H */
