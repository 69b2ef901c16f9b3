// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making sets: create.  What is about to be done is printed before anything is asked (O21).
 * One that was killed continues when it is called again, see go_on().
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "format/backup.h"
#include "ops/activate.h"
#include "ops/create.h"
#include "ops/guard.h"
#include "ops/mend.h"
#include "ops/purpose.h"
#include "progress-line.h"
#include "set/handle.h"
#include "set/look.h"
#include "system/identity.h"
#include "util/foreign.h"
#include "verbs.h"

static void create_request_p(struct create_request *request)
{
	create_done(request);
}

static void print_size(const char *what, const char *path, uint64_t nr_sectors,
		       const char *identity)
{
	char size[32];

	format_size(nr_sectors * 512, size, sizeof(size));
	printf("%-8s %s, %s%s%s\n", what, FOREIGN(path), size, *identity ? ", " : "", identity);
}

/* Every place, with what it is for: who decides must not look it up. */
static void print_unreadable(const struct create_request *a)
{
	_cleanup_free_ struct purpose *purpose = NULL;
	size_t nr = 0;

	if (purposes_of(&a->places, a->main_fd, &purpose, &nr) < 0)
		return;
	if (nr || a->places.elsewhere)
		printf("%-8s %" PRIu64 " of the sectors looked at cannot be read%s:\n", "LOST",
		       sector_ranges_count(&a->places.unreadable),
		       a->accept_unreadable ? "; they read as errors until they are written" :
					      ", so --accept-unreadable is needed");
	for (size_t i = 0; i < nr; i++) {
		const struct sector_range *at = &purpose[i].range;

		printf("         %" PRIu64, at->sector);
		if (at->nr > 1)
			printf("-%" PRIu64, at->sector + at->nr - 1);
		printf(": %s\n", *purpose[i].text ? purpose[i].text : "unknown");
	}
	/* repair tools write through the page cache, which reads the rest of a page first */
	for (size_t i = 0; i < a->places.unreadable.nr && i < 4; i++)
		printf("%s dd if=/dev/zero of=/dev/mapper/%s bs=512 seek=%" PRIu64 " count=%" PRIu64
		       " oflag=direct\n",
		       i ? "        " : "heal    ", a->label, a->places.unreadable.at[i].sector,
		       a->places.unreadable.at[i].nr);
	if (nr)
		printf("         %swrites zeros there, which ends the errors; then repair the "
		       "file system with its own tool\n",
		       a->places.unreadable.nr > 4 ? "and so on: " : "");
	if (a->places.elsewhere)
		printf("         and another one (see the kernel log), which stays on %s\n",
		       a->main_path);
}

static void print_plan(const struct create_request *a)
{
	print_size("main", a->main_path, a->main_sectors, a->main_identity);
	printf("         holds %s: it stays in place, and is accessed through /dev/mapper/%s\n",
	       a->plan.content, a->label);
	print_unreadable(a);
	print_size("spare", a->spare_path, a->region_sectors, a->spare_identity);
	printf("         %s; %u spare chunks of 4 KiB\n",
	       *a->spare_content ? a->spare_content :
	       a->half_made	 ? "remains of an interrupted create" :
				   "blank",
	       a->slots);
	if (*a->spare_content)
		printf("         THIS CONTENT WILL BE LOST: %s\n", a->spare_content);
	if (a->guard) {
		printf("guard    %u chunk%s of the main device %s to the spare, so that the raw "
		       "disk is not mounted by mistake:\n"
		       "        ",
		       a->nr_chunks, plural(a->nr_chunks), a->nr_chunks == 1 ? "moves" : "move");
		for (uint32_t i = 0; i < a->nr_chunks && i < 8; i++)
			printf(" sector %" PRIu64, a->chunk[i] * REMAP_CHUNK_SECTORS);
		printf("%s\n", a->nr_chunks > 8 ? " ..." : "");
	} else {
		printf("guard    none: mounting %s instead of the mapped device damages it\n",
		       a->main_path);
	}
	if (a->guard && a->chunk0_elsewhere)
		printf("note     the first 4 KiB of %s do not fit into its header: if the spare "
		       "is lost, only\n"
		       "         %s has them\n",
		       a->main_path, a->backup_path);
	if (a->write_cache != WRITE_CACHE_THROUGH)
		printf("note     %s keeps its write cache%s: a write error may be reported too "
		       "late to remap\n",
		       a->main_path,
		       a->write_cache == WRITE_CACHE_AUTO ? " until its first error" : "");
	if (a->same_disk)
		printf("note     main and spare are on the same disk: if it fails, both are lost\n");
	if (a->removable)
		printf("note     the spare is removable: the set does not work without it\n");
	printf("note     the spare is needed from now on, as much as main; mirror it, or keep "
	       "backups\n"
	       "note     replace %s by /dev/mapper/%s or a UUID where it is configured (fstab, "
	       "crypttab, lvmdevices)\n"
	       "undo     dmremap release %s\n",
	       a->main_path, a->label, a->label);
}

