/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every sector that a workload writes contains: 32 bytes, repeated to fill
 * the sector.  So a sector tells which write it is from, and a mixture of two,
 * or a sector in the wrong place, tells on itself.  stamp.py is the same.
 *
 *   u64 magic, u64 sector of the mapped device, u64 number of the write
 *   (0: initial content), u64 CRC-32 of these 24 bytes
 */
#ifndef STAMP_H
#define STAMP_H

#include <stdbool.h>
#include <stdint.h>

#define STAMP_MAGIC 0x706d617453706d52ULL /* "RmpStamp" */
#define STAMP_SECTOR_BYTES 512

void stamp_make(uint64_t sector, uint64_t write, void *data);
/* False: not a whole stamp. */
bool stamp_read(const void *data, uint64_t *sector, uint64_t *write);

#endif
