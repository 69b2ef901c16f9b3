// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's judgements: what is told, once, and when. Time is handed in. */
#include <string.h>

#include "limit.h"
#include "policy.h"
#include "salvage.h"
#include "unit.h"
#include "waiting.h"

static const struct policy_config config = {
	.step = { 50, 75, 90, 95, 100 },
	.nr_steps = 5,
	.error_count = 3,
	.error_seconds = 100,
	.reminder_seconds = 1000,
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
	/* to and fro at the edge is no news */
	assert_int_equal(at(1450, 890, 0, "rw"), 0);
	assert_int_equal(at(1460, 905, 0, "rw"), 0);
	/* clearly below it, and there again: a crossing of its own */
	assert_int_equal(at(1500, 800, 0, "rw"), 0);
	assert_int_equal(at(1600, 900, 0, "rw"), 1);
	assert_int_equal(notices[0].percent, 90);
}

/* O23: the time left at the present rate, not at that of a year ago. */
static void the_forecast_is_of_the_last_day(void **unused)
{
	uint64_t hour, now = 1000;

	(void)unused;
	/* a hundred quiet days, then 100 slots within a day */
	for (hour = 0; hour < 2400; hour++)
		assert_int_equal(at(now += 3600, 400, 0, "rw"), 0);
	for (hour = 0; hour < 24; hour++)
		at(now += 3600, 400 + (hour + 1) * 4, 0, "rw");
	assert_int_equal(at(now += 3600, 500, 0, "rw"), 1);
	assert_int_equal(notices[0].percent, 50);
	/* 500 are left; 100 came in 24 hours */
	assert_in_range(notices[0].seconds_left, 4 * 86400, 6 * 86400);
	/* quiet again: there is no rate, whatever was long ago */
	for (hour = 0; hour < 48; hour++)
		assert_int_equal(at(now += 3600, 500, 0, "rw"), 0);
	assert_int_equal(at(now += 60, 750, 0, "rw"), 1);
	assert_in_range(notices[0].seconds_left, 86400 / 4, 2 * 86400);
}

static void what_was_wanted_is_no_alarm(void **unused)
{
	struct policy_facts facts = { .used_slots = 1, .total_slots = 1000, .mode = "ro" };

	(void)unused;
	facts.read_only = true;
	assert_int_equal(policy_update(&config, &state, &facts, 10, notices), 0);
	facts.read_only = false;
	assert_int_equal(policy_update(&config, &state, &facts, 20, notices), 1);
	assert_int_equal(notices[0].kind, NOTICE_ALARM);
	assert_int_equal(policy_update(&config, &state, &facts, 1020, notices), 1);
	/* frozen by hand is no alarm; by a storm it is one, again and again */
	facts.mode = "frozen";
	facts.by_hand = true;
	assert_int_equal(policy_update(&config, &state, &facts, 1030, notices), 0);
	assert_int_equal(policy_update(&config, &state, &facts, 9000, notices), 0);
	facts.by_hand = false;
	assert_int_equal(policy_update(&config, &state, &facts, 9010, notices), 1);
	assert_int_equal(notices[0].kind, NOTICE_ALARM);
	assert_int_equal(policy_update(&config, &state, &facts, 10010, notices), 1);
}

static void steps_told_survive(void **unused)
{
	(void)unused;
	state.step_reported = 75;
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
	assert_int_equal(state.nr_fast, 0);
	assert_int_equal(at(1250, 1, 54, "rw"), 0);
	assert_int_equal(state.nr_fast, 3);
	at(1260, 1, 60, "rw");
	assert_int_equal(state.nr_fast, 9);
	at(1400, 1, 60, "rw"); /* calm again */
	assert_int_equal(state.nr_fast, 0);
	at(1500, 1, 1000000, "rw");
	assert_int_equal(state.nr_fast, POLICY_ERRORS_MAX);
}

