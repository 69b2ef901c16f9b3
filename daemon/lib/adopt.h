/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set taken apart: both members of an inactive set open, and the steps that end it or
 * that mend an interrupted create or release (FORMAT.md section 7).  create.c makes sets.
 */
#ifndef DM_REMAP_ADOPT_H
#define DM_REMAP_ADOPT_H

#include "activate.h"
#include "region.h"

/**
 * struct adopted - an inactive set with both members open
 * @main_path: of main
 * @spare_path: of the spare
 * @main_fd: opened for direct I/O
 * @spare_fd: the same
 * @region: on @spare_fd
 * @table: its entries
 */
struct adopted {
	char main_path[256];
	char spare_path[256];
	int main_fd;
	int spare_fd;
	struct region region;
	struct region_table table;
};

#define ADOPTED_NONE                          \
	{                                     \
		.main_fd = -1, .spare_fd = -1 \
	}

/*
 * Opens both (@flags: O_RDONLY, or O_RDWR which takes them exclusively) and checks that
 * they are one set, whole and of one age: by the mark (O6).  A set with flags of create or
 * release is opened, too.
 */
int adopt_open(const char *main_path, const char *spare_path, int flags, struct adopted *adopted,
	       struct error *error);
void adopt_close(struct adopted *adopted);

/* As open_direct(), exclusively where @path is a block device; says who uses it. */
int open_exclusive(const char *path, struct error *error);

/* Undoes an interrupted create: main as it was, the spare wiped. */
int adopt_undo_create(struct adopted *adopted, struct error *error);
/*
 * Ends a set: main gets back what the spare serves, then the spare is wiped.  -EBUSY with
 * the first sector if one cannot be moved back or is lost: the set is then as it was.
 */
int adopt_release(struct adopted *adopted, struct error *error);
/* Undoes or completes what was interrupted; -ECANCELED with a sentence when that is done. */
int adopt_mend(const struct machine *machine, const struct assembly *set, struct error *error);

/**
 * struct stale_release - what release without the spare left behind
 * @lost_chunk: main chunk whose content was only on the spare; UINT64_MAX: none was found
 */
struct stale_release {
	uint64_t lost_chunk;
};

/* Makes main readable from main alone (O2), with the hidden content as it was at create. */
int adopt_release_without_spare(const char *main_path, struct stale_release *result,
				struct error *error);

#endif /* DM_REMAP_ADOPT_H */
