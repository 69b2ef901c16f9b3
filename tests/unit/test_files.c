// SPDX-License-Identifier: GPL-2.0-or-later
/* Which files sectors hit, as far as it needs no file system: runs, mounts, what debugfs prints. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "files/debugfs.h"
#include "files/hits.h"
#include "files/mounts.h"
#include "files/runs.h"
#include "unit.h"
#include "util/limited.h"

#define NR_SECTORS 400

static void add(struct runs *runs, uint64_t at, uint64_t nr, uint64_t of_set)
{
	assert_int_equal(runs_add(runs, at, nr, of_set), 0);
}

static void join_and_sort(void **unused)
{
	struct runs runs = { NULL, 0, 0 };

	(void)unused;
	add(&runs, 10, 5, 110);
	add(&runs, 15, 5, 115); /* goes on */
	add(&runs, 20, 5, 500); /* elsewhere on the set */
	assert_int_equal(runs.nr, 2);
	add(&runs, 2, 10, 102); /* overlaps */
	add(&runs, 12, 1, 112);
	assert_int_equal(runs_sort(&runs), 0);
	assert_int_equal(runs_count(&runs), 23);
	assert_int_equal(runs.at[0].at, 2);
	assert_int_equal(runs.at[0].of_set, 102);
	assert_int_equal(runs_find(&runs, 0), 0);
	assert_int_equal(runs_find(&runs, 24), runs.nr - 1);
	assert_int_equal(runs_find(&runs, 25), runs.nr);
	runs_done(&runs);
}

/* Random runs, by a map of sectors: what is taken, what is left, and where each is of the set. */
static void take_and_subtract(void **unused)
{
	(void)unused;
	for (int round = 0; round < 2000; round++) {
		struct runs runs = { NULL, 0, 0 }, to = { NULL, 0, 0 }, left = { NULL, 0, 0 };
		struct runs known = { NULL, 0, 0 };
		uint64_t first = unit_random() % NR_SECTORS, nr = unit_random() % 100;
		int map[NR_SECTORS] = { 0 };

		for (uint64_t at = unit_random() % 20; at < NR_SECTORS - 30;
		     at += 1 + unit_random() % 30) {
			uint64_t length = 1 + unit_random() % 20;

			add(&runs, at, length, at + 1000);
			for (uint64_t i = at; i < at + length; i++)
				map[i] = 1;
			at += length;
			if (unit_random() % 3 == 0)
				add(&known, at - length, 1 + unit_random() % length, 0);
		}
		for (size_t i = 0; i < known.nr; i++)
			for (uint64_t k = 0; k < known.at[i].nr; k++)
				map[known.at[i].at + k] |= 2;
		assert_int_equal(runs_subtract(&runs, &known, &left), 0);
		for (size_t i = 0; i < left.nr; i++)
			for (uint64_t k = 0; k < left.at[i].nr; k++) {
				assert_int_equal(map[left.at[i].at + k], 1);
				assert_int_equal(left.at[i].of_set, left.at[i].at + 1000);
				map[left.at[i].at + k] = 8;
			}
		for (int i = 0; i < NR_SECTORS; i++)
			assert_int_not_equal(map[i], 1);
		assert_int_equal(runs_take(&runs, first, nr, 5000, &to), 0);
		assert_int_equal(runs_sort(&runs), 0);
		for (size_t i = 0; i < to.nr; i++)
			for (uint64_t k = 0; k < to.at[i].nr; k++) {
				uint64_t at = to.at[i].at + k - 5000 + first;

				assert_true(at >= first && at < first + nr);
				assert_int_equal(to.at[i].of_set + k, at + 1000);
				map[at] |= 16;
			}
		for (size_t i = 0; i < runs.nr; i++)
			for (uint64_t k = 0; k < runs.at[i].nr; k++) {
				uint64_t at = runs.at[i].at + k;

				assert_true(at < first || at >= first + nr);
				map[at] |= 16;
			}
		for (int i = 0; i < NR_SECTORS; i++)
			assert_true(!map[i] || map[i] & 16);
		runs_done(&runs);
		runs_done(&to);
		runs_done(&left);
		runs_done(&known);
	}
}

