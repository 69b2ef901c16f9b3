// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving sectors by hand: the messages `remap`, `remap_list`, `unremap` and `clear`.
 *
 * A request is done in batches of up to REMAP_MANUAL_CHUNKS chunks:
 *
 *   1. under remap_set.lock: each chunk is marked busy, with a slot if it has none
 *   2. without it: one drain, for a write that was *already sent* would land behind the copy
 *      and be lost (D3); then the copying, see copy.c
 *   3. under it: one commit of all that was copied, which publishes and ends the busy marks;
 *      of the rest they are taken back
 *
 * `remap` copies from main to the slot what can be read, and makes lost what cannot; until
 * the commit main serves.  `unremap` copies from the slot to main, with FUA, and reads that
 * back; until the commit the slot serves.  Lost sectors stay: what main holds for them is not
 * what was last written (P2).
 *
 * Crash states: before the commit of a table block nothing has changed, and after it both
 * places hold the same, since there was no write in between.  Blocks are committed one after the
 * other, so each chunk is wholly old or new, whatever the others are.
 *
 * Beside a batch, with the busy marks set and the lock free:
 *   map     reads go where they went; writes to a busy chunk are queued
 *   worker  a write whose chunk is busy is parked (worker.c), so nothing of a busy chunk is
 *           confirmed, relocated or moved: its word has no other writer than step 3. The
 *           worker holds the lock for a whole round: no mark appears in the middle of one
 *   commits of other entries write a busy one as it was before: a slot that is new as free
 *           (C9); they may leave its block in doubt or unwritable, which step 3 finds
 *   suspend sets REMAP_SUSPENDING, then waits for the message: which stops at the next
 *           command, and takes back. Removal does not wait for messages, so postsuspend does,
 *           by remap_manual.lock: no copy is under way when the media are given up (D12)
 *   message one batch at a time, by remap_manual.lock; other verbs go in between
 *
 * Rules kept here:
 *   P2  what cannot be read is lost and reads as an error; nothing is invented
 *   D3  busy, drain of what was sent before, copy, commit, publish
 *   D12 long operations stop when a suspend is pending
 *   D16 by hand whole physical blocks move
 *   D20 nothing that is not asked for waits for the disk: marks are short, and the lock is free
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "engine/manual.h"
#include "base/trace.h"

/* A chunk of the batch is busy from now on. */
static void add_copy(struct remap_set *set, u32 slot, u8 mask, u64 word, u64 prov, bool fresh)
{
	struct remap_manual *manual = remap_manual(set);
	struct remap_table *table = &set->table;

	if (fresh)
		remap_table_insert(table, slot, word | REMAP_WORD_BUSY);
	else
		remap_table_set(table, slot, table->word[slot] | REMAP_WORD_BUSY);
	manual->copy[manual->nr] = (struct remap_copy){
		.chunk = word & REMAP_WORD_CHUNK, .slot = slot, .mask = mask,
	};
	manual->change[manual->nr++] = (struct remap_change){
		.slot = slot, .word = word & ~REMAP_WORD_LINKED, .prov = prov, .add = mask,
		.fresh = fresh,
	};
}

static int say_unwritable(const struct remap_set *set, u64 chunk)
{
	remap_err(set, "%s: metadata block of the chunk at sector %llu cannot be written: chunk not changed",
		  set->spare->name, chunk * REMAP_CHUNK_SECTORS);
	return -EROFS;
}

/* A predecessor that may still be on the media would rise again (C13). */
static int end_doubt(struct remap_set *set)
{
	if (remap_has_doubt(set))
		remap_resolve_doubt(set, true);
	return remap_has_doubt(set) ? -EIO : 0;
}

/*
 * Step 1 of `remap` for one chunk.  0: it is in the batch, or there is nothing to do; 1: the
 * batch ends before it, because it is in the batch already, with other sectors.
 */
static int mark_in(struct remap_set *set, u64 chunk, u8 mask, u8 cause)
{
	struct remap_table *table = &set->table;
	s64 slot = remap_table_find(table, chunk);

	mask = remap_whole_blocks(set, chunk, mask);
	if (slot >= 0 && table->word[slot] & REMAP_WORD_BUSY)
		return 1;
	if (slot >= 0 && table->word[slot] & REMAP_WORD_DOUBT) {
		int r = end_doubt(set);

		if (r)
			return r;
		slot = remap_table_find(table, chunk);
	}
	if (slot < 0) {
		slot = remap_slot_alloc(set);
		if (slot < 0) {
			remap_err(set, "%s: spare is full", set->spare->name);
			return slot;
		}
		add_copy(set, slot, mask, remap_word(chunk, 0, 0, 0, 0),
			 remap_prov((u32)ktime_get_real_seconds(), cause, 0, 0, 0), true);
		return 0;
	}
	mask &= ~REMAP_WORD_REDIRECTED(table->word[slot]);
	if (!mask)
		return 0;
	if (remap_is_unwritable(set, slot))
		return say_unwritable(set, chunk);
	add_copy(set, slot, mask, table->word[slot], table->prov[slot], false);
	return 0;
}

