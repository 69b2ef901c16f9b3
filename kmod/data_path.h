/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fast path: data_path.c.
 */
#ifndef DM_REMAP_DATA_PATH_H
#define DM_REMAP_DATA_PATH_H

#include "base/set.h"

int remap_map(struct dm_target *ti, struct bio *bio);
int remap_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error);

#endif /* DM_REMAP_DATA_PATH_H */
