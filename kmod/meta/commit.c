// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making table entries durable, and the life of a slot.
 *
 * A commit of one table block:
 *
 *   1. an empty flush of the spare, its result checked (C10): the data of all
 *      entries in it, whose writes completed before (C9), is durable.
 *      A crash here leaves data in slots that no entry names: harmless.
 *   2. the block goes to replica 0, see block.c.  Whether load finds it after a crash
 *      or not is right either way, because nothing was acknowledged yet.
 *   3. the same to replica 1.
 *   4. only now the entries are published to readers and their writes
 *      acknowledged (C1).
 *
 * If 2 or 3 fails, the media may hold the new content or not: the block is in
 * doubt (C4).  Its withdrawn entries are marked in the table, so that nothing
 * of them is read and no write to their sectors is acknowledged anywhere,
 * until a later commit without them is complete.
 *
 * All of it runs under remap_set.lock: there is one writer.
 *
 * Rules kept here:
 *   P1  data on stable media, then its entry, then completion to the caller
 *   P8  when the metadata cannot be written, nothing new is acknowledged
 *   C1  published and acknowledged only after both replicas, written one after the other
 *   C4  a block whose commit failed is in doubt until a later one is complete
 *   C9  only entries whose data write had completed before the flush was sent
 *   C10 an empty flush, checked, then FUA; never a preflush with data
 *   C11 a freed slot waits for two commits of its block and a drain
 */
#include <linux/jiffies.h>

#include "meta/internal.h"
#include "base/trace.h"

#define DOUBT_RETRY_MIN		HZ
#define DOUBT_RETRY_MAX		(60 * HZ)
/* Blocks that fail in one round: each may take the disk its time. */
#define DOUBT_FAILURES		2

/* Steps 2 and 3 for one table block, with those of @change that are in it. */
static int commit_table_block(struct remap_set *set, u32 block,
			      const struct remap_change *change, u32 nr_changes)
{
	struct remap_meta *meta = set->meta;
	int r;

	remap_image_table_block(set, block, change, nr_changes);
	r = remap_write_block(set, block);
	if (!r) {
		remap_clear_doubt(set, block);
	} else {
		meta->nr_failures++;
		if (!meta->block[block].in_doubt) {
			meta->block[block].in_doubt = true;
			meta->nr_in_doubt++;
		}
	}
	return r;
}

static void note_outcome(struct remap_set *set, int r)
{
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_COMMIT_FAILED,
		.member = DM_REMAP_MEMBER_SPARE,
		.status = REMAP_STATUS_IOERR,
	};

	if (r) {
		set_bit(REMAP_META_FAIL, &set->flags);
		remap_queue_event(set, &event);
	}
	if (!r && !set->meta->nr_in_doubt)
		clear_bit(REMAP_META_FAIL, &set->flags);
}

/**
 * remap_commit_block() - commit a table block as it is in RAM
 * @set: the set
 * @block: number of the table block in its place, from 1
 *
 * Entries in doubt are left out of it, so it ends their doubt (C4).
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_commit_block(struct remap_set *set, u32 block)
{
	int r;

	if (!remap_may_write(set) || set->meta->block[block].unwritable)
		return -EROFS;
	r = commit_table_block(set, block, NULL, 0);
	if (r)
		remap_give_up_place(set, block);
	note_outcome(set, r);
	return r;
}

/**
 * remap_resolve_doubt() - commit the blocks in doubt without what was withdrawn
 * @set: the set
 * @now: even if the back-off has not passed
 *
 * Context: remap_set.lock held, may sleep.
 */
