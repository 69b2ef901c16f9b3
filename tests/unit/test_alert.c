// SPDX-License-Identifier: GPL-2.0-or-later
/* What hooks are told, when, and in which words. Time is handed in. */
#include <string.h>
#include <syslog.h>

#include "alert-text.h"
#include "systemd-run.h"
#include "unit.h"

static const struct alert_config config = { .interval_seconds = 3600, .reminder_seconds = 86400 };
static struct alerts alerts;
static struct alert alert;

static int setup(void **unused)
{
	(void)unused;
	memset(&alerts, 0, sizeof(alerts));
	return 0;
}

static void add(const char *name, const char *event, const char *message, int priority,
		uint64_t now)
{
	struct alert_news news = { name, "", event, message, priority };

	assert_true(alert_wants(&news));
	alert_add(&alerts, &news, now);
}

static bool take(uint64_t now)
{
	return alert_take(&alerts, &config, now, false, &alert);
}

static void what_is_wanted(void **unused)
{
	(void)unused;
	assert_false(alert_wants(&(struct alert_news){ "a", "", "saved", "", LOG_DEBUG }));
	assert_false(alert_wants(&(struct alert_news){ "a", "", "found", "", LOG_INFO }));
	assert_false(alert_wants(&(struct alert_news){ "", "", "hook", "", LOG_ERR }));
	assert_true(alert_wants(&(struct alert_news){ "a", "", "relocated", "", LOG_WARNING }));
	assert_true(alert_wants(&(struct alert_news){ "a", "", "there-again", "", LOG_NOTICE }));
	assert_true(alert_wants(&(struct alert_news){ "", "", "", "", LOG_WARNING }));
}

/* A thousand things within seconds are one alert; those of the hour after it are another. */
static void one_summary(void **unused)
{
	(void)unused;
	assert_true(alert_next(&alerts, &config) == ALERT_NEVER);
	for (int i = 0; i < 1000; i++)
		add("a", "relocated", "relocated a sector", LOG_WARNING, 1000);
	add("a", "health", "health is watch", LOG_WARNING, 1003);
	assert_int_equal(alert_next(&alerts, &config), 1005);
	assert_false(take(1004));
	assert_true(take(1005));
	assert_int_equal(alert.kind, ALERT_NEWS);
	assert_int_equal(alert.nr, 1001);
	assert_int_equal(alert.priority, LOG_WARNING);
	assert_int_equal(alert.nr_lines, ALERT_LINES_MAX);
	assert_string_equal(alert.line[0].text, "health is watch");
	assert_int_equal(alert.nr_counts, 2);
	assert_int_equal(alert.count[0].nr, 1000);
	assert_true(alert_next(&alerts, &config) == ALERT_NEVER);

	add("a", "relocated", "one more", LOG_WARNING, 1010);
	add("a", "relocated", "and one", LOG_WARNING, 1700);
	assert_int_equal(alert_next(&alerts, &config), 1005 + 3600);
	assert_false(take(1005 + 3599));
	assert_true(take(1005 + 3600));
	assert_int_equal(alert.nr, 2);
	assert_string_equal(alert.line[0].text, "one more");
	/* of another set nothing was told */
	add("b", "relocated", "b", LOG_WARNING, 1005 + 3601);
	assert_true(take(1005 + 3606));
	assert_string_equal(alert.name, "b");
}

static void the_more_urgent_does_not_wait(void **unused)
{
	char text[32];

	(void)unused;
	add("a", "relocated", "a warning", LOG_WARNING, 1000);
	assert_true(take(1005));
	add("a", "relocated", "another", LOG_WARNING, 1010);
	add("a", "gone", "main is gone", LOG_CRIT, 1020);
	assert_false(take(1014));
	assert_true(take(1025));
	assert_int_equal(alert.priority, LOG_CRIT);
	assert_int_equal(alert.nr, 2);
	assert_string_equal(alert.line[0].text, "main is gone");
	assert_string_equal(alert.line[1].text, "another");
	/* the same again waits */
	add("a", "gone", "main is gone", LOG_CRIT, 1030);
	assert_false(take(1040));
	/* of many lines the urgent ones are kept, and those that came first */
	setup(NULL);
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "%d", i);
		add("a", "relocated", text,
		    i == 15 ? LOG_CRIT :
		    i == 16 ? LOG_ERR :
			      LOG_WARNING,
		    1000);
	}
	assert_true(take(1005));
	assert_string_equal(alert.line[0].text, "15");
	assert_string_equal(alert.line[1].text, "0");
	assert_string_equal(alert.line[7].text, "16");
}

