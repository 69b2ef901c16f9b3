/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The live tables of mapped devices of any kind, as far as they say where their sectors lie. */
#ifndef DM_REMAP_DM_TABLE_H
#define DM_REMAP_DM_TABLE_H

#include "util/util.h"

/**
 * struct dm_segment - a part of a mapped device
 * @start: first sector
 * @nr_sectors: length
 * @target: "linear"
 * @below: the device that it lies on, sector by sector; 0: it does not, or that is not known
 * @offset: of its first sector there
 */
struct dm_segment {
	uint64_t start;
	uint64_t nr_sectors;
	char target[32];
	dev_t below;
	uint64_t offset;
};

/* The caller frees *@segments. */
int dm_table_of(dev_t devno, struct dm_segment **segments, size_t *nr);
/* Pure: of linear and crypt, whose sectors lie as they come. */
void dm_segment_parse(struct dm_segment *segment, const char *target, const char *params);

#endif /* DM_REMAP_DM_TABLE_H */
