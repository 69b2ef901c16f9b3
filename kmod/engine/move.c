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
 *
 * Rules kept here:
 *   C13 two commits and a generation; no further move before the second
 *   D7  a slot is called bad after probe, confirmation and probe
 */
#include <linux/ktime.h>

#include "engine/internal.h"

static u8 piece_mask(const struct remap_piece *piece)
{
	return (u8)(GENMASK(piece->nr_sectors - 1, 0) <<
		    (piece->sector & (REMAP_CHUNK_SECTORS - 1)));
}

/* Send all pieces to move of @chunk to @slot; the first error. */
static blk_status_t write_pieces(struct remap_set *set, u64 chunk, u32 slot)
{
	blk_status_t status = BLK_STS_OK;
	u32 i;

	remap_subs_begin(set);
	for (i = 0; i < set->engine->nr_pieces; i++) {
		struct remap_piece *piece = &set->engine->piece[i];

		if (piece->class != REMAP_PIECE_MOVE ||
		    piece->sector / REMAP_CHUNK_SECTORS != chunk)
			continue;
		remap_sub_submit(set, piece, set->spare, remap_slot_start(set, slot) +
				 (piece->sector & (REMAP_CHUNK_SECTORS - 1)), REQ_FUA);
	}
	remap_subs_wait_durable(set);
	for (i = 0; i < set->engine->nr_pieces; i++) {
		struct remap_piece *piece = &set->engine->piece[i];

		if (piece->class == REMAP_PIECE_MOVE &&
		    piece->sector / REMAP_CHUNK_SECTORS == chunk && !status)
			status = piece->status;
	}
	return status;
}

static u8 pieces_mask(const struct remap_set *set, u64 chunk)
{
	u8 mask = 0;
	u32 i;

	for (i = 0; i < set->engine->nr_pieces; i++) {
		const struct remap_piece *piece = &set->engine->piece[i];

		if (piece->class == REMAP_PIECE_MOVE &&
		    piece->sector / REMAP_CHUNK_SECTORS == chunk)
			mask |= piece_mask(piece);
	}
	return mask;
}

/* Whether one of the writes to @chunk has taken its time (E4). */
static bool is_late(const struct remap_set *set, u64 chunk)
{
	u32 i;

	for (i = 0; i < set->engine->nr_pieces; i++) {
		const struct remap_piece *piece = &set->engine->piece[i];

		if (piece->class == REMAP_PIECE_MOVE &&
		    piece->sector / REMAP_CHUNK_SECTORS == chunk && remap_is_late(set, piece))
			return true;
	}
	return false;
}

/* One try of step 4.  0; -EIO: this slot may be bad; -ENODEV: that says nothing of it. */
static int fill(struct remap_set *set, u64 chunk, u32 slot, u8 keep)
{
	unsigned int unit = bdev_logical_block_size(set->spare->bdev) >> SECTOR_SHIFT;
	blk_status_t status;
	u8 failed = 0;

	if (remap_rw_chunk(set, set->spare, remap_slot_start(set, slot), keep, unit,
			   REQ_OP_WRITE | REQ_FUA, &failed))
		return -ENODEV;
	status = failed ? BLK_STS_IOERR : write_pieces(set, chunk, slot);
	if (!status)
		return 0;
	return remap_status_confirmable(status) ? -EIO : -ENODEV;
}

/* Slots that did not take the data of a move, to be committed as bad. */
struct bad_slots {
	u32 slot[REMAP_SLOT_TRIES];
	u32 nr;
};

/*
 * Step 3; sets *lost.  Only what fails again between two good probes is lost (E6), and only
 * with an error that may be of the medium (E3).
 */
static int read_old_slot(struct remap_set *set, u32 old_slot, u8 keep, u8 *lost)
{
	unsigned int unit = bdev_logical_block_size(set->spare->bdev) >> SECTOR_SHIFT;
	sector_t start = remap_slot_start(set, old_slot);
	u8 failed = 0;

	*lost = 0;
	if (remap_rw_chunk(set, set->spare, start, keep, unit, REQ_OP_READ, &failed))
		return -EIO;
	if (!failed)
		return 0;
	if (!remap_ping_spare(set) ||
	    remap_rw_chunk(set, set->spare, start, failed, unit, REQ_OP_READ, lost))
		return -EIO;
	return *lost && !remap_ping_spare(set) ? -EIO : 0;
}

