// SPDX-License-Identifier: GPL-2.0-or-later
/* Resolving a set from its bytes alone, see resolve.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "resolve.h"

__attribute__((format(printf, 3, 4))) static int refuse(struct resolve_map *map, int error,
							const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(map->error, sizeof(map->error), format, arguments);
	va_end(arguments);
	return error;
}

int resolve_init(struct resolve_map *map, u64 main_sectors)
{
	*map = (struct resolve_map){
		.nr_chunks = (main_sectors + REMAP_CHUNK_SECTORS - 1) / REMAP_CHUNK_SECTORS,
	};
	map->slot_of_chunk = calloc(map->nr_chunks, sizeof(map->slot_of_chunk[0]));
	map->redirected = calloc(map->nr_chunks, 1);
	map->lost = calloc(map->nr_chunks, 1);
	map->entry_generation = calloc(map->nr_chunks, 1);
	map->used = calloc(map->nr_chunks, sizeof(map->used[0]));
	if (!map->slot_of_chunk || !map->redirected || !map->lost || !map->entry_generation ||
	    !map->used)
		return -ENOMEM;
	return 0;
}

void resolve_done(struct resolve_map *map)
{
	free(map->slot_of_chunk);
	free(map->redirected);
	free(map->lost);
	free(map->entry_generation);
	free(map->used);
}

static void forget(struct resolve_map *map)
{
	u32 i;

	for (i = 0; i < map->nr_used; i++)
		map->slot_of_chunk[map->used[i]] = 0;
	map->nr_used = 0;
	map->nr_bad = 0;
	map->nr_repairs = 0;
	map->age = (struct remap_age){ 0 };
	map->mark = (struct remap_mark){ 0 };
	map->newest_soft = 0;
	map->nr_stale = 0;
	map->nr_hidden = 0;
	map->error[0] = 0;
}

/* The four copies of a block; verdict of the reading only. */
static void read_copies(struct resolve_map *map, const struct resolve_disk *spare,
			const struct remap_geometry *geometry, u32 block,
			const void *copy[REMAP_COPIES], enum remap_verdict verdict[REMAP_COPIES])
{
	unsigned int c;

	for (c = 0; c < REMAP_COPIES; c++) {
		u64 sector =
			remap_block_sector(geometry, c / REMAP_PLACES, c % REMAP_PLACES, block);

		copy[c] = &map->copy[c];
		verdict[c] = REMAP_OK;
		if (block && remap_is_dead(&map->super, block, c)) {
			verdict[c] = REMAP_DEAD;
			continue;
		}
		if (sector + REMAP_BLOCK_SECTORS > spare->sectors ||
		    spare->read(spare->context, spare->start + sector, REMAP_BLOCK_SECTORS,
				&map->copy[c]))
			verdict[c] = REMAP_UNREADABLE;
	}
}

static int choose(struct resolve_map *map, u32 block, const void *const copy[REMAP_COPIES],
		  const enum remap_verdict verdict[REMAP_COPIES], struct remap_choice *choice)
{
	int r = remap_choose(copy, verdict, choice);

	if (r == -EUCLEAN)
		return refuse(map, -EUCLEAN, "block %u: two valid copies with number %llu differ",
			      block, choice->seq);
	if (r < 0)
		return refuse(map, -EIO, "block %u: no valid copy (%s; %s; %s; %s)", block,
			      remap_verdict_name(verdict[0]), remap_verdict_name(verdict[1]),
			      remap_verdict_name(verdict[2]), remap_verdict_name(verdict[3]));
	map->nr_repairs += choice->repair[0] + choice->repair[1];
	map->nr_stale += choice->newer_lost || choice->newer_hidden;
	map->nr_hidden += choice->newer_hidden;
	return 0;
}

