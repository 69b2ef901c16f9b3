// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists of badblocks and map files of ddrescue: also broken ones, also random bytes. */
#include "badlist.h"
#include "unit.h"

static void expect(const char *text, enum badlist_format format, const struct bad_range *wanted,
		   size_t nr_wanted)
{
	struct bad_range *ranges;
	struct error error;
	size_t nr;

	assert_int_equal(badlist_parse(text, format, 1024, &ranges, &nr, &error), 0);
	assert_int_equal(nr, nr_wanted);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(ranges[i].sector, wanted[i].sector);
		assert_int_equal(ranges[i].nr_sectors, wanted[i].nr_sectors);
	}
	free(ranges);
}

static void badblocks(void **unused)
{
	(void)unused;
	expect("", BADLIST_GUESS, NULL, 0);
	expect("7\n8\n\n100\n7", BADLIST_GUESS, (struct bad_range[]){ { 14, 4 }, { 200, 2 } }, 2);
	expect("100\r\n3\r\n", BADLIST_BADBLOCKS, (struct bad_range[]){ { 6, 2 }, { 200, 2 } }, 2);
}

static void ddrescue(void **unused)
{
	static const char map[] = "# Mapfile. Created by GNU ddrescue version 1.27\n"
				  "# Command line: ddrescue a b c\n"
				  "# current_pos  current_status  current_pass\n"
				  "0x00120000     ?               1\n"
				  "#      pos        size  status\n"
				  "0x00000000  0x00010000  +\n"
				  "0x00010000  0x00000200  -\n"
				  "0x00010200  0x00000100  -\n"
				  "0x00010300  0x00000100  /\n"
				  "0x00020001  0x00000001  -\n"
				  "0x00020002  0x00010000  ?\n"
				  "0x00030002  0x00010000  *\n";

	(void)unused;
	/* not tried is not bad; a part of a sector is */
	expect(map, BADLIST_GUESS, (struct bad_range[]){ { 128, 2 }, { 256, 1 } }, 2);
}

static void refused(void **unused)
{
	static const struct {
		const char *text;
		enum badlist_format format;
		int r;
	} cases[] = {
		{ "x", BADLIST_BADBLOCKS, -EINVAL },
		{ "1 2", BADLIST_BADBLOCKS, -EINVAL },
		{ "-1", BADLIST_BADBLOCKS, -EINVAL },
		{ "1x", BADLIST_BADBLOCKS, -EINVAL },
		{ "99999999999999999999", BADLIST_BADBLOCKS, -EINVAL },
		{ "18446744073709551615", BADLIST_BADBLOCKS, -ERANGE },
		{ "0x0 +\n0x0 0x10 %\n", BADLIST_DDRESCUE, -EINVAL },
		{ "0x0 +\n0x0\n", BADLIST_DDRESCUE, -EINVAL },
		{ "0x0 +\n0x0 0x10 - more\n", BADLIST_DDRESCUE, -EINVAL },
		{ "0x0 +\n0xffffffffffffff00 0xfff -\n", BADLIST_DDRESCUE, -ERANGE },
		{ "0x0 +\n0x0 0x10 + \n", BADLIST_DDRESCUE, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bad_range *ranges = NULL;
		struct error error = { "" };
		size_t nr;

		assert_int_equal(
			badlist_parse(cases[i].text, cases[i].format, 1024, &ranges, &nr, &error),
			cases[i].r);
		if (cases[i].r)
			assert_non_null(strstr(error.text, "line "));
		else
			free(ranges);
	}
}

static void random_text(void **unused)
{
	static const char letters[] = "0123456789 xX\t\n\n#+-/*?abc\r";

	(void)unused;
	unit_seed(__func__);
	for (unsigned int round = 0; round < 5000; round++) {
		struct bad_range *ranges = NULL;
		struct error error;
		char text[200];
		size_t nr, length = unit_random_below(sizeof(text) - 1);

		for (size_t i = 0; i < length; i++)
			text[i] = letters[unit_random_below(sizeof(letters) - 1)];
		text[length] = '\0';
		if (badlist_parse(text, round % 3, 512, &ranges, &nr, &error))
			continue;
		for (size_t i = 0; i + 1 < nr; i++) /* sorted, apart */
			assert_true(ranges[i].sector + ranges[i].nr_sectors < ranges[i + 1].sector);
		free(ranges);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(badblocks),
		cmocka_unit_test(ddrescue),
		cmocka_unit_test(refused),
		cmocka_unit_test(random_text),
	};

	return cmocka_run_group_tests_name("badlist", tests, NULL, NULL);
}
