/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Progress of a message that moves sectors: the kernel answers when all of it is done, and counts
 * the slots in use meanwhile.  A thread reads that number from sysfs, where nothing waits for a
 * disk, and shows it (progress-line.h).  Caller: verb-sectors.c.
 */
#ifndef DM_REMAP_PROGRESS_SLOTS_H
#define DM_REMAP_PROGRESS_SLOTS_H

#include <pthread.h>

#include "progress-line.h"
#include "system/dm.h"

/**
 * struct progress_slots - what is shown
 * @line: how
 * @path: of the number in sysfs
 * @before: what it was
 * @stop: an eventfd that ends the thread; -1: there is none
 * @thread: it
 */
struct progress_slots {
	struct progress_line line;
	char path[64];
	uint64_t before;
	int stop;
	pthread_t thread;
};

/* @total: slots that will be used, or free again.  Where no thread can be had nothing is shown. */
void progress_slots_begin(struct progress_slots *slots, const struct invocation *invocation,
			  const struct dm_device *device, const char *what, uint64_t total);
void progress_slots_end(struct progress_slots *slots);

#endif /* DM_REMAP_PROGRESS_SLOTS_H */
