/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sectors of a set as they are called on a device above it: runs, each with the sector of the set
 * where it begins.  Pure.  Callers: lib/files, the verb.
 */
#ifndef DM_REMAP_RUNS_H
#define DM_REMAP_RUNS_H

#include "util/util.h"

/**
 * struct run - consecutive sectors
 * @at: first sector on the device
 * @nr: how many
 * @of_set: first sector on the set
 */
struct run {
	uint64_t at;
	uint64_t nr;
	uint64_t of_set;
};

/**
 * struct runs - runs in the order of @at, after runs_sort()
 * @at: them
 * @nr: how many
 * @room: for so many
 */
struct runs {
	struct run *at;
	size_t nr;
	size_t room;
};

void runs_done(struct runs *runs);
#define _cleanup_runs_ _cleanup_(runs_done)

/* At the end; runs that go on where the last one ends become one with it. */
int runs_add(struct runs *runs, uint64_t at, uint64_t nr, uint64_t of_set);
/* By @at; what is there twice is there once afterwards. */
int runs_sort(struct runs *runs);
uint64_t runs_count(const struct runs *runs);
/*
 * What lies in @first to @first + @nr - 1 goes from @from to the end of @to, where sector @first
 * is called @becomes.  @to: NULL: it is only removed.
 */
int runs_take(struct runs *from, uint64_t first, uint64_t nr, uint64_t becomes, struct runs *to);
/* What of @from does not lie in @known goes to @left; both are sorted. */
int runs_subtract(const struct runs *from, const struct runs *known, struct runs *left);
/* The first run that ends behind @at; @runs->nr: none. */
size_t runs_find(const struct runs *runs, uint64_t at);

#endif /* DM_REMAP_RUNS_H */
