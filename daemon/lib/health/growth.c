// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>

#include "health/growth.h"

#define DAY_SECONDS 86400ULL

const uint64_t growth_span_seconds[NR_SPANS] = { DAY_SECONDS, 7 * DAY_SECONDS, 30 * DAY_SECONDS };

/* Counters that went back were cleared, or are of another spare: nothing is known to have come. */
static uint64_t risen(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static uint64_t taken(const struct history_point *point)
{
	return point->used + point->bad;
}

static void add(struct growth_counts *counts, const struct history_point *before,
		const struct history_point *point)
{
	counts->relocations += risen(before->relocations, point->relocations);
	counts->slots += risen(taken(before), taken(point));
	counts->lost += risen(before->lost, point->lost);
	counts->main_errors += risen(before->read_errors, point->read_errors) +
			       risen(before->write_errors, point->write_errors);
	counts->spare_errors += risen(before->spare_errors, point->spare_errors);
	counts->flush_errors += risen(before->flush_errors, point->flush_errors);
}

void growth_of(const struct history *history, struct growth *growth)
{
	uint64_t now = history->nr ? history->at[history->nr - 1].at : 0;
	unsigned int lost_days = 0;

	*growth = (struct growth){ .since = history->nr ? history->at[0].at : 0 };
	for (size_t i = 1; i < history->nr; i++) {
		const struct history_point *before = &history->at[i - 1], *point = &history->at[i];
		struct growth_counts counts = { 0 };

		add(&counts, before, point);
		if (counts.main_errors || counts.relocations)
			growth->last_error = point->at;
		/* what came between two points came when it was seen */
		for (int span = 0; span < NR_SPANS; span++)
			if (now - point->at < growth_span_seconds[span])
				add(&growth->span[span], before, point);
		if (counts.lost && now - point->at < 7 * DAY_SECONDS)
			lost_days |= 1U << (now - point->at) / DAY_SECONDS;
	}
	growth->lost_days = (unsigned int)__builtin_popcount(lost_days);
}

/* The points that a rate can be of: since slots were given back, or the spare was another one. */
static size_t first_of_growth(const struct history *history)
{
	for (size_t i = history->nr; i > 1; i--)
		if (taken(&history->at[i - 1]) < taken(&history->at[i - 2]) ||
		    history->at[i - 1].total != history->at[i - 2].total)
			return i - 1;
	return 0;
}

/**
 * struct rate - slots in a span of time
 * @seconds: the span
 * @slots: taken in it
 * @low: slots of a rate that is as low as can well be
 * @high: as high
 */
struct rate {
	double seconds;
	double slots;
	double low;
	double high;
};

#define NR_PARTS 8
/* Student's t for nine cases of ten, both sides, seven degrees of freedom. */
#define T_NINE_OF_TEN 1.895
/* The same of the normal distribution. */
#define Z_NINE_OF_TEN 1.645

/*
 * How far the sum may be off: as counts of independent things are, or, where they come in
 * bursts, as the parts of the span differ from each other.
 */
static double spread_of(const struct history_point *points, size_t nr, const struct rate *rate)
{
	double part[NR_PARTS] = { 0 }, mean = rate->slots / NR_PARTS, squares = 0, bursts;

	for (size_t i = 1; i < nr; i++) {
		double when = (double)(points[i].at - points[0].at) / rate->seconds;
		int at = (int)(when * NR_PARTS);

		part[at < NR_PARTS ? at : NR_PARTS - 1] +=
			(double)risen(taken(&points[i - 1]), taken(&points[i]));
	}
	for (int i = 0; i < NR_PARTS; i++)
		squares += (part[i] - mean) * (part[i] - mean);
	bursts = T_NINE_OF_TEN * sqrt(NR_PARTS * squares / (NR_PARTS - 1));
	return fmax(Z_NINE_OF_TEN * sqrt(rate->slots), bursts);
}

/* Of the points from @first on that are not older than @seconds; which kind that makes. */
static enum forecast_kind rate_of(const struct history *history, size_t first, uint64_t seconds,
				  struct rate *rate)
{
	uint64_t now = history->nr ? history->at[history->nr - 1].at : 0;
	const struct history_point *points;
	double off;
	size_t nr;

	*rate = (struct rate){ 0 };
	while (first < history->nr && now - history->at[first].at > seconds)
		first++;
	if (first == history->nr)
		return FORECAST_NO_POINTS;
	points = &history->at[first];
	nr = history->nr - first;
	rate->seconds = (double)(now - points[0].at);
	rate->slots = (double)risen(taken(&points[0]), taken(&points[nr - 1]));
	if (nr < FORECAST_POINTS || rate->seconds < FORECAST_SECONDS)
		return FORECAST_NO_POINTS;
	if (rate->slots < FORECAST_SLOTS)
		return FORECAST_NO_GROWTH;
	off = spread_of(points, nr, rate);
	rate->low = fmax(rate->slots - off, 0);
	rate->high = rate->slots + off;
	return FORECAST_RATE;
}

/* Seconds until @left slots are taken; 0: beyond any disk's life, so not known. */
static uint64_t seconds_for(double left, double slots, double seconds)
{
	double result = slots > 0 ? left / slots * seconds : INFINITY;

	return result < 100.0 * 365 * DAY_SECONDS ? (uint64_t)result : 0;
}

void forecast_of(const struct history *history, struct forecast *forecast)
{
	size_t first = first_of_growth(history);
	const struct history_point *last;
	struct rate month, week, *rate = &month;
	uint64_t left, until;

	*forecast = (struct forecast){ .kind = rate_of(history, first, 30 * DAY_SECONDS, &month) };
	if (rate_of(history, first, 7 * DAY_SECONDS, &week) == FORECAST_RATE &&
	    (forecast->kind != FORECAST_RATE ||
	     week.low / week.seconds > month.high / month.seconds)) {
		forecast->kind = FORECAST_RATE;
		rate = &week;
	}
	forecast->seconds = (uint64_t)rate->seconds;
	if (forecast->kind != FORECAST_RATE)
		return;
	last = &history->at[history->nr - 1];
	left = last->total > taken(last) ? last->total - taken(last) : 0;
	until = seconds_for((double)left, rate->slots, rate->seconds);
	if (!until && left) { /* not in a hundred years */
		forecast->kind = FORECAST_NO_GROWTH;
		return;
	}
	forecast->slots = (uint64_t)rate->slots;
	forecast->at = last->at + until;
	forecast->early = last->at + seconds_for((double)left, rate->high, rate->seconds);
	until = seconds_for((double)left, rate->low, rate->seconds);
	forecast->late = until || !left ? last->at + until : 0;
}

void forecast_describe(const struct forecast *forecast, char *text, size_t nr_bytes)
{
	uint64_t hours = forecast->seconds / 3600;

	if (forecast->kind == FORECAST_NO_POINTS)
		snprintf(text, nr_bytes,
			 "none: the history is too short (%" PRIu64 " hours; at least %d points "
			 "over %d hours are needed)",
			 hours, FORECAST_POINTS, FORECAST_SECONDS / 3600);
	else if (forecast->kind == FORECAST_NO_GROWTH)
		snprintf(text, nr_bytes,
			 "none: fewer than %d slots were taken in %" PRIu64 " hours",
			 FORECAST_SLOTS, hours);
	else if (forecast->late)
		snprintf(text, nr_bytes,
			 "the spare will be full about %.10s, with 90 %% probability from %.10s to "
			 "%.10s (%" PRIu64 " slots in %" PRIu64 " hours)",
			 date_of(forecast->at).text, date_of(forecast->early).text,
			 date_of(forecast->late).text, forecast->slots, hours);
	else
		snprintf(text, nr_bytes,
			 "the spare will be full about %.10s, with 90 %% probability not before "
			 "%.10s (%" PRIu64 " slots in %" PRIu64 " hours)",
			 date_of(forecast->at).text, date_of(forecast->early).text, forecast->slots,
			 hours);
}
