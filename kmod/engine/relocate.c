// SPDX-License-Identifier: GPL-2.0-only
/*
 * New places for sectors that need one: confirm.c found them to be bad, or they are lost ones that
 * are written, or the slot that serves them fails.  Called by the worker for the pieces of its
 * round, under remap_set.lock.
 *
 *   data to the slots -> flush -> one commit -> acknowledge
 *
 * A slot that does not take the data twice, while the spare takes other writes before and after
 * the second try (D7, E6), is bad, and another one is tried.  If it was in use, the entry moves
 * (C13):
 *
 *   1. busy mark on the old slot, drain (D3)
 *   2. the sectors that no piece writes are copied from there; unreadable ones are lost
 *   3. the commit that all share publishes the fresh slot, with the next epoch
 *   4. commit of the old slot as bad
 *
 * A crash before the commit leaves main as the failed writes left it, which were not acknowledged,
 * and an old slot in its place; the data in fresh slots is unreachable.  A crash between 3 and 4:
 * both slots name the chunk, and load keeps the successor.  Epochs count modulo 4, so a chunk must
 * not move again before 4 is certain: nothing moves while a block is in doubt.  For the rest see
 * commit.c.
 *
 * Rules kept here:
 *   C13 two commits and an epoch; no further move before the second
 *   D1  only the sectors of the failing bio move, never a whole chunk by read-modify-write
 *   D6  a lost sector gets content: data, flush, commit without the bit, acknowledge
 *   D7  errors of the spare are classed, confirmed and probed like those of main
 *   D16 a write that covers a chunk moves as a whole, so it stays as atomic as it was
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>

#include "engine/internal.h"
#include "base/trace.h"

/* Each slot is tried twice. */
#define SLOT_ROUNDS	(2 * REMAP_SLOT_TRIES)

static u64 chunk_of(const struct remap_change *change)
{
	return change->word & REMAP_WORD_CHUNK;
}

static u8 piece_mask(const struct remap_piece *piece)
{
	return (u8)(GENMASK(piece->nr_sectors - 1, 0) <<
		    (piece->sector & (REMAP_CHUNK_SECTORS - 1)));
}

/* Of the first @nr_changes: that of a chunk, or NULL. */
static struct remap_change *find_change(struct remap_set *set, u32 nr_changes, u64 chunk)
{
	u32 i;

	for (i = 0; i < nr_changes; i++) {
		if (chunk_of(&set->engine->change[i]) == chunk)
			return &set->engine->change[i];
	}
	return NULL;
}

/* A change for the chunk of @piece, or NULL: the piece cannot be relocated. */
static struct remap_change *get_change(struct remap_set *set, const struct remap_piece *piece,
				       u32 *nr_changes, u8 *reason)
{
	u64 chunk = piece->sector / REMAP_CHUNK_SECTORS;
	s64 slot = remap_table_find(&set->table, chunk);
	struct remap_change *change;

	*reason = DM_REMAP_REASON_COMMIT;
	/* What is in a block that cannot be written can only move. */
	if (slot >= 0 && (set->table.word[slot] & REMAP_WORD_DOUBT ||
			  (!piece->on_spare && remap_is_unwritable(set, slot))))
		return NULL;
	change = find_change(set, *nr_changes, chunk);
	if (change)
		return change;

	change = &set->engine->change[*nr_changes];
	*change = (struct remap_change){ };
	if (slot >= 0) {
		change->word = set->table.word[slot] & ~REMAP_WORD_LINKED;
		change->prov = set->table.prov[slot];
		/* Of main. */
		if (!piece->on_spare && (u8)(change->prov >> 48) < U8_MAX)
			change->prov += 1ULL << 48;
	} else {
		*reason = DM_REMAP_REASON_FROZEN;
		if (!remap_take_token(set))
			return NULL;
		*reason = DM_REMAP_REASON_FULL;
		slot = remap_slot_alloc(set);
		if (slot < 0) {
			remap_warn_ratelimited(set, "%s: spare is full: sector %llu cannot be remapped",
					       set->spare->name, piece->sector);
			return NULL;
		}
		change->fresh = true;
		change->word = remap_word(chunk, 0, 0, 0, 0);
		change->prov = remap_prov((u32)ktime_get_real_seconds(), REMAP_CAUSE_WRITE_ERROR,
					  remap_status_class(piece->status), 1, 0);
	}
	change->slot = slot;
	++*nr_changes;
	return change;
}

