/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who owns blocks of ext2, ext3 and ext4, mounted or not, by debugfs of e2fsprogs. */
#ifndef DM_REMAP_DEBUGFS_H
#define DM_REMAP_DEBUGFS_H

#include "files/hits.h"

#define DEBUGFS_SECONDS 300
#define DEBUGFS_BLOCKS_MAX 8192

/*
 * What it knows of goes from @runs to @hits: inodes with a name or without, the file system's own
 * ones, free blocks, and of one that is not mounted metadata.  -ENOENT: debugfs is not installed; -ETIMEDOUT; -EIO: it failed.
 */
int debugfs_sort(const char *device, bool is_mounted, struct runs *runs, struct hits *hits);

/* Pure: of the lines of icheck and ncheck the next with a number and something behind it. */
bool debugfs_line(const char **at, uint64_t *number, const char **rest, size_t *nr_rest);

#endif /* DM_REMAP_DEBUGFS_H */
