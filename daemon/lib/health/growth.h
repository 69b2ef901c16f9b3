/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the history of a set says: how much came in a day, a week and a month, and when its spare
 * will be full.  Pure: points and the time in.
 */
#ifndef DM_REMAP_GROWTH_H
#define DM_REMAP_GROWTH_H

#include "health/history.h"

enum growth_span {
	SPAN_DAY,
	SPAN_WEEK,
	SPAN_MONTH, /* thirty days */
	NR_SPANS,
};

extern const uint64_t growth_span_seconds[NR_SPANS];

/**
 * struct growth_counts - what came in a span of time
 * @relocations: after failed writes
 * @slots: of the spare that were taken, for whatever reason
 * @lost: sectors
 * @main_errors: failed reads and writes of main
 * @spare_errors: of the spare
 * @flush_errors: of either
 */
struct growth_counts {
	uint64_t relocations;
	uint64_t slots;
	uint64_t lost;
	uint64_t main_errors;
	uint64_t spare_errors;
	uint64_t flush_errors;
};

/**
 * struct growth - what the history says now
 * @since: time of the oldest point; 0: there is no history
 * @span: what came in the last day, week, month, or since @since if that is later
 * @last_error: when the newest error of main was seen; 0: none since @since
 * @lost_days: on so many of the last seven days sectors were lost
 */
struct growth {
	uint64_t since;
	struct growth_counts span[NR_SPANS];
	uint64_t last_error;
	unsigned int lost_days;
};

/* The last point is of now. */
void growth_of(const struct history *history, struct growth *growth);

/* A forecast needs so many points, over so long a time, in which so many slots were taken. */
#define FORECAST_POINTS 8
#define FORECAST_SECONDS 86400
#define FORECAST_SLOTS 5

enum forecast_kind {
	FORECAST_NO_POINTS, /* too few, or of too short a time */
	FORECAST_NO_GROWTH, /* too few slots were taken to tell a rate */
	FORECAST_RATE,	    /* there is a rate, and a date */
};

/**
 * struct forecast - when the spare will be full
 * @kind: whether there is one; if not, the rest but @seconds is zero
 * @seconds: the span of time that it is from
 * @slots: taken in that span
 * @at: the date, seconds since 1970
 * @early: in nine of ten cases of a steady rate it is not before this
 * @late: nor after this; 0: not known
 */
struct forecast {
	enum forecast_kind kind;
	uint64_t seconds;
	uint64_t slots;
	uint64_t at;
	uint64_t early;
	uint64_t late;
};

/*
 * From the last thirty days, or from the last seven if the rate has clearly risen; from when
 * slots were last given back, or the spare got another size, at the earliest.
 */
void forecast_of(const struct history *history, struct forecast *forecast);

/* In a sentence, with its interval; or why there is none. */
void forecast_describe(const struct forecast *forecast, char *text, size_t nr_bytes);

#endif /* DM_REMAP_GROWTH_H */
