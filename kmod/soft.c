// SPDX-License-Identifier: GPL-2.0-only
/*
 * Soft state: counters on the spare.  Useful, but losable: they are saved by
 * the message `save`, on suspend and removal, and by a timer of our own.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>

#include "dm-remap.h"
#include "dm_remap.h"

#define AUTOSAVE_MIN_SECONDS	1
#define AUTOSAVE_MAX_SECONDS	3600
/* A changed interval is noticed after at most so many seconds. */
#define AUTOSAVE_TICK_SECONDS	5

static bool autosave_enabled = true;
static unsigned int autosave_interval = 60;

static int set_interval(const char *value, const struct kernel_param *param)
{
	unsigned int seconds;
	int r = kstrtouint(value, 0, &seconds);

	if (r)
		return r;
	if (seconds < AUTOSAVE_MIN_SECONDS || seconds > AUTOSAVE_MAX_SECONDS) {
		DMERR("dm_remap_autosave_interval must be %u to %u seconds, not %u",
		      AUTOSAVE_MIN_SECONDS, AUTOSAVE_MAX_SECONDS, seconds);
		return -EINVAL;
	}
	*(unsigned int *)param->arg = seconds;
	return 0;
}

static const struct kernel_param_ops interval_ops = {
	.set = set_interval,
	.get = param_get_uint,
};

module_param_named(dm_remap_autosave_enabled, autosave_enabled, bool, 0644);
MODULE_PARM_DESC(dm_remap_autosave_enabled, "Save counters to the spare by a timer (default: on)");
module_param_cb(dm_remap_autosave_interval, &interval_ops, &autosave_interval, 0644);
MODULE_PARM_DESC(dm_remap_autosave_interval, "Seconds between saves, 1 to 3600 (default: 60)");

static u32 soft_block(const struct remap_set *set)
{
	return 1 + remap_geometry(set)->table_blocks;
}

/**
 * remap_soft_load() - load the counters; none of them is needed to serve
 * @set: the set; its superblock and table are loaded
 *
 * The next number is above that of the counters, too, or the next save would not be found; but
 * one that is far above the table's is damage (C16).
 *
 * Context: remap_set.lock held, may sleep.  Return: 0.
 */
int remap_soft_load(struct remap_set *set)
{
	struct remap_meta *meta = &set->meta;
	struct remap_block_state *state = &meta->block[soft_block(set)];
	enum remap_verdict verdict[REMAP_COPIES];
	const void *copy[REMAP_COPIES];
	const struct remap_soft_disk *disk;
	struct remap_choice choice;
	unsigned int i;

	set->mark_at = jiffies;
	for (i = 0; i < REMAP_COPIES; i++) {
		void *data = meta->buffer + i * REMAP_BLOCK_BYTES;

		copy[i] = data;
		verdict[i] = REMAP_UNREADABLE;
		if (!remap_rw(set, set->spare, set->spare_start +
			      remap_block_sector(remap_geometry(set), i / REMAP_PLACES,
						 i % REMAP_PLACES, soft_block(set)),
			      data, REMAP_BLOCK_SECTORS, REQ_OP_READ))
			verdict[i] = remap_soft_check(data, meta->super.uuid, soft_block(set),
						      meta->loaded);
	}
	remap_choose(copy, verdict, &choice);
	for (i = 0; i < REMAP_REPLICAS; i++)
		state->good_place[i] = choice.good_place[i];
	if (choice.best < 0)
		return 0;
	meta->generation = max(meta->generation, choice.seq);
	if (choice.conflict || test_bit(REMAP_LOADED, &set->flags))
		return 0;

	disk = copy[choice.best];
	remap_counters_load(&set->counters, disk);
	set->last_save = le64_to_cpu(disk->saved);
	set->soft_saved = remap_counters_sum(&set->counters);
	return 0;
}

/**
 * remap_soft_save() - save the counters now, durably
 * @set: the set, active
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_soft_save(struct remap_set *set)
{
	struct remap_meta *meta = &set->meta;
	struct remap_soft_disk *disk = meta->image;
	u64 sum = remap_counters_sum(&set->counters);
	time64_t now = ktime_get_real_seconds();
	struct remap_note note = { .kind = DM_REMAP_EVENT_SAVED };
	int r;

	if (!remap_may_write(set))
		return -EROFS;

	remap_block_init(disk, REMAP_MAGIC_SOFT, meta->super.uuid, soft_block(set),
			 remap_next_seq(set));
	disk->saved = cpu_to_le64(now);
	remap_counters_save(&set->counters, disk);
	remap_block_seal(disk);

	r = remap_write_block(set, soft_block(set));
	if (r) {
		remap_count_up(set, REMAP_SAVES_FAILED);
		note.status = REMAP_STATUS_IOERR;
		remap_notify(set, &note);
		return r;
	}
	remap_count_up(set, REMAP_SAVES_OK);
	set->soft_saved = sum;
	set->soft_saved_at = jiffies;
	set->last_save = now;
	remap_notify(set, &note);
	/* A commit failed because of the flush alone, and the spare is well again. */
	if (test_bit(REMAP_META_FAIL, &set->flags) && !meta->nr_in_doubt &&
	    !remap_flush_spare(set))
		clear_bit(REMAP_META_FAIL, &set->flags);
	return 0;
}

/**
 * remap_spare_alive() - whether the spare takes a write of our own (D7)
 * @set: the set, active
 *
 * The counters go out; where their own place is bad, the superblock (C3 keeps each block at
 * its place).  Context: remap_set.lock held, may sleep.
 */
bool remap_spare_alive(struct remap_set *set)
{
	return !remap_soft_save(set) || !remap_super_commit(set);
}

/**
 * remap_soft_start() - start the timer, on resume
 * @set: the set
 */
void remap_soft_start(struct remap_set *set)
{
	queue_delayed_work(set->soft_wq, &set->autosave,
			   min_t(unsigned int, READ_ONCE(autosave_interval),
				 AUTOSAVE_TICK_SECONDS) * HZ);
}

/**
 * remap_autosave() - the timer: save if a counter moved, retry what is in doubt
 * @work: remap_set.autosave
 *
 * Runs on remap_set.soft_wq, waits for the lock.
 */
void remap_autosave(struct work_struct *work)
{
	struct remap_set *set = container_of(to_delayed_work(work), struct remap_set, autosave);

	mutex_lock(&set->lock);
	if (test_bit(REMAP_ACTIVE, &set->flags) && !test_bit(REMAP_READ_ONLY, &set->flags)) {
		remap_resolve_doubt(set, false);
		/* Whoever listens: an older spare is recognised by it (O6, P9). */
		if (time_after_eq(jiffies, set->mark_at + READ_ONCE(autosave_interval) * HZ)) {
			set->mark_at = jiffies;
			remap_update_mark(set);
			remap_note_probe(set);
		}
		/* Whoever listens decides when to save. */
		if (READ_ONCE(autosave_enabled) && !remap_listened() &&
		    (remap_counters_sum(&set->counters) != set->soft_saved ||
		     test_bit(REMAP_META_FAIL, &set->flags)) &&
		    time_after_eq(jiffies, set->soft_saved_at +
				  READ_ONCE(autosave_interval) * HZ)) {
			set->soft_saved_at = jiffies;
			remap_soft_save(set);
		}
	}
	remap_unlock(set);
	if (unlikely(remap_is_degraded(set)))
		queue_work(set->wq, &set->work);
	remap_soft_start(set);
}
