// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who a set belongs to, and what its spare is: adopt-host, replace-spare.
 */
#include <errno.h>
#include <fcntl.h>

#include "identity.h"
#include "record.h"
#include "verbs.h"

/* The set that @what means, found under the lock, inactive and whole enough to be changed. */
static int find_inactive(const char *what, struct machine *machine, const struct assembly **set,
			 int *lock, struct error *error)
{
	int r = activation_lock(lock, error);

	if (!r)
		r = machine_look(machine, error);
	if (!r)
		r = machine_find(machine, what, set, error);
	if (r < 0)
		return r;
	if ((*set)->state == ASSEMBLY_ACTIVE || (*set)->state == ASSEMBLY_RETURNED)
		return error_set(error, EBUSY, "%s is active: dmremap deactivate it first",
				 (*set)->name);
	if ((*set)->state == ASSEMBLY_UNFINISHED)
		return error_set(error, EBUSY,
				 "%s: %s: dmremap activate it first, which mends that",
				 (*set)->name, (*set)->state_reason);
	return 0;
}

int verb_adopt_host(struct invocation *invocation, struct error *error)
{
	static const uint8_t none[16];
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_(adopt_close) struct adopted adopted = ADOPTED_NONE;
	_cleanup_close_ int lock = -1;
	const struct assembly *set;
	uint8_t host[16];
	int r;

	host_id(host);
	if (!memcmp(host, none, sizeof(host)))
		return error_set(error, EPERM, "this host has no machine id (/etc/machine-id)");
	r = find_inactive(invocation->argv[0], &machine, &set, &lock, error);
	if (r < 0)
		return r;
	if (set->main < 0 || set->spare < 0)
		return error_set(error, set->state == ASSEMBLY_DUPLICATE ? EEXIST : EAGAIN,
				 "%s: %s", set->name, set->state_reason);
	r = adopt_open(machine.members[set->main].path, machine.members[set->spare].path, O_RDWR,
		       &adopted, error);
	if (!r)
		r = record_host(&adopted, host, error);
	if (!r && !invocation->quiet)
		printf("%s belongs to this host from now on\n",
		       *adopted.region.super.label ? adopted.region.super.label : set->name);
	return r;
}

/* After a raw copy of the spare: main learns that this is the hardware from now on. */
int verb_replace_spare(struct invocation *invocation, struct error *error)
{
	const char *path = invocation->argv[1];
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_(adopt_close) struct adopted adopted = ADOPTED_NONE;
	_cleanup_close_ int lock = -1;
	char identity[REMAP_IDENTITY_BYTES];
	const struct assembly *set;
	int r;

	r = find_inactive(invocation->argv[0], &machine, &set, &lock, error);
	if (r < 0)
		return r;
	if (set->main < 0)
		return error_set(error, set->state == ASSEMBLY_DUPLICATE ? EEXIST : EAGAIN,
				 "%s: %s", set->name, set->state_reason);
	identity_of_device(device_number(path), identity);
	if (!*identity)
		return error_set(error, EPERM,
				 "%s has no serial number or WWN: it could not be told from the "
				 "old spare. Unplug that one, and no replacement is needed",
				 path);
	r = adopt_open(machine.members[set->main].path, path, O_RDWR, &adopted, error);
	if (!r && memcmp(adopted.region.super.uuid, set->uuid, sizeof(set->uuid)))
		r = error_set(error, EPERM, "%s is the spare of another set", path);
	if (!r)
		r = record_spare(&adopted, identity, error);
	if (!r && !invocation->quiet)
		printf("%s: %s is its spare device now; another one is ignored from now on\n",
		       set->name, path);
	return r;
}
