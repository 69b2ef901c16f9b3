// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "scrub/plan.h"

/* Skipped at most at once: a 256th of the device. */
#define SKIP_PARTS 256
/* When the time for failing reads is nearly over in the first pass: a 32nd of what is left. */
#define HASTE_PARTS 32
/* A result adds so many spans at most. */
#define RESULT_SPANS 3

int plan_begin(struct plan *plan, uint64_t nr_sectors, uint32_t unit)
{
	struct span *span = calloc(PLAN_SPANS_MAX, sizeof(*span));

	if (!span)
		return -ENOMEM;
	memset(plan, 0, sizeof(*plan));
	plan->nr_sectors = nr_sectors;
	plan->unit = unit;
	plan->span = span;
	return 0;
}

void plan_done(struct plan *plan)
{
	free(plan->span);
	plan->span = NULL;
	plan->nr_spans = 0;
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The first excluded range that ends behind @sector; NULL: none. */
static const struct span *next_excluded(const struct plan *plan, uint64_t sector)
{
	size_t low = 0, high = plan->nr_excluded;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (plan->excluded[middle].sector + plan->excluded[middle].nr > sector)
			high = middle;
		else
			low = middle + 1;
	}
	return low < plan->nr_excluded ? &plan->excluded[low] : NULL;
}

/* The most urgent one; NULL: there is none. */
static const struct span *find_work(const struct plan *plan)
{
	const struct span *found = NULL;

	for (size_t i = 0; i < plan->nr_spans; i++) {
		const struct span *span = &plan->span[i];

		if (span->state != SPAN_BAD && (!found || span->state < found->state))
			found = span;
	}
	return found;
}

static uint64_t unit_of(const struct plan *plan, enum span_state state)
{
	if (state == SPAN_SKIPPED || state == SPAN_REMAINING)
		return PLAN_PIECE_SECTORS;
	return state == SPAN_CHUNK ? plan->unit : PLAN_CHUNK_SECTORS;
}

/* The part of a span that is read next: it ends at a multiple of its unit. */
static void cut_span(const struct plan *plan, const struct span *span, uint64_t *sector,
		     uint64_t *nr)
{
	uint64_t unit = unit_of(plan, span->state), end = span->sector + span->nr;

	if (span->state == SPAN_SKIPPED || span->state == SPAN_BACKWARD) {
		uint64_t start = (end - 1) / unit * unit;

		*sector = start > span->sector ? start : span->sector;
		*nr = end - *sector;
	} else {
		*sector = span->sector;
		*nr = min_of(end, (span->sector / unit + 1) * unit) - span->sector;
	}
}

/* Without what is excluded: either all of the part that is, or what lies before or behind it. */
static void cut_excluded(const struct plan *plan, bool is_backward, uint64_t *sector, uint64_t *nr)
{
	const struct span *excluded = next_excluded(plan, *sector);
	uint64_t end = *sector + *nr;

	if (!is_backward) {
		if (!excluded || excluded->sector >= end)
			return;
		if (excluded->sector <= *sector)
			*nr = min_of(end, excluded->sector + excluded->nr) - *sector;
		else
			*nr = excluded->sector - *sector;
		return;
	}
	/* backward: the last one in it counts */
	while (excluded && excluded->sector < end) {
		uint64_t behind = excluded->sector + excluded->nr;

		if (behind >= end) {
			*sector = excluded->sector > *sector ? excluded->sector : *sector;
			*nr = end - *sector;
			return;
		}
		*sector = behind;
		*nr = end - behind;
		excluded = next_excluded(plan, behind);
	}
}

bool plan_next(const struct plan *plan, uint64_t *sector, uint64_t *nr)
{
	const struct span *span;

	if (plan->position < plan->nr_sectors) {
		*sector = plan->position;
		*nr = min_of(plan->nr_sectors,
			     (*sector / PLAN_PIECE_SECTORS + 1) * PLAN_PIECE_SECTORS) -
		      *sector;
		cut_excluded(plan, false, sector, nr);
		return true;
	}
	span = plan->bad_ms < PLAN_BAD_MS ? find_work(plan) : NULL;
	if (!span)
		return false;
	cut_span(plan, span, sector, nr);
	cut_excluded(plan, span->state == SPAN_SKIPPED || span->state == SPAN_BACKWARD, sector, nr);
	return true;
}