/* One scratch that a scrub finds is one error, however many of its sectors it tries. */
static void a_scrub_tries_every_sector(void **unused)
{
	struct policy_facts facts = { .total_slots = 1000, .mode = "rw", .is_scrubbed = true };

	(void)unused;
	policy_update(&config, &state, &facts, 1000, notices);
	for (uint64_t sector = 5 * POLICY_PLACE_SECTORS; sector < 6 * POLICY_PLACE_SECTORS;
	     sector++)
		policy_read_error(&config, &state, sector, 1001);
	facts.errors = facts.main_reads = POLICY_PLACE_SECTORS;
	policy_update(&config, &state, &facts, 1002, notices);
	assert_int_equal(state.nr_fast, 0);
	/* again within the time it is no news, but three places are */
	policy_read_error(&config, &state, 5 * POLICY_PLACE_SECTORS, 1050);
	policy_read_error(&config, &state, 7 * POLICY_PLACE_SECTORS, 1050);
	facts.errors = facts.main_reads += 2;
	policy_update(&config, &state, &facts, 1051, notices);
	assert_int_equal(state.nr_fast, 0);
	/* the event of one that is counted already comes late */
	facts.errors = facts.main_reads += 1;
	policy_update(&config, &state, &facts, 1052, notices);
	policy_read_error(&config, &state, 99 * POLICY_PLACE_SECTORS, 1052);
	facts.errors = facts.main_reads += 1;
	policy_update(&config, &state, &facts, 1053, notices);
	assert_int_equal(state.nr_fast, 3);
	/* failed writes count, and so do reads when no scrub is at work */
	facts.errors += 3;
	policy_update(&config, &state, &facts, 1300, notices);
	assert_int_equal(state.nr_fast, 3);
	facts.is_scrubbed = false;
	facts.errors = facts.main_reads += 20;
	policy_update(&config, &state, &facts, 1600, notices);
	assert_true(state.nr_fast >= 17);
}

static void counters_that_go_back(void **unused)
{
	(void)unused;
	at(1000, 300, 500, "rw");
	assert_int_equal(at(1001, 1, 0, "rw"), 0);
	assert_int_equal(at(1002, 1, 2, "rw"), 0);
	assert_int_equal(state.nr_fast, 0);
	at(1003, 1, 3, "rw");
	assert_int_equal(state.nr_fast, 3);
}

static void alarms_are_repeated(void **unused)
{
	(void)unused;
	state.step_reported = 100;
	assert_int_equal(at(10, 1000, 0, "full"), 1);
	assert_int_equal(notices[0].kind, NOTICE_ALARM);
	assert_int_equal(at(1009, 1000, 0, "full"), 0);
	assert_int_equal(at(1010, 1000, 0, "full"), 1);
	assert_int_equal(at(1500, 1000, 0, "rw"), 0);
	assert_int_equal(at(1501, 1000, 0, "meta_fail"), 1);
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
	assert_int_equal(over.nr_suppressed, 100 - LIMIT_BURST + 1);
	assert_int_equal(over.first, 5);
	assert_int_equal(over.last, 199);
	assert_true(limit_take(&limit, 1000 + LIMIT_SECONDS, 1));
	assert_false(limit_over(&limit, 5000, &over));
	for (int i = 0; i < 2 * LIMIT_BURST; i++)
		limit_take(&limit, 6000, LIMIT_NO_SECTOR);
	assert_true(limit_over(&limit, 6000 + LIMIT_SECONDS, &over));
	assert_true(over.nr_suppressed == LIMIT_BURST && over.first == LIMIT_NO_SECTOR);
}

static unsigned int nr_told;
static struct waiting last_told;
static struct waiting_list list;
static const char uuid[] = "01020304-0506-0708-090a-0b0c0d0e0f10";

static void tell(const struct waiting *waiting)
{
	nr_told++;
	last_told = *waiting;
}

static int setup_list(void **unused)
{
	(void)unused;
	memset(&list, 0, sizeof(list));
	nr_told = 0;
	return 0;
}

