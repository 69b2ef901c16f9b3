// SPDX-License-Identifier: GPL-2.0-only
/*
 * The probe chunk and the mark on it (E5, O6).
 *
 * One chunk of main is remapped like any other, so its raw place is ours.  It
 * carries the mark: whose main device this is, and of what age its spare must
 * be.  Writing the mark anew, and reading it back, is also how main is probed.
 *
 * What becomes of a set whose anchor goes bad: anchor_chunk.c.
 *
 * Rules kept here:
 *   E5  main is probed by a FUA write and a read back, in a place that is ours
 */
#include "meta/internal.h"
#include "base/trace.h"

/**
 * remap_age_of() - the numbers of the set's blocks
 * @set: the set; its superblock and table are loaded
 * @age: is filled
 *
 * Context: remap_set.lock held.
 */
void remap_age_of(const struct remap_set *set, struct remap_age *age)
{
	const struct remap_meta *meta = set->meta;
	u32 block;

	memset(age, 0, sizeof(*age));
	for (block = 0; block <= remap_geometry(set)->table_blocks; block++)
		remap_age_add(age, block, meta->block[block].seq, meta->block[block].unwritable);
}

/**
 * remap_write_anchor() - write the mark anew, and read it back
 * @set: the set
 *
 * It says the highest number that is complete on both replicas, so that load finds it whatever a
 * crash leaves (C15); never one of soft state, which is losable.  While a block is in doubt the
 * media may hold more of it than RAM does, and no digest is right.
 *
 * First half of the buffer: what is written; second half: what is read back.
 * Context: remap_set.lock held, may sleep.  Return: whether main did both.
 */
bool remap_write_anchor(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	sector_t sector = meta->super.probe_chunk * REMAP_CHUNK_SECTORS;
	void *back = set->scratch.anchor + REMAP_CHUNK_BYTES;
	struct remap_mark mark = { .seq = meta->committed, .nr_probe = ++meta->anchor.nr_ping };
	struct remap_age age;

	if (!remap_has_doubt(set)) {
		remap_age_of(set, &age);
		mark.digest = age.digest;
	}
	remap_probe_encode(set->scratch.anchor, meta->super.uuid, &mark);
	memset(back, 0, REMAP_CHUNK_BYTES);
	if (remap_rw(set, set->main, sector, set->scratch.anchor, REMAP_CHUNK_SECTORS,
		     REQ_OP_WRITE | REQ_FUA) ||
	    remap_rw(set, set->main, sector, back, REMAP_CHUNK_SECTORS, REQ_OP_READ) ||
	    memcmp(back, set->scratch.anchor, REMAP_CHUNK_BYTES))
		return false;
	meta->anchor.marked = meta->committed;
	return true;
}

/*
 * Without FUA the flush behind the probe may have reported another write that main's cache
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
	return !r && remap_write_anchor(set);
}

/**
 * remap_ping_main() - probe main by a write to a place of our own (E5)
 * @set: the set; the mark is on main
 *
 * Writes the mark anew, with the generation of the last complete commit: a
 * spare that is older than that will be recognised (O6).
 *
 * Context: remap_set.lock held, may sleep.
 * Return: whether main took the write and gave it back.
 */
bool remap_ping_main(struct remap_set *set)
{
	if (!(set->meta->super.flags & REMAP_SUPER_MARKED) || !remap_may_write(set))
		return false;
	set->meta->anchor.ping_failed = !remap_write_anchor(set) && !probe_again(set);
	trace_dm_remap_probe(set, set->meta->super.probe_chunk * REMAP_CHUNK_SECTORS,
			     !set->meta->anchor.ping_failed);
	return !set->meta->anchor.ping_failed;
}

/**
 * remap_update_anchor() - let main know of the last complete commit (O6)
 * @set: the set, active and not read-only
 *
 * A probe writes what was committed before it, so after the last relocation the
 * mark is behind.  When it fails, an older spare is recognised less exactly.
 *
 * Context: remap_set.lock held, may sleep; never while an I/O waits for it.
 */
void remap_update_anchor(struct remap_set *set)
{
	if (set->meta->committed > set->meta->anchor.marked)
		remap_ping_main(set);
}

/**
 * remap_write_first_anchor() - steps 4 and 5
 * @set: the set; the content of the probe chunk is in its slot, durably
 *
 * Context: remap_set.lock held, may sleep.  Return: 0 or a negative errno.
 */
