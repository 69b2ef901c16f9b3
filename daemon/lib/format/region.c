// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading a spare region as the kernel's load does (FORMAT.md section 9), but
 * without repairing anything.
 */
#include <errno.h>
#include <inttypes.h>

#include "format/region.h"

static off_t copy_offset(const struct region *region, const struct remap_geometry *geometry,
			 unsigned int copy, uint32_t block)
{
	return (off_t)((region->start + remap_block_sector(geometry, copy / REMAP_PLACES,
							   copy % REMAP_PLACES, block)) *
		       REMAP_SECTOR_BYTES);
}

/* The four copies of a block, behind each other in @data; those that cannot be read are so marked. */
static void read_copies(const struct region *region, const struct remap_geometry *geometry,
			uint32_t block, uint8_t *data, struct remap_copies *copies)
{
	for (unsigned int c = 0; c < REMAP_COPIES; c++, data += REMAP_BLOCK_BYTES) {
		copies->data[c] = data;
		copies->verdict[c] = read_all_at(region->fd, data, REMAP_BLOCK_BYTES,
						 copy_offset(region, geometry, c, block)) < 0 ?
					     REMAP_UNREADABLE :
					     REMAP_OK;
	}
}

/* The four superblocks by one geometry: verdicts, and the best one in region->super. */
static int read_supers(struct region *region, const struct remap_geometry *geometry)
{
	_cleanup_free_ uint8_t *buffer =
		aligned_alloc(REMAP_BLOCK_BYTES, REMAP_COPIES * REMAP_BLOCK_BYTES);
	struct remap_copies copies;
	struct remap_super super;
	int r;

	if (!buffer)
		return -ENOMEM;
	read_copies(region, geometry, 0, buffer, &copies);
	r = remap_judge_supers(&copies, &super);
	memcpy(region->verdict, copies.verdict, sizeof(region->verdict));
	region->choice = copies.choice;
	if (!r)
		region->super = super;
	return r;
}

static int smaller(const struct remap_super *super, uint64_t nr_sectors, struct error *error)
{
	return error_set(error, EUCLEAN,
			 "the spare region has %" PRIu64 " sectors, but the device only has "
			 "%" PRIu64 ": the device has shrunk",
			 (uint64_t)super->geometry.region_sectors, nr_sectors);
}

/*
 * The four superblocks where @geometry says, and then, if the best of them has another layout,
 * where that says: there it must be found again, or one of the two is forged (C16).  So it is
 * when @leader (or NULL), whose geometry that is, leads to an end replica with another one.
 */
static int read_supers_twice(struct region *region, const struct remap_geometry *geometry,
			     const struct remap_super *leader)
{
	struct remap_super first;
	int r = read_supers(region, geometry);

	if (!r && leader && region->choice.best >= REMAP_PLACES &&
	    !remap_super_same_layout(&region->super, leader))
		return -EUCLEAN;
	if (r < 0 || !memcmp(&region->super.geometry, geometry, sizeof(*geometry)) ||
	    region->super.geometry.region_sectors > region->nr_sectors)
		return r;
	first = region->super;
	r = read_supers(region, &first.geometry);
	if (r == -EOPNOTSUPP || r == -ENOMEM)
		return r;
	return r || !remap_super_same_layout(&region->super, &first) ? -EUCLEAN : 0;
}

int region_open(int fd, uint64_t start_sector, uint64_t nr_sectors, struct region *region,
		struct error *error)
{
	_cleanup_free_ uint8_t *first = aligned_alloc(REMAP_BLOCK_BYTES, REMAP_BLOCK_BYTES);
	struct remap_geometry formula;
	struct remap_super at_start;
	int r;

	if (!first)
		return error_set(error, ENOMEM, "out of memory");
	memset(region, 0, sizeof(*region));
	region->fd = fd;
	region->start = start_sector;
	region->nr_sectors = nr_sectors;
	region->choice.best = -1;

