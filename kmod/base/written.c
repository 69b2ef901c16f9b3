// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which areas of main a failed flush may have lost, where main is not written through (D18).
 *
 * A flush that fails does not say which write is gone.  Known is which areas of main
 * were written since the last flush that succeeded: these are suspect, and a work item of
 * the layers above reads them (scan.c).
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include "base/set.h"
#include "base/written.h"

/* An area is 1 MiB, or as much more as keeps their number below this. */
#define MAX_AREAS	65536
#define MIN_SHIFT	11

/**
 * remap_scan_written() - a write is about to be acknowledged that is in main's cache only
 * @set: the set
 * @sector: first sector of main
 * @nr_sectors: at least one
 *
 * Context: any.  Before it is reported, so that a flush sent afterwards finds it.
 */
void remap_scan_written(struct remap_set *set, u64 sector, u32 nr_sectors)
{
	struct remap_scan *scan = set->scan;
	u32 area, last = (sector + nr_sectors - 1) >> scan->shift;

	for (area = sector >> scan->shift; area <= last; area++) {
		if (!test_bit(area, scan->written))
			set_bit(area, scan->written);
	}
	/* Pairs with the xchg() in remap_scan_begin(). */
	smp_mb__after_atomic();
}

/**
 * remap_scan_begin() - a flush of main is about to be sent
 * @set: the set
 *
 * Context: main's gate is held.
 */
void remap_scan_begin(struct remap_set *set)
{
	struct remap_scan *scan = set->scan;
	u32 i;

	for (i = 0; i < BITS_TO_LONGS(scan->nr_areas); i++) {
		if (READ_ONCE(scan->written[i]))
			scan->flushing[i] |= xchg(&scan->written[i], 0);
	}
}

/**
 * remap_scan_end() - a flush of main is over
 * @set: the set
 * @failed: and what it lost is unknown
 *
 * Context: main's gate is held.
 */
void remap_scan_end(struct remap_set *set, bool failed)
{
	struct remap_scan *scan = set->scan;
	u32 area;

	if (failed) {
		for_each_set_bit(area, scan->flushing, scan->nr_areas)
			set_bit(area, scan->suspect);
		/* It may have reported what came after it was sent, too. */
		for_each_set_bit(area, scan->written, scan->nr_areas)
			set_bit(area, scan->suspect);
		queue_work(set->aux_wq, &scan->work);
	}
	bitmap_zero(scan->flushing, scan->nr_areas);
}

/**
 * remap_scan_init() - allocate
 * @set: the set
 * @work: reads what is suspect
 *
 * Context: constructor.  Return: 0 or -ENOMEM; remap_scan_exit() frees what was allocated.
 */
int remap_scan_init(struct remap_set *set, work_func_t work)
{
	struct remap_scan *scan = kzalloc(sizeof(*scan), GFP_KERNEL);

	if (!scan)
		return -ENOMEM;
	set->scan = scan;
	scan->set = set;
	scan->shift = MIN_SHIFT;
	while ((set->ti->len - 1) >> scan->shift >= MAX_AREAS)
		scan->shift++;
	scan->nr_areas = ((set->ti->len - 1) >> scan->shift) + 1;
	INIT_WORK(&scan->work, work);
	scan->written = bitmap_zalloc(scan->nr_areas, GFP_KERNEL);
	scan->flushing = bitmap_zalloc(scan->nr_areas, GFP_KERNEL);
	scan->suspect = bitmap_zalloc(scan->nr_areas, GFP_KERNEL);
	scan->buffer = kmalloc(REMAP_SCAN_SECTORS << SECTOR_SHIFT, GFP_KERNEL);
	return scan->written && scan->flushing && scan->suspect && scan->buffer ? 0 : -ENOMEM;
}

/**
 * remap_scan_stop() - wait until nothing is read any more
 * @set: the set, suspending or being removed
 *
 * Context: may sleep; without remap_set.lock.
 */
void remap_scan_stop(struct remap_set *set)
{
	cancel_work_sync(&set->scan->work);
}

/**
 * remap_scan_resume() - go on with what was left
 * @set: the set
 *
 * Context: any that may queue work.
 */
void remap_scan_resume(struct remap_set *set)
{
	if (!bitmap_empty(set->scan->suspect, set->scan->nr_areas))
		queue_work(set->aux_wq, &set->scan->work);
}

/**
 * remap_scan_exit() - free
 * @set: the set
 */
void remap_scan_exit(struct remap_set *set)
{
	struct remap_scan *scan = set->scan;

	if (!scan)
		return;
	bitmap_free(scan->written);
	bitmap_free(scan->flushing);
	bitmap_free(scan->suspect);
	kfree(scan->buffer);
	kfree(scan);
}
