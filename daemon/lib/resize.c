// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a crash leaves between the steps of resize_carry_out():
 *
 *   while copying	a note in place of the new spare's first superblock: the old one counts,
 *			all of it is done again
 *   before main knows	both are whole and hold the same.  Main's header names the old one's
 *			hardware; without that neither is chosen while both are here
 *   while wiping	main's header names the new one; the old one is a copy that is ignored, or,
 *			without its superblocks, no spare at all
 *
 * The new one gets the very number of the old one: whichever of them goes on by a commit,
 * main's mark tells that the other has not (O6).
 */
#include <errno.h>
#include <inttypes.h>

#include "backup.h"
#include "create.h"
#include "identity.h"
#include "record.h"
#include "resize.h"

void resize_done(struct resizing *a)
{
	free(a->slot);
	free(a->entry);
	a->slot = NULL;
	a->entry = NULL;
}

/* It must be blank, agreed upon, or what an earlier resize of this set has left. */
static int check_device(struct resizing *a, struct error *error)
{
	const uint8_t *uuid = a->adopted->region.super.uuid;
	struct member member;
	char content[160];
	int r;

	if (region_has_note(a->fd, 0, uuid))
		return 0;
	if (member_probe(a->path, &member, NULL) == 0) {
		if (memcmp(member.uuid, uuid, REMAP_UUID_BYTES) || member.role != MEMBER_SPARE)
			return error_set(error, EEXIST, "%s is the %s device of a set", a->path,
					 member_role_name(member.role));
		snprintf(content, sizeof(content), "a copy of the set's spare");
	} else {
		r = device_content(a->path, a->fd, a->device_sectors, content, sizeof(content),
				   error);
		if (r < 0)
			return r;
	}
	if (*content && !a->wipe_spare)
		return error_set(error, EPERM,
				 "%s holds %s: --wipe-spare makes it the spare all the same",
				 a->path, content);
	return 0;
}

static int check_room(struct resizing *a, struct error *error)
{
	struct remap_geometry geometry;

	a->region_sectors =
		a->region_bytes ? a->region_bytes / REMAP_SECTOR_BYTES : a->device_sectors;
	if (a->region_sectors > a->device_sectors)
		return error_set(error, ENOSPC, "%s has only %" PRIu64 " sectors", a->path,
				 a->device_sectors);
	if (remap_geometry_compute(a->region_sectors, &geometry) < 0)
		return error_set(error, ENOSPC, "%s is too small for a spare: 320 KiB at least",
				 a->path);
	a->nr_slots = geometry.slots;
	if (a->nr_used >= geometry.slots)
		return error_set(error, ENOSPC,
				 "%s has room for %u slots, and %u are in use: it must be larger",
				 a->path, geometry.slots, a->nr_used);
	return 0;
}

static void take(struct resizing *a, uint32_t slot)
{
	a->slot[a->nr_used] = slot;
	a->entry[a->nr_used++] = a->adopted->table.entry[slot];
}

/* The probe chunk's slot is the first, as always. */
static int collect(struct resizing *a, struct error *error)
{
	const struct region_table *table = &a->adopted->table;
	uint64_t probe_chunk = a->adopted->region.super.probe_chunk;

	a->slot = calloc(table->nr_slots + 1, sizeof(*a->slot));
	a->entry = calloc(table->nr_slots + 1, sizeof(*a->entry));
	if (!a->slot || !a->entry)
		return no_memory(error);
	for (unsigned int others = 0; others < 2; others++)
		for (uint32_t slot = 0; slot < table->nr_slots; slot++)
			if (table->entry[slot].state == REMAP_ENTRY_USED &&
			    (table->entry[slot].main_chunk == probe_chunk) == (others == 0))
				take(a, slot);
	return 0;
}

/*
 * The content of new slot @i.  Returns the sectors that are served from it and cannot be
 * read, a bit for each; of them the chunk is zero.
 */
static uint8_t read_slot(const struct resizing *a, uint32_t i, uint8_t *chunk)
{
	const struct remap_entry *entry = &a->adopted->table.entry[a->slot[i]];
	uint32_t unit = logical_bytes(a->adopted->spare_fd);
	off_t at = adopt_slot_offset(a->adopted, a->slot[i]);
	uint8_t unreadable = 0;

	if (read_all_at(a->adopted->spare_fd, chunk, REMAP_CHUNK_BYTES, at) == 0)
		return 0;
	for (uint32_t from = 0; from < REMAP_CHUNK_BYTES; from += unit) {
		if (read_all_at(a->adopted->spare_fd, chunk + from, unit, at + from) == 0)
			continue;
		memset(chunk + from, 0, unit);
		for (uint32_t b = from; b < from + unit; b += REMAP_SECTOR_BYTES)
			unreadable |= 1U << b / REMAP_SECTOR_BYTES;
	}
	return unreadable & entry->redirected & (uint8_t)~entry->lost;
}

/* Everything is read once before anything is written: what is lost is known then. */
static int read_all(struct resizing *a, struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);

	if (!chunk)
		return no_memory(error);
	for (uint32_t i = 0; i < a->nr_used; i++) {
		uint8_t unreadable = read_slot(a, i, chunk);

		a->entry[i].lost |= unreadable;
		a->nr_unreadable += (uint32_t)__builtin_popcount(unreadable);
	}
	return 0;
}

