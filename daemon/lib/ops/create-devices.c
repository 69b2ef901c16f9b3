// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether a device can be a member: its kind, its size, and what is on it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "ops/create-steps.h"
#include "set/mark.h"
#include "set/scan.h"
#include "system/identity.h"

#define EDGE_BYTES (1U << 20)

int create_open_members(struct create_request *a, struct error *error)
{
	dev_t main = device_number(a->main_path);
	uint64_t nr_bytes;
	int r;

	if (main && main == device_number(a->spare_path))
		return error_set(error, EINVAL, "%s: main and spare are the same device",
				 a->main_path);
	a->main_fd = open_exclusive(a->main_path, error);
	if (a->main_fd < 0)
		return a->main_fd;
	a->spare_fd = open_exclusive(a->spare_path, error);
	if (a->spare_fd < 0)
		return a->spare_fd;
	r = device_bytes(a->main_fd, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: neither a block device nor an image",
				 a->main_path);
	a->main_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	r = device_bytes(a->spare_fd, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: neither a block device nor an image",
				 a->spare_path);
	a->spare_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	return 0;
}

/* "sys/dev/block/M:m" of the whole disk that @devno is or is a partition of. */
void create_disk_of(dev_t devno, char *path, size_t nr_bytes)
{
	char link[64], real[PATH_MAX], attribute[PATH_MAX + 16];

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(devno), minor(devno));
	*path = '\0';
	if (!devno || !realpath(link, real))
		return;
	snprintf(attribute, sizeof(attribute), "%s/partition", real);
	if (access(attribute, F_OK) == 0)
		*strrchr(real, '/') = '\0';
	snprintf(path, nr_bytes, "%s", real);
}

static bool attribute_is(const char *disk, const char *name, const char *value)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX + 64];
	size_t nr_bytes;

	snprintf(path, sizeof(path), "%s/%s", disk, name);
	if (!*disk || read_file(path, &text, &nr_bytes) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return streq(text, value);
}

static int check_device(const char *path, int fd, const char *disk, struct error *error)
{
	char model[PATH_MAX + 64];
	int read_only = 0;

	if (ioctl(fd, BLKROGET, &read_only) == 0 && read_only)
		return error_set(error, EROFS, "%s is read-only", path);
	snprintf(model, sizeof(model), "%s/queue/zoned", disk);
	if (*disk && access(model, F_OK) == 0 && !attribute_is(disk, "queue/zoned", "none"))
		return error_set(error, EOPNOTSUPP,
				 "%s is a zoned device; zoned devices are not supported", path);
	return 0;
}

int create_block_bytes(int fd)
{
	int nr_bytes = REMAP_SECTOR_BYTES;

	return ioctl(fd, BLKSSZGET, &nr_bytes) < 0 ? REMAP_SECTOR_BYTES : nr_bytes;
}

int spare_check(const char *main_path, int main_fd, const char *spare_path, int spare_fd,
		struct error *error)
{
	char disk[PATH_MAX];
	int r;

	create_disk_of(device_number(spare_path), disk, sizeof(disk));
	r = check_device(spare_path, spare_fd, disk, error);
	if (!r && create_block_bytes(spare_fd) > create_block_bytes(main_fd))
		r = error_set(error, EINVAL,
			      "%s has logical blocks of %d bytes, %s of only %d: the set could "
			      "not serve what is on %s",
			      spare_path, create_block_bytes(spare_fd), main_path,
			      create_block_bytes(main_fd), main_path);
	return r;
}

int create_check_devices(struct create_request *a, struct error *error)
{
	dev_t main = device_number(a->main_path), spare = device_number(a->spare_path);
	char main_disk[PATH_MAX], spare_disk[PATH_MAX];
	int r;

	create_disk_of(main, main_disk, sizeof(main_disk));
	create_disk_of(spare, spare_disk, sizeof(spare_disk));
	r = check_device(a->main_path, a->main_fd, main_disk, error);
	if (!r)
		r = spare_check(a->main_path, a->main_fd, a->spare_path, a->spare_fd, error);
	if (r < 0)
		return r;
	a->same_disk = *main_disk && streq(main_disk, spare_disk);
	a->removable = attribute_is(spare_disk, "removable", "1") || strstr(spare_disk, "/usb");
	if (a->main_sectors > REMAP_MAX_MAIN_SECTORS)
		return error_set(error, EFBIG, "%s is too large; the maximum is 4 PiB",
				 a->main_path);
	if (a->main_sectors < 4 * REMAP_CHUNK_SECTORS)
		return error_set(error, ENOSPC, "%s is too small for a set", a->main_path);
	identity_of_device(main, a->main_identity);
	identity_of_device(spare, a->spare_identity);
	return 0;
}

int spare_region(const char *path, uint64_t device_sectors, uint64_t region_bytes,
		 uint64_t *region_sectors, uint32_t *slots, struct error *error)
{
	struct remap_geometry geometry;

	*region_sectors = region_bytes ? region_bytes / REMAP_CHUNK_BYTES * REMAP_CHUNK_SECTORS :
					 device_sectors;
	if (*region_sectors > device_sectors)
		return error_set(error, ENOSPC, "%s has only %" PRIu64 " sectors", path,
				 device_sectors);
	if (remap_geometry_compute(*region_sectors, &geometry) < 0)
		return error_set(error, ENOSPC,
				 "%s: the spare is too small; at least 320 KiB are needed", path);
	*slots = geometry.slots;
	return 0;
}

