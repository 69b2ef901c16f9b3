/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Partitions of a mapped device: the kernel does not make them, so activation does, named
 * as kpartx names them (O16): NAME-part1 with DM_UUID "part1-REMAP-<uuid>".
 */
#ifndef DM_REMAP_PARTITIONS_H
#define DM_REMAP_PARTITIONS_H

#include "system/dm.h"

#define PARTITIONS_TAKEN_BYTES 256

/*
 * Makes those that the partition table names and that are not there yet.  @taken: names that
 * belong to other devices, for which there is none; empty: all are there.
 */
int partitions_create(const struct dm_device *device, char taken[PARTITIONS_TAKEN_BYTES],
		      struct error *error);
/* -EBUSY: one is in use; those before it are gone. */
int partitions_remove(const struct dm_device *device, struct error *error);

#endif /* DM_REMAP_PARTITIONS_H */
