// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "alert-text.h"
#include "hook-owner.h"
#include "hooks.h"

/* From SIGTERM to SIGKILL, and from that to going on without it. */
#define KILL_MS 2000
#define WORDS_BYTES 200

/* A link is followed; 1: it is none that is to run. */
static int check_hook(const char *path, char real[PATH_MAX], char *why, size_t nr_bytes)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		snprintf(why, nr_bytes, "%s", strerror(errno));
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, nr_bytes, "it is no file");
		return 1;
	}
	if (!(st.st_mode & 0111)) {
		snprintf(why, nr_bytes, "it is not executable");
		return 1;
	}
	return hook_owner_check(path, real, &st, why, nr_bytes);
}

/* What editors and packages leave is no hook. */
static int is_hook_name(const struct dirent *entry)
{
	const char *name = entry->d_name;
	size_t length = strlen(name);

	return *name != '.' && length < 65 && name[length - 1] != '~' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		       length &&
	       !strstr(name, ".dpkg-") && !strstr(name, ".rpm") && !strstr(name, ".ucf-");
}

/**
 * struct running - a hook at work
 * @pid: its process, and its process group
 * @pidfd: becomes readable when it has ended
 * @output: read end of what it says
 * @words: the first of that, in one line
 */
struct running {
	pid_t pid;
	int pidfd;
	int output;
	char words[WORDS_BYTES];
};

