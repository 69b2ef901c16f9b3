// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which sectors of failed writes are really bad.  Called by the worker for the
 * pieces of its round, under remap_set.lock.
 *
 *   probe good -> write each piece to main once more -> probe good          (E1, E6)
 *
 * A sector is bad when its own write failed (D19).  Where main has FUA, that is a
 * write with FUA.  Where it has none, the error of a flush may be that of any write
 * in its cache: all others are kept from main meanwhile.  A few pieces are written and
 * flushed together; if that fails each is written, flushed and read back by itself, between two
 * flushes that tell of nothing.
 *
 * A main of several disks (device-mapper, md) says nothing by a probe of another
 * disk (E9): there a good chunk beside the failed one is the probe, see near.c.
 *
 * A round takes a few pieces; a disk that is slow gets one.  What was found to be bad
 * is relocated, also when it took too long; what is left goes on in the next round, until
 * its time is over (E4, E8).  A crash leaves main as the failed writes left it.
 *
 * Rules kept here:
 *   P5  a dead disk maps nothing: classes, confirmation between two probes
 *   D19 the late error of a neighbour maps no good sector
 *   E1  one write per chunk narrows and confirms; nothing is halved
 *   E2  what confirms is durable: a plain retry would land in the disk's RAM and die there
 *   E4  what is not confirmed within the deadline fails, and is not mapped
 *   E6  probe, confirm, probe, relocate, one commit
 *   E8  progress is kept
 */
#include <linux/bvec.h>
#include <linux/jiffies.h>

#include "engine/internal.h"

/* Suspects that are written again together, and into how many parts they are split. */
#define CONFIRM_TOGETHER	128
#define CONFIRM_SPLIT		8

static void give_up_class(struct remap_set *set, enum remap_piece_class class, u8 reason)
{
	struct remap_piece *piece = NULL;

	while ((piece = remap_next_piece(set, piece, class)))
		remap_give_up(set, piece, reason);
}

static bool has_class(const struct remap_set *set, enum remap_piece_class class)
{
	return remap_next_piece(set, NULL, class);
}

static void give_up_late(struct remap_set *set)
{
	struct remap_piece *piece = NULL;

	while ((piece = remap_next_piece(set, piece, REMAP_PIECE_CONFIRM))) {
		if (!remap_is_late(set, piece))
			continue;
		remap_warn_ratelimited(set, "%s: write error at sector %llu not confirmed before the deadline: not remapped",
				       set->main->name, piece->sector);
		remap_give_up(set, piece, DM_REMAP_REASON_DEADLINE);
	}
}

/* Main must answer a probe, else nothing of what failed says anything (P5, E9). */
static void probe_main(struct remap_set *set, enum remap_piece_class class)
{
	bool one_disk = remap_is_one_disk(set), alive = one_disk && remap_ping_main(set);
	u64 window, last_window = U64_MAX;
	struct remap_piece *piece = NULL;
	bool told = false;

	while ((piece = remap_next_piece(set, piece, class))) {
		window = div_u64(piece->sector, remap_near_window(set));
		if (!one_disk && window != last_window)
			alive = remap_ping_near(set, piece->sector);
		last_window = window;
		if (alive)
			continue;
		if (!told)
			remap_warn_ratelimited(set, "%s: probe write to main device failed: failed writes are not remapped",
					       set->main->name);
		told = true;
		remap_give_up(set, piece, DM_REMAP_REASON_PROBE);
	}
}

static void copy_piece(const struct remap_piece *piece, void *buffer)
{
	struct bvec_iter iter = remap_bio(piece->bio)->iter, start;
	struct bio_vec bv;

	bio_advance_iter(piece->bio, &iter, piece->offset << SECTOR_SHIFT);
	iter.bi_size = piece->nr_sectors << SECTOR_SHIFT;
	start = iter;
	__bio_for_each_segment(bv, piece->bio, iter, start) {
		memcpy_from_bvec(buffer, &bv);
		buffer += bv.bv_len;
	}
}

/**
 * struct held_round - a round of confirmations without FUA, main held
 * @end_time: jiffies when it stops, if there was progress
 * @is_clean: the last flush reported nothing, and all that was written since is in a group
 * @has_progress: the class of a piece was decided
 */
struct held_round {
	unsigned long end_time;
	bool is_clean;
	bool has_progress;
};

