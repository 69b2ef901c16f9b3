// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns which devices: from preresume to postsuspend a set has its spare region and its
 * main device to itself (D12, O8), and its UUID: two paths to one disk, or a disk and its
 * copy, are two devices with one set.  Device-mapper alone would let two mapped devices
 * share them.
 *
 * Rules kept here:
 *   D12 owned from preresume to postsuspend; a failed preresume leaves the media alone
 */
#include "dm-remap.h"

static LIST_HEAD(owners);
static LIST_HEAD(instances);	/* newest first */
static LIST_HEAD(wills);
static unsigned int owners_generation;
/*
 * protects owners, owners_generation, instances and wills; inside it only device-mapper's
 * lock of names
 */
static DEFINE_MUTEX(owners_lock);

/* What a set knew that was destroyed while no other one of its device had inherited it. */
struct remap_will {
	struct list_head list;
	const struct mapped_device *md;
	u8 uuid[REMAP_UUID_BYTES];
	struct remap_forebear known;
};

static bool overlap(struct block_device *a, u64 a_start, u64 a_nr,
		    struct block_device *b, u64 b_start, u64 b_nr)
{
	if (a->bd_disk != b->bd_disk)
		return false;
	a_start += get_start_sect(a);
	b_start += get_start_sect(b);
	return a_start < b_start + b_nr && b_start < a_start + a_nr;
}

static bool conflict(const struct remap_set *a, const struct remap_set *b)
{
	struct block_device *a_main = a->main->bdev, *a_spare = a->spare->bdev;
	struct block_device *b_main = b->main->bdev, *b_spare = b->spare->bdev;

	return overlap(a_main, 0, a->ti->len, b_main, 0, b->ti->len) ||
	       overlap(a_spare, a->spare_start, a->spare_sectors,
		       b_spare, b->spare_start, b->spare_sectors) ||
	       overlap(a_main, 0, a->ti->len, b_spare, b->spare_start, b->spare_sectors) ||
	       overlap(a_spare, a->spare_start, a->spare_sectors, b_main, 0, b->ti->len);
}

static void say_conflict(const struct remap_set *set, const struct remap_set *other)
{
	remap_err(set, "main %s or spare %s is already in use by %s", set->main->name,
		  set->spare->name, *other->name ? other->name : remap_name(other));
}

static bool same_device(const struct remap_set *a, const struct remap_set *b)
{
	return dm_table_get_md(a->ti->table) == dm_table_get_md(b->ti->table) &&
	       a->ti->table != b->ti->table;
}

static struct remap_member_id member_id(const struct dm_dev *dev)
{
	return (struct remap_member_id){
		.disk_seq = dev->bdev->bd_disk->diskseq,
		.start = get_start_sect(dev->bdev),
	};
}

static bool same_set(const struct remap_set *set, const u8 *uuid)
{
	return !memcmp(set->meta.super.uuid, uuid, REMAP_UUID_BYTES);
}

