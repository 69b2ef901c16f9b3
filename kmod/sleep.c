// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine that sleeps keeps its tables in RAM, or in the image of a hibernation, and does
 * not see what becomes of the disks: another system may activate the set on them and remap.
 * Then our table is an old one, and slots that it calls free are in use.
 *
 * The kernel tells us of a sleep as it tells a driver, while all processes are frozen:
 *
 *   prepare       every set becomes REMAP_ASLEEP between two rounds of its worker: from here
 *                 on nothing of it is committed, so that no image is older than the media.
 *                 Writes go to the worker and wait there; those on their way are waited for.
 *   thaw          the image is made and is about to be written, perhaps through a set. What
 *                 comes is not kept waiting, for the image would wait for ever: writes that
 *                 want a commit fail, and the hibernation with them.
 *   *_noirq       the machine woke, and no disk of it works yet: the number of wakes grows,
 *                 and with it every write to a set that sleeps goes to the worker.
 *   complete      the workers run again. Before anything else each compares the media with
 *                 its RAM: the set goes on, or is in mode fail. Where the spare cannot be
 *                 read, main serves what it served, and nothing of the set is written until
 *                 the comparison succeeds (REMAP_UNCOMPARED, tried again by the timer).
 *
 * A crash leaves nothing behind: all of this is in RAM. Two sleeps in a row: a set whose
 * comparison is under way holds its lock, and the second one waits for that.
 *
 * Rules kept here:
 *   O19 after a sleep nothing is written to a set that somebody else has written meanwhile
 *   D22 a set that was active goes on without its spare
 */
#include <linux/delay.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/rcupdate.h>
#include <linux/suspend.h>

#include "manual.h"

/* A round that takes longer keeps the machine awake. */
#define ROUND_MS	20000
#define ROUND_POLL_MS	10
/* Pause between two comparisons of a spare that cannot be read. */
#define RETRY		HZ

enum remap_sleep {
	REMAP_AWAKE,
	REMAP_FALLING_ASLEEP,	/* and asleep: a worker waits */
	REMAP_IMAGE,		/* an image is being written: a worker must not wait */
};

/* Changed by the kernel's power management only, which does one thing at a time. */
static enum remap_sleep sleep_state;
static bool hibernates;
static u32 nr_wakes;

/**
 * remap_must_wait() - whether a write has to go to the worker, which waits or compares
 * @set: the set, drowsy
 *
 * The flags that are read after it are those that a comparison left.  Context: map.
 */
bool remap_must_wait(struct remap_set *set)
{
	/* Pairs with the release in remap_wake(). */
	if (smp_load_acquire(&set->wakes) != READ_ONCE(nr_wakes))
		return true;
	/* It would wait in a queue below us, and leave that after the machine woke. */
	return test_bit(REMAP_ASLEEP, &set->flags) &&
	       READ_ONCE(sleep_state) == REMAP_FALLING_ASLEEP;
}

/**
 * remap_refuse_altered() - somebody else had the set while the machine slept
 * @set: the set
 *
 * Context: remap_set.lock held.
 */
void remap_refuse_altered(struct remap_set *set)
{
	set_bit(REMAP_ALTERED, &set->flags);
	set_bit(REMAP_FAILED, &set->flags);
	remap_mode_changed(set);
	remap_err(set, "the set was changed while this machine slept: deactivate it, activate it again, and check what is on it");
}

static void compare(struct remap_set *set)
{
	bool was_uncompared = test_bit(REMAP_UNCOMPARED, &set->flags);
	unsigned long began = jiffies;
	int r = remap_compare_media(set);

	assign_bit(REMAP_UNCOMPARED, &set->flags, r == -EIO);
	/* Others want the lock, too, when a disk takes its time to fail. */
	set->compare_at = jiffies + max_t(unsigned long, RETRY, 4 * (jiffies - began));
	if (!r) {
		set->slept = false;
		remap_scan_resume(set);
	}
	if (r == -ESTALE)
		remap_refuse_altered(set);
	else if (r && !was_uncompared)
		remap_warn(set, "%s or %s cannot be read after the sleep: nothing new is remapped until they can",
			   set->spare->name, set->main->name);
	else if (!r && was_uncompared)
		remap_info(set, "%s is as it was before", set->spare->name);
	if (was_uncompared != test_bit(REMAP_UNCOMPARED, &set->flags))
		remap_mode_changed(set);
}

