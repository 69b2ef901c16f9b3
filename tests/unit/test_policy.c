// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's judgements: what is told, once, and when. Time is handed in. */
#include <string.h>

#include "limit.h"
#include "policy.h"
#include "unit.h"
#include "waiting.h"

static const struct policy_config config = {
	.step = { 50, 75, 90, 95, 100 },
	.nr_steps = 5,
	.error_count = 3,
	.error_seconds = 100,
	.alarm_seconds = 1000,
};

static struct policy_state state;
static struct policy_notice notices[POLICY_NOTICES_MAX];

static unsigned int at(uint64_t now, uint64_t used, uint64_t errors, const char *mode)
{
	struct policy_facts facts = {
		.used_slots = used, .total_slots = 1000, .errors = errors, .mode = mode
	};

	return policy_update(&config, &state, &facts, now, notices);
}

static int setup(void **unused)
{
	(void)unused;
	memset(&state, 0, sizeof(state));
	return 0;
}

static void each_step_once(void **unused)
{
	(void)unused;
	assert_int_equal(at(1000, 100, 0, "rw"), 0);
	assert_int_equal(at(1100, 499, 0, "rw"), 0);
	assert_int_equal(at(1200, 500, 0, "rw"), 1);
	assert_int_equal(notices[0].kind, NOTICE_STEP);
	assert_int_equal(notices[0].percent, 50);
	/* 400 slots in 200 seconds, 500 are left */
	assert_int_equal(notices[0].seconds_left, 251);
	assert_int_equal(at(1300, 700, 0, "rw"), 0);
	/* two steps at once are told as the higher one */
	assert_int_equal(at(1400, 910, 0, "rw"), 1);
	assert_int_equal(notices[0].percent, 90);
	/* back below it, and there again: a crossing of its own */
	assert_int_equal(at(1500, 800, 0, "rw"), 0);
	assert_int_equal(at(1600, 900, 0, "rw"), 1);
}

static void steps_told_survive(void **unused)
{
	(void)unused;
	state.step_told = 75;
	assert_int_equal(at(5, 760, 0, "rw"), 0);
	assert_int_equal(at(6, 900, 0, "rw"), 1);
	assert_int_equal(notices[0].percent, 90);
	assert_true(notices[0].seconds_left > 0);
}

static void no_rate_no_forecast(void **unused)
{
	(void)unused;
	assert_int_equal(at(5, 600, 0, "rw"), 1);
	assert_int_equal(notices[0].seconds_left, 0);
}

static void errors_come_fast(void **unused)
{
	(void)unused;
	assert_int_equal(at(1000, 1, 50, "rw"), 0); /* what was before counts for nothing */
	assert_int_equal(at(1010, 1, 51, "rw"), 0);
	assert_int_equal(at(1200, 1, 53, "rw"), 0); /* the first is too long ago */
	assert_int_equal(at(1250, 1, 54, "rw"), 1);
	assert_int_equal(notices[0].kind, NOTICE_HEALTH);
	assert_int_equal(notices[0].health, HEALTH_FAILING);
	assert_int_equal(at(1260, 1, 60, "rw"), 0); /* told */
	assert_int_equal(at(1400, 1, 60, "rw"), 1); /* calm again */
	assert_int_equal(notices[0].health, HEALTH_GOOD);
	assert_int_equal(at(1500, 1, 1000000, "rw"), 1);
}

static void counters_that_go_back(void **unused)
{
	(void)unused;
	at(1000, 300, 500, "rw");
	assert_int_equal(at(1001, 1, 0, "rw"), 0);
	assert_int_equal(at(1002, 1, 2, "rw"), 0);
	assert_int_equal(at(1003, 1, 3, "rw"), 1);
}

