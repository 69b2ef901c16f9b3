// SPDX-License-Identifier: GPL-2.0-only
/*
 * Synchronous I/O with memory allocated in the constructor (P6, D13), and the counts that
 * flushes and copies rely on.  Each user has a struct remap_io of its own: the one writer
 * that of the set, the messages that copy (copy.c) another one.
 *
 * Rules kept here:
 *   P6  nothing is allocated, here or in the error path
 *   D3  remap_drain(): who did not see the busy mark has ended when it returns
 *   D4  counted until the lower I/O ends; one drain at a time
 */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "dm-remap.h"

static struct page *buffer_page(void *buffer)
{
	return is_vmalloc_addr(buffer) ? vmalloc_to_page(buffer) : virt_to_page(buffer);
}

/**
 * remap_io_rw() - read or write sectors, and wait
 * @set: the set
 * @io: memory for the request, in use by nobody else
 * @dev: its main or spare device
 * @sector: first sector on @dev
 * @buffer: aligned to sectors, from kmalloc or vmalloc
 * @nr_sectors: length; larger requests than BIO_MAX_VECS pages go out one after the other
 * @opf: REQ_OP_READ or REQ_OP_WRITE, with REQ_FUA where it must be durable (C10)
 *
 * Context: may sleep.
 * Return: 0, or the negative errno of the first error: nothing is known then
 * about what a write left on the media.
 */
int remap_io_rw(struct remap_set *set, const struct remap_io *io, struct dm_dev *dev,
		sector_t sector, void *buffer, u32 nr_sectors, blk_opf_t opf)
{
	struct bio *bio = io->bio;

	while (nr_sectors) {
		void *start = buffer;
		u32 nr = 0;
		int r;

		bio_init(bio, dev->bdev, io->vecs, BIO_MAX_VECS, opf | REQ_SYNC);
		bio->bi_iter.bi_sector = sector;
		while (nr < nr_sectors && bio->bi_vcnt < BIO_MAX_VECS) {
			u32 bytes = min_t(u32, (nr_sectors - nr) << SECTOR_SHIFT,
					  PAGE_SIZE - offset_in_page(buffer));

			/* Cannot fail: the loop stops when the vectors are used up. */
			__bio_add_page(bio, buffer_page(buffer), bytes, offset_in_page(buffer));
			nr += bytes >> SECTOR_SHIFT;
			buffer += bytes;
		}
		/* The device writes to or reads from another mapping of these pages. */
		if (is_vmalloc_addr(start))
			flush_kernel_vmap_range(start, buffer - start);
		r = submit_bio_wait(bio);
		bio_uninit(bio);
		if (is_vmalloc_addr(start) && !op_is_write(opf))
			invalidate_kernel_vmap_range(start, buffer - start);
		if (op_is_write(opf) && !(opf & REQ_FUA) && !r && dev == set->spare)
			this_cpu_inc(set->percpu->spare_writes);
		if (r)
			return r;
		sector += nr;
		nr_sectors -= nr;
	}
	return 0;
}

/**
 * remap_rw() - remap_io_rw() with the memory of the one writer
 * @set: the set
 * @dev: its main or spare device
 * @sector: first sector on @dev
 * @buffer: as for remap_io_rw()
 * @nr_sectors: length
 * @opf: as for remap_io_rw()
 *
 * Context: remap_set.lock held (one request at a time), may sleep.
 * Return: as remap_io_rw().
 */
int remap_rw(struct remap_set *set, struct dm_dev *dev, sector_t sector, void *buffer,
	     u32 nr_sectors, blk_opf_t opf)
{
	const struct remap_io io = { .bio = &set->rw_bio, .vecs = set->rw_vecs };

	return remap_io_rw(set, &io, dev, sector, buffer, nr_sectors, opf);
}

/**
 * remap_rw_chunk() - read or write some sectors of a chunk, one logical block at a time
 * @set: the set; the data is in chunk_buffer
 * @dev: its main or spare device
 * @start: first sector of the chunk on @dev
 * @mask: which sectors; a logical block with one of them is taken as a whole
 * @unit: sectors in a logical block
 * @opf: REQ_OP_READ or REQ_OP_WRITE, and flags
 * @failed: the sectors of @mask that failed are added
 *
 * Context: remap_set.lock held, may sleep.
 * Return: 0, or the first error that says nothing about the medium (E3).
 */
int remap_rw_chunk(struct remap_set *set, struct dm_dev *dev, sector_t start, u8 mask,
		   unsigned int unit, blk_opf_t opf, u8 *failed)
{
	unsigned int bit;
	int r, other = 0;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit += unit) {
		u8 unit_mask = (u8)(GENMASK(unit - 1, 0) << bit);

		if (!(mask & unit_mask))
			continue;
		r = remap_rw(set, dev, start + bit,
			     set->chunk_buffer + bit * REMAP_SECTOR_BYTES, unit, opf);
		if (r)
			*failed |= mask & unit_mask;
		if (r && r != -EIO && r != -ENODATA && !other)
			other = r;
	}
	return other;
}

