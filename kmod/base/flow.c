// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is on its way to the members, and what is in their volatile caches.  Below
 * everything that does I/O: it knows bios and devices, not the table.
 *
 * A disk with a volatile cache acknowledges a write that it has in RAM.  When the
 * sector fails later, it says so once, to whichever flush comes first, without
 * saying which write it was; the data is gone, and the next flush succeeds.  So:
 *
 *   - All flushes of a member, users' and our own, pass its gate one after the other.
 *     One that fails is remembered: the next flush, and the next write with FUA,
 *     of a user get the error (D17), unless nothing acknowledged can have been lost.
 *   - A write that must be durable before it is acknowledged (FUA, or every write to a
 *     main that is written through, D18) is sent with FUA where the device has that
 *     itself.  Elsewhere the kernel would send a write and a flush of its own, that
 *     could swallow the error of another write: it is sent without FUA, waits in the
 *     gate, and is acknowledged after a flush.  If a flush failed since it was mapped, it
 *     is suspect: it goes to the worker, which finds out (main), or it fails (spare).
 *
 * A device that is no request queue (device-mapper, md) says that it has FUA whatever lies
 * below; so it is taken to have none.
 *
 * Rules kept here:
 *   D3  remap_drain(): who did not see the busy mark has ended when it returns
 *   D4  counted until the lower I/O ends
 *   D9  counts of the writes on the spare, and of those a flush has covered
 *   D17 an error that a flush of ours consumed is owed to users
 *   D20 a drain waits for the I/O of its chunks and slots
 */
#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/slab.h>

#include "base/set.h"
#include "base/written.h"

/* Flushes of ours in a row until one succeeds: each failure tells of one more loss. */
#define CLEAN_TRIES	4

/**
 * remap_is_cached() - whether a member has a volatile write cache now
 * @set: the set
 * @member: which one
 *
 * Asked each time: an administrator switches it, a power cycle switches it back.
 * Context: any.
 */
bool remap_is_cached(const struct remap_set *set, enum remap_member member)
{
	return bdev_write_cache((member == REMAP_MAIN ? set->main : set->spare)->bdev);
}

/**
 * remap_has_fua() - whether a write with FUA to a member is durable by itself
 * @set: the set
 * @member: which one
 *
 * False: the kernel, or a device in between, would send a flush behind it.
 * Also true without a volatile cache.  Context: any.
 */
bool remap_has_fua(const struct remap_set *set, enum remap_member member)
{
	struct block_device *bdev = (member == REMAP_MAIN ? set->main : set->spare)->bdev;

	return !bdev_write_cache(bdev) ||
	       (bdev_fua(bdev) && queue_is_mq(bdev_get_queue(bdev)));
}

/**
 * remap_gate() - the gate of a member
 * @set: the set
 * @member: which one
 *
 * Both have one where they may lie on one disk: partitions of it, or a mapped device or an array,
 * of which it is not known what lies below.  Context: any.
 */
struct remap_gate *remap_gate(struct remap_set *set, enum remap_member member)
{
	return &set->flow.gate[set->flow.is_shared ? REMAP_MAIN : member];
}

static u64 sum_of(const struct remap_flow *flow, size_t offset)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*(u64 *)((char *)per_cpu_ptr(flow->percpu, cpu) + offset));
	return sum;
}

static u64 sum_started(const struct remap_flow *flow, unsigned int side, unsigned int bucket)
{
	return sum_of(flow, offsetof(struct remap_percpu, started[bucket][side]));
}

static u64 sum_ended(const struct remap_flow *flow, unsigned int side, unsigned int bucket)
{
	return sum_of(flow, offsetof(struct remap_percpu, ended[bucket][side]));
}

/*
 * Users' writes that completed on the spare so far.  A write is counted before it is reported,
 * so every write whose completion the caller can know of is in the sum (D9); but those with FUA,
 * which leave nothing in a cache.
 */
static u64 spare_writes(const struct remap_set *set)
{
	return sum_of(&set->flow, offsetof(struct remap_percpu, spare_writes));
}

/*
 * Writes that main has completed, and may have in its cache.
 * Too low for a moment, never too high: what ends while it is summed up may be missing.
 */
static u64 main_writes(const struct remap_set *set)
{
	const struct remap_flow *flow = &set->flow;
	unsigned int bucket;
	u64 sum = 0;

	for (bucket = 0; bucket < REMAP_BUCKET_SLOT; bucket++)
		sum += sum_ended(flow, 0, bucket) + sum_ended(flow, 1, bucket);
	/* What was taken off before it ended is seen to be: pairs with remap_uncount_release(). */
	smp_rmb();
	return sum - sum_of(flow, offsetof(struct remap_percpu, not_cached));
}

static u64 writes_of(const struct remap_set *set, enum remap_member member)
{
	return member == REMAP_SPARE ? spare_writes(set) : main_writes(set);
}

/*
 * A flush succeeded; @sum: writes_of() from before it was sent.  Two flushes may end in either
 * order: the larger sum stays.
 */