static void mounts(void **unused)
{
	static const char text[] =
		"22 1 0:20 / /proc rw,nosuid - proc proc rw\n"
		"torn\n"
		"40 1 8:1 /sub /srv rw - ext4 /dev/sda1 rw\n"
		"36 1 8:1 / /mnt/a\\040b\\011c\\134d rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw\n"
		"41 1 8:1 /sub/other /opt rw - ext4 /dev/sda1 rw\n"
		"42 1 8:2 / /no/type rw";
	struct mount *mount = calloc(1, sizeof(*mount));

	(void)unused;
	assert_non_null(mount);
	assert_int_equal(mounts_find(text, makedev(8, 1), mount), 0);
	assert_string_equal(mount->place, "/mnt/a b\tc\\d");
	assert_string_equal(mount->type, "ext4");
	assert_string_equal(mount->root, "/");
	assert_int_equal(mounts_find(text, makedev(8, 2), mount), -ENOENT);
	assert_int_equal(mounts_find("", makedev(8, 1), mount), -ENOENT);
	free(mount);
}

static void lines_of_debugfs(void **unused)
{
	static const char text[] = "Block\tInode number\n24\t<block not found>\n25\t13\nx\t7\n"
				   "99999999999999999999999999\t1\n26\t//a\tb\n27";
	const char *at = text, *rest;
	uint64_t number;
	size_t nr_rest;

	(void)unused;
	assert_true(debugfs_line(&at, &number, &rest, &nr_rest));
	assert_int_equal(number, 24);
	assert_true(debugfs_line(&at, &number, &rest, &nr_rest));
	assert_int_equal(number, 25);
	assert_int_equal(nr_rest, 2);
	assert_true(debugfs_line(&at, &number, &rest, &nr_rest));
	assert_int_equal(number, 26);
	assert_memory_equal(rest, "//a\tb", 5);
	assert_false(debugfs_line(&at, &number, &rest, &nr_rest));
}

static void hits_join(void **unused)
{
	struct hit hit = {
		.sector = 100, .nr_sectors = 8, .kind = HIT_FILE, .path = "/a", .inode = 7
	};
	struct hits hits = { 0 };

	(void)unused;
	assert_int_equal(hits_add(&hits, &hit), 0);
	hit.sector = 108;
	hit.offset = 8 * 512;
	assert_int_equal(hits_add(&hits, &hit), 0);
	assert_int_equal(hits.nr, 1);
	assert_int_equal(hits.at[0].nr_sectors, 16);
	hit.sector = 116;
	hit.offset = 0; /* not the next byte of the file */
	assert_int_equal(hits_add(&hits, &hit), 0);
	hit.sector = 50;
	hit.path = "/b";
	assert_int_equal(hits_add(&hits, &hit), 0);
	assert_int_equal(hits.nr, 3);
	hits_sort(&hits);
	assert_string_equal(hits.at[0].path, "/b");
	for (int i = 0; i < 100; i++)
		hits_note(&hits, "note %d\x1b", i % 20);
	assert_int_equal(hits.nr_notes, HIT_NOTES_MAX);
	assert_string_equal(hits.notes[1], "note 1\\x1b");
	hits_done(&hits);
}

/* What it has open is closed after its output: a disk that hangs holds it up then. */
static void a_program_that_does_not_end(void **unused)
{
	static const char *const says[] = { "sh", "-c", "echo said; exit 3", NULL };
	static const char *const hangs[] = { "sh", "-c", "echo said; exec >&- 2>&- sleep 30",
					     NULL };
	time_t begun = time(NULL);
	size_t nr_bytes;
	char *text;
	int code;

	(void)unused;
	assert_int_equal(limited_run(says, 20, -1, &text, &nr_bytes, &code), 0);
	assert_string_equal(text, "said\n");
	assert_int_equal(code, 3);
	free(text);
	assert_int_equal(limited_run(hangs, 1, -1, &text, &nr_bytes, &code), -ETIMEDOUT);
	assert_null(text);
	assert_true(time(NULL) - begun < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(join_and_sort), cmocka_unit_test(take_and_subtract),
		cmocka_unit_test(mounts),	 cmocka_unit_test(lines_of_debugfs),
		cmocka_unit_test(hits_join),	 cmocka_unit_test(a_program_that_does_not_end),
	};

	unit_seed("files");
	return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