bool plan_is_excluded(const struct plan *plan, uint64_t sector)
{
	const struct span *excluded = next_excluded(plan, sector);

	return excluded && excluded->sector <= sector;
}

static void remove_span(struct plan *plan, size_t i)
{
	memmove(&plan->span[i], &plan->span[i + 1], (--plan->nr_spans - i) * sizeof(plan->span[0]));
}

/* What it costs to make one of @i and the next: sectors that are read again, or count as bad. */
static uint64_t cost_of_joining(const struct plan *plan, size_t i)
{
	const struct span *one = &plan->span[i], *other = one + 1;

	/* a bad one with one that may be good: only where there is no other choice */
	if ((one->state == SPAN_BAD) != (other->state == SPAN_BAD))
		return plan->nr_sectors + one->nr + other->nr;
	return other->sector - one->sector - one->nr;
}

/* Two neighbours become one. */
static void make_room(struct plan *plan)
{
	uint64_t least = UINT64_MAX;
	struct span *one, *other;
	size_t at = 0;

	for (size_t i = 0; i + 1 < plan->nr_spans; i++) {
		uint64_t cost = cost_of_joining(plan, i);

		if (cost < least) {
			least = cost;
			at = i;
		}
	}
	one = &plan->span[at];
	other = one + 1;
	if (one->state == SPAN_BAD && other->state == SPAN_BAD)
		plan->is_coarse |= least > 0;
	else
		one->state = SPAN_INNER;
	one->nr = other->sector + other->nr - one->sector;
	remove_span(plan, at + 1);
}

