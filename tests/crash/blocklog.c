// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading the block server's log, see blocklog.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blocklog.h"

#define LOG_MAGIC 0x4c424d52

static size_t data_bytes(const struct log_header *header)
{
	if (header->kind == LOG_WRITE)
		return (size_t)header->length * 512;
	if (header->kind == LOG_MARK)
		return ((size_t)header->length + 7) & ~(size_t)7;
	return 0;
}

static int add_records(struct block_log *log, const char *path)
{
	const char *bytes = log->map;
	size_t at = 0, room = 0;

	while (at < log->map_bytes) {
		struct log_record record;

		if (log->map_bytes - at < sizeof(record.header))
			goto damaged;
		memcpy(&record.header, bytes + at, sizeof(record.header));
		record.data = bytes + at + sizeof(record.header);
		if (record.header.magic != LOG_MAGIC ||
		    log->map_bytes - at - sizeof(record.header) < data_bytes(&record.header))
			goto damaged;
		if (log->nr_records == room) {
			struct log_record *more;

			room = room ? 2 * room : 1024;
			more = realloc(log->record, room * sizeof(*more));
			if (!more)
				return -ENOMEM;
			log->record = more;
		}
		log->record[log->nr_records++] = record;
		at += sizeof(record.header) + data_bytes(&record.header);
	}
	return 0;
damaged:
	fprintf(stderr, "%s: no whole record at byte %zu\n", path, at);
	return -EINVAL;
}

int block_log_open(struct block_log *log, const char *path)
{
	struct stat status;
	int fd, r = 0;

	memset(log, 0, sizeof(*log));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		r = -errno;
	if (!r && !status.st_size)
		r = -ENODATA;
	if (!r) {
		log->map_bytes = status.st_size;
		log->map = mmap(NULL, log->map_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
		if (log->map == MAP_FAILED) {
			r = -errno;
			log->map = NULL;
		}
	}
	if (r)
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
	else
		r = add_records(log, path);
	if (fd >= 0)
		close(fd);
	if (r)
		block_log_close(log);
	return r;
}

void block_log_close(struct block_log *log)
{
	if (log->map)
		munmap(log->map, log->map_bytes);
	free(log->record);
	memset(log, 0, sizeof(*log));
}
