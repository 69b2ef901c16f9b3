// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A spare region read and written by userspace: an image made here, then every way in
 * which one copy, or all of them, can be bad.
 */
#include <fcntl.h>

#include "format/region.h"
#include "unit.h"

#define START 8	     /* the region does not begin with the device */
#define SECTORS 2048 /* 1 MiB: one table block, 192 slots */
#define MAIN_SECTORS 20000
#define NR_ENTRIES 5

static int fd = -1;
static struct remap_super super;
static struct remap_entry entry[NR_ENTRIES];
static uint8_t data[NR_ENTRIES * REMAP_CHUNK_BYTES];

static void make(void)
{
	struct region_plan plan = {
		.entry = entry, .nr_entries = NR_ENTRIES, .data = data, .nr_data = NR_ENTRIES
	};

	memset(&super, 0, sizeof(super));
	memcpy(super.uuid, unit_uuid, sizeof(super.uuid));
	super.main_sectors = MAIN_SECTORS;
	super.probe_chunk = 2499;
	strcpy(super.label, "data");
	plan.super = super;
	for (unsigned int i = 0; i < NR_ENTRIES; i++)
		entry[i] = (struct remap_entry){
			.main_chunk = i ? 10 * i : 2499,
			.redirected = i == 3 ? 0x3c : 0xff,
			.lost = i == 3 ? 0x08 : 0,
			.state = REMAP_ENTRY_USED,
			.cause = i ? REMAP_CAUSE_GUARD : REMAP_CAUSE_PROBE,
			.when = 1,
		};
	unit_random_bytes(data, sizeof(data));
	assert_int_equal(region_format(fd, START, SECTORS, &plan, NULL), 0);
	super = plan.super;
}

static int setup(void **unused)
{
	char path[] = "/tmp/unit-region.XXXXXX";

	(void)unused;
	unit_seed(__func__);
	fd = mkstemp(path);
	unlink(path);
	return fd < 0 || ftruncate(fd, (START + SECTORS) * 512) < 0 ? -1 : 0;
}

static int teardown(void **unused)
{
	(void)unused;
	return close(fd);
}

static off_t place(unsigned int copy, uint32_t block)
{
	return (off_t)(START + remap_block_sector(&super.geometry, copy / 2, copy % 2, block)) *
	       512;
}

static void get(unsigned int copy, uint32_t block, struct block *to)
{
	assert_int_equal(read_all_at(fd, to, sizeof(*to), place(copy, block)), 0);
}

static void put(unsigned int copy, uint32_t block, const struct block *from)
{
	assert_int_equal(write_all_at(fd, from, sizeof(*from), place(copy, block)), 0);
}

/* A table block with @change made to it, and the number @seq. */
static void put_table(unsigned int copy, uint64_t seq, unsigned int slot,
		      const struct remap_entry *change)
{
	struct block block;
	struct remap_table_disk *table = (struct remap_table_disk *)&block;

	get(0, 1, &block);
	table->header.seq = cpu_to_le64(seq);
	if (change)
		remap_entry_encode(change, &table->entry[slot]);
	remap_block_seal(&block);
	put(copy, 1, &block);
}

/* The same with another entry 1: its main chunk is @main_chunk. */
static void put_changed(unsigned int copy, uint64_t seq, u64 main_chunk)
{
	struct remap_entry change = entry[1];

	change.main_chunk = main_chunk;
	put_table(copy, seq, 1, &change);
}

static int load(struct region *region, struct region_table *table)
{
	int r = region_open(fd, START, SECTORS, region, NULL);

	return r ? r : region_read_table(region, table, NULL, NULL, NULL);
}

static void as_planned(void)
{
	struct region region;
	struct region_table table;
	uint8_t chunk[REMAP_CHUNK_BYTES];

	assert_int_equal(load(&region, &table), 0);
	assert_string_equal(region.super.label, "data");
	assert_int_equal(table.nr_unloadable, 0);
	assert_int_equal(table.nr_contradictions, 0);
	for (unsigned int i = 0; i < table.nr_slots; i++) {
		if (i >= NR_ENTRIES) {
			assert_int_equal(table.entry[i].state, REMAP_ENTRY_FREE);
			continue;
		}
		assert_memory_equal(&table.entry[i], &entry[i], sizeof(entry[i]));
		assert_int_equal(
			read_all_at(fd, chunk, sizeof(chunk),
				    (off_t)(START + remap_slot_sector(&super.geometry, i)) * 512),
			0);
		assert_memory_equal(chunk, data + i * sizeof(chunk), sizeof(chunk));
	}
	region_table_done(&table);
}

static void what_is_written_is_read(void **unused)
{
	(void)unused;
	make();
	as_planned();
}

