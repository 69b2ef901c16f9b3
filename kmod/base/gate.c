// SPDX-License-Identifier: GPL-2.0-only
/*
 * All flushes of a member, users' and our own, pass its gate one after the other.
 *
 * A disk with a volatile cache acknowledges a write that it has in RAM.  When the
 * sector fails later, it says so once, to whichever flush comes first, without
 * saying which write it was; the data is gone, and the next flush succeeds.  So:
 *
 *   - A flush that fails is remembered: the next flush, and the next write with FUA,
 *     of a user get the error (D17), unless nothing acknowledged can have been lost.
 *   - A write that must be durable before it is acknowledged (FUA, or every write to a
 *     main that is written through, D18) is sent with FUA where the device has that
 *     itself.  Elsewhere the kernel would send a write and a flush of its own, that
 *     could swallow the error of another write: it is sent without FUA, waits in the
 *     gate, and is acknowledged after a flush.  If a flush failed since it was mapped, it
 *     is suspect: it goes to the worker, which finds out (main), or it fails (spare).
 *
 * Rules kept here:
 *   D9  a spare that was not written since its last flush is not flushed
 *   D17 an error that a flush of ours consumed is owed to users
 */
#include <linux/slab.h>

#include "base/set.h"
#include "base/written.h"

/* Flushes of ours in a row until one succeeds: each failure tells of one more loss. */
#define CLEAN_TRIES	4

/*
 * Whether an error of a flush can be of a write that was, or is about to be, acknowledged.  A
 * write to a slot counts from the moment at which it is sent, for the disk may have it already.
 */
static bool is_acknowledged_at_risk(const struct remap_gate *gate, enum remap_member member)
{
	const struct remap_set *set = gate->set;

	if (gate->is_own)
		return false;
	if ((member == REMAP_SPARE || set->flow.is_shared) &&
	    (remap_is_slot_io(set) ||
	     remap_is_unflushed(set, REMAP_SPARE)))
		return true;
	return (member == REMAP_MAIN || set->flow.is_shared) &&
	       (remap_write_cache(set) != REMAP_WRITE_THROUGH ||
		set->flow.gate[REMAP_MAIN].backed);
}

/* Whether a flush is what writes wait for, and all that it may lose is written again or fails. */
static bool is_resolved(const struct remap_gate *gate, enum remap_member member)
{
	return !remap_has_fua(gate->set, member) && !is_acknowledged_at_risk(gate, member);
}

static void owe(struct remap_gate *gate, enum remap_owed owed)
{
	gate->nr_good = 0;
	set_bit(owed, &gate->owed);
}

/**
 * remap_error_seen() - main failed in some way: `auto` ends
 * @set: the set
 *
 * Context: any.
 */
void remap_error_seen(struct remap_set *set)
{
	if (likely(cmpxchg(&set->write_cache, REMAP_WRITE_AUTO, REMAP_WRITE_THROUGH) !=
		   REMAP_WRITE_AUTO))
		return;
	queue_work(set->aux_wq, &set->settle_work);
}

/**
 * remap_gate_flush_locked() - send one flush, and remember it if it fails
 * @set: the set
 * @member: what to flush; the mutex of its gate is held
 *
 * Context: may sleep.  Return: 0 or a negative errno.
 */
int remap_gate_flush_locked(struct remap_set *set, enum remap_member member)
{
	struct block_device *bdev = (member == REMAP_MAIN ? set->main : set->spare)->bdev;
	struct remap_gate *gate = remap_gate(set, member);
	u64 sum = remap_cached_writes(set, member);
	int r;

	if (member == REMAP_MAIN)
		remap_scan_begin(set);
	/* SCSI and libata would send one that failed again: that succeeds, and hides the loss. */
	bio_init(gate->bio, bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC |
		 (is_resolved(gate, member) ? REQ_FAILFAST_DEV : 0));
	r = submit_bio_wait(gate->bio);
	bio_uninit(gate->bio);
	if (member == REMAP_MAIN)
		remap_scan_end(set, r);
	if (!r) {
		remap_flush_covered(set, member, sum);
		return 0;
	}
	/* Before anything else can be acknowledged: see remap_gate_work(). */
	WRITE_ONCE(gate->nr_failed, gate->nr_failed + 1);
	if (is_acknowledged_at_risk(gate, member)) {
		owe(gate, REMAP_OWED_FLUSH);
		owe(gate, REMAP_OWED_WRITE);
	}
	remap_count_up(set, REMAP_FLUSH_ERRORS);
	remap_report_error(set, DM_REMAP_EVENT_FLUSH_ERROR, 0, 0, member == REMAP_SPARE,
			   errno_to_blk_status(r));
	if (member == REMAP_MAIN)
		remap_error_seen(set);
	return r;
}

