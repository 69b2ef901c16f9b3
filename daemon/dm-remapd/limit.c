// SPDX-License-Identifier: GPL-2.0-or-later
#include "limit.h"

bool limit_take(struct limit *limit, uint64_t now, uint64_t sector)
{
	/* what was held back in the while before is told by limit_over() first */
	if (!limit->nr_held && now - limit->started >= LIMIT_SECONDS)
		*limit = (struct limit){ .started = now };
	if (!limit->nr_held && limit->nr_told < LIMIT_BURST) {
		limit->nr_told++;
		return true;
	}
	if (!limit->nr_held || sector < limit->first)
		limit->first = sector;
	if (!limit->nr_held || sector > limit->last)
		limit->last = sector;
	limit->nr_held++;
	return false;
}

bool limit_over(struct limit *limit, uint64_t now, struct limit *over)
{
	if (!limit->nr_held || now - limit->started < LIMIT_SECONDS)
		return false;
	*over = *limit;
	*limit = (struct limit){ .started = now };
	return true;
}
