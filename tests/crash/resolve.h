/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resolving a set from its bytes alone: which sector of main or of the spare
 * serves a sector of the mapped device.  It loads the metadata by the rules of
 * common/FORMAT.md, section 9, and writes nothing.  Callers: the crash
 * enumerator and remap-resolve.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "remap_format.h"

/* Reads NR sectors into BUFFER; 0, or a negative errno for an unreadable place. */
struct resolve_disk {
	int (*read)(void *context, u64 sector, u32 nr, void *buffer);
	void *context;
	u64 start; /* of the region; 0 for main */
	u64 sectors;
};

enum resolve_kind { RESOLVE_MAIN, RESOLVE_SPARE, RESOLVE_LOST };

struct resolve_place {
	enum resolve_kind kind;
	u64 sector; /* of main, or of the spare region */
};

struct resolve_map {
	struct remap_super super;
	struct remap_age age;	/* the numbers of the chosen blocks */
	struct remap_mark mark; /* what main's mark says; all zero: nothing */
	u64 newest_soft;	/* highest number of the counters; nothing depends on it (C15) */
	u32 nr_stale; /* blocks of which newer content is, or may be, lost: read-only (C5) */
	u64 nr_chunks;
	u32 *slot_of_chunk; /* slot + 1, 0: none */
	u8 *redirected;	    /* per chunk */
	u8 *lost;
	u8 *entry_generation;
	u64 *used;     /* chunks that have a slot */
	u32 nr_hidden; /* those of nr_stale where it cannot be seen */
	u32 nr_used;
	u32 nr_bad;
	u32 nr_repairs;	 /* copies a read-write activation would write */
	char error[256]; /* why loading failed */
	struct {
		u8 bytes[REMAP_BLOCK_BYTES];
	} __attribute__((aligned(8))) copy[REMAP_COPIES];
};

int resolve_init(struct resolve_map *map, u64 main_sectors);
void resolve_done(struct resolve_map *map);

/*
 * 0; -ENOENT: no superblock (blank, half-formatted or foreign); -EUCLEAN: two
 * copies contradict each other, or entries do; -EIO: a block has no valid
 * copy; -EINVAL: of another size; -EOPNOTSUPP: another version; -EBUSY: its
 * creation or release was interrupted.
 */
int resolve_load(struct resolve_map *map, const struct resolve_disk *spare, u64 main_sectors);

/*
 * 0; -ENODEV: not the recorded main; -ESTALE: the spare is an old copy (O6), and nothing else
 * says so: with a block that is, or may be, older it is served read-only.
 */
int resolve_check_mark(struct resolve_map *map, const struct resolve_disk *main_disk,
		       const struct resolve_disk *spare);

struct resolve_place resolve_sector(const struct resolve_map *map, u64 sector);

#endif
