// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ending sets.  Members that are not in use are held exclusively from before the question to
 * the end (O4); the lock, which activation by udev waits for, is taken after it, and what was
 * agreed on is looked at again then.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "activate.h"
#include "adopt.h"
#include "backup.h"
#include "mask.h"
#include "progress-line.h"
#include "region.h"
#include "verbs.h"
#include "without_spare.h"

/* Refuses while the spare is here and can be read: what it holds would be given up. */
static int refuse_if_spare_is_here(const char *main_path, struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	const struct assembly *set;
	const char *spare;
	_cleanup_close_ int fd = -1;
	struct region_table table;
	struct region region;
	uint64_t nr_bytes;
	bool whole;
	int r;

	if (!device_number(main_path))
		return 0; /* an image */
	r = machine_look(&machine, error);
	if (r < 0)
		return r;
	if (machine_find(&machine, main_path, &set, NULL) < 0)
		return 0;
	if (set->spare == -2)
		return error_set(error, EBUSY, "%s: %s", set->name, set->reason);
	if (set->spare < 0)
		return 0;
	spare = machine.members[set->spare].path;
	fd = open_direct(spare, O_RDONLY);
	if (fd < 0 || device_bytes(fd, &nr_bytes) < 0 ||
	    region_open(fd, 0, nr_bytes / REMAP_SECTOR_BYTES, &region, NULL) < 0 ||
	    region_read_table(&region, &table, NULL, NULL, NULL) < 0)
		return 0;
	whole = !table.nr_unloadable && !table.nr_contradictions;
	region_table_done(&table);
	return whole ? error_set(
			       error, EBUSY,
			       "%s: its spare %s is here: dmremap release %s gives back all of it",
			       main_path, spare, set->name) :
		       0;
}

/* Of the first chunk, which the member header keeps: what create could not read. */
static void print_never_read(const struct stale_release *a)
{
	const struct remap_member_disk *header = (const void *)(a->guarded + REMAP_MEMBER_OFFSET);

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
		printf("The signatures of %s are put back as they were when its set was made%s.\n",
		       a->main_path, a->has_backup ? ", or backed up" : "");
	if (stale_release_probe(a) && localtime_r(&created, &tm)) {
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
		printf("Its sectors %" PRIu64 " to %" PRIu64
		       " were on the spare only: they become what they were in\n%s, of %s.\n",
		       first, first + REMAP_CHUNK_SECTORS - 1, a->backup_path, when);
	} else if (a->probe_chunk != UINT64_MAX) {
		printf("Its sectors %" PRIu64 " to %" PRIu64
		       " were on the spare only, and in no backup: they become zeros.\n",
		       first, first + REMAP_CHUNK_SECTORS - 1);
	}
	if (a->guarded && !a->has_ended)
		print_never_read(a);
	printf("What was written since to these places, and to all remapped sectors, is on the "
	       "spare only and is\nlost: check the file system afterwards.\n");
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
	if (r < 0)
		return r;
	if (!invocation->quiet || !invocation->yes)
		print_stale(&a);
	r = confirm(invocation, "Do it?", error);
	if (!r)
		r = activation_lock(&lock, error);
	if (!r)
		r = refuse_if_spare_is_here(main_path, error); /* it may have come back */
	return r ? r : stale_release_carry_out(&a, error);
}

static int refuse_if_main_is_here(const char *spare_path, struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	const struct assembly *set;
	int r = device_number(spare_path) ? machine_look(&machine, error) : 0;

	if (r < 0)
		return r;
	if (machine_find(&machine, spare_path, &set, NULL) == 0 && set->main >= 0)
		return error_set(error, EBUSY,
				 "%s: its main device %s is here: dmremap release %s gives it back "
				 "what is on the spare",
				 spare_path, machine.members[set->main].path, set->name);
	return 0;
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
	if (r < 0)
		return r;
	printf("%s: what it holds for its main device (%s) is lost for good.\n", spare_path,
	       *region.super.identity ? region.super.identity : "unknown");
	r = confirm(invocation, "Do it?", error);
	if (!r)
		r = activation_lock(&lock, error);
	if (!r)
		r = refuse_if_main_is_here(spare_path, error); /* it may have come back */
	if (!r)
		r = region_wipe(&region, error);
	return r < 0 ? r : mask_remove(region.super.uuid, error);
}

static void print_sectors(const struct sector_ranges *sectors, const char *main_path,
			  const char *what)
{
	char text[160];

	sector_ranges_text(sectors, text, sizeof(text));
	if (sectors->nr)
		printf("%s: sector%s %s %s\n", main_path,
		       sector_ranges_count(sectors) == 1 ? "" : "s", text, what);
}

static int end_set(const struct invocation *invocation, struct adopted *adopted,
		   struct error *error)
{
	struct progress_line line;
	int r;

	if (adopted->region.super.flags & REMAP_SUPER_CREATING)
		return adopt_undo_create(adopted, false, error);
	progress_begin(&line, invocation, "copying back", 0);
	adopted->progress = &line.progress;
	r = adopt_release(adopted, error);
	adopted->progress = NULL;
	progress_end(&line);
	if (r < 0)
		return r;
	print_sectors(&adopted->still_lost, adopted->main_path,
		      "cannot be read, as before: an error until written");
	print_sectors(&adopted->zeroed, adopted->main_path,
		      "had no content that could be found again: zeros now");
	return 0;
}

