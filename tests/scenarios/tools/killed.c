// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of the command in the middle of its work: inprocess.py sets killed_before, and the
 * process ends before the call of that number of those that change something on a disk, in a
 * file or in device-mapper.  What was done before is there, as after kill -9; power cuts are
 * another matter (the crash scenarios).
 *
 * Of writes to one file that follow each other without a flush the first two count: between the
 * others nothing else happens (and a power cut there is the crash scenarios').
 *
 * With stopped_once it stops (SIGSTOP) before it opens the members of a set, after it has looked
 * at them; with stopped_busy when device-mapper could not have them, before it asks who has: what
 * others do in that moment a test can do then.
 *
 * Linked into the in-process library only (daemon/Makefile), by the linker's --wrap.
 */
#include <libdevmapper.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define KILLED 137

int killed_before = -1; /* -1: never */
int killed_calls;	/* that were made */
int stopped_once;	/* is to come yet */
int stopped_busy;	/* the same */
static int run_fd = -1; /* of the writes that follow each other */
static int run_length;

static void count(void)
{
	if (killed_before >= 0 && killed_calls == killed_before)
		_exit(KILLED);
	killed_calls++;
}

static void step(void)
{
	run_fd = -1;
	count();
}

#define WRAP(result, name, parameters, arguments) \
	result __real_##name parameters;          \
	result __wrap_##name parameters;          \
	result __wrap_##name parameters           \
	{                                         \
		step();                           \
		return __real_##name arguments;   \
	}

WRAP(int, fsync, (int fd), (fd))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, unlink, (const char *path), (path))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, linkat, (int from_fd, const char *from, int to_fd, const char *to, int flags),
     (from_fd, from, to_fd, to, flags))
WRAP(int, futimens, (int fd, const struct timespec *times), (fd, times))

int __real_write_all_at(int fd, const void *data, size_t nr, off_t at);
int __wrap_write_all_at(int fd, const void *data, size_t nr, off_t at);

int __wrap_write_all_at(int fd, const void *data, size_t nr, off_t at)
{
	run_length = fd == run_fd ? run_length + 1 : 1;
	run_fd = fd;
	if (run_length <= 2)
		count();
	return __real_write_all_at(fd, data, nr, at);
}

int __real_dm_task_run(struct dm_task *task);
int __wrap_dm_task_run(struct dm_task *task);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

/* Which of them only read libdevmapper does not tell: all count. */
int __wrap_dm_task_run(struct dm_task *task)
{
	step();
	return __real_dm_task_run(task);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == BLKRRPART)
		step();
	return __real_ioctl(fd, request, argument);
}

static void stop(int *is_to_come)
{
	if (*is_to_come) {
		*is_to_come = 0;
		raise(SIGSTOP);
	}
}

struct set_handle;
struct error;
int __real_handle_open(const char *main, const char *spare, int flags, struct set_handle *handle,
		       struct error *error);
int __wrap_handle_open(const char *main, const char *spare, int flags, struct set_handle *handle,
		       struct error *error);

int __wrap_handle_open(const char *main, const char *spare, int flags, struct set_handle *handle,
		       struct error *error)
{
	stop(&stopped_once);
	return __real_handle_open(main, spare, flags, handle, error);
}

int __real_device_is_free(const char *path, struct error *error);
int __wrap_device_is_free(const char *path, struct error *error);

int __wrap_device_is_free(const char *path, struct error *error)
{
	stop(&stopped_busy);
	return __real_device_is_free(path, error);
}
