// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "set/gone.h"
#include "set/scan.h"

#define RUNTIME_DIRECTORY "/run/dm-remapd"

static void path_of(const char *key, const char *role, char *path, size_t nr_bytes)
{
	const char *directory = getenv("RUNTIME_DIRECTORY"); /* as systemd gives it to services */

	if (!directory || !*directory)
		directory = RUNTIME_DIRECTORY;
	snprintf(path, nr_bytes, "%s/gone-%s-%s", directory, role, key);
}

bool member_is_here(const char *in_table)
{
	unsigned int major_number, minor_number;
	char path[64];
	int end = 0;

	if (sscanf(in_table, "%u:%u%n", &major_number, &minor_number, &end) != 2 || in_table[end])
		return device_number(in_table) != 0;
	device_path(makedev(major_number, minor_number), path, sizeof(path));
	return *path;
}

void gone_note(const char *key, const char *role, bool is_gone)
{
	char path[PATH_MAX];

	path_of(key, role, path, sizeof(path));
	if (is_gone)
		close_p(&(int){ open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) });
	else
		unlink(path);
}

uint64_t gone_since(const char *key, const char *role)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(key, role, path, sizeof(path));
	return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_mtime;
}
