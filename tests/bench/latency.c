// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * latency DEVICE read|write SIZE SECONDS [THINK_MS] <OFFSETS
 *
 * Direct I/O of SIZE bytes at the byte offsets on standard input, one after
 * the other and again from the first on, until SECONDS have passed; the last
 * I/O may end later.  THINK_MS: pause after each.  Prints, as JSON, how many
 * there were, how many failed, and how long they took, in milliseconds; also
 * how many seconds went by until each offset had been written once without an
 * error, or null.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_OFFSETS = 1 << 16, MOST_IOS = 1 << 22 };

static off_t offset[MOST_OFFSETS];
static bool good[MOST_OFFSETS];
static float took_ms[MOST_IOS];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	unsigned int nr = 0, nr_ios = 0, nr_errors = 0, nr_good = 0, i;
	double start, end, all_good = -1;
	size_t size;
	void *buffer;
	int fd;

	if (argc < 5 || argc > 6) {
		fprintf(stderr, "usage: latency DEVICE read|write SIZE SECONDS [THINK_MS] "
				"<OFFSETS\n");
		return 2;
	}
	while (nr < MOST_OFFSETS && scanf("%ld", &offset[nr]) == 1)
		nr++;
	size = strtoul(argv[3], NULL, 10);
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0)
		die(argv[1]);
	if (!nr || posix_memalign(&buffer, 4096, size))
		die("offsets or memory");
	memset(buffer, 0x5a, size);
	start = now_s();
	end = start + strtod(argv[4], NULL);
	for (i = 0; nr_ios < MOST_IOS && now_s() < end; i = (i + 1) % nr) {
		double began = now_s();
		ssize_t done = argv[2][0] == 'w' ? pwrite(fd, buffer, size, offset[i]) :
						   pread(fd, buffer, size, offset[i]);

		took_ms[nr_ios++] = (now_s() - began) * 1000;
		if (done != (ssize_t)size) {
			nr_errors++;
		} else if (!good[i]) {
			good[i] = true;
			if (++nr_good == nr)
				all_good = now_s() - start;
		}
		if (argc == 6)
			usleep(strtoul(argv[5], NULL, 10) * 1000);
	}
	end = now_s() - start;
	qsort(took_ms, nr_ios, sizeof(*took_ms), by_value);
	printf("{\"seconds\": %.3f, \"ios\": %u, \"errors\": %u, \"good_places\": %u, "
	       "\"p50_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f, ",
	       end, nr_ios, nr_errors, nr_good, nr_ios ? took_ms[nr_ios / 2] : 0,
	       nr_ios ? took_ms[(unsigned int)(nr_ios * 0.999)] : 0,
	       nr_ios ? took_ms[nr_ios - 1] : 0);
	if (all_good < 0)
		printf("\"all_good_s\": null}\n");
	else
		printf("\"all_good_s\": %.3f}\n", all_good);
	return 0;
}
