/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All files of a mounted file system, also those below places where others are mounted: names for
 * sectors, and for inodes.
 */
#ifndef DM_REMAP_WALK_H
#define DM_REMAP_WALK_H

#include "files/hits.h"
#include "util/progress.h"

/**
 * struct owner - sectors of which the file system said to which inode they belong
 * @inode: number
 * @sector: first, on the set
 * @nr_sectors: how many
 * @offset: in the file, bytes
 * @what: "extent map", or empty: the content
 * @is_named: a name was found
 */
struct owner {
	uint64_t inode;
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t offset;
	const char *what;
	bool is_named;
};

/**
 * struct walk - a search
 * @runs: sectors whose files are looked for, sorted
 * @owners: inodes whose names are looked for, sorted by number
 * @nr_owners: how many
 * @hits: what was found is added to them
 * @device: of struct hit
 * @found: as @runs, but those that are files'
 * @progress: an entry is a step; NULL: not shown
 * @deadline: of CLOCK_MONOTONIC, seconds; 0: none
 */
struct walk {
	const struct runs *runs;
	struct owner *owners;
	size_t nr_owners;
	struct hits *hits;
	const char *device;
	struct runs found;
	struct progress *progress;
	time_t deadline;
};

/* @place: where it is mounted.  -ETIMEDOUT: the deadline; what was found before is there. */
int walk_mounted(struct walk *walk, const char *place);

#endif /* DM_REMAP_WALK_H */
