// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a crash leaves between the steps of create_set():
 *
 *   after the rule of a main without	no set; activation and the next create remove it (mask.c)
 *   guard
 *   while the spare is formatted	a note in place of the superblock: no set, main untouched;
 *					the next create takes the spare for blank
 *   after the superblock of a main	the set, whole: what is missing beside it (the rule, the
 *   without guard			mapped device) is made by activation
 *   after its first superblock		a set with REMAP_SUPER_CREATING: the kernel refuses it;
 *					main untouched: mended by wiping the spare
 *   after main's sector 0		the same, and main is hidden, more or less: mended by
 *					writing back from the slots, sector 0 last; where sectors of
 *					the first chunk could not be read, they have something else
 *					now, so that the set is completed instead (create_complete)
 *   after the superblock without	the set, whole, without its mark, which the kernel
 *   the flag				writes when it activates it
 *
 * Without a guard main is never touched; what is durable before the superblock without the flag
 * is the backup, which is then all that leads home without the spare.
 */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "format/backup.h"
#include "format/spare_layout.h"
#include "ops/create.h"
#include "ops/purpose.h"
#include "ops/release.h"
#include "set/handle.h"
#include "set/mark.h"
#include "set/scan.h"
#include "system/identity.h"
#include "system/mask.h"

#define EDGE_BYTES (1U << 20)
/* How far from its end main is tried for a chunk that can be written. */
#define PROBE_TRIES 64

static int open_members(struct create_request *a, struct error *error)
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
static void disk_of(dev_t devno, char *path, size_t nr_bytes)
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
		return error_set(error, EOPNOTSUPP, "%s is a zoned device: these cannot be used",
				 path);
	return 0;
}

static int block_bytes(int fd)
{
	int nr_bytes = REMAP_SECTOR_BYTES;

	return ioctl(fd, BLKSSZGET, &nr_bytes) < 0 ? REMAP_SECTOR_BYTES : nr_bytes;
}

int spare_check(const char *main_path, int main_fd, const char *spare_path, int spare_fd,
		struct error *error)
{
	char disk[PATH_MAX];
	int r;

	disk_of(device_number(spare_path), disk, sizeof(disk));
	r = check_device(spare_path, spare_fd, disk, error);
	if (!r && block_bytes(spare_fd) > block_bytes(main_fd))
		r = error_set(error, EINVAL,
			      "%s has blocks of %d bytes, %s of only %d: a device made of them "
			      "could not serve what is on %s",
			      spare_path, block_bytes(spare_fd), main_path, block_bytes(main_fd),
			      main_path);
	return r;
}

static int check_devices(struct create_request *a, struct error *error)
{
	dev_t main = device_number(a->main_path), spare = device_number(a->spare_path);
	char main_disk[PATH_MAX], spare_disk[PATH_MAX];
	int r;

	disk_of(main, main_disk, sizeof(main_disk));
	disk_of(spare, spare_disk, sizeof(spare_disk));
	r = check_device(a->main_path, a->main_fd, main_disk, error);
	if (!r)
		r = spare_check(a->main_path, a->main_fd, a->spare_path, a->spare_fd, error);
	if (r < 0)
		return r;
	a->same_disk = *main_disk && streq(main_disk, spare_disk);
	a->removable = attribute_is(spare_disk, "removable", "1") || strstr(spare_disk, "/usb");
	if (a->main_sectors > REMAP_MAX_MAIN_SECTORS)
		return error_set(error, EFBIG, "%s is too large: 4 PiB at most", a->main_path);
	if (a->main_sectors < 4 * REMAP_CHUNK_SECTORS)
		return error_set(error, ENOSPC, "%s is too small to be worth it", a->main_path);
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
		return error_set(error, ENOSPC, "%s: the spare is too small: 320 KiB at least",
				 path);
	*slots = geometry.slots;
	return 0;
}

/* Neither device may be a member of a set already. */
static int check_members(struct create_request *a, struct error *error)
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
				 "%s is the %s device of set %s%s%s%s: dmremap release ends a set",
				 paths[i], member_role_name(member.role), uuid,
				 *member.label ? " (\"" : "", member.label,
				 *member.label ? "\")" : "");
	}
	return 0;
}

/* A main without guard has no sector 0 of ours, but the mark near its end. */
static int check_mark(struct create_request *a, struct error *error)
{
	uint8_t uuid[REMAP_UUID_BYTES];
	uint64_t chunk;

	if (mark_find(a->main_fd, a->main_sectors, uuid, true, &chunk) < 0)
		return 0;
	return error_set(error, EEXIST,
			 "%s is the main device of a set without guard: dmremap release ends a "
			 "set; where the spare is dead, dmremap release --without-spare %s",
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
			return error_set(error, EIO, "its edges cannot be read");
		if (!remap_is_zero(edge, nr))
			snprintf(text, nr_text, "unknown data");
	}
	return 0;
}

