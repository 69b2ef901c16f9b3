/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of bad sectors that other tools made: badblocks, and ddrescue's map files.
 * Parses text; knows no device.
 */
#ifndef DM_REMAP_BADLIST_H
#define DM_REMAP_BADLIST_H

#include "util.h"

enum badlist_format {
	BADLIST_GUESS,
	BADLIST_BADBLOCKS, /* a block number a line */
	BADLIST_DDRESCUE,  /* "POS SIZE STATUS" in bytes */
};

/**
 * struct bad_range - sectors that are bad
 * @sector: first
 * @nr_sectors: how many
 */
struct bad_range {
	uint64_t sector;
	uint64_t nr_sectors;
};

/*
 * @block_bytes: of badblocks' numbers.  Ranges come sorted and do not overlap; the caller
 * frees.  -EINVAL with the line's number.
 */
int badlist_parse(const char *text, enum badlist_format format, uint32_t block_bytes,
		  struct bad_range **ranges, size_t *nr_ranges, struct error *error);

#endif /* DM_REMAP_BADLIST_H */
