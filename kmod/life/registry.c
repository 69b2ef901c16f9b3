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
#include "life/life.h"
#include "meta/meta.h"

static LIST_HEAD(owners);
static unsigned int owners_version;
/* protects both; inside it only device-mapper's lock of names */
static DEFINE_MUTEX(owners_lock);

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

/* As it was when it was resumed. */
static const char *name_of(const struct remap_set *set)
{
	return *set->events.name ? set->events.name : remap_name(set);
}

/* owners_lock is held. */
static bool is_owned_by_other(const struct remap_set *set)
{
	const struct remap_life *life;

	list_for_each_entry(life, &owners, owners) {
		const struct remap_set *other = life->set;

		if (other == set || remap_is_same_device(set, other) || !conflict(set, other))
			continue;
		remap_err(set, "main %s or spare %s is already in use by %s", set->main->name,
			  set->spare->name, name_of(other));
		return true;
	}
	return false;
}

/**
 * remap_own() - take the devices
 * @set: the set
 * @forget: called for an instance that lost its devices, with the list's lock held
 *
 * Context: may sleep.  Return: 0, or -EBUSY with a line in the log.
 */
int remap_own(struct remap_set *set, void (*forget)(struct remap_set *set))
{
	struct remap_life *life, *next;
	int r;

	mutex_lock(&owners_lock);
	list_for_each_entry_safe(life, next, &owners, owners) {
		struct remap_set *other = life->set;

		/*
		 * Left over from a table of this device whose resume failed at another
		 * target, and which was replaced since: it got no postsuspend.
		 */
		if (other == set || !remap_is_same_device(set, other))
			continue;
		clear_bit(REMAP_ACTIVE, &other->flags);
		list_del_init(&life->owners);
		life->claimed = false;
		forget(other);
	}
	r = is_owned_by_other(set) ? -EBUSY : 0;
	/* Owned already when another target of the table failed its preresume. */
	if (!r && list_empty(&set->life->owners))
		list_add(&set->life->owners, &owners);
	owners_version++;
	mutex_unlock(&owners_lock);
	return r;
}

/**
 * remap_claim() - take the set, whatever devices it was found on
 * @set: the set; it owns its devices, and its superblock was read
 *
 * Nothing was written to a set that another device has, and nothing must be before this.
 * Context: preresume, may sleep.  Return: 0, or -EBUSY with a line in the log.
 */
int remap_claim(struct remap_set *set)
{
	struct remap_life *life;
	int r = 0;

	mutex_lock(&owners_lock);
	list_for_each_entry(life, &owners, owners) {
		const struct remap_set *other = life->set;

		if (other == set || !life->claimed ||
		    memcmp(remap_uuid(other), remap_uuid(set), REMAP_UUID_BYTES))
			continue;
		remap_err(set, "the set %pU on %s is already active as %s on %s: another path to it, or a copy",
			  remap_uuid(set), set->spare->name, name_of(other), other->spare->name);
		r = -EBUSY;
		break;
	}
	set->life->claimed = !r;
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
	list_del_init(&set->life->owners);
	set->life->claimed = false;
	owners_version++;
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
	struct remap_life *life;

	mutex_lock(&owners_lock);
	*generation = owners_version;
	list_for_each_entry(life, &owners, owners) {
		if (test_bit(REMAP_ACTIVE, &life->set->flags) && f(life->set, data))
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
	bool found;

	mutex_lock(&owners_lock);
	found = is_owned_by_other(set);
	mutex_unlock(&owners_lock);
	return found;
}
