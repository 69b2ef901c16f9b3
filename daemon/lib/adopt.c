// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a crash leaves between the steps of release (create: create.c):
 *
 *   while copying entries back	  the set, whole: its map still counts, main only has copies
 *   after the flag is committed  main hidden, the kernel refuses: completed by adopt_mend()
 *   while writing back		  sector 0 is still the guard's (or marks are left): the same,
 *				  all of it again, and nobody can have mistaken main for a disk
 *   after sector 0		  a plain disk; only wiping is left.  What is written to the disk
 *				  from now on is never touched: mend looks at sector 0 first
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "adopt.h"
#include "guard.h"
#include "identity.h"

/* How far from its end a device is searched for the probe chunk. */
#define PROBE_SEARCH_CHUNKS 256

static uint8_t *chunk_buffer(void)
{
	return aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
}

static int no_memory(struct error *error)
{
	return error_set(error, ENOMEM, "out of memory");
}

/* "sda1 is held by dm-3" for people: the first holder that sysfs knows. */
static void holder_of(const char *path, char *text, size_t nr_bytes)
{
	_cleanup_closedir_ DIR *directory = NULL;
	dev_t devno = device_number(path);
	char holders[64];
	struct dirent *at;

	snprintf(holders, sizeof(holders), "/sys/dev/block/%u:%u/holders", major(devno),
		 minor(devno));
	*text = '\0';
	directory = opendir(holders);
	while (directory && (at = readdir(directory)))
		if (*at->d_name != '.')
			snprintf(text, nr_bytes, " by %s", at->d_name);
}

int open_exclusive(const char *path, struct error *error)
{
	bool device = device_number(path) != 0;
	int fd = open_direct(path, O_RDWR | (device ? O_EXCL : 0));
	char holder[280];

	if (fd >= 0)
		return fd;
	if (fd != -EBUSY)
		return error_set(error, -fd, "%s: cannot open it: %s", path, strerror(-fd));
	holder_of(path, holder, sizeof(holder));
	return error_set(error, EBUSY,
			 "%s is in use%s (mounted, swap, or part of something): stop that first",
			 path, holder);
}

static int check_age(struct adopted *a, struct error *error)
{
	const struct remap_super *super = &a->region.super;
	uint64_t seq = 0;
	int r;

	if (!(super->flags & REMAP_SUPER_MARKED))
		return 0;
	r = mark_read(a->main_fd, super->probe_chunk, super->uuid, &seq);
	/* a release may have been past it */
	if (r == -ENODATA && super->flags & REMAP_SUPER_RELEASING)
		return 0;
	if (r == -ENODATA)
		return error_set(error, ENODEV, "%s is not the main device of the set on %s",
				 a->main_path, a->spare_path);
	if (r < 0)
		return error_set(error, EIO,
				 "%s: sector %" PRIu64
				 ", which says what set it belongs to, cannot "
				 "be read",
				 a->main_path, (uint64_t)super->probe_chunk * REMAP_CHUNK_SECTORS);
	if (seq > a->table.generation)
		return error_set(
			error, ESTALE,
			"%s is an older copy of the spare: it does not know all remaps of %s",
			a->spare_path, a->main_path);
	return 0;
}

static int open_spare(struct adopted *a, struct error *error)
{
	uint64_t nr_bytes;
	struct error why;
	int r = device_bytes(a->spare_fd, &nr_bytes);

	if (r < 0)
		return error_set(error, -r, "%s: cannot read its size", a->spare_path);
	r = region_open(a->spare_fd, 0, nr_bytes / REMAP_SECTOR_BYTES, &a->region, &why);
	if (!r)
		r = region_read_table(&a->region, &a->table, NULL, NULL, &why);
	if (r < 0)
		return error_set(error, -r, "%s: %s", a->spare_path, why.text);
	if (a->table.nr_unloadable || a->table.nr_contradictions)
		return error_set(error, EUCLEAN,
				 "%s: its metadata is damaged (see dmremap check): where data is "
				 "cannot be known",
				 a->spare_path);
	return 0;
}

int adopt_open(const char *main_path, const char *spare_path, int flags, struct adopted *a,
	       struct error *error)
{
	uint64_t nr_bytes;
	int r;