/* The note itself has a protective MBR, as the superblock after it. */
static bool has_name(const struct guard_plan *plan)
{
	for (size_t i = 0; i < plan->nr_ranges; i++)
		if (!streq(plan->range[i].type, "PMBR"))
			return true;
	return false;
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
				 "%s holds %s, a part of something that may need it: take it out "
				 "of that first (vgreduce and pvremove, mdadm --zero-superblock, "
				 "btrfs device remove, wipefs); nothing was changed",
				 path, plan.member);
	if (!r && plan.nr_ranges)
		snprintf(text, nr_text, "%s", plan.content);
	else if (!r)
		r = other_content(places && places->unreadable.nr ? places->copy_fd : fd,
				  nr_sectors, text, nr_text, &why);
	if (r < 0)
		return error_set(error, -r, "%s: %s", path, why.text);
	if (half_made && !has_name(&plan))
		*text = '\0';
	if (places && places->unreadable.nr) {
		size_t length = strlen(text);
		char sectors[64];

		sector_ranges_text(&places->unreadable, sectors, sizeof(sectors));
		snprintf(text + length, nr_text - length, "%swhat cannot be read (sectors %s)",
			 length ? ", and " : "", sectors);
	}
	return 0;
}

static int check_unguarded(const struct create_request *a, struct error *error)
{
	if (!*a->main_identity && device_number(a->main_path))
		return error_set(error, EPERM,
				 "%s has no serial number or WWN by which it could be recognised: "
				 "it needs the guard",
				 a->main_path);
	if (*a->plan.assembles)
		return error_set(error, EPERM,
				 "%s holds %s, which assembles itself from whatever device it "
				 "finds: it needs the guard",
				 a->main_path, a->plan.assembles);
	return device_number(a->main_path) ? mask_check(device_number(a->main_path), error) : 0;
}

static int look_at_main(struct create_request *a, struct error *error)
{
	struct error why;
	int r = guard_plan_make(a->main_path, a->main_fd, a->main_sectors, &a->plan, &a->places,
				&why);

	if (r < 0)
		return error_set(error, -r, "%s: %s", a->main_path, why.text);
	if (*a->plan.danger)
		return error_set(error, EPERM,
				 "%s has %s: a machine boots from the raw disk. Adopt the "
				 "partition that matters instead",
				 a->main_path, a->plan.danger);
	if (!a->guard)
		return check_unguarded(a, error);
	return guard_plan_chunks(&a->plan, &a->chunk, &a->nr_chunks) < 0 ? no_memory(error) : 0;
}

static bool is_in(const uint64_t *chunk, uint32_t nr, uint64_t main_chunk)
{
	for (uint32_t i = 0; i < nr; i++)
		if (chunk[i] == main_chunk)
			return true;
	return false;
}

/* Chunks that are not hidden, with sectors that cannot be read. */
static int find_bad_chunks(struct create_request *a, struct error *error)
{
	const struct sector_ranges *bad = &a->places.unreadable;

	a->bad_chunk = calloc(sector_ranges_count(bad) + 1, sizeof(*a->bad_chunk));
	if (!a->bad_chunk)
		return no_memory(error);
	for (size_t i = 0; i < bad->nr; i++)
		for (uint64_t s = bad->at[i].sector; s < bad->at[i].sector + bad->at[i].nr; s++) {
			uint64_t main_chunk = s / REMAP_CHUNK_SECTORS;

			if (!is_in(a->chunk, a->nr_chunks, main_chunk) &&
			    !is_in(a->bad_chunk, a->nr_bad_chunks, main_chunk))
				a->bad_chunk[a->nr_bad_chunks++] = main_chunk;
		}
	return 0;
}

/* The last whole chunk that can be read and is not hidden for its own sake. */
static int find_probe_chunk(struct create_request *a, bool write, struct error *error)
{
	_cleanup_free_ uint8_t *data = aligned_bytes(REMAP_CHUNK_BYTES);
	uint64_t last = a->main_sectors / REMAP_CHUNK_SECTORS;

	if (!data)
		return no_memory(error);
	for (uint64_t i = 1; i <= PROBE_TRIES && i < last; i++) {
		off_t at = (off_t)((last - i) * REMAP_CHUNK_BYTES);

		a->probe_chunk = last - i;
		if (is_in(a->chunk, a->nr_chunks, a->probe_chunk) ||
		    is_in(a->bad_chunk, a->nr_bad_chunks, a->probe_chunk) ||
		    read_all_at(a->main_fd, data, REMAP_CHUNK_BYTES, at) < 0)
			continue;
		/* with what it holds already: whatever comes in between, nothing changes */
		if (!write || (write_all_at(a->main_fd, data, REMAP_CHUNK_BYTES, at) == 0 &&
			       fsync(a->main_fd) == 0))
			return 0;
	}
	return error_set(error, EIO,
			 "%s: none of its last %d chunks can be %s: this disk cannot be helped",
			 a->main_path, PROBE_TRIES, write ? "written" : "read");
}

static uint64_t chunk_of(const struct create_request *a, uint32_t i)
{
	if (!i)
		return a->probe_chunk;
	return i <= a->nr_chunks ? a->chunk[i - 1] : a->bad_chunk[i - 1 - a->nr_chunks];
}

