// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What sets there are on this machine, and the one that a user means, taken by its locks.  Changes
 * no set.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "format/backup.h"
#include "set/inventory.h"
#include "set/look.h"
#include "system/dm-table.h"
#include "system/identity.h"
#include "system/lock.h"
#include "system/mask.h"

#define WAITING_PATH RUN_DIR "/waiting"

dev_t number_in_table(const char *text)
{
	unsigned int major_number, minor_number;
	char path[64];
	dev_t devno;
	int end = 0;

	if (sscanf(text, "%u:%u%n", &major_number, &minor_number, &end) != 2 || text[end])
		return device_number(text);
	devno = makedev(major_number, minor_number);
	device_path(devno, path, sizeof(path));
	return *path ? devno : 0;
}

/* The set of a mapped device: by its DM_UUID, else by its spare's superblock. */
static bool uuid_of(const struct inventory *inventory, const struct dm_device *device,
		    struct active_set *active)
{
	if (uuid_from_string(uuid_of_device(device), active->uuid) == 0)
		return true;
	for (size_t i = 0; i < inventory->nr_members; i++) {
		const struct member *member = &inventory->members[i];

		if (member->role != MEMBER_SPARE || member->devno != active->spare)
			continue;
		memcpy(active->uuid, member->uuid, sizeof(active->uuid));
		return true;
	}
	return false;
}

static bool is_below(const struct dm_segment *segments, size_t nr, dev_t devno)
{
	for (size_t i = 0; i < nr; i++)
		if (segments[i].below == devno)
			return true;
	return false;
}

/* It has no line: of the members, and copies of them, those count that its table names. */
static void fill_fallback(const struct inventory *inventory, const struct dm_device *device,
			  struct active_set *active)
{
	_cleanup_free_ struct dm_segment *segments = NULL;
	size_t nr = 0;

	if (dm_table_of(makedev(device->major, device->minor), &segments, &nr) < 0)
		return;
	for (size_t i = 0; i < inventory->nr_members; i++) {
		const struct member *member = &inventory->members[i];

		if (!memcmp(member->uuid, active->uuid, sizeof(active->uuid)) &&
		    is_below(segments, nr, member->devno))
			*(member->role == MEMBER_MAIN ? &active->main : &active->spare) =
				member->devno;
	}
}

static void fill_active(const struct inventory *inventory, const struct dm_device *device,
			struct active_set *active)
{
	active->main = number_in_table(device->line.main);
	active->spare = number_in_table(device->line.spare);
	active->suspended = device->suspended;
	/* one whose return failed has no member at all */
	if (device->fallback && !device->failed)
		fill_fallback(inventory, device, active);
}

/* A member that udev knows and that does not answer is there: that is another sentence. */
static void tell_silent(const struct inventory *inventory)
{
	for (size_t i = 0; i < inventory->nr_silent; i++)
		for (size_t s = 0; s < inventory->nr_sets; s++) {
			const struct member *silent = &inventory->silent[i];
			struct assembly *set = &inventory->sets[s];
			bool is_main = silent->role == MEMBER_MAIN;

			if (silent->role == MEMBER_NONE ||
			    (is_main ? set->main : set->spare) >= 0 ||
			    memcmp(silent->uuid, set->uuid, sizeof(set->uuid)) != 0)
				continue;
			set->silent = true;
			snprintf(set->state_reason, sizeof(set->state_reason), "its %s device %s",
				 member_role_name(silent->role), silent_text(silent).text);
			if (set->verdict == set->state)
				snprintf(set->reason, sizeof(set->reason), "%s", set->state_reason);
		}
}

