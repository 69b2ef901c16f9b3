// SPDX-License-Identifier: GPL-2.0-only
/*
 * The set's timer: it saves counters that moved, if no listener does, brings the anchor
 * up to date, and tries again what is in doubt or degraded.
 */
#include <linux/jiffies.h>
#include <linux/module.h>

#include "life/life.h"
#include "meta/meta.h"

#define AUTOSAVE_MIN_SECONDS	1
#define AUTOSAVE_MAX_SECONDS	3600
/* A changed interval is noticed after at most so many seconds. */
#define AUTOSAVE_TICK_SECONDS	5

static bool autosave_enabled = true;
static unsigned int autosave_interval = 60;

static int set_interval(const char *value, const struct kernel_param *param)
{
	int r = param_set_uint_minmax(value, param, AUTOSAVE_MIN_SECONDS, AUTOSAVE_MAX_SECONDS);

	if (r)
		DMERR("dm_remap_autosave_interval must be %u to %u seconds",
		      AUTOSAVE_MIN_SECONDS, AUTOSAVE_MAX_SECONDS);
	return r;
}

static const struct kernel_param_ops interval_ops = {
	.set = set_interval,
	.get = param_get_uint,
};

module_param_named(dm_remap_autosave_enabled, autosave_enabled, bool, 0644);
MODULE_PARM_DESC(dm_remap_autosave_enabled, "Save counters to the spare by a timer (default: on)");
module_param_cb(dm_remap_autosave_interval, &interval_ops, &autosave_interval, 0644);
MODULE_PARM_DESC(dm_remap_autosave_interval, "Seconds between saves, 1 to 3600 (default: 60)");

/**
 * remap_autosave_start() - start the timer, on resume
 * @set: the set
 */
void remap_autosave_start(struct remap_set *set)
{
	queue_delayed_work(set->aux_wq, &set->life->autosave,
			   min_t(unsigned int, READ_ONCE(autosave_interval),
				 AUTOSAVE_TICK_SECONDS) * HZ);
}

/**
 * remap_autosave() - the timer: save if a counter moved, retry what is in doubt
 * @work: remap_life.autosave
 *
 * Runs on remap_set.aux_wq, waits for the lock.
 */
void remap_autosave(struct work_struct *work)
{
	struct remap_life *life = container_of(to_delayed_work(work), struct remap_life, autosave);
	struct remap_set *set = life->set;

	mutex_lock(&set->lock);
	if (test_bit(REMAP_ACTIVE, &set->flags) && !test_bit(REMAP_READ_ONLY, &set->flags)) {
		remap_resolve_doubt(set, false);
		/* What an error kept from the superblock, with the back-off of that (E7, D18). */
		if (!remap_has_doubt(set))
			remap_store_settings(set);
		/* With a listener, too: an older spare is recognised by it (O6, P9). */
		if (time_after_eq(jiffies, life->mark_at + READ_ONCE(autosave_interval) * HZ)) {
			life->mark_at = jiffies;
			remap_update_anchor(set);
			remap_record_ping(set);
		}
		/* A listener decides when to save. */
		if (READ_ONCE(autosave_enabled) && !remap_listened() &&
		    remap_soft_is_due(set, READ_ONCE(autosave_interval) * HZ))
			remap_soft_save(set);
	}
	remap_unlock(set);
	if (unlikely(remap_is_degraded(set)))
		queue_work(set->queue.wq, &set->queue.work);
	remap_autosave_start(set);
}
