// SPDX-License-Identifier: GPL-2.0-or-later
/* The picture of a disk: every remapped sector is in one cell, and the worst of a cell is seen. */
#include <string.h>

#include "health/disk-map.h"
#include "unit.h"

static struct disk_map map;

static int teardown(void **unused)
{
	(void)unused;
	disk_map_done(&map);
	return 0;
}

static void add(uint32_t slot, uint64_t chunk, uint32_t redirected, uint32_t lost, uint32_t cause)
{
	struct remap_slot line = { .slot = slot,
				   .state = REMAP_ENTRY_USED,
				   .chunk = chunk,
				   .redirected = redirected,
				   .lost = lost,
				   .cause = cause };

	disk_map_add(&map, &line);
}

static void add_bad(uint32_t slot)
{
	disk_map_add(&map, &(struct remap_slot){ .slot = slot, .state = REMAP_ENTRY_BAD });
}

/* The text's line @number, without what stands left of its edge. */
static void assert_line(unsigned int number, bool is_unicode, const char *wanted)
{
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);
	char *line, *save = NULL;

	disk_map_text(file, "data", &map, is_unicode);
	fclose(file);
	line = strtok_r(text, "\n", &save);
	for (; number; number--)
		line = strtok_r(NULL, "\n", &save);
	assert_non_null(line);
	assert_string_equal(strchr(line, '|') ? strchr(line, '|') + 1 : line, wanted);
}

static void marks(void **unused)
{
	(void)unused;
	/* 12 lines of 16 cells of 1024 sectors, and 48 cells of 10 slots */
	assert_int_equal(disk_map_init(&map, 192 * 1024, 480, 16), 0);
	add(0, 0, 0xff, 0, REMAP_CAUSE_GUARD);
	add(1, 128 * 2, 0x01, 0, REMAP_CAUSE_WRITE_ERROR); /* one of 1024 */
	add(2, 128 * 3, 0xff, 0x02, REMAP_CAUSE_RESCUE);
	for (unsigned int i = 0; i < 3; i++) /* 24 of 1024 */
		add(10 + i, 128 * 4 + i, 0xff, 0, REMAP_CAUSE_IMPORT);
	for (unsigned int i = 0; i < 20; i++)
		add(20 + i, 128 * 5 + i, 0xff, 0, REMAP_CAUSE_IMPORT);
	for (unsigned int i = 0; i < 65; i++)
		add(100 + i, 128 * 6 + i, 0xff, 0, REMAP_CAUSE_IMPORT);
	/* an own chunk among others is not seen */
	add(200, 128 * 7, 0xff, 0, REMAP_CAUSE_PROBE);
	add(201, 128 * 7 + 1, 0x80, 0, REMAP_CAUSE_MANUAL);
	add(479, 192 * 128 - 1, 0x80, 0, REMAP_CAUSE_WRITE_ERROR);
	add_bad(470);
	assert_line(0, false, "data: 96 MiB, 714 sectors remapped, 1 lost; each mark is 512 KiB");
	assert_line(1, false, "o.-X+*#-........");
	assert_line(2, false, "................");
	assert_line(12, false, "...............-");
	assert_line(13, false, "spare: 94 of 480 slots used, 1 bad; each mark is 40 KiB");
	assert_line(14, false, "**##......######");
	assert_line(15, false, "*...*...........");
	assert_line(16, false, "...............X");
}

/* A cell is scrubbed when all of it is; what the scrub could not read is seen among remaps. */
static void what_a_scrub_saw(void **unused)
{
	(void)unused;
	assert_int_equal(disk_map_init(&map, 192 * 1024, 480, 16), 0);
	disk_map_add_scrub(&map, false, 1, 5 * 1024, false);
	disk_map_add_scrub(&map, false, 3 * 1024 + 7, 1, true);
	disk_map_add_scrub(&map, false, 192 * 1024 - 9, 1000, false); /* ends behind the end */
	disk_map_add_scrub(&map, false, 1ULL << 60, 1, true);
	add(0, 128 * 3, 0xff, 0, REMAP_CAUSE_IMPORT);
	add(1, 128 * 4, 0xff, 0x01, REMAP_CAUSE_RESCUE);
	disk_map_add_scrub(&map, false, 4 * 1024, 1, true);
	disk_map_add_scrub(&map, true, 80, 160, false);
	disk_map_add_scrub(&map, true, 479 * 8, 3, true);
	assert_int_equal(map.main.total.suspicious, 2);
	assert_int_equal(map.main.total.scrubbed, 5 * 1024 + 9);
	assert_line(0, false,
		    "data: 96 MiB, 15 sectors remapped, 1 lost, 2 suspicious sectors; each mark is "
		    "512 KiB");
	assert_line(1, false, ".::?X...........");
	assert_line(2, false, "................");
	assert_line(12, false, "................");
	assert_line(13, false,
		    "spare: 2 of 480 slots used, 0 bad, 3 suspicious sectors; each mark is 40 KiB");
	assert_line(14, false, "*::.............");
	assert_line(16, false, "...............?");
}

