/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker's queue, and what map keeps with each bio: queue.c.
 */
#ifndef DM_REMAP_QUEUE_H
#define DM_REMAP_QUEUE_H

#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

/**
 * struct remap_queue - bios for the worker
 * @lock: protects @bios; taken from end_io
 * @bios: in order of arrival
 * @work: the worker
 * @wq: runs @work and nothing else
 * @is_slow: a command that failed took its time: what is confirmed goes one by one (E8)
 */
struct remap_queue {
	spinlock_t lock; /* protects bios */
	struct bio_list bios;
	struct work_struct work;
	struct workqueue_struct *wq;
	bool is_slow;
};

/* A command that takes longer than this (jiffies) makes a disk a slow one. */
#define REMAP_SLOW_COMMAND	(HZ / 4)

struct remap_set;

/**
 * struct remap_bio - per-bio data
 * @iter: as mapped, bi_sector counting from the start of the mapped device
 * @error: why it came to the worker, when @failed
 * @status: first error that the worker met
 * @start: jiffies when it was mapped; when it failed, if @failed: its time is limited (E4)
 * @nr_taken: sectors of it that the worker has already dealt with
 * @slot: that it was sent to, when @kind is REMAP_PLACE_SPARE
 * @flush_sum: remap_gate.nr_failed when it was mapped, if REMAP_BIO_GATED
 * @bi_flags: as mapped: bio_endio() is called a second time (by us)
 * @kind: enum remap_place_kind it was sent to; set in map of a flush, in end_io of others
 * @flags: REMAP_BIO_*; set if REMAP_END_FLAGS
 * @failed: it is in the worker because its lower I/O failed
 * @has_left: some of it goes on in the next round
 * @parked: its next sector is in a busy chunk
 */
struct remap_bio {
	struct bvec_iter iter;
	blk_status_t error;
	blk_status_t status;
	unsigned long start;
	u32 nr_taken;
	u32 slot;
	u64 flush_sum;
	unsigned short bi_flags;
	u8 kind;
	u8 flags;
	bool failed;
	bool has_left;
	bool parked;
};

#define REMAP_BIO_ENDED		BIT(0)	/* by the worker, or in map: end_io has nothing to do */
#define REMAP_BIO_GATED		BIT(1)	/* it is acknowledged after a flush of ours (D17) */
#define REMAP_BIO_NOT_CACHED	BIT(2)	/* its end leaves nothing in main's cache (D10) */
#define REMAP_BIO_WRITTEN_BACK	BIT(3)	/* its end leaves it in main's cache only, see scan.c */

/*
 * A clone's bi_private is its target's.  Ours says what end_io has to do: the address where the
 * clone is counted until its lower I/O ends, or none, see remap_drain(), and in the low bits of
 * that what it needs to know; zero: nothing, unless it failed.
 */
#define REMAP_END_SPARE		BIT(0)	/* it goes to the spare, to remap_bio.slot */
#define REMAP_END_SPARE_WRITE	BIT(1)	/* and is written there (D9) */
#define REMAP_END_FLAGS		BIT(2)	/* remap_bio.flags say more */
#define REMAP_END_BITS		(REMAP_END_SPARE | REMAP_END_SPARE_WRITE | REMAP_END_FLAGS)

/* For end_io: @flags (REMAP_BIO_*) on top of what @bio is marked with already. */
static inline void remap_mark_flags(struct bio *bio, struct remap_bio *pb, u8 flags)
{
	pb->flags = flags;
	bio->bi_private = (void *)((unsigned long)bio->bi_private | REMAP_END_FLAGS);
}

static inline struct remap_bio *remap_bio(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct remap_bio));
}

void remap_queue(struct remap_set *set, struct bio *bio);
void remap_end_bio(struct bio *bio, blk_status_t status);
void remap_bio_failed(struct remap_set *set, struct remap_bio *pb, blk_status_t error);
void remap_suspect(struct remap_set *set, struct bio *bio);

#endif /* DM_REMAP_QUEUE_H */
