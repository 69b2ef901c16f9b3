// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one table of a mapped device leaves to the next one: settings, counters, what it knows of
 * commits and errors, and what was in the volatile caches of members that vanish (D10, O18).
 *
 * device-mapper destroys a table that was replaced even when the new one could not be resumed:
 * then no table has inherited what it knew, and that is kept for the next table of the device.
 *
 * A member that is pulled out and put in again comes back as another block device, and
 * may have lost what was in its cache.  A new table brings it in, under a device that
 * has been open all the time: a program that wrote before would get a flush that succeeds, and
 * believe that his data is durable.  So if the old member had completed writes that no
 * flush covers, every flush, and every write with FUA (the commit of a journal), fails until
 * all who were there have closed the device, or an administrator says `accept_loss`.
 * Reading, and writing without such promises, go on.
 *
 * Where both tables have the same block device, it never went away, and its cache, as far
 * as anyone can know, did not either: as with a plain disk.
 *
 * Rules kept here:
 *   D10 a member that came back may have lost its cache: flushes fail until accepted
 */
#include <linux/blkdev.h>
#include <linux/slab.h>

#include "engine/engine.h"
#include "life/life.h"
#include "meta/meta.h"

#define LOST_POLL	(HZ / 5)

static LIST_HEAD(instances);	/* newest first */
static LIST_HEAD(wills);
/* protects both */
static DEFINE_MUTEX(handover_lock);

static struct remap_member_id member_id(const struct remap_set *set, enum remap_member member)
{
	struct block_device *bdev = (member == REMAP_MAIN ? set->main : set->spare)->bdev;

	return (struct remap_member_id){
		.disk_seq = bdev->bd_disk->diskseq,
		.start = get_start_sect(bdev),
	};
}

/* Whether a member is another device than it was; false where it is not known what it was. */
static bool was_replaced(const struct remap_member_id *id, const struct remap_set *set,
			 enum remap_member member)
{
	struct remap_member_id now = member_id(set, member);

	return id->disk_seq && (id->disk_seq != now.disk_seq || id->start != now.start);
}

static void describe(const struct remap_set *old, struct remap_handover *known)
{
	struct remap_report report;
	enum remap_member m;

	remap_meta_report(old, &report);
	known->md = dm_table_get_md(old->ti->table);
	known->md_seq = dm_disk(dm_table_get_md(old->ti->table))->diskseq;
	memcpy(known->uuid, remap_uuid(old), REMAP_UUID_BYTES);
	known->known = true;
	known->committed = report.committed;
	known->generation = report.last_seq;
	known->probe_failed = report.probe_failed;
	known->frozen = test_bit(REMAP_FROZEN, &old->flags);
	known->was_degraded = remap_has_been_degraded(old);
	known->numbers = remap_highest_own(old);
	known->altered = test_bit(REMAP_ALTERED, &old->flags);
	known->write_cache = old->write_cache;
	known->auto_off = test_bit(REMAP_AUTO_OFF, &old->flags);
	known->error_threshold = old->options.error_threshold;
	known->tokens = remap_tokens(old);
	known->counters = old->counters;
	known->lost_cache = test_bit(REMAP_LOST_CACHE, &old->flags);
	for (m = REMAP_MAIN; m < REMAP_NR_MEMBERS; m++) {
		known->id[m] = old->life->id[m];
		known->unflushed[m] = remap_is_unflushed(old, m);
		known->owed[m] = old->flow.gate[m].owed;
	}
}

/**
 * remap_add_instance() - a set exists
 * @set: the set
 *
 * Context: constructor, may sleep.
 */
void remap_add_instance(struct remap_set *set)
{
	mutex_lock(&handover_lock);
	list_add(&set->life->instances, &instances);
	mutex_unlock(&handover_lock);
}

static bool is_same_set(const struct remap_set *set, const u8 *uuid)
{
	return !memcmp(remap_uuid(set), uuid, REMAP_UUID_BYTES);
}

static bool is_open(const struct remap_set *set)
{
	return disk_openers(dm_disk(dm_table_get_md(set->ti->table))) > 0;
}

/* Where a mapped device is gone its memory may be another's: the number of its disk is not. */
static bool is_will_of(const struct remap_handover *will, const struct remap_set *set)
{
	struct mapped_device *md = dm_table_get_md(set->ti->table);

	return will->md == md && will->md_seq == dm_disk(md)->diskseq;
}

