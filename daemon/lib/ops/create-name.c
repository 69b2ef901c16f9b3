// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether the name of a set to be made is its own: the plan says that the set is used through
 * /dev/mapper/NAME, and released by NAME, which would be the other one's.  Called by the verb, for
 * images have no mapped device.
 */
#include <errno.h>

#include "ops/create.h"
#include "set/inventory.h"

static int is_taken(const char *what, const char *name, struct error *error)
{
	return error_set(
		error, EEXIST,
		"%s: %s of this name exists already; nothing was changed. Use another name", name,
		what);
}

int create_check_name(const struct create_request *a, struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	_cleanup_free_ struct dm_name *names = NULL;
	size_t nr_names = 0;
	int r = dm_names(&names, &nr_names, error);

	for (size_t i = 0; !r && i < nr_names; i++)
		if (streq(names[i].name, a->label))
			return is_taken("a mapped device", a->label, error);
	if (!r)
		r = inventory_look(&inventory, NULL, false, error);
	/* one of another host has no name here */
	for (size_t i = 0; !r && i < inventory.nr_sets; i++)
		if (streq(inventory.sets[i].name, a->label))
			return is_taken("a set", a->label, error);
	return r;
}
