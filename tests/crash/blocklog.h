/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the block server's log; its format is in tests/blockserver/README.md. */
#ifndef BLOCKLOG_H
#define BLOCKLOG_H

#include <stddef.h>
#include <stdint.h>

enum log_kind { LOG_WRITE = 1, LOG_FLUSH, LOG_MARK, LOG_TRIM, LOG_POWERCUT, LOG_LOST };

#define LOG_FUA 1
#define LOG_FAILED 2 /* not done */
#define LOG_LANDED 4 /* done, but an error was reported */

struct log_header {
	uint32_t magic;
	uint16_t kind;
	uint16_t flags;
	uint32_t disk;
	uint32_t length; /* sectors, or bytes of a mark's text */
	uint64_t sector;
	uint64_t ns;
};

struct log_record {
	struct log_header header;
	const char *data;
};

struct block_log {
	struct log_record *record;
	size_t nr_records;
	void *map;
	size_t map_bytes;
};

/* 0, or a negative errno after a sentence on stderr. */
int block_log_open(struct block_log *log, const char *path);
void block_log_close(struct block_log *log);

#endif
