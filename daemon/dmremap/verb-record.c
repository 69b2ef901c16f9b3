// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who a set belongs to, and what its members are: adopt-host, replace-main, replace-spare,
 * resize.  Nothing of a foreign set is written but by adopt-host (O7), and nothing of one whose
 * create or release was cut short.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "lost-map.h"
#include "ops/activate.h"
#include "ops/create.h"
#include "ops/record.h"
#include "ops/resize.h"
#include "progress-line.h"
#include "set/deactivated.h"
#include "set/look.h"
#include "set/mark.h"
#include "set/open.h"
#include "set/scan.h"
#include "system/identity.h"
#include "system/mask.h"
#include "util/foreign.h"
#include "verbs.h"

/*
 * What replace-main would take as a copy is enough here: it asks for this first.  Without main the
 * spare decides whose the set is; should it be an old copy, main's mark tells later.
 */
static int open_to_adopt(struct invocation *invocation, struct open_set *open, struct error *error)
{
	int r = set_lock_inactive(invocation->argv[0], open, error);
	const struct member *members = open->inventory.members;
	bool alone = option_value(invocation, "without-main"), lacks_mark = false;
	const struct assembly *set = open->set;

	if (r < 0)
		return r;
	if (set->spare >= 0 && set->main == -1 && alone)
		return handle_open_spare(members[set->spare].path, &open->handle, error);
	if (set->spare >= 0 && set->main >= 0)
		r = handle_open_copy(members[set->main].path, members[set->spare].path, alone,
				     &open->handle, &lacks_mark, error);
	else
		r = set_refuse_missing(open, error);
	if (r < 0)
		return lacks_mark || (set->spare >= 0 && set->main == -1) ?
			       error_set(error, -r,
					 "%.400s; to adopt the set without it, use --without-main",
					 error->text) :
			       r;
	/* a header that cannot be written counts for a main alone only */
	if (alone && record_check(&open->handle, NULL) < 0) {
		close_p(&open->handle.main_fd);
		open->handle.main_fd = -1;
	}
	return 0;
}

int verb_adopt_host(struct invocation *invocation, struct error *error)
{
	static const uint8_t none[16];
	_cleanup_(set_close) struct open_set open = OPEN_SET_NONE;
	const char *name = option_value(invocation, "name");
	char label[REMAP_LABEL_BYTES + 1];
	uint8_t host[16];
	int r;

	if (name && !device_name_ok(name))
		return error_set(error, EINVAL,
				 "\"%s\": invalid name; use 1 to 32 of A-Z a-z 0-9 _ . -, the "
				 "first not - or ., and not control",
				 name);
	host_id(host);
	if (!memcmp(host, none, sizeof(host)))
		return error_set(error, EPERM, "this host has no machine id (/etc/machine-id)");
	r = open_to_adopt(invocation, &open, error);
	snprintf(label, sizeof(label), "%.*s", REMAP_LABEL_BYTES,
		 name ? name : open.handle.region.super.label);
	/* one that is none has the name of its UUID */
	if (!r && device_name_ok(label))
		r = set_check_name(label, open.set->uuid, &open.inventory, "--name", error);
	if (!r)
		r = record_host(&open.handle, host, name, error);
	if (!r && !invocation->quiet)
		printf("%s belongs to this host from now on\n",
		       *open.handle.region.super.label ?
			       foreign_text(open.handle.region.super.label,
					    sizeof(open.handle.region.super.label))
				       .text :
			       open.set->name);
	return r;
}

/**
 * struct replacement - a member whose raw copy takes its place
 * @role: which member
 * @path: of the copy
 * @identity: of the copy's hardware
 * @lacks_mark: a copy of main without the set's mark
 * @has_other: in its place is something, as before the set was activated first
 * @open: the set; its handle has the members, the copy among them
 */
struct replacement {
	enum member_role role;
	const char *path;
	char identity[REMAP_IDENTITY_BYTES];
	bool lacks_mark;
	bool has_other;
	struct open_set open;
};

static void replacement_p(struct replacement *a)
{
	set_close(&a->open);
}

static int refuse_foreign(const struct assembly *set, struct error *error)
{
	if (set->verdict != ASSEMBLY_FOREIGN && set->verdict != ASSEMBLY_NO_HOST)
		return 0;
	return error_set(error, EPERM, "%s: %s", set->name, set->reason);
}

