// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ranges of sectors, what sectors are for, and what a spare with bad sectors can be used for.
 */
#include <errno.h>
#include <string.h>

#include "format/places.h"
#include "format/spare_layout.h"
#include "ops/purpose.h"
#include "unit.h"

static void assert_text(const struct sector_ranges *ranges, size_t nr_bytes, const char *wanted)
{
	char text[128];

	sector_ranges_text(ranges, text, nr_bytes);
	assert_string_equal(text, wanted);
}

static void ranges_are_sorted_and_joined(void **state)
{
	struct sector_ranges ranges = { 0 };

	(void)state;
	assert_text(&ranges, 128, "");
	sector_ranges_add(&ranges, 100, 4);
	sector_ranges_add(&ranges, 2, 1);
	sector_ranges_add(&ranges, 200, 1);
	assert_text(&ranges, 128, "2, 100-103, 200");
	sector_ranges_add(&ranges, 104, 1);
	sector_ranges_add(&ranges, 99, 1);
	sector_ranges_add(&ranges, 101, 1);
	assert_text(&ranges, 128, "2, 99-104, 200");
	sector_ranges_add(&ranges, 3, 300);
	assert_text(&ranges, 128, "2-302");
	assert_int_equal(ranges.nr, 1);
	assert_int_equal(sector_ranges_count(&ranges), 301);
	sector_ranges_done(&ranges);
	for (uint64_t s = 0; s < 100; s++)
		sector_ranges_add(&ranges, 2 * s, 1);
	assert_text(&ranges, 48, "0, 2, 4, 6, 8, 10 and 94 more");
	assert_int_equal(sector_ranges_mask(&ranges, 1), 0x55);
	assert_true(sector_ranges_has(&ranges, 198) && !sector_ranges_has(&ranges, 199));
	sector_ranges_done(&ranges);
}

/* Against a map of bits. */
static void random_ranges(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 200; round++) {
		struct sector_ranges ranges = { 0 };
		bool map[64] = { false };
		uint64_t count = 0;

		for (unsigned int i = 0; i < 12; i++) {
			uint64_t first = unit_random_below(64), nr = unit_random_below(65 - first);

			sector_ranges_add(&ranges, first, nr);
			for (uint64_t s = first; s < first + nr; s++)
				map[s] = true;
		}
		for (uint64_t s = 0; s < 64; s++) {
			assert_int_equal(sector_ranges_has(&ranges, s), map[s]);
			count += map[s];
		}
		assert_int_equal(sector_ranges_count(&ranges), count);
		for (size_t i = 1; i < ranges.nr; i++)
			assert_true(ranges.at[i - 1].sector + ranges.at[i - 1].nr <
				    ranges.at[i].sector);
		sector_ranges_done(&ranges);
	}
}

static void lists_that_people_type(void **state)
{
	static const char *const bad[] = {
		"",  ",",   "1,",  "5-4", "-1",	   "1-",
		"x", "1 2", "100", "0x",  "1-100", "99999999999999999999"
	};
	struct sector_ranges ranges = { 0 };

	(void)state;
	assert_int_equal(sector_ranges_parse("0x10,2,4-6,3", 100, &ranges), 0);
	assert_text(&ranges, 128, "2-6, 16");
	sector_ranges_done(&ranges);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sector_ranges_parse(bad[i], 100, &ranges), -EINVAL);
		sector_ranges_done(&ranges);
	}
}

static void assert_purpose(const char *types, uint64_t at, const char *words)
{
	const char *text = purpose_at(types, at, 65536);

	if (!words)
		assert_null(text);
	else if (!text || !strstr(text, words))
		fail_msg("%s, sector %llu: %s, not %s", types, (unsigned long long)at,
			 text ? text : "nothing", words);
}

