// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "format/backup.h"
#include "format/region.h"
#include "ops/activate.h"
#include "ops/mend.h"
#include "set/deactivated.h"
#include "set/handle.h"
#include "set/mark.h"
#include "system/lock.h"
#include "system/mask.h"
#include "system/partitions.h"
#include "system/write-cache.h"

static void table_line(const struct inventory *inventory, const struct assembly *set,
		       struct remap_line *line)
{
	const struct member *main = &inventory->members[set->main];
	const struct member *spare = &inventory->members[set->spare];

	snprintf(line->main, sizeof(line->main), "%u:%u", major(main->devno), minor(main->devno));
	snprintf(line->spare, sizeof(line->spare), "%u:%u", major(spare->devno),
		 minor(spare->devno));
	line->spare_start = 0;
	line->spare_sectors = spare->region_sectors;
}

/* The kernel says EIO of a disk that fails and of metadata of which nothing is left. */
static bool is_damaged(const struct inventory *inventory, const struct assembly *set)
{
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;

	return handle_open(inventory->members[set->main].path, inventory->members[set->spare].path,
			   O_RDONLY, &handle, NULL) == -EUCLEAN;
}

/* The kernel refuses it as well, without the way on. */
static int check_writable(const struct inventory *inventory, const struct assembly *set,
			  const struct activate_options *options, struct error *error)
{
	const int members[] = { set->main, set->spare };

	for (unsigned int i = 0; i < 2 && !options->read_only; i++)
		if (inventory->members[members[i]].read_only)
			return error_set(error, EPERM,
					 "%s: %s is write-protected; use --read-only, or allow "
					 "writes to it",
					 set->name, inventory->members[members[i]].path);
	return 0;
}

static int create_remap(const struct inventory *inventory, const struct assembly *set,
			const char *name, const char *dm_uuid,
			const struct activate_options *options, struct error *error)
{
	const struct member *spare = &inventory->members[set->spare];
	struct remap_line line = { .features = "" };
	char params[1024];
	struct error why;
	int r = dm_ensure_target(&why);

	if (r < 0)
		return error_set(error, -r, "%s: %s", set->name, why.text);
	r = check_writable(inventory, set, options, error);
	if (r < 0)
		return r;
	table_line(inventory, set, &line);
	if (options->force_rw)
		snprintf(line.features, sizeof(line.features), "1 force_rw");
	r = remap_line_format(&line, params, sizeof(params));
	if (r < 0)
		return error_set(error, -r, "%s: the table line is too long", name);
	r = dm_create(name, dm_uuid, spare->main_sectors, params, options->read_only, error);
	if (r == -EIO && is_damaged(inventory, set))
		return error_set(error, EUCLEAN,
				 "%.340s; to repair it, run dmremap restore-backup FILE %s",
				 error->text, spare->path);
	if (r == -ESTALE)
		return error_set(error, ESTALE,
				 "%.340s. If that is gone, run dmremap release --without-spare %s",
				 error->text, inventory->members[set->main].path);
	return r;
}

/* Of a release that cannot be completed, the map counts as long as main is hidden. */
static int check_still_due(const struct set_handle *handle, const struct activate_options *options,
			   struct error *error)
{
	struct error why;
	int r = handle_is_due(handle, &why);

	if (r == 0)
		return error_set(error, ECANCELED,
				 "%s has its content back and is a plain disk; run dmremap "
				 "activate %s to free the spare",
				 handle->main_path, handle->spare_path);
	if (r < 0 && r != -EEXIST && !options->read_only)
		return error_set(error, -r, "%.380s. Use --read-only to serve it anyway", why.text);
	return 0;
}

