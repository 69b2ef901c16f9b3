// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <linux/fsmap.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "files/fsmap.h"

#define SECTOR_BYTES 512
#define RECORDS_AT_ONCE 64
#define EXT4_MAGIC 0xef53

/* Owners as fs/ext4/fsmap.h and xfs_fs.h have them. */
static const struct name {
	uint64_t owner;
	const char *text;
} names[] = {
	{ FMR_OWN_METADATA, "metadata" },
	{ FMR_OWNER('X', 1), "superblock or headers" },
	{ FMR_OWNER('X', 2), "journal" },
	{ FMR_OWNER('X', 3), "headers of an allocation group" },
	{ FMR_OWNER('X', 4), "map of inodes" },
	{ FMR_OWNER('X', 5), "inodes" },
	{ FMR_OWNER('X', 6), "reference counts" },
	{ FMR_OWNER('X', 7), "blocks that are being copied" },
	{ FMR_OWNER('X', 8), "known as defective" },
	{ FMR_OWNER('f', 1), "group descriptors" },
	{ FMR_OWNER('f', 2), "reserved group descriptors" },
	{ FMR_OWNER('f', 3), "block bitmap" },
	{ FMR_OWNER('f', 4), "inode bitmap" },
};

void owners_done(struct owners *owners)
{
	free(owners->at);
	*owners = (struct owners){ NULL, 0, 0 };
}

static int add_owner(struct owners *owners, const struct owner *owner)
{
	if (owners->nr == owners->room) {
		size_t room = owners->room ? owners->room * 2 : 64;
		struct owner *bigger = reallocarray(owners->at, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		owners->at = bigger;
		owners->room = room;
	}
	owners->at[owners->nr++] = *owner;
	return 0;
}

/* As the kernel packs a device number for this ioctl. */
static uint32_t packed(dev_t devno)
{
	uint32_t minor_number = minor(devno);

	return (minor_number & 0xff) | major(devno) << 8 | (minor_number & ~0xffU) << 12;
}

static const char *name_of(uint64_t owner)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].owner == owner)
			return names[i].text;
	return "metadata";
}

/**
 * struct sorting - runs being sorted
 * @fd: of the file system
 * @devno: of its device
 * @device: of struct hit
 * @first: of the file system's sectors that may be asked for
 * @left: in use, and not known by whom
 * @hits: free, or metadata
 * @owners: inodes are known
 */
struct sorting {
	int fd;
	dev_t devno;
	const char *device;
	uint64_t first;
	struct runs left;
	struct hits *hits;
	struct owners *owners;
};

static int add_part(struct sorting *sorting, const struct fsmap *record, uint64_t at, uint64_t nr,
		    uint64_t of_set)
{
	struct hit hit = { .sector = of_set, .nr_sectors = nr, .kind = HIT_METADATA };
	struct owner owner = { .inode = record->fmr_owner, .sector = of_set, .nr_sectors = nr };

	if (!(record->fmr_flags & FMR_OF_SPECIAL_OWNER)) {
		owner.what = record->fmr_flags & FMR_OF_EXTENT_MAP ? "extent map" :
			     record->fmr_flags & FMR_OF_ATTR_FORK  ? "extended attributes" :
								     "";
		if (!*owner.what)
			owner.offset =
				record->fmr_offset + (at * SECTOR_BYTES - record->fmr_physical);
		return add_owner(sorting->owners, &owner);
	}
	if (record->fmr_owner == FMR_OWN_UNKNOWN)
		return runs_add(&sorting->left, at, nr, of_set);
	snprintf(hit.device, sizeof(hit.device), "%s", sorting->device);
	if (record->fmr_owner == FMR_OWN_FREE)
		hit.kind = HIT_FREE;
	else
		snprintf(hit.what, sizeof(hit.what), "%s", name_of(record->fmr_owner));
	return hits_add(sorting->hits, &hit);
}

/*
 * What @record says of @run from *@at on, which moves to what is still to be asked.  With shared
 * blocks several records say something of one place.
 */
