// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libudev.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "identity.h"
#include "region.h"
#include "scan.h"

#define UDEV_WAIT_MS 15000
#define UDEV_PAUSE_MS 50

const char *member_role_name(enum member_role role)
{
	return role == MEMBER_MAIN ? "main" : role == MEMBER_SPARE ? "spare" : "none";
}

void device_path(dev_t devno, char *path, size_t nr_bytes)
{
	char link[64], target[512];
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(devno), minor(devno));
	n = readlink(link, target, sizeof(target) - 1);
	*path = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	snprintf(path, nr_bytes, "/dev/%s", strrchr(target, '/') + 1);
	for (char *c = path + 5; *c; c++)
		if (*c == '!') /* "cciss!c0d0" */
			*c = '/';
}

dev_t device_number(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode) ? st.st_rdev : 0;
}

int open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == EINVAL) /* tmpfs */
		fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int probe_spare(int fd, const char *path, struct member *member, struct error *error)
{
	struct region region;
	struct error why;
	int r = region_open(fd, 0, member->nr_sectors, &region, &why);

	if (r == -ENODATA)
		return r;
	if (r < 0)
		return error_set(error, -r, "%s: %s", path, why.text);
	member->role = MEMBER_SPARE;
	memcpy(member->uuid, region.super.uuid, sizeof(member->uuid));
	memcpy(member->host_id, region.super.host_id, sizeof(member->host_id));
	memcpy(member->label, region.super.label, sizeof(member->label));
	memcpy(member->recorded, region.super.identity, sizeof(member->recorded));
	member->main_sectors = region.super.main_sectors;
	member->region_sectors = region.super.geometry.region_sectors;
	member->probe_chunk = region.super.probe_chunk;
	member->flags = region.super.flags;
	return 0;
}

/* Sector 0 names the set by itself; the header tells more, if it is whole. */
static bool probe_main(const uint8_t *chunk, struct member *member)
{
	const struct remap_member_disk *header = (const void *)(chunk + REMAP_MEMBER_OFFSET);

	if (remap_guard_check(chunk, member->uuid, member->nr_sectors) == REMAP_BAD_MAGIC)
		return false;
	member->role = MEMBER_MAIN;
	member->guarded = true;
	if (remap_member_check(header, member->uuid) == REMAP_OK) {
		memcpy(member->host_id, header->host_id, sizeof(member->host_id));
		memcpy(member->label, header->label, sizeof(member->label));
		memcpy(member->recorded, header->spare_identity, sizeof(member->recorded));
		member->main_sectors = le64_to_cpu(header->main_sectors);
	}
	return true;
}

int member_probe(const char *path, struct member *member, struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	_cleanup_close_ int fd = -1;
	uint64_t nr_bytes;
	int r, read_only = 0;

	memset(member, 0, sizeof(*member));
	snprintf(member->path, sizeof(member->path), "%s", path);
	if (!chunk)
		return error_set(error, ENOMEM, "out of memory");
	fd = open_direct(path, O_RDONLY);
	if (fd < 0)
		return error_set(error, -fd, "%s: cannot open it: %s", path, strerror(-fd));
	r = device_bytes(fd, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: neither a block device nor an image", path);
	member->devno = device_number(path);
	member->nr_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	if (nr_bytes < REMAP_CHUNK_BYTES)
		return -ENODATA;
	if (member->devno && ioctl(fd, BLKROGET, &read_only) == 0)
		member->read_only = read_only;
	r = read_all_at(fd, chunk, REMAP_CHUNK_BYTES, 0);
	if (!r && probe_main(chunk, member))
		return 0;
	/* even where sector 0 cannot be read there may be a spare: other copies tell */
	if (r < 0 || !memcmp(chunk, REMAP_MAGIC_SUPER, REMAP_MAGIC_BYTES) ||
	    !memcmp(chunk + REMAP_PMBR_OFFSET, "\0\0\2\0\xee", 5) ||
	    remap_is_zero(chunk, REMAP_CHUNK_BYTES))
		return probe_spare(fd, path, member, error);
	return -ENODATA;
}

int mark_read(int main_fd, uint64_t probe_chunk, const uint8_t uuid[16], struct remap_mark *mark)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	int found = -ENODATA;

	if (!chunk)
		return -ENOMEM;
	/* sector by sector where the chunk cannot be read as a whole */
	if (read_all_at(main_fd, chunk, REMAP_CHUNK_BYTES,
			(off_t)(probe_chunk * REMAP_CHUNK_BYTES)) < 0)
		for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++) {
			uint8_t *sector = chunk + i * REMAP_SECTOR_BYTES;

			if (read_all_at(main_fd, sector, REMAP_SECTOR_BYTES,
					(off_t)(probe_chunk * REMAP_CHUNK_BYTES +
						i * REMAP_SECTOR_BYTES)) < 0) {
				memset(sector, 0, REMAP_SECTOR_BYTES);
				if (found == -ENODATA)
					found = -EIO;
			}
		}
	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		struct remap_mark own;

		if (remap_probe_check_sector(chunk + i * REMAP_SECTOR_BYTES, i, uuid, &own) !=
		    REMAP_OK)
			continue;
		if (found < 0 || remap_mark_succeeds(&own, mark))
			*mark = own;
		found = 0;
	}
	return found;
}

