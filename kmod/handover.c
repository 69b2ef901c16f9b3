// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one table of a mapped device leaves to the next one: settings, counters, what it knows of
 * commits and errors, and what was in the volatile caches of members that vanish (D10, O18).
 *
 * device-mapper destroys a table that was replaced even when the new one could not be resumed:
 * then nobody has inherited what it knew, and that is kept for the next table of the device.
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

static LIST_HEAD(instances);	/* newest first */
static LIST_HEAD(wills);
/* protects both */
static DEFINE_MUTEX(handover_lock);

/* What a set knew that was destroyed while no other one of its device had inherited it. */
static struct remap_member_id member_id(const struct dm_dev *dev)
{
	return (struct remap_member_id){
		.disk_seq = dev->bdev->bd_disk->diskseq,
		.start = get_start_sect(dev->bdev),
	};
}

struct remap_will {
	struct list_head list;
	const struct mapped_device *md;
	u8 uuid[REMAP_UUID_BYTES];
	struct remap_forebear known;
};

static void describe(const struct remap_set *old, struct remap_forebear *known)
{
	known->known = true;
	known->committed = old->meta.committed;
	known->frozen = test_bit(REMAP_FROZEN, &old->flags);
	known->was_degraded = remap_has_been_degraded(old);
	known->numbers = remap_highest_own(old);
	known->altered = test_bit(REMAP_ALTERED, &old->flags);
	known->auto_off = test_bit(REMAP_AUTO_OFF, &old->flags);
	known->error_threshold = old->error_threshold;
	known->tokens = old->tokens;
	known->counters = old->counters;
	known->probe_failed = old->meta.probe_failed;
	known->lost_cache = test_bit(REMAP_LOST_CACHE, &old->flags);
	known->main = old->main_id;
	known->spare = old->spare_id;
	known->generation = old->meta.generation;
	known->unflushed_main = remap_is_unflushed(old, REMAP_MAIN);
	known->unflushed_spare = remap_is_unflushed(old, REMAP_SPARE);
	known->owed[REMAP_MAIN] = old->flow.gate[REMAP_MAIN].owed;
	known->owed[REMAP_SPARE] = old->flow.gate[REMAP_SPARE].owed;
}

/**
 * remap_add_instance() - a set exists
 * @set: the set
 *
 * Context: constructor, may sleep.  Return: 0 or -ENOMEM.
 */
int remap_add_instance(struct remap_set *set)
{
	set->will = kzalloc(sizeof(*set->will), GFP_KERNEL);
	if (!set->will)
		return -ENOMEM;
	mutex_lock(&handover_lock);
	list_add(&set->instances, &instances);
	mutex_unlock(&handover_lock);
	return 0;
}

static void drop_wills(const struct remap_set *set, const u8 *uuid)
{
	struct mapped_device *md = dm_table_get_md(set->ti->table);
	struct remap_will *will, *next;

	list_for_each_entry_safe(will, next, &wills, list) {
		if (will->md != md || (uuid && memcmp(will->uuid, uuid, REMAP_UUID_BYTES)))
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
 * resumed: then nobody has inherited what this one knew of a lost cache and of commits
 * (D10), and it is kept for the next table of the same device.
 *
 * Context: destructor, may sleep; nothing is in flight.
 */
void remap_remove_instance(struct remap_set *set)
{
	struct remap_will *old, *will = set->will;
	bool alone = true, heir = false, newer = true;
	const struct remap_set *other;

	mutex_lock(&handover_lock);
	list_for_each_entry(other, &instances, instances) {
		newer &= other != set;
		if (!remap_is_same_device(set, other))
			continue;
		alone = false;
		/* One that was there before this one has nothing of it. */
		heir |= newer && test_bit(REMAP_LOADED, &other->flags) &&
			remap_is_same_set(other, set->meta.super.uuid);
	}
	list_del_init(&set->instances);
	if (alone) {
		drop_wills(set, NULL);
	} else if (!heir && test_bit(REMAP_LOADED, &set->flags)) {
		will->md = dm_table_get_md(set->ti->table);
		memcpy(will->uuid, set->meta.super.uuid, REMAP_UUID_BYTES);
		describe(set, &will->known);
		/* That of a later one, which died before this one. */
		list_for_each_entry(old, &wills, list) {
			if (old->md != will->md || !remap_is_same_set(set, old->uuid) ||
			    old->known.generation < will->known.generation)
				continue;
			old->known.lost_cache |= will->known.lost_cache;
			old->known.owed[REMAP_MAIN] |= will->known.owed[REMAP_MAIN];
			old->known.owed[REMAP_SPARE] |= will->known.owed[REMAP_SPARE];
			old->known.altered |= will->known.altered;
			if (will->known.was_degraded && !old->known.was_degraded)
				old->known.numbers = will->known.numbers;
			old->known.was_degraded |= will->known.was_degraded;
			will->known = old->known;
		}
		drop_wills(set, set->meta.super.uuid);
		list_add(&will->list, &wills);
		set->will = NULL;
	}
	mutex_unlock(&handover_lock);
	kfree(set->will);
	set->will = NULL;
}

/**
 * remap_find_forebear() - what the instance knew whose table this one replaces
 * @set: the set, its UUID known; the other one is suspended, and destroyed after this one
 *       is resumed
 *
 * Of several targets in one table it is the one with the same set.  Where that was
 * destroyed, because a table in between could not be resumed, its will is read.
 * Context: preresume, may sleep.
 */
void remap_find_forebear(struct remap_set *set)
{
	struct mapped_device *md = dm_table_get_md(set->ti->table);
	struct remap_forebear *known = &set->forebear;
	const struct remap_set *old;
	const struct remap_will *will;

	memset(known, 0, sizeof(*known));
	mutex_lock(&handover_lock);
	list_for_each_entry(old, &instances, instances) {
		if (!remap_is_same_device(set, old) || !test_bit(REMAP_LOADED, &old->flags) ||
		    !remap_is_same_set(old, set->meta.super.uuid))
			continue;
		describe(old, known);
		break;	/* the newest */
	}
	list_for_each_entry(will, &wills, list) {
		if (!known->known && will->md == md && remap_is_same_set(set, will->uuid))
			*known = will->known;
	}
	mutex_unlock(&handover_lock);
}

/**
 * remap_identify() - which devices the members are now
 * @set: the set
 *
 * Kept until the next resume: what changes its medium in between is another one then.
 * Context: preresume.
 */
void remap_identify(struct remap_set *set)
{
	set->main_id = member_id(set->main);
	set->spare_id = member_id(set->spare);
}

/**
 * remap_is_member() - whether a member is still the device that it was
 * @id: the device that it was
 * @dev: this set's
 *
 * Context: any.
 */
bool remap_is_member(const struct remap_member_id *id, const struct dm_dev *dev)
{
	struct remap_member_id now = member_id(dev);

	return id->disk_seq == now.disk_seq && id->start == now.start;
}

/**
 * remap_forget_wills() - this set has inherited
 * @set: the set, loaded
 *
 * Context: preresume, may sleep.
 */
void remap_forget_wills(const struct remap_set *set)
{
	mutex_lock(&handover_lock);
	drop_wills(set, set->meta.super.uuid);
	mutex_unlock(&handover_lock);
}

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
