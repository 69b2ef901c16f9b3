/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sectors of a set are used for: what a search (files.h) finds. */
#ifndef DM_REMAP_HITS_H
#define DM_REMAP_HITS_H

#include "files/runs.h"

/* So many are kept; of those beyond it only the sectors are counted. */
#define HITS_MAX 200000
#define HIT_NOTES_MAX 16
#define HIT_OFFSET_UNKNOWN UINT64_MAX

enum hit_kind {
	HIT_FILE,
	HIT_DIRECTORY,
	HIT_INODE,	 /* in use by an inode whose name was not found */
	HIT_METADATA,	 /* of the file system itself */
	HIT_FREE,	 /* of the file system, and not in use */
	HIT_SWAP,	 /* of an active swap device */
	HIT_UNUSED,	 /* in none of the volumes or partitions on the set */
	HIT_NOT_MOUNTED, /* what it is cannot be told from outside */
	HIT_UNKNOWN,	 /* it could not be found out; @what says why */
};

/**
 * struct hit - what some sectors are used for
 * @sector: first, on the set
 * @nr_sectors: how many
 * @kind: what they are
 * @inode: number; 0: none
 * @offset: where they lie in the file, in bytes; only of HIT_FILE and HIT_INODE
 * @path: of the file, foreign bytes; NULL: none
 * @what: in a few words, printable: "block bitmap", "ext4, not mounted"; may be empty
 * @device: the volume or partition, "/dev/dm-3"; empty: the set itself
 */
struct hit {
	uint64_t sector;
	uint64_t nr_sectors;
	enum hit_kind kind;
	uint64_t inode;
	uint64_t offset;
	char *path;
	char what[96];
	char device[32];
};

/**
 * struct hits - all of them
 * @at: them, by sector after hits_sort()
 * @nr: how many
 * @room: for so many
 * @nr_dropped: those beyond HITS_MAX
 * @notes: what kept the search from being whole, for people
 * @nr_notes: how many
 */
struct hits {
	struct hit *at;
	size_t nr;
	size_t room;
	uint64_t nr_dropped;
	char notes[HIT_NOTES_MAX][256];
	size_t nr_notes;
};

void hits_done(struct hits *hits);
#define _cleanup_hits_ _cleanup_(hits_done)

/* Copies; one that goes on where the last one ended becomes one with it. */
int hits_add(struct hits *hits, const struct hit *hit);
/* The same of all @runs, with what @like says. */
int hits_add_runs(struct hits *hits, const struct runs *runs, const struct hit *like);
void hits_note(struct hits *hits, const char *format, ...) _printf_(2, 3);
void hits_sort(struct hits *hits);
/* "file", "not-mounted" and the like. */
const char *hit_kind_name(enum hit_kind kind);

#endif /* DM_REMAP_HITS_H */
