/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which areas of main were written since a flush succeeded: kept by written.c, read by scan.c.
 */
#ifndef DM_REMAP_WRITTEN_H
#define DM_REMAP_WRITTEN_H

#include <linux/bio.h>
#include <linux/workqueue.h>

struct remap_set;

#define REMAP_SCAN_SECTORS	128U

/**
 * struct remap_scan - areas of main by what is known of what was written there
 * @set: the set
 * @shift: log2 of the sectors of an area
 * @nr_areas: bits in each of the following
 * @written: since the last flush began; set from end_io
 * @flushing: since the last flush that succeeded; under the gate's mutex
 * @suspect: a flush of them failed; bits are set under the gate's mutex
 * @buffer: REMAP_SCAN_SECTORS long
 * @bio: for the reads
 * @vecs: of it
 * @work: reads the suspects
 */
struct remap_scan {
	struct remap_set *set;
	unsigned int shift;
	u32 nr_areas;
	unsigned long *written;
	unsigned long *flushing;
	unsigned long *suspect;
	void *buffer;
	struct bio bio;
	struct bio_vec vecs[REMAP_SCAN_SECTORS * SECTOR_SIZE / PAGE_SIZE];
	struct work_struct work;
};

int remap_scan_init(struct remap_set *set, work_func_t work);
void remap_scan_exit(struct remap_set *set);
void remap_scan_written(struct remap_set *set, u64 sector, u32 nr_sectors);
void remap_scan_begin(struct remap_set *set);
void remap_scan_end(struct remap_set *set, bool failed);
void remap_scan_stop(struct remap_set *set);
void remap_scan_resume(struct remap_set *set);

#endif /* DM_REMAP_WRITTEN_H */
