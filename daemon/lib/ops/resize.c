// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a crash leaves between the steps of resize_carry_out():
 *
 *   while copying	a note in place of the new spare's first superblock: the old one counts,
 *			all of it is done again
 *   after the mark	main's mark has the number that only the new one has: the old one is
 *			refused as older (O6), by the kernel as well, and the new one has no
 *			superblock yet.  But it is whole, and its note holds the superblock: the
 *			same command writes it, the old one is not needed
 *   after a superblock	the new one counts, alone: the kernel completes the other replica
 *   before the header	main's header, if there is a guard, names the old one's hardware, which is
 *			refused; the same command goes on
 *   while wiping	the old one is refused, or, without its superblocks, is no spare at all
 *
 * One that is write-protected stays as "while wiping"; where both are present, and no header names
 * the hardware of one, main's mark decides (inventory.c).
 *
 * So at no moment do both count, and the old one does not come to count again.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "format/backup.h"
#include "ops/create.h"
#include "ops/record.h"
#include "ops/resize.h"
#include "set/inventory.h"
#include "set/scan.h"
#include "system/identity.h"

/*
 * Above all numbers that a commit may have burnt, also on copies that cannot be read (C2); and
 * two tries have different ones, or the rest of the first would pass for that of the second.
 */
#define LEAP (1ULL << 20)

void resize_done(struct resizing *a)
{
	free(a->slot);
	free(a->entry);
	a->slot = NULL;
	a->entry = NULL;
}

/* It must be blank, agreed upon, or what an earlier resize of this set has left. */
static int check_device(struct resizing *a, struct error *error)
{
	const struct set_handle *set = a->handle;
	struct member member;
	char content[160];
	bool half_made = region_has_note(a->fd, 0, set->region.super.uuid, NULL);
	int r = spare_check(set->main_path, set->main_fd, a->path, a->fd, error);

	if (r < 0)
		return r;
	if (member_probe(a->path, &member, NULL) == 0)
		return error_set(error, EEXIST, "%s is the %s device of a set", a->path,
				 member_role_name(member.role));
	r = device_content(a->path, a->fd, a->device_sectors, half_made, NULL, content,
			   sizeof(content), error);
	if (r < 0)
		return r;
	if (*content && !a->wipe_spare)
		return error_set(error, EPERM, "%s holds %s; use --wipe-spare to overwrite it",
				 a->path, content);
	return 0;
}

/* What would fail only when there is no way back. */
static int check_set(const struct resizing *a, struct error *error)
{
	const struct remap_super *super = &a->handle->region.super;
	int r;

	if (super->compat || super->ro_compat)
		return error_set(error, ENOTSUP,
				 "%s has features of a newer dm-remap; upgrade dm-remap to copy it",
				 a->handle->spare_path);
	if (!(super->flags & REMAP_SUPER_MARKED))
		return error_set(
			error, EAGAIN,
			"the set was never active, so the main device does not record it yet; "
			"activate it once");
	r = record_check(a->handle, error);
	return r == -ENODATA ? 0 : r;
}

static int check_room(struct resizing *a, struct error *error)
{
	int r = spare_region(a->path, a->device_sectors, a->region_bytes, &a->region_sectors,
			     &a->nr_slots, error);

	if (!r && a->nr_used >= a->nr_slots)
		r = error_set(error, ENOSPC,
			      "%s is too small: it has room for %u slots, and %u are in use",
			      a->path, a->nr_slots, a->nr_used);
	return r;
}

static void take(struct resizing *a, uint32_t slot)
{
	a->slot[a->nr_used] = slot;
	a->entry[a->nr_used++] = a->handle->table.entry[slot];
}

/* The probe chunk's slot is the first, as always. */
static int collect(struct resizing *a, struct error *error)
{
	const struct region_table *table = &a->handle->table;
	uint64_t probe_chunk = a->handle->region.super.probe_chunk;

	a->slot = calloc(table->nr_slots + 1, sizeof(*a->slot));
	a->entry = calloc(table->nr_slots + 1, sizeof(*a->entry));
	if (!a->slot || !a->entry)
		return no_memory(error);
	for (unsigned int others = 0; others < 2; others++)
		for (uint32_t slot = 0; slot < table->nr_slots; slot++)
			if (table->entry[slot].state == REMAP_ENTRY_USED &&
			    (table->entry[slot].main_chunk == probe_chunk) == (others == 0))
				take(a, slot);
	return 0;
}

/* The content of new slot @i; a bit for each sector that it serves and that cannot be read. */
static uint8_t read_slot(const struct resizing *a, uint32_t i, uint8_t *chunk)
{
	return handle_read_slot(a->handle, a->slot[i], chunk);
}

