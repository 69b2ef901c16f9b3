// SPDX-License-Identifier: GPL-2.0-only
/*
 * The `remap` and `unremap` messages.
 *
 * `remap` moves sectors to the spare and takes with it what can
 * still be read of them.  One chunk at a time, under remap_set.lock:
 *
 *   1. mark the chunk busy: new writes to it queue for the worker, which waits
 *      for the lock; reads go on from the old place, whose content stays.
 *   2. drain: a write that was *already sent* to main would otherwise land
 *      there after the copy and be lost (D3).
 *   3. read from main, sector by sector where it fails; unreadable sectors
 *      become lost: they read as an error until they are written (P2).
 *   4. write to the slot, commit, publish (which ends the busy mark).
 *
 * A crash before the commit changes nothing; after it, the slot holds what
 * main held, because nobody wrote in between.
 *
 * `unremap` is the way back: busy, drain, read the slot, write main with FUA,
 * read it back, commit the entry without the sectors, publish.  Until the
 * commit the slot serves them; main holds the same when it takes over.  Lost
 * sectors stay: what main holds for them is not what was last written (P2).
 *
 * Rules kept here:
 *   P2  what cannot be read is lost and reads as an error; nothing is invented
 *   D3  busy, drain of what was sent before, copy, commit, publish
 *   D16 by hand whole physical blocks move
 */
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "dm-remap.h"
#include "dm_remap.h"
#include "trace.h"

/* Sectors of @chunk that exist: the last chunk of main may be shorter. */
static u8 chunk_mask(const struct remap_set *set, u64 chunk)
{
	u64 nr = set->ti->len - chunk * REMAP_CHUNK_SECTORS;

	return nr >= REMAP_CHUNK_SECTORS ? 0xff : (u8)GENMASK(nr - 1, 0);
}

/*
 * The sectors of all physical blocks that @mask touches: a disk fails by those,
 * and a map that cuts logical ones could not be served (D16).
 */
static u8 whole_blocks(const struct remap_set *set, u64 chunk, u8 mask)
{
	unsigned int unit = min_t(unsigned int, REMAP_CHUNK_SECTORS,
				  bdev_physical_block_size(set->main->bdev) >> SECTOR_SHIFT);
	unsigned int bit;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit += unit) {
		u8 unit_mask = (u8)(GENMASK(unit - 1, 0) << bit);

		if (mask & unit_mask)
			mask |= unit_mask;
	}
	return mask & chunk_mask(set, chunk);
}

/* Read @mask of a chunk of main; *lost are the sectors that cannot be read. */
static int copy_in(struct remap_set *set, u64 chunk, u8 mask, u8 *lost)
{
	sector_t start = chunk * REMAP_CHUNK_SECTORS;
	u8 exists = chunk_mask(set, chunk);
	unsigned int unit = bdev_logical_block_size(set->main->bdev) >> SECTOR_SHIFT;
	u8 failed = 0;
	int r;

	*lost = 0;
	if (!remap_rw(set, set->main, start, set->chunk_buffer, hweight8(exists), REQ_OP_READ))
		return 0;
	r = remap_rw_chunk(set, set->main, start, mask, unit, REQ_OP_READ, &failed);
	if (r || !failed)
		return r;
	/*
	 * A main that is gone, or was for a moment, makes every read fail: only what
	 * fails again between two good probes is lost (P5, E6).
	 */
	if (!remap_main_alive(set))
		goto gone;
	r = remap_rw_chunk(set, set->main, start, failed, unit, REQ_OP_READ, lost);
	if (r)
		return r;
	if (*lost && !remap_main_alive(set))
		goto gone;
	return 0;
gone:
	remap_err(set, "%s: main device does not answer: nothing is remapped", set->main->name);
	return -EIO;
}

/* Tell that @mask of a chunk moved; @nr_lost of it were lost on the way. */
static void note_moved(struct remap_set *set, u32 kind, const struct remap_change *change, u8 mask,
		       u32 nr_lost)
{
	struct remap_note note = {
		.kind = kind,
		.sector = (change->word & REMAP_WORD_CHUNK) * REMAP_CHUNK_SECTORS + __ffs(mask),
		.nr_sectors = fls(mask) - __ffs(mask),
		.has_slot = true,
		.slot = change->slot,
		.cause = kind == DM_REMAP_EVENT_REMAPPED ? (u8)(change->prov >> 32) : 0,
		.number = nr_lost,
	};

	remap_notify(set, &note);
	remap_note_use(set);
}