static void what_sectors_are_for(void **state)
{
	(void)state;
	assert_purpose("ext4", 2, "superblock of ext");
	assert_purpose("ext4", 3, "superblock of ext");
	assert_purpose("ext4", 1, NULL);
	assert_purpose("ext4", 100, NULL);
	assert_purpose("gpt", 1, "header of the GPT");
	assert_purpose("gpt", 2, "entries of the GPT");
	assert_purpose("gpt", 65535, "backup header");
	assert_purpose("gpt", 65534, "backup entries");
	assert_purpose("gpt,zfs_member", 500, "label of ZFS");
	assert_purpose("zfs_member", 64600, "label of ZFS");
	assert_purpose("xfs", 0, "superblock of XFS");
	assert_purpose("crypto_LUKS", 0, "header of LUKS");
	assert_purpose("crypto_LUKS", 4000, "key slot");
	/* nothing is known: what it could be */
	assert_purpose("", 0, "partition table");
	assert_purpose("", 2, "ext2/3/4");
	assert_purpose("", 1, "GPT");
	assert_purpose("", 65535, "backup of a GPT");
	assert_purpose("", 30000, NULL);
	/* the type as a whole */
	assert_purpose("xfs_external_log", 0, NULL);
}

static int dead_places(uint64_t region_sectors, const char *bad, u32 dead[REMAP_DEAD_MAX],
		       struct error *error)
{
	struct sector_ranges ranges = { 0 };
	struct remap_geometry geometry;
	int r;

	assert_int_equal(remap_geometry_compute(region_sectors, &geometry), 0);
	assert_int_equal(sector_ranges_parse(bad, region_sectors, &ranges), 0);
	r = spare_dead_places(&geometry, &ranges, dead, error);
	sector_ranges_done(&ranges);
	return r;
}

/* 64 MiB: 64 table blocks, places of 80 blocks, slots from 1280, end replica at 129792. */
static void dead_places_of_a_spare(void **state)
{
	struct error error = { "" };
	u32 dead[REMAP_DEAD_MAX];

	(void)state;
	assert_int_equal(dead_places(131072, "8,9", dead, &error), 0);
	assert_int_equal(dead[0], remap_dead_code(1, 0));
	assert_int_equal(dead[1], 0);
	assert_true(spare_block_is_dead(dead, 1) && !spare_block_is_dead(dead, 2));
	/* place B of the start replica, place A of the end replica */
	assert_int_equal(dead_places(131072, "664,129824", dead, &error), 0);
	assert_int_equal(dead[0], remap_dead_code(3, 1));
	assert_int_equal(dead[1], remap_dead_code(4, 2));
	/* two places of one block */
	assert_int_equal(dead_places(131072, "8,648", dead, &error), -EIO);
	assert_non_null(strstr(error.text, "sector 648 "));
	/* superblocks of each place, and the counters */
	for (unsigned int i = 0; i < 4; i++) {
		static const char *const supers[] = { "3", "640", "129799", "130432" };

		assert_int_equal(dead_places(131072, supers[i], dead, &error), -EIO);
		assert_non_null(strstr(error.text, supers[i]));
		assert_non_null(strstr(error.text, "superblock"));
	}
	assert_int_equal(dead_places(131072, "520", dead, &error), -EIO);
	assert_non_null(strstr(error.text, "counters"));
	/* what nothing is written to: pending, padding, slots, the rest at the end */
	assert_int_equal(dead_places(131072, "528,540,2000,131071", dead, &error), 0);
	assert_int_equal(dead[0], 0);
	/* ten blocks are too many */
	assert_int_equal(dead_places(131072, "8,16,24,32,40,48,56,64,72", dead, &error), 0);
	assert_int_equal(dead_places(131072, "8,16,24,32,40,48,56,64,72,80", dead, &error), -EIO);
	/* one block of the table: it cannot be the dead one */
	assert_int_equal(dead_places(2048, "9", dead, &error), -EIO);
	assert_non_null(strstr(error.text, "only block"));
}

static void bad_slots(void **state)
{
	struct sector_ranges ranges = { 0 };
	struct remap_geometry geometry;

	(void)state;
	assert_int_equal(remap_geometry_compute(2048, &geometry), 0);
	assert_false(spare_slot_is_bad(&geometry, &ranges, 0));
	sector_ranges_add(&ranges, 263, 2);
	assert_true(spare_slot_is_bad(&geometry, &ranges, 0));
	assert_true(spare_slot_is_bad(&geometry, &ranges, 1));
	assert_false(spare_slot_is_bad(&geometry, &ranges, 2));
	sector_ranges_done(&ranges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_sorted_and_joined),
		cmocka_unit_test(random_ranges),
		cmocka_unit_test(lists_that_people_type),
		cmocka_unit_test(what_sectors_are_for),
		cmocka_unit_test(dead_places_of_a_spare),
		cmocka_unit_test(bad_slots),
	};

	unit_seed("places");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
