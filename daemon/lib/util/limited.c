// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "util/limited.h"

#define PAUSE_MS 20 /* of a kernel without pidfd */
#define KEPT_FD 3

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int read_until(int fd, uint64_t deadline, char **text, size_t *nr_bytes)
{
	_cleanup_free_ char *buffer = NULL;
	size_t length = 0, room = 0;

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		uint64_t now = now_ms();
		ssize_t n;

		if (now >= deadline)
			return -ETIMEDOUT;
		/* its end is an event, too */
		if (poll(&poll_fd, 1, (int)(deadline - now)) <= 0)
			continue;
		if (room - length < 4096) {
			char *bigger = realloc(buffer, room = room * 2 + 8192);

			if (!bigger)
				return -ENOMEM;
			buffer = bigger;
		}
		n = read(fd, buffer + length, room - length - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		length += n > 0 ? (size_t)n : 0;
		if (length > LIMITED_OUTPUT_MAX)
			return -EFBIG;
	}
	buffer[length] = '\0';
	*text = buffer;
	*nr_bytes = length;
	buffer = NULL;
	return 0;
}

int limited_wait(pid_t pid, uint64_t deadline, int *status)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	while (waitpid(pid, status, WNOHANG) == 0) {
		uint64_t now = now_ms(), left = deadline > now ? deadline - now : 0;

		if (!left)
			return -ETIMEDOUT;
		if (fd < 0 && left > PAUSE_MS)
			left = PAUSE_MS;
		poll(&poll_fd, 1, (int)left);
	}
	return 0;
}

static int spawn(const char *const *argv, int output, int kept, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!r && kept >= 0)
		r = posix_spawn_file_actions_adddup2(&actions, kept, KEPT_FD);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&actions,
							     KEPT_FD + (kept >= 0 ? 1 : 0));
	if (!r)
		r = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int limited_run(const char *const *argv, unsigned int seconds, int kept, char **text,
		size_t *nr_bytes, int *code)
{
	uint64_t deadline = now_ms() + seconds * 1000ULL;
	_cleanup_close_ int input = -1;
	int pipes[2], status = 0, r;
	pid_t pid;

	*text = NULL;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	input = pipes[0];
	r = spawn(argv, pipes[1], kept, &pid);
	close(pipes[1]);
	if (r < 0)
		return r;
	r = read_until(input, deadline, text, nr_bytes);
	if (!r)
		r = limited_wait(pid, deadline, &status);
	if (r < 0) {
		kill(pid, SIGKILL);
		/* one that waits in the kernel for its disk does not end: it is not waited for */
		waitpid(pid, &status, WNOHANG);
		free(*text);
		*text = NULL;
	}
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return r;
}
