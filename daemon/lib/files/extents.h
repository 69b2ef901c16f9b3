/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the content of an open file lies on its device, by what the file system offers. */
#ifndef DM_REMAP_EXTENTS_H
#define DM_REMAP_EXTENTS_H

#include "util/util.h"

/**
 * struct extent - consecutive bytes of a file
 * @offset: in the file, bytes
 * @sector: on the device
 * @nr_sectors: length
 * @is_shared: with other files
 */
struct extent {
	uint64_t offset;
	uint64_t sector;
	uint64_t nr_sectors;
	bool is_shared;
};

typedef int (*extent_f)(void *userdata, const struct extent *extent);

/* FIEMAP, or FIBMAP where there is none.  -EOPNOTSUPP: neither. */
int extents_of_file(int fd, extent_f f, void *userdata);
/* Of a directory: FIEMAP, or what xfs has instead. */
int extents_of_directory(int fd, extent_f f, void *userdata);

#endif /* DM_REMAP_EXTENTS_H */
