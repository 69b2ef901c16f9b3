// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "set/scan.h"
#include "smartctl.h"
#include "system/lock.h"
#include "util/limited.h"

#define STACK_MAX 8
#define OUTPUT_BYTES_MAX (1 << 20)
/* Its lock is smartctl's: one that hangs with its disk keeps the next one from being started. */
#define LOCK_PATH RUN_DIR "/smart"
#define LOCK_FD 3

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

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until its end, the deadline, or too much. */
static int read_until(int fd, uint64_t deadline, char **text, size_t *nr_bytes)
{
	_cleanup_free_ char *buffer = malloc(OUTPUT_BYTES_MAX + 1);
	size_t length = 0;

	if (!buffer)
		return -ENOMEM;
	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		uint64_t now = now_ms();
		ssize_t n;

		if (now >= deadline)
			return -ETIMEDOUT;
		/* its end is an event, too */
		if (poll(&poll_fd, 1, (int)(deadline - now)) <= 0)
			continue;
		n = read(fd, buffer + length, OUTPUT_BYTES_MAX - length);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		length += n > 0 ? (size_t)n : 0;
		if (length == OUTPUT_BYTES_MAX)
			return -EFBIG;
	}
	buffer[length] = '\0';
	*text = buffer;
	*nr_bytes = length;
	buffer = NULL;
	return 0;
}

/* @lock: -1: none. */
static int spawn(const char *disk, int output, int lock, pid_t *pid)
{
	const char *argv[] = {
		"smartctl", "--json", "-n", "standby", "-i", "-H", "-A", disk, NULL
	};
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!r && lock >= 0)
		r = posix_spawn_file_actions_adddup2(&actions, lock, LOCK_FD);
	if (!r)
		r = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int smartctl_run(const char *disk, char **text, size_t *nr_bytes)
{
	_cleanup_close_ int input = -1, lock = -1;
	uint64_t deadline;
	int pipes[2], r;
	pid_t pid;

	/* without a place for locks the disk is still asked */
	if ((mkdir(RUN_DIR, 0700) == 0 || errno == EEXIST) &&
	    lock_device_in(LOCK_PATH, &lock, device_number(disk), NULL) == -EBUSY)
		return -ETIMEDOUT;
	deadline = now_ms() + SMARTCTL_SECONDS * 1000;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	input = pipes[0];
	r = spawn(disk, pipes[1], lock, &pid);
	close(pipes[1]);
	if (r < 0)
		return r;
	r = read_until(input, deadline, text, nr_bytes);
	if (r < 0 || limited_wait(pid, deadline, NULL) < 0)
		kill(pid, SIGKILL);
	/* one that waits in the kernel for its disk does not end: it is not waited for */
	waitpid(pid, NULL, WNOHANG);
	return r;
}
