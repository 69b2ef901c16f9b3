// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a crash leaves between the steps of losing_carry_out(): each table block is committed as
 * the kernel does, the old one or the new one counts (region_commit_table()).  Some of the
 * sectors are lost then, the others not; the set is inactive, and its order is repeated.
 */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "ops/lost.h"

/* Above all numbers that a commit may have burnt, also on copies that cannot be read (C2). */
#define LEAP (1ULL << 20)

/**
 * struct by_chunk - slots in the order of their main chunks
 * @chunk: number
 * @slot: that serves it
 */
struct by_chunk {
	uint64_t chunk;
	uint32_t slot;
};

static int compare(const void *a, const void *b)
{
	const struct by_chunk *x = a, *y = b;

	return x->chunk < y->chunk ? -1 : x->chunk > y->chunk;
}

/* The caller frees. */
static struct by_chunk *sort_slots(const struct region_table *table, size_t *nr)
{
	struct by_chunk *sorted = calloc(table->nr_slots + 1, sizeof(*sorted));

	*nr = 0;
	for (uint32_t slot = 0; sorted && slot < table->nr_slots; slot++)
		if (table->entry[slot].state == REMAP_ENTRY_USED)
			sorted[(*nr)++] = (struct by_chunk){ table->entry[slot].main_chunk, slot };
	if (sorted)
		qsort(sorted, *nr, sizeof(*sorted), compare);
	return sorted;
}

/**
 * struct finder - the search for free slots
 * @losing: for whom
 * @next: slot to look at next
 * @block: whose copies @usable is about
 * @usable: per entry of it: no copy of the block names it (C11)
 */
struct finder {
	const struct losing *losing;
	uint32_t next;
	uint32_t block;
	bool usable[REMAP_ENTRIES_PER_BLOCK];
};

/* -ENOSPC: there is none left. */
static int find_free(struct finder *finder, uint32_t *slot)
{
	const struct set_handle *a = finder->losing->handle;

	for (; finder->next < a->table.nr_slots; finder->next++) {
		uint32_t block = remap_table_block_of(finder->next);

		if (finder->losing->entry[finder->next].state != REMAP_ENTRY_FREE)
			continue;
		if (block != finder->block) {
			int r = region_find_unnamed(&a->region, block, finder->usable);

			if (r < 0)
				return r;
			finder->block = block;
		}
		if (!finder->usable[finder->next % REMAP_ENTRIES_PER_BLOCK])
			continue;
		*slot = finder->next++;
		return 0;
	}
	return -ENOSPC;
}

static void lose(struct losing *losing, uint32_t slot, uint8_t mask)
{
	struct remap_entry *entry = &losing->entry[slot];
	uint8_t fresh = mask & (uint8_t)~entry->redirected;

	losing->nr_sectors += (uint64_t)__builtin_popcount(fresh);
	losing->nr_served += (uint64_t)__builtin_popcount(mask & entry->redirected & ~entry->lost);
	if (!fresh)
		return;
	entry->redirected |= fresh;
	entry->lost |= fresh;
	losing->dirty[remap_table_block_of(slot)] = true;
}

static int lose_chunk(struct losing *losing, struct finder *finder, const struct by_chunk *sorted,
		      size_t nr_sorted, uint64_t chunk, uint8_t mask)
{
	const struct by_chunk *found = bsearch(&(struct by_chunk){ .chunk = chunk }, sorted,
					       nr_sorted, sizeof(*sorted), compare);
	uint32_t slot;
	int r;

	if (found) {
		lose(losing, found->slot, mask);
		return 0;
	}
	losing->nr_slots++;
	r = find_free(finder, &slot);
	if (r == -ENOSPC) /* the others are still counted */
		return 0;
	if (r < 0)
		return r;
	losing->entry[slot] = (struct remap_entry){
		.main_chunk = chunk,
		.state = REMAP_ENTRY_USED,
		.cause = REMAP_CAUSE_IMPORT,
		.when = (uint32_t)time(NULL),
	};
	lose(losing, slot, mask);
	return 0;
}

