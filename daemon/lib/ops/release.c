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
 * back is read again before the spare is wiped.  If main fails in between all the same, the
 * release is taken back: the guard, the marks, and the superblock without the flag.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "format/backup.h"
#include "ops/guard.h"
#include "ops/release.h"
#include "system/mask.h"

static off_t chunk_offset(uint64_t main_chunk)
{
	return (off_t)(main_chunk * REMAP_CHUNK_BYTES);
}

static int durable(const struct set_handle *a, struct error *error)
{
	return fsync(a->main_fd) < 0 ? error_set(error, errno, "%s: flushing failed: %s",
						 a->main_path, strerror(errno)) :
				       0;
}

/* The smallest piece of main that can be written. */
static uint32_t unit_sectors(const struct set_handle *a)
{
	return logical_bytes(a->main_fd) / REMAP_SECTOR_BYTES;
}

static uint8_t unit_mask(uint32_t first, uint32_t nr)
{
	return (uint8_t)(((1U << nr) - 1) << first);
}

static int read_slot(const struct set_handle *a, uint32_t slot, uint8_t *buffer,
		     struct error *error)
{
	if (read_all_at(a->spare_fd, buffer, REMAP_CHUNK_BYTES, handle_slot_offset(a, slot)) < 0)
		return error_set(error, EIO, "%s: slot %u cannot be read", a->spare_path, slot);
	return 0;
}

static int cannot_do_without(const struct set_handle *a, uint64_t main_chunk, uint32_t first,
			     const char *what, struct error *error)
{
	return error_set(error, EBUSY,
			 "%s: sector %" PRIu64 " %s: it is served by the spare, and the disk "
			 "cannot do without",
			 a->main_path, main_chunk * REMAP_CHUNK_SECTORS + first, what);
}

/* @f for each of @nr sectors that @mask selects of a unit; compared with @data. */
static bool holds(const struct set_handle *a, uint64_t main_chunk, uint32_t first, uint32_t nr,
		  uint8_t mask, const uint8_t *data)
{
	_cleanup_free_ uint8_t *held = aligned_bytes(REMAP_CHUNK_BYTES);
	uint32_t at = first * REMAP_SECTOR_BYTES;

	if (!held || read_all_at(a->main_fd, held + at, nr * REMAP_SECTOR_BYTES,
				 chunk_offset(main_chunk) + at) < 0)
		return false;
	for (uint32_t i = first; i < first + nr; i++)
		if (mask & 1U << i && memcmp(held + i * REMAP_SECTOR_BYTES,
					     data + i * REMAP_SECTOR_BYTES, REMAP_SECTOR_BYTES))
			return false;
	return true;
}

/* A unit of which only a part is to be written is completed with what main holds. */
static int complete(const struct set_handle *a, uint64_t main_chunk, uint32_t first, uint32_t nr,
		    uint8_t mask, uint8_t *data, struct error *error)
{
	_cleanup_free_ uint8_t *held = aligned_bytes(REMAP_CHUNK_BYTES);
	uint32_t at = first * REMAP_SECTOR_BYTES;

	if (!held)
		return no_memory(error);
	if (read_all_at(a->main_fd, held + at, nr * REMAP_SECTOR_BYTES,
			chunk_offset(main_chunk) + at) < 0)
		return error_set(error, EIO, "%s: sector %" PRIu64 " cannot be read", a->main_path,
				 main_chunk * REMAP_CHUNK_SECTORS + first);
	for (uint32_t i = first; i < first + nr; i++)
		if (!(mask & 1U << i))
			memcpy(data + i * REMAP_SECTOR_BYTES, held + i * REMAP_SECTOR_BYTES,
			       REMAP_SECTOR_BYTES);
	return 0;
}

/* The sectors of @mask, from @data to main.  What is there already may be unwritable. */
static int write_sectors(const struct set_handle *a, uint64_t main_chunk, uint8_t mask,
			 uint8_t *data, struct error *error)
{
	uint32_t unit = unit_sectors(a);

	/* a bad physical sector of 4 KiB takes nothing less, and is good afterwards */
	if (mask == 0xff &&
	    write_all_at(a->main_fd, data, REMAP_CHUNK_BYTES, chunk_offset(main_chunk)) == 0)
		return 0;
	for (uint32_t i = 0; i < REMAP_CHUNK_SECTORS; i += unit) {
		uint8_t wanted = unit_mask(i, unit);
		uint32_t at = i * REMAP_SECTOR_BYTES;
		int r = 0;

		if (!(mask & wanted))
			continue;
		if ((mask & wanted) != wanted)
			r = complete(a, main_chunk, i, unit, mask, data, error);
		if (r < 0)
			return r;
		if (write_all_at(a->main_fd, data + at, unit * REMAP_SECTOR_BYTES,
				 chunk_offset(main_chunk) + at) < 0 &&
		    !holds(a, main_chunk, i, unit, wanted, data))
			return cannot_do_without(a, main_chunk, i, "still cannot be written",
						 error);
	}
	return 0;
}