/* The mutex of main's gate is held.  False: main does not come clean. */
static bool make_clean(struct remap_set *set, struct held_round *round)
{
	if (!round->is_clean)
		round->is_clean = !remap_gate_clean(set, REMAP_MAIN);
	return round->is_clean;
}

/*
 * From a copy, for the user may change the data meanwhile.  The gate is ours from the first flush
 * to the last: what they tell is of this piece.
 */
static void confirm_alone(struct remap_set *set, struct remap_piece *piece,
			  struct held_round *round)
{
	struct remap_gate *gate = remap_gate(set, REMAP_MAIN);
	size_t nr_bytes = piece->nr_sectors << SECTOR_SHIFT;
	int r;

	copy_piece(piece, set->scratch.chunk);
	mutex_lock(&gate->mutex);
	if (!make_clean(set, round)) {
		mutex_unlock(&gate->mutex);
		remap_give_up(set, piece, DM_REMAP_REASON_PROBE);
		return;
	}
	gate->is_own = true;
	r = remap_rw(set, set->main, piece->sector, set->scratch.chunk, piece->nr_sectors,
		     REQ_OP_WRITE);
	if (!r)
		r = remap_gate_flush_locked(set, REMAP_MAIN);
	if (!r)
		r = remap_rw(set, set->main, piece->sector, set->scratch.anchor, piece->nr_sectors,
			     REQ_OP_READ);
	if (!r && memcmp(set->scratch.chunk, set->scratch.anchor, nr_bytes))
		r = -EIO;
	gate->is_own = false;
	mutex_unlock(&gate->mutex);
	round->is_clean = !r;
	piece->status = errno_to_blk_status(r);
}

/* Send those to be confirmed from *@next on, at most @most and before @end; returns how many. */
static u32 send_group(struct remap_set *set, u32 *next, u32 end, u32 most, blk_opf_t add)
{
	u32 nr = 0;

	remap_subs_begin(set);
	for (; *next < end && nr < most; ++*next) {
		struct remap_piece *piece = &set->engine->piece[*next];

		if (piece->class != REMAP_PIECE_CONFIRM)
			continue;
		remap_sub_submit(set, piece, set->main, piece->sector, add);
		nr++;
	}
	return nr;
}

/*
 * Pieces from *@next on, at most @most and before @end, are written and flushed together.
 * Return: whether that is so; then they are done.
 */
static bool confirm_together(struct remap_set *set, u32 *next, u32 end, u32 most,
			     struct held_round *round)
{
	struct remap_gate *gate = remap_gate(set, REMAP_MAIN);
	u32 first = *next, i, nr;
	int r;

	mutex_lock(&gate->mutex);
	if (!make_clean(set, round)) {
		mutex_unlock(&gate->mutex);
		*next = end;
		return false;
	}
	gate->is_own = true;
	/* Merged they are one command, and an error of it is looked into (E8). */
	nr = send_group(set, next, end, most, 0);
	remap_subs_wait(set);
	r = nr ? remap_gate_flush_locked(set, REMAP_MAIN) : 0;
	gate->is_own = false;
	mutex_unlock(&gate->mutex);
	round->is_clean = !r;
	for (i = first; i < *next; i++) {
		if (set->engine->piece[i].class != REMAP_PIECE_CONFIRM)
			continue;
		if (!r && !set->engine->piece[i].status)
			set->engine->piece[i].class = REMAP_PIECE_DONE;
		else
			r = -EIO;
	}
	round->has_progress |= !r && nr;
	return !r;
}

/* What a write of a piece says about it. */
static void judge_piece(struct remap_set *set, struct remap_piece *piece)
{
	if (piece->class != REMAP_PIECE_CONFIRM)
		return;
	if (!piece->status)
		piece->class = REMAP_PIECE_DONE;
	else if (!remap_status_confirmable(piece->status))
		remap_give_up(set, piece, DM_REMAP_REASON_CLASS);
	else
		piece->class = REMAP_PIECE_BAD;
}

static void note_pace(struct remap_set *set, unsigned long began)
{
	WRITE_ONCE(set->queue.is_slow, time_after(jiffies, began + REMAP_SLOW_COMMAND));
}

/* The next few, as many as the disk is good for.  False: there are no more. */
static bool confirm_group(struct remap_set *set, u32 *next)
{
	u32 first = *next, most = READ_ONCE(set->queue.is_slow) ? 1 : REMAP_CONFIRM_GROUP;
	unsigned long began = jiffies;
	u32 i, nr = send_group(set, next, set->engine->nr_pieces, most, REQ_FUA);

	/* Also where the cache was switched on a moment ago. */
	remap_subs_wait_durable(set);
	for (i = first; i < *next; i++)
		judge_piece(set, &set->engine->piece[i]);
	if (nr)
		note_pace(set, began);
	return nr;
}

