// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both members of an inactive set, open; and what they say of an interrupted create or release.
 * Changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "set/handle.h"
#include "set/scan.h"
#include "system/dm.h"
#include "system/identity.h"
#include "util/process.h"

/* The name of the set whose mapped device @node ("dm-3") is; false: it is none. */
static bool is_set(const char *node, char *name, size_t nr_name)
{
	_cleanup_free_ char *uuid = NULL, *line = NULL;
	char path[340];
	size_t nr_bytes;

	snprintf(path, sizeof(path), "/sys/class/block/%s/dm/uuid", node);
	if (read_file(path, &uuid, &nr_bytes) < 0 ||
	    strncmp(uuid, DM_UUID_PREFIX, strlen(DM_UUID_PREFIX)))
		return false;
	snprintf(path, sizeof(path), "/sys/class/block/%s/dm/name", node);
	if (read_file(path, &line, &nr_bytes) < 0)
		return false;
	foreign_escape(line, strcspn(line, "\n"), name, nr_name);
	return true;
}

/* "sda1 is held by dm-3" for people: the last holder that sysfs knows. */
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
			snprintf(text, nr_bytes, "%s", at->d_name);
}

/*
 * Whether it is another dmremap, and has the device open for writing, as only one that holds it
 * has: links are read, no file is looked at.
 */
static bool is_command_with(const char *pid, const void *userdata)
{
	_cleanup_closedir_ DIR *directory = NULL;
	_cleanup_free_ char *name = NULL;
	char path[512], target[512];
	struct dirent *fd;

	if (strtol(pid, NULL, 10) == getpid())
		return false;
	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	if (read_file(path, &name, NULL) < 0 || !streq(name, "dmremap\n"))
		return false;
	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	directory = opendir(path);
	while (directory && (fd = readdir(directory))) {
		struct stat link;
		ssize_t n = readlinkat(dirfd(directory), fd->d_name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		if (streq(target, userdata) &&
		    fstatat(dirfd(directory), fd->d_name, &link, AT_SYMLINK_NOFOLLOW) == 0 &&
		    link.st_mode & S_IWUSR)
			return true;
	}
	return false;
}

static int tell_user_of(const char *path, struct error *error)
{
	char holder[280], name[FOREIGN_TEXT_BYTES(128)], node[64], process[200];

	holder_of(path, holder, sizeof(holder));
	if (is_set(holder, name, sizeof(name)))
		return error_set(
			error, EBUSY,
			"%s is in use by the active set %s; run dmremap deactivate %s first", path,
			name, name);
	device_path(device_number(path), node, sizeof(node));
	if (!*holder && process_find(is_command_with, node, process, sizeof(process)))
		return error_set(error, EAGAIN, "%s is in use by %s; try again when that has ended",
				 path, process);
	return error_set(error, EBUSY,
			 "%s is in use%s%s (mounted, swap, or part of another device); stop using "
			 "it first",
			 path, *holder ? " by " : "", holder);
}

/* @read_only: not NULL: it need not take writes. */
static int open_held(const char *path, bool *read_only, struct error *error)
{
	bool device = device_number(path) != 0;
	int fd = open_direct(path, O_RDWR | (device ? O_EXCL : 0)), protected = 0;

	if (read_only) {
		*read_only = fd == -EROFS || fd == -EACCES ||
			     (fd >= 0 && ioctl(fd, BLKROGET, &protected) == 0 && protected);
		if (fd < 0 && *read_only)
			fd = open_direct(path, O_RDONLY | (device ? O_EXCL : 0));
	}

	if (fd >= 0 && (device || flock(fd, LOCK_EX | LOCK_NB) == 0))
		return fd;
	if (fd >= 0) {
		close(fd);
		return error_set(error, EBUSY, "%s is in use by another process", path);
	}
	if (fd != -EBUSY)
		return error_set(error, -fd, "%s: cannot open it: %s", path, strerror(-fd));
	tell_user_of(path, error);
	return -EBUSY;
}

int open_exclusive(const char *path, struct error *error)
{
	return open_held(path, NULL, error);
}

int device_is_free(const char *path, struct error *error)
{
	/* for reading: what was open for writing is a "change" for udev, which activates again */
	_cleanup_close_ int fd = open_direct(path, O_RDONLY | O_EXCL);

	return fd == -EBUSY ? tell_user_of(path, error) : 0;
}

off_t handle_slot_offset(const struct set_handle *a, uint32_t slot)
{
	return (off_t)((a->region.start + remap_slot_sector(&a->region.super.geometry, slot)) *
		       REMAP_SECTOR_BYTES);
}

uint8_t handle_read_slot(const struct set_handle *a, uint32_t slot, uint8_t *chunk)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	uint32_t unit = logical_bytes(a->spare_fd);
	off_t at = handle_slot_offset(a, slot);
	uint8_t unreadable = 0;

	if (read_all_at(a->spare_fd, chunk, REMAP_CHUNK_BYTES, at) == 0)
		return 0;
	for (uint32_t from = 0; from < REMAP_CHUNK_BYTES; from += unit) {
		if (read_all_at(a->spare_fd, chunk + from, unit, at + from) == 0)
			continue;
		memset(chunk + from, 0, unit);
		for (uint32_t b = from; b < from + unit; b += REMAP_SECTOR_BYTES)
			unreadable |= 1U << b / REMAP_SECTOR_BYTES;
	}
	return unreadable & entry->redirected & (uint8_t)~entry->lost;
}

