/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long to wait before the next read, so that others are not held up: a limit of speed, and
 * room for those who use the disk.  Pure: times and counters in.
 */
#ifndef DM_REMAP_PACE_H
#define DM_REMAP_PACE_H

#include "util/util.h"

/**
 * struct pace_limits - what the administrator wants
 * @rate: bytes a second at most; 0: no limit
 * @least_rate: bytes a second that it takes also while others use the disk
 * @latency_ms: others' requests may take so long on average; more, and it backs off further
 */
struct pace_limits {
	uint64_t rate;
	uint64_t least_rate;
	uint64_t latency_ms;
};

#define PACE_DEFAULTS                                                  \
	{                                                              \
		.rate = 0, .least_rate = 1024 * 1024, .latency_ms = 30 \
	}

/* "rate", "least_rate": a size or no; "latency": ms.  -EINVAL: it cannot be that. */
int pace_limit_set(struct pace_limits *limits, const char *key, const char *text);

/**
 * struct disk_counts - of a disk since it is there, as /sys/block/NAME/stat has them
 * @reads: requests
 * @read_sectors: of them
 * @read_ms: that they took, all together
 * @writes: requests
 * @write_sectors: of them
 * @write_ms: that they took
 * @flushes: requests
 */
struct disk_counts {
	uint64_t reads;
	uint64_t read_sectors;
	uint64_t read_ms;
	uint64_t writes;
	uint64_t write_sectors;
	uint64_t write_ms;
	uint64_t flushes;
};

/* -EINVAL: that is no line of a stat file. */
int disk_counts_parse(const char *text, struct disk_counts *counts);

/**
 * struct pace - how fast it was
 * @limits: of the administrator
 * @before: counters after the last read
 * @is_known: @before is set
 * @backoff_ms: waited last because of others; 0: there were none
 * @begun_ms: when the present window began
 * @bytes: read in it
 */
struct pace {
	struct pace_limits limits;
	struct disk_counts before;
	bool is_known;
	uint64_t backoff_ms;
	uint64_t begun_ms;
	uint64_t bytes;
};

/*
 * @own_sectors were read since the last call, all of them at the latest @now_ms, and @now are the
 * counters (NULL: there are none).  Returns how long to wait, in ms.
 */
uint64_t pace_wait(struct pace *pace, uint64_t own_sectors, const struct disk_counts *now,
		   uint64_t now_ms);

#endif /* DM_REMAP_PACE_H */