/* The map as linear and error segments (O9): full access, nothing new is remapped. */
static int create_fallback(const struct inventory *inventory, const struct assembly *set,
			   const char *name, const char *dm_uuid,
			   const struct activate_options *options, struct error *error)
{
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;
	_cleanup_free_ struct segment *segments = NULL;
	_cleanup_free_ char *table = NULL;
	size_t nr, nr_bytes;
	FILE *stream;
	int r;

	r = handle_open(inventory->members[set->main].path, inventory->members[set->spare].path,
			O_RDONLY, &handle, error);
	if (!r && handle.region.super.flags & REMAP_SUPER_RELEASING)
		r = check_still_due(&handle, options, error);
	if (!r)
		r = region_segments(&handle.region, &handle.table, &segments, &nr, error);
	if (r < 0)
		return r;
	stream = open_memstream(&table, &nr_bytes);
	if (!stream)
		return error_set(error, ENOMEM, "out of memory");
	for (size_t i = 0; i < nr; i++) {
		const struct segment *s = &segments[i];
		dev_t devno =
			inventory->members[s->kind == SEGMENT_MAIN ? set->main : set->spare].devno;

		fprintf(stream, "%" PRIu64 " %" PRIu64 " ", s->start, s->nr_sectors);
		if (s->kind == SEGMENT_LOST)
			fprintf(stream, "error\n");
		else
			fprintf(stream, "linear %u:%u %" PRIu64 "\n", major(devno), minor(devno),
				s->kind == SEGMENT_MAIN ? s->start : s->spare_sector);
	}
	if (fclose(stream) == EOF)
		return error_set(error, ENOMEM, "out of memory");
	return dm_create_table(name, dm_uuid, table, options->read_only, error);
}

/*
 * Where the kernel writes main through, its disks need no volatile cache.  Nothing depends on
 * it; and a read-only activation changes nothing at all.
 */
static void care_for_cache(const struct assembly *set, const struct member *main,
			   const struct dm_device *device, const struct activate_options *options)
{
	char uuid[UUID_STRING_BYTES];
	struct error told = { "" };

	uuid_to_string(set->uuid, uuid);
	if (device->read_only || device->fallback || device->failed)
		return;
	if (streq(device->status.write_cache, write_cache_name(WRITE_CACHE_THROUGH)))
		write_cache_off(&this_world, uuid, main->devno, &told);
	else
		write_cache_let_go(&this_world, uuid);
	if (options->note)
		*options->note = told;
}

/* Device-mapper has no more than a number for a member that is not free.  0: both are by now. */
static int tell_who_has_it(const struct inventory *inventory, const struct assembly *set,
			   struct error *error)
{
	const int members[] = { set->main, set->spare };
	struct error why;

	for (unsigned int i = 0; i < 2; i++) {
		int r = device_is_free(inventory->members[members[i]].path, &why);

		if (r < 0)
			return error_set(error, r == -EAGAIN ? ETIMEDOUT : -r, "%s: %.380s",
					 set->name, why.text);
	}
	return 0;
}

static int create_device(const struct inventory *inventory, const struct assembly *set,
			 const struct activate_options *options, char taken[PARTITIONS_TAKEN_BYTES],
			 struct error *error)
{
	const char *name = options->name ? options->name : set->name;
	char dm_uuid[64] = DM_UUID_PREFIX;
	struct dm_device device;
	bool again = false;
	int r;

	uuid_to_string(set->uuid, dm_uuid + strlen(DM_UUID_PREFIX));
	do {
		r = (options->fallback ? create_fallback : create_remap)(inventory, set, name,
									 dm_uuid, options, error);
		if (r != -EBUSY || again)
			break;
		/* who looks at a device has it for a moment; or the name is another's */
		r = tell_who_has_it(inventory, set, error);
		again = !r;
	} while (again);
	if (!r)
		deactivated_forget(dm_uuid + strlen(DM_UUID_PREFIX));
	if (!r)
		r = dm_get(name, &device, error);
	if (r < 0)
		return r;
	care_for_cache(set, &inventory->members[set->main], &device, options);
	return partitions_create(&device, taken, error);
}

static const struct dm_device *device_of(const struct inventory *inventory,
					 const struct assembly *set)
{
	for (size_t i = 0; i < inventory->nr_devices; i++)
		if (streq(inventory->devices[i].name, set->name))
			return &inventory->devices[i];
	return NULL;
}

/* The highest generation that the kernel has acknowledged; 0: it does not say. */
static uint64_t committed_in_memory(const char *name)
{
	_cleanup_free_ char *reply = NULL;
	const char *at;
	uint64_t committed;

	if (dm_message(name, "metadata_status", &reply, NULL) < 0)
		return 0;
	at = strstr(reply, " committed=");
	return at && sscanf(at, " committed=%" SCNu64, &committed) == 1 ? committed : 0;
}

/*
 * The kernel compares, too, but only when the old table is gone: what it would refuse is
 * found out before.
 */
