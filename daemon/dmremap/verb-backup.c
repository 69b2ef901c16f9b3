// SPDX-License-Identifier: GPL-2.0-or-later
/* backup and restore-backup: what a spare holds besides the data of remapped sectors. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>

#include "format/backup-renew.h"
#include "ops/activate.h"
#include "ops/restore.h"
#include "progress-line.h"
#include "set/handle.h"
#include "set/look.h"
#include "system/identity.h"
#include "util/foreign.h"
#include "verbs.h"

#define READ_TRIES 4
#define READ_PAUSE_MS 200

const struct verb_option options_backup[] = {
	{ "renew", NULL, "update the default backup, if outdated, and keep the previous ones" },
	{ "copies", "DIRECTORIES", "with --renew: also copy it to these, separated by commas" },
	{ NULL },
};

/*
 * Paths of the members of the set that @what means; an image has no main.  @alone: no other set
 * is looked for, see inventory_look_for().
 */
static int find_members(const char *what, bool alone, struct inventory *inventory, char *spare,
			size_t nr_spare, char *main, size_t nr_main, struct error *error)
{
	const struct assembly *set;
	int r;

	*main = '\0';
	snprintf(spare, nr_spare, "%s", what);
	if (strchr(what, '/') && access(what, F_OK) == 0 && !device_number(what))
		return 0;
	r = alone ? inventory_look_for(inventory, what, error) :
		    inventory_look(inventory, what, true, error);
	if (!r)
		r = inventory_find(inventory, what, &set, error);
	if (r < 0)
		return r;
	if (set->spare < 0)
		return inventory_refuse_missing(inventory, set, error);
	snprintf(spare, nr_spare, "%s", inventory->members[set->spare].path);
	if (set->main >= 0)
		snprintf(main, nr_main, "%s", inventory->members[set->main].path);
	return 0;
}

static int read_backup(const char *spare, const char *main, struct backup *backup,
		       struct progress *progress, struct error *error)
{
	_cleanup_close_ int fd = open_direct(spare, O_RDONLY); /* the kernel may be writing */
	_cleanup_close_ int main_fd = *main ? open_direct(main, O_RDONLY) : -1;
	char identity[REMAP_IDENTITY_BYTES];
	struct region region;
	struct error why;
	uint64_t nr_bytes;
	int r;

	if (fd < 0)
		return error_set(error, -fd, "%s: cannot open it: %s", spare, strerror(-fd));
	identity_of_device(device_number(spare), identity);
	r = device_bytes(fd, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: cannot read its size", spare);
	for (unsigned int i = 0; i < READ_TRIES; i++) {
		r = region_open(fd, 0, nr_bytes / REMAP_SECTOR_BYTES, &region, &why);
		region.progress = progress;
		if (!r)
			r = backup_make(&region, main_fd, identity, backup, &why);
		/* another command may be making the set, or ending it: what is damaged stays so */
		if (r != -EUCLEAN)
			break;
		usleep(READ_PAUSE_MS * 1000);
	}
	return r < 0 ? error_set(error, -r, "%s: %.400s", spare, why.text) : 0;
}

int write_backup(const char *spare, const char *main, const char *path, struct backup *backup,
		 struct progress *progress, struct error *error)
{
	char usual[PATH_MAX];
	int r = read_backup(spare, main, backup, progress, error);