int resize_look(struct resizing *a, struct error *error)
{
	uint64_t nr_bytes;
	int r = device_bytes(a->fd, &nr_bytes);

	if (r < 0)
		return error_set(error, -r, "%s: cannot read its size", a->path);
	a->device_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	identity_of_device(device_number(a->path), a->identity);
	r = collect(a, error);
	if (!r)
		r = check_room(a, error);
	if (!r)
		r = check_device(a, error);
	return r ? r : read_all(a, error);
}

/* What could be read before and cannot now is no reason to lose it. */
static int copy_slot(void *userdata, uint32_t i, uint8_t *chunk)
{
	const struct resizing *a = userdata;

	return read_slot(a, i, chunk) & ~a->entry[i].lost ? -EIO : 0;
}

/* The counters go with the set; without them nothing is wrong. */
static int copy_counters(const struct resizing *a, const struct region *region, struct error *error)
{
	_cleanup_free_ uint8_t *block = aligned_bytes(REMAP_BLOCK_BYTES);
	uint32_t number = 1 + region->super.geometry.table_blocks;
	struct remap_soft_disk *old = (void *)block;
	_cleanup_free_ uint8_t *copy = aligned_bytes(REMAP_BLOCK_BYTES);

	if (!block || !copy)
		return no_memory(error);
	if (region_read_soft(&a->adopted->region, old) < 0)
		return 0;
	remap_block_init((void *)copy, REMAP_MAGIC_SOFT, region->super.uuid, number,
			 region->super.seq);
	memcpy(copy + sizeof(struct remap_block_header), block + sizeof(struct remap_block_header),
	       sizeof(struct remap_soft_disk) - sizeof(struct remap_block_header));
	remap_block_seal((void *)copy);
	return region_replace_block(region, number, copy, error);
}

/* The old spare goes only when the new one has been read again, past every cache of ours. */
static int verify(const struct resizing *a, const struct region *region, struct error *error)
{
	_cleanup_free_ uint8_t *old = aligned_bytes(REMAP_CHUNK_BYTES);
	_cleanup_free_ uint8_t *copy = aligned_bytes(REMAP_CHUNK_BYTES);
	struct region_table table;
	int r = old && copy ? region_read_table(region, &table, NULL, NULL, error) :
			      no_memory(error);

	if (r < 0)
		return r;
	if (table.nr_unloadable || table.nr_contradictions || table.nr_damaged)
		r = -EIO;
	for (uint32_t i = 0; !r && i < a->nr_used; i++) {
		const struct remap_entry *x = &a->entry[i], *y = &table.entry[i];

		if (read_slot(a, i, old) & ~x->lost ||
		    read_all_at(a->fd, copy, REMAP_CHUNK_BYTES,
				(off_t)(remap_slot_sector(&region->super.geometry, i) *
					REMAP_SECTOR_BYTES)) < 0 ||
		    x->main_chunk != y->main_chunk || x->redirected != y->redirected ||
		    x->lost != y->lost || x->state != y->state || x->generation != y->generation)
			r = -EIO;
		for (unsigned int s = 0; !r && s < REMAP_CHUNK_SECTORS; s++)
			if (!(x->lost >> s & 1) &&
			    memcmp(old + s * REMAP_SECTOR_BYTES, copy + s * REMAP_SECTOR_BYTES,
				   REMAP_SECTOR_BYTES))
				r = -EIO;
	}
	region_table_done(&table);
	return r < 0 ? error_set(error, -r, "%s does not give back what was written to it",
				 a->path) :
		       0;
}

static int make_new(struct resizing *a, struct region *region, struct error *error)
{
	struct region_plan plan = {
		.super = a->adopted->region.super,
		.entry = a->entry,
		.nr_entries = a->nr_used,
		.read = copy_slot,
		.userdata = a,
		.nr_data = a->nr_used,
		.note = true,
	};
	int r;

	plan.super.seq = a->adopted->table.generation;
	r = region_wipe_device_end(a->fd, a->region_sectors, a->device_sectors, error);
	if (!r)
		r = region_format(a->fd, 0, a->region_sectors, &plan, error);
	if (!r)
		r = region_open(a->fd, 0, a->device_sectors, region, error);
	if (!r)
		r = copy_counters(a, region, error);
	return r ? r : verify(a, region, error);
}

/* It counts from here on: main's header names its hardware. */
static int tell_main(struct resizing *a, const struct region *region, struct error *error)
{
	struct adopted now = *a->adopted;
	int r;

	now.region = *region;
	r = record_spare(&now, a->identity, error);
	return r == -ENODATA ? 0 : r;
}

/* One for the old layout could not be put back onto this spare. */
static void write_backup(struct resizing *a, struct region *region)
{
	_cleanup_backup_ struct backup backup = { 0 };
	char path[256];
	int r = backup_make(region, a->adopted->main_fd, a->identity, &backup, &a->no_backup);

	if (!r)
		r = backup_default_path(region->super.uuid, path, sizeof(path), &a->no_backup);
	if (!r)
		r = backup_write(&backup, path, &a->no_backup);
	if (!r)
		*a->no_backup.text = '\0';
}

int resize_carry_out(struct resizing *a, struct error *error)
{
	struct region region;
	struct error why;
	int r = make_new(a, &region, &why);

	if (!r)
		r = tell_main(a, &region, &why);
	if (r < 0)
		return error_set(error, -r, "%s: %.400s; the set is on %s as before", a->path,
				 why.text, a->adopted->spare_path);
	write_backup(a, &region);
	if (region_discard(&a->adopted->region, &a->not_wiped) == 0)
		*a->not_wiped.text = '\0';
	return 0;
}
