// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters of a set, and the one table of what each is called: on the spare, in netlink, and
 * in status and sysfs.  A new one is a line here and one in counters.h.
 */
#include <linux/stddef.h>

#include "base/counters.h"
#include "dm_remap.h"
#include "remap_format.h"

#define COUNTER(_name, _field, _attribute)				\
	{ .name = _name, .attribute = _attribute,			\
	  .disk_offset = offsetof(struct remap_soft_disk, _field) }

const struct remap_counter_info remap_counter_info[REMAP_NR_COUNTERS] = {
	[REMAP_READ_ERRORS] =
		COUNTER("read_errors", read_errors_main, DM_REMAP_A_READ_ERRORS),
	[REMAP_WRITE_ERRORS] =
		COUNTER("write_errors", write_errors_main, DM_REMAP_A_WRITE_ERRORS),
	[REMAP_SPARE_READ_ERRORS] =
		COUNTER("spare_read_errors", read_errors_spare, DM_REMAP_A_SPARE_READ_ERRORS),
	[REMAP_SPARE_WRITE_ERRORS] =
		COUNTER("spare_write_errors", write_errors_spare, DM_REMAP_A_SPARE_WRITE_ERRORS),
	[REMAP_FLUSH_ERRORS] = COUNTER("flush_errors", flush_errors, DM_REMAP_A_FLUSH_ERRORS),
	[REMAP_RELOCATIONS] = COUNTER("relocations", relocations, DM_REMAP_A_RELOCATIONS),
	[REMAP_REJECTED] = COUNTER("rejected", rejected, DM_REMAP_A_REJECTED),
	[REMAP_LOST_READS] = COUNTER("lost_reads", lost_reads, DM_REMAP_A_LOST_READS),
	[REMAP_SAVES_OK] = COUNTER("saves_ok", saves_ok, DM_REMAP_A_SAVES_OK),
	[REMAP_SAVES_FAILED] = COUNTER("saves_failed", saves_failed, DM_REMAP_A_SAVES_FAILED),
};

static __le64 *disk_field(struct remap_soft_disk *disk, unsigned int i)
{
	return (__le64 *)((char *)disk + remap_counter_info[i].disk_offset);
}

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
		atomic64_set(&counters->nr[i],
			     le64_to_cpu(*disk_field((struct remap_soft_disk *)disk, i)));
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
		*disk_field(disk, i) = cpu_to_le64(atomic64_read(&counters->nr[i]));
	/* The save that is under way counts in what it saves. */
	le64_add_cpu(disk_field(disk, REMAP_SAVES_OK), 1);
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
	for (i = 0; i < REMAP_SAVES_OK; i++)
		sum += atomic64_read(&counters->nr[i]);
	return sum;
}
