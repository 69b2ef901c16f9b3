/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sectors as people name them: of the set, or of the disk that main lies on. */
#ifndef DM_REMAP_SECTORS_H
#define DM_REMAP_SECTORS_H

#include "set/whole-disk.h"
#include "verbs.h"

/**
 * struct sectors - what was named
 * @sector: of the set
 * @nr_sectors: how many, at least 1
 * @of_disk: they were named as of the disk, or of a device
 */
struct sectors {
	uint64_t sector;
	uint64_t nr_sectors;
	bool of_disk;
};

/* Arguments 1 and 2 of the verb: "SECTOR" or "DEVICE:SECTOR", and a count; --disk. */
int parse_named_sectors(const struct invocation *invocation, const struct dm_device *device,
			struct sectors *sectors, struct error *error);
/* One argument: the same, with its count as in "SECTOR+COUNT". */
int parse_sectors_argument(const struct invocation *invocation, const struct dm_device *device,
			   const char *text, struct sectors *sectors, struct error *error);
/*
 * Before sectors are moved away: says when they can all be read.  -EPERM: they can, and those
 * of the same number on the whole disk cannot: these are likely meant.
 */
int check_read_first(const struct invocation *invocation, const struct dm_device *device,
		     const struct sectors *sectors, struct error *error);

#endif /* DM_REMAP_SECTORS_H */