static bool is_used(const struct set_handle *a, uint32_t slot)
{
	return a->table.entry[slot].state == REMAP_ENTRY_USED;
}

bool handle_has_guard(const struct set_handle *a)
{
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (is_used(a, slot) && a->table.entry[slot].cause == REMAP_CAUSE_GUARD &&
		    !a->table.entry[slot].main_chunk)
			return true;
	return false;
}

uint8_t handle_first_lost(const struct set_handle *a)
{
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (is_used(a, slot) && a->table.entry[slot].cause == REMAP_CAUSE_GUARD &&
		    !a->table.entry[slot].main_chunk)
			return a->table.entry[slot].lost;
	return 0;
}

int handle_is_marked(const struct set_handle *a)
{
	const struct remap_super *super = &a->region.super;
	struct remap_mark mark;
	int r = mark_read(a->main_fd, super->probe_chunk, super->uuid, &mark);

	return r == 0 ? 1 : r == -ENODATA ? 0 : r;
}

int handle_sector0_is_ours(const struct set_handle *a)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	const struct remap_block_header *header = (const void *)(chunk + REMAP_MEMBER_OFFSET);
	uint32_t unit = logical_bytes(a->main_fd);
	uint8_t uuid[REMAP_UUID_BYTES];

	if (!chunk)
		return -ENOMEM;
	if (read_all_at(a->main_fd, chunk, unit, 0) == 0)
		return remap_guard_check(chunk, uuid, 0) != REMAP_BAD_MAGIC &&
		       !memcmp(uuid, a->region.super.uuid, sizeof(uuid));
	/* the header is written after sector 0 and goes before it does */
	if (unit == REMAP_MEMBER_OFFSET &&
	    read_all_at(a->main_fd, chunk + unit, REMAP_SECTOR_BYTES, unit) == 0 &&
	    !memcmp(header->magic, REMAP_MAGIC_MEMBER, REMAP_MAGIC_BYTES) &&
	    !memcmp(header->uuid, a->region.super.uuid, sizeof(uuid)))
		return 1;
	return -EIO;
}

static int cannot_know(const struct set_handle *a, const char *what, struct error *error)
{
	return error_set(error, EIO,
			 "%s: %s cannot be read, so it is not known whether its content was "
			 "restored already; nothing was changed. If it is a plain disk, run "
			 "dmremap release --without-main %s",
			 a->main_path, what, a->spare_path);
}

