// SPDX-License-Identifier: GPL-2.0-only
/*
 * The four copies of a block, as they are on the media: read by load, scrub and soft state.
 */
#include "meta/internal.h"

/**
 * remap_copy_buffer() - where a block that was read lies in memory
 * @set: the set
 * @copy: 2 * replica + place
 * @i: how many blocks after the first one that was read
 */
void *remap_copy_buffer(const struct remap_set *set, unsigned int copy, u32 i)
{
	return set->meta->buffer +
	       ((size_t)copy * set->meta->load_blocks + i) * REMAP_BLOCK_BYTES;
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
 * remap_read_copy() - read one copy of some blocks into its buffer
 * @set: the set
 * @copy: 2 * replica + place
 * @block: the first one
 * @nr: how many, at most remap_meta.load_blocks
 * @unreadable: of BIO_MAX_VECS bits; set for those that cannot be read
 *
 * Context: remap_set.lock held, may sleep.
 */
void remap_read_copy(struct remap_set *set, unsigned int copy, u32 block, u32 nr,
		     unsigned long *unreadable)
{
	u32 i;

	bitmap_zero(unreadable, BIO_MAX_VECS);
	if (!remap_rw(set, set->spare, remap_copy_sector(set, copy, block),
		      remap_copy_buffer(set, copy, 0), nr * REMAP_BLOCK_SECTORS, REQ_OP_READ))
		return;
	for (i = 0; i < nr; i++) {
		if (nr == 1 ||
		    remap_rw(set, set->spare, remap_copy_sector(set, copy, block + i),
			     remap_copy_buffer(set, copy, i), REMAP_BLOCK_SECTORS, REQ_OP_READ))
			__set_bit(i, unreadable);
	}
}

/**
 * remap_check_table_copy() - whether a table block is what it should be
 * @set: the set; its superblock is loaded
 * @block: its number
 * @data: its content
 */
enum remap_verdict remap_check_table_copy(const struct remap_set *set, u32 block,
					  const void *data)
{
	const struct remap_super *super = &set->meta->super;

	return remap_table_check(data, &super->geometry, super->uuid, block,
				 super->main_sectors);
}

/**
 * remap_check_super_copy() - whether a superblock is one of the set that is loaded
 * @set: the set; its superblock is loaded
 * @data: its content
 * @super: is filled
 *
 * As strict as load: one with another layout is of another set (C16).
 */
enum remap_verdict remap_check_super_copy(const struct remap_set *set, const void *data,
					  struct remap_super *super)
{
	enum remap_verdict verdict = remap_super_decode(data, super);

	if (verdict == REMAP_OK && (!remap_super_same_layout(super, &set->meta->super) ||
				    super->main_sectors != set->meta->super.main_sectors))
		return REMAP_OTHER_SET;
	return verdict;
}

/**
 * remap_dead_copy() - the copy of a block that the superblock calls dead (C8)
 * @set: the set
 * @block: number of the block in its place
 *
 * Return: 2 * replica + place, or -1.
 */
int remap_dead_copy(const struct remap_set *set, u32 block)
{
	int c;

	for (c = 0; c < REMAP_COPIES; c++) {
		if (remap_is_dead(&set->meta->super, block, c))
			return c;
	}
	return -1;
}