/*
 * The same by the superblock of the spare that was opened: where it is the copy, or its set is
 * incomplete, no verdict speaks of it.
 */
static int refuse_foreign_super(const char *name, const struct remap_super *super,
				struct error *error)
{
	uint8_t host[16];

	if (super->flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING))
		return error_set(
			error, EPERM,
			"%s: its create or release was interrupted; run dmremap activate to "
			"repair it",
			name);
	host_id(host);
	if (!memcmp(host, super->host_id, sizeof(host)))
		return 0;
	return error_set(
		error, EPERM,
		"%s belongs to another host, or to none; run dmremap adopt-host %s to take it over",
		name, name);
}

/* What a copy that was not rescued there does not hold: something else, or the mark of another. */
static int look_at_mark(struct replacement *a, struct error *error)
{
	const struct remap_super *super = &a->open.handle.region.super;
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	uint8_t uuid[REMAP_UUID_BYTES], unreadable = 0;
	struct member member;
	uint64_t at;
	int r = chunk ? places_read_chunk(a->open.handle.main_fd, super->probe_chunk,
					  super->main_sectors, chunk, &unreadable) :
			no_memory(error);

	if (r < 0)
		return error_set(error, -r, "%s: cannot read it: %s", a->path, strerror(-r));
	a->has_other = !remap_is_zero(chunk, REMAP_CHUNK_BYTES);
	if ((member_probe(a->path, &member, NULL) == 0 &&
	     memcmp(member.uuid, super->uuid, sizeof(member.uuid)) != 0) ||
	    (mark_find(a->open.handle.main_fd, super->main_sectors, uuid, true, &at) == 0 &&
	     memcmp(uuid, super->uuid, sizeof(uuid)) != 0))
		return error_set(error, EPERM, "%s is a member of another set", a->path);
	return 0;
}

/* Looks and opens; writes nothing. */
static int replacement_look(struct invocation *invocation, struct replacement *a,
			    struct error *error)
{
	const char *role = member_role_name(a->role), *main, *spare;
	bool is_main = a->role == MEMBER_MAIN;
	dev_t devno = device_number(a->path);
	int r = devno ? 0 : error_set(error, ENODEV, "%s: not a block device", a->path), other;

	if (!r)
		r = set_lock_inactive(invocation->argv[0], &a->open, error);
	if (!r)
		r = refuse_foreign(a->open.set, error);
	if (r < 0)
		return r;
	other = is_main ? a->open.set->spare : a->open.set->main;
	/* what does not answer is not gone */
	if (other == -1)
		r = inventory_check_silent(&a->open.inventory, a->open.set->uuid,
					   is_main ? MEMBER_SPARE : MEMBER_MAIN, "", false, error);
	if (r < 0)
		return r;
	if (other < 0)
		return error_set(
			error, other == -2 ? EEXIST : EAGAIN, "%s: %s", a->open.set->name,
			other == -2 || (is_main ? a->open.set->main : a->open.set->spare) >= 0 ?
				a->open.set->state_reason :
			is_main ? "its spare device is missing" :
				  "its main device is missing");
	if (a->open.inventory.members[other].devno == devno)
		return error_set(error, EINVAL,
				 "%s is the set's %s device; name the copy of its %s", a->path,
				 is_main ? "spare" : "main", role);
	identity_of_device(devno, a->identity);
	main = is_main ? a->path : a->open.inventory.members[other].path;
	spare = is_main ? a->open.inventory.members[other].path : a->path;
	r = is_main ? handle_open_copy(main, spare, option_value(invocation, "without-mark"),
				       &a->open.handle, &a->lacks_mark, error) :
		      handle_open(main, spare, O_RDWR, &a->open.handle, error);
	if (r < 0 && a->lacks_mark)
		return error_set(
			error, -r,
			"%.380s. If it is a copy of main, and this sector was not rescued, "
			"use --without-mark",
			error->text);
	if (!r && a->lacks_mark)
		r = look_at_mark(a, error);
	/* a copy without the mark needs that all the same */
	if (!r && !*a->identity && !a->lacks_mark)
		r = error_set(error, EPERM,
			      "%s has no serial number or WWN to distinguish it from the old %s; "
			      "detach the old one, and no replacement is needed",
			      a->path, role);
	if (!r &&
	    memcmp(a->open.handle.region.super.uuid, a->open.set->uuid, sizeof(a->open.set->uuid)))
		r = error_set(error, EPERM, "%s is the %s of another set", a->path, role);
	if (!r)
		r = refuse_foreign_super(a->open.set->name, &a->open.handle.region.super, error);
	if (!r && is_main && !handle_has_guard(&a->open.handle))
		r = mask_check(device_number(a->path), error);
	return r;
}

