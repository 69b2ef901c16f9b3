// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading at activation: choose the newest valid copy of every block, check
 * that everything belongs together, repair what is behind, and only then let
 * the first I/O through (C5, C6, P4, P7).
 *
 * Until the repairs nothing is written.  A repair writes the chosen bytes under
 * their own number over an invalid or older place of the other replica, so a
 * crash during it leaves all that was there before.
 *
 * Rules kept here:
 *   P4  any one damaged block, or the loss of a replica, leaves the table loadable
 *   C5  the highest valid copy; repaired durably before anything is served, else read-only
 *   C6  equal numbers with different bytes: neither, refused
 *   C7  of a replica that was out both places of every block are rewritten
 *   C15 what cannot be read may have been the newest; main's mark tells what is missing
 *   C16 numbers from 2^63 on are damage, and some are left to who writes
 *   D10 never back behind what this device has committed before
 *   D12 what is refused was not written
 */
#include "meta/internal.h"

#define LOAD_JUMP	256
/* Numbers that must be left to a set that is to be written (C16). */
#define SEQ_RESERVE	0x100000000ULL

/*
 * Newer content of a block was committed and is damaged on both replicas, or may have been and
 * cannot be seen on either.  What is older is shown, but nothing is written upon it, and no
 * copy over what may be newer, unless an administrator says so (C5, C15).
 */
static void note_stale(struct remap_set *set, u32 block, const struct remap_copies *copies)
{
	const enum remap_verdict *verdict = copies->verdict;
	const char *outcome = set->options.force_rw ? "used anyway (force_rw)" :
			      "served read-only. Restore a backup, or use the rest with force_rw";

	set->meta->nr_stale++;
	if (copies->choice.newer_lost)
		remap_err(set, "%s: metadata block %u: newest copies of both replicas damaged, seq %llu is older than what was committed: %s",
			  set->spare->name, block, copies->choice.seq, outcome);
	else
		remap_err(set, "%s: metadata block %u: seq %llu is possibly stale, copies of both replicas are missing (replica 0: %s, %s; replica 1: %s, %s): %s",
			  set->spare->name, block, copies->choice.seq,
			  remap_verdict_name(verdict[0]), remap_verdict_name(verdict[1]),
			  remap_verdict_name(verdict[2]), remap_verdict_name(verdict[3]), outcome);
}

/* What is known of a block from now on, if it is not older than what this instance had. */
static int take_choice(struct remap_set *set, u32 block, const struct remap_copies *copies)
{
	struct remap_block_state *state = &set->meta->block[block];
	bool unwritable = remap_dead_copy(&set->meta->super, block) >= 0;

	/* The replicas of an unwritable block have different numbers. */
	if (test_bit(REMAP_LOADED, &set->flags) && !unwritable &&
	    copies->choice.seq < state->seq) {
		remap_err(set, "%s: metadata block %u went back from seq %llu to %llu: refused",
			  set->spare->name, block, state->seq, copies->choice.seq);
		return -ESTALE;
	}
	*state = (struct remap_block_state){
		.seq = copies->choice.seq,
		.source = copies->choice.best,
		.rewrite = copies->choice.rewrite,
		.unwritable = unwritable,
	};
	memcpy(state->good_place, copies->choice.good_place, sizeof(state->good_place));
	if (remap_is_stale(&copies->choice))
		note_stale(set, block, copies);
	set->meta->found = max(set->meta->found, state->seq);
	return 0;
}

/* Choose among the four copies of a table block, the @i-th of those that were read. */
static int choose(struct remap_set *set, u32 block, u32 i, struct remap_copies *copies)
{
	const enum remap_verdict *verdict = copies->verdict;
	int r = remap_judge(set, block, i, copies);

	if (r == -EUCLEAN) {
		remap_err(set, "%s: metadata block %u: two valid copies with seq %llu differ: activation refused. 'dmremap dump' shows both",
			  set->spare->name, block, copies->choice.seq);
		return r;
	}
	if (r) {
		remap_err(set, "%s: metadata block %u: no valid copy (replica 0: %s, %s; replica 1: %s, %s)",
			  set->spare->name, block, remap_verdict_name(verdict[0]),
			  remap_verdict_name(verdict[1]), remap_verdict_name(verdict[2]),
			  remap_verdict_name(verdict[3]));
		return -EIO;
	}
	return take_choice(set, block, copies);
}

