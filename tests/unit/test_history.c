// SPDX-License-Identifier: GPL-2.0-or-later
/* The history of a set: its file, and what is made of it.  Time is handed in. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "format/backup.h"
#include "health/plot.h"
#include "unit.h"

#define NOW 1800000000ULL
#define HOUR 3600ULL
#define DAY 86400ULL

static char directory[32];

static int setup(void **unused)
{
	(void)unused;
	snprintf(directory, sizeof(directory), "/tmp/unit-history.XXXXXX");
	assert_non_null(mkdtemp(directory));
	setenv("STATE_DIRECTORY", directory, 1);
	return 0;
}

static int cleanup(void **unused)
{
	char path[64];

	(void)unused;
	records_path(&history_kind, "key", path, sizeof(path));
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

static struct history_point point_at(uint64_t at, uint64_t used)
{
	return (struct history_point){ .at = at, .used = used, .total = 1000 };
}

static int read_text(const char *text, size_t nr_bytes, struct history *history)
{
	struct records records;
	int r = records_read_text(&history_kind, text, nr_bytes, NOW, &records);

	*history = (struct history){ (struct history_point *)records.at, records.nr };
	return r;
}

static void thin(struct history *history)
{
	struct records records = { (uint64_t *)history->at, history->nr };

	records_thin(&history_kind, &records, NOW);
	history->nr = records.nr;
}

static void lines(void **unused)
{
	struct history_point point = { .at = NOW, .places = UINT64_MAX, .verdict = 3 }, again;
	char line[RECORD_LINE_BYTES];
	size_t length = record_format(&history_kind, (uint64_t *)&point, line);

	(void)unused;
	assert_int_equal(line[length - 1], '\n');
	assert_true(record_parse(&history_kind, line, length - 1, (uint64_t *)&again));
	assert_memory_equal(&point, &again, sizeof(point));
	/* any other byte, and any other length */
	for (size_t i = 0; i + 1 < length; i++) {
		char was = line[i];

		assert_false(record_parse(&history_kind, line, i, (uint64_t *)&again));
		for (int bit = 0; bit < 8; bit++) {
			line[i] = (char)(was ^ 1 << bit);
			assert_false(
				record_parse(&history_kind, line, length - 1, (uint64_t *)&again));
		}
		line[i] = was;
	}
	/* the longest there can be */
	memset(&point, 0xff, sizeof(point));
	point.verdict = 3;
	length = record_format(&history_kind, (uint64_t *)&point, line);
	assert_true(length < sizeof(line) &&
		    record_parse(&history_kind, line, length - 1, (uint64_t *)&again));
	point.verdict = 4; /* a word that this release does not know */
	length = record_format(&history_kind, (uint64_t *)&point, line);
	assert_false(record_parse(&history_kind, line, length - 1, (uint64_t *)&again));
}

/* Cut at every byte, or with zeros behind: the points before are there, and so are later ones. */
static void a_power_cut_at_any_byte(void **unused)
{
	struct history_point point = point_at(NOW + 3, 99);
	char text[4 * RECORD_LINE_BYTES], path[64];
	size_t whole = 0, ends[3];

	(void)unused;
	for (unsigned int i = 0; i < 3; i++) {
		struct history_point before = point_at(NOW + i, i);

		whole += record_format(&history_kind, (uint64_t *)&before, text + whole);
		ends[i] = whole;
	}
	records_path(&history_kind, "key", path, sizeof(path));
	for (size_t cut = 0; cut <= whole; cut++)
		for (unsigned int zeros = 0; zeros <= 300; zeros += 300) {
			_cleanup_history_ struct history history = { NULL, 0 };
			size_t left = (cut >= ends[0]) + (cut >= ends[1]) + (cut >= ends[2]);
			/* but for its newline it was there: it gets one */
			bool mended = !zeros && left < 3 && cut + 1 == ends[left];
			FILE *file = fopen(path, "w");

			assert_non_null(file);
			fwrite(text, 1, cut, file);
			for (unsigned int i = 0; i < zeros; i++)
				fputc('\0', file);
			fclose(file);
			assert_int_equal(history_load("key", NOW + 10, &history, NULL), 0);
			assert_int_equal(history.nr, left);
			history_done(&history);
			assert_int_equal(history_append("key", &point, NULL), 0);
			assert_int_equal(history_load("key", NOW + 10, &history, NULL), 0);
			left += mended;
			assert_int_equal(history.nr, left + 1);
			for (size_t i = 0; i < left; i++)
				assert_int_equal(history.at[i].used, i);
			assert_int_equal(history.at[left].used, 99);
		}
}

