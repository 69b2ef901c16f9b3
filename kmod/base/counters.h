/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a set counts: counters.c.
 */
#ifndef DM_REMAP_COUNTERS_H
#define DM_REMAP_COUNTERS_H

#include <linux/atomic.h>
#include <linux/types.h>

struct remap_soft_disk;

/* REMAP_READ_ERRORS and so on, see dm_remap_counters.h */
enum remap_counter {
#define COUNTER(NAME, name, text) REMAP_##NAME,
#include "dm_remap_counters.h"
	REMAP_NR_COUNTERS,
};

/**
 * struct remap_counters - soft state; atomic because end_io counts too
 * @nr: by enum remap_counter
 */
struct remap_counters {
	atomic64_t nr[REMAP_NR_COUNTERS];
};

/**
 * struct remap_counter_info - what a counter is called
 * @name: key of status and file in sysfs
 * @attribute: enum dm_remap_attr
 */
struct remap_counter_info {
	const char *name;
	int attribute;
};

/* By enum remap_counter. */
extern const struct remap_counter_info remap_counter_info[REMAP_NR_COUNTERS];

void remap_counters_load(struct remap_counters *counters, const struct remap_soft_disk *disk);
void remap_counters_save(struct remap_counters *counters, struct remap_soft_disk *disk);
void remap_counters_clear(struct remap_counters *counters);
u64 remap_counters_sum(struct remap_counters *counters);

#endif