static void any_one_bad_copy_changes_nothing(void **unused)
{
	struct block saved, bad;

	(void)unused;
	make();
	for (uint32_t block = 0; block <= 1; block++) {
		for (unsigned int copy = 0; copy < REMAP_COPIES; copy++) {
			get(copy, block, &saved);
			for (unsigned int how = 0; how < 3; how++) {
				bad = saved;
				if (how == 0)
					memset(&bad, 0, sizeof(bad));
				else if (how == 1)
					bad.bytes[unit_random_below(sizeof(bad))] ^= 1;
				else
					unit_random_bytes(&bad, sizeof(bad));
				put(copy, block, &bad);
				as_planned();
			}
			put(copy, block, &saved);
		}
	}
}

static void the_newest_counts(void **unused)
{
	struct region region;
	struct region_table table;

	(void)unused;
	make();
	put_changed(1, 9, 77);
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.entry[1].main_chunk, 77);
	assert_int_equal(table.generation, 9);
	assert_int_equal(table.nr_damaged, 1);
	region_table_done(&table);
}

/* A map from which a block is missing must not be served as if it were whole. */
static void a_lost_block_is_no_empty_block(void **unused)
{
	struct segment *segments = NULL;
	struct region region;
	struct region_table table;
	struct block zeros = { { 0 } };
	size_t nr;

	(void)unused;
	make();
	for (unsigned int copy = 0; copy < REMAP_COPIES; copy++)
		put(copy, 1, &zeros);
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.nr_unloadable, 1);
	assert_int_equal(region_segments(&region, &table, &segments, &nr, NULL), -EUCLEAN);
	assert_null(segments);
	region_table_done(&table);
}

static void conflicts(void **unused)
{
	struct region region;
	struct region_table table;

	(void)unused;
	make();
	put_changed(1, 9, 77);
	put_changed(3, 9, 78);
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.nr_unloadable, 1);
	region_table_done(&table);
}

/* C1: on both replicas the newest copy is damaged: what is older is shown, and is not the map. */
static void newest_copies_that_are_lost(void **unused)
{
	struct segment *segments = NULL;
	struct region region;
	struct region_table table;
	struct block block;
	size_t nr;

	(void)unused;
	for (unsigned int nr_lost = 1; nr_lost <= 2; nr_lost++) {
		make();
		put_changed(1, 9, 77);
		put_changed(3, 9, 77);
		for (unsigned int replica = 0; replica < nr_lost; replica++) {
			get(2 * replica + 1, 1, &block);
			block.bytes[3000] ^= 1;
			put(2 * replica + 1, 1, &block);
		}
		assert_int_equal(load(&region, &table), 0);
		assert_int_equal(table.nr_unloadable, nr_lost == 2);
		assert_int_equal(table.unloadable[1], nr_lost == 2);
		assert_false(table.unloadable[0]);
		/* one replica whole: the newest counts; none: the older one is there to be seen */
		assert_int_equal(table.entry[1].main_chunk,
				 nr_lost == 2 ? entry[1].main_chunk : 77);
		assert_int_equal(region_segments(&region, &table, &segments, &nr, NULL),
				 nr_lost == 2 ? -EUCLEAN : 0);
		if (nr_lost == 1)
			free(segments);
		region_table_done(&table);
	}
}

/* The same of superblocks: an older one that is whole is not the set as it is. */
static void newest_superblocks_that_are_lost(void **unused)
{
	struct remap_super newer;
	struct region region;
	struct region_table table;
	struct block block;

	(void)unused;
	make();
	assert_int_equal(load(&region, &table), 0);
	region_table_done(&table);
	newer = region.super;
	newer.seq = 9;
	assert_int_equal(region_write_super(&region, &newer, NULL), 0);
	for (unsigned int copy = 1; copy < REMAP_COPIES; copy += 2) {
		get(copy, 0, &block);
		assert_int_equal(remap_block_seq(&block), 9);
		block.bytes[170] ^= 1;
		put(copy, 0, &block);
	}
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.nr_unloadable, 1);
	assert_true(table.unloadable[0]);
	region_table_done(&table);
}

