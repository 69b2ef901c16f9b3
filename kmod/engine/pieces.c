// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pieces of bios in the worker: sending them as bios of our own, making them durable, giving them
 * up; and the storm limit.  Below all that decides what becomes of a piece.
 *
 * The bio itself is not sent again, because what lower layers left of it is
 * used up (its iterator, its cgroup, its chain count).  Each piece goes out as
 * a bio of our own that borrows the bio's pages.  Nothing here allocates other
 * than from the set's own bio pool, whose bios are on their way to a device
 * and come back (P6).
 *
 * Rules kept here:
 *   D8  sent again: FUA stays, NOWAIT, POLLED and RAHEAD go
 *   E7  the storm limit: a bucket of chunks; empty, the set is frozen
 */
#include <linux/jiffies.h>

#include "engine/internal.h"
#include "base/trace.h"

/**
 * struct remap_sub - a bio of our own for one piece
 * @set: the set
 * @piece: gets the status
 * @bio: must be last: allocated with this in front
 */
struct remap_sub {
	struct remap_set *set;
	struct remap_piece *piece;
	struct bio bio;
};

/**
 * remap_next_piece() - the next piece of a class in this round
 * @set: the set
 * @piece: the one before, or NULL
 * @class: wanted
 *
 * Context: remap_set.lock held.  Return: the piece, or NULL.
 */
struct remap_piece *remap_next_piece(const struct remap_set *set, struct remap_piece *piece,
				     enum remap_piece_class class)
{
	struct remap_piece *first = set->engine->piece;

	for (piece = piece ? piece + 1 : first; piece < first + set->engine->nr_pieces; piece++) {
		if (piece->class == class)
			return piece;
	}
	return NULL;
}

/**
 * remap_sub_front_pad() - bytes in front of the bios of remap_engine.clones
 */
size_t remap_sub_front_pad(void)
{
	return offsetof(struct remap_sub, bio);
}

/**
 * remap_unpark() - chunks are not busy any more: their bios go on
 * @set: the set
 *
 * Context: remap_set.lock held.
 */
void remap_unpark(struct remap_set *set)
{
	struct bio *bio;

	if (bio_list_empty(&set->engine->parked))
		return;
	bio_list_for_each(bio, &set->engine->parked) {
		remap_bio(bio)->parked = false;
		/* What the message took does not count as main's time (E4). */
		remap_bio(bio)->start = jiffies;
	}
	spin_lock_irq(&set->queue.lock);
	/* They were there first. */
	bio_list_merge_head(&set->queue.bios, &set->engine->parked);
	bio_list_init(&set->engine->parked);
	queue_work(set->queue.wq, &set->queue.work);
	spin_unlock_irq(&set->queue.lock);
}

/**
 * remap_subs_begin() - start a group of piece bios
 * @set: the set
 *
 * Context: remap_set.lock held.  One group at a time.
 */
void remap_subs_begin(struct remap_set *set)
{
	atomic_set(&set->engine->subs_pending, 1);
	set->engine->group++;
	remap_begin_own_write(set, REMAP_MAIN);
	reinit_completion(&set->engine->subs_done);
}

static void sub_put(struct remap_set *set)
{
	if (atomic_dec_and_test(&set->engine->subs_pending))
		complete(&set->engine->subs_done);
}

static void sub_end(struct bio *bio)
{
	struct remap_sub *sub = container_of(bio, struct remap_sub, bio);
	struct remap_set *set = sub->set;

	sub->piece->status = bio->bi_status;
	bio_put(bio);
	sub_put(set);
}

/**
 * remap_sub_submit() - send a piece to a device
 * @set: the set
 * @piece: its status is set when it ends
 * @dev: main or spare
 * @sector: on @dev
 * @add: flags to add, such as REQ_FUA (E2)
 *
 * The piece keeps the bio's flags but for those that are for its first way
 * only (D8), and FUA: the caller says so, and remap_subs_wait_durable() flushes where
 * the device has none of its own (D17).
 * Context: remap_set.lock held, may sleep for a bio of the pool.
 */
void remap_sub_submit(struct remap_set *set, struct remap_piece *piece, struct dm_dev *dev,
		      sector_t sector, blk_opf_t add)
{
	struct bio *bio = bio_alloc_clone(dev->bdev, piece->bio, GFP_NOIO, &set->engine->clones);
	struct remap_sub *sub = container_of(bio, struct remap_sub, bio);

	piece->on_spare = dev == set->spare;
	piece->group = set->engine->group;
	piece->dev = dev;
	piece->dev_sector = sector;
	sub->set = set;
	sub->piece = piece;
	bio->bi_iter = remap_bio(piece->bio)->iter;
	bio_advance(bio, piece->offset << SECTOR_SHIFT);
	bio->bi_iter.bi_size = piece->nr_sectors << SECTOR_SHIFT;
	bio->bi_iter.bi_sector = sector;
	/* The bio may have passed on "made relative to the whole disk already". */
	bio_set_dev(bio, dev->bdev);
	bio->bi_opf &= ~(REQ_NOWAIT | REQ_POLLED | REQ_RAHEAD | REQ_FAILFAST_MASK | REQ_FUA);
	/* Else the error of a neighbour that it was merged with would be its own (E1). */
	bio->bi_opf |= add & REQ_FUA || !op_is_write(bio_op(bio)) ? REQ_NOMERGE : 0;
	piece->is_fua = add & REQ_FUA &&
			remap_has_fua(set, piece->on_spare ? REMAP_SPARE : REMAP_MAIN);
	bio->bi_opf |= piece->is_fua ? add : add & ~REQ_FUA;
	/* Ours are not acknowledged before they are flushed: not counted (D9, D10). */
	if (op_is_write(bio_op(bio)) && !piece->is_fua && piece->on_spare)
		remap_begin_own_write(set, REMAP_SPARE);
	bio->bi_end_io = sub_end;
	atomic_inc(&set->engine->subs_pending);
	submit_bio_noacct(bio);
}

