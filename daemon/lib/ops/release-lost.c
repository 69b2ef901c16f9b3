// SPDX-License-Identifier: GPL-2.0-or-later
/* Lost sectors: those that remain errors on main, and those that must be given up by name. */
#include <errno.h>
#include <inttypes.h>

#include "ops/release-steps.h"

/* Main fails there as well: it returns nothing that is not true. */
bool main_fails(const struct set_handle *a, uint64_t sector)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	uint64_t unit = main_unit_sectors(a);

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
		if (!main_entry_is_own_place(entry) && main_fails(a, sector))
			r = sector_ranges_add(&a->still_lost, sector, 1);
		else if (!sector_ranges_has(&a->give_up, sector))
			r = sector_ranges_add(unsettled, sector, 1);
		else if (main_entry_is_own_place(entry))
			r = sector_ranges_add(&a->zeroed, sector, 1);
	}
	return r;
}

static bool is_lost(const struct set_handle *a, uint64_t sector)
{
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (main_entry_is_used(a, slot) &&
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
						 "sector %" PRIu64 " is not lost, so it cannot be "
						 "given up; nothing was changed",
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
		if (main_entry_is_used(a, slot) && a->table.entry[slot].lost)
			r = sort_lost(a, slot, &unsettled);
	sector_ranges_text(&unsettled, sectors, sizeof(sectors));
	one = sector_ranges_count(&unsettled) == 1;
	snprintf(all, sizeof(all), "sector%s %s %s", one ? "" : "s", sectors, one ? "is" : "are");
	if (!r && unsettled.nr)
		r = error_set(error, EBUSY,
			      "%s lost: the content does not exist any more, and the main device "
			      "would return older data, or zeros; nothing was changed. Write to "
			      "the mapped device first, or use --give-up SECTORS",
			      all);
	sector_ranges_done(&unsettled);
	return r == -ENOMEM ? no_memory(error) : r;
}