/*
 * Two slots of one chunk: a move was cut short; the successor counts (C13).  The
 * other's block is in doubt until it is committed without it: as long as it is on
 * the media, the chunk may neither move again nor be unremapped.
 */
static int resolve_twice(struct remap_set *set, u32 older, u32 newer)
{
	struct remap_table *table = &set->table;
	struct remap_block_state *state;
	u64 chunk = table->word[newer] & REMAP_WORD_CHUNK;
	int order = remap_generation_compare(REMAP_WORD_EPOCH(table->word[newer]),
					     REMAP_WORD_EPOCH(table->word[older]));

	/* Nothing moves while a move is unfinished, so one more than two is none of ours. */
	if (!order || chunk == set->meta->moved_chunk) {
		remap_err(set, "%s: slots %u and %u both claim sector %llu: activation refused",
			  set->spare->name, older, newer, chunk * REMAP_CHUNK_SECTORS);
		return -EUCLEAN;
	}
	set->meta->moved_chunk = chunk;
	if (order < 0)
		swap(older, newer);
	if (table->word[older] & REMAP_WORD_LINKED)
		remap_table_remove(table, older, chunk | REMAP_WORD_RETIRED);
	else
		remap_table_set(table, older, chunk | REMAP_WORD_RETIRED);
	table->prov[older] = U64_MAX;	/* the commit that frees it is still to come */
	state = &set->meta->block[remap_table_block_of(older)];
	/* In an unwritable block it stays: see remap_is_pinned(). */
	if (!state->unwritable && !state->in_doubt) {
		state->in_doubt = true;
		set->meta->nr_in_doubt++;
	}
	if (!(table->word[newer] & REMAP_WORD_LINKED))
		remap_table_insert(table, newer, table->word[newer]);
	return 0;
}

/* Whether a copy of a block, older ones included, names the slot of an entry. */
static bool is_named(const struct remap_copies *copies, u32 i)
{
	unsigned int c;

	for (c = 0; c < REMAP_COPIES; c++) {
		const struct remap_table_disk *disk = copies->data[c];
		struct remap_entry entry;

		if (copies->verdict[c] != REMAP_OK)
			continue;
		remap_entry_decode(&disk->entry[i], &entry);
		if (entry.state == REMAP_ENTRY_USED)
			return true;
	}
	return false;
}

static int take_entries(struct remap_set *set, u32 block, const struct remap_copies *copies)
{
	const struct remap_table_disk *disk = copies->data[copies->choice.best];
	struct remap_table *table = &set->table;
	u32 i, slot = remap_first_slot(block);
	int r;

	for (i = 0; i < remap_table_entries(remap_geometry(set), block); i++, slot++) {
		struct remap_entry entry;
		s64 twin;

		remap_entry_decode(&disk->entry[i], &entry);
		if (entry.state == REMAP_ENTRY_FREE) {
			/* It waits for one more commit of the block (C11). */
			if (is_named(copies, i)) {
				remap_table_set(table, slot, REMAP_WORD_RETIRED);
				table->prov[slot] = copies->choice.seq;
			}
			continue;
		}
		table->prov[slot] = remap_prov(entry.when, entry.cause, entry.status,
					       entry.errors, 0);
		if (entry.state == REMAP_ENTRY_BAD) {
			remap_table_set(table, slot, REMAP_WORD_BAD);
			continue;
		}
		twin = remap_table_find(table, entry.main_chunk);
		remap_table_set(table, slot, remap_word(entry.main_chunk, entry.redirected,
							entry.lost, entry.generation, 0));
		if (twin < 0) {
			remap_table_insert(table, slot, table->word[slot]);
			continue;
		}
		r = resolve_twice(set, twin, slot);
		if (r)
			return r;
	}
	return 0;
}

