// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making table entries durable, and the life of a slot.
 *
 * A commit of one table block:
 *
 *   1. an empty flush of the spare, its result checked (C10): the data of all
 *      entries in it, whose writes completed before (C9), is durable.
 *      A crash here leaves data in slots that no entry names: harmless.
 *   2. the block, with a number never used before (C2), goes with FUA to the
 *      place of replica 0 that does not hold the last committed content (C3).
 *      A crash here leaves replica 0 newer than replica 1, or a torn place
 *      beside a good one: load takes the highest valid copy and repairs (C5).
 *      Either outcome is right, because nothing was acknowledged yet.
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
 *   P1  data on stable media, then its entry, then the caller is told
 *   P8  when the metadata cannot be written, nothing new is acknowledged
 *   C1  published and acknowledged only after both replicas, written one after the other
 *   C2  a number belongs to one content: any submitted write burns it
 *   C3  always to the place that does not hold the last committed copy
 *   C4  a block whose commit failed is in doubt until a later one is complete
 *   C9  only entries whose data write had completed before the flush was sent
 *   C10 an empty flush, checked, then FUA; never a preflush with data
 *   C11 a freed slot waits for two commits of its block and a drain
 */
#include <linux/jiffies.h>

#include "dm-remap.h"
#include "dm_remap.h"
#include "trace.h"

#define DOUBT_RETRY_MIN		HZ
#define DOUBT_RETRY_MAX		(60 * HZ)
/* Blocks that fail in one round: each may take the disk its time. */
#define DOUBT_FAILURES		2

static void encode_slot(u64 word, u64 prov, struct remap_entry_disk *disk)
{
	struct remap_entry entry = { };

	if (word & REMAP_WORD_BAD) {
		entry.state = REMAP_ENTRY_BAD;
	} else if (REMAP_WORD_REDIRECTED(word)) {
		entry.state = REMAP_ENTRY_USED;
		entry.main_chunk = word & REMAP_WORD_CHUNK;
		entry.redirected = REMAP_WORD_REDIRECTED(word);
		entry.lost = REMAP_WORD_LOST(word);
		entry.generation = REMAP_WORD_GENERATION(word);
	}
	if (entry.state != REMAP_ENTRY_FREE) {
		entry.when = (u32)prov;
		entry.cause = (u8)(prov >> 32);
		entry.status = (u8)(prov >> 40);
		entry.errors = (u8)(prov >> 48);
	}
	remap_entry_encode(&entry, disk);
}

/* First slot of a table block; remap_table_entries() says how many it has, if any. */
static u32 block_first_slot(u32 block)
{
	return (block - 1) * REMAP_ENTRIES_PER_BLOCK;
}

/**
 * remap_next_seq() - the number for new content of a block
 * @set: the set, may write
 *
 * It is burnt by this call, whatever becomes of the content (C2).  Load leaves so many numbers
 * that they do not end while the set is active.
 *
 * Context: remap_set.lock held.
 */
u64 remap_next_seq(struct remap_set *set)
{
	return ++set->meta.generation;
}

/**
 * remap_may_write() - whether metadata and slots of the set may be written
 * @set: the set
 *
 * Context: any; with remap_set.lock held the answer stays true.
 */
bool remap_may_write(const struct remap_set *set)
{
	return !(READ_ONCE(set->flags) & (BIT(REMAP_READ_ONLY) | BIT(REMAP_FAILED))) &&
	       !remap_is_degraded(set);
}

static int write_block(struct remap_set *set, u32 block)
{
	struct remap_meta *meta = &set->meta;
	struct remap_block_state *state = &meta->block[block];
	unsigned int replica, try;
	int r;

	for (replica = 0; replica < REMAP_REPLICAS; replica++) {
		sector_t sector = set->spare_start +
			remap_block_sector(remap_geometry(set), replica,
					   !state->good_place[replica], block);

		if (replica == meta->out)
			continue;
		/* The same bytes to the same place may be sent again (C2). */
		for (try = 0; try < REMAP_WRITE_TRIES; try++) {
			r = remap_rw(set, set->spare, sector, meta->image, REMAP_BLOCK_SECTORS,
				     REQ_OP_WRITE | REQ_FUA);
			if (!r)
				break;
		}
		if (r) {
			unsigned int copy = REMAP_PLACES * replica + !state->good_place[replica];

			meta->replica_errors[replica]++;
			state->nr_failed = copy != state->failed_copy ? 1 :
					   min(state->nr_failed + 1, 255);
			state->failed_copy = copy;
			remap_warn_ratelimited(set, "%s: cannot write metadata block %u of replica %u at sector %llu: %d",
					       set->spare->name, block, replica,
					       (unsigned long long)sector, r);
			return r;
		}
	}
	for (replica = 0; replica < REMAP_REPLICAS; replica++)
		state->good_place[replica] ^= replica != meta->out;
	state->seq = remap_block_seq(meta->image);
	state->nr_failed = 0;
	/* Soft state is losable, so the mark on main must not count on it (O6). */
	if (block <= remap_geometry(set)->table_blocks)
		meta->committed = max(meta->committed, state->seq);
	return 0;
}

