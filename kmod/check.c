// SPDX-License-Identifier: GPL-2.0-only
/*
 * Comparing the media with what is in RAM, while the set is active: for the message
 * `restore`.  load.c does it before there is anything in RAM.
 *
 * Rules kept here:
 *   P7  what somebody else wrote is not written over
 *   C4  doubt ends when the block is committed again
 *   C7  both places of every block that is not as it should be are rewritten
 *   D10 RAM never goes back behind what was acknowledged
 */
#include "dm-remap.h"

/* Read and choose a block for a comparison with RAM; false: a copy is not readable. */
static bool look(struct remap_set *set, u32 block, struct remap_choice *choice, bool *strange)
{
	unsigned long unreadable[BITS_TO_LONGS(BIO_MAX_VECS)];
	const void *copy[REMAP_COPIES];
	enum remap_verdict verdict[REMAP_COPIES];
	struct remap_super super;
	bool whole = true;
	unsigned int c;

	*strange = false;
	for (c = 0; c < REMAP_COPIES; c++) {
		remap_read_copy(set, c, block, 1, unreadable);
		copy[c] = remap_copy_buffer(set, c, 0);
		if (test_bit(0, unreadable)) {
			verdict[c] = REMAP_UNREADABLE;
			whole = false;
			continue;
		}
		if (block) {
			verdict[c] = remap_check_copy(set, block, copy[c]);
			continue;
		}
		verdict[c] = remap_super_decode(copy[c], &super);
		if (verdict[c] == REMAP_BAD_VERSION ||
		    (!verdict[c] && memcmp(super.uuid, set->meta.super.uuid, sizeof(super.uuid))))
			*strange = true;
	}
	remap_choose(copy, verdict, choice);
	return whole;
}

/* To read a whole table may take a slow disk minutes: a worker that waits goes first. */
static int let_others_in(struct remap_set *set, bool alone)
{
	if (!alone) {
		mutex_unlock(&set->lock);
		cond_resched();
		mutex_lock(&set->lock);
	}
	return test_bit(REMAP_ACTIVE, &set->flags) && !test_bit(REMAP_SUSPENDING, &set->flags) ?
		0 : -EBUSY;
}

/* Whether somebody else has written the metadata; nothing is written here. */
static int compare(struct remap_set *set, bool alone)
{
	u32 block, end = 1 + remap_geometry(set)->table_blocks;
	struct remap_choice choice;
	bool strange;
	u64 ours;
	int r;

	for (block = 0; block < end; block++) {
		const struct remap_block_state *state = &set->meta.block[block];

		r = let_others_in(set, alone);
		if (r)
			return r;
		look(set, block, &choice, &strange);
		/* A commit of ours that failed may be there: its number is burnt (C2, C4, C8). */
		ours = state->in_doubt || state->frozen ? set->meta.generation : state->seq;
		if (strange || (choice.best >= 0 && choice.seq > ours)) {
			remap_err(set, "%s: metadata block %u on the media is not ours or newer: somebody else wrote it",
				  set->spare->name, block);
			set_bit(REMAP_FAILED, &set->flags);
			remap_mode_changed(set);
			return -ESTALE;
		}
	}
	return 0;
}

/**
 * remap_check_media() - compare the media with what is in RAM, repair the media
 * @set: the set, active
 * @alone: let nobody commit meanwhile
 * @nr_repaired: set to the number of blocks that were written again
 *
 * For the message `restore`.  RAM holds all that was acknowledged, and never
 * goes back (D10): a block that is not on the media as it should be is
 * committed again, which ends doubt as well.  All blocks are compared before
 * the first is written, and mode fail ends only when nobody else wrote any.
 *
 * Context: remap_set.lock held, may sleep; between two blocks the lock is dropped, unless
 * @alone.
 * Return: 0; -ESTALE: the media are newer: somebody else wrote; or an I/O error.
 */
int remap_check_media(struct remap_set *set, bool alone, u32 *nr_repaired)
{
	struct remap_meta *meta = &set->meta;
	u32 block, end = 1 + remap_geometry(set)->table_blocks;
	struct remap_choice choice;
	unsigned int place;
	bool strange;
	int r;

	*nr_repaired = 0;
	r = compare(set, alone);
	if (r)
		return r;
	clear_bit(REMAP_FAILED, &set->flags);
	for (block = 0; block < end; block++) {
		struct remap_block_state *state = &meta->block[block];
		bool whole;

		r = let_others_in(set, alone);
		if (r)
			return r;
		/* Another `restore` has found what is not ours. */
		if (test_bit(REMAP_FAILED, &set->flags))
			return -ESTALE;
		whole = look(set, block, &choice, &strange);
		/* It may be written again; if not, it stays as it is. */
		if (state->frozen) {
			*nr_repaired += !remap_thaw_block(set, block);
			continue;
		}
		if (whole && !state->in_doubt && !choice.conflict && choice.best >= 0 &&
		    choice.seq == state->seq && !choice.repair[0] && !choice.repair[1])
			continue;
		/* Twice: both places of both replicas. */
		for (place = 0; place < REMAP_PLACES; place++) {
			r = block ? remap_commit_block(set, block) : remap_super_commit(set);
			if (r)
				return r;
		}
		++*nr_repaired;
	}
	return 0;
}
