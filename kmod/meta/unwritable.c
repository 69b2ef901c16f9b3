// SPDX-License-Identifier: GPL-2.0-only
/*
 * Table blocks with a place that cannot be written (C8).  By C3 every commit of the block
 * goes to that very place, so nothing in it can change any more: the block is frozen.  Its
 * entries are served, its free slots are out of use, and everything else goes on.
 *
 * What the dead place may hold, from commits that failed there, must never be believed:
 *
 *   1. the committed entries go, under a fresh number, to the other place of the *other*
 *      replica, over whatever the failed commit left there.
 *      A crash here: load takes them, finds the dead place in need of repair, and is back
 *      at this function.
 *   2. the superblock names the dead copy, on both replicas.  From here on it is not read.
 *   3. nothing of the block is in doubt any more.
 *
 * Afterwards each replica has the same entries, though not the same number.
 *
 * Rules kept here:
 *   C8  one bad metadata sector is not the end of the device
 */
#include "meta/internal.h"

/* Commits that must have failed at the same copy: they were tried with a growing back-off. */
#define DEAD_FAILURES	8

/*
 * Whether the replica of the failing copy takes a write at all, else it is the replica that
 * is out, and nothing may change.  Its superblock is written over with itself: a torn write
 * of that leaves what was there.
 */
static int check_replica(struct remap_set *set, unsigned int replica)
{
	unsigned int copy = REMAP_PLACES * replica + set->meta->block[0].good_place[replica];

	return remap_read_image(set, copy, 0) ?: remap_write_copy(set, copy, 0);
}

/**
 * remap_make_unwritable() - go on without one copy of a table block
 * @set: the set, may write
 * @block: number of the table block in its place, from 1
 * @copy: 2 * replica + place: it can neither be written nor, perhaps, read
 *
 * Context: remap_set.lock held, may sleep.  See the steps at the top.
 * Return: 0, or a negative errno: nothing has changed.
 */
int remap_make_unwritable(struct remap_set *set, u32 block, unsigned int copy)
{
	struct remap_meta *meta = set->meta;
	struct remap_block_state *state = &meta->block[block];
	unsigned int other = !(copy / REMAP_PLACES);
	/* A replica without the content gets it where load would put it. */
	unsigned int target = REMAP_PLACES * other + state->good_place[other];
	int r = meta->out >= 0 ? -EROFS : remap_add_dead(meta->super.dead, block, copy);
	u64 seq = 0;

	if (r)
		return r;
	if (!(state->rewrite & BIT(target)))
		target ^= 1;
	r = check_replica(set, copy / REMAP_PLACES);
	if (!r) {
		remap_image_table_block(set, block, NULL, 0);
		seq = remap_block_seq(meta->image);
		r = remap_write_copy(set, target, block);
	}
	r = r ?: remap_super_commit(set);
	if (r) {
		remap_remove_dead(meta->super.dead, block);
		return r;
	}
	state->seq = seq;
	state->source = target;
	state->good_place[other] = target % REMAP_PLACES;
	state->good_place[copy / REMAP_PLACES] = !(copy % REMAP_PLACES);
	state->rewrite &= ~(BIT(copy) | BIT(target));
	state->unwritable = true;
	remap_clear_doubt(set, block);
	remap_count_unwritable(set);
	remap_err(set, "%s: metadata block %u can no longer be written at sector %llu: its slots from %u on are out of use",
		  set->spare->name, block, (u64)remap_copy_sector(set, copy, block),
		  remap_first_slot(block));
	return 0;
}

/**
 * remap_give_up_place() - give up a place at which a block keeps failing to be written
 * @set: the set, may write
 * @block: number of the table block; a commit of it has just failed
 *
 * Only while the spare takes other writes: one that is gone has no dead place.
 * Context: remap_set.lock held, may sleep.
 */
void remap_give_up_place(struct remap_set *set, u32 block)
{
	struct remap_block_state *state = &set->meta->block[block];

	if (state->nr_failed >= DEAD_FAILURES && remap_ping_spare(set))
		remap_make_unwritable(set, block, state->failed_copy);
}

