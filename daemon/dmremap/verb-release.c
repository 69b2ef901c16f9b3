// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ending sets.  Members that are not in use are held exclusively from before the question to
 * the end (O4); the locks, which activation by udev waits for, are taken after it, and what was
 * agreed on is looked at again then.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "format/backup.h"
#include "format/region.h"
#include "ops/activate.h"
#include "ops/mend.h"
#include "ops/record.h"
#include "ops/release-without-spare.h"
#include "ops/release.h"
#include "progress-line.h"
#include "set/handle.h"
#include "set/look.h"
#include "system/identity.h"
#include "system/mask.h"
#include "util/foreign.h"
#include "verbs.h"

static bool is_silent(const struct inventory *inventory, const char *path)
{
	for (size_t i = 0; i < inventory->nr_silent; i++)
		if (inventory->silent[i].devno == device_number(path))
			return true;
	return false;
}

/*
 * A main that is no member without its spare: it has no guard, or its first sectors are damaged.
 * Without a mark nothing says whose it is, and any spare that is silent may be its own.
 */
static int refuse_if_any_spare_is_silent(const struct inventory *inventory, const char *main_path,
					 struct error *error)
{
	uint8_t uuid[REMAP_UUID_BYTES];
	uint64_t chunk;
	int r = look_for_mark(main_path, uuid, &chunk, error);

	if (r == -ETIMEDOUT)
		return r;
	if (!r)
		return inventory_check_silent(inventory, uuid, MEMBER_SPARE, "", true, error);
	for (size_t i = 0; i < inventory->nr_silent; i++)
		if (inventory->silent[i].role != MEMBER_MAIN)
			return error_set(error, EAGAIN,
					 "%s, and may be its spare; nothing was changed. If it is "
					 "not, detach it and repeat the command",
					 silent_text(&inventory->silent[i]).text);
	return 0;
}

/* The other member may be in use where it belongs (O7).  An image is whoever's who has it. */
static int refuse_other_host(const struct invocation *invocation, const char *path,
			     const uint8_t host_of_set[16], struct error *error)
{
	static const uint8_t none[16];
	uint8_t host[16];

	host_id(host);
	if (!device_number(path) || option_value(invocation, "foreign") ||
	    !memcmp(host_of_set, none, sizeof(none)) || !memcmp(host_of_set, host, sizeof(host)))
		return 0;
	return error_set(error, EPERM,
			 "%s belongs to a set of another host, where its other member may be; "
			 "nothing was changed. Use --foreign to end that set all the same",
			 path);
}

/* It is not given up for a disk that is only slow. */
static int refuse_silent(struct error *error)
{
	struct error why = *error;

	return error_set(error, EAGAIN, "%.400s; nothing was changed", why.text);
}

/* The set that a copy claims to be of is not ended for it. */
static int refuse_copy(const struct inventory *inventory, const struct assembly *set,
		       enum member_role role, const char *path, struct error *error)
{
	int i = role == MEMBER_MAIN ? set->main : set->spare;

	if (i < 0 || inventory->members[i].devno == device_number(path))
		return 0;
	return error_set(error, EPERM,
			 "%s is not the current %s device of %s: that is %s, and this may be a "
			 "copy of it; nothing was changed",
			 path, member_role_name(role), set->name, inventory->members[i].path);
}

/* Refuses while the spare is present and can be read: what it holds would be given up. */
static int refuse_if_spare_is_here(const char *main_path, struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	const struct assembly *set;
	struct spare_look look;
	const char *spare;
	int r;

	if (!device_number(main_path))
		return 0; /* an image */
	r = inventory_look(&inventory, main_path, true, error);
	if (r < 0)
		return r;
	r = inventory_find(&inventory, main_path, &set, error);
	if (r == -EEXIST || (r < 0 && is_silent(&inventory, main_path)))
		return r;
	if (r < 0)
		return refuse_if_any_spare_is_silent(&inventory, main_path, error);
	if (set->spare == -2 || set->main == -2)
		return error_set(error, EBUSY, "%s: %s", set->name, set->state_reason);
	r = refuse_copy(&inventory, set, MEMBER_MAIN, main_path, error);
	if (r < 0)
		return r;
	if (set->spare < 0)
		return inventory_check_silent(
			&inventory, set->uuid, MEMBER_SPARE,
			set->main >= 0 ? inventory.members[set->main].recorded : "", false, error);
	spare = inventory.members[set->spare].path;
	r = look_at_spare(spare, &look, error);
	if (r == -ETIMEDOUT)
		return refuse_silent(error);
	if (r < 0)
		return r;
	/* an old copy has nothing that release would take */
	return look.is_whole && !look_is_outdated(main_path, spare) ?
		       error_set(error, EBUSY,
				 "%s: its spare %s is present; run dmremap release %s to restore "
				 "all of it",
				 main_path, spare, set->name) :
		       0;
}