static void describe(const struct remap_set *old, struct remap_forebear *known)
{
	known->known = true;
	known->committed = old->meta.committed;
	known->frozen = test_bit(REMAP_FROZEN, &old->flags);
	known->was_degraded = remap_has_been_degraded(old);
	known->numbers = old->was_degraded ? old->known : remap_known(old);
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
	mutex_lock(&owners_lock);
	list_add(&set->instances, &instances);
	mutex_unlock(&owners_lock);
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

	mutex_lock(&owners_lock);
	list_for_each_entry(other, &instances, instances) {
		newer &= other != set;
		if (!same_device(set, other))
			continue;
		alone = false;
		/* One that was there before this one has nothing of it. */
		heir |= newer && test_bit(REMAP_LOADED, &other->flags) &&
			same_set(other, set->meta.super.uuid);
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
			if (old->md != will->md || !same_set(set, old->uuid) ||
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
	mutex_unlock(&owners_lock);
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
	mutex_lock(&owners_lock);
	list_for_each_entry(old, &instances, instances) {
		if (!same_device(set, old) || !test_bit(REMAP_LOADED, &old->flags) ||
		    !same_set(old, set->meta.super.uuid))
			continue;
		describe(old, known);
		break;	/* the newest */
	}
	list_for_each_entry(will, &wills, list) {
		if (!known->known && will->md == md && same_set(set, will->uuid))
			*known = will->known;
	}
	mutex_unlock(&owners_lock);
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
	mutex_lock(&owners_lock);
	drop_wills(set, set->meta.super.uuid);
	mutex_unlock(&owners_lock);
}

/**
 * remap_own() - take the devices
 * @set: the set
 *
 * Context: may sleep.  Return: 0, or -EBUSY with a line in the log.
 */
int remap_own(struct remap_set *set)
{
	struct remap_set *other, *next;
	int r = 0;

	mutex_lock(&owners_lock);
	list_for_each_entry_safe(other, next, &owners, owners) {
		/*
		 * Left over from a table of this device whose resume failed at another
		 * target, and which was replaced since: it got no postsuspend.
		 */
		if (other != set && same_device(set, other)) {
			clear_bit(REMAP_ACTIVE, &other->flags);
			list_del_init(&other->owners);
			other->claimed = false;
			owners_generation++;
			remap_sysfs_remove(other);
			continue;
		}
		if (other != set && conflict(set, other)) {
			say_conflict(set, other);
			r = -EBUSY;
			break;
		}
	}
	/* Owned already when another target of the table failed its preresume. */
	if (!r && list_empty(&set->owners))
		list_add(&set->owners, &owners);
	owners_generation++;
	mutex_unlock(&owners_lock);
	return r;
}

/**
 * remap_claim() - take the set, whatever devices it was found on
 * @set: the set; it owns its devices, and its superblock was read
 *
 * Nothing was written to a set that somebody else has, and nothing must be before this.
 * Context: preresume, may sleep.  Return: 0, or -EBUSY with a line in the log.
 */
int remap_claim(struct remap_set *set)
{
	struct remap_set *other;
	int r = 0;

	mutex_lock(&owners_lock);
	list_for_each_entry(other, &owners, owners) {
		if (other == set || !other->claimed || !same_set(other, set->meta.super.uuid))
			continue;
		remap_err(set, "the set %pU on %s is already active as %s on %s: another path to it, or a copy",
			  set->meta.super.uuid, set->spare->name,
			  *other->name ? other->name : remap_name(other), other->spare->name);
		r = -EBUSY;
		break;
	}
	set->claimed = !r;
	mutex_unlock(&owners_lock);
	return r;
}

/**
 * remap_disown() - give the devices back
 * @set: the set; need not own them
 *
 * Context: may sleep.
 */
void remap_disown(struct remap_set *set)
{
	mutex_lock(&owners_lock);
	list_del_init(&set->owners);
	set->claimed = false;
	owners_generation++;
	mutex_unlock(&owners_lock);
}

/**
 * remap_walk_active() - look at every active set
 * @f: called with owners_lock held; must not wait for a set's lock; not 0: stop
 * @data: its argument
 * @generation: set to a number that changes whenever the list does
 *
 * A set stays allocated as long as it is in the list.  Context: may sleep.
 */
void remap_walk_active(remap_set_fn f, void *data, unsigned int *generation)
{
	struct remap_set *set;

	mutex_lock(&owners_lock);
	*generation = owners_generation;
	list_for_each_entry(set, &owners, owners) {
		if (test_bit(REMAP_ACTIVE, &set->flags) && f(set, data))
			break;
	}
	mutex_unlock(&owners_lock);
}

/**
 * remap_owned_by_other() - whether another mapped device has one of the devices
 * @set: the set; not active.  An instance of the same mapped device is no other:
 *       its table is about to be replaced.
 *
 * Context: constructor, may sleep.
 */
bool remap_owned_by_other(const struct remap_set *set)
{
	const struct remap_set *other;
	bool found = false;

	mutex_lock(&owners_lock);
	list_for_each_entry(other, &owners, owners) {
		if (conflict(set, other) && !same_device(set, other)) {
			say_conflict(set, other);
			found = true;
			break;
		}
	}
	mutex_unlock(&owners_lock);
	return found;
}
