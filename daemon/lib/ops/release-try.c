// SPDX-License-Identifier: GPL-2.0-or-later
/* What main holds where its content is hidden: tried before a release, and put back after one. */
#include <inttypes.h>

#include "ops/guard.h"
#include "ops/release-steps.h"

void raw_places_done(struct raw_places *raw)
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
	uint64_t begin = (uint64_t)main_chunk_offset(entry->main_chunk);
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
	r = main_read_slot(a, slot, data, error);
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
	uint32_t unit = main_unit_sectors(a);
	int r = instead ? substitute(a, slot, instead, error) : no_memory(error);

	for (uint32_t i = 0; !r && i < REMAP_CHUNK_SECTORS; i += unit) {
		uint32_t at = i * REMAP_SECTOR_BYTES, nr_bytes = unit * REMAP_SECTOR_BYTES;
		bool guards = !i && !entry->main_chunk && entry->cause == REMAP_CAUSE_GUARD;

		if (!(main_mask_back(entry) & main_unit_mask(i, unit)))
			continue;
		if (read_all_at(a->main_fd, data + at, nr_bytes,
				main_chunk_offset(entry->main_chunk) + at) < 0)
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
	uint32_t unit = main_unit_sectors(a);
	int r = wanted ? main_read_content(a, slot, wanted, error) : no_memory(error);

	for (uint32_t i = 0; !r && i < REMAP_CHUNK_SECTORS; i += unit) {
		uint8_t mask = main_mask_back(entry) & main_unit_mask(i, unit);
		uint32_t at = i * REMAP_SECTOR_BYTES;

		if (!mask || main_holds(a, entry->main_chunk, i, unit, mask, wanted))
			continue;
		if (write_all_at(a->main_fd, data + at, unit * REMAP_SECTOR_BYTES,
				 main_chunk_offset(entry->main_chunk) + at) < 0)
			return main_cannot_do_without(a, entry->main_chunk, i,
						      "still cannot be written", error);
		r = main_durable(a, error);
		if (!r)
			r = main_compare_sectors(a, entry->main_chunk, mask, data, error);
	}
	return r;
}

/*
 * Whether main takes what it is going to be given: each raw place gets what it holds, and
 * is read again.  Chunk 0 must be the guard's afterwards, for it decides from now on.
 */
int release_try_hidden(struct set_handle *a, struct raw_places *raw, struct error *error)
{
	int r = 0;

	raw->slot = calloc(a->table.nr_slots, sizeof(*raw->slot));
	if (!raw->slot)
		return no_memory(error);
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (main_entry_is_used(a, slot) && main_entry_is_hidden(&a->table.entry[slot]))
			raw->slot[raw->nr++] = slot;
	raw->data = aligned_bytes((raw->nr + 1) * (size_t)REMAP_CHUNK_BYTES);
	if (!raw->data)
		return no_memory(error);
	for (uint32_t i = 0; !r && i < raw->nr; i++)
		r = read_raw(a, raw->slot[i], raw->data + i * (size_t)REMAP_CHUNK_BYTES, error);
	for (uint32_t i = 0; !r && i < raw->nr; i++)
		r = try_raw(a, raw->slot[i], raw->data + i * (size_t)REMAP_CHUNK_BYTES, error);
	if (!r && handle_has_guard(a) && handle_sector0_is_ours(a) != 1)
		r = main_cannot_do_without(a, 0, 0, "cannot be read", error);
	return r;
}

/*
 * Main is hidden again: its sector 0 first, durably, or a crash would leave what looks like a
 * plain disk.  Of the rest what cannot be written is left: the spare serves it.
 */
bool release_hide_again(struct set_handle *a, const struct raw_places *raw)
{
	uint32_t unit = main_unit_sectors(a);

	for (unsigned int later = 0; later < 2; later++) {
		for (uint32_t i = 0; i < raw->nr; i++) {
			const struct remap_entry *entry = &a->table.entry[raw->slot[i]];
			uint8_t *data = raw->data + i * (size_t)REMAP_CHUNK_BYTES;

			for (uint32_t s = 0; s < REMAP_CHUNK_SECTORS; s += unit)
				if ((entry->main_chunk || s) == (later == 1))
					main_write_sectors(a, entry->main_chunk,
							   main_mask_back(entry) &
								   main_unit_mask(s, unit),
							   data, NULL);
		}
		if (fsync(a->main_fd) < 0 ||
		    (handle_has_guard(a) && handle_sector0_is_ours(a) != 1))
			return false;
	}
	return !(a->region.super.flags & REMAP_SUPER_MARKED) || handle_is_marked(a) == 1;
}