static const struct remap_member_disk *header_of(const struct stale_release *a)
{
	return (const void *)(a->guarded + REMAP_MEMBER_OFFSET);
}

/* Of the first chunk, which the member header keeps: what create could not read. */
static void print_never_read(const struct stale_release *a)
{
	const struct remap_member_disk *header = header_of(a);

	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
		if (header->chunk0_lost & 1U << i)
			printf("Its sector %u could not be read when the set was made: it becomes "
			       "zeros.\n",
			       i);
}

static void print_stale(const struct stale_release *a)
{
	uint64_t first = a->probe_chunk * REMAP_CHUNK_SECTORS;
	char when[32] = "";
	struct tm tm;
	time_t created = (time_t)a->backup.created;

	if (a->guarded && !a->has_ended)
		printf("The signatures of %s are restored to their state when its set was "
		       "made%s.\n",
		       FOREIGN(a->main_path), a->has_backup ? ", or backed up" : "");
	if (stale_release_probe(a) && localtime_r(&created, &tm)) {
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
		printf("Its sectors %" PRIu64 " to %" PRIu64 " were on the spare only: they are "
		       "restored from\n"
		       "%s, of %s.\n",
		       first, first + REMAP_CHUNK_SECTORS - 1, FOREIGN(a->backup_path), when);
	} else if (a->probe_chunk != UINT64_MAX) {
		printf("Its sectors %" PRIu64 " to %" PRIu64
		       " were on the spare only, and in no backup: they become zeros.\n",
		       first, first + REMAP_CHUNK_SECTORS - 1);
	}
	if (a->guarded && !a->has_ended)
		print_never_read(a);
	printf("What was written to these places since then, and to all remapped sectors, is on "
	       "the spare only and is\n"
	       "lost: check the file system afterwards.\n");
}

static int release_without_spare(struct invocation *invocation, const char *main_path,
				 struct error *error)
{
	_cleanup_(stale_release_done) struct stale_release a = {
		.main_path = main_path,
		.keep_header = option_value(invocation, "keep-header"),
		.accept_loss = option_value(invocation, "accept-loss"),
		.fd = -1,
	};
	const char *backup = option_value(invocation, "backup");
	_cleanup_close_ int lock = -1;
	int r = refuse_if_spare_is_here(main_path, error);

	if (backup)
		snprintf(a.backup_path, sizeof(a.backup_path), "%s", backup);
	if (!r)
		r = stale_release_look(&a, error);
	if (!r && a.guarded && !a.has_ended)
		r = refuse_other_host(invocation, main_path, header_of(&a)->host_id, error);
	if (r < 0)
		return r;
	if (!invocation->quiet || !invocation->yes)
		print_stale(&a);
	r = confirm(invocation, "Continue?", error);
	if (!r)
		r = inventory_lock_members(a.uuid, device_number(main_path), 0, &lock, error);
	/* it may have come back, or restore-backup has made one: not from now on */
	if (!r)
		r = refuse_if_spare_is_here(main_path, error);
	return r ? r : stale_release_carry_out(&a, error);
}

