/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a device is recognised (O11): one string, the best rank it has:
 *   "partuuid:<uuid>", "wwn:<wwn>[-part<n>]", "serial:<model>_<serial>:<sectors>[-part<n>]",
 *   "dm:<DM_UUID>", "md:<MD_UUID>".
 */
#ifndef DM_REMAP_IDENTITY_H
#define DM_REMAP_IDENTITY_H

#include "remap_format.h"
#include "util.h"

/**
 * struct hardware - what udev says of a device; NULL where it says nothing
 * @part_uuid: of the partition
 * @wwn: WWN or NGUID
 * @serial: short serial
 * @model: model
 * @dm_uuid: of a mapped device
 * @md_uuid: of an array
 * @partition: number; 0: a whole device
 * @nr_sectors: length of the whole disk
 */
struct hardware {
	const char *part_uuid;
	const char *wwn;
	const char *serial;
	const char *model;
	const char *dm_uuid;
	const char *md_uuid;
	unsigned int partition;
	uint64_t nr_sectors;
};

/* Pure.  False: no identity that can be believed (all zero, repeated, "0123456789ABCDEF"). */
bool identity_of_hardware(const struct hardware *hardware, char identity[REMAP_IDENTITY_BYTES]);
/* By udev.  -ENODATA: none. */
int identity_of_device(dev_t devno, char identity[REMAP_IDENTITY_BYTES], struct error *error);

#endif /* DM_REMAP_IDENTITY_H */
