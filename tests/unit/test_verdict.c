// SPDX-License-Identifier: GPL-2.0-or-later
/* Facts in, verdict out: what a set is called, why, and what to type.  Time is handed in. */
#include <errno.h>
#include <string.h>

#include "health/verdict.h"
#include "unit.h"

#define NOW 1800000000ULL
#define DAY 86400ULL

static struct remap_status status;
static struct growth growth;
static struct forecast forecast;
static struct health_facts facts;
static struct verdict verdict;
static struct smart smart[2];
static struct scrub_result scrub;

static int setup(void **unused)
{
	(void)unused;
	status = (struct remap_status){ .mode = "rw",
					.used_slots = 1,
					.total_slots = 1000,
					.probe_ok = true,
					.replica_out = -1 };
	growth = (struct growth){ .since = NOW - 40 * DAY };
	forecast = (struct forecast){ .kind = FORECAST_NO_GROWTH };
	facts = (struct health_facts){
		.name = "data",
		.mode = "rw",
		.status = &status,
		.main = "/dev/sda",
		.spare = "/dev/sdb",
		.growth = &growth,
		.forecast = &forecast,
		.smart = { &smart[0], &smart[1] },
		.now = NOW,
	};
	memset(smart, 0, sizeof(smart)); /* nothing is known */
	return 0;
}

/* The level, and whether @code is among the reasons with a text, and with something to do. */
static enum verdict_level level_with(enum reason_code code)
{
	const struct reason *found = NULL;

	verdict_of(&facts, &verdict);
	for (unsigned int i = 0; i < verdict.nr_reasons; i++)
		if (verdict.reason[i].code == code)
			found = &verdict.reason[i];
	assert_non_null(found);
	assert_true(*found->text && *found->advice);
	assert_true(verdict.reasons >> code & 1);
	return verdict.level;
}

static void assert_good(void)
{
	verdict_of(&facts, &verdict);
	assert_int_equal(verdict.level, VERDICT_GOOD);
	assert_int_equal(verdict.nr_reasons, 0);
	assert_int_equal(verdict.reasons, 0);
}

static void nothing_wrong(void **unused)
{
	char text[64];

	(void)unused;
	assert_good();
	verdict_describe(&verdict, text, sizeof(text));
	assert_string_equal(text, "");
	facts.growth = NULL; /* without a daemon */
	facts.forecast = NULL;
	assert_good();
	facts.mode = "ro";
	facts.read_only = true; /* as it was activated */
	assert_good();
}

static void modes(void **unused)
{
	static const struct {
		const char *mode;
		enum verdict_level level;
	} cases[] = {
		{ "frozen", VERDICT_WATCH },	  { "fallback", VERDICT_WATCH },
		{ "ro", VERDICT_FAILING },	  { "full", VERDICT_FAILED },
		{ "lost-cache", VERDICT_FAILED }, { "meta_fail", VERDICT_FAILED },
		{ "fail", VERDICT_FAILED },	  { "dead", VERDICT_FAILED },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		facts.mode = cases[i].mode;
		assert_int_equal(level_with(REASON_MODE), cases[i].level);
		assert_non_null(mode_advice(cases[i].mode));
	}
	facts.mode = "of a later release"; /* what is not known is not good */
	verdict_of(&facts, &verdict);
	assert_int_equal(verdict.level, VERDICT_FAILED);
	facts.status = NULL; /* of a dead one nothing counts */
	facts.mode = "dead";
	assert_int_equal(level_with(REASON_MODE), VERDICT_FAILED);
}

static void members(void **unused)
{
	(void)unused;
	facts.main_gone = true;
	assert_int_equal(level_with(REASON_MAIN_GONE), VERDICT_FAILED);
	assert_non_null(strstr(verdict.reason[0].text, "/dev/sda"));
	facts.main_gone = false;
	facts.spare_gone = true;
	assert_int_equal(level_with(REASON_SPARE_GONE), VERDICT_FAILED);
}

