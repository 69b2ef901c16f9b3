// SPDX-License-Identifier: GPL-2.0-or-later
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>

#include "files/btrfs.h"
#include "set/scan.h"

#define SECTOR_BYTES 512
#define BLOCK_BYTES 4096
#define BLOCK_SECTORS (BLOCK_BYTES / SECTOR_BYTES)
#define FIRST_INODE 256
#define REFERENCES_BYTES 65536
/* Blocks that are asked for; of more it takes long. */
#define BLOCKS_MAX 100000
/* Numbers of devices that are tried: the largest one is as the disks say. */
#define DEVICE_IDS_MAX 65536
/* As the kernel has them; its headers for programs do not. */
#define SUPER_OFFSET 65536ULL
#define RESERVED_BYTES (1ULL << 20)
#define STRIPED                                                                         \
	(BTRFS_BLOCK_GROUP_RAID0 | BTRFS_BLOCK_GROUP_RAID10 | BTRFS_BLOCK_GROUP_RAID5 | \
	 BTRFS_BLOCK_GROUP_RAID6)

/**
 * struct area - a part of the device that belongs to a chunk
 * @start: on the device, bytes
 * @length: bytes
 * @logical: address of its first byte
 * @type: BTRFS_BLOCK_GROUP_*
 */
struct area {
	uint64_t start;
	uint64_t length;
	uint64_t logical;
	uint64_t type;
};

/**
 * struct volume - a mounted btrfs
 * @fd: of its mount
 * @mount: the same
 * @subvolume: that is mounted there
 * @device: of struct hit
 * @hits: what is found
 * @left: what is not known
 * @area: by @start
 * @nr_areas: how many
 * @nr_blocks: that were asked for
 * @references: room for an answer
 */
struct volume {
	int fd;
	const struct mount *mount;
	uint64_t subvolume;
	const char *device;
	struct hits *hits;
	struct runs left;
	struct area *area;
	size_t nr_areas;
	unsigned int nr_blocks;
	struct btrfs_data_container *references;
};

bool btrfs_has_device(const struct mount *mount, dev_t devno, uint64_t *id)
{
	_cleanup_close_ int fd = open(mount->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct btrfs_ioctl_fs_info_args info = { 0 };

	if (fd < 0 || ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
		return false;
	for (uint64_t i = 0; i <= info.max_id && i < DEVICE_IDS_MAX; i++) {
		struct btrfs_ioctl_dev_info_args device = { .devid = i };

		if (ioctl(fd, BTRFS_IOC_DEV_INFO, &device) < 0 ||
		    device_number((const char *)device.path) != devno)
			continue;
		*id = i;
		return true;
	}
	return false;
}

/* Of the chunk at @logical. */
static int find_type(int fd, uint64_t logical, uint64_t *type)
{
	struct btrfs_ioctl_search_args search = {
		.key = { .tree_id = BTRFS_CHUNK_TREE_OBJECTID,
			 .min_objectid = BTRFS_FIRST_CHUNK_TREE_OBJECTID,
			 .max_objectid = BTRFS_FIRST_CHUNK_TREE_OBJECTID,
			 .min_type = BTRFS_CHUNK_ITEM_KEY,
			 .max_type = BTRFS_CHUNK_ITEM_KEY,
			 .min_offset = logical,
			 .max_offset = logical,
			 .max_transid = UINT64_MAX,
			 .nr_items = 1 }
	};
	struct btrfs_chunk chunk;

	if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, &search) < 0)
		return -errno;
	if (search.key.nr_items != 1)
		return -ENOENT;
	memcpy(&chunk, search.buf + sizeof(struct btrfs_ioctl_search_header), sizeof(chunk));
	*type = le64toh(chunk.type);
	return 0;
}

static int add_area(struct volume *volume, const struct btrfs_ioctl_search_header *header,
		    const char *item)
{
	struct area *bigger = reallocarray(volume->area, volume->nr_areas + 1, sizeof(struct area));
	struct btrfs_dev_extent extent;
	struct area *area;

	if (!bigger)
		return -ENOMEM;
	volume->area = bigger;
	memcpy(&extent, item, sizeof(extent));
	area = &bigger[volume->nr_areas];
	*area = (struct area){ .start = header->offset,
			       .length = le64toh(extent.length),
			       .logical = le64toh(extent.chunk_offset) };
	volume->nr_areas++;
	return find_type(volume->fd, area->logical, &area->type);
}

static int read_areas(struct volume *volume, uint64_t id)
{
	struct btrfs_ioctl_search_args search = { .key = { .tree_id = BTRFS_DEV_TREE_OBJECTID,
							   .min_objectid = id,
							   .max_objectid = id,
							   .min_type = BTRFS_DEV_EXTENT_KEY,
							   .max_type = BTRFS_DEV_EXTENT_KEY,
							   .max_offset = UINT64_MAX,
							   .max_transid = UINT64_MAX } };
	int r = 0;

	do {
		const char *at = search.buf;

		search.key.nr_items = 64;
		if (ioctl(volume->fd, BTRFS_IOC_TREE_SEARCH, &search) < 0)
			return -errno;
		for (uint32_t i = 0; !r && i < search.key.nr_items; i++) {
			struct btrfs_ioctl_search_header header;

			memcpy(&header, at, sizeof(header));
			at += sizeof(header);
			r = add_area(volume, &header, at);
			at += header.len;
			search.key.min_offset = header.offset + 1;
		}
	} while (!r && search.key.nr_items);
	return r;
}

static const struct area *find_area(const struct volume *volume, uint64_t at)
{
	for (size_t i = 0; i < volume->nr_areas; i++)
		if (at >= volume->area[i].start &&
		    at - volume->area[i].start < volume->area[i].length)
			return &volume->area[i];
	return NULL;
}

