/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an active set is doing, in a word and a sentence: for list, status and monitors. */
#ifndef DM_REMAP_HEALTH_H
#define DM_REMAP_HEALTH_H

#include "system/dm.h"

/* As exit codes of `dmremap status --check`. */
enum severity {
	SEVERITY_OK = 0,
	SEVERITY_WARNING = 1,  /* it works, and something was lost or is used up */
	SEVERITY_CRITICAL = 2, /* it does not do its work, or will not for long */
	SEVERITY_UNKNOWN = 3,
};

/**
 * struct report - what is known of an active set
 * @severity: the worst
 * @text: what is not well, the worst first; empty: nothing
 * @main_gone: no such device any more
 * @spare_gone: the same
 * @main_gone_since: by the daemon, seconds since 1970; 0: not known
 * @spare_gone_since: the same
 */
struct report {
	enum severity severity;
	char text[320];
	bool main_gone;
	bool spare_gone;
	uint64_t main_gone_since;
	uint64_t spare_gone_since;
};

void report_of(const struct dm_device *device, struct report *report);
/* "good", "degraded", "failing", "unknown". */
const char *severity_name(enum severity severity);
/* The mode word, also of a device that is none of the module's: "dead", "fallback". */
const char *mode_of(const struct dm_device *device);
/* The UUID of its set as text, or "". */
const char *uuid_of_device(const struct dm_device *device);
/* "1.5 GiB" */
void format_size(uint64_t nr_bytes, char *text, size_t nr_text);

#endif /* DM_REMAP_HEALTH_H */
