// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the disk lives on which a write failed, for a main of several disks.
 *
 * The set's own anchor lies on one of them, and says nothing about the others (E9).
 * So a chunk beside the failed one, that was not remapped, is read, written back as it
 * was, and read again.  No write of a user can come in between: main is held.
 * A crash leaves the chunk as it was: it was written over with itself.  Before that its content
 * is copied to a slot, which serves it if main does not take it back.
 *
 * Beside means: in the same aligned window, which is one stripe of a striped main, and
 * 1 MiB elsewhere, for there disks meet at the border of an extent.
 *
 * Rules kept here:
 *   E9  a probe speaks for the disk on which it lies
 */
#include "engine/internal.h"

/* Chunks tried; each may take a slow disk its time. */
#define NEAR_TRIES	16U
#define SLOW_TRIES	1U
#define WINDOW_SECTORS	2048

/**
 * remap_is_one_disk() - whether a probe anywhere speaks for all of main
 * @set: the set
 *
 * A device that is no request queue (device-mapper, md) may have several disks.  Context: any.
 */
bool remap_is_one_disk(const struct remap_set *set)
{
	return queue_is_mq(bdev_get_queue(set->main->bdev));
}

/**
 * remap_near_window() - the sectors that share a verdict of remap_ping_near()
 * @set: the set
 *
 * Return: their number; windows are aligned.
 */
u32 remap_near_window(const struct remap_set *set)
{
	unsigned int io_min = bdev_io_min(set->main->bdev);

	return io_min > REMAP_CHUNK_BYTES ? io_min >> SECTOR_SHIFT : WINDOW_SECTORS;
}

/* Whether a piece of this round failed there. */
static bool has_failed(const struct remap_set *set, u64 chunk)
{
	u32 i;

	for (i = 0; i < set->engine->nr_pieces; i++) {
		const struct remap_piece *piece = &set->engine->piece[i];

		if (piece->sector / REMAP_CHUNK_SECTORS == chunk &&
		    (piece->class == REMAP_PIECE_CONFIRM || piece->class == REMAP_PIECE_BAD))
			return true;
	}
	return false;
}

/* Whether the chunk has what is in chunk_buffer. */
static bool gives_back(struct remap_set *set, u64 chunk)
{
	return !remap_rw(set, set->main, chunk * REMAP_CHUNK_SECTORS, set->scratch.anchor,
			 REMAP_CHUNK_SECTORS, REQ_OP_READ) &&
	       !memcmp(set->scratch.chunk, set->scratch.anchor, REMAP_CHUNK_BYTES);
}

static bool takes_back(struct remap_set *set, u64 chunk)
{
	return !remap_rw(set, set->main, chunk * REMAP_CHUNK_SECTORS, set->scratch.chunk,
			 REMAP_CHUNK_SECTORS, REQ_OP_WRITE | REQ_FUA) && gives_back(set, chunk);
}

/*
 * The write may be what kills a sector that was good until now, with a user's data in it.  So
 * these are in a slot, durably, before anything is written: no slot, no probe.
 */
static bool is_alive_at(struct remap_set *set, u64 chunk)
{
	bool alive = false;
	s64 slot;

	if (remap_has_doubt(set) ||
	    test_bit(REMAP_META_FAIL, &set->flags))
		return false;
	slot = remap_slot_alloc(set);
	if (slot < 0)
		return false;
	if (!remap_rw(set, set->main, chunk * REMAP_CHUNK_SECTORS, set->scratch.chunk,
		      REMAP_CHUNK_SECTORS, REQ_OP_READ) &&
	    !remap_rw(set, set->spare, remap_slot_start(set, slot), set->scratch.chunk,
		      REMAP_CHUNK_SECTORS, REQ_OP_WRITE | REQ_FUA)) {
		alive = takes_back(set, chunk) || takes_back(set, chunk);
		/* A flush fails as well when another disk of main is gone. */
		if (!alive && !gives_back(set, chunk)) {
			remap_save_chunk(set, chunk, slot, REMAP_CAUSE_WRITE_ERROR);
			return false;
		}
	}
	/* No commit has named it. */
	remap_table_set(&set->table, slot, 0);
	return alive;
}

