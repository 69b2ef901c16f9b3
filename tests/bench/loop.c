// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop DEVICE read|write SIZE ROUNDS <OFFSETS
 *
 * Direct I/O of SIZE bytes at each of the byte offsets on standard input, in
 * that order, ROUNDS times and once more before that.  Prints the mean, over
 * the offsets, of how far the time stamp counter went in the best of the
 * rounds: under QEMU's instruction clock the instructions of one I/O, system
 * call included, without what an interrupt now and then adds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

enum { MOST = 1 << 16 };

static off_t offset[MOST];
static unsigned long long best[MOST];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	unsigned long long sum = 0;
	int nr = 0, fd;
	size_t size;
	void *buffer;

	if (argc != 5) {
		fprintf(stderr, "usage: loop DEVICE read|write SIZE ROUNDS <OFFSETS\n");
		return 2;
	}
	while (nr < MOST && scanf("%ld", &offset[nr]) == 1)
		nr++;
	size = strtoul(argv[3], NULL, 10);
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0)
		die(argv[1]);
	if (!nr || posix_memalign(&buffer, 4096, size))
		die("offsets or memory");
	memset(buffer, 0x5a, size);
	for (long round = -1; round < strtol(argv[4], NULL, 10); round++) {
		for (int i = 0; i < nr; i++) {
			unsigned long long start = __rdtsc(), cost;
			ssize_t done = argv[2][0] == 'w' ? pwrite(fd, buffer, size, offset[i]) :
							   pread(fd, buffer, size, offset[i]);

			cost = __rdtsc() - start;
			if (done != (ssize_t)size)
				die(argv[2]);
			if (round <= 0 || cost < best[i])
				best[i] = cost;
		}
	}
	for (int i = 0; i < nr; i++)
		sum += best[i];
	printf("%.2f\n", (double)sum / nr);
	return 0;
}