/* The first sign is told before there is a verdict on it: that is not told an hour later. */
static void a_worse_verdict_does_not_wait(void **unused)
{
	(void)unused;
	alert_verdict(&alerts, "a", "u", VERDICT_GOOD, "", 500);
	add("a", "relocated", "relocated a sector", LOG_WARNING, 1000);
	assert_true(take(1005));
	assert_int_equal(alert.level, VERDICT_GOOD);
	add("a", "health", "health is watch", LOG_WARNING, 1007);
	alert_verdict(&alerts, "a", "u", VERDICT_WATCH, "x", 1007);
	assert_false(take(1011));
	assert_true(take(1012));
	assert_int_equal(alert.level, VERDICT_WATCH);
	/* what makes it no worse waits, and that it is better as well */
	add("a", "health", "health is watch, for another reason", LOG_WARNING, 1020);
	alert_verdict(&alerts, "a", "u", VERDICT_WATCH, "x; y", 1020);
	add("a", "health", "health is good", LOG_NOTICE, 1030);
	alert_verdict(&alerts, "a", "u", VERDICT_GOOD, "", 1030);
	assert_false(take(1012 + 3599));
	assert_true(take(1012 + 3600));
	assert_int_equal(alert.kind, ALERT_OVER);
	/* failing and failed are as urgent, and not the same */
	add("a", "health", "health is failing", LOG_CRIT, 9000);
	alert_verdict(&alerts, "a", "u", VERDICT_FAILING, "x", 9000);
	assert_true(take(9005));
	add("a", "health", "health is failed", LOG_CRIT, 9010);
	alert_verdict(&alerts, "a", "u", VERDICT_FAILED, "x", 9010);
	assert_true(take(9015));
}

static void reminders_and_the_end(void **unused)
{
	(void)unused;
	alert_verdict(&alerts, "a", "u", VERDICT_GOOD, "", 500);
	assert_true(alert_next(&alerts, &config) == ALERT_NEVER);
	add("a", "health", "a: health is watch: x", LOG_WARNING, 1000);
	alert_verdict(&alerts, "a", "u", VERDICT_WATCH, "x", 1000);
	assert_true(take(1005)); /* it does not wait for the hour after the first look */
	assert_int_equal(alert.kind, ALERT_NEWS);
	assert_int_equal(alert.level, VERDICT_WATCH);
	assert_int_equal(alert_next(&alerts, &config), 1005 + 86400);
	assert_true(take(1005 + 86400));
	assert_int_equal(alert.kind, ALERT_REMINDER);
	assert_int_equal(alert.nr, 0);
	assert_string_equal(alert.uuid, "u");
	assert_string_equal(alert.line[0].text, "a: health is still watch: x: dmremap health a");
	assert_int_equal(alert.priority, LOG_WARNING);
	assert_false(take(1006 + 86400));
	/* news takes the place of a reminder */
	add("a", "relocated", "more", LOG_WARNING, 150000);
	assert_true(take(150005));
	assert_int_equal(alert_next(&alerts, &config), 150005 + 86400);
	/* over: once, and nothing afterwards */
	add("a", "health", "a: health is good", LOG_NOTICE, 200000);
	alert_verdict(&alerts, "a", "u", VERDICT_GOOD, "", 200000);
	assert_true(take(200005));
	assert_int_equal(alert.kind, ALERT_OVER);
	assert_int_equal(alert.level, VERDICT_GOOD);
	assert_true(alert_next(&alerts, &config) == ALERT_NEVER);
	/* what comes after it is a trouble of its own */
	add("a", "health", "a: health is watch", LOG_WARNING, 200010);
	alert_verdict(&alerts, "a", "u", VERDICT_WATCH, "x", 200010);
	assert_true(take(200015));
	assert_int_equal(alert.kind, ALERT_NEWS);
	/* and a set that is not active is not reminded of, but its news is told */
	alert_forget(&alerts, "a");
	assert_true(alert_next(&alerts, &config) == ALERT_NEVER);
	add("a", "waiting", "a: waits", LOG_WARNING, 300000);
	assert_true(take(300005));
	assert_false(alert.has_level);
}

/* As after a restart of the daemon: the verdict was told before, and is repeated a day later. */
static void a_verdict_that_was_told_before(void **unused)
{
	(void)unused;
	alert_verdict(&alerts, "a", "u", VERDICT_FAILING, "", 100);
	alert_verdict(&alerts, "a", "u", VERDICT_FAILING, "full", 100);
	assert_int_equal(alert_next(&alerts, &config), 100 + 86400);
	add("a", "health", "a: health is good", LOG_NOTICE, 200);
	alert_verdict(&alerts, "a", "u", VERDICT_GOOD, "", 200);
	assert_true(take(205));
	assert_int_equal(alert.kind, ALERT_OVER);
}