static int check_returned(const struct inventory *inventory, const struct assembly *set,
			  const struct dm_device *device, struct error *error)
{
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;
	const struct member *main = &inventory->members[set->main];
	const struct member *spare = &inventory->members[set->spare];
	/* before the media are read: what is committed meanwhile is on them, too */
	uint64_t committed = device->failed ? 0 : committed_in_memory(set->name);
	int r = handle_open(main->path, spare->path, O_RDONLY, &handle, error);

	if (r == -EINVAL || r == -ENODEV) /* no argument was wrong: another disk */
		return -EPERM;
	if (r < 0)
		return r;
	if (device->nr_sectors && handle.region.super.main_sectors != device->nr_sectors)
		return error_set(error, EPERM,
				 "%s: the set on %s has %" PRIu64 " sectors, not %" PRIu64,
				 set->name, spare->path, (uint64_t)handle.region.super.main_sectors,
				 device->nr_sectors);
	if (handle.table.generation < committed)
		return error_set(error, ESTALE,
				 "%s is an older copy of the spare: it lacks later remaps of %s",
				 spare->path, set->name);
	return 0;
}

/*
 * A member has returned, perhaps under another number: the device gets it by a reload that
 * does not flush (a flush to the one that is gone would fail); then the kernel compares
 * what is on the media with what it has acknowledged.
 */
static int put_in_again(const struct inventory *inventory, const struct assembly *set,
			const struct activate_options *options, struct error *error)
{
	const struct dm_device *device = device_of(inventory, set);
	struct remap_line line;
	struct dm_device now;
	char params[1024];
	int r;

	if (!device)
		return error_set(error, ENODEV, "%s: the mapped device has disappeared", set->name);
	if (device->fallback && !device->failed)
		return error_set(error, EBUSY,
				 "%s is active without the module (fallback), and a member that "
				 "was gone is attached again; run dmremap deactivate, then "
				 "activate",
				 set->name);
	if (options->read_only && !device->read_only)
		return error_set(error, EBUSY,
				 "%s is active read-write, and re-adding its member writes to the "
				 "disks; run dmremap deactivate first",
				 set->name);
	r = check_returned(inventory, set, device, error);
	if (r < 0)
		return r;
	line = device->line;
	table_line(inventory, set, &line);
	if (options->force_rw && !*line.features)
		snprintf(line.features, sizeof(line.features), "1 force_rw");
	r = remap_line_format(&line, params, sizeof(params));
	if (r < 0)
		return error_set(error, -r, "%s: the table line is too long", set->name);
	r = dm_reload(set->name, inventory->members[set->spare].main_sectors, params,
		      device->read_only, true, error);
	if (!r && !device->read_only)
		r = dm_message(set->name, "restore", NULL, error);
	if (!r && dm_get(set->name, &now, NULL) == 0)
		care_for_cache(set, &inventory->members[set->main], &now, options);
	return r;
}

/*
 * An option that would do nothing is a mistake, or leads to one: what was to be read-only may be
 * written.  With --fallback a set that is served by the module is served better.
 */
static int check_active(const struct dm_device *device, const struct activate_options *options,
			struct error *error)
{
	const char *as = NULL;

	if (options->read_only && !device->read_only)
		as = "read-write";
	else if (options->name && !streq(options->name, device->name))
		as = "under this name";
	else if (options->force_rw && streq(device->status.mode, "ro"))
		as = "in mode ro";
	return as && !options->automatic ? error_set(error, EBUSY,
						     "%s is active %s; run dmremap deactivate %s "
						     "first",
						     device->name, as, device->name) :
					   0;
}

/* Partitions that were removed by others, or that a crash left out. */
static int complete_active(const struct inventory *inventory, const struct assembly *set,
			   const struct activate_options *options,
			   char taken[PARTITIONS_TAKEN_BYTES], struct error *error)
{
	const struct dm_device *device = device_of(inventory, set);
	int r = device ? check_active(device, options, error) : 0;

	if (r < 0 || !device || *set->reason || device->suspended)
		return r;
	if (set->main >= 0)
		care_for_cache(set, &inventory->members[set->main], device, options);
	return partitions_create(device, taken, error);
}

/* One that was killed before its device had a table: nobody has that open. */
static int create_again(const struct inventory *inventory, const struct assembly *set,
			const struct activate_options *options, char taken[PARTITIONS_TAKEN_BYTES],
			struct error *error)
{
	int r = dm_remove(set->name, false, error);

	return r ? r : create_device(inventory, set, options, taken, error);
}

static bool has_no_table(const struct dm_device *device)
{
	return device && device->failed && !device->nr_sectors;
}

