// SPDX-License-Identifier: GPL-2.0-or-later
/* An inactive set opened, and what is done with one whose create or release was cut short. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "adopt.h"
#include "create.h"
#include "identity.h"

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

/*
 * Before the kernel has written the mark, main is the one with our sector 0; without a guard,
 * the one that holds in the probe chunk what its slot holds.
 */
static int check_unmarked(struct adopted *a, struct error *error)
{
	_cleanup_free_ uint8_t *raw = aligned_bytes(REMAP_CHUNK_BYTES);
	_cleanup_free_ uint8_t *kept = aligned_bytes(REMAP_CHUNK_BYTES);
	bool is_main = false;

	if (!raw || !kept)
		return no_memory(error);
	if (adopt_has_guard(a)) {
		int r = adopt_is_due(a, error);

		if (r < 0)
			return r;
		is_main = r == 1;
	}
	for (uint32_t slot = 0; slot < a->table.nr_slots && !is_main; slot++) {
		const struct remap_entry *entry = &a->table.entry[slot];

		if (entry->state != REMAP_ENTRY_USED || entry->cause != REMAP_CAUSE_PROBE ||
		    adopt_has_guard(a))
			continue;
		if (read_all_at(a->main_fd, raw, REMAP_CHUNK_BYTES,
				(off_t)(entry->main_chunk * REMAP_CHUNK_BYTES)) < 0 ||
		    read_all_at(a->spare_fd, kept, REMAP_CHUNK_BYTES, adopt_slot_offset(a, slot)) <
			    0)
			return error_set(error, EIO, "%s: its probe chunk cannot be read",
					 a->main_path);
		is_main = !memcmp(raw, kept, REMAP_CHUNK_BYTES);
	}
	return is_main ? 0 :
			 error_set(error, ENODEV, "%s is not the main device of the set on %s",
				   a->main_path, a->spare_path);
}

static int check_age(struct adopted *a, struct error *error)
{
	const struct remap_super *super = &a->region.super;
	bool unfinished = super->flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING);
	struct remap_mark mark;
	int r;

	if (!(super->flags & REMAP_SUPER_MARKED))
		return unfinished ? 0 : check_unmarked(a, error);
	r = mark_read(a->main_fd, super->probe_chunk, super->uuid, &mark);
	/* a release may have been past it: what is due is decided by adopt_is_due() */
	if (r < 0 && super->flags & REMAP_SUPER_RELEASING)
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
	if (remap_is_older(&a->table.age, &mark))
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
	/* the end of a release wipes the table before the last superblock */
	if (!(a->region.super.flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING)) &&
	    (a->table.nr_unloadable || a->table.nr_contradictions))
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
	sector_ranges_done(&a->give_up);
	sector_ranges_done(&a->still_lost);
	sector_ranges_done(&a->zeroed);
	close_p(&a->main_fd);
	close_p(&a->spare_fd);
	a->main_fd = -1;
	a->spare_fd = -1;
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
	if (!r && creating && adopt_first_lost(&adopted)) {
		r = adopt_is_due(&adopted, error);
		if (r > 0) {
			r = adoption_complete(&adopted, error);
			return r < 0 ? r : 1;
		}
	}
	if (!r)
		r = creating ? adopt_undo_create(&adopted, false, error) :
			       adopt_release(&adopted, error);
	if (r < 0 && !creating && adopted.spare_fd >= 0)
		return error_set(error, -r,
				 "%.300s; dmremap activate --fallback %s serves what is "
				 "there",
				 error->text, spare->path);
	if (r < 0)
		return r;
	return error_set(error, ECANCELED, "%s: %s; that was %s: %s is a plain disk%s", set->name,
			 set->reason, creating ? "undone" : "completed", main_path,
			 creating ? " as before" : "");
}
