// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a failed flush may have lost, where main is not written through (D18): the areas that
 * written.c calls suspect are read in the background; sectors that cannot be read are remapped
 * as lost, so they read as errors and never as old data, and the application's next try ends on
 * the spare.  A disk that gives back old data instead of an error cannot be found out.
 *
 * A crash in the middle, or another table, forgets the areas: the flush reported it, and what
 * cannot be read stays an error.  An application that writes it again has it fail at the next
 * flush, and scanned again.
 */
#include <linux/mm.h>

#include "engine/internal.h"
#include "base/written.h"

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
	alive = may_go_on(set) && remap_ping_main(set) && remap_take_token(set);
	remap_unlock(set);
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
		nr = min_t(u64, REMAP_SCAN_SECTORS, end - sector);
		if (can_read(scan, sector, nr))
			continue;
		for (at = 0; at < nr; at += REMAP_CHUNK_SECTORS)
			scan_chunk(scan, sector + at, min_t(u32, REMAP_CHUNK_SECTORS, nr - at));
		cond_resched();
	}
}

/**
 * remap_scan_work() - read the areas that are suspect
 * @work: remap_scan.work
 *
 * Runs on remap_set.aux_wq.
 */
void remap_scan_work(struct work_struct *work)
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