/* @all: those of other sets of the device, too.  handover_lock is held. */
static void drop_wills(const struct remap_set *set, bool all)
{
	struct remap_handover *will, *next;

	list_for_each_entry_safe(will, next, &wills, list) {
		if (!is_will_of(will, set) || !(all || is_same_set(set, will->uuid)))
			continue;
		list_del(&will->list);
		kfree(will);
	}
}

/**
 * remap_remove_instance() - a set is about to be freed
 * @set: the set
 *
 * device-mapper destroys a table that was replaced even when the new one could not be
 * resumed: then no table has inherited what this one knew of a lost cache and of commits
 * (D10), and it is kept for the next table of the same device.
 *
 * Context: destructor, may sleep; nothing is in flight.
 */
void remap_remove_instance(struct remap_set *set)
{
	bool alone = true, heir = false, newer = true;
	const struct remap_life *life;

	mutex_lock(&handover_lock);
	list_for_each_entry(life, &instances, instances) {
		const struct remap_set *other = life->set;

		newer &= other != set;
		if (!remap_is_same_device(set, other))
			continue;
		alone = false;
		/* One that was there before this one has nothing of it. */
		heir |= newer && test_bit(REMAP_LOADED, &other->flags) &&
			is_same_set(other, remap_uuid(set));
	}
	list_del_init(&set->life->instances);
	/* A device that is open gets other tables, of errors for instance, before ours is back. */
	if (alone && !is_open(set)) {
		drop_wills(set, true);
	} else if (!heir && test_bit(REMAP_LOADED, &set->flags)) {
		/* It has what an earlier will said: it took that over when it was loaded. */
		drop_wills(set, false);
		describe(set, set->life->will);
		list_add(&set->life->will->list, &wills);
		set->life->will = NULL;
	}
	mutex_unlock(&handover_lock);
}

/**
 * remap_forget_wills() - of devices that were removed by force
 *
 * Context: the module's exit.
 */
void remap_forget_wills(void)
{
	struct remap_handover *will, *next;

	list_for_each_entry_safe(will, next, &wills, list)
		kfree(will);
}

/**
 * remap_find_predecessor() - what the instance knew whose table this one replaces
 * @set: the set, its UUID known; the other one is suspended, and destroyed after this one
 *       is resumed
 *
 * Of several targets in one table it is the one with the same set.  Where that was
 * destroyed, because a table in between could not be resumed, its will is read.
 * Context: preresume, may sleep.
 */
void remap_find_predecessor(struct remap_set *set)
{
	struct remap_handover *known = &set->life->predecessor;
	const struct remap_life *life;
	const struct remap_handover *will;

	memset(known, 0, sizeof(*known));
	mutex_lock(&handover_lock);
	list_for_each_entry(life, &instances, instances) {
		const struct remap_set *old = life->set;

		if (!remap_is_same_device(set, old) || !test_bit(REMAP_LOADED, &old->flags) ||
		    !is_same_set(old, remap_uuid(set)))
			continue;
		describe(old, known);
		break;	/* the newest */
	}
	list_for_each_entry(will, &wills, list) {
		if (!known->known && is_will_of(will, set) && is_same_set(set, will->uuid))
			*known = *will;
	}
	/* One that is another device was unplugged, and another system may have had it. */
	known->was_degraded |= was_replaced(&known->id[REMAP_SPARE], set, REMAP_SPARE);
	mutex_unlock(&handover_lock);
}

/**
 * remap_take_over() - go on where the instance before this one stopped
 * @set: the set, loaded; predecessor says what is known
 *
 * Context: preresume, remap_set.lock held.
 */
