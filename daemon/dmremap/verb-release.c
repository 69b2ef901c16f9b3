// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ending sets.  Members that are not in use are held exclusively from before the question to
 * the end (O4); the lock, which activation by udev waits for, is taken after it, and what was
 * agreed on is looked at again then.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "activate.h"
#include "adopt.h"
#include "backup.h"
#include "badlist.h"
#include "foreign.h"
#include "mask.h"
#include "region.h"
#include "verbs.h"

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
	r = machine_look(&machine, main_path, true, error);
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

static int release_without_spare(struct invocation *invocation, const char *main_path,
				 struct error *error)
{
	struct stale_options options = {
		.keep_header = option_value(invocation, "keep-header"),
	};
	const char *backup_path = option_value(invocation, "backup");
	_cleanup_backup_ struct backup backup = { 0 };
	_cleanup_close_ int lock = -1;
	struct stale_release result;
	int r = refuse_if_spare_is_here(main_path, error);

	if (!r && backup_path)
		r = backup_read(backup_path, &backup, error);
	if (r < 0)
		return r;
	if (backup_path) {
		options.chunk0 = backup_content(&backup, 0);
		memcpy(options.uuid, backup.super.uuid, sizeof(options.uuid));
	}
	if (!invocation->quiet || !invocation->yes)
		printf("The signatures of %s are put back as they were when its set was made.\n"
		       "What was written since to these places, and to all remapped sectors, is on "
		       "the spare only and is\nlost: check the file system afterwards.\n",
		       main_path);
	r = confirm(invocation, "Do it?", error);
	if (!r)
		r = refuse_if_spare_is_here(main_path, error); /* it may have come back */
	/* and where it is activated now main cannot be opened exclusively */
	if (!r)
		r = activation_lock(&lock, error);
	if (!r)
		r = adopt_release_without_spare(main_path, &options, &result, error);
	if (r < 0)
		return r;
	if (result.lost_chunk != UINT64_MAX)
		printf("%s: sectors %" PRIu64 " to %" PRIu64
		       " were on the spare only: they are zeros now\n",
		       main_path, result.lost_chunk * REMAP_CHUNK_SECTORS,
		       result.lost_chunk * REMAP_CHUNK_SECTORS + REMAP_CHUNK_SECTORS - 1);
	return 0;
}

static int refuse_if_main_is_here(const char *spare_path, struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	const struct assembly *set;
	int r = device_number(spare_path) ? machine_look(&machine, spare_path, true, error) : 0;

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
	       *region.super.identity ?
		       foreign_text(region.super.identity, sizeof(region.super.identity)).text :
		       "unknown");
	r = confirm(invocation, "Do it?", error);
	if (!r)
		r = refuse_if_main_is_here(spare_path, error); /* it may have come back */
	if (!r)
		r = activation_lock(&lock, error);
	if (!r)
		r = mask_remove(region.super.uuid, error);
	return r < 0 ? r : region_wipe(&region, error);
}

static int end_set(struct adopted *adopted, struct error *error)
{
	return adopted->region.super.flags & REMAP_SUPER_CREATING ?
		       adopt_undo_create(adopted, false, error) :
		       adopt_release(adopted, error);
}

/* "100,200-207": sectors of the mapped device; the caller frees. */
static int parse_given_up(const char *text, struct bad_range **ranges, size_t *nr,
			  struct error *error)
{
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL, *word;
	uint64_t last;

	*nr = 0;
	*ranges = calloc(strlen(text) / 2 + 1, sizeof(**ranges));
	if (!copy || !*ranges)
		return no_memory(error);
	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		struct bad_range *range = &(*ranges)[*nr];
		char *dash = strchr(word, '-');

		if (dash)
			*dash = '\0';
		if (parse_u64(word, &range->sector) < 0 ||
		    parse_u64(dash ? dash + 1 : word, &last) < 0 || last < range->sector ||
		    last == UINT64_MAX)
			break;
		range->nr_sectors = last - range->sector + 1;
		++*nr;
	}
	return !word && *nr ? 0 :
			      error_set(error, EINVAL,
					"\"%s\" names no sectors: 100 or 100-107, with commas "
					"between them",
					text);
}

/* What the user names is given up; then nothing may be lost any more. */
static int check_lost(const struct invocation *invocation, struct adopted *adopted,
		      struct error *error)
{
	const char *text = option_value(invocation, "give-up");
	_cleanup_free_ struct bad_range *ranges = NULL;
	size_t nr = 0;
	int r = text ? parse_given_up(text, &ranges, &nr, error) : 0;