	/* Sector 0 first: it may have a layout, and a length, of its own (O10). */
	r = read_all_at(fd, first, REMAP_BLOCK_BYTES, (off_t)(start_sector * REMAP_SECTOR_BYTES));
	if (!r && remap_super_decode(first, &at_start) == REMAP_OK) {
		if (at_start.geometry.region_sectors > nr_sectors)
			return smaller(&at_start, nr_sectors, error);
		r = read_supers_twice(region, &at_start.geometry, &at_start);
	} else {
		r = remap_geometry_compute(nr_sectors, &formula);
		if (r < 0)
			return error_set(error, ENODATA,
					 "not a dm-remap spare: the region is too small");
		r = read_supers_twice(region, &formula, NULL);
	}
	if (!r && region->super.geometry.region_sectors > nr_sectors)
		return smaller(&region->super, nr_sectors, error);
	if (!r) {
		region->nr_sectors = region->super.geometry.region_sectors;
		return 0;
	}
	switch (r) {
	case -EOPNOTSUPP:
		return error_set(error, ENOTSUP,
				 "the set was made by a newer dm-remap; upgrade dm-remap");
	case -EUCLEAN:
		return error_set(error, EUCLEAN,
				 "the superblocks contradict each other; run dmremap check");
	case -EBADMSG:
		return error_set(error, EUCLEAN,
				 "a dm-remap spare, but all its superblocks are damaged");
	case -EIO:
		return error_set(error, EIO, "the superblocks cannot be read");
	case -ENODATA:
		return error_set(error, ENODATA, "not a dm-remap spare");
	default:
		return error_set(error, -r, "cannot read the superblocks: %s", strerror(-r));
	}
}

int region_read_copies(const struct region *region, uint32_t block, uint64_t newest,
		       uint8_t *buffer, struct remap_copies *copies)
{
	read_copies(region, &region->super.geometry, block, buffer, copies);
	return remap_judge_block(&region->super, block, newest, copies);
}

/* So many blocks are read at once of each place, where they lie behind each other. */
#define BATCH_BLOCKS 64

/**
 * struct batch - blocks of all four places, read ahead
 * @first: number of the first block
 * @nr: how many; 0: none yet
 * @data: aligned: of each copy BATCH_BLOCKS blocks
 * @readable: per copy and block
 */
struct batch {
	uint32_t first;
	uint32_t nr;
	uint8_t *data;
	bool readable[REMAP_COPIES][BATCH_BLOCKS];
};

static uint8_t *block_in(const struct batch *batch, unsigned int copy, uint32_t i)
{
	return batch->data + ((size_t)copy * BATCH_BLOCKS + i) * REMAP_BLOCK_BYTES;
}

/* One by one where a place cannot be read as a whole. */
static void read_batch(const struct region *region, uint32_t first, uint32_t nr,
		       struct batch *batch)
{
	const struct remap_geometry *geometry = &region->super.geometry;

	batch->first = first;
	batch->nr = nr;
	for (unsigned int c = 0; c < REMAP_COPIES; c++) {
		bool whole = read_all_at(region->fd, block_in(batch, c, 0),
					 (size_t)nr * REMAP_BLOCK_BYTES,
					 copy_offset(region, geometry, c, first)) == 0;

		for (uint32_t i = 0; i < nr; i++)
			batch->readable[c][i] =
				whole ||
				read_all_at(region->fd, block_in(batch, c, i), REMAP_BLOCK_BYTES,
					    copy_offset(region, geometry, c, first + i)) == 0;
	}
}

static int read_from_batch(const struct region *region, uint32_t block, uint64_t newest,
			   struct batch *batch, struct remap_copies *copies)
{
	const struct remap_geometry *geometry = &region->super.geometry;
	uint32_t end = 1 + geometry->table_blocks + geometry->soft_blocks;

	if (!batch->nr || block >= batch->first + batch->nr)
		read_batch(region, block, end - block < BATCH_BLOCKS ? end - block : BATCH_BLOCKS,
			   batch);
	for (unsigned int c = 0; c < REMAP_COPIES; c++) {
		copies->data[c] = block_in(batch, c, block - batch->first);
		copies->verdict[c] =
			batch->readable[c][block - batch->first] ? REMAP_OK : REMAP_UNREADABLE;
	}
	return remap_judge_block(&region->super, block, newest, copies);
}

static int take_block(const struct region *region, uint32_t block, const void *data,
		      struct region_table *table)
{
	const struct remap_table_disk *disk = data;
	uint32_t first = remap_first_slot(block);
	uint32_t nr = remap_table_entries(&region->super.geometry, block);

	for (uint32_t i = 0; i < nr; i++)
		remap_entry_decode(&disk->entry[i], &table->entry[first + i]);
	return 0;
}

