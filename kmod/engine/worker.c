// SPDX-License-Identifier: GPL-2.0-only
/*
 * The worker.  Bios come here from map (their chunk is busy or in doubt, or
 * they write to a lost sector) and from end_io (their lower I/O failed).  They
 * are cut into pieces, runs of sectors of one chunk that are served alike, and
 * handled in rounds under remap_set.lock, so the table does not change between
 * the lookup of a piece and its end.
 *
 * Rules kept here:
 *   D4  a bio that finds its chunk busy is uncounted before it is parked, and looked up again
 */
#include "engine/internal.h"

/* The sectors of a chunk in doubt fail; the others are served as the table says (C4). */
static void lookup_in_doubt(struct remap_set *set, struct remap_piece *piece,
			    struct remap_place *place)
{
	u8 doubt = REMAP_PROV_DOUBT(set->table.prov[place->slot]);
	unsigned int bit = piece->sector & (REMAP_CHUNK_SECTORS - 1);
	bool first = doubt & BIT(bit);
	u32 nr = 1;

	while (nr < piece->nr_sectors && !!(doubt & BIT(bit + nr)) == first)
		nr++;
	piece->nr_sectors = nr;
	if (first) {
		piece->status = BLK_STS_IOERR;
		place->nr_sectors = nr;
	} else {
		remap_table_lookup(&set->table, piece->sector, nr, 0, place);
	}
}

/* A write that needs no commit: a degraded set serves main as before (D22). */
static bool is_served_degraded(const struct remap_set *set, enum remap_place_kind kind)
{
	return kind == REMAP_PLACE_MAIN &&
	       !(READ_ONCE(set->flags) & (BIT(REMAP_READ_ONLY) | BIT(REMAP_FAILED)));
}

/*
 * Cut the next piece off a bio, and say what is to be done with it.  False: its chunk is
 * busy.
 */
static bool take_piece(struct remap_set *set, struct bio *bio, struct remap_piece *piece)
{
	struct remap_bio *pb = remap_bio(bio);
	bool write = op_is_write(bio_op(bio));
	struct remap_place place;

	piece->bio = bio;
	piece->class = REMAP_PIECE_DONE;
	piece->status = BLK_STS_OK;
	piece->change = 0;
	piece->dev = NULL;
	piece->on_spare = false;
	piece->offset = pb->nr_taken;
	piece->sector = pb->iter.bi_sector + pb->nr_taken;
	piece->nr_sectors = min_t(u64, (pb->iter.bi_size >> SECTOR_SHIFT) - pb->nr_taken,
				  REMAP_CHUNK_SECTORS -
				  (piece->sector & (REMAP_CHUNK_SECTORS - 1)));
	/* As in map: a read may pass a chunk that is being copied. */
	remap_table_lookup(&set->table, piece->sector, piece->nr_sectors,
			   write ? REMAP_WORD_DOUBT | REMAP_WORD_BUSY : REMAP_WORD_DOUBT, &place);
	if (place.kind == REMAP_PLACE_DEFER && bio_op(bio) != REQ_OP_DISCARD &&
	    set->table.word[place.slot] & REMAP_WORD_BUSY)
		return false;
	if (place.kind == REMAP_PLACE_DEFER)
		lookup_in_doubt(set, piece, &place);
	piece->nr_sectors = place.nr_sectors;
	pb->nr_taken += piece->nr_sectors;

	if (write && !remap_may_write(set) && !is_served_degraded(set, place.kind))
		piece->status = BLK_STS_IOERR;
	/* What the spare holds is not known to be ours (D22). */
	if (!write && place.kind == REMAP_PLACE_SPARE &&
	    READ_ONCE(set->flags) & REMAP_SLOTS_UNKNOWN)
		piece->status = BLK_STS_IOERR;
	/* A discard is a hint: one that had to wait is dropped (D14). */
	if (piece->status || bio_op(bio) == REQ_OP_DISCARD)
		return true;
	switch (place.kind) {
	case REMAP_PLACE_LOST:
		if (write) {
			piece->class = REMAP_PIECE_RELOCATE;
		} else {
			piece->status = BLK_STS_MEDIUM;
			remap_count_up(set, REMAP_LOST_READS);
		}
		return true;
	case REMAP_PLACE_SPARE:
		piece->class = REMAP_PIECE_SERVE;
		piece->dev = set->spare;
		piece->dev_sector = remap_slot_start(set, place.slot) +
				    (piece->sector & (REMAP_CHUNK_SECTORS - 1));
		return true;
	default:
		piece->class = REMAP_PIECE_SERVE;
		piece->dev = set->main;
		piece->dev_sector = piece->sector;
		if (write && pb->failed) {
			piece->class = REMAP_PIECE_CONFIRM;
			piece->status = pb->error;
		}
		return true;
	}
}

static void collect_pieces(struct remap_set *set)
{
	struct remap_engine *engine = set->engine;
	struct bio *bio;

	engine->nr_pieces = 0;
	bio_list_for_each(bio, &engine->round) {
		struct remap_bio *pb = remap_bio(bio);

		pb->has_left = false;
		while (pb->nr_taken < pb->iter.bi_size >> SECTOR_SHIFT && !pb->parked) {
			if (engine->nr_pieces == REMAP_ROUND_PIECES)
				return;
			pb->parked = !take_piece(set, bio, &engine->piece[engine->nr_pieces]);
			engine->nr_pieces += !pb->parked;
		}
	}
}

