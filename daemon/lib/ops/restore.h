/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backup put back, onto the set's own spare whose metadata is damaged, or onto another
 * device in its place.  What each of them can honestly restore:
 *
 *   the same spare, and no number above the backup's is seen anywhere: the blocks that are
 *   damaged come from the backup; the slots hold their data, so everything is there again;
 *
 *   the same spare, but older (said by the caller): what the damaged blocks named may have
 *   moved since, so only hidden chunks come back, as they were; the rest is lost;
 *
 *   another device: hidden chunks as they were; all other remapped sectors are lost.  The set's
 *   own spare is one as soon as another program's signature is on it: its slots may be that one's.
 *
 * A lost sector reads as an error until it is written: never as something older.
 */
#ifndef DM_REMAP_RESTORE_H
#define DM_REMAP_RESTORE_H

#include "format/backup.h"

/**
 * struct restoring - a backup on its way; the first part is the caller's
 * @backup: what is put back
 * @spare_path: where
 * @main_path: of the set's main device
 * @spare_fd: opened for direct I/O, exclusively
 * @main_fd: of the set's main device, -1: it is not here
 * @older: also when the backup is, or may be, older than the last remap
 * @wipe_spare: also onto a device with something else on it
 * @progress: of reading or writing the table; NULL: not shown
 *
 * @spare_sectors: length of the device
 * @same_spare: there is metadata of the set on it, and nothing of others
 * @reused: there is both
 * @half_restored: it is another device, and an earlier restore onto it was cut short
 * @only_record: an earlier restore onto it came to its end but for telling main
 * @has_super: a superblock of it can be believed, and none is known to be newer
 * @newest: highest number seen on the spare and on main
 * @committed: the same, of superblocks, tables and the mark: saved counters take numbers, too,
 *             and nothing depends on them
 * @current: nothing newer than the backup was committed, and main was looked at
 * @marked: main carries the set's mark
 * @mark: what it says
 * @region: on the spare
 * @table: of the same spare: what its blocks say, and the backup where they are damaged
 * @nr_damaged: table blocks of the same spare that cannot be believed: they are replaced
 * @has_outdated: of one of them an older copy is whole
 * @lost: entries whose sectors become lost; as they will be in the table
 * @nr_lost: how many
 * @nr_hidden: hidden chunks that come from the backup
 */
struct restoring {
	const struct backup *backup;
	const char *spare_path;
	const char *main_path;
	int spare_fd;
	int main_fd;
	bool older;
	bool wipe_spare;
	struct progress *progress;

	uint64_t spare_sectors;
	bool same_spare;
	bool reused;
	bool half_restored;
	bool only_record;
	bool has_super;
	uint64_t newest;
	uint64_t committed;
	bool current;
	bool marked;
	struct remap_mark mark;
	struct region region;
	struct region_table table;
	uint32_t nr_damaged;
	bool has_outdated;
	struct remap_entry *lost;
	uint32_t nr_lost;
	uint32_t nr_hidden;
};

/* Looks and decides; writes nothing.  Every refusal is a sentence. */
int restore_look(struct restoring *restoring, struct error *error);
/* Does it; may be repeated after a power cut. */
int restore_carry_out(struct restoring *restoring, struct error *error);
void restore_done(struct restoring *restoring);

#endif /* DM_REMAP_RESTORE_H */