/* Make a change for each chunk that has pieces to relocate; returns how many. */
static u32 prepare_changes(struct remap_set *set)
{
	struct remap_piece *piece = NULL;
	u32 nr_changes = 0;

	while ((piece = remap_next_piece(set, piece, REMAP_PIECE_RELOCATE))) {
		u8 mask = piece_mask(piece), reason;
		struct remap_change *change = get_change(set, piece, &nr_changes, &reason);

		if (!change) {
			remap_give_up(set, piece, reason);
			continue;
		}
		piece->change = change - set->engine->change;
		/* Its slot has failed once. */
		change->again |= piece->on_spare;
		change->add |= mask;
		change->newly |= mask & ~REMAP_WORD_REDIRECTED(change->word);
		change->word |= (u64)mask << 40;
		change->word &= ~((u64)mask << 48);
	}
	return nr_changes;
}

/* The next piece of a change. */
static struct remap_piece *next_of(struct remap_set *set, struct remap_piece *piece,
				   const struct remap_change *change)
{
	do {
		piece = remap_next_piece(set, piece, REMAP_PIECE_RELOCATE);
	} while (piece && &set->engine->change[piece->change] != change);
	return piece;
}

/* Whether the time of one of its writes is over (E4). */
static bool is_late(struct remap_set *set, const struct remap_change *change)
{
	struct remap_piece *piece = NULL;

	while ((piece = next_of(set, piece, change))) {
		if (remap_is_late(set, piece))
			return true;
	}
	return false;
}

/*
 * Step 2 of a move, for a try of the fresh slot.  Only what fails to be read again between two
 * good probes is lost (E6), and only with an error that may be of the medium (E3).
 * Return: 0; -EIO: the fresh slot may be bad; -ENODEV: that says nothing of it.
 */
static int copy_rest(struct remap_set *set, struct remap_change *change)
{
	unsigned int unit = bdev_logical_block_size(set->spare->bdev) >> SECTOR_SHIFT;
	s64 old_slot = remap_table_find(&set->table, chunk_of(change));
	u8 keep = REMAP_WORD_REDIRECTED(change->word) & ~REMAP_WORD_LOST(change->word) &
		  ~change->add;
	u8 failed = 0, lost = 0;
	sector_t start;

	if (!change->fresh || old_slot < 0)
		return 0;
	start = remap_slot_start(set, old_slot);
	if (remap_rw_chunk(set, set->spare, start, keep, unit, REQ_OP_READ, &failed))
		return -ENODEV;
	if (failed && (!remap_ping_spare(set) ||
		       remap_rw_chunk(set, set->spare, start, failed, unit, REQ_OP_READ, &lost) ||
		       (lost && !remap_ping_spare(set))))
		return -ENODEV;
	change->word |= (u64)lost << 48;
	failed = 0;
	if (remap_rw_chunk(set, set->spare, remap_slot_start(set, change->slot), keep & ~lost, unit,
			   REQ_OP_WRITE | REQ_FUA, &failed))
		return -ENODEV;
	return failed ? -EIO : 0;
}

/* Only the bio's own sectors go to the slot, never a whole chunk of main (D1). */
static void write_pieces(struct remap_set *set, u32 nr_changes, blk_opf_t add)
{
	struct remap_piece *piece = NULL;
	struct remap_change *change;
	u32 i;

	for (i = 0; i < nr_changes; i++) {
		int r;

		change = &set->engine->change[i];
		r = change->handled ? 0 : copy_rest(set, change);
		if (r)
			change->status = BLK_STS_IOERR;
		if (r == -ENODEV) {
			change->handled = true;
			change->data_failed = true;
		}
	}
	remap_subs_begin(set);
	while ((piece = remap_next_piece(set, piece, REMAP_PIECE_RELOCATE))) {
		change = &set->engine->change[piece->change];
		if (!change->handled && !change->status)
			remap_sub_submit(set, piece, set->spare,
					 remap_slot_start(set, change->slot) +
					 (piece->sector & (REMAP_CHUNK_SECTORS - 1)), add);
	}
	remap_subs_wait_durable(set);
	while ((piece = remap_next_piece(set, piece, REMAP_PIECE_RELOCATE))) {
		change = &set->engine->change[piece->change];
		if (!change->handled && !change->status)
			change->status = piece->status;
	}
}

/* Steps 1 and 3 of a move: what is to be committed. */
static void begin_move(struct remap_set *set, struct remap_change *change, u32 old_slot)
{
	u64 old = set->table.word[old_slot];
	struct remap_drain drain = { };

	remap_table_set(&set->table, old_slot, old | REMAP_WORD_BUSY);
	remap_drain_slot(&drain, old_slot);
	remap_drain_chunk(&drain, chunk_of(change));
	remap_drain(set, &drain);
	change->word = remap_word(chunk_of(change), REMAP_WORD_REDIRECTED(change->word),
				  REMAP_WORD_LOST(change->word),
				  (REMAP_WORD_EPOCH(old) + 1) & 3, 0);
}

