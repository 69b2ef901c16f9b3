// SPDX-License-Identifier: GPL-2.0-or-later
/* Giving main back what the spare serves, sector by sector. */
#include <errno.h>
#include <inttypes.h>

#include "ops/release-steps.h"

off_t main_chunk_offset(uint64_t main_chunk)
{
	return (off_t)(main_chunk * REMAP_CHUNK_BYTES);
}

int main_durable(const struct set_handle *a, struct error *error)
{
	return fsync(a->main_fd) < 0 ? error_set(error, errno, "%s: flushing failed: %s",
						 a->main_path, strerror(errno)) :
				       0;
}

/* The smallest piece of main that can be written. */
uint32_t main_unit_sectors(const struct set_handle *a)
{
	return logical_bytes(a->main_fd) / REMAP_SECTOR_BYTES;
}

uint8_t main_unit_mask(uint32_t first, uint32_t nr)
{
	return (uint8_t)(((1U << nr) - 1) << first);
}

int main_read_slot(const struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	uint64_t first = (uint64_t)a->table.entry[slot].main_chunk * REMAP_CHUNK_SECTORS;
	uint8_t unreadable = handle_read_slot(a, slot, buffer);
	bool is_whole = !(a->region.super.flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING));
	struct sector_ranges sectors = { 0 };
	char text[64];

	if (!unreadable)
		return 0;
	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
		if (unreadable & 1U << i)
			sector_ranges_add(&sectors, first + i, 1);
	sector_ranges_text(&sectors, text, sizeof(text));
	error_set(error, EIO, "%s: slot %u cannot be read, which serves sector%s %s of the set%s",
		  a->spare_path, slot, sector_ranges_count(&sectors) == 1 ? "" : "s", text,
		  is_whole ? ". Write to the mapped device there; or make it lost, with dmremap "
			     "resize --accept-loss, and give it up" :
			     "");
	sector_ranges_done(&sectors);
	return -EIO;
}

int main_cannot_do_without(const struct set_handle *a, uint64_t main_chunk, uint32_t first,
			   const char *what, struct error *error)
{
	return error_set(error, EBUSY,
			 "%s: sector %" PRIu64 " %s; it is served by the spare, so the set cannot "
			 "be released",
			 a->main_path, main_chunk * REMAP_CHUNK_SECTORS + first, what);
}

/* @f for each of @nr sectors that @mask selects of a unit; compared with @data. */
bool main_holds(const struct set_handle *a, uint64_t main_chunk, uint32_t first, uint32_t nr,
		uint8_t mask, const uint8_t *data)
{
	_cleanup_free_ uint8_t *held = aligned_bytes(REMAP_CHUNK_BYTES);
	uint32_t at = first * REMAP_SECTOR_BYTES;

	if (!held || read_all_at(a->main_fd, held + at, nr * REMAP_SECTOR_BYTES,
				 main_chunk_offset(main_chunk) + at) < 0)
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
			main_chunk_offset(main_chunk) + at) < 0)
		return error_set(error, EIO, "%s: sector %" PRIu64 " cannot be read", a->main_path,
				 main_chunk * REMAP_CHUNK_SECTORS + first);
	for (uint32_t i = first; i < first + nr; i++)
		if (!(mask & 1U << i))
			memcpy(data + i * REMAP_SECTOR_BYTES, held + i * REMAP_SECTOR_BYTES,
			       REMAP_SECTOR_BYTES);
	return 0;
}

/* The sectors of @mask, from @data to main.  What is there already may be unwritable. */
int main_write_sectors(const struct set_handle *a, uint64_t main_chunk, uint8_t mask, uint8_t *data,
		       struct error *error)
{
	uint32_t unit = main_unit_sectors(a);

	/* a bad physical sector of 4 KiB can only be written whole, and is good afterwards */
	if (mask == 0xff &&
	    write_all_at(a->main_fd, data, REMAP_CHUNK_BYTES, main_chunk_offset(main_chunk)) == 0)
		return 0;
	for (uint32_t i = 0; i < REMAP_CHUNK_SECTORS; i += unit) {
		uint8_t wanted = main_unit_mask(i, unit);
		uint32_t at = i * REMAP_SECTOR_BYTES;
		int r = 0;

		if (!(mask & wanted))
			continue;
		if ((mask & wanted) != wanted)
			r = complete(a, main_chunk, i, unit, mask, data, error);
		if (r < 0)
			return r;
		if (write_all_at(a->main_fd, data + at, unit * REMAP_SECTOR_BYTES,
				 main_chunk_offset(main_chunk) + at) < 0 &&
		    !main_holds(a, main_chunk, i, unit, wanted, data))
			return main_cannot_do_without(a, main_chunk, i, "still cannot be written",
						      error);
	}
	return 0;
}

int main_compare_sectors(const struct set_handle *a, uint64_t main_chunk, uint8_t mask,
			 const uint8_t *data, struct error *error)
{
	uint32_t unit = main_unit_sectors(a);

	for (uint32_t i = 0; i < REMAP_CHUNK_SECTORS; i += unit)
		if (mask & main_unit_mask(i, unit) &&
		    !main_holds(a, main_chunk, i, unit, mask, data))
			return main_cannot_do_without(a, main_chunk, i,
						      "does not keep what is written to it", error);
	return 0;
}

bool main_entry_is_used(const struct set_handle *a, uint32_t slot)
{
	return a->table.entry[slot].state == REMAP_ENTRY_USED;
}

/* What stands on main in the place of such an entry is ours. */
bool main_entry_is_hidden(const struct remap_entry *entry)
{
	return entry->cause == REMAP_CAUSE_GUARD || entry->cause == REMAP_CAUSE_PROBE;
}

/* Sector 0 to 7 are the guard's, and the probe chunk the mark's: main must get something. */
bool main_entry_is_own_place(const struct remap_entry *entry)
{
	return entry->cause == REMAP_CAUSE_PROBE ||
	       (entry->cause == REMAP_CAUSE_GUARD && !entry->main_chunk);
}

/* What main gets back of an entry: not what is lost, where something else need not go. */
uint8_t main_mask_back(const struct remap_entry *entry)
{
	return main_entry_is_own_place(entry) ? entry->redirected :
						entry->redirected & (uint8_t)~entry->lost;
}

/* The content for main: of what is lost, in places of our own, that is zeros (said before). */
int main_read_content(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error)
{
	const struct remap_entry *entry = &a->table.entry[slot];
	int r = main_read_slot(a, slot, buffer, error);

	for (unsigned int i = 0; !r && i < REMAP_CHUNK_SECTORS; i++)
		if (entry->lost & 1U << i)
			memset(buffer + i * REMAP_SECTOR_BYTES, 0, REMAP_SECTOR_BYTES);
	return r;
}