	memset(a, 0, sizeof(*a));
	a->main_fd = -1;
	a->spare_fd = -1;
	snprintf(a->main_path, sizeof(a->main_path), "%s", main_path);
	snprintf(a->spare_path, sizeof(a->spare_path), "%s", spare_path);
	if (flags == O_RDWR) {
		a->main_fd = open_exclusive(main_path, error);
		a->spare_fd = a->main_fd < 0 ? a->main_fd : open_exclusive(spare_path, error);
		r = a->spare_fd;
	} else {
		a->main_fd = open_direct(main_path, flags);
		a->spare_fd = a->main_fd < 0 ? a->main_fd : open_direct(spare_path, flags);
		r = a->spare_fd;
		if (r < 0)
			error_set(error, -r, "%s: cannot open it: %s",
				  a->main_fd < 0 ? main_path : spare_path, strerror(-r));
	}
	if (r < 0)
		return r;
	r = open_spare(a, error);
	if (!r)
		r = device_bytes(a->main_fd, &nr_bytes);
	if (!r && nr_bytes / REMAP_SECTOR_BYTES < a->region.super.main_sectors)
		return error_set(error, EINVAL, "%s is shorter than the main device of the set",
				 main_path);
	return r < 0 ? r : check_age(a, error);
}

void adopt_close(struct adopted *a)
{
	region_table_done(&a->table);
	close_p(&a->main_fd);
	close_p(&a->spare_fd);
	a->main_fd = -1;
	a->spare_fd = -1;
}

static off_t slot_offset(const struct adopted *a, uint32_t slot)
{
	return (off_t)((a->region.start + remap_slot_sector(&a->region.super.geometry, slot)) *
		       REMAP_SECTOR_BYTES);
}

static int durable(int fd, const char *path, struct error *error)
{
	return fsync(fd) < 0 ?
		       error_set(error, errno, "%s: flushing failed: %s", path, strerror(errno)) :
		       0;
}

/* Smallest piece of main that can be written: the first one of chunk 0 decides. */
static uint32_t logical_bytes(int fd)
{
	int nr_bytes = REMAP_SECTOR_BYTES;

	if (ioctl(fd, BLKSSZGET, &nr_bytes) < 0 || nr_bytes < REMAP_SECTOR_BYTES ||
	    nr_bytes > REMAP_CHUNK_BYTES)
		return REMAP_SECTOR_BYTES;
	return (uint32_t)nr_bytes;
}

static bool sector0_is_ours(int main_fd, const uint8_t *uuid, uint8_t *buffer)
{
	uint8_t found[16];

	return read_all_at(main_fd, buffer, REMAP_CHUNK_BYTES, 0) == 0 &&
	       remap_guard_check(buffer, found, 0) != REMAP_BAD_MAGIC && !memcmp(found, uuid, 16);
}

static bool holds(int fd, const uint8_t *data, size_t nr_bytes, off_t at)
{
	_cleanup_free_ uint8_t *held = chunk_buffer();

	return held && read_all_at(fd, held, nr_bytes, at) == 0 && !memcmp(held, data, nr_bytes);
}

static int complete(struct adopted *a, uint8_t *buffer, off_t at, uint32_t first, uint32_t unit,
		    uint8_t mask)
{
	_cleanup_free_ uint8_t *held = chunk_buffer();
	uint32_t from = first * REMAP_SECTOR_BYTES;
	int r = held ? 0 : -ENOMEM;

	if (!r)
		r = read_all_at(a->main_fd, held, unit * REMAP_SECTOR_BYTES, at + from);
	for (uint32_t i = 0; !r && i < unit; i++)
		if (!(mask & 1U << (first + i)))
			memcpy(buffer + from + i * REMAP_SECTOR_BYTES,
			       held + i * REMAP_SECTOR_BYTES, REMAP_SECTOR_BYTES);
	return r;
}

/*
 * The sectors of @mask of one slot to main.  On a disk with larger blocks a block of which
 * only a part is to be written is completed with what main holds.
 */
