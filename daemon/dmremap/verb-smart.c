// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * smart: what the disks of sets say of themselves, through smartctl; with --record it is kept,
 * as dm-remapd has it done, and health takes it into account.
 */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "health.h"
#include "json.h"
#include "output.h"
#include "smartctl.h"
#include "verbs.h"

const struct verb_option options_smart[] = {
	{ "record", NULL, "keep it for health, as dm-remapd does periodically" },
	{ NULL },
};

/* --record asks disks once in so long, however often it is called. */
#define RECORD_SECONDS 3500

/**
 * struct answer - of the disk of one member
 * @role: "main" or "spare"
 * @disk: path; empty: the member lies on no single disk
 * @r: 0: there is a point; else why not
 * @point: what it said
 */
struct answer {
	const char *role;
	char disk[300];
	int r;
	struct smart_point point;
};

static void ask(const char *in_table, struct answer *answer)
{
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes;

	*answer->disk = '\0';
	/* without the module the table has no roles, and a disk that it does not name is not gone */
	answer->r = *in_table ? physical_disk_of(in_table, answer->disk, sizeof(answer->disk)) :
				-EUNATCH;
	if (!answer->r)
		answer->r = smartctl_run(answer->disk, &text, &nr_bytes);
	if (!answer->r)
		answer->r = smart_parse(text, nr_bytes, (uint64_t)time(NULL), &answer->point);
}

static const char *state_of(const struct answer *answer)
{
	switch (-answer->r) {
	case 0:
		return answer->point.failing == 1 ? "failing" :
		       answer->point.failing == 0 ? "passed" :
						    "unknown";
	case ENODATA:
		return "silent"; /* it sleeps, or has no SMART */
	case ETIMEDOUT:
		return "hangs";
	case ENOTSUP:
		return "no-disk";
	case ENODEV:
		return "gone";
	default:
		return "unknown";
	}
}

static const struct number {
	const char *heading;
	const char *name;
	size_t offset;
} numbers[] = {
	{ "REALLOCATED", "reallocated", offsetof(struct smart_point, reallocated) },
	{ "PENDING", "pending", offsetof(struct smart_point, pending) },
	{ "UNREADABLE", "unreadable", offsetof(struct smart_point, unreadable) },
	{ "UNCORRECTED", "uncorrected", offsetof(struct smart_point, uncorrected) },
	{ "TIMEOUTS", "timeouts", offsetof(struct smart_point, timeouts) },
	{ "CRC", "crc", offsetof(struct smart_point, crc) },
	{ "WEAR", "wear", offsetof(struct smart_point, wear) },
};

#define NR_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static uint64_t number_of(const struct answer *answer, const struct number *number)
{
	uint64_t value = SMART_UNKNOWN;

	if (!answer->r)
		memcpy(&value, (const char *)&answer->point + number->offset, sizeof(value));
	return value;
}

static void add_answer_json(struct json *json, const struct answer *answer)
{
	json_begin(json, answer->role);
	json_string(json, "disk", answer->disk);
	json_string(json, "state", state_of(answer));
	for (size_t i = 0; i < NR_NUMBERS; i++) {
		uint64_t value = number_of(answer, &numbers[i]);

		if (value == SMART_UNKNOWN)
			json_null(json, numbers[i].name);
		else
			json_number(json, numbers[i].name, value);
	}
	json_end(json);
}

static int add_answer(struct output *output, const char *name, const struct answer *answer)
{
	if (output_line(output) < 0)
		return -ENOMEM;
	output_text(output, name);
	output_text(output, answer->role);
	output_text(output, answer->disk);
	output_text(output, state_of(answer));
	for (size_t i = 0; i < NR_NUMBERS; i++) {
		uint64_t value = number_of(answer, &numbers[i]);

		if (value == SMART_UNKNOWN)
			output_text(output, "-");
		else
			output_number(output, value);
	}
	return 0;
}

