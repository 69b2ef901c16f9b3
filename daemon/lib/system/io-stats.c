// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <libdevmapper.h>
#include <signal.h>

#include "system/io-stats.h"

#define PROGRAM "dmremap-top"

/* Half a millisecond is a fast disk, ten a slow one, and from a second on it tries again. */
static const uint64_t bounds[IO_STATS_BINS] = { 100000,	  500000,    2000000,	 10000000,
						50000000, 200000000, 1000000000, 0 };

/**
 * struct io_stats - a region of the statistics of a device
 * @handle: libdevmapper's
 * @region: its number
 */
struct io_stats {
	struct dm_stats *handle;
	uint64_t region;
};

uint64_t io_stats_below(unsigned int bin)
{
	return bin < IO_STATS_BINS - 1 ? bounds[bin] : UINT64_MAX;
}

/* Regions of processes that are no more. */
static void remove_stale(struct dm_stats *handle)
{
	uint64_t stale[64], region;
	unsigned int nr = 0;

	/* libdevmapper walks into nothing where there is no region */
	if (!dm_stats_list(handle, PROGRAM) || !dm_stats_get_nr_regions(handle))
		return;
	dm_stats_foreach_region(handle)
	{
		const char *text;
		int pid;

		region = dm_stats_get_current_region(handle);
		text = dm_stats_get_region_aux_data(handle, region);
		if (nr < 64 && text && sscanf(text, "%d", &pid) == 1 && pid > 0 &&
		    kill(pid, 0) < 0 && errno == ESRCH)
			stale[nr++] = region;
	}
	for (unsigned int i = 0; i < nr; i++)
		dm_stats_delete_region(handle, stale[i]);
}

int io_stats_open(struct io_stats **result, const char *name, struct error *error)
{
	struct io_stats *stats = calloc(1, sizeof(*stats));
	struct dm_histogram *histogram = NULL;
	char pid[24];
	int ok;

	if (!stats)
		return no_memory(error);
	/* libdevmapper cuts off the last character when it reads this, if options follow */
	snprintf(pid, sizeof(pid), "%d.", getpid());
	stats->handle = dm_stats_create(PROGRAM);
	ok = stats->handle && dm_stats_bind_name(stats->handle, name);
	if (ok)
		remove_stale(stats->handle);
	histogram = dm_histogram_bounds_from_uint64(bounds);
	ok = ok && histogram &&
	     dm_stats_create_region(stats->handle, &stats->region, 0, 0, -1, 1, histogram, PROGRAM,
				    pid);
	if (histogram)
		dm_histogram_bounds_destroy(histogram);
	if (!ok) {
		if (stats->handle)
			dm_stats_destroy(stats->handle);
		free(stats);
		return error_set(error, EIO,
				 "%s: device-mapper keeps no statistics of it; the kernel log may "
				 "say why (dmesg)",
				 name);
	}
	*result = stats;
	return 0;
}

int io_stats_read(struct io_stats *stats, struct io_counts *counts)
{
	struct dm_stats *handle = stats->handle;
	uint64_t region = stats->region;
	struct dm_histogram *histogram;

	/* of one region only libdevmapper takes what a list before it has found */
	if (!dm_stats_populate(handle, PROGRAM, DM_STATS_REGIONS_ALL) ||
	    !dm_stats_get_nr_regions(handle) || !dm_stats_region_present(handle, region))
		return -ENODEV;
	*counts = (struct io_counts){
		.reads = dm_stats_get_counter(handle, DM_STATS_READS_COUNT, region, 0),
		.writes = dm_stats_get_counter(handle, DM_STATS_WRITES_COUNT, region, 0),
		.read_sectors =
			dm_stats_get_counter(handle, DM_STATS_READ_SECTORS_COUNT, region, 0),
		.write_sectors =
			dm_stats_get_counter(handle, DM_STATS_WRITE_SECTORS_COUNT, region, 0),
		.read_ns = dm_stats_get_counter(handle, DM_STATS_READ_NSECS, region, 0),
		.write_ns = dm_stats_get_counter(handle, DM_STATS_WRITE_NSECS, region, 0),
	};
	histogram = dm_stats_get_histogram(handle, region, 0);
	for (int i = 0; histogram && i < IO_STATS_BINS && i < dm_histogram_get_nr_bins(histogram);
	     i++)
		counts->bin[i] = dm_histogram_get_bin_count(histogram, i);
	return 0;
}

void io_stats_close(struct io_stats *stats, bool is_gone)
{
	if (!stats)
		return;
	if (!is_gone)
		dm_stats_delete_region(stats->handle, stats->region);
	dm_stats_destroy(stats->handle);
	free(stats);
}