/* A write to main that failed is to be confirmed, one to the spare gets another try there. */
static void write_failed(struct remap_set *set, struct remap_piece *piece)
{
	bool confirmable = remap_status_confirmable(piece->status);

	if (piece->on_spare) {
		remap_count_up(set, REMAP_SPARE_WRITE_ERRORS);
		if (confirmable)
			piece->class = REMAP_PIECE_RELOCATE;
		return;
	}
	remap_count_up(set, REMAP_WRITE_ERRORS);
	remap_error_seen(set);
	if (!remap_bio(piece->bio)->failed)
		remap_bio_failed(set, remap_bio(piece->bio), piece->status);
	if (confirmable)
		piece->class = REMAP_PIECE_CONFIRM;
	else
		remap_give_up(set, piece, DM_REMAP_REASON_CLASS);
}

static void read_failed(struct remap_set *set, const struct remap_piece *piece)
{
	if (piece->bio->bi_opf & REQ_RAHEAD)
		return;
	remap_count_up(set, piece->on_spare ? REMAP_SPARE_READ_ERRORS : REMAP_READ_ERRORS);
	remap_report_error(set, DM_REMAP_EVENT_READ_ERROR, piece->sector, piece->nr_sectors,
			   piece->on_spare, piece->status);
}

/* What needs no new entry, and the first try of writes that had to wait for a busy chunk. */
static void serve_pieces(struct remap_set *set)
{
	struct remap_piece *piece = NULL;

	remap_subs_begin(set);
	while ((piece = remap_next_piece(set, piece, REMAP_PIECE_SERVE))) {
		/* A failed write to the spare is confirmed like one to main (D7, E2). */
		remap_sub_submit(set, piece, piece->dev, piece->dev_sector,
				 op_is_write(bio_op(piece->bio)) ? REQ_FUA : 0);
	}
	remap_subs_wait_durable(set);
	while ((piece = remap_next_piece(set, piece, REMAP_PIECE_SERVE))) {
		piece->class = REMAP_PIECE_DONE;
		if (!piece->status)
			continue;
		if (op_is_write(bio_op(piece->bio)))
			write_failed(set, piece);
		else
			read_failed(set, piece);
	}
}

/*
 * Bios of which a piece is left to be confirmed go on in the next round, from that piece on,
 * behind those that came meanwhile: a slow disk delays no other for long (E8).
 */
static void finish_round(struct remap_set *set)
{
	struct bio_list rest = BIO_EMPTY_LIST, left = BIO_EMPTY_LIST;
	struct bio *bio;
	u32 i;

	for (i = 0; i < set->engine->nr_pieces; i++) {
		const struct remap_piece *piece = &set->engine->piece[i];
		struct remap_bio *pb = remap_bio(piece->bio);

		if (piece->class != REMAP_PIECE_CONFIRM) {
			if (!pb->status)
				pb->status = piece->status;
		} else if (!pb->has_left) {
			pb->has_left = true;
			pb->nr_taken = piece->offset;
			pb->parked = false;	/* looked up again */
		}
	}
	while ((bio = bio_list_pop(&set->engine->round))) {
		struct remap_bio *pb = remap_bio(bio);

		if (pb->status || pb->nr_taken == pb->iter.bi_size >> SECTOR_SHIFT)
			remap_end_bio(bio, pb->status);
		else
			bio_list_add(pb->has_left ? &left :
				     pb->parked ? &set->engine->parked : &rest, bio);
	}
	set->engine->round = rest;
	bio_list_merge(&set->engine->round, &left);
}

static void end_all(struct remap_set *set, blk_status_t status)
{
	struct bio *bio;

	while ((bio = bio_list_pop(&set->engine->round)))
		remap_end_bio(bio, status);
}

/**
 * remap_worker() - handle all queued bios
 * @work: remap_queue.work
 *
 * Runs on remap_queue.wq, alone.  Beside it run map, end_io and, taking turns
 * under the lock, messages.  It goes on after presuspend, for dm waits for the
 * bios it has; with noflush it gives them back instead (D11).
 */
void remap_worker(struct work_struct *work)
{
	struct remap_set *set = container_of(work, struct remap_set, queue.work);

	for (;;) {
		bool give_back;

		mutex_lock(&set->lock);
		give_back = dm_noflush_suspending(set->ti);
		if (!give_back)
			remap_recompare(set, false);
		/* Nothing of it is to be done: it need not wait for that. */
		if (give_back || !test_bit(REMAP_ACTIVE, &set->flags)) {
			bio_list_merge(&set->engine->round, &set->engine->parked);
			bio_list_init(&set->engine->parked);
		}
		spin_lock_irq(&set->queue.lock);
		bio_list_merge(&set->engine->round, &set->queue.bios);
		bio_list_init(&set->queue.bios);
		spin_unlock_irq(&set->queue.lock);
		if (bio_list_empty(&set->engine->round)) {
			remap_unlock(set);
			return;
		}

		if (give_back) {
			end_all(set, BLK_STS_DM_REQUEUE);
		} else if (!test_bit(REMAP_ACTIVE, &set->flags)) {
			end_all(set, BLK_STS_IOERR);
		} else {
			remap_resolve_doubt(set, false);
			collect_pieces(set);
			serve_pieces(set);
			remap_confirm(set);
			remap_relocate(set);
			finish_round(set);
		}
		remap_unlock(set);
		cond_resched();
	}
}
