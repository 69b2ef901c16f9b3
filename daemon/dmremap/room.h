/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the spare has room for what is to be remapped: a request that fills it would stop in the
 * middle, and every sector that goes bad later would be an error.  Callers: remap, import.
 */
#ifndef DM_REMAP_ROOM_H
#define DM_REMAP_ROOM_H

#include "sectors.h"

/* Slots of an active set that nothing is in. */
uint64_t room_free(const struct dm_device *device);
/* -EPERM: @needed slots are more than that; @otherwise: what else can be done, or "". */
int room_check(const struct dm_device *device, uint64_t needed, const char *otherwise,
	       struct error *error);
/* The same for chunks of @sectors that have no slot yet; where these are not known, 0. */
int room_check_sectors(const struct dm_device *device, const struct sectors *sectors,
		       struct error *error);

#endif /* DM_REMAP_ROOM_H */
