// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying busy chunks between main and the spare, for manual.c alone.
 *
 * It runs without remap_set.lock: the busy marks keep all others away from the chunks,
 * and remap_manual.lock from the memory used here, so that a disk which takes half a minute
 * for a sector holds up nothing but what was asked for.
 *
 * No crash can hurt: the table does not change here, and what is written, a slot that no
 * entry names or sectors of main that a slot serves, is not read yet.
 *
 * Rules kept here:
 *   P2  what cannot be read is lost and reads as an error; nothing is invented
 *   D16 by hand whole physical blocks move
 *   D21 bios of our own to main cover whole physical blocks
 */
#include "engine/manual.h"

static unsigned int physical_unit(const struct remap_set *set)
{
	return min_t(unsigned int, REMAP_CHUNK_SECTORS,
		     bdev_physical_block_size(set->main->bdev) >> SECTOR_SHIFT);
}

/**
 * remap_chunk_mask() - sectors of a chunk that exist
 * @set: the set
 * @chunk: chunk of main; the last one may be shorter
 *
 * Context: any.
 */
u8 remap_chunk_mask(const struct remap_set *set, u64 chunk)
{
	u64 nr = set->ti->len - chunk * REMAP_CHUNK_SECTORS;

	return nr >= REMAP_CHUNK_SECTORS ? 0xff : (u8)GENMASK(nr - 1, 0);
}

/**
 * remap_whole_blocks() - the sectors of all physical blocks of main that some sectors are in
 * @set: the set
 * @chunk: chunk of main
 * @mask: the sectors
 *
 * A disk fails by those, and heals by those.  Context: any.
 */
u8 remap_whole_blocks(const struct remap_set *set, u64 chunk, u8 mask)
{
	unsigned int unit = physical_unit(set);
	unsigned int bit;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit += unit) {
		u8 unit_mask = (u8)(GENMASK(unit - 1, 0) << bit);

		if (mask & unit_mask)
			mask |= unit_mask;
	}
	return mask & remap_chunk_mask(set, chunk);
}

static void want_masks(struct remap_set *set)
{
	struct remap_copy *copy = NULL;

	while ((copy = remap_next_copy(set, copy)))
		copy->want = copy->mask;
}

static void *buffer_of(const struct remap_set *set, const struct remap_copy *copy)
{
	return remap_manual(set)->buffer + (copy - remap_manual(set)->copy) * REMAP_CHUNK_BYTES;
}

/*
 * A slot that is not in use is written whole: scattered chunks, next to each other on the
 * spare, go out as one bio.
 */
static void fill_slot(struct remap_copy *copy, void *buffer)
{
	unsigned int bit;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit++) {
		if (!(copy->want & BIT(bit)))
			memset(buffer + bit * REMAP_SECTOR_BYTES, 0, REMAP_SECTOR_BYTES);
	}
	copy->want = 0xff;
}

/**
 * remap_copy_in() - copy the batch from main to its slots
 * @set: the set; the chunks are busy and drained
 *
 * Context: remap_manual.lock held, remap_set.lock not; may sleep, for as long as a disk takes.
 * Return: 0: remap_copy.error says what became of each; or a negative errno: of none.
 */
int remap_copy_in(struct remap_set *set)
{
	void *buffer = remap_manual(set)->buffer;
	struct remap_copy *copy = NULL;
	int r;

	while ((copy = remap_next_copy(set, copy)))
		copy->want = remap_whole_blocks(set, copy->chunk, copy->mask);
	r = remap_pass_through(set, set->main, REQ_OP_READ, buffer, physical_unit(set));
	if (r)
		return r;
	while ((copy = remap_next_copy(set, copy))) {
		copy->lost = copy->failed & copy->mask;
		copy->want = copy->mask & ~copy->lost;
		if (remap_change_of(set, copy)->fresh)
			fill_slot(copy, buffer_of(set, copy));
	}
	r = remap_pass_through(set, set->spare, REQ_OP_WRITE | REQ_FUA, buffer,
			       REMAP_CHUNK_SECTORS);
	if (r)
		return r == -EBUSY || r == -EINTR ? r : -EIO;
	while ((copy = remap_next_copy(set, copy))) {
		if (!copy->failed)
			continue;
		copy->slot_bad = true;
		copy->error = -EIO;
		remap_err(set, "%s: spare chunk %u cannot be written", set->spare->name,
			  copy->slot);
	}
	return 0;
}

/* What main gave back, in the second half of the buffer, is what was written. */
static void compare_copy(struct remap_copy *copy, const void *written)
{
	const void *back = written + REMAP_MANUAL_BACK * REMAP_CHUNK_BYTES;
	unsigned int bit, at;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit++) {
		at = bit * REMAP_SECTOR_BYTES;
		if (copy->mask & BIT(bit) && memcmp(written + at, back + at, REMAP_SECTOR_BYTES))
			copy->failed |= BIT(bit);
	}
}

static void fail_kept(struct remap_set *set, struct remap_copy *copy)
{
	remap_err(set, "%s: sector %llu still fails: it stays remapped%s", set->main->name,
		  copy->chunk * REMAP_CHUNK_SECTORS + __ffs(copy->failed),
		  copy->mask == remap_chunk_mask(set, copy->chunk) ? "" :
		  " (remap and unremap all 8 sectors of its 4 KiB: a larger write may repair it)");
	copy->error = -EIO;
}

/**
 * remap_copy_back() - copy the batch from its slots to main, durably, and read it back
 * @set: the set; the chunks are busy and drained; what is copied is not lost
 *
 * Context: as remap_copy_in().  Return: as remap_copy_in().
 */
int remap_copy_back(struct remap_set *set)
{
	void *buffer = remap_manual(set)->buffer;
	struct remap_copy *copy = NULL;
	int r;

	want_masks(set);
	r = remap_pass_through(set, set->spare, REQ_OP_READ, buffer, REMAP_CHUNK_SECTORS);
	if (r)
		return r;
	while ((copy = remap_next_copy(set, copy))) {
		if (!copy->failed)
			continue;
		remap_err(set, "%s: slot %u cannot be read: its chunk stays remapped",
			  set->spare->name, copy->slot);
		copy->error = -EIO;
	}
	want_masks(set);
	r = remap_pass_through(set, set->main, REQ_OP_WRITE | REQ_FUA, buffer,
			       REMAP_CHUNK_SECTORS);
	if (r)
		return r;
	while ((copy = remap_next_copy(set, copy))) {
		if (copy->failed)
			fail_kept(set, copy);
	}
	want_masks(set);
	r = remap_pass_through(set, set->main, REQ_OP_READ,
			       buffer + REMAP_MANUAL_BACK * REMAP_CHUNK_BYTES,
			       REMAP_CHUNK_SECTORS);
	if (r)
		return r;
	while ((copy = remap_next_copy(set, copy))) {
		compare_copy(copy, buffer_of(set, copy));
		if (copy->failed)
			fail_kept(set, copy);
	}
	return 0;
}
