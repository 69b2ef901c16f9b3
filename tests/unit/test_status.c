// SPDX-License-Identifier: GPL-2.0-or-later
/* The status line and the table line, as every release of the module may print them (O25). */
#include "system/status.h"
#include "unit.h"

static void every_key(void **unused)
{
	const struct status_number *number;
	char text[4096];
	struct remap_status s;
	size_t nr = 0;
	int length = snprintf(text, sizeof(text), "meta_fail 17/16064 probe=failed replica_out=1");

	(void)unused;
	for (; (number = status_number_at(nr)); nr++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, " %s=%zu",
				   number->name, 100 + nr);
	assert_true(nr >= 19);
	assert_int_equal(remap_status_parse(text, &s), 0);
	assert_string_equal(s.mode, "meta_fail");
	assert_int_equal(s.used_slots, 17);
	assert_int_equal(s.total_slots, 16064);
	assert_false(s.probe_ok);
	assert_int_equal(s.replica_out, 1);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(status_number_of(&s, status_number_at(i)), 100 + i);
}

static void each_in_its_place(void **unused)
{
	struct remap_status s;

	(void)unused;
	assert_int_equal(remap_status_parse("rw 1/2 lost_sectors=1 bad_slots=2 read_errors=4 "
					    "spare_write_errors=7 lost_reads=11 generation=12 "
					    "saves_ok=13 saves_failed=14 reserved_slots=19",
					    &s),
			 0);
	assert_int_equal(s.lost_sectors, 1);
	assert_int_equal(s.bad_slots, 2);
	assert_int_equal(s.read_errors, 4);
	assert_int_equal(s.spare_write_errors, 7);
	assert_int_equal(s.lost_reads, 11);
	assert_int_equal(s.generation, 12);
	assert_int_equal(s.saves_ok, 13);
	assert_int_equal(s.saves_failed, 14);
	assert_int_equal(s.reserved_slots, 19);
	assert_int_equal(status_activity(&s), 4 + 7 + 11); /* saves are none */
}

static void other_releases(void **unused)
{
	struct remap_status s;

	(void)unused;
	assert_int_equal(remap_status_parse("rw 1/2", &s), 0);
	assert_true(s.probe_ok);
	assert_int_equal(s.replica_out, -1);
	assert_int_equal(s.relocations, 0);
	assert_int_equal(remap_status_parse("rw 1/2 probe=ok replica_out=none", &s), 0);
	assert_int_equal(s.replica_out, -1);
	assert_int_equal(remap_status_parse("rw 1/2 colour=blue later relocations=4", &s), 0);
	assert_int_equal(s.relocations, 4);
}

static void garbage(void **unused)
{
	static const char *const bad[] = {
		"",
		"rw",
		"rw 12",
		"rw x/2",
		"rw 1/y",
		"rw -1/2",
		"rw 4294967296/1",
		"rw 1/4294967296",
		"rw 1/2 relocations=x",
		"rw 1/2 relocations=-1",
		"averyverylongmodeword 1/2",
	};
	struct remap_status s;

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(remap_status_parse(bad[i], &s) < 0);
}

static void table_lines(void **unused)
{
	static const char *const good[] = { "8:16 8:32 0 131072",
					    "/dev/sdb 8:32 2048 131072 2 deadline 30" };
	static const char *const bad[] = {
		"", "8:16", "8:16 8:32", "8:16 8:32 0", "8:16 8:32 x 8", "8:16 8:32 0 -8"
	};
	struct remap_line line;
	char back[600];

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(remap_line_parse(good[i], &line), 0);
		assert_int_equal(remap_line_format(&line, back, sizeof(back)), 0);
		assert_string_equal(back, good[i]);
	}
	assert_int_equal(line.spare_start, 2048);
	assert_string_equal(line.features, "2 deadline 30");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(remap_line_parse(bad[i], &line) < 0);
	assert_true(remap_line_format(&line, back, 4) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key),	  cmocka_unit_test(each_in_its_place),
		cmocka_unit_test(other_releases), cmocka_unit_test(garbage),
		cmocka_unit_test(table_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
