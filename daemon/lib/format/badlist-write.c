// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists of bad sectors as badblocks(8), ddrescue(1) and md's bad_blocks have them. */
#include <inttypes.h>

#include "format/badlist.h"

#define SECTOR_BYTES 512

/* A block that two places touch is written once. */
static void write_blocks(FILE *to, const struct badlist *list, uint64_t start)
{
	uint64_t sectors = list->block_bytes / SECTOR_BYTES, next = 0;

	for (size_t i = 0; i < list->nr_ranges; i++) {
		uint64_t first = start + list->range[i].sector;
		uint64_t last = (first + list->range[i].nr_sectors - 1) / sectors;

		for (uint64_t block = first / sectors; block <= last; block++) {
			if (block < next)
				continue;
			fprintf(to, "%" PRIu64 "\n", block);
			next = block + 1;
		}
	}
}

static void write_area(FILE *to, uint64_t sector, uint64_t nr_sectors, char status)
{
	if (nr_sectors)
		fprintf(to, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", sector * SECTOR_BYTES,
			nr_sectors * SECTOR_BYTES, status);
}

/* What lies before the main device on its disk is not known: not tried. */
static void write_map(FILE *to, const struct badlist *list, uint64_t start, uint64_t nr_sectors)
{
	uint64_t at = 0;

	fprintf(to,
		"# Mapfile. Created by dmremap export\n"
		"# current_pos  current_status  current_pass\n"
		"0x%08" PRIX64 "     +               1\n"
		"#      pos        size  status\n",
		start * SECTOR_BYTES);
	write_area(to, 0, start, '?');
	for (size_t i = 0; i < list->nr_ranges; i++) {
		const struct bad_range *range = &list->range[i];

		write_area(to, start + at, range->sector - at, '+');
		write_area(to, start + range->sector, range->nr_sectors, '-');
		at = range->sector + range->nr_sectors;
	}
	write_area(to, start + at, nr_sectors - at, '+');
}

static void write_ranges(FILE *to, const struct badlist *list, uint64_t start)
{
	for (size_t i = 0; i < list->nr_ranges; i++)
		fprintf(to, "%" PRIu64 " %" PRIu64 "\n", start + list->range[i].sector,
			list->range[i].nr_sectors);
}

void badlist_write(FILE *to, const struct badlist *list, enum badlist_format format, uint64_t start,
		   uint64_t nr_sectors)
{
	switch (format) {
	case BADLIST_DDRESCUE:
		write_map(to, list, start, nr_sectors);
		break;
	case BADLIST_RANGES:
		write_ranges(to, list, start);
		break;
	default:
		write_blocks(to, list, start);
	}
}