static void the_file_is_bounded(void **unused)
{
	_cleanup_history_ struct history history = { NULL, 0 };
	char path[64], line[RECORD_LINE_BYTES];
	struct history_point point;
	struct stat st;
	FILE *file;

	(void)unused;
	records_path(&history_kind, "key", path, sizeof(path));
	file = fopen(path, "w");
	assert_non_null(file);
	for (uint64_t i = 0; i < RECORDS_MAX - 1; i++) {
		point = point_at(NOW + i * 60, i);
		fwrite(line, 1, record_format(&history_kind, (uint64_t *)&point, line), file);
	}
	fclose(file);
	for (uint64_t i = RECORDS_MAX - 1; i < RECORDS_MAX + 50; i++) {
		point = point_at(NOW + i * 60, i);
		assert_int_equal(history_append("key", &point, NULL), 0);
	}
	assert_int_equal(history_load("key", point.at, &history, NULL), 0);
	/* the last is there, all of the last two days, and the oldest in their hours */
	assert_true(history.nr <= RECORDS_KEPT);
	assert_int_equal(history.at[history.nr - 1].used, RECORDS_MAX + 49);
	assert_int_equal(history.at[history.nr - 2880].used, RECORDS_MAX + 49 - 2879);
	assert_in_range(history.at[0].at, NOW, NOW + HOUR);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 1, RECORDS_MAX * RECORD_LINE_BYTES);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void thinning(void **unused)
{
	_cleanup_history_ struct history history = { calloc(3000, sizeof(history.at[0])), 0 };

	(void)unused;
	for (uint64_t at = NOW - 100 * DAY; at <= NOW; at += HOUR)
		history.at[history.nr++] = point_at(at, 1);
	thin(&history);
	/* hourly for sixty days, daily before that */
	assert_in_range(history.nr, 60 * 24 + 39, 60 * 24 + 43);
	assert_int_equal(history.at[history.nr - 1].at, NOW);
}

/* More than there is room for in two days: the newest are left. */
static void too_many_of_late(void **unused)
{
	_cleanup_history_ struct history history = { calloc(RECORDS_MAX, sizeof(history.at[0])),
						     0 };

	(void)unused;
	for (uint64_t i = 0; i < RECORDS_MAX; i++)
		history.at[history.nr++] = point_at(NOW - (RECORDS_MAX - i) * 30, i);
	thin(&history);
	assert_int_equal(history.nr, RECORDS_KEPT);
	assert_int_equal(history.at[history.nr - 1].used, RECORDS_MAX - 1);
}

/* Clocks that were not set, or wrong: such points are left out, and the others in order. */
static void times(void **unused)
{
	static const uint64_t at[] = { NOW - 50, 7, NOW - 100, NOW + 20 * DAY, NOW };
	_cleanup_history_ struct history history = { NULL, 0 };
	char text[5 * RECORD_LINE_BYTES];
	size_t nr_bytes = 0;

	(void)unused;
	for (unsigned int i = 0; i < 5; i++) {
		struct history_point point = point_at(at[i], i);

		nr_bytes += record_format(&history_kind, (uint64_t *)&point, text + nr_bytes);
	}
	assert_int_equal(read_text(text, nr_bytes, &history), 0);
	assert_int_equal(history.nr, 3);
	assert_int_equal(history.at[0].at, NOW - 100);
	assert_int_equal(history.at[2].at, NOW);
}

static void keys_are_no_paths(void **unused)
{
	struct history_point point = point_at(NOW, 1);
	struct error error;

	(void)unused;
	assert_int_equal(history_append("../key", &point, &error), -EINVAL);
}

static void growth(void **unused)
{
	struct history_point points[] = {
		{ .at = NOW - 40 * DAY, .used = 10, .read_errors = 5 },
		{ .at = NOW - 31 * DAY, .used = 100, .read_errors = 50, .lost = 2 },
		{ .at = NOW - 20 * DAY, .used = 110, .read_errors = 60, .lost = 3 },
		{ .at = NOW - 5 * DAY, .used = 112, .read_errors = 0, .lost = 4 }, /* cleared */
		{ .at = NOW - 4 * DAY, .used = 112, .read_errors = 2, .lost = 0 },
		{ .at = NOW - 3 * DAY, .used = 112, .read_errors = 2, .lost = 1 },
		{ .at = NOW - HOUR, .used = 115, .read_errors = 2, .relocations = 3, .lost = 1 },
		{ .at = NOW, .used = 115, .read_errors = 2, .relocations = 3, .lost = 1 },
	};
	struct history history = { points, ARRAY_SIZE(points) };
	struct growth growth;

	(void)unused;
	growth_of(&history, &growth);
	assert_int_equal(growth.since, NOW - 40 * DAY);
	assert_int_equal(growth.span[SPAN_DAY].relocations, 3);
	assert_int_equal(growth.span[SPAN_DAY].slots, 3);
	assert_int_equal(growth.span[SPAN_DAY].main_errors, 0);
	assert_int_equal(growth.span[SPAN_WEEK].slots, 5);
	assert_int_equal(growth.span[SPAN_WEEK].main_errors, 2);
	assert_int_equal(growth.span[SPAN_WEEK].lost, 2);
	assert_int_equal(growth.lost_days, 2);
	assert_int_equal(growth.span[SPAN_MONTH].slots, 15);
	assert_int_equal(growth.span[SPAN_MONTH].main_errors, 12);
	assert_int_equal(growth.last_error, NOW - HOUR);
	growth_of(&(struct history){ NULL, 0 }, &growth);
	assert_int_equal(growth.since, 0);
}