static void print_replacement(const struct replacement *a, const struct lost_map *map)
{
	const char *role = member_role_name(a->role);
	int old = a->role == MEMBER_MAIN ? a->open.set->main : a->open.set->spare;

	printf("set      \"%s\", with %s %s\n"
	       "%-8s %s, %s: used from now on, with its present content\n",
	       a->open.set->name, a->role == MEMBER_MAIN ? "spare" : "main",
	       a->role == MEMBER_MAIN ? a->open.handle.spare_path : a->open.handle.main_path, role,
	       a->path, *a->identity ? a->identity : "without a serial number");
	if (!*a->identity)
		printf("note     nothing distinguishes it from the old one, which must stay "
		       "detached\n");
	if (old >= 0 && a->open.inventory.members[old].devno != device_number(a->path))
		printf("old      %s, %s: treated as a copy from now on, and ignored\n",
		       a->open.inventory.members[old].path,
		       a->open.inventory.members[old].identity);
	if (a->lacks_mark)
		printf("note     the copy lacks the set's mark (sector %" PRIu64 "), which is "
		       "written anew: that the spare is\n"
		       "         the current one, and no old copy, cannot be checked\n",
		       (uint64_t)a->open.handle.region.super.probe_chunk * REMAP_CHUNK_SECTORS);
	if (a->has_other)
		printf("note     it holds other data there: a copy from before the set was "
		       "activated first, which lacks\n"
		       "         all that was written since, or another disk\n");
	if (map && map->path)
		lost_map_print(map);
	else if (map)
		printf("note     sectors that could not be read from the old one are zeros on a "
		       "copy, and are served\n"
		       "         as zeros; to make them lost, pass ddrescue's map with --map "
		       "FILE\n");
}

static void tell_not_noted(const char *name, int r)
{
	struct error note;

	if (r < 0) {
		deactivated_cannot(name, r, &note);
		fprintf(stderr, "dmremap: %s\n", note.text);
	}
}

/* A set that was deactivated by hand stays so when a member is replaced. */
static void stay_inactive(const struct replacement *a)
{
	char uuid[UUID_STRING_BYTES];
	int r = 0;

	uuid_to_string(a->open.set->uuid, uuid);
	if (deactivated_noted(uuid))
		r = deactivated_note_members(uuid, device_number(a->open.handle.main_path),
					     device_number(a->open.handle.spare_path));
	tell_not_noted(a->open.set->name, r);
}

/*
 * The lock is not held while a question is open; the members are, exclusively, so that
 * the set is not activated or repaired meanwhile.
 */
static int replacement_confirm(struct invocation *invocation, struct replacement *a,
			       const struct lost_map *map, struct error *error)
{
	int r;

	set_unlock(&a->open);
	if (!invocation->quiet || !invocation->yes)
		print_replacement(a, map);
	r = confirm(invocation,
		    map && !map->path ? "Could all of the old one be read?" : "Replace it?", error);
	return r ? r :
		   inventory_lock_members(
			   a->open.set->uuid, device_number(a->open.handle.main_path),
			   device_number(a->open.handle.spare_path), &a->open.lock, error);
}

/*
 * After a raw copy of main (ddrescue): the copy carries guard and mark; the spare learns
 * that this is the hardware from now on, and the old disk counts as a copy.  A crash before
 * the superblock leaves the old main, and perhaps a rule that hides the copy instead:
 * activation corrects that.  What the map made lost before stays so: it is made lost again.
 */
