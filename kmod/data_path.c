// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast path: map and end_io.  It takes no lock, allocates nothing and writes no shared cache
 * line.  A bio is cut where the server of its sectors changes (P3) and sent to main or to a slot
 * on the spare; what must wait or fails goes to the worker.
 *
 * Rules kept here:
 *   P3  every sector is served from its right place, at every size and alignment
 *   D5  a read that fails is looked up again, and sent once more if it has moved
 *   D9  the flush of a spare that was not written since the last one is elided
 *   D14 discards of remapped sectors do nothing
 *   D15 polling ends at the spare
 */
#include "base/written.h"
#include "data_path.h"

/* Counting, for drains: see remap_drain().  Inside the lookup's RCU section. */
static __always_inline void count_bio(struct remap_set *set, struct bio *bio, unsigned int bucket)
{
	bio->bi_private = (void *)(__force unsigned long)remap_count(&set->flow, bucket);
}

static __always_inline u64 __percpu *counted(unsigned long end)
{
	return (u64 __percpu *)(end & ~REMAP_END_BITS);
}

/*
 * What is needed if it fails, or must wait: what it was before anybody below advanced it.  Called
 * last where a bio is quick, so that the compiler saves no registers but one.
 */
static __always_inline struct remap_bio *keep_bio(struct bio *bio)
{
	struct remap_bio *pb = remap_bio(bio);

	pb->iter = bio->bi_iter;
	pb->start = jiffies;
	pb->bi_flags = bio->bi_flags;
	return pb;
}

/* Asked in the RCU section that counts, or remap_hold_main() would not wait for it. */
static bool is_held(const struct remap_set *set, bool write)
{
	return unlikely(test_bit(REMAP_HELD, &set->flags)) && write;
}

