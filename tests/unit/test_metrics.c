// SPDX-License-Identifier: GPL-2.0-or-later
/* The text for Prometheus: every set, every name once, and no label that breaks a line. */
#include <string.h>

#include "health/metrics.h"
#include "unit.h"

static struct verdict verdict = { .level = VERDICT_FAILING, .reasons = 1ULL << REASON_LOST };
static struct forecast forecast = { FORECAST_RATE, 1, 2, 1800000000, 1700000000, 0 };
static struct remap_status status = {
	.used_slots = 3, .total_slots = 96, .lost_sectors = 2, .read_errors = UINT64_MAX
};

static char *text_of(const struct metric_set *sets, size_t nr)
{
	size_t nr_bytes;
	char *text;
	FILE *file = open_memstream(&text, &nr_bytes);

	metrics_write(file, sets, nr);
	fclose(file);
	return text;
}

static void sets(void **unused)
{
	struct metric_set all[] = {
		{ "a\"b\\c\nd\xe4",
		  "u",
		  "rw",
		  &status,
		  { false, true },
		  &verdict,
		  &forecast,
		  NULL,
		  false,
		  7 },
		{ "dead", "", "dead", NULL, { true, true }, &verdict, &forecast, NULL, false, 0 },
	};
	static const char *const wanted[] = {
		"\ndm_remap_sets 2\n",
		"\ndm_remap_verdict{name=\"a\\\"b\\\\c\\\\x0ad\\\\xe4\",uuid=\"u\",verdict=\"failing\"} 1\n",
		"\",uuid=\"u\",verdict=\"good\"} 0\n",
		",reason=\"lost-sectors\"} 1\n",
		"\ndm_remap_mode{name=\"dead\",uuid=\"\",mode=\"dead\"} 1\n",
		",member=\"main\"} 1\n",
		",member=\"spare\"} 0\n",
		",uuid=\"u\"} 18446744073709551615\n",
		"# TYPE dm_remap_read_errors_total counter\n",
		"\ndm_remap_spare_full_timestamp_seconds{name=\"dead\",uuid=\"\"} 1800000000\n",
	};
	char *text = text_of(all, 2);

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_non_null(strstr(text, wanted[i]));
	/* nothing counts of a dead one, and what is not known has no sample */
	assert_null(strstr(text, "dm_remap_lost_sectors{name=\"dead\""));
	assert_null(strstr(text, "dm_remap_member_present{name=\"dead\""));
	assert_null(strstr(text, "dm_remap_spare_full_late_timestamp_seconds{"));
	assert_null(strstr(text, "dm_remap_history_timestamp_seconds{name=\"dead\""));
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
}

static void no_forecast(void **unused)
{
	struct forecast none = { .kind = FORECAST_NO_POINTS, .at = 5 };
	struct metric_set set = { "a",	    "u",   "rw", &status, { false },
				  &verdict, &none, NULL, false,	  0 };
	char *text = text_of(&set, 1);

	(void)unused;
	assert_null(strstr(text, "timestamp_seconds{"));
	free(text);
}

/* Of one that goes on there is no result yet; a good one is a date. */
static void scrubs(void **unused)
{
	struct scrub_summary first = { .nr_sectors = 1000, .open = 250 };
	struct scrub_summary second = { { 1600000000, 7, 5, 0, 3, 2, 1 }, 0, 2000, 0 };
	struct metric_set all[] = {
		{ "never", "u", "rw", &status, { false }, &verdict, &forecast, NULL, false, 0 },
		{ "first", "u", "rw", &status, { false }, &verdict, &forecast, &first, true, 0 },
		{ "second", "u", "rw", &status, { false }, &verdict, &forecast, &second, false, 0 },
	};
	static const char *const wanted[] = {
		"\ndm_remap_scrub_running{name=\"never\",uuid=\"u\"} 0\n",
		"\ndm_remap_scrub_running{name=\"first\",uuid=\"u\"} 1\n",
		"\ndm_remap_scrub_sectors{name=\"first\",uuid=\"u\"} 1000\n",
		"\ndm_remap_scrub_open_sectors{name=\"first\",uuid=\"u\"} 250\n",
		"\ndm_remap_scrub_end_timestamp_seconds{name=\"second\",uuid=\"u\"} 1600000000\n",
		"\ndm_remap_scrub_salvaged_sectors{name=\"second\",uuid=\"u\"} 5\n",
		"\ndm_remap_scrub_slow_reads{name=\"second\",uuid=\"u\"} 2\n",
		"{name=\"second\",uuid=\"u\",part=\"set\"} 7\n",
		"{name=\"second\",uuid=\"u\",part=\"spare\"} 3\n",
	};
	char *text = text_of(all, ARRAY_SIZE(all));

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_non_null(strstr(text, wanted[i]));
	assert_null(strstr(text, "dm_remap_scrub_sectors{name=\"never\""));
	assert_null(strstr(text, "dm_remap_scrub_end_timestamp_seconds{name=\"first\""));
	assert_null(strstr(text, "dm_remap_scrub_unreadable_sectors{name=\"first\""));
	assert_null(strstr(text, "dm_remap_scrub_good_timestamp_seconds{"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets),
		cmocka_unit_test(no_forecast),
		cmocka_unit_test(scrubs),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