/*
 * Another slot for a change; *@bad is that of the present one, behind all changes.  An old slot
 * has a status: it is not in the commit, but in the one after it, and is busy until then.
 */
static bool replace_slot(struct remap_set *set, struct remap_change *change,
			 struct remap_change *bad)
{
	s64 slot;

	if (!change->fresh &&
	    (remap_has_table_doubt(set) || remap_is_pinned(set, chunk_of(change))))
		return false;
	slot = remap_slot_alloc(set);
	if (slot < 0)
		return false;
	*bad = (struct remap_change){
		.slot = change->slot,
		.word = change->fresh ? REMAP_WORD_BAD :
					set->table.word[change->slot] | REMAP_WORD_BUSY,
		.prov = remap_prov((u32)ktime_get_real_seconds(), REMAP_CAUSE_SPARE_BAD,
				   remap_status_class(change->status), 1, 0),
		.fresh = change->fresh,
		.status = change->fresh ? BLK_STS_OK : BLK_STS_IOERR,
	};
	if (!change->fresh)
		begin_move(set, change, bad->slot);
	change->slot = slot;
	change->fresh = true;
	return true;
}

/* What the try of a slot says, and what is done about it; whether there has to be another try. */
static bool try_again(struct remap_set *set, struct remap_change *change, u32 *nr_all)
{
	change->handled = true;
	change->data_failed = change->status != BLK_STS_OK;
	if (!change->status)
		return false;
	remap_count_up(set, REMAP_SPARE_WRITE_ERRORS);
	if (!remap_status_confirmable(change->status) || is_late(set, change))
		return false;
	/* The same slot once more, with FUA: confirmed as on main (D7). */
	if (change->again) {
		if (*nr_all == 2 * REMAP_ROUND_PIECES ||
		    !replace_slot(set, change, &set->engine->change[*nr_all])) {
			/* Not a medium error of a sector that the user can do something about. */
			change->status = BLK_STS_IOERR;
			return false;
		}
		++*nr_all;
	}
	change->again = !change->again;
	change->handled = false;
	change->data_failed = false;
	change->status = BLK_STS_OK;
	return true;
}

/* Returns how many there are, with those of the slots that turned out to be bad. */
static u32 write_slots(struct remap_set *set, u32 nr_changes)
{
	u32 try, i, nr_all = nr_changes;
	bool again = false;

	for (i = 0; i < nr_changes; i++)
		again |= set->engine->change[i].again;
	for (try = 0; try < SLOT_ROUNDS && (!again || remap_ping_spare(set)); try++) {
		write_pieces(set, nr_changes, try || again ? REQ_FUA : 0);
		again = false;
		for (i = 0; i < nr_changes; i++) {
			struct remap_change *change = &set->engine->change[i];

			again |= !change->handled && try_again(set, change, &nr_all);
		}
		if (!again)
			return nr_all;
	}
	for (i = 0; i < nr_changes; i++) {
		struct remap_change *change = &set->engine->change[i];

		if (change->handled)
			continue;
		change->data_failed = true;
		change->status = BLK_STS_IOERR;
	}
	return nr_all;
}

/* An old slot that took the data at the second try: there is nothing to commit. */
static void leave_out(struct remap_set *set, struct remap_change *change)
{
	struct remap_piece *piece = NULL;

	if (change->fresh || change->data_failed ||
	    change->word != (set->table.word[change->slot] & ~REMAP_WORD_LINKED))
		return;
	while ((piece = next_of(set, piece, change)))
		piece->class = REMAP_PIECE_DONE;
	change->add = 0;
	change->status = BLK_STS_IOERR;
}

static void note_relocated(struct remap_set *set, const struct remap_change *change)
{
	u64 start = chunk_of(change) * REMAP_CHUNK_SECTORS;
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_RELOCATED,
		.sector = start + __ffs(change->newly),
		.nr_sectors = fls(change->newly) - __ffs(change->newly),
		.has_slot = true,
		.slot = change->slot,
		.status = (u8)(change->prov >> 40),
		.member = DM_REMAP_MEMBER_MAIN,
	};

	remap_queue_event(set, &event);
	if (change->newly != REMAP_WORD_REDIRECTED(change->word))
		return;
	remap_count_up(set, REMAP_RELOCATIONS);
	remap_warn_ratelimited(set, "%s: write error at sector %llu: chunk remapped to slot %u",
			       set->main->name, start, change->slot);
}

/*
 * Step 4 of a move; while the old slot is linked the chunk has two.  Context: a grace period has
 * passed since step 3.
 */
