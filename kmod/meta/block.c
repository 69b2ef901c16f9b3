// SPDX-License-Identifier: GPL-2.0-only
/*
 * One metadata block: what is in it, its sequence number, and its way to both replicas.  All that
 * is ever written as a block of the set, but for its first format and for repairs, is numbered
 * and written here.
 *
 *   1. a number that was never used before (C2)
 *   2. with FUA to the place of replica 0 that does not hold the last committed content (C3).
 *      A crash here leaves replica 0 newer than replica 1, or a torn place beside a good one:
 *      load takes the highest valid copy and repairs (C5)
 *   3. the same to replica 1
 *
 * Rules kept here:
 *   C1  committed only after both replicas, written one after the other
 *   C2  a number belongs to one content: any submitted write burns it
 *   C3  always to the place that does not hold the last committed copy
 */
#include "meta/internal.h"
#include "base/trace.h"

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
		entry.generation = REMAP_WORD_EPOCH(word);
	}
	if (entry.state != REMAP_ENTRY_FREE) {
		entry.when = (u32)prov;
		entry.cause = (u8)(prov >> 32);
		entry.status = (u8)(prov >> 40);
		entry.errors = (u8)(prov >> 48);
	}
	remap_entry_encode(&entry, disk);
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
	return ++set->meta->last_seq;
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
	struct remap_meta *meta = set->meta;
	struct remap_block_state *state = &meta->block[block];
	unsigned int replica, copy;
	int r = 0;

	for (replica = 0; !r && replica < REMAP_REPLICAS; replica++) {
		if (replica == meta->out)
			continue;
		copy = REMAP_PLACES * replica + !state->good_place[replica];
		r = remap_write_copy(set, copy, block);
		if (r) {
			meta->replica_errors[replica]++;
			state->nr_failed = copy != state->failed_copy ? 1 :
					   min(state->nr_failed + 1, 255);
			state->failed_copy = copy;
			remap_warn_ratelimited(set, "%s: cannot write metadata block %u of replica %u at sector %llu: %d",
					       set->spare->name, block, replica,
					       (u64)remap_copy_sector(set, copy, block), r);
		}
	}
	trace_dm_remap_commit(set, block, remap_block_seq(meta->image), r);
	if (r)
		return r;
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
 * remap_retire_slot() - a slot was freed, as far as its block's last commit says
 * @set: the set
 * @slot: linked
 *
 * Older places may still name it: one more commit of the block is awaited, and a drain (C11).
 * Context: remap_set.lock held.
 */
void remap_retire_slot(struct remap_set *set, u32 slot)
{
	remap_table_remove(&set->table, slot, REMAP_WORD_RETIRED);
	set->table.prov[slot] = set->meta->block[remap_table_block_of(slot)].seq;
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
	struct remap_block_state *state = &set->meta->block[block];
	u32 slot = remap_first_slot(block);
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
			remap_retire_slot(set, slot);
		}
	}
	state->in_doubt = false;
	set->meta->nr_in_doubt--;
	remap_info(set, "%s: metadata block %u is no longer in doubt", set->spare->name, block);
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
	struct remap_meta *meta = set->meta;
	struct remap_table_disk *image = meta->image;
	u32 first = remap_first_slot(block);
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
	return set->meta->block[0].in_doubt ? remap_super_commit(set) : 0;
}

/**
 * remap_super_commit() - commit remap_meta.super
 * @set: the set
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_super_commit(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	int r;

	if (!remap_may_write(set))
		return -EROFS;
	meta->super.seq = remap_next_seq(set);
	remap_super_encode(&meta->super, meta->image);
	r = remap_write_block(set, 0);
	/* The media may still have it: `restore` must expect that (C4). */
	meta->block[0].in_doubt = r;
	return r;
}

/**
 * remap_super_set_flags() - change flags of the superblock, durably
 * @set: the set
 * @mask: which: REMAP_SUPER_*
 * @flags: what they are from now on
 *
 * Where the superblock cannot be written they stay as they were.
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_super_set_flags(struct remap_set *set, u32 mask, u32 flags)
{
	u32 old = set->meta->super.flags;
	int r;

	if ((old & mask) == flags)
		return remap_settle_super(set);
	set->meta->super.flags = (old & ~mask) | flags;
	r = remap_super_commit(set);
	if (r)
		set->meta->super.flags = old;
	return r;
}

/**
 * remap_store_settings() - let the superblock say what outlives a restart: a freeze (E7), and
 *                          what is done with main's cache (D18)
 * @set: the set, active
 *
 * RAM is right.  Where the superblock cannot be written the timer tries again.
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_store_settings(struct remap_set *set)
{
	static const u32 write_cache[] = {
		[REMAP_WRITE_KEEP] = REMAP_SUPER_WRITE_KEEP,
		[REMAP_WRITE_AUTO] = REMAP_SUPER_WRITE_AUTO,
	};
	u32 frozen = test_bit(REMAP_FROZEN, &set->flags) ? REMAP_SUPER_FROZEN : 0;

	return remap_super_set_flags(set, REMAP_SUPER_FROZEN | REMAP_SUPER_WRITE_KEEP |
				     REMAP_SUPER_WRITE_AUTO,
				     frozen | write_cache[remap_write_cache(set)]);
}