static size_t find_span(const struct plan *plan, uint64_t sector)
{
	size_t low = 0, high = plan->nr_spans;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (plan->span[middle].sector + plan->span[middle].nr > sector)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool is_joined(const struct span *one, const struct span *other)
{
	return one->state == other->state && one->sector + one->nr == other->sector &&
	       (one->state == SPAN_BAD || one->state == SPAN_SKIPPED ||
		one->state == SPAN_REMAINING);
}

static void add_span(struct plan *plan, uint64_t sector, uint64_t nr, enum span_state state)
{
	struct span span = { sector, nr, state };
	size_t at;

	if (!nr)
		return;
	at = find_span(plan, sector);
	memmove(&plan->span[at + 1], &plan->span[at],
		(plan->nr_spans++ - at) * sizeof(plan->span[0]));
	plan->span[at] = span;
	if (at + 1 < plan->nr_spans && is_joined(&plan->span[at], &plan->span[at + 1])) {
		plan->span[at].nr += plan->span[at + 1].nr;
		remove_span(plan, at + 1);
	}
	if (at && is_joined(&plan->span[at - 1], &plan->span[at])) {
		plan->span[at - 1].nr += plan->span[at].nr;
		remove_span(plan, at);
	}
}

/* Behind a failure: as much again as the last time, and twice that. */
static uint64_t next_skip(const struct plan *plan)
{
	uint64_t most = plan->nr_sectors / SKIP_PARTS, skip = plan->skip * 2;
	uint64_t left = plan->nr_sectors - plan->position;

	if (plan->bad_ms >= PLAN_BAD_MS / 2)
		most = skip = left / HASTE_PARTS;
	if (skip > most)
		skip = most;
	if (skip < PLAN_PIECE_SECTORS)
		skip = PLAN_PIECE_SECTORS;
	skip = (plan->position + skip) / PLAN_PIECE_SECTORS * PLAN_PIECE_SECTORS - plan->position;
	return min_of(skip, left);
}

/* A piece that fails is halved as long as it is worth it: of small ones each unit is bad itself. */
static enum span_state state_of_failed(const struct plan *plan, uint64_t nr)
{
	if (nr <= plan->unit)
		return SPAN_BAD;
	return nr <= PLAN_CHUNK_SECTORS ? SPAN_CHUNK : SPAN_FAILED;
}

static void result_forward(struct plan *plan, uint64_t sector, uint64_t nr, bool is_good)
{
	plan->position = sector + nr;
	if (is_good) {
		/* twice as fast back as it rose: bad places come together */
		plan->skip = plan->skip > PLAN_PIECE_SECTORS ? plan->skip / 4 : 0;
		return;
	}
	add_span(plan, sector, nr, state_of_failed(plan, nr));
	plan->skip = next_skip(plan);
	add_span(plan, plan->position, plan->skip, SPAN_SKIPPED);
	plan->position += plan->skip;
}

/* What a span becomes, behind or before a part of it that was tried. */
static enum span_state state_of_rest(enum span_state state, bool is_good)
{
	if (is_good)
		return state;
	switch (state) {
	case SPAN_SKIPPED:
		return SPAN_REMAINING;
	case SPAN_FAILED:
		return SPAN_BACKWARD;
	case SPAN_BACKWARD:
		return SPAN_INNER;
	default:
		return state;
	}
}

static void result_of_span(struct plan *plan, uint64_t sector, uint64_t nr, bool is_good)
{
	size_t at = find_span(plan, sector);
	struct span span;

	if (at == plan->nr_spans || plan->span[at].sector > sector)
		return;
	span = plan->span[at];
	remove_span(plan, at);
	/* the rest lies on one side of it */
	add_span(plan, span.sector, sector - span.sector, state_of_rest(span.state, is_good));
	add_span(plan, sector + nr, span.sector + span.nr - sector - nr,
		 state_of_rest(span.state, is_good));
	if (!is_good)
		add_span(plan, sector, nr, state_of_failed(plan, nr));
}

void plan_result(struct plan *plan, uint64_t sector, uint64_t nr, bool is_good, uint64_t ms,
		 bool is_slow)
{
	bool is_left_out = plan_is_excluded(plan, sector);

	while (plan->nr_spans + RESULT_SPANS > PLAN_SPANS_MAX)
		make_room(plan);
	if (is_left_out)
		is_good = true;
	else if (is_good)
		plan->read += nr;
	else
		plan->bad_ms += ms;
	if (is_good && is_slow) {
		if (plan->nr_slow < PLAN_SLOW_MAX)
			plan->slow[plan->nr_slow] = (struct slow){ sector, nr, ms };
		plan->nr_slow++;
	}
	if (plan->position < plan->nr_sectors && sector == plan->position)
		result_forward(plan, sector, nr, is_good);
	else
		result_of_span(plan, sector, nr, is_good);
}

void plan_clear_bad(struct plan *plan)
{
	size_t kept = 0;

	for (size_t i = 0; i < plan->nr_spans; i++)
		if (plan->span[i].state != SPAN_BAD)
			plan->span[kept++] = plan->span[i];
	plan->nr_spans = kept;
}

void plan_add_bad(struct plan *plan, uint64_t sector, uint64_t nr)
{
	if (plan->nr_spans == PLAN_SPANS_MAX) {
		plan->is_coarse = true;
		return;
	}
	add_span(plan, sector, nr, SPAN_BAD);
}

uint64_t plan_bad(const struct plan *plan)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < plan->nr_spans; i++)
		nr += plan->span[i].state == SPAN_BAD ? plan->span[i].nr : 0;
	return nr;
}

uint64_t plan_open(const struct plan *plan)
{
	uint64_t nr = plan->nr_sectors - plan->position;

	for (size_t i = 0; i < plan->nr_spans; i++)
		nr += plan->span[i].state != SPAN_BAD ? plan->span[i].nr : 0;
	return nr;
}

bool plan_is_valid(const struct plan *plan)
{
	uint64_t end = 0;

	if (plan->position > plan->nr_sectors || plan->nr_spans > PLAN_SPANS_MAX || !plan->unit ||
	    plan->unit > PLAN_CHUNK_SECTORS || plan->unit & (plan->unit - 1))
		return false;
	for (size_t i = 0; i < plan->nr_spans; i++) {
		const struct span *span = &plan->span[i];

		if (span->state >= NR_SPAN_STATES || !span->nr || span->sector < end ||
		    span->sector > plan->position || span->nr > plan->position - span->sector)
			return false;
		end = span->sector + span->nr;
	}
	return true;
}
