/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set taken apart: both members of an inactive set open, and the steps that end it or
 * that mend an interrupted create or release (FORMAT.md section 7).  create.c makes sets.
 */
#ifndef DM_REMAP_ADOPT_H
#define DM_REMAP_ADOPT_H

#include "activate.h"
#include "places.h"
#include "progress.h"
#include "region.h"

/**
 * struct adopted - an inactive set with both members open
 * @main_path: of main
 * @spare_path: of the spare
 * @main_fd: opened for direct I/O
 * @spare_fd: the same
 * @region: on @spare_fd
 * @table: its entries
 * @give_up: lost sectors that need not be found again when the set ends
 * @still_lost: after adopt_release(): sectors that are errors on main, as they were in the set
 * @zeroed: after it: lost sectors in places of the set's own, which are zeros now
 * @progress: of what is done with it; NULL: not shown
 */
struct adopted {
	char main_path[256];
	char spare_path[256];
	int main_fd;
	int spare_fd;
	struct region region;
	struct region_table table;
	struct sector_ranges give_up;
	struct sector_ranges still_lost;
	struct sector_ranges zeroed;
	struct progress *progress;
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

/* Where slot @slot lies on the spare device, in bytes. */
off_t adopt_slot_offset(const struct adopted *adopted, uint32_t slot);
bool adopt_has_guard(const struct adopted *adopted);
/*
 * Of a set whose create or release was cut short: 1: main is still hidden, so what the spare
 * holds for it is due; 0: main is a plain disk, perhaps in use again, and only the spare is
 * to be wiped.  An error where that cannot be known: then nothing may be written.
 */
int adopt_is_due(const struct adopted *adopted, struct error *error);
/*
 * Undoes an interrupted create: main as it was, the spare wiped.  @begun: by the process that
 * was creating it, which knows that it had begun to hide main.
 */
int adopt_undo_create(struct adopted *adopted, bool begun, struct error *error);
/* What adopt_release() would refuse and that can be known by reading the spare: no change. */
int adopt_check_release(struct adopted *adopted, struct error *error);
/*
 * Ends a set: main gets back what the spare serves, is read again, then the spare is wiped.
 * -EBUSY with the first sector that main does not take, or that is lost: that is found
 * before anything that counts is changed, and the set is as it was.  If main fails between
 * the trial and the end, the release is taken back; the sentence says if that failed, too.
 */
int adopt_release(struct adopted *adopted, struct error *error);
/*
 * Whether a set can end with its lost sectors.  One that main cannot read either stays the error
 * that it is; another must be in adopted.give_up, for main would return something older, or what
 * the set itself has put there: -EBUSY with all of them.  -EINVAL: one of give_up is not lost.
 */
int adopt_check_lost(struct adopted *adopted, struct error *error);
/* Sectors of the hidden first chunk that are lost, a bit for each. */
uint8_t adopt_first_lost(const struct adopted *adopted);
/*
 * Undoes or completes what was interrupted; -ECANCELED with a sentence when that is done and there
 * is no set any more, 1: the set was completed, and counts.
 */
int adopt_mend(const struct machine *machine, const struct assembly *set, struct error *error);

#endif /* DM_REMAP_ADOPT_H */
