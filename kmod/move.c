// SPDX-License-Identifier: GPL-2.0-only
/*
 * A spare chunk that went bad: its entry moves to another slot (C13).  Called
 * by the worker for pieces whose write to an existing slot failed, under
 * remap_set.lock, one chunk at a time:
 *
 *   1. spare alive -> the failed pieces once more, with FUA -> spare alive (D7)
 *   2. busy mark on the old slot, drain (D3)
 *   3. the other sectors are read from the old slot; unreadable ones are lost
 *   4. everything is written to a fresh slot
 *   5. commit of the fresh slot with the next generation, publish
 *   6. commit of the old slot as bad
 *
 * A crash before 5 changes nothing; between 5 and 6 both slots name the chunk,
 * and load keeps the successor.  Generations count modulo 4, so a chunk must
 * not move again before 6 is certain: nothing moves while a block is in doubt.
 */
#include <linux/ktime.h>

#include "dm-remap.h"
#include "dm_remap.h"

static u8 piece_mask(const struct remap_piece *piece)
{
	return (u8)(GENMASK(piece->nr_sectors - 1, 0) <<
		    (piece->sector & (REMAP_CHUNK_SECTORS - 1)));
}

/* Send all pieces to move of @chunk to @slot; returns the union of their masks, or 0. */
static u8 write_pieces(struct remap_set *set, u64 chunk, u32 slot)
{
	bool failed = false;
	u8 mask = 0;
	u32 i;

	remap_subs_begin(set);
	for (i = 0; i < set->nr_pieces; i++) {
		struct remap_piece *piece = &set->piece[i];

		if (piece->class != REMAP_PIECE_MOVE ||
		    piece->sector / REMAP_CHUNK_SECTORS != chunk)
			continue;
		mask |= piece_mask(piece);
		remap_sub_submit(set, piece, set->spare, remap_slot_start(set, slot) +
				 (piece->sector & (REMAP_CHUNK_SECTORS - 1)), REQ_FUA);
	}
	remap_subs_wait(set);
	for (i = 0; i < set->nr_pieces; i++) {
		struct remap_piece *piece = &set->piece[i];

		if (piece->class == REMAP_PIECE_MOVE &&
		    piece->sector / REMAP_CHUNK_SECTORS == chunk)
			failed |= piece->status != BLK_STS_OK;
	}
	return failed ? 0 : mask;
}

static u8 pieces_mask(const struct remap_set *set, u64 chunk)
{
	u8 mask = 0;
	u32 i;

	for (i = 0; i < set->nr_pieces; i++) {
		const struct remap_piece *piece = &set->piece[i];

		if (piece->class == REMAP_PIECE_MOVE &&
		    piece->sector / REMAP_CHUNK_SECTORS == chunk)
			mask |= piece_mask(piece);
	}
	return mask;
}

/* A write of our own that the spare takes: the counters. */
static bool spare_alive(struct remap_set *set)
{
	return !remap_soft_save(set);
}

/* Steps 3 and 4; sets *lost.  Returns the slot, reserved, or a negative errno. */
static s64 fill_fresh_slot(struct remap_set *set, u64 chunk, u32 old_slot, u8 keep, u8 *lost)
{
	unsigned int unit = bdev_logical_block_size(set->spare->bdev) >> SECTOR_SHIFT;
	u32 tried[REMAP_SLOT_TRIES];
	u8 failed;
	u32 try;

	*lost = 0;
	failed = 0;
	remap_rw_chunk(set, set->spare, remap_slot_start(set, old_slot), keep, unit, REQ_OP_READ,
		       &failed);
	/* Only what fails again between two good probes is lost (E6). */
	if (failed) {
		if (!spare_alive(set))
			return -EIO;
		remap_rw_chunk(set, set->spare, remap_slot_start(set, old_slot), failed, unit,
			       REQ_OP_READ, lost);
		if (*lost && !spare_alive(set))
			return -EIO;
	}
	for (try = 0; try < REMAP_SLOT_TRIES; try++) {
		s64 slot = remap_slot_alloc(set);

		if (slot < 0)
			break;
		failed = 0;
		remap_rw_chunk(set, set->spare, remap_slot_start(set, slot), keep & ~*lost, unit,
			       REQ_OP_WRITE | REQ_FUA, &failed);
		if (!failed && write_pieces(set, chunk, slot))
			return slot;
		/* The next one is another as long as this one is not free. */
		remap_table_set(&set->table, slot, REMAP_WORD_BAD);
		tried[try] = slot;
	}
	/* They are bad only if the spare still takes other writes (P5). */
	if (!spare_alive(set)) {
		while (try--)
			remap_table_set(&set->table, tried[try], 0);
	}
	return -EIO;
}

