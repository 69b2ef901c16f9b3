/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which sectors of a device cannot be read where its content is looked for, and a copy of what
 * can: libblkid does not tell a read error from "nothing there" (O3), so where there are such
 * sectors it looks at the copy, in which they are zeros, and they are reported beside it.
 * Reads the device, writes nothing.  Callers: guard.c, create.c, complete.c.
 */
#ifndef DM_REMAP_PLACES_H
#define DM_REMAP_PLACES_H

#include "remap_format.h"
#include "util/util.h"

/**
 * struct sector_range - some sectors in a row
 * @sector: the first one
 * @nr: how many
 */
struct sector_range {
	uint64_t sector;
	uint64_t nr;
};

/**
 * struct sector_ranges - ranges in order, none touching another
 * @at: the ranges
 * @nr: how many
 */
struct sector_ranges {
	struct sector_range *at;
	size_t nr;
};

/* Both keep the order; ranges that touch become one. */
int sector_ranges_add(struct sector_ranges *ranges, uint64_t sector, uint64_t nr);
void sector_ranges_done(struct sector_ranges *ranges);
bool sector_ranges_has(const struct sector_ranges *ranges, uint64_t sector);
/* Of a chunk: bit i: sector i is in them. */
uint8_t sector_ranges_mask(const struct sector_ranges *ranges, uint64_t main_chunk);
uint64_t sector_ranges_count(const struct sector_ranges *ranges);
/*
 * "2, 100-103 and 3 more"; @text ends in a whole number.  Numbers are those of the device.
 */
void sector_ranges_text(const struct sector_ranges *ranges, char *text, size_t nr_bytes);
/*
 * "2,100-103,0x200"; -EINVAL: something else, a range that ends before it begins, or beyond
 * @nr_sectors.
 */
int sector_ranges_parse(const char *text, uint64_t nr_sectors, struct sector_ranges *ranges);

/**
 * struct places - what was read of a device
 * @unreadable: sectors that fail
 * @looked_at: sectors that were read, or tried
 * @elsewhere: libblkid met a read error at a place that is in neither: where is not known
 * @copy_fd: a sparse file as long as the device, with what could be read; -1: none yet
 * @nr_sectors: length of the device
 * @unit: smallest piece that can be read, in bytes
 */
struct places {
	struct sector_ranges unreadable;
	struct sector_ranges looked_at;
	bool elsewhere;
	int copy_fd;
	uint64_t nr_sectors;
	uint32_t unit;
};

#define PLACES_NONE           \
	{                     \
		.copy_fd = -1 \
	}

void places_done(struct places *places);
#define _cleanup_places_ _cleanup_(places_done)

/*
 * Reads what names the content of a whole device: its first and last MiB, and single places
 * further in.  -EIO: nothing at all can be read; other errors: not those of single sectors
 * (the device is gone, no memory).
 */
int places_look(int fd, uint64_t nr_sectors, struct places *places, struct error *error);
/* The same for a part of it, a partition.  1: there was something new to be read. */
int places_look_into(int fd, uint64_t sector, uint64_t nr_sectors, struct places *places,
		     struct error *error);
/* The sectors of a chunk that cannot be read, a bit for each; of them @chunk is zero. */
int places_read_chunk(int fd, uint64_t main_chunk, uint64_t nr_sectors, uint8_t *chunk,
		      uint8_t *unreadable);
/* Whether an error of a read is one of the medium, which says that only this place is bad. */
bool is_medium_error(int r);

#endif /* DM_REMAP_PLACES_H */