static int write_back(struct adopted *a, uint32_t slot, uint8_t *buffer, uint8_t mask,
		      struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	off_t at = (off_t)(entry->main_chunk * REMAP_CHUNK_BYTES);
	uint32_t unit = logical_bytes(a->main_fd) / REMAP_SECTOR_BYTES;

	if (read_all_at(a->spare_fd, buffer, REMAP_CHUNK_BYTES, slot_offset(a, slot)) < 0)
		return error_set(error, EIO, "%s: slot %u cannot be read", a->spare_path, slot);
	for (uint32_t i = 0; i < REMAP_CHUNK_SECTORS; i += unit) {
		uint8_t wanted = (uint8_t)(((1U << unit) - 1) << i);

		if (!(mask & wanted))
			continue;
		if ((mask & wanted) != wanted && complete(a, buffer, at, i, unit, mask) < 0)
			return error_set(error, EIO, "%s: sector %" PRIu64 " cannot be read",
					 a->main_path,
					 (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS + i);
		/* where nothing can be written, what is there may still be right */
		if (write_all_at(a->main_fd, buffer + i * REMAP_SECTOR_BYTES,
				 unit * REMAP_SECTOR_BYTES, at + i * REMAP_SECTOR_BYTES) < 0 &&
		    !holds(a->main_fd, buffer + i * REMAP_SECTOR_BYTES, unit * REMAP_SECTOR_BYTES,
			   at + i * REMAP_SECTOR_BYTES))
			return error_set(error, EBUSY,
					 "%s: sector %" PRIu64 " still cannot be written: it is "
					 "served by the spare, and the disk cannot do without",
					 a->main_path,
					 (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS + i);
	}
	return 0;
}

static int compare_back(struct adopted *a, uint32_t slot, uint8_t mask, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	_cleanup_free_ uint8_t *wanted = chunk_buffer(), *got = chunk_buffer();
	uint32_t unit = logical_bytes(a->main_fd) / REMAP_SECTOR_BYTES;

	if (!wanted || !got)
		return no_memory(error);
	if (read_all_at(a->spare_fd, wanted, REMAP_CHUNK_BYTES, slot_offset(a, slot)) < 0)
		return error_set(error, EIO, "%s: slot %u cannot be read", a->spare_path, slot);
	for (uint32_t i = 0; i < REMAP_CHUNK_SECTORS; i += unit) {
		uint32_t nr_bytes = unit * REMAP_SECTOR_BYTES, from = i * REMAP_SECTOR_BYTES;
		bool same = read_all_at(a->main_fd, got + from, nr_bytes,
					(off_t)(entry->main_chunk * REMAP_CHUNK_BYTES + from)) == 0;

		for (uint32_t s = i; same && s < i + unit; s++)
			same = !(mask & 1U << s) ||
			       !memcmp(got + s * REMAP_SECTOR_BYTES,
				       wanted + s * REMAP_SECTOR_BYTES, REMAP_SECTOR_BYTES);
		if (!same && mask & ((1U << unit) - 1) << i)
			return error_set(error, EBUSY,
					 "%s: sector %" PRIu64 " does not hold what is written to "
					 "it: it is served by the spare, and the disk cannot do "
					 "without",
					 a->main_path,
					 (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS + i);
	}
	return 0;
}

static bool is_hidden(const struct remap_entry *entry)
{
	return entry->cause == REMAP_CAUSE_GUARD || entry->cause == REMAP_CAUSE_PROBE;
}

typedef int (*entry_f)(struct adopted *a, uint32_t slot, uint8_t *buffer, struct error *error);

static int for_each_used(struct adopted *a, bool hidden, entry_f f, struct error *error)
{
	_cleanup_free_ uint8_t *buffer = chunk_buffer();
	int r = buffer ? 0 : no_memory(error);

	for (uint32_t slot = 0; !r && slot < a->table.nr_slots; slot++)
		if (a->table.entry[slot].state == REMAP_ENTRY_USED &&
		    is_hidden(&a->table.entry[slot]) == hidden)
			r = f(a, slot, buffer, error);
	return r;
}

static int refuse_lost(struct adopted *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];

	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
		if (entry->lost & 1U << i)
			return error_set(error, EBUSY,
					 "sector %" PRIu64 " is lost: its content is nowhere, and "
					 "main would return something older; write it through the "
					 "device first",
					 (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS + i);
	return 0;
}

static int copy_entry_back(struct adopted *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	return write_back(a, slot, buffer, a->table.entry[slot].redirected, error);
}

static int compare_entry(struct adopted *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	return compare_back(a, slot, a->table.entry[slot].redirected, error);
}

/* All hidden chunks but chunk 0. */
static int restore_hidden(struct adopted *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	if (!a->table.entry[slot].main_chunk)
		return 0;
	return write_back(a, slot, buffer, a->table.entry[slot].redirected, error);
}

/* Sectors 1 to 7, durably, and only then sector 0. */
static int restore_chunk0(struct adopted *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	uint8_t first = (uint8_t)((1U << logical_bytes(a->main_fd) / REMAP_SECTOR_BYTES) - 1);
	int r;

	if (a->table.entry[slot].main_chunk)
		return 0;
	r = write_back(a, slot, buffer, (uint8_t)~first, error);
	if (!r)
		r = durable(a->main_fd, a->main_path, error);
	if (!r)
		r = write_back(a, slot, buffer, first, error);
	return r ? r : durable(a->main_fd, a->main_path, error);
}

/* Without a guard only what carries the mark is ours to overwrite. */
static int restore_marked(struct adopted *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	off_t at = (off_t)(entry->main_chunk * REMAP_CHUNK_BYTES);
	uint32_t unit = logical_bytes(a->main_fd) / REMAP_SECTOR_BYTES;
	uint8_t mask = 0;

	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		uint32_t from = i / unit * unit * REMAP_SECTOR_BYTES;

		/* a sector that cannot be read is nobody's yet */
		if (read_all_at(a->main_fd, buffer, unit * REMAP_SECTOR_BYTES, at + from) < 0 ||
		    remap_probe_check_sector(buffer + (i % unit) * REMAP_SECTOR_BYTES, i,
					     a->region.super.uuid, NULL, NULL) == REMAP_OK)
			mask |= (uint8_t)(1U << i);
	}
	return write_back(a, slot, buffer, mask & entry->redirected, error);
}

static bool has_guard(const struct adopted *a)
{
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (a->table.entry[slot].state == REMAP_ENTRY_USED &&
		    a->table.entry[slot].cause == REMAP_CAUSE_GUARD &&
		    !a->table.entry[slot].main_chunk)
			return true;
	return false;
}

/* From what the set hides to a plain disk; may be repeated until it has ended. */
static int uncover(struct adopted *a, struct error *error)
{
	_cleanup_free_ uint8_t *buffer = chunk_buffer();
	int r = buffer ? 0 : no_memory(error);

	if (!r && !has_guard(a)) {
		r = for_each_used(a, true, restore_marked, error);
	} else if (!r && sector0_is_ours(a->main_fd, a->region.super.uuid, buffer)) {
		r = for_each_used(a, true, restore_hidden, error);
		if (!r)
			r = durable(a->main_fd, a->main_path, error);
		if (!r)
			r = for_each_used(a, true, restore_chunk0, error);
	}
	if (!r)
		r = durable(a->main_fd, a->main_path, error);
	if (!r)
		r = region_wipe(&a->region, error);
	if (!r)
		ioctl(a->main_fd, BLKRRPART); /* a whole disk may have partitions again */
	return r;
}

int adopt_undo_create(struct adopted *a, struct error *error)
{
	/* the probe chunk's raw place was not touched: the kernel writes the mark */
	return uncover(a, error);
}

int adopt_release(struct adopted *a, struct error *error)
{
	struct remap_super super = a->region.super;
	int r;

	if (!(super.flags & REMAP_SUPER_RELEASING)) {
		r = for_each_used(a, false, refuse_lost, error);
		if (!r)
			r = for_each_used(a, true, refuse_lost, error);
		if (!r)
			r = for_each_used(a, false, copy_entry_back, error);
		if (!r)
			r = durable(a->main_fd, a->main_path, error);
		if (!r)
			r = for_each_used(a, false, compare_entry, error);
		if (r < 0)
			return r;
		super.flags |= REMAP_SUPER_RELEASING;
		super.seq = a->table.generation + 1;
		r = region_write_super(&a->region, &super, error);
		if (r < 0)
			return r;
	}
	return uncover(a, error);
}

/* The device that the set recorded, when it is here without being a member. */
static bool find_recorded_main(const struct member *spare, char *path, size_t nr_bytes)
{
	_cleanup_closedir_ DIR *directory = opendir("/sys/class/block");
	unsigned int nr_found = 0;
	struct dirent *at;

	while (*spare->recorded && directory && (at = readdir(directory))) {
		char node[300], identity[REMAP_IDENTITY_BYTES];
		dev_t devno;

		snprintf(node, sizeof(node), "/dev/%s", at->d_name);
		devno = device_number(node);
		if (*at->d_name == '.' || !devno || devno == spare->devno)
			continue;
		identity_of_device(devno, identity);
		if (!identity_matches(identity, spare->recorded))
			continue;
		snprintf(path, nr_bytes, "%s", node);
		nr_found++;
	}
	return nr_found == 1;
}

int adopt_mend(const struct machine *machine, const struct assembly *set, struct error *error)
{
	_cleanup_(adopt_close) struct adopted adopted = ADOPTED_NONE;
	const struct member *spare = &machine->members[set->spare];
	bool creating = spare->flags & REMAP_SUPER_CREATING;
	char main_path[300];
	int r;

	if (set->main >= 0)
		snprintf(main_path, sizeof(main_path), "%s", machine->members[set->main].path);
	else if (!find_recorded_main(spare, main_path, sizeof(main_path)))
		return error_set(error, EAGAIN,
				 "%s: %s, and its main device is not here or is not recognised; "
				 "attach it, or, if it is a plain disk again, free the spare with: "
				 "dmremap release --without-main %s",
				 set->name, set->reason, spare->path);
	r = adopt_open(main_path, spare->path, O_RDWR, &adopted, error);
	if (!r)
		r = creating ? adopt_undo_create(&adopted, error) : adopt_release(&adopted, error);
	if (r < 0)
		return r;
	return error_set(error, ECANCELED, "%s: %s; that was %s: %s is a plain disk%s", set->name,
			 set->reason, creating ? "undone" : "completed", main_path,
			 creating ? " as before" : "");
}

/*
 * Without the spare.  The header is the only copy of what it hides, so it goes to the raw
 * place of the probe chunk (ours anyway) before chunk 0 is overwritten:
 *
 *   until the copy is durable	the guarded main, nothing done
 *   afterwards			found by its magic in chunk 0 or in the copy: done again
 *   after sector 0		a plain disk with the copy in the probe chunk; it is zeroed
 */
static int find_probe(int fd, uint64_t main_sectors, const uint8_t *uuid, uint8_t *buffer,
		      uint64_t *chunk, bool *copied)
{
	uint64_t last = main_sectors / REMAP_CHUNK_SECTORS, found = UINT64_MAX;
	uint8_t own[16];

	*copied = false;
	for (uint64_t i = 1; i <= PROBE_SEARCH_CHUNKS && i < last; i++) {
		if (read_all_at(fd, buffer, REMAP_CHUNK_BYTES,
				(off_t)((last - i) * REMAP_CHUNK_BYTES)) < 0)
			continue;
		if (remap_guard_check(buffer, own, main_sectors) != REMAP_BAD_MAGIC &&
		    remap_member_check(buffer + REMAP_MEMBER_OFFSET, own) == REMAP_OK) {
			*chunk = last - i;
			*copied = true;
			return 0;
		}
		for (unsigned int s = 0; uuid && s < REMAP_CHUNK_SECTORS; s++)
			if (found == UINT64_MAX &&
			    remap_probe_check_sector(buffer + s * REMAP_SECTOR_BYTES, s, uuid, NULL,
						     NULL) == REMAP_OK)
				found = last - i;
	}
	*chunk = found;
	return found == UINT64_MAX ? -ENODATA : 0;
}

static int restore_ranges(int fd, const struct remap_member_disk *header, uint8_t *buffer)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < le16_to_cpu(header->nr_hidden); i++) {
		const uint8_t *original;
		uint64_t offset;
		uint32_t nr_bytes;

		guard_header_range(header, i, &offset, &nr_bytes, &original);
		for (uint32_t b = 0; !r && b < nr_bytes;) {
			uint64_t chunk = (offset + b) / REMAP_CHUNK_BYTES;
			uint32_t in = (uint32_t)((offset + b) % REMAP_CHUNK_BYTES);
			uint32_t nr = REMAP_CHUNK_BYTES - in < nr_bytes - b ?
					      REMAP_CHUNK_BYTES - in :
					      nr_bytes - b;
			uint32_t unit = logical_bytes(fd);
			uint32_t from = in / unit * unit;
			uint32_t to = (in + nr + unit - 1) / unit * unit;
			off_t at = (off_t)(chunk * REMAP_CHUNK_BYTES + from);

			r = read_all_at(fd, buffer, to - from, at);
			if (!r) {
				memcpy(buffer + in - from, original + b, nr);
				r = write_all_at(fd, buffer, to - from, at);
			}
			b += nr;
		}
	}
	return r;
}