static int parse_give_up(const struct invocation *invocation, struct adopted *adopted,
			 struct error *error)
{
	const char *text = option_value(invocation, "give-up");
	uint64_t nr_sectors = adopted->region.super.main_sectors;

	sector_ranges_done(&adopted->give_up);
	if (text && sector_ranges_parse(text, nr_sectors, &adopted->give_up) < 0)
		return error_set(error, EINVAL,
				 "\"%s\" does not name sectors of a set of %" PRIu64 ": 2,100-103",
				 text, nr_sectors);
	return 0;
}

/* Opens the set, and finds out what would hold the release back before anything is changed. */
static int open_set(const struct invocation *invocation, const char *main_path,
		    const char *spare_path, int flags, struct adopted *adopted, struct error *error)
{
	int r = adopt_open(main_path, spare_path, flags, adopted, error);

	if (!r)
		r = parse_give_up(invocation, adopted, error);
	if (!r && !(adopted->region.super.flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING)))
		r = adopt_check_lost(adopted, error);
	return r;
}

/* An active set is held by device-mapper: after the question it must be the same devices. */
static int deactivate_the_same(const struct machine *agreed, const struct assembly *agreed_set,
			       struct error *error)
{
	_cleanup_machine_ struct machine now = { 0 };
	const struct assembly *set;
	char uuid[UUID_STRING_BYTES];
	int r = machine_look(&now, error);

	uuid_to_string(agreed_set->uuid, uuid);
	if (!r)
		r = machine_find(&now, uuid, &set, error);
	if (r < 0)
		return r;
	if (set->main < 0 || set->spare < 0 ||
	    now.members[set->main].devno != agreed->members[agreed_set->main].devno ||
	    now.members[set->spare].devno != agreed->members[agreed_set->spare].devno)
		return error_set(
			error, EBUSY,
			"%s: its members are others than a moment ago; nothing was changed",
			agreed_set->name);
	return set->verdict == ASSEMBLY_ACTIVE ? deactivate_locked(set->name, error) : 0;
}

/* The set is found by its members; an active one is deactivated.  @path: was its main. */
static int release_set(struct invocation *invocation, const char *what, char path[256],
		       struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_(adopt_close) struct adopted adopted = ADOPTED_NONE;
	_cleanup_close_ int lock = -1;
	const struct assembly *set;
	const char *main_path, *spare_path;
	bool active;
	int r = machine_look(&machine, error);

	if (!r)
		r = machine_find(&machine, what, &set, error);
	if (r < 0)
		return r;
	if (set->main < 0 || set->spare < 0)
		return error_set(error, EAGAIN, "%s: %s", set->name,
				 *set->reason ? set->reason : "a member is missing");
	main_path = machine.members[set->main].path;
	spare_path = machine.members[set->spare].path;
	active = set->verdict == ASSEMBLY_ACTIVE || set->verdict == ASSEMBLY_RETURNED;
	/* what is active is held by device-mapper: it is looked at only */
	r = open_set(invocation, main_path, spare_path, active ? O_RDONLY : O_RDWR, &adopted,
		     error);
	if (active) {
		adopt_close(&adopted);
		/* it may have been committed to between two reads: looked at again below */
		r = r == -ESTALE ? 0 : r;
	}
	if (r < 0)
		return r;
	if (!invocation->quiet || !invocation->yes)
		printf("%s: %s becomes a plain disk again, with all its content; %s is wiped.\n",
		       set->name, main_path, spare_path);
	r = confirm(invocation, "Do it?", error);
	if (!r)
		r = activation_lock(&lock, error);
	if (!r && active)
		r = deactivate_the_same(&machine, set, error);
	if (!r && active)
		r = open_set(invocation, main_path, spare_path, O_RDWR, &adopted, error);
	snprintf(path, 256, "%s", main_path);
	return r ? r : end_set(invocation, &adopted, error);
}

static int release_images(struct invocation *invocation, const char *main, const char *spare,
			  struct error *error)
{
	_cleanup_(adopt_close) struct adopted adopted = ADOPTED_NONE;
	int r = open_set(invocation, main, spare, O_RDWR, &adopted, error);

	if (!r)
		r = confirm(invocation, "End this set?", error);
	return r ? r : end_set(invocation, &adopted, error);
}

int verb_release(struct invocation *invocation, struct error *error)
{
	const char *main = option_value(invocation, "without-spare");
	const char *spare = option_value(invocation, "without-main");
	char path[256];
	int r;

	if (!!main + !!spare + !!invocation->argc != 1)
		return error_set(error, EINVAL,
				 "give a set, or two images, or --without-spare MAIN, or "
				 "--without-main SPARE");
	if (spare)
		return release_without_main(invocation, spare, error);
	if (invocation->argc == 2)
		return release_images(invocation, invocation->argv[0], invocation->argv[1], error);
	r = main ? release_without_spare(invocation, main, error) :
		   release_set(invocation, invocation->argv[0], path, error);
	if (!r && device_number(main ? main : path)) /* not an image */
		care_for_lvm(invocation, main ? main : path);
	return r;
}
