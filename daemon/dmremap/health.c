// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdarg.h>

#include "health.h"
#include "set/gone.h"

/* Use of the spare from here on is worth a word, in percent. */
#define USE_WARNING 90

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

const char *uuid_of_device(const struct dm_device *device)
{
	size_t length = strlen(DM_UUID_PREFIX);

	return strncmp(device->dm_uuid, DM_UUID_PREFIX, length) ? "" : device->dm_uuid + length;
}

void format_size(uint64_t nr_bytes, char *text, size_t nr_text)
{
	static const char units[] = "KMGTPE";
	double size = (double)nr_bytes;
	int unit = -1;

	while (size >= 1024 && units[unit + 1]) {
		size /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, nr_text, "%" PRIu64 " B", nr_bytes);
	else
		snprintf(text, nr_text, "%.*f %ciB",
			 size < 10 && (uint64_t)(size * 10) % 10 ? 1 : 0, size, units[unit]);
}

/* The worst first: what is said later is worse, or no better. */
static void say(struct report *report, enum severity severity, const char *format, ...)
	_printf_(3, 4);

static void say(struct report *report, enum severity severity, const char *format, ...)
{
	char before[sizeof(report->text)], own[160];
	bool is_worse = severity > report->severity;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(own, sizeof(own), format, arguments);
	va_end(arguments);
	memcpy(before, report->text, sizeof(before));
	if (is_worse)
		report->severity = severity;
	if (!*before)
		snprintf(report->text, sizeof(report->text), "%s", own);
	else
		snprintf(report->text, sizeof(report->text), "%.150s; %.150s",
			 is_worse ? own : before, is_worse ? before : own);
}

static const struct {
	const char *mode;
	enum severity severity;
} modes[] = {
	{ "rw", SEVERITY_OK },
	{ "frozen", SEVERITY_WARNING },
	{ "fallback", SEVERITY_WARNING },
	{ "ro", SEVERITY_WARNING },
	{ "full", SEVERITY_CRITICAL },
	{ "lost-cache", SEVERITY_CRITICAL },
	{ "meta_fail", SEVERITY_CRITICAL },
	{ "fail", SEVERITY_CRITICAL },
	{ "dead", SEVERITY_CRITICAL },
};

static void say_mode(const struct dm_device *device, struct report *report)
{
	enum severity severity = SEVERITY_CRITICAL;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (streq(modes[i].mode, mode_of(device)))
			severity = modes[i].severity;
	if (streq(mode_of(device), "ro") && device->read_only)
		return; /* it was activated so */
	if (severity != SEVERITY_OK)
		say(report, severity, "mode %s", mode_of(device));
}

static void say_gone(const struct dm_device *device, struct report *report)
{
	const char *uuid = uuid_of_device(device);

	report->main_gone = !member_is_here(device->line.main);
	report->spare_gone = !member_is_here(device->line.spare);
	if (report->main_gone)
		say(report, SEVERITY_CRITICAL, "its main device (%s) is gone", device->line.main);
	if (report->spare_gone)
		say(report, SEVERITY_CRITICAL, "its spare device (%s) is gone", device->line.spare);
	report->main_gone_since = report->main_gone ? gone_since(uuid, "main") : 0;
	report->spare_gone_since = report->spare_gone ? gone_since(uuid, "spare") : 0;
}

static void say_counts(const struct remap_status *s, struct report *report)
{
	uint64_t taken = s->used_slots + s->bad_slots;

	if (s->replica_out >= 0)
		say(report, SEVERITY_WARNING, "replica %d of the metadata is out", s->replica_out);
	if (s->frozen_blocks)
		say(report, SEVERITY_WARNING, "%" PRIu64 " metadata block%s cannot be written",
		    s->frozen_blocks, s->frozen_blocks == 1 ? "" : "s");
	if (!s->probe_ok)
		say(report, SEVERITY_WARNING, "the main device did not answer its last probe");
	if (s->total_slots && taken * 100 >= (uint64_t)s->total_slots * USE_WARNING)
		say(report, SEVERITY_WARNING, "%" PRIu64 " %% of the spare is used",
		    taken * 100 / s->total_slots);
	if (s->lost_sectors)
		say(report, SEVERITY_WARNING, "%" PRIu64 " sector%s lost", s->lost_sectors,
		    s->lost_sectors == 1 ? " is" : "s are");
	if (s->bad_slots)
		say(report, SEVERITY_WARNING, "%" PRIu64 " spare chunk%s bad", s->bad_slots,
		    s->bad_slots == 1 ? " is" : "s are");
}

void report_of(const struct dm_device *device, struct report *report)
{
	memset(report, 0, sizeof(*report));
	if (!device->fallback && !device->failed)
		say_gone(device, report);
	say_mode(device, report);
	if (device->suspended)
		say(report, SEVERITY_WARNING, "suspended: all I/O waits");
	if (!device->fallback && !device->failed)
		say_counts(&device->status, report);
}
