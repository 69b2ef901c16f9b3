/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is on its way to the members, and what is in their volatile caches: flow.c, gate.c.
 */
#ifndef DM_REMAP_FLOW_H
#define DM_REMAP_FLOW_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/bitmap.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "map/table.h"

struct dm_dev;
struct remap_set;

/* Also the number of the flush bio that device-mapper sends for it. */
enum remap_member {
	REMAP_MAIN,
	REMAP_SPARE,
	REMAP_NR_MEMBERS,
};

/*
 * I/O in flight is counted by where it goes, so that a drain waits for its own
 * chunks and slots only (D20).  A bio is in one bucket: that of the smallest
 * aligned area of main that it lies in (128 KiB, 2 MiB, 32 MiB, all), or that of
 * its slot.  Buckets are shared by areas that are far apart.
 */
#define REMAP_BUCKETS_128K	64
#define REMAP_BUCKETS_2M	32
#define REMAP_BUCKETS_32M	16
#define REMAP_BUCKET_2M		REMAP_BUCKETS_128K
#define REMAP_BUCKET_32M	(REMAP_BUCKET_2M + REMAP_BUCKETS_2M)
#define REMAP_BUCKET_ALL	(REMAP_BUCKET_32M + REMAP_BUCKETS_32M)
#define REMAP_BUCKET_SLOT	(REMAP_BUCKET_ALL + 1)
#define REMAP_BUCKETS_SLOT	64
#define REMAP_NR_BUCKETS	(REMAP_BUCKET_SLOT + REMAP_BUCKETS_SLOT)

/**
 * struct remap_percpu - counted without sharing a cache line; sums over all CPUs count
 * @started: I/O sent to a member, per bucket and side (see remap_drain())
 * @ended: that has ended, the same way; behind @started, see remap_uncount()
 * @not_cached: of @ended, what went to main and left nothing in its cache (D10): it failed,
 *              had FUA, or is acknowledged only after a flush
 * @spare_writes: writes of users without FUA completed on the spare, bumped before they are
 *                reported (D9)
 */
struct remap_percpu {
	u64 started[REMAP_NR_BUCKETS][2];
	u64 ended[REMAP_NR_BUCKETS][2];
	u64 not_cached;
	u64 spare_writes;
};

static_assert(offsetof(struct remap_percpu, ended) == sizeof(u64) * 2 * REMAP_NR_BUCKETS);

/* remap_gate.owed: what was lost from a cache, and not reported yet (D17) */
enum remap_owed {
	REMAP_OWED_FLUSH,	/* to the next flush */
	REMAP_OWED_WRITE,	/* to the next write with FUA: dm drops the error of its preflush */
};

/**
 * struct remap_gate - all flushes of one member pass here, one after the other
 *
 * A disk tells a write error that it noticed late once, to whichever flush comes
 * first.  The next flush is sent only when the result of the last one is known to
 * everyone concerned.
 *
 * @set: whose member it is
 * @mutex: held while a flush is on its way, and from a write of our own to its flush
 * @bio: the flush; under @mutex
 * @nr_failed: flushes that failed; changes under @mutex
 * @backed: main: acknowledged writes may be in the cache that no flush has covered, although
 *          new ones are written through; changes under @mutex
 * @is_own: only what the holder of @mutex wrote can be in the cache
 * @owed: enum remap_owed, bits
 * @nr_good: flushes of users that succeeded since an error was owed to a write
 * @lock: protects @flushes and @writes; taken from end_io
 * @flushes: flushes of users that wait for their turn
 * @writes: writes that are in the cache, and are acknowledged after a flush
 * @work: sends one flush for all that is in both lists
 */
struct remap_gate {
	struct remap_set *set;
	struct mutex mutex; /* one flush at a time */
	struct bio *bio;
	u64 nr_failed;
	bool backed;
	bool is_own;
	unsigned long owed;
	u32 nr_good;
	spinlock_t lock; /* protects flushes, writes */
	struct bio_list flushes;
	struct bio_list writes;
	struct work_struct work;
};

/**
 * struct remap_flow - I/O in flight, and what is in the caches
 * @percpu: the counts
 * @counted: per bucket, where in @percpu->started new I/O is counted
 * @drain_mutex: held for a moment only
 * @draining: buckets whose sides a drain has to itself; under @drain_mutex
 * @drained: a bucket has left @draining
 * @flushed: per member, the writes that a successful flush has covered (D9, D10)
 * @gate: per member; see remap_gate()
 * @is_own_unflushed: writes of ours to the spare, not acknowledged, that no flush has covered
 * @own_failed: per member, nr_failed of its gate from before the first of such writes
 * @is_shared: both members may lie on one disk, whose cache then has one gate
 * @copying: held for reading by who copies without remap_set.lock, while a write is on
 *           its way or in a cache; for writing while main is held
 * @wq: runs the work of the gates
 */
