// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which chunk of main is the anchor.
 *
 * When that place goes bad itself, a dead main and a bad probe chunk cannot be
 * told apart: nothing is remapped, and status says probe=failed.  Another chunk is
 * taken when the set is loaded next (suspend and resume will do), for then no I/O is
 * on its way that could meet the mark:
 *
 *   1. the content of the new chunk is copied to a slot, and committed: a remap like any other
 *   2. the mark is written over its raw place, which is ours now
 *   3. the superblock names it
 *
 * A crash before 3 leaves one remap too many; the old chunk stays remapped for good.
 */
#include <linux/ktime.h>

#include "meta/internal.h"

/**
 * remap_find_anchor_chunk() - the last whole chunk of main that can be read and written
 * @set: the set; its table says which chunks are taken
 * @chunk: set to it; its content is in chunk_buffer
 *
 * It is written with what it holds: a crash leaves it as it was.
 * Context: preresume, remap_set.lock held.  Return: 0 or a negative errno.
 */
int remap_find_anchor_chunk(struct remap_set *set, u64 *chunk)
{
	u64 nr_chunks = set->ti->len / REMAP_CHUNK_SECTORS;
	u64 at;
	int r = -EIO;

	for (at = nr_chunks; at-- && at + REMAP_PROBE_TRIES >= nr_chunks;) {
		sector_t sector = at * REMAP_CHUNK_SECTORS;

		if (remap_table_find(&set->table, at) >= 0)
			continue;
		r = remap_rw(set, set->main, sector, set->scratch.chunk, REMAP_CHUNK_SECTORS,
			     REQ_OP_READ);
		if (!r)
			r = remap_rw(set, set->main, sector, set->scratch.chunk,
				     REMAP_CHUNK_SECTORS, REQ_OP_WRITE | REQ_FUA);
		if (!r) {
			*chunk = at;
			return 0;
		}
	}
	remap_err(set, "%s: no probe chunk: none of the last %u chunks of the main device can be read and written",
		  set->main->name, REMAP_PROBE_TRIES);
	return r;
}

/**
 * remap_save_chunk() - give a chunk of main a slot, with what is in chunk_buffer
 * @set: the set; no write to the chunk is on its way
 * @chunk: not remapped
 * @slot: reserved
 * @cause: enum remap_cause to record
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_save_chunk(struct remap_set *set, u64 chunk, u32 slot, u8 cause)
{
	struct remap_change change = { .fresh = true, .add = 0xff };

	change.slot = slot;
	change.word = remap_word(chunk, 0xff, 0, 0, 0);
	change.prov = remap_prov((u32)ktime_get_real_seconds(), cause, 0, 0, 0);
	if (remap_rw(set, set->spare, remap_slot_start(set, slot), set->scratch.chunk,
		     REMAP_CHUNK_SECTORS, REQ_OP_WRITE | REQ_FUA))
		change.status = BLK_STS_IOERR;
	return remap_commit(set, &change, 1) ?: blk_status_to_errno(change.status);
}

static int take_new_probe_chunk(struct remap_set *set)
{
	struct remap_super *super = &set->meta->super;
	u64 old = super->probe_chunk, chunk;
	u32 old_flags = super->flags;
	int r = remap_find_anchor_chunk(set, &chunk);
	s64 slot = r ?: remap_slot_alloc(set);

	r = slot < 0 ? slot : remap_save_chunk(set, chunk, slot, REMAP_CAUSE_PROBE);
	if (r)
		return r;
	super->probe_chunk = chunk;
	r = remap_write_anchor(set) ? 0 : -EIO;
	if (!r) {
		super->flags &= ~REMAP_SUPER_PROBE_FAILED;
		r = remap_super_commit(set);
	}
	if (r) {
		super->probe_chunk = old;
		super->flags = old_flags;
		return r;
	}
	remap_warn(set, "%s: probe chunk at sector %llu is bad: replaced by the one at sector %llu",
		   set->main->name, old * REMAP_CHUNK_SECTORS, chunk * REMAP_CHUNK_SECTORS);
	return 0;
}

/**
 * remap_mend_anchor() - take another probe chunk if the present one is bad (E5)
 * @set: the set, loaded and repaired
 *
 * Nothing is asked of main unless something was wrong before: activation writes nothing
 * that it need not (O19).  When main itself is what fails, all stays as it is.
 *
 * Context: preresume, remap_set.lock held, may sleep; no I/O is on its way.
 */
void remap_mend_anchor(struct remap_set *set)
{
	struct remap_super *super = &set->meta->super;

	if (!(super->flags & REMAP_SUPER_MARKED) ||
	    !(set->meta->anchor.ping_failed || set->meta->anchor.damaged ||
	      super->flags & REMAP_SUPER_PROBE_FAILED))
		return;
	if (remap_ping_main(set)) {
		remap_record_ping(set);
		return;
	}
	set->meta->anchor.ping_failed = take_new_probe_chunk(set) != 0;
}