/* What cannot be read is lost; that was agreed on, and no other sector. */
static int plan_entry(const struct create_request *a, uint32_t i, struct remap_entry *entry,
		      uint8_t *data, struct error *error)
{
	uint64_t main_chunk = chunk_of(a, i);
	uint64_t sectors = a->main_sectors - main_chunk * REMAP_CHUNK_SECTORS;
	uint8_t mask = sectors < REMAP_CHUNK_SECTORS ? (uint8_t)((1U << sectors) - 1) : 0xff;
	uint8_t agreed = sector_ranges_mask(&a->places.unreadable, main_chunk), lost;
	bool is_bad = i > a->nr_chunks;
	int r = places_read_chunk(a->main_fd, main_chunk, a->main_sectors, data, &lost);

	if (!r && lost & ~agreed)
		r = -EIO;
	if (r < 0)
		return error_set(error, EIO, "%s: sector %" PRIu64 " cannot be read", a->main_path,
				 main_chunk * REMAP_CHUNK_SECTORS +
					 (uint64_t)__builtin_ctz((lost & ~agreed) | 0x100) % 8);
	*entry = (struct remap_entry){
		.main_chunk = main_chunk,
		/* of a chunk that is not hidden exactly what was bad (P3) */
		.redirected = is_bad ? agreed & mask : mask,
		.lost = lost,
		.state = REMAP_ENTRY_USED,
		.cause = is_bad ? REMAP_CAUSE_RESCUE :
			 i	? REMAP_CAUSE_GUARD :
				  REMAP_CAUSE_PROBE,
		.status = agreed ? REMAP_STATUS_IOERR : REMAP_STATUS_NONE,
		.errors = agreed ? 1 : 0,
		.when = (u32)time(NULL),
	};
	return 0;
}

static uint32_t nr_entries(const struct create_request *a)
{
	return 1 + a->nr_chunks + a->nr_bad_chunks;
}

/* Entries and content: the probe chunk, then the hidden ones, then those with bad sectors. */
static int make_plan(struct create_request *a, struct region_plan *plan, struct error *error)
{
	uint32_t nr = nr_entries(a);
	int r = 0;

	plan->entry = calloc(nr, sizeof(*plan->entry));
	plan->data = aligned_bytes((size_t)nr * REMAP_CHUNK_BYTES);
	if (!plan->entry || !plan->data)
		return no_memory(error);
	plan->nr_entries = nr;
	plan->nr_data = nr;
	for (uint32_t i = 0; !r && i < nr; i++)
		r = plan_entry(a, i, &plan->entry[i], plan->data + (size_t)i * REMAP_CHUNK_BYTES,
			       error);
	memcpy(plan->super.uuid, a->uuid, sizeof(plan->super.uuid));
	plan->super.main_sectors = a->main_sectors;
	plan->super.probe_chunk = a->probe_chunk;
	plan->note = true;
	plan->is_new = true;
	plan->super.flags = write_cache_flags(REMAP_SUPER_CREATING, a->write_cache);
	memcpy(plan->super.label, a->label, sizeof(plan->super.label));
	memcpy(plan->super.identity, a->main_identity, sizeof(plan->super.identity));
	host_id(plan->super.host_id);
	return r;
}

/**
 * struct originals - main's content in the chunks that are hidden
 * @request: with the numbers of the chunks
 * @plan: with their content
 */
struct originals {
	const struct create_request *request;
	const struct region_plan *plan;
};

static const uint8_t *original_of(void *userdata, uint64_t main_chunk)
{
	const struct originals *originals = userdata;

	for (uint32_t i = 0; i < originals->request->nr_chunks; i++)
		if (originals->request->chunk[i] == main_chunk)
			return originals->plan->data + (size_t)(1 + i) * REMAP_CHUNK_BYTES;
	return originals->plan->data; /* every range lies in a chunk of the plan */
}

static int make_header(struct create_request *a, struct region_plan *plan,
		       struct remap_member_disk *header, struct error *error)
{
	struct originals originals = { .request = a, .plan = plan };
	int r;

	plan->super.seq = 1;
	/* chunk 0 is the first of those that are hidden */
	r = guard_header_build(&a->plan, &plan->super, a->spare_identity, plan->entry[1].lost,
			       original_of, &originals, header, error);
	a->chunk0_elsewhere = !r && !header->chunk0_len;
	return r;
}

/*
 * Without the spare some of main is in the backup only: the chunk that becomes the mark's, which a
 * member header's place on main could not tell either, and a chunk 0 that the header has no room
 * for.
 */
static bool needs_backup(const struct create_request *a)
{
	return !a->guard || a->chunk0_elsewhere;
}

static int check_backup_directory(const char *path, struct stat *st, struct error *error)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		 slash ? path : ".");
	if (stat(parent, st) < 0 || access(parent, W_OK) < 0)
		return error_set(
			error, EPERM,
			"the set's backup %.300s cannot be written: %s. --backup FILE puts "
			"it elsewhere; nothing was changed",
			path, strerror(errno));
	return 0;
}

/* The disk that the backup would be on, if it is a member's: then it would be no backup. */
static int check_backup_disk(const struct create_request *a, const struct stat *st,
			     struct error *error)
{
	char disk[PATH_MAX], main_disk[PATH_MAX], spare_disk[PATH_MAX];
	bool on_main, on_spare;

	disk_of(st->st_dev, disk, sizeof(disk));
	disk_of(device_number(a->main_path), main_disk, sizeof(main_disk));
	disk_of(device_number(a->spare_path), spare_disk, sizeof(spare_disk));
	on_main = *disk && streq(disk, main_disk);
	on_spare = *disk && streq(disk, spare_disk);
	if (on_main || on_spare)
		return error_set(error, EPERM, "%s is on the disk of %s: it must be on another one",
				 a->backup_path, on_main ? a->main_path : a->spare_path);
	return 0;
}

