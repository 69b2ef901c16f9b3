// SPDX-License-Identifier: GPL-2.0-only
/*
 * Volatile caches of members that vanish (D10, O18).
 *
 * A member that is pulled out and put in again comes back as another block device, and
 * may have lost what was in its cache.  A new table brings it in, under a device that
 * has been open all the time: whoever wrote before would get a flush that succeeds, and
 * believe that his data is durable.  So if the old member had completed writes that no
 * flush covers, every flush, and every write with FUA (the commit of a journal), fails until
 * all who were there have closed the device, or an administrator says `accept_loss`.
 * Reading, and writing without such promises, go on.
 *
 * Where both tables have the same block device, it never went away, and its cache, as far
 * as anyone can know, did not either: as with a plain disk.
 *
 * Rules kept here:
 *   D10 a member that came back may have lost its cache: flushes fail until told
 */
#include <linux/blkdev.h>

#include "dm-remap.h"
#include "dm_remap.h"

#define LOST_POLL	(HZ / 5)

static bool is_open(const struct remap_set *set)
{
	return disk_openers(dm_disk(dm_table_get_md(set->ti->table))) > 0;
}

static bool was_replaced(const struct remap_set *set, const struct remap_member_id *id,
			 const struct dm_dev *dev, enum remap_member member)
{
	return id->disk_seq && remap_is_unflushed(set, member) && !remap_is_member(id, dev);
}

static void take_settings(struct remap_set *set, const struct remap_forebear *known)
{
	if (known->frozen)
		set_bit(REMAP_FROZEN, &set->flags);
	if (known->auto_off)
		set_bit(REMAP_AUTO_OFF, &set->flags);
	set->error_threshold = known->error_threshold;
	set->tokens = known->tokens;
	set->counters = known->counters;
}

/**
 * remap_take_over() - go on where the instance before this one stopped
 * @set: the set, loaded; forebear says what is known
 *
 * Context: preresume, remap_set.lock held.
 */
void remap_take_over(struct remap_set *set)
{
	const struct remap_forebear *known = &set->forebear;
	struct remap_note note = { .kind = DM_REMAP_EVENT_LOST_CACHE };
	/* Also without a new table: another medium in the same drive. */
	bool lost_main = was_replaced(set, &set->main_id, set->main, REMAP_MAIN);
	bool lost_spare = was_replaced(set, &set->spare_id, set->spare, REMAP_SPARE);

	/*
	 * What earlier owners of the spare left unflushed is unknown (D9).  Asked now, so that
	 * a spare which is lost before anybody flushes loses nothing that was theirs (D10).
	 */
	this_cpu_inc(set->flow.percpu->spare_writes);
	if (!test_bit(REMAP_READ_ONLY, &set->flags))
		remap_flush_spare(set);
	if (set->meta.super.flags & REMAP_SUPER_FROZEN)
		set_bit(REMAP_FROZEN, &set->flags);
	remap_forget_wills(set);
	remap_identify(set);
	lost_main |= known->unflushed_main && !remap_is_member(&known->main, set->main);
	lost_spare |= known->unflushed_spare && !remap_is_member(&known->spare, set->spare);
	/* Its cache goes on being as full as it was (D10). */
	if (known->unflushed_main && !lost_main)
		remap_uncount(remap_count(&set->flow, REMAP_BUCKET_ALL));
	/* An error that a flush of ours consumed is told all the same (D17). */
	set->flow.gate[REMAP_MAIN].owed |= known->owed[REMAP_MAIN];
	set->flow.gate[REMAP_SPARE].owed |= known->owed[REMAP_SPARE];
	if (known->known && !set->forebear_stale)
		take_settings(set, known);
	if (test_bit(REMAP_ALTERED, &set->flags)) {
		if (is_open(set))
			remap_refuse_altered(set);
		else
			clear_bit(REMAP_ALTERED, &set->flags);
	}
	if (!known->lost_cache && !lost_main && !lost_spare)
		return;
	/* Whoever opens it from now on knows of no write before. */
	if (!is_open(set))
		return;
	set_bit(REMAP_LOST_CACHE, &set->flags);
	if (known->lost_cache)
		return;
	note.member = lost_main ? DM_REMAP_MEMBER_MAIN : DM_REMAP_MEMBER_SPARE;
	remap_notify(set, &note);
	remap_err(set, "%s came back, and may have lost writes that no flush had covered: every flush fails until the device is closed, or the message accept_loss",
		  lost_main ? set->main->name : set->spare->name);
}

/**
 * remap_accept_loss() - flushes succeed again
 * @set: the set
 *
 * Context: may sleep.
 */
void remap_accept_loss(struct remap_set *set)
{
	if (test_and_clear_bit(REMAP_LOST_CACHE, &set->flags))
		remap_notice_mode(set);
}

/**
 * remap_watch_lost() - wait for the device to be closed, if it lost a cache
 * @set: the set
 *
 * Context: resume.
 */
void remap_watch_lost(struct remap_set *set)
{
	if (test_bit(REMAP_LOST_CACHE, &set->flags))
		queue_delayed_work(set->soft_wq, &set->lost_work, LOST_POLL);
}

/**
 * remap_lost_work() - see whether all who had the device open have closed it
 * @work: remap_set.lost_work
 */
void remap_lost_work(struct work_struct *work)
{
	struct remap_set *set = container_of(to_delayed_work(work), struct remap_set, lost_work);

	if (!test_bit(REMAP_LOST_CACHE, &set->flags))
		return;
	if (is_open(set)) {
		queue_delayed_work(set->soft_wq, &set->lost_work, LOST_POLL);
		return;
	}
	remap_info(set, "closed by all: flushes succeed again");
	remap_accept_loss(set);
}
