// SPDX-License-Identifier: GPL-2.0-or-later
#include <glob.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "doctor-files.h"

static void full_path(const struct doctor_world *world, char path[FULL_PATH_BYTES],
		      const char *format, va_list arguments)
{
	int length = snprintf(path, FULL_PATH_BYTES, "%s", world->root);

	vsnprintf(path + length, FULL_PATH_BYTES - (size_t)length, format, arguments);
}

#define FULL_PATH(world, path, format)                         \
	do {                                                   \
		va_list arguments;                             \
                                                               \
		va_start(arguments, format);                   \
		full_path((world), (path), format, arguments); \
		va_end(arguments);                             \
	} while (0)

void path_below(const struct doctor_world *world, char path[FULL_PATH_BYTES], const char *format,
		...)
{
	FULL_PATH(world, path, format);
}

bool exists_below(const struct doctor_world *world, const char *format, ...)
{
	char path[FULL_PATH_BYTES];

	FULL_PATH(world, path, format);
	return access(path, F_OK) == 0;
}

bool is_program_below(const struct doctor_world *world, const char *path)
{
	char full[FULL_PATH_BYTES];

	path_below(world, full, "%s", path);
	return access(full, X_OK) == 0;
}

bool is_masked_below(const struct doctor_world *world, const char *path)
{
	char full[FULL_PATH_BYTES], target[64];
	struct stat st;
	ssize_t n;

	path_below(world, full, "%s", path);
	n = readlink(full, target, sizeof(target) - 1);
	if (n >= 0) {
		target[n] = '\0';
		return streq(target, "/dev/null");
	}
	return stat(full, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

void first_line_below(const struct doctor_world *world, char *text, size_t nr_bytes,
		      const char *format, ...)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[FULL_PATH_BYTES];

	FULL_PATH(world, path, format);
	*text = '\0';
	file = fopen(path, "re");
	if (file && fgets(text, (int)nr_bytes, file))
		text[strcspn(text, "\n")] = '\0';
}

char *read_below(const struct doctor_world *world, size_t *nr_bytes, const char *format, ...)
{
	char path[FULL_PATH_BYTES], *data = NULL;

	FULL_PATH(world, path, format);
	return read_file(path, &data, nr_bytes) < 0 ? NULL : data;
}

void last_match_below(const struct doctor_world *world, char *path, size_t nr_bytes,
		      const char *format, ...)
{
	char pattern[FULL_PATH_BYTES];
	glob_t found;

	FULL_PATH(world, pattern, format);
	*path = '\0';
	if (glob(pattern, 0, NULL, &found) == 0)
		snprintf(path, nr_bytes, "%s",
			 found.gl_pathv[found.gl_pathc - 1] + strlen(world->root));
	globfree(&found);
}