int verb_replace_main(struct invocation *invocation, struct error *error)
{
	_cleanup_(replacement_p) struct replacement a = { .role = MEMBER_MAIN,
							  .path = invocation->argv[1],
							  .open = OPEN_SET_NONE };
	_cleanup_(lost_map_done) struct lost_map map = { .invocation = invocation,
							 .path = option_value(invocation, "map") };
	struct remap_super super;
	int r;

	if (!map.path && (option_value(invocation, "areas") || option_value(invocation, "disk")))
		return error_set(error, EINVAL, "--areas and --disk are for --map");
	r = look_answers(a.path, error);
	if (!r)
		r = replacement_look(invocation, &a, error);
	/* a pipe may keep it waiting; the members are held, and cannot be activated */
	if (map.path)
		set_unlock(&a.open);
	if (!r && map.path)
		r = lost_map_look(&map, &a.open.handle, error);
	if (!r)
		r = replacement_confirm(invocation, &a, &map, error);
	/* before main is another: until then the order is repeated */
	if (!r && a.lacks_mark)
		r = record_mark(&a.open.handle, error);
	if (!r && map.path)
		r = losing_carry_out(&map.losing, error);
	if (r < 0)
		return r;
	stay_inactive(&a);
	super = a.open.handle.region.super;
	if (!handle_has_guard(&a.open.handle))
		r = mask_write(super.uuid, device_number(a.path), true, error);
	memset(super.identity, 0, sizeof(super.identity));
	snprintf(super.identity, sizeof(super.identity), "%s", a.identity);
	super.seq = a.open.handle.table.generation + 1;
	if (a.lacks_mark)
		super.flags |= REMAP_SUPER_MARKED;
	if (!r)
		r = region_write_super(&a.open.handle.region, &super, error);
	if (!r && !invocation->quiet)
		printf("%s: %s is its main device now; the old one is ignored from now on\n",
		       a.open.set->name, a.path);
	return r;
}

/* After a raw copy of the spare: main learns that this is the hardware from now on. */
int verb_replace_spare(struct invocation *invocation, struct error *error)
{
	_cleanup_(replacement_p) struct replacement a = { .role = MEMBER_SPARE,
							  .path = invocation->argv[1],
							  .open = OPEN_SET_NONE };
	int r = look_answers(a.path, error);

	if (!r)
		r = replacement_look(invocation, &a, error);
	if (r < 0)
		return r;
	r = record_check(&a.open.handle, error);
	if (r == -ENODATA)
		return error_set(error, ENODATA, "%s has no guard, so it does not record its spare",
				 a.open.handle.main_path);
	if (!r)
		r = replacement_confirm(invocation, &a, NULL, error);
	if (r < 0)
		return r;
	stay_inactive(&a);
	r = record_spare(&a.open.handle, a.identity, error);
	if (!r && !invocation->quiet)
		printf("%s: %s is its spare device now; the old one is ignored from now on\n",
		       a.open.set->name, a.path);
	return r;
}

static void print_resizing(const struct resizing *a, const char *name)
{
	const struct set_handle *set = a->handle;

	printf("set      \"%s\", %u of %u slots in use\n"
	       "from     %s: its used slots are copied%s\n"
	       "to       %s%s%s: %u slots; its present content is overwritten\n",
	       name, a->nr_used, set->table.nr_slots, set->spare_path,
	       set->spare_read_only ? "; it is write-protected, and stays as it is" :
				      ", then it is wiped",
	       a->path, *a->identity ? ", " : "", a->identity, a->nr_slots);
	if (a->nr_unreadable)
		printf("lost     %u sector%s of %s can no longer be read: errors until written\n",
		       a->nr_unreadable, plural(a->nr_unreadable), set->spare_path);
}

static void print_resized(const struct invocation *invocation, const struct resizing *a,
			  const char *name, const char *old_path)
{
	if (*a->not_wiped.text)
		fprintf(stderr,
			"dmremap: %s, the old spare, could not be wiped: %s. It is outdated, and "
			"not used any more; detach it\n",
			old_path, a->not_wiped.text);
	if (*a->no_backup.text)
		fprintf(stderr, "dmremap: cannot write a backup of the new spare: %s\n",
			a->no_backup.text);
	if (!invocation->quiet)
		printf("%s: %s is its spare device now; run dmremap activate %s\n", name,
		       FOREIGN(a->path), name);
}

/**
 * struct move - a set that is to move, or has moved, to another spare
 * @name: of the set
 * @uuid: as text
 * @main_path: of its main device
 * @old_path: of the only other spare of it that is present; empty: none
 * @has_moved: the new one is a spare of the set already
 * @was_completed: since a moment ago, so that it was a resize that made it one
 * @is_settled: and there is no doubt
 * @is_current: the new one is the spare that counts; another one may be its copy, or outdated
 * @silent: which disk does not answer and may be the spare that is missing; empty: none
 */
struct move {
	char name[128];
	char uuid[UUID_STRING_BYTES];
	char main_path[256];
	char old_path[256];
	bool has_moved;
	bool was_completed;
	bool is_settled;
	bool is_current;
	struct error silent;
};