static int end_in_map(struct bio *bio, blk_status_t status)
{
	bio->bi_private = NULL;
	remap_mark_flags(bio, remap_bio(bio), REMAP_BIO_ENDED);
	bio->bi_status = status;
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

static int map_flush(struct remap_set *set, struct bio *bio)
{
	struct remap_bio *pb = keep_bio(bio);
	enum remap_member member = dm_bio_get_target_bio_nr(bio);
	struct remap_gate *gate = remap_gate(set, member);

	pb->iter.bi_size = 0;
	pb->kind = member == REMAP_SPARE ? REMAP_PLACE_SPARE : REMAP_PLACE_MAIN;
	if (member == REMAP_MAIN) {
		/* It would succeed, and what it is to make durable is gone (D10). */
		if (unlikely(test_bit(REMAP_LOST_CACHE, &set->flags))) {
			remap_count_up(set, REMAP_FLUSH_ERRORS);
			return end_in_map(bio, BLK_STS_IOERR);
		}
	} else {
		/* Nothing was written since a flush that succeeded (D9), and nothing is owed. */
		if (!remap_is_unflushed(set, REMAP_SPARE) && likely(!READ_ONCE(gate->owed)))
			return end_in_map(bio, BLK_STS_OK);
	}
	/* Not sent from here: see the top of flow.c (D17). */
	remap_gate_add(gate, bio, true);
	return DM_MAPIO_SUBMITTED;
}

static int map_defer(struct remap_set *set, struct bio *bio)
{
	struct remap_bio *pb = keep_bio(bio);

	if (bio->bi_opf & REQ_NOWAIT) {
		/* bio_wouldblock_error() ends it: end_io must not look at it. */
		remap_mark_flags(bio, pb, REMAP_BIO_ENDED);
		bio_wouldblock_error(bio);
	} else {
		pb->failed = false;
		remap_queue(set, bio);
	}
	return DM_MAPIO_SUBMITTED;
}

static __always_inline int map_main(struct remap_set *set, struct bio *bio)
{
	bio_set_dev(bio, set->main->bdev);
	keep_bio(bio);
	return DM_MAPIO_REMAPPED;
}

/* A write that is acknowledged when it is durable, to a member with a volatile cache. */
static u8 make_durable(struct remap_set *set, struct bio *bio, struct remap_bio *pb,
		       enum remap_member member)
{
	if (remap_has_fua(set, member)) {
		bio->bi_opf |= REQ_FUA;
		return 0;
	}
	bio->bi_opf &= ~(REQ_FUA | REQ_POLLED);
	/* Before it is sent: a flush that fails from now on makes it suspect. */
	pb->flush_sum = READ_ONCE(remap_gate(set, member)->nr_failed);
	return REMAP_BIO_GATED;
}

/* Whether it is written through is asked after it was counted: see remap_settle_main(). */
static noinline int map_cached_write(struct remap_set *set, struct bio *bio)
{
	struct remap_bio *pb = remap_bio(bio);

	if (bio_op(bio) != REQ_OP_WRITE)
		return map_main(set, bio);
	if (bio->bi_opf & REQ_FUA || remap_write_cache(set) == REMAP_WRITE_THROUGH)
		remap_mark_flags(bio, pb, make_durable(set, bio, pb, REMAP_MAIN) |
					  REMAP_BIO_NOT_CACHED);
	else
		remap_mark_flags(bio, pb, REMAP_BIO_WRITTEN_BACK);
	return map_main(set, bio);
}

/* Counted already. */
static __always_inline int map_main_write(struct remap_set *set, struct bio *bio)
{
	if (bdev_write_cache(set->main->bdev))
		return map_cached_write(set, bio);
	return map_main(set, bio);
}

static noinline void make_spare_durable(struct remap_set *set, struct bio *bio)
{
	struct remap_bio *pb = remap_bio(bio);

	remap_mark_flags(bio, pb, make_durable(set, bio, pb, REMAP_SPARE));
}

/* Counted already. */
static noinline int map_spare(struct remap_set *set, struct bio *bio, u32 slot)
{
	sector_t sector = bio->bi_iter.bi_sector;
	unsigned long end = REMAP_END_SPARE;
	struct remap_bio *pb;

	if (unlikely(bio->bi_opf & REQ_FUA) && remap_is_cached(set, REMAP_SPARE))
		make_spare_durable(set, bio);
	if (op_is_write(bio_op(bio)) && !(bio->bi_opf & REQ_FUA))
		end |= REMAP_END_SPARE_WRITE;
	bio->bi_private = (void *)((unsigned long)bio->bi_private | end);
	bio->bi_opf &= ~REQ_POLLED;
	bio->bi_iter.bi_sector = remap_slot_start(set, slot) + (sector & (REMAP_CHUNK_SECTORS - 1));
	bio_set_dev(bio, set->spare->bdev);
	pb = keep_bio(bio);
	pb->iter.bi_sector = sector;
	pb->slot = slot;
	return DM_MAPIO_REMAPPED;
}

/* A read may pass a chunk that is being copied, a write may not (D3). */
static u64 defer_flags(bool write)
{
	return write ? REMAP_WORD_BUSY | REMAP_WORD_DOUBT : REMAP_WORD_DOUBT;
}

/* Sectors that are perhaps served from several places, or that must wait. */
static noinline int map_mixed(struct remap_set *set, struct bio *bio)
{
	bool write = op_is_write(bio_op(bio));
	struct remap_place place;

	if (!bio_sectors(bio))
		return map_main(set, bio);
	rcu_read_lock_sched();
	remap_table_lookup(&set->table, bio->bi_iter.bi_sector, bio_sectors(bio),
			   defer_flags(write), &place);
	/* The slot may be another's by now: the worker compares first (D22). */
	if (is_held(set, write) || (place.kind == REMAP_PLACE_SPARE &&
				    READ_ONCE(set->flags) & REMAP_SLOTS_UNKNOWN))
		place.kind = REMAP_PLACE_DEFER;
	if (place.kind == REMAP_PLACE_SPARE)
		count_bio(set, bio, remap_slot_bucket(place.slot));
	else if (write && place.kind == REMAP_PLACE_MAIN)
		count_bio(set, bio, remap_main_bucket(bio->bi_iter.bi_sector, place.nr_sectors));
	rcu_read_unlock_sched();

	if (place.nr_sectors < bio_sectors(bio))
		dm_accept_partial_bio(bio, place.nr_sectors);
	if (place.kind == REMAP_PLACE_MAIN)
		return write ? map_main_write(set, bio) : map_main(set, bio);

	/* What a discarded sector holds does not matter (D14). */
	if (bio_op(bio) == REQ_OP_DISCARD && place.kind != REMAP_PLACE_DEFER) {
		if (bio->bi_private)
			remap_uncount(counted((unsigned long)bio->bi_private));
		return end_in_map(bio, BLK_STS_OK);
	}
	if (place.kind == REMAP_PLACE_SPARE)
		return map_spare(set, bio, place.slot);
	if (place.kind == REMAP_PLACE_LOST && !write) {
		remap_count_up(set, REMAP_LOST_READS);
		return end_in_map(bio, BLK_STS_MEDIUM);
	}
	return map_defer(set, bio);
}

/* What a write has to look at twice. */
#define WRITES_HINDERED	(BIT(REMAP_READ_ONLY) | BIT(REMAP_FAILED) | BIT(REMAP_UNCOMPARED))

/* A write of several chunks, or in whose way something is. */
static noinline int map_slow_write(struct remap_set *set, struct bio *bio)
{
	/* Once: a comparison that ends sets one flag before it clears the other. */
	unsigned long flags = READ_ONCE(set->flags);

	if (flags & (BIT(REMAP_READ_ONLY) | BIT(REMAP_FAILED)) && bio_sectors(bio))
		return end_in_map(bio, BLK_STS_IOERR);
	/* Our slots may be others' by now; main is served as before. */
	if (flags & BIT(REMAP_UNCOMPARED) &&
	    !remap_table_is_clean(&set->table, bio->bi_iter.bi_sector, bio_sectors(bio)))
		return map_defer(set, bio);
	return map_mixed(set, bio);
}

/* What is asked in the RCU section that counts, of a bio that is perhaps the spare's. */
#define SPARE_HINDERED	(BIT(REMAP_HELD) | REMAP_SLOTS_UNKNOWN)

/*
 * Sectors in regions that have, or had, remaps.  A bio in one chunk is quick.  Entered in the RCU
 * section that counts, and leaves it.
 */
static __always_inline int map_remapped(struct remap_set *set, struct bio *bio, bool write)
	__releases(RCU_SCHED)
{
	const unsigned long hindered = SPARE_HINDERED | (write ? WRITES_HINDERED : 0);
	sector_t sector = bio->bi_iter.bi_sector;
	u32 nr_sectors = bio_sectors(bio);
	s64 slot = -EAGAIN;

	/* One without sectors may pass: it asks nothing of the member that it goes to. */
	if ((u32)(sector & (REMAP_CHUNK_SECTORS - 1)) + nr_sectors - 1 < REMAP_CHUNK_SECTORS &&
	    bio_op(bio) == (write ? REQ_OP_WRITE : REQ_OP_READ) &&
	    likely(!(READ_ONCE(set->flags) & hindered)))
		slot = remap_table_slot(&set->table, sector, nr_sectors, defer_flags(write));
	if (slot >= 0)
		count_bio(set, bio, remap_slot_bucket(slot));
	else if (write && slot == -ENOENT)
		count_bio(set, bio, remap_region_bucket(sector >> REMAP_REGION_SHIFT));
	rcu_read_unlock_sched();
	if (slot >= 0)
		return map_spare(set, bio, slot);
	if (slot == -ENOENT)
		return write ? map_main_write(set, bio) : map_main(set, bio);
	return write ? map_slow_write(set, bio) : map_mixed(set, bio);
}

static noinline int map_remapped_write(struct remap_set *set, struct bio *bio)
	__releases(RCU_SCHED)
{
	return map_remapped(set, bio, true);
}

static noinline int map_remapped_read(struct remap_set *set, struct bio *bio)
{
	rcu_read_lock_sched();
	return map_remapped(set, bio, false);
}

/* A read of several regions. */
static noinline int map_wide_read(struct remap_set *set, struct bio *bio)
{
	if (remap_table_is_clean(&set->table, bio->bi_iter.bi_sector, bio_sectors(bio)))
		return map_main(set, bio);
	return map_remapped_read(set, bio);
}

static __always_inline int map_write(struct remap_set *set, struct bio *bio)
{
	u64 sector = bio->bi_iter.bi_sector;

	rcu_read_lock_sched();
	/* Asked in the section that counts, as in is_held(). */
	if (unlikely(READ_ONCE(set->flags) & (WRITES_HINDERED | BIT(REMAP_HELD))) ||
	    !remap_region_is_clean(&set->table, sector, bio_sectors(bio)))
		return map_remapped_write(set, bio);
	count_bio(set, bio, remap_region_bucket(sector >> REMAP_REGION_SHIFT));
	rcu_read_unlock_sched();
	return map_main_write(set, bio);
}

static __always_inline int map_data(struct remap_set *set, struct bio *bio)
{
	if (op_is_write(bio_op(bio)))
		return map_write(set, bio);
	if (!remap_is_in_region(bio->bi_iter.bi_sector, bio_sectors(bio)))
		return map_wide_read(set, bio);
	if (likely(remap_region_is_clean(&set->table, bio->bi_iter.bi_sector, bio_sectors(bio))))
		return map_main(set, bio);
	return map_remapped_read(set, bio);
}

/*
 * A write with FUA leaves nothing in a cache.  Journals send their commits with preflush and
 * FUA, and device-mapper forgets the error of the preflush: so while flushes fail, these
 * fail as well (D10).
 */
static noinline int map_special(struct remap_set *set, struct bio *bio)
{
	if (bio->bi_opf & REQ_PREFLUSH)
		return map_flush(set, bio);
	if (unlikely(test_bit(REMAP_LOST_CACHE, &set->flags)) ||
	    unlikely(remap_take_owed(set, REMAP_OWED_WRITE)))
		return end_in_map(bio, BLK_STS_IOERR);
	return map_data(set, bio);
}

/**
 * remap_map() - device-mapper's map operation
 * @ti: the target
 * @bio: a clone of the user's
 *
 * Context: any that submits I/O; does not sleep.  Return: DM_MAPIO_*.
 */
int remap_map(struct dm_target *ti, struct bio *bio)
{
	struct remap_set *set = ti->private;

	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	bio->bi_private = NULL;
	if (unlikely(bio->bi_opf & (REQ_PREFLUSH | REQ_FUA)))
		return map_special(set, bio);
	return map_data(set, bio);
}

/* Whether the sectors of a failed read have moved since it was sent (D5). */
static bool has_moved(struct remap_set *set, const struct remap_bio *pb)
{
	u32 nr_sectors = pb->iter.bi_size >> SECTOR_SHIFT;
	struct remap_place place;

	rcu_read_lock();
	remap_table_lookup(&set->table, pb->iter.bi_sector, nr_sectors, REMAP_WORD_DOUBT, &place);
	rcu_read_unlock();
	return place.kind != pb->kind || place.nr_sectors != nr_sectors ||
	       (place.kind == REMAP_PLACE_SPARE && place.slot != pb->slot);
}

static void note_error(struct remap_set *set, u32 kind, const struct remap_bio *pb,
		       blk_status_t error)
{
	remap_report_error(set, kind, pb->iter.bi_sector, pb->iter.bi_size >> SECTOR_SHIFT,
			   pb->kind == REMAP_PLACE_SPARE, error);
}

static int io_failed(struct remap_set *set, struct bio *bio, struct remap_bio *pb,
		     blk_status_t error)
{
	bool on_spare = pb->kind == REMAP_PLACE_SPARE;

	/* Not errors of the medium, and nothing to count (D8). */
	if (error == BLK_STS_AGAIN || error == BLK_STS_DM_REQUEUE || bio->bi_opf & REQ_RAHEAD)
		return DM_ENDIO_DONE;
	if (!pb->iter.bi_size)
		return DM_ENDIO_DONE;
	if (!on_spare)
		remap_error_seen(set);
	if (bio_op(bio) == REQ_OP_READ) {
		remap_count_up(set, on_spare ? REMAP_SPARE_READ_ERRORS : REMAP_READ_ERRORS);
		pb->failed = false;
		if (!has_moved(set, pb)) {
			note_error(set, DM_REMAP_EVENT_READ_ERROR, pb, error);
			return DM_ENDIO_DONE;
		}
	} else if (bio_op(bio) == REQ_OP_WRITE) {
		remap_count_up(set, on_spare ? REMAP_SPARE_WRITE_ERRORS : REMAP_WRITE_ERRORS);
		if (!remap_status_confirmable(error)) {
			note_error(set, DM_REMAP_EVENT_REFUSED, pb, error);
			return DM_ENDIO_DONE;
		}
		remap_bio_failed(set, pb, error);
	} else {
		return DM_ENDIO_DONE;
	}
	remap_queue(set, bio);
	return DM_ENDIO_INCOMPLETE;
}

static noinline int end_io_failed(struct remap_set *set, struct bio *bio, blk_status_t error)
{
	struct remap_bio *pb = remap_bio(bio);
	unsigned long end = (unsigned long)bio->bi_private;
	int r;

	if (end & REMAP_END_FLAGS && pb->flags & REMAP_BIO_ENDED)
		return DM_ENDIO_DONE;
	pb->kind = end & REMAP_END_SPARE ? REMAP_PLACE_SPARE : REMAP_PLACE_MAIN;
	/* Some of it may have landed. */
	if (end & REMAP_END_SPARE_WRITE)
		this_cpu_inc(set->flow.percpu->spare_writes);
	r = io_failed(set, bio, pb, error);
	if (counted(end)) {
		/* Not acknowledged, so it is not missed (D10). */
		if (!(end & REMAP_END_SPARE))
			this_cpu_inc(set->flow.percpu->not_cached);
		/* Last; the bio may be gone already. */
		remap_uncount_release(counted(end));
	}
	return r;
}

/* A write with FUA, or one that waits for a flush. */
static noinline int end_special(struct remap_set *set, struct bio *bio, unsigned long end)
{
	struct remap_bio *pb = remap_bio(bio);
	u8 flags = pb->flags;

	if (flags & REMAP_BIO_ENDED)
		return DM_ENDIO_DONE;
	pb->kind = end & REMAP_END_SPARE ? REMAP_PLACE_SPARE : REMAP_PLACE_MAIN;
	/* Before it is reported, and before the drain can see it (D9); as in end_marked(). */
	if (end & REMAP_END_SPARE_WRITE)
		this_cpu_inc(set->flow.percpu->spare_writes);
	/* Before it counts as ended: the sum may be too low for a moment, never too high (D10). */
	if (flags & REMAP_BIO_NOT_CACHED)
		this_cpu_inc(set->flow.percpu->not_cached);
	/* Before it is reported: a flush that is sent then covers it. */
	if (flags & REMAP_BIO_WRITTEN_BACK)
		remap_scan_written(set, pb->iter.bi_sector, pb->iter.bi_size >> SECTOR_SHIFT);
	if (flags & REMAP_BIO_GATED)
		remap_gate_add(remap_gate(set, end & REMAP_END_SPARE ? REMAP_SPARE : REMAP_MAIN),
			       bio, false);
	/* Last; a gated bio may be gone already. */
	remap_uncount_release(counted(end));
	return flags & REMAP_BIO_GATED ? DM_ENDIO_INCOMPLETE : DM_ENDIO_DONE;
}

/* I/O of the spare, and what needs more than to be counted. */
static noinline int end_marked(struct remap_set *set, struct bio *bio, unsigned long end)
{
	if (unlikely(end & REMAP_END_FLAGS))
		return end_special(set, bio, end);
	if (end & REMAP_END_SPARE_WRITE) {
		this_cpu_inc(set->flow.percpu->spare_writes);
		remap_uncount_release(counted(end));
	} else {
		/* Last, as in remap_end_io(). */
		remap_uncount(counted(end));
	}
	return DM_ENDIO_DONE;
}

/**
 * remap_end_io() - device-mapper's end_io operation
 * @ti: the target
 * @bio: its lower I/O has ended
 * @error: how
 *
 * Context: any, also hard interrupts.  Return: DM_ENDIO_*.
 */
int remap_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	unsigned long end = (unsigned long)bio->bi_private;

	if (unlikely(*error))
		return end_io_failed(ti->private, bio, *error);
	if (unlikely(end & REMAP_END_BITS))
		return end_marked(ti->private, bio, end);
	/* Last: a drain that sees them equal may let the set go. */
	if (end)
		remap_uncount((u64 __percpu *)end);
	return DM_ENDIO_DONE;
}