static void unicode_has_the_same_cells(void **unused)
{
	(void)unused;
	assert_int_equal(disk_map_init(&map, 192 * 1024, 480, 16), 0);
	add(1, 0, 0x01, 0, REMAP_CAUSE_WRITE_ERROR);
	add(2, 128, 0x01, 0x01, REMAP_CAUSE_WRITE_ERROR);
	assert_line(1, true, "      0 B │░╳··············");
}

/* Of any size, and with slots and sectors that are not inside. */
static void every_size(void **unused)
{
	static const uint64_t sizes[] = { 0, 1, 7, 8, 9, 100, 1536, 1537, 99999, (1ULL << 53) + 3 };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t n = 0; n < ARRAY_SIZE(sizes); n++) {
			uint64_t last = sizes[i] ? sizes[i] - 1 : 0, used = 0, before = 0;

			assert_int_equal(disk_map_init(&map, sizes[i], sizes[n], 16), 0);
			add((uint32_t)sizes[n], last / 8, 0xff, 0, REMAP_CAUSE_IMPORT);
			add((uint32_t)(sizes[n] / 2), last / 16, 0xff, 0, REMAP_CAUSE_IMPORT);
			for (unsigned int c = 0; c < map.main.nr_cells; c++) {
				assert_true(disk_map_first(&map.main, c) >= before);
				before = disk_map_first(&map.main, c + 1);
				used += map.main.cell[c].used;
			}
			assert_true(!sizes[i] || before == sizes[i]);
			assert_int_equal(used, map.main.total.used);
			assert_true(used <= 16 && (!sizes[i] || used));
			disk_map_done(&map);
		}
	}
	/* the first sector of a cell is counted in it, the one before it is not */
	assert_int_equal(disk_map_init(&map, 8 * 1000, 10, 16), 0);
	for (unsigned int c = 1; c < map.main.nr_cells; c++) {
		uint64_t first = disk_map_first(&map.main, c);

		add(0, first / 8, 1U << first % 8, 0, REMAP_CAUSE_IMPORT);
		assert_int_equal(map.main.cell[c].used, 1);
	}
	assert_int_equal(map.main.cell[0].used, 0);
}

static void as_svg(void **unused)
{
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;
	FILE *file = open_memstream(&text, &nr_bytes);

	(void)unused;
	assert_int_equal(disk_map_init(&map, 192 * 1024, 480, 16), 0);
	add(3, 128, 0x03, 0x01, REMAP_CAUSE_RESCUE);
	add_bad(479);
	disk_map_add_scrub(&map, false, 4096, 3 * 1024, false);
	disk_map_add_scrub(&map, true, 100 * 8, 1, true);
	disk_map_svg(file, "a<b>&\x1b", &map);
	fclose(file);
	assert_non_null(
		strstr(text, ">a&lt;b&gt;&amp;?: 96 MiB, 1 sector remapped, 1 lost</text>"));
	assert_non_null(strstr(text,
			       "<rect x=\"30\" y=\"36\" width=\"9\" height=\"9\" fill=\"#c0392b\">"
			       "<title>sectors 1024 to 2047: 1 remapped, 1 lost, 0 of dm-remap"
			       "</title></rect>"));
	assert_non_null(strstr(text, "<title>slots 470 to 479: 0 used, 1 bad</title>"));
	assert_non_null(strstr(text, "<title>slots 0 to 9: 1 used, 0 bad</title>"));
	assert_non_null(strstr(text, "<rect x=\"60\" y=\"36\" width=\"30\" height=\"10\" "
				     "fill=\"#c8e6c9\"/>"));
	assert_non_null(strstr(
		text, "<title>slots 100 to 109: 0 used, 0 bad, 1 suspicious sector</title>"));
	assert_string_equal(text + nr_bytes - 7, "</svg>\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(marks, teardown),
		cmocka_unit_test_teardown(what_a_scrub_saw, teardown),
		cmocka_unit_test_teardown(unicode_has_the_same_cells, teardown),
		cmocka_unit_test_teardown(every_size, teardown),
		cmocka_unit_test_teardown(as_svg, teardown),
	};

	return cmocka_run_group_tests_name("pictures of disks", tests, NULL, NULL);
}