/**
 * struct candidates - the block devices that may be members
 * @at: each as member_probe() saw it, or with role MEMBER_NONE
 * @nr: how many
 */
struct candidates {
	struct member *at;
	size_t nr;
};

static void candidates_done(struct candidates *candidates)
{
	free(candidates->at);
}

/* Members of somebody else are left to him; what is on top of them is looked at instead. */
static bool is_somebody_elses(struct udev_device *device)
{
	const char *type = udev_device_get_property_value(device, "ID_FS_TYPE");
	const char *path = udev_device_get_property_value(device, "DM_MULTIPATH_DEVICE_PATH");
	size_t length = type ? strlen(type) : 0;

	if (path && streq(path, "1"))
		return true;
	if (type && !streq(type, "dm_remap_member") && length > 7 &&
	    streq(type + length - 7, "_member"))
		return true;
	return type && streq(type, "mpath_member");
}

static bool udev_says_somebody_elses(struct udev *udev, dev_t devno)
{
	struct udev_device *device = udev_device_new_from_devnum(udev, 'b', devno);
	bool says = device && is_somebody_elses(device);

	if (device)
		udev_device_unref(device);
	return says;
}

/* udev hears of it when a writer closes the device, but does not watch every kind of device. */
static void ask_udev_to_look(dev_t devno)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", major(devno), minor(devno));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "change", 6) < 0)
		return; /* then it is waited for in vain, and what is missing is told */
}

void scan_wait_for_udev(dev_t devno)
{
	struct udev *udev = udev_new();

	if (udev && udev_says_somebody_elses(udev, devno)) {
		ask_udev_to_look(devno);
		for (unsigned int i = 0; i < UDEV_WAIT_MS / UDEV_PAUSE_MS; i++) {
			usleep(UDEV_PAUSE_MS * 1000);
			if (!udev_says_somebody_elses(udev, devno))
				break;
		}
	}
	if (udev)
		udev_unref(udev);
}

