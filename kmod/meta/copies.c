// SPDX-License-Identifier: GPL-2.0-only
/*
 * The four copies of a block, as they are on the media: read by load, scrub and soft state, and
 * written by all.
 */
#include "meta/internal.h"

static void *copy_buffer(const struct remap_set *set, unsigned int copy, u32 i)
{
	const struct remap_read *read = &set->meta->read;

	return read->buffer + ((size_t)copy * read->nr_max + i) * REMAP_BLOCK_BYTES;
}

/**
 * remap_copy_sector() - where a copy of a block is on the spare
 * @set: the set
 * @copy: 2 * replica + place
 * @block: number of the block in its place
 */
sector_t remap_copy_sector(const struct remap_set *set, unsigned int copy, u32 block)
{
	return set->spare_start + remap_block_sector(remap_geometry(set), copy / REMAP_PLACES,
						     copy % REMAP_PLACES, block);
}

/**
 * remap_read_blocks() - read all copies of some blocks into remap_meta.read
 * @set: the set
 * @geometry: where they are
 * @block: the first one
 * @nr: how many, at most remap_read.nr_max
 *
 * Context: remap_set.lock held, may sleep.
 */
void remap_read_blocks(struct remap_set *set, const struct remap_geometry *geometry, u32 block,
		       u32 nr)
{
	struct remap_read *read = &set->meta->read;
	unsigned int c;
	u32 i;

	memset(read->unreadable, 0, nr);
	for (c = 0; c < REMAP_COPIES; c++) {
		sector_t sector = set->spare_start +
			remap_block_sector(geometry, c / REMAP_PLACES, c % REMAP_PLACES, block);

		if (!remap_rw(set, set->spare, sector, copy_buffer(set, c, 0),
			      nr * REMAP_BLOCK_SECTORS, REQ_OP_READ))
			continue;
		for (i = 0; i < nr; i++, sector += REMAP_BLOCK_SECTORS) {
			if (nr == 1 || remap_rw(set, set->spare, sector, copy_buffer(set, c, i),
						REMAP_BLOCK_SECTORS, REQ_OP_READ))
				read->unreadable[i] |= BIT(c);
		}
	}
}

/**
 * remap_get_copies() - the copies of a block that was read
 * @set: the set
 * @i: how many blocks after the first one that was read
 * @copies: is filled, but for the choice
 */
void remap_get_copies(const struct remap_set *set, u32 i, struct remap_copies *copies)
{
	unsigned int c;

	for (c = 0; c < REMAP_COPIES; c++) {
		copies->data[c] = copy_buffer(set, c, i);
		copies->verdict[c] = set->meta->read.unreadable[i] & BIT(c) ? REMAP_UNREADABLE :
									      REMAP_OK;
	}
}

/**
 * remap_judge() - which copy of a block that was read counts
 * @set: the set; its superblock is loaded
 * @block: number of the block in its place
 * @i: how many blocks after the first one that was read
 * @copies: is filled
 *
 * Return: as remap_judge_block().
 */
int remap_judge(const struct remap_set *set, u32 block, u32 i, struct remap_copies *copies)
{
	remap_get_copies(set, i, copies);
	return remap_judge_block(&set->meta->super, block, set->meta->loaded, copies);
}

/**
 * remap_read_image() - read a copy that has the committed content into remap_meta.image
 * @set: the set
 * @copy: 2 * replica + place
 * @block: number of the superblock or a table block in its place
 *
 * Context: remap_set.lock held, may sleep.  Return: 0, or a negative errno, also when it has
 * something else by now.
 */
int remap_read_image(struct remap_set *set, unsigned int copy, u32 block)
{
	struct remap_meta *meta = set->meta;
	int r = remap_rw(set, set->spare, remap_copy_sector(set, copy, block), meta->image,
			 REMAP_BLOCK_SECTORS, REQ_OP_READ);

	if (!r && (remap_block_check(meta->image, block ? REMAP_MAGIC_TABLE : REMAP_MAGIC_SUPER,
				     meta->super.uuid, block) ||
		   remap_block_seq(meta->image) != meta->block[block].seq))
		r = -EIO;
	return r;
}

/**
 * remap_write_copy() - write remap_meta.image durably to one copy of a block
 * @set: the set, may write
 * @copy: 2 * replica + place
 * @block: number of the block in its place
 *
 * The same bytes to the same place may be sent again (C2).
 * Context: remap_set.lock held, may sleep.  Return: 0; or a negative errno: it may be there.
 */
int remap_write_copy(struct remap_set *set, unsigned int copy, u32 block)
{
	int try, r = -EIO;

	for (try = 0; r && try < REMAP_WRITE_TRIES; try++)
		r = remap_rw(set, set->spare, remap_copy_sector(set, copy, block),
			     set->meta->image, REMAP_BLOCK_SECTORS, REQ_OP_WRITE | REQ_FUA);
	return r;
}