static int write_from_header(int fd, const uint8_t *guarded, uint8_t *buffer)
{
	const struct remap_member_disk *header = (const void *)(guarded + REMAP_MEMBER_OFFSET);
	uint32_t unit = logical_bytes(fd);
	int r = restore_ranges(fd, header, buffer);

	if (!r)
		r = guard_header_chunk0(header, buffer);
	if (!r && unit < REMAP_CHUNK_BYTES)
		r = write_all_at(fd, buffer + unit, REMAP_CHUNK_BYTES - unit, unit);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r)
		r = write_all_at(fd, buffer, unit, 0);
	if (!r && fsync(fd) < 0)
		r = -errno;
	return r;
}

int adopt_release_without_spare(const char *main_path, struct stale_release *result,
				struct error *error)
{
	_cleanup_free_ uint8_t *guarded = chunk_buffer(), *buffer = chunk_buffer();
	_cleanup_close_ int fd = open_exclusive(main_path, error);
	uint64_t nr_bytes = 0, nr_sectors, probe_chunk;
	uint8_t uuid[16];
	bool whole, copied;
	int r;

	if (fd < 0)
		return fd;
	if (!guarded || !buffer)
		return no_memory(error);
	r = device_bytes(fd, &nr_bytes);
	nr_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	if (!r)
		r = read_all_at(fd, guarded, REMAP_CHUNK_BYTES, 0);
	if (r < 0)
		return error_set(error, -r, "%s: the first chunk cannot be read", main_path);
	whole = remap_guard_check(guarded, uuid, nr_sectors) != REMAP_BAD_MAGIC &&
		remap_member_check(guarded + REMAP_MEMBER_OFFSET, uuid) == REMAP_OK;
	r = find_probe(fd, nr_sectors, whole ? uuid : NULL, buffer, &probe_chunk, &copied);
	result->lost_chunk = probe_chunk;
	if (!whole && !copied)
		return error_set(error, ENODATA, "%s: it has no member header of dm-remap",
				 main_path);
	if (whole && r == 0) { /* an older copy, of a life before, is overwritten */
		r = write_all_at(fd, guarded, REMAP_CHUNK_BYTES,
				 (off_t)(probe_chunk * REMAP_CHUNK_BYTES));
		if (!r && fsync(fd) < 0)
			r = -errno;
		if (r < 0)
			return error_set(error, -r, "%s: cannot be written: %s", main_path,
					 strerror(-r));
	} else if (!whole) {
		memcpy(guarded, buffer, REMAP_CHUNK_BYTES);
	}
	r = write_from_header(fd, guarded, buffer);
	if (!r && probe_chunk != UINT64_MAX) {
		memset(buffer, 0, REMAP_CHUNK_BYTES);
		r = write_all_at(fd, buffer, REMAP_CHUNK_BYTES,
				 (off_t)(probe_chunk * REMAP_CHUNK_BYTES));
		if (!r && fsync(fd) < 0)
			r = -errno;
	}
	return r < 0 ? error_set(error, -r, "%s: cannot be written: %s", main_path, strerror(-r)) :
		       0;
}
