/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event storm must not fill the journal: of one kind of event of one device only
 * so many are reported in a period, then how many more there were.  A place that was reported
 * already, as a file system's retries make it, is only counted.  Pure.
 */
#ifndef DM_REMAP_LIMIT_H
#define DM_REMAP_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_BURST 20
#define LIMIT_SECONDS 10
#define LIMIT_NO_SECTOR UINT64_MAX /* of events that concern none */
/* So many places are remembered, each for so long; then the repeats are reported as a number. */
#define LIMIT_PLACES 32
#define LIMIT_PLACE_SECONDS 600

/**
 * struct limit_place - a sector that was reported
 * @sector: it
 * @reported_at: when; 0: unused
 */
struct limit_place {
	uint64_t sector;
	uint64_t reported_at;
};

/**
 * struct limit - of one kind of event of one device
 * @started: when the present while began
 * @nr_reported: reported in it
 * @nr_suppressed: not reported in it
 * @first: lowest sector of those, or LIMIT_NO_SECTOR
 * @last: highest sector of those
 * @place: reported lately: a ring
 * @next_place: next place in the ring
 * @nr_repeats: events about those, not reported
 * @repeats_since: when the first of them came
 */
struct limit {
	uint64_t started;
	unsigned int nr_reported;
	uint64_t nr_suppressed;
	uint64_t first;
	uint64_t last;
	struct limit_place place[LIMIT_PLACES];
	unsigned int next_place;
	uint64_t nr_repeats;
	uint64_t repeats_since;
};

/* Whether to tell an event at @now (seconds); if not it is counted. */
bool limit_take(struct limit *limit, uint64_t now, uint64_t sector);
/* Whether a while with untold events is over: *@over says what they were. */
bool limit_over(struct limit *limit, uint64_t now, struct limit *over);
/* Whether repeats are due to be reported: how many there were. */
bool limit_repeats(struct limit *limit, uint64_t now, uint64_t *nr);

#endif /* DM_REMAP_LIMIT_H */
