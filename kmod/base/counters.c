// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters of a set, as dm_remap_counters.h lists them.
 */
#include "base/counters.h"
#include "dm_remap.h"
#include "remap_format.h"

const struct remap_counter_info remap_counter_info[REMAP_NR_COUNTERS] = {
#define COUNTER(NAME, name, text) { #name, DM_REMAP_A_##NAME },
#include "dm_remap_counters.h"
};

static_assert(REMAP_NR_COUNTERS <= REMAP_COUNTERS_MAX);

/**
 * remap_counters_load() - take the counters of soft state
 * @counters: are set
 * @disk: a valid block
 *
 * Context: any.
 */
void remap_counters_load(struct remap_counters *counters, const struct remap_soft_disk *disk)
{
	unsigned int i;

	for (i = 0; i < REMAP_NR_COUNTERS; i++)
		atomic64_set(&counters->nr[i], le64_to_cpu(disk->counter[i]));
}

/**
 * remap_counters_save() - put the counters into soft state
 * @counters: the counters
 * @disk: is filled
 *
 * Context: any.
 */
void remap_counters_save(struct remap_counters *counters, struct remap_soft_disk *disk)
{
	unsigned int i;

	for (i = 0; i < REMAP_NR_COUNTERS; i++)
		disk->counter[i] = cpu_to_le64(atomic64_read(&counters->nr[i]));
	/* The save that is under way counts in what it saves. */
	le64_add_cpu(&disk->counter[REMAP_SAVES_OK], 1);
}

/**
 * remap_counters_clear() - start counting anew
 * @counters: the counters
 *
 * What is counted at the same moment may be lost.  Context: any.
 */
void remap_counters_clear(struct remap_counters *counters)
{
	unsigned int i;

	for (i = 0; i < REMAP_NR_COUNTERS; i++)
		atomic64_set(&counters->nr[i], 0);
}

/**
 * remap_counters_sum() - a number that changes whenever a counter worth saving does
 * @counters: the counters
 *
 * Context: any.
 */
u64 remap_counters_sum(struct remap_counters *counters)
{
	unsigned int i;
	u64 sum = 0;

	/* Unsigned: what was loaded may be anything. */
	for (i = 0; i < REMAP_NR_COUNTERS; i++)
		if (i != REMAP_SAVES_OK && i != REMAP_SAVES_FAILED)
			sum += atomic64_read(&counters->nr[i]);
	return sum;
}
