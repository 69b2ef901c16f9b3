// SPDX-License-Identifier: GPL-2.0-or-later
/* Progress where there is no terminal: a line a minute, and nothing of what is short. */
#include <time.h>
#include <unistd.h>

#include "unit.h"

static time_t fake_now;

static int fake_clock(clockid_t clock, struct timespec *now)
{
	(void)clock;
	*now = (struct timespec){ .tv_sec = fake_now };
	return 0;
}

#define clock_gettime fake_clock
#include "../../daemon/dmremap/progress-line.c"

static void step(struct progress_line *line)
{
	progress_step(&line->progress);
}

/* As the thread of progress_watch() does. */
static void look(struct progress_line *line)
{
	line->progress.show(&line->progress);
}

/* What a program writes that does @f at each of these times; ends with a NULL time. */
static void run_with(const struct invocation *invocation, const time_t *at, uint64_t total,
		     void (*f)(struct progress_line *line), char *text, size_t nr_bytes)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct progress_line line;
	size_t nr;

	assert_non_null(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	fake_now = 1000;
	progress_begin(&line, invocation, "copying", total);
	for (; *at; at++) {
		fake_now = 1000 + *at;
		f(&line);
	}
	progress_end(&line);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	nr = fread(text, 1, nr_bytes - 1, file);
	text[nr] = '\0';
	fclose(file);
}

static void run(const struct invocation *invocation, const time_t *at, char *text, size_t nr_bytes)
{
	run_with(invocation, at, 100, step, text, nr_bytes);
}

/* Whether the steps are not known, or none is done yet. */
static void the_time_where_there_are_no_steps(void **unused)
{
	static const time_t at[] = { 1, 30, 59, 60, 61, 119, 120, 150, 0 };
	struct invocation invocation = { .quiet = false };
	char text[512];

	(void)unused;
	for (uint64_t total = 0; total <= 100; total += 100) {
		run_with(&invocation, at, total, look, text, sizeof(text));
		assert_string_equal(text, "dmremap: copying: 60 s so far\n"
					  "dmremap: copying: 2 min so far\n");
	}
}

static void a_line_a_minute(void **unused)
{
	static const time_t at[] = { 1, 30, 59, 60, 61, 90, 119, 120, 121, 0 };
	struct invocation invocation = { .quiet = false };
	char text[512];

	(void)unused;
	run(&invocation, at, text, sizeof(text));
	assert_string_equal(text, "dmremap: copying: 4 of 100, 24 min left\n"
				  "dmremap: copying: 8 of 100, 23 min left\n");
}

static void what_is_short_or_read_by_a_program(void **unused)
{
	static const time_t is_short[] = { 1, 3, 20, 40, 59, 0 }, is_long[] = { 60, 3600, 0 };
	struct invocation plain = { .quiet = false }, quiet = { .quiet = true },
			  json = { .json = true };
	char text[512];

	(void)unused;
	run(&plain, is_short, text, sizeof(text));
	assert_string_equal(text, "");
	run(&quiet, is_long, text, sizeof(text));
	assert_string_equal(text, "");
	run(&json, is_long, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_a_minute),
		cmocka_unit_test(the_time_where_there_are_no_steps),
		cmocka_unit_test(what_is_short_or_read_by_a_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
