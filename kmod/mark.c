// SPDX-License-Identifier: GPL-2.0-only
/*
 * The probe chunk and the mark on it (E5, O6).
 *
 * One chunk of main is remapped like any other, so its raw place is ours.  It
 * carries the mark: whose main device this is, and of what age its spare must
 * be.  Writing the mark anew, and reading it back, is also how main is probed.
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
 *
 * Rules kept here:
 *   E5  main is probed by a FUA write and a read back, in a place that is ours
 */
#include <linux/ktime.h>

#include "dm-remap.h"
#include "trace.h"

/**
 * remap_age_of() - the numbers of the set's blocks
 * @set: the set; its superblock and table are loaded
 * @age: is filled
 *
 * Context: remap_set.lock held.
 */
void remap_age_of(const struct remap_set *set, struct remap_age *age)
{
	const struct remap_meta *meta = &set->meta;
	u32 block;

	memset(age, 0, sizeof(*age));
	for (block = 0; block <= remap_geometry(set)->table_blocks; block++)
		remap_age_add(age, block, meta->block[block].seq, meta->block[block].frozen);
}

/*
 * What the mark is to say: the highest number that is complete on both replicas, so that load
 * finds it whatever a crash leaves (C15); never one of soft state, which is losable.  While a
 * block is in doubt the media may hold more of it than RAM does, and no digest is right.
 */
static void make_mark(struct remap_set *set, struct remap_mark *mark)
{
	const struct remap_meta *meta = &set->meta;
	struct remap_age age;

	mark->seq = meta->committed;
	mark->nr_probe = ++set->nr_probe;
	mark->digest = 0;
	if (meta->nr_in_doubt || meta->block[0].in_doubt)
		return;
	remap_age_of(set, &age);
	mark->digest = age.digest;
}

/* First buffer: what is written; second buffer: what is read back. */
static bool probe(struct remap_set *set)
{
	sector_t sector = set->meta.super.probe_chunk * REMAP_CHUNK_SECTORS;
	void *back = set->probe_buffer + REMAP_CHUNK_BYTES;
	struct remap_mark mark;

	make_mark(set, &mark);
	remap_probe_encode(set->probe_buffer, set->meta.super.uuid, &mark);
	memset(back, 0, REMAP_CHUNK_BYTES);
	if (remap_rw(set, set->main, sector, set->probe_buffer, REMAP_CHUNK_SECTORS,
		     REQ_OP_WRITE | REQ_FUA) ||
	    remap_rw(set, set->main, sector, back, REMAP_CHUNK_SECTORS, REQ_OP_READ) ||
	    memcmp(back, set->probe_buffer, REMAP_CHUNK_BYTES))
		return false;
	set->meta.marked = set->meta.committed;
	return true;
}

/*
 * Without FUA the flush behind the probe may have been told of another write that main's cache
 * lost: that says nothing about main (D19).  So once more, when no flush tells of anything.
 */
static bool probe_again(struct remap_set *set)
{
	struct remap_gate *gate = remap_gate(set, REMAP_MAIN);
	int r;

	if (remap_has_fua(set, REMAP_MAIN))
		return false;
	mutex_lock(&gate->mutex);
	r = remap_gate_clean(set, REMAP_MAIN);
	mutex_unlock(&gate->mutex);
	return !r && probe(set);
}

/**
 * remap_main_alive() - probe main by a write to a place of our own (E5)
 * @set: the set; the mark is on main
 *
 * Writes the mark anew, with the generation of the last complete commit: a
 * spare that is older than that will be recognised (O6).
 *
 * Context: remap_set.lock held, may sleep.
 * Return: whether main took the write and gave it back.
 */
bool remap_main_alive(struct remap_set *set)
{
	if (!(set->meta.super.flags & REMAP_SUPER_MARKED) || !remap_may_write(set))
		return false;
	set->meta.probe_failed = !probe(set) && !probe_again(set);
	trace_dm_remap_probe(set, set->meta.super.probe_chunk * REMAP_CHUNK_SECTORS,
			     !set->meta.probe_failed);
	return !set->meta.probe_failed;
}

/**
 * remap_update_mark() - let main know of the last complete commit (O6)
 * @set: the set, active and not read-only
 *
 * A probe writes what was committed before it, so after the last relocation the
 * mark is behind.  When it fails, an older spare is recognised less exactly.
 *
 * Context: remap_set.lock held, may sleep; never while an I/O waits for it.
 */
void remap_update_mark(struct remap_set *set)
{
	if (set->meta.committed > set->meta.marked)
		remap_main_alive(set);
}

