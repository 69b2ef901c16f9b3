// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * realpath() would hide whose links it follows: a link of another user's names any program of
 * root's, and he may change it at any time.
 */
#include <errno.h>

#include "hook-owner.h"

#define LINKS_MAX 40
#define WRITABLE_BY_OTHERS (S_IWGRP | S_IWOTH)

static int is_roots(const char *path, const struct stat *st, bool may_be_sticky, char *why,
		    size_t nr_bytes)
{
	bool is_sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
	bool is_link = S_ISLNK(st->st_mode);

	if (st->st_uid != 0)
		snprintf(why, nr_bytes, "%s is not root's: chown %sroot %s", path,
			 is_link ? "-h " : "", path);
	else if (!is_link && (st->st_mode & WRITABLE_BY_OTHERS) && !(is_sticky && may_be_sticky))
		snprintf(why, nr_bytes, "others can write %s: chmod go-w %s", path, path);
	else
		return 0;
	return -EPERM;
}

/* The first name of @left is moved behind @real.  1: done; 0: there is none; or -ENAMETOOLONG. */
static int take_name(char left[PATH_MAX], char real[PATH_MAX])
{
	size_t skip = strspn(left, "/"), length = strcspn(left + skip, "/"), at = strlen(real);
	const char *name = left + skip;

	if (!length)
		return 0;
	if (at + 1 + length >= PATH_MAX)
		return -ENAMETOOLONG;
	if (length == 2 && !strncmp(name, "..", 2))
		*(strrchr(real, '/') ?: real) = '\0';
	else if (length != 1 || *name != '.')
		snprintf(real + at, PATH_MAX - at, "/%.*s", (int)length, name);
	memmove(left, name + length, strlen(name + length) + 1);
	return 1;
}

/* What the link @real says comes first, and then what was left. */
static int follow(char left[PATH_MAX], char real[PATH_MAX])
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t length = readlink(real, target, sizeof(target) - 1);

	if (length < 0)
		return -errno;
	target[length] = '\0';
	snprintf(rest, sizeof(rest), "%s", left);
	if (snprintf(left, PATH_MAX, "%s%s", target, rest) >= PATH_MAX)
		return -ENAMETOOLONG;
	*(*target == '/' ? real : strrchr(real, '/')) = '\0';
	return 0;
}

int hook_owner_check(const char *path, char real[PATH_MAX], struct stat *st, char *why,
		     size_t nr_bytes)
{
	unsigned int nr_links = 0;
	char left[PATH_MAX];
	int r = *path == '/' ? 1 : -EINVAL;

	*real = '\0';
	snprintf(left, sizeof(left), "%s", path);
	while (r > 0) {
		const char *at = *real ? real : "/";

		if (lstat(at, st) < 0) {
			r = -errno;
		} else if (is_roots(at, st, left[strspn(left, "/")], why, nr_bytes) < 0) {
			return -EPERM;
		} else if (!S_ISLNK(st->st_mode)) {
			r = take_name(left, real);
		} else {
			r = ++nr_links > LINKS_MAX ? -ELOOP : follow(left, real);
			if (!r)
				r = take_name(left, real);
			if (!r)
				r = 1;
		}
	}
	if (r < 0)
		snprintf(why, nr_bytes, "%s", strerror(-r));
	return r;
}
