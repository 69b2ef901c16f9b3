// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios that map or end_io keep: how they get into the worker's queue, and how they end.
 *
 * Rules kept here:
 *   D4  a bio that goes to the worker is counted no more
 */
#include "base/set.h"

/**
 * remap_queue() - hand a bio to the worker
 * @set: the set
 * @bio: a clone of device-mapper's, its per-bio data filled in
 *
 * None of it was dealt with.  It is counted no more (D4).  Context: any, also end_io.
 */
void remap_queue(struct remap_set *set, struct bio *bio)
{
	struct remap_bio *pb = remap_bio(bio);
	unsigned long irq_flags;

	pb->status = BLK_STS_OK;
	pb->nr_taken = 0;
	pb->has_left = false;
	pb->parked = false;
	spin_lock_irqsave(&set->queue.lock, irq_flags);
	bio_list_add(&set->queue.bios, bio);
	/* Inside: once the lock is free a running worker may end the bio, and the set. */
	queue_work(set->queue.wq, &set->queue.work);
	spin_unlock_irqrestore(&set->queue.lock, irq_flags);
}

/**
 * remap_bio_failed() - note that a write to a member failed, and when
 * @set: the set
 * @pb: of a bio that goes to the worker, or is there
 * @error: how it failed
 *
 * Its time counts from now on (E4).  Context: any.
 */
void remap_bio_failed(struct remap_set *set, struct remap_bio *pb, blk_status_t error)
{
	if (time_after(jiffies, pb->start + REMAP_SLOW_COMMAND))
		WRITE_ONCE(set->queue.is_slow, true);
	pb->failed = true;
	pb->error = error;
	pb->start = jiffies;
}

/**
 * remap_end_bio() - end a bio that map or end_io kept
 * @bio: a clone of device-mapper's
 * @status: how
 *
 * Context: any.
 */
void remap_end_bio(struct bio *bio, blk_status_t status)
{
	struct remap_bio *pb = remap_bio(bio);

	/*
	 * bio_endio() may have run for it before, and consumed the flags that
	 * pair with accounting in lower queues: it must not do so twice.
	 */
	bio->bi_flags = pb->bi_flags;
	bio->bi_status = status;
	remap_mark_flags(bio, pb, REMAP_BIO_ENDED);
	bio_endio(bio);
}

/**
 * remap_suspect() - a flush failed, and perhaps because of this write
 * @set: the set
 * @bio: a write that is not acknowledged yet; its data may be gone from the cache
 *
 * Every write to a main that is written through waits for its own flush: the worker finds
 * out which sectors are bad.  Elsewhere the same error may be that of another write, and a
 * second try that succeeds would hide it (D17).
 *
 * Context: any.
 */
void remap_suspect(struct remap_set *set, struct bio *bio)
{
	struct remap_bio *pb = remap_bio(bio);

	if (pb->kind != REMAP_PLACE_MAIN || remap_write_cache(set) != REMAP_WRITE_THROUGH) {
		remap_end_bio(bio, BLK_STS_IOERR);
		return;
	}
	remap_count_up(set, REMAP_WRITE_ERRORS);
	remap_bio_failed(set, pb, BLK_STS_IOERR);
	remap_queue(set, bio);
}