/* How many of so few are written together: a disk may need seconds to fail each time. */
static u32 group_of(const struct remap_set *set, u32 first, u32 end, u32 most)
{
	u32 i, nr = 0;

	for (i = first; i < end; i++)
		nr += set->engine->piece[i].class == REMAP_PIECE_CONFIRM;
	while (most > 1 && nr <= max(most / CONFIRM_SPLIT, 1U))
		most /= CONFIRM_SPLIT;
	return most;
}

/*
 * The same without FUA.  Most suspects are innocent: many are written together, of those that fail
 * a few, and each of these alone.  False: the time is over, and there was progress (E8).
 */
static bool confirm_held(struct remap_set *set, u32 first, u32 end, u32 most,
			 struct held_round *round)
{
	u32 next = first;

	most = group_of(set, first, end, most);
	while (first < end) {
		struct remap_piece *piece = &set->engine->piece[first];
		unsigned long began = jiffies;

		if (round->has_progress && time_after(jiffies, round->end_time))
			return false;
		if (most > 1) {
			if (!confirm_together(set, &next, end, most, round) &&
			    !confirm_held(set, first, next, most / CONFIRM_SPLIT, round))
				return false;
		} else if (piece->class == REMAP_PIECE_CONFIRM) {
			confirm_alone(set, piece, round);
			judge_piece(set, piece);
			note_pace(set, began);
			round->has_progress = true;
			next = first + 1;
		} else {
			next = first + 1;
		}
		first = next;
		cond_resched();
	}
	return true;
}

static void allow_relocation(struct remap_set *set)
{
	struct remap_piece *piece = NULL;

	while ((piece = remap_next_piece(set, piece, REMAP_PIECE_BAD))) {
		if (test_bit(REMAP_AUTO_OFF, &set->flags))
			remap_give_up(set, piece, DM_REMAP_REASON_DISABLED);
		else if (test_bit(REMAP_FROZEN, &set->flags))
			remap_give_up(set, piece, DM_REMAP_REASON_FROZEN);
		else
			piece->class = REMAP_PIECE_RELOCATE;
	}
}

/* The error of another write does not answer a probe. */
static void settle_main(struct remap_set *set)
{
	struct remap_gate *gate = remap_gate(set, REMAP_MAIN);

	mutex_lock(&gate->mutex);
	remap_gate_clean(set, REMAP_MAIN);
	mutex_unlock(&gate->mutex);
}

static void confirm_some(struct remap_set *set, bool has_fua)
{
	struct held_round round = { .end_time = jiffies + REMAP_CONFIRM_TIME };
	u32 next = 0;

	if (!has_fua)
		settle_main(set);
	probe_main(set, REMAP_PIECE_CONFIRM);
	if (!has_fua)
		confirm_held(set, 0, set->engine->nr_pieces, CONFIRM_TOGETHER, &round);
	while (has_fua && confirm_group(set, &next) && time_before(jiffies, round.end_time))
		cond_resched();
	if (!has_class(set, REMAP_PIECE_BAD))
		return;
	if (!has_fua)
		settle_main(set);
	probe_main(set, REMAP_PIECE_BAD);
	allow_relocation(set);
}

/**
 * remap_confirm() - write failed pieces to main once more
 * @set: the set
 *
 * Pieces that succeed are done; pieces that fail again between two good
 * probes go on to be relocated; those that there was no time for stay
 * REMAP_PIECE_CONFIRM.  Context: the worker, remap_set.lock held, may sleep.
 */
void remap_confirm(struct remap_set *set)
{
	/* Once, for the cache may be switched meanwhile. */
	bool has_fua = remap_has_fua(set, REMAP_MAIN);
	bool hold = !remap_is_one_disk(set) || !has_fua;

	give_up_late(set);
	if (!has_class(set, REMAP_PIECE_CONFIRM))
		return;
	/* Nor is a probe sent (D22). */
	if (unlikely(!remap_may_write(set))) {
		give_up_class(set, REMAP_PIECE_CONFIRM, DM_REMAP_REASON_READ_ONLY);
		return;
	}
	if (hold)
		remap_hold_main(set);
	confirm_some(set, has_fua);
	if (hold)
		remap_unhold_main(set);
}