static int load_super_at(struct resolve_map *map, const struct resolve_disk *spare,
			 const struct remap_geometry *geometry)
{
	enum remap_verdict verdict[REMAP_COPIES];
	const void *copy[REMAP_COPIES];
	struct remap_choice choice;
	struct remap_super super;
	unsigned int c;
	int r;

	map->nr_stale = 0;
	map->nr_hidden = 0;
	map->nr_repairs = 0;
	read_copies(map, spare, geometry, 0, copy, verdict);
	for (c = 0; c < REMAP_COPIES; c++) {
		if (verdict[c] == REMAP_OK)
			verdict[c] = remap_super_decode(copy[c], &super);
		if (verdict[c] == REMAP_BAD_VERSION)
			return refuse(map, -EOPNOTSUPP, "superblock of version %u, incompat %llx",
				      super.version, super.incompat);
	}
	r = choose(map, 0, copy, verdict, &choice);
	if (r == -EIO)
		return -ENOENT;
	if (r < 0)
		return r;
	remap_super_decode(copy[choice.best], &map->super);
	return 0;
}

static int load_super(struct resolve_map *map, const struct resolve_disk *spare, u64 main_sectors)
{
	struct remap_geometry computed;
	struct remap_super first;
	int r;

	if (remap_geometry_compute(spare->sectors, &computed) < 0)
		return refuse(map, -ENOENT, "a region of %llu sectors is too small",
			      spare->sectors);
	r = load_super_at(map, spare, &computed);
	if (r < 0)
		return r;
	if (memcmp(&computed, &map->super.geometry, sizeof(computed))) {
		first = map->super;
		r = load_super_at(map, spare, &first.geometry);
		if (r < 0 || !remap_super_same_layout(&map->super, &first))
			return refuse(map, -EUCLEAN, "a superblock leads to another layout");
	}
	remap_age_add(&map->age, 0, map->super.seq, false);
	switch (remap_super_fit(&map->super, main_sectors, spare->sectors)) {
	case REMAP_FITS:
		return 0;
	case REMAP_UNFINISHED:
		return refuse(map, -EBUSY, "creation or release was interrupted");
	default:
		return refuse(map, -EINVAL, "the set is of %llu sectors with a region of %llu",
			      map->super.main_sectors, map->super.geometry.region_sectors);
	}
}

static int take_entry(struct resolve_map *map, u32 slot, const struct remap_entry *entry)
{
	u64 chunk = entry->main_chunk;

	if (entry->state == REMAP_ENTRY_BAD)
		map->nr_bad++;
	if (entry->state != REMAP_ENTRY_USED)
		return 0;
	if (map->slot_of_chunk[chunk]) {
		int order =
			remap_generation_compare(entry->generation, map->entry_generation[chunk]);

		if (!order)
			return refuse(map, -EUCLEAN, "slots %u and %u both claim chunk %llu",
				      map->slot_of_chunk[chunk] - 1, slot, chunk);
		if (order < 0)
			return 0;
	} else {
		map->used[map->nr_used++] = chunk;
	}
	map->slot_of_chunk[chunk] = slot + 1;
	map->redirected[chunk] = entry->redirected;
	map->lost[chunk] = entry->lost;
	map->entry_generation[chunk] = entry->generation;
	return 0;
}

static bool is_frozen(const struct resolve_map *map, u32 block)
{
	unsigned int c;

	for (c = 0; c < REMAP_COPIES; c++)
		if (remap_is_dead(&map->super, block, c))
			return true;
	return false;
}

/* Losable: only its number is of interest. */
static void load_soft(struct resolve_map *map, const struct resolve_disk *spare)
{
	u32 block = 1 + map->super.geometry.table_blocks;
	enum remap_verdict verdict[REMAP_COPIES];
	const void *copy[REMAP_COPIES];
	unsigned int c;

	read_copies(map, spare, &map->super.geometry, block, copy, verdict);
	for (c = 0; c < REMAP_COPIES; c++)
		if (verdict[c] == REMAP_OK &&
		    remap_soft_check(copy[c], map->super.uuid, block, map->age.newest) ==
			    REMAP_OK &&
		    remap_block_seq(copy[c]) > map->newest_soft)
			map->newest_soft = remap_block_seq(copy[c]);
}

