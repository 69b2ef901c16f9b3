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

static int load_set(struct remap_set *set, struct remap_load *load)
{
	const struct remap_handover *known = &set->life->predecessor;
	int r;

	r = remap_load_super(set, load) ?: remap_claim(set);
	if (r)
		return r;
	remap_find_predecessor(set);
	remap_inherit_ping(set, known->probe_failed);
	r = remap_load_tables(set, load);
	if (r)
		return r;
	load->burnt = max(load->burnt, known->generation);
	/* Of an instance before this one, too: a member may have come back older. */
	if (known->known)
		load->committed = max(load->committed, known->committed);
	set->life->mark_at = jiffies;
	set->life->predecessor_stale = load->age.newest > known->generation;
	/*
	 * Programs that have the device open go on with what is not there any more (D22): the
	 * spare was away, or it comes back as another device.
	 */
	if (remap_is_unknown_to(set, load->age.newest) || known->altered ||
	    ((known->was_degraded || remap_is_spare_new(set)) &&
	     load->age.newest > known->numbers))
		set_bit(REMAP_ALTERED, &set->flags);
	return remap_load_finish(set, load);
}

/**
 * remap_activate() - load, check and repair the metadata; format a blank spare
 * @set: the set; it owns the media, and no I/O is mapped
 *
 * Context: preresume, remap_set.lock held, may sleep.
 * Return: 0 or a negative errno, with a line in the log; then nothing is served.
 */
int remap_activate(struct remap_set *set)
{
	struct remap_load load = { };
	int r = load_set(set, &load);

	if (r)
		remap_load_fail(set, &load);
	return r;
}