/*
 * Write @mask of chunk_buffer to a slot.  -EIO: it does not take them, twice, while the spare
 * takes other writes (D7, E6); -ENODEV: that says nothing of the slot.
 */
static int copy_out(struct remap_set *set, u32 slot, u8 mask, unsigned int unit)
{
	sector_t start = remap_slot_start(set, slot);
	u8 failed = 0, again = 0;

	if (remap_rw_chunk(set, set->spare, start, mask, unit, REQ_OP_WRITE, &failed))
		return -ENODEV;
	if (!failed)
		return 0;
	if (!remap_spare_alive(set))
		return -ENODEV;
	if (remap_rw_chunk(set, set->spare, start, failed, unit, REQ_OP_WRITE | REQ_FUA, &again))
		return -ENODEV;
	if (!again)
		return 0;
	return remap_spare_alive(set) ? -EIO : -ENODEV;
}

/* A slot that was to be given to a chunk is bad.  Readers may know it, but nothing of it. */
static void retire_bad(struct remap_set *set, u32 slot)
{
	remap_table_set(&set->table, slot, REMAP_WORD_BAD);
	set->table.prov[slot] = remap_prov((u32)ktime_get_real_seconds(), REMAP_CAUSE_SPARE_BAD,
					   REMAP_STATUS_IOERR, 1, 0);
	remap_commit_block(set, remap_table_block_of(slot));
}

static int say_frozen(const struct remap_set *set, u64 chunk)
{
	remap_err(set, "%s: the metadata block that has the chunk at sector %llu cannot be written: the chunk stays as it is",
		  set->spare->name, chunk * REMAP_CHUNK_SECTORS);
	return -EROFS;
}

/* -EAGAIN: the slot was bad, and there may be another one. */
static int rescue_chunk(struct remap_set *set, u64 chunk, u8 mask, u8 cause)
{
	struct remap_table *table = &set->table;
	struct remap_change change = { };
	s64 slot = remap_table_find(table, chunk);
	unsigned int unit = max(bdev_logical_block_size(set->main->bdev),
				bdev_logical_block_size(set->spare->bdev)) >> SECTOR_SHIFT;
	u8 lost = 0;
	u64 old;
	int r, slot_error = 0;

	mask = whole_blocks(set, chunk, mask);

	if (slot >= 0 && table->word[slot] & REMAP_WORD_DOUBT) {
		remap_resolve_doubt(set, true);
		slot = remap_table_find(table, chunk);
		if (slot >= 0 && table->word[slot] & REMAP_WORD_DOUBT)
			return -EIO;
	}
	if (slot >= 0) {
		old = table->word[slot];
		mask &= ~REMAP_WORD_REDIRECTED(old);
		if (!mask)
			return 0;
		if (remap_is_frozen(set, slot))
			return say_frozen(set, chunk);
		remap_table_set(table, slot, old | REMAP_WORD_BUSY);
		change.word = old & ~REMAP_WORD_LINKED;
		change.prov = table->prov[slot];
	} else {
		slot = remap_slot_alloc(set);
		if (slot < 0) {
			remap_err(set, "%s: spare is full", set->spare->name);
			remap_mode_changed(set);
			return slot;
		}
		change.fresh = true;
		change.word = remap_word(chunk, 0, 0, 0, 0);
		change.prov = remap_prov((u32)ktime_get_real_seconds(), cause, 0, 0, 0);
		remap_table_insert(table, slot, change.word | REMAP_WORD_BUSY);
	}
	change.slot = slot;
	change.add = mask;
	remap_drain(set);

	r = copy_in(set, chunk, mask, &lost);
	if (!r) {
		slot_error = copy_out(set, slot, mask & ~lost, unit);
		change.word |= (u64)mask << 40 | (u64)lost << 48;
		if (slot_error)
			r = -EIO;
	}
	/* With a status nothing is written: the busy mark is taken back. */
	change.status = r ? BLK_STS_IOERR : BLK_STS_OK;
	r = remap_commit(set, &change, 1) ?: r;
	if (slot_error)
		remap_err(set, "%s: spare chunk %lld cannot be written", set->spare->name, slot);
	else if (!r && lost)
		remap_warn(set, "%s: chunk at sector %llu: %u sectors could not be read and are lost",
			   set->main->name, chunk * REMAP_CHUNK_SECTORS, hweight8(lost));
	if (!r)
		note_moved(set, DM_REMAP_EVENT_REMAPPED, &change, mask, hweight8(lost));
	if (slot_error == -EIO && change.fresh && change.result == REMAP_NOT_WRITTEN) {
		retire_bad(set, slot);
		r = -EAGAIN;
	}
	return r;
}