static int refuse_if_main_is_here(const char *spare_path, struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	const struct assembly *set;
	struct spare_look look;
	int r;

	if (!device_number(spare_path))
		return 0; /* an image */
	r = inventory_look(&inventory, spare_path, true, error);
	if (!r)
		r = inventory_find(&inventory, spare_path, &set, error);
	if (r < 0)
		return r;
	if (set->main == -2)
		return error_set(error, EBUSY, "%s: %s", set->name, set->state_reason);
	r = refuse_copy(&inventory, set, MEMBER_SPARE, spare_path, error);
	if (r < 0)
		return r;
	if (set->main >= 0)
		return error_set(error, EBUSY,
				 "%s: its main device %s is present; run dmremap release %s to "
				 "restore what is on the spare",
				 spare_path, inventory.members[set->main].path, set->name);
	r = look_at_spare(spare_path, &look, error);
	if (r == -ETIMEDOUT)
		return refuse_silent(error);
	if (r < 0)
		return r;
	/* of a table that cannot be read nothing is known */
	return inventory_check_silent(&inventory, set->uuid, MEMBER_MAIN,
				      set->spare >= 0 ? inventory.members[set->spare].recorded : "",
				      !look.has_guard, error);
}

static int release_without_main(struct invocation *invocation, const char *spare_path,
				struct error *error)
{
	_cleanup_close_ int lock = -1, fd = -1;
	struct region region;
	uint64_t nr_bytes;
	int r = refuse_if_main_is_here(spare_path, error);

	if (r < 0)
		return r;
	fd = open_exclusive(spare_path, error);
	if (fd < 0)
		return fd;
	r = device_bytes(fd, &nr_bytes);
	if (!r)
		r = region_open(fd, 0, nr_bytes / REMAP_SECTOR_BYTES, &region, error);
	if (!r)
		r = refuse_other_host(invocation, spare_path, region.super.host_id, error);
	if (r < 0)
		return r;
	printf("%s: the data that it holds for its main device (%s) will be lost for good.\n",
	       FOREIGN(spare_path),
	       *region.super.identity ?
		       foreign_text(region.super.identity, sizeof(region.super.identity)).text :
		       "unknown");
	r = confirm(invocation, "Continue?", error);
	if (!r)
		r = inventory_lock_members(region.super.uuid, 0, device_number(spare_path), &lock,
					   error);
	if (!r)
		r = refuse_if_main_is_here(spare_path, error); /* it may have come back */
	if (!r)
		r = mask_remove(region.super.uuid, error);
	return r < 0 ? r : region_wipe(&region, error);
}

static void print_sectors(const struct sector_ranges *sectors, const char *main_path,
			  const char *what)
{
	char text[160];

	sector_ranges_text(sectors, text, sizeof(text));
	if (sectors->nr)
		printf("%s: sector%s %s %s\n", FOREIGN(main_path),
		       sector_ranges_count(sectors) == 1 ? "" : "s", text, what);
}

static int end_set(const struct invocation *invocation, struct set_handle *handle,
		   struct error *error)
{
	struct progress_line line;
	int r;

	if (handle->region.super.flags & REMAP_SUPER_CREATING) {
		r = release_undo_create(handle, UNDO_FOUND, error);
		if (r == -ENODEV)
			return -EPERM;
		if (!r)
			print_sectors(&handle->zeroed, handle->main_path,
				      "could not be read when the set was made; now zeros");
		return r;
	}
	progress_begin(&line, invocation, "copying back", 0);
	handle->progress = &line.progress;
	r = release_run(handle, error);
	handle->progress = NULL;
	progress_end(&line);
	if (r < 0)
		return r == -ENODEV ? -EPERM : r;
	print_sectors(&handle->still_lost, handle->main_path,
		      "cannot be read, as before: errors until written");
	print_sectors(&handle->zeroed, handle->main_path, "had no recoverable content: now zeros");
	return 0;
}

static int parse_give_up(const struct invocation *invocation, struct set_handle *handle,
			 struct error *error)
{
	const char *text = option_value(invocation, "give-up");
	uint64_t nr_sectors = handle->region.super.main_sectors;

	sector_ranges_done(&handle->give_up);
	if (text && sector_ranges_parse(text, nr_sectors, &handle->give_up) < 0)
		return error_set(error, EINVAL,
				 "\"%s\": not sectors of a set of %" PRIu64 "; use for example "
				 "2,100-103",
				 text, nr_sectors);
	return 0;
}

/* What would hold the release back, found out before anything is changed. */
static int check_lost(const struct invocation *invocation, struct set_handle *handle,
		      struct error *error)
{
	int r = parse_give_up(invocation, handle, error);

	return r < 0 || handle->region.super.flags & REMAP_SUPER_CREATING ?
		       r :
		       release_check(handle, error);
}

