/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event storm must not fill the journal: of one kind of event of one device only
 * so many are told in a while, and then how many more there were.  Pure.
 */
#ifndef DM_REMAP_LIMIT_H
#define DM_REMAP_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_BURST 20
#define LIMIT_SECONDS 10
#define LIMIT_NO_SECTOR UINT64_MAX /* of events that concern none */

/**
 * struct limit - of one kind of event of one device
 * @started: when the present while began
 * @nr_told: told in it
 * @nr_held: not told in it
 * @first: lowest sector of those, or LIMIT_NO_SECTOR
 * @last: highest sector of those
 */
struct limit {
	uint64_t started;
	unsigned int nr_told;
	uint64_t nr_held;
	uint64_t first;
	uint64_t last;
};

/* Whether to tell an event at @now (seconds); if not it is counted. */
bool limit_take(struct limit *limit, uint64_t now, uint64_t sector);
/* Whether a while with untold events is over: *@over says what they were. */
bool limit_over(struct limit *limit, uint64_t now, struct limit *over);

#endif /* DM_REMAP_LIMIT_H */