static void alarms_are_repeated(void **unused)
{
	(void)unused;
	state.step_told = 100;
	state.health = HEALTH_DEGRADED;
	assert_int_equal(at(10, 1000, 0, "full"), 1);
	assert_int_equal(notices[0].kind, NOTICE_ALARM);
	assert_int_equal(at(1009, 1000, 0, "full"), 0);
	assert_int_equal(at(1010, 1000, 0, "full"), 1);
	assert_int_equal(at(1500, 1000, 0, "rw"), 1); /* health is good again */
	assert_int_equal(notices[0].kind, NOTICE_HEALTH);
	assert_int_equal(at(1501, 1000, 0, "meta_fail"), 2);
}

static void a_storm_is_told_in_one_line(void **unused)
{
	struct limit limit = { 0 }, over;
	unsigned int told = 0;

	(void)unused;
	for (uint64_t sector = 100; sector < 200; sector++)
		told += limit_take(&limit, 1000, sector);
	assert_int_equal(told, LIMIT_BURST);
	assert_false(limit_over(&limit, 1000 + LIMIT_SECONDS - 1, &over));
	/* it goes on longer than a while: still held until it was told */
	assert_false(limit_take(&limit, 1000 + LIMIT_SECONDS, 5));
	assert_true(limit_over(&limit, 1000 + LIMIT_SECONDS, &over));
	assert_int_equal(over.nr_held, 100 - LIMIT_BURST + 1);
	assert_int_equal(over.first, 5);
	assert_int_equal(over.last, 199);
	assert_true(limit_take(&limit, 1000 + LIMIT_SECONDS, 1));
	assert_false(limit_over(&limit, 5000, &over));
}

static unsigned int nr_told;
static struct waiting last_told;

static void tell(const struct waiting *waiting)
{
	nr_told++;
	last_told = *waiting;
}

/* One look: which members are here, whether the set is active. */
static void look(struct waiting_list *list, bool main_here, bool spare_here, bool active,
		 uint64_t now)
{
	static const char uuid[] = "01020304-0506-0708-090a-0b0c0d0e0f10";

	waiting_begin(list);
	if (main_here)
		waiting_member(list, uuid, "data", "main", "/dev/sda1", now);
	if (spare_here)
		waiting_member(list, uuid, "data", "spare", "/dev/sdb1", now);
	if (active)
		waiting_is_active(list, uuid);
	waiting_end(list, now, tell);
}

static void a_waiting_set_is_told_once(void **unused)
{
	struct waiting_list list = { NULL, 0 };

	(void)unused;
	nr_told = 0;
	look(&list, true, false, false, 100);
	look(&list, true, false, false, 100 + WAITING_PATIENCE_SECONDS - 1);
	assert_int_equal(nr_told, 0);
	look(&list, true, false, false, 100 + WAITING_PATIENCE_SECONDS);
	look(&list, true, false, false, 1000);
	assert_int_equal(nr_told, 1);
	assert_string_equal(last_told.main, "/dev/sda1");
	assert_string_equal(last_told.spare, "");
	look(&list, true, true, true, 1001); /* active: forgotten */
	assert_int_equal(list.nr, 0);
	look(&list, false, true, false, 1002); /* and then again without main */
	look(&list, false, true, false, 1002 + WAITING_PATIENCE_SECONDS);
	assert_int_equal(nr_told, 2);
	assert_string_equal(last_told.main, "");
	look(&list, false, false, false, 2000); /* unplugged: nothing to tell */
	assert_int_equal(list.nr, 0);
	assert_int_equal(waiting_member(&list, "short", "", "main", "/dev/x", 1), -EINVAL);
	free(list.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_step_once, setup),
		cmocka_unit_test_setup(steps_told_survive, setup),
		cmocka_unit_test_setup(no_rate_no_forecast, setup),
		cmocka_unit_test_setup(errors_come_fast, setup),
		cmocka_unit_test_setup(counters_that_go_back, setup),
		cmocka_unit_test_setup(alarms_are_repeated, setup),
		cmocka_unit_test(a_waiting_set_is_told_once),
		cmocka_unit_test(a_storm_is_told_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
