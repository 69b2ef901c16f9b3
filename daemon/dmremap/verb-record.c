// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who a set belongs to, and what its spare is: adopt-host, replace-spare, resize.
 */
#include <errno.h>
#include <fcntl.h>

#include "identity.h"
#include "record.h"
#include "resize.h"
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

static void print_resizing(const struct resizing *a, const char *name)
{
	const struct adopted *set = a->adopted;

	printf("set      \"%s\", %u of %u slots in use\n"
	       "from     %s: all that is in use is copied, then it is made blank\n"
	       "to       %s%s%s: %u slots; what is on it now is overwritten\n",
	       name, a->nr_used, set->table.nr_slots, set->spare_path, a->path,
	       *a->identity ? ", " : "", a->identity, a->nr_slots);
	if (a->nr_unreadable)
		printf("lost     %u sectors that %s does not give back any more: they read as errors "
		       "until they are written\n",
		       a->nr_unreadable, set->spare_path);
}

static void print_resized(const struct invocation *invocation, const struct resizing *a,
			  const char *name)
{
	const char *old = a->adopted->spare_path;

	if (*a->not_wiped.text)
		fprintf(stderr,
			"dmremap: %s, the old spare, is not blank: %s. It is ignored; unplug it, or "
			"wipefs -a it\n",
			old, a->not_wiped.text);
	if (*a->no_backup.text)
		fprintf(stderr, "dmremap: there is no backup of the new spare: %s\n",
			a->no_backup.text);
	if (!invocation->quiet)
		printf("%s: %s is its spare device now, with %u slots: dmremap activate %s\n", name,
		       a->path, a->nr_slots, name);
}

static void resizing_p(struct resizing *resizing)
{
	close_p(&resizing->fd);
	resize_done(resizing);
}

/* The set's members, opened exclusively: from then on nobody activates it. */
static int open_set(const char *what, char *name, size_t nr_name, struct adopted *adopted,
		    const char *path, struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_close_ int lock = -1;
	const struct assembly *set;
	int r = find_inactive(what, &machine, &set, &lock, error);

	if (r < 0)
		return r;
	if (set->state != ASSEMBLY_READY)
		return error_set(error, set->state == ASSEMBLY_DUPLICATE ? EEXIST : EAGAIN,
				 "%s: %s", set->name, set->state_reason);
	if (set->verdict != ASSEMBLY_READY)
		return error_set(error, EPERM, "%s: %s", set->name, set->reason);
	if (device_number(path) == machine.members[set->spare].devno)
		return error_set(error, EINVAL,
				 "%s is the set's spare already: the slots are copied to another "
				 "device",
				 path);
	snprintf(name, nr_name, "%s", set->name);
	return adopt_open(machine.members[set->main].path, machine.members[set->spare].path, O_RDWR,
			  adopted, error);
}

int verb_resize(struct invocation *invocation, struct error *error)
{
	const char *size = option_value(invocation, "spare-size");
	_cleanup_(adopt_close) struct adopted adopted = ADOPTED_NONE;
	_cleanup_(resizing_p) struct resizing a = {
		.adopted = &adopted,
		.path = invocation->argv[1],
		.fd = -1,
		.wipe_spare = option_value(invocation, "wipe-spare"),
	};
	char name[128];
	int r;

	if (size && (parse_size(size, &a.region_bytes) < 0 || !a.region_bytes))
		return error_set(error, EINVAL, "\"%s\" is no size", size);
	if (!device_number(a.path))
		return error_set(error, ENODEV, "%s: not a block device", a.path);
	r = open_set(invocation->argv[0], name, sizeof(name), &adopted, a.path, error);
	if (r < 0)
		return r;
	a.fd = open_exclusive(a.path, error);
	if (a.fd < 0)
		return a.fd;
	r = resize_look(&a, error);
	if (r < 0)
		return r;
	if (a.nr_unreadable && !option_value(invocation, "accept-loss"))
		return error_set(error, EIO,
				 "%u sectors of %s cannot be read: with --accept-loss they become "
				 "lost",
				 a.nr_unreadable, adopted.spare_path);
	if (!invocation->quiet || !invocation->yes)
		print_resizing(&a, name);
	r = confirm(invocation, "Copy it?", error);
	if (!r)
		r = resize_carry_out(&a, error);
	if (!r)
		print_resized(invocation, &a, name);
	return r;
}