/**
 * remap_gate_flush() - flush a member for ourselves, the result checked (C10)
 * @set: the set
 * @member: which one
 *
 * Context: may sleep; not with the gate's mutex.  Return: 0 or a negative errno.
 */
int remap_gate_flush(struct remap_set *set, enum remap_member member)
{
	struct remap_gate *gate = remap_gate(set, member);
	int r;

	mutex_lock(&gate->mutex);
	r = remap_gate_flush_locked(set, member);
	mutex_unlock(&gate->mutex);
	return r;
}

/**
 * remap_gate_clean() - flush until no more errors are reported
 * @set: the set
 * @member: which one; the mutex of its gate is held
 *
 * Context: may sleep.  Return: 0: the last flush succeeded; or a negative errno.
 */
int remap_gate_clean(struct remap_set *set, enum remap_member member)
{
	unsigned int try, tries = CLEAN_TRIES;
	unsigned long began = jiffies;
	int r = -EIO;

	/* A disk that takes its time gets two: the first may have reported another's loss. */
	for (try = 0; r && try < tries; try++) {
		r = remap_gate_flush_locked(set, member);
		if (time_after(jiffies, began + REMAP_SLOW_COMMAND))
			tries = 2;
	}
	return r;
}

/**
 * remap_take_owed() - whether an error has to be reported now; then it counts as reported
 * @set: the set
 * @owed: to whom: a write with FUA gets the errors of both members, for it may be the commit of a
 *        journal over data on both
 *
 * Context: any.
 */
bool remap_take_owed(struct remap_set *set, enum remap_owed owed)
{
	bool told = test_and_clear_bit(owed, &set->flow.gate[REMAP_MAIN].owed);

	return test_and_clear_bit(owed, &set->flow.gate[REMAP_SPARE].owed) || told;
}

/**
 * remap_gate_add() - a flush of a user, or a write that is in the cache, waits for a flush
 * @gate: the member's
 * @bio: ended when its turn has come
 * @flush: it is a flush
 *
 * Context: any, also end_io.
 */
void remap_gate_add(struct remap_gate *gate, struct bio *bio, bool flush)
{
	unsigned long irq_flags;

	spin_lock_irqsave(&gate->lock, irq_flags);
	bio_list_add(flush ? &gate->flushes : &gate->writes, bio);
	/* Inside: once the lock is free a running work may end the bio, and the set. */
	queue_work(gate->set->flow.wq, &gate->work);
	spin_unlock_irqrestore(&gate->lock, irq_flags);
}

static enum remap_member member_of(struct bio *bio)
{
	return remap_bio(bio)->kind == REMAP_PLACE_SPARE ? REMAP_SPARE : REMAP_MAIN;
}

static bool has_bio_of(const struct bio_list *list, enum remap_member member)
{
	struct bio *bio;

	bio_list_for_each(bio, list) {
		if (member_of(bio) == member)
			return true;
	}
	return false;
}

/**
 * struct turn - what waits in a gate, and is flushed together
 * @flushes: of users
 * @writes: that are in a cache
 * @r: per member: whether it was flushed
 * @owed: an error has to be reported
 * @nr_failed: remap_gate.nr_failed afterwards
 */
struct turn {
	struct bio_list flushes;
	struct bio_list writes;
	int r[REMAP_NR_MEMBERS];
	bool owed;
	u64 nr_failed;
};

/*
 * One flush for all that waits for a member.  Where every write is acknowledged after a flush, one
 * that fails is of a write that waits here or is on its way, and all these are suspects: the
 * user's flush has nothing to do with it, if another one succeeds.
 */
