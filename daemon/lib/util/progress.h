/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far something long has come: the library counts, the command shows it
 * (dmremap/progress-line.c).  All functions take NULL for "not shown".
 */
#ifndef DM_REMAP_PROGRESS_H
#define DM_REMAP_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct progress - of one thing
 * @show: called after each step
 * @done: steps
 * @total: that are expected, 0: not known yet
 */
struct progress {
	void (*show)(struct progress *progress);
	uint64_t done;
	uint64_t total;
};

/* So many steps more are to come. */
static inline void progress_expect(struct progress *progress, uint64_t nr_steps)
{
	if (progress)
		progress->total += nr_steps;
}

static inline void progress_step(struct progress *progress)
{
	if (!progress)
		return;
	progress->done++;
	if (progress->show)
		progress->show(progress);
}

#endif /* DM_REMAP_PROGRESS_H */