static int compare_sectors(const struct set_handle *a, uint64_t main_chunk, uint8_t mask,
			   const uint8_t *data, struct error *error)
{
	uint32_t unit = unit_sectors(a);

	for (uint32_t i = 0; i < REMAP_CHUNK_SECTORS; i += unit)
		if (mask & unit_mask(i, unit) && !holds(a, main_chunk, i, unit, mask, data))
			return cannot_do_without(a, main_chunk, i,
						 "does not hold what is written to it", error);
	return 0;
}

static bool is_used(const struct set_handle *a, uint32_t slot)
{
	return a->table.entry[slot].state == REMAP_ENTRY_USED;
}

/* What stands on main in the place of such an entry is ours. */
static bool is_hidden(const struct remap_entry *entry)
{
	return entry->cause == REMAP_CAUSE_GUARD || entry->cause == REMAP_CAUSE_PROBE;
}

typedef int (*entry_f)(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error);

static int for_each_used(struct set_handle *a, bool hidden, entry_f f, struct error *error)
{
	_cleanup_free_ uint8_t *buffer = aligned_bytes(REMAP_CHUNK_BYTES);
	int r = buffer ? 0 : no_memory(error);

	for (uint32_t slot = 0; !r && slot < a->table.nr_slots; slot++) {
		if (!is_used(a, slot) || is_hidden(&a->table.entry[slot]) != hidden)
			continue;
		r = f(a, slot, buffer, error);
		progress_step(a->progress);
	}
	return r;
}

/* Sector 0 to 7 are the guard's, and the probe chunk the mark's: main must get something. */
static bool is_own_place(const struct remap_entry *entry)
{
	return entry->cause == REMAP_CAUSE_PROBE ||
	       (entry->cause == REMAP_CAUSE_GUARD && !entry->main_chunk);
}

/* What main gets back of an entry: not what is lost, where something else need not go. */
static uint8_t mask_back(const struct remap_entry *entry)
{
	return is_own_place(entry) ? entry->redirected : entry->redirected & (uint8_t)~entry->lost;
}

/* Main fails there as well: it returns nothing that is not true. */
static bool fails_on_main(const struct set_handle *a, uint64_t sector)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	uint64_t unit = unit_sectors(a);

	return chunk &&
	       is_medium_error(read_all_at(a->main_fd, chunk, unit * REMAP_SECTOR_BYTES,
					   (off_t)(sector / unit * unit * REMAP_SECTOR_BYTES)));
}

static int sort_lost(struct set_handle *a, uint32_t slot, struct sector_ranges *unsettled)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	int r = 0;

	for (unsigned int i = 0; !r && i < REMAP_CHUNK_SECTORS; i++) {
		uint64_t sector = (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS + i;

		if (!(entry->lost & 1U << i))
			continue;
		if (!is_own_place(entry) && fails_on_main(a, sector))
			r = sector_ranges_add(&a->still_lost, sector, 1);
		else if (!sector_ranges_has(&a->give_up, sector))
			r = sector_ranges_add(unsettled, sector, 1);
		else if (is_own_place(entry))
			r = sector_ranges_add(&a->zeroed, sector, 1);
	}
	return r;
}

static bool is_lost(const struct set_handle *a, uint64_t sector)
{
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (is_used(a, slot) &&
		    a->table.entry[slot].main_chunk == sector / REMAP_CHUNK_SECTORS)
			return a->table.entry[slot].lost & 1U << sector % REMAP_CHUNK_SECTORS;
	return false;
}

