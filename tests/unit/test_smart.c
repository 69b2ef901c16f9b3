// SPDX-License-Identifier: GPL-2.0-or-later
/* What smartctl prints of disks, and JSON of any kind.  The samples have what smartctl 7 has. */
#include <errno.h>
#include <string.h>

#include "health/smart.h"
#include "unit.h"
#include "util/json-read.h"

#define NOW 1800000000ULL
#define DAY 86400ULL

static const char ata[] =
	"{\"json_format_version\": [1, 0], \"smartctl\": {\"exit_status\": 4},"
	" \"model_name\": \"ST4000\", \"serial_number\": \"Z1\","
	" \"smart_status\": {\"passed\": true},"
	" \"ata_smart_attributes\": {\"revision\": 10, \"table\": ["
	"  {\"id\": 5, \"name\": \"Reallocated_Sector_Ct\", \"value\": 100, \"thresh\": 36,"
	"   \"flags\": {\"value\": 51}, \"raw\": {\"value\": 8, \"string\": \"8\"}},"
	"  {\"id\": 9, \"raw\": {\"value\": 17000, \"string\": \"17000\"}},"
	"  {\"id\": 187, \"raw\": {\"value\": 3, \"string\": \"3\"}},"
	"  {\"id\": 188, \"raw\": {\"value\": 4295032834, \"string\": \"1 1 2\"}},"
	"  {\"id\": 197, \"raw\": {\"value\": 16, \"string\": \"16\"}},"
	"  {\"id\": 198, \"raw\": {\"value\": 15, \"string\": \"15\"}},"
	"  {\"id\": 199, \"raw\": {\"value\": 7, \"string\": \"7\"}}]}}";

static const char nvme[] =
	"{\"model_name\": \"970 EVO\", \"serial_number\": \"S4\", \"smart_status\": {\"passed\": false,"
	" \"nvme\": {\"value\": 4}}, \"nvme_smart_health_information_log\": {\"critical_warning\": 4,"
	" \"temperature\": 35, \"available_spare\": 9, \"available_spare_threshold\": 10,"
	" \"percentage_used\": 103, \"media_errors\": 7}}";

static const char scsi[] =
	"{\"model_name\": \"SEAGATE ST4000NM0043\", \"smart_status\": {\"passed\": true},"
	" \"scsi_grown_defect_list\": 56}";

static const char asleep[] =
	"{\"smartctl\": {\"messages\": [{\"string\": \"Device is in STANDBY mode, exit(2)\","
	" \"severity\": \"information\"}], \"exit_status\": 2}, \"device\": {\"type\": \"sat\"}}";

static int parse(const char *text, struct smart_point *point)
{
	return smart_parse(text, strlen(text), NOW, point);
}

/* A key that looks like the place of an attribute, and is none. */
static void keys_that_no_smartctl_has(void **unused)
{
	static const char *const texts[] = {
		"{\"ata_smart_attributes.table[\": 5}",
		"{\"ata_smart_attributes\": {\"table[0\": {\"id\": 5}}}",
		"{\"ata_smart_attributes\": {\"table\": [5, [6], {\"raw\": 7}]}}",
	};
	struct smart_point point;

	(void)unused;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(texts[i], &point), -ENODATA);
		assert_true(point.reallocated == SMART_UNKNOWN);
	}
}

static void disks(void **unused)
{
	struct smart_point point, other;

	(void)unused;
	assert_int_equal(parse(ata, &point), 0);
	assert_int_equal(point.at, NOW);
	assert_int_equal(point.failing, 0);
	assert_int_equal(point.reallocated, 8);
	assert_int_equal(point.uncorrected, 3);
	assert_int_equal(point.timeouts, 2);
	assert_int_equal(point.pending, 16);
	assert_int_equal(point.unreadable, 15);
	assert_int_equal(point.crc, 7);
	assert_true(point.wear == SMART_UNKNOWN && point.warning == SMART_UNKNOWN);
	assert_int_equal(parse(nvme, &other), 0);
	assert_int_equal(other.failing, 1);
	assert_int_equal(other.warning, 4);
	assert_int_equal(other.spare_left, 9);
	assert_int_equal(other.spare_least, 10);
	assert_int_equal(other.wear, 103);
	assert_int_equal(other.uncorrected, 7);
	assert_true(other.pending == SMART_UNKNOWN && other.disk != point.disk);
	assert_int_equal(parse(scsi, &other), 0);
	assert_int_equal(other.reallocated, 56);
	assert_int_equal(parse(asleep, &other), -ENODATA);
	assert_int_equal(parse("{}", &other), -ENODATA);
	assert_int_equal(parse("", &other), -EBADMSG);
	assert_int_equal(parse("smartctl: not found", &other), -EBADMSG);
}