/**
 * remap_write_mark() - steps 4 and 5
 * @set: the set; the content of the probe chunk is in its slot, durably
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_write_mark(struct remap_set *set)
{
	int r;

	if (!probe(set)) {
		remap_err(set, "%s: cannot write the mark to sector %llu of the main device",
			  set->main->name,
			  set->meta.super.probe_chunk * REMAP_CHUNK_SECTORS);
		return -EIO;
	}
	set->meta.super.flags |= REMAP_SUPER_MARKED;
	r = remap_super_commit(set);
	if (r) {
		set->meta.super.flags &= ~REMAP_SUPER_MARKED;
		remap_err(set, "%s: cannot write the superblock: %d", set->spare->name, r);
	}
	return r;
}

/**
 * remap_find_probe_chunk() - the last whole chunk of main that can be read and written
 * @set: the set; its table says which chunks are taken
 * @chunk: set to it; its content is in chunk_buffer
 *
 * It is written with what it holds: a crash leaves it as it was.
 * Context: preresume, remap_set.lock held.  Return: 0 or a negative errno.
 */
int remap_find_probe_chunk(struct remap_set *set, u64 *chunk)
{
	u64 nr_chunks = set->ti->len / REMAP_CHUNK_SECTORS;
	u64 at;
	int r = -EIO;

	for (at = nr_chunks; at-- && at + REMAP_PROBE_TRIES >= nr_chunks;) {
		sector_t sector = at * REMAP_CHUNK_SECTORS;

		if (remap_table_find(&set->table, at) >= 0)
			continue;
		r = remap_rw(set, set->main, sector, set->chunk_buffer, REMAP_CHUNK_SECTORS,
			     REQ_OP_READ);
		if (!r)
			r = remap_rw(set, set->main, sector, set->chunk_buffer,
				     REMAP_CHUNK_SECTORS, REQ_OP_WRITE | REQ_FUA);
		if (!r) {
			*chunk = at;
			return 0;
		}
	}
	remap_err(set, "%s: none of the last %u chunks of the main device can be read and written: no probe chunk",
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
	if (remap_rw(set, set->spare, remap_slot_start(set, slot), set->chunk_buffer,
		     REMAP_CHUNK_SECTORS, REQ_OP_WRITE | REQ_FUA))
		change.status = BLK_STS_IOERR;
	return remap_commit(set, &change, 1) ?: blk_status_to_errno(change.status);
}

static int take_new_probe_chunk(struct remap_set *set)
{
	struct remap_super *super = &set->meta.super;
	u64 old = super->probe_chunk, chunk;
	u32 old_flags = super->flags;
	int r = remap_find_probe_chunk(set, &chunk);
	s64 slot = r ?: remap_slot_alloc(set);

	r = slot < 0 ? slot : remap_save_chunk(set, chunk, slot, REMAP_CAUSE_PROBE);
	if (r)
		return r;
	super->probe_chunk = chunk;
	r = probe(set) ? 0 : -EIO;
	if (!r) {
		super->flags &= ~REMAP_SUPER_PROBE_FAILED;
		r = remap_super_commit(set);
	}
	if (r) {
		super->probe_chunk = old;
		super->flags = old_flags;
		return r;
	}
	remap_warn(set, "%s: the probe chunk at sector %llu is bad: the one at sector %llu takes its place",
		   set->main->name, old * REMAP_CHUNK_SECTORS, chunk * REMAP_CHUNK_SECTORS);
	return 0;
}

/**
 * remap_mend_probe() - take another probe chunk if the present one is bad (E5)
 * @set: the set, loaded and repaired
 *
 * Nothing is asked of main unless something was wrong before: activation writes nothing
 * that it need not (O19).  When main itself is what fails, all stays as it is.
 *
 * Context: preresume, remap_set.lock held, may sleep; no I/O is on its way.
 */
void remap_mend_probe(struct remap_set *set)
{
	struct remap_super *super = &set->meta.super;

	if (!(super->flags & REMAP_SUPER_MARKED))
		return;
	if (!set->meta.probe_failed && !set->meta.mark_damaged &&
	    !(super->flags & REMAP_SUPER_PROBE_FAILED))
		return;
	if (remap_main_alive(set)) {
		remap_note_probe(set);
		return;
	}
	set->meta.probe_failed = take_new_probe_chunk(set) != 0;
}

/**
 * remap_note_probe() - let the superblock say whether main took the last probe
 * @set: the set, may write
 *
 * So that the next load looks, also after a restart.
 * Context: remap_set.lock held, may sleep; never while an I/O waits for it.
 */
void remap_note_probe(struct remap_set *set)
{
	struct remap_super *super = &set->meta.super;
	bool noted = super->flags & REMAP_SUPER_PROBE_FAILED;

	if (noted == set->meta.probe_failed) {
		remap_settle_super(set);
		return;
	}
	super->flags ^= REMAP_SUPER_PROBE_FAILED;
	if (remap_super_commit(set))
		super->flags ^= REMAP_SUPER_PROBE_FAILED;
}

/* The content of the probe chunk as users see it: from its slot. */
static int read_probe_slot(struct remap_set *set, void *buffer)
{
	s64 slot = remap_table_find(&set->table, set->meta.super.probe_chunk);

	if (slot < 0)
		return -EUCLEAN;
	return remap_rw(set, set->spare, remap_slot_start(set, slot), buffer,
			REMAP_CHUNK_SECTORS, REQ_OP_READ);
}

/*
 * The spare is older than main's mark says (O6, C15).  If any block of it, counters included,
 * is as new as the mark, it was there when that was written, and has lost some: an
 * administrator may take what is left, as with blocks that are known or presumed to be lost,
 * which was told before.  Else it is an old copy, or one that another spare has taken the
 * place of: its slots have old data, and nothing makes it count again.
 */
static int note_older(struct remap_set *set, const struct remap_age *age,
		      const struct remap_mark *mark)
{
	struct remap_meta *meta = &set->meta;
	bool was_there = meta->generation >= mark->seq;

	if (meta->nr_stale && (was_there || !set->force_rw))
		return 0;
	if (!was_there) {
		remap_err(set, "%s is older than main device %s says (number %llu, not %llu): remaps made since are not on it. Use the newest spare",
			  set->spare->name, set->main->name, age->newest, mark->seq);
		return -ESTALE;
	}
	remap_err(set, "%s: metadata blocks are older than main device %s says (number %llu, %llu there): remaps in them are missing or outdated: %s",
		  set->spare->name, set->main->name, age->newest, mark->seq,
		  set->force_rw ? "taken all the same (force_rw)" :
		  "refused. Put a backup onto another device, or force_rw takes what is left");
	if (!set->force_rw)
		return -ESTALE;
	meta->nr_stale++;
	return 0;
}

/**
 * remap_check_mark() - whether main is the recorded one, and the spare not too old
 * @set: the set; its table is loaded, or @age is NULL and the mark was written
 * @age: to compare the mark with, or NULL
 *
 * Any one sector of the probe chunk with our mark is proof.  Where the mark was
 * not written yet, main must hold there what slot 0 holds.  Sectors that cannot
 * be read prove nothing either way.  Writes nothing.
 *
 * Context: remap_set.lock held, may sleep.
 * Return: 0; -ENODEV: another main device (P7); -ESTALE: an older spare (O6);
 * or an I/O error.
 */
int remap_check_mark(struct remap_set *set, const struct remap_age *age)
{
	struct remap_meta *meta = &set->meta;
	sector_t sector = meta->super.probe_chunk * REMAP_CHUNK_SECTORS;
	bool marked = meta->super.flags & REMAP_SUPER_MARKED;
	u32 unit = bdev_logical_block_size(set->main->bdev) >> SECTOR_SHIFT;
	u32 i, nr_proofs = 0, nr_unreadable = 0, nr_other = 0;
	struct remap_mark mark = { };
	bool readable = false;
	int r;

	if (!marked) {
		r = read_probe_slot(set, set->chunk_buffer);
		if (r)
			return r;
	}
	for (i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		void *data = set->probe_buffer + (i % unit) * REMAP_SECTOR_BYTES;
		struct remap_mark found;

		if (i % unit == 0)
			readable = !remap_rw(set, set->main, sector + i, set->probe_buffer, unit,
					     REQ_OP_READ);
		if (!readable) {
			nr_unreadable++;
		} else if (remap_probe_check_sector(data, i, meta->super.uuid,
						    &found) == REMAP_OK) {
			nr_proofs++;
			if (remap_mark_succeeds(&found, &mark))
				mark = found;
			set->nr_probe = max(set->nr_probe, found.nr_probe);
		} else if (!marked && !memcmp(data, set->chunk_buffer + i * REMAP_SECTOR_BYTES,
					      REMAP_SECTOR_BYTES)) {
			nr_proofs++;
		} else {
			nr_other++;
		}
	}
	if (marked ? !nr_proofs && nr_other : nr_other) {
		remap_err(set, "%s is not the main device of the set %pU on %s: its sector %llu does not carry the set's mark",
			  set->main->name, meta->super.uuid, set->spare->name,
			  (unsigned long long)sector);
		return -ENODEV;
	}
	if (age && remap_is_older(age, &mark)) {
		r = note_older(set, age, &mark);
		if (r)
			return r;
	}
	meta->marked = mark.seq;
	meta->mark_damaged = marked && nr_proofs < REMAP_CHUNK_SECTORS;
	if (nr_unreadable)
		remap_warn(set, "%s: %u of 8 sectors of the set's mark cannot be read",
			   set->main->name, nr_unreadable);
	return 0;
}
