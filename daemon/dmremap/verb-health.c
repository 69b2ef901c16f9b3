// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * health: the verdict on active sets with its reasons, what was seen and what to type; and with
 * --record a point of their history, as dm-remapd has it done.
 */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "health.h"
#include "json.h"
#include "remap_format.h"
#include "scrub.h"
#include "system/events.h"
#include "util/foreign.h"
#include "verbs.h"

const struct verb_option options_health[] = {
	{ "record", NULL, "add a point to the history, as dm-remapd does periodically" },
	{ "fast", "COUNT/SECONDS", "with --record: COUNT errors occurred within SECONDS" },
	{ NULL },
};

/* A point an hour, and one of each change; but not more than one a minute of mere counting. */
#define POINT_SECONDS 3600
#define CHANGE_SECONDS 60
/* No time in which errors come fast is longer. */
#define FAST_SECONDS_MAX (30 * 86400)

static void print_reason(const struct reason *reason)
{
	printf("  %-10s %s\n", verdict_name(reason->level), FOREIGN(reason->text));
	if (*reason->evidence)
		printf("             seen: %s\n", FOREIGN(reason->evidence));
	if (*reason->advice)
		printf("             do: %s\n", FOREIGN(reason->advice));
}

static void print_forecast(const struct report *report)
{
	char text[160];

	forecast_describe(&report->forecast, text, sizeof(text));
	if (report->last.at)
		printf("  forecast   %s\n", text);
	else
		printf("  forecast   none: there is no history; dm-remapd keeps one while it runs\n");
}

static void print_scrub(const struct report *report)
{
	char text[400];

	if (!report->scrub.last.ended)
		return;
	scrub_describe(&report->scrub.last, text, sizeof(text));
	printf("  scrub      %s: %s\n", date_of(report->scrub.last.ended).text, text);
}

static void print_health(const struct dm_device *device, const struct report *report)
{
	printf("%s: %s\n", foreign_text(device->name, sizeof(device->name)).text,
	       verdict_name(report->verdict.level));
	for (unsigned int i = 0; i < report->verdict.nr_reasons; i++)
		print_reason(&report->verdict.reason[i]);
	print_scrub(report);
	print_forecast(report);
}

static void add_health(struct json *json, const struct dm_device *device,
		       const struct report *report)
{
	json_begin(json, NULL);
	json_string(json, "name", device->name);
	json_string(json, "uuid", uuid_of_device(device));
	json_string(json, "verdict", verdict_name(report->verdict.level));
	json_begin_list(json, "reasons");
	for (unsigned int i = 0; i < report->verdict.nr_reasons; i++) {
		const struct reason *reason = &report->verdict.reason[i];

		json_begin(json, NULL);
		json_string(json, "code", reason_name(reason->code));
		json_string(json, "verdict", verdict_name(reason->level));
		json_string(json, "text", reason->text);
		json_string(json, "evidence", reason->evidence);
		json_string(json, "advice", reason->advice);
		json_end(json);
	}
	json_end(json);
	json_begin(json, "scrub");
	json_time(json, "ended", report->scrub.last.ended);
	json_time(json, "good", report->scrub.good);
	json_number(json, "unreadable", report->scrub.last.unreadable);
	json_number(json, "spare_unreadable", report->scrub.last.spare_unreadable);
	json_end(json);
	json_time(json, "since", report->growth.since);
	json_forecast(json, &report->forecast);
	json_end(json);
}

/**
 * struct places - where remapped sectors lie
 * @nr_sectors: length of the set
 * @bits: of its 64ths
 */
struct places {
	uint64_t nr_sectors;
	uint64_t bits;
};

static int note_place(void *userdata, const struct remap_slot *line)
{
	struct places *places = userdata;
	uint64_t sector = line->chunk * REMAP_CHUNK_SECTORS;

	if (line->state == REMAP_ENTRY_USED && sector < places->nr_sectors &&
	    line->cause != REMAP_CAUSE_PROBE && line->cause != REMAP_CAUSE_GUARD)
		places->bits |= 1ULL
				<< (uint64_t)((double)sector / (double)places->nr_sectors * 64);
	return 0;
}

/* Looks at all remaps: not more often than a point is due. */
static uint64_t count_places(const struct dm_device *device, const struct history *history)
{
	const struct history_point *last = history->nr ? &history->at[history->nr - 1] : NULL;
	struct places places = { device->nr_sectors, 0 };

	if (last && (uint64_t)time(NULL) < last->at + CHANGE_SECONDS)
		return last->places;
	if (device->fallback || device->failed ||
	    event_dump_remaps(device->major, device->minor, note_place, &places, NULL) < 0)
		return last ? last->places : 0;
	return (uint64_t)__builtin_popcountll(places.bits);
}

