// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel we run on as the client: /dev/nbdN gets one end of a socket pair, the
 * poll loop has the other. NBD_DO_IT blocks as long as the device exists, so each
 * device has a thread that does nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "blockd.h"

static pthread_t threads[MAX_DISKS];

static void *run_device(void *argument)
{
	struct disk *disk = argument;

	if (ioctl(disk->kernel_fd, NBD_DO_IT) < 0 && errno != EPIPE && errno != EBADR)
		fprintf(stderr, "remap-blockd: /dev/nbd%u: NBD_DO_IT: %s\n", disk->index,
			strerror(errno));
	return NULL;
}

/* The device is there when the kernel has told its size. */
static int wait_for_size(const struct disk *disk)
{
	char path[64], text[32] = "";

	snprintf(path, sizeof(path), "/sys/block/nbd%u/size", disk->index);
	for (unsigned int tries = 0; tries < 5000; tries++) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return -errno;
		if (read(fd, text, sizeof(text) - 1) > 0 &&
		    strtoull(text, NULL, 10) == disk->sectors)
			return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

int kernel_attach(struct server *s, struct disk *disk)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	char path[32];
	int ends[2], fd, r;

	if (!connection)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/dev/nbd%u", disk->index);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		r = -errno;
		free(connection);
		return r;
	}
	connection->fd = ends[0];
	connection->disk = disk;
	connection->next = s->connections;
	s->connections = connection;
	disk->kernel_fd = fd;

	if (ioctl(fd, NBD_CLEAR_SOCK) < 0 ||
	    ioctl(fd, NBD_SET_BLKSIZE, (unsigned long)disk->logical_bytes) < 0 ||
	    ioctl(fd, NBD_SET_SIZE_BLOCKS,
		  (unsigned long)(disk->sectors * SECTOR_BYTES / disk->logical_bytes)) < 0 ||
	    ioctl(fd, NBD_SET_FLAGS, (unsigned long)nbd_transmission_flags(disk)) < 0 ||
	    ioctl(fd, NBD_SET_SOCK, ends[1]) < 0)
		return -errno;
	close(ends[1]); /* the kernel holds it now */
	r = pthread_create(&threads[disk->index], NULL, run_device, disk);
	if (r)
		return -r;
	return wait_for_size(disk);
}

/* Ends the devices, used or not: a process that still has one open gets errors from now on. */
void kernel_detach(struct server *s)
{
	for (unsigned int i = 0; i < s->nr_disks; i++) {
		struct disk *disk = &s->disks[i];

		if (disk->kernel_fd < 0)
			continue;
		(void)ioctl(disk->kernel_fd, NBD_DISCONNECT);
		for (struct connection *c = s->connections; c; c = c->next)
			if (c->disk == disk)
				shutdown(c->fd, SHUT_RDWR);
		pthread_join(threads[i], NULL);
		(void)ioctl(disk->kernel_fd, NBD_CLEAR_SOCK);
		close(disk->kernel_fd);
		disk->kernel_fd = -1;
	}
}