/* Points an hour apart; @rate slots a day, spread evenly. */
static void fill(struct history *history, uint64_t from, uint64_t until, double used, double rate)
{
	for (uint64_t at = from; at <= until; at += HOUR)
		history->at[history->nr++] =
			point_at(at, (uint64_t)(used + rate * (double)(at - from) / DAY));
}

/* Half-way of a steady rate: within 20 %, and the truth is in the interval. */
static void a_forecast_of_a_steady_rate(void **unused)
{
	_cleanup_history_ struct history history = { calloc(3000, sizeof(history.at[0])), 0 };
	struct forecast forecast;
	uint64_t truth = NOW + 50 * DAY;
	char text[200];

	(void)unused;
	fill(&history, NOW - 50 * DAY, NOW, 0, 10);
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.kind, FORECAST_RATE);
	assert_in_range(forecast.at, NOW + 49 * DAY, NOW + 51 * DAY);
	assert_in_range(truth, forecast.early, forecast.late);
	forecast_describe(&forecast, text, sizeof(text));
	assert_non_null(strstr(text, "the spare will be full about 20"));
	/* nothing left: it is full now */
	for (size_t i = 0; i < history.nr; i++)
		history.at[i].total = history.at[history.nr - 1].used;
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.at, NOW);
}

/*
 * The same of sectors that fail independently, a thousand times: within 20 % nearly always, and
 * the truth in the interval in nine of ten cases, or more.
 */
static void a_forecast_of_chance(void **unused)
{
	unsigned int nr_near = 0, nr_within = 0, nr_all = 400;

	(void)unused;
	for (unsigned int run = 0; run < nr_all; run++) {
		_cleanup_history_ struct history history = { calloc(1000, sizeof(history.at[0])),
							     0 };
		uint64_t used = 0, at = NOW - 30 * DAY, truth;
		struct forecast forecast;

		for (; at <= NOW; at += HOUR) {
			history.at[history.nr++] = point_at(at, used);
			used += unit_random() % 24 < 15; /* 15 a day */
		}
		history.at[history.nr - 1].total = 1000;
		for (truth = NOW; used < 1000; truth += HOUR)
			used += unit_random() % 24 < 15;
		forecast_of(&history, &forecast);
		assert_int_equal(forecast.kind, FORECAST_RATE);
		nr_near += fabs((double)forecast.at - (double)truth) < 0.2 * (double)(truth - NOW);
		nr_within += truth >= forecast.early && truth <= forecast.late;
	}
	assert_in_range(nr_near, nr_all * 98 / 100, nr_all);
	assert_in_range(nr_within, nr_all * 88 / 100, nr_all);
}

/* Bursts make it less certain. */
static void a_forecast_of_bursts(void **unused)
{
	_cleanup_history_ struct history even = { calloc(800, sizeof(even.at[0])), 0 };
	_cleanup_history_ struct history bursts = { calloc(800, sizeof(bursts.at[0])), 0 };
	struct forecast forecast, uncertain;

	(void)unused;
	fill(&even, NOW - 30 * DAY, NOW, 0, 10);
	fill(&bursts, NOW - 30 * DAY, NOW, 0, 0);
	for (size_t i = 0; i < bursts.nr; i++)
		bursts.at[i].used = i < 200 ? 0 : i < 500 ? 200 : 300;
	forecast_of(&even, &forecast);
	forecast_of(&bursts, &uncertain);
	assert_int_equal(uncertain.kind, FORECAST_RATE);
	assert_true(uncertain.early < forecast.early);
	assert_int_equal(uncertain.late, 0); /* perhaps never */
}

