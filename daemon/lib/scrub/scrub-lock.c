// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "scrub/scrub-lock.h"
#include "system/lock.h"

static int open_lock(const char *key, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), RUN_DIR "/scrub-%s", key);
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* A lock of the process: the kernel tells whose it is, and takes it away when that ends. */
int scrub_lock(const char *key, int *fd, struct error *error)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (mkdir(RUN_DIR, 0700) < 0 && errno != EEXIST)
		return error_set(error, errno, RUN_DIR ": cannot make it: %s", strerror(errno));
	*fd = open_lock(key, O_RDWR | O_CREAT);
	if (*fd < 0)
		return error_set(error, errno, RUN_DIR "/scrub-%s: cannot open it: %s", key,
				 strerror(errno));
	if (fcntl(*fd, F_SETLK, &lock) < 0)
		return error_set(error, EBUSY, "a scrub of it is at work already (process %d)",
				 (int)scrub_find_process(key));
	return 0;
}

pid_t scrub_find_process(const char *key)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open_lock(key, O_RDONLY);
	pid_t pid = 0;

	if (fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		pid = lock.l_pid;
	if (fd >= 0)
		close(fd);
	return pid;
}
