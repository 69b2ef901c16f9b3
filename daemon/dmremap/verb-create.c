// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making sets: create, replace-main.  What is about to be done is printed before anything is
 * asked (O21).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "activate.h"
#include "adopt.h"
#include "create.h"
#include "guard.h"
#include "identity.h"
#include "lost-map.h"
#include "mask.h"
#include "purpose.h"
#include "verbs.h"

static void adoption_p(struct adoption *adoption)
{
	adoption_done(adoption);
}

static void print_size(const char *what, const char *path, uint64_t nr_sectors,
		       const char *identity)
{
	printf("%-8s %s, %" PRIu64 " MiB%s%s\n", what, path, nr_sectors / 2048,
	       *identity ? ", " : "", identity);
}

/* Every place, with what it is for: who decides must not look it up. */
static void print_unreadable(const struct adoption *a)
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
		printf(": %s\n", *purpose[i].text ? purpose[i].text : "nothing that is known");
	}
	/* repair tools write through the page cache, which reads the rest of a page first */
	for (size_t i = 0; i < a->places.unreadable.nr && i < 4; i++)
		printf("%s dd if=/dev/zero of=/dev/mapper/%s bs=512 seek=%" PRIu64 " count=%" PRIu64
		       " oflag=direct\n",
		       i ? "        " : "heal    ", a->label, a->places.unreadable.at[i].sector,
		       a->places.unreadable.at[i].nr);
	if (nr)
		printf("         %sends the errors there with zeros; then the file system's own "
		       "repair\n",
		       a->places.unreadable.nr > 4 ? "and so on " : "");
	if (a->places.elsewhere)
		printf("         and another one, which the kernel log names: it stays on %s\n",
		       a->main_path);
}

static void print_plan(const struct adoption *a)
{
	print_size("main", a->main_path, a->main_sectors, a->main_identity);
	printf("         holds %s: it stays, and is reached through /dev/mapper/%s\n",
	       a->plan.content, a->label);
	print_unreadable(a);
	print_size("spare", a->spare_path, a->region_sectors, a->spare_identity);
	printf("         %s; %u spare chunks of 4 KiB\n",
	       *a->spare_content ? a->spare_content : "blank", a->slots);
	if (*a->spare_content)
		printf("         THIS CONTENT IS LOST: %s\n", a->spare_content);
	if (a->guard) {
		printf("guard    %u chunk%s of main %s to the spare, so that nobody mounts the raw "
		       "disk by mistake:\n        ",
		       a->nr_chunks, plural(a->nr_chunks), a->nr_chunks == 1 ? "goes" : "go");
		for (uint32_t i = 0; i < a->nr_chunks && i < 8; i++)
			printf(" sector %" PRIu64, a->chunk[i] * REMAP_CHUNK_SECTORS);
		printf("%s\n", a->nr_chunks > 8 ? " ..." : "");
	} else {
		printf("guard    none: whoever mounts %s instead of the mapped device damages it\n",
		       a->main_path);
	}
	if (a->guard && a->chunk0_elsewhere)
		printf("note     the first 4 KiB of %s do not fit into its header: without the spare "
		       "they are in\n         %s only\n",
		       a->main_path, a->backup_path);
	if (a->write_cache != WRITE_CACHE_THROUGH)
		printf("note     %s keeps its write cache%s: an error may come when it is too late "
		       "to remap\n",
		       a->main_path,
		       a->write_cache == WRITE_CACHE_AUTO ? " until its first error" : "");
	if (a->same_disk)
		printf("note     main and spare are on one disk: when it dies, both do\n");
	if (a->removable)
		printf("note     the spare can be unplugged: without it the set does not work\n");
	printf("note     the spare is needed from now on, as much as main; put it on a mirror, "
	       "or keep backups\n"
	       "note     what names %s (fstab, crypttab, lvmdevices) must name /dev/mapper/%s or "
	       "a UUID\n"
	       "undo     dmremap release %s\n",
	       a->main_path, a->label, a->label);
}