int handle_is_due(const struct set_handle *a, struct error *error)
{
	bool table_lost = a->table.nr_unloadable || a->table.nr_contradictions;
	int ours = handle_sector0_is_ours(a), marked;

	if (ours == -ENOMEM)
		return no_memory(error);
	if (ours == 1)
		return 1;
	/* create writes sector 0 first: one that could not be read before, and cannot now, was not */
	if (ours < 0 && a->region.super.flags & REMAP_SUPER_CREATING && handle_first_lost(a))
		return 0;
	marked = a->region.super.flags & REMAP_SUPER_MARKED ? handle_is_marked(a) : 0;
	if (marked == 1) {
		/* the mark goes before sector 0 does */
		if (ours == 0 && handle_has_guard(a))
			return error_set(error, EEXIST,
					 "%s: its first sector was overwritten before its content "
					 "was restored; nothing was changed. To access the "
					 "content, run dmremap activate --fallback %s; to give it "
					 "up, run dmremap release --without-main %s",
					 a->main_path, a->spare_path, a->spare_path);
		return 1;
	}
	if (ours < 0 && (handle_has_guard(a) || table_lost))
		return cannot_know(a, "its first sector", error);
	if (marked < 0 && !handle_has_guard(a))
		return cannot_know(a, "the place of its mark", error);
	return 0;
}

static int check_kept(const struct set_handle *a, uint32_t slot, bool *same, struct error *error)
{
	_cleanup_free_ uint8_t *raw = aligned_bytes(REMAP_CHUNK_BYTES);
	_cleanup_free_ uint8_t *kept = aligned_bytes(REMAP_CHUNK_BYTES);
	const struct remap_entry *entry = &a->table.entry[slot];
	uint8_t mask = entry->redirected & (uint8_t)~entry->lost, unreadable;

	if (!raw || !kept)
		return no_memory(error);
	if (places_read_chunk(a->main_fd, entry->main_chunk, a->region.super.main_sectors, raw,
			      &unreadable) < 0 ||
	    mask & unreadable)
		return cannot_know(a, "what it held when the set was made", error);
	if (read_all_at(a->spare_fd, kept, REMAP_CHUNK_BYTES, handle_slot_offset(a, slot)) < 0)
		return error_set(error, EIO, "%s: slot %u cannot be read", a->spare_path, slot);
	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
		if (mask & 1U << i)
			*same &= !memcmp(raw + i * REMAP_SECTOR_BYTES,
					 kept + i * REMAP_SECTOR_BYTES, REMAP_SECTOR_BYTES);
	return 0;
}

int handle_check_main(const struct set_handle *a, struct error *error)
{
	char identity[REMAP_IDENTITY_BYTES], recorded[REMAP_IDENTITY_BYTES + 1];
	bool same;
	int r = 0;

	if (a->any_hardware)
		return 0;
	identity_of_device(device_number(a->main_path), identity);
	snprintf(recorded, sizeof(recorded), "%.*s", REMAP_IDENTITY_BYTES,
		 a->region.super.identity);
	if (identity_agrees(identity, recorded))
		return 0;
	same = !identity_matches(identity, recorded) && !identity_contradicts(identity, recorded);
	/* what is kept may be gone already, and main has it */
	if (same && region_is_half_wiped(&a->region))
		return 0;
	for (uint32_t slot = 0; !r && same && slot < a->table.nr_slots; slot++) {
		const struct remap_entry *entry = &a->table.entry[slot];

		if (is_used(a, slot) &&
		    (entry->cause == REMAP_CAUSE_GUARD || entry->cause == REMAP_CAUSE_PROBE))
			r = check_kept(a, slot, &same, error);
	}
	if (r < 0 || same)
		return r;
	return error_set(
		error, ENODEV,
		"%s is not the main device of the set on %s, or is attached through other "
		"hardware, or was written to since; nothing was changed. If it is the right disk, "
		"and a plain one, run dmremap release --any-hardware %s; if not, detach it and "
		"run dmremap release --without-main %s",
		a->main_path, a->spare_path, a->spare_path, a->spare_path);
}

/*
 * Before the kernel has written the mark, main is the one with our sector 0; without a guard,
 * the one that holds in the probe chunk what its slot holds.
 */