static int load_table_block(struct resolve_map *map, const struct resolve_disk *spare, u32 block)
{
	const struct remap_geometry *geometry = &map->super.geometry;
	enum remap_verdict verdict[REMAP_COPIES];
	const struct remap_table_disk *table;
	const void *copy[REMAP_COPIES];
	struct remap_choice choice;
	unsigned int c;
	u32 i;
	int r;

	read_copies(map, spare, geometry, block, copy, verdict);
	for (c = 0; c < REMAP_COPIES; c++)
		if (verdict[c] == REMAP_OK)
			verdict[c] = remap_table_check(copy[c], geometry, map->super.uuid, block,
						       map->super.main_sectors);
	r = choose(map, block, copy, verdict, &choice);
	if (r < 0)
		return r;
	remap_age_add(&map->age, block, choice.seq, is_frozen(map, block));
	table = copy[choice.best];
	for (i = 0; i < remap_table_entries(geometry, block); i++) {
		struct remap_entry entry;

		remap_entry_decode(&table->entry[i], &entry);
		r = take_entry(map, (block - 1) * REMAP_ENTRIES_PER_BLOCK + i, &entry);
		if (r < 0)
			return r;
	}
	return 0;
}

int resolve_load(struct resolve_map *map, const struct resolve_disk *spare, u64 main_sectors)
{
	u32 block;
	int r;

	forget(map);
	r = load_super(map, spare, main_sectors);
	for (block = 1; !r && block <= map->super.geometry.table_blocks; block++)
		r = load_table_block(map, spare, block);
	if (!r)
		load_soft(map, spare);
	return r;
}

struct resolve_place resolve_sector(const struct resolve_map *map, u64 sector)
{
	u64 chunk = sector / REMAP_CHUNK_SECTORS;
	u32 bit = sector % REMAP_CHUNK_SECTORS;
	u32 slot = map->slot_of_chunk[chunk];

	if (!slot || !(map->redirected[chunk] >> bit & 1))
		return (struct resolve_place){ RESOLVE_MAIN, sector };
	return (struct resolve_place){
		map->lost[chunk] >> bit & 1 ? RESOLVE_LOST : RESOLVE_SPARE,
		remap_slot_sector(&map->super.geometry, slot - 1) + bit,
	};
}

int resolve_check_mark(struct resolve_map *map, const struct resolve_disk *main_disk,
		       const struct resolve_disk *spare)
{
	bool marked = map->super.flags & REMAP_SUPER_MARKED;
	u64 first = map->super.probe_chunk * REMAP_CHUNK_SECTORS;
	struct remap_mark *mark = &map->mark, found;
	u32 i, proofs = 0, others = 0;

	for (i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		u8 raw[REMAP_SECTOR_BYTES] __attribute__((aligned(8)));
		u8 kept[REMAP_SECTOR_BYTES];
		struct resolve_place place = resolve_sector(map, first + i);

		if (main_disk->read(main_disk->context, first + i, 1, raw))
			continue;
		if (remap_probe_check_sector(raw, i, map->super.uuid, &found) == REMAP_OK) {
			proofs++;
			if (remap_mark_succeeds(&found, mark))
				*mark = found;
		} else if (!marked && place.kind == RESOLVE_SPARE &&
			   !spare->read(spare->context, spare->start + place.sector, 1, kept) &&
			   !memcmp(raw, kept, sizeof(raw))) {
			proofs++;
		} else {
			others++;
		}
	}
	if (marked ? !proofs && others : others)
		return refuse(map, -ENODEV, "main does not carry the set's mark at sector %llu",
			      first);
	if (remap_is_older(&map->age, mark) && !map->nr_stale)
		return refuse(
			map, -ESTALE,
			"main's mark has number %llu and digest %llx, the spare %llu and %llx",
			mark->seq, mark->digest, map->age.newest, map->age.digest);
	return 0;
}