static uint8_t mask_in(const struct bad_range *range, uint64_t chunk)
{
	uint64_t first = chunk * REMAP_CHUNK_SECTORS, end = range->sector + range->nr_sectors;
	uint8_t mask = 0;

	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
		if (first + i >= range->sector && first + i < end)
			mask |= (uint8_t)(1U << i);
	return mask;
}

/* Ranges are sorted and apart; two may lie in one chunk. */
static int lose_all(struct losing *losing, const struct bad_range *range, size_t nr_ranges)
{
	struct finder finder = { .losing = losing };
	_cleanup_free_ struct by_chunk *sorted = NULL;
	uint64_t chunk = 0;
	uint8_t mask = 0;
	size_t nr_sorted;
	int r = 0;

	sorted = sort_slots(&losing->handle->table, &nr_sorted);
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; !r && i < nr_ranges; i++)
		for (uint64_t at = range[i].sector / REMAP_CHUNK_SECTORS;
		     !r && at * REMAP_CHUNK_SECTORS < range[i].sector + range[i].nr_sectors; at++) {
			if (mask && at != chunk) {
				r = lose_chunk(losing, &finder, sorted, nr_sorted, chunk, mask);
				mask = 0;
			}
			chunk = at;
			mask |= mask_in(&range[i], at);
		}
	return !r && mask ? lose_chunk(losing, &finder, sorted, nr_sorted, chunk, mask) : r;
}

static int check_places(const struct losing *losing, struct error *error)
{
	const struct remap_super *super = &losing->handle->region.super;

	for (uint32_t b = 1; b <= super->geometry.table_blocks; b++)
		if (losing->dirty[b] && remap_dead_copy(super, b) >= 0)
			return error_set(error, EPERM,
					 "%s: table block %u can no longer be written; nothing "
					 "was changed. Move the set to another spare with dmremap "
					 "resize",
					 losing->handle->spare_path, b);
	return 0;
}

int losing_look(struct losing *losing, const struct bad_range *range, size_t nr_ranges,
		struct error *error)
{
	const struct set_handle *a = losing->handle;
	uint32_t nr_free = 0, nr_taken = 0;
	int r;

	losing->entry = calloc(a->table.nr_slots, sizeof(*losing->entry));
	losing->dirty = calloc(1 + a->region.super.geometry.table_blocks, sizeof(*losing->dirty));
	if (!losing->entry || !losing->dirty)
		return no_memory(error);
	memcpy(losing->entry, a->table.entry, a->table.nr_slots * sizeof(*losing->entry));
	r = lose_all(losing, range, nr_ranges);
	if (r < 0)
		return error_set(error, -r, "%s: cannot find free slots: %s", a->spare_path,
				 strerror(-r));
	/* a slot that a copy of its block still names was not taken, so there may be more */
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++) {
		nr_free += a->table.entry[slot].state == REMAP_ENTRY_FREE;
		nr_taken += losing->entry[slot].state != a->table.entry[slot].state;
	}
	if (nr_taken < losing->nr_slots)
		return error_set(
			error, EPERM,
			"%s: the lost sectors need %u slots, and only %u are free; nothing was "
			"changed. Move the set to a larger spare with dmremap resize",
			a->spare_path, losing->nr_slots, nr_free);
	return check_places(losing, error);
}

int losing_carry_out(struct losing *losing, struct error *error)
{
	struct set_handle *a = losing->handle;
	uint64_t seq =
		(a->table.newest > a->table.generation ? a->table.newest : a->table.generation) +
		LEAP;
	int r = 0;

	for (uint32_t b = 1; !r && b <= a->region.super.geometry.table_blocks; b++) {
		if (!losing->dirty[b])
			continue;
		r = region_commit_table(&a->region, b, ++seq, losing->entry, a->table.nr_slots,
					error);
		if (!r)
			losing->dirty[b] = false;
		a->table.generation = seq;
	}
	return r;
}

void losing_done(struct losing *losing)
{
	free(losing->entry);
	free(losing->dirty);
	losing->entry = NULL;
	losing->dirty = NULL;
}
