// SPDX-License-Identifier: GPL-2.0-only
/*
 * Synchronous I/O with memory allocated in the constructor (P6, D13).  Each user has a
 * struct remap_io of its own: the one writer that of the set, the messages that copy
 * (copy.c) another one.
 *
 * Rules kept here:
 *   P6  nothing is allocated, here or in the error path
 *   D17 a write with FUA that needs a flush gets it through the gate
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "base/set.h"

static struct page *buffer_page(void *buffer)
{
	return is_vmalloc_addr(buffer) ? vmalloc_to_page(buffer) : virt_to_page(buffer);
}

static int transfer(const struct remap_io *io, struct dm_dev *dev, sector_t sector, void *buffer,
		    u32 nr_sectors, blk_opf_t opf)
{
	struct bio *bio = io->bio;

	while (nr_sectors) {
		void *start = buffer;
		u32 nr = 0;
		int r;

		/* What it says is of these sectors, not of those of a user beside them (E1). */
		bio_init(bio, dev->bdev, io->vecs, BIO_MAX_VECS, opf | REQ_SYNC | REQ_NOMERGE);
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
		if (r)
			return r;
		sector += nr;
		nr_sectors -= nr;
	}
	return 0;
}

/**
 * remap_io_rw() - read or write sectors, and wait
 * @set: the set
 * @io: memory for the request, in use by nothing else
 * @dev: its main or spare device
 * @sector: first sector on @dev
 * @buffer: aligned to sectors, from kmalloc or vmalloc
 * @nr_sectors: length; larger requests than BIO_MAX_VECS pages go out one after the other
 * @opf: REQ_OP_READ or REQ_OP_WRITE, with REQ_FUA where it must be durable (C10)
 *
 * Where @dev has no FUA of its own, a flush through its gate makes the write durable (D17);
 * then an error may be that of another write.  A write without FUA is durable after a flush of
 * the caller's.
 *
 * Context: may sleep.
 * Return: 0, or the negative errno of the first error: nothing is known then
 * about what a write left on the media.
 */
int remap_io_rw(struct remap_set *set, const struct remap_io *io, struct dm_dev *dev,
		sector_t sector, void *buffer, u32 nr_sectors, blk_opf_t opf)
{
	enum remap_member member = dev == set->main ? REMAP_MAIN : REMAP_SPARE;
	struct remap_gate *gate = remap_gate(set, member);
	u64 nr_failed = READ_ONCE(gate->nr_failed);
	int r;

	if (!(opf & REQ_FUA) || remap_has_fua(set, member))
		return transfer(io, dev, sector, buffer, nr_sectors, opf);
	/* Without the mutex while it is sent: a disk may take its time, and others flush (D20). */
	r = transfer(io, dev, sector, buffer, nr_sectors, opf & ~REQ_FUA);
	if (r)
		return r;
	mutex_lock(&gate->mutex);
	r = remap_gate_flush_locked(set, member);
	/* A flush in between may have reported its loss. */
	if (!r && gate->nr_failed != nr_failed)
		r = -EIO;
	mutex_unlock(&gate->mutex);
	return r;
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
	const struct remap_io io = { .bio = &set->scratch.bio, .vecs = set->scratch.vecs };

	if (op_is_write(opf) && !(opf & REQ_FUA) && dev == set->spare)
		remap_begin_own_write(set, REMAP_SPARE);
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
			     set->scratch.chunk + bit * REMAP_SECTOR_BYTES, unit, opf);
		if (r)
			*failed |= mask & unit_mask;
		if (r && r != -EIO && r != -ENODATA && !other)
			other = r;
	}
	return other;
}