/*
 * Step 4.  A slot is bad when it fails twice and the spare takes other writes before and
 * after the second try (D7, E6).  Returns the slot, reserved, or a negative errno.
 */
static s64 fill_fresh_slot(struct remap_set *set, u64 chunk, u8 keep, struct bad_slots *bad)
{
	while (bad->nr < REMAP_SLOT_TRIES && !is_late(set, chunk)) {
		s64 slot = remap_slot_alloc(set);
		int r;

		if (slot < 0)
			break;
		r = fill(set, chunk, slot, keep);
		if (r == -EIO && remap_ping_spare(set))
			r = fill(set, chunk, slot, keep);
		if (!r)
			return slot;
		if (r != -EIO || !remap_ping_spare(set)) {
			remap_table_set(&set->table, slot, 0);
			break;
		}
		/* The next one is another as long as this one is not free. */
		remap_table_set(&set->table, slot, REMAP_WORD_BAD);
		set->table.prov[slot] = remap_prov((u32)ktime_get_real_seconds(),
						   REMAP_CAUSE_SPARE_BAD, REMAP_STATUS_IOERR, 1, 0);
		bad->slot[bad->nr++] = slot;
	}
	return -EIO;
}

static void note_bad(struct remap_set *set, u64 chunk, u32 slot)
{
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_SPARE_BAD,
		.sector = chunk * REMAP_CHUNK_SECTORS,
		.nr_sectors = REMAP_CHUNK_SECTORS,
		.has_slot = true,
		.slot = slot,
	};

	remap_queue_event(set, &event);
	remap_notice_use(set);
}

/* Slots that turned out to be bad: so also after a restart. */
static void commit_bad(struct remap_set *set, const struct bad_slots *bad)
{
	struct remap_event event = { .kind = DM_REMAP_EVENT_SPARE_BAD, .has_slot = true };
	u32 i;

	for (i = 0; i < bad->nr; i++) {
		u32 block = remap_table_block_of(bad->slot[i]);

		if (!i || block != remap_table_block_of(bad->slot[i - 1]))
			remap_commit_block(set, block);
		event.slot = bad->slot[i];
		remap_queue_event(set, &event);
	}
	if (bad->nr)
		remap_notice_use(set);
}

/* Sectors that main served until now. */
static void note_grown(struct remap_set *set, u64 chunk, u8 newly, u32 slot)
{
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_RELOCATED,
		.has_slot = true,
		.slot = slot,
		.status = REMAP_STATUS_IOERR,
		.member = DM_REMAP_MEMBER_MAIN,
	};
	u32 i;

	if (!newly)
		return;
	/* How main refused them; a bio that had waited was never sent there by itself. */
	for (i = 0; i < set->engine->nr_pieces; i++) {
		const struct remap_piece *piece = &set->engine->piece[i];

		if (piece->class == REMAP_PIECE_MOVE && remap_bio(piece->bio)->failed &&
		    piece->sector / REMAP_CHUNK_SECTORS == chunk && piece_mask(piece) & newly)
			event.status = remap_status_class(remap_bio(piece->bio)->error);
	}
	event.sector = chunk * REMAP_CHUNK_SECTORS + __ffs(newly);
	event.nr_sectors = fls(newly) - __ffs(newly);
	remap_queue_event(set, &event);
}

static void note_refused(struct remap_set *set, const struct remap_piece *piece)
{
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_REFUSED,
		.sector = piece->sector,
		.nr_sectors = piece->nr_sectors,
		.status = REMAP_STATUS_IOERR,
		.member = DM_REMAP_MEMBER_SPARE,
		.reason = DM_REMAP_REASON_SPARE,
	};

	remap_queue_event(set, &event);
}