static int print_table(const struct create_request *a)
{
	printf("0 %" PRIu64 " remap %s %s 0 %" PRIu64 "\n", a->main_sectors, a->main_path,
	       a->spare_path, a->region_sectors);
	return 0;
}

static bool both_are_devices(const struct create_request *a)
{
	return device_number(a->main_path) && device_number(a->spare_path);
}

/*
 * Main has its mark only now, with a number that the first backup does not know: without
 * another one it would count as older although nothing was remapped since.
 */
static void refresh_backup(const struct create_request *a)
{
	_cleanup_backup_ struct backup backup = { 0 };
	struct error error;

	if (write_backup(a->spare_path, a->main_path, a->backup_path, &backup, NULL, &error) < 0)
		fprintf(stderr, "dmremap: cannot renew the backup after the first activation: %s\n",
			error.text);
}

/* From here on the set exists; what fails now is about using it. */
static int activate_created(struct invocation *invocation, struct create_request *a, int *lock,
			    struct error *error)
{
	struct error note = { "" };
	struct activate_options options = { .note = &note };
	struct assembly set = { .verdict = ASSEMBLY_READY };
	char uuid[UUID_STRING_BYTES];
	struct error why;
	int r;

	uuid_to_string(a->uuid, uuid);
	/*
	 * Device-mapper takes both for itself, and could not while they are held; the guard, or the
	 * rule that hides main, is there meanwhile.  The next holder of the lock may activate it.
	 */
	create_done(a);
	close_p(lock);
	*lock = -1;
	/* a main without guard is found by its hardware */
	if (a->guard)
		scan_wait_for_udev(device_number(a->main_path));
	scan_wait_for_udev(device_number(a->spare_path));
	r = activate(uuid, &options, &set, &why);
	tell_taken(&set);
	if (r < 0)
		return error_set(error, -r, "the set %s was made, but not activated: %s", a->label,
				 why.text);
	if (!invocation->quiet)
		printf("/dev/mapper/%s is active\n", FOREIGN(set.name));
	if (!invocation->quiet && *note.text)
		printf("%s\n", note.text);
	refresh_backup(a);
	care_for_content(invocation, set.name);
	return 0;
}

/* What an earlier create made of these two, or began to; -ENODATA: nothing. */
static int open_made(const struct create_request *a, struct member *spare,
		     struct set_handle *handle, struct error *error)
{
	uint8_t host[16];
	int r;

	host_id(host);
	if (!both_are_devices(a) || member_probe(a->spare_path, spare, NULL) < 0 ||
	    spare->role != MEMBER_SPARE || memcmp(spare->host_id, host, sizeof(host)) ||
	    strcmp(spare->label, a->label) || spare->flags & REMAP_SUPER_MARKED)
		return -ENODATA; /* or of another set: that is refused with its own sentence */
	r = handle_open(a->main_path, a->spare_path, O_RDWR, handle, error);
	return r == -ENODEV || r == -EINVAL ? -ENODATA : r; /* of another main */
}