static bool is_due(const struct history_point *last, const struct history_point *now)
{
	struct history_point before = *last;

	if (!last->at || last->verdict != now->verdict || last->reasons != now->reasons ||
	    !last->window != !now->window || now->at >= last->at + POINT_SECONDS ||
	    now->at < last->at)
		return true;
	before.at = now->at;
	return now->at >= last->at + CHANGE_SECONDS && memcmp(&before, now, sizeof(before)) != 0;
}

/* "12/3600": so many errors in so many seconds; none: they do not come fast. */
static int parse_fast(const char *text, struct witness *witness)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	char number[24];

	if (!text)
		return 0;
	if (!slash || (size_t)(slash - text) >= sizeof(number))
		return -EINVAL;
	snprintf(number, sizeof(number), "%.*s", (int)(slash - text), text);
	if (parse_u64(number, &witness->recent) < 0 || parse_u64(slash + 1, &witness->window) < 0 ||
	    !witness->window || witness->window > FAST_SECONDS_MAX)
		return -EINVAL;
	if (!witness->recent)
		witness->window = 0;
	return 0;
}

/* The errors were not counted for long enough: what came fast is so until its time is over. */
static void take_fast(const struct history *history, struct witness *witness)
{
	const struct history_point *last = history->nr ? &history->at[history->nr - 1] : NULL;

	if (!last || (uint64_t)time(NULL) >= last->at + last->window)
		return;
	witness->recent = last->recent;
	witness->window = last->window;
}

/* One line for dm-remapd: the verdict, its reasons, whether the history has it; then in words. */
static int record(const struct dm_device *device, const struct witness *fast, struct error *error)
{
	_cleanup_history_ struct history history = { NULL, 0 };
	struct witness witness = { 0 };
	struct report report;
	char key[256];
	/* one that cannot be read is not written either, and the verdict is still printed */
	int r = history_of_device(device, &history, error);

	if (fast)
		witness = *fast;
	else
		take_fast(&history, &witness);
	witness.places = count_places(device, &history);
	report_with(device, &history, &witness, &report);
	key_of_device(device, key, sizeof(key));
	/* without the module nothing is counted, which is not zero */
	if (!r && !device->fallback && is_due(&report.last, &report.now))
		r = history_append(key, &report.now, error);
	printf("%s %" PRIx64 " %s: %s\n", verdict_name(report.verdict.level),
	       report.verdict.reasons, r ? "unsaved" : "saved", report.text);
	return r;
}

static int print_all(const struct invocation *invocation, const struct dm_device *devices,
		     size_t nr)
{
	struct json json = { 0 };
	struct report report;

	if (invocation->json) {
		json_begin(&json, NULL);
		json_begin_list(&json, "sets");
	} else if (!nr && !invocation->quiet) {
		printf("No set is active.\n");
	}
	for (size_t i = 0; i < nr; i++) {
		report_of(&devices[i], &report);
		if (invocation->json)
			add_health(&json, &devices[i], &report);
		else
			print_health(&devices[i], &report);
	}
	if (invocation->json) {
		json_end(&json);
		json_end(&json);
	}
	return 0;
}

int verb_health(struct invocation *invocation, struct error *error)
{
	_cleanup_free_ struct dm_device *devices = NULL;
	struct witness fast = { 0 };
	size_t nr_devices;
	int r;

	if (parse_fast(option_value(invocation, "fast"), &fast) < 0)
		return error_set(error, EINVAL,
				 "--fast: invalid value; use COUNT/SECONDS, of a month at most");
	if (fast.window && !option_value(invocation, "record"))
		return error_set(error, EINVAL, "--fast needs --record");
	r = find_devices(invocation, &devices, &nr_devices, error);
	if (r < 0)
		return r;
	if (!option_value(invocation, "record"))
		return print_all(invocation, devices, nr_devices);
	if (invocation->json)
		return error_set(error, EINVAL, "--record does not print JSON");
	/* one that fails keeps no other from its point */
	for (size_t i = 0; i < nr_devices; i++)
		r = record(&devices[i], option_value(invocation, "fast") ? &fast : NULL, error) ?:
												  r;
	return r;
}