static int look_at_spares(const struct inventory *inventory, const struct assembly *set,
			  dev_t new_spare, struct move *move, struct error *error)
{
	for (size_t i = 0; i < inventory->nr_members; i++) {
		const struct member *member = &inventory->members[i];

		if (member->role != MEMBER_SPARE || memcmp(member->uuid, set->uuid, 16) != 0)
			continue;
		if (member->devno == new_spare)
			move->has_moved = true;
		else if (*move->old_path)
			return error_set(
				error, EEXIST,
				"%s: %s and %s both claim to be its spare; detach the copy",
				set->name, move->old_path, member->path);
		else
			snprintf(move->old_path, sizeof(move->old_path), "%s", member->path);
	}
	return 0;
}

static int find_move(const char *what, dev_t new_spare, struct move *move, int *lock,
		     struct error *error)
{
	_cleanup_(set_close) struct open_set open = OPEN_SET_NONE;
	const struct assembly *set;
	int r = set_lock_inactive(what, &open, error);

	if (r < 0)
		return r;
	set = open.set;
	r = refuse_foreign(set, error);
	if (r < 0)
		return r;
	if (set->main < 0)
		return set_refuse_missing(&open, error);
	memset(move, 0, sizeof(*move));
	snprintf(move->name, sizeof(move->name), "%s", set->name);
	uuid_to_string(set->uuid, move->uuid);
	snprintf(move->main_path, sizeof(move->main_path), "%s",
		 open.inventory.members[set->main].path);
	move->is_settled = set->verdict == ASSEMBLY_READY;
	move->is_current = set->spare >= 0 && open.inventory.members[set->spare].devno == new_spare;
	r = look_at_spares(&open.inventory, set, new_spare, move, error);
	if (r < 0)
		return r;
	if (set->spare == -1)
		inventory_check_silent(&open.inventory, set->uuid, MEMBER_SPARE,
				       open.inventory.members[set->main].recorded, false,
				       &move->silent);
	/* the caller's from now on */
	*lock = open.lock;
	open.lock = -1;
	return 0;
}

/*
 * The new one counts, and the old one is not taken any more: what was left to be done.  Without
 * the old one nothing tells whether it was a resize that made it the spare.
 */
static int finish_move(const struct move *move, struct resizing *a,
		       const struct invocation *invocation, int *lock, struct error *error)
{
	_cleanup_(handle_close) struct set_handle now = SET_HANDLE_NONE;
	_cleanup_(handle_close) struct set_handle old = SET_HANDLE_NONE;
	int r;

	if (!*move->old_path && !move->was_completed && move->is_settled)
		return error_set(error, EINVAL,
				 "%s is the set's spare already; name another device", a->path);
	if (!*move->old_path && !move->was_completed)
		return error_set(error, EPERM,
				 "%s: %s has the set, but the main device records other hardware; "
				 "run dmremap replace-spare %s %s",
				 move->name, a->path, move->name, a->path);
	if (*move->old_path) {
		r = handle_open_from(move->main_path, move->old_path, &old, error);
		a->old_read_only = old.spare_read_only;
		if (r == 0 && move->is_current)
			return error_set(error, EINVAL,
					 "%s is the set's spare already, and %s is a copy of it; "
					 "name another device",
					 a->path, move->old_path);
		if (r == 0)
			return error_set(error, EEXIST,
					 "%s: %s is its spare, and %s is a copy of it; wipe the "
					 "copy first",
					 move->name, move->old_path, a->path);
		if (r != -ESTALE)
			return r;
		close_p(&old.main_fd);
		old.main_fd = -1;
	}
	r = handle_open(move->main_path, a->path, O_RDWR, &now, error);
	if (!r && *move->old_path) {
		/* not while the question is open: the members are held, see replacement_confirm() */
		close_p(lock);
		*lock = -1;
		if (!invocation->quiet || !invocation->yes)
			printf("%s: %s is its spare. %s is outdated, and %s.\n", move->name,
			       a->path, move->old_path,
			       a->old_read_only ? "write-protected: it stays as it is" :
						  "will be wiped");
		r = confirm(invocation, "Continue?", error);
		if (!r)
			r = inventory_lock_members(now.region.super.uuid,
						   device_number(move->main_path),
						   device_number(a->path), lock, error);
	}
	return r ? r : resize_finish(a, &now, *move->old_path ? &old.region : NULL, error);
}