static int free_list(void **unused)
{
	(void)unused;
	free(list.at);
	return 0;
}

/* One look: numbers of main and spare that are here, 0: it is not; whether it is active. */
static struct waiting *look(dev_t main_dev, dev_t spare_dev, const char *active, uint64_t now)
{
	waiting_begin(&list);
	if (main_dev)
		waiting_member(&list, uuid, "data", "main", "/dev/sda1", main_dev, 0, now);
	if (spare_dev)
		waiting_member(&list, uuid, "data", "spare", "/dev/sdb1", spare_dev, 0, now);
	if (active)
		waiting_is_active(&list, active, uuid, 1, 2);
	waiting_end(&list, now, tell);
	return waiting_find(&list, uuid);
}

static void a_waiting_set_is_told_once(void **unused)
{
	(void)unused;
	look(1, 0, NULL, 100);
	assert_int_equal(waiting_next(&list, 101, 60), WAITING_TRY_SECONDS - 1);
	look(1, 0, NULL, 100 + WAITING_PATIENCE_SECONDS - 1);
	assert_int_equal(nr_told, 0);
	look(1, 0, NULL, 100 + WAITING_PATIENCE_SECONDS);
	look(1, 0, NULL, 1000);
	assert_int_equal(nr_told, 1);
	assert_string_equal(last_told.main, "/dev/sda1");
	assert_string_equal(last_told.spare, "");
	look(1, 2, "data", 1001); /* active: does not wait */
	assert_int_equal(waiting_next(&list, 1002, 60), 60);
	look(0, 2, NULL, 1002); /* and then again without main */
	look(0, 2, NULL, 1001 + WAITING_PATIENCE_SECONDS);
	assert_int_equal(nr_told, 2);
	assert_string_equal(last_told.main, "");
	look(0, 0, NULL, 2000); /* unplugged: nothing to tell */
	assert_int_equal(list.nr, 0);
	assert_int_equal(waiting_member(&list, "short", "", "main", "/dev/x", 1, 0, 1), -EINVAL);
}

/* A set made with plain dmsetup has no DM_UUID of ours: its table knows its members. */
static void an_active_set_is_known_by_its_members(void **unused)
{
	(void)unused;
	for (uint64_t now = 100; now < 1000; now += 10) {
		waiting_begin(&list);
		waiting_member(&list, uuid, "data", "spare", "/dev/sdb1", 2, 0, now);
		waiting_is_active(&list, "other", "", 77, 78); /* of another set */
		waiting_is_active(&list, "mine", "", 1, 2);
		waiting_end(&list, now, tell);
		assert_string_equal(waiting_find(&list, uuid)->name, "mine");
		assert_false(waiting_take(waiting_find(&list, uuid), now));
	}
	assert_int_equal(nr_told, 0);
}

/* udev's activation is being refused: its device is there for a moment, without a table. */
static void a_device_without_a_table_ends_no_waiting(void **unused)
{
	struct waiting *waiting = look(1, 2, NULL, 100);

	(void)unused;
	waiting_begin(&list);
	waiting_member(&list, uuid, "data", "main", "/dev/sda1", 1, 0, 101);
	waiting_member(&list, uuid, "data", "spare", "/dev/sdb1", 2, 0, 101);
	waiting_is_active(&list, "data", uuid, WAITING_NOBODY, WAITING_NOBODY);
	waiting_end(&list, 101, tell);
	waiting = look(1, 2, NULL, 102);
	assert_false(waiting_take(waiting, 102));
	assert_true(waiting_take(waiting, 100 + WAITING_TRY_SECONDS));
}

