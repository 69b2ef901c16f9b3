// SPDX-License-Identifier: GPL-2.0-only
/*
 * Comparing the media with what is in RAM, while the set is active: for the message
 * `restore`, and when a spare that was away is back (degraded.c).  load.c does it before there
 * is anything in RAM.
 *
 * Rules kept here:
 *   P7  what another system wrote is not written over
 *   C4  doubt ends when the block is committed again
 *   C7  both places of every block that is not as it should be are rewritten
 *   D22 no copy of the table that is newer than ours is missed
 *   D10 RAM never goes back behind what was acknowledged
 */
#include "meta/internal.h"

/**
 * struct look - some blocks as they are on the media
 * @unreadable: of each copy, which of them cannot be read
 */
struct look {
	unsigned long unreadable[REMAP_COPIES][BITS_TO_LONGS(BIO_MAX_VECS)];
};

static void read_blocks(struct remap_set *set, u32 block, u32 nr, struct look *look)
{
	unsigned int c;

	for (c = 0; c < REMAP_COPIES; c++)
		remap_read_copy(set, c, block, nr, look->unreadable[c]);
}

/*
 * Choose among the copies of block number @block, the @i-th of those that were read.
 * *@strange: one of them is a superblock of another set, or of a format that is not known;
 * *@unknown_seq: the highest number of those of such a format.
 * Returns the copies that cannot be read, a bit for each.
 */
static u8 choose(struct remap_set *set, const struct look *look, u32 block, u32 i,
		 struct remap_choice *choice, bool *strange, u64 *unknown_seq)
{
	const void *copy[REMAP_COPIES];
	enum remap_verdict verdict[REMAP_COPIES];
	struct remap_super super;
	u8 unreadable = 0;
	unsigned int c;

	*strange = false;
	*unknown_seq = 0;
	for (c = 0; c < REMAP_COPIES; c++) {
		copy[c] = remap_copy_buffer(set, c, i);
		if (test_bit(i, look->unreadable[c])) {
			verdict[c] = REMAP_UNREADABLE;
			unreadable |= BIT(c);
			continue;
		}
		if (block) {
			verdict[c] = remap_check_table_copy(set, block, copy[c]);
			continue;
		}
		verdict[c] = remap_check_super_copy(set, copy[c], &super);
		if (verdict[c] == REMAP_BAD_VERSION)
			*unknown_seq = max(*unknown_seq, remap_block_seq(copy[c]));
		*strange |= verdict[c] == REMAP_BAD_VERSION || verdict[c] == REMAP_OTHER_SET;
	}
	remap_choose(copy, verdict, choice);
	return unreadable;
}

/* Whether another system has written a block, or a superblock where ours was. */
static bool is_foreign(const struct remap_set *set, u32 block, const struct remap_choice *choice,
		       bool strange)
{
	const struct remap_block_state *state = &set->meta->block[block];
	/* A commit of ours that failed may be there: its number is burnt (C2, C4, C8). */
	u64 ours = state->in_doubt || state->unwritable ? set->meta->last_seq : state->seq;

	return strange || (choice->best >= 0 && choice->seq > ours);
}

static int refuse(struct remap_set *set, u32 block, const char *what)
{
	remap_err(set, "%s: metadata block %u on the media %s", set->spare->name, block, what);
	set_bit(REMAP_FAILED, &set->flags);
	return -ESTALE;
}

/**
 * remap_refuse_altered() - another system had the set, and what is in RAM is the old one
 * @set: the set
 *
 * Context: remap_set.lock held.
 */
void remap_refuse_altered(struct remap_set *set)
{
	set_bit(REMAP_ALTERED, &set->flags);
	set_bit(REMAP_FAILED, &set->flags);
	remap_err(set, "the set was changed by another system: deactivate it, activate it again, and check what is on it");
}

/* To read a whole table may take a slow disk minutes: a worker that waits goes first. */
static int let_others_in(struct remap_set *set, bool alone)
{
	if (!alone) {
		/* No change of mode is told from the middle of it. */
		mutex_unlock(&set->lock);
		cond_resched();
		mutex_lock(&set->lock);
	}
	return test_bit(REMAP_ACTIVE, &set->flags) && !test_bit(REMAP_SUSPENDING, &set->flags) ?
		0 : -EBUSY;
}