static void counters(void **unused)
{
	(void)unused;
	facts.suspended = true;
	assert_int_equal(level_with(REASON_SUSPENDED), VERDICT_WATCH);
	setup(NULL);
	status.replica_out = 0;
	assert_int_equal(level_with(REASON_REPLICA), VERDICT_WATCH);
	setup(NULL);
	status.frozen_blocks = 1;
	assert_int_equal(level_with(REASON_BLOCKS), VERDICT_WATCH);
	setup(NULL);
	status.probe_ok = false;
	assert_int_equal(level_with(REASON_PROBE), VERDICT_WATCH);
	setup(NULL);
	status.bad_slots = 1;
	assert_int_equal(level_with(REASON_BAD_SLOTS), VERDICT_WATCH);
	setup(NULL);
	status.lost_sectors = 1;
	assert_int_equal(level_with(REASON_LOST), VERDICT_WATCH);
}

static void use_of_the_spare(void **unused)
{
	(void)unused;
	status.used_slots = 749;
	assert_good();
	status.used_slots = 740;
	status.bad_slots = 10; /* they count as used */
	assert_int_equal(level_with(REASON_SPARE_USE), VERDICT_WATCH);
	status.bad_slots = 0;
	status.used_slots = 899;
	assert_int_equal(level_with(REASON_SPARE_USE), VERDICT_WATCH);
	status.used_slots = 900;
	assert_int_equal(level_with(REASON_SPARE_USE), VERDICT_FAILING);
	assert_string_equal(verdict.reason[0].text, "90 % of the spare is used");
	status.total_slots = 0; /* no division by it */
	verdict_of(&facts, &verdict);
}

static void a_forecast(void **unused)
{
	(void)unused;
	forecast = (struct forecast){ FORECAST_RATE,  20 * DAY,	      300,
				      NOW + 30 * DAY, NOW + 25 * DAY, NOW + 40 * DAY };
	assert_int_equal(level_with(REASON_SPARE_FILLS), VERDICT_FAILING);
	forecast.late = 0;
	assert_int_equal(level_with(REASON_SPARE_FILLS), VERDICT_FAILING);
	forecast.at = NOW + 31 * DAY;
	assert_good();
	forecast.kind = FORECAST_NO_POINTS;
	forecast.at = 0;
	assert_good();
}

static const uint64_t days_ago[] = { 0, 0, 29 };

/* An error is a reason to watch for thirty days; when it was must be known for it to end. */
static void old_errors_are_forgiven(void **unused)
{
	(void)unused;
	status.write_errors = 1;
	growth.span[SPAN_MONTH].main_errors = 1;
	assert_int_equal(level_with(REASON_ERRORS_MAIN), VERDICT_WATCH);
	assert_string_equal(verdict.reason[0].text, "the main device had 1 error");
	growth.span[SPAN_MONTH].main_errors = 0;
	assert_good();
	growth.since = NOW - days_ago[2] * DAY;
	assert_int_equal(level_with(REASON_ERRORS_MAIN), VERDICT_WATCH);
	facts.growth = NULL;
	assert_int_equal(level_with(REASON_ERRORS_MAIN), VERDICT_WATCH);
	assert_non_null(strstr(verdict.reason[0].evidence, "not known"));
	setup(NULL);
	status.spare_read_errors = 1;
	growth.span[SPAN_MONTH].spare_errors = 1;
	assert_int_equal(level_with(REASON_ERRORS_SPARE), VERDICT_WATCH);
	growth.span[SPAN_MONTH].spare_errors = 0;
	assert_good();
	status.flush_errors = 1;
	growth.span[SPAN_MONTH].flush_errors = 1;
	assert_int_equal(level_with(REASON_FLUSH_ERRORS), VERDICT_WATCH);
}

static void growth_is_worse(void **unused)
{
	(void)unused;
	facts.recent = 12;
	facts.window = 3600;
	assert_int_equal(level_with(REASON_ERRORS_FAST), VERDICT_FAILING);
	assert_non_null(strstr(verdict.reason[0].evidence, "12 within 3600"));
	setup(NULL);
	status.lost_sectors = 3;
	growth.lost_days = 1;
	assert_int_equal(level_with(REASON_LOST), VERDICT_WATCH);
	growth.lost_days = 2;
	assert_int_equal(level_with(REASON_LOST_GROWS), VERDICT_FAILING);
	status.lost_sectors = 0; /* all were written again */
	assert_good();
}