/**
 * struct releasing - a set that is to end
 * @uuid: as text
 * @name: of the set
 * @main_path: of its main device
 * @spare_path: of its spare
 * @main: number
 * @spare: number
 * @active: there is a mapped device
 * @deactivated: there is none any more
 * @as: how it was activated
 * @interrupted: its release or creation was cut short when main was a plain disk already, which
 *               no scan can tell from others
 * @any_hardware: although a member is other hardware than recorded
 * @named_main: what the user calls main; NULL: only the set was named
 * @named_spare: the same of the spare
 * @handle: both opened, if not active
 */
struct releasing {
	char uuid[UUID_STRING_BYTES];
	char name[128];
	char main_path[256];
	char spare_path[256];
	dev_t main;
	dev_t spare;
	bool active;
	bool deactivated;
	struct activate_options as;
	bool interrupted;
	bool any_hardware;
	const char *named_main;
	const char *named_spare;
	struct set_handle handle;
};

/* The members are the same, with whatever options they were accepted. */
static void how_it_is_active(const struct inventory *inventory, struct releasing *a)
{
	a->as = (struct activate_options){ .name = a->name, .foreign = true, .any_hardware = true };
	for (size_t i = 0; a->active && i < inventory->nr_devices; i++) {
		const struct dm_device *device = &inventory->devices[i];

		if (!streq(device->name, a->name))
			continue;
		a->as.read_only = device->read_only;
		a->as.fallback = device->fallback;
		a->as.force_rw = strstr(device->line.features, "force_rw");
	}
}

/* Members that were named by their paths must be those that count, and no copies of them. */
static int check_named(const struct inventory *inventory, const struct assembly *set,
		       const struct releasing *a, struct error *error)
{
	const int members[] = { set->main, set->spare };
	const enum member_role roles[] = { MEMBER_MAIN, MEMBER_SPARE };

	for (unsigned int i = 0; i < 2; i++) {
		const char *path = i ? a->named_spare : a->named_main;

		if (path &&
		    (members[i] < 0 || inventory->members[members[i]].devno != device_number(path)))
			return error_set(error, EPERM,
					 "%s is not the current %s device of %s%s%s%s; nothing "
					 "was changed",
					 path, member_role_name(roles[i]), set->name,
					 members[i] < 0 ? "" : ": that is ",
					 members[i] < 0 ? "" : inventory->members[members[i]].path,
					 members[i] < 0 ? "" : ", and this may be a copy of it");
	}
	return 0;
}

/* Everything that can be refused before the question; an active set is only read. */
static int release_look(struct invocation *invocation, const char *what, struct releasing *a,
			struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	const struct assembly *set;
	struct error why;
	int r = inventory_look(&inventory, what, true, error);

	if (!r)
		r = inventory_find(&inventory, what, &set, error);
	if (r < 0)
		return r;
	if (set->verdict == ASSEMBLY_FOREIGN)
		return error_set(error, EPERM, "%s: %s", set->name, set->reason);
	/* perhaps a copy: ending it would wipe a spare that the other one needs */
	if (*set->doubt && !option_value(invocation, "any-hardware"))
		return error_set(error, EPERM, "%s: %s", set->name, set->doubt);
	r = check_named(&inventory, set, a, error);
	if (r < 0)
		return r;
	uuid_to_string(set->uuid, a->uuid);
	a->interrupted = set->verdict == ASSEMBLY_UNFINISHED && set->spare >= 0 && set->main == -1;
	if (a->interrupted)
		return 0;
	if (set->verdict != ASSEMBLY_ACTIVE && (set->main == -1 || set->spare == -1))
		return inventory_refuse_missing(&inventory, set, error);
	if (set->main < 0 || set->spare < 0)
		return error_set(error, EAGAIN, "%s: %s", set->name,
				 *set->reason ? set->reason : "a member is missing");
	snprintf(a->name, sizeof(a->name), "%s", set->name);
	snprintf(a->main_path, sizeof(a->main_path), "%s", inventory.members[set->main].path);
	snprintf(a->spare_path, sizeof(a->spare_path), "%s", inventory.members[set->spare].path);
	a->main = inventory.members[set->main].devno;
	a->spare = inventory.members[set->spare].devno;
	a->active = set->verdict == ASSEMBLY_ACTIVE || set->verdict == ASSEMBLY_RETURNED;
	how_it_is_active(&inventory, a);
	r = handle_open(a->main_path, a->spare_path, a->active ? O_RDONLY : O_RDWR, &a->handle,
			a->active ? &why : error);
	/* of an active set the table may change while it is read: it is read again, at rest */
	if (!r)
		r = check_lost(invocation, &a->handle, error);
	else if (a->active)
		r = 0;
	if (a->active && r == -ESTALE)
		r = 0;
	if (a->active)
		handle_close(&a->handle);
	return r;
}

