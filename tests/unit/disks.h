/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two images that fail on command: the library's reads, writes and flushes go through here
 * (the linker's --wrap), so that errors of single sectors, and the end of power after any
 * write, are a matter of microseconds.  A write is on the media at once, whole or not at all,
 * or with @volatile_cache when the disk is flushed: of what was not, each sector is there after
 * the end of power, or not, whatever came before or after it.
 */
#ifndef DISKS_H
#define DISKS_H

#include <stdbool.h>

#include "unit.h"

enum disk { MAIN, SPARE, NR_DISKS };

#define DISK_FAULTS_MAX 16

/**
 * struct disk_fault - a range of sectors that fails
 * @first: first sector
 * @nr: how many; 0: none
 * @read: reads fail, until the sector is written where @heals
 * @write: writes fail
 * @lies: writes report success and do nothing
 * @heals: a write that succeeds ends the fault
 * @after: not before so many writes to this disk have been done
 */
struct disk_fault {
	u64 first;
	u64 nr;
	bool read;
	bool write;
	bool lies;
	bool heals;
	unsigned int after;
};

/**
 * struct disks - the state of both
 * @path: of each image
 * @backup: for create, a file that is not there yet
 * @nr_bytes: length of each
 * @fault: what fails
 * @nr_writes: done since disks_reset(), of both together
 * @nr_own_writes: of each
 * @power_off_after: number of writes of both after which all I/O fails; -1: none
 * @flush_fails: flushes of this disk fail
 * @volatile_cache: as above
 */
struct disks {
	char path[NR_DISKS][64];
	char backup[80];
	u64 nr_bytes[NR_DISKS];
	struct disk_fault fault[NR_DISKS][DISK_FAULTS_MAX];
	unsigned int nr_writes;
	unsigned int nr_own_writes[NR_DISKS];
	int power_off_after;
	bool flush_fails[NR_DISKS];
	bool volatile_cache;
};

extern struct disks disks;

/* Makes images of zeros; ends the program where that is not possible. */
void disks_make(u64 main_sectors, u64 spare_sectors);
void disks_remove(void);
/*
 * No faults, power on, counters zero; the content stays, but for what a volatile cache forgets
 * if power was off.
 */
void disks_reset(void);
struct disk_fault *disks_fail(enum disk disk, u64 first, u64 nr, bool read, bool write);
/* The whole content, past all faults; the caller frees. */
u8 *disks_get(enum disk disk);
void disks_put(enum disk disk, const u8 *content);

#endif /* DISKS_H */