/* Everything is read once before anything is written: what is lost is known then. */
static int read_all(struct resizing *a, struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);

	if (!chunk)
		return no_memory(error);
	progress_expect(a->handle->progress, a->nr_used);
	for (uint32_t i = 0; i < a->nr_used; i++) {
		uint8_t unreadable = read_slot(a, i, chunk);

		progress_step(a->handle->progress);

		a->entry[i].lost |= unreadable;
		a->nr_unreadable += (uint32_t)__builtin_popcount(unreadable);
	}
	return 0;
}

/* One that is above all of the old spare, counters and mark included. */
static int choose_number(struct resizing *a, struct error *error)
{
	const struct remap_super *super = &a->handle->region.super;
	uint64_t newest = a->handle->table.newest;
	struct remap_mark mark;
	uint32_t random = 0;
	int r;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return error_set(error, EIO, "cannot get random numbers");
	r = mark_read(a->handle->main_fd, super->probe_chunk, super->uuid, &mark);
	if (r < 0)
		return error_set(error, -r, "%s: its mark cannot be read", a->handle->main_path);
	a->number = (newest > mark.seq ? newest : mark.seq) + LEAP + random % LEAP;
	return 0;
}

int resize_look(struct resizing *a, struct error *error)
{
	uint64_t nr_bytes;
	int r = device_bytes(a->fd, &nr_bytes);

	if (r < 0)
		return error_set(error, -r, "%s: cannot read its size", a->path);
	a->device_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	identity_of_device(device_number(a->path), a->identity);
	r = check_set(a, error);
	if (!r)
		r = collect(a, error);
	if (!r)
		r = check_room(a, error);
	if (!r)
		r = check_device(a, error);
	if (!r)
		r = choose_number(a, error);
	return r ? r : read_all(a, error);
}

bool resize_is_half_done(int main_fd, int fd, const uint8_t uuid[REMAP_UUID_BYTES],
			 struct remap_super *super)
{
	struct remap_mark mark;

	return region_has_note(fd, 0, uuid, super) &&
	       mark_read(main_fd, super->probe_chunk, uuid, &mark) == 0 && mark.seq == super->seq;
}

int resize_complete(struct resizing *a, const struct remap_super *super, struct error *error)
{
	struct region region = { .fd = a->fd,
				 .nr_sectors = super->geometry.region_sectors,
				 .super = *super };
	struct region_table table;
	int r = region_read_table(&region, &table, NULL, NULL, error);

	if (r < 0)
		return r;
	if (table.nr_unloadable || table.nr_contradictions || table.nr_damaged)
		r = error_set(error, EIO, "data read back from %s differs from what was written",
			      a->path);
	region_table_done(&table);
	return r ? r : region_complete(a->fd, 0, super, error);
}

/* What could be read before, and cannot be read now, is not lost for that. */
static int copy_slot(void *userdata, uint32_t i, uint8_t *chunk)
{
	struct resizing *a = userdata;

	progress_step(a->handle->progress);
	a->old_fails |= (read_slot(a, i, chunk) & ~a->entry[i].lost) != 0;
	return a->old_fails ? -EIO : 0;
}

/* Before it counts the new one is read again, past every cache of ours. */
static int verify(struct resizing *a, const struct region_plan *plan, struct error *error)
{
	struct region region = { .fd = a->fd,
				 .nr_sectors = a->region_sectors,
				 .super = plan->super };
	_cleanup_free_ uint8_t *old = aligned_bytes(REMAP_CHUNK_BYTES);
	_cleanup_free_ uint8_t *copy = aligned_bytes(REMAP_CHUNK_BYTES);
	struct region_table table;
	int r = old && copy ? region_read_table(&region, &table, NULL, NULL, error) :
			      no_memory(error);

	if (r < 0)
		return r;
	if (table.nr_unloadable || table.nr_contradictions || table.nr_damaged)
		r = -EIO;
	for (uint32_t i = 0; !r && i < a->nr_used; i++) {
		const struct remap_entry *x = &a->entry[i], *y = &table.entry[i];

		if (copy_slot(a, i, old) < 0 ||
		    read_all_at(a->fd, copy, REMAP_CHUNK_BYTES,
				(off_t)(remap_slot_sector(&region.super.geometry, i) *
					REMAP_SECTOR_BYTES)) < 0 ||
		    x->main_chunk != y->main_chunk || x->redirected != y->redirected ||
		    x->lost != y->lost || x->state != y->state || x->generation != y->generation)
			r = -EIO;
		for (unsigned int s = 0; !r && s < REMAP_CHUNK_SECTORS; s++)
			if (!(x->lost >> s & 1) &&
			    memcmp(old + s * REMAP_SECTOR_BYTES, copy + s * REMAP_SECTOR_BYTES,
				   REMAP_SECTOR_BYTES))
				r = -EIO;
	}
	region_table_done(&table);
	return r < 0 ? error_set(error, -r, "data read back from %s differs from what was written",
				 a->path) :
		       0;
}

