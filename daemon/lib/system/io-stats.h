/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O of a mapped device as device-mapper itself counts it, from io_stats_open() to
 * io_stats_close(): nothing of ours is in the path of I/O.  What a program that was killed left
 * behind is removed by the next one.
 */
#ifndef DM_REMAP_IO_STATS_H
#define DM_REMAP_IO_STATS_H

#include "util/util.h"

#define IO_STATS_BINS 8

/**
 * struct io_counts - since it was opened
 * @reads: completed
 * @writes: completed
 * @read_sectors: of them
 * @write_sectors: of them
 * @read_ns: time that they took together
 * @write_ns: the same
 * @bin: how many took how long: less than io_stats_below(0), less than io_stats_below(1) ...
 */
struct io_counts {
	uint64_t reads;
	uint64_t writes;
	uint64_t read_sectors;
	uint64_t write_sectors;
	uint64_t read_ns;
	uint64_t write_ns;
	uint64_t bin[IO_STATS_BINS];
};

struct io_stats;

int io_stats_open(struct io_stats **stats, const char *name, struct error *error);
/* -ENODEV: the device has gone. */
int io_stats_read(struct io_stats *stats, struct io_counts *counts);
/* @is_gone: the device is no more, and another one may have its name. */
void io_stats_close(struct io_stats *stats, bool is_gone);
/* The end of a bin, in nanoseconds; UINT64_MAX: of the last one. */
uint64_t io_stats_below(unsigned int bin);

#endif /* DM_REMAP_IO_STATS_H */