/* Copy @mask of a slot back to main and make sure of it. */
static int copy_back(struct remap_set *set, u64 chunk, u32 slot, u8 mask, unsigned int unit)
{
	sector_t start = chunk * REMAP_CHUNK_SECTORS;
	u8 failed = 0;

	remap_rw_chunk(set, set->spare, remap_slot_start(set, slot), mask, unit, REQ_OP_READ,
		       &failed);
	if (failed) {
		remap_err(set, "%s: slot %u cannot be read: its chunk stays remapped",
			  set->spare->name, slot);
		return -EIO;
	}
	remap_rw_chunk(set, set->main, start, mask, unit, REQ_OP_WRITE | REQ_FUA, &failed);
	if (!failed) {
		unsigned int bit;

		memcpy(set->probe_buffer, set->chunk_buffer, REMAP_CHUNK_BYTES);
		remap_rw_chunk(set, set->main, start, mask, unit, REQ_OP_READ, &failed);
		for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit++) {
			if (mask & BIT(bit) &&
			    memcmp(set->probe_buffer + bit * REMAP_SECTOR_BYTES,
				   set->chunk_buffer + bit * REMAP_SECTOR_BYTES,
				   REMAP_SECTOR_BYTES))
				failed |= BIT(bit);
		}
	}
	if (failed) {
		remap_err(set, "%s: sector %llu still fails: it stays remapped", set->main->name,
			  start + __ffs(failed));
		return -EIO;
	}
	return 0;
}

/*
 * Two kinds of chunk stay on the spare as long as there is a set: the probe chunk, whose raw
 * place the set writes to, and what hides main's signatures.  Without the latter the raw disk
 * shows its own content, and main's only copy of the member header would be overwritten.
 * A release gives them back, and works on sets that are not active.
 *
 * Context: remap_set.lock held.
 */
static int check_may_leave(const struct remap_set *set, u64 chunk, u32 slot)
{
	const char *why = NULL;

	if (chunk == set->meta.super.probe_chunk)
		why = "belongs to the set's own probe chunk";
	else if ((u8)(set->table.prov[slot] >> 32) == REMAP_CAUSE_GUARD)
		why = "hides a signature of the main device";
	if (!why)
		return 0;
	remap_err(set, "sector %llu %s and stays remapped until the set is released",
		  chunk * REMAP_CHUNK_SECTORS, why);
	return -EPERM;
}

static int unremap_chunk(struct remap_set *set, u64 chunk, u8 mask)
{
	struct remap_table *table = &set->table;
	struct remap_change change = { };
	s64 slot = remap_table_find(table, chunk);
	unsigned int unit = max(bdev_logical_block_size(set->main->bdev),
				bdev_logical_block_size(set->spare->bdev)) >> SECTOR_SHIFT;
	u64 old;
	u8 lost;
	int r;

	if (slot < 0)
		return 0;
	/* A predecessor that may still be on the media would rise again (C13). */
	if (set->meta.nr_in_doubt || set->meta.block[0].in_doubt) {
		remap_resolve_doubt(set, true);
		if (set->meta.nr_in_doubt || set->meta.block[0].in_doubt)
			return -EIO;
		slot = remap_table_find(table, chunk);
		if (slot < 0)
			return 0;
	}
	old = table->word[slot];
	mask = whole_blocks(set, chunk, mask) & REMAP_WORD_REDIRECTED(old);
	if (!mask)
		return 0;
	if (remap_is_frozen(set, slot) || remap_is_pinned(set, chunk))
		return say_frozen(set, chunk);
	r = check_may_leave(set, chunk, slot);
	if (r)
		return r;
	lost = mask & REMAP_WORD_LOST(old);
	if (lost) {
		remap_err(set, "sector %llu is lost: write it before it can be unremapped",
			  chunk * REMAP_CHUNK_SECTORS + __ffs(lost));
		return -ENODATA;
	}

	remap_table_set(table, slot, old | REMAP_WORD_BUSY);
	remap_drain(set);
	r = copy_back(set, chunk, slot, mask, unit);
	change.slot = slot;
	change.word = (old & ~REMAP_WORD_LINKED) & ~((u64)mask << 40);
	change.prov = table->prov[slot];
	change.add = mask;
	/* With a status nothing is written: the busy mark is taken back. */
	change.status = r ? BLK_STS_IOERR : BLK_STS_OK;
	r = remap_commit(set, &change, 1) ?: r;
	if (!r)
		note_moved(set, DM_REMAP_EVENT_UNREMAPPED, &change, mask, 0);
	return r;
}

