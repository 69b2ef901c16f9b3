/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a sector that cannot be read is for: partition table, superblock, header.  For the plan
 * of create, so that who is asked knows what is at stake and how to repair it.
 * Callers: create.c, verb-create.c.
 */
#ifndef DM_REMAP_PURPOSE_H
#define DM_REMAP_PURPOSE_H

#include "format/places.h"

/*
 * Pure: what lies at sector @at of a device, or partition, of @nr_sectors on which libblkid found
 * @types ("ext4,gpt"); with "" all that could lie there.  NULL: nothing that has a name.
 */
const char *purpose_at(const char *types, uint64_t at, uint64_t nr_sectors);

/**
 * struct purpose - some sectors in a row that have one purpose
 * @range: which, numbers of the whole device
 * @text: what they are for, empty: not known; and what repairs it, where that is known
 */
struct purpose {
	struct sector_range range;
	char text[200];
};

/*
 * Of all sectors that @places names as unreadable, in order; the caller frees.  @fd: of the
 * device, on which copies of what is gone are looked for.
 */
int purposes_of(const struct places *places, int fd, struct purpose **purposes,
		size_t *nr_purposes);

#endif /* DM_REMAP_PURPOSE_H */