/**
 * remap_count_unwritable() - count the slots that unwritable blocks withhold
 * @set: the set
 *
 * Context: remap_set.lock held.
 */
void remap_count_unwritable(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	u32 slot, nr = 0, nr_blocks = 0, block;

	for (block = 1; block <= remap_geometry(set)->table_blocks; block++) {
		u32 first = remap_first_slot(block);
		u32 end = first + remap_table_entries(remap_geometry(set), block);

		if (!meta->block[block].unwritable)
			continue;
		cond_resched();
		nr_blocks++;
		for (slot = first; slot < end; slot++) {
			u64 word = set->table.word[slot];

			nr += !REMAP_WORD_REDIRECTED(word) && !(word & REMAP_WORD_BAD);
		}
	}
	WRITE_ONCE(meta->nr_unwritable, nr_blocks);
	WRITE_ONCE(set->table.nr_unusable, nr);
}

/**
 * remap_is_block_unwritable() - whether one of the places of a block is dead
 * @set: the set
 * @block: number of the block in its place
 *
 * Context: any.
 */
bool remap_is_block_unwritable(const struct remap_set *set, u32 block)
{
	return READ_ONCE(set->meta->block[block].unwritable);
}

/**
 * remap_is_unwritable() - whether the entry of a slot can no longer change
 * @set: the set
 * @slot: the slot
 *
 * Context: remap_set.lock held.
 */
bool remap_is_unwritable(const struct remap_set *set, u32 slot)
{
	return set->meta->block[remap_table_block_of(slot)].unwritable;
}

/**
 * remap_is_pinned() - whether an unwritable block still names a chunk that has moved
 * @set: the set
 * @chunk: chunk of the mapped device
 *
 * Its entry there is recognised as the older one by the generation, which counts modulo 4:
 * the chunk may neither move again nor be unremapped (C13).
 * Context: remap_set.lock held.
 */
bool remap_is_pinned(const struct remap_set *set, u64 chunk)
{
	const struct remap_table *table = &set->table;
	u32 block, i;

	if (likely(!set->meta->nr_unwritable))
		return false;
	for (block = 1; block <= remap_geometry(set)->table_blocks; block++) {
		u32 first = remap_first_slot(block);

		if (!set->meta->block[block].unwritable)
			continue;
		for (i = 0; i < remap_table_entries(remap_geometry(set), block); i++) {
			if (table->prov[first + i] == U64_MAX &&
			    (table->word[first + i] & (REMAP_WORD_RETIRED | REMAP_WORD_CHUNK)) ==
			    (REMAP_WORD_RETIRED | chunk))
				return true;
		}
	}
	return false;
}

/**
 * remap_retry_unwritable() - try to write an unwritable block again
 * @set: the set, may write
 * @block: number of the table block
 *
 * Two commits write all its places; then the superblock no longer names a dead one.
 * Context: remap_set.lock held, may sleep.
 * Return: 0, or a negative errno: it is frozen as before.
 */
int remap_retry_unwritable(struct remap_set *set, u32 block)
{
	struct remap_meta *meta = set->meta;
	struct remap_block_state *state = &meta->block[block];
	int place, r = 0, dead = remap_dead_copy(&meta->super, block);

	if (!remap_may_write(set))
		return -EROFS;
	/* What fails here leaves entries that are the same as before: nothing is in doubt. */
	for (place = 0; place < REMAP_PLACES && !r; place++) {
		remap_image_table_block(set, block, NULL, 0);
		r = remap_write_block(set, block);
	}
	if (r)
		return r;
	remap_remove_dead(meta->super.dead, block);
	r = remap_super_commit(set);
	if (r) {
		/* What it names is not read at load, so nothing new may go there. */
		remap_add_dead(meta->super.dead, block, dead);
		return r;
	}
	state->unwritable = false;
	state->rewrite = 0;
	state->nr_failed = 0;
	remap_count_unwritable(set);
	return 0;
}