/* Without the backup there is no set; the usual place may be on either disk: it is printed. */
static int check_backup_path(const struct create_request *a, struct error *error)
{
	char path[PATH_MAX];
	struct error why;
	struct stat st;
	int r;

	if (*a->backup_path) {
		r = check_backup_directory(a->backup_path, &st, error);
		return !r && needs_backup(a) ? check_backup_disk(a, &st, error) : r;
	}
	if (a->chunk0_elsewhere)
		return error_set(
			error, EPERM,
			"the first 4 KiB of %s do not fit into its member header: a backup "
			"of them must be kept on another disk: --backup FILE",
			a->main_path);
	r = backup_default_path(a->uuid, path, sizeof(path), &why);
	if (r < 0)
		return error_set(
			error, EPERM,
			"the set's backup cannot be written: %.300s. --backup FILE puts it "
			"elsewhere; nothing was changed",
			why.text);
	return check_backup_directory(path, &st, error);
}

static int look_at_header(struct create_request *a, struct error *error)
{
	struct remap_member_disk header;
	struct region_plan plan = { 0 };
	int r = make_plan(a, &plan, error);

	if (!r)
		r = make_header(a, &plan, &header, error);
	free(plan.entry);
	free(plan.data);
	return r;
}

/* Everything that can be known without writing; both are open. */
static int look(struct create_request *a, struct error *error)
{
	int r = check_devices(a, error);

	if (!r)
		r = spare_region(a->spare_path, a->spare_sectors, a->region_bytes,
				 &a->region_sectors, &a->slots, error);
	if (!r)
		r = check_members(a, error);
	if (!r)
		r = check_mark(a, error);
	if (!r)
		r = look_at_main(a, error);
	if (!r)
		r = find_bad_chunks(a, error);
	a->half_made = region_is_half_made(a->spare_fd, 0);
	if (!r)
		r = device_content(a->spare_path, a->spare_fd, a->spare_sectors, a->half_made,
				   &a->spare_places, a->spare_content, sizeof(a->spare_content),
				   error);
	if (!r)
		r = find_probe_chunk(a, false, error);
	if (!r && nr_entries(a) + 1 > a->slots)
		r = error_set(error, ENOSPC,
			      "%s: the spare has %u slots, and %u are needed from the start",
			      a->spare_path, a->slots, nr_entries(a) + 1);
	/* a new set has none yet: it would be another's */
	if (!r && *a->backup_path)
		r = backup_check_target(a->backup_path, a->uuid, error);
	if (!r && a->guard)
		r = look_at_header(a, error);
	return r ? r : check_backup_path(a, error);
}

int create_prepare(struct create_request *a, struct error *error)
{
	sd_id128_t uuid;
	int r;

	a->main_fd = -1;
	a->spare_fd = -1;
	a->places.copy_fd = -1;
	a->spare_places.copy_fd = -1;
	if (!device_name_ok(a->label))
		return error_set(error, EINVAL,
				 "\"%s\" is no good name: 1 to 32 of A-Z a-z 0-9 _ . -, the first "
				 "not - or .",
				 a->label);
	if (sd_id128_randomize(&uuid) < 0)
		return error_set(error, EIO, "there are no random numbers");
	memcpy(a->uuid, uuid.bytes, sizeof(a->uuid));
	r = open_members(a, error);
	return r ? r : look(a, error);
}

static void looked_done(struct create_request *a)
{
	free(a->chunk);
	free(a->bad_chunk);
	a->chunk = NULL;
	a->bad_chunk = NULL;
	a->nr_chunks = 0;
	a->nr_bad_chunks = 0;
	places_done(&a->places);
	places_done(&a->spare_places);
}

/* What was agreed on covers it: a sector that can be read now is lost no more than it must be. */
static bool covers(const struct places *agreed, const struct places *now)
{
	for (size_t i = 0; i < now->unreadable.nr; i++)
		for (uint64_t s = 0; s < now->unreadable.at[i].nr; s++)
			if (!sector_ranges_has(&agreed->unreadable,
					       now->unreadable.at[i].sector + s))
				return false;
	return true;
}

static bool same_ranges(const struct guard_plan *a, const struct guard_plan *b)
{
	for (size_t i = 0; a->nr_ranges == b->nr_ranges && i < a->nr_ranges; i++)
		if (a->range[i].offset != b->range[i].offset ||
		    a->range[i].nr_bytes != b->range[i].nr_bytes)
			return false;
	return a->nr_ranges == b->nr_ranges;
}

int create_look_again(struct create_request *a, struct error *error)
{
	struct create_request now = *a;
	uint64_t nr_bytes;
	bool same;
	int r;

	/* who opens a device without O_EXCL may have written to it meanwhile */
	now.chunk = NULL;
	now.bad_chunk = NULL;
	now.nr_chunks = 0;
	now.nr_bad_chunks = 0;
	now.places = (struct places)PLACES_NONE;
	now.spare_places = (struct places)PLACES_NONE;
	*now.spare_content = '\0';
	r = look(&now, error);
	if (!r && (device_bytes(a->main_fd, &nr_bytes) < 0 ||
		   nr_bytes / REMAP_SECTOR_BYTES != a->main_sectors))
		r = error_set(error, EBUSY, "%s has another length than a moment ago",
			      a->main_path);
	same = !r && same_ranges(&now.plan, &a->plan) && streq(now.plan.content, a->plan.content) &&
	       streq(now.spare_content, a->spare_content) && covers(&a->places, &now.places);
	looked_done(&now);
	if (!r && !same)
		r = error_set(
			error, EBUSY,
			"%s or %s holds something else than a moment ago; nothing was changed",
			a->main_path, a->spare_path);
	return r;
}