static int by_chunk(const void *a, const void *b, void *userdata)
{
	const struct region_table *table = userdata;
	const struct remap_entry *x = &table->entry[*(const uint32_t *)a];
	const struct remap_entry *y = &table->entry[*(const uint32_t *)b];

	if (x->main_chunk != y->main_chunk)
		return x->main_chunk < y->main_chunk ? -1 : 1;
	return 0;
}

/* The used slots in order of their main chunk; the caller frees. */
static int slots_by_chunk(struct region_table *table, uint32_t **slots, size_t *nr_slots)
{
	size_t nr = 0;

	*slots = malloc((table->nr_slots + 1) * sizeof(**slots));
	if (!*slots)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < table->nr_slots; slot++)
		if (table->entry[slot].state == REMAP_ENTRY_USED)
			(*slots)[nr++] = slot;
	qsort_r(*slots, nr, sizeof(**slots), by_chunk, table);
	*nr_slots = nr;
	return 0;
}

/*
 * A move that was cut short: the successor counts, the other slot is free (C13).  Three
 * claims, or two of which neither is the other's successor, contradict each other.
 */
static int resolve_moves(struct region_table *table)
{
	_cleanup_free_ uint32_t *slots = NULL;
	size_t nr, i, end;
	int r = slots_by_chunk(table, &slots, &nr);

	for (i = 0; !r && i < nr; i = end) {
		struct remap_entry *a = &table->entry[slots[i]], *b;
		int order;

		for (end = i + 1; end < nr; end++)
			if (table->entry[slots[end]].main_chunk != a->main_chunk)
				break;
		if (end - i == 1)
			continue;
		b = &table->entry[slots[i + 1]];
		order = remap_generation_compare(b->generation, a->generation);
		if (end - i > 2 || !order)
			table->nr_contradictions++;
		else
			memset(order > 0 ? a : b, 0, sizeof(*a));
	}
	return r;
}

int region_read_table(const struct region *region, struct region_table *table, region_copy_f f,
		      void *userdata, struct error *error)
{
	_cleanup_free_ uint8_t *buffer = aligned_alloc(
		REMAP_BLOCK_BYTES, (size_t)REMAP_COPIES * BATCH_BLOCKS * REMAP_BLOCK_BYTES);
	struct batch batch = { .data = buffer };
	const struct remap_geometry *geometry = &region->super.geometry;
	int r, dead;

	memset(table, 0, sizeof(*table));
	table->nr_slots = geometry->slots;
	table->generation = region->super.seq;
	table->entry = calloc(geometry->slots, sizeof(*table->entry));
	table->unloadable = calloc(1 + geometry->table_blocks, sizeof(*table->unloadable));
	if (!buffer || !table->entry || !table->unloadable) {
		region_table_done(table);
		return error_set(error, ENOMEM, "out of memory");
	}
	for (uint32_t block = 0; block <= geometry->table_blocks + geometry->soft_blocks; block++) {
		bool soft = block > geometry->table_blocks;
		struct remap_copies copies = { .choice = region->choice };

		if (!block) {
			memcpy(copies.verdict, region->verdict, sizeof(copies.verdict));
			r = 0;
		} else {
			r = read_from_batch(region, block, table->age.newest, &batch, &copies);
		}
		for (unsigned int c = 0; c < REMAP_COPIES; c++) {
			bool chosen = !r && copies.choice.good_place[c / REMAP_PLACES] ==
						    c % REMAP_PLACES;
			uint64_t seq = 0;
			int stop;

			if (copies.verdict[c] == REMAP_OK)
				seq = block ? remap_block_seq(copies.data[c]) : region->super.seq;
			if (seq > table->newest)
				table->newest = seq;
			stop = f ? f(userdata, block, c / REMAP_PLACES, c % REMAP_PLACES,
				     copies.verdict[c], seq, chosen) :
				   0;
			if (stop < 0) {
				region_table_done(table);
				return stop;
			}
		}
		progress_step(region->progress);
		if (soft)
			continue;
		table->unloadable[block] = r < 0 || remap_is_stale(&copies.choice);
		table->nr_unloadable += table->unloadable[block];
		if (r < 0)
			continue;
		dead = remap_dead_copy(&region->super, block);
		for (int replica = 0; replica < REMAP_REPLICAS; replica++)
			table->nr_damaged += copies.choice.repair[replica] &&
					     (dead < 0 || dead / REMAP_PLACES != replica);
		remap_age_add(&table->age, block, copies.choice.seq, dead >= 0);
		table->generation = table->age.newest;
		if (block)
			take_block(region, block, copies.data[copies.choice.best], table);
	}
	r = resolve_moves(table);
	if (r < 0) {
		region_table_done(table);
		return error_set(error, -r, "out of memory");
	}
	return 0;
}