static void an_activation_is_tried_after_members_come(void **unused)
{
	struct waiting *waiting = look(1, 0, NULL, 100);

	(void)unused;
	assert_false(waiting_take(waiting, 100 + WAITING_TRY_SECONDS - 1));
	assert_true(waiting_take(waiting, 100 + WAITING_TRY_SECONDS));
	assert_false(waiting_take(waiting, 200)); /* it is under way */
	assert_true(waiting_result(waiting, false, "its spare device is missing", 106));
	assert_false(waiting_take(look(1, 0, NULL, 110), 1000)); /* there is nothing new */
	waiting = look(1, 2, NULL, 1000);
	assert_true(waiting_take(waiting, 1000 + WAITING_TRY_SECONDS));
	/* it fails: again, with growing pauses, and told once */
	assert_true(waiting_result(waiting, true, "no module", 1005));
	assert_false(waiting_take(waiting, 1014));
	assert_true(waiting_take(waiting, 1015));
	assert_false(waiting_result(waiting, true, "no module", 1015));
	assert_false(waiting_take(waiting, 1034));
	assert_true(waiting_take(waiting, 1035));
	for (int i = 0; i < 20; i++)
		waiting_result(waiting, true, "no module", 2000);
	waiting->try_at = 0;
	waiting_result(waiting, true, "no module", 2000);
	assert_true(waiting_take(waiting, 2000 + WAITING_RETRY_SECONDS_MAX));
	waiting_result(waiting, true, "no module", 3000);
	waiting_retry(&list, 3001); /* the module came */
	assert_true(waiting_take(waiting, 3001));
}

static void what_was_deactivated_stays_so(void **unused)
{
	(void)unused;
	look(1, 2, NULL, 100);
	look(1, 2, "data", 102); /* udev was faster */
	assert_false(waiting_take(look(1, 2, "data", 110), 110));
	assert_false(waiting_take(look(1, 2, NULL, 120), 1000)); /* it was deactivated */
	assert_false(waiting_take(look(1, 0, NULL, 130), 1000)); /* and unplugs a member */
	assert_true(waiting_take(look(1, 2, NULL, 140), 145)); /* plugged in: udev activates, too */
	free(list.at);
	memset(&list, 0, sizeof(list));
	/* created and deactivated before anybody looked */
	assert_int_equal(waiting_event(&list, uuid, false, 150), 0);
	assert_int_equal(waiting_event(&list, uuid, true, 150), 0);
	assert_false(waiting_take(look(1, 2, NULL, 151), 1000));
	assert_false(waiting_take(look(1, 2, NULL, 152), 1000));
	assert_true(waiting_take(look(1, 3, NULL, 153), 158)); /* a member comes */
	/* reloaded: it is active when we look */
	waiting_event(&list, uuid, true, 160);
	waiting_event(&list, uuid, false, 160);
	waiting_event(&list, uuid, true, 160);
	look(1, 2, "data", 161);
	assert_true(waiting_take(look(4, 2, NULL, 162), 167));
	free(list.at);
	memset(&list, 0, sizeof(list));
	list.passive = true; /* the daemon was started again: what is here may be so on purpose */
	assert_false(waiting_take(look(1, 2, NULL, 200), 1000));
	assert_false(waiting_take(look(1, 2, NULL, 210), 1000));
	assert_true(waiting_take(look(3, 2, NULL, 220), 225));
}

/* There is a note of it: whether its disks are others than then is found out by a try. */
static void what_was_deactivated_with_a_note(void **unused)
{
	(void)unused;
	for (int started_again = 0; started_again < 2; started_again++) {
		free(list.at);
		list = (struct waiting_list){ .passive = started_again };
		waiting_event(&list, uuid, false, 100);
		waiting_event(&list, uuid, true, 100);
		waiting_begin(&list);
		waiting_member(&list, uuid, "data", "main", "/dev/sda1", 1, 0, 100);
		waiting_member(&list, uuid, "data", "spare", "/dev/sdb1", 2, 0, 100);
		waiting_find(&list, uuid)->noted = true;
		waiting_end(&list, 100, tell);
		assert_true(waiting_take(waiting_find(&list, uuid), 105));
		assert_false(waiting_take(look(1, 2, NULL, 110), 1000)); /* once */
	}
}