/**
 * remap_write_block() - send remap_meta.image to both replicas, one after the other
 * @set: the set
 * @block: number of the block in its place; the image is sealed and has a fresh number
 *
 * Context: remap_set.lock held, may sleep.
 * Return: 0 when it is durable on both (C1); else nothing is known of either.
 */
int remap_write_block(struct remap_set *set, u32 block)
{
	int r = write_block(set, block);

	trace_dm_remap_commit(set, block, remap_block_seq(set->meta.image), r);
	return r;
}

/**
 * remap_clear_doubt() - withdrawn entries of a block are on no newest copy any more
 * @set: the set
 * @block: number of the table block
 *
 * Context: remap_set.lock held.
 */
void remap_clear_doubt(struct remap_set *set, u32 block)
{
	struct remap_table *table = &set->table;
	struct remap_block_state *state = &set->meta.block[block];
	u32 slot = block_first_slot(block);
	u32 end = slot + remap_table_entries(remap_geometry(set), block);

	if (!state->in_doubt)
		return;
	for (; slot < end; slot++) {
		u64 word = table->word[slot];

		if (!(word & REMAP_WORD_DOUBT))
			continue;
		if (REMAP_WORD_REDIRECTED(word) || word & REMAP_WORD_BUSY) {
			table->prov[slot] &= ~(0xffULL << 56);
			remap_table_set(table, slot, word & ~REMAP_WORD_DOUBT);
		} else {
			/* An older place may still name it (C11). */
			remap_table_remove(table, slot, REMAP_WORD_RETIRED);
			table->prov[slot] = state->seq;
		}
	}
	state->in_doubt = false;
	set->meta.nr_in_doubt--;
	remap_info(set, "%s: metadata block %u is certain again", set->spare->name, block);
}

/**
 * remap_image_table_block() - build a table block in remap_meta.image, with a fresh number
 * @set: the set
 * @block: number of the table block
 * @change: changes to include, those without a status that are in it; may be NULL
 * @nr_changes: how many
 *
 * Context: remap_set.lock held.
 */
void remap_image_table_block(struct remap_set *set, u32 block,
			     const struct remap_change *change, u32 nr_changes)
{
	struct remap_meta *meta = &set->meta;
	struct remap_table_disk *image = meta->image;
	u32 first = block_first_slot(block);
	u32 nr = remap_table_entries(remap_geometry(set), block);
	u32 i;

	remap_block_init(image, REMAP_MAGIC_TABLE, meta->super.uuid, block, remap_next_seq(set));
	image->nr_entries = cpu_to_le32(nr);
	for (i = 0; i < nr; i++)
		encode_slot(set->table.word[first + i], set->table.prov[first + i],
			    &image->entry[i]);
	for (i = 0; i < nr_changes; i++) {
		if (!change[i].status && remap_table_block_of(change[i].slot) == block)
			encode_slot(change[i].word, change[i].prov,
				    &image->entry[remap_table_entry_of(change[i].slot)]);
	}
	remap_block_seal(image);
}