/* All but the superblocks: it does not count yet. */
static int copy_all(struct resizing *a, struct region_plan *plan, struct error *error)
{
	int r = region_wipe_device_end(a->fd, a->region_sectors, a->device_sectors, error);

	if (!r)
		r = region_prepare(a->fd, 0, a->region_sectors, plan, error);
	if (!r)
		r = verify(a, plan, error);
	return r < 0 && a->old_fails ?
		       error_set(error, EIO, "%s: fewer sectors can be read than before",
				 a->handle->spare_path) :
		       r;
}

/* From here on the old spare is older than main says (O6). */
static int write_mark(struct resizing *a, struct error *error)
{
	const struct set_handle *set = a->handle;
	const struct remap_super *super = &set->region.super;
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);
	off_t at = (off_t)(super->probe_chunk * REMAP_CHUNK_BYTES);
	struct remap_mark mark = { .seq = a->number }, found;
	uint64_t now;
	bool written;

	if (!chunk)
		return no_memory(error);
	if (read_all_at(set->main_fd, chunk, REMAP_CHUNK_BYTES, at) == 0)
		for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++) {
			if (remap_probe_check_sector(chunk + i * REMAP_SECTOR_BYTES, i, super->uuid,
						     &found) == REMAP_OK &&
			    found.nr_probe > mark.nr_probe)
				mark.nr_probe = found.nr_probe;
		}
	mark.nr_probe++;
	remap_probe_encode(chunk, super->uuid, &mark);
	written = write_all_at(set->main_fd, chunk, REMAP_CHUNK_BYTES, at) == 0 &&
		  fsync(set->main_fd) == 0;
	now = mark_read(set->main_fd, super->probe_chunk, super->uuid, &found) == 0 ? found.seq : 0;
	a->half_done = now >= a->number || !now; /* not known counts as done */
	return written && now == a->number ?
		       0 :
		       error_set(error, EIO, "%s: cannot write the mark of the new spare",
				 set->main_path);
}

/* One for the old layout could not be put back onto this spare. */
static void write_backup(struct resizing *a, struct set_handle *now)
{
	_cleanup_backup_ struct backup backup = { 0 };
	char path[256];
	int r = backup_make(&now->region, now->main_fd, a->identity, &backup, &a->no_backup);

	if (!r)
		r = backup_default_path(now->region.super.uuid, path, sizeof(path), &a->no_backup);
	if (!r)
		r = backup_write(&backup, path, &a->no_backup);
	if (!r)
		*a->no_backup.text = '\0';
}

int resize_finish(struct resizing *a, struct set_handle *now, const struct region *old,
		  struct error *error)
{
	struct error why;
	int r;

	identity_of_device(device_number(a->path), a->identity);
	r = record_spare(now, a->identity, &why);
	if (r < 0 && r != -ENODATA)
		return error_set(error, -r,
				 "%s is the spare now, but %.350s; detach the old one, and run "
				 "dmremap replace-spare to record the new one",
				 a->path, why.text);
	write_backup(a, now);
	if (old && a->old_read_only)
		error_set(&a->not_wiped, EROFS, "it is write-protected");
	else if (!old || region_discard(old, &a->not_wiped) == 0)
		*a->not_wiped.text = '\0';
	return 0;
}

int resize_carry_out(struct resizing *a, struct error *error)
{
	struct remap_soft_disk *soft = (void *)aligned_bytes(REMAP_BLOCK_BYTES);
	struct region_plan plan = {
		.super = a->handle->region.super,
		.entry = a->entry,
		.nr_entries = a->nr_used,
		.read = copy_slot,
		.userdata = a,
		.nr_data = a->nr_used,
		.note = true,
	};
	struct set_handle now = *a->handle;
	struct error why;
	int r = soft ? 0 : no_memory(&why);

	if (!r && region_read_soft(&a->handle->region, soft) == 0)
		plan.soft = soft;
	plan.super.seq = a->number;
	/* once to copy it, and once to compare */
	progress_expect(a->handle->progress, 2 * (uint64_t)a->nr_used);
	if (!r)
		r = copy_all(a, &plan, &why);
	free(soft);
	/* who has looked at the old one under the lock must be through with it */
	if (!r)
		r = inventory_lock_members(plan.super.uuid, device_number(a->handle->main_path),
					   device_number(a->path), &a->lock, &why);
	if (!r)
		r = write_mark(a, &why);
	if (!r)
		r = region_complete(a->fd, 0, &plan.super, &why);
	if (!r)
		r = region_open(a->fd, 0, a->device_sectors, &now.region, &why);
	if (r < 0)
		return error_set(error, -r, "%s: %.350s; %s", a->path, why.text,
				 a->half_done ? "repeat the command; until then neither spare may "
						"be usable" :
						"the set still uses the old spare");
	return resize_finish(a, &now, &a->handle->region, error);
}
