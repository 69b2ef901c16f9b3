/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mark on main where its place is not known: without the spare nothing says where it is.
 * Callers: create, release without the spare, look.c.
 */
#ifndef DM_REMAP_MARK_H
#define DM_REMAP_MARK_H

#include "remap_format.h"
#include "util/util.h"

/* How far from its end a device is searched for the mark: create goes less far. */
#define MARK_SEARCH_CHUNKS 256

/*
 * Looks for the mark of a set (@uuid: of any, which is stored there) in the last chunks of the
 * first @nr_sectors of a device.  -ENODATA: there is none in what can be read.
 */
int mark_find(int main_fd, uint64_t nr_sectors, uint8_t uuid[REMAP_UUID_BYTES], bool any,
	      uint64_t *chunk);

#endif /* DM_REMAP_MARK_H */
