// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a set: main gets back what the spare serves.  What a crash leaves between the
 * steps of release (create: create.c):
 *
 *   while copying entries back	  the set, whole: its map still counts, main only has copies
 *   while trying hidden places	  the same: they hold what they held
 *   after the flag is committed  main hidden, the kernel refuses: completed by mend_set()
 *   while writing back		  sector 0 is still the guard's (or marks are left): the same,
 *				  all of it again, and main cannot have been mistaken for a disk
 *   after sector 0		  a plain disk; only wiping is left, and before it the rule that
 *				  hides a main without guard.  What is written to the disk
 *				  from now on is never touched: handle_is_due() says that it is not
 *   while taking back		  the flag is still there: completed, or refused once more
 *
 * Everything that main must take is tried before the flag is committed, and what was written
 * back is read again before the spare is wiped.  If main still fails in between, the
 * release is taken back: the guard, the marks, and the superblock without the flag.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "format/backup.h"
#include "ops/release-steps.h"
#include "system/mask.h"

typedef int (*entry_f)(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error);

static int for_each_used(struct set_handle *a, bool hidden, entry_f f, struct error *error)
{
	_cleanup_free_ uint8_t *buffer = aligned_bytes(REMAP_CHUNK_BYTES);
	int r = buffer ? 0 : no_memory(error);

	for (uint32_t slot = 0; !r && slot < a->table.nr_slots; slot++) {
		if (!main_entry_is_used(a, slot) ||
		    main_entry_is_hidden(&a->table.entry[slot]) != hidden)
			continue;
		r = f(a, slot, buffer, error);
		progress_step(a->progress);
	}
	return r;
}

static int copy_back(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	int r = main_read_content(a, slot, buffer, error);

	return r ? r :
		   main_write_sectors(a, entry->main_chunk, main_mask_back(entry), buffer, error);
}

static int compare_back(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	int r = main_read_content(a, slot, buffer, error);

	return r ? r :
		   main_compare_sectors(a, entry->main_chunk, main_mask_back(entry), buffer, error);
}

/* The same without chunk 0. */
static int copy_hidden(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	return a->table.entry[slot].main_chunk ? copy_back(a, slot, buffer, error) : 0;
}

static int compare_hidden(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	return a->table.entry[slot].main_chunk ? compare_back(a, slot, buffer, error) : 0;
}

static int copy_and_compare(struct set_handle *a, uint8_t mask, uint8_t *data, struct error *error)
{
	int r = main_write_sectors(a, 0, mask, data, error);

	if (!r)
		r = main_durable(a, error);
	return r ? r : main_compare_sectors(a, 0, mask, data, error);
}

/* Zeros, or the error that it was. */
static int end_lost(struct set_handle *a, uint8_t mask, uint8_t *data, struct error *error)
{
	uint32_t unit = main_unit_sectors(a);
	int r = 0;

	for (uint32_t i = 0; !r && i < REMAP_CHUNK_SECTORS; i += unit) {
		if (!(mask & main_unit_mask(i, unit)))
			continue;
		r = copy_and_compare(a, mask & main_unit_mask(i, unit), data, error);
		if (r < 0 && main_fails(a, i))
			r = 0;
	}
	return r;
}

/*
 * Sectors 2 to 7, durably, then the header in sector 1, and only then sector 0: what is not ours
 * any more is behind what says that main is.
 */
static int copy_chunk0(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	uint8_t first = main_unit_mask(0, main_unit_sectors(a)), lost = a->table.entry[slot].lost;
	uint8_t header =
		main_unit_mask(REMAP_MEMBER_OFFSET / REMAP_SECTOR_BYTES, 1) & (uint8_t)~first;
	int r;

	if (a->table.entry[slot].main_chunk)
		return 0;
	r = main_read_content(a, slot, buffer, error);
	if (!r)
		r = copy_and_compare(a, (uint8_t) ~(first | header | lost), buffer, error);
	if (!r)
		r = end_lost(a, lost & (uint8_t) ~(first | header), buffer, error);
	if (!r && header & ~lost)
		r = copy_and_compare(a, header, buffer, error);
	if (!r)
		r = end_lost(a, lost & header, buffer, error);
	if (!r && first & ~lost)
		r = copy_and_compare(a, first, buffer, error);
	return r ? r : end_lost(a, lost & first, buffer, error);
}

/*
 * Without a guard only what carries the mark is ours to overwrite; and what cannot be read,
 * as long as there is a mark: afterwards it may be another program's.
 */
static int copy_marked(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	uint32_t unit = main_unit_sectors(a);
	uint8_t mask = 0;
	int r;

	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		uint32_t from = i / unit * unit * REMAP_SECTOR_BYTES;

		if (read_all_at(a->main_fd, buffer, unit * REMAP_SECTOR_BYTES,
				main_chunk_offset(entry->main_chunk) + from) < 0 ||
		    remap_probe_check_sector(buffer + i % unit * REMAP_SECTOR_BYTES, i,
					     a->region.super.uuid, NULL) == REMAP_OK)
			mask |= (uint8_t)(1U << i);
	}
	mask &= entry->redirected;
	r = main_read_content(a, slot, buffer, error);
	if (!r)
		r = main_write_sectors(a, entry->main_chunk, mask, buffer, error);
	if (!r)
		r = main_durable(a, error);
	return r ? r : main_compare_sectors(a, entry->main_chunk, mask, buffer, error);
}

