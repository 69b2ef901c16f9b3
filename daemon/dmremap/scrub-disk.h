/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reading of a scrub: pieces of a set's mapped device and of its spare, and what the disk
 * below does for others meanwhile.
 */
#ifndef DM_REMAP_SCRUB_DISK_H
#define DM_REMAP_SCRUB_DISK_H

#include "scrub/pace.h"
#include "scrub/scrub-state.h"
#include "system/dm.h"

/**
 * struct scrub_disk - one part of a set
 * @path: of the device
 * @start: its first sector there
 * @nr_sectors: its length
 * @unit: smallest piece that can be bad, in sectors
 * @stat_path: counters of the disk below; empty: not known
 * @fd: -1: closed, which it is between slices: who deactivates the set is not kept from it
 * @buffer: aligned, for a piece
 */
struct scrub_disk {
	char path[300];
	uint64_t start;
	uint64_t nr_sectors;
	uint32_t unit;
	char stat_path[320];
	int fd;
	uint8_t *buffer;
};

int scrub_disk_of(const struct dm_device *device, enum scrub_part part, struct scrub_disk *disk,
		  struct error *error);
void scrub_disk_done(struct scrub_disk *disk);
/* 1: it was read; 0: the medium has an error; a negative errno: something else is wrong. */
int scrub_disk_read(struct scrub_disk *disk, uint64_t sector, uint64_t nr, uint64_t *ms);
void scrub_disk_close(struct scrub_disk *disk);
bool scrub_disk_counts(const struct scrub_disk *disk, struct disk_counts *counts);

#endif /* DM_REMAP_SCRUB_DISK_H */