/* Whether another system has written the metadata; nothing is written here. */
static int compare(struct remap_set *set, bool alone)
{
	u32 block, i, nr, end = 1 + remap_geometry(set)->table_blocks;
	struct remap_choice choice;
	struct look look;
	u64 unknown_seq;
	bool strange;
	int r;

	for (block = 0; block < end; block += nr) {
		nr = min(end - block, set->meta->load_blocks);
		r = let_others_in(set, alone);
		if (r)
			return r;
		read_blocks(set, block, nr, &look);
		for (i = 0; i < nr; i++) {
			choose(set, &look, block + i, i, &choice, &strange, &unknown_seq);
			if (is_foreign(set, block + i, &choice, strange))
				return refuse(set, block + i,
					      "is not ours or newer: another system wrote it");
		}
	}
	return 0;
}

/* Whether a replica that is written shows both of its places, but for one that is given up. */
static bool is_shown(const struct remap_set *set, u32 block, unsigned int replica, u8 unreadable)
{
	unsigned int c, first = replica * REMAP_PLACES;

	for (c = first; c < first + REMAP_PLACES; c++) {
		if (unreadable & BIT(c) && !remap_is_dead(&set->meta->super, block, c))
			return false;
	}
	return (int)replica != set->meta->out;
}

/* One block of a spare that was away: 0, -ESTALE, or -EIO when what can be read does not tell. */
static int judge(struct remap_set *set, const struct look *look, u32 block, u32 i)
{
	const struct remap_block_state *state = &set->meta->block[block];
	struct remap_choice choice;
	u64 unknown_seq;
	bool strange;
	u8 unreadable = choose(set, look, block, i, &choice, &strange, &unknown_seq);

	/* What load has passed over is no news: strange copies that are not newer than ours. */
	if (is_foreign(set, block, &choice, unknown_seq > state->seq))
		return refuse(set, block, "is not ours or newer: another system wrote it");
	/* Who commits writes both replicas: one that shows all it has tells of the other. */
	if (!is_shown(set, block, 0, unreadable) && !is_shown(set, block, 1, unreadable))
		return -EIO;
	if (state->in_doubt || state->unwritable ||
	    (choice.best >= 0 && !choice.conflict && choice.seq == state->seq))
		return 0;
	return unreadable ? -EIO : refuse(set, block, "is older than ours, or gone");
}

/*
 * Another spare may have gone on in place of this one: main knows (O6).  Only we write
 * its mark, so it has no number but those that we gave it.
 */
static int compare_mark(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	u64 marked = meta->anchor.marked, ours = max(marked, meta->committed);
	u32 unit = bdev_logical_block_size(set->main->bdev) >> SECTOR_SHIFT;
	int r;

	/* It could not be read before, or says more than the newest copies that are left (C5). */
	if (!marked || meta->nr_stale)
		return 0;
	r = remap_check_anchor(set, NULL);
	if (r == -ENODEV || meta->anchor.marked > ours)
		return refuse(set, 0, "is not what main's mark is of");
	/* Its place went bad, and main is there: what it said is as old as everything else. */
	if (!r && (meta->anchor.marked ||
		   !remap_rw(set, set->main, 0, set->scratch.anchor, unit, REQ_OP_READ)))
		return 0;
	meta->anchor.marked = marked;
	return -EIO;
}

/**
 * remap_is_spare_gone() - whether not one superblock can be read
 * @set: the set
 *
 * Context: remap_set.lock held, may sleep.
 */
bool remap_is_spare_gone(struct remap_set *set)
{
	struct look look;
	unsigned int c;

	read_blocks(set, 0, 1, &look);
	for (c = 0; c < REMAP_COPIES; c++) {
		if (!test_bit(0, look.unreadable[c]))
			return false;
	}
	return true;
}

/**
 * remap_compare_media() - compare the media with what is in RAM, in a degraded set
 * @set: the set, active
 *
 * Nothing is written.  Where not all copies can be read it is enough that one replica is
 * whole; main's mark must not be newer, either.
 *
 * Context: remap_set.lock held, may sleep: for as long as it takes to read the metadata.
 * Return: 0: they agree; -ESTALE: they do not, and the set is in mode fail; -EIO: what can be
 * read does not tell.
 */