void region_table_done(struct region_table *table)
{
	free(table->entry);
	free(table->unloadable);
	memset(table, 0, sizeof(*table));
}

int region_read_soft(const struct region *region, struct remap_soft_disk *soft)
{
	_cleanup_free_ uint8_t *buffer =
		aligned_alloc(REMAP_BLOCK_BYTES, REMAP_COPIES * REMAP_BLOCK_BYTES);
	struct remap_copies copies;

	if (!buffer)
		return -ENOMEM;
	if (region_read_copies(region, 1 + region->super.geometry.table_blocks, region->super.seq,
			       buffer, &copies) < 0)
		return -ENODATA;
	memcpy(soft, copies.data[copies.choice.best], sizeof(*soft));
	return 0;
}

struct segments {
	struct segment *at;
	size_t nr;
	size_t room;
};

/* Adds a run, or lengthens the last one when it goes on in the same way. */
static int add_segment(struct segments *list, uint64_t start, uint64_t nr_sectors,
		       enum segment_kind kind, uint64_t spare_sector)
{
	struct segment *last = list->nr ? &list->at[list->nr - 1] : NULL;

	if (!nr_sectors)
		return 0;
	if (last && last->kind == kind &&
	    (kind != SEGMENT_SPARE || last->spare_sector + last->nr_sectors == spare_sector)) {
		last->nr_sectors += nr_sectors;
		return 0;
	}
	if (list->nr == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct segment *bigger = reallocarray(list->at, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		list->at = bigger;
		list->room = room;
	}
	list->at[list->nr++] = (struct segment){
		.start = start,
		.nr_sectors = nr_sectors,
		.kind = kind,
		.spare_sector = kind == SEGMENT_SPARE ? spare_sector : 0,
	};
	return 0;
}

int region_segments(const struct region *region, const struct region_table *table,
		    struct segment **segments, size_t *nr_segments, struct error *error)
{
	_cleanup_free_ uint32_t *slots = NULL;
	struct segments list = { 0 };
	uint64_t at = 0;
	size_t nr, i;
	int r;

	if (table->nr_unloadable || table->nr_contradictions)
		return error_set(error, EUCLEAN,
				 "the table is incomplete: %u table blocks cannot be read, %u "
				 "chunks are claimed twice",
				 table->nr_unloadable, table->nr_contradictions);
	r = slots_by_chunk((struct region_table *)table, &slots, &nr);
	for (i = 0; !r && i < nr; i++) {
		const struct remap_entry *entry = &table->entry[slots[i]];
		uint64_t start = (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS;
		uint64_t spare =
			region->start + remap_slot_sector(&region->super.geometry, slots[i]);

		for (unsigned int s = 0; !r && s < REMAP_CHUNK_SECTORS; s++) {
			if (!(entry->redirected >> s & 1))
				continue;
			r = add_segment(&list, at, start + s - at, SEGMENT_MAIN, 0);
			if (!r)
				r = add_segment(&list, start + s, 1,
						entry->lost >> s & 1 ? SEGMENT_LOST : SEGMENT_SPARE,
						spare + s);
			at = start + s + 1;
		}
	}
	if (!r)
		r = add_segment(&list, at, region->super.main_sectors - at, SEGMENT_MAIN, 0);
	if (!r && list.nr > SEGMENTS_MOST)
		r = error_set(error, EFBIG,
			      "its table needs %zu segments, and device-mapper allows %u: only the "
			      "module dm-remap can serve so many remapped sectors",
			      list.nr, SEGMENTS_MOST);
	else if (r < 0)
		r = error_set(error, -r, "out of memory");
	if (r < 0) {
		free(list.at);
		return r;
	}
	*segments = list.at;
	*nr_segments = list.nr;
	return 0;
}
