// SPDX-License-Identifier: GPL-2.0-only
/*
 * New places for sectors that confirm.c found to be bad.  Called by the worker
 * for the pieces of its round, under remap_set.lock.
 *
 *   data to the slots -> flush -> one commit -> acknowledge
 *
 * A crash before the commit leaves main as the failed writes left it, which
 * the user was not told to be otherwise; the data in the slots is unreachable.
 * A crash after it: see commit.c.
 *
 * Rules kept here:
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

/* A change for the chunk of @piece, or NULL: the piece cannot be relocated. */
static struct remap_change *get_change(struct remap_set *set, const struct remap_piece *piece,
				       u32 *nr_changes, u8 *reason)
{
	struct remap_change *change;
	u64 chunk = piece->sector / REMAP_CHUNK_SECTORS;
	u32 now = (u32)ktime_get_real_seconds();
	u32 i;
	s64 slot;

	for (i = 0; i < *nr_changes; i++) {
		if ((set->engine->change[i].word & REMAP_WORD_CHUNK) == chunk)
			return &set->engine->change[i];
	}

	change = &set->engine->change[*nr_changes];
	*change = (struct remap_change){ };
	slot = remap_table_find(&set->table, chunk);
	if (slot >= 0) {
		u64 prov = set->table.prov[slot];
		u8 errors = (u8)(prov >> 48);

		*reason = DM_REMAP_REASON_COMMIT;
		if (set->table.word[slot] & REMAP_WORD_DOUBT || remap_is_unwritable(set, slot))
			return NULL;
		change->word = set->table.word[slot] & ~REMAP_WORD_LINKED;
		change->prov = remap_prov((u32)prov, prov >> 32, prov >> 40,
					  errors < 255 ? errors + 1 : 255, 0);
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
		change->prov = remap_prov(now, REMAP_CAUSE_WRITE_ERROR,
					  remap_status_class(piece->status), 1, 0);
	}
	change->slot = slot;
	++*nr_changes;
	return change;
}

/* Make a change for each chunk that has pieces to relocate; returns how many. */
static u32 prepare(struct remap_set *set)
{
	u32 i, nr_changes = 0;

	for (i = 0; i < set->engine->nr_pieces; i++) {
		struct remap_piece *piece = &set->engine->piece[i];
		struct remap_change *change;
		u8 mask, reason;

		if (piece->class != REMAP_PIECE_RELOCATE)
			continue;
		change = get_change(set, piece, &nr_changes, &reason);
		if (!change) {
			remap_give_up(set, piece, reason);
			continue;
		}
		piece->change = change - set->engine->change;
		mask = (u8)(GENMASK(piece->nr_sectors - 1, 0) <<
			    (piece->sector & (REMAP_CHUNK_SECTORS - 1)));
		change->add |= mask;
		change->newly |= mask & ~REMAP_WORD_REDIRECTED(change->word);
		change->word |= (u64)mask << 40;
		change->word &= ~((u64)mask << 48);
	}
	return nr_changes;
}

/* Whether it is worth trying failed slots again: the spare is alive, and there is time. */
static bool may_try_again(struct remap_set *set)
{
	u32 i;

	for (i = 0; i < set->engine->nr_pieces; i++) {
		if (set->engine->piece[i].class == REMAP_PIECE_RELOCATE &&
		    remap_is_late(set, &set->engine->piece[i]))
			return false;
	}
	return remap_ping_spare(set);
}

/*
 * Only the bio's own sectors go to the slot, never a whole chunk (D1).  A fresh
 * slot that does not take them twice, while the spare takes other writes before and after
 * the second try (D7, E6), is set aside in set->engine->change behind nr_changes, and another one
 * is tried.  An old slot is tried twice like that, too; what then becomes of it is move.c's.
 * Returns how many were set aside.
 */