int remap_write_first_anchor(struct remap_set *set)
{
	int r;

	if (!remap_write_anchor(set)) {
		remap_err(set, "%s: cannot write the mark to sector %llu of the main device",
			  set->main->name,
			  set->meta->super.probe_chunk * REMAP_CHUNK_SECTORS);
		return -EIO;
	}
	r = remap_super_set_flags(set, REMAP_SUPER_MARKED, REMAP_SUPER_MARKED);
	if (r)
		remap_err(set, "%s: cannot write the superblock: %d", set->spare->name, r);
	return r;
}

/**
 * remap_record_ping() - let the superblock say whether main took the last probe
 * @set: the set, may write
 *
 * So that the next load looks, also after a restart.
 * Context: remap_set.lock held, may sleep; never while an I/O waits for it.
 */
void remap_record_ping(struct remap_set *set)
{
	remap_super_set_flags(set, REMAP_SUPER_PROBE_FAILED,
			      set->meta->anchor.ping_failed ? REMAP_SUPER_PROBE_FAILED : 0);
}

/*
 * The spare is older than main's mark says (O6, C15).  If any block of it, counters included,
 * is as new as the mark, it was there when that was written, and has lost some: an
 * administrator may take what is left, as with blocks that are known or presumed to be lost,
 * which was reported before.  Else it is an old copy, or one that another spare has taken the
 * place of: its slots have old data, and nothing makes it count again.
 */
static int note_older(struct remap_set *set, const struct remap_age *age,
		      const struct remap_mark *mark)
{
	struct remap_meta *meta = set->meta;
	bool was_there = meta->found >= mark->seq;

	if (meta->nr_stale && (was_there || !set->options.force_rw))
		return 0;
	if (!was_there) {
		remap_err(set, "%s is older than recorded on main device %s (seq %llu, not %llu): it lacks later remaps. Use the newest spare",
			  set->spare->name, set->main->name, age->newest, mark->seq);
		return -ESTALE;
	}
	remap_err(set, "%s: metadata blocks are older than recorded on main device %s (seq %llu, not %llu): remaps are missing or outdated: %s",
		  set->spare->name, set->main->name, age->newest, mark->seq,
		  set->options.force_rw ? "used anyway (force_rw)" :
		  "refused. Restore a backup to another device, or use the rest with force_rw");
	if (!set->options.force_rw)
		return -ESTALE;
	meta->nr_stale++;
	return 0;
}

/**
 * remap_check_anchor() - whether main is the recorded one, and the spare not too old
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
int remap_check_anchor(struct remap_set *set, const struct remap_age *age)
{
	struct remap_meta *meta = set->meta;
	sector_t sector = meta->super.probe_chunk * REMAP_CHUNK_SECTORS;
	bool marked = meta->super.flags & REMAP_SUPER_MARKED;
	u32 unit = bdev_logical_block_size(set->main->bdev) >> SECTOR_SHIFT;
	struct remap_mark_found found;
	u8 unreadable = 0;
	int r;

	if (!marked) {
		/* Its content as users see it. */
		s64 slot = remap_table_find(&set->table, meta->super.probe_chunk);

		r = slot < 0 ? -EUCLEAN :
		    remap_rw(set, set->spare, remap_slot_start(set, slot), set->scratch.anchor,
			     REMAP_CHUNK_SECTORS, REQ_OP_READ);
		if (r)
			return r;
	}
	remap_rw_chunk(set, set->main, sector, 0xff, unit, REQ_OP_READ, &unreadable);
	remap_find_mark(set->scratch.chunk, unreadable, meta->super.uuid,
			marked ? NULL : set->scratch.anchor, &found);
	meta->anchor.nr_ping = max(meta->anchor.nr_ping, found.mark.nr_probe);
	if (found.others && !(marked && found.proofs)) {
		remap_err(set, "%s is not the main device of the set %pU on %s: its sector %llu does not carry the set's mark",
			  set->main->name, meta->super.uuid, set->spare->name, (u64)sector);
		return -ENODEV;
	}
	if (age && remap_is_older(age, &found.mark)) {
		r = note_older(set, age, &found.mark);
		if (r)
			return r;
	}
	meta->anchor.marked = found.mark.seq;
	meta->anchor.damaged = marked && found.proofs != 0xff;
	if (unreadable)
		remap_warn(set, "%s: %u of 8 sectors of the set's mark cannot be read",
			   set->main->name, hweight8(unreadable));
	return 0;
}
