/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two disks under the metadata code, in memory, with sectors that fail; disks.c also has
 * what else of the kernel and of the rest of the module the metadata files call.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/written.h"
#include "construct.h"
#include "engine/engine.h"
#include "iface/iface.h"
#include "life/life.h"
#include "meta/internal.h"

enum { DISK_MAIN, DISK_SPARE, DISKS };

#define DISK_SECTORS_MAX 8192
#define MAIN_SECTORS 4096

enum sector_fault {
	SECTOR_GOOD,
	SECTOR_UNREADABLE, /* until it is written */
	SECTOR_BAD,	   /* neither read nor written */
	SECTOR_READ_ONLY,
};

/**
 * struct disk - one of them
 * @nr_sectors: length; what lies behind it fails
 * @data: content
 * @fault: of each sector
 * @nr_writes: that succeeded
 */
struct disk {
	u64 nr_sectors;
	u8 data[DISK_SECTORS_MAX * REMAP_SECTOR_BYTES];
	u8 fault[DISK_SECTORS_MAX];
	u64 nr_writes;
};

extern struct disk disk[DISKS];
extern bool verbose; /* the module's own log */

/* Random numbers of one case: the same for the same seed and number. */
void dice_seed(u64 seed, u64 number);
u64 dice(void);
u64 dice_below(u64 end);
bool dice_one_in(u64 n);

#endif