static void flush_covered(struct remap_set *set, enum remap_member member, u64 sum)
{
	atomic64_t *flushed = &set->flow.flushed[member];
	s64 old = atomic64_read(flushed);

	while (old < (s64)sum && !atomic64_try_cmpxchg(flushed, &old, sum))
		;
}

/**
 * remap_is_unflushed() - whether a member completed writes that no flush covers
 * @set: the set; exact for main only when nothing is in flight
 * @member: which one
 *
 * Context: any.
 */
bool remap_is_unflushed(const struct remap_set *set, enum remap_member member)
{
	return (s64)writes_of(set, member) >
	       atomic64_read(&set->flow.flushed[member]);
}

/*
 * Nothing starts there any more: that all of it has ended is final.
 * False: the set is being suspended, and the caller would rather stop.
 */
static bool wait_bucket(const struct remap_set *set, unsigned int side, unsigned int bucket,
			bool may_stop)
{
	u64 started = sum_started(&set->flow, side, bucket);

	while (sum_ended(&set->flow, side, bucket) != started) {
		if (may_stop && test_bit(REMAP_SUSPENDING, &set->flags))
			return false;
		usleep_range(200, 1000);
	}
	/* Pairs with remap_uncount_release(): what it did to the set before is done. */
	smp_mb();
	return true;
}

/* The side that new I/O is counted on. */
static unsigned int side_of(const struct remap_flow *flow, unsigned int bucket)
{
	return flow->counted[bucket] != &flow->percpu->started[bucket][0];
}

static bool wait_buckets(const struct remap_set *set, const struct remap_drain *drain,
			 bool other, bool may_stop)
{
	unsigned int bucket;

	for_each_set_bit(bucket, drain->bucket, REMAP_NR_BUCKETS) {
		if (!wait_bucket(set, side_of(&set->flow, bucket) ^ other, bucket, may_stop))
			return false;
	}
	return true;
}

/**
 * remap_drain_chunk() - wait for writes to a chunk of main, too
 * @drain: zeroed first
 * @chunk: chunk of the mapped device
 */
void remap_drain_chunk(struct remap_drain *drain, u64 chunk)
{
	u64 region = chunk * REMAP_CHUNK_SECTORS >> REMAP_REGION_SHIFT;

	__set_bit(remap_main_bucket(chunk * REMAP_CHUNK_SECTORS, 1), drain->bucket);
	__set_bit(REMAP_BUCKET_2M + (region >> 4) % REMAP_BUCKETS_2M, drain->bucket);
	__set_bit(REMAP_BUCKET_32M + (region >> 8) % REMAP_BUCKETS_32M, drain->bucket);
	__set_bit(REMAP_BUCKET_ALL, drain->bucket);
}

/**
 * remap_drain_slot() - wait for I/O to a slot, too
 * @drain: zeroed first
 * @slot: the slot
 */
void remap_drain_slot(struct remap_drain *drain, u32 slot)
{
	__set_bit(remap_slot_bucket(slot), drain->bucket);
}

/* These buckets are the caller's until end_drain(). */
static void begin_drain(struct remap_flow *flow, const struct remap_drain *drain)
{
	mutex_lock(&flow->drain_mutex);
	while (bitmap_intersects(flow->draining, drain->bucket, REMAP_NR_BUCKETS)) {
		DEFINE_WAIT(wait);

		prepare_to_wait(&flow->drained, &wait, TASK_UNINTERRUPTIBLE);
		mutex_unlock(&flow->drain_mutex);
		schedule();
		finish_wait(&flow->drained, &wait);
		mutex_lock(&flow->drain_mutex);
	}
	bitmap_or(flow->draining, flow->draining, drain->bucket, REMAP_NR_BUCKETS);
	mutex_unlock(&flow->drain_mutex);
}

static void end_drain(struct remap_flow *flow, const struct remap_drain *drain)
{
	mutex_lock(&flow->drain_mutex);
	bitmap_andnot(flow->draining, flow->draining, drain->bucket, REMAP_NR_BUCKETS);
	mutex_unlock(&flow->drain_mutex);
	wake_up_all(&flow->drained);
}

static bool do_drain(struct remap_set *set, const struct remap_drain *drain, bool may_stop)
{
	struct remap_flow *flow = &set->flow;
	unsigned int bucket;
	bool drained;

	begin_drain(flow, drain);
	/* What an earlier drain did not wait for: no side may have old I/O and new. */
	drained = wait_buckets(set, drain, true, may_stop);
	if (drained) {
		/* Whatever did not see the mark is counted after this, on either side. */
		synchronize_rcu();
		for_each_set_bit(bucket, drain->bucket, REMAP_NR_BUCKETS)
			WRITE_ONCE(flow->counted[bucket],
				   &flow->percpu->started[bucket][!side_of(flow, bucket)]);
		/* From here on nothing is counted on the old side. */
		synchronize_rcu();
		drained = wait_buckets(set, drain, true, may_stop);
	}
	end_drain(flow, drain);
	return drained;
}

