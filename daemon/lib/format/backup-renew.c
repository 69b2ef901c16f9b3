// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "format/backup-renew.h"

#define WEEK_SECONDS (7 * 86400)
/* How often the backup may be renewed while it is copied. */
#define TRIES 8

/* As they are on the media: what is between the fields in memory does not count. */
static bool is_same_entry(const struct backup_entry *a, const struct backup_entry *b)
{
	struct remap_entry_disk one, other;

	remap_entry_encode(&a->entry, &one);
	remap_entry_encode(&b->entry, &other);
	return a->slot == b->slot && !memcmp(&one, &other, sizeof(one));
}

/* But for the number, which commits raise that remap nothing. */
static bool is_same(const struct backup *a, const struct backup *b)
{
	if (a->nr_entries != b->nr_entries || a->has_header != b->has_header ||
	    a->nr_contents != b->nr_contents)
		return false;
	for (uint32_t i = 0; i < a->nr_entries; i++)
		if (!is_same_entry(&a->entry[i], &b->entry[i]))
			return false;
	return !memcmp(a->content, b->content, (size_t)a->nr_contents * REMAP_CHUNK_BYTES);
}

static uint64_t created(const char *path)
{
	_cleanup_backup_ struct backup backup = { 0 };

	return backup_read(path, &backup, NULL) < 0 ? 0 : backup.created;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* What is the oldest of the last three goes, or becomes that of the week. */
static int rotate(const char *path)
{
	char one[PATH_MAX], two[PATH_MAX], week[PATH_MAX], week2[PATH_MAX];
	uint64_t age_of_two;

	if (snprintf(one, sizeof(one), "%s.1", path) >= PATH_MAX ||
	    snprintf(two, sizeof(two), "%s.2", path) >= PATH_MAX ||
	    snprintf(week, sizeof(week), "%s.week", path) >= PATH_MAX ||
	    snprintf(week2, sizeof(week2), "%s.week2", path) >= PATH_MAX)
		return -ENAMETOOLONG;
	/* an earlier renewal came so far, and its new file was not written */
	if (is_same_file(path, one))
		return 0;
	age_of_two = created(two);
	if (age_of_two && age_of_two >= created(week) + WEEK_SECONDS) {
		if (rename(week, week2) < 0 && errno != ENOENT)
			return -errno;
		if (rename(two, week) < 0)
			return -errno;
	}
	if (rename(one, two) < 0 && errno != ENOENT)
		return -errno;
	/* a second name: the first one stays until the new file takes it */
	return link(path, one) < 0 ? -errno : 0;
}

int backup_renew(const struct backup *backup, const char *path, bool *is_current,
		 struct error *error)
{
	_cleanup_close_ int lock = backup_lock(path);
	_cleanup_backup_ struct backup old = { 0 };
	bool has_old = backup_read(path, &old, NULL) == 0;
	int r;

	/* another renewal read the spare later, and was here earlier */
	*is_current = has_old && backup_is_outdated(backup, &old);
	if (*is_current)
		return 0;
	if (backup->nr_unreadable)
		return error_set(
			error, EIO,
			"%u hidden chunk%s of the spare cannot be read; the previous backup, %s, "
			"is kept",
			backup->nr_unreadable, plural(backup->nr_unreadable), path);
	if (has_old && old.has_header && !backup->has_header)
		return error_set(
			error, EIO,
			"the header of the main device cannot be read; the previous backup, %s, "
			"which has it, is kept",
			path);
	if (has_old && is_same(backup, &old)) {
		*is_current = true;
		if (backup->generation == old.generation)
			return 0;
		/* restore goes by the number */
		return backup_write_locked(backup, path, error);
	}
	/* what is no backup of this set is refused before anything is moved */
	r = backup_check_target(path, backup->super.uuid, error);
	if (r < 0)
		return r;
	if (has_old) {
		r = rotate(path);
		if (r < 0)
			return error_set(error, -r, "%s: cannot keep the previous backup: %s", path,
					 strerror(-r));
	}
	return backup_write_locked(backup, path, error);
}

static bool has_changed(const char *path, const char *text, size_t nr_bytes)
{
	_cleanup_free_ char *now = NULL;
	size_t nr_now;

	return read_file(path, &now, &nr_now) == 0 &&
	       (nr_now != nr_bytes || memcmp(now, text, nr_bytes) != 0);
}

int backup_copy(const char *path, const char *directory, struct error *error)
{
	_cleanup_free_ char *text = NULL;
	const char *name = strrchr(path, '/');
	char copy[PATH_MAX];
	size_t nr_bytes;
	struct stat st;
	int r;

	if (snprintf(copy, sizeof(copy), "%s/%s", directory, name ? name + 1 : path) >= PATH_MAX)
		return error_set(error, ENAMETOOLONG, "%s: the path is too long", directory);
	if (stat(directory, &st) < 0 || !S_ISDIR(st.st_mode))
		return error_set(error, ENOTDIR, "%s: no such directory; check that it is mounted",
				 directory);
	r = read_file(path, &text, &nr_bytes);
	if (!r)
		r = write_file_atomic(copy, text, nr_bytes, 0600);
	/* what another renewal wrote meanwhile it may have copied before this one */
	for (int i = 0; !r && i < TRIES && has_changed(path, text, nr_bytes); i++) {
		free(text);
		text = NULL;
		r = read_file(path, &text, &nr_bytes);
		if (!r)
			r = write_file_atomic(copy, text, nr_bytes, 0600);
	}
	return r < 0 ? error_set(error, -r, "%s: cannot write this copy of the backup: %s", copy,
				 strerror(-r)) :
		       0;
}