/* Main holds something of the set's own there: userspace gives it back when the set ends (O1). */
static int check_may_leave(const struct remap_set *set, u64 chunk, u32 slot)
{
	const char *why = NULL;

	if (chunk == remap_probe_chunk(set))
		why = "belongs to the set's own probe chunk";
	else if ((u8)(set->table.prov[slot] >> 32) == REMAP_CAUSE_GUARD)
		why = "hides a signature of the main device";
	if (!why)
		return 0;
	remap_err(set, "sector %llu %s and stays remapped until the set is released",
		  chunk * REMAP_CHUNK_SECTORS, why);
	return -EPERM;
}

/*
 * The same for `unremap`.  A chunk that has only a part of a physical block on the spare
 * makes a batch of its own, which copies the rest there: a disk would have to read, change
 * and write such a block, which fails; and we would write over what main serves (D21).
 */
static int mark_back(struct remap_set *set, struct remap_request *request, u64 chunk, u8 mask)
{
	struct remap_table *table = &set->table;
	s64 slot = remap_table_find(table, chunk);
	u8 rest, lost;
	u64 old;
	int r;

	if (slot < 0)
		return 0;
	if (table->word[slot] & REMAP_WORD_BUSY)
		return 1;
	r = end_doubt(set);
	if (r)
		return r;
	slot = remap_table_find(table, chunk);
	if (slot < 0)
		return 0;
	old = table->word[slot];
	mask = remap_whole_blocks(set, chunk, mask) & REMAP_WORD_REDIRECTED(old);
	if (!mask)
		return 0;
	if (remap_is_unwritable(set, slot) || remap_is_pinned(set, chunk))
		return say_unwritable(set, chunk);
	r = check_may_leave(set, chunk, slot);
	if (r)
		return r;
	lost = mask & REMAP_WORD_LOST(old);
	if (lost) {
		remap_err(set, "sector %llu is lost and cannot be unremapped: write it first",
			  chunk * REMAP_CHUNK_SECTORS + __ffs(lost));
		return -ENODATA;
	}
	rest = remap_whole_blocks(set, chunk, mask) & ~mask;
	if (rest && !remap_manual(set)->nr) {
		request->rest = true;
		return mark_in(set, chunk, rest, 0) ?: 1;
	}
	if (rest)
		return 1;
	add_copy(set, slot, mask, old & ~((u64)mask << 40), table->prov[slot], false);
	return 0;
}

/* A slot that was to be given to a chunk is bad.  Readers may know it, but nothing of it. */
static void retire_bad(struct remap_set *set, u32 slot)
{
	remap_table_set(&set->table, slot, REMAP_WORD_BAD);
	set->table.prov[slot] = remap_prov((u32)ktime_get_real_seconds(), REMAP_CAUSE_SPARE_BAD,
					   REMAP_STATUS_IOERR, 1, 0);
	remap_commit_block(set, remap_table_block_of(slot));
}

/*
 * Step 3.  @r: an error of the whole batch.  What was copied is committed; remap_copy.error
 * says what became of each afterwards.
 */
static void commit_batch(struct remap_set *set, struct remap_request *request, int r)
{
	struct remap_manual *manual = remap_manual(set);
	u32 i;

	if (!r && remap_is_back(request))
		r = end_doubt(set);
	for (i = 0; i < manual->nr; i++) {
		struct remap_copy *copy = &manual->copy[i];
		struct remap_change *change = &manual->change[i];

		copy->error = copy->error ?: r;
		/* With a status nothing is written: the busy mark is taken back. */
		if (copy->error)
			change->status = BLK_STS_IOERR;
		else if (!remap_is_back(request))
			change->word |= (u64)copy->mask << 40 | (u64)copy->lost << 48;
	}
	r = remap_commit(set, manual->change, manual->nr);
	for (i = 0; i < manual->nr; i++) {
		struct remap_copy *copy = &manual->copy[i];
		const struct remap_change *change = &manual->change[i];

		if (!copy->error && change->result != REMAP_COMMITTED)
			copy->error = r ?: -EIO;
		if (copy->slot_bad && change->fresh && change->result == REMAP_NOT_WRITTEN) {
			retire_bad(set, copy->slot);
			copy->error = -EAGAIN;
		}
	}
	remap_notice_use(set);
	remap_unpark(set);
}