/* The place of the mark itself last: it says that there is something to be done. */
static int copy_all_marked(struct set_handle *a, struct error *error)
{
	_cleanup_free_ uint8_t *buffer = aligned_bytes(REMAP_CHUNK_BYTES);
	int r = buffer ? 0 : no_memory(error);

	for (unsigned int last = 0; last < 2; last++)
		for (uint32_t slot = 0; !r && slot < a->table.nr_slots; slot++) {
			const struct remap_entry *entry = &a->table.entry[slot];
			bool is_mark = entry->main_chunk == a->region.super.probe_chunk;

			if (main_entry_is_used(a, slot) && main_entry_is_hidden(entry) &&
			    is_mark == (last == 1))
				r = copy_marked(a, slot, buffer, error);
		}
	return r;
}

static int copy_all_hidden(struct set_handle *a, struct error *error)
{
	int r = for_each_used(a, true, copy_hidden, error);

	if (!r)
		r = main_durable(a, error);
	if (!r)
		r = for_each_used(a, true, compare_hidden, error);
	return r ? r : for_each_used(a, true, copy_chunk0, error);
}

/* From what the set hides to a plain disk; may be repeated until it has ended. */
static int uncover(struct set_handle *a, struct error *error)
{
	if (a->table.nr_unloadable || a->table.nr_contradictions)
		return error_set(error, EUCLEAN,
				 "%s: its metadata is damaged, and the content of %s is not "
				 "restored yet; repair the metadata with dmremap restore-backup",
				 a->spare_path, a->main_path);
	return handle_has_guard(a) ? copy_all_hidden(a, error) : copy_all_marked(a, error);
}

/* The set is none any more.  Nothing hides main from then on: the rule goes first. */
static int end(struct set_handle *a, struct error *error)
{
	int r = mask_remove(a->region.super.uuid, error);

	if (!r)
		r = region_wipe(&a->region, error);
	if (!r)
		ioctl(a->main_fd, BLKRRPART); /* a whole disk may have partitions again */
	return r;
}

/* Not those that still cannot be read: there nothing was written. */
static void find_zeroed(struct set_handle *a)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	uint8_t lost = handle_first_lost(a), still;

	sector_ranges_done(&a->zeroed);
	if (!chunk || !lost ||
	    places_read_chunk(a->main_fd, 0, a->region.super.main_sectors, chunk, &still) < 0)
		return;
	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
		if (lost & ~still & 1U << i)
			sector_ranges_add(&a->zeroed, i, 1);
}

int release_undo_create(struct set_handle *a, enum undo_of of, struct error *error)
{
	int r = of == UNDO_OWN_BEGUN ? 1 : handle_is_due(a, error);

	/* the probe chunk's raw place was not touched: the kernel writes the mark */
	if (r > 0) {
		r = uncover(a, error);
		if (!r)
			find_zeroed(a);
	} else if (!r && of == UNDO_FOUND) {
		r = handle_check_main(a, error);
	}
	if (r >= 0)
		r = end(a, error);
	if (!r)
		backup_forget(a->region.super.uuid);
	return r;
}

static int write_flag(struct set_handle *a, bool releasing, struct error *error)
{
	struct remap_super super = a->region.super;
	struct error why;
	int r;

	if (releasing)
		super.flags |= REMAP_SUPER_RELEASING;
	else
		super.flags &= ~REMAP_SUPER_RELEASING;
	super.seq = a->table.generation + 1;
	r = region_write_super(&a->region, &super, &why);
	a->table.generation = super.seq + (r < 0); /* after a failure the next one is taken, too */
	return r < 0 ? error_set(error, -r, "%s: %.200s%s", a->spare_path, why.text,
				 a->region.in_doubt && releasing ?
					 ": the next activation may complete the release" :
					 "") :
		       0;
}

/*
 * Main failed while it was given back: main hidden again and the mark there, then the set
 * counts again.  The sentence of the failure stays, with what came of it.
 */
static int take_back(struct set_handle *a, const struct raw_places *raw, int r, struct error *error)
{
	struct error why;

	snprintf(why.text, sizeof(why.text), "%s cannot be hidden again", a->main_path);
	if (release_hide_again(a, raw) && write_flag(a, false, &why) == 0)
		return error_set(error, -r, "%.300s; the set is unchanged", error->text);
	return error_set(
		error, -r,
		"%.200s; undoing the release failed: %.120s. Run dmremap activate %s to complete "
		"it, or activate --fallback to access the content",
		error->text, why.text, a->spare_path);
}

int release_check(struct set_handle *a, struct error *error)
{
	int r = mask_check_removable(a->region.super.uuid, error);

	/* once its release has begun this is decided */
	if (r < 0 || a->region.super.flags & REMAP_SUPER_RELEASING)
		return r;
	return release_check_lost(a, error);
}

static int release_whole(struct set_handle *a, struct error *error)
{
	_cleanup_(raw_places_done) struct raw_places raw = { 0 };
	int r = release_check(a, error);

	/* once to copy it, and once to compare */
	for (uint32_t slot = 0; !r && slot < a->table.nr_slots; slot++)
		progress_expect(a->progress, main_entry_is_used(a, slot) ? 2 : 0);
	if (!r)
		r = for_each_used(a, false, copy_back, error);
	if (!r)
		r = main_durable(a, error);
	if (!r)
		r = for_each_used(a, false, compare_back, error);
	if (!r)
		r = release_try_hidden(a, &raw, error);
	if (!r)
		r = write_flag(a, true, error);
	if (r < 0)
		return r;
	r = uncover(a, error);
	return r < 0 ? take_back(a, &raw, r, error) : end(a, error);
}

int release_run(struct set_handle *a, struct error *error)
{
	int r;

	if (!(a->region.super.flags & REMAP_SUPER_RELEASING))
		return release_whole(a, error);
	r = handle_is_due(a, error);
	if (r > 0)
		r = uncover(a, error);
	else if (!r)
		r = handle_check_main(a, error);
	return r < 0 ? r : end(a, error);
}
