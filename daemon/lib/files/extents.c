// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "files/extents.h"

#define SECTOR_BYTES 512
#define EXTENTS_AT_ONCE 128
/* Such an extent has no place on the device, or one that does not count in its sectors. */
#define FLAGS_WITHOUT_PLACE \
	(FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_DATA_INLINE)

/* Of xfs, whose headers need not be here. */
struct xfs_getbmapx {
	int64_t offset, block, length;
	int32_t count, entries, iflags, oflags, unused1, unused2;
};
#define XFS_GETBMAPX _IOWR('X', 56, struct xfs_getbmapx)
#define XFS_REALTIME 0x1 /* of fsx_xflags: its content is on another device */
#define XFS_HOLE (-1)
#define XFS_DELAYED (-2)

static int call(const struct fiemap_extent *found, extent_f f, void *userdata)
{
	struct extent extent = {
		.offset = found->fe_logical,
		.sector = found->fe_physical / SECTOR_BYTES,
		.nr_sectors = (found->fe_length + SECTOR_BYTES - 1) / SECTOR_BYTES,
		.is_shared = found->fe_flags & FIEMAP_EXTENT_SHARED,
	};

	return found->fe_flags & FLAGS_WITHOUT_PLACE ? 0 : f(userdata, &extent);
}

static int by_fiemap(int fd, extent_f f, void *userdata)
{
	uint64_t room[(sizeof(struct fiemap) + EXTENTS_AT_ONCE * sizeof(struct fiemap_extent) + 7) /
		      8];
	struct fiemap *map = (struct fiemap *)room;
	const struct fiemap_extent *last = NULL;
	uint64_t next = 0;
	int r = 0;

	do {
		memset(map, 0, sizeof(*map));
		map->fm_start = next;
		map->fm_length = FIEMAP_MAX_OFFSET - next;
		map->fm_extent_count = EXTENTS_AT_ONCE;
		if (ioctl(fd, FS_IOC_FIEMAP, map) < 0)
			return errno == ENOTTY || errno == EINVAL ? -EOPNOTSUPP : -errno;
		for (uint32_t i = 0; !r && i < map->fm_mapped_extents; i++)
			r = call(&map->fm_extents[i], f, userdata);
		if (!map->fm_mapped_extents)
			break;
		last = &map->fm_extents[map->fm_mapped_extents - 1];
		if (last->fe_logical + last->fe_length <= next)
			break; /* it does not get on */
		next = last->fe_logical + last->fe_length;
	} while (!r && !(last->fe_flags & FIEMAP_EXTENT_LAST));
	return r;
}

/* A block after the other: of a cluster's, those that follow it lie behind it. */
static int by_fibmap(int fd, extent_f f, void *userdata)
{
	struct extent extent = { 0 };
	struct statvfs fs;
	struct stat st;
	int block_bytes, r = 0;
	uint64_t step;

	if (fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0 || ioctl(fd, FIGETBSZ, &block_bytes) < 0)
		return -errno;
	if (block_bytes < SECTOR_BYTES)
		return -EOPNOTSUPP;
	step = fs.f_bsize > (unsigned long)block_bytes ? fs.f_bsize : (uint64_t)block_bytes;
	for (uint64_t at = 0; !r && at < (uint64_t)st.st_size; at += step) {
		uint64_t sector;
		int block = (int)(at / (uint64_t)block_bytes);

		if (at / (uint64_t)block_bytes > INT32_MAX)
			break;
		if (ioctl(fd, FIBMAP, &block) < 0)
			return errno == ENOTTY || errno == EINVAL ? -EOPNOTSUPP : -errno;
		sector = (uint64_t)(uint32_t)block * ((uint64_t)block_bytes / SECTOR_BYTES);
		if (block && extent.nr_sectors && extent.sector + extent.nr_sectors == sector) {
			extent.nr_sectors += step / SECTOR_BYTES;
			continue;
		}
		if (extent.nr_sectors)
			r = f(userdata, &extent);
		extent = (struct extent){ at, sector, block ? step / SECTOR_BYTES : 0, false };
	}
	return !r && extent.nr_sectors ? f(userdata, &extent) : r;
}

static bool is_realtime(int fd)
{
	struct fsxattr attributes;

	return ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0 &&
	       attributes.fsx_xflags & XFS_REALTIME;
}

int extents_of_file(int fd, extent_f f, void *userdata)
{
	int r;

	if (is_realtime(fd))
		return 0;
	r = by_fiemap(fd, f, userdata);
	return r == -EOPNOTSUPP ? by_fibmap(fd, f, userdata) : r;
}

static int by_getbmapx(int fd, extent_f f, void *userdata)
{
	struct xfs_getbmapx map[EXTENTS_AT_ONCE + 1] = { { .length = -1,
							   .count = EXTENTS_AT_ONCE + 1 } };
	int r = 0;

	do {
		if (ioctl(fd, XFS_GETBMAPX, map) < 0)
			return errno == ENOTTY ? -EOPNOTSUPP : -errno;
		for (int32_t i = 1; !r && i <= map[0].entries; i++) {
			struct extent extent = { (uint64_t)map[i].offset * SECTOR_BYTES,
						 (uint64_t)map[i].block, (uint64_t)map[i].length,
						 false };

			if (map[i].block != XFS_HOLE && map[i].block != XFS_DELAYED)
				r = f(userdata, &extent);
		}
	} while (!r && map[0].entries == EXTENTS_AT_ONCE);
	return r;
}

int extents_of_directory(int fd, extent_f f, void *userdata)
{
	int r = by_fiemap(fd, f, userdata);

	return r == -EOPNOTSUPP ? by_getbmapx(fd, f, userdata) : r;
}
