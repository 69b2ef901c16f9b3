// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device-mapper target `remap`: its operations, suspend and resume, and the module.
 *
 * Rules kept here:
 *   D11 presuspend is before the drain; without flush nothing is asked of a member;
 *       removal does not wait in postsuspend
 *   D13 memalloc_noio from preresume to postsuspend
 *   D14 no secure erase; zeros are written
 *   D15 no crypto, integrity or atomic writes are offered
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "base/compat.h"
#include "base/written.h"
#include "construct.h"
#include "data_path.h"
#include "engine/engine.h"
#include "iface/iface.h"
#include "life/life.h"
#include "meta/meta.h"

static void remap_presuspend(struct dm_target *ti)
{
	struct remap_set *set = ti->private;

	set_bit(REMAP_SUSPENDING, &set->flags);
	/* device-mapper has forgotten it when postsuspend runs. */
	if (dm_noflush_suspending(ti))
		set_bit(REMAP_NOFLUSH, &set->flags);
}

static void remap_presuspend_undo(struct dm_target *ti)
{
	struct remap_set *set = ti->private;

	clear_bit(REMAP_SUSPENDING, &set->flags);
	clear_bit(REMAP_NOFLUSH, &set->flags);
	remap_scan_resume(set);
}

/* What a member that hangs would hold up: none of it is needed to go on later. */
static void leave_in_order(struct remap_set *set)
{
	remap_resolve_doubt(set, true);
	remap_settle_cache(set);
	if (!remap_may_write(set))
		return;
	remap_update_anchor(set);
	/* May commit the superblock: the mark has the number of the last commit (C15). */
	remap_record_ping(set);
	remap_store_settings(set);
	remap_update_anchor(set);
	/* Under a number above the mark's: the spare was there when that was written. */
	remap_soft_save(set);
}

/*
 * After the drain on a suspend; without waiting for anything on removal (D11),
 * so what is in flight may still fail and come to the worker, which sees that
 * the set is not active and touches no media.  Without a flush a member may be hung or
 * gone: then nothing is sent to either.
 */
static void remap_postsuspend(struct dm_target *ti)
{
	struct remap_set *set = ti->private;
	struct remap_event event = { .kind = DM_REMAP_EVENT_UNLOADED };
	unsigned int noio;

	remap_sysfs_remove(set);
	remap_wait_for_manual(set);
	remap_life_stop(set);
	cancel_work_sync(&set->settle_work);
	remap_scan_stop(set);
	flush_workqueue(set->flow.wq);
	flush_workqueue(set->queue.wq);
	noio = memalloc_noio_save();
	mutex_lock(&set->lock);
	if (test_bit(REMAP_ACTIVE, &set->flags) && !test_bit(REMAP_NOFLUSH, &set->flags))
		leave_in_order(set);
	remap_unlock(set);
	cancel_work_sync(&set->settle_work);	/* a flush of ours failed: that is stored */
	flush_work(&set->events.mode_work);
	/* No mode is reported any more, so that UNLOADED is the last event. */
	WRITE_ONCE(set->events.mode_told, NULL);
	flush_work(&set->events.mode_work);
	mutex_lock(&set->lock);
	if (test_and_clear_bit(REMAP_ACTIVE, &set->flags))
		remap_queue_event(set, &event);
	remap_unlock(set);
	flush_work(&set->events.work);
	memalloc_noio_restore(noio);
	remap_disown(set);
}

static void note_loaded(struct remap_set *set)
{
	struct remap_event loaded = { .kind = DM_REMAP_EVENT_LOADED };
	struct remap_event repaired = { .kind = DM_REMAP_EVENT_REPAIRED };
	struct remap_report report;

	remap_meta_report(set, &report);
	repaired.number = min_t(u64, report.nr_repaired, U32_MAX);
	dm_copy_name_and_uuid(dm_table_get_md(set->ti->table), set->events.name, NULL);
	WRITE_ONCE(set->events.mode_told, remap_mode(set));
	remap_queue_event(set, &loaded);
	if (repaired.number)
		remap_queue_event(set, &repaired);
	remap_notice_use(set);
	/* For device-mapper's listeners: the event LOADED has the mode. */
	if (strcmp(set->events.mode_told, "rw"))
		queue_work(set->aux_wq, &set->events.mode_work);
}

/* What only a load of the metadata ends, of the flags that the set had before (D22). */
static void keep_flags(struct remap_set *set, unsigned long was)
{
	static const u8 kept[] = { REMAP_READ_ONLY, REMAP_FAILED, REMAP_META_FAIL };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kept); i++)
		if (was & BIT(kept[i]))
			set_bit(kept[i], &set->flags);
}