/**
 * remap_subs_wait() - wait for all piece bios since remap_subs_begin()
 * @set: the set
 */
void remap_subs_wait(struct remap_set *set)
{
	sub_put(set);
	wait_for_completion(&set->engine->subs_done);
}

static bool is_written_in(const struct remap_piece *piece, u32 group, enum remap_member member)
{
	return piece->dev && piece->group == group && !piece->status &&
	       op_is_write(bio_op(piece->bio)) && piece->on_spare == (member == REMAP_SPARE);
}

/* The flush behind a group failed: of which piece?  Each by itself, with its own flush. */
static void write_again(struct remap_set *set, u32 group, enum remap_member member)
{
	struct remap_gate *gate = remap_gate(set, member);
	u32 i;

	for (i = 0; i < set->engine->nr_pieces; i++) {
		struct remap_piece *piece = &set->engine->piece[i];
		u32 old = piece->group;

		if (!is_written_in(piece, group, member))
			continue;
		mutex_lock(&gate->mutex);
		remap_subs_begin(set);
		remap_sub_submit(set, piece, piece->dev, piece->dev_sector, REQ_FUA);
		remap_subs_wait(set);
		piece->group = old;
		if (!piece->status && !remap_has_fua(set, member) &&
		    remap_gate_flush_locked(set, member))
			piece->status = BLK_STS_IOERR;
		/* What these reported is known: each was written after the last. */
		set->flow.own_failed[member] = gate->nr_failed;
		mutex_unlock(&gate->mutex);
	}
}

/**
 * remap_subs_wait_durable() - wait for the group, and make its writes durable
 * @set: the set
 *
 * Nothing is in the caches afterwards of the pieces that have no status.  Where one flush for all
 * of them fails they are written again one by one: the error may be another's (D17, D19).
 * Context: remap_set.lock held, may sleep.
 */
void remap_subs_wait_durable(struct remap_set *set)
{
	u32 group = set->engine->group, i;
	enum remap_member member;

	remap_subs_wait(set);
	for (member = REMAP_MAIN; member < REMAP_NR_MEMBERS; member++) {
		bool any = false;

		if (!remap_is_cached(set, member))
			continue;
		for (i = 0; i < set->engine->nr_pieces && !any; i++)
			any = is_written_in(&set->engine->piece[i], group, member) &&
			      !set->engine->piece[i].is_fua;
		if (any && (member == REMAP_SPARE ? remap_flush_spare(set) :
						    remap_flush_own(set, member)))
			write_again(set, group, member);
	}
}

/**
 * remap_give_up() - a piece of a failed write is not relocated
 * @set: the set
 * @piece: the piece; done after this
 * @reason: enum dm_remap_reason
 *
 * Context: remap_set.lock held.
 */
void remap_give_up(struct remap_set *set, struct remap_piece *piece, u8 reason)
{
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_REFUSED,
		.sector = piece->sector,
		.nr_sectors = piece->nr_sectors,
		.reason = reason,
	};

	piece->class = REMAP_PIECE_DONE;
	if (!piece->status)
		piece->status = BLK_STS_IOERR;
	remap_count_up(set, REMAP_REJECTED);
	event.status = remap_status_class(piece->status);
	trace_dm_remap_refuse(set, piece->sector, piece->nr_sectors, reason);
	remap_queue_event(set, &event);
}

/**
 * remap_is_late() - whether a piece has taken its time (E4)
 * @set: the set
 * @piece: of a write that failed
 *
 * Context: any.
 */
bool remap_is_late(const struct remap_set *set, const struct remap_piece *piece)
{
	return time_after(jiffies,
			  remap_bio(piece->bio)->start + set->options.deadline_seconds * HZ);
}

/**
 * remap_take_token() - the storm limit, in chunks (E7)
 * @set: the set, may write
 *
 * Context: remap_set.lock held, may sleep.
 * Return: whether one more chunk may be remapped by itself; if not the set is frozen.
 */
bool remap_take_token(struct remap_set *set)
{
	u64 burst = max(1024U, remap_geometry(set)->slots / 64);
	unsigned long seconds = (jiffies - set->engine->tokens_at) / HZ;
	struct remap_event event = { .kind = DM_REMAP_EVENT_STORM };

	if (test_bit(REMAP_FROZEN, &set->flags))
		return false;
	/* A full bucket is U64_MAX: cut it to size before anything is added. */
	set->engine->tokens = min_t(u64, burst, min_t(u64, burst, set->engine->tokens) + seconds);
	set->engine->tokens_at += seconds * HZ;
	if (set->engine->tokens) {
		set->engine->tokens--;
		return true;
	}
	remap_err(set, "too many bad sectors at once: no more are remapped until the message 'thaw'");
	set_bit(REMAP_FROZEN, &set->flags);
	remap_store_settings(set);
	remap_queue_event(set, &event);
	return false;
}
