/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How old the backup of a set is, and what it would not know.  Caller: verb-status.c. */
#ifndef DM_REMAP_BACKUP_AGE_H
#define DM_REMAP_BACKUP_AGE_H

#include "system/dm.h"

/**
 * struct backup_age - of the backup in the usual place
 * @path: of it
 * @is_there: there is one, and it is whole
 * @is_damaged: there is one, and it is not
 * @created: when it was made
 * @nr_missing: remaps and bad spare chunks that it does not have, or has as they were;
 *              -1: that is not known
 */
struct backup_age {
	char path[300];
	bool is_there;
	bool is_damaged;
	uint64_t created;
	int64_t nr_missing;
};

/* Of an active set that the module serves; false: it has no UUID, and none is made. */
bool backup_age_of(const struct dm_device *device, struct backup_age *age);
/* One line of status, and the member "backup" of its JSON. */
void print_backup_age(const struct dm_device *device);
struct json;
void add_backup_age(struct json *json, const struct dm_device *device);

#endif /* DM_REMAP_BACKUP_AGE_H */