/* Both members; -ENOENT: there is no smartctl. */
static int ask_members(const struct dm_device *device, struct answer answers[2])
{
	const char *const members[] = { device->line.main, device->line.spare };

	for (int i = 0; i < 2; i++) {
		answers[i] = (struct answer){ .role = i ? "spare" : "main" };
		ask(members[i], &answers[i]);
		if (answers[i].r == -ENOENT)
			return -ENOENT;
	}
	return 0;
}

static int show(const struct invocation *invocation, const struct dm_device *devices, size_t nr,
		struct error *error)
{
	struct column columns[NR_NUMBERS + 5] = {
		{ "NAME", false }, { "MEMBER", false }, { "DISK", false }, { "SMART", false }
	};
	_cleanup_output_ struct output *output = NULL;
	_cleanup_free_ struct answer(*all)[2] = calloc(nr + 1, sizeof(*all));
	struct json json = { 0 };
	int r = all ? 0 : no_memory(error);

	/* before anything is printed: JSON that ends in the middle is none */
	for (size_t i = 0; !r && i < nr; i++)
		r = ask_members(&devices[i], all[i]);
	if (r == -ENOENT)
		return error_set(error, ENOENT,
				 "smartctl is not installed; install smartmontools to get the "
				 "SMART data of disks");
	if (r < 0)
		return r;
	for (size_t i = 0; i < NR_NUMBERS; i++)
		columns[4 + i] = (struct column){ numbers[i].heading, true };
	r = output_open(&output, columns);
	if (!r && invocation->json) {
		json_begin(&json, NULL);
		json_begin_list(&json, "sets");
	}
	for (size_t i = 0; !r && i < nr; i++) {
		const struct answer *answers = all[i];

		if (invocation->json) {
			json_begin(&json, NULL);
			json_string(&json, "name", devices[i].name);
			json_string(&json, "uuid", uuid_of_device(&devices[i]));
			add_answer_json(&json, &answers[0]);
			add_answer_json(&json, &answers[1]);
			json_end(&json);
			continue;
		}
		r = add_answer(output, devices[i].name, &answers[0]);
		if (!r)
			r = add_answer(output, devices[i].name, &answers[1]);
	}
	if (invocation->json) {
		json_end(&json);
		json_end(&json);
		return r;
	}
	if (r || !output_is_empty(output))
		return r ? r : output_print(output);
	if (!invocation->quiet)
		printf("No set is active.\n");
	return 0;
}

/* One member after the other: that one hangs does not keep the other's from being kept. */
static int record(const struct dm_device *device, struct error *error)
{
	const char *const members[] = { device->line.main, device->line.spare };
	uint64_t now = (uint64_t)time(NULL);
	char key[256];
	int r = 0;

	key_of_device(device, key, sizeof(key));
	for (int i = 0; i < 2; i++) {
		struct answer answer = { .role = i ? "spare" : "main" };
		struct smart smart;
		int loaded = smart_load(key, answer.role, now, &smart);

		if (loaded < 0) {
			r = error_set(error, -loaded,
				      "%s: cannot read the stored SMART data of its %s: %s",
				      device->name, answer.role, strerror(-loaded));
			continue;
		}
		if (smart.last.at <= now && smart.last.at + RECORD_SECONDS > now)
			continue;
		ask(members[i], &answer);
		if (!answer.r)
			r = smart_append(key, answer.role, &answer.point, error) ?: r;
	}
	return r;
}

int verb_smart(struct invocation *invocation, struct error *error)
{
	_cleanup_free_ struct dm_device *devices = NULL;
	size_t nr_devices;
	int r;

	r = find_devices(invocation, &devices, &nr_devices, error);
	if (r < 0)
		return r;
	if (!option_value(invocation, "record"))
		return show(invocation, devices, nr_devices, error);
	if (invocation->json)
		return error_set(error, EINVAL, "--record does not print JSON");
	for (size_t i = 0; i < nr_devices; i++)
		r = record(&devices[i], error) ?: r;
	return r;
}
