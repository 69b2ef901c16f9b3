// SPDX-License-Identifier: GPL-2.0-or-later
/* Layout of a region: properties over many sizes, and what is refused. */
#include "unit.h"

static bool overlap(u64 a, u64 nr_a, u64 b, u64 nr_b)
{
	return a < b + nr_b && b < a + nr_a;
}

/* Everything FORMAT.md promises of a layout, said in another way than the code does. */
static void check_layout(u64 region_sectors)
{
	struct remap_geometry g, again;
	u64 place, replica, slots, blocks;
	int i;

	if (remap_geometry_compute(region_sectors, &g)) {
		assert_true(region_sectors < (64 + 16) * 8);
		return;
	}
	assert_true(remap_geometry_valid(&g));
	assert_int_equal(remap_geometry_compute(region_sectors, &again), 0);
	assert_memory_equal(&g, &again, sizeof(g));

	place = (u64)g.place_blocks * 8;
	replica = 2 * place;
	slots = (u64)g.slots * 8;
	assert_true(g.region_sectors == region_sectors);
	assert_in_range(g.slots, REMAP_MIN_SLOTS, REMAP_MAX_SLOTS);
	assert_true((u64)g.table_blocks * 252 >= g.slots);
	assert_true(g.place_blocks >= 1 + g.table_blocks + g.soft_blocks);
	/* C12: places start on 64 KiB. */
	for (i = 0; i < REMAP_REPLICAS; i++) {
		assert_int_equal(remap_block_sector(&g, i, 0, 0) % 128, 0);
		assert_int_equal(remap_block_sector(&g, i, 1, 0) % 128, 0);
		assert_int_equal(remap_block_sector(&g, i, 1, 0) - remap_block_sector(&g, i, 0, 0),
				 place);
	}
	assert_int_equal(remap_block_sector(&g, 0, 0, 0), 0);
	assert_int_equal(remap_slot_sector(&g, 0), replica);
	assert_int_equal(remap_slot_sector(&g, g.slots - 1), replica + slots - 8);
	assert_true(g.replica_sector[1] + replica <= region_sectors);
	assert_false(overlap(0, replica, g.slots_sector, slots));
	assert_false(overlap(g.replica_sector[1], replica, g.slots_sector, slots));
	/* Nothing but the tail is wasted, unless the limit is reached. */
	blocks = region_sectors / 8;
	if (g.slots < REMAP_MAX_SLOTS)
		assert_true((u64)g.slots + 4 * g.place_blocks > blocks - 16);
	/* Fewest table blocks: one less would not do. */
	if (g.table_blocks > 1) {
		u64 less = g.table_blocks - 1, pad = (1 + less + 2 + 15) / 16 * 16;
		u64 left = blocks / 16 * 16 - 4 * pad;

		if (left > REMAP_MAX_SLOTS)
			left = REMAP_MAX_SLOTS;
		assert_true(less * 252 < left);
	}
}

static void many_sizes(void **unused)
{
	u64 sectors;
	int i;

	(void)unused;
	unit_seed(__func__);
	for (sectors = 0; sectors < 40000; sectors++)
		check_layout(sectors);
	for (i = 0; i < 20000; i++)
		check_layout(unit_random() >> unit_random_below(64));
	for (i = 0; i < 64; i++) {
		check_layout((1ULL << i) - 1);
		check_layout(1ULL << i);
		check_layout((1ULL << i) + 1);
	}
	check_layout(~0ULL);
}

static void examples(void **unused)
{
	/* The worked examples of FORMAT.md. */
	static const struct {
		u64 sectors;
		u32 slots, table, place;
		u64 end;
	} wanted[] = {
		{ 640, 16, 1, 16, 384 },
		{ 2048, 192, 1, 16, 1792 },		   /* 1 MiB */
		{ 131072, 16064, 64, 80, 129792 },	   /* 64 MiB */
		{ 8388608, 1032128, 4096, 4112, 8322816 }, /* 4 GiB */
	};
	struct remap_geometry g;
	size_t i;

	(void)unused;
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_int_equal(remap_geometry_compute(wanted[i].sectors, &g), 0);
		assert_int_equal(g.slots, wanted[i].slots);
		assert_int_equal(g.table_blocks, wanted[i].table);
		assert_int_equal(g.place_blocks, wanted[i].place);
		assert_int_equal(g.replica_sector[1], wanted[i].end);
	}
	assert_int_equal(remap_geometry_compute(639, &g), -ENOSPC);
	assert_int_equal(remap_geometry_compute(0, &g), -ENOSPC);
}