/* An active set is held by device-mapper: after the question it must be the same devices. */
static int deactivate_the_same(struct releasing *a, int *lock, struct error *error)
{
	_cleanup_inventory_ struct inventory now = { 0 };
	const struct assembly *set;
	int r = inventory_lock_set(a->uuid, &now, &set, lock, error);

	if (r < 0)
		return r;
	if (set->main < 0 || set->spare < 0 || now.members[set->main].devno != a->main ||
	    now.members[set->spare].devno != a->spare)
		return error_set(error, EBUSY,
				 "%s: its members were replaced meanwhile; nothing was changed",
				 a->name);
	if (set->verdict == ASSEMBLY_ACTIVE) {
		r = deactivate_locked(set->name, error);
		a->deactivated = !r;
	}
	return r ? r : handle_open(a->main_path, a->spare_path, O_RDWR, &a->handle, error);
}

/* It was refused, and nothing was changed: the mapped device is there again, as it was. */
static void activate_again(struct releasing *a, int *lock)
{
	handle_close(&a->handle);
	close_p(lock);
	*lock = -1;
	if (activate(a->uuid, &a->as, NULL, NULL) < 0)
		fprintf(stderr, "dmremap: %s is no longer active\n", FOREIGN(a->name));
}

/* What was agreed on when it began is completed, as activation would do. */
static int complete(const struct invocation *invocation, const struct releasing *a,
		    struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	_cleanup_close_ int lock = -1;
	const struct assembly *set;
	int r = 0;

	if (a->any_hardware) {
		printf("The interrupted release or create will be completed, whatever hardware "
		       "the main device is\n"
		       "attached through: its spare is wiped.\n");
		r = confirm(invocation, "Continue?", error);
	}
	if (!r)
		r = inventory_lock_set(a->uuid, &inventory, &set, &lock, error);
	if (!r && (set->verdict != ASSEMBLY_UNFINISHED || set->spare < 0))
		return error_set(error, EBUSY, "%s: its members were replaced meanwhile",
				 set->name);
	if (!r)
		r = mend_set(&inventory, set, a->any_hardware, error);
	if (r != -ECANCELED)
		return r;
	if (!invocation->quiet)
		printf("%s\n", error->text);
	return 0;
}

static void releasing_p(struct releasing *a)
{
	handle_close(&a->handle);
}

/* The set is found by its members; an active one is deactivated.  @path: was its main. */
static int release_set(struct invocation *invocation, const char *what, const char *main,
		       char path[256], struct error *error)
{
	_cleanup_(releasing_p) struct releasing a = {
		.any_hardware = option_value(invocation, "any-hardware"),
		.named_main = main,
		.named_spare = main ? what : NULL,
		.handle = SET_HANDLE_NONE,
	};
	_cleanup_close_ int lock = -1;
	int r = release_look(invocation, what, &a, error);

	*path = '\0';
	if (!r && a.interrupted)
		return complete(invocation, &a, error);
	if (r < 0)
		return r;
	if (!invocation->quiet || !invocation->yes) {
		printf("%s: %s becomes a plain disk again, with all its content; %s is wiped.\n",
		       FOREIGN(a.name), a.main_path, a.spare_path);
		if (option_value(invocation, "give-up"))
			printf("Given up: sectors %s. They will read as errors, or as older "
			       "data.\n",
			       option_value(invocation, "give-up"));
	}
	r = confirm(invocation, "Continue?", error);
	if (r < 0)
		return r;
	r = a.active ? deactivate_the_same(&a, &lock, error) :
		       inventory_lock_members(a.handle.region.super.uuid, a.main, a.spare, &lock,
					      error);
	if (!r && a.active)
		r = check_lost(invocation, &a.handle, error);
	snprintf(path, 256, "%s", a.main_path);
	a.handle.any_hardware = a.any_hardware;
	if (!r)
		r = end_set(invocation, &a.handle, error);
	if (r < 0 && a.deactivated && !(a.handle.region.super.flags & REMAP_SUPER_RELEASING))
		activate_again(&a, &lock);
	return r;
}