static int refuse(const struct assembly *set, int number, const char *reason, struct error *error)
{
	return error_set(error, number, "%s: %s", set->name, reason);
}

/* The sentence for the user begins with what was interrupted, whichever host the set belongs to. */
static int mend(const struct inventory *inventory, const struct assembly *set,
		const struct activate_options *options, char taken[PARTITIONS_TAKEN_BYTES],
		struct error *error)
{
	struct assembly interrupted = *set;
	int r;

	snprintf(interrupted.reason, sizeof(interrupted.reason), "%s", set->state_reason);
	r = mend_set(inventory, &interrupted, options->any_hardware, error);
	/* it was completed: a set like any other, as soon as its members are closed */
	return r > 0 ? create_device(inventory, set, options, taken, error) : r;
}

/* It was deactivated by hand, and its disks are the same: it is activated by hand only. */
static bool is_let_go(const struct inventory *inventory, const struct assembly *set)
{
	char uuid[UUID_STRING_BYTES];

	if (set->main < 0 || set->spare < 0)
		return false;
	uuid_to_string(set->uuid, uuid);
	return deactivated_holds(uuid, inventory->members[set->main].devno,
				 inventory->members[set->spare].devno);
}

static int act(const struct inventory *inventory, const struct assembly *set,
	       const struct activate_options *options, char taken[PARTITIONS_TAKEN_BYTES],
	       struct error *error)
{
	if (set->verdict == ASSEMBLY_FOREIGN && !options->foreign)
		return refuse(set, EPERM, set->reason, error);
	if (set->verdict == ASSEMBLY_NO_HOST && options->automatic)
		return refuse(set, EPERM, set->reason, error);
	switch (set->state) {
	case ASSEMBLY_ACTIVE:
		return complete_active(inventory, set, options, taken, error);
	case ASSEMBLY_RETURNED:
		if (options->fallback && has_no_table(device_of(inventory, set)))
			return create_again(inventory, set, options, taken, error);
		return put_in_again(inventory, set, options, error);
	case ASSEMBLY_NO_MAIN:
	case ASSEMBLY_NO_SPARE:
		return options->automatic ? refuse(set, EAGAIN, set->state_reason, error) :
					    inventory_refuse_missing(inventory, set, error);
	case ASSEMBLY_DUPLICATE:
		return refuse(set, EEXIST, set->state_reason, error);
	case ASSEMBLY_MISMATCH:
		return refuse(set, EPERM, set->state_reason, error);
	case ASSEMBLY_UNFINISHED:
	case ASSEMBLY_READY:
		break;
	case ASSEMBLY_FOREIGN:
	case ASSEMBLY_NO_HOST:
	case ASSEMBLY_OTHER_HARDWARE: /* verdicts, never states */
		return error_set(error, EPROTO, "%s: nothing to do", set->name);
	}
	if (*set->doubt && !options->any_hardware)
		return refuse(set, EPERM, set->doubt, error);
	if (options->automatic && is_let_go(inventory, set))
		return refuse(set, EAGAIN,
			      "it was deactivated, and its disks have not changed since; run "
			      "dmremap activate",
			      error);
	/* Of a release that cannot be completed the map counts as long as main is hidden. */
	if (set->state == ASSEMBLY_READY ||
	    (options->fallback && set->main >= 0 && set->spare >= 0 &&
	     inventory->members[set->spare].flags & REMAP_SUPER_RELEASING))
		return create_device(inventory, set, options, taken, error);
	if (options->read_only)
		return error_set(error, EPERM,
				 "%s: %s, and repairing that writes to the disks; activate it "
				 "without --read-only",
				 set->name, set->state_reason);
	return mend(inventory, set, options, taken, error);
}

/*
 * Rules of sets that were being made when create was killed: it holds the set's lock as long as it
 * lives.  A set of which a member does not answer is present; and if one that does not answer may
 * be of any set, all are.
 */
void activate_clean(const struct inventory *inventory)
{
	size_t nr_sets = inventory->nr_sets, nr = nr_sets + inventory->nr_silent;
	_cleanup_free_ uint8_t(*kept)[16] = calloc(nr + 1, sizeof(*kept));

	if (!kept || !inventory->is_whole)
		return;
	for (size_t i = 0; i < nr_sets; i++)
		memcpy(kept[i], inventory->sets[i].uuid, sizeof(*kept));
	for (size_t i = nr_sets; i < nr; i++) {
		const struct member *silent = &inventory->silent[i - nr_sets];

		if (silent->role == MEMBER_NONE)
			return;
		memcpy(kept[i], silent->uuid, sizeof(*kept));
	}
	if (mask_clean((const uint8_t(*)[16])kept, nr, &inventory->looked))
		scan_tell_udev_of_masked();
}