/* As many errors, and one scratch: not the same. */
static void errors_that_spread(void **unused)
{
	(void)unused;
	status.write_errors = 30;
	growth.span[SPAN_WEEK].main_errors = 30;
	growth.span[SPAN_MONTH].main_errors = 30;
	facts.places = 2;
	assert_int_equal(level_with(REASON_ERRORS_MAIN), VERDICT_WATCH);
	facts.places = 8;
	assert_int_equal(level_with(REASON_SPREAD), VERDICT_FAILING);
	growth.span[SPAN_WEEK].main_errors = 9; /* they are old */
	assert_int_equal(level_with(REASON_ERRORS_MAIN), VERDICT_WATCH);
}

static void the_worst_first(void **unused)
{
	char text[256], small[24];

	(void)unused;
	facts.mode = "full";
	facts.suspended = true;
	status.used_slots = 1000;
	status.lost_sectors = 2;
	verdict_of(&facts, &verdict);
	assert_int_equal(verdict.level, VERDICT_FAILED);
	verdict_describe(&verdict, text, sizeof(text));
	assert_string_equal(text,
			    "mode full; 100 % of the spare is used; suspended: all I/O waits; "
			    "2 sectors are lost");
	verdict_describe(&verdict, small, sizeof(small));
	assert_string_equal(small, "mode full; 100 % of the");
}

/* Of a disk that is well, all known. */
static void set_smart(int member)
{
	smart[member].last = (struct smart_point){
		.at = NOW - DAY, .wear = 3, .spare_left = 99, .spare_least = 10
	};
	smart[member].before = smart[member].last;
	smart[member].before.at = NOW - 20 * DAY;
}

static void disks_that_say_so(void **unused)
{
	(void)unused;
	for (int member = 0; member < 2; member++) {
		const char *role = member ? "spare" : "main device";
		struct smart_point *last = &smart[member].last;

		set_smart(member);
		assert_good();
		last->failing = 1;
		assert_int_equal(level_with(REASON_SMART_FAILS), VERDICT_FAILING);
		assert_non_null(strstr(verdict.reason[0].text, role));
		set_smart(member);
		last->warning = 1;
		assert_int_equal(level_with(REASON_SMART_FAILS), VERDICT_FAILING);
		set_smart(member);
		last->spare_left = 9;
		assert_int_equal(level_with(REASON_SMART_FAILS), VERDICT_FAILING);
		set_smart(member);
		last->pending = 1;
		assert_int_equal(level_with(REASON_SMART_SECTORS), VERDICT_WATCH);
		set_smart(member);
		last->unreadable = 1;
		assert_int_equal(level_with(REASON_SMART_SECTORS), VERDICT_WATCH);
		set_smart(member);
		last->wear = 100;
		assert_int_equal(level_with(REASON_WEAR), VERDICT_WATCH);
		last->at = NOW - 31 * DAY; /* long ago */
		assert_good();
		memset(last, 0xff, sizeof(*last)); /* it says nothing of all that */
		last->at = NOW;
		assert_good();
		set_smart(member);
	}
}

/* What was always so is no reason; what grows is one, and of the cable it says so. */
static void disks_that_get_worse(void **unused)
{
	(void)unused;
	set_smart(0);
	smart[0].last.reallocated = smart[0].before.reallocated = 100;
	smart[0].last.crc = smart[0].before.crc = 5000;
	assert_good();
	smart[0].last.reallocated++;
	assert_int_equal(level_with(REASON_SMART_GROWS), VERDICT_WATCH);
	smart[0].last.reallocated--;
	smart[0].last.crc += 3;
	assert_int_equal(level_with(REASON_CABLE), VERDICT_WATCH);
	assert_int_equal(verdict.nr_reasons, 1);
	assert_non_null(strstr(verdict.reason[0].advice, "the disk itself is not at fault"));
	assert_non_null(strstr(verdict.reason[0].evidence, "3 more CRC errors"));
}

