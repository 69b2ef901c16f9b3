/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In which order the sectors of a device are read, so that what can be read is read first and bad
 * places cost little: as ddrescue does it.  Pure.
 *
 *   1  forward in large pieces; behind one that fails more and more is skipped
 *   2  what was skipped, from its end, up to the next failure
 *   3  each piece that failed from both ends, in small units, up to the first that fails
 *   4  what is left of it, unit by unit
 *   5  what is left of what was skipped, piece by piece
 *
 * Failing reads are slow, so there is a limit to the time that they take: what could not be
 * looked at by then stays open, and is reported as that.
 */
#ifndef DM_REMAP_PLAN_H
#define DM_REMAP_PLAN_H

#include "util/util.h"

#define PLAN_PIECE_SECTORS 2048
#define PLAN_CHUNK_SECTORS 8
/* Ranges that are not simply good; beyond it neighbours become one. */
#define PLAN_SPANS_MAX 8192
#define PLAN_SLOW_MAX 256
#define PLAN_BAD_MS (4 * 3600 * 1000ULL)

/* In the order in which they are worked on; SPAN_BAD is a result. */
enum span_state {
	SPAN_SKIPPED,	/* not tried yet */
	SPAN_FAILED,	/* failed as a whole: read from its start */
	SPAN_BACKWARD,	/* the unit before it is bad: read from its end */
	SPAN_CHUNK,	/* a chunk that failed: read sector by sector */
	SPAN_INNER,	/* the units before and behind it are bad: read all of it */
	SPAN_REMAINING, /* of what was skipped, behind a failure */
	SPAN_BAD,	/* cannot be read */
	NR_SPAN_STATES,
};

/**
 * struct span - sectors that are not simply good
 * @sector: first
 * @nr: how many
 * @state: what is known of them
 */
struct span {
	uint64_t sector;
	uint64_t nr;
	enum span_state state;
};

/**
 * struct slow - a read that took long
 * @sector: first
 * @nr: how many
 * @ms: time
 */
struct slow {
	uint64_t sector;
	uint64_t nr;
	uint64_t ms;
};

/**
 * struct plan - how far the reading of a device has come
 * @nr_sectors: its length
 * @unit: smallest piece that can be bad, in sectors: a power of two, up to a chunk
 * @position: first sector that was not reached yet
 * @skip: how much was skipped last, in sectors; 0: the last piece was good
 * @bad_ms: time that failing reads took
 * @read: sectors that were read
 * @span: in order, none overlapping
 * @nr_spans: how many
 * @is_coarse: there are so many that good sectors between bad ones count as bad
 * @slow: reads that took long, in the order in which they came
 * @nr_slow: how many; those beyond PLAN_SLOW_MAX are only counted
 * @excluded: sectors that are not to be read, in order; the caller's, not kept
 * @nr_excluded: how many ranges
 */
struct plan {
	uint64_t nr_sectors;
	uint32_t unit;
	uint64_t position;
	uint64_t skip;
	uint64_t bad_ms;
	uint64_t read;
	struct span *span;
	size_t nr_spans;
	bool is_coarse;
	struct slow slow[PLAN_SLOW_MAX];
	uint64_t nr_slow;
	const struct span *excluded;
	size_t nr_excluded;
};

/* From the start; -ENOMEM. */
int plan_begin(struct plan *plan, uint64_t nr_sectors, uint32_t unit);
void plan_done(struct plan *plan);
/* What is to be read next; false: nothing is left, or the time for failing reads is over. */
bool plan_next(const struct plan *plan, uint64_t *sector, uint64_t *nr);
/* Whether that part is excluded: then it is not to be read, and counts as good. */
bool plan_is_excluded(const struct plan *plan, uint64_t sector);
/* It was read, or not, within @ms.  @is_slow: it is to be listed. */
void plan_result(struct plan *plan, uint64_t sector, uint64_t nr, bool is_good, uint64_t ms,
		 bool is_slow);
/* What cannot be read is known anew: none of it, and then each range. */
void plan_clear_bad(struct plan *plan);
void plan_add_bad(struct plan *plan, uint64_t sector, uint64_t nr);
/* Sectors that cannot be read, and those that are still open. */
uint64_t plan_bad(const struct plan *plan);
uint64_t plan_open(const struct plan *plan);
/* Only for what was read from a file: whether it is one that can be. */
bool plan_is_valid(const struct plan *plan);

#endif /* DM_REMAP_PLAN_H */
