/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The golden images of common/golden: loading them, and making them again. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "unit.h"

#define GOLDEN_SPARE_BYTES (1024 * 1024)

/* Reads lines "offset hex"; what no line names is zero. */
void golden_load(const char *name, void *data, size_t nr_bytes);
/* Makes the content of a golden image; returns its length, 0: no such name. */
size_t golden_make(const char *name, void *data);
void golden_print(const void *data, size_t nr_bytes);

#endif
