/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `dmremap top` shows, as lines of text.  Pure. */
#ifndef DM_REMAP_TOP_VIEW_H
#define DM_REMAP_TOP_VIEW_H

#include <stdio.h>

#include "system/io-stats.h"

#define TOP_EVENTS_MAX 10

/**
 * struct top_set - a set in a while
 * @name: of it, printable
 * @verdict: the word
 * @mode: the mode word
 * @used: slots in use
 * @total: slots
 * @lost: sectors
 * @nr_errors: of main and the spare, in the while
 * @io: in the while
 */
struct top_set {
	char name[128];
	const char *verdict;
	char mode[16];
	uint64_t used;
	uint64_t total;
	uint64_t lost;
	uint64_t nr_errors;
	struct io_counts io;
};

/**
 * struct top_screen - all of it
 * @set: the sets
 * @nr_sets: how many
 * @selected: the one that is shown more closely
 * @seconds: length of the while
 * @event: lines about events, the newest last
 * @nr_events: how many
 * @lines: room; 0: no limit
 * @columns: the same
 * @keys: there is a keyboard
 */
struct top_screen {
	const struct top_set *set;
	size_t nr_sets;
	size_t selected;
	double seconds;
	const char *event[TOP_EVENTS_MAX];
	unsigned int nr_events;
	unsigned int lines;
	unsigned int columns;
	bool keys;
};

/* Each line ends with @end. */
void top_view(FILE *to, const struct top_screen *screen, const char *end);
/* What was counted between two looks; a counter that went back began anew. */
struct io_counts io_counts_since(const struct io_counts *before, const struct io_counts *now);

#endif /* DM_REMAP_TOP_VIEW_H */