static bool is_held_by_others(const char *syspath)
{
	_cleanup_closedir_ DIR *directory = NULL;
	char path[512];
	struct dirent *at;

	snprintf(path, sizeof(path), "%s/holders", syspath);
	directory = opendir(path);
	while (directory && (at = readdir(directory))) {
		_cleanup_free_ char *dm_uuid = NULL;
		size_t nr_bytes;

		if (*at->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/class/block/%s/dm/uuid", at->d_name);
		if (read_file(path, &dm_uuid, &nr_bytes) < 0)
			return true;
		/* a remap device made with plain dmsetup has none */
		if (strncmp(dm_uuid, "REMAP-", 6) && *dm_uuid && *dm_uuid != '\n')
			return true;
	}
	return false;
}

static bool is_ready(struct udev_device *device)
{
	const char *name = udev_device_get_sysname(device);
	const char *size = udev_device_get_sysattr_value(device, "size");
	const char *suspended = udev_device_get_sysattr_value(device, "dm/suspended");

	if (!size || streq(size, "0") || (suspended && streq(suspended, "1")))
		return false;
	/*
	 * Opening an empty floppy or optical drive takes seconds and tells nothing; what a
	 * null_blk device "reads" is what happened to be in memory.
	 */
	return strncmp(name, "nullb", 5) && strncmp(name, "fd", 2) && strncmp(name, "sr", 2) &&
	       strncmp(name, "ram", 3) && strncmp(name, "zram", 4);
}

static int add_candidate(struct candidates *candidates, struct udev_device *device)
{
	const char *node = udev_device_get_devnode(device);
	struct member *bigger, *member;

	if (!node || !is_ready(device) || is_somebody_elses(device) ||
	    is_held_by_others(udev_device_get_syspath(device)))
		return 0;
	bigger = reallocarray(candidates->at, candidates->nr + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	candidates->at = bigger;
	member = &bigger[candidates->nr];
	if (member_probe(node, member, NULL) < 0) {
		if (!member->nr_sectors)
			return 0; /* cannot be opened */
		member->role = MEMBER_NONE;
	}
	identity_of_device(member->devno, member->identity);
	candidates->nr++;
	return 0;
}

static int find_candidates(struct candidates *candidates)
{
	struct udev *udev = udev_new();
	struct udev_enumerate *enumerate = udev ? udev_enumerate_new(udev) : NULL;
	struct udev_list_entry *at;
	int r = enumerate ? 0 : -ENOMEM;

	if (!r)
		r = udev_enumerate_add_match_subsystem(enumerate, "block");
	if (!r)
		r = udev_enumerate_scan_devices(enumerate);
	if (r >= 0) {
		r = 0;
		udev_list_entry_foreach(at, udev_enumerate_get_list_entry(enumerate))
		{
			struct udev_device *device =
				udev_device_new_from_syspath(udev, udev_list_entry_get_name(at));

			if (device && !r)
				r = add_candidate(candidates, device);
			udev_device_unref(device);
		}
	}
	if (enumerate)
		udev_enumerate_unref(enumerate);
	if (udev)
		udev_unref(udev);
	return r;
}

/*
 * A main without guard shows its own content, and the mark where the spare says.  Before
 * the first activation there is no mark: then its hardware must be the recorded one.
 */
static void find_unguarded_main(struct candidates *candidates, const struct member *spare)
{
	for (size_t i = 0; i < candidates->nr; i++) {
		struct member *member = &candidates->at[i];
		_cleanup_close_ int fd = -1;
		struct remap_mark mark;
		bool is_main;

		if (member->role != MEMBER_NONE || member->nr_sectors < spare->main_sectors)
			continue;
		fd = open_direct(member->path, O_RDONLY);
		if (fd < 0)
			continue;
		is_main = mark_read(fd, spare->probe_chunk, spare->uuid, &mark) == 0;
		if (!is_main && !(spare->flags & REMAP_SUPER_MARKED))
			is_main = identity_matches(member->identity, spare->recorded) > 0;
		if (!is_main)
			continue;
		member->role = MEMBER_MAIN;
		memcpy(member->uuid, spare->uuid, sizeof(member->uuid));
		memcpy(member->host_id, spare->host_id, sizeof(member->host_id));
		memcpy(member->label, spare->label, sizeof(member->label));
		member->main_sectors = spare->main_sectors;
	}
}

int scan_members(struct member **members, size_t *nr_members, struct error *error)
{
	_cleanup_(candidates_done) struct candidates candidates = { NULL, 0 };
	size_t nr = 0;
	int r = find_candidates(&candidates);

	*members = NULL;
	*nr_members = 0;
	if (r < 0)
		return error_set(error, -r, "cannot list the block devices: %s", strerror(-r));
	for (size_t i = 0; i < candidates.nr; i++) {
		bool guarded = false;

		if (candidates.at[i].role != MEMBER_SPARE)
			continue;
		for (size_t j = 0; j < candidates.nr; j++)
			guarded |= candidates.at[j].guarded &&
				   !memcmp(candidates.at[j].uuid, candidates.at[i].uuid, 16);
		if (!guarded)
			find_unguarded_main(&candidates, &candidates.at[i]);
	}
	for (size_t i = 0; i < candidates.nr; i++)
		if (candidates.at[i].role != MEMBER_NONE)
			candidates.at[nr++] = candidates.at[i];
	*members = candidates.at;
	*nr_members = nr;
	candidates.at = NULL;
	return 0;
}
