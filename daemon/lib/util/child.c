// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "util/child.h"
#include "util/util.h"

static int spawn(const char *const argv[], int output, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 2);
	if (!r)
		r = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* To its end, also what does not fit. */
static void read_output(int fd, char *text, size_t nr_bytes)
{
	char rest[4096];
	size_t length = 0;
	ssize_t n;

	for (;;) {
		size_t room = nr_bytes - 1 - length;

		n = read(fd, room ? text + length : rest, room ? room : sizeof(rest));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (room)
			length += (size_t)n;
	}
	while (length && text[length - 1] == '\n')
		length--;
	text[length] = '\0';
}

int child_run(const char *const argv[], char *text, size_t nr_bytes, int *exit_code)
{
	int pipes[2], status, r;
	pid_t pid;

	*text = '\0';
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	r = spawn(argv, pipes[1], &pid);
	close(pipes[1]);
	if (!r)
		read_output(pipes[0], text, nr_bytes);
	close(pipes[0]);
	if (r < 0)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}