/* The path of an inode within its subvolume; the caller frees.  NULL: it has none. */
static char *find_path(const struct volume *volume, uint64_t inode, uint64_t subvolume)
{
	struct btrfs_ioctl_ino_lookup_args lookup = { .treeid = subvolume, .objectid = inode };
	const char *place = volume->mount->place;
	char *path = NULL;
	size_t length;

	if (ioctl(volume->fd, BTRFS_IOC_INO_LOOKUP, &lookup) < 0)
		return NULL;
	length = strnlen(lookup.name, sizeof(lookup.name));
	if (length && lookup.name[length - 1] == '/')
		length--;
	if (asprintf(&path, "%s/%.*s",
		     subvolume == volume->subvolume && !streq(place, "/") ? place : "", (int)length,
		     lookup.name) < 0)
		return NULL;
	return path;
}

static int add_reference(struct volume *volume, const struct run *part, const __u64 *value)
{
	struct hit hit = { .sector = part->of_set,
			   .nr_sectors = part->nr,
			   .inode = value[0],
			   .offset = value[1] };
	int r;

	hit.path = find_path(volume, value[0], value[2]);
	hit.kind = hit.path ? HIT_FILE : HIT_INODE;
	snprintf(hit.device, sizeof(hit.device), "%.31s", volume->device);
	if (value[2] != volume->subvolume) /* it may be mounted elsewhere, or not at all */
		snprintf(hit.what, sizeof(hit.what), "in subvolume %" PRIu64, (uint64_t)value[2]);
	r = hits_add(volume->hits, &hit);
	free(hit.path);
	return r;
}

/* Of a block of data: who uses it, or that it is free. */
static int sort_data(struct volume *volume, const struct run *part, uint64_t logical)
{
	struct btrfs_ioctl_logical_ino_args ask = { .logical = logical,
						    .size = REFERENCES_BYTES,
						    .inodes = (uintptr_t)volume->references };
	struct hit hit = { .sector = part->of_set, .nr_sectors = part->nr, .kind = HIT_FREE };
	int r = 0;

	if (volume->nr_blocks++ >= BLOCKS_MAX)
		return runs_add(&volume->left, part->at, part->nr, part->of_set);
	snprintf(hit.device, sizeof(hit.device), "%.31s", volume->device);
	if (ioctl(volume->fd, BTRFS_IOC_LOGICAL_INO, &ask) < 0) {
		if (errno == ENOENT)
			return hits_add(volume->hits, &hit);
		return runs_add(&volume->left, part->at, part->nr, part->of_set);
	}
	for (uint32_t i = 0; !r && i + 2 < volume->references->elem_cnt; i += 3)
		r = add_reference(volume, part, &volume->references->val[i]);
	return r;
}

/* The part of a run that lies in one block of 4 KiB. */
static int sort_part(struct volume *volume, const struct run *part)
{
	uint64_t at = part->at * SECTOR_BYTES, block = at / BLOCK_BYTES * BLOCK_BYTES;
	const struct area *area = find_area(volume, block);
	struct hit hit = { .sector = part->of_set, .nr_sectors = part->nr, .kind = HIT_FREE };

	snprintf(hit.device, sizeof(hit.device), "%.31s", volume->device);
	if (area && area->type & STRIPED)
		return runs_add(&volume->left, part->at, part->nr, part->of_set);
	if (area && area->type & BTRFS_BLOCK_GROUP_DATA)
		return sort_data(volume, part, area->logical + (block - area->start));
	if (area || block == SUPER_OFFSET || block == 64ULL << 20 || block == 256ULL << 30) {
		hit.kind = HIT_METADATA;
		snprintf(hit.what, sizeof(hit.what), "%s",
			 area ? "trees, or free among them" : "superblock");
	} else if (block < RESERVED_BYTES) {
		hit.kind = HIT_METADATA;
		snprintf(hit.what, sizeof(hit.what), "reserved for a boot loader");
	}
	return hits_add(volume->hits, &hit);
}

static int sort_runs(struct volume *volume, const struct runs *runs)
{
	int r = 0;

	for (size_t i = 0; !r && i < runs->nr; i++) {
		const struct run *run = &runs->at[i];
		uint64_t end = run->at + run->nr;

		for (uint64_t at = run->at; !r && at < end;) {
			uint64_t behind = (at / BLOCK_SECTORS + 1) * BLOCK_SECTORS;
			struct run part = { at, (behind < end ? behind : end) - at,
					    run->of_set + (at - run->at) };

			r = sort_part(volume, &part);
			at += part.nr;
		}
	}
	return r;
}

int btrfs_sort(const struct mount *mount, uint64_t id, const char *device, struct runs *runs,
	       struct hits *hits)
{
	_cleanup_close_ int fd = open(mount->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct btrfs_ioctl_ino_lookup_args own = { .objectid = FIRST_INODE };
	struct volume volume = { .fd = fd, .mount = mount, .device = device, .hits = hits };
	int r;

	if (fd < 0 || ioctl(fd, BTRFS_IOC_INO_LOOKUP, &own) < 0)
		return -errno;
	volume.subvolume = own.treeid;
	volume.references = malloc(REFERENCES_BYTES);
	r = volume.references ? read_areas(&volume, id) : -ENOMEM;
	if (!r)
		r = sort_runs(&volume, runs);
	free(volume.references);
	free(volume.area);
	if (r < 0) {
		runs_done(&volume.left);
		return r;
	}
	free(runs->at);
	*runs = volume.left;
	return 0;
}