/* No superblock is there: a blank spare gets one. */
static int make_super(struct remap_set *set)
{
	int r;

	if (test_bit(REMAP_LOADED, &set->flags)) {
		remap_err(set, "%s: the superblocks are gone", set->spare->name);
		return -EIO;
	}
	/* The constructor may have seen another layout. */
	r = remap_geometry_compute(set->spare_sectors, &set->geometry);
	set->meta->super.geometry = set->geometry;
	r = r ?: remap_check_foreign(set) ?: remap_check_blank(set);
	if (!r && test_bit(REMAP_READ_ONLY, &set->flags)) {
		remap_err(set, "%s: blank, and not formatted because the table is read-only",
			  set->spare->name);
		r = -EROFS;
	}
	return r ?: remap_format(set);
}

/**
 * remap_load_super() - first step of loading: which set this is; formats a blank spare
 * @set: the set; it owns the media, and no I/O is mapped
 * @load: zeroed
 *
 * Context: preresume, remap_set.lock held, may sleep.
 * Return: 0 or a negative errno, with a line in the log; then nothing is served.
 */
int remap_load_super(struct remap_set *set, struct remap_load *load)
{
	struct remap_meta *meta = set->meta;
	struct remap_copies copies;
	struct remap_super super;
	int r;

	load->committed = meta->committed;
	/* A load is a comparison of its own. */
	clear_bit(REMAP_UNCOMPARED, &set->flags);
	r = remap_find_super(set, &super, &copies);
	if (r == -ENODATA) {
		load->formatted = true;
		r = make_super(set) ?: remap_find_super(set, &super, &copies);
	}
	if (r)
		return r;
	if (test_bit(REMAP_LOADED, &set->flags) &&
	    memcmp(super.uuid, meta->super.uuid, sizeof(super.uuid))) {
		remap_err(set, "%s: belongs to a different set than before", set->spare->name);
		return -ESTALE;
	}
	meta->nr_stale = 0;
	meta->found = 0;
	r = take_choice(set, 0, &copies);
	if (r)
		return r;
	if (super.ro_compat & ~REMAP_KNOWN_RO_COMPAT)
		set_bit(REMAP_READ_ONLY, &set->flags);
	remap_use_super(set, &super);
	return 0;
}

static int load_tables(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	u32 end = 1 + remap_geometry(set)->table_blocks;
	struct remap_copies copies;
	u32 block, nr, i;
	int r;

	meta->has_table = false;
	remap_table_clear(&set->table);
	meta->nr_in_doubt = 0;
	meta->drained = 0;
	meta->moved_chunk = U64_MAX;
	for (block = 1; block < end; block += nr) {
		nr = min(end - block, meta->read.nr_max);
		remap_read_blocks(set, remap_geometry(set), block, nr);
		for (i = 0; i < nr; i++) {
			r = choose(set, block + i, i, &copies) ?:
			    take_entries(set, block + i, &copies);
			if (r)
				return r;
			cond_resched();
		}
	}
	return 0;
}

/* *failed: the copy that could not be written, if it fails. */
static int repair_block(struct remap_set *set, u32 block, int *failed)
{
	struct remap_meta *meta = set->meta;
	struct remap_block_state *state = &meta->block[block];
	unsigned int i, c;
	int r;

	for (i = 0; i < REMAP_COPIES; i++) {
		/* In each replica the invalid or older place first: a crash leaves the other. */
		c = i ^ state->good_place[i / REMAP_PLACES];
		if (!(state->rewrite & BIT(c)) || c / REMAP_PLACES == meta->out)
			continue;
		*failed = c;
		if (test_bit(REMAP_READ_ONLY, &set->flags))
			return -EROFS;
		r = remap_read_image(set, state->source, block) ?:
		    remap_write_copy(set, c, block);
		if (r) {
			remap_err(set, "%s: cannot repair metadata block %u of replica %u: %d",
				  set->spare->name, block, c / REMAP_PLACES, r);
			return r;
		}
		state->rewrite &= ~BIT(c);
		meta->nr_repaired++;
	}
	return 0;
}

