/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an active set is doing: the facts for health/verdict.h, from the kernel, sysfs and what
 * dm-remapd has recorded.  For health, list, status and monitors.
 */
#ifndef DM_REMAP_HEALTH_H
#define DM_REMAP_HEALTH_H

#include "health/smart.h"
#include "health/verdict.h"
#include "system/dm.h"

/* As exit codes of `dmremap status --check`. */
enum severity {
	SEVERITY_OK = 0,
	SEVERITY_WARNING = 1,  /* watch */
	SEVERITY_CRITICAL = 2, /* failing, failed */
	SEVERITY_UNKNOWN = 3,
};

/**
 * struct witness - what only the daemon sees, or only a look at all remaps shows
 * @recent: see struct health_facts
 * @window: the same
 * @places: the same
 */
struct witness {
	uint64_t recent;
	uint64_t window;
	uint64_t places;
};

/**
 * struct report - what is known of an active set
 * @verdict: how it is doing
 * @severity: the same for monitors
 * @text: what is not well, the worst first; empty: nothing
 * @main_gone: no such device any more
 * @spare_gone: the same
 * @main_gone_since: by the daemon, seconds since 1970; 0: not known
 * @spare_gone_since: the same
 * @last: newest point of its history; its time is 0: there is none
 * @now: a point of now
 * @growth: from its history
 * @forecast: from its history
 * @smart: of the disks of main and the spare
 * @scrub: of its scrubs; there are no sectors: there was none
 */
struct report {
	struct verdict verdict;
	enum severity severity;
	char text[480];
	bool main_gone;
	bool spare_gone;
	uint64_t main_gone_since;
	uint64_t spare_gone_since;
	struct history_point last;
	struct history_point now;
	struct growth growth;
	struct forecast forecast;
	struct smart smart[2];
	struct scrub_summary scrub;
};

/* With what its history says of the witness. */
void report_of(const struct dm_device *device, struct report *report);
/* As its history was, with @now behind it; the caller frees. */
int history_of_device(const struct dm_device *device, struct history *history, struct error *error);
void report_with(const struct dm_device *device, const struct history *history,
		 const struct witness *witness, struct report *report);
/* As --json calls it since its first release: "good", "degraded", "failing". */
const char *severity_name(enum severity severity);
/* The mode word, also of a device that is none of the module's: "dead", "fallback". */
const char *mode_of(const struct dm_device *device);
struct json;
/* Of a forecast, as the member "forecast". */
void json_forecast(struct json *json, const struct forecast *forecast);

#endif /* DM_REMAP_HEALTH_H */
