// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether the name of a set is its own: a set is used through /dev/mapper/NAME, and released by NAME,
 * which would be the other one's.  Called by the verbs that give a name, for images have no mapped
 * device.
 */
#include <errno.h>

#include "ops/create.h"

int set_check_name(const char *name, const uint8_t uuid[16], const struct inventory *inventory,
		   const char *way, struct error *error)
{
	char own[64] = DM_UUID_PREFIX;
	_cleanup_free_ struct dm_name *names = NULL;
	const char *taken_by = NULL;
	size_t nr_names = 0;
	int r = dm_names(&names, &nr_names, error);

	uuid_to_string(uuid, own + strlen(DM_UUID_PREFIX));
	for (size_t i = 0; !r && i < nr_names; i++)
		if (streq(names[i].name, name) && !streq(names[i].dm_uuid, own))
			taken_by = "mapped device";
	/* one of another host has no name here */
	for (size_t i = 0; !r && i < inventory->nr_sets; i++)
		if (streq(inventory->sets[i].name, name) &&
		    memcmp(inventory->sets[i].uuid, uuid, sizeof(inventory->sets[i].uuid)) != 0)
			taken_by = "set";
	return taken_by ? error_set(error, EEXIST,
				    "%s: a %s of this name exists already; nothing was changed. "
				    "Use %s",
				    name, taken_by, way) :
			  r;
}
