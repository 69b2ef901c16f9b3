/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that is looked at beside what a command is about: by a child, with a deadline (ask.h).
 * Callers: the inventory, `dmremap release`, and the verbs that read a disk which is named.
 */
#ifndef DM_REMAP_LOOK_H
#define DM_REMAP_LOOK_H

#include "remap_format.h"
#include "util/util.h"

/**
 * struct spare_look - what a spare says
 * @is_set: a superblock can be believed
 * @is_whole: so can all of its table
 * @has_guard: main is hidden
 * @host_id: of the set's host; zeros: none
 */
struct spare_look {
	bool is_set;
	bool is_whole;
	bool has_guard;
	uint8_t host_id[REMAP_UUID_BYTES];
};

/* -ETIMEDOUT: the disk does not answer; one that cannot be read is no set. */
int look_at_spare(const char *path, struct spare_look *look, struct error *error);
/* Whether a spare is older than the mark of its main says (O6); false: it is not known. */
bool look_is_outdated(const char *main_path, const char *spare_path);
/*
 * The mark of any set near the end of a disk, as mark_find().  -ENODATA: there is none;
 * -ETIMEDOUT: the disk does not answer.
 */
int look_for_mark(const char *path, uint8_t uuid[REMAP_UUID_BYTES], uint64_t *chunk,
		  struct error *error);
/*
 * Whether a disk that is read next, by the command itself, answers at all: 0 or -ETIMEDOUT.  Of an
 * image that is not asked.
 */
int look_answers(const char *path, struct error *error);

#endif /* DM_REMAP_LOOK_H */