/* It is active already, of these two, under this name. */
static bool is_active(struct create_request *a)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	const struct assembly *set;
	bool same;

	if (!both_are_devices(a) || inventory_look(&inventory, a->spare_path, false, NULL) < 0 ||
	    inventory_find(&inventory, a->spare_path, &set, NULL) < 0)
		return false;
	/* returned: the device was made, and has no table yet */
	same = (set->verdict == ASSEMBLY_ACTIVE || set->verdict == ASSEMBLY_RETURNED) &&
	       streq(set->name, a->label) && set->main >= 0 && set->spare >= 0 &&
	       inventory.members[set->main].devno == device_number(a->main_path) &&
	       inventory.members[set->spare].devno == device_number(a->spare_path);
	if (same)
		memcpy(a->uuid, set->uuid, sizeof(a->uuid));
	return same;
}

/*
 * An earlier create with the same words was killed: its set was not finished, and is undone or
 * completed, as activation would do; or it was made, and what is missing is its activation, or what comes
 * after that (1).
 */
static int go_on(struct invocation *invocation, struct create_request *a, int *lock,
		 struct error *error)
{
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;
	struct member spare;
	int r;

	if (is_active(a)) {
		if (!invocation->quiet)
			printf("%s exists already\n", a->label);
		return 1;
	}
	r = open_made(a, &spare, &handle, error);

	if (r < 0)
		return r == -ENODATA ? 0 : r;
	r = inventory_lock_members(spare.uuid, device_number(a->main_path), spare.devno, lock,
				   error);
	if (r < 0)
		return r;
	/* what was looked at before the lock was had may be older than what is held now */
	if (memcmp(handle.region.super.uuid, spare.uuid, sizeof(spare.uuid)) != 0)
		return error_set(error, EBUSY,
				 "%s: another command has made a set with it meanwhile",
				 a->spare_path);
	memcpy(a->uuid, spare.uuid, sizeof(a->uuid));
	if (!(handle.region.super.flags & REMAP_SUPER_CREATING)) {
		if (!invocation->quiet)
			printf("%s exists already, and is activated\n", a->label);
		return 1;
	}
	r = mend_create(&handle, error);
	if (!r && *a->backup_path && backup_check_target(a->backup_path, spare.uuid, NULL) == 0)
		unlink(a->backup_path); /* of a set that there is not */
	if (r > 0) {
		if (!invocation->quiet)
			printf("%s: its creation was interrupted; it is completed, and activated\n",
			       a->label);
		return 1;
	}
	close_p(lock);
	*lock = -1;
	memset(a->uuid, 0, sizeof(a->uuid));
	if (r == -ENODEV) /* another main than was to be hidden: check_members() refuses it */
		return 0;
	if (!r && !invocation->quiet)
		printf("%s: its creation was interrupted, and was undone; %s is a plain disk as "
		       "before\n",
		       a->label, a->main_path);
	return r;
}

static int check_name(const struct create_request *a, struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	int r = inventory_look(&inventory, NULL, false, error);

	return r ? r : set_check_name(a->label, a->uuid, &inventory, "another name", error);
}

/* What says how a set is made comes too late for one that is. */
static void tell_ignored(const struct invocation *invocation)
{
	static const char *const options[] = { "no-guard", "spare-size", "write-cache" };

	for (size_t i = 0; !invocation->quiet && i < sizeof(options) / sizeof(options[0]); i++)
		if (option_value(invocation, options[i]))
			printf("note     --%s is ignored: the set exists already\n", options[i]);
}

/* Of a disk that fails each command may take half a minute. */
static int look(const struct invocation *invocation, struct create_request *a,
		int (*f)(struct create_request *request, struct error *error), struct error *error)
{
	struct progress_line line;
	int r;

	progress_begin(&line, invocation, "examining the disks", 0);
	progress_watch(&line);
	r = f(a, error);
	progress_end(&line);
	return r;
}

static int carry_out(const struct invocation *invocation, struct create_request *a,
		     struct error *error)
{
	struct progress_line line;
	int r;

