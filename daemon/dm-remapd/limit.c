// SPDX-License-Identifier: GPL-2.0-or-later
#include "limit.h"

static void begin(struct limit *limit, uint64_t now)
{
	limit->started = now;
	limit->nr_reported = 0;
	limit->nr_suppressed = 0;
}

static bool is_known(const struct limit *limit, uint64_t now, uint64_t sector)
{
	for (unsigned int i = 0; i < LIMIT_PLACES && sector != LIMIT_NO_SECTOR; i++)
		if (limit->place[i].reported_at && limit->place[i].sector == sector &&
		    now - limit->place[i].reported_at < LIMIT_PLACE_SECONDS)
			return true;
	return false;
}

bool limit_take(struct limit *limit, uint64_t now, uint64_t sector)
{
	if (is_known(limit, now, sector)) {
		if (!limit->nr_repeats++)
			limit->repeats_since = now;
		return false;
	}
	/* what was suppressed in the period before is reported by limit_over() first */
	if (!limit->nr_suppressed && now - limit->started >= LIMIT_SECONDS)
		begin(limit, now);
	if (sector != LIMIT_NO_SECTOR && !limit->nr_suppressed && limit->nr_reported < LIMIT_BURST)
		limit->place[limit->next_place++ % LIMIT_PLACES] =
			(struct limit_place){ sector, now ? now : 1 };
	if (!limit->nr_suppressed && limit->nr_reported < LIMIT_BURST) {
		limit->nr_reported++;
		return true;
	}
	if (!limit->nr_suppressed || sector < limit->first)
		limit->first = sector;
	if (!limit->nr_suppressed || sector > limit->last)
		limit->last = sector;
	limit->nr_suppressed++;
	return false;
}

bool limit_over(struct limit *limit, uint64_t now, struct limit *over)
{
	if (!limit->nr_suppressed || now - limit->started < LIMIT_SECONDS)
		return false;
	*over = *limit;
	begin(limit, now);
	return true;
}

bool limit_repeats(struct limit *limit, uint64_t now, uint64_t *nr)
{
	if (!limit->nr_repeats || now - limit->repeats_since < LIMIT_PLACE_SECONDS)
		return false;
	*nr = limit->nr_repeats;
	limit->nr_repeats = 0;
	return true;
}
