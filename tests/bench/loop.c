// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop DEVICE read|write|flush|discard SIZE ROUNDS <OFFSETS
 *
 * Direct I/O of SIZE bytes at each of the byte offsets on standard input, in
 * that order, ROUNDS times and once more before that.  Prints the mean, over
 * the offsets, of how far the time stamp counter went in the best of the
 * rounds: under QEMU's instruction clock the instructions of one I/O, system
 * call included, without what an interrupt now and then adds.
 *
 * A flush is an fsync after a write, which is not counted.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

static unsigned long long cost_of(int fd, char op, void *buffer, size_t size, off_t where)
{
	uint64_t range[2] = { where, size };
	unsigned long long start;
	ssize_t done = size;

	if (op == 'f' && pwrite(fd, buffer, size, where) != done)
		die("write before a flush");
	start = __rdtsc();
	if (op == 'r')
		done = pread(fd, buffer, size, where);
	else if (op == 'w')
		done = pwrite(fd, buffer, size, where);
	else if (op == 'f' ? fsync(fd) : ioctl(fd, BLKDISCARD, range))
		done = -1;
	start = __rdtsc() - start;
	if (done != (ssize_t)size)
		die("I/O");
	return start;
}

int main(int argc, char **argv)
{
	unsigned long long sum = 0;
	int nr = 0, fd;
	size_t size;
	void *buffer;

	if (argc != 5) {
		fprintf(stderr, "usage: loop DEVICE read|write|flush|discard SIZE ROUNDS "
				"<OFFSETS\n");
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
			unsigned long long cost = cost_of(fd, argv[2][0], buffer, size, offset[i]);

			if (round <= 0 || cost < best[i])
				best[i] = cost;
		}
	}
	for (int i = 0; i < nr; i++)
		sum += best[i];
	printf("%.2f\n", (double)sum / nr);
	return 0;
}