/* The rule of a main without guard that create did not come to, or that names another main. */
static void mend_mask(const struct inventory *inventory, const struct assembly *set,
		      const struct activate_options *options)
{
	const struct member *main = set->main >= 0 ? &inventory->members[set->main] : NULL;

	if (!main || main->guarded || options->read_only ||
	    (set->verdict != ASSEMBLY_READY && set->verdict != ASSEMBLY_ACTIVE))
		return;
	if (mask_mend(set->uuid, main->devno) > 0)
		scan_tell_udev(main->devno, "change");
}

int activate(const char *what, const struct activate_options *options, struct assembly *set,
	     struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	_cleanup_close_ int lock = -1;
	const struct assembly *found = NULL;
	char taken[PARTITIONS_TAKEN_BYTES] = "";
	int r = inventory_look_and_lock(what, !options->automatic, &inventory, &found, &lock,
					error);

	activate_clean(&inventory);
	if (r < 0)
		return r == -EBUSY ? -ETIMEDOUT : r;
	if (set)
		*set = *found;
	r = act(&inventory, found, options, taken, error);
	if (r == -EBUSY && found->state == ASSEMBLY_READY && !options->name) {
		char name[sizeof(found->name)];
		struct error why;
		uint8_t uuid[16];

		/* another set may have taken the name since: then this one has another */
		snprintf(name, sizeof(name), "%s", found->name);
		memcpy(uuid, found->uuid, sizeof(uuid));
		if (inventory_look_again(&inventory, uuid, &found, &why) < 0)
			return r;
		if (found->state == ASSEMBLY_READY && !streq(found->name, name)) {
			if (set)
				*set = *found;
			r = act(&inventory, found, options, taken, error);
		}
	}
	if (r == -EAGAIN && found->silent)
		r = -ETIMEDOUT;
	if (set)
		snprintf(set->taken, sizeof(set->taken), "%s", taken);
	if (!r)
		mend_mask(&inventory, found, options);
	return r;
}

int deactivate_locked(const char *name, struct error *error)
{
	char taken[PARTITIONS_TAKEN_BYTES];
	struct dm_device device;
	int r = dm_get(name, &device, error);

	if (r < 0)
		return r;
	r = partitions_remove(&device, error);
	if (!r)
		r = dm_remove(device.name, false, error);
	if (!r && *uuid_of_device(&device))
		write_cache_let_go(&this_world, uuid_of_device(&device));
	if (r < 0 && !device.suspended && !device.failed)
		partitions_create(&device, taken, NULL); /* as before */
	return r;
}

/*
 * One that was made with plain dmsetup does not say which set it is: its members are locked.  The
 * name may be another set's by the time that the lock is had.
 */
int lock_mapped_device(const struct dm_device *device, int *lock, struct error *error)
{
	const dev_t devices[] = { number_in_table(device->line.main),
				  number_in_table(device->line.spare) };
	struct dm_device now;
	uint8_t uuid[16];
	int r = 0;

	if (uuid_from_string(uuid_of_device(device), uuid) == 0)
		r = lock_set(lock, uuid, error);
	if (!r)
		r = lock_devices(lock, devices, 2, error);
	if (!r)
		r = dm_get(device->name, &now, error);
	if (!r && (!streq(now.dm_uuid, device->dm_uuid) || now.minor != device->minor))
		r = error_set(error, EBUSY, "%s: the device was replaced meanwhile", device->name);
	return r;
}

int deactivate(const char *name, struct error *note, struct error *error)
{
	_cleanup_close_ int lock = -1;
	struct dm_device device;
	const char *uuid;
	int noted = 0, r = dm_get(name, &device, error);

	if (!r)
		r = lock_mapped_device(&device, &lock, error);
	if (r < 0)
		return r;
	uuid = uuid_of_device(&device);
	/* Before it is gone: the note of an active set is not read, and a later one is too late. */
	if (*uuid)
		noted = deactivated_note(uuid, makedev(device.major, device.minor));
	r = deactivate_locked(name, error);
	if (r < 0 && *uuid)
		deactivated_forget(uuid);
	if (!r && noted < 0)
		deactivated_cannot(name, noted, note);
	return r;
}
