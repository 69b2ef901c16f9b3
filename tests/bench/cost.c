// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cost FILE COMMAND [ARGUMENT...]
 *
 * Runs a command, and writes to FILE, as JSON, what it cost: seconds, seconds
 * of CPU, the most memory that it had resident, and its exit code.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static double seconds(struct timeval tv)
{
	return tv.tv_sec + tv.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	double start = now_s();
	int status, code;
	FILE *file;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: cost FILE COMMAND [ARGUMENT...]\n");
		return 2;
	}
	if (posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ) ||
	    wait4(pid, &status, 0, &usage) < 0) {
		perror(argv[2]);
		return 2;
	}
	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	file = fopen(argv[1], "w");
	if (!file) {
		perror(argv[1]);
		return 2;
	}
	fprintf(file, "{\"seconds\": %.4f, \"cpu_s\": %.4f, \"rss_kib\": %ld, \"code\": %d}\n",
		now_s() - start, seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss,
		code);
	if (fclose(file)) {
		perror(argv[1]);
		return 2;
	}
	return code;
}