/* Cut at any byte, and with any byte changed: refused or understood, and never more than read. */
static void any_text(void **unused)
{
	struct smart_point point;
	size_t length = strlen(ata);

	(void)unused;
	for (size_t cut = 0; cut < length; cut++) {
		char *text = malloc(cut ? cut : 1); /* for the sanitizer: not a byte more */

		memcpy(text, ata, cut);
		assert_int_equal(smart_parse(text, cut, NOW, &point), -EBADMSG);
		free(text);
	}
	for (unsigned int i = 0; i < 20000; i++) {
		char *text = malloc(length);

		memcpy(text, ata, length);
		for (unsigned int n = 0; n < 3; n++)
			text[unit_random_below(length)] = (char)unit_random();
		smart_parse(text, length, NOW, &point);
		free(text);
	}
}

static unsigned int nr_seen;

static void see(void *userdata, const struct json_value *value)
{
	static const struct {
		const char *path;
		uint64_t number;
		const char *text;
	} wanted[] = {
		{ "a", 1, "" },	       { "b[0]", 0, "" },
		{ "b[1].c", 12, "" },  { "b[1].d", UINT64_MAX, "" },
		{ "e", 0, "x\n\"?y" }, { "f", 0, "" },
		{ "g.h", 0, "" },
	};

	(void)userdata;
	assert_in_range(nr_seen, 0, ARRAY_SIZE(wanted) - 1);
	assert_string_equal(value->path, wanted[nr_seen].path);
	assert_int_equal(value->number, wanted[nr_seen].number);
	assert_string_equal(value->text, wanted[nr_seen].text);
	if (value->kind == JSON_VALUE_BOOL)
		assert_int_equal(value->is_true, streq(value->path, "f"));
	nr_seen++;
}

static void ignore(void *userdata, const struct json_value *value)
{
	(void)userdata;
	(void)value;
}

static void json(void **unused)
{
	static const char text[] = " {\"a\" :1, \"b\":[-5,{\"c\":12.9, \"d\":1e30}],\n"
				   "\"e\":\"x\\n\\\"\\u00e4y\", \"f\":true, \"g\":{\"h\":false},"
				   " \"i\":{}, \"j\":[]} ";
	static const char *const wrong[] = {
		"{",	 "[1,]", "{\"a\"}", "{\"a\":1,}", "{a:1}",
		"nul",	 "01x",	 "\"\\x\"", "\"\\u12\"",  "1 2",
		"[1 2]", "\"a",	 "+",	    "{\"a\":1]",  "\"\n\"",
	};
	char deep[2 * JSON_READ_DEPTH + 2];

	(void)unused;
	nr_seen = 0;
	assert_int_equal(json_read(text, strlen(text), see, NULL), 0);
	assert_int_equal(nr_seen, 7);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(json_read(wrong[i], strlen(wrong[i]), ignore, NULL), -EBADMSG);
	for (size_t depth = JSON_READ_DEPTH - 1; depth <= JSON_READ_DEPTH + 1; depth++) {
		memset(deep, '[', depth);
		memset(deep + depth, ']', depth);
		assert_int_equal(json_read(deep, 2 * depth, ignore, NULL),
				 depth < JSON_READ_DEPTH + 1 ? 0 : -EBADMSG);
	}
}

static void files(void **unused)
{
	char directory[] = "/tmp/unit-smart.XXXXXX", path[64];
	struct smart_point point;
	struct smart smart;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	setenv("STATE_DIRECTORY", directory, 1);
	assert_int_equal(smart_load("key", "main", NOW, &smart), 0);
	assert_int_equal(smart.last.at, 0);
	for (unsigned int i = 0; i < 50; i++) {
		smart_parse(ata, strlen(ata), NOW - (50 - i) * DAY, &point);
		point.crc = i;
		point.disk = i < 5; /* another disk, before */
		assert_int_equal(smart_append("key", "main", &point, NULL), 0);
	}
	assert_int_equal(smart_load("key", "main", NOW, &smart), 0);
	assert_int_equal(smart.last.crc, 49);
	assert_int_equal(smart.before.at, NOW - 30 * DAY);
	assert_int_equal(smart_load("key", "main", NOW + 30 * DAY, &smart), 0);
	assert_int_equal(smart.before.crc, 48);
	assert_int_equal(smart_load("key", "spare", NOW, &smart), 0);
	assert_int_equal(smart.last.at, 0);
	assert_int_equal(smart_risen(3, 5), 2);
	assert_int_equal(smart_risen(5, 3), 0);
	assert_int_equal(smart_risen(SMART_UNKNOWN, 3), 0);
	assert_int_equal(smart_risen(3, SMART_UNKNOWN), 0);
	records_path(&smart_kind, "key.main", path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	/* the disk was replaced: what the old one said is nothing to compare with */
	point.disk = 9;
	assert_int_equal(smart_append("key", "main", &point, NULL), 0);
	point.disk = 10;
	point.at++;
	point.crc = 99;
	assert_int_equal(smart_append("key", "main", &point, NULL), 0);
	assert_int_equal(smart_load("key", "main", NOW, &smart), 0);
	assert_int_equal(smart_risen(smart.before.crc, smart.last.crc), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disks),    cmocka_unit_test(keys_that_no_smartctl_has),
		cmocka_unit_test(any_text), cmocka_unit_test(json),
		cmocka_unit_test(files),
	};

	unit_seed("smart");
	return cmocka_run_group_tests_name("smart", tests, NULL, NULL);
}