static int print_table(const struct adoption *a)
{
	printf("0 %" PRIu64 " remap %s %s 0 %" PRIu64 "\n", a->main_sectors, a->main_path,
	       a->spare_path, a->region_sectors);
	return 0;
}

static bool both_are_devices(const struct adoption *a)
{
	return device_number(a->main_path) && device_number(a->spare_path);
}

/* From here on the set exists; what fails now is about using it. */
static int activate_created(struct invocation *invocation, struct adoption *a, struct error *error)
{
	struct error note = { "" };
	struct activate_options options = { .note = &note };
	char uuid[UUID_STRING_BYTES];
	struct error why;
	int r;

	uuid_to_string(a->uuid, uuid);
	/*
	 * Device-mapper takes both for itself, and could not while they are held; the guard and
	 * the lock are there meanwhile.
	 */
	adoption_done(a);
	scan_wait_for_udev(device_number(a->main_path));
	scan_wait_for_udev(device_number(a->spare_path));
	r = activate_locked(uuid, &options, NULL, &why);
	if (r < 0)
		return error_set(error, -r, "the set %s was made, but: %s", a->label, why.text);
	if (!invocation->quiet)
		printf("/dev/mapper/%s is active\n", a->label);
	if (!invocation->quiet && *note.text)
		printf("%s\n", note.text);
	care_for_content(invocation, a->label);
	return 0;
}

/* Before main is closed, which makes udev look at it again.  The set does without. */
static void mask(const struct adoption *a)
{
	struct error error;

	if (mask_write(a->uuid, device_number(a->main_path), &error) < 0)
		fprintf(stderr, "dmremap: %s is not hidden from udev: %s\n", a->main_path,
			error.text);
}

int verb_create(struct invocation *invocation, struct error *error)
{
	_cleanup_(adoption_p) struct adoption a = {
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
	if (size && strcmp(size, "-") && parse_size(size, &a.region_bytes) < 0)
		return error_set(error, EINVAL, "\"%s\" is not a size: 64M, 1G, or - for all of it",
				 size);
	if (write_cache && write_cache_parse(write_cache, &a.write_cache) < 0)
		return error_set(error, EINVAL, "\"%s\" is neither through nor keep nor auto",
				 write_cache);
	r = adoption_prepare(&a, error);
	if (r < 0)
		return r;
	if (option_value(invocation, "print-table"))
		return print_table(&a);
	if (!invocation->quiet || !invocation->yes) /* no question without what it is about */
		print_plan(&a);
	if (option_value(invocation, "dry-run"))
		return 0;
	r = adoption_check_unreadable(&a, error);
	if (r < 0)
		return r;
	if (both_are_devices(&a)) {
		r = dm_ensure_target(error);
		if (r < 0)
			return r;
	}
	if (*a.spare_content && !a.wipe_spare)
		return error_set(error, EPERM,
				 "%s holds %s: --wipe-spare makes it the spare all "
				 "the same",
				 a.spare_path, a.spare_content);
	r = confirm(invocation, "Make this set?", error);
	/* udev's activation waits for the lock: not while somebody thinks about the question */
	if (!r)
		r = activation_lock(&lock, error);
	if (!r && !invocation->yes)
		r = adoption_look_again(&a, error);
	if (!r)
		r = adoption_carry_out(&a, error);
	if (r < 0)
		return r;
	if (a.bad_on_spare.nr && !invocation->quiet) {
		char sectors[160];

		sector_ranges_text(&a.bad_on_spare, sectors, sizeof(sectors));
		printf("%s: sectors %s take no write: the set does without them\n", a.spare_path,
		       sectors);
	}
	if (*a.no_backup.text)
		fprintf(stderr, "dmremap: there is no backup of the set yet: %s\n",
			a.no_backup.text);
	else if (!invocation->quiet)
		printf("a backup of the set is in %s\n", a.backup_path);
	if (!both_are_devices(&a))
		return 0;
	if (!a.guard)
		mask(&a);
	return activate_created(invocation, &a, error);
}

static void print_replacing(const char *name, const char *path, const struct lost_map *map)
{
	printf("%s: %s takes the place of its main device, and the old one is ignored from then "
	       "on\n",
	       name, path);
	if (map->path)
		lost_map_print(map);
	else
		printf("note     what could not be read from the old one is zeros on a copy, and would "
		       "be served\n         so: ddrescue's map names it, and --map FILE makes it "
		       "lost\n");
}

/* As adopt-host and activate: what another host's, nobody's or a half-made set says is not done. */
static int refuse_foreign(const char *name, const struct remap_super *super, struct error *error)
{
	uint8_t host[16];

	if (super->flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING))
		return error_set(
			error, EPERM,
			"%s: its create or release was interrupted: dmremap activate mends it",
			name);
	host_id(host);
	if (!memcmp(host, super->host_id, sizeof(host)))
		return 0;
	return error_set(
		error, EPERM,
		"%s belongs to another host, or to none: dmremap adopt-host %s takes it over", name,
		name);
}