/**
 * struct search - for a good chunk beside one that failed
 * @set: the set
 * @nr_tries: that may still be made
 * @is_slow: one of them took its time
 */
struct search {
	struct remap_set *set;
	u32 nr_tries;
	bool is_slow;
};

static void remember_chunk(struct remap_near *near, u64 chunk)
{
	if (near->nr < ARRAY_SIZE(near->chunk))
		near->chunk[near->nr++] = chunk;
}

static bool try_chunk(struct search *search, u64 chunk, u64 first, u64 end)
{
	struct remap_set *set = search->set;
	unsigned long began = jiffies;
	bool alive;

	if (chunk < first || chunk >= end || !search->nr_tries || has_failed(set, chunk) ||
	    remap_table_find(&set->table, chunk) >= 0)
		return false;
	alive = is_alive_at(set, chunk);
	if (alive)
		remember_chunk(&set->engine->near, chunk);
	search->nr_tries--;
	/* Each may take that long, and others wait (E8). */
	if (time_after(jiffies, began + REMAP_SLOW_COMMAND) && !search->is_slow) {
		search->is_slow = true;
		search->nr_tries = min(search->nr_tries, SLOW_TRIES);
	}
	return alive;
}

/* Near first, then further and further away. */
static bool search_around(struct search *search, u64 chunk, u64 first, u64 end)
{
	u64 distance;

	for (distance = 1; distance < end - first && search->nr_tries;
	     distance *= search->is_slow ? 16 : 2) {
		if (try_chunk(search, chunk + distance, first, end) ||
		    (distance <= chunk && try_chunk(search, chunk - distance, first, end)))
			return true;
	}
	return false;
}

static bool search_window(struct search *search, u64 number)
{
	u32 window = remap_near_window(search->set);
	u64 first = DIV_ROUND_UP_ULL(number * window, REMAP_CHUNK_SECTORS);
	u64 end = min_t(u64, (number + 1) * window, search->set->ti->len) / REMAP_CHUNK_SECTORS;

	search->nr_tries = search->is_slow ? 1 : NEAR_TRIES / 2;
	return end > first && search_around(search, (first + end) / 2, first, end);
}

/* What answered before, for the same window, is asked first: true if it still does. */
static bool ask_again(struct remap_set *set, u64 number)
{
	const struct remap_near *near = &set->engine->near;
	u32 i;

	for (i = 0; i < near->nr && near->number == number; i++) {
		if (has_failed(set, near->chunk[i]) ||
		    remap_table_find(&set->table, near->chunk[i]) >= 0 ||
		    !is_alive_at(set, near->chunk[i]))
			return false;
	}
	return near->nr && near->number == number;
}

/**
 * remap_ping_near() - whether main lives where a write failed
 * @set: the set; its main is held, see remap_hold_main()
 * @sector: that failed
 *
 * Where a whole window is bad, and main is not striped, both windows beside it must answer: one of
 * them lies on the same disk.
 * Context: remap_set.lock held, may sleep.
 */
bool remap_ping_near(struct remap_set *set, u64 sector)
{
	u32 window = remap_near_window(set);
	u64 number = div_u64(sector, window), chunk = sector / REMAP_CHUNK_SECTORS;
	u64 first = DIV_ROUND_UP_ULL(number * window, REMAP_CHUNK_SECTORS);
	u64 end = min_t(u64, (number + 1) * window, set->ti->len) / REMAP_CHUNK_SECTORS;
	struct search search = { .set = set, .nr_tries = NEAR_TRIES };

	if (ask_again(set, number))
		return true;
	set->engine->near = (struct remap_near){ .number = number };
	if (search_around(&search, chunk, first, end) ||
	    (window == WINDOW_SECTORS && number && search_window(&search, number - 1) &&
	     search_window(&search, number + 1)))
		return true;
	set->engine->near.nr = 0;
	return false;
}