/**
 * remap_spare_writes() - writes that completed on the spare so far
 * @set: the set
 *
 * A write is counted before it is reported, so every write whose completion
 * the caller can know of is in the sum (D9); but those with FUA, which leave nothing in a
 * cache.  Context: any.
 */
u64 remap_spare_writes(const struct remap_set *set)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(set->percpu, cpu)->spare_writes);
	return sum;
}

/**
 * remap_note_flushed() - a flush of the spare succeeded
 * @set: the set
 * @sum: remap_spare_writes() from before it was sent
 *
 * Context: any.  Two flushes may end in either order: the larger sum stays.
 */
void remap_note_flushed(struct remap_set *set, u64 sum)
{
	s64 old = atomic64_read(&set->flushed);

	while (old < (s64)sum && !atomic64_try_cmpxchg(&set->flushed, &old, sum))
		;
}

/**
 * remap_flush_spare() - an empty flush whose result is checked (C10)
 * @set: the set
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_flush_spare(struct remap_set *set)
{
	struct bio *bio = &set->rw_bio;
	u64 sum = remap_spare_writes(set);
	int r;

	bio_init(bio, set->spare->bdev, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC);
	r = submit_bio_wait(bio);
	bio_uninit(bio);
	if (!r)
		remap_note_flushed(set, sum);
	else
		atomic64_inc(&set->counters.flush_errors);
	return r;
}

static u64 sum_of(const struct remap_set *set, const u64 __percpu *counter)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(counter, cpu));
	return sum;
}

/**
 * remap_is_quiet() - whether nothing that is counted is in flight
 * @set: the set
 *
 * Final only where nothing new is mapped.  Context: any.
 */
bool remap_is_quiet(const struct remap_set *set)
{
	u64 ended = sum_of(set, &set->percpu->ended[0]) + sum_of(set, &set->percpu->ended[1]);

	/* What has ended is seen to have started. */
	smp_rmb();
	return sum_of(set, &set->percpu->started[0]) +
	       sum_of(set, &set->percpu->started[1]) == ended;
}

/*
 * Nothing starts on this side any more: that all of it has ended is final.
 * False: the set is being suspended, and the caller would rather stop.
 */
static bool wait_side(struct remap_set *set, unsigned int side, bool may_stop)
{
	u64 started = sum_of(set, &set->percpu->started[side]);

	while (sum_of(set, &set->percpu->ended[side]) != started) {
		if (may_stop && test_bit(REMAP_SUSPENDING, &set->flags))
			return false;
		usleep_range(200, 1000);
	}
	return true;
}

static bool drain(struct remap_set *set, bool may_stop)
{
	unsigned int side;
	bool drained;

	mutex_lock(&set->drain_lock);
	side = set->side == &set->percpu->started[1];
	/* What an earlier drain did not wait for: no side may have old I/O and new. */
	drained = wait_side(set, !side, may_stop);
	if (drained) {
		/* Whatever did not see the mark is counted after this, on either side. */
		synchronize_rcu();
		WRITE_ONCE(set->side, &set->percpu->started[!side]);
		/* From here on nothing is counted on the old side. */
		synchronize_rcu();
		drained = wait_side(set, side, may_stop);
	}
	mutex_unlock(&set->drain_lock);
	return drained;
}

/**
 * remap_drain() - wait until all I/O that did not see a change of the table ended
 * @set: the set
 *
 * Call it after the change (a busy mark, D3).  Counted are writes and whatever
 * was sent to the spare, until the *lower* I/O ends (D4), so nothing that is
 * waited for can wait for the caller.
 *
 * Context: may sleep; with or without remap_set.lock.  Not from the queue that completes
 * bios, not from end_io.
 */
void remap_drain(struct remap_set *set)
{
	drain(set, false);
}

/**
 * remap_try_drain() - remap_drain(), unless the set is to be suspended
 * @set: the set
 *
 * Context: may sleep; remap_set.lock not held.
 * Return: 0, or -EBUSY: there may still be I/O that did not see the change.
 */
int remap_try_drain(struct remap_set *set)
{
	return drain(set, true) ? 0 : -EBUSY;
}

/**
 * remap_drain_all() - wait until nothing that is counted is in flight
 * @set: the set; nothing new may be mapped
 *
 * Context: suspended or being removed, may sleep.
 */
void remap_drain_all(struct remap_set *set)
{
	wait_side(set, 0, false);
	wait_side(set, 1, false);
}
