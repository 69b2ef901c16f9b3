/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a set whose spare is dead (O2): main made readable from main alone, and from a
 * backup where there is one.  Caller: `dmremap release --without-spare`.
 */
#ifndef DM_REMAP_WITHOUT_SPARE_H
#define DM_REMAP_WITHOUT_SPARE_H

#include <limits.h>

#include "format/backup.h"

/**
 * struct stale_release - a main that is to do without its spare; the first part is the caller's
 * @main_path: of it
 * @keep_header: file for the safety copy of the member header, where main has no place for it,
 *               and from which an interrupted command continues; NULL: none
 * @backup_path: of the set; empty: the usual place (backup.h) is looked at, and named here
 * @accept_loss: what only the spare had, and no backup has, becomes zeros
 *
 * @fd: of main, taken exclusively
 * @uuid: of the set
 * @guarded: its chunk 0 with the guard and the member header, or a copy of it; NULL: no guard
 * @is_own: @guarded is main's own chunk 0, so nothing was begun yet
 * @has_ended: only the place of the safety copy is left to be written
 * @probe_chunk: whose content was on the spare only: the mark is there; UINT64_MAX: not found
 * @backup: of the set
 * @has_backup: there is one
 */
struct stale_release {
	const char *main_path;
	const char *keep_header;
	char backup_path[PATH_MAX];
	bool accept_loss;

	int fd;
	uint8_t uuid[REMAP_UUID_BYTES];
	uint8_t *guarded;
	bool is_own;
	bool has_ended;
	uint64_t probe_chunk;
	struct backup backup;
	bool has_backup;
};

/* Looks, and writes nothing; main is held until stale_release_done(), also after an error. */
int stale_release_look(struct stale_release *release, struct error *error);
/* What the probe chunk held when the backup was made; NULL: no backup has it. */
const uint8_t *stale_release_probe(const struct stale_release *release);
/* Makes main readable.  After a power cut the same command continues. */
int stale_release_carry_out(struct stale_release *release, struct error *error);
void stale_release_done(struct stale_release *release);

#endif /* DM_REMAP_WITHOUT_SPARE_H */
