// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "system/lock.h"
#include "util/process.h"

#define LOCK_PATH RUN_DIR "/lock"
/* More than a disk that is slow, and not dead, takes for what is done in between. */
#define PATIENCE_MS 30000
#define PAUSE_MS 20

#define MACHINE_AT 0
#define DEVICES_AT ((off_t)1 << 60)
#define SETS_AT ((off_t)1 << 61)

static off_t at_of_set(const uint8_t uuid[16])
{
	uint64_t number = 0;

	/* two sets that share these bits wait for each other, which does no harm */
	for (unsigned int i = 0; i < 7; i++)
		number = number << 8 | uuid[i];
	return SETS_AT + (off_t)number;
}

static off_t at_of_device(dev_t devno)
{
	return DEVICES_AT + ((off_t)major(devno) << 32 | minor(devno));
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A line of /proc/PID/fdinfo/N: "lock:\t1: OFDLCK ADVISORY  WRITE -1 00:19:1234 0 0". */
static bool is_holder(const char *text, const struct stat *st, off_t at)
{
	for (const char *line = strstr(text, "lock:"); line; line = strstr(line + 1, "lock:")) {
		unsigned int major_number, minor_number;
		uint64_t inode, first, last;

		if (sscanf(line,
			   "lock: %*d: OFDLCK %*s WRITE -1 %x:%x:%" SCNu64 " %" SCNu64 " %" SCNu64,
			   &major_number, &minor_number, &inode, &first, &last) == 5 &&
		    inode == st->st_ino && first <= (uint64_t)at && last >= (uint64_t)at)
			return true;
	}
	return false;
}

/**
 * struct held - a lock that another process has
 * @st: of the file
 * @at: where in it
 */
struct held {
	struct stat st;
	off_t at;
};

static bool holds(const char *pid, const void *userdata)
{
	_cleanup_closedir_ DIR *directory = NULL;
	const struct held *held = userdata;
	char path[512];
	struct dirent *fd;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	directory = opendir(path);
	while (directory && (fd = readdir(directory))) {
		_cleanup_free_ char *text = NULL;

		if (*fd->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, fd->d_name);
		if (read_file(path, &text, NULL) == 0 && is_holder(text, &held->st, held->at))
			return true;
	}
	return false;
}

static int try(int fd, off_t at)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int open_file(const char *path, int *fd, struct error *error)
{
	if (*fd >= 0)
		return 0;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *fd < 0 ? error_set(error, errno, "%s: cannot open it: %s", path, strerror(errno)) :
			 0;
}

static int open_lock(int *fd, struct error *error)
{
	if (mkdir(RUN_DIR, 0700) < 0 && errno != EEXIST)
		return error_set(error, errno, RUN_DIR ": cannot create it: %s", strerror(errno));
	return open_file(LOCK_PATH, fd, error);
}

static int take(int fd, off_t at, const char *what, struct error *error)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	struct held held = { .at = at };
	char holder[200];
	bool is_known;
	int r;

	/* a lock of this kind has no time limit of its own */
	while ((r = try(fd, at)) == -EAGAIN && now_ms() < until)
		usleep(PAUSE_MS * 1000);
	if (r == -EACCES || r == -EAGAIN) {
		/* unknown: it has just let it go */
		is_known = fstat(fd, &held.st) == 0 &&
			   process_find(holds, &held, holder, sizeof(holder));
		return error_set(error, EBUSY,
				 "%s has been locked%s%s for more than %u seconds; try again when "
				 "that has ended",
				 what, is_known ? " by " : "", is_known ? holder : "",
				 PATIENCE_MS / 1000);
	}
	return r < 0 ? error_set(error, -r, "%s cannot be locked: %s", what, strerror(-r)) : 0;
}

int lock_set(int *fd, const uint8_t uuid[16], struct error *error)
{
	char text[UUID_STRING_BYTES], what[64];
	int r = open_lock(fd, error);

	uuid_to_string(uuid, text);
	snprintf(what, sizeof(what), "set %s", text);
	return r ? r : take(*fd, at_of_set(uuid), what, error);
}

int lock_try_set(int *fd, const uint8_t uuid[16])
{
	int r = open_lock(fd, NULL);

	return r ? r : try(*fd, at_of_set(uuid));
}

static int by_number(const void *a, const void *b)
{
	const dev_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int take_device(int fd, dev_t devno, struct error *error)
{
	char what[64];

	snprintf(what, sizeof(what), "device %u:%u", major(devno), minor(devno));
	return take(fd, at_of_device(devno), what, error);
}

int lock_devices(int *fd, const dev_t *devices, size_t nr, struct error *error)
{
	_cleanup_free_ dev_t *sorted = calloc(nr + 1, sizeof(*sorted));
	int r = sorted ? open_lock(fd, error) : no_memory(error);

	if (r < 0)
		return r;
	memcpy(sorted, devices, nr * sizeof(*sorted));
	qsort(sorted, nr, sizeof(*sorted), by_number);
	for (size_t i = 0; !r && i < nr; i++)
		if (sorted[i] && (!i || sorted[i] != sorted[i - 1]))
			r = take_device(*fd, sorted[i], error);
	return r;
}

int lock_device_in(const char *path, int *fd, dev_t devno, struct error *error)
{
	int r = open_file(path, fd, error);

	return r ? r : take_device(*fd, devno, error);
}

int lock_machine(int *fd, struct error *error)
{
	int r = open_lock(fd, error);

	return r ? r : take(*fd, MACHINE_AT, RUN_DIR, error);
}
