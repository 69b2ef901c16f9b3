/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a disk says of itself (SMART), as smartctl prints it in JSON: of ATA, NVMe and SCSI disks.
 * Pure, but for its file (records.h).
 */
#ifndef DM_REMAP_SMART_H
#define DM_REMAP_SMART_H

#include "health/records.h"

/* As a disk has it, and may not: not known. */
#define SMART_UNKNOWN UINT64_MAX

/**
 * struct smart_point - what a disk said at a time; a number may be SMART_UNKNOWN
 * @at: seconds since 1970
 * @disk: hash of its model and serial number: another disk begins anew
 * @failing: 1: the disk itself says that it fails, 0: that it does not
 * @reallocated: sectors that it has remapped by itself (5; grown defects of SCSI)
 * @uncorrected: errors that it could not correct (187, media errors of NVMe)
 * @timeouts: of commands (188)
 * @pending: sectors that it cannot read, and would remap when they are written (197)
 * @unreadable: sectors that it could not read in its own tests (198)
 * @crc: errors of the transfer (199): of the cable
 * @wear: percent of its endurance that is used (NVMe)
 * @spare_left: percent of its own spare (NVMe)
 * @spare_least: from which on it says that this is low
 * @warning: bits of NVMe's critical warning
 */
struct smart_point {
	uint64_t at;
	uint64_t disk;
	uint64_t failing;
	uint64_t reallocated;
	uint64_t uncorrected;
	uint64_t timeouts;
	uint64_t pending;
	uint64_t unreadable;
	uint64_t crc;
	uint64_t wear;
	uint64_t spare_left;
	uint64_t spare_least;
	uint64_t warning;
};

extern const struct record_kind smart_kind;

/**
 * struct smart - what is known of a disk
 * @last: the newest point; its time is 0: there is none
 * @before: the newest one of the same disk that is thirty days old, or else its oldest
 */
struct smart {
	struct smart_point last;
	struct smart_point before;
};

/* -EBADMSG: it is no JSON; -ENODATA: it says nothing of health (also of a disk that sleeps). */
int smart_parse(const char *text, size_t nr_bytes, uint64_t now, struct smart_point *point);
/* How much a number has risen since @before; 0: not, or it is not known. */
uint64_t smart_risen(uint64_t before, uint64_t last);
/* @role: "main" or "spare" of the set that @key names. */
int smart_load(const char *key, const char *role, uint64_t now, struct smart *smart);
int smart_append(const char *key, const char *role, const struct smart_point *point,
		 struct error *error);

#endif /* DM_REMAP_SMART_H */