	for (size_t i = 0; !r && i < nr; i++)
		r = adopt_give_up(adopted, ranges[i].sector, ranges[i].nr_sectors, error);
	return r < 0 || adopted->region.super.flags & REMAP_SUPER_CREATING ?
		       r :
		       adopt_check_release(adopted, error);
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
 * @interrupted: its release or creation was cut short when main was a plain disk already, which
 *               no scan can tell from others
 * @adopted: both opened, if not active
 */
struct releasing {
	char uuid[UUID_STRING_BYTES];
	char name[128];
	char main_path[256];
	char spare_path[256];
	dev_t main;
	dev_t spare;
	bool active;
	bool interrupted;
	struct adopted adopted;
};

/* Everything that can be refused before the question; an active set is only read. */
static int release_look(struct invocation *invocation, const char *what, struct releasing *a,
			struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	const struct assembly *set;
	struct error why;
	int r = machine_look(&machine, what, true, error);

	if (!r)
		r = machine_find(&machine, what, &set, error);
	if (r < 0)
		return r;
	uuid_to_string(set->uuid, a->uuid);
	a->interrupted = set->verdict == ASSEMBLY_UNFINISHED && set->spare >= 0 && set->main == -1;
	if (a->interrupted)
		return 0;
	if (set->main < 0 || set->spare < 0)
		return error_set(error, EAGAIN, "%s: %s", set->name,
				 *set->reason ? set->reason : "a member is missing");
	snprintf(a->name, sizeof(a->name), "%s", set->name);
	snprintf(a->main_path, sizeof(a->main_path), "%s", machine.members[set->main].path);
	snprintf(a->spare_path, sizeof(a->spare_path), "%s", machine.members[set->spare].path);
	a->main = machine.members[set->main].devno;
	a->spare = machine.members[set->spare].devno;
	a->active = set->verdict == ASSEMBLY_ACTIVE || set->verdict == ASSEMBLY_RETURNED;
	r = adopt_open(a->main_path, a->spare_path, a->active ? O_RDONLY : O_RDWR, &a->adopted,
		       a->active ? &why : error);
	/* of an active set the table may change while it is read: it is read again, at rest */
	if (!r)
		r = check_lost(invocation, &a->adopted, error);
	else if (a->active)
		r = 0;
	if (a->active)
		adopt_close(&a->adopted);
	return r;
}

/* An active set is held by device-mapper: after the question it must be the same devices. */
static int deactivate_the_same(struct releasing *a, int *lock, struct error *error)
{
	_cleanup_machine_ struct machine now = { 0 };
	const struct assembly *set;
	int r = machine_lock_set(a->uuid, &now, &set, lock, error);

	if (r < 0)
		return r;
	if (set->main < 0 || set->spare < 0 || now.members[set->main].devno != a->main ||
	    now.members[set->spare].devno != a->spare)
		return error_set(
			error, EBUSY,
			"%s: its members are others than a moment ago; nothing was changed",
			a->name);
	if (set->verdict == ASSEMBLY_ACTIVE)
		r = deactivate_locked(set->name, error);
	return r ? r : adopt_open(a->main_path, a->spare_path, O_RDWR, &a->adopted, error);
}

/* It was refused, and nothing was changed: whoever used the mapped device finds it again. */
static void activate_again(struct releasing *a, int *lock)
{
	struct activate_options options = { .name = a->name };

	adopt_close(&a->adopted);
	close_p(lock);
	*lock = -1;
	if (activate(a->uuid, &options, NULL, NULL) < 0)
		fprintf(stderr, "dmremap: %s is not active any more\n", a->name);
}

/* What was agreed on when it began is completed, as activation would do. */
static int complete(const struct invocation *invocation, const struct releasing *a,
		    struct error *error)
{
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_close_ int lock = -1;
	const struct assembly *set;
	int r = machine_lock_set(a->uuid, &machine, &set, &lock, error);

	if (!r && (set->verdict != ASSEMBLY_UNFINISHED || set->spare < 0))
		return error_set(error, EBUSY, "%s: its members are others than a moment ago",
				 set->name);
	if (!r)
		r = adopt_mend(&machine, set, error);
	if (r != -ECANCELED)
		return r;
	if (!invocation->quiet)
		printf("%s\n", error->text);
	return 0;
}

static void releasing_p(struct releasing *a)
{
	adopt_close(&a->adopted);
}

/* The set is found by its members; an active one is deactivated.  @path: was its main. */
static int release_set(struct invocation *invocation, const char *what, char path[256],
		       struct error *error)
{
	_cleanup_(releasing_p) struct releasing a = { .adopted = ADOPTED_NONE };
	_cleanup_close_ int lock = -1;
	int r = release_look(invocation, what, &a, error);

	*path = '\0';
	if (!r && a.interrupted)
		return complete(invocation, &a, error);
	if (r < 0)
		return r;
	if (!invocation->quiet || !invocation->yes) {
		printf("%s: %s becomes a plain disk again, with all its content; %s is wiped.\n",
		       a.name, a.main_path, a.spare_path);
		if (option_value(invocation, "give-up"))
			printf("What was in the sectors %s is given up: they read as an error, or as "
			       "something older.\n",
			       option_value(invocation, "give-up"));
	}
	r = confirm(invocation, "Do it?", error);
	if (r < 0)
		return r;
	r = a.active ? deactivate_the_same(&a, &lock, error) : activation_lock(&lock, error);
	if (!r && a.active)
		r = check_lost(invocation, &a.adopted, error);
	snprintf(path, 256, "%s", a.main_path);
	if (!r)
		r = end_set(&a.adopted, error);
	if (r < 0 && a.active && a.adopted.spare_fd >= 0 &&
	    !(a.adopted.region.super.flags & REMAP_SUPER_RELEASING))
		activate_again(&a, &lock);
	return r;
}

static int release_images(struct invocation *invocation, const char *main, const char *spare,
			  struct error *error)
{
	_cleanup_(adopt_close) struct adopted adopted = ADOPTED_NONE;
	int r = adopt_open(main, spare, O_RDWR, &adopted, error);

	if (!r)
		r = check_lost(invocation, &adopted, error);
	if (!r)
		r = confirm(invocation, "End this set?", error);
	return r ? r : end_set(&adopted, error);
}

int verb_release(struct invocation *invocation, struct error *error)
{
	const char *main = option_value(invocation, "without-spare");
	const char *spare = option_value(invocation, "without-main");
	char path[256] = "";
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