void create_done(struct create_request *a)
{
	close_p(&a->main_fd);
	close_p(&a->spare_fd);
	a->main_fd = -1;
	a->spare_fd = -1;
	looked_done(a);
	sector_ranges_done(&a->bad_on_spare);
}

int create_check_unreadable(const struct create_request *a, struct error *error)
{
	const struct places *places = &a->places;
	_cleanup_free_ struct purpose *purpose = NULL;
	size_t nr = 0, at = 0, i;
	char sectors[96], what[280] = "";

	if (a->accept_unreadable || (!places->unreadable.nr && !places->elsewhere))
		return 0;
	if (purposes_of(places, a->main_fd, &purpose, &nr) < 0)
		return no_memory(error);
	for (i = 0; i < nr; i++) {
		char one[280];

		if (!*purpose[i].text)
			continue;
		snprintf(one, sizeof(one), "%s%" PRIu64 ": %s", at ? "; " : " (",
			 purpose[i].range.sector, purpose[i].text);
		if (at + strlen(one) + 8 >= sizeof(what))
			break;
		at += (size_t)snprintf(what + at, sizeof(what) - at, "%s", one);
	}
	if (at)
		snprintf(what + at, sizeof(what) - at, i < nr ? "; ...)" : ")");
	sector_ranges_text(&places->unreadable, sectors, sizeof(sectors));
	return error_set(error, EPERM,
			 "%.64s: sector%s %s cannot be read%s; nothing was changed. "
			 "--accept-unreadable: an error until written",
			 a->main_path, sector_ranges_count(&places->unreadable) == 1 ? "" : "s",
			 places->unreadable.nr ? sectors : "of its content", what);
}

/*
 * The spare blank, and what of it is bad known.  The entries go to slots that take data, of
 * blocks of the table that are not dead: theirs could not change any more.  Until the format that
 * follows there is no set, and the spare's content was given up.
 */
static int lay_out(struct create_request *a, const struct region_plan *plan,
		   struct region_plan *out, struct error *error)
{
	struct remap_geometry geometry;
	uint32_t nr = 0, slot = 0, room;
	struct error why;
	int r;

