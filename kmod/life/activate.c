// SPDX-License-Identifier: GPL-2.0-only
/*
 * The script of an activation: what is on the media, whose it is, what the instance before this
 * one knew, and only then the first write.
 *
 * Rules kept here:
 *   D10 never back behind what this device has committed before
 */
#include "life/life.h"
#include "meta/meta.h"

/**
 * remap_activate() - load, check and repair the metadata; format a blank spare
 * @set: the set; it owns the media, and no I/O is mapped
 *
 * Context: preresume, remap_set.lock held, may sleep.
 * Return: 0 or a negative errno, with a line in the log; then nothing is served.
 */
int remap_activate(struct remap_set *set)
{
	const struct remap_handover *known = &set->life->predecessor;
	bool was_degraded = remap_has_been_degraded(set);
	bool was_loaded = test_bit(REMAP_LOADED, &set->flags);
	u64 own = remap_highest_own(set);
	struct remap_load load = { };
	int r = remap_load_super(set, &load) ?: remap_claim(set);

	if (r)
		return r;
	remap_find_predecessor(set);
	load.ping_failed = known->probe_failed;
	load.burnt = known->generation;
	/* Of an instance before this one, too: a member may have come back older. */
	load.committed = max(load.committed, known->committed);
	r = remap_load(set, &load);
	if (r)
		return r;
	set->life->mark_at = jiffies;
	set->life->predecessor_stale = load.newest > known->generation;
	/* What this instance was told last it may not have been able to write (E7). */
	if (!was_loaded || load.newest > own) {
		assign_bit(REMAP_FROZEN, &set->flags,
			   remap_super_flags(set) & REMAP_SUPER_FROZEN);
		remap_load_write_cache(set);
	}
	/*
	 * Programs that have the device open go on with what is not there any more (D22): the
	 * spare was away, or it comes back as another device.
	 */
	if ((was_degraded && load.newest > own) || known->altered ||
	    (known->was_degraded && load.newest > known->numbers))
		set_bit(REMAP_ALTERED, &set->flags);
	return 0;
}
