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

/* Aligned for direct I/O, and zero. */
uint8_t *aligned_bytes(size_t nr_bytes);
int no_memory(struct error *error);
/* Smallest piece that can be written, at most a chunk. */
uint32_t logical_bytes(int fd);

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
/*
 * The content of some sectors is not brought back by the release that follows, whether it is
 * lost or main does not take it: main keeps what it holds there, an error or something older.
 * -EINVAL: they are not remapped, or of a chunk that hides something.
 */
int adopt_give_up(struct adopted *adopted, uint64_t sector, uint64_t nr_sectors,
		  struct error *error);
/* What adopt_release() would refuse and that can be known by reading the spare: no change. */
int adopt_check_release(struct adopted *adopted, struct error *error);
/*
 * Ends a set: main gets back what the spare serves, is read again, then the spare is wiped.
 * -EBUSY with the first sector that main does not take, or that is lost: that is found
 * before anything that counts is changed, and the set is as it was.  If main fails between
 * the trial and the end, the release is taken back; the sentence says if that failed, too.
 */
int adopt_release(struct adopted *adopted, struct error *error);
/* Undoes or completes what was interrupted; -ECANCELED with a sentence when that is done. */
int adopt_mend(const struct machine *machine, const struct assembly *set, struct error *error);

/**
 * struct stale_options - how to release without the spare
 * @keep_header: file for the safety copy of the member header, where main has no place for it,
 *               and from which an interrupted order goes on; NULL: none
 * @chunk0: main's original chunk 0 from a backup; NULL: what the header keeps
 * @uuid: of the backup's set
 */
struct stale_options {
	const char *keep_header;
	const uint8_t *chunk0;
	uint8_t uuid[REMAP_UUID_BYTES];
};

/**
 * struct stale_release - what release without the spare left behind
 * @lost_chunk: main chunk whose content was only on the spare; UINT64_MAX: none was found
 */
struct stale_release {
	uint64_t lost_chunk;
};

/*
 * Makes main readable from main alone (O2), with the hidden content as it was at create.  A
 * power cut leaves the guarded main or one with which the same order goes on.
 */
int adopt_release_without_spare(const char *main_path, const struct stale_options *options,
				struct stale_release *result, struct error *error);

#endif /* DM_REMAP_ADOPT_H */
