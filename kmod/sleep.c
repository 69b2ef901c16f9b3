// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine that sleeps keeps its tables in RAM, or in the image of a hibernation, and does
 * not see what becomes of the disks: another system may activate the set on them and remap.
 * Then our table is an old one, and slots that it calls free are in use.
 *
 * From the notice of a sleep to that of its end a set is REMAP_ASLEEP: whoever is about to
 * write metadata or a slot compares the media with RAM first.  Sectors that main serves are
 * not held up: the kernel syncs after the first notice, and that must stay quick.  The end
 * comes after processes and disks run again; then the comparison is done once more, and the
 * set goes on, or is in mode fail.
 *
 * A crash leaves nothing behind: all of this is in RAM.
 *
 * Rules kept here:
 *   O19 after a sleep nothing is written to a set that somebody else has written meanwhile
 */
#include <linux/ktime.h>
#include <linux/notifier.h>
#include <linux/suspend.h>

#include "dm-remap.h"

/* A comparison holds this long: nobody boots another system and shuts it down in it. */
#define COMPARED_SECONDS	2

static bool asleep;
/* protects asleep; inside it the lock of the list of active sets */
static DEFINE_MUTEX(sleep_lock);

/**
 * remap_is_current() - whether the table in RAM is still the one on the media
 * @set: the set, active or being loaded
 *
 * Context: remap_set.lock held, may sleep; free while the machine is awake.
 */
bool remap_is_current(struct remap_set *set)
{
	time64_t now;

	if (likely(!test_bit(REMAP_ASLEEP, &set->flags)))
		return true;
	now = ktime_get_real_seconds();
	if (now >= set->compared_at && now < set->compared_at + COMPARED_SECONDS)
		return true;
	if (remap_compare_media(set, true))
		return false;
	set->compared_at = now;
	return true;
}

/**
 * remap_leave_sleep() - a set is loaded anew: what was before does not matter
 * @set: the set, not active
 *
 * Context: preresume, remap_set.lock held.
 */
void remap_leave_sleep(struct remap_set *set)
{
	/* One that was found active a moment ago is marked under the lock, too. */
	mutex_lock(&sleep_lock);
	clear_bit(REMAP_ASLEEP, &set->flags);
	mutex_unlock(&sleep_lock);
}

/**
 * remap_join_sleep() - a set became active, perhaps while the machine goes to sleep
 * @set: the set, active
 *
 * Context: preresume, remap_set.lock held.
 */
void remap_join_sleep(struct remap_set *set)
{
	set->compared_at = 0;
	mutex_lock(&sleep_lock);
	assign_bit(REMAP_ASLEEP, &set->flags, asleep);
	mutex_unlock(&sleep_lock);
}

/**
 * remap_wake_work() - the machine is awake again
 * @work: remap_set.wake_work
 *
 * Runs on remap_set.soft_wq, waits for the lock; a disk that needs its time to come back
 * holds up only what would write to it.
 */
void remap_wake_work(struct work_struct *work)
{
	struct remap_set *set = container_of(work, struct remap_set, wake_work);

	mutex_lock(&set->lock);
	if (test_bit(REMAP_ACTIVE, &set->flags) && test_bit(REMAP_ASLEEP, &set->flags)) {
		if (!test_bit(REMAP_FAILED, &set->flags))
			remap_compare_media(set, true);
		if (test_bit(REMAP_FAILED, &set->flags))
			remap_err(set, "the set was changed while this machine slept: deactivate it, activate it again, and check what is on it");
		clear_bit(REMAP_ASLEEP, &set->flags);
	}
	mutex_unlock(&set->lock);
}

static int fall_asleep(struct remap_set *set, void *data)
{
	set_bit(REMAP_ASLEEP, &set->flags);
	return 0;
}

static int awaken(struct remap_set *set, void *data)
{
	queue_work(set->soft_wq, &set->wake_work);
	return 0;
}

static int notice(struct notifier_block *block, unsigned long event, void *data)
{
	unsigned int generation;

	mutex_lock(&sleep_lock);
	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_SUSPEND_PREPARE:
		asleep = true;
		remap_walk_active(fall_asleep, NULL, &generation);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_SUSPEND:
		asleep = false;
		remap_walk_active(awaken, NULL, &generation);
		break;
	}
	mutex_unlock(&sleep_lock);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = notice };

/**
 * remap_sleep_init() - be told of sleeps
 *
 * Context: module init.  Return: 0 or a negative errno.
 */
int __init remap_sleep_init(void)
{
	return register_pm_notifier(&notifier);
}

/**
 * remap_sleep_exit() - be told no more; no set exists any more
 */
void remap_sleep_exit(void)
{
	unregister_pm_notifier(&notifier);
}