/* Neither device may be a member of a set already. */
int create_check_members(struct create_request *a, struct error *error)
{
	const char *const paths[] = { a->main_path, a->spare_path };
	struct member member;
	struct error why;

	for (unsigned int i = 0; i < 2; i++) {
		char uuid[UUID_STRING_BYTES];
		int r = member_probe(paths[i], &member, &why);

		/* what cannot be read is looked at by itself, and said */
		if (r == -ENODATA || is_medium_error(r))
			continue;
		if (r == -EUCLEAN || r == -ENOTSUP)
			return error_set(error, EEXIST, "%s; release or wipe it first", why.text);
		if (r < 0)
			return error_set(error, -r, "%s", why.text);
		uuid_to_string(member.uuid, uuid);
		return error_set(error, EEXIST,
				 "%s is the %s device of set %s%s%s%s; end that set first, with "
				 "dmremap release",
				 paths[i], member_role_name(member.role), uuid,
				 *member.label ? " (\"" : "", member.label,
				 *member.label ? "\")" : "");
	}
	return 0;
}

/* A main without guard has no sector 0 of ours, but the mark near its end. */
int create_check_mark(struct create_request *a, struct error *error)
{
	uint8_t uuid[REMAP_UUID_BYTES];
	uint64_t chunk;

	if (mark_find(a->main_fd, a->main_sectors, uuid, true, &chunk) < 0)
		return 0;
	return error_set(error, EEXIST,
			 "%s is the main device of a set without guard; end that set first, with "
			 "dmremap release or, if the spare is dead, dmremap release "
			 "--without-spare %s",
			 a->main_path, a->main_path);
}

/* "data" when it is nothing that has a name. */
static int other_content(int fd, uint64_t nr_sectors, char *text, size_t nr_text,
			 struct error *error)
{
	_cleanup_free_ uint8_t *edge = aligned_bytes(EDGE_BYTES);
	uint64_t nr_bytes = nr_sectors * REMAP_SECTOR_BYTES;
	uint64_t nr = nr_bytes < EDGE_BYTES ? nr_bytes : EDGE_BYTES;

	if (!edge)
		return no_memory(error);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t at = i ? (nr_bytes - nr) & ~4095ULL : 0;
		int r = read_all_at(fd, edge, nr, (off_t)at);

		if (r < 0)
			return error_set(error, EIO, "its first or last sectors cannot be read");
		if (!remap_is_zero(edge, nr))
			snprintf(text, nr_text, "unknown data");
	}
	return 0;
}

/* The note itself has a protective MBR, as the superblock after it. */
static bool has_name(const struct guard_plan *plan, own_bytes_f is_own, const void *userdata)
{
	for (size_t i = 0; i < plan->nr_ranges; i++) {
		const struct hidden_range *range = &plan->range[i];

		if (!streq(range->type, "PMBR") &&
		    !(is_own && is_own(userdata, range->offset, range->nr_bytes)))
			return true;
	}
	return false;
}

bool device_has_name(const char *path, int fd, uint64_t nr_sectors, own_bytes_f is_own,
		     const void *userdata)
{
	_cleanup_places_ struct places places = PLACES_NONE;
	struct guard_plan plan;

	return guard_plan_make(path, fd, nr_sectors, &plan, &places, NULL) == 0 &&
	       has_name(&plan, is_own, userdata);
}

int device_content(const char *path, int fd, uint64_t nr_sectors, bool half_made,
		   struct places *places, char *text, size_t nr_text, struct error *error)
{
	struct guard_plan plan;
	struct error why;
	int r;

	*text = '\0';
	r = guard_plan_make(path, fd, nr_sectors, &plan, places, &why);
	if (!r && *plan.member)
		return error_set(error, EPERM,
				 "%s holds %s, which may still be in use; remove it from there "
				 "first (vgreduce and pvremove, mdadm --zero-superblock, btrfs "
				 "device remove, wipefs); nothing was changed",
				 path, plan.member);
	if (!r && plan.nr_ranges)
		snprintf(text, nr_text, "%s", plan.content);
	else if (!r)
		r = other_content(places && places->unreadable.nr ? places->copy_fd : fd,
				  nr_sectors, text, nr_text, &why);
	if (r < 0)
		return error_set(error, -r, "%s: %s", path, why.text);
	if (half_made && !has_name(&plan, NULL, NULL))
		*text = '\0';
	if (places && places->unreadable.nr) {
		size_t length = strlen(text);
		char sectors[64];

		sector_ranges_text(&places->unreadable, sectors, sizeof(sectors));
		snprintf(text + length, nr_text - length, "%sunreadable data (sector%s %s)",
			 length ? ", and " : "",
			 sector_ranges_count(&places->unreadable) == 1 ? "" : "s", sectors);
	}
	return 0;
}