/**
 * remap_wake() - before a set is written: whether it sleeps, or has to be compared
 * @set: the set
 *
 * Afterwards remap_may_write() says whether it may be written.
 * Context: remap_set.lock held, may sleep.
 * Return: false: the machine goes to sleep, what there is to do must wait.
 */
bool remap_wake(struct remap_set *set)
{
	enum remap_sleep now = READ_ONCE(sleep_state);
	u32 wakes = READ_ONCE(nr_wakes);

	if (likely(!remap_is_drowsy(set) && set->wakes == wakes))
		return true;
	if (now != REMAP_AWAKE && test_bit(REMAP_ASLEEP, &set->flags))
		return now == REMAP_IMAGE;
	if (!test_bit(REMAP_ACTIVE, &set->flags))
		return true;
	if (set->wakes != wakes || (test_bit(REMAP_UNCOMPARED, &set->flags) &&
				    time_after_eq(jiffies, set->compare_at)))
		compare(set);
	/* Pairs with the acquire in remap_must_wait(): first what was found, then this. */
	smp_store_release(&set->wakes, wakes);
	clear_bit(REMAP_ASLEEP, &set->flags);
	remap_scan_resume(set);
	return true;
}

/**
 * remap_has_slept() - whether the machine did since a set knew what is on the media
 * @set: the set
 *
 * Context: remap_set.lock held, or the set is suspended.
 */
bool remap_has_slept(const struct remap_set *set)
{
	return test_bit(REMAP_LOADED, &set->flags) &&
	       (set->slept || remap_is_drowsy(set) || set->wakes != READ_ONCE(nr_wakes));
}

/**
 * remap_wake_anew() - a set is about to be loaded, which is a comparison of its own
 * @set: the set, not active
 *
 * What it knew is kept in remap_set.slept until a load succeeds.
 * Context: preresume, remap_set.lock held; before the media are read.
 */
void remap_wake_anew(struct remap_set *set)
{
	if (!set->slept && remap_has_slept(set)) {
		set->slept = true;
		set->known = remap_known(set);
	}
	/* As in remap_wake(). */
	smp_store_release(&set->wakes, READ_ONCE(nr_wakes));
	clear_bit(REMAP_ASLEEP, &set->flags);
	clear_bit(REMAP_UNCOMPARED, &set->flags);
}

/**
 * remap_resume_degraded() - resume without the spare, where the table is in RAM (D22)
 * @set: the set; it was active before, and owns its devices
 *
 * Main is served; what is on the spare, and what would need a commit, fails.  The
 * set is whole again when a comparison says that the spare is back and unchanged.
 * Nothing is written, so a crash leaves what was there.
 *
 * Context: preresume, remap_set.lock held, may sleep.
 * Return: whether it is so; false: load as usual.
 */
bool remap_resume_degraded(struct remap_set *set)
{
	if (!test_bit(REMAP_LOADED, &set->flags) || !set->meta.has_table ||
	    !remap_is_spare_gone(set))
		return false;
	remap_wake_anew(set);
	set_bit(REMAP_UNCOMPARED, &set->flags);
	set->compare_at = jiffies;
	remap_err(set, "%s cannot be read: sectors on %s are served, those on the spare fail, and nothing is remapped until the spare is back",
		  set->spare->name, set->main->name);
	return true;
}

/**
 * struct falling - a look at the sets while the machine falls asleep
 * @busy: name of the first one that is not asleep, or has I/O on its way; NULL: none
 * @has_new: it was put to sleep just now
 */
struct falling {
	const char *busy;
	bool has_new;
};

/*
 * The first set that is not asleep and quiet; one after the other, for a set may lie on another
 * one, that was there before it and is behind it in the list: what it has sent must arrive.
 * Not while a worker, a timer or a message is at it: then the next look finds it.
 */