/*
 * Read-write with one replica only: one more fault, and acknowledged data is gone.  So it
 * is done only where an administrator says so (C5), and never with both gone.
 */
static bool may_leave_out(struct remap_set *set, int copy)
{
	struct remap_meta *meta = set->meta;
	int replica = copy / REMAP_PLACES;

	if (!set->options.force_rw || test_bit(REMAP_READ_ONLY, &set->flags) || copy < 0 ||
	    meta->out >= 0)
		return false;
	meta->out = replica;
	remap_err(set, "%s: metadata replica %d cannot be repaired and is not used (force_rw): only the other one is left",
		  set->spare->name, replica);
	return true;
}

/* Write the chosen content wherever it is missing; durable when it returns 0. */
static int repair_blocks(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	u32 block;
	int r;

	meta->nr_repaired = 0;
	meta->out = -1;
	for (block = 0; block <= remap_geometry(set)->table_blocks; block++) {
		int failed = -1;

		r = repair_block(set, block, &failed);
		/* One bad sector is not the end of the set (C8). */
		if (r && block && failed >= 0 && !test_bit(REMAP_READ_ONLY, &set->flags) &&
		    !meta->block[block].unwritable && !remap_make_unwritable(set, block, failed))
			r = repair_block(set, block, &failed);
		if (r && may_leave_out(set, failed))
			r = repair_block(set, block, &failed);
		if (r)
			return r;
	}
	if (meta->nr_repaired)
		remap_warn(set, "%s: %llu copies of metadata blocks were repaired",
			   set->spare->name, meta->nr_repaired);
	return 0;
}

/* Nothing may ever write the mark to a chunk that is not ours (E5). */
static int check_probe_chunk(const struct remap_set *set)
{
	s64 slot = remap_table_find(&set->table, set->meta->super.probe_chunk);

	if (slot >= 0 && REMAP_WORD_REDIRECTED(set->table.word[slot]) == 0xff)
		return 0;
	remap_err(set, "%s: the probe chunk at sector %llu is not remapped: activation refused",
		  set->spare->name, set->meta->super.probe_chunk * REMAP_CHUNK_SECTORS);
	return -EUCLEAN;
}

/*
 * The last steps of formatting, for a set that did not get there.  When they fail it is
 * refused, unless something was written already, by a repair, a commit or the first of these
 * steps: what is refused was not written (D12).  A set that was just formatted is refused.
 */
static int finish_format(struct remap_set *set, bool formatted)
{
	struct remap_meta *meta = set->meta;
	int r = remap_write_first_anchor(set);
	bool written = meta->nr_repaired || meta->committed != meta->loaded ||
		       meta->anchor.marked == meta->committed;

	if (!r || formatted || !written)
		return r;
	remap_err(set, "%s: served read-only: it has no mark yet on its main device %s",
		  set->spare->name, set->main->name);
	set_bit(REMAP_READ_ONLY, &set->flags);
	return 0;
}

