// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>

#include "files/runs.h"

void runs_done(struct runs *runs)
{
	free(runs->at);
	*runs = (struct runs){ NULL, 0, 0 };
}

int runs_add(struct runs *runs, uint64_t at, uint64_t nr, uint64_t of_set)
{
	struct run *last = runs->nr ? &runs->at[runs->nr - 1] : NULL;

	if (!nr)
		return 0;
	if (last && last->at + last->nr == at && last->of_set + last->nr == of_set) {
		last->nr += nr;
		return 0;
	}
	if (runs->nr == runs->room) {
		size_t room = runs->room ? runs->room * 2 : 64;
		struct run *bigger = reallocarray(runs->at, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		runs->at = bigger;
		runs->room = room;
	}
	runs->at[runs->nr++] = (struct run){ at, nr, of_set };
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct run *one = a, *other = b;

	return one->at < other->at ? -1 : one->at > other->at;
}

int runs_sort(struct runs *runs)
{
	struct runs sorted = { NULL, 0, 0 };
	uint64_t end = 0;
	int r = 0;

	if (runs->nr)
		qsort(runs->at, runs->nr, sizeof(*runs->at), compare);
	for (size_t i = 0; !r && i < runs->nr; i++) {
		struct run *run = &runs->at[i];
		uint64_t known = i && run->at < end ? end - run->at : 0;

		if (known >= run->nr)
			continue;
		r = runs_add(&sorted, run->at + known, run->nr - known, run->of_set + known);
		end = run->at + run->nr;
	}
	free(runs->at);
	*runs = sorted;
	return r;
}

uint64_t runs_count(const struct runs *runs)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < runs->nr; i++)
		nr += runs->at[i].nr;
	return nr;
}

/* The part of @run in front of @first, in it, and behind its @end. */
static int cut(const struct run *run, uint64_t first, uint64_t end, uint64_t becomes,
	       struct runs *left, struct runs *to)
{
	uint64_t run_end = run->at + run->nr;
	uint64_t from = run->at > first ? run->at : first, until = run_end < end ? run_end : end;
	int r;

	if (from >= until)
		return runs_add(left, run->at, run->nr, run->of_set);
	r = runs_add(left, run->at, from - run->at, run->of_set);
	if (!r && to)
		r = runs_add(to, from - first + becomes, until - from,
			     run->of_set + (from - run->at));
	return r ?: runs_add(left, until, run_end - until, run->of_set + (until - run->at));
}

int runs_take(struct runs *from, uint64_t first, uint64_t nr, uint64_t becomes, struct runs *to)
{
	uint64_t end = nr > UINT64_MAX - first ? UINT64_MAX : first + nr;
	struct runs left = { NULL, 0, 0 };
	int r = 0;

	for (size_t i = 0; !r && i < from->nr; i++)
		r = cut(&from->at[i], first, end, becomes, &left, to);
	free(from->at);
	*from = left;
	return r;
}

int runs_subtract(const struct runs *from, const struct runs *known, struct runs *left)
{
	size_t k = 0;
	int r = 0;

	for (size_t i = 0; !r && i < from->nr; i++) {
		const struct run *run = &from->at[i];
		uint64_t at = run->at, end = run->at + run->nr;

		while (!r && at < end) {
			uint64_t next = end;

			while (k < known->nr && known->at[k].at + known->at[k].nr <= at)
				k++;
			if (k < known->nr && known->at[k].at < end)
				next = known->at[k].at > at ? known->at[k].at : at;
			r = runs_add(left, at, next - at, run->of_set + (at - run->at));
			at = next < end ? known->at[k].at + known->at[k].nr : end;
		}
	}
	return r;
}

size_t runs_find(const struct runs *runs, uint64_t at)
{
	size_t low = 0, high = runs->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (runs->at[middle].at + runs->at[middle].nr > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}