static void flush_turn(struct remap_gate *gate, struct turn *turn)
{
	struct remap_set *set = gate->set;
	enum remap_member member;
	bool any_failed = false;

	mutex_lock(&gate->mutex);
	for (member = REMAP_MAIN; member < REMAP_NR_MEMBERS; member++) {
		bool has_flush = has_bio_of(&turn->flushes, member);

		turn->r[member] = 0;
		if (!has_flush && !has_bio_of(&turn->writes, member))
			continue;
		turn->r[member] = remap_gate_flush_locked(set, member);
		if (turn->r[member] && has_flush && is_resolved(gate, member))
			turn->r[member] = remap_gate_clean(set, member);
		/* dm drops the error of a preflush, but not of the FUA write behind it. */
		if (turn->r[member] && has_flush)
			owe(gate, REMAP_OWED_WRITE);
		any_failed |= turn->r[member];
	}
	turn->nr_failed = gate->nr_failed;
	turn->owed = !bio_list_empty(&turn->flushes) &&
		     test_and_clear_bit(REMAP_OWED_FLUSH, &gate->owed);
	/* The write behind a preflush is sent at once: it came before these flushes. */
	if (!any_failed && !turn->owed && !bio_list_empty(&turn->flushes) && ++gate->nr_good >= 2)
		clear_bit(REMAP_OWED_WRITE, &gate->owed);
	mutex_unlock(&gate->mutex);
}

static void remap_gate_work(struct work_struct *work)
{
	struct remap_gate *gate = container_of(work, struct remap_gate, work);
	struct turn turn;
	struct bio *bio;

	for (;;) {
		spin_lock_irq(&gate->lock);
		turn.flushes = gate->flushes;
		turn.writes = gate->writes;
		bio_list_init(&gate->flushes);
		bio_list_init(&gate->writes);
		spin_unlock_irq(&gate->lock);
		if (bio_list_empty(&turn.flushes) && bio_list_empty(&turn.writes))
			return;

		flush_turn(gate, &turn);
		while ((bio = bio_list_pop(&turn.writes))) {
			/* Another flush may have reported it, and this one has nothing to add. */
			if (!turn.r[member_of(bio)] && remap_bio(bio)->flush_sum == turn.nr_failed)
				remap_end_bio(bio, BLK_STS_OK);
			else
				remap_suspect(gate->set, bio);
		}
		while ((bio = bio_list_pop(&turn.flushes))) {
			int r = turn.r[member_of(bio)];

			remap_end_bio(bio, r ? errno_to_blk_status(r) :
				      turn.owed ? BLK_STS_IOERR : BLK_STS_OK);
		}
	}
}

/**
 * remap_begin_own_write() - a write of ours is about to be sent that a flush will make durable
 * @set: the set
 * @member: where to
 *
 * A flush that fails from now on may be due to its loss.
 * Context: remap_set.lock held.
 */
void remap_begin_own_write(struct remap_set *set, enum remap_member member)
{
	if (member == REMAP_SPARE && READ_ONCE(set->flow.is_own_unflushed))
		return;
	set->flow.own_failed[member] = READ_ONCE(remap_gate(set, member)->nr_failed);
	if (member == REMAP_SPARE)
		WRITE_ONCE(set->flow.is_own_unflushed, true);
}

/**
 * remap_flush_own() - flush what was written since remap_begin_own_write()
 * @set: the set
 * @member: where to
 *
 * An error that the flush of a user, or of another write, reported in between is one: what
 * we wrote may be gone from the cache, and our flush has nothing to tell (D17).
 *
 * Context: remap_set.lock held, may sleep; not with the gate's mutex.
 * Return: 0: it is durable; or a negative errno: whatever was written has to be written again.
 */
int remap_flush_own(struct remap_set *set, enum remap_member member)
{
	struct remap_gate *gate = remap_gate(set, member);
	int r;

	mutex_lock(&gate->mutex);
	r = remap_gate_flush_locked(set, member);
	if (!r && gate->nr_failed != set->flow.own_failed[member])
		r = -EIO;
	set->flow.own_failed[member] = gate->nr_failed;
	mutex_unlock(&gate->mutex);
	return r;
}