void remap_resolve_doubt(struct remap_set *set, bool now)
{
	struct remap_meta *meta = set->meta;
	u32 nr = remap_geometry(set)->table_blocks, i, nr_failed = 0;

	if (likely(!meta->nr_in_doubt && !meta->block[0].in_doubt) ||
	    (!now && time_before(jiffies, meta->retry_at)))
		return;
	if (!remap_may_write(set))
		return;
	/* The media may hold flags, or name a probe chunk or dead places, that RAM took back. */
	if (meta->block[0].in_doubt)
		nr_failed += !!remap_super_commit(set);
	/* One that cannot be written does not keep the others in doubt (C8). */
	for (i = 0; i < nr && meta->nr_in_doubt && nr_failed < DOUBT_FAILURES; i++) {
		meta->doubt_next = meta->doubt_next % nr + 1;
		if (meta->block[meta->doubt_next].in_doubt)
			nr_failed += !!remap_commit_block(set, meta->doubt_next);
	}
	if (!meta->nr_in_doubt && !meta->block[0].in_doubt) {
		meta->retry_delay = 0;
		return;
	}
	meta->retry_delay = clamp_t(unsigned long, 2 * meta->retry_delay, DOUBT_RETRY_MIN,
				    DOUBT_RETRY_MAX);
	meta->retry_at = jiffies + meta->retry_delay;
}

/* Publish a change, or take back what was prepared for it. */
static void settle(struct remap_set *set, const struct remap_change *change)
{
	struct remap_table *table = &set->table;
	u64 old = table->word[change->slot];
	u64 chunk = change->word & REMAP_WORD_CHUNK;

	if (change->result == REMAP_COMMITTED) {
		table->prov[change->slot] = change->prov;
		if (change->word & REMAP_WORD_BAD)
			remap_table_set(table, change->slot, REMAP_WORD_BAD);
		else if (!REMAP_WORD_REDIRECTED(change->word))
			remap_retire_slot(set, change->slot);
		else if (old & REMAP_WORD_LINKED)
			remap_table_set(table, change->slot, change->word | REMAP_WORD_LINKED);
		else
			remap_table_insert(table, change->slot, change->word);
		return;
	}

	if (change->result == REMAP_IN_DOUBT) {
		if (change->word & REMAP_WORD_BAD) {
			remap_table_set(table, change->slot, REMAP_WORD_BAD);
			table->prov[change->slot] = change->prov;
			return;
		}
		if (old & REMAP_WORD_LINKED) {
			table->prov[change->slot] |= (u64)change->add << 56;
			remap_table_set(table, change->slot,
					(old & ~REMAP_WORD_BUSY) | REMAP_WORD_DOUBT);
		} else {
			table->prov[change->slot] = remap_prov(0, 0, 0, 0, change->add);
			remap_table_insert(table, change->slot,
					   remap_word(chunk, 0, 0, 0, REMAP_WORD_DOUBT));
		}
		return;
	}

	/* No copy was submitted: media cannot name the slot. */
	if (!(old & REMAP_WORD_LINKED)) {
		remap_table_set(table, change->slot, 0);
	} else if (REMAP_WORD_REDIRECTED(old) || old & REMAP_WORD_DOUBT) {
		/* Unless it is to stay busy: a move has not ended with this commit. */
		remap_table_set(table, change->slot,
				old & (~REMAP_WORD_BUSY | (change->word & REMAP_WORD_BUSY)));
	} else {
		/* But readers may know it. */
		remap_retire_slot(set, change->slot);
		set->meta->drained = 0;
	}
}

/**
 * remap_commit() - make entries durable, then publish them
 * @set: the set
 * @change: entries whose data writes have completed; those with a status are taken back
 * @nr_changes: how many
 *
 * One flush for all of them, and one pair of writes per touched block.  After
 * it, result and status of each change say what became of it; only
 * REMAP_COMMITTED may be acknowledged.
 *
 * Context: remap_set.lock held, may sleep; does not allocate (P6).
 * Return: 0, or the first error.
 */
