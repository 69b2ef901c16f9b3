// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "format/spare_layout.h"

#define WIPE_BYTES (64U << 10)
#define EDGE_SECTORS 2048ULL
/* More than that is not a device with bad places, and each may take half a minute. */
#define BAD_MAX 1024

/* In ever smaller pieces: 64 KiB, chunks, which heal a bad physical sector, and blocks. */
static int zero_piece(int fd, uint64_t at, uint32_t nr_bytes, uint32_t unit, const uint8_t *zeros,
		      struct sector_ranges *bad)
{
	uint32_t piece = nr_bytes > REMAP_CHUNK_BYTES ? REMAP_CHUNK_BYTES : unit;
	int r = write_all_at(fd, zeros, nr_bytes, (off_t)at);

	if (!r || !is_medium_error(r))
		return r;
	if (nr_bytes <= unit && sector_ranges_count(bad) >= BAD_MAX)
		return -EIO;
	if (nr_bytes <= unit)
		return sector_ranges_add(bad, at / REMAP_SECTOR_BYTES,
					 nr_bytes / REMAP_SECTOR_BYTES);
	r = 0;
	for (uint32_t from = 0; !r && from < nr_bytes; from += piece)
		r = zero_piece(fd, at + from, nr_bytes - from < piece ? nr_bytes - from : piece,
			       unit, zeros, bad);
	return r;
}

static int zero(int fd, uint64_t sector, uint64_t end, struct sector_ranges *bad,
		struct progress *progress)
{
	_cleanup_free_ uint8_t *zeros = aligned_bytes(WIPE_BYTES);
	uint32_t unit = logical_bytes(fd);
	uint64_t at = sector * REMAP_SECTOR_BYTES, to = end * REMAP_SECTOR_BYTES;
	int r = zeros ? 0 : -ENOMEM;

	for (; !r && at < to; at += WIPE_BYTES) {
		r = zero_piece(fd, at, to - at < WIPE_BYTES ? (uint32_t)(to - at) : WIPE_BYTES,
			       unit, zeros, bad);
		progress_step(progress);
	}
	return r;
}

int spare_zero(int fd, uint64_t sector, uint64_t end, struct sector_ranges *bad)
{
	return zero(fd, sector, end, bad, NULL);
}

/* What took the zeros must give them back. */
static int read_suspects(int fd, const struct sector_ranges *suspects, struct sector_ranges *bad)
{
	_cleanup_free_ uint8_t *block = aligned_bytes(REMAP_CHUNK_BYTES);
	uint32_t unit = logical_bytes(fd);
	int r = block ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < suspects->nr; i++)
		for (uint64_t s = 0; !r && s < suspects->at[i].nr; s += unit / REMAP_SECTOR_BYTES) {
			uint64_t sector = suspects->at[i].sector + s;

			r = read_all_at(fd, block, unit, (off_t)(sector * REMAP_SECTOR_BYTES));
			if (r < 0 && is_medium_error(r))
				r = sector_ranges_add(bad, sector, unit / REMAP_SECTOR_BYTES);
		}
	return r;
}

#define NR_SPANS (2 + REMAP_COPIES)

/**
 * struct span - sectors that are wiped
 * @from: the first
 * @to: the one behind the last
 */
struct span {
	uint64_t from;
	uint64_t to;
};

/* The first MiB, all places of metadata, the last MiB. */
static void spans_of(uint64_t device_sectors, const struct remap_geometry *geometry,
		     struct span span[NR_SPANS])
{
	uint64_t edge = device_sectors < EDGE_SECTORS ? device_sectors : EDGE_SECTORS;
	uint64_t place_sectors = (uint64_t)geometry->place_blocks * REMAP_CHUNK_SECTORS;

	span[0] = (struct span){ 0, edge };
	for (unsigned int c = 0; c < REMAP_COPIES; c++) {
		uint64_t at = remap_block_sector(geometry, c / REMAP_PLACES, c % REMAP_PLACES, 0);

		span[1 + c] = (struct span){ at, at + place_sectors };
	}
	span[1 + REMAP_COPIES] =
		(struct span){ (device_sectors - edge) & ~(REMAP_CHUNK_SECTORS - 1ULL),
			       device_sectors };
}

uint64_t spare_wipe_steps(uint64_t device_sectors, const struct remap_geometry *geometry)
{
	uint64_t unit = WIPE_BYTES / REMAP_SECTOR_BYTES, nr = 0;
	struct span span[NR_SPANS];

	spans_of(device_sectors, geometry, span);
	for (unsigned int i = 0; i < NR_SPANS; i++)
		nr += (span[i].to - span[i].from + unit - 1) / unit;
	return nr;
}

