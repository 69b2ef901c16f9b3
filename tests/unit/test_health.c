// SPDX-License-Identifier: GPL-2.0-or-later
/* How a set is doing, in a word: every mode, counts, members that are gone. */
#include <sys/stat.h>
#include <time.h>

#include "health.h"
#include "set/gone.h"
#include "unit.h"

#define UUID "00112233-4455-6677-8899-aabbccddeeff"

static struct dm_device device_in(const char *mode)
{
	struct dm_device device = { .name = "data", .dm_uuid = DM_UUID_PREFIX UUID };

	snprintf(device.status.mode, sizeof(device.status.mode), "%s", mode);
	/* whatever it is: a device that is there */
	snprintf(device.line.main, sizeof(device.line.main), "/dev/none");
	snprintf(device.line.spare, sizeof(device.line.spare), "/dev/none");
	device.status.probe_ok = true;
	device.status.replica_out = -1;
	device.status.used_slots = 1;
	device.status.total_slots = 100;
	return device;
}

/* Without the members, which are not there in a test. */
static struct report report_without_members(struct dm_device *device)
{
	struct report report;

	device->fallback = true;
	report_of(device, &report);
	return report;
}

static void modes(void **unused)
{
	static const struct {
		const char *mode;
		enum severity severity;
	} cases[] = {
		{ "rw", SEVERITY_OK },
		{ "frozen", SEVERITY_WARNING },
		{ "ro", SEVERITY_CRITICAL },
		{ "full", SEVERITY_CRITICAL },
		{ "fail", SEVERITY_CRITICAL },
		{ "meta_fail", SEVERITY_CRITICAL },
		{ "lost-cache", SEVERITY_CRITICAL },
		{ "not known", SEVERITY_CRITICAL },
	};
	struct dm_device device;
	struct report report;

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		device = device_in(cases[i].mode);
		report_of(&device, &report);
		/* both members are gone, which is as bad as can be: the mode alone */
		assert_int_equal(report.severity, SEVERITY_CRITICAL);
		assert_int_equal(!!strstr(report.text, cases[i].mode),
				 cases[i].severity != SEVERITY_OK);
	}
	device = device_in("rw");
	assert_int_equal(report_without_members(&device).severity, SEVERITY_WARNING);
	device.failed = true;
	assert_int_equal(report_without_members(&device).severity, SEVERITY_CRITICAL);
	assert_string_equal(mode_of(&device), "dead");
}

static void members_that_are_gone(void **unused)
{
	char directory[] = "/tmp/unit-gone.XXXXXX", path[128];
	struct dm_device device = device_in("rw");
	struct report report;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	setenv("RUNTIME_DIRECTORY", directory, 1);
	setenv("STATE_DIRECTORY", directory, 1);
	assert_false(member_is_here("4095:1048575"));
	assert_false(member_is_here("/dev/null")); /* no block device */
	report_of(&device, &report);
	assert_true(report.main_gone && report.spare_gone);
	assert_int_equal(report.severity, SEVERITY_CRITICAL);
	assert_int_equal(report.main_gone_since, 0);
	gone_note(UUID, "main", true);
	report_of(&device, &report);
	assert_true(report.main_gone_since > 1000000000);
	gone_note(UUID, "main", true); /* since then, not since now */
	snprintf(path, sizeof(path), "%s/gone-main-" UUID, directory);
	assert_int_equal(access(path, F_OK), 0);
	device.dm_uuid[0] = '\0'; /* another set, made with plain dmsetup */
	report_of(&device, &report);
	assert_int_equal(report.main_gone_since, 0);
	gone_note("name-data", "main", true);
	report_of(&device, &report);
	assert_true(report.main_gone_since > 1000000000);
	gone_note("name-data", "main", false);
	gone_note(UUID, "main", false);
	assert_int_equal(gone_since(UUID, "main"), 0);
	assert_int_equal(rmdir(directory), 0);
}

/* What the daemon saw counts for two hours; where the history is not readable there is none. */
static void history(void **unused)
{
	struct history_point point = {
		.at = (uint64_t)time(NULL) - 3600, .recent = 20, .window = 60, .total = 100
	};
	char directory[] = "/tmp/unit-history.XXXXXX", path[128];
	struct dm_device device = device_in("frozen");
	struct report report;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	setenv("STATE_DIRECTORY", directory, 1);
	snprintf(path, sizeof(path), "%s/" UUID ".history", directory);
	snprintf(device.line.main, sizeof(device.line.main), "/dev/null");
	report_of(&device, &report);
	assert_int_equal(report.last.at, 0);
	assert_null(strstr(report.text, "many errors in a short time"));
	assert_int_equal(history_append(UUID, &point, NULL), 0);
	report_of(&device, &report);
	assert_int_equal(report.last.at, point.at);
	assert_non_null(strstr(report.text, "many errors in a short time"));
	assert_int_equal(unlink(path), 0);
	point.at -= 3600;
	assert_int_equal(history_append(UUID, &point, NULL), 0);
	report_of(&device, &report);
	assert_int_equal(report.growth.since, point.at);
	assert_null(strstr(report.text, "many errors in a short time"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}

/* That of a device that dmsetup made is none, or any text; files are named by it. */
static void a_uuid_of_another_kind(void **unused)
{
	static const char *const uuids[] = { "",
					     "LVM-" UUID,
					     UUID,
					     DM_UUID_PREFIX,
					     DM_UUID_PREFIX "../" UUID,
					     DM_UUID_PREFIX UUID "\n",
					     DM_UUID_PREFIX
					     "00112233-4455-6677-8899-aabbccddee/f" };
	struct dm_device device = device_in("rw");
	char key[256];

	(void)unused;
	key_of_device(&device, key, sizeof(key));
	assert_string_equal(key, UUID);
	for (size_t i = 0; i < sizeof(uuids) / sizeof(uuids[0]); i++) {
		snprintf(device.dm_uuid, sizeof(device.dm_uuid), "%s", uuids[i]);
		assert_string_equal(uuid_of_device(&device), "");
		key_of_device(&device, key, sizeof(key));
		assert_string_equal(key, "name-data");
	}
}

static void sizes(void **unused)
{
	static const struct {
		uint64_t nr_bytes;
		const char *text;
	} cases[] = {
		{ 512, "512 B" },
		{ 1024, "1 KiB" },
		{ 1536, "1.5 KiB" },
		{ 1 << 20, "1 MiB" },
		{ 4000ULL << 30, "3.9 TiB" },
		{ 18ULL << 30, "18 GiB" },
	};
	char text[32];

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		format_size(cases[i].nr_bytes, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes),   cmocka_unit_test(members_that_are_gone),
		cmocka_unit_test(history), cmocka_unit_test(a_uuid_of_another_kind),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