static int spawn(const char *path, char *const *environment, int output, pid_t *pid)
{
	char *argv[] = { (char *)path, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t signals;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&attr, &signals);
	sigfillset(&signals);
	posix_spawnattr_setsigdefault(&attr, &signals);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&actions, output, 2);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	if (!r)
		r = posix_spawn(pid, path, &actions, &attr, argv, environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int start(struct running *running, const char *path, char *const *environment)
{
	_cleanup_close_ int write_end = -1;
	int pipes[2], r;

	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	running->output = pipes[0];
	write_end = pipes[1];
	/* only our end must not wait */
	fcntl(write_end, F_SETFL, 0);
	r = spawn(path, environment, write_end, &running->pid);
	if (r < 0)
		return r;
	running->pidfd = (int)syscall(SYS_pidfd_open, running->pid, 0);
	if (running->pidfd >= 0)
		return 0;
	/* nobody could wait for it: what is reported as not run does not run */
	r = -errno;
	kill(-running->pid, SIGKILL);
	waitpid(running->pid, NULL, 0);
	return r;
}

/* All of it is read, so that a hook which talks much does not wait; the first line is kept. */
static void take_output(struct running *running)
{
	size_t length = strlen(running->words);
	char text[4096];
	ssize_t n;

	while ((n = read(running->output, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n && length < WORDS_BYTES - 1; i++) {
			bool is_text = text[i] >= 0x20 && text[i] < 0x7f;

			if (is_text || length)
				running->words[length++] = is_text ? text[i] : ' ';
		}
	running->words[length] = '\0';
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether it ended within that time. */
static bool wait_for(struct running *running, int64_t nr_ms)
{
	int64_t until = now_ms() + nr_ms, left;
	struct pollfd fds[] = {
		{ .fd = running->pidfd, .events = POLLIN },
		{ .fd = running->output, .events = POLLIN },
	};

	while ((left = until - now_ms()) > 0) {
		if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
			return false;
		take_output(running);
		if (fds[0].revents)
			return true;
		if (fds[1].revents & POLLHUP)
			fds[1].fd = -1; /* it has closed it, and goes on */
	}
	return false;
}

/* Its group goes with it: what it has left in the background, too. */
static void end_group(struct running *running)
{
	for (int number = SIGTERM;; number = SIGKILL) {
		kill(-running->pid, number);
		if (wait_for(running, KILL_MS) || number == SIGKILL)
			break;
	}
	kill(-running->pid, SIGKILL);
	waitpid(running->pid, NULL, WNOHANG); /* it may wait in the kernel */
}

static void report_end(FILE *report, const char *name, int status, const char *words,
		       struct hooks_result *result)
{
	const char *colon = *words ? ": " : "";

	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		fprintf(report, HOOK_OK " %s\n", name);
		result->nr_ok++;
		return;
	}
	result->nr_bad++;
	if (WIFEXITED(status))
		fprintf(report, HOOK_FAILED " %s: exit code %d%s%s\n", name, WEXITSTATUS(status),
			colon, words);
	else
		fprintf(report, HOOK_FAILED " %s: signal %d ended it%s%s\n", name, WTERMSIG(status),
			colon, words);
}

static void run(const char *name, const char *path, unsigned int seconds, char *const *environment,
		FILE *report, struct hooks_result *result)
{
	struct running running = { .pid = -1, .pidfd = -1, .output = -1 };
	int status = 0, r = start(&running, path, environment);

	if (r < 0) {
		fprintf(report, HOOK_FAILED " %s: cannot run it: %s\n", name, strerror(-r));
		result->nr_bad++;
	} else if (wait_for(&running, (int64_t)seconds * 1000)) {
		kill(-running.pid, SIGKILL);
		waitpid(running.pid, &status, 0);
		report_end(report, name, status, running.words, result);
	} else {
		end_group(&running);
		fprintf(report,
			HOOK_LATE " %s: it did not end within %u second%s and was killed%s%s\n",
			name, seconds, plural(seconds), *running.words ? ": " : "", running.words);
		result->nr_bad++;
	}
	close_p(&running.pidfd);
	close_p(&running.output);
	fflush(report);
}

static void run_entry(const char *directory, const char *name, unsigned int seconds,
		      char *const *environment, FILE *report, struct hooks_result *result)
{
	char path[PATH_MAX], real[PATH_MAX], why[PATH_MAX * 2 + 64];
	int r;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	r = check_hook(path, real, why, sizeof(why));
	if (r < 0) {
		fprintf(report, HOOK_REFUSED " %s: %s\n", name, why);
		result->nr_bad++;
	} else if (r > 0) {
		fprintf(report, HOOK_SKIPPED " %s: %s\n", name, why);
	} else {
		run(name, real, seconds, environment, report, result);
	}
}

/* -ENOENT: there is none, which is no mistake. */
static int check_directory(const char *directory, char *why, size_t nr_bytes)
{
	char real[PATH_MAX];
	struct stat st;

	return hook_owner_check(directory, real, &st, why, nr_bytes);
}

struct hooks_result hooks_run(const char *directory, unsigned int seconds, char *const *variables,
			      FILE *report)
{
	char *environment[ALERT_VARIABLES_MAX + 4] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
		"LANG=C.UTF-8"
	};
	struct hooks_result result = { 0, 0 };
	struct dirent **entries = NULL;
	char why[PATH_MAX * 2 + 64];
	int nr, r = check_directory(directory, why, sizeof(why));

	for (int i = 0; variables[i] && i < ALERT_VARIABLES_MAX; i++)
		environment[3 + i] = variables[i];
	nr = r ? 0 : scandir(directory, &entries, is_hook_name, alphasort);
	if (nr < 0)
		snprintf(why, sizeof(why), "%s", strerror(errno));
	if ((r && r != -ENOENT) || nr < 0) {
		fprintf(report, HOOK_REFUSED " %s: %s\n", directory, why);
		result.nr_bad++;
	}
	for (int i = 0; i < nr; i++) {
		if (i < HOOKS_MAX)
			run_entry(directory, entries[i]->d_name, seconds, environment, report,
				  &result);
		else if (i == HOOKS_MAX)
			fprintf(report, HOOK_REFUSED " %s: there are more than %d hooks\n",
				entries[i]->d_name, HOOKS_MAX);
		free(entries[i]);
	}
	free(entries);
	return result;
}
