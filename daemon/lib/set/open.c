// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>

#include "set/open.h"

int set_lock_inactive(const char *what, struct open_set *open, struct error *error)
{
	const struct assembly *set;
	int r = inventory_lock_set(what, &open->inventory, &open->set, &open->lock, error);

	if (r < 0)
		return r;
	set = open->set;
	if (set->state == ASSEMBLY_ACTIVE || set->state == ASSEMBLY_RETURNED)
		return error_set(error, EBUSY, "%s is active; run dmremap deactivate first",
				 set->name);
	if (set->state == ASSEMBLY_UNFINISHED)
		return error_set(error, EBUSY,
				 "%s: %s; run dmremap activate first, which repairs that",
				 set->name, set->state_reason);
	return 0;
}

int set_refuse_missing(const struct open_set *open, struct error *error)
{
	const struct inventory *inventory = &open->inventory;
	const struct assembly *set = open->set;
	const struct member *main = set->main >= 0 ? &inventory->members[set->main] : NULL;
	const struct member *spare = set->spare >= 0 ? &inventory->members[set->spare] : NULL;
	int r = 0;

	if (set->main == -1 && spare && !set->silent)
		r = inventory_check_silent(inventory, set->uuid, MEMBER_MAIN, spare->recorded,
					   false, error);
	if (!r && set->spare == -1 && main && !set->silent)
		r = inventory_check_silent(inventory, set->uuid, MEMBER_SPARE, main->recorded,
					   false, error);
	return r ? r :
	       set->state == ASSEMBLY_DUPLICATE ?
		   error_set(error, EEXIST, "%s: %s", set->name, set->state_reason) :
		   inventory_refuse_missing(inventory, set, error);
}

int set_open_locked(const char *what, bool any, struct open_set *open, struct error *error)
{
	const struct member *members;
	int r = set_lock_inactive(what, open, error);

	if (r < 0)
		return r;
	if (open->set->main < 0 || open->set->spare < 0)
		return set_refuse_missing(open, error);
	if (!any && open->set->verdict != ASSEMBLY_READY)
		return error_set(error, EPERM, "%s: %s", open->set->name, open->set->reason);
	members = open->inventory.members;
	return handle_open(members[open->set->main].path, members[open->set->spare].path, O_RDWR,
			   &open->handle, error);
}

void set_unlock(struct open_set *open)
{
	close_p(&open->lock);
	open->lock = -1;
}

void set_close(struct open_set *open)
{
	handle_close(&open->handle);
	inventory_done(&open->inventory);
	set_unlock(open);
}