int remap_compare_media(struct remap_set *set)
{
	u32 block, i, nr = 1, end = 1 + remap_geometry(set)->table_blocks;
	struct look look;
	int r;

	/* The superblock alone first: a spare that is not there is not asked for every block. */
	for (block = 0; block < end; block += nr) {
		nr = block ? min(end - block, set->meta->load_blocks) : 1;
		read_blocks(set, block, nr, &look);
		for (i = 0; i < nr; i++) {
			r = judge(set, &look, block + i, i);
			if (r)
				return r;
		}
	}
	return compare_mark(set);
}

/**
 * remap_check_media() - compare the media with what is in RAM, repair the media
 * @set: the set, active
 * @alone: let no one commit meanwhile
 * @nr_repaired: set to the number of blocks that were written again
 *
 * For the message `restore`.  RAM holds all that was acknowledged, and never
 * goes back (D10): a block that is not on the media as it should be is
 * committed again, which ends doubt as well.  All blocks are compared before
 * the first is written, and mode fail ends only when no other system wrote any.
 *
 * Context: remap_set.lock held, may sleep; between blocks the lock is dropped, unless @alone.
 * Return: 0; -ESTALE: the media are newer: another system wrote; or an I/O error.
 */
int remap_check_media(struct remap_set *set, bool alone, u32 *nr_repaired)
{
	struct remap_meta *meta = set->meta;
	u32 block, end = 1 + remap_geometry(set)->table_blocks;
	struct remap_choice choice;
	unsigned int place;
	struct look look;
	u64 unknown_seq;
	bool strange;
	int r;

	*nr_repaired = 0;
	/* Without the spare what can be read is not enough (D22). */
	if (unlikely(remap_is_degraded(set)))
		return -EIO;
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
		read_blocks(set, block, 1, &look);
		whole = !choose(set, &look, block, 0, &choice, &strange, &unknown_seq);
		if (is_foreign(set, block, &choice, strange))
			return refuse(set, block, "is not ours or newer: another system wrote it");
		/* It may be written again; if not, it stays as it is. */
		if (state->unwritable) {
			*nr_repaired += !remap_retry_unwritable(set, block);
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

/**
 * remap_restore() - the message `restore`: compare, repair, and leave a failed mode
 * @set: the set, active and not read-only
 * @nr_repaired: set to the number of blocks that were written again
 *
 * A replica that was left out is written again; where that does not succeed, all is as before.
 * Context: remap_set.lock held, may sleep.  Return: as remap_check_media().
 */
int remap_restore(struct remap_set *set, u32 *nr_repaired)
{
	bool was_failed = test_bit(REMAP_FAILED, &set->flags);
	struct remap_meta *meta = set->meta;
	int r, out = meta->out;

	meta->out = -1;
	/* A replica that was out is no place for a user's commit before it is whole. */
	r = remap_check_media(set, out >= 0, nr_repaired);
	/* It still cannot be written: as before, and without the doubt of this try. */
	if (r && out >= 0) {
		meta->out = out;
		remap_resolve_doubt(set, true);
	}
	if (r && was_failed)
		set_bit(REMAP_FAILED, &set->flags);
	/* What is in RAM is the old one: no slot may be read by it, whatever comes (D22). */
	if (r == -ESTALE)
		remap_refuse_altered(set);
	/* The first one also fails for an earlier flush of another user. */
	if (!r && !remap_has_doubt(set) && (!remap_flush_spare(set) || !remap_flush_spare(set)))
		clear_bit(REMAP_META_FAIL, &set->flags);
	return r;
}

/**
 * remap_rewrite_block() - write a block as it is in RAM to one place of each replica
 * @set: the set
 * @block: number of the block in its place; one with a dead place is tried again
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_rewrite_block(struct remap_set *set, u32 block)
{
	if (set->meta->block[block].unwritable)
		return remap_retry_unwritable(set, block);
	return block ? remap_commit_block(set, block) : remap_super_commit(set);
}