/* More sets than places: the rest shares the first one; at the end all that waits is told. */
static void bounded(void **unused)
{
	unsigned int nr = 0;
	uint64_t told = 0;
	char name[32];

	(void)unused;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "set%d", i);
		alert_verdict(&alerts, name, "", VERDICT_WATCH, "x", 900);
		add(name, "relocated", name, LOG_WARNING, 1000);
	}
	add("", "", "about none of them", LOG_ERR, 1000);
	while (alert_take(&alerts, &config, 0, true, &alert)) {
		nr++;
		told += alert.nr;
	}
	assert_int_equal(nr, ALERT_SETS_MAX);
	assert_int_equal(told, 201);
	/* a place of a set that is not active is free for another */
	alert_forget(&alerts, "set3");
	add("other", "relocated", "x", LOG_WARNING, 5000);
	assert_true(alert_take(&alerts, &config, 5005, true, &alert));
	assert_string_equal(alert.name, "other");
}

static const char *value_of(const struct alert_variables *variables, const char *name)
{
	size_t length = strlen(name);

	for (unsigned int i = 0; i < variables->nr; i++) {
		assert_true(alert_is_variable(variables->at[i]));
		if (!strncmp(variables->at[i], name, length) && variables->at[i][length] == '=')
			return variables->at[i] + length + 1;
	}
	return NULL;
}

/* Names come from disks and from whoever calls dmsetup: nothing of them gets out of its quotes. */
static void variables_are_plain(void **unused)
{
	struct alert_variables variables;

	(void)unused;
	add("a$(id)\"`'\\\n\x1b\xe4", "relocated", "first $HOME", LOG_WARNING, 1000);
	add("a$(id)\"`'\\\n\x1b\xe4", "gone", "second", LOG_CRIT, 1000);
	assert_true(take(1005));
	assert_int_equal(alert_variables(&alert, "host", 1234567, &variables), 0);
	assert_string_equal(value_of(&variables, "DM_REMAP_ALERT"), "news");
	assert_string_equal(value_of(&variables, "DM_REMAP_NAME"), "a?(id)???????");
	assert_string_equal(value_of(&variables, "DM_REMAP_MESSAGE"), "second");
	assert_string_equal(value_of(&variables, "DM_REMAP_TEXT"), "second\nfirst ?HOME");
	assert_string_equal(value_of(&variables, "DM_REMAP_EVENTS"), "relocated=1 gone=1");
	assert_string_equal(value_of(&variables, "DM_REMAP_COUNT"), "2");
	assert_string_equal(value_of(&variables, "DM_REMAP_PRIORITY"), "2");
	assert_string_equal(value_of(&variables, "DM_REMAP_VERDICT"), "unknown");
	assert_string_equal(value_of(&variables, "DM_REMAP_JSON"),
			    "{\"version\": 1, \"priority\": 2, \"time\": 1234567, \"count\": 2, "
			    "\"alert\": \"news\", \"host\": \"host\", "
			    "\"name\": \"a?(id)???????\", \"uuid\": \"\", "
			    "\"verdict\": \"unknown\", \"events\": \"relocated=1 gone=1\", "
			    "\"message\": \"second\", \"text\": \"second\\nfirst ?HOME\"}");
	alert_variables_done(&variables);
	assert_false(alert_is_variable("PATH=/tmp"));
	assert_false(alert_is_variable("DM_REMAP_X"));
	assert_false(alert_is_variable("DM_REMAP_x=1"));
}

/* A directory of copies, or a set, with a name that systemd-run would replace. */
static void words_of_systemd_run(void **unused)
{
	const char *argv[] = {
		"/usr/sbin/dmremap", "--copies", "/mnt/$HOME,/mnt/a$$b", "", "$", NULL
	};
	static const char *const quoted[] = { "/usr/sbin/dmremap", "--copies",
					      "/mnt/$$HOME,/mnt/a$$$$b", "", "$$" };
	char *room;

	(void)unused;
	assert_int_equal(systemd_run_quote(argv, &room), 0);
	for (size_t i = 0; i < sizeof(quoted) / sizeof(quoted[0]); i++)
		assert_string_equal(argv[i], quoted[i]);
	free(room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_wanted, setup),
		cmocka_unit_test_setup(one_summary, setup),
		cmocka_unit_test_setup(the_more_urgent_does_not_wait, setup),
		cmocka_unit_test_setup(a_worse_verdict_does_not_wait, setup),
		cmocka_unit_test_setup(reminders_and_the_end, setup),
		cmocka_unit_test_setup(a_verdict_that_was_told_before, setup),
		cmocka_unit_test_setup(bounded, setup),
		cmocka_unit_test_setup(variables_are_plain, setup),
		cmocka_unit_test(words_of_systemd_run),
	};

	return cmocka_run_group_tests_name("alerts", tests, NULL, NULL);
}