/* Repaired, and all copies can be written: go on read-write. */
static int settle(struct remap_set *set, bool formatted)
{
	struct remap_meta *meta = set->meta;
	int r;

	/* All that was loaded is complete on both replicas now. */
	meta->committed = max(meta->committed, meta->loaded);
	/*
	 * An administrator took a table that is, or may be, older than what was committed.  Its
	 * superblock gets a number above all that main's mark knows of, and the mark that number:
	 * so it counts from now on, and what was lost is the older one should it come back.
	 * A crash before the superblock is on both replicas leaves a set that must be forced
	 * again; one before the mark is written, a set that counts, with a mark that is behind.
	 */
	if (meta->nr_stale) {
		r = remap_super_commit(set);
		if (r) {
			remap_err(set, "%s: served read-only: cannot write the superblock: %d",
				  set->spare->name, r);
			set_bit(REMAP_READ_ONLY, &set->flags);
			return 0;
		}
		remap_update_anchor(set);
		if (meta->anchor.marked == meta->committed)
			meta->nr_stale = 0;
	}
	remap_resolve_doubt(set, true);
	if (!(meta->super.flags & REMAP_SUPER_MARKED)) {
		r = finish_format(set, formatted);
		if (r || test_bit(REMAP_READ_ONLY, &set->flags))
			return r;
	}
	remap_mend_anchor(set);
	/* The mark is the third record of a set with one replica (C5). */
	if (meta->out >= 0 && !remap_super_commit(set))
		remap_update_anchor(set);
	return 0;
}

/**
 * remap_load() - second step: the table, checked against main and the past; repair the media
 * @set: the set; no other code has it
 * @load: remap_load.committed is the highest number that was ever known to be complete
 *
 * What cannot be repaired is served read-only (C5).  An instance that loads
 * again (resume without a new table) never goes back behind what it committed
 * itself (D10).
 *
 * Context: as for remap_load_super().  Return: as for it.
 */
int remap_load(struct remap_set *set, struct remap_load *load)
{
	struct remap_meta *meta = set->meta;
	struct remap_age age;
	int r = load_tables(set) ?: check_probe_chunk(set);

	if (r)
		return r;
	remap_age_of(set, &age);
	load->newest = age.newest;
	meta->loaded = age.newest;
	remap_soft_load(set);
	/* A member may have come back older. */
	if (age.newest < load->committed) {
		remap_err(set, "%s: metadata went back from generation %llu to %llu: refused",
			  set->spare->name, load->committed, age.newest);
		set_bit(REMAP_FAILED, &set->flags);
		return -ESTALE;
	}
	r = remap_check_anchor(set, &age);
	if (r)
		return r;

	if (meta->nr_stale && !set->options.force_rw)
		set_bit(REMAP_READ_ONLY, &set->flags);
	/*
	 * What is lost had a number that main knows of; those that were burnt since, and are not
	 * on the media, stay burnt (C2).
	 */
	meta->last_seq = max3(meta->last_seq, meta->found,
			      max(meta->anchor.marked, load->burnt));
	/* No set comes near the end of the numbers, so this one was made (C16). */
	if (meta->last_seq > REMAP_MAX_SEQ - SEQ_RESERVE) {
		remap_err(set, "%s: sequence numbers are used up (%llu): served read-only",
			  set->spare->name, meta->last_seq);
		set_bit(REMAP_READ_ONLY, &set->flags);
	}
	/* A copy that cannot be read now may hold a number that was burnt (C2). */
	if (!test_bit(REMAP_READ_ONLY, &set->flags))
		meta->last_seq += LOAD_JUMP;
	meta->anchor.ping_failed |= load->ping_failed;
	r = repair_blocks(set);
	if (r) {
		if (!test_bit(REMAP_READ_ONLY, &set->flags))
			remap_err(set, "%s: served read-only, and possibly stale: one replica cannot be repaired",
				  set->spare->name);
		set_bit(REMAP_READ_ONLY, &set->flags);
	}
	if (!test_bit(REMAP_READ_ONLY, &set->flags)) {
		r = settle(set, load->formatted);
		if (r)
			return r;
	}
	remap_count_unwritable(set);
	/* Read-only or not: the next table may not go back behind it either (D10). */
	meta->committed = max(meta->committed, load->committed);
	meta->has_table = true;
	set_bit(REMAP_LOADED, &set->flags);
	meta->degraded.known = 0;
	return 0;
}
