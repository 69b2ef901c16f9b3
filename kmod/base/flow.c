// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is on its way to the members, and what they may have in their volatile caches: counted
 * per CPU, so that the fast path shares no cache line, and summed up here.  Below everything
 * that does I/O: it knows bios and devices, not the table.
 *
 * Rules kept here:
 *   D3  remap_drain(): who did not see the busy mark has ended when it returns
 *   D4  counted until the lower I/O ends
 *   D9  counts of the writes on the spare, and of those a flush has covered
 *   D20 a drain waits for the I/O of its chunks and slots
 */
#include <linux/delay.h>

#include "base/set.h"

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
 * Also true without a volatile cache.  A device that is no request queue (device-mapper, md) says
 * that it has FUA whatever lies below; so it is taken to have none.  Context: any.
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

/**
 * remap_cached_writes() - writes that a member has completed, and may have in its cache
 * @set: the set
 * @member: which one
 *
 * Context: any.  Return: their number since activation; of main for a moment too low.
 */
u64 remap_cached_writes(const struct remap_set *set, enum remap_member member)
{
	return member == REMAP_SPARE ? spare_writes(set) : main_writes(set);
}

/**
 * remap_flush_covered() - a flush succeeded
 * @set: the set
 * @member: of which member
 * @sum: remap_cached_writes() from before it was sent
 *
 * Two flushes may end in either order: the larger sum stays.  Context: any.
 */
void remap_flush_covered(struct remap_set *set, enum remap_member member, u64 sum)
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
	return (s64)remap_cached_writes(set, member) >
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

/**
 * remap_is_slot_io() - whether I/O to slots is on its way
 * @set: the set
 *
 * Context: any.
 */
bool remap_is_slot_io(const struct remap_set *set)
{
	unsigned int bucket;

	for (bucket = REMAP_BUCKET_SLOT; bucket < REMAP_NR_BUCKETS; bucket++) {
		if (sum_ended(&set->flow, 0, bucket) != sum_started(&set->flow, 0, bucket) ||
		    sum_ended(&set->flow, 1, bucket) != sum_started(&set->flow, 1, bucket))
			return true;
	}
	/* What ended is in spare_writes: pairs with remap_uncount_release(). */
	smp_rmb();
	return false;
}
