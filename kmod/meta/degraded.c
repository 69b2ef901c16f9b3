// SPDX-License-Identifier: GPL-2.0-only
/*
 * A set that was active and is resumed, or is to be compared after a sleep, while its spare cannot
 * be read (D22): main serves what it served, what lies on the spare or needs a commit fails, and
 * nothing is written.  The worker compares the media with RAM every now and then, and the set is
 * whole again when they agree.  When another system has written the set meanwhile, it is in mode
 * fail until no one has the device open.
 *
 * A crash leaves nothing behind: all of this is in RAM.
 *
 * Rules kept here:
 *   D22 a set that was active goes on without its spare
 */
#include "base/written.h"
#include "meta/internal.h"

/* Pause between two comparisons of a spare that cannot be read. */
#define RETRY		HZ

/*
 * The highest number that a block on the media can have if no other system wrote one: those of
 * commits that failed may be there.
 */
static u64 highest_possible(const struct remap_set *set)
{
	const struct remap_meta *meta = set->meta;

	return remap_has_doubt(set) || meta->nr_unwritable ? meta->last_seq :
							    max(meta->committed, meta->loaded);
}

/* From now on nothing is written before it is compared. */
static void begin_degraded(struct remap_set *set, unsigned long compare_at)
{
	struct remap_degraded *degraded = &set->meta->degraded;

	degraded->known = degraded->known ?: highest_possible(set);
	degraded->compare_at = compare_at;
	set_bit(REMAP_UNCOMPARED, &set->flags);
}

/**
 * remap_recompare() - before a set is written: whether a spare that was away is back
 * @set: the set
 * @now: also when it was asked just now
 *
 * Afterwards remap_may_write() says whether it may be written.
 * Context: remap_set.lock held, may sleep: for as long as it takes to read the metadata.
 */
void remap_recompare(struct remap_set *set, bool now)
{
	unsigned long began = jiffies;
	int r;

	if (likely(!remap_is_degraded(set)) || !test_bit(REMAP_ACTIVE, &set->flags) ||
	    (!now && time_before(jiffies, set->meta->degraded.compare_at)))
		return;
	r = remap_compare_media(set);
	/* Others want the lock, too, when a disk takes its time to fail. */
	set->meta->degraded.compare_at =
		jiffies + max_t(unsigned long, RETRY, 4 * (jiffies - began));
	if (r == -EIO)
		return;
	if (!r) {
		set->meta->degraded.known = 0;
		remap_info(set, "%s is unchanged", set->spare->name);
	}
	/* After those that a comparison sets: map reads all of them at once. */
	clear_bit(REMAP_UNCOMPARED, &set->flags);
	remap_scan_resume(set);
}

/**
 * remap_compare() - the message `compare`: is the set on the media the one in RAM?
 * @set: the set, active
 *
 * After the machine slept another system may have had the disks.  Nothing is written.  Where the
 * media cannot be read, nothing is written before they are compared, as in a set that was
 * resumed without its spare.
 *
 * Context: remap_set.lock held, may sleep: for as long as it takes to read the metadata.
 * Return: 0; -ESTALE: it was changed, and is in mode fail until it is not open; -EIO: unknown.
 */
int remap_compare(struct remap_set *set)
{
	int r;

	if (test_bit(REMAP_ALTERED, &set->flags))
		return -ESTALE;
	if (remap_is_degraded(set)) {
		remap_recompare(set, true);
		if (remap_is_degraded(set))
			return -EIO;
		return test_bit(REMAP_ALTERED, &set->flags) ? -ESTALE : 0;
	}
	r = remap_compare_media(set);
	if (r != -EIO)
		return r;
	begin_degraded(set, jiffies + RETRY);
	remap_err(set, "%s, or the mark on %s, cannot be read: sectors on the spare fail, and nothing is remapped until it is readable and unchanged",
		  set->spare->name, set->main->name);
	return r;
}

/**
 * remap_has_been_degraded() - whether a set has not seen its spare since it last knew it
 * @set: the set
 *
 * What it knew is kept until a load succeeds.
 * Context: remap_set.lock held, or the set is suspended.
 */
bool remap_has_been_degraded(const struct remap_set *set)
{
	return set->meta->degraded.known;
}

/**
 * remap_highest_own() - the highest number that the set itself may have put on its media
 * @set: the set
 *
 * Context: remap_set.lock held, or the set is suspended.
 */
u64 remap_highest_own(const struct remap_set *set)
{
	return set->meta->degraded.known ?: highest_possible(set);
}

/**
 * remap_resume_degraded() - resume without the spare, where the table is in RAM (D22)
 * @set: the set; it was active before, and owns its devices
 *
 * Context: preresume, remap_set.lock held, may sleep.
 * Return: whether it is so; false: load as usual.
 */
bool remap_resume_degraded(struct remap_set *set)
{
	if (!test_bit(REMAP_LOADED, &set->flags) || !set->meta->has_table)
		return false;
	/* Not one superblock can be read. */
	remap_read_blocks(set, remap_geometry(set), 0, 1);
	if (set->meta->read.unreadable[0] != BIT(REMAP_COPIES) - 1)
		return false;
	begin_degraded(set, jiffies);
	remap_err(set, "%s cannot be read: only sectors on %s are served, and nothing is remapped until the spare returns",
		  set->spare->name, set->main->name);
	return true;
}
