// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log: every write, flush, mark, trim and power cut of all disks, in the order
 * in which they took effect. Read by harness/blockd.py and the crash enumerator.
 *
 * A write of which only a part was done is two records: what was done (LOG_LANDED,
 * for the client has seen an error) and what was not (LOG_FAILED). So the state of a
 * disk is: all records that are not LOG_FAILED, applied in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "blockd.h"

#define LOG_MAGIC 0x4c424d52u

struct record {
	uint32_t magic;
	uint16_t kind;
	uint16_t flags;
	uint32_t disk;
	uint32_t length; /* sectors; of a mark: bytes of text */
	uint64_t sector;
	uint64_t ns;
};

_Static_assert(sizeof(struct record) == 32, "the log's record header is 32 bytes");

static int log_fd = -1;

int log_open(const char *path)
{
	log_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	return log_fd < 0 ? -errno : 0;
}

/* A log with a hole is worth nothing, so a log that cannot be written ends the server. */
void log_append(enum log_kind kind, unsigned int flags, uint32_t disk, uint64_t sector,
		uint32_t length, const void *data, size_t data_bytes)
{
	static const uint8_t zeros[8];
	struct record record = {
		.magic = LOG_MAGIC,
		.kind = (uint16_t)kind,
		.flags = (uint16_t)flags,
		.disk = disk,
		.length = length,
		.sector = sector,
		.ns = now_ns(),
	};
	size_t padding = (8 - data_bytes % 8) % 8;
	struct iovec parts[] = {
		{ &record, sizeof(record) },
		{ (void *)data, data_bytes },
		{ (void *)zeros, padding },
	};

	if (log_fd < 0)
		return;
	if (writev(log_fd, parts, 3) != (ssize_t)(sizeof(record) + data_bytes + padding)) {
		fprintf(stderr, "remap-blockd: the log cannot be written: %s\n", strerror(errno));
		exit(1);
	}
}
