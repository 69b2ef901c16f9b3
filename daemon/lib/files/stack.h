/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies on a device: partitions, logical volumes and other mapped devices, down to those that
 * no other device uses.  By sysfs and libdevmapper; no device is opened.
 */
#ifndef DM_REMAP_STACK_H
#define DM_REMAP_STACK_H

#include "files/hits.h"

/* @path: "/dev/dm-3"; @runs: as that device calls them, sorted; it may change them. */
typedef int (*leaf_f)(void *userdata, dev_t devno, const char *path, struct runs *runs);

/*
 * Calls @leaf for each device on @devno that no other uses.  What lies in none, or in one that
 * cannot be resolved, goes to @hits.  Takes all of @runs.
 */
int stack_resolve(dev_t devno, struct runs *runs, struct hits *hits, leaf_f leaf, void *userdata);

#endif /* DM_REMAP_STACK_H */