static int fall_asleep(struct remap_set *set, void *data)
{
	struct falling *falling = data;
	bool was_asleep;

	falling->busy = remap_name(set);
	/* A message copies without the other lock. */
	if (!mutex_trylock(&set->manual->lock))
		return 1;
	/* A comparison after the last sleep ends with the flag cleared: it has the lock. */
	if (!mutex_trylock(&set->lock)) {
		mutex_unlock(&set->manual->lock);
		return 1;
	}
	was_asleep = test_and_set_bit(REMAP_ASLEEP, &set->flags);
	mutex_unlock(&set->lock);
	mutex_unlock(&set->manual->lock);
	falling->has_new = !was_asleep;
	if (!was_asleep || !remap_is_quiet(set))
		return 1;
	falling->busy = NULL;
	return 0;
}

static int rouse(struct remap_set *set, void *data)
{
	queue_work(set->wq, &set->work);
	return 0;
}

static void awaken(void)
{
	unsigned int generation;

	WRITE_ONCE(sleep_state, REMAP_AWAKE);
	remap_walk_active(rouse, NULL, &generation);
}

static int prepare(struct device *dev)
{
	unsigned int generation, waited_ms = 0;
	struct falling falling;

	WRITE_ONCE(sleep_state, REMAP_FALLING_ASLEEP);
	for (;;) {
		falling = (struct falling){ };
		remap_walk_active(fall_asleep, &falling, &generation);
		if (!falling.busy)
			return 0;
		if (falling.has_new) {
			/* Whoever is in map, and has not seen it: map does not sleep. */
			synchronize_rcu_tasks();
		} else if (waited_ms < ROUND_MS) {
			msleep(ROUND_POLL_MS);
			waited_ms += ROUND_POLL_MS;
		} else {
			break;
		}
	}
	DMWARN("%s is busy, and the machine stays awake", falling.busy);
	awaken();
	return -EBUSY;
}

/* Also where a sleep is broken off that has nothing to do with images. */
static int thaw(struct device *dev)
{
	unsigned int generation;

	if (!hibernates)
		return 0;
	WRITE_ONCE(sleep_state, REMAP_IMAGE);
	remap_walk_active(rouse, NULL, &generation);
	return 0;
}

static int woke(struct device *dev)
{
	WRITE_ONCE(nr_wakes, nr_wakes + 1);
	return 0;
}

/* Also when the image is made and before it is written: then it is not over. */
static void complete_sleep(struct device *dev)
{
	if (sleep_state == REMAP_FALLING_ASLEEP)
		awaken();
}

static const struct dev_pm_ops sleep_ops = {
	.prepare = prepare,
	.thaw = thaw,
	.resume_noirq = woke,
	.restore_noirq = woke,
	.complete = complete_sleep,
};

/* A hibernation that came to nothing: there was no wake, and nothing is compared. */
static int on_notice(struct notifier_block *block, unsigned long event, void *data)
{
	if (event == PM_HIBERNATION_PREPARE || event == PM_RESTORE_PREPARE)
		hibernates = true;
	if (event != PM_POST_HIBERNATION && event != PM_POST_RESTORE)
		return NOTIFY_DONE;
	hibernates = false;
	if (sleep_state == REMAP_IMAGE)
		awaken();
	return NOTIFY_DONE;
}

/* Early: processes run already. */
static struct notifier_block notifier = { .notifier_call = on_notice, .priority = INT_MAX };

static struct platform_driver sleep_driver = {
	.driver = { .name = "dm-remap", .pm = &sleep_ops, .suppress_bind_attrs = true },
};

static struct platform_device *sleep_device;

/**
 * remap_sleep_init() - be told of sleeps
 *
 * Context: module init.  Return: 0 or a negative errno.
 */
int __init remap_sleep_init(void)
{
	int r = register_pm_notifier(&notifier);

	if (r)
		return r;
	r = platform_driver_register(&sleep_driver);
	if (r)
		goto no_driver;
	sleep_device = platform_device_register_simple(sleep_driver.driver.name,
						       PLATFORM_DEVID_NONE, NULL, 0);
	if (!IS_ERR(sleep_device))
		return 0;
	r = PTR_ERR(sleep_device);
	platform_driver_unregister(&sleep_driver);
no_driver:
	unregister_pm_notifier(&notifier);
	return r;
}

/**
 * remap_sleep_exit() - be told no more; no set exists any more
 */
void remap_sleep_exit(void)
{
	platform_device_unregister(sleep_device);
	platform_driver_unregister(&sleep_driver);
	unregister_pm_notifier(&notifier);
}