	progress_begin(&line, invocation, "writing to the spare", 0);
	a->progress = &line.progress;
	r = create_set(a, error);
	a->progress = NULL;
	progress_end(&line);
	return r;
}

int verb_create(struct invocation *invocation, struct error *error)
{
	_cleanup_(create_request_p) struct create_request a = {
		.main_path = invocation->argv[1],
		.spare_path = invocation->argv[2],
		.main_fd = -1,
		.spare_fd = -1,
		.guard = !option_value(invocation, "no-guard"),
		.wipe_spare = option_value(invocation, "wipe-spare"),
		.accept_unreadable = option_value(invocation, "accept-unreadable"),
		.places = PLACES_NONE,
		.spare_places = PLACES_NONE,
	};
	const char *size = option_value(invocation, "spare-size");
	const char *write_cache = option_value(invocation, "write-cache");
	const char *backup = option_value(invocation, "backup");
	_cleanup_close_ int lock = -1;
	int r;

	if (backup)
		snprintf(a.backup_path, sizeof(a.backup_path), "%s", backup);
	if (strlen(invocation->argv[0]) >= sizeof(a.label))
		return error_set(error, EINVAL, "the name is too long");
	snprintf(a.label, sizeof(a.label), "%s", invocation->argv[0]);
	if (size && strcmp(size, "-") && (parse_size(size, &a.region_bytes) < 0 || !a.region_bytes))
		return error_set(error, EINVAL,
				 "\"%s\": invalid size; use for example 64M or 1G, "
				 "or - for all of it",
				 size);
	if (write_cache && write_cache_parse(write_cache, &a.write_cache) < 0)
		return error_set(error, EINVAL, "\"%s\": invalid mode; use through, keep or auto",
				 write_cache);
	r = look_answers(a.main_path, error);
	if (!r)
		r = look_answers(a.spare_path, error);
	if (!r && !option_value(invocation, "print-table") && !option_value(invocation, "dry-run"))
		r = go_on(invocation, &a, &lock, error);
	if (r > 0)
		tell_ignored(invocation);
	if (r > 0)
		return activate_created(invocation, &a, &lock, error);
	if (!r)
		r = look(invocation, &a, create_prepare, error);
	if (!r && both_are_devices(&a))
		r = check_name(&a, error);
	if (r < 0)
		return r;
	if (option_value(invocation, "print-table"))
		return print_table(&a);
	if (!invocation->quiet || !invocation->yes) /* no question without what it is about */
		print_plan(&a);
	if (option_value(invocation, "dry-run"))
		return 0;
	r = create_check_unreadable(&a, error);
	if (r < 0)
		return r;
	if (both_are_devices(&a)) {
		r = dm_ensure_target(error);
		if (r < 0)
			return r;
	}
	if (*a.spare_content && !a.wipe_spare)
		return error_set(error, EPERM, "%s holds %s; use --wipe-spare to overwrite it",
				 a.spare_path, a.spare_content);
	r = confirm(invocation, "Make this set?", error);
	/* udev's activation waits for the lock: not while the question is open */
	if (!r)
		r = inventory_lock_members(a.uuid, device_number(a.main_path),
					   device_number(a.spare_path), &lock, error);
	if (!r && !invocation->yes)
		r = look(invocation, &a, create_look_again, error);
	if (!r)
		r = carry_out(invocation, &a, error);
	if (r < 0)
		return r;
	if (a.bad_on_spare.nr && !invocation->quiet) {
		bool one = sector_ranges_count(&a.bad_on_spare) == 1;
		char sectors[160];

		sector_ranges_text(&a.bad_on_spare, sectors, sizeof(sectors));
		printf("%s: sector%s %s cannot be written; the set does not use %s\n",
		       FOREIGN(a.spare_path), one ? "" : "s", sectors, one ? "it" : "them");
	}
	if (!invocation->quiet)
		printf("a backup of the set is in %s\n", FOREIGN(a.backup_path));
	if (!both_are_devices(&a))
		return 0;
	return activate_created(invocation, &a, &lock, error);
}