static int make_sets(struct inventory *inventory, struct error *error)
{
	_cleanup_free_ struct active_set *active = NULL;
	_cleanup_free_ struct dm_name *names = NULL;
	_cleanup_free_ const char **taken = NULL;
	size_t nr_active = 0, nr_names, nr_taken = 0;
	uint8_t host[16];
	int r;

	host_id(host);
	r = dm_names(&names, &nr_names, error);
	if (r < 0)
		return r;
	active = calloc(inventory->nr_devices + 1, sizeof(*active));
	taken = calloc(nr_names + 1, sizeof(*taken));
	if (!active || !taken)
		return error_set(error, ENOMEM, "out of memory");
	for (size_t i = 0; i < inventory->nr_devices; i++) {
		struct active_set *at = &active[nr_active];

		at->spare = number_in_table(inventory->devices[i].line.spare);
		if (!uuid_of(inventory, &inventory->devices[i], at))
			continue;
		snprintf(at->name, sizeof(at->name), "%s", inventory->devices[i].name);
		fill_active(inventory, &inventory->devices[i], at);
		nr_active++;
	}
	for (size_t i = 0; i < nr_names; i++) {
		bool is_set = false;

		for (size_t j = 0; j < nr_active; j++)
			is_set |= streq(active[j].name, names[i].name);
		if (!is_set)
			taken[nr_taken++] = names[i].name;
	}
	r = assemble(inventory->members, inventory->nr_members, active, nr_active, taken, host,
		     &inventory->sets, &inventory->nr_sets);
	if (r < 0)
		return error_set(error, -r, "out of memory");
	tell_silent(inventory);
	return 0;
}

static bool is_waiting(const struct inventory *inventory, const uint8_t uuid[16])
{
	for (size_t i = 0; i < inventory->nr_sets; i++)
		if (!memcmp(inventory->sets[i].uuid, uuid, sizeof(inventory->sets[i].uuid)))
			return inventory->sets[i].main < 0 &&
			       (inventory->sets[i].verdict == ASSEMBLY_NO_MAIN ||
				inventory->sets[i].verdict == ASSEMBLY_ACTIVE);
	return false;
}

static bool is_looked_for(const struct inventory *inventory, const uint8_t uuid[16])
{
	return !inventory->is_of_one || !memcmp(inventory->uuid, uuid, sizeof(inventory->uuid));
}

static bool is_younger(const struct stat *st, const struct timespec *looked)
{
	return st->st_mtim.tv_sec > looked->tv_sec ||
	       (st->st_mtim.tv_sec == looked->tv_sec && st->st_mtim.tv_nsec >= looked->tv_nsec);
}