static int rescue_one(struct remap_set *set, u64 chunk, u8 mask, u8 cause)
{
	unsigned int try = 0;
	int r;

	do {
		r = rescue_chunk(set, chunk, mask, cause);
	} while (r == -EAGAIN && ++try < REMAP_SLOT_TRIES);
	if (r == -EAGAIN)
		r = -EIO;
	trace_dm_remap_remap(set, chunk, mask, r);
	return r;
}

static int unremap_one(struct remap_set *set, u64 chunk, u8 mask, u8 cause)
{
	int r = unremap_chunk(set, chunk, mask);

	trace_dm_remap_unremap(set, chunk, mask, r);
	return r;
}

typedef int (*chunk_fn)(struct remap_set *set, u64 chunk, u8 mask, u8 cause);

/* Chunk by chunk, so that others get the lock and a suspend need not wait (D12). */
static int chunk_by_chunk(struct remap_set *set, u64 sector, u64 nr_sectors, chunk_fn one,
			  u8 cause)
{
	u64 end = sector + nr_sectors;
	int r = 0;

	while (sector < end && !r) {
		u64 chunk = sector / REMAP_CHUNK_SECTORS;
		u64 next = min(end, (chunk + 1) * REMAP_CHUNK_SECTORS);
		unsigned int bit = sector & (REMAP_CHUNK_SECTORS - 1);
		u8 mask = (u8)(GENMASK(next - sector - 1, 0) << bit);

		mutex_lock(&set->lock);
		if (!test_bit(REMAP_ACTIVE, &set->flags) ||
		    test_bit(REMAP_SUSPENDING, &set->flags))
			r = -EBUSY;
		else if (!remap_may_write(set))
			r = -EROFS;
		else if (fatal_signal_pending(current))
			r = -EINTR;
		else
			r = one(set, chunk, mask, cause);
		mutex_unlock(&set->lock);
		sector = next;
	}
	return r;
}

/**
 * remap_rescue() - move sectors to the spare, with their content
 * @set: the set
 * @sector: first sector on the mapped device
 * @nr_sectors: at least 1, inside the mapped device
 * @cause: enum remap_cause to record
 *
 * Sectors that are on the spare already stay where they are.
 *
 * Context: takes remap_set.lock, may sleep; not from remap_set.wq.
 * Return: 0; -EBUSY when not active or being suspended; -ENOSPC; -EIO.
 */
int remap_rescue(struct remap_set *set, u64 sector, u64 nr_sectors, u8 cause)
{
	return chunk_by_chunk(set, sector, nr_sectors, rescue_one, cause);
}

/**
 * remap_unremap() - move sectors back to main, which must take them
 * @set: the set
 * @sector: first sector on the mapped device
 * @nr_sectors: at least 1, inside the mapped device
 *
 * Context: takes remap_set.lock, may sleep; not from remap_set.wq.
 * Return: 0 when none of them is remapped any more; -EPERM when one belongs to
 * the probe chunk or hides main's signatures; else a negative errno.  Those from
 * the first that could not be moved on are as they were.
 */
int remap_unremap(struct remap_set *set, u64 sector, u64 nr_sectors)
{
	return chunk_by_chunk(set, sector, nr_sectors, unremap_one, 0);
}

/**
 * remap_clear() - move everything back to main that main takes
 * @set: the set
 * @nr_kept: set to the number of chunks that main did not take
 * @nr_guard: set to the number of chunks that hide main's signatures: they stay
 *
 * Context: takes remap_set.lock, may sleep; not from remap_set.wq.
 * Return: 0, or -EBUSY or -EROFS when it could not go on.
 */
int remap_clear(struct remap_set *set, u32 *nr_kept, u32 *nr_guard)
{
	u32 slot;
	int r;

	*nr_kept = 0;
	*nr_guard = 0;
	for (slot = 0; slot < remap_geometry(set)->slots; slot++) {
		u64 word = READ_ONCE(set->table.word[slot]);
		u64 chunk = word & REMAP_WORD_CHUNK;

		if (!REMAP_WORD_REDIRECTED(word) || chunk == set->meta.super.probe_chunk)
			continue;
		if ((u8)(READ_ONCE(set->table.prov[slot]) >> 32) == REMAP_CAUSE_GUARD) {
			++*nr_guard;
			continue;
		}
		r = remap_unremap(set, chunk * REMAP_CHUNK_SECTORS, REMAP_CHUNK_SECTORS);
		if (r == -EBUSY || r == -EINTR ||
		    (r == -EROFS && !remap_may_write(set)))
			return r;
		*nr_kept += !!r;
		cond_resched();
	}
	return 0;
}
