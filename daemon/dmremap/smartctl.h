/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * smartctl as a witness: which disk a member lies on, and what smartctl says of it within a time
 * limit.  Caller: verb-smart.c; never the daemon itself.
 */
#ifndef DM_REMAP_SMARTCTL_H
#define DM_REMAP_SMARTCTL_H

#include "util/util.h"

/* One disk may take so long. */
#define SMARTCTL_SECONDS 20

/*
 * The disk that the device with this number lies on, through partitions and mapped devices:
 * "/dev/sda".  -ENODEV: it is gone; -ENOTSUP: it lies on several, or on none.
 */
int physical_disk_of(const char *in_table, char *path, size_t nr_bytes);
/*
 * What smartctl prints of @disk in JSON; a disk that sleeps is not woken.  -ENOENT: there is no
 * smartctl; -ETIMEDOUT: it was killed, or an earlier one hangs.  The caller frees.
 */
int smartctl_run(const char *disk, char **text, size_t *nr_bytes);

#endif /* DM_REMAP_SMARTCTL_H */
