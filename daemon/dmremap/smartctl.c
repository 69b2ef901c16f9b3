// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "set/scan.h"
#include "smartctl.h"
#include "system/lock.h"
#include "util/limited.h"

#define STACK_MAX 8
/* Its lock is smartctl's: one that hangs with its disk keeps the next one from being started. */
#define LOCK_PATH RUN_DIR "/smart"

/* The only entry of a directory of sysfs; how many there are. */
static int only_entry(const char *directory, char *name, size_t nr_bytes)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	struct dirent *entry;
	int nr = 0;

	while (dir && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(name, nr_bytes, "%s", entry->d_name);
		nr++;
	}
	return nr;
}

/* What is below @real, a block device in sysfs: 1: that is in @real now, 0: it is a disk. */
static int go_down(char real[PATH_MAX])
{
	char path[PATH_MAX + 16], name[NAME_MAX + 1], link[NAME_MAX + 32];
	int nr;

	snprintf(path, sizeof(path), "%s/partition", real);
	if (access(path, F_OK) == 0) {
		*strrchr(real, '/') = '\0';
		return 1;
	}
	snprintf(path, sizeof(path), "%s/slaves", real);
	nr = only_entry(path, name, sizeof(name));
	if (nr > 1)
		return -ENOTSUP;
	if (!nr)
		return 0;
	snprintf(link, sizeof(link), "/sys/class/block/%s", name);
	return realpath(link, real) ? 1 : -ENODEV;
}

int physical_disk_of(const char *in_table, char *path, size_t nr_bytes)
{
	unsigned int major_number, minor_number;
	char link[64], real[PATH_MAX];
	int r = 1;

	if (sscanf(in_table, "%u:%u", &major_number, &minor_number) != 2) {
		dev_t devno = device_number(in_table);

		major_number = major(devno);
		minor_number = minor(devno);
	}
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major_number, minor_number);
	if (!realpath(link, real))
		return -ENODEV;
	for (int i = 0; r == 1 && i < STACK_MAX; i++)
		r = go_down(real);
	if (r)
		return r < 0 ? r : -ENOTSUP;
	node_of_sysfs(strrchr(real, '/') + 1, path, nr_bytes);
	return 0;
}

int smartctl_run(const char *disk, char **text, size_t *nr_bytes)
{
	const char *argv[] = {
		"smartctl", "--json", "-n", "standby", "-i", "-H", "-A", disk, NULL
	};
	_cleanup_close_ int lock = -1;
	int code; /* bits of what the output says in words */

	/* without a place for locks the disk is still asked */
	if ((mkdir(RUN_DIR, 0700) == 0 || errno == EEXIST) &&
	    lock_device_in(LOCK_PATH, &lock, device_number(disk), NULL) == -EBUSY)
		return -ETIMEDOUT;
	return limited_run(argv, SMARTCTL_SECONDS, lock, text, nr_bytes, &code);
}
