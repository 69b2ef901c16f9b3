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

/* A superblock with every field set, for a region of that many sectors. */
void unit_super(struct remap_super *super, u64 region_sectors);
/* A valid entry of any state. */
void unit_random_entry(struct remap_entry *entry, u64 main_sectors);

#endif
