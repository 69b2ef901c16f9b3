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
 * remap_refuse_altered() - another system had the set, and what is in RAM is the old one
 * @set: the set
 *
 * Context: remap_set.lock held.
 */
void remap_refuse_altered(struct remap_set *set)
{
	set_bit(REMAP_ALTERED, &set->flags);
	set_bit(REMAP_FAILED, &set->flags);
	remap_err(set, "the set was changed by another system: deactivate it, activate it again, and check its content");
}

static int refuse(struct remap_set *set, u32 block, const char *what)
{
	remap_err(set, "%s: metadata block %u on the media %s", set->spare->name, block, what);
	/* What is in RAM is the old one: no slot may be read by it, whatever comes (D22). */
	remap_refuse_altered(set);
	return -ESTALE;
}

/* To read a whole table may take a slow disk minutes: a worker that waits goes first. */
static int let_others_in(struct remap_set *set, bool alone)
{
	if (!alone) {
		/* No change of mode is reported from the middle of it. */
		mutex_unlock(&set->lock);
		cond_resched();
		mutex_lock(&set->lock);
	}
	return test_bit(REMAP_ACTIVE, &set->flags) && !test_bit(REMAP_SUSPENDING, &set->flags) ?
		0 : -EBUSY;
}

/*
 * Whether another system has written a block.  Of superblocks of another set, or of a format that
 * is not known, one that load would skip is no change: it is not newer than ours.  @to_mend:
 * they would be written over (P7).
 */
static bool is_foreign(const struct remap_set *set, u32 block, const struct remap_copies *copies,
		       bool to_mend)
{
	const struct remap_block_state *state = &set->meta->block[block];
	/* A commit of ours that failed may be there: its number is burnt (C2, C4, C8). */
	u64 ours = state->in_doubt || state->unwritable ? set->meta->last_seq : state->seq;
	unsigned int c;

	for (c = 0; !block && c < REMAP_COPIES; c++) {
		enum remap_verdict verdict = copies->verdict[c];

		if (to_mend && (verdict == REMAP_BAD_VERSION || verdict == REMAP_OTHER_SET))
			return true;
		if (verdict == REMAP_BAD_VERSION && remap_block_seq(copies->data[c]) > state->seq)
			return true;
	}
	return copies->choice.best >= 0 && copies->choice.seq > ours;
}

/*
 * Whether a replica that is written shows both of its places, but for one that is given up: who
 * commits writes both replicas, so one that shows all it has tells of the other.
 */
static bool is_shown(const struct remap_set *set, unsigned int replica,
		     const struct remap_copies *copies)
{
	const enum remap_verdict *verdict = &copies->verdict[replica * REMAP_PLACES];

	return verdict[0] != REMAP_UNREADABLE && verdict[1] != REMAP_UNREADABLE &&
	       (int)replica != set->meta->out;
}

/* One block that was read: 0, -ESTALE, or -EIO when what can be read does not tell. */
static int compare_block(struct remap_set *set, u32 block, u32 i, bool to_mend)
{
	struct remap_block_state *state = &set->meta->block[block];
	struct remap_copies copies;
	bool ours;

	remap_judge(set, block, i, &copies);
	ours = copies.choice.best >= 0 && copies.choice.seq == state->seq;
	if (is_foreign(set, block, &copies, to_mend))
		return refuse(set, block, "is foreign or newer: another system wrote it");
	if (to_mend) {
		state->rewrite = ours ? copies.choice.rewrite : 0xf;
		return 0;
	}
	if (!is_shown(set, 0, &copies) && !is_shown(set, 1, &copies))
		return -EIO;
	if (ours || state->in_doubt || state->unwritable)
		return 0;
	return set->meta->read.unreadable[i] ? -EIO :
	       refuse(set, block, "is older than expected, or missing");
}

/*
 * All blocks; nothing is written.  @to_mend: one by one, and remap_block_state.rewrite says
 * afterwards what must be; unless @alone others may write in between.
 */