static u32 write_slots(struct remap_set *set, u32 nr_changes)
{
	u32 try, i, nr_aside = 0;

	for (try = 1; try <= SLOT_ROUNDS; try++) {
		bool again = false;

		remap_subs_begin(set);
		for (i = 0; i < set->engine->nr_pieces; i++) {
			struct remap_piece *piece = &set->engine->piece[i];
			struct remap_change *change = &set->engine->change[piece->change];

			if (piece->class != REMAP_PIECE_RELOCATE || change->handled)
				continue;
			remap_sub_submit(set, piece, set->spare,
					 remap_slot_start(set, change->slot) +
					 (piece->sector & (REMAP_CHUNK_SECTORS - 1)),
					 try > 1 ? REQ_FUA : 0);
		}
		remap_subs_wait_durable(set);

		for (i = 0; i < set->engine->nr_pieces; i++) {
			struct remap_piece *piece = &set->engine->piece[i];
			struct remap_change *change = &set->engine->change[piece->change];

			if (piece->class == REMAP_PIECE_RELOCATE && !change->handled &&
			    piece->status)
				change->status = piece->status;
		}
		for (i = 0; i < nr_changes; i++) {
			struct remap_change *change = &set->engine->change[i];
			s64 slot;

			if (change->handled)
				continue;
			change->handled = true;
			if (!change->status)
				continue;
			remap_count_up(set, REMAP_SPARE_WRITE_ERRORS);
			change->data_failed = remap_status_confirmable(change->status);
			if (!change->data_failed || try == SLOT_ROUNDS)
				continue;
			/* The same slot once more, with FUA: confirmed as on main (D7). */
			if (!change->again) {
				change->again = true;
				change->data_failed = false;
				change->status = BLK_STS_OK;
				change->handled = false;
				again = true;
				continue;
			}
			/* An old slot has more to it: see move.c. */
			if (!change->fresh || nr_changes + nr_aside == 2 * REMAP_ROUND_PIECES)
				continue;
			change->again = false;
			slot = remap_slot_alloc(set);
			if (slot < 0)
				continue;
			set->engine->change[nr_changes + nr_aside++] = (struct remap_change){
				.slot = change->slot,
				.word = REMAP_WORD_BAD,
				.prov = remap_prov((u32)change->prov, REMAP_CAUSE_SPARE_BAD,
						   remap_status_class(change->status), 1, 0),
				.fresh = true,
			};
			change->slot = slot;
			change->data_failed = false;
			change->status = BLK_STS_OK;
			change->handled = false;
			again = true;
		}
		if (!again)
			break;
		if (may_try_again(set))
			continue;
		for (i = 0; i < nr_changes; i++) {
			if (set->engine->change[i].handled)
				continue;
			set->engine->change[i].data_failed = true;
			set->engine->change[i].status = BLK_STS_IOERR;
		}
		break;
	}
	return nr_aside;
}

static void note_relocated(struct remap_set *set, const struct remap_change *change)
{
	u64 start = (change->word & REMAP_WORD_CHUNK) * REMAP_CHUNK_SECTORS;
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
}

static void note_spare_bad(struct remap_set *set, const struct remap_change *change)
{
	struct remap_event event = {
		.kind = DM_REMAP_EVENT_SPARE_BAD,
		.has_slot = true,
		.slot = change->slot,
	};

	if (change->result == REMAP_COMMITTED)
		remap_queue_event(set, &event);
}

/**
 * remap_relocate() - give the confirmed bad sectors of this round new places
 * @set: the set
 *
 * Also gives content to lost sectors again (D6).  Many chunks share one commit.
 * Context: remap_set.lock held, may sleep; does not allocate (P6).
 */
void remap_relocate(struct remap_set *set)
{
	u32 nr_changes = prepare(set);
	u32 nr_aside, i;

	if (!nr_changes)
		return;
	for (i = 0; i < nr_changes; i++) {
		struct remap_change *change = &set->engine->change[i];

		change->handled = false;
		trace_dm_remap_relocate_begin(set, change->word & REMAP_WORD_CHUNK, change->slot,
					      change->add, change->fresh, change->result, 0);
	}
	nr_aside = write_slots(set, nr_changes);

	/* Slots that failed are bad only if the spare takes other writes (P5, D7). */
	if (nr_aside && !remap_ping_spare(set)) {
		for (i = nr_changes; i < nr_changes + nr_aside; i++)
			set->engine->change[i].status = BLK_STS_IOERR;
	}
	remap_commit(set, set->engine->change, nr_changes + nr_aside);

	for (i = 0; i < nr_changes; i++) {
		struct remap_change *change = &set->engine->change[i];
		u64 chunk = change->word & REMAP_WORD_CHUNK;

		trace_dm_remap_relocate_end(set, chunk, change->slot, change->add, change->fresh,
					    change->result, remap_status_class(change->status));
		if (change->result != REMAP_COMMITTED)
			continue;
		if (change->newly)
			note_relocated(set, change);
		if (change->fresh) {
			remap_count_up(set, REMAP_RELOCATIONS);
			remap_warn_ratelimited(set, "%s: write error at sector %llu: chunk remapped to slot %u",
					       set->main->name, chunk * REMAP_CHUNK_SECTORS,
					       change->slot);
		}
	}
	for (i = nr_changes; i < nr_changes + nr_aside; i++)
		note_spare_bad(set, &set->engine->change[i]);
	remap_notice_use(set);
	for (i = 0; i < set->engine->nr_pieces; i++) {
		struct remap_piece *piece = &set->engine->piece[i];

		const struct remap_change *change = &set->engine->change[piece->change];

		if (piece->class != REMAP_PIECE_RELOCATE)
			continue;
		piece->status = change->status;
		piece->class = REMAP_PIECE_DONE;
		/* The slot is old and refused the data: nothing was committed. */
		if (!change->fresh && change->result == REMAP_NOT_WRITTEN && change->data_failed)
			piece->class = REMAP_PIECE_MOVE;
		else if (piece->status)
			remap_give_up(set, piece, change->data_failed ? DM_REMAP_REASON_SPARE :
									DM_REMAP_REASON_COMMIT);
	}
}