	remap_geometry_compute(a->region_sectors, &geometry);
	*out = *plan;
	out->laid_out = true;
	out->progress = a->progress;
	progress_expect(a->progress, spare_wipe_steps(a->spare_sectors, &geometry) +
					     region_table_steps(&geometry));
	r = spare_wipe(a->spare_fd, a->spare_sectors, &geometry, &a->spare_places.unreadable,
		       &a->bad_on_spare, a->progress, &why);
	if (!r)
		r = spare_dead_places(&geometry, &a->bad_on_spare, out->super.dead, &why);
	room = geometry.slots;
	out->entry = calloc(room, sizeof(*out->entry));
	out->data = NULL;
	if (r < 0)
		return error_set(error, -r, "%s: %s", a->spare_path, why.text);
	if (!out->entry)
		return no_memory(error);
	for (; !r && nr < plan->nr_entries && slot < room; slot++) {
		uint32_t block = 1 + slot / REMAP_ENTRIES_PER_BLOCK;

		if (spare_block_is_dead(out->super.dead, block))
			continue;
		if (spare_slot_is_bad(&geometry, &a->bad_on_spare, slot))
			continue;
		r = spare_try_slot(a->spare_fd, &geometry, slot, &a->bad_on_spare);
		if (r == -EIO)
			r = 0;
		else if (!r)
			out->entry[slot] = plan->entry[nr++];
	}
	if (r < 0 || nr < plan->nr_entries)
		return error_set(error, r < 0 ? -r : ENOSPC,
				 "%s: not enough of its chunks take data: %s", a->spare_path,
				 r < 0 ? strerror(-r) : "use another device");
	out->nr_entries = slot;
	for (uint32_t s = 0; a->bad_on_spare.nr && s < room; s++)
		if (out->entry[s].state == REMAP_ENTRY_FREE &&
		    spare_slot_is_bad(&geometry, &a->bad_on_spare, s)) {
			out->entry[s] = (struct remap_entry){ .state = REMAP_ENTRY_BAD,
							      .cause = REMAP_CAUSE_SPARE_BAD,
							      .status = REMAP_STATUS_IOERR,
							      .when = (u32)time(NULL) };
			if (s >= out->nr_entries)
				out->nr_entries = s + 1;
		}
	out->data = aligned_bytes((size_t)slot * REMAP_CHUNK_BYTES);
	if (!out->data)
		return no_memory(error);
	out->nr_data = slot;
	for (uint32_t s = nr = 0; s < slot; s++)
		if (out->entry[s].state == REMAP_ENTRY_USED)
			memcpy(out->data + (size_t)s * REMAP_CHUNK_BYTES,
			       plan->data + (size_t)nr++ * REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	return 0;
}

static int format_spare(struct create_request *a, struct region_plan *plan, struct error *error)
{
	struct region_plan out;
	int r = lay_out(a, plan, &out, error);

	if (!r)
		r = region_format(a->spare_fd, 0, a->region_sectors, &out, error);
	plan->super = out.super;
	free(out.entry);
	free(out.data);
	return r;
}

/* What main shows of a hidden chunk: the magic bytes are gone; chunk 0 is the header. */
static void hide_in(const struct create_request *a, const struct remap_super *super,
		    const struct remap_member_disk *header, uint64_t main_chunk, uint8_t *chunk)
{
	if (!main_chunk) {
		remap_guard_encode(chunk, super->uuid, a->main_sectors);
		memcpy(chunk + REMAP_MEMBER_OFFSET, header, REMAP_MEMBER_BYTES);
		return;
	}
	for (size_t i = 0; i < a->plan.nr_ranges; i++)
		for (uint32_t b = 0; b < a->plan.range[i].nr_bytes; b++) {
			uint64_t offset = a->plan.range[i].offset + b;

			if (offset / REMAP_CHUNK_BYTES == main_chunk)
				chunk[offset % REMAP_CHUNK_BYTES] = 0;
		}
}

static int write_and_compare(const struct create_request *a, const uint8_t *data, size_t nr_bytes,
			     uint64_t offset, struct error *error)
{
	_cleanup_free_ uint8_t *back = aligned_bytes(REMAP_CHUNK_BYTES);

	if (!back)
		return no_memory(error);
	if (write_all_at(a->main_fd, data, nr_bytes, (off_t)offset) < 0 || fsync(a->main_fd) < 0)
		return error_set(error, EIO, "%s: sector %" PRIu64 " cannot be written",
				 a->main_path, offset / REMAP_SECTOR_BYTES);
	if (read_all_at(a->main_fd, back, nr_bytes, (off_t)offset) < 0 ||
	    memcmp(back, data, nr_bytes))
		return error_set(error, EIO,
				 "%s: sector %" PRIu64 " does not hold what was written to it",
				 a->main_path, offset / REMAP_SECTOR_BYTES);
	return 0;
}

/*
 * Sector 0 first: from then on main is known to be ours to put right.  A first chunk that is lost
 * as a whole may be one physical sector, which takes nothing less, and which is not torn.
 */
static int hide_first(const struct create_request *a, const uint8_t *chunk, uint8_t lost,
		      size_t nr_bytes, bool *begun, struct error *error)
{
	_cleanup_free_ uint8_t *back = aligned_bytes(REMAP_CHUNK_BYTES);
	uint32_t unit = (uint32_t)block_bytes(a->main_fd), first = unit;
	uint8_t uuid[REMAP_UUID_BYTES];
	int r = back ? write_and_compare(a, chunk, first, 0, error) : no_memory(error);

	if (r < 0 && back && lost == 0xff && first < nr_bytes) {
		first = (uint32_t)nr_bytes;
		r = write_and_compare(a, chunk, first, 0, error);
	}
	/* an error is no proof that nothing was written */
	*begun = !r || !back ||
		 (read_all_at(a->main_fd, back, unit, 0) == 0 &&
		  remap_guard_check(back, uuid, 0) != REMAP_BAD_MAGIC);
	if (r < 0 && !*begun)
		return error_set(error, -r,
				 "%s: sector 0 cannot be written, where the guard goes: --no-guard "
				 "does without it",
				 a->main_path);
	/* The header before the rest: a sector 0 that goes bad again leaves it to tell. */
	if (!r && first <= REMAP_MEMBER_OFFSET && first + unit < nr_bytes) {
		r = write_and_compare(a, chunk + first, unit, first, error);
		first += unit;
	}
	if (!r && first < nr_bytes)
		r = write_and_compare(a, chunk + first, nr_bytes - first, first, error);
	return r;
}

/*
 * A sector that could not be read must not get something else as long as the set does not
 * count, for undoing it could not make it unreadable again: only what changes is written.
 */
static int hide_chunk(const struct create_request *a, const uint8_t *original, const uint8_t *chunk,
		      uint64_t main_chunk, uint8_t lost, size_t nr_bytes, struct error *error)
{
	size_t unit = lost ? (size_t)block_bytes(a->main_fd) : nr_bytes;
	int r = 0;

	for (size_t at = 0; !r && at < nr_bytes; at += unit)
		if (!lost || memcmp(original + at, chunk + at, unit))
			r = write_and_compare(a, chunk + at, unit,
					      main_chunk * REMAP_CHUNK_BYTES + at, error);
	return r;
}

static int hide(const struct create_request *a, const struct region_plan *plan,
		const struct remap_member_disk *header, bool *begun, struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	int r = chunk ? 0 : no_memory(error);

	for (uint32_t i = 0; !r && i < a->nr_chunks; i++) {
		const uint8_t *original = plan->data + (size_t)(1 + i) * REMAP_CHUNK_BYTES;
		uint8_t lost = plan->entry[1 + i].lost;
		uint64_t main_chunk = a->chunk[i];
		uint64_t sectors = a->main_sectors - main_chunk * REMAP_CHUNK_SECTORS;
		size_t nr_bytes = sectors < REMAP_CHUNK_SECTORS ? sectors * REMAP_SECTOR_BYTES :
								  REMAP_CHUNK_BYTES;

		memcpy(chunk, original, REMAP_CHUNK_BYTES);
		hide_in(a, &plan->super, header, main_chunk, chunk);
		/* chunk 0 is the first in the list, as it is sorted */
		r = main_chunk ? hide_chunk(a, original, chunk, main_chunk, lost, nr_bytes, error) :
				 hide_first(a, chunk, lost, nr_bytes, begun, error);
	}
	return r ? r : guard_check_hidden(a->main_path, a->main_fd, a->main_sectors, error);
}

/*
 * From a set that is being created to one that counts.  1: it failed, and so did putting the
 * flag back: the set may count or not, and is whole.
 */
static int finish(struct create_request *a, struct error *error)
{
	struct remap_super super;
	struct region region;
	int r = region_open(a->spare_fd, 0, a->spare_sectors, &region, error);

	if (r < 0)
		return r;
	super = region.super;
	super.flags &= ~REMAP_SUPER_CREATING;
	super.seq++;
	r = region_write_super(&region, &super, error);
	return r < 0 && region.in_doubt ? 1 : r;
}

/*
 * What could not be read in the first chunk has been written to, and that cannot be undone: it
 * is said, because it would not be noticed.
 */
static void tell_zeros(const struct set_handle *handle, struct error *error)
{
	char sectors[64];

	sector_ranges_text(&handle->zeroed, sectors, sizeof(sectors));
	if (handle->zeroed.nr)
		error_set(error, EIO,
			  "%.300s. Sectors %s, which could not be read before, are zeros now",
			  error->text, sectors);
}

/* Main as it was; the sentence of the failure stays, with what came of it if that fails. */
static int undo(struct create_request *a, bool begun, struct error *error)
{
	struct set_handle handle = SET_HANDLE_NONE;
	struct error why;
	int r_undo;

	handle.main_fd = a->main_fd;
	handle.spare_fd = a->spare_fd;
	snprintf(handle.main_path, sizeof(handle.main_path), "%s", a->main_path);
	snprintf(handle.spare_path, sizeof(handle.spare_path), "%s", a->spare_path);
	r_undo = region_open(a->spare_fd, 0, a->spare_sectors, &handle.region, &why);
	if (!r_undo)
		r_undo = region_read_table(&handle.region, &handle.table, NULL, NULL, &why);
	if (!r_undo)
		r_undo = release_undo_create(&handle, begun ? UNDO_OWN_BEGUN : UNDO_OWN, &why);
	if (!r_undo)
		tell_zeros(&handle, error);
	sector_ranges_done(&handle.zeroed);
	region_table_done(&handle.table);
	if (r_undo == 0)
		return 0;
	return error_set(error, -r_undo,
			 "%.200s; and it could not be undone: %.150s. Try again: dmremap activate "
			 "%s",
			 error->text, why.text, a->spare_path);
}

/* The set's first backup, before anything of main is overwritten: without it there is no set. */
static int write_backup(struct create_request *a, const struct remap_member_disk *header,
			struct error *error)
{
	_cleanup_backup_ struct backup backup = { 0 };
	struct region region;
	int r = region_open(a->spare_fd, 0, a->spare_sectors, &region, error);