/* C8: what is in a dead place counts for nothing, however new, and its block is not damaged. */
static void dead_places(void **unused)
{
	struct region region;
	struct region_table table;
	struct remap_super frozen;
	struct block zeros = { { 0 } };

	(void)unused;
	for (unsigned int copy = 0; copy < REMAP_COPIES; copy++) {
		make();
		assert_int_equal(load(&region, &table), 0);
		region_table_done(&table);
		frozen = region.super;
		frozen.seq = 20;
		frozen.dead[3] = remap_dead_code(1, copy);
		assert_int_equal(region_write_super(&region, &frozen, NULL), 0);
		/* all places have the entries of before, the dead one something newer */
		for (unsigned int c = 0; c < REMAP_COPIES; c++)
			put_table(c, 1, 0, NULL);
		put_changed(copy, 30, 77);
		assert_int_equal(load(&region, &table), 0);
		assert_int_equal(table.entry[1].main_chunk, entry[1].main_chunk);
		assert_int_equal(table.nr_unloadable, 0);
		assert_int_equal(table.generation, 20);
		region_table_done(&table);
		/* only the other place of its replica is left: not damaged, for nothing can mend it */
		for (unsigned int c = 0; c < REMAP_COPIES; c++)
			if (c / 2 != copy / 2)
				put(c, 1, &zeros);
		assert_int_equal(load(&region, &table), 0);
		assert_int_equal(table.entry[1].main_chunk, entry[1].main_chunk);
		assert_int_equal(table.nr_unloadable, 0);
		region_table_done(&table);
		/* and where the dead one is all there is, there is nothing */
		put(copy ^ 1, 1, &zeros);
		assert_int_equal(load(&region, &table), 0);
		assert_int_equal(table.nr_unloadable, 1);
		region_table_done(&table);
	}
}

static void put_everywhere(unsigned int slot, uint8_t generation)
{
	struct remap_entry twin = entry[2];
	struct block block;
	struct remap_table_disk *table = (struct remap_table_disk *)&block;

	twin.generation = generation;
	for (unsigned int copy = 0; copy < REMAP_COPIES; copy += 2) {
		get(copy, 1, &block);
		remap_entry_encode(&twin, &table->entry[slot]);
		remap_block_seal(&block);
		put(copy, 1, &block);
	}
}

static void moves_cut_short(void **unused)
{
	struct segment *segments;
	struct region region;
	struct region_table table;
	size_t nr;

	(void)unused;
	make();
	put_everywhere(9, 1); /* the successor of slot 2 */
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.entry[2].state, REMAP_ENTRY_FREE);
	assert_int_equal(table.entry[9].state, REMAP_ENTRY_USED);
	assert_int_equal(table.nr_contradictions, 0);
	region_table_done(&table);

	put_everywhere(11, 2); /* three */
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.nr_contradictions, 1);
	assert_int_equal(region_segments(&region, &table, &segments, &nr, NULL), -EUCLEAN);
	region_table_done(&table);

	make();
	put_everywhere(9, 2); /* neither follows the other */
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.nr_contradictions, 1);
	assert_int_equal(table.entry[2].state, REMAP_ENTRY_USED);
	region_table_done(&table);
}

static void segments_cover_main(void **unused)
{
	struct segment *segments;
	struct region region;
	struct region_table table;
	uint64_t at = 0;
	size_t nr, lost = 0;

	(void)unused;
	make();
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(region_segments(&region, &table, &segments, &nr, NULL), 0);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(segments[i].start, at);
		at += segments[i].nr_sectors;
		lost += segments[i].kind == SEGMENT_LOST;
		if (segments[i].start == 240 + 4) {
			/* behind the lost sector 3 of chunk 30, in slot 3 */
			assert_int_equal(segments[i].kind, SEGMENT_SPARE);
			assert_int_equal(segments[i].nr_sectors, 2);
			assert_int_equal(segments[i].spare_sector,
					 START + remap_slot_sector(&super.geometry, 3) + 4);
		}
	}
	assert_int_equal(at, MAIN_SECTORS);
	assert_int_equal(lost, 1);
	free(segments);
	region_table_done(&table);
}

/* Every second chunk is remapped: each needs a segment, and so does what follows it. */
static void more_segments_than_a_table_has(void **unused)
{
	struct region_table table = { .nr_slots = SEGMENTS_MOST / 2 + 1 };
	struct segment *segments = NULL;
	struct region region;
	size_t nr = 0;

	(void)unused;
	make();
	region = (struct region){ .super = super };
	region.super.main_sectors = (uint64_t)table.nr_slots * 2 * REMAP_CHUNK_SECTORS;
	table.entry = calloc(table.nr_slots, sizeof(*table.entry));
	assert_non_null(table.entry);
	for (uint32_t slot = 0; slot < table.nr_slots; slot++)
		table.entry[slot] = (struct remap_entry){ .main_chunk = 2 * slot,
							  .redirected = 0xff,
							  .state = REMAP_ENTRY_USED };
	assert_int_equal(region_segments(&region, &table, &segments, &nr, NULL), -EFBIG);
	assert_null(segments);
	table.nr_slots--;
	assert_int_equal(region_segments(&region, &table, &segments, &nr, NULL), 0);
	assert_int_equal(nr, SEGMENTS_MOST);
	free(segments);
	free(table.entry);
}

/* Superblocks of both places of one replica; @at: its first sector in the region. */
static void put_supers(uint64_t at, const struct remap_super *from)
{
	struct block block;

	remap_super_encode(from, &block);
	for (unsigned int i = 0; i < REMAP_PLACES; i++)
		assert_int_equal(write_all_at(fd, &block, sizeof(block),
					      (off_t)(START + at + i * 128) * 512),
				 0);
}