/* It was wanted: that it is not active is no news, and nothing to be woken up for. */
static void what_was_deactivated_is_not_told(void **unused)
{
	(void)unused;
	for (int noted = 0; noted < 2; noted++) {
		free(list.at);
		list = (struct waiting_list){ 0 };
		nr_told = 0;
		for (uint64_t now = 100; now < 100 + 3 * WAITING_PATIENCE_SECONDS; now += 5) {
			waiting_begin(&list);
			waiting_member(&list, uuid, "data", "main", "/dev/sda1", 1, 0, now);
			waiting_find(&list, uuid)->held = noted;
			waiting_end(&list, now, tell);
			waiting_take(waiting_find(&list, uuid), now);
		}
		assert_int_equal(nr_told, !noted);
		if (noted)
			assert_int_equal(waiting_next(&list, 1000, 3600), 3600);
	}
}

/* Deactivated, unplugged and plugged in again before anybody looked: it has the same numbers. */
static void members_that_were_replaced(void **unused)
{
	(void)unused;
	look(1, 2, "data", 100);
	for (uint64_t seq = 0; seq < 2; seq++) {
		waiting_event(&list, uuid, true, 110);
		waiting_begin(&list);
		waiting_member(&list, uuid, "data", "main", "/dev/sda1", 1, seq, 110);
		waiting_member(&list, uuid, "data", "spare", "/dev/sdb1", 2, 2 * seq, 110);
		waiting_end(&list, 110, tell);
		assert_int_equal(waiting_take(waiting_find(&list, uuid), 115), seq != 0);
	}
}

static void a_member_that_returned(void **unused)
{
	(void)unused;
	look(1, 2, "data", 100);
	look(0, 2, "data", 110); /* main is gone; its number stays in the table */
	assert_false(waiting_take(waiting_find(&list, uuid), 1000));
	assert_true(waiting_take(look(3, 2, "data", 120), 125));
	assert_false(waiting_take(look(3, 2, "data", 130), 1000)); /* once */
	assert_int_equal(nr_told, 0);
}

/* A copy was ignored, and main goes: what is left is tried, so that it is told what it is. */
static void only_a_copy_is_left(void **unused)
{
	struct waiting *waiting;

	(void)unused;
	for (uint64_t now = 100; now < 160; now += 10) {
		waiting_begin(&list);
		if (now < 130)
			waiting_member(&list, uuid, "data", "main", "/dev/sda1", 1, 0, now);
		waiting_member(&list, uuid, "data", "main", "/dev/sdc1", 3, 0, now);
		waiting_member(&list, uuid, "data", "spare", "/dev/sdb1", 2, 0, now);
		waiting_is_active(&list, "data", uuid, 1, 2);
		waiting_end(&list, now, tell);
		waiting = waiting_find(&list, uuid);
		/* when the copy comes, and when main goes; not again and again */
		assert_int_equal(waiting_take(waiting, now + WAITING_TRY_SECONDS),
				 now == 100 || now == 130);
		if (now == 100)
			assert_false(waiting_result(waiting, false, "", now + 6));
		if (now == 130)
			assert_true(waiting_result(waiting, false, "may be a copy", now + 6));
	}
}

/* A file system that tries a bad sector again and again: told once, then as a number. */
static void a_place_is_told_once(void **unused)
{
	struct limit limit = { 0 }, over;
	uint64_t nr;

	(void)unused;
	assert_true(limit_take(&limit, 1000, 7));
	for (unsigned int i = 0; i < 50; i++)
		assert_false(limit_take(&limit, 1001 + i, 7));
	assert_false(limit_over(&limit, 1100, &over));
	assert_true(limit_take(&limit, 1100, 8));
	assert_false(limit_repeats(&limit, 1100, &nr));
	assert_true(limit_repeats(&limit, 1001 + LIMIT_PLACE_SECONDS, &nr));
	assert_int_equal(nr, 50);
	assert_false(limit_repeats(&limit, 9000, &nr));
	assert_true(limit_take(&limit, 1001 + LIMIT_PLACE_SECONDS, 7)); /* it is still so */
}

