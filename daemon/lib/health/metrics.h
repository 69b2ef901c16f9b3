/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of sets, in the text form that Prometheus' programs read: for the textfile
 * collector of its node exporter.  Pure, but for the file that it writes to.
 */
#ifndef DM_REMAP_METRICS_H
#define DM_REMAP_METRICS_H

#include "health/verdict.h"

/**
 * struct metric_set - an active set
 * @name: of the mapped device
 * @uuid: or empty
 * @mode: the mode word
 * @status: NULL: nothing counts
 * @is_gone: main, the spare
 * @verdict: on it
 * @forecast: of it
 * @scrub: of its scrubs; NULL: there was none
 * @is_scrubbed: one is at work
 * @history_at: time of the newest point of its history; 0: there is none
 */
struct metric_set {
	const char *name;
	const char *uuid;
	const char *mode;
	const struct remap_status *status;
	bool is_gone[2];
	const struct verdict *verdict;
	const struct forecast *forecast;
	const struct scrub_summary *scrub;
	bool is_scrubbed;
	uint64_t history_at;
};

void metrics_write(FILE *to, const struct metric_set *sets, size_t nr);

#endif /* DM_REMAP_METRICS_H */