int remap_commit(struct remap_set *set, struct remap_change *change, u32 nr_changes)
{
	int media_error = 0, first_error = 0;
	bool tried, any = false;
	u32 i, j;

	for (i = 0; i < nr_changes; i++)
		any |= !change[i].status;
	if (any && !remap_may_write(set))
		first_error = -EROFS;
	else if (any)
		media_error = remap_settle_super(set) ?: remap_flush_spare(set);
	first_error = first_error ?: media_error;
	tried = media_error;

	for (i = 0; i < nr_changes; i++) {
		change[i].result = REMAP_NOT_WRITTEN;
		change[i].handled = change[i].status || first_error;
		if (!change[i].status && first_error)
			change[i].status = BLK_STS_IOERR;
	}

	for (i = 0; i < nr_changes; i++) {
		u32 block = remap_table_block_of(change[i].slot);
		bool frozen = set->meta->block[block].unwritable;
		int r;

		if (change[i].handled)
			continue;
		r = frozen ? -EROFS : commit_table_block(set, block, change + i, nr_changes - i);
		for (j = i; j < nr_changes; j++) {
			if (change[j].handled || remap_table_block_of(change[j].slot) != block)
				continue;
			change[j].handled = true;
			change[j].result = frozen ? REMAP_NOT_WRITTEN :
					   r ? REMAP_IN_DOUBT : REMAP_COMMITTED;
			if (r)
				change[j].status = BLK_STS_IOERR;
		}
		if (r && !first_error)
			first_error = r;
		if (!frozen) {
			tried = true;
			media_error = media_error ?: r;
		}
	}
	for (i = 0; i < nr_changes; i++)
		settle(set, &change[i]);
	if (tried)
		note_outcome(set, media_error);
	/*
	 * The other replica has an older table: should it come back alone, main's mark tells
	 * (C5, O6).  Before anything is acknowledged.
	 */
	if (set->meta->out >= 0)
		remap_update_anchor(set);
	if (set->meta->nr_in_doubt || set->meta->block[0].in_doubt)
		remap_resolve_doubt(set, first_error);
	return first_error;
}

/*
 * The two commits of C11 are over; the drain makes sure that no reader knows the slot.  One
 * drain does for all slots that were freed before it.
 */
static s64 reuse_retired(struct remap_set *set)
{
	struct remap_table *table = &set->table;
	struct remap_meta *meta = set->meta;
	u32 slot;

	for (slot = 0; slot < remap_geometry(set)->slots && table->nr_retired; slot++) {
		u32 block = remap_table_block_of(slot);

		/* There may be 2^24 of them. */
		if (!(slot & 0xffff))
			cond_resched();
		if (!(table->word[slot] & REMAP_WORD_RETIRED) || meta->block[block].in_doubt ||
		    meta->block[block].unwritable)
			continue;
		if (table->prov[slot] >= meta->block[block].seq && remap_commit_block(set, block))
			continue;
		if (table->prov[slot] >= meta->drained) {
			struct remap_drain drain = { };

			meta->drained = meta->last_seq + 1;
			/* I/O to the slots only: writes to main know nothing of them (D20). */
			bitmap_set(drain.bucket, REMAP_BUCKET_SLOT, REMAP_BUCKETS_SLOT);
			remap_drain(set, &drain);
		}
		table->prov[slot] = 0;
		remap_table_set(table, slot, REMAP_WORD_RESERVED);
		return slot;
	}
	return -ENOSPC;
}

/**
 * remap_slot_alloc() - reserve a slot
 * @set: the set
 *
 * Low slots first, so that relocations share table blocks.  Blocks in doubt
 * give none (C8).  Context: remap_set.lock held, may sleep; does not allocate
 * memory.  Return: the slot, or -ENOSPC.
 */
s64 remap_slot_alloc(struct remap_set *set)
{
	struct remap_table *table = &set->table;
	bool skipped = false;
	u32 slot;

	for (slot = table->free_hint; slot < remap_geometry(set)->slots; slot++) {
		if (!(slot & 0xffff))
			cond_resched();
		if (table->word[slot])
			continue;
		if (set->meta->block[remap_table_block_of(slot)].in_doubt ||
		    remap_is_unwritable(set, slot)) {
			skipped = true;
			continue;
		}
		remap_table_set(table, slot, REMAP_WORD_RESERVED);
		if (!skipped)
			table->free_hint = slot + 1;
		return slot;
	}
	return reuse_retired(set);
}