static int take_record(struct sorting *sorting, const struct fsmap *record, const struct run *run,
		       uint64_t *at)
{
	uint64_t end = run->at + run->nr, first = record->fmr_physical / SECTOR_BYTES;
	uint64_t behind = first + record->fmr_length / SECTOR_BYTES;
	uint64_t from = first > run->at ? first : run->at, until = behind < end ? behind : end;
	int r = 0;

	if (from > *at) /* nothing is said of what lies before it */
		r = runs_add(&sorting->left, *at, from - *at, run->of_set + (*at - run->at));
	if (!r && until > from)
		r = add_part(sorting, record, from, until - from, run->of_set + (from - run->at));
	if (until > *at)
		*at = until;
	return r;
}

static void set_key(const struct sorting *sorting, struct fsmap *key, uint64_t physical)
{
	memset(key, 0, sizeof(*key));
	key->fmr_device = packed(sorting->devno);
	key->fmr_physical = physical;
}

static int sort_run(struct sorting *sorting, const struct run *run)
{
	uint64_t room[(sizeof(struct fsmap_head) + RECORDS_AT_ONCE * sizeof(struct fsmap)) / 8];
	struct fsmap_head *head = (struct fsmap_head *)room;
	uint64_t at = run->at, end = run->at + run->nr;
	bool has_more = true;
	int r = 0;

	memset(head, 0, sizeof(*head));
	set_key(sorting, &head->fmh_keys[0], run->at * SECTOR_BYTES);
	set_key(sorting, &head->fmh_keys[1], end * SECTOR_BYTES - 1);
	head->fmh_keys[1].fmr_owner = UINT64_MAX;
	head->fmh_keys[1].fmr_offset = UINT64_MAX;
	head->fmh_keys[1].fmr_flags = UINT32_MAX;
	head->fmh_count = RECORDS_AT_ONCE;
	while (!r && has_more) {
		if (ioctl(sorting->fd, FS_IOC_GETFSMAP, head) < 0)
			return errno == ENOTTY ? -EOPNOTSUPP : -errno;
		for (uint32_t i = 0; !r && i < head->fmh_entries; i++)
			r = take_record(sorting, &head->fmh_recs[i], run, &at);
		has_more = head->fmh_entries == RECORDS_AT_ONCE &&
			   !(head->fmh_recs[RECORDS_AT_ONCE - 1].fmr_flags & FMR_OF_LAST);
		if (has_more)
			head->fmh_keys[0] = head->fmh_recs[RECORDS_AT_ONCE - 1];
	}
	return !r && at < end ?
		       runs_add(&sorting->left, at, end - at, run->of_set + (at - run->at)) :
		       r;
}

/* What lies before ext4's first block of 1 KiB: some kernels must not be asked for it. */
static int sort_start(struct sorting *sorting, struct runs *runs)
{
	_cleanup_runs_ struct runs start = { NULL, 0, 0 };
	struct hit boot = { .kind = HIT_METADATA, .what = "boot block" };
	struct statfs fs;
	int r;

	if (fstatfs(sorting->fd, &fs) < 0 || fs.f_type != EXT4_MAGIC || fs.f_bsize != 1024)
		return 0;
	snprintf(boot.device, sizeof(boot.device), "%s", sorting->device);
	r = runs_take(runs, 0, 2, 0, &start);
	return r ?: hits_add_runs(sorting->hits, &start, &boot);
}

int fsmap_sort(int fd, dev_t devno, const char *device, struct runs *runs, struct hits *hits,
	       struct owners *owners)
{
	struct sorting sorting = {
		.fd = fd, .devno = devno, .device = device, .hits = hits, .owners = owners
	};
	int r = sort_start(&sorting, runs);

	for (size_t i = 0; !r && i < runs->nr; i++)
		r = sort_run(&sorting, &runs->at[i]);
	if (r < 0) {
		runs_done(&sorting.left);
		return r;
	}
	free(runs->at);
	*runs = sorting.left;
	return 0;
}
