// SPDX-License-Identifier: GPL-2.0-or-later
/* Writing to main what hides its content; see create.c for what a crash leaves. */
#include <errno.h>
#include <inttypes.h>

#include "ops/create-steps.h"

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
				 "%s: sector %" PRIu64 " did not keep what was written to it",
				 a->main_path, offset / REMAP_SECTOR_BYTES);
	return 0;
}

/*
 * Sector 0 first: from then on main is known to be ours to restore.  A first chunk that is lost
 * as a whole may be one physical sector, which is only written whole, and is not torn.
 */
static int hide_first(const struct create_request *a, const uint8_t *chunk, uint8_t lost,
		      size_t nr_bytes, bool *begun, struct error *error)
{
	_cleanup_free_ uint8_t *back = aligned_bytes(REMAP_CHUNK_BYTES);
	uint32_t unit = (uint32_t)create_block_bytes(a->main_fd), first = unit;
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
				 "%s: sector 0, the place of the guard, cannot be written; use "
				 "--no-guard for a set without guard",
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
	size_t unit = lost ? (size_t)create_block_bytes(a->main_fd) : nr_bytes;
	int r = 0;

	for (size_t at = 0; !r && at < nr_bytes; at += unit)
		if (!lost || memcmp(original + at, chunk + at, unit))
			r = write_and_compare(a, chunk + at, unit,
					      main_chunk * REMAP_CHUNK_BYTES + at, error);
	return r;
}

int create_hide(const struct create_request *a, const struct region_plan *plan,
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
