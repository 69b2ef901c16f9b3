// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the disk lives on which a write failed, for a main of several disks.
 *
 * The set's own probe chunk lies on one of them, and says nothing about the others (E9).
 * So a chunk beside the failed one, that was not remapped, is read, written back as it
 * was, and read again.  No write of a user can come in between: main is held.
 * A crash leaves the chunk as it was: it was written over with itself.
 *
 * Beside means: in the same aligned window, which is one stripe of a striped main, and
 * 1 MiB elsewhere, for there disks meet at the border of an extent.
 *
 * Rules kept here:
 *   E9  a probe speaks for the disk on which it lies
 */
#include "dm-remap.h"

/* Chunks tried; each may take a slow disk its time. */
#define NEAR_TRIES	8
#define WINDOW_SECTORS	2048

/**
 * remap_near_window() - the sectors that share a verdict of remap_near_alive()
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

	for (i = 0; i < set->nr_pieces; i++) {
		const struct remap_piece *piece = &set->piece[i];

		if (piece->sector / REMAP_CHUNK_SECTORS == chunk &&
		    (piece->class == REMAP_PIECE_CONFIRM || piece->class == REMAP_PIECE_BAD))
			return true;
	}
	return false;
}

static bool is_alive_at(struct remap_set *set, u64 chunk)
{
	sector_t sector = chunk * REMAP_CHUNK_SECTORS;
	void *back = set->probe_buffer + REMAP_CHUNK_BYTES;

	memset(back, 0, REMAP_CHUNK_BYTES);
	return !remap_rw(set, set->main, sector, set->probe_buffer, REMAP_CHUNK_SECTORS,
			 REQ_OP_READ) &&
	       !remap_rw(set, set->main, sector, set->probe_buffer, REMAP_CHUNK_SECTORS,
			 REQ_OP_WRITE | REQ_FUA) &&
	       !remap_rw(set, set->main, sector, back, REMAP_CHUNK_SECTORS, REQ_OP_READ) &&
	       !memcmp(set->probe_buffer, back, REMAP_CHUNK_BYTES);
}

/**
 * remap_near_alive() - whether main lives where a write failed
 * @set: the set; its main is held, see remap_hold_main()
 * @sector: that failed
 *
 * Context: the worker, remap_set.lock held, may sleep.
 */
bool remap_near_alive(struct remap_set *set, u64 sector)
{
	u64 window = remap_near_window(set), chunk = sector / REMAP_CHUNK_SECTORS;
	u64 start = sector - sector % window;
	u64 first = DIV_ROUND_UP_ULL(start, REMAP_CHUNK_SECTORS);
	u64 end = min_t(u64, start + window, set->ti->len) /
		  REMAP_CHUNK_SECTORS;
	unsigned int try = 0;
	u64 distance;
	int side;

	for (distance = 1; distance < end - first && try < NEAR_TRIES; distance++) {
		for (side = -1; side <= 1; side += 2) {
			u64 beside = chunk + side * distance;

			if ((side < 0 && distance > chunk) || beside < first || beside >= end ||
			    has_failed(set, beside) || remap_table_find(&set->table, beside) >= 0)
				continue;
			if (is_alive_at(set, beside))
				return true;
			try++;
		}
	}
	return false;
}
