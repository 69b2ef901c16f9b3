// SPDX-License-Identifier: GPL-2.0-only
/*
 * Soft state: counters on the spare.  Useful, but losable: they are saved by
 * the message `save`, on suspend and removal, and by a timer (autosave.c).
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>

#include "meta/internal.h"

static u32 soft_block(const struct remap_set *set)
{
	return 1 + remap_geometry(set)->table_blocks;
}

/**
 * remap_soft_load() - load the counters; none of them is needed to serve
 * @set: the set; its superblock and table are loaded
 *
 * The next number is above that of the counters, too, or the next save would not be found; but
 * one that is far above the table's is damage (C16).
 *
 * Context: remap_set.lock held, may sleep.
 */
void remap_soft_load(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	const struct remap_soft_disk *disk;
	struct remap_copies copies;
	int r;

	remap_read_blocks(set, remap_geometry(set), soft_block(set), 1);
	r = remap_judge(set, soft_block(set), 0, &copies);
	memcpy(meta->block[soft_block(set)].good_place, copies.choice.good_place,
	       sizeof(copies.choice.good_place));
	if (copies.choice.best < 0)
		return;
	/* Two contents of one number are no counters, and the number was used (C2). */
	meta->found = max(meta->found, copies.choice.seq);
	if (r || test_bit(REMAP_LOADED, &set->flags))
		return;
	disk = copies.data[copies.choice.best];
	remap_counters_load(&set->counters, disk);
	meta->saved.time = le64_to_cpu(disk->saved);
	meta->saved.sum = remap_counters_sum(&set->counters);
}

/**
 * remap_soft_save() - save the counters now, durably
 * @set: the set, active
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_soft_save(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	struct remap_soft_disk *disk = meta->image;
	u64 sum = remap_counters_sum(&set->counters);
	time64_t now = ktime_get_real_seconds();
	struct remap_event event = { .kind = DM_REMAP_EVENT_SAVED };
	int r;

	if (!remap_may_write(set))
		return -EROFS;

	remap_block_init(disk, REMAP_MAGIC_SOFT, meta->super.uuid, soft_block(set),
			 remap_next_seq(set));
	disk->saved = cpu_to_le64(now);
	remap_counters_save(&set->counters, disk);
	remap_block_seal(disk);

	r = remap_write_block(set, soft_block(set));
	if (r) {
		remap_count_up(set, REMAP_SAVES_FAILED);
		event.status = REMAP_STATUS_IOERR;
		remap_queue_event(set, &event);
		return r;
	}
	remap_count_up(set, REMAP_SAVES_OK);
	set->meta->saved.sum = sum;
	set->meta->saved.tried_at = jiffies;
	set->meta->saved.time = now;
	remap_queue_event(set, &event);
	/* A commit failed because of the flush alone, and the spare is well again. */
	if (test_bit(REMAP_META_FAIL, &set->flags) && !remap_has_doubt(set) &&
	    !remap_flush_spare(set))
		clear_bit(REMAP_META_FAIL, &set->flags);
	return 0;
}

/**
 * remap_ping_spare() - whether the spare takes a write of our own (D7)
 * @set: the set, active
 *
 * The counters go out; where their own place is bad, the superblock (C3 keeps each block at
 * its place).  Where both fail no commit can succeed, and the mode says so until one does.
 * Context: remap_set.lock held, may sleep.
 */
bool remap_ping_spare(struct remap_set *set)
{
	if (!remap_soft_save(set) || !remap_super_commit(set))
		return true;
	if (remap_may_write(set))
		set_bit(REMAP_META_FAIL, &set->flags);
	return false;
}

/**
 * remap_soft_is_due() - whether there is something to save, and it was not just tried
 * @set: the set
 * @interval: jiffies between two tries; this is one
 *
 * Context: remap_set.lock held.
 */
bool remap_soft_is_due(struct remap_set *set, unsigned long interval)
{
	if (remap_counters_sum(&set->counters) == set->meta->saved.sum &&
	    !test_bit(REMAP_META_FAIL, &set->flags))
		return false;
	if (time_before(jiffies, set->meta->saved.tried_at + interval))
		return false;
	set->meta->saved.tried_at = jiffies;
	return true;
}