/**
 * remap_drain() - wait until I/O that did not see a change of the table ended
 * @set: the set
 * @drain: which I/O
 *
 * Call it after the change (a busy mark, D3).  Counted are writes and whatever
 * was sent to the spare, until the *lower* I/O ends (D4), so nothing that is
 * waited for can wait for the caller.
 *
 * Two drains of one bucket take turns, for each needs a side that nothing is
 * counted on any more; others run side by side (D20).
 *
 * Context: may sleep; with or without remap_set.lock.  Not from the queue that completes
 * bios, not from end_io.
 */
void remap_drain(struct remap_set *set, const struct remap_drain *drain)
{
	do_drain(set, drain, false);
}

/**
 * remap_try_drain() - remap_drain(), unless the set is to be suspended
 * @set: the set
 * @drain: which I/O
 *
 * Context: may sleep; remap_set.lock not held.
 * Return: 0, or -EBUSY: there may still be I/O that did not see the change.
 */
int remap_try_drain(struct remap_set *set, const struct remap_drain *drain)
{
	return do_drain(set, drain, true) ? 0 : -EBUSY;
}

/**
 * remap_drain_main() - wait for all writes to main that did not see a change
 * @set: the set
 *
 * Context: as for remap_drain().
 */
void remap_drain_main(struct remap_set *set)
{
	struct remap_drain drain = { };

	bitmap_set(drain.bucket, 0, REMAP_BUCKET_SLOT);
	remap_drain(set, &drain);
}

/**
 * remap_drain_all() - wait until nothing is in flight, nor in a gate
 * @set: the set; nothing new may be mapped
 *
 * Context: suspended or being removed, may sleep.
 */
void remap_drain_all(struct remap_set *set)
{
	unsigned int bucket;

	for (bucket = 0; bucket < REMAP_NR_BUCKETS; bucket++) {
		wait_bucket(set, 0, bucket, false);
		wait_bucket(set, 1, bucket, false);
	}
	/* What ended in a cache waits in a gate; suspects go on to the worker. */
	flush_workqueue(set->flow.wq);
	flush_workqueue(set->queue.wq);
}

/**
 * remap_hold_main() - keep all writes from main until remap_unhold_main()
 * @set: the set
 *
 * New ones go to the worker, those on their way are waited for; where the spare may lie
 * on the same disk, writes to it as well.  While main is held, the error of a flush belongs
 * to what the caller wrote (D19).
 *
 * Context: remap_set.lock held.
 */
void remap_hold_main(struct remap_set *set)
{
	struct remap_drain drain = { };

	set_bit(REMAP_HELD, &set->flags);
	bitmap_set(drain.bucket, 0,
		   set->flow.is_shared ? REMAP_NR_BUCKETS : REMAP_BUCKET_SLOT);
	remap_drain(set, &drain);
	down_write(&set->flow.copying);
}

/**
 * remap_unhold_main() - writes may go to main again
 * @set: the set
 *
 * What was held is in the worker's queue.  Context: remap_set.lock held.
 */
void remap_unhold_main(struct remap_set *set)
{
	up_write(&set->flow.copying);
	clear_bit(REMAP_HELD, &set->flags);
}

static bool is_in_flight(const struct remap_set *set, unsigned int bucket, unsigned int end)
{
	for (; bucket < end; bucket++) {
		if (sum_ended(&set->flow, 0, bucket) != sum_started(&set->flow, 0, bucket) ||
		    sum_ended(&set->flow, 1, bucket) != sum_started(&set->flow, 1, bucket))
			return true;
	}
	/* What ended is in spare_writes: pairs with remap_uncount_release(). */
	smp_rmb();
	return false;
}

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
	    (is_in_flight(set, REMAP_BUCKET_SLOT, REMAP_NR_BUCKETS) ||
	     remap_is_unflushed(set, REMAP_SPARE)))
		return true;
	return (member == REMAP_MAIN || set->flow.is_shared) &&
	       (remap_write_cache(set) != REMAP_WRITE_THROUGH ||
		set->flow.gate[REMAP_MAIN].backed);
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
	u64 sum = writes_of(set, member);
	int r;

	if (member == REMAP_MAIN)
		remap_scan_begin(set);
	bio_init(gate->bio, bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC);
	r = submit_bio_wait(gate->bio);
	bio_uninit(gate->bio);
	if (member == REMAP_MAIN)
		remap_scan_end(set, r);
	if (!r) {
		flush_covered(set, member, sum);
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
 * remap_gate_clean() - flush until nothing more is told
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

	/* A disk that takes its time gets two: the first may have told of another's loss. */
	for (try = 0; r && try < tries; try++) {
		r = remap_gate_flush_locked(set, member);
		if (time_after(jiffies, began + REMAP_SLOW_COMMAND))
			tries = 2;
	}
	return r;
}

/**
 * remap_take_owed() - whether an error has to be told now; then it is told
 * @set: the set
 * @owed: to whom: a write with FUA is told of both members, for it may be the commit of a journal
 *        over data on both
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
 * @owed: an error has to be told
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
		if (turn->r[member] && has_flush && !remap_has_fua(set, member) &&
		    !is_acknowledged_at_risk(gate, member))
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
			/* Another flush may have told of it, and this one has nothing to tell. */
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
 * A flush that fails from now on may be told that it is gone.
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
 * An error that the flush of a user, or of another write, was told in between is one: what
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