	if (!r && !*path)
		r = backup_default_path(backup->super.uuid, usual, sizeof(usual), error);
	return r ? r : backup_write(backup, *path ? path : usual, error);
}

/* To each directory of a list with commas; the first failure is reported, the others are tried. */
static int copy_to_all(const char *path, const char *directories, struct error *error)
{
	_cleanup_free_ char *copy = strdup(directories);
	char *save = NULL, *directory;
	struct error why;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (directory = strtok_r(copy, ",", &save); directory;
	     directory = strtok_r(NULL, ",", &save)) {
		int failed = backup_copy(path, directory, &why);

		if (failed < 0 && !r)
			r = error_set(error, -failed, "%s", why.text);
	}
	return r;
}

/* In the usual place, with those before it, and copied: what dm-remapd has done. */
static int renew(const struct invocation *invocation, struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	_cleanup_backup_ struct backup backup = { 0 };
	const char *copies = option_value(invocation, "copies");
	char spare[PATH_MAX], main[PATH_MAX], path[PATH_MAX];
	const char *what = invocation->argv[0];
	bool is_current, is_active;
	struct dm_device device;
	int r;

	if (invocation->argc == 2)
		return error_set(error, EINVAL, "--renew updates the default backup; omit FILE");
	/* dm-remapd renews those of all sets */
	is_active =
		!strchr(what, '/') && dm_get(what, &device, NULL) == 0 && *uuid_of_device(&device);
	r = find_members(is_active ? uuid_of_device(&device) : what, is_active, &inventory, spare,
			 sizeof(spare), main, sizeof(main), error);
	if (!r)
		r = read_backup(spare, main, &backup, NULL, error);
	if (!r)
		r = backup_default_path(backup.super.uuid, path, sizeof(path), error);
	if (!r)
		r = backup_renew(&backup, path, &is_current, error);
	if (!r && copies)
		r = copy_to_all(path, copies, error);
	if (!r && !invocation->quiet)
		printf("%s: %s\n", FOREIGN(path), is_current ? "up to date" : "renewed");
	return r;
}

int verb_backup(struct invocation *invocation, struct error *error)
{
	_cleanup_inventory_ struct inventory inventory = { 0 };
	_cleanup_backup_ struct backup backup = { 0 };
	char spare[PATH_MAX], main[PATH_MAX], path[PATH_MAX] = "";
	struct progress_line line;
	int r;

	if (option_value(invocation, "renew"))
		return renew(invocation, error);
	if (option_value(invocation, "copies"))
		return error_set(error, EINVAL, "--copies needs --renew");
	r = find_members(invocation->argv[0], false, &inventory, spare, sizeof(spare), main,
			 sizeof(main), error);
	if (invocation->argc == 2)
		snprintf(path, sizeof(path), "%s", invocation->argv[1]);
	progress_begin(&line, invocation, "reading the table", 0);
	if (!r)
		r = write_backup(spare, main, path, &backup, &line.progress, error);
	progress_end(&line);
	if (!r && !*path)
		r = backup_default_path(backup.super.uuid, path, sizeof(path), error);
	if (!r && backup.nr_unreadable)
		fprintf(stderr,
			"dmremap: %u hidden chunk%s of %s cannot be read: the backup does not "
			"include them\n",
			backup.nr_unreadable, plural(backup.nr_unreadable), FOREIGN(spare));
	if (!r && !invocation->quiet)
		printf("%s: sequence number %" PRIu64 ", %u slot%s in use, %u with content\n",
		       FOREIGN(path), backup.generation, backup.nr_entries,
		       plural(backup.nr_entries), backup.nr_contents);
	return r;
}

/*
 * The guarded main of the backup's set among the devices that are present.  Without the spare
 * nothing says which of several counts; an old copy has an old mark, and would make an old backup
 * pass for a current one.
 */
static int find_main(const struct backup *backup, char *path, size_t nr_bytes, struct error *error)
{
	const struct remap_super *super = &backup->super;
	_cleanup_inventory_ struct inventory inventory = { 0 };
	const struct member *found = NULL;
	struct foreign_text recorded;

	*path = '\0';
	if (inventory_look(&inventory, NULL, true, NULL) < 0)
		return 0;
	recorded = foreign_text(super->identity, sizeof(super->identity));
	for (size_t i = 0; i < inventory.nr_members; i++) {
		const struct member *member = &inventory.members[i];

		if (member->role != MEMBER_MAIN ||
		    memcmp(member->uuid, super->uuid, sizeof(member->uuid)) != 0)
			continue;
		if (found)
			return error_set(error, EEXIST,
					 "%s and %s both claim to be the set's main device; "
					 "nothing was changed. Detach the copy, or name the main "
					 "device with --main",
					 found->path, member->path);
		found = member;
	}
	if (!found)
		return inventory_check_silent(&inventory, super->uuid, MEMBER_MAIN, recorded.text,
					      false, error);
	if (identity_contradicts(found->identity, recorded.text))
		return error_set(error, EPERM,
				 "%s is other hardware (%.64s) than the main device that the "
				 "backup names (%.64s), and may be a copy with old data; nothing "
				 "was changed. If it is the main device, use --main %s",
				 found->path, found->identity, recorded.text, found->path);
	snprintf(path, nr_bytes, "%s", found->path);
	return 0;
}

static void print_lost(const struct restoring *a)
{
	for (uint32_t i = 0; i < a->nr_lost; i++) {
		const struct remap_entry *entry = &a->lost[i];
		uint64_t first = (uint64_t)entry->main_chunk * REMAP_CHUNK_SECTORS;

		for (unsigned int s = 0, end; s < REMAP_CHUNK_SECTORS; s = end + 1) {
			for (end = s; end < REMAP_CHUNK_SECTORS && entry->lost >> end & 1;)
				end++;
			if (end > s)
				printf("lost     sectors %" PRIu64 " to %" PRIu64 "\n", first + s,
				       first + end - 1);
		}
	}
}

static void print_restoring(const struct restoring *a, const char *file)
{
	const struct backup *backup = a->backup;
	struct date created = date_of(backup->created);

	printf("backup   %s, of set \"%s\", sequence number %" PRIu64 ", made %s\n", FOREIGN(file),
	       foreign_text(backup->super.label, sizeof(backup->super.label)).text,
	       backup->generation, created.text);
	if (a->only_record) {
		printf("spare    %s has it already: only the main device is updated, to record "
		       "this spare\n",
		       FOREIGN(a->spare_path));
		return;
	}
	if (a->current)
		printf("note     nothing newer was found; but if the set was active after %s, its "
		       "very last\n"
		       "         remaps may be missing, and their sectors would return old data "
		       "from the main device\n",
		       created.text);
	if (a->same_spare && a->current) {
		printf("spare    %s, the set's own: its slots still hold their data, so all that "
		       "the backup lists is restored\n",
		       FOREIGN(a->spare_path));
		return;
	}
	printf("spare    %s, %s\n"
	       "         %u hidden chunk%s restored to the state in the backup: check the file "
	       "system\n",
	       FOREIGN(a->spare_path),
	       a->same_spare ? "the set's own, but the content of its slots is no longer certain" :
	       a->reused ? "the set's own, used for something else since: its slots do not count" :
			   "a new device in place of the old spare",
	       a->nr_hidden, a->nr_hidden == 1 ? " is" : "s are");
	if (!a->current)
		printf("OLDER    sectors that were remapped after the backup, if any, will return "
		       "old data from the main device\n");
	printf("lost     %u chunk%s content that is not in the backup: these sectors read as "
	       "errors until they are written%s\n",
	       a->nr_lost, a->nr_lost == 1 ? " has" : "s have", a->nr_lost ? ":" : "");
	print_lost(a);
}

/*
 * Without main nothing holds the set.  If it has come since, the spare may have come as well, and
 * the set may be active with it; if not, main's mark tells whether the backup is current.
 */
static int refuse_if_main_came(const struct backup *backup, struct error *error)
{
	char main[PATH_MAX];
	int r = find_main(backup, main, sizeof(main), error);

	if (r < 0 || !*main)
		return r;
	return error_set(error, EBUSY,
			 "%s, the set's main device, was attached meanwhile; nothing was changed. "
			 "Repeat the command",
			 main);
}

static void restoring_p(struct restoring *restoring)
{
	close_p(&restoring->spare_fd);
	close_p(&restoring->main_fd);
	restore_done(restoring);
}

int verb_restore_backup(struct invocation *invocation, struct error *error)
{
	const char *file = invocation->argv[0], *named = option_value(invocation, "main");
	char main[PATH_MAX];
	_cleanup_backup_ struct backup backup = { 0 };
	_cleanup_(restoring_p) struct restoring a = {
		.backup = &backup,
		.spare_path = invocation->argv[1],
		.main_path = main,
		.spare_fd = -1,
		.main_fd = -1,
		.older = option_value(invocation, "older"),
		.wipe_spare = option_value(invocation, "wipe-spare"),
	};
	_cleanup_close_ int lock = -1;
	struct progress_line line;
	int r = backup_read(file, &backup, error);

	if (r < 0)
		return r;
	r = look_answers(a.spare_path, error);
	if (r < 0)
		return r;
	if (named)
		snprintf(main, sizeof(main), "%s", named);
	r = named ? look_answers(main, error) : find_main(&backup, main, sizeof(main), error);
	if (r < 0)
		return r;
	if (*main && device_number(main) && device_number(main) == device_number(a.spare_path))
		return error_set(error, EINVAL,
				 "%s is the set's main device; name the device that becomes its "
				 "spare",
				 a.spare_path);
	a.spare_fd = open_exclusive(a.spare_path, error);
	if (a.spare_fd < 0)
		return a.spare_fd;
	if (*main) {
		a.main_fd = open_exclusive(main, error);
		if (a.main_fd < 0)
			return a.main_fd;
	}
	progress_begin(&line, invocation, "reading the table", 0);
	progress_watch(&line);
	a.progress = &line.progress;
	r = restore_look(&a, error);
	progress_end(&line);
	if (r < 0)
		return r;
	if (!invocation->quiet || !invocation->yes)
		print_restoring(&a, file);
	r = confirm(invocation, "Restore it?", error);
	if (!r)
		r = inventory_lock_members(backup.super.uuid, device_number(main),
					   device_number(a.spare_path), &lock, error);
	if (!r && !*main)
		r = refuse_if_main_came(&backup, error);
	if (r < 0)
		return r;
	/* the wipe before it has no steps */
	progress_begin(&line, invocation, "writing the table", 0);
	progress_watch(&line);
	r = restore_carry_out(&a, error);
	progress_end(&line);
	return r;
}