/* With what is in RAM, the spare's state included (D22). */
static void resume_degraded(struct remap_set *set, unsigned long was)
{
	keep_flags(set, was);
	set_bit(REMAP_ACTIVE, &set->flags);
	note_loaded(set);
}

static int remap_preresume(struct dm_target *ti)
{
	struct remap_set *set = ti->private;
	unsigned int noio = memalloc_noio_save();
	unsigned long was;
	int r;

	r = remap_own(set, remap_sysfs_remove);
	if (r)
		goto out;
	mutex_lock(&set->lock);
	was = READ_ONCE(set->flags);
	/* Set when another target of the table failed its preresume after ours. */
	clear_bit(REMAP_ACTIVE, &set->flags);
	clear_bit(REMAP_READ_ONLY, &set->flags);
	clear_bit(REMAP_META_FAIL, &set->flags);
	clear_bit(REMAP_FAILED, &set->flags);
	if (!(dm_table_get_mode(ti->table) & BLK_OPEN_WRITE))
		set_bit(REMAP_READ_ONLY, &set->flags);
	if (remap_resume_degraded(set)) {
		r = remap_claim(set);
		if (!r)
			resume_degraded(set, was);
		goto loaded;
	}
	r = remap_activate(set);
	if (!r) {
		set_bit(REMAP_ACTIVE, &set->flags);
		remap_take_over(set);
		remap_store_settings(set);
		remap_start_write_cache(set);
		note_loaded(set);
	} else {
		keep_flags(set, was);
	}
loaded:
	remap_unlock(set);
	if (r) {
		remap_sysfs_remove(set);
		remap_disown(set);
	} else {
		remap_sysfs_add(set);
	}
out:
	memalloc_noio_restore(noio);
	return r;
}

static void remap_resume(struct dm_target *ti)
{
	struct remap_set *set = ti->private;

	clear_bit(REMAP_SUSPENDING, &set->flags);
	clear_bit(REMAP_NOFLUSH, &set->flags);
	remap_autosave_start(set);
	remap_watch_lost(set);
	remap_scan_resume(set);
}

static int remap_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct remap_set *set = ti->private;
	int r = fn(ti, set->main, 0, ti->len, data);

	return r ?: fn(ti, set->spare, set->spare_start, set->spare_sectors, data);
}

/*
 * The device is main with a few sectors elsewhere: what it likes best is what main likes
 * (O24).  What device-mapper stacks of the spare beyond that, its hard limits, stays.
 */
static void remap_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct remap_set *set = ti->private;
	const struct queue_limits *main = &bdev_get_queue(set->main->bdev)->limits;

	limits->physical_block_size = max(main->physical_block_size, limits->logical_block_size);
	limits->io_min = main->io_min;
	limits->io_opt = main->io_opt;
	limits->max_discard_sectors = main->max_discard_sectors;
	limits->max_hw_discard_sectors = main->max_hw_discard_sectors;
	limits->discard_granularity = main->discard_granularity;
	remap_hint_rotational(limits, main);
}

static REMAP_PREPARE_IOCTL(remap_prepare_ioctl)
{
	/* What a user asks the disk itself would miss the spare: never unchecked. */
	*bdev = ((struct remap_set *)ti->private)->main->bdev;
	return 1;
}

static struct target_type remap_target = {
	.name = "remap",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = remap_ctr,
	.dtr = remap_dtr,
	.map = remap_map,
	.end_io = remap_end_io,
	.presuspend = remap_presuspend,
	.presuspend_undo = remap_presuspend_undo,
	.postsuspend = remap_postsuspend,
	.preresume = remap_preresume,
	.resume = remap_resume,
	.status = remap_status,
	.message = remap_message,
	.prepare_ioctl = remap_prepare_ioctl,
	.iterate_devices = remap_iterate_devices,
	.io_hints = remap_io_hints,
};

static int __init remap_init(void)
{
	int r = remap_netlink_init();

	if (r)
		return r;
	remap_sysfs_init();
	r = dm_register_target(&remap_target);
	if (r)
		remap_netlink_exit();
	return r;
}

static void __exit remap_exit(void)
{
	dm_unregister_target(&remap_target);
	remap_netlink_exit();
	remap_forget_wills();
}

module_init(remap_init);
module_exit(remap_exit);

MODULE_DESCRIPTION(DM_NAME " target that remaps bad sectors to a spare device");
MODULE_AUTHOR("The dm-remap developers");
MODULE_LICENSE("GPL v2");
MODULE_VERSION(DM_REMAP_VERSION);
