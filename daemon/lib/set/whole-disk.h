/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole disk that a main device lies on: the kernel's log and SMART count its sectors, the
 * set those of main.  Only sysfs is read, but by whole_disk_read_fails().
 */
#ifndef DM_REMAP_WHOLE_DISK_H
#define DM_REMAP_WHOLE_DISK_H

#include "util/util.h"

/**
 * struct whole_disk - where a main device lies
 * @main: "/dev/sdb1"
 * @disk: "sdb", as the kernel's log calls it; main itself if it is no partition
 * @start: first sector of main on it
 * @nr_sectors: length of main
 * @lba_bytes: a logical block of the disk
 */
struct whole_disk {
	char main[64];
	char disk[64];
	uint64_t start;
	uint64_t nr_sectors;
	uint32_t lba_bytes;
};

/* @main: as in a table line, a path or "8:17".  -ENODEV: it is gone. */
int whole_disk_of(const char *main, struct whole_disk *disk, struct error *error);
/*
 * Whether any of these sectors of main cannot be read: 1 or 0, and *@bad the first.  A disk may
 * try for many seconds: ask for few.  An error: main cannot be opened.
 */
int whole_disk_read_fails(const struct whole_disk *disk, uint64_t sector, uint64_t nr_sectors,
			  uint64_t *bad, struct error *error);

#endif /* DM_REMAP_WHOLE_DISK_H */