static int may_begin(const struct remap_set *set)
{
	if (!test_bit(REMAP_ACTIVE, &set->flags) || test_bit(REMAP_SUSPENDING, &set->flags))
		return -EBUSY;
	if (!remap_may_write(set))
		return -EROFS;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Step 1 for as many as may be.  Returns an error that ends the request when the batch, of
 * those before it, is done.
 */
static int mark_batch(struct remap_set *set, struct remap_request *request)
{
	struct remap_manual *manual = remap_manual(set);
	u32 limit = min_t(u32, manual->span,
			  request->back ? REMAP_MANUAL_BACK : REMAP_MANUAL_CHUNKS);

	manual->nr = 0;
	manual->slow = false;
	request->rest = false;
	while (manual->nr < limit) {
		struct remap_cursor at = request->at;
		u32 nr = manual->nr;
		u64 chunk;
		u8 mask;
		int r;

		request->is_done = !remap_request_next(set, request, &chunk, &mask);
		if (request->is_done)
			return 0;
		r = request->back ? mark_back(set, request, chunk, mask) :
				    mark_in(set, chunk, mask, request->cause);
		if (manual->nr > nr)
			manual->copy[nr].at = at;
		if (r == 1) {
			request->at = at;
			return 0;
		}
		/* What cannot be cleared stays, and is counted in the end; doubt ends it all. */
		if (r && (!request->all || remap_has_doubt(set)))
			return r;
		/* Each may have taken a disk its time (D12). */
		r = may_begin(set);
		if (r)
			return r;
	}
	return 0;
}

/* Lost, the rest of a physical block would be neither here nor there. */
static int check_rest(const struct remap_set *set)
{
	const struct remap_copy *copy = &remap_manual(set)->copy[0];

	if (copy->error || !copy->lost)
		return 0;
	remap_err(set, "%s: sector %llu cannot be read: its physical block can only move as a whole and stays remapped",
		  set->main->name, copy->chunk * REMAP_CHUNK_SECTORS + __ffs(copy->lost));
	return -EIO;
}

static int do_batch(struct remap_set *set, struct remap_request *request)
{
	struct remap_drain drain = { };
	struct remap_copy *copy = NULL;
	int r, marked;

	mutex_lock(&set->lock);
	r = may_begin(set);
	marked = r ?: mark_batch(set, request);
	remap_unlock(set);
	if (r || !remap_manual(set)->nr)
		return marked;

	while ((copy = remap_next_copy(set, copy))) {
		remap_drain_chunk(&drain, copy->chunk);
		remap_drain_slot(&drain, copy->slot);
	}
	r = remap_try_drain(set, &drain);
	if (!r)
		r = remap_is_back(request) ? remap_copy_back(set) : remap_copy_in(set);
	if (!r && request->rest)
		r = check_rest(set);
	mutex_lock(&set->lock);
	commit_batch(set, request, r);
	remap_unlock(set);
	remap_request_tell(set, request);
	return remap_request_settle(set, request, marked);
}

/**
 * remap_do_request() - move sectors by hand
 * @set: the set
 * @request: what, which way; afterwards also how many sectors turned out to be lost
 *
 * What is where it is wanted already stays there, so a request that was stopped can be
 * repeated.  The lock is released between batches, so that others get in, and a suspend or a
 * signal ends it there or at the next command (D12).
 *
 * Context: takes remap_manual.lock and remap_set.lock, may sleep, for as long as a disk takes;
 * not from remap_queue.wq.
 * Return: 0: all of it is done; -EBUSY when not active or being suspended; -EINTR, -EROFS,
 * -ENOSPC; -EIO.  Each chunk is then wholly as it was, or done.
 */
int remap_do_request(struct remap_set *set, struct remap_request *request)
{
	int r = 0;

	while (!r && !request->is_done) {
		if (mutex_lock_killable(&remap_manual(set)->lock))
			return -EINTR;
		r = do_batch(set, request);
		mutex_unlock(&remap_manual(set)->lock);
		cond_resched();
	}
	return r;
}

/**
 * remap_clear() - move everything back to main that main takes
 * @set: the set
 * @nr_kept: set to the number of chunks that stay
 * @nr_guard: set to the number of chunks that hide main's signatures: they stay
 *            until `unremap` names them
 *
 * Context: as remap_do_request().
 * Return: 0, or -EBUSY, -EINTR, -EROFS or -EIO when it could not go on.
 */
int remap_clear(struct remap_set *set, u32 *nr_kept, u32 *nr_guard)
{
	struct remap_request request = { .back = true, .all = true };
	int r = remap_do_request(set, &request);
	u32 slot;

	*nr_kept = 0;
	*nr_guard = 0;
	mutex_lock(&set->lock);
	for (slot = 0; slot < remap_geometry(set)->slots; slot++) {
		*nr_kept += remap_is_clearable(set, slot);
		*nr_guard += REMAP_WORD_REDIRECTED(set->table.word[slot]) &&
			     (u8)(set->table.prov[slot] >> 32) == REMAP_CAUSE_GUARD;
	}
	remap_unlock(set);
	return r;
}

/**
 * remap_wait_for_manual() - wait until no copy by hand is under way, and none begins
 * @set: the set; REMAP_SUSPENDING is set
 *
 * Context: postsuspend; takes remap_manual.lock.
 */
void remap_wait_for_manual(struct remap_set *set)
{
	mutex_lock(&remap_manual(set)->lock);
	mutex_unlock(&remap_manual(set)->lock);
}