#define REFUSED(change)                                 \
	do {                                            \
		struct remap_geometry g = good;         \
		assert_true(remap_geometry_valid(&g));  \
		g.change;                               \
		assert_false(remap_geometry_valid(&g)); \
	} while (0)

#define ACCEPTED(change)                               \
	do {                                           \
		struct remap_geometry g = good;        \
		g.change;                              \
		assert_true(remap_geometry_valid(&g)); \
	} while (0)

static void refused(void **unused)
{
	struct remap_geometry good;

	(void)unused;
	assert_int_equal(remap_geometry_compute(131072, &good), 0);
	REFUSED(slots = 0);
	REFUSED(slots = 1);
	REFUSED(slots = REMAP_MAX_SLOTS + 1);
	REFUSED(slots = ~0U);
	REFUSED(slots = good.table_blocks * 252 + 1);
	REFUSED(slots = good.slots + 1); /* over the end replica */
	REFUSED(table_blocks = 0);
	REFUSED(table_blocks = good.table_blocks - 1);
	REFUSED(table_blocks = good.table_blocks + 1); /* more than the formula has */
	REFUSED(table_blocks = 78);		       /* more than the place holds */
	REFUSED(table_blocks = ~0U);
	REFUSED(soft_blocks = 1);
	REFUSED(soft_blocks = ~0U);
	REFUSED(place_blocks = 0);
	REFUSED(place_blocks = 79);
	REFUSED(place_blocks = 64);
	REFUSED(place_blocks = 96); /* over slot 0 */
	REFUSED(place_blocks = ~15U);
	REFUSED(slots_sector = good.slots_sector - 8);
	REFUSED(slots_sector = good.slots_sector + 8);
	REFUSED(slots_sector = good.slots_sector + 1);
	REFUSED(slots_sector = ~7ULL);
	REFUSED(replica_sector[0] = 128);
	REFUSED(replica_sector[1] = 0);
	REFUSED(replica_sector[1] = good.replica_sector[1] - 128);
	REFUSED(replica_sector[1] = good.replica_sector[1] + 8);
	REFUSED(replica_sector[1] = good.replica_sector[1] + 128);
	REFUSED(replica_sector[1] = ~127ULL);
	REFUSED(region_sectors = good.region_sectors - 128);
	REFUSED(region_sectors = 0);
	/* Layouts that resize may leave. */
	ACCEPTED(slots = good.slots - 100);
	ACCEPTED(region_sectors = good.region_sectors + 1000);
	ACCEPTED(slots = 2); /* table blocks without slots */
	ACCEPTED(soft_blocks = 3);
}

/* A layout that is accepted keeps every block and slot apart and inside. */
static void random_layouts(void **unused)
{
	int i, accepted = 0;

	(void)unused;
	unit_seed(__func__);
	for (i = 0; i < 300000; i++) {
		struct remap_geometry g = {
			.region_sectors = unit_random_below(1 << 14),
			.slots = unit_random_below(600),
			.table_blocks = unit_random_below(4),
			.soft_blocks = 1 + unit_random_below(3),
			.place_blocks = 8 * unit_random_below(6),
			.replica_sector = { 128 * (unit_random_below(8) == 0),
					    64 * unit_random_below(300) },
			.slots_sector = 4 * unit_random_below(3000),
		};
		u64 replica = 2ULL * g.place_blocks * 8;

		if (!remap_geometry_valid(&g))
			continue;
		accepted++;
		assert_true(g.slots_sector + g.slots * 8ULL <= g.region_sectors);
		assert_true(g.replica_sector[1] + replica <= g.region_sectors);
		assert_false(overlap(0, replica, g.replica_sector[1], replica));
		assert_false(overlap(0, replica, g.slots_sector, g.slots * 8ULL));
		assert_false(overlap(g.replica_sector[1], replica, g.slots_sector, g.slots * 8ULL));
		assert_true(1 + g.table_blocks + g.soft_blocks <= g.place_blocks);
		assert_true(remap_table_block_of(g.slots - 1) <= g.table_blocks);
	}
	assert_true(accepted > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(many_sizes),
		cmocka_unit_test(refused),
		cmocka_unit_test(random_layouts),
	};

	return cmocka_run_group_tests_name("geometry", tests, NULL, NULL);
}