static void no_forecast(void **unused)
{
	_cleanup_history_ struct history history = { calloc(3000, sizeof(history.at[0])), 0 };
	struct forecast forecast;
	char text[200];

	(void)unused;
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.kind, FORECAST_NO_POINTS);
	fill(&history, NOW - DAY + HOUR, NOW, 0, 500); /* not a day yet */
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.kind, FORECAST_NO_POINTS);
	assert_int_equal(forecast.at, 0);
	forecast_describe(&forecast, text, sizeof(text));
	assert_non_null(strstr(text, "too short"));
	history.nr = 0;
	fill(&history, NOW - 20 * DAY, NOW, 7, 0.1); /* two in all */
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.kind, FORECAST_NO_GROWTH);
	forecast_describe(&forecast, text, sizeof(text));
	assert_non_null(strstr(text, "fewer than"));
	/* few points, whatever they say */
	history.nr = 0;
	for (unsigned int i = 0; i < FORECAST_POINTS - 1; i++)
		history.at[history.nr++] = point_at(NOW + i * DAY, i * 50);
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.kind, FORECAST_NO_POINTS);
	history.at[history.nr] = point_at(NOW + history.nr * DAY, history.nr * 50);
	history.nr++;
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.kind, FORECAST_RATE);
}

/* What was before slots were given back, or before another spare, is no rate of today. */
static void a_forecast_begins_anew(void **unused)
{
	_cleanup_history_ struct history history = { calloc(3000, sizeof(history.at[0])), 0 };
	struct forecast forecast;

	(void)unused;
	fill(&history, NOW - 20 * DAY, NOW - 5 * DAY, 0, 50);
	fill(&history, NOW - 5 * DAY + HOUR, NOW, 100, 10); /* 650 were given back */
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.kind, FORECAST_RATE);
	assert_in_range(forecast.at, NOW + 80 * DAY, NOW + 90 * DAY);
	for (size_t i = history.nr - 12; i < history.nr; i++)
		history.at[i].total = 5000;
	forecast_of(&history, &forecast);
	assert_int_equal(forecast.kind, FORECAST_NO_POINTS);
}

/* Three quiet weeks and a bad one: the bad one is what counts. */
static void a_rate_that_has_risen(void **unused)
{
	_cleanup_history_ struct history history = { calloc(3000, sizeof(history.at[0])), 0 };
	struct forecast forecast;

	(void)unused;
	fill(&history, NOW - 28 * DAY, NOW - 7 * DAY, 0, 1);
	fill(&history, NOW - 7 * DAY + HOUR, NOW, 21, 60);
	forecast_of(&history, &forecast);
	/* 440 are taken: 560 are left */
	assert_in_range(forecast.at, NOW + 8 * DAY, NOW + 11 * DAY);
}

static char *drawn(const struct history *history, const struct forecast *forecast)
{
	size_t nr_bytes;
	char *text;
	FILE *file = open_memstream(&text, &nr_bytes);

	if (forecast)
		plot_svg(file, "a <b> & \x01", history, forecast);
	else
		plot_text(file, history);
	fclose(file);
	return text;
}

static void plots(void **unused)
{
	_cleanup_history_ struct history history = { calloc(800, sizeof(history.at[0])), 0 };
	struct forecast forecast = { 0 };
	char *text, *line, *save = NULL;
	unsigned int nr_rows = 0;

	(void)unused;
	text = drawn(&history, NULL);
	assert_non_null(strstr(text, "too few points"));
	free(text);
	text = drawn(&history, &forecast);
	assert_non_null(strstr(text, "too few points"));
	free(text);
	fill(&history, NOW - 30 * DAY, NOW, 0, 10);
	text = drawn(&history, NULL);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		/* more and more of a line is drawn, from the right */
		if (nr_rows < PLOT_ROWS)
			assert_in_range(strlen(line), 12, 12 + PLOT_COLUMNS);
		if (nr_rows == 0)
			assert_int_equal(strncmp(line, "       300 |", 12), 0);
		if (nr_rows == PLOT_ROWS - 1)
			assert_true(strspn(line + 16, "#") > 55);
		nr_rows++;
	}
	assert_int_equal(nr_rows, PLOT_ROWS + 2);
	free(text);
	forecast_of(&history, &forecast);
	text = drawn(&history, &forecast);
	assert_non_null(strstr(text, "a &lt;b&gt; &amp; ?"));
	assert_non_null(strstr(text, "stroke-dasharray"));
	assert_non_null(strstr(text, "</svg>"));
	assert_null(strstr(text, "nan"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test_setup_teardown(a_power_cut_at_any_byte, setup, cleanup),
		cmocka_unit_test_setup_teardown(the_file_is_bounded, setup, cleanup),
		cmocka_unit_test_setup_teardown(keys_are_no_paths, setup, cleanup),
		cmocka_unit_test(thinning),
		cmocka_unit_test(too_many_of_late),
		cmocka_unit_test(times),
		cmocka_unit_test(growth),
		cmocka_unit_test(a_forecast_of_a_steady_rate),
		cmocka_unit_test(a_forecast_of_chance),
		cmocka_unit_test(a_forecast_of_bursts),
		cmocka_unit_test(no_forecast),
		cmocka_unit_test(a_forecast_begins_anew),
		cmocka_unit_test(a_rate_that_has_risen),
		cmocka_unit_test(plots),
	};

	unit_seed("history");
	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
