/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a set did over time: points of records.h, with names for their numbers. */
#ifndef DM_REMAP_HISTORY_H
#define DM_REMAP_HISTORY_H

#include "health/records.h"

/**
 * struct history_point - how a set did at a time
 * @at: seconds since 1970
 * @verdict: enum verdict_level, as it was reached then
 * @reasons: bits of enum reason_code, which it had
 * @recent: errors came fast: so many ...
 * @window: ... within so many seconds; 0: they did not
 * @used: slots that serve sectors
 * @total: slots of the spare
 * @bad: spare chunks that are bad
 * @lost: lost sectors
 * @read_errors: of main
 * @write_errors: of main
 * @spare_errors: reads and writes of the spare
 * @flush_errors: of either
 * @relocations: after failed writes
 * @rejected: failed writes that were not relocated
 * @places: in how many 64ths of main sectors are remapped
 */
struct history_point {
	uint64_t at;
	uint64_t verdict;
	uint64_t reasons;
	uint64_t recent;
	uint64_t window;
	uint64_t used;
	uint64_t total;
	uint64_t bad;
	uint64_t lost;
	uint64_t read_errors;
	uint64_t write_errors;
	uint64_t spare_errors;
	uint64_t flush_errors;
	uint64_t relocations;
	uint64_t rejected;
	uint64_t places;
};

/**
 * struct history - points in the order of their times
 * @at: them
 * @nr: how many
 */
struct history {
	struct history_point *at;
	size_t nr;
};

void history_done(struct history *history);
#define _cleanup_history_ _cleanup_(history_done)

extern const struct record_kind history_kind;

/* No file: no points. */
int history_load(const char *key, uint64_t now, struct history *history, struct error *error);
/* Durably.  Callers that write at the same time wait for each other. */
int history_append(const char *key, const struct history_point *point, struct error *error);

#endif /* DM_REMAP_HISTORY_H */