/* The rule wants to know only whether there is a directory: without a note in it there is none. */
static void remove_notes(const struct inventory *inventory, int notes)
{
	_cleanup_closedir_ DIR *directory = fdopendir(dup(notes));
	struct dirent *at;

	while (directory && (at = readdir(directory))) {
		uint8_t uuid[16];
		struct stat st;

		if (uuid_from_string(at->d_name, uuid) == 0 && is_looked_for(inventory, uuid) &&
		    !is_waiting(inventory, uuid) &&
		    fstatat(notes, at->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !is_younger(&st, &inventory->looked))
			unlinkat(notes, at->d_name, 0);
	}
	rmdir(WAITING_PATH);
}

static void leave_note(int notes, const uint8_t uuid[16])
{
	_cleanup_close_ int fd = -1;
	char name[UUID_STRING_BYTES];

	uuid_to_string(uuid, name);
	fd = openat(notes, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		futimens(fd, NULL);
}

void inventory_note_waiting(const struct inventory *inventory)
{
	_cleanup_close_ int lock = -1, notes = -1;

	/* another one may leave a note, or remove the directory, between the steps below */
	if (lock_machine(&lock, NULL) < 0)
		return;
	/* an older version left a file of that name */
	if (mkdir(WAITING_PATH, 0700) < 0 && errno == EEXIST && unlink(WAITING_PATH) == 0)
		mkdir(WAITING_PATH, 0700);
	notes = open(WAITING_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	for (size_t i = 0; notes >= 0 && i < inventory->nr_sets; i++)
		if (is_looked_for(inventory, inventory->sets[i].uuid) &&
		    is_waiting(inventory, inventory->sets[i].uuid))
			leave_note(notes, inventory->sets[i].uuid);
	if (notes >= 0)
		remove_notes(inventory, notes);
}

/* Where hardware does not decide which spare it is, main's mark may (O6). */
static bool find_outdated(struct inventory *inventory, const struct assembly *set)
{
	size_t nr = 0, nr_outdated = 0;

	for (size_t i = 0; i < inventory->nr_members; i++) {
		struct member *member = &inventory->members[i];

		if (member->role != MEMBER_SPARE || memcmp(member->uuid, set->uuid, 16) != 0)
			continue;
		nr++;
		member->outdated =
			look_is_outdated(inventory->members[set->main].path, member->path);
		nr_outdated += member->outdated;
	}
	for (size_t i = 0; nr == nr_outdated && i < inventory->nr_members; i++)
		if (!memcmp(inventory->members[i].uuid, set->uuid, 16))
			inventory->members[i].outdated = false;
	return nr_outdated && nr_outdated < nr;
}

static int make_sets_by_age(struct inventory *inventory, struct error *error)
{
	int r = make_sets(inventory, error);
	bool any = false;

	for (size_t i = 0; !r && i < inventory->nr_sets; i++)
		if (inventory->sets[i].spare == -2 && inventory->sets[i].main >= 0)
			any |= find_outdated(inventory, &inventory->sets[i]);
	if (!any)
		return r;
	free(inventory->sets);
	inventory->sets = NULL;
	inventory->nr_sets = 0;
	return make_sets(inventory, error);
}

/* One that was made with plain dmsetup may be of any set. */
static bool may_be_of(const struct dm_device *device, const uint8_t *wanted)
{
	uint8_t uuid[16];

	return !wanted || uuid_from_string(uuid_of_device(device), uuid) < 0 ||
	       !memcmp(uuid, wanted, sizeof(uuid));
}

static int look(struct inventory *inventory, const char *what, bool thorough, struct error *error)
{
	const uint8_t *wanted = inventory->is_of_one ? inventory->uuid : NULL;
	_cleanup_free_ dev_t *devices = NULL;
	struct scan_request request = { .thorough = thorough, .uuid = wanted };
	struct scan scan;
	int r;

	clock_gettime(CLOCK_REALTIME_COARSE, &inventory->looked);
	r = dm_list(&inventory->devices, &inventory->nr_devices, error);
	if (r < 0)
		return r;
	/* udev may not have looked at a set that was made with plain dmsetup */
	devices = calloc(2 * inventory->nr_devices + 1, sizeof(*devices));
	if (!devices)
		return error_set(error, ENOMEM, "out of memory");
	for (size_t i = 0; i < inventory->nr_devices; i++) {
		if (!may_be_of(&inventory->devices[i], wanted))
			continue;
		devices[request.nr_devices++] = number_in_table(inventory->devices[i].line.main);
		devices[request.nr_devices++] = number_in_table(inventory->devices[i].line.spare);
	}
	if (what && strchr(what, '/') && device_number(what))
		devices[request.nr_devices++] = device_number(what);
	request.devices = devices;
	r = scan_members(&request, &scan, error);
	inventory->members = scan.members;
	inventory->nr_members = scan.nr_members;
	inventory->silent = scan.silent;
	inventory->nr_silent = scan.nr_silent;
	inventory->strangers = scan.strangers;
	inventory->nr_strangers = scan.nr_strangers;
	if (!r)
		r = make_sets_by_age(inventory, error);
	inventory->is_whole = r == 0 && !inventory->is_of_one;
	return r;
}

int inventory_look(struct inventory *inventory, const char *what, bool thorough,
		   struct error *error)
{
	memset(inventory, 0, sizeof(*inventory));
	return look(inventory, what, thorough, error);
}

int inventory_look_for(struct inventory *inventory, const char *what, struct error *error)
{
	memset(inventory, 0, sizeof(*inventory));
	inventory->is_of_one =
		uuid_from_string(what, inventory->uuid) == 0 ||
		(strchr(what, '/') && scan_known_set(device_number(what), inventory->uuid));
	/* what an interrupted create left is removed by who knows which sets there are */
	if (inventory->is_of_one && mask_is_unfinished())
		inventory->is_of_one = false;
	return look(inventory, what, false, error);
}

void inventory_done(struct inventory *inventory)
{
	free(inventory->members);
	free(inventory->silent);
	free(inventory->strangers);
	free(inventory->devices);
	free(inventory->sets);
}

/* @foreign: also by what disks of another host call it, which may be any name. */
static bool is_meant(const struct inventory *inventory, const struct assembly *set,
		     const char *what, dev_t devno, bool foreign)
{
	uint8_t uuid[16], host[16];

	if (uuid_from_string(what, uuid) == 0)
		return !memcmp(uuid, set->uuid, sizeof(uuid));
	for (size_t i = 0; devno && i < inventory->nr_members; i++)
		if (inventory->members[i].devno == devno &&
		    !memcmp(inventory->members[i].uuid, set->uuid, 16))
			return true;
	for (size_t i = 0; devno && i < inventory->nr_devices; i++)
		if (makedev(inventory->devices[i].major, inventory->devices[i].minor) == devno)
			return streq(inventory->devices[i].name, set->name);
	if (devno)
		return false;
	host_id(host);
	for (size_t i = 0; i < inventory->nr_members; i++)
		if (!memcmp(inventory->members[i].uuid, set->uuid, 16) &&
		    streq(inventory->members[i].label, what) &&
		    (foreign || !memcmp(inventory->members[i].host_id, host, sizeof(host))))
			return true;
	return streq(set->name, what);
}

/* What is not found may be a set of which only a main without guard is left, or a backup. */
static int not_found(const struct inventory *inventory, const char *what, dev_t devno,
		     struct error *error)
{
	char backup[PATH_MAX], text[UUID_STRING_BYTES];
	uint8_t uuid[16];
	uint64_t chunk;
	int r;

	if (!error)
		return -ENODEV;
	r = devno ? look_for_mark(what, uuid, &chunk, error) : -ENODEV;
	if (r == -ETIMEDOUT)
		return r;
	if (!r) {
		uuid_to_string(uuid, text);
		return error_set(
			error, EAGAIN,
			"%s is the main device, without guard, of set %s, and the spare is "
			"missing; attach it. If it is dead, run dmremap release --without-spare "
			"%s, or dmremap restore-backup with another one",
			what, text, what);
	}
	for (size_t i = 0; devno && i < inventory->nr_sets; i++)
		if (inventory->sets[i].state == ASSEMBLY_NO_MAIN)
			return error_set(error, ENODEV,
					 "%s: not a member of a set. If it is a copy of the main "
					 "device of %s, which is missing, run dmremap replace-main "
					 "%s %s",
					 what, inventory->sets[i].name, inventory->sets[i].name,
					 what);
	if (devno)
		return error_set(error, ENODEV, "%s: not a member of a set", what);
	if (backup_find(what, backup, sizeof(backup)) == 0)
		return error_set(
			error, ENODEV,
			"%s: no such set, but there is a backup of one, %s. If it was not "
			"released, attach its disks. If its spare is dead, run dmremap release "
			"--without-spare MAIN, or dmremap restore-backup with another one",
			what, backup);
	return error_set(error, ENODEV, "%s: no such set; dmremap list shows all", what);
}

static bool is_silent(const struct member *silent, const char *what, dev_t devno)
{
	uint8_t uuid[16];

	if (devno || uuid_from_string(what, uuid) < 0)
		return devno && silent->devno == devno;
	return silent->role != MEMBER_NONE && !memcmp(silent->uuid, uuid, sizeof(uuid));
}

int inventory_find(const struct inventory *inventory, const char *what, const struct assembly **set,
		   struct error *error)
{
	dev_t devno = strchr(what, '/') ? device_number(what) : 0;

	*set = NULL;
	if (strchr(what, '/') && !devno)
		return error_set(error, ENODEV, "%s: no such device", what);
	for (unsigned int foreign = 0; foreign < 2 && !*set; foreign++)
		for (size_t i = 0; i < inventory->nr_sets; i++) {
			if (!is_meant(inventory, &inventory->sets[i], what, devno, foreign))
				continue;
			if (*set)
				return error_set(error, EEXIST,
						 "%s: several sets have this name; use the UUID "
						 "(see dmremap list)",
						 what);
			*set = &inventory->sets[i];
		}
	for (size_t i = 0; !*set && i < inventory->nr_silent; i++)
		if (is_silent(&inventory->silent[i], what, devno))
			return error_set(error, ETIMEDOUT, "%s",
					 silent_text(&inventory->silent[i]).text);
	if (!*set && !devno && inventory->nr_silent)
		return error_set(error, ENODEV, "%s: no such set, but %s; dmremap list shows all",
				 what, silent_text(&inventory->silent[0]).text);
	return *set ? 0 : not_found(inventory, what, devno, error);
}

/* A silent device is what udev knows, or else whatever its hardware does not rule out. */
static bool may_be(const struct member *silent, const uint8_t uuid[16], enum member_role role,
		   const char *recorded, bool any_hardware)
{
	if (identity_matches(silent->identity, recorded))
		return true;
	if (silent->role != MEMBER_NONE)
		return silent->role == role && !memcmp(silent->uuid, uuid, sizeof(silent->uuid));
	return any_hardware || !identity_contradicts(silent->identity, recorded);
}

int inventory_check_silent(const struct inventory *inventory, const uint8_t uuid[16],
			   enum member_role role, const char *recorded, bool any_hardware,
			   struct error *error)
{
	for (size_t i = 0; i < inventory->nr_silent + inventory->nr_strangers; i++) {
		const struct member *silent =
			i < inventory->nr_silent ? &inventory->silent[i] :
						   &inventory->strangers[i - inventory->nr_silent];

		if (may_be(silent, uuid, role, recorded, any_hardware))
			return error_set(error, EAGAIN,
					 "%s, and may be the set's %s device; nothing was "
					 "changed. If it is not, detach it and repeat the command",
					 silent_text(silent).text, member_role_name(role));
	}
	return 0;
}

int inventory_refuse_missing(const struct inventory *inventory, const struct assembly *set,
			     struct error *error)
{
	if (!set->silent && set->main == -1 && set->spare >= 0)
		return error_set(error, EAGAIN,
				 "%s: %.240s; attach it. If it was copied to another disk, run "
				 "dmremap replace-main %s DEVICE; if it is gone for good, dmremap "
				 "release --without-main %s",
				 set->name, set->state_reason, set->name,
				 inventory->members[set->spare].path);
	if (!set->silent && set->spare == -1 && set->main >= 0)
		return error_set(error, EAGAIN,
				 "%s: %.240s; attach it. If it is dead, run dmremap release "
				 "--without-spare %s, or dmremap restore-backup FILE DEVICE with "
				 "another one",
				 set->name, set->state_reason, inventory->members[set->main].path);
	return error_set(error, EAGAIN, "%s: %s", set->name, set->state_reason);
}

/*
 * What may have changed between the scan and the lock: which devices are active, and what the
 * members of this set are.  A member that came meanwhile has an activation of its own.
 */
static int look_again(struct inventory *inventory, const uint8_t *uuid, struct error *error)
{
	_cleanup_free_ struct member *own = calloc(inventory->nr_members + 1, sizeof(*own));
	_cleanup_free_ bool *answered = calloc(inventory->nr_members + 1, sizeof(*answered));
	_cleanup_free_ bool *same = calloc(inventory->nr_members + 1, sizeof(*same));
	size_t nr = 0, nr_own = 0;
	int r;

	inventory->is_whole = false;
	if (!own || !answered || !same)
		return error_set(error, ENOMEM, "out of memory");
	for (size_t i = 0; i < inventory->nr_members; i++) {
		const struct member *member = &inventory->members[i];

		if (!memcmp(member->uuid, uuid, sizeof(member->uuid)))
			own[nr_own++] = *member;
		else
			inventory->members[nr++] = *member;
	}
	r = scan_again(own, nr_own, answered, same, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < nr_own; i++)
		if (same[i])
			inventory->members[nr++] = own[i];
		else if (!answered[i])
			inventory->silent[inventory->nr_silent++] = own[i];
	inventory->nr_members = nr;
	free(inventory->devices);
	free(inventory->sets);
	inventory->devices = NULL;
	inventory->sets = NULL;
	inventory->nr_devices = 0;
	inventory->nr_sets = 0;
	r = dm_list(&inventory->devices, &inventory->nr_devices, error);
	if (!r)
		r = make_sets(inventory, error);
	inventory->is_whole = r == 0 && !inventory->is_of_one;
	return r;
}

static int find_by_uuid(const struct inventory *inventory, const uint8_t uuid[16],
			const struct assembly **set, struct error *error)
{
	char text[UUID_STRING_BYTES];

	uuid_to_string(uuid, text);
	return inventory_find(inventory, text, set, error);
}

int inventory_look_again(struct inventory *inventory, const uint8_t uuid[16],
			 const struct assembly **set, struct error *error)
{
	int r = look_again(inventory, uuid, error);

	return r ? r : find_by_uuid(inventory, uuid, set, error);
}

int inventory_lock_members(const uint8_t uuid[16], dev_t main, dev_t spare, int *lock,
			   struct error *error)
{
	const dev_t devices[] = { main, spare };
	int r = lock_set(lock, uuid, error);

	return r ? r : lock_devices(lock, devices, 2, error);
}

/* The set and what it is made of: what another command is about to make of these waits, too. */
static int lock_all_of(const struct inventory *inventory, const uint8_t uuid[16], int *lock,
		       struct error *error)
{
	_cleanup_free_ dev_t *devices = calloc(inventory->nr_members + 1, sizeof(*devices));
	size_t nr = 0;
	int r = devices ? lock_set(lock, uuid, error) : no_memory(error);

	for (size_t i = 0; !r && i < inventory->nr_members; i++)
		if (!memcmp(inventory->members[i].uuid, uuid, 16))
			devices[nr++] = inventory->members[i].devno;
	return r ? r : lock_devices(lock, devices, nr, error);
}

/* The scan is done without the lock: a disk that does not answer delays no other call. */
int inventory_look_and_lock(const char *what, bool thorough, struct inventory *inventory,
			    const struct assembly **set, int *lock, struct error *error)
{
	uint8_t wanted[16] = { 0 };
	int r, missing;

	r = thorough ? inventory_look(inventory, what, true, error) :
		       inventory_look_for(inventory, what, error);
	if (r < 0)
		return r;
	missing = inventory_find(inventory, what, set, error);
	if (!missing)
		memcpy(wanted, (*set)->uuid, sizeof(wanted));
	r = missing ? 0 : lock_all_of(inventory, wanted, lock, error);
	if (!r)
		r = look_again(inventory, wanted, error);
	if (r < 0)
		return r;
	inventory_note_waiting(inventory);
	return missing ? missing : find_by_uuid(inventory, wanted, set, error);
}

int inventory_lock_set(const char *what, struct inventory *inventory, const struct assembly **set,
		       int *lock, struct error *error)
{
	return inventory_look_and_lock(what, true, inventory, set, lock, error);
}