static void storms_are_ended_within_a_budget(void **unused)
{
	struct thaw_budget thaw = { 0 };
	unsigned int nr = 0;
	uint64_t now = 5000;

	(void)unused;
	assert_false(policy_thaw(&thaw, true, true, 0, now, &nr)); /* not by default */
	assert_false(
		policy_thaw(&thaw, true, false, 2, now + 1000, &nr)); /* main does not answer */
	assert_false(policy_thaw(&thaw, false, true, 2, now + 1000, &nr));
	for (unsigned int i = 1; i <= 3; i++) {
		now += 2000;
		assert_false(policy_thaw(&thaw, true, true, 2, now, &nr)); /* a moment later */
		assert_int_equal(policy_thaw(&thaw, true, true, 2, now + POLICY_THAW_SECONDS, &nr),
				 i <= 2);
		if (i <= 2)
			assert_int_equal(nr, i);
		policy_thaw(&thaw, false, true, 2, now + POLICY_THAW_SECONDS + 1, &nr);
	}
	now += POLICY_THAW_WHILE + 5000; /* the next day */
	assert_false(policy_thaw(&thaw, true, true, 2, now, &nr));
	assert_true(policy_thaw(&thaw, true, true, 2, now + POLICY_THAW_SECONDS, &nr));
}

/* What is too long to say which sector is bad is left out. */
static void salvage_of_long_requests(void **unused)
{
	struct salvage salvage = { .nr = 0 };
	uint64_t sector;
	uint32_t nr;

	(void)unused;
	salvage_add(&salvage, 100, SALVAGE_SECTORS_MAX + 1);
	salvage_add(&salvage, 200, SALVAGE_SECTORS_MAX);
	assert_true(salvage_take(&salvage, 1000, &sector, &nr));
	assert_int_equal(sector, 200);
	assert_false(salvage_take(&salvage, 1000, &sector, &nr));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(salvage_of_long_requests),
		cmocka_unit_test_setup(each_step_once, setup),
		cmocka_unit_test_setup(steps_told_survive, setup),
		cmocka_unit_test_setup(no_rate_no_forecast, setup),
		cmocka_unit_test_setup(errors_come_fast, setup),
		cmocka_unit_test_setup(a_scrub_tries_every_sector, setup),
		cmocka_unit_test_setup(counters_that_go_back, setup),
		cmocka_unit_test_setup(alarms_are_repeated, setup),
		cmocka_unit_test_setup(the_forecast_is_of_the_last_day, setup),
		cmocka_unit_test_setup(what_was_wanted_is_no_alarm, setup),
		cmocka_unit_test_setup_teardown(a_waiting_set_is_told_once, setup_list, free_list),
		cmocka_unit_test_setup_teardown(an_active_set_is_known_by_its_members, setup_list,
						free_list),
		cmocka_unit_test_setup_teardown(a_device_without_a_table_ends_no_waiting,
						setup_list, free_list),
		cmocka_unit_test_setup_teardown(an_activation_is_tried_after_members_come,
						setup_list, free_list),
		cmocka_unit_test_setup_teardown(what_was_deactivated_stays_so, setup_list,
						free_list),
		cmocka_unit_test_setup_teardown(what_was_deactivated_is_not_told, setup_list,
						free_list),
		cmocka_unit_test_setup_teardown(what_was_deactivated_with_a_note, setup_list,
						free_list),
		cmocka_unit_test_setup_teardown(a_member_that_returned, setup_list, free_list),
		cmocka_unit_test_setup_teardown(members_that_were_replaced, setup_list, free_list),
		cmocka_unit_test_setup_teardown(only_a_copy_is_left, setup_list, free_list),
		cmocka_unit_test(a_place_is_told_once),
		cmocka_unit_test(storms_are_ended_within_a_budget),
		cmocka_unit_test(a_storm_is_told_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
