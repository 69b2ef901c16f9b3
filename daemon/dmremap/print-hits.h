/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sectors are used for, for people and as JSON.  Callers: files and scrub. */
#ifndef DM_REMAP_PRINT_HITS_H
#define DM_REMAP_PRINT_HITS_H

#include "files/hits.h"
#include "json.h"
#include "verbs.h"

/* At most @nr of them. */
void hits_print(const struct invocation *invocation, const struct dm_device *device,
		const struct hits *hits, size_t nr);
/* "SECTOR COUNT KIND WHAT" a line, of the first ones that are known. */
void hits_print_brief(const struct hits *hits);
void hits_print_json(const struct dm_device *device, const struct hits *hits);

#endif /* DM_REMAP_PRINT_HITS_H */