int spare_wipe(int fd, uint64_t device_sectors, const struct remap_geometry *geometry,
	       const struct sector_ranges *suspects, struct sector_ranges *bad,
	       struct progress *progress, struct error *error)
{
	struct span span[NR_SPANS];
	int r = 0;

	spans_of(device_sectors, geometry, span);
	for (unsigned int i = 0; !r && i < NR_SPANS; i++)
		r = zero(fd, span[i].from, span[i].to, bad, progress);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r)
		r = read_suspects(fd, suspects, bad);
	return r < 0 ? error_set(error, -r, "cannot wipe it: %s", strerror(-r)) : 0;
}

int spare_try_slot(int fd, const struct remap_geometry *geometry, uint32_t slot,
		   struct sector_ranges *bad)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	uint64_t sector = remap_slot_sector(geometry, slot);
	off_t at = (off_t)(sector * REMAP_SECTOR_BYTES);
	int r = chunk ? write_all_at(fd, chunk, REMAP_CHUNK_BYTES, at) : -ENOMEM;

	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r)
		r = read_all_at(fd, chunk, REMAP_CHUNK_BYTES, at);
	if (r < 0 && is_medium_error(r)) {
		r = sector_ranges_add(bad, sector, REMAP_CHUNK_SECTORS);
		return r ? r : -EIO;
	}
	return r;
}

/* The block and copy to which a sector of the region belongs; false: to none. */
static bool block_of(const struct remap_geometry *geometry, uint64_t sector, uint32_t *block,
		     unsigned int *copy)
{
	uint64_t place_sectors = (uint64_t)geometry->place_blocks * REMAP_CHUNK_SECTORS;

	for (*copy = 0; *copy < REMAP_COPIES; ++*copy) {
		uint64_t at =
			remap_block_sector(geometry, *copy / REMAP_PLACES, *copy % REMAP_PLACES, 0);

		if (sector < at || sector - at >= place_sectors)
			continue;
		*block = (uint32_t)((sector - at) / REMAP_CHUNK_SECTORS);
		/* behind the counters come sectors that nothing is written to but zeros */
		return *block <= geometry->table_blocks + 1;
	}
	return false;
}

int spare_dead_places(const struct remap_geometry *geometry, const struct sector_ranges *bad,
		      u32 dead[REMAP_DEAD_MAX], struct error *error)
{
	uint32_t block, nr_live = geometry->table_blocks;
	unsigned int copy;

	memset(dead, 0, REMAP_DEAD_MAX * sizeof(*dead));
	for (size_t i = 0; i < bad->nr; i++)
		for (uint64_t s = bad->at[i].sector; s < bad->at[i].sector + bad->at[i].nr; s++) {
			const char *what = NULL;

			if (!block_of(geometry, s, &block, &copy))
				continue;
			if (!block)
				what = "a superblock";
			else if (block > geometry->table_blocks)
				what = "the counters";
			else if (remap_add_dead(dead, block, copy) < 0)
				what = "the table (too many of its places are bad)";
			if (what)
				return error_set(
					error, EIO,
					"sector %" PRIu64 " cannot be written, and is needed for "
					"%s; use another device, or a partition that begins after "
					"it",
					s, what);
		}
	for (uint32_t b = 1; b <= geometry->table_blocks; b++)
		nr_live -= spare_block_is_dead(dead, b);
	if (!nr_live)
		return error_set(error, EIO,
				 "sector %" PRIu64 " cannot be written, and is needed for the "
				 "only block of the table; use another device, or a partition "
				 "that begins after it",
				 bad->at[0].sector);
	return 0;
}

bool spare_slot_is_bad(const struct remap_geometry *geometry, const struct sector_ranges *bad,
		       uint32_t slot)
{
	uint64_t sector = remap_slot_sector(geometry, slot);

	for (unsigned int i = 0; bad->nr && i < REMAP_CHUNK_SECTORS; i++)
		if (sector_ranges_has(bad, sector + i))
			return true;
	return false;
}

bool spare_block_is_dead(const u32 dead[REMAP_DEAD_MAX], uint32_t block)
{
	for (unsigned int i = 0; i < REMAP_DEAD_MAX; i++)
		if (dead[i] && (dead[i] - 1) / REMAP_COPIES == block)
			return true;
	return false;
}
