/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the unit tests share: cmocka in the order it wants, random numbers
 * with a printed seed, and sample content.
 */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remap_format.h"

/* A metadata block with the alignment the format functions ask for. */
struct block {
	u8 bytes[REMAP_BLOCK_BYTES];
} __attribute__((aligned(8)));

extern const u8 unit_uuid[REMAP_UUID_BYTES];
extern const u8 unit_other_uuid[REMAP_UUID_BYTES];

/* Takes UNIT_SEED or the clock, and prints it. */
void unit_seed(const char *test);
u64 unit_random(void);
u64 unit_random_below(u64 limit);
void unit_random_bytes(void *data, size_t nr_bytes);

/* Signatures as their tools write them, as far as libblkid looks; @at: start of the device. */
void unit_put_lvm(u8 *at);
void unit_put_btrfs(u8 *at, u64 nr_devices);
/* Version 1.2: 4 KiB from the start. */
void unit_put_md(u8 *at);
/* In the MBR @at: partition 1, from 1 MiB, 2 MiB long. */
void unit_put_partition(u8 *at, u8 status, u8 type);

/* A superblock with every field set, for a region of that many sectors. */
void unit_super(struct remap_super *super, u64 region_sectors);
/* A valid entry of any state. */
void unit_random_entry(struct remap_entry *entry, u64 main_sectors);

#endif
