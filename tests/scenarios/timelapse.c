// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A clock that jumps ahead, as after a machine has slept: the wall clock and CLOCK_BOOTTIME of a
 * program are later by the seconds in the file that TIMELAPSE names.  CLOCK_MONOTONIC is not.
 * Preloaded by timelapse.py.  A timer that waits already does not notice a jump: wake the program.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX 1024

static volatile const int64_t *ahead;
static bool jumps[FDS_MAX]; /* timers of a clock that jumps */

__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("TIMELAPSE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		abort();
	ahead = at;
	close(fd);
}

static bool is_ahead(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
	       clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM ||
	       clock == CLOCK_REALTIME_ALARM;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int r = (int)syscall(SYS_clock_gettime, clock, now);

	if (!r && ahead && is_ahead(clock))
		now->tv_sec += *ahead;
	return r;
}

time_t time(time_t *result)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (result)
		*result = now.tv_sec;
	return now.tv_sec;
}

int timerfd_create(clockid_t clock, int flags)
{
	int fd = (int)syscall(SYS_timerfd_create, clock, flags);

	if (fd >= 0 && fd < FDS_MAX)
		jumps[fd] = is_ahead(clock);
	return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *wanted, struct itimerspec *before)
{
	struct itimerspec set = *wanted;

	if (flags & TFD_TIMER_ABSTIME && fd < FDS_MAX && jumps[fd] && set.it_value.tv_sec) {
		set.it_value.tv_sec -= *ahead;
		if (set.it_value.tv_sec <= 0)
			set.it_value = (struct timespec){ .tv_nsec = 1 };
	}
	return (int)syscall(SYS_timerfd_settime, fd, flags, &set, before);
}
