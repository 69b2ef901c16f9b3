// SPDX-License-Identifier: GPL-2.0-only
/*
 * The probe chunk and the mark on it (E5, O6).
 *
 * One chunk of main is remapped like any other, so its raw place is ours.  It
 * carries the mark: whose main device this is, and of what age its spare must
 * be.  Writing the mark anew, and reading it back, is also how main is probed.
 *
 * When that place goes bad itself, another chunk near it takes over: it is
 * rewritten with what it holds (so a main that takes no writes is found out
 * before anything changes), copied to a slot, committed, marked, and then the
 * superblock names it.  A crash in between leaves one more remapped chunk and the
 * old name.
 */
#include <linux/ktime.h>

#include "dm-remap.h"

/* Chunks that are tried in place of a bad probe chunk, at each probe. */
#define OTHER_TRIES	2

/* First buffer: what is written; second buffer: what is read back. */
static bool probe(struct remap_set *set)
{
	sector_t sector = set->meta.super.probe_chunk * REMAP_CHUNK_SECTORS;
	void *back = set->probe_buffer + REMAP_CHUNK_BYTES;

	remap_probe_encode(set->probe_buffer, set->meta.super.uuid, set->meta.committed,
			   ++set->nr_probe);
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
 * Give @chunk, which is not remapped, a slot, and make it the probe chunk.  Uses
 * the third chunk of probe_buffer: a copy that is under way owns chunk_buffer.
 * Returns 0; -EAGAIN: main refused it; or why no other chunk would do better.
 */
static int move_probe_to(struct remap_set *set, u64 chunk)
{
	struct remap_change change = { .fresh = true, .add = 0xff };
	void *content = set->probe_buffer + 2 * REMAP_CHUNK_BYTES;
	sector_t sector = chunk * REMAP_CHUNK_SECTORS;
	u64 old_chunk = set->meta.super.probe_chunk;
	s64 slot = remap_slot_alloc(set);
	int r;

	if (slot < 0)
		return slot;
	change.slot = slot;
	change.word = remap_word(chunk, 0xff, 0, 0, 0);
	change.prov = remap_prov((u32)ktime_get_real_seconds(), REMAP_CAUSE_PROBE, 0, 0, 0);
	remap_table_insert(&set->table, slot, remap_word(chunk, 0, 0, 0, REMAP_WORD_BUSY));
	remap_drain(set);

	r = remap_rw(set, set->main, sector, content, REMAP_CHUNK_SECTORS, REQ_OP_READ) ?:
	    remap_rw(set, set->main, sector, content, REMAP_CHUNK_SECTORS,
		     REQ_OP_WRITE | REQ_FUA);
	if (r) {
		remap_slot_release(set, slot);
		return -EAGAIN;
	}
	r = remap_rw(set, set->spare, remap_slot_start(set, slot), content, REMAP_CHUNK_SECTORS,
		     REQ_OP_WRITE);
	change.status = r ? BLK_STS_IOERR : BLK_STS_OK;
	r = remap_commit(set, &change, 1) ?: r;
	if (r)
		return r;

	set->meta.super.probe_chunk = chunk;
	if (!probe(set)) {
		set->meta.super.probe_chunk = old_chunk;
		return -EAGAIN;
	}
	remap_warn(set, "%s: the probe chunk at sector %llu is bad: sector %llu takes over",
		   set->main->name, old_chunk * REMAP_CHUNK_SECTORS, (u64)sector);
	/* Until the media say so too, a load finds the old mark, or none that it can read. */
	remap_super_commit(set);
	return 0;
}

static bool choose_other_chunk(struct remap_set *set)
{
	u64 chunk = set->meta.super.probe_chunk;
	unsigned int try = 0;
	int r;

	if (test_bit(REMAP_READ_ONLY, &set->flags) || set->meta.nr_in_doubt)
		return false;
	while (chunk-- && try < OTHER_TRIES) {
		if (remap_table_find(&set->table, chunk) >= 0)
			continue;
		try++;
		r = move_probe_to(set, chunk);
		if (r != -EAGAIN)
			return !r;
	}
	return false;
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
	if (!(set->meta.super.flags & REMAP_SUPER_MARKED))
		return false;
	return probe(set) || choose_other_chunk(set);
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
	if (r)
		set->meta.super.flags &= ~REMAP_SUPER_MARKED;
	return r;
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

/**
 * remap_check_mark() - whether main is the recorded one, and the spare not too old
 * @set: the set; its table is loaded, or @with_age is false and the mark was written
 * @with_age: whether remap_meta.generation is known, to compare the mark with
 *
 * Any one sector of the probe chunk with our mark is proof.  Where the mark was
 * not written yet, main must hold there what slot 0 holds.  Sectors that cannot
 * be read prove nothing either way.  Writes nothing.
 *
 * Context: remap_set.lock held, may sleep.
 * Return: 0; -ENODEV: another main device (P7); -ESTALE: an older spare (O6);
 * or an I/O error.
 */
int remap_check_mark(struct remap_set *set, bool with_age)
{
	struct remap_meta *meta = &set->meta;
	sector_t sector = meta->super.probe_chunk * REMAP_CHUNK_SECTORS;
	bool marked = meta->super.flags & REMAP_SUPER_MARKED;
	u32 unit = bdev_logical_block_size(set->main->bdev) >> SECTOR_SHIFT;
	u32 i, nr_proofs = 0, nr_unreadable = 0, nr_other = 0;
	bool readable = false;
	u64 mark_seq = 0;
	int r;

	if (!marked) {
		r = read_probe_slot(set, set->chunk_buffer);
		if (r)
			return r;
	}
	for (i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		void *data = set->probe_buffer + (i % unit) * REMAP_SECTOR_BYTES;
		u64 seq, nr_probe;

		if (i % unit == 0)
			readable = !remap_rw(set, set->main, sector + i, set->probe_buffer, unit,
					     REQ_OP_READ);
		if (!readable) {
			nr_unreadable++;
		} else if (remap_probe_check_sector(data, i, meta->super.uuid, &seq,
						    &nr_probe) == REMAP_OK) {
			nr_proofs++;
			mark_seq = max(mark_seq, seq);
			set->nr_probe = max(set->nr_probe, nr_probe);
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
	if (with_age && mark_seq > meta->generation) {
		remap_err(set, "%s is older than main device %s says (generation %llu, not %llu): remaps made since are not on it",
			  set->spare->name, set->main->name, meta->generation, mark_seq);
		return -ESTALE;
	}
	meta->marked = mark_seq;
	if (nr_unreadable)
		remap_warn(set, "%s: %u of 8 sectors of the set's mark cannot be read",
			   set->main->name, nr_unreadable);
	return 0;
}