static void end_move(struct remap_set *set, const struct remap_change *change,
		     const struct remap_change *bad)
{
	struct remap_table *table = &set->table;

	remap_warn_ratelimited(set, "%s: spare chunk %u is bad: sector %llu moved to slot %u, %u sectors lost",
			       set->spare->name, bad->slot, chunk_of(change) * REMAP_CHUNK_SECTORS,
			       change->slot, hweight8(REMAP_WORD_LOST(change->word) &
						      ~REMAP_WORD_LOST(bad->word)));
	if (remap_is_unwritable(set, bad->slot)) {
		/* Its entry stays on the media: load tells the two apart, and so do we (C13). */
		remap_table_remove(table, bad->slot, chunk_of(change) | REMAP_WORD_RETIRED);
		table->prov[bad->slot] = U64_MAX;
		remap_count_unwritable(set);
	} else {
		remap_table_remove(table, bad->slot, REMAP_WORD_BAD);
		table->prov[bad->slot] = bad->prov;
		/* If this fails the block is in doubt, and load will tell the two apart. */
		remap_commit_block(set, remap_table_block_of(bad->slot));
	}
}

static void note_spare_bad(struct remap_set *set, u32 nr_changes, const struct remap_change *bad)
{
	const struct remap_change *change = NULL;
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_SPARE_BAD,
		.has_slot = true,
		.slot = bad->slot,
	};

	if (!bad->fresh) {
		change = find_change(set, nr_changes, chunk_of(bad));
		event.sector = chunk_of(bad) * REMAP_CHUNK_SECTORS;
		event.nr_sectors = REMAP_CHUNK_SECTORS;
	}
	if ((change ?: bad)->result != REMAP_COMMITTED) {
		if (change)
			remap_table_set(&set->table, bad->slot,
					set->table.word[bad->slot] & ~REMAP_WORD_BUSY);
		return;
	}
	if (change)
		end_move(set, change, bad);
	remap_queue_event(set, &event);
}

/**
 * remap_relocate() - give the sectors of this round that need them new places
 * @set: the set
 *
 * Also gives content to lost sectors again (D6).  Many chunks share one commit.
 * Context: remap_set.lock held, may sleep; does not allocate (P6).
 */
void remap_relocate(struct remap_set *set)
{
	u32 nr_changes = prepare_changes(set), nr_all, i;
	struct remap_piece *piece = NULL;
	struct remap_change *change;
	bool moves = false;

	if (!nr_changes)
		return;
	for (i = 0; i < nr_changes; i++) {
		change = &set->engine->change[i];
		trace_dm_remap_relocate_begin(set, chunk_of(change), change->slot, change->add,
					      change->fresh, change->result, 0);
	}
	nr_all = write_slots(set, nr_changes);

	/* Slots that failed are bad only if the spare takes other writes (P5, D7). */
	if (nr_all > nr_changes && !remap_ping_spare(set)) {
		for (i = nr_changes; i < nr_all; i++)
			set->engine->change[i].status = BLK_STS_IOERR;
	}
	for (i = 0; i < nr_changes; i++) {
		change = &set->engine->change[i];
		leave_out(set, change);
		/* A fresh slot serves all that the chunk has. */
		if (change->fresh)
			change->add = REMAP_WORD_REDIRECTED(change->word);
	}
	remap_commit(set, set->engine->change, nr_all);

	for (i = 0; i < nr_changes; i++) {
		change = &set->engine->change[i];
		if (!change->add)
			continue;
		trace_dm_remap_relocate_end(set, chunk_of(change), change->slot, change->add,
					    change->fresh, change->result,
					    remap_status_class(change->status));
		if (change->result == REMAP_COMMITTED && change->newly)
			note_relocated(set, change);
	}
	for (i = nr_changes; i < nr_all; i++)
		moves |= !set->engine->change[i].fresh;
	/*
	 * A write that was in the chain before step 3 must still find the old slot, which is busy:
	 * where it finds neither it goes to main (D3).
	 */
	if (moves)
		synchronize_rcu();
	for (i = nr_changes; i < nr_all; i++)
		note_spare_bad(set, nr_changes, &set->engine->change[i]);
	remap_notice_use(set);
	while ((piece = remap_next_piece(set, piece, REMAP_PIECE_RELOCATE))) {
		change = &set->engine->change[piece->change];
		piece->status = change->status;
		piece->class = REMAP_PIECE_DONE;
		if (piece->status)
			remap_give_up(set, piece, change->data_failed ? DM_REMAP_REASON_SPARE :
									DM_REMAP_REASON_COMMIT);
	}
}