/*
 * After a raw copy of main (ddrescue): the copy carries guard and mark; the spare learns
 * that this is the hardware from now on, and the old disk counts as a copy.
 */
int verb_replace_main(struct invocation *invocation, struct error *error)
{
	const char *path = invocation->argv[1];
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_(adopt_close) struct adopted adopted = ADOPTED_NONE;
	_cleanup_(lost_map_done) struct lost_map map = { .invocation = invocation,
							 .path = option_value(invocation, "map") };
	_cleanup_close_ int lock = -1;
	char identity[REMAP_IDENTITY_BYTES];
	const struct assembly *set;
	struct remap_super super;
	int r;

	r = activation_lock(&lock, error);
	if (!r)
		r = machine_look(&machine, error);
	if (!r)
		r = machine_find(&machine, invocation->argv[0], &set, error);
	if (r < 0)
		return r;
	if (set->verdict == ASSEMBLY_ACTIVE || set->verdict == ASSEMBLY_RETURNED)
		return error_set(error, EBUSY, "%s is active: dmremap deactivate it first",
				 set->name);
	if (set->spare < 0)
		return error_set(error, EAGAIN, "%s: its spare device is not there", set->name);
	identity_of_device(device_number(path), identity);
	if (!*identity)
		return error_set(error, EPERM,
				 "%s has no serial number or WWN: it could not be told from the "
				 "old disk. Unplug that one, and no replacement is needed",
				 path);
	r = adopt_open(path, machine.members[set->spare].path, O_RDWR, &adopted, error);
	if (!r)
		r = refuse_foreign(set->name, &adopted.region.super, error);
	if (!r && map.path)
		r = lost_map_look(&map, &adopted, error);
	if (r < 0)
		return r;
	if (!invocation->quiet || !invocation->yes)
		print_replacing(set->name, path, &map);
	/* both are held now; and udev's activation of other sets waits for the lock */
	close_p(&lock);
	lock = -1;
	r = confirm(invocation, map.path ? "Replace it?" : "Could all of the old one be read?",
		    error);
	/* before main is another: until then the order is repeated */
	if (!r && map.path)
		r = losing_carry_out(&map.losing, error);
	if (r < 0)
		return r;
	super = adopted.region.super;
	memcpy(super.identity, identity, sizeof(super.identity));
	super.seq = adopted.table.generation + 1;
	r = region_write_super(&adopted.region, &super, error);
	if (!r && !adopt_has_guard(&adopted))
		r = mask_write(super.uuid, device_number(path), error);
	if (!r && !invocation->quiet)
		printf("%s: %s is its main device now; the old one is ignored from now on\n",
		       set->name, path);
	return r;
}
