// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <zlib.h>

#include "health/smart.h"
#include "util/json-read.h"

#define MONTH_SECONDS (30 * 86400ULL)

const struct record_kind smart_kind = {
	.magic = "s1",
	.suffix = "smart",
	.nr_fields = sizeof(struct smart_point) / sizeof(uint64_t),
};

/**
 * struct parsing - a disk's JSON that is being read
 * @point: what is known so far
 * @id: of the attribute that is read
 * @says_health: it said something
 */
struct parsing {
	struct smart_point *point;
	uint64_t id;
	bool says_health;
};

/* Values of ATA's table: its entries have "id" before "raw". */
static void take_attribute(struct parsing *parsing, const struct json_value *value)
{
	const char *end = strrchr(value->path, ']'), *member = end ? end : "";
	struct smart_point *point = parsing->point;
	/* what lies above are other counts, of some makers */
	uint64_t number = value->number & UINT32_MAX;
	static const struct {
		uint64_t id;
		size_t offset;
	} attributes[] = {
		{ 5, offsetof(struct smart_point, reallocated) },
		{ 187, offsetof(struct smart_point, uncorrected) },
		{ 188, offsetof(struct smart_point, timeouts) },
		{ 197, offsetof(struct smart_point, pending) },
		{ 198, offsetof(struct smart_point, unreadable) },
		{ 199, offsetof(struct smart_point, crc) },
	};

	if (streq(member, "].id"))
		parsing->id = value->number;
	if (!streq(member, "].raw.value"))
		return;
	if (parsing->id == 188)
		number &= UINT16_MAX;
	parsing->says_health = true;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (parsing->id == attributes[i].id)
			memcpy((char *)point + attributes[i].offset, &number, sizeof(number));
}

static void take_number(struct parsing *parsing, const struct json_value *value)
{
	static const struct {
		const char *path;
		size_t offset;
	} numbers[] = {
#define NVME(name) "nvme_smart_health_information_log." name
		{ NVME("critical_warning"), offsetof(struct smart_point, warning) },
		{ NVME("available_spare"), offsetof(struct smart_point, spare_left) },
		{ NVME("available_spare_threshold"), offsetof(struct smart_point, spare_least) },
		{ NVME("percentage_used"), offsetof(struct smart_point, wear) },
		{ NVME("media_errors"), offsetof(struct smart_point, uncorrected) },
#undef NVME
		{ "scsi_grown_defect_list", offsetof(struct smart_point, reallocated) },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!streq(value->path, numbers[i].path))
			continue;
		memcpy((char *)parsing->point + numbers[i].offset, &value->number,
		       sizeof(value->number));
		parsing->says_health = true;
	}
}

static void take(void *userdata, const struct json_value *value)
{
	static const char table[] = "ata_smart_attributes.table[";
	struct parsing *parsing = userdata;

	if (value->kind == JSON_VALUE_STRING &&
	    (streq(value->path, "model_name") || streq(value->path, "serial_number")))
		parsing->point->disk = crc32((uLong)parsing->point->disk,
					     (const Bytef *)value->text, (uInt)strlen(value->text));
	if (value->kind == JSON_VALUE_BOOL && streq(value->path, "smart_status.passed")) {
		parsing->point->failing = !value->is_true;
		parsing->says_health = true;
	}
	if (value->kind != JSON_VALUE_NUMBER)
		return;
	if (!strncmp(value->path, table, strlen(table)))
		take_attribute(parsing, value);
	else
		take_number(parsing, value);
}

int smart_parse(const char *text, size_t nr_bytes, uint64_t now, struct smart_point *point)
{
	struct parsing parsing = { .point = point };
	int r;

	memset(point, 0xff, sizeof(*point)); /* SMART_UNKNOWN */
	point->at = now;
	point->disk = 0;
	r = json_read(text, nr_bytes, take, &parsing);
	return r < 0 ? r : parsing.says_health ? 0 : -ENODATA;
}

uint64_t smart_risen(uint64_t before, uint64_t last)
{
	return before == SMART_UNKNOWN || last == SMART_UNKNOWN || last < before ? 0 :
										   last - before;
}

static void key_of(const char *key, const char *role, char *text, size_t nr_bytes)
{
	snprintf(text, nr_bytes, "%s.%s", key, role);
}

int smart_load(const char *key, const char *role, uint64_t now, struct smart *smart)
{
	_cleanup_records_ struct records records = { NULL, 0 };
	const struct smart_point *points;
	char name[280];
	int r;

	memset(smart, 0, sizeof(*smart));
	key_of(key, role, name, sizeof(name));
	r = records_load(&smart_kind, name, now, &records, NULL);
	if (r < 0 || !records.nr)
		return r;
	points = (const struct smart_point *)records.at;
	smart->last = smart->before = points[records.nr - 1];
	for (size_t i = records.nr - 1; i-- && points[i].disk == smart->last.disk;) {
		smart->before = points[i];
		if (now >= points[i].at + MONTH_SECONDS)
			break;
	}
	return 0;
}

int smart_append(const char *key, const char *role, const struct smart_point *point,
		 struct error *error)
{
	char name[280];

	key_of(key, role, name, sizeof(name));
	return records_append(&smart_kind, name, (const uint64_t *)point, error);
}
