/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sets that `dmremap top` looks at: what the kernel says of each, again and again. */
#ifndef DM_REMAP_TOP_SETS_H
#define DM_REMAP_TOP_SETS_H

#include "system/dm.h"
#include "top-view.h"

#define TOP_SETS_MAX 256

/**
 * struct watched - a set that is looked at
 * @device: as it is now
 * @stats: of its I/O; NULL: there are none
 * @counts: at the last look
 * @nr_errors: the same
 * @is_seen: at the present look
 * @view: what is shown
 */
struct watched {
	struct dm_device device;
	struct io_stats *stats;
	struct io_counts counts;
	uint64_t nr_errors;
	bool is_seen;
	struct top_set view;
};

/**
 * struct top_sets - all of them
 * @at: the sets
 * @nr: how many
 * @only: the name of the only one that is wanted; NULL: all
 */
struct top_sets {
	struct watched at[TOP_SETS_MAX];
	size_t nr;
	const char *only;
};

/* Sets that came are looked at from now on; of those that have gone statistics end. */
int top_sets_look(struct top_sets *sets, struct error *error);
void top_sets_done(struct top_sets *sets);

#endif /* DM_REMAP_TOP_SETS_H */