static void note_bad(struct remap_set *set, u64 chunk, u32 slot)
{
	struct remap_note note = {
		.kind = DM_REMAP_EVENT_SPARE_BAD,
		.sector = chunk * REMAP_CHUNK_SECTORS,
		.nr_sectors = REMAP_CHUNK_SECTORS,
		.has_slot = true,
		.slot = slot,
	};

	remap_notify(set, &note);
	remap_note_use(set);
}

static void note_refused(struct remap_set *set, const struct remap_piece *piece)
{
	struct remap_note note = {
		.kind = DM_REMAP_EVENT_REFUSED,
		.sector = piece->sector,
		.nr_sectors = piece->nr_sectors,
		.status = REMAP_STATUS_IOERR,
		.member = DM_REMAP_MEMBER_SPARE,
		.reason = DM_REMAP_REASON_SPARE,
	};

	remap_notify(set, &note);
}

static int move_chunk(struct remap_set *set, u64 chunk)
{
	struct remap_table *table = &set->table;
	struct remap_change change = { };
	s64 old_slot = remap_table_find(table, chunk);
	u32 old_block;
	u8 mask = pieces_mask(set, chunk);
	u8 redirected, lost, unread;
	s64 slot;
	u64 old;
	int r;

	if (old_slot < 0 || set->meta.nr_in_doubt || !spare_alive(set))
		return -EIO;
	old = table->word[old_slot];
	redirected = REMAP_WORD_REDIRECTED(old);
	lost = REMAP_WORD_LOST(old);
	/* Sectors that the slot serves already: a second try may do. */
	if (!(mask & ~redirected) && !(mask & lost) && write_pieces(set, chunk, old_slot))
		return 0;
	if (!spare_alive(set))
		return -EIO;

	remap_table_set(table, old_slot, old | REMAP_WORD_BUSY);
	remap_drain(set);
	slot = fill_fresh_slot(set, chunk, old_slot, redirected & ~lost & ~mask, &unread);
	if (slot < 0) {
		remap_table_set(table, old_slot, old);
		return slot;
	}
	change.slot = slot;
	change.fresh = true;
	change.add = redirected | mask;
	change.word = remap_word(chunk, redirected | mask, (lost & ~mask) | unread,
				 (REMAP_WORD_GENERATION(old) + 1) & 3, 0);
	change.prov = table->prov[old_slot];
	r = remap_commit(set, &change, 1);
	if (r) {
		remap_table_set(table, old_slot, old);
		return r;
	}

	remap_warn_ratelimited(set, "%s: spare chunk %lld is bad: sector %llu moved to slot %lld, %u sectors lost",
			       set->spare->name, old_slot, chunk * REMAP_CHUNK_SECTORS, slot,
			       hweight8(unread));
	old_block = remap_table_block_of(old_slot);
	remap_table_remove(table, old_slot, REMAP_WORD_BAD);
	table->prov[old_slot] = remap_prov((u32)ktime_get_real_seconds(), REMAP_CAUSE_SPARE_BAD,
					   0, 1, 0);
	/* If this fails the block is in doubt, and load will tell the two apart. */
	remap_commit_block(set, old_block);
	note_bad(set, chunk, old_slot);
	return 0;
}

/**
 * remap_move() - give the entries whose spare chunks fail other slots
 * @set: the set
 *
 * Context: remap_set.lock held, may sleep; does not allocate memory (P6).
 */
void remap_move(struct remap_set *set)
{
	u32 i, j;

	for (i = 0; i < set->nr_pieces; i++) {
		u64 chunk = set->piece[i].sector / REMAP_CHUNK_SECTORS;
		int r;

		if (set->piece[i].class != REMAP_PIECE_MOVE)
			continue;
		r = move_chunk(set, chunk);
		for (j = i; j < set->nr_pieces; j++) {
			struct remap_piece *piece = &set->piece[j];

			if (piece->class != REMAP_PIECE_MOVE ||
			    piece->sector / REMAP_CHUNK_SECTORS != chunk)
				continue;
			piece->class = REMAP_PIECE_DONE;
			piece->status = r ? BLK_STS_IOERR : BLK_STS_OK;
			if (r) {
				atomic64_inc(&set->counters.rejected);
				note_refused(set, piece);
			}
		}
	}
}