static int check_unmarked(struct set_handle *a, struct error *error)
{
	_cleanup_free_ uint8_t *raw = aligned_bytes(REMAP_CHUNK_BYTES);
	_cleanup_free_ uint8_t *kept = aligned_bytes(REMAP_CHUNK_BYTES);
	bool is_main = false;

	if (!raw || !kept)
		return no_memory(error);
	if (handle_has_guard(a)) {
		int r = handle_is_due(a, error);

		if (r < 0)
			return r;
		is_main = r == 1;
	}
	for (uint32_t slot = 0; slot < a->table.nr_slots && !is_main; slot++) {
		const struct remap_entry *entry = &a->table.entry[slot];

		if (entry->state != REMAP_ENTRY_USED || entry->cause != REMAP_CAUSE_PROBE ||
		    handle_has_guard(a))
			continue;
		if (read_all_at(a->main_fd, raw, REMAP_CHUNK_BYTES,
				(off_t)(entry->main_chunk * REMAP_CHUNK_BYTES)) < 0 ||
		    read_all_at(a->spare_fd, kept, REMAP_CHUNK_BYTES, handle_slot_offset(a, slot)) <
			    0)
			return error_set(error, EIO, "%s: its probe chunk cannot be read",
					 a->main_path);
		is_main = !memcmp(raw, kept, REMAP_CHUNK_BYTES);
	}
	return is_main ? 0 :
			 error_set(error, ENODEV, "%s is not the main device of the set on %s",
				   a->main_path, a->spare_path);
}

/* What the member header says of its set; -ENODATA: there is none of this set. */
static int read_header_seq(const struct set_handle *a, uint64_t *seq)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	const struct remap_member_disk *header = (const void *)(chunk + REMAP_MEMBER_OFFSET);
	uint8_t uuid[REMAP_UUID_BYTES];

	if (!chunk)
		return -ENOMEM;
	if (read_all_at(a->main_fd, chunk, REMAP_CHUNK_BYTES, 0) < 0 ||
	    remap_guard_check(chunk, uuid, 0) == REMAP_BAD_MAGIC ||
	    memcmp(uuid, a->region.super.uuid, sizeof(uuid)) ||
	    remap_member_check(chunk + REMAP_MEMBER_OFFSET, uuid) != REMAP_OK)
		return -ENODATA;
	*seq = le64_to_cpu(header->header.seq);
	return 0;
}

static int older_spare(const struct set_handle *a, struct error *error)
{
	return error_set(error, ESTALE,
			 "%s is an older copy of the spare: it lacks later remaps of %s; attach "
			 "the current one. If that is gone, run dmremap release --without-spare %s",
			 a->spare_path, a->main_path, a->main_path);
}

/**
 * struct copy - main is a disk to which the main of the set was copied
 * @trusted: that is so, whatever the disk shows
 * @lacks_mark: becomes true where the disk does not show the mark
 */
struct copy {
	bool trusted;
	bool lacks_mark;
};

/* What was called a copy of main shows nothing of the set. */
static int check_trusted(const struct set_handle *a, int r, struct copy *copy, struct error *error)
{
	copy->lacks_mark = true;
	if (copy->trusted)
		return 0;
	return error_set(error, r == -EIO ? EIO : ENODEV,
			 "%s is not the main device of the set on %s, or lacks its mark: sector "
			 "%" PRIu64 " %s",
			 a->main_path, a->spare_path,
			 (uint64_t)a->region.super.probe_chunk * REMAP_CHUNK_SECTORS,
			 r == -EIO ? "cannot be read" : "holds something else");
}

/* Before a mark is written over it on a copy: what the probe chunk held is on the spare. */
static int check_kept_chunk(const struct set_handle *a, struct error *error)
{
	_cleanup_free_ uint8_t *kept = aligned_bytes(REMAP_CHUNK_BYTES);

	if (!kept)
		return no_memory(error);
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (is_used(a, slot) && a->table.entry[slot].cause == REMAP_CAUSE_PROBE &&
		    read_all_at(a->spare_fd, kept, REMAP_CHUNK_BYTES, handle_slot_offset(a, slot)) <
			    0)
			return error_set(error, EUCLEAN,
					 "%s: sector %" PRIu64 " cannot be read: main's last "
					 "chunk is kept there, and is nowhere else but on main; "
					 "nothing was changed. Copy the spare to a disk that can "
					 "be read, and use that",
					 a->spare_path,
					 (uint64_t)handle_slot_offset(a, slot) /
						 REMAP_SECTOR_BYTES);
	return 0;
}

