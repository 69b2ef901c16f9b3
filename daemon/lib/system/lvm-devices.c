// SPDX-License-Identifier: GPL-2.0-or-later
#include <blkid/blkid.h>
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "system/lvm-devices.h"

#define PVID_BYTES 33 /* with the NUL */

extern char **environ;

/* The value of "KEY=value" in a line of words; false: it has none. */
static bool word_of(const char *line, size_t length, const char *key, char *value, size_t nr_bytes)
{
	size_t key_length = strlen(key);

	for (size_t i = 0; i + key_length < length; i++) {
		size_t end = i + key_length;

		if ((i && line[i - 1] != ' ') || strncmp(line + i, key, key_length))
			continue;
		end += strcspn(line + end, " \n");
		snprintf(value, nr_bytes, "%.*s", (int)(end - i - key_length),
			 line + i + key_length);
		return true;
	}
	return false;
}

bool lvm_devices_lists(const char *text, const char *path, const char *pvid, char other[256])
{
	*other = '\0';
	for (const char *line = text; *line; line += strspn(line, "\n")) {
		size_t length = strcspn(line, "\n");
		char value[256];

		if (*line != '#') {
			if ((word_of(line, length, "DEVNAME=", value, sizeof(value)) ||
			     word_of(line, length, "IDNAME=", value, sizeof(value))) &&
			    streq(value, path))
				return true;
			if (word_of(line, length, "PVID=", value, sizeof(value)) &&
			    streq(value, pvid))
				word_of(line, length, "DEVNAME=", other, 256);
		}
		line += length;
	}
	return false;
}

static void probe_p(blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

/* Of the physical volume on @path; empty: it is none. */
static void pvid_of(const char *path, char pvid[PVID_BYTES])
{
	_cleanup_(probe_p) blkid_probe probe = blkid_new_probe_from_filename(path);
	const char *type, *uuid;
	size_t nr = 0;

	*pvid = '\0';
	if (!probe)
		return;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID);
	if (blkid_do_safeprobe(probe) != 0 ||
	    blkid_probe_lookup_value(probe, "TYPE", &type, NULL) < 0 ||
	    !streq(type, "LVM2_member") || blkid_probe_lookup_value(probe, "UUID", &uuid, NULL) < 0)
		return;
	for (; *uuid && nr < PVID_BYTES - 1; uuid++)
		if (*uuid != '-')
			pvid[nr++] = *uuid;
	pvid[nr] = '\0';
}

/* Deeper than any stack that makes sense. */
#define DEPTH_MAX 16

/* The directory of a block device in sysfs; false: there is no such device. */
static bool find_sysfs(const char *path, char real[PATH_MAX])
{
	char link[64];
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return realpath(link, real);
}

/* Whether @below is what @device lies on, or a partition of that; both as directories of sysfs. */
static bool lies_on(const char *device, const char *below, unsigned int depth)
{
	_cleanup_closedir_ DIR *slaves = NULL;
	char path[PATH_MAX + 8], lower[PATH_MAX];
	size_t length = strlen(device);
	struct dirent *at;

	if (!strncmp(below, device, length) && (!below[length] || below[length] == '/'))
		return true;
	snprintf(path, sizeof(path), "%s/slaves", device);
	slaves = opendir(path);
	while (depth < DEPTH_MAX && slaves && (at = readdir(slaves))) {
		snprintf(path, sizeof(path), "%.3800s/slaves/%.255s", device, at->d_name);
		if (*at->d_name != '.' && realpath(path, lower) && lies_on(lower, below, depth + 1))
			return true;
	}
	return false;
}

/*
 * What the number of a physical volume says comes from a disk, and a copy of another one has the
 * same: only a device that this one lies on is the same volume, or one that there is no more.
 */
static bool is_same(const char *path, const char *other)
{
	char above[PATH_MAX], below[PATH_MAX];

	return !find_sysfs(other, below) || (find_sysfs(path, above) && lies_on(above, below, 0));
}

void lvm_devices_look(const char *path, struct lvm_devices *lacking)
{
	_cleanup_free_ char *text = NULL;
	char pvid[PVID_BYTES];

	memset(lacking, 0, sizeof(*lacking));
	if (read_file(LVM_DEVICES_FILE, &text, NULL) < 0)
		return;
	pvid_of(path, pvid);
	if (*pvid && !lvm_devices_lists(text, path, pvid, lacking->other))
		snprintf(lacking->path, sizeof(lacking->path), "%s", path);
	if (*lacking->other && !is_same(path, lacking->other))
		*lacking->other = '\0';
}

void lvm_devices_advice(const struct lvm_devices *lacking, char *text, size_t nr_bytes)
{
	snprintf(text, nr_bytes,
		 "%s is a physical volume that is missing in LVM's devices file; run lvm "
		 "lvmdevices --adddev %s%s%s",
		 lacking->path, lacking->path, *lacking->other ? "; lvm lvmdevices --deldev " : "",
		 lacking->other);
}

/* By way of "lvm": Debian 12 has no link of the name lvmdevices. */
static int run(const char *option, const char *path, struct error *error)
{
	char *const argv[] = { (char *)"lvm",  (char *)"lvmdevices", (char *)"--yes",
			       (char *)option, (char *)path,	     NULL };
	int status, r;
	pid_t pid;

	r = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (r)
		return error_set(error, r, "lvm lvmdevices: cannot start it: %s", strerror(r));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(error, errno, "lvm lvmdevices: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return error_set(error, EIO, "lvm lvmdevices %s %s failed", option, path);
	return 0;
}

int lvm_devices_mend(const struct lvm_devices *lacking, struct error *error)
{
	int r = run("--adddev", lacking->path, error);

	if (!r && *lacking->other)
		r = run("--deldev", lacking->other, error);
	return r;
}
