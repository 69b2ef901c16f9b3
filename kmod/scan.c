// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a failed flush may have lost, where main is not written through (D18).
 *
 * A flush that fails does not say which write is gone.  Known is which areas of main
 * were written since the last flush that succeeded.  They are read in the
 * background; sectors that cannot be read are remapped as lost, so they read as
 * errors and never as old data, and the application's next try ends on the spare.
 * A disk that gives back old data instead of an error cannot be found out.
 *
 * A crash in the middle forgets the areas: who flushed was told, and what cannot be
 * read goes on being an error.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dm-remap.h"

/* An area is 1 MiB, or as much more as keeps their number below this. */
#define MAX_AREAS	65536
#define MIN_SHIFT	11
#define SCAN_SECTORS	128U

/**
 * struct remap_scan - areas of main by what is known of what was written there
 * @set: the set
 * @shift: log2 of the sectors of an area
 * @nr_areas: bits in each of the following
 * @written: since the last flush began; set from end_io
 * @flushing: since the last flush that succeeded; under the gate's mutex
 * @suspect: a flush of them failed; bits are set under the gate's mutex
 * @buffer: SCAN_SECTORS long
 * @bio: for the reads
 * @vecs: of it
 * @work: reads the suspects
 */
struct remap_scan {
	struct remap_set *set;
	unsigned int shift;
	u32 nr_areas;
	unsigned long *written;
	unsigned long *flushing;
	unsigned long *suspect;
	void *buffer;
	struct bio bio;
	struct bio_vec vecs[SCAN_SECTORS * SECTOR_SIZE / PAGE_SIZE];
	struct work_struct work;
};

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
 * @failed: and nobody knows what it lost
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
		/* It may have been told of what came after it was sent, too. */
		for_each_set_bit(area, scan->written, scan->nr_areas)
			set_bit(area, scan->suspect);
		queue_work(set->soft_wq, &scan->work);
	}
	bitmap_zero(scan->flushing, scan->nr_areas);
}

static bool can_read(struct remap_scan *scan, u64 sector, u32 nr_sectors)
{
	struct remap_set *set = scan->set;
	u32 at;
	int r;

	bio_init(&scan->bio, set->main->bdev, scan->vecs, ARRAY_SIZE(scan->vecs), REQ_OP_READ);
	scan->bio.bi_iter.bi_sector = sector;
	for (at = 0; at < nr_sectors; at += PAGE_SECTORS)
		__bio_add_page(&scan->bio, virt_to_page(scan->buffer + (at << SECTOR_SHIFT)),
			       min_t(u32, PAGE_SECTORS, nr_sectors - at) << SECTOR_SHIFT, 0);
	r = submit_bio_wait(&scan->bio);
	bio_uninit(&scan->bio);
	return r != -EIO && r != -ENODATA;
}

static bool may_go_on(const struct remap_set *set)
{
	/* Nor does it remap anything by itself while nothing else does (E7). */
	return test_bit(REMAP_ACTIVE, &set->flags) &&
	       !(READ_ONCE(set->flags) & (BIT(REMAP_SUSPENDING) | BIT(REMAP_FROZEN) |
					  BIT(REMAP_AUTO_OFF))) && remap_may_write(set);
}

static void one_range(const struct remap_request *request, u32 index, u64 *sector,
		      u64 *nr_sectors)
{
	const u64 *range = request->data;

	*sector = range[0];
	*nr_sectors = range[1];
}

/* Between two probes, which is where main's several disks are told apart, too (E9). */
static void make_lost(struct remap_set *set, u64 sector, u64 nr_sectors)
{
	u64 range[] = { sector, nr_sectors };
	struct remap_request request = {
		.nr_ranges = 1, .range = one_range, .data = range, .cause = REMAP_CAUSE_RESCUE,
	};

	remap_do_request(set, &request);
}

static bool is_alive(struct remap_set *set)
{
	bool alive;

	mutex_lock(&set->lock);
	alive = may_go_on(set) && remap_main_alive(set) && remap_take_token(set);
	mutex_unlock(&set->lock);
	return alive;
}

/* A disk fails by physical blocks: those of a chunk that cannot be read, one by one. */
static void scan_chunk(struct remap_scan *scan, u64 sector, u32 nr_sectors)
{
	struct remap_set *set = scan->set;
	u32 unit = min_t(u32, REMAP_CHUNK_SECTORS,
			 bdev_physical_block_size(set->main->bdev) >> SECTOR_SHIFT);
	u32 at, nr;

	if (can_read(scan, sector, nr_sectors))
		return;
	for (at = 0; at < nr_sectors && may_go_on(set); at += nr) {
		nr = min(unit, nr_sectors - at);
		/* Main may have been away for a moment; what fails again is lost. */
		if (!can_read(scan, sector + at, nr) && is_alive(set) &&
		    !can_read(scan, sector + at, nr))
			make_lost(set, sector + at, nr);
	}
}

static void scan_area(struct remap_scan *scan, u32 area)
{
	struct remap_set *set = scan->set;
	u64 sector = (u64)area << scan->shift;
	u64 end = min_t(u64, sector + (1ULL << scan->shift), set->ti->len);
	u32 nr, at;

	for (; sector < end && may_go_on(set); sector += nr) {
		nr = min_t(u64, SCAN_SECTORS, end - sector);
		if (can_read(scan, sector, nr))
			continue;
		for (at = 0; at < nr; at += REMAP_CHUNK_SECTORS)
			scan_chunk(scan, sector + at, min_t(u32, REMAP_CHUNK_SECTORS, nr - at));
		cond_resched();
	}
}

static void scan_work(struct work_struct *work)
{
	struct remap_scan *scan = container_of(work, struct remap_scan, work);
	u32 area;

	for_each_set_bit(area, scan->suspect, scan->nr_areas) {
		if (!may_go_on(scan->set))
			return;
		clear_bit(area, scan->suspect);
		scan_area(scan, area);
		if (!may_go_on(scan->set))
			set_bit(area, scan->suspect);
	}
}

/**
 * remap_scan_init() - allocate
 * @set: the set
 *
 * Context: constructor.  Return: 0 or -ENOMEM; remap_scan_exit() frees what was allocated.
 */
int remap_scan_init(struct remap_set *set)
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
	INIT_WORK(&scan->work, scan_work);
	scan->written = bitmap_zalloc(scan->nr_areas, GFP_KERNEL);
	scan->flushing = bitmap_zalloc(scan->nr_areas, GFP_KERNEL);
	scan->suspect = bitmap_zalloc(scan->nr_areas, GFP_KERNEL);
	scan->buffer = kmalloc(SCAN_SECTORS << SECTOR_SHIFT, GFP_KERNEL);
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
		queue_work(set->soft_wq, &set->scan->work);
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