/* @copy: NULL: main is the set's own. */
static int check_age(struct set_handle *a, struct copy *copy, struct error *error)
{
	const struct remap_super *super = &a->region.super;
	bool unfinished = super->flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING);
	struct remap_mark mark;
	uint64_t seq;
	int r, kept;

	if (!(super->flags & REMAP_SUPER_MARKED)) {
		r = unfinished ? 0 : check_unmarked(a, error);
		if (!copy || (r != -EIO && r != -ENODEV))
			return r;
		kept = check_kept_chunk(a, error);
		return kept < 0 ? kept : check_trusted(a, r, copy, error);
	}
	r = mark_read(a->main_fd, super->probe_chunk, super->uuid, &mark);
	/* a release may have been past it: what is due is decided by handle_is_due() */
	if (r < 0 && super->flags & REMAP_SUPER_RELEASING)
		return 0;
	if (r < 0 && copy && read_header_seq(a, &seq) == 0) {
		if (seq > a->table.generation)
			return older_spare(a, error);
		copy->lacks_mark = true;
		return 0;
	}
	if (r < 0 && copy)
		return check_trusted(a, r, copy, error);
	if (r == -ENODATA)
		return error_set(error, ENODEV, "%s is not the main device of the set on %s",
				 a->main_path, a->spare_path);
	if (r < 0)
		return error_set(error, EIO,
				 "%s: sector %" PRIu64 ", which identifies its set, cannot be read",
				 a->main_path, (uint64_t)super->probe_chunk * REMAP_CHUNK_SECTORS);
	return remap_is_older(&a->table.age, &mark) ? older_spare(a, error) : 0;
}

static int open_spare(struct set_handle *a, struct error *error)
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
	/* the end of a release wipes the table before the last superblock */
	if (!(a->region.super.flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING)) &&
	    (a->table.nr_unloadable || a->table.nr_contradictions))
		return error_set(error, EUCLEAN,
				 "%s: its metadata is damaged, so the location of data is not "
				 "known; to repair it, run dmremap restore-backup FILE %s",
				 a->spare_path, a->spare_path);
	return 0;
}

/* @from: the spare need not take writes. */
static int open_both(const char *main_path, const char *spare_path, int flags, bool from,
		     struct set_handle *a, struct copy *copy, struct error *error)
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
		a->spare_fd = a->main_fd < 0 ? a->main_fd :
					       open_held(spare_path,
							 from ? &a->spare_read_only : NULL, error);
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
		return error_set(error, EINVAL, "%s is smaller than the main device of the set",
				 main_path);
	return r < 0 ? r : check_age(a, copy, error);
}

int handle_open(const char *main_path, const char *spare_path, int flags, struct set_handle *a,
		struct error *error)
{
	return open_both(main_path, spare_path, flags, false, a, NULL, error);
}

int handle_open_from(const char *main_path, const char *spare_path, struct set_handle *a,
		     struct error *error)
{
	return open_both(main_path, spare_path, O_RDWR, true, a, NULL, error);
}

int handle_open_copy(const char *main_path, const char *spare_path, bool trusted,
		     struct set_handle *a, bool *lacks_mark, struct error *error)
{
	struct copy copy = { .trusted = trusted };
	int r = open_both(main_path, spare_path, O_RDWR, false, a, &copy, error);

	*lacks_mark = copy.lacks_mark;
	return r;
}

int handle_open_spare(const char *spare_path, struct set_handle *a, struct error *error)
{
	memset(a, 0, sizeof(*a));
	a->main_fd = -1;
	snprintf(a->spare_path, sizeof(a->spare_path), "%s", spare_path);
	a->spare_fd = open_exclusive(spare_path, error);
	return a->spare_fd < 0 ? a->spare_fd : open_spare(a, error);
}

void handle_close(struct set_handle *a)
{
	region_table_done(&a->table);
	sector_ranges_done(&a->give_up);
	sector_ranges_done(&a->still_lost);
	sector_ranges_done(&a->zeroed);
	close_p(&a->main_fd);
	close_p(&a->spare_fd);
	a->main_fd = -1;
	a->spare_fd = -1;
}
