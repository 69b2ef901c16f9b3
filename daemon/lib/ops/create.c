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
 *					main untouched: repaired by wiping the spare
 *   after main's sector 0		the same, and main is hidden, more or less: repaired by
 *					writing back from the slots, sector 0 last; where sectors of
 *					the first chunk could not be read, they have something else
 *					now, so that the set is completed instead (create_complete)
 *   after the superblock without	the set, whole, without its mark, which the kernel
 *   the flag				writes when it activates it
 *
 * Without a guard main is never touched; what is durable before the superblock without the flag
 * is the backup, which is then all that leads home without the spare.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <time.h>

#include "format/spare_layout.h"
#include "ops/create-steps.h"
#include "ops/release.h"
#include "set/scan.h"
#include "system/identity.h"
#include "system/mask.h"

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
				 "%s: too many of its chunks cannot be written: %s", a->spare_path,
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
			  "%.300s. Sectors %s, which could not be read before, now read as zeros",
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
			 "%.200s; undoing it failed: %.150s. Try again with dmremap activate %s",
			 error->text, why.text, a->spare_path);
}

/* Udev must know that main is hidden before there is a set whose main it is. */
static int mask(const struct create_request *a, bool complete, struct error *error)
{
	dev_t main = device_number(a->main_path);

	return a->guard || !main ? 0 : mask_write(a->uuid, main, complete, error);
}

/* Formatting failed: of a set without guard the superblock may exist nevertheless. */
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
	int r = a->guard ? create_make_header(a, plan, &header, error) : 0;

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
		r = create_write_backup(a, a->guard ? &header : NULL, error);
	backed_up = !r;
	if (!r && a->guard)
		r = create_hide(a, plan, &header, &begun, error);
	/* one that is complete stays where its spare is missing */
	if (!r)
		r = mask(a, true, error);
	if (!r)
		r = finish(a, error);
	if (r > 0)
		return error_set(error, EIO,
				 "%s: %.200s. Run dmremap activate %s: it uses the set, or undoes "
				 "it",
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
			      "the content of %s has changed since the set was made; run dmremap "
			      "release %s to restore it",
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
		r = create_make_header(&a, &plan, &header, error);
	if (!r)
		r = create_hide(&a, &plan, &header, &begun, error);
	if (!r)
		r = finish(&a, error);
	if (r > 0)
		r = -EIO;
	if (!r)
		ioctl(a.main_fd, BLKRRPART);
	free(plan.entry);
	free(plan.data);
	create_looked_done(&a);
	return r;
}

int create_set(struct create_request *a, struct error *error)
{
	struct region_plan plan = { 0 };
	int r;

	if (*a->spare_content && !a->wipe_spare)
		return error_set(error, EPERM, "%s holds %s; use --wipe-spare to overwrite it",
				 a->spare_path, a->spare_content);
	r = create_check_unreadable(a, error);
	if (!r)
		r = create_find_probe_chunk(a, true, error);
	if (!r)
		r = create_make_plan(a, &plan, error);
	if (!r)
		r = build(a, &plan, error);
	free(plan.entry);
	free(plan.data);
	return r;
}