/**
 * remap_flush_spare() - flush the spare if it was written since its last flush (C10, D9)
 * @set: the set
 *
 * Context: may sleep.  Return: 0 or a negative errno.
 */
int remap_flush_spare(struct remap_set *set)
{
	int r;

	if (!READ_ONCE(set->flow.is_own_unflushed))
		return remap_is_unflushed(set, REMAP_SPARE) ?
		       remap_gate_flush(set, REMAP_SPARE) : 0;
	/* First: one that ends now may not be covered. */
	WRITE_ONCE(set->flow.is_own_unflushed, false);
	r = remap_flush_own(set, REMAP_SPARE);
	if (r)
		WRITE_ONCE(set->flow.is_own_unflushed, true);
	return r;
}

/**
 * remap_settle_cache() - flush what the members have in their caches
 * @set: the set
 *
 * So that a table which is replaced in peace, with a flush, leaves nothing behind.
 *
 * Context: postsuspend, may sleep.
 */
void remap_settle_cache(struct remap_set *set)
{
	remap_flush_spare(set);
	if (remap_is_unflushed(set, REMAP_MAIN))
		remap_gate_flush(set, REMAP_MAIN);
}

/**
 * remap_settle_main() - make sure that main's cache has nothing that was acknowledged
 * @set: the set; its main is written through from now on
 *
 * Writes that were mapped before are waited for, then main is flushed.  Until that
 * succeeds, an error of a flush is owed to users.
 *
 * Context: may sleep; not from the queue that completes bios.
 */
void remap_settle_main(struct remap_set *set)
{
	struct remap_gate *gate = remap_gate(set, REMAP_MAIN);

	remap_drain_main(set);
	mutex_lock(&gate->mutex);
	if (!remap_gate_clean(set, REMAP_MAIN))
		gate->backed = remap_write_cache(set) != REMAP_WRITE_THROUGH;
	mutex_unlock(&gate->mutex);
}

/**
 * remap_flow_init() - allocate
 * @set: the set; zeroed
 *
 * Context: constructor.  Return: 0 or -ENOMEM; remap_flow_exit() frees what was allocated.
 */
int remap_flow_init(struct remap_set *set)
{
	struct remap_flow *flow = &set->flow;
	unsigned int i;

	mutex_init(&flow->drain_mutex);
	init_waitqueue_head(&flow->drained);
	init_rwsem(&flow->copying);
	for (i = 0; i < REMAP_NR_MEMBERS; i++) {
		struct remap_gate *gate = &flow->gate[i];

		gate->set = set;
		gate->backed = true;
		mutex_init(&gate->mutex);
		spin_lock_init(&gate->lock);
		bio_list_init(&gate->flushes);
		bio_list_init(&gate->writes);
		INIT_WORK(&gate->work, remap_gate_work);
		gate->bio = kzalloc(sizeof(*gate->bio), GFP_KERNEL);
		if (!gate->bio)
			return -ENOMEM;
	}
	flow->percpu = alloc_percpu(struct remap_percpu);
	if (!flow->percpu)
		return -ENOMEM;
	for (i = 0; i < REMAP_NR_BUCKETS; i++)
		flow->counted[i] = &flow->percpu->started[i][0];
	/* What earlier owners of the spare left unflushed is unknown (D9). */
	this_cpu_inc(flow->percpu->spare_writes);
	/* Two at once: a spare that hangs must not hold main's flushes up. */
	flow->wq = alloc_workqueue("dm-remap-flush", WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	return flow->wq ? 0 : -ENOMEM;
}

/**
 * remap_flow_exit() - free
 * @set: the set; nothing is in flight
 */
void remap_flow_exit(struct remap_set *set)
{
	struct remap_flow *flow = &set->flow;
	unsigned int i;

	if (flow->wq)
		destroy_workqueue(flow->wq);
	free_percpu(flow->percpu);
	for (i = 0; i < REMAP_NR_MEMBERS; i++)
		kfree(flow->gate[i].bio);
}
