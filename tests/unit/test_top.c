// SPDX-License-Identifier: GPL-2.0-or-later
/* What top shows: rates of the while, the chosen set, and no more than there is room for. */
#include <string.h>

#include "top-view.h"
#include "unit.h"

static struct top_set sets[20];

static char *shown(const struct top_screen *screen)
{
	size_t nr_bytes;
	char *text;
	FILE *file = open_memstream(&text, &nr_bytes);

	top_view(file, screen, "\n");
	fclose(file);
	return text;
}

static unsigned int lines_of(const char *text)
{
	unsigned int nr = 0;

	for (; *text; text++)
		nr += *text == '\n';
	return nr;
}

static int setup(void **unused)
{
	(void)unused;
	memset(sets, 0, sizeof(sets));
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		snprintf(sets[i].name, sizeof(sets[i].name), "set%zu", i);
		snprintf(sets[i].mode, sizeof(sets[i].mode), "rw");
		sets[i].verdict = "good";
	}
	sets[0].io = (struct io_counts){ .reads = 100,
					 .writes = 50,
					 .read_sectors = 4096,
					 .read_ns = 150000000,
					 .write_ns = 5000000000ULL,
					 .bin = { 149, 0, 0, 0, 0, 0, 0, 1 } };
	sets[0].used = 1;
	sets[0].total = 8;
	sets[0].lost = 3;
	sets[0].nr_errors = 7;
	return 0;
}

static void rates(void **unused)
{
	struct top_screen screen = {
		.set = sets, .nr_sets = 1, .seconds = 2.0, .event = { "an event" }, .nr_events = 1
	};
	char *text = shown(&screen);

	(void)unused;
	assert_non_null(strstr(text, "1 active set, in the last 2.0 s\n"));
	assert_non_null(strstr(text,
			       "\n set0             good     rw              50      25     1 MiB"
			       "       0 B     1.5   100.0   12.5      3      7\n"));
	assert_non_null(
		strstr(text, "\n  < 0.1 ms        149 ########################################\n"));
	assert_non_null(strstr(text, "\n     < 1 s          0 \n"));
	/* the slow one is seen beside all the others */
	assert_non_null(strstr(text, "\n 1 s, more          1 #\n"));
	assert_non_null(strstr(text, "\n\nan event\n"));
	free(text);
	/* nothing to divide by */
	screen.seconds = 0;
	sets[0].io = (struct io_counts){ .reads = 0 };
	text = shown(&screen);
	assert_non_null(strstr(text, "      0 B       0 B       -       -   12.5"));
	free(text);
}

static void room(void **unused)
{
	struct top_screen screen = { .set = sets,
				     .nr_sets = ARRAY_SIZE(sets),
				     .seconds = 1,
				     .event = { "first", "second", "third" },
				     .nr_events = 3,
				     .columns = 40,
				     .keys = true };

	(void)unused;
	for (unsigned int lines = 1; lines < 50; lines++) {
		screen.lines = lines;
		for (screen.selected = 0; screen.selected < ARRAY_SIZE(sets);
		     screen.selected += 19) {
			char *text = shown(&screen), *line, *save = NULL, name[16];

			assert_true(lines_of(text) <= lines);
			snprintf(name, sizeof(name), "\n>set%zu ", screen.selected);
			assert_true(lines < 3 || strstr(text, name));
			/* of events the newest stay */
			assert_true(!strstr(text, "first") || strstr(text, "third"));
			for (line = strtok_r(text, "\n", &save); line;
			     line = strtok_r(NULL, "\n", &save))
				assert_true(strlen(line) <= 40);
			free(text);
		}
	}
	screen = (struct top_screen){ .seconds = 1, .lines = 24, .columns = 80 };
	free(shown(&screen)); /* no set at all */
}

static void counts_since(void **unused)
{
	struct io_counts before = { .reads = 10, .writes = 20, .bin = { 5 } };
	struct io_counts now = { .reads = 15, .writes = 3, .bin = { 9 } };
	struct io_counts since = io_counts_since(&before, &now);

	(void)unused;
	assert_int_equal(since.reads, 5);
	assert_int_equal(since.writes, 3); /* it began anew */
	assert_int_equal(since.bin[0], 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rates, setup),
		cmocka_unit_test_setup(room, setup),
		cmocka_unit_test(counts_since),
	};

	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