static int compare(struct remap_set *set, bool to_mend, bool alone)
{
	u32 block, i, nr, end = 1 + remap_geometry(set)->table_blocks;
	int r;

	/* The superblock alone first: a spare that is not there is not asked for every block. */
	for (block = 0; block < end; block += nr) {
		nr = block && !to_mend ? min(end - block, set->meta->read.nr_max) : 1;
		r = to_mend ? let_others_in(set, alone) : 0;
		if (r)
			return r;
		remap_read_blocks(set, remap_geometry(set), block, nr);
		for (i = 0; i < nr; i++) {
			r = compare_block(set, block + i, i, to_mend);
			if (r)
				return r;
		}
	}
	return 0;
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
		return refuse(set, 0, "does not match the mark on main");
	/* Its place went bad, and main is there: what it said is as old as everything else. */
	if (!r && (meta->anchor.marked ||
		   !remap_rw(set, set->main, 0, set->scratch.anchor, unit, REQ_OP_READ)))
		return 0;
	meta->anchor.marked = marked;
	return -EIO;
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
	return compare(set, false, true) ?: compare_mark(set);
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

/*
 * RAM holds all that was acknowledged, and never goes back (D10): a block that is not on the
 * media as it should be is committed again, which ends doubt as well.
 */
static int mend(struct remap_set *set, bool alone, u32 *nr_repaired)
{
	u32 block, place, end = 1 + remap_geometry(set)->table_blocks;
	int r;

	for (block = 0; block < end; block++) {
		struct remap_block_state *state = &set->meta->block[block];

		r = let_others_in(set, alone);
		if (r)
			return r;
		/* Another `restore` has found what is not ours. */
		if (test_bit(REMAP_FAILED, &set->flags))
			return -ESTALE;
		/* It may be written again; if not, it stays as it is. */
		if (state->unwritable) {
			*nr_repaired += !remap_retry_unwritable(set, block);
			continue;
		}
		if (!state->rewrite && !state->in_doubt)
			continue;
		/* Another system may have written it since it was looked at (P7). */
		remap_read_blocks(set, remap_geometry(set), block, 1);
		r = compare_block(set, block, 0, true);
		if (r)
			return r;
		/* Before: a commit that gives a place up must know which copies are good (C3). */
		state->rewrite = 0;
		/* Twice: both places of both replicas. */
		for (place = 0; place < REMAP_PLACES; place++) {
			r = remap_rewrite_block(set, block);
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
 * All blocks are compared before the first is written, and mode fail ends only when no other
 * system wrote any.  A replica that was left out is written again; where that does not succeed,
 * all is as before.
 *
 * Context: remap_set.lock held, may sleep; between blocks the lock is dropped.
 * Return: 0; -ESTALE: the media are newer: another system wrote; or an I/O error.
 */
int remap_restore(struct remap_set *set, u32 *nr_repaired)
{
	bool was_failed = test_bit(REMAP_FAILED, &set->flags);
	struct remap_meta *meta = set->meta;
	int r, out = meta->out;
	u32 block;

	*nr_repaired = 0;
	/* Without the spare what can be read is not enough (D22). */
	if (unlikely(remap_is_degraded(set)))
		return -EIO;
	meta->out = -1;
	/* A replica that was out must not receive a user's commit before it is complete. */
	r = compare(set, true, out >= 0);
	if (!r) {
		clear_bit(REMAP_FAILED, &set->flags);
		r = mend(set, out >= 0, nr_repaired);
	}
	/* What is left says nothing once commits go on. */
	for (block = 0; r && block < 1 + remap_geometry(set)->table_blocks; block++)
		meta->block[block].rewrite = 0;
	/* It still cannot be written: as before, and without the doubt of this try. */
	if (r && out >= 0) {
		meta->out = out;
		remap_resolve_doubt(set, true);
	}
	if (r && was_failed)
		set_bit(REMAP_FAILED, &set->flags);
	/* The first one also fails for an earlier flush of another user. */
	if (!r && !remap_has_doubt(set) && (!remap_flush_spare(set) || !remap_flush_spare(set)))
		clear_bit(REMAP_META_FAIL, &set->flags);
	return r;
}
