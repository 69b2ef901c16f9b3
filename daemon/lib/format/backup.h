/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backup of a spare: a file with the set's superblock, all entries of its table, what the
 * chunks hold that were hidden at create, and main's own header (backup.c).  It
 * has not what the other slots hold: that is on the spare only.  restore.c puts it back.
 */
#ifndef DM_REMAP_BACKUP_H
#define DM_REMAP_BACKUP_H

#include "format/region.h"

#define BACKUP_NO_CONTENT UINT32_MAX

/**
 * struct backup_entry - one slot that was not free
 * @slot: its number
 * @content: index in contents, BACKUP_NO_CONTENT: what it holds is not in the backup
 * @entry: of the table
 */
struct backup_entry {
	uint32_t slot;
	uint32_t content;
	struct remap_entry entry;
};

/**
 * struct backup - a backup in memory
 * @super: of the set, without the flags of create and release
 * @generation: highest number committed then
 * @created: when, seconds since 1970 UTC
 * @spare_identity: hardware of the spare, empty: none
 * @has_header: main has a guard, and @header is its first chunk: guard and member header
 * @header: REMAP_CHUNK_BYTES
 * @entry: all slots that were not free
 * @nr_entries: how many
 * @content: @nr_contents chunks, aligned for direct I/O
 * @nr_contents: how many
 * @nr_unreadable: when it was made: hidden chunks whose content could not be read; not in the
 *                 file
 */
struct backup {
	struct remap_super super;
	uint64_t generation;
	uint64_t created;
	char spare_identity[REMAP_IDENTITY_BYTES];
	bool has_header;
	uint8_t *header;
	struct backup_entry *entry;
	uint32_t nr_entries;
	uint8_t *content;
	uint32_t nr_contents;
	uint32_t nr_unreadable;
};

/*
 * Of an opened region whose table is whole; @main_fd: -1: main is not here.  The set may be
 * active: what changes meanwhile is read again.  The region's progress is shown.
 */
int backup_make(struct region *region, int main_fd, const char *spare_identity,
		struct backup *backup, struct error *error);
/* What may be replaced: an older backup of the same set, or an empty file. */
int backup_check_target(const char *path, const uint8_t uuid[REMAP_UUID_BYTES],
			struct error *error);
/*
 * Others who write backups or records into that directory wait until the descriptor is closed, for ten
 * seconds at most; -1: there is no such directory.
 */
int backup_lock(const char *path);
/* @other is newer, and was made no earlier: by another process, while @backup was made. */
bool backup_is_outdated(const struct backup *backup, const struct backup *other);
/* Durably, as a whole or not at all; and not where it is outdated by what is there. */
int backup_write(const struct backup *backup, const char *path, struct error *error);
/* The same for who has the lock, and has looked at what is there. */
int backup_write_locked(const struct backup *backup, const char *path, struct error *error);
/* Refuses what is damaged. */
int backup_read(const char *path, struct backup *backup, struct error *error);
void backup_done(struct backup *backup);
#define _cleanup_backup_ _cleanup_(backup_done)
/* What slot of @main_chunk held; NULL: it is not in the backup. */
const uint8_t *backup_content(const struct backup *backup, uint64_t main_chunk);
/* Of what is kept of sets: $STATE_DIRECTORY, or /var/lib/dm-remap. */
const char *state_directory(void);
/* Where create and `dmremap backup` without a file put it; the directory is made. */
int backup_default_path(const uint8_t uuid[REMAP_UUID_BYTES], char *path, size_t nr_bytes,
			struct error *error);
/* A backup in that place whose set has the name, or the UUID, @what.  -ENOENT: there is none. */
int backup_find(const char *what, char *path, size_t nr_bytes);
/* Of a set that has never been one: the backup that create put there, if there is one. */
void backup_forget(const uint8_t uuid[REMAP_UUID_BYTES]);

#endif /* DM_REMAP_BACKUP_H */
