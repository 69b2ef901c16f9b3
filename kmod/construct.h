/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making an instance of the target, and taking it apart: construct.c.
 */
#ifndef DM_REMAP_CONSTRUCT_H
#define DM_REMAP_CONSTRUCT_H

#include <linux/device-mapper.h>

int remap_ctr(struct dm_target *ti, unsigned int argc, char **argv);
void remap_dtr(struct dm_target *ti);

#endif /* DM_REMAP_CONSTRUCT_H */
