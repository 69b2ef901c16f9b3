// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events, at the bottom: every layer puts here what it reports, and knows no listener.
 *
 * Events come from any context, also end_io.  They are numbered and put into a small ring of the
 * set under a spinlock, and handed to the sink by a work item of remap_set.aux_wq, which may
 * allocate but never waits for I/O of ours (P6).  What does not fit is dropped; its number is
 * used up, so a listener sees the gap.  Nothing is numbered while the sink has no listener.
 *
 * A change of mode is noticed in one place, remap_unlock(): code that changes a flag or a counter
 * that the mode is made of holds remap_set.lock.  A change without the lock says so itself
 * (remap_notice_mode()).
 *
 * Rules kept here:
 *   E3  only errors that may be of the medium are confirmed, all others passed up
 *   P9  a listener that is dead or slow holds nothing up
 */
#include <linux/ktime.h>
#include <linux/sched/mm.h>

#include "base/set.h"
#include "base/trace.h"

/* Set once, before there is a set. */
static const struct remap_sink *sink;

/**
 * remap_set_sink() - where events go
 * @to: the sink, or NULL
 *
 * Context: module init and exit; no set exists.
 */
void remap_set_sink(const struct remap_sink *to)
{
	sink = to;
}

/**
 * remap_listened() - whether there is a listener
 *
 * Context: any.
 */
bool remap_listened(void)
{
	return sink && sink->is_listened();
}

/**
 * remap_queue_event() - report to the listeners
 * @set: the set; active, or about to be released by the caller
 * @event: what; number, time, mode and use are filled in here
 *
 * Context: any.
 */
void remap_queue_event(struct remap_set *set, struct remap_event *event)
{
	unsigned long irq_flags;

	if (!remap_listened())
		return;
	event->time = ktime_get_real_ns();
	event->mode = remap_mode(set);
	event->nr_used = READ_ONCE(set->table.nr_used);
	spin_lock_irqsave(&set->events.lock, irq_flags);
	event->seq = ++set->events.seq;
	if (set->events.head - set->events.tail < REMAP_EVENT_RING)
		set->events.ring[set->events.head++ % REMAP_EVENT_RING] = *event;
	queue_work(set->aux_wq, &set->events.work);
	spin_unlock_irqrestore(&set->events.lock, irq_flags);
}

/**
 * remap_send_events() - the work item that sends
 * @work: remap_events.work
 */
void remap_send_events(struct work_struct *work)
{
	struct remap_set *set = container_of(work, struct remap_set, events.work);
	unsigned int noio = memalloc_noio_save();
	struct remap_event event;

	spin_lock_irq(&set->events.lock);
	while (set->events.tail != set->events.head) {
		event = set->events.ring[set->events.tail++ % REMAP_EVENT_RING];
		spin_unlock_irq(&set->events.lock);
		sink->send(set, &event);
		spin_lock_irq(&set->events.lock);
	}
	spin_unlock_irq(&set->events.lock);
	memalloc_noio_restore(noio);
}

/**
 * remap_notice_use() - tell when the spare becomes full
 * @set: the set
 *
 * How near that is, is for the daemon to decide.  Context: remap_set.lock held.
 */
void remap_notice_use(struct remap_set *set)
{
	struct remap_event event = { .kind = DM_REMAP_EVENT_SPARE_FULL };
	bool is_full = set->table.nr_used + set->table.nr_bad + set->table.nr_unusable >=
		       remap_geometry(set)->slots;

	if (is_full && !set->events.is_full)
		remap_queue_event(set, &event);
	set->events.is_full = is_full;
}

/**
 * remap_status_confirmable() - whether an error may mean a bad sector (E3)
 * @status: of a failed write
 *
 * It can only exclude: a dead SCSI host says IOERR too, a read-only nvme
 * namespace MEDIUM.  Context: any.
 */
bool remap_status_confirmable(blk_status_t status)
{
	return status == BLK_STS_IOERR || status == BLK_STS_MEDIUM;
}

/**
 * remap_status_class() - how an error is recorded and reported
 * @status: of a lower device
 *
 * Context: any.  Return: enum remap_status_class.
 */
u8 remap_status_class(blk_status_t status)
{
	if (!status)
		return REMAP_STATUS_NONE;
	if (status == BLK_STS_IOERR)
		return REMAP_STATUS_IOERR;
	return status == BLK_STS_MEDIUM ? REMAP_STATUS_MEDIUM : REMAP_STATUS_OTHER;
}

/**
 * remap_report_error() - tell that an I/O failed for good
 * @set: the set
 * @kind: enum dm_remap_event
 * @sector: of the mapped device
 * @nr_sectors: 0: a flush
 * @on_spare: it failed on the spare, not on main
 * @error: how it failed
 *
 * Context: any.
 */
void remap_report_error(struct remap_set *set, u32 kind, u64 sector, u32 nr_sectors,
			bool on_spare, blk_status_t error)
{
	struct remap_event event = {
		.kind = kind,
		.sector = sector,
		.nr_sectors = nr_sectors,
		.status = remap_status_class(error),
		.member = on_spare ? DM_REMAP_MEMBER_SPARE : DM_REMAP_MEMBER_MAIN,
		.reason = kind == DM_REMAP_EVENT_REFUSED ? DM_REMAP_REASON_CLASS : 0,
	};

	remap_queue_event(set, &event);
}

/**
 * remap_notice_mode() - tell listeners if the mode is not the one that they know
 * @set: the set
 *
 * By a work item, because dm_table_event() takes a mutex.  Context: any.
 */
void remap_notice_mode(struct remap_set *set)
{
	const char *told;

	/* Pairs with the one in remap_mode_work(): what was changed, then what was reported. */
	smp_mb();
	told = READ_ONCE(set->events.mode_told);
	if (told && strcmp(told, remap_mode(set)))
		queue_work(set->aux_wq, &set->events.mode_work);
}

/**
 * remap_unlock() - release remap_set.lock, and notice a change of mode
 * @set: the set; its lock is held
 */
void remap_unlock(struct remap_set *set)
{
	remap_notice_mode(set);
	mutex_unlock(&set->lock);
}

/**
 * remap_mode_work() - tell listeners, device-mapper's as well, of a change of mode
 * @work: remap_events.mode_work
 */
void remap_mode_work(struct work_struct *work)
{
	struct remap_set *set = container_of(work, struct remap_set, events.mode_work);
	const char *mode = remap_mode(set);
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_MODE,
		.old_mode = READ_ONCE(set->events.mode_told),
	};

	/* NULL: the set is released, and UNLOADED is its last event. */
	if (!event.old_mode ||
	    cmpxchg(&set->events.mode_told, event.old_mode, mode) != event.old_mode)
		return;
	if (strcmp(event.old_mode, mode)) {
		trace_dm_remap_mode(set, event.old_mode, mode);
		remap_queue_event(set, &event);
	}
	dm_table_event(set->ti->table);
	/* It may have changed back unseen since it was read: reported first, then look. */
	remap_notice_mode(set);
}