/* C16: a superblock in order leads to another one, which is as strange as the first. */
static void a_superblock_that_leads_to_another(void **unused)
{
	struct remap_super first, second;
	struct region region;
	uint64_t end;

	(void)unused;
	for (unsigned int i = 0; i < 7; i++) {
		make();
		first = super;
		first.seq = 100;
		end = first.geometry.replica_sector[1] -= 256;
		first.geometry.slots -= 32;
		put_supers(0, &first);
		second = first;
		second.seq = 110;
		switch (i) {
		case 0:
			second.geometry.slots = 40;
			break;
		case 1:
			second.geometry.soft_blocks = 9;
			break;
		case 2:
			second.uuid[3] ^= 1;
			break;
		case 3: /* longer than the device */
			second.geometry.region_sectors *= 1000;
			break;
		case 4: /* a layout of its own in a longer region that is there */
			second.geometry.region_sectors -= 8;
			break;
		case 5:
			second.version = 2;
			break;
		case 6:
			second.incompat = 1;
			break;
		}
		put_supers(end, &second);
		assert_true(region_open(fd, START, SECTORS, &region, NULL) < 0);
	}
	/* and with what they say in common it is one */
	make();
	first = super;
	first.seq = 100;
	first.geometry.replica_sector[1] -= 256;
	first.geometry.slots -= 32;
	put_supers(0, &first);
	put_supers(first.geometry.replica_sector[1], &first);
	assert_int_equal(region_open(fd, START, SECTORS, &region, NULL), 0);
	assert_int_equal(region.super.geometry.slots, first.geometry.slots);
}

/* C15: what cannot be read in either replica may have been newer: it is no map. */
static void what_may_be_newer(void **unused)
{
	struct region region;
	struct region_table table;
	struct block noise;

	(void)unused;
	make();
	put_changed(1, 9, 77);
	put_changed(3, 9, 77);
	unit_random_bytes(&noise, sizeof(noise));
	put(1, 1, &noise);
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.nr_unloadable, 0); /* the other replica shows it */
	region_table_done(&table);
	put(3, 1, &noise);
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.nr_unloadable, 1);
	region_table_done(&table);
	/* the numbers of all blocks, and counters that do not count */
	make();
	assert_int_equal(load(&region, &table), 0);
	assert_int_equal(table.age.newest, table.generation);
	assert_true(table.age.digest);
	region_table_done(&table);
}

static void what_is_no_set(void **unused)
{
	struct region region;
	struct region_plan plan = {
		.entry = entry, .nr_entries = NR_ENTRIES, .data = data, .nr_data = NR_ENTRIES
	};

	(void)unused;
	make();
	assert_int_equal(region_open(fd, START, SECTORS, &region, NULL), 0);
	assert_int_equal(region_open(fd, START, SECTORS - 128, &region, NULL), -EUCLEAN);
	assert_int_equal(region_open(fd, 0, SECTORS + START, &region, NULL), -ENODATA);
	assert_int_equal(region_open(fd, START, 100, &region, NULL), -EUCLEAN);
	assert_int_equal(region_open(fd, START, SECTORS, &region, NULL), 0);
	assert_int_equal(region_wipe(&region, NULL), 0);
	assert_int_equal(region_open(fd, START, SECTORS, &region, NULL), -ENODATA);
	/* what could not be read back is not written */
	plan.super = super;
	plan.super.main_sectors = 0;
	assert_int_equal(region_format(fd, START, SECTORS, &plan, NULL), -EINVAL);
	plan.super = super;
	entry[1].main_chunk = MAIN_SECTORS;
	assert_int_equal(region_format(fd, START, SECTORS, &plan, NULL), -EINVAL);
	assert_int_equal(region_format(fd, START, 64, &plan, NULL), -ENOSPC);
	assert_int_equal(region_open(fd, START, SECTORS, &region, NULL), -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(any_one_bad_copy_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(the_newest_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_block_is_no_empty_block, setup, teardown),
		cmocka_unit_test_setup_teardown(conflicts, setup, teardown),
		cmocka_unit_test_setup_teardown(newest_copies_that_are_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(newest_superblocks_that_are_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(dead_places, setup, teardown),
		cmocka_unit_test_setup_teardown(moves_cut_short, setup, teardown),
		cmocka_unit_test_setup_teardown(segments_cover_main, setup, teardown),
		cmocka_unit_test_setup_teardown(a_superblock_that_leads_to_another, setup,
						teardown),
		cmocka_unit_test_setup_teardown(more_segments_than_a_table_has, setup, teardown),
		cmocka_unit_test_setup_teardown(what_may_be_newer, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_set, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