void remap_take_over(struct remap_set *set)
{
	const struct remap_handover *known = &set->life->predecessor;
	struct remap_event event = { .kind = DM_REMAP_EVENT_LOST_CACHE };
	bool lost[REMAP_NR_MEMBERS];
	enum remap_member m;

	for (m = REMAP_MAIN; m < REMAP_NR_MEMBERS; m++) {
		/* Also without a new table: another medium in the same drive. */
		lost[m] = (known->unflushed[m] && was_replaced(&known->id[m], set, m)) ||
			  (remap_is_unflushed(set, m) && was_replaced(&set->life->id[m], set, m));
		set->life->id[m] = member_id(set, m);
		/* An error that a flush of ours consumed is owed, at the gate of now (D17). */
		remap_gate(set, m)->owed |= known->owed[m];
	}

	/*
	 * What earlier owners of the spare left unflushed is unknown (D9).  Asked now, so that
	 * a spare which is lost before a user flushes loses nothing that was theirs (D10).
	 */
	this_cpu_inc(set->flow.percpu->spare_writes);
	if (!test_bit(REMAP_READ_ONLY, &set->flags))
		remap_flush_spare(set);
	mutex_lock(&handover_lock);
	drop_wills(set, false);
	mutex_unlock(&handover_lock);
	/* Its cache is still as full as it was (D10). */
	if (known->unflushed[REMAP_MAIN] && !lost[REMAP_MAIN])
		remap_uncount(remap_count(&set->flow, REMAP_BUCKET_ALL));
	if (known->known && !set->life->predecessor_stale) {
		/* Also what the superblock does not say yet (E7). */
		assign_bit(REMAP_FROZEN, &set->flags, known->frozen);
		if (!set->options.has_write_cache)
			WRITE_ONCE(set->write_cache, known->write_cache);
		if (known->auto_off)
			set_bit(REMAP_AUTO_OFF, &set->flags);
		set->options.error_threshold = known->error_threshold;
		remap_set_tokens(set, known->tokens);
		set->counters = known->counters;
	}
	if (test_bit(REMAP_ALTERED, &set->flags)) {
		if (is_open(set))
			remap_refuse_altered(set);
		else
			clear_bit(REMAP_ALTERED, &set->flags);
	}
	if (!known->lost_cache && !lost[REMAP_MAIN] && !lost[REMAP_SPARE])
		return;
	/* A program that opens it from now on knows of no write before. */
	if (!is_open(set))
		return;
	set_bit(REMAP_LOST_CACHE, &set->flags);
	if (known->lost_cache)
		return;
	event.member = lost[REMAP_MAIN] ? DM_REMAP_MEMBER_MAIN : DM_REMAP_MEMBER_SPARE;
	remap_queue_event(set, &event);
	remap_err(set, "%s returned and may have lost writes: flushes fail until the device is closed or accept_loss",
		  lost[REMAP_MAIN] ? set->main->name : set->spare->name);
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
		queue_delayed_work(set->aux_wq, &set->life->lost_work, LOST_POLL);
}

/* See whether all who had the device open have closed it. */
static void lost_work(struct work_struct *work)
{
	struct remap_life *life = container_of(to_delayed_work(work), struct remap_life, lost_work);
	struct remap_set *set = life->set;

	if (!test_bit(REMAP_LOST_CACHE, &set->flags))
		return;
	if (is_open(set)) {
		queue_delayed_work(set->aux_wq, &set->life->lost_work, LOST_POLL);
		return;
	}
	remap_info(set, "device closed: flushes succeed again");
	remap_accept_loss(set);
}

/**
 * remap_life_init() - allocate
 * @set: the set
 *
 * Context: constructor.  Return: 0 or -ENOMEM; remap_life_exit() frees what was allocated.
 */
int remap_life_init(struct remap_set *set)
{
	struct remap_life *life = kzalloc(sizeof(*life), GFP_KERNEL);

	if (!life)
		return -ENOMEM;
	set->life = life;
	life->set = set;
	INIT_LIST_HEAD(&life->owners);
	INIT_LIST_HEAD(&life->instances);
	INIT_DELAYED_WORK(&life->autosave, remap_autosave);
	INIT_DELAYED_WORK(&life->lost_work, lost_work);
	life->will = kzalloc(sizeof(*life->will), GFP_KERNEL);
	return life->will ? 0 : -ENOMEM;
}

/**
 * remap_life_stop() - the timers stop
 * @set: the set, suspending or being removed
 *
 * Context: may sleep; without remap_set.lock.
 */
void remap_life_stop(struct remap_set *set)
{
	cancel_delayed_work_sync(&set->life->autosave);
	cancel_delayed_work_sync(&set->life->lost_work);
}

/**
 * remap_life_exit() - free
 * @set: the set; not in any list
 */
void remap_life_exit(struct remap_set *set)
{
	if (!set->life)
		return;
	kfree(set->life->will);
	kfree(set->life);
}
