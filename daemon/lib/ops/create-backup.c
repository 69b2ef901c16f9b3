// SPDX-License-Identifier: GPL-2.0-or-later
/* The set's first backup: where it can be, and writing it before anything of main is overwritten. */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "format/backup.h"
#include "ops/create-steps.h"
#include "set/scan.h"

/*
 * Without the spare some of main is in the backup only: the chunk that becomes the mark's, which a
 * member header's place on main could not tell either, and a chunk 0 that the header has no room
 * for.
 */
static bool needs_backup(const struct create_request *a)
{
	return !a->guard || a->chunk0_elsewhere;
}

/*
 * The backup of an earlier create with the same words, whose set was undone: neither disk is a
 * member, and what was never active has no mark on main that would tell the backup's age.
 */
static bool is_left_behind(const struct create_request *a)
{
	_cleanup_backup_ struct backup backup = { 0 };
	const struct remap_super *super = &backup.super;
	uint8_t host[16];

	host_id(host);
	return *a->backup_path && backup_read(a->backup_path, &backup, NULL) == 0 &&
	       memcmp(super->uuid, a->uuid, sizeof(super->uuid)) != 0 &&
	       !(super->flags & REMAP_SUPER_MARKED) &&
	       !memcmp(super->host_id, host, sizeof(host)) &&
	       !strncmp((const char *)super->label, a->label, sizeof(super->label)) &&
	       super->main_sectors == a->main_sectors &&
	       !strncmp((const char *)super->identity, a->main_identity, sizeof(super->identity)) &&
	       streq(backup.spare_identity, a->spare_identity);
}

static int check_backup_directory(const char *path, struct stat *st, struct error *error)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		 slash ? path : ".");
	if (stat(parent, st) < 0 || access(parent, W_OK) < 0)
		return error_set(
			error, EPERM,
			"cannot write the backup of the set, %.300s: %s; nothing was changed. Use "
			"--backup FILE to store it elsewhere",
			path, strerror(errno));
	return 0;
}

/* The disk that the backup would be on, if it is a member's: then it would be no backup. */
static int check_backup_disk(const struct create_request *a, const struct stat *st,
			     struct error *error)
{
	char disk[PATH_MAX], main_disk[PATH_MAX], spare_disk[PATH_MAX];
	bool on_main, on_spare;

	create_disk_of(st->st_dev, disk, sizeof(disk));
	create_disk_of(device_number(a->main_path), main_disk, sizeof(main_disk));
	create_disk_of(device_number(a->spare_path), spare_disk, sizeof(spare_disk));
	on_main = *disk && streq(disk, main_disk);
	on_spare = *disk && streq(disk, spare_disk);
	if (on_main || on_spare)
		return error_set(error, EPERM,
				 "%s is on the same disk as %s; store the backup on another disk",
				 a->backup_path, on_main ? a->main_path : a->spare_path);
	return 0;
}

/* Without the backup there is no set; the usual place may be on either disk: it is printed. */
int create_check_backup(const struct create_request *a, struct error *error)
{
	char path[PATH_MAX];
	struct error why;
	struct stat st;
	int r;

	if (*a->backup_path) {
		/* a new set has none yet: it would be another's */
		r = is_left_behind(a) ? 0 : backup_check_target(a->backup_path, a->uuid, error);
		if (r < 0)
			return r;
		r = check_backup_directory(a->backup_path, &st, error);
		return !r && needs_backup(a) ? check_backup_disk(a, &st, error) : r;
	}
	if (a->chunk0_elsewhere)
		return error_set(
			error, EPERM,
			"the first 4 KiB of %s do not fit into its member header, and must be "
			"kept in a backup on another disk; use --backup FILE",
			a->main_path);
	r = backup_default_path(a->uuid, path, sizeof(path), &why);
	if (r < 0)
		return error_set(
			error, EPERM,
			"cannot write the backup of the set: %.300s; nothing was changed. Use "
			"--backup FILE to store it elsewhere",
			why.text);
	return check_backup_directory(path, &st, error);
}

/* The set's first backup, before anything of main is overwritten: without it there is no set. */
int create_write_backup(struct create_request *a, const struct remap_member_disk *header,
			struct error *error)
{
	_cleanup_backup_ struct backup backup = { 0 };
	struct region region;
	int r = region_open(a->spare_fd, 0, a->spare_sectors, &region, error);

	if (!r)
		r = backup_make(&region, -1, a->spare_identity, &backup, error);
	if (!r && backup.nr_unreadable)
		r = error_set(error, EIO, "data read back from %s differs from what was written",
			      a->spare_path);
	if (!r && header) {
		remap_guard_encode(backup.header, a->uuid, a->main_sectors);
		memcpy(backup.header + REMAP_MEMBER_OFFSET, header, REMAP_MEMBER_BYTES);
		backup.has_header = true;
	}
	if (!r && !*a->backup_path)
		r = backup_default_path(a->uuid, a->backup_path, sizeof(a->backup_path), error);
	if (!r && is_left_behind(a))
		unlink(a->backup_path);
	return r ? r : backup_write(&backup, a->backup_path, error);
}