static int check_given_up(const struct set_handle *a, struct error *error)
{
	for (size_t i = 0; i < a->give_up.nr; i++)
		for (uint64_t s = 0; s < a->give_up.at[i].nr; s++)
			if (!is_lost(a, a->give_up.at[i].sector + s))
				return error_set(error, EINVAL,
						 "sector %" PRIu64
						 " is not lost: there is nothing to be given up; "
						 "nothing was changed",
						 a->give_up.at[i].sector + s);
	return 0;
}

int release_check_lost(struct set_handle *a, struct error *error)
{
	struct sector_ranges unsettled = { 0 };
	char sectors[160], all[200];
	bool one;
	int r = check_given_up(a, error);

	if (r < 0)
		return r;
	sector_ranges_done(&a->still_lost);
	sector_ranges_done(&a->zeroed);
	for (uint32_t slot = 0; !r && slot < a->table.nr_slots; slot++)
		if (is_used(a, slot) && a->table.entry[slot].lost)
			r = sort_lost(a, slot, &unsettled);
	sector_ranges_text(&unsettled, sectors, sizeof(sectors));
	one = sector_ranges_count(&unsettled) == 1;
	snprintf(all, sizeof(all), "sector%s %s %s", one ? "" : "s", sectors, one ? "is" : "are");
	if (!r && unsettled.nr)
		r = error_set(error, EBUSY,
			      "%s lost: the content is nowhere, and main would return something "
			      "older, or zeros; nothing was changed. Write through the device "
			      "first, or give up: --give-up SECTORS",
			      all);
	sector_ranges_done(&unsettled);
	return r == -ENOMEM ? no_memory(error) : r;
}

/* The content for main: of what is lost, in places of our own, that is zeros (said before). */
static int read_for_main(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	int r = read_slot(a, slot, buffer, error);

	for (unsigned int i = 0; !r && i < REMAP_CHUNK_SECTORS; i++)
		if (entry->lost & 1U << i)
			memset(buffer + i * REMAP_SECTOR_BYTES, 0, REMAP_SECTOR_BYTES);
	return r;
}

static int copy_back(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	int r = read_for_main(a, slot, buffer, error);

	return r ? r : write_sectors(a, entry->main_chunk, mask_back(entry), buffer, error);
}

static int compare_back(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	int r = read_for_main(a, slot, buffer, error);

	return r ? r : compare_sectors(a, entry->main_chunk, mask_back(entry), buffer, error);
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
	int r = write_sectors(a, 0, mask, data, error);

	if (!r)
		r = durable(a, error);
	return r ? r : compare_sectors(a, 0, mask, data, error);
}

/* Zeros, or the error that it was. */
static int end_lost(struct set_handle *a, uint8_t mask, uint8_t *data, struct error *error)
{
	uint32_t unit = unit_sectors(a);
	int r = 0;

	for (uint32_t i = 0; !r && i < REMAP_CHUNK_SECTORS; i += unit) {
		if (!(mask & unit_mask(i, unit)))
			continue;
		r = copy_and_compare(a, mask & unit_mask(i, unit), data, error);
		if (r < 0 && fails_on_main(a, i))
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
	uint8_t first = unit_mask(0, unit_sectors(a)), lost = a->table.entry[slot].lost;
	uint8_t header = unit_mask(REMAP_MEMBER_OFFSET / REMAP_SECTOR_BYTES, 1) & (uint8_t)~first;
	int r;

	if (a->table.entry[slot].main_chunk)
		return 0;
	r = read_for_main(a, slot, buffer, error);
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
	uint32_t unit = unit_sectors(a);
	uint8_t mask = 0;
	int r;

	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		uint32_t from = i / unit * unit * REMAP_SECTOR_BYTES;

		if (read_all_at(a->main_fd, buffer, unit * REMAP_SECTOR_BYTES,
				chunk_offset(entry->main_chunk) + from) < 0 ||
		    remap_probe_check_sector(buffer + i % unit * REMAP_SECTOR_BYTES, i,
					     a->region.super.uuid, NULL) == REMAP_OK)
			mask |= (uint8_t)(1U << i);
	}
	mask &= entry->redirected;
	r = read_for_main(a, slot, buffer, error);
	if (!r)
		r = write_sectors(a, entry->main_chunk, mask, buffer, error);
	if (!r)
		r = durable(a, error);
	return r ? r : compare_sectors(a, entry->main_chunk, mask, buffer, error);
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

			if (is_used(a, slot) && is_hidden(entry) && is_mark == (last == 1))
				r = copy_marked(a, slot, buffer, error);
		}
	return r;
}