/* The new one lacks its superblocks, and the old one is not taken any more. */
static int complete_move(struct move *move, struct resizing *a, struct error *error)
{
	struct remap_super super;
	uint8_t uuid[16];
	int r, main_fd;

	uuid_from_string(move->uuid, uuid);
	main_fd = open_exclusive(move->main_path, error);
	a->fd = main_fd < 0 ? main_fd : open_exclusive(a->path, error);
	if (a->fd >= 0 && resize_is_half_done(main_fd, a->fd, uuid, &super)) {
		r = resize_complete(a, &super, error);
		move->was_completed = !r;
		move->has_moved = !r;
	} else {
		r = a->fd < 0 ? a->fd : 0;
	}
	close_p(&main_fd);
	close_p(&a->fd);
	a->fd = -1;
	return r;
}

static int begin_move(const struct move *move, struct resizing *a,
		      const struct invocation *invocation, struct error *error)
{
	struct progress_line line;
	int r;

	if (!*move->old_path)
		return error_set(error, EAGAIN, "%s: %.400s", move->name,
				 *move->silent.text ? move->silent.text :
						      "its spare device is missing");
	r = handle_open_from(move->main_path, move->old_path, a->handle, error);
	a->old_read_only = a->handle->spare_read_only;
	if (r < 0)
		return r;
	a->fd = open_exclusive(a->path, error);
	if (a->fd < 0)
		return a->fd;
	progress_begin(&line, invocation, "reading the old spare", 0);
	a->handle->progress = &line.progress;
	r = resize_look(a, error);
	a->handle->progress = NULL;
	progress_end(&line);
	if (r < 0)
		return r;
	if (a->nr_unreadable && !option_value(invocation, "accept-loss"))
		return error_set(error, EIO,
				 "%u sector%s of %s cannot be read; use --accept-loss to make "
				 "such sectors lost",
				 a->nr_unreadable, plural(a->nr_unreadable), move->old_path);
	return 0;
}

static int carry_out(struct resizing *a, const struct invocation *invocation, struct error *error)
{
	struct progress_line line;
	int r;

	progress_begin(&line, invocation, "copying to the new spare", 0);
	a->handle->progress = &line.progress;
	r = resize_carry_out(a, error);
	a->handle->progress = NULL;
	progress_end(&line);
	return r;
}

static void resizing_p(struct resizing *resizing)
{
	close_p(&resizing->fd);
	close_p(&resizing->lock);
	resize_done(resizing);
}

int verb_resize(struct invocation *invocation, struct error *error)
{
	const char *size = option_value(invocation, "spare-size");
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;
	_cleanup_(resizing_p) struct resizing a = {
		.handle = &handle,
		.path = invocation->argv[1],
		.fd = -1,
		.lock = -1,
		.wipe_spare = option_value(invocation, "wipe-spare"),
	};
	_cleanup_close_ int lock = -1;
	dev_t new_spare = device_number(a.path);
	struct move move;
	int r;

	if (size && (parse_size(size, &a.region_bytes) < 0 || !a.region_bytes))
		return error_set(error, EINVAL, "\"%s\": invalid size", size);
	if (!new_spare)
		return error_set(error, ENODEV, "%s: not a block device", a.path);
	r = look_answers(a.path, error);
	if (!r)
		r = find_move(invocation->argv[0], new_spare, &move, &lock, error);
	if (!r && device_number(move.main_path) == new_spare)
		return error_set(error, EINVAL, "%s is the set's main device; name another device",
				 a.path);
	if (!r && !move.has_moved)
		r = complete_move(&move, &a, error);
	if (r < 0)
		return r;
	if (move.has_moved) {
		r = finish_move(&move, &a, invocation, &lock, error);
	} else {
		r = begin_move(&move, &a, invocation, error);
		/* It cannot be activated now; and copying may take long. */
		close_p(&lock);
		lock = -1;
		if (r < 0)
			return r;
		if (!invocation->quiet || !invocation->yes)
			print_resizing(&a, move.name);
		r = confirm(invocation, "Copy it?", error);
		if (!r)
			r = carry_out(&a, invocation, error);
	}
	if (r < 0)
		return r;
	/* It was deactivated, and stays so with its new spare. */
	r = deactivated_note_members(move.uuid, device_number(move.main_path), new_spare);
	tell_not_noted(move.name, r);
	print_resized(invocation, &a, move.name, move.old_path);
	return 0;
}