struct remap_flow {
	struct remap_percpu __percpu *percpu;
	u64 __percpu *counted[REMAP_NR_BUCKETS];
	struct mutex drain_mutex; /* protects draining */
	DECLARE_BITMAP(draining, REMAP_NR_BUCKETS);
	wait_queue_head_t drained;
	atomic64_t flushed[REMAP_NR_MEMBERS];
	struct remap_gate gate[REMAP_NR_MEMBERS];
	bool is_own_unflushed;
	u64 own_failed[REMAP_NR_MEMBERS];
	bool is_shared;
	struct rw_semaphore copying;
	struct workqueue_struct *wq;
};

/**
 * struct remap_drain - what a drain waits for
 * @bucket: the buckets
 */
struct remap_drain {
	DECLARE_BITMAP(bucket, REMAP_NR_BUCKETS);
};

/* The bucket of I/O to sectors of main that lie in one region. */
static inline unsigned int remap_region_bucket(u64 region)
{
	return region % REMAP_BUCKETS_128K;
}

/* The bucket of I/O to @nr_sectors (at least one) of main. */
static inline unsigned int remap_main_bucket(u64 sector, u32 nr_sectors)
{
	u64 first = sector >> REMAP_REGION_SHIFT;
	u64 last = (sector + nr_sectors - 1) >> REMAP_REGION_SHIFT;

	if (likely(first == last))
		return remap_region_bucket(first);
	if (first >> 4 == last >> 4)
		return REMAP_BUCKET_2M + (first >> 4) % REMAP_BUCKETS_2M;
	if (first >> 8 == last >> 8)
		return REMAP_BUCKET_32M + (first >> 8) % REMAP_BUCKETS_32M;
	return REMAP_BUCKET_ALL;
}

static inline unsigned int remap_slot_bucket(u32 slot)
{
	return REMAP_BUCKET_SLOT + slot % REMAP_BUCKETS_SLOT;
}

/*
 * Count I/O that is about to be sent; the pointer is for remap_uncount().  In the RCU section
 * of its lookup.
 */
static inline u64 __percpu *remap_count(struct remap_flow *flow, unsigned int bucket)
{
	u64 __percpu *started = READ_ONCE(flow->counted[bucket]);

	this_cpu_inc(*started);
	return started;
}

/*
 * What was counted there has ended.  The last access to the set: a drain that sees it may let
 * the set go.
 */
static inline void remap_uncount(u64 __percpu *started)
{
	this_cpu_inc(started[2 * REMAP_NR_BUCKETS]);
}

/*
 * The same where the set was written or read before.  Pairs with the barriers of who sums up:
 * main_writes(), wait_bucket(), is_in_flight().
 */
static inline void remap_uncount_release(u64 __percpu *started)
{
	smp_mb(); /* all else before it counts as ended */
	remap_uncount(started);
}

/* I/O in flight */
void remap_drain_chunk(struct remap_drain *drain, u64 chunk);
void remap_drain_slot(struct remap_drain *drain, u32 slot);
void remap_drain(struct remap_set *set, const struct remap_drain *drain);
int remap_try_drain(struct remap_set *set, const struct remap_drain *drain);
void remap_drain_main(struct remap_set *set);
void remap_drain_all(struct remap_set *set);
void remap_hold_main(struct remap_set *set);
void remap_unhold_main(struct remap_set *set);
bool remap_is_slot_io(const struct remap_set *set);

/* Caches */
bool remap_is_cached(const struct remap_set *set, enum remap_member member);
bool remap_has_fua(const struct remap_set *set, enum remap_member member);
bool remap_is_unflushed(const struct remap_set *set, enum remap_member member);
u64 remap_cached_writes(const struct remap_set *set, enum remap_member member);
void remap_flush_covered(struct remap_set *set, enum remap_member member, u64 sum);

/* Gates: gate.c */
struct remap_gate *remap_gate(struct remap_set *set, enum remap_member member);
void remap_gate_add(struct remap_gate *gate, struct bio *bio, bool flush);
int remap_gate_flush(struct remap_set *set, enum remap_member member);
int remap_gate_flush_locked(struct remap_set *set, enum remap_member member);
int remap_gate_clean(struct remap_set *set, enum remap_member member);
bool remap_take_owed(struct remap_set *set, enum remap_owed owed);
void remap_begin_own_write(struct remap_set *set, enum remap_member member);
int remap_flush_own(struct remap_set *set, enum remap_member member);
int remap_flush_spare(struct remap_set *set);
void remap_settle_cache(struct remap_set *set);
void remap_settle_main(struct remap_set *set);
void remap_error_seen(struct remap_set *set);
int remap_flow_init(struct remap_set *set);
void remap_flow_exit(struct remap_set *set);

#endif
