// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * write-cache: what becomes of writes behind main's volatile cache, and of that cache itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "json.h"
#include "ops/activate.h"
#include "output.h"
#include "set/open.h"
#include "system/write-cache.h"
#include "verbs.h"

static const struct column columns[] = {
	{ "SET", false },   { "MODE", false }, { "DISK", false },
	{ "CACHE", false }, { "WAS", false },  { NULL },
};

/**
 * struct meant - the set that is meant
 * @name: of it
 * @uuid: of it, as text
 * @main: its main device
 * @device: its mapped device; an empty name: it is not active
 * @write_cache: as the superblock says, or the kernel
 */
struct meant {
	char name[128];
	char uuid[UUID_STRING_BYTES];
	dev_t main;
	struct dm_device device;
	enum write_cache write_cache;
};

static void print_json(const struct meant *meant, const struct disk_cache *disks, size_t nr)
{
	struct json json = { 0 };

	json_begin(&json, NULL);
	json_string(&json, "name", meant->name);
	json_string(&json, "write_cache", write_cache_name(meant->write_cache));
	json_begin_list(&json, "disks");
	for (size_t i = 0; i < nr; i++) {
		json_begin(&json, NULL);
		json_string(&json, "disk", disks[i].node);
		json_string(&json, "cache", disks[i].value);
		json_string(&json, "was", disks[i].was);
		json_end(&json);
	}
	json_end(&json);
	json_end(&json);
}

static int print_disks(const struct invocation *invocation, const struct meant *meant)
{
	_cleanup_output_ struct output *output = NULL;
	_cleanup_free_ struct disk_cache *disks = NULL;
	size_t nr = 0;
	int r = disk_caches_of(&this_world, meant->main, &disks, &nr);

	if (!r && invocation->json) {
		print_json(meant, disks, nr);
		return 0;
	}
	if (!r)
		r = output_open(&output, columns);
	for (size_t i = 0; !r && i < nr; i++) {
		r = output_line(output);
		if (r < 0)
			break;
		output_text(output, meant->name);
		output_text(output, write_cache_name(meant->write_cache));
		output_text(output, disks[i].node);
		output_text(output, *disks[i].value ? disks[i].value : NULL);
		r = output_text(output, *disks[i].was ? disks[i].was : NULL);
	}
	return r ? r : output_print(output);
}

/* Of a set that is not active the superblock says it. */
static int change_inactive(const struct meant *meant, enum write_cache write_cache,
			   struct error *error)
{
	_cleanup_(set_close) struct open_set open = OPEN_SET_NONE;
	struct remap_super super;
	int r = set_open_locked(meant->uuid, false, &open, error);

	if (r < 0)
		return r;
	super = open.handle.region.super;
	super.flags = write_cache_flags(super.flags, write_cache);
	super.seq = open.handle.table.generation + 1;
	/* one that was killed may have left the old one in a replica */
	return super.flags == open.handle.region.super.flags &&
			       !open.handle.region.choice.repair[0] &&
			       !open.handle.region.choice.repair[1] ?
		       0 :
		       region_write_super(&open.handle.region, &super, error);
}

static int change_active(const struct meant *meant, enum write_cache write_cache,
			 struct error *told, struct error *error)
{
	_cleanup_close_ int lock = -1;
	char message[64];
	int r = lock_mapped_device(&meant->device, &lock, error);

	if (r < 0)
		return r;
	snprintf(message, sizeof(message), "write_cache %s", write_cache_name(write_cache));
	r = dm_message(meant->device.name, message, NULL, error);
	if (!r && write_cache == WRITE_CACHE_THROUGH)
		write_cache_off(&this_world, meant->uuid, meant->main, told);
	else if (!r)
		write_cache_let_go(&this_world, meant->uuid);
	return r;
}

static int find(const struct inventory *inventory, const char *what, const struct assembly **set,
		struct meant *meant, struct error *error)
{
	int r = inventory_find(inventory, what, set, error);

	if (r < 0)
		return r;
	snprintf(meant->name, sizeof(meant->name), "%s", (*set)->name);
	uuid_to_string((*set)->uuid, meant->uuid);
	if (((*set)->main < 0 || (*set)->spare < 0) && (*set)->verdict == (*set)->state)
		return inventory_refuse_missing(inventory, *set, error);
	if ((*set)->main < 0 || (*set)->spare < 0)
		return error_set(error, EAGAIN, "%s: %s", (*set)->name,
				 *(*set)->reason ? (*set)->reason : "a member is missing");
	meant->main = inventory->members[(*set)->main].devno;
	meant->write_cache = write_cache_of_flags(inventory->members[(*set)->spare].flags);
	if ((*set)->state != ASSEMBLY_ACTIVE)
		return 0;
	r = dm_get((*set)->name, &meant->device, error);
	if (!r && meant->device.fallback)
		r = error_set(error, EBUSY,
			      "%s is active without the module (fallback): nothing is written "
			      "through",
			      (*set)->name);
	if (!r && write_cache_parse(meant->device.status.write_cache, &meant->write_cache) < 0)
		r = error_set(error, ENOTSUP,
			      "%s: the loaded module is too old for this; load the current one",
			      (*set)->name);
	return r;
}

static int again(const char *path, struct error *error)
{
	dev_t devno = device_number(path);
	struct error told;

	if (!devno)
		return error_set(error, ENODEV, "%s: no such device", path);
	write_cache_again(&this_world, devno, &told);
	if (*told.text)
		printf("%s\n", told.text);
	return 0;
}

static int change(const struct meant *meant, enum write_cache write_cache, struct error *told,
		  struct error *error)
{
	return *meant->device.name ? change_active(meant, write_cache, told, error) :
				     change_inactive(meant, write_cache, error);
}

/* Udev may have activated the set since it was looked at, or another command deactivated it. */
static bool has_changed(struct meant *meant)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	const struct assembly *set;
	struct meant now = { 0 };

	if (inventory_look(&inventory, NULL, true, NULL) < 0 ||
	    find(&inventory, meant->uuid, &set, &now, NULL) < 0 ||
	    !*now.device.name == !*meant->device.name)
		return false;
	*meant = now;
	return true;
}

int verb_write_cache(struct invocation *invocation, struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	const struct assembly *set;
	struct error told = { "" };
	struct meant meant = { 0 };
	enum write_cache wanted;
	int r;

	if (invocation->json && (option_value(invocation, "auto") || invocation->argc > 1))
		return error_set(error, EINVAL,
				 "a change does not print JSON; use write-cache %s without a "
				 "mode",
				 invocation->argv[0]);
	if (option_value(invocation, "auto"))
		return again(invocation->argv[0], error);
	if (invocation->argc > 1 && write_cache_parse(invocation->argv[1], &wanted) < 0)
		return error_set(error, EINVAL, "\"%s\": invalid mode; use through, keep or auto",
				 invocation->argv[1]);
	r = inventory_look(&inventory, invocation->argv[0], true, error);
	if (!r)
		r = find(&inventory, invocation->argv[0], &set, &meant, error);
	if (r < 0)
		return r;
	if (invocation->argc == 1)
		return print_disks(invocation, &meant);
	r = change(&meant, wanted, &told, error);
	if (r < 0 && has_changed(&meant))
		r = change(&meant, wanted, &told, error);
	if (!r && *told.text && !invocation->quiet)
		printf("%s\n", told.text);
	return r;
}