/* What an inventory says of two devices: of a device and an image there is none. */
static int check_whose(const struct set_handle *a, struct error *error)
{
	const struct remap_super *super = &a->region.super;
	static const uint8_t none[REMAP_UUID_BYTES];
	char identity[REMAP_IDENTITY_BYTES];
	struct foreign_text recorded;
	uint8_t host[16];

	host_id(host);
	if (memcmp(super->host_id, none, sizeof(none)) != 0 &&
	    memcmp(super->host_id, host, sizeof(host)) != 0)
		return error_set(
			error, EPERM,
			"the set on %s belongs to another host; nothing was changed. Run dmremap "
			"adopt-host to take it over",
			a->spare_path);
	identity_of_device(device_number(a->main_path), identity);
	recorded = foreign_text(super->identity, sizeof(super->identity));
	if (!a->any_hardware && identity_contradicts(identity, recorded.text))
		return error_set(error, EPERM,
				 "%s is other hardware (%.64s) than the recorded main device "
				 "(%.64s), and may be a copy; nothing was changed. Use "
				 "--any-hardware to accept it",
				 a->main_path, identity, recorded.text);
	identity_of_device(device_number(a->spare_path), identity);
	if (!a->any_hardware && record_is_other(a, identity))
		return error_set(error, EPERM,
				 "%s is other hardware (%.64s) than the recorded spare device, "
				 "and may be a copy; nothing was changed. Use --any-hardware to "
				 "accept it",
				 a->spare_path, identity);
	return 0;
}

static int release_images(struct invocation *invocation, const char *main, const char *spare,
			  struct error *error)
{
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;
	int r = handle_open(main, spare, O_RDWR, &handle, error);

	handle.any_hardware = option_value(invocation, "any-hardware");
	if (!r && (device_number(main) || device_number(spare)))
		r = check_whose(&handle, error);
	if (!r)
		r = check_lost(invocation, &handle, error);
	if (!r)
		r = confirm(invocation, "End this set?", error);
	return r ? r : end_set(invocation, &handle, error);
}

/* An option that would do nothing is a mistake: another end of the set was meant. */
static int check_options(const struct invocation *invocation, bool main, bool spare,
			 struct error *error)
{
	const struct {
		const char *name;
		bool fits;
		const char *of;
	} options[] = {
		{ "backup", main, "--without-spare" },
		{ "accept-loss", main, "--without-spare" },
		{ "keep-header", main, "--without-spare" },
		{ "foreign", main || spare, "--without-spare and --without-main" },
		{ "give-up", !main && !spare, "a set with both members" },
		{ "any-hardware", !main && !spare, "a set with both members" },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (option_value(invocation, options[i].name) && !options[i].fits)
			return error_set(error, EINVAL, "--%s is for %s", options[i].name,
					 options[i].of);
	return 0;
}

int verb_release(struct invocation *invocation, struct error *error)
{
	const char *main = option_value(invocation, "without-spare");
	const char *spare = option_value(invocation, "without-main");
	char path[256] = "";
	int r;

	if (!!main + !!spare + !!invocation->argc != 1)
		return error_set(error, EINVAL,
				 "name a set, two images, --without-spare MAIN or --without-main "
				 "SPARE");
	r = check_options(invocation, main, spare, error);
	if (r < 0)
		return r;
	if (spare)
		return release_without_main(invocation, spare, error);
	if (invocation->argc == 2 &&
	    !(device_number(invocation->argv[0]) && device_number(invocation->argv[1])))
		return release_images(invocation, invocation->argv[0], invocation->argv[1], error);
	if (main)
		r = release_without_spare(invocation, main, error);
	else if (invocation->argc == 2)
		r = release_set(invocation, invocation->argv[1], invocation->argv[0], path, error);
	else
		r = release_set(invocation, invocation->argv[0], NULL, path, error);
	if (!r && device_number(main ? main : path)) /* not an image */
		care_for_lvm(invocation, main ? main : path);
	return r;
}