	if (!r)
		r = backup_make(&region, -1, a->spare_identity, &backup, error);
	if (!r && backup.nr_unreadable)
		r = error_set(error, EIO, "%s does not give back what was written to it",
			      a->spare_path);
	if (!r && header) {
		remap_guard_encode(backup.header, a->uuid, a->main_sectors);
		memcpy(backup.header + REMAP_MEMBER_OFFSET, header, REMAP_MEMBER_BYTES);
		backup.has_header = true;
	}
	if (!r && !*a->backup_path)
		r = backup_default_path(a->uuid, a->backup_path, sizeof(a->backup_path), error);
	return r ? r : backup_write(&backup, a->backup_path, error);
}

/* Udev must know that main is hidden before there is a set whose main it is. */
static int mask(const struct create_request *a, bool complete, struct error *error)
{
	dev_t main = device_number(a->main_path);

	return a->guard || !main ? 0 : mask_write(a->uuid, main, complete, error);
}

/* Formatting failed: of a set without guard the superblock may be there all the same. */
static void forget(const struct create_request *a)
{
	struct region region;

	if (region_open(a->spare_fd, 0, a->spare_sectors, &region, NULL) == 0 &&
	    !memcmp(region.super.uuid, a->uuid, sizeof(a->uuid)))
		region_wipe(&region, NULL);
	mask_remove(a->uuid, NULL);
}

static int build(struct create_request *a, struct region_plan *plan, struct error *error)
{
	struct remap_member_disk header;
	bool begun = false, backed_up = false;
	int r = a->guard ? make_header(a, plan, &header, error) : 0;

	if (!r)
		r = mask(a, false, error);
	if (!r)
		r = format_spare(a, plan, error);
	if (r < 0) {
		forget(a);
		return r;
	}
	r = guard_check_hidden(a->spare_path, a->spare_fd, a->spare_sectors, error);
	if (!r)
		r = write_backup(a, a->guard ? &header : NULL, error);
	backed_up = !r;
	if (!r && a->guard)
		r = hide(a, plan, &header, &begun, error);
	if (!r)
		r = finish(a, error);
	if (!r)
		r = mask(a, true, error);
	if (r > 0)
		return error_set(error, EIO,
				 "%s: %.200s. dmremap activate %s uses the set or undoes it, "
				 "whichever is found",
				 a->spare_path, error->text, a->spare_path);
	if (!r)
		ioctl(a->main_fd, BLKRRPART); /* the raw disk's partitions are hidden, too */
	if (r < 0 && undo(a, begun, error) == 0 && backed_up)
		unlink(a->backup_path); /* of a set that there is not */
	return r;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The plan of an interrupted create, from the set that it has made. */
static int plan_again(struct create_request *a, const struct set_handle *set,
		      struct region_plan *plan, struct error *error)
{
	const struct region_table *table = &set->table;
	int r = 0;

	a->chunk = calloc(table->nr_slots, sizeof(*a->chunk));
	if (!a->chunk)
		return no_memory(error);
	for (uint32_t slot = 0; slot < table->nr_slots; slot++)
		if (table->entry[slot].state == REMAP_ENTRY_USED &&
		    table->entry[slot].cause == REMAP_CAUSE_GUARD)
			a->chunk[a->nr_chunks++] = table->entry[slot].main_chunk;
	qsort(a->chunk, a->nr_chunks, sizeof(*a->chunk), by_number);
	plan->super = set->region.super;
	plan->entry = calloc(1 + a->nr_chunks, sizeof(*plan->entry));
	plan->data = aligned_bytes((1 + a->nr_chunks) * (size_t)REMAP_CHUNK_BYTES);
	if (!plan->entry || !plan->data)
		return no_memory(error);
	for (uint32_t slot = 0; !r && slot < table->nr_slots; slot++)
		for (uint32_t i = 0; !r && i < a->nr_chunks; i++) {
			uint8_t *data = plan->data + (size_t)(1 + i) * REMAP_CHUNK_BYTES;

			if (table->entry[slot].state != REMAP_ENTRY_USED ||
			    table->entry[slot].cause != REMAP_CAUSE_GUARD ||
			    table->entry[slot].main_chunk != a->chunk[i])
				continue;
			plan->entry[1 + i] = table->entry[slot];
			r = read_all_at(a->spare_fd, data, REMAP_CHUNK_BYTES,
					handle_slot_offset(set, slot));
		}
	return r < 0 ? error_set(error, EIO, "%s: its slots cannot be read", a->spare_path) : 0;
}

/* What is hidden, found on main as it was. */
static int find_again(struct create_request *a, const struct region_plan *plan, struct error *error)
{
	_cleanup_free_ uint64_t *chunk = NULL;
	uint32_t nr_chunks = 0;
	int r = guard_look(a->main_fd, a->main_sectors, &a->places, error);

	for (uint32_t i = 0; !r && i < a->nr_chunks; i++)
		r = write_all_at(a->places.copy_fd,
				 plan->data + (size_t)(1 + i) * REMAP_CHUNK_BYTES,
				 REMAP_CHUNK_BYTES, (off_t)(a->chunk[i] * REMAP_CHUNK_BYTES));
	if (!r)
		r = guard_plan_of_copy(&a->places, &a->plan, error);
	if (!r && guard_plan_chunks(&a->plan, &chunk, &nr_chunks) < 0)
		r = no_memory(error);
	if (!r &&
	    (nr_chunks != a->nr_chunks || memcmp(chunk, a->chunk, nr_chunks * sizeof(*chunk)) != 0))
		r = error_set(error, EBUSY,
			      "%s shows something else than when the set was made: dmremap "
			      "release %s gives it back what it had",
			      a->main_path, a->spare_path);
	return r;
}

int create_complete(struct set_handle *set, struct error *error)
{
	struct create_request a = {
		.main_path = set->main_path,
		.spare_path = set->spare_path,
		.guard = true,
		.main_fd = set->main_fd,
		.spare_fd = set->spare_fd,
		.main_sectors = set->region.super.main_sectors,
		.places = PLACES_NONE,
		.spare_places = PLACES_NONE,
	};
	struct region_plan plan = { 0 };
	struct remap_member_disk header;
	uint64_t nr_bytes = 0;
	bool begun;
	int r = device_bytes(a.spare_fd, &nr_bytes);

	a.spare_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	identity_of_device(device_number(a.spare_path), a.spare_identity);
	if (!r)
		r = plan_again(&a, set, &plan, error);
	if (!r)
		r = find_again(&a, &plan, error);
	if (!r)
		r = make_header(&a, &plan, &header, error);
	if (!r)
		r = hide(&a, &plan, &header, &begun, error);
	if (!r)
		r = finish(&a, error);
	if (r > 0)
		r = -EIO;
	if (!r)
		ioctl(a.main_fd, BLKRRPART);
	free(plan.entry);
	free(plan.data);
	looked_done(&a);
	return r;
}

int create_set(struct create_request *a, struct error *error)
{
	struct region_plan plan = { 0 };
	int r;

	if (*a->spare_content && !a->wipe_spare)
		return error_set(error, EPERM,
				 "%s holds %s: --wipe-spare makes it the spare all the same",
				 a->spare_path, a->spare_content);
	r = create_check_unreadable(a, error);
	if (!r)
		r = find_probe_chunk(a, true, error);
	if (!r)
		r = make_plan(a, &plan, error);
	if (!r)
		r = build(a, &plan, error);
	free(plan.entry);
	free(plan.data);
	return r;
}
