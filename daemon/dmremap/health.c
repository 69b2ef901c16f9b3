// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "health.h"
#include "set/gone.h"
#include "set/scan.h"

const char *severity_name(enum severity severity)
{
	static const char *const names[] = { "good", "degraded", "failing", "unknown" };

	return names[severity];
}

const char *mode_of(const struct dm_device *device)
{
	if (device->failed)
		return "dead";
	return device->fallback ? "fallback" : device->status.mode;
}

/* What the daemon saw counts for so long: it looks once an hour at the latest. */
#define WITNESS_SECONDS (2 * 3600)

/* Whether the kernel counts: not without the module, and not of a device that failed. */
static bool counts(const struct dm_device *device)
{
	return !device->fallback && !device->failed;
}

static void find_gone(const struct dm_device *device, struct report *report)
{
	char key[256];

	if (!counts(device))
		return;
	key_of_device(device, key, sizeof(key));
	report->main_gone = !member_is_here(device->line.main);
	report->spare_gone = !member_is_here(device->line.spare);
	report->main_gone_since = report->main_gone ? gone_since(key, "main") : 0;
	report->spare_gone_since = report->spare_gone ? gone_since(key, "spare") : 0;
}

static struct history_point point_of(const struct dm_device *device, const struct witness *witness)
{
	const struct remap_status *s = &device->status;

	return (struct history_point){
		.at = (uint64_t)time(NULL),
		.recent = witness->recent,
		.window = witness->window,
		.used = s->used_slots,
		.total = s->total_slots,
		.bad = s->bad_slots,
		.lost = s->lost_sectors,
		.read_errors = s->read_errors,
		.write_errors = s->write_errors,
		.spare_errors = s->spare_read_errors + s->spare_write_errors,
		.flush_errors = s->flush_errors,
		.relocations = s->relocations,
		.rejected = s->rejected,
		.places = witness->places,
	};
}

/* What is known over time, up to now. */
static void look_back(const struct history *history, struct report *report)
{
	_cleanup_history_ struct history all = { calloc(history->nr + 1, sizeof(all.at[0])), 0 };

	if (!all.at || !history->nr)
		return;
	memcpy(all.at, history->at, history->nr * sizeof(all.at[0]));
	all.nr = history->nr;
	report->last = all.at[all.nr - 1];
	all.at[all.nr++] = report->now;
	growth_of(&all, &report->growth);
	forecast_of(&all, &report->forecast);
}

static void load_smart(const struct dm_device *device, struct report *report)
{
	char key[256];

	key_of_device(device, key, sizeof(key));
	smart_load(key, "main", report->now.at, &report->smart[0]);
	smart_load(key, "spare", report->now.at, &report->smart[1]);
}

static void load_scrub(const struct dm_device *device, struct report *report)
{
	_cleanup_scrub_ struct scrub_state state = { 0 };
	char key[256];

	key_of_device(device, key, sizeof(key));
	if (scrub_state_load(key, &state) < 0)
		return;
	scrub_summarise(&state, &report->scrub);
}

static enum severity severity_of(enum verdict_level level)
{
	return level == VERDICT_GOOD  ? SEVERITY_OK :
	       level == VERDICT_WATCH ? SEVERITY_WARNING :
					SEVERITY_CRITICAL;
}

/* "8:16" becomes "/dev/sdb" where there is such a device. */
static void name_member(const char *in_table, char *path, size_t nr_bytes)
{
	unsigned int major_number, minor_number;

	*path = '\0';
	if (sscanf(in_table, "%u:%u", &major_number, &minor_number) == 2)
		device_path(makedev(major_number, minor_number), path, nr_bytes);
	if (!*path)
		snprintf(path, nr_bytes, "%s", in_table);
}

void report_with(const struct dm_device *device, const struct history *history,
		 const struct witness *witness, struct report *report)
{
	char main[300], spare[300];
	struct health_facts facts = {
		.name = device->name,
		.mode = mode_of(device),
		.status = counts(device) ? &device->status : NULL,
		.read_only = device->read_only,
		.suspended = device->suspended,
		.main = main,
		.spare = spare,
		.recent = witness->recent,
		.window = witness->window,
		.places = witness->places,
	};

	memset(report, 0, sizeof(*report));
	name_member(device->line.main, main, sizeof(main));
	name_member(device->line.spare, spare, sizeof(spare));
	report->now = point_of(device, witness);
	if (counts(device))
		look_back(history, report);
	load_smart(device, report);
	load_scrub(device, report);
	facts.scrub = &report->scrub.last;
	facts.scrub_good = report->scrub.good;
	facts.smart[0] = &report->smart[0];
	facts.smart[1] = &report->smart[1];
	if (report->last.at) {
		facts.growth = &report->growth;
		facts.forecast = &report->forecast;
	}
	find_gone(device, report);
	facts.main_gone = report->main_gone;
	facts.spare_gone = report->spare_gone;
	facts.now = report->now.at;
	verdict_of(&facts, &report->verdict);
	report->now.verdict = report->verdict.level;
	report->now.reasons = report->verdict.reasons;
	report->severity = severity_of(report->verdict.level);
	verdict_describe(&report->verdict, report->text, sizeof(report->text));
}

int history_of_device(const struct dm_device *device, struct history *history, struct error *error)
{
	char key[256];

	key_of_device(device, key, sizeof(key));
	return history_load(key, (uint64_t)time(NULL), history, error);
}

void report_of(const struct dm_device *device, struct report *report)
{
	_cleanup_history_ struct history history = { NULL, 0 };
	struct witness witness = { 0 };
	const struct history_point *last;

	/* what cannot be read is not known: the verdict is from what the kernel says */
	if (history_of_device(device, &history, NULL) == 0 && history.nr) {
		last = &history.at[history.nr - 1];
		witness.places = last->places;
		if ((uint64_t)time(NULL) < last->at + WITNESS_SECONDS) {
			witness.recent = last->recent;
			witness.window = last->window;
		}
	}
	report_with(device, &history, &witness, report);
}