/* Steps 2 and 3 for one table block, with those of @change that are in it. */
static int commit_table_block(struct remap_set *set, u32 block,
			      const struct remap_change *change, u32 nr_changes)
{
	struct remap_meta *meta = &set->meta;
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
	struct remap_note note = {
		.kind = DM_REMAP_EVENT_COMMIT_FAILED,
		.member = DM_REMAP_MEMBER_SPARE,
		.status = REMAP_STATUS_IOERR,
	};

	if (r) {
		set_bit(REMAP_META_FAIL, &set->flags);
		remap_notify(set, &note);
	}
	if (!r && !set->meta.nr_in_doubt)
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

	if (!remap_may_write(set) || set->meta.block[block].frozen)
		return -EROFS;
	r = commit_table_block(set, block, NULL, 0);
	if (r)
		remap_freeze_if_dead(set, block);
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
	struct remap_meta *meta = &set->meta;
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
		if (change->word & REMAP_WORD_BAD) {
			remap_table_set(table, change->slot, REMAP_WORD_BAD);
		} else if (!REMAP_WORD_REDIRECTED(change->word)) {
			/* Freed: the older places still name it (C11). */
			remap_table_remove(table, change->slot, REMAP_WORD_RETIRED);
			table->prov[change->slot] =
				set->meta.block[remap_table_block_of(change->slot)].seq;
		} else if (old & REMAP_WORD_LINKED) {
			remap_table_set(table, change->slot, change->word | REMAP_WORD_LINKED);
		} else {
			remap_table_insert(table, change->slot, change->word);
		}
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
	if (!(old & REMAP_WORD_LINKED))
		remap_table_set(table, change->slot, 0);
	else if (REMAP_WORD_REDIRECTED(old) || old & REMAP_WORD_DOUBT)
		remap_table_set(table, change->slot, old & ~REMAP_WORD_BUSY);
	else
		remap_slot_release(set, change->slot);
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
		bool frozen = set->meta.block[block].frozen;
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
	if (set->meta.out >= 0)
		remap_update_mark(set);
	if (set->meta.nr_in_doubt || set->meta.block[0].in_doubt)
		remap_resolve_doubt(set, first_error);
	return first_error;
}

/**
 * remap_slot_release() - a slot that no copy of its block ever named is free again
 * @set: the set
 * @slot: reserved or linked; must not have been part of a submitted commit
 *
 * A linked one is made to wait as C11 says, because readers may know it.
 * Context: remap_set.lock held.
 */
void remap_slot_release(struct remap_set *set, u32 slot)
{
	u32 block = remap_table_block_of(slot);

	if (set->table.word[slot] & REMAP_WORD_LINKED) {
		remap_table_remove(&set->table, slot, REMAP_WORD_RETIRED);
		/* As if freed by the last commit: one more is awaited, and a drain. */
		set->table.prov[slot] = set->meta.block[block].seq;
		set->meta.drained = 0;
	} else {
		remap_table_set(&set->table, slot, 0);
	}
}

/*
 * The two commits of C11 are over; the drain makes sure that nobody knows the slot.  One
 * drain does for all slots that were freed before it.
 */
static s64 reuse_retired(struct remap_set *set)
{
	struct remap_table *table = &set->table;
	struct remap_meta *meta = &set->meta;
	u32 slot;

	for (slot = 0; slot < remap_geometry(set)->slots && table->nr_retired; slot++) {
		u32 block = remap_table_block_of(slot);

		/* There may be 2^24 of them. */
		if (!(slot & 0xffff))
			cond_resched();
		if (!(table->word[slot] & REMAP_WORD_RETIRED) || meta->block[block].in_doubt ||
		    meta->block[block].frozen)
			continue;
		if (table->prov[slot] >= meta->block[block].seq && remap_commit_block(set, block))
			continue;
		if (table->prov[slot] >= meta->drained) {
			struct remap_drain drain = { };

			meta->drained = meta->generation + 1;
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
		if (set->meta.block[remap_table_block_of(slot)].in_doubt ||
		    remap_is_frozen(set, slot)) {
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

/**
 * remap_note_frozen() - let the superblock say whether new remaps are off (E7)
 * @set: the set
 *
 * Only an administrator ends it, also after a restart.  Where it cannot be written, it counts
 * until then.  Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_note_frozen(struct remap_set *set)
{
	u32 flags = set->meta.super.flags & ~REMAP_SUPER_FROZEN;
	u32 old = set->meta.super.flags;
	int r;

	if (test_bit(REMAP_FROZEN, &set->flags))
		flags |= REMAP_SUPER_FROZEN;
	if (flags == old)
		return remap_settle_super(set);
	set->meta.super.flags = flags;
	r = remap_super_commit(set);
	if (r)
		set->meta.super.flags = old;
	return r;
}

/**
 * remap_settle_super() - if the superblock is in doubt, commit it as it is in RAM
 * @set: the set, may write
 *
 * Before that nothing new may be committed: the superblock on the media may call places dead
 * that are used, or name another probe chunk (C4).
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_settle_super(struct remap_set *set)
{
	return set->meta.block[0].in_doubt ? remap_super_commit(set) : 0;
}

/**
 * remap_super_commit() - commit remap_meta.super
 * @set: the set
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_super_commit(struct remap_set *set)
{
	struct remap_meta *meta = &set->meta;
	int r;

	if (!remap_may_write(set))
		return -EROFS;
	meta->super.seq = remap_next_seq(set);
	remap_super_encode(&meta->super, meta->image);
	r = remap_write_block(set, 0);
	/* The media may hold it all the same: `restore` must not wonder (C4). */
	meta->block[0].in_doubt = r;
	return r;
}