static int move_chunk(struct remap_set *set, u64 chunk)
{
	struct remap_table *table = &set->table;
	struct remap_change change = { };
	struct remap_drain drain = { };
	s64 old_slot = remap_table_find(table, chunk);
	u32 old_block;
	u8 mask = pieces_mask(set, chunk);
	u8 redirected, lost, keep, unread;
	struct bad_slots bad = { };
	s64 slot;
	u64 old;
	int r;

	if (old_slot < 0 || remap_has_table_doubt(set) || remap_is_pinned(set, chunk) ||
	    !remap_ping_spare(set))
		return -EIO;
	old = table->word[old_slot];
	redirected = REMAP_WORD_REDIRECTED(old);
	lost = REMAP_WORD_LOST(old);
	/* Sectors that the slot serves already: a second try may do. */
	if (!(mask & ~redirected) && !(mask & lost)) {
		blk_status_t status = write_pieces(set, chunk, old_slot);

		if (!status)
			return 0;
		if (!remap_status_confirmable(status))
			return -EIO;
	}
	if (!remap_ping_spare(set))
		return -EIO;

	remap_table_set(table, old_slot, old | REMAP_WORD_BUSY);
	remap_drain_slot(&drain, old_slot);
	remap_drain_chunk(&drain, chunk);
	remap_drain(set, &drain);
	keep = redirected & ~lost & ~mask;
	slot = read_old_slot(set, old_slot, keep, &unread);
	if (!slot)
		slot = fill_fresh_slot(set, chunk, keep & ~unread, &bad);
	if (slot < 0) {
		remap_table_set(table, old_slot, old);
		commit_bad(set, &bad);
		return slot;
	}
	change.slot = slot;
	change.fresh = true;
	change.add = redirected | mask;
	change.word = remap_word(chunk, redirected | mask, (lost & ~mask) | unread,
				 (REMAP_WORD_EPOCH(old) + 1) & 3, 0);
	change.prov = table->prov[old_slot];
	r = remap_commit(set, &change, 1);
	if (r) {
		remap_table_set(table, old_slot, old);
		return r;
	}
	note_grown(set, chunk, mask & ~redirected, slot);

	remap_warn_ratelimited(set, "%s: spare chunk %lld is bad: sector %llu moved to slot %lld, %u sectors lost",
			       set->spare->name, old_slot, chunk * REMAP_CHUNK_SECTORS, slot,
			       hweight8(unread));
	old_block = remap_table_block_of(old_slot);
	if (remap_is_unwritable(set, old_slot)) {
		/* Its entry stays on the media: load tells the two apart, and so do we (C13). */
		remap_table_remove(table, old_slot, chunk | REMAP_WORD_RETIRED);
		table->prov[old_slot] = U64_MAX;
		remap_count_unwritable(set);
	} else {
		remap_table_remove(table, old_slot, REMAP_WORD_BAD);
		table->prov[old_slot] = remap_prov((u32)ktime_get_real_seconds(),
						   REMAP_CAUSE_SPARE_BAD, 0, 1, 0);
		/* If this fails the block is in doubt, and load will tell the two apart. */
		remap_commit_block(set, old_block);
	}
	note_bad(set, chunk, old_slot);
	/* Last: while the old slot is linked, the chunk has two (C13). */
	commit_bad(set, &bad);
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

	for (i = 0; i < set->engine->nr_pieces; i++) {
		u64 chunk = set->engine->piece[i].sector / REMAP_CHUNK_SECTORS;
		int r;

		if (set->engine->piece[i].class != REMAP_PIECE_MOVE)
			continue;
		r = move_chunk(set, chunk);
		for (j = i; j < set->engine->nr_pieces; j++) {
			struct remap_piece *piece = &set->engine->piece[j];

			if (piece->class != REMAP_PIECE_MOVE ||
			    piece->sector / REMAP_CHUNK_SECTORS != chunk)
				continue;
			piece->class = REMAP_PIECE_DONE;
			piece->status = r ? BLK_STS_IOERR : BLK_STS_OK;
			if (r) {
				remap_count_up(set, REMAP_REJECTED);
				note_refused(set, piece);
			}
		}
	}
}
