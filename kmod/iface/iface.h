/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What users and programs see of a set.
 */
#ifndef DM_REMAP_IFACE_H
#define DM_REMAP_IFACE_H

#include "base/set.h"

/* status.c */
void remap_status(struct dm_target *ti, status_type_t type, unsigned int status_flags,
		  char *result, unsigned int maxlen);
void remap_metadata_status(struct remap_set *set, char *result, unsigned int maxlen);

/* sysfs.c */
void remap_sysfs_init(void);
void remap_sysfs_add(struct remap_set *set);
void remap_sysfs_remove(struct remap_set *set);

/* netlink.c */
int remap_netlink_init(void);
void remap_netlink_exit(void);

/* message.c */
int remap_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
		  unsigned int maxlen);

#endif /* DM_REMAP_IFACE_H */