static int copy_all_hidden(struct set_handle *a, struct error *error)
{
	int r = for_each_used(a, true, copy_hidden, error);

	if (!r)
		r = durable(a, error);
	if (!r)
		r = for_each_used(a, true, compare_hidden, error);
	return r ? r : for_each_used(a, true, copy_chunk0, error);
}

/* From what the set hides to a plain disk; may be repeated until it has ended. */
static int uncover(struct set_handle *a, struct error *error)
{
	if (a->table.nr_unloadable || a->table.nr_contradictions)
		return error_set(error, EUCLEAN,
				 "%s: its metadata is damaged, and %s was not given back yet: "
				 "dmremap restore-backup puts the metadata right",
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

/**
 * struct raw_places - what main holds where its content is hidden
 * @slot: the entries that hide it
 * @nr: how many
 * @data: @nr chunks
 */
struct raw_places {
	uint32_t *slot;
	uint32_t nr;
	uint8_t *data;
};

static void raw_places_done(struct raw_places *raw)
{
	free(raw->slot);
	free(raw->data);
}

/*
 * For a raw place that cannot be read: what belongs there.  Of a hidden chunk that is its
 * content without what the header says is hidden; without a header, nothing.
 */
static int substitute(struct set_handle *a, uint32_t slot, uint8_t *data, struct error *error)
{
	_cleanup_free_ uint8_t *chunk0 = aligned_bytes(REMAP_CHUNK_BYTES);
	const struct remap_member_disk *header = (const void *)(chunk0 + REMAP_MEMBER_OFFSET);
	const struct remap_super *super = &a->region.super;
	const struct remap_entry *entry = &a->table.entry[slot];
	uint64_t begin = (uint64_t)chunk_offset(entry->main_chunk);
	/* the superblock alone has changed, or is about to: the table is as it was */
	const struct remap_mark mark = { .seq = a->table.generation, .nr_probe = 1 };
	int r;

	memset(data, 0, REMAP_CHUNK_BYTES);
	if (!chunk0)
		return no_memory(error);
	if (!entry->main_chunk && entry->cause == REMAP_CAUSE_GUARD) {
		remap_guard_encode(data, super->uuid, super->main_sectors);
		return 0;
	}
	if (entry->cause == REMAP_CAUSE_PROBE && super->flags & REMAP_SUPER_MARKED) {
		remap_probe_encode(data, super->uuid, &mark);
		return 0;
	}
	if (entry->cause == REMAP_CAUSE_GUARD &&
	    (read_all_at(a->main_fd, chunk0, REMAP_CHUNK_BYTES, 0) < 0 ||
	     remap_member_check(header, super->uuid) != REMAP_OK))
		return 0;
	r = read_slot(a, slot, data, error);
	if (r < 0 || entry->cause != REMAP_CAUSE_GUARD)
		return r;
	for (uint32_t i = 0; i < le16_to_cpu(header->nr_hidden); i++) {
		const uint8_t *original;
		uint64_t offset;
		uint32_t nr_bytes;

		guard_header_range(header, i, &offset, &nr_bytes, &original);
		for (uint64_t at = offset; at < offset + nr_bytes; at++)
			if (at >= begin && at < begin + REMAP_CHUNK_BYTES)
				data[at - begin] = 0;
	}
	return 0;
}

static int read_raw(struct set_handle *a, uint32_t slot, uint8_t *data, struct error *error)
{
	_cleanup_free_ uint8_t *instead = aligned_bytes(REMAP_CHUNK_BYTES);
	const struct remap_entry *entry = &a->table.entry[slot];
	uint32_t unit = unit_sectors(a);
	int r = instead ? substitute(a, slot, instead, error) : no_memory(error);

	for (uint32_t i = 0; !r && i < REMAP_CHUNK_SECTORS; i += unit) {
		uint32_t at = i * REMAP_SECTOR_BYTES, nr_bytes = unit * REMAP_SECTOR_BYTES;
		bool guards = !i && !entry->main_chunk && entry->cause == REMAP_CAUSE_GUARD;

		if (!(mask_back(entry) & unit_mask(i, unit)))
			continue;
		if (read_all_at(a->main_fd, data + at, nr_bytes,
				chunk_offset(entry->main_chunk) + at) < 0)
			memcpy(data + at, instead + at, nr_bytes);
		else if (guards) /* the raw disk may have been written */
			memcpy(data, instead, REMAP_SECTOR_BYTES);
	}
	return r;
}

/* What main serves already in the spare's stead need not be written. */
static int try_raw(struct set_handle *a, uint32_t slot, const uint8_t *data, struct error *error)
{
	_cleanup_free_ uint8_t *wanted = aligned_bytes(REMAP_CHUNK_BYTES);
	const struct remap_entry *entry = &a->table.entry[slot];
	uint32_t unit = unit_sectors(a);
	int r = wanted ? read_for_main(a, slot, wanted, error) : no_memory(error);

	for (uint32_t i = 0; !r && i < REMAP_CHUNK_SECTORS; i += unit) {
		uint8_t mask = mask_back(entry) & unit_mask(i, unit);
		uint32_t at = i * REMAP_SECTOR_BYTES;

		if (!mask || holds(a, entry->main_chunk, i, unit, mask, wanted))
			continue;
		if (write_all_at(a->main_fd, data + at, unit * REMAP_SECTOR_BYTES,
				 chunk_offset(entry->main_chunk) + at) < 0)
			return cannot_do_without(a, entry->main_chunk, i, "still cannot be written",
						 error);
		r = durable(a, error);
		if (!r)
			r = compare_sectors(a, entry->main_chunk, mask, data, error);
	}
	return r;
}

/*
 * Whether main takes what it is going to be given: each raw place gets what it holds, and
 * is read again.  Chunk 0 must be the guard's afterwards, for it decides from now on.
 */
static int try_hidden(struct set_handle *a, struct raw_places *raw, struct error *error)
{
	int r = 0;

	raw->slot = calloc(a->table.nr_slots, sizeof(*raw->slot));
	if (!raw->slot)
		return no_memory(error);
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (is_used(a, slot) && is_hidden(&a->table.entry[slot]))
			raw->slot[raw->nr++] = slot;
	raw->data = aligned_bytes((raw->nr + 1) * (size_t)REMAP_CHUNK_BYTES);
	if (!raw->data)
		return no_memory(error);
	for (uint32_t i = 0; !r && i < raw->nr; i++)
		r = read_raw(a, raw->slot[i], raw->data + i * (size_t)REMAP_CHUNK_BYTES, error);
	for (uint32_t i = 0; !r && i < raw->nr; i++)
		r = try_raw(a, raw->slot[i], raw->data + i * (size_t)REMAP_CHUNK_BYTES, error);
	if (!r && handle_has_guard(a) && handle_sector0_is_ours(a) != 1)
		r = cannot_do_without(a, 0, 0, "cannot be read", error);
	return r;
}

/*
 * Main is hidden again: its sector 0 first, durably, or a crash would leave what looks like a
 * plain disk.  Of the rest what cannot be written is left: the spare serves it.
 */
static bool hide_again(struct set_handle *a, const struct raw_places *raw)
{
	uint32_t unit = unit_sectors(a);

	for (unsigned int later = 0; later < 2; later++) {
		for (uint32_t i = 0; i < raw->nr; i++) {
			const struct remap_entry *entry = &a->table.entry[raw->slot[i]];
			uint8_t *data = raw->data + i * (size_t)REMAP_CHUNK_BYTES;

			for (uint32_t s = 0; s < REMAP_CHUNK_SECTORS; s += unit)
				if ((entry->main_chunk || s) == (later == 1))
					write_sectors(a, entry->main_chunk,
						      mask_back(entry) & unit_mask(s, unit), data,
						      NULL);
		}
		if (fsync(a->main_fd) < 0 ||
		    (handle_has_guard(a) && handle_sector0_is_ours(a) != 1))
			return false;
	}
	return !(a->region.super.flags & REMAP_SUPER_MARKED) || handle_is_marked(a) == 1;
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
	if (hide_again(a, raw) && write_flag(a, false, &why) == 0)
		return error_set(error, -r, "%.300s; the set is as it was", error->text);
	return error_set(
		error, -r,
		"%.200s; and the release could not be taken back: %.120s. dmremap activate "
		"%s completes it, activate --fallback serves what is there",
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
		progress_expect(a->progress, is_used(a, slot) ? 2 : 0);
	if (!r)
		r = for_each_used(a, false, copy_back, error);
	if (!r)
		r = durable(a, error);
	if (!r)
		r = for_each_used(a, false, compare_back, error);
	if (!r)
		r = try_hidden(a, &raw, error);
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