/* What the last one found counts, and that it is long ago; that there was none does not. */
static void scrubs(void **unused)
{
	(void)unused;
	facts.scrub = &scrub;
	scrub = (struct scrub_result){ 0 };
	assert_good();
	scrub.ended = NOW - 60 * DAY;
	scrub.slow = scrub.open = 7;
	assert_good();
	scrub.unreadable = 1;
	assert_int_equal(level_with(REASON_UNREADABLE), VERDICT_WATCH);
	assert_non_null(strstr(verdict.reason[0].text, "1 sector"));
	assert_non_null(strstr(verdict.reason[0].advice, "--unreadable"));
	scrub.unreadable = 0;
	scrub.spare_unreadable = 2;
	assert_int_equal(level_with(REASON_UNREADABLE), VERDICT_WATCH);
	assert_non_null(strstr(verdict.reason[0].advice, "resize"));
	scrub.spare_unreadable = 0;
	scrub.ended = NOW - 71 * DAY;
	assert_int_equal(level_with(REASON_SCRUB_OLD), VERDICT_WATCH);
	assert_int_equal(verdict.nr_reasons, 1);
}

/* All at once: there is room for them. */
static void everything(void **unused)
{
	(void)unused;
	status = (struct remap_status){ .mode = "fail",
					.used_slots = 950,
					.total_slots = 1000,
					.lost_sectors = 1,
					.bad_slots = 1,
					.read_errors = 99,
					.spare_read_errors = 1,
					.flush_errors = 1,
					.frozen_blocks = 1 };
	growth = (struct growth){ .since = NOW - DAY, .lost_days = 7 };
	growth.span[SPAN_WEEK].main_errors = 99;
	forecast = (struct forecast){ FORECAST_RATE, DAY, 300, NOW, NOW, NOW };
	facts.mode = "fail";
	facts.suspended = facts.main_gone = facts.spare_gone = true;
	facts.window = facts.recent = 64;
	facts.places = 64;
	for (int i = 0; i < 2; i++) {
		smart[i].last = (struct smart_point){ .at = NOW,
						      .failing = 1,
						      .pending = 1,
						      .reallocated = 1,
						      .crc = 1,
						      .wear = 100 };
	}
	facts.scrub = &scrub;
	scrub = (struct scrub_result){ .ended = NOW - 80 * DAY, .unreadable = 3 };
	verdict_of(&facts, &verdict);
	assert_int_equal(verdict.nr_reasons, VERDICT_REASONS_MAX);
	assert_int_equal(verdict.reasons, (1ULL << NR_REASONS) - 1);
	for (unsigned int i = 0; i < VERDICT_REASONS_MAX; i++) {
		assert_true(verdict.reason[i].advice[0]);
		assert_true(i == 0 || verdict.reason[i].level <= verdict.reason[i - 1].level);
		assert_non_null(reason_name(verdict.reason[i].code));
	}
}

static void names(void **unused)
{
	enum verdict_level level;

	(void)unused;
	for (int i = VERDICT_GOOD; i <= VERDICT_FAILED; i++) {
		assert_int_equal(verdict_from_name(verdict_name((enum verdict_level)i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(verdict_from_name("none", &level), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_wrong, setup),
		cmocka_unit_test_setup(modes, setup),
		cmocka_unit_test_setup(members, setup),
		cmocka_unit_test_setup(counters, setup),
		cmocka_unit_test_setup(use_of_the_spare, setup),
		cmocka_unit_test_setup(a_forecast, setup),
		cmocka_unit_test_setup(old_errors_are_forgiven, setup),
		cmocka_unit_test_setup(growth_is_worse, setup),
		cmocka_unit_test_setup(errors_that_spread, setup),
		cmocka_unit_test_setup(the_worst_first, setup),
		cmocka_unit_test_setup(disks_that_say_so, setup),
		cmocka_unit_test_setup(disks_that_get_worse, setup),
		cmocka_unit_test_setup(scrubs, setup),
		cmocka_unit_test_setup(everything, setup),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
