// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "set/asking.h"
#include "system/lock.h"

#define ASKING_PATH RUN_DIR "/asking"
#define PAUSE_MS 20
#define LOOKS_MIN 10

/* Numbers of devices have 12 and 20 bits; the file is sparse. */
static off_t at_of(dev_t devno)
{
	return ((off_t)major(devno) << 20 | minor(devno)) * (off_t)sizeof(struct asked_since);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int open_records(int flags)
{
	int fd = open(ASKING_PATH, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == ENOENT && flags & O_CREAT && mkdir(RUN_DIR, 0700) == 0)
		fd = open(ASKING_PATH, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd;
}

static int set_lock(int fd, dev_t devno, short type)
{
	struct flock lock = { .l_type = type,
			      .l_whence = SEEK_SET,
			      .l_start = at_of(devno),
			      .l_len = sizeof(struct asked_since) };

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static struct asked_since read_record(int fd, dev_t devno)
{
	struct asked_since since = { 0, 0 };

	if (pread(fd, &since, sizeof(since), at_of(devno)) != sizeof(since))
		since = (struct asked_since){ 0, 0 };
	return since;
}

struct asked_since asking_since(dev_t devno)
{
	_cleanup_close_ int fd = open_records(O_RDONLY);

	return fd < 0 ? (struct asked_since){ 0, 0 } : read_record(fd, devno);
}

void asking_go_on(const struct asking *asking)
{
	struct asked_since since = { .boot_ms = now_ms(), .wall = time(NULL) };

	/* a record that is not there delays others, and nothing more */
	if (asking->is_ours &&
	    pwrite(asking->fd, &since, sizeof(since), at_of(asking->devno)) != sizeof(since))
		return;
}

int asking_begin(struct asking *asking, dev_t devno, unsigned int timeout_ms, void (*alive)(void))
{
	uint64_t begun = now_ms(), seen = 0;
	unsigned int nr_looks = 0;
	int r;

	*asking = (struct asking){ .fd = devno ? open_records(O_RDWR | O_CREAT) : -1,
				   .devno = devno };
	if (asking->fd < 0)
		return 0;
	while ((r = set_lock(asking->fd, devno, F_WRLCK)) == -EAGAIN) {
		struct asked_since since = read_record(asking->fd, devno);

		if (seen && since.boot_ms != seen && alive)
			alive();
		seen = since.boot_ms ? since.boot_ms : begun;
		/* who has just locked it may not have written yet since when */
		if (nr_looks++ >= LOOKS_MIN && now_ms() >= seen + timeout_ms) {
			asking_end(asking);
			return -EBUSY;
		}
		usleep(PAUSE_MS * 1000);
	}
	if (r < 0)
		asking_end(asking); /* a file system without such locks */
	asking->is_ours = !r;
	asking_go_on(asking);
	return 0;
}

void asking_wait(dev_t devno)
{
	_cleanup_close_ int fd = open_records(O_RDWR);
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = at_of(devno),
			      .l_len = sizeof(struct asked_since) };

	while (fd >= 0 && fcntl(fd, F_OFD_SETLKW, &lock) < 0 && errno == EINTR)
		;
}

void asking_end(struct asking *asking)
{
	static const struct asked_since none;

	/* what one that was killed leaves is overwritten by the next one */
	if (asking->is_ours &&
	    pwrite(asking->fd, &none, sizeof(none), at_of(asking->devno)) != sizeof(none))
		asking_go_on(asking);
	asking->is_ours = false;
	close_p(&asking->fd);
	asking->fd = -1;
}
