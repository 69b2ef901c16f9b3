// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/ini.h"

#define FILE_MAX_BYTES (1U << 20)
#define DROP_INS_MAX 256

/**
 * struct reader - files while they are read
 * @f: the caller's
 * @userdata: its argument
 * @nr_mistakes: so far
 */
struct reader {
	ini_line_f f;
	void *userdata;
	int nr_mistakes;
};

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static void complain(struct reader *reader, const struct ini_line *line, const char *mistake)
{
	reader->nr_mistakes++;
	reader->f(reader->userdata, line, mistake);
}

/* "[group]" alone on its line; what is behind the bracket may be a comment. */
static bool read_group(char *text, char *group, size_t nr_bytes)
{
	char *end = strchr(text, ']');

	if (!end)
		return false;
	*end++ = '\0';
	end = trim(end);
	if (*end && *end != '#' && *end != ';')
		return false;
	return (size_t)snprintf(group, nr_bytes, "%s", trim(text + 1)) < nr_bytes;
}

/* A "#" behind a blank begins a comment; in a word it is part of it. */
static char *cut_comment(char *value)
{
	for (char *at = value; *at; at++)
		if (*at == '#' && (at == value || isblank((unsigned char)at[-1])))
			*at-- = '\0';
	return trim(value);
}

static void read_line(struct reader *reader, struct ini_line *line, char *text, char *group,
		      size_t nr_group)
{
	char *equals;

	text = trim(text);
	if (!*text || *text == '#' || *text == ';')
		return;
	if (*text == '[') {
		*group = '\0';
		if (!read_group(text, group, nr_group) || !*group)
			complain(reader, line, "not a group; write [NAME]");
		return;
	}
	equals = strchr(text, '=');
	if (!equals || equals == text) {
		complain(reader, line, "neither a group ([NAME]) nor a setting (KEY = VALUE)");
		return;
	}
	*equals = '\0';
	line->key = trim(text);
	line->value = cut_comment(equals + 1);
	if (!*group)
		complain(reader, line, "setting before the first group ([NAME])");
	else
		reader->f(reader->userdata, line, NULL);
}

/* Nothing that has no end, and no pipe to wait for; /dev/null masks a file, and is empty. */
static int read_text(const char *path, char **text, size_t *nr_bytes)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	return read_fd(fd, FILE_MAX_BYTES, text, nr_bytes);
}

static int read_one(struct reader *reader, const char *path)
{
	_cleanup_free_ char *text = NULL;
	struct ini_line line = { .file = path, .group = "", .key = "", .value = "" };
	char group[64] = "", *at, *end;
	size_t nr_bytes;
	int r = read_text(path, &text, &nr_bytes);

	if (r < 0) {
		complain(reader, &line, r == -EINVAL ? "not a regular file" : strerror(-r));
		return r;
	}
	if (strlen(text) != nr_bytes) {
		complain(reader, &line, "not a text file");
		return 0;
	}
	at = strncmp(text, "\xef\xbb\xbf", 3) ? text : text + 3; /* a byte order mark */
	for (; *at; at = end) {
		end = at + strcspn(at, "\n");
		if (*end)
			*end++ = '\0';
		line.number++;
		line.group = group;
		line.key = line.value = "";
		read_line(reader, &line, at, group, sizeof(group));
	}
	return 0;
}

static int is_drop_in(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return *entry->d_name != '.' && dot && streq(dot, ".conf");
}

/* The administrator's, or where there is none the vendor's; ENOENT: neither. */
static const char *choose(const char *vendor, const char *admin, const char *name, char *path,
			  size_t nr_bytes)
{
	struct stat st;

	snprintf(path, nr_bytes, "%s/%s", admin, name);
	/* a link that leads nowhere is a mistake */
	if (lstat(path, &st) == 0)
		return path;
	snprintf(path, nr_bytes, "%s/%s", vendor, name);
	return lstat(path, &st) == 0 ? path : NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds the names of one directory to @names; those that are there already are the same file. */
static size_t collect(const char *directory, const char *name, char **names, size_t nr)
{
	struct dirent **found = NULL;
	char path[PATH_MAX];
	int nr_found;

	snprintf(path, sizeof(path), "%s/%s.conf.d", directory, name);
	nr_found = scandir(path, &found, is_drop_in, NULL);
	for (int i = 0; i < nr_found; i++) {
		bool known = nr == DROP_INS_MAX;

		for (size_t j = 0; j < nr; j++)
			known |= streq(names[j], found[i]->d_name);
		if (!known)
			names[nr++] = strdup(found[i]->d_name);
		free(found[i]);
	}
	free(found);
	return nr;
}

int ini_read(const char *vendor, const char *admin, const char *name, ini_line_f f, void *userdata)
{
	struct reader reader = { f, userdata, 0 };
	char *names[DROP_INS_MAX], file[PATH_MAX], path[PATH_MAX];
	size_t nr = 0;
	int r = 0;

	snprintf(file, sizeof(file), "%s.conf", name);
	if (choose(vendor, admin, file, path, sizeof(path)))
		r = read_one(&reader, path);
	nr = collect(admin, name, names, nr);
	nr = collect(vendor, name, names, nr);
	qsort(names, nr, sizeof(*names), by_name);
	for (size_t i = 0; i < nr; i++) {
		int own = 0;

		snprintf(file, sizeof(file), "%s.conf.d/%.200s", name, strna(names[i]));
		if (choose(vendor, admin, file, path, sizeof(path)))
			own = read_one(&reader, path);
		r = r < 0 ? r : own;
		free(names[i]);
	}
	return r < 0 ? r : reader.nr_mistakes;
}
