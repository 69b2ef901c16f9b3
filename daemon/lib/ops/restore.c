// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a crash leaves between the steps of restore_carry_out():
 *
 *   onto the same spare	slots, then blocks one by one, then the superblock: some are
 *				repaired, the others damaged as before; done again it continues
 *   onto another device	a note in place of the first superblock: all of it is done again
 *   before main knows it	the set whole, on other hardware than main recorded: it says so, and
 *				replace-spare records it
 *
 * On the same spare a backup that is current keeps its number, so that what is half-done is
 * not newer than it.
 */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "ops/create.h"
#include "ops/record.h"
#include "ops/restore.h"
#include "set/handle.h"
#include "set/scan.h"
#include "system/identity.h"

/* More commits than any spare makes in its life. */
#define LEAP (1ULL << 40)

void restore_done(struct restoring *a)
{
	region_table_done(&a->table);
	free(a->lost);
	a->lost = NULL;
}

/**
 * struct seen - what region_read_table() looks for
 * @nr_ours: copies of table and soft state blocks of this set
 * @newest: highest number of them
 * @committed: the same without soft state
 * @table_blocks: blocks with a higher number are soft state
 * @has_copy: per block: one of its copies counts, though perhaps a newer one is lost
 */
struct seen {
	uint32_t nr_ours;
	uint64_t newest;
	uint64_t committed;
	uint32_t table_blocks;
	bool *has_copy;
};

static int see(void *userdata, uint32_t block, unsigned int replica, unsigned int place,
	       enum remap_verdict verdict, uint64_t seq, bool chosen)
{
	struct seen *seen = userdata;

	(void)replica;
	(void)place;
	if (!block || verdict != REMAP_OK)
		return 0;
	seen->nr_ours++;
	if (seq > seen->newest)
		seen->newest = seq;
	if (seq > seen->committed && block <= seen->table_blocks)
		seen->committed = seq;
	seen->has_copy[block] |= chosen;
	return 0;
}

/* Where no superblock can be believed the backup's says where the blocks are. */
static int open_region(struct restoring *a, struct error *error)
{
	const struct remap_super *super = &a->backup->super;
	int r = region_open(a->spare_fd, 0, a->spare_sectors, &a->region, error);

	if (r == -ENOTSUP)
		return r;
	if (!r && memcmp(a->region.super.uuid, super->uuid, REMAP_UUID_BYTES))
		return error_set(error, EEXIST, "%s is the spare of another set", a->spare_path);
	if (!r && memcmp(&a->region.super.geometry, &super->geometry, sizeof(super->geometry)))
		return error_set(error, ENOTSUP,
				 "%s: the layout has changed since the backup was made",
				 a->spare_path);
	a->has_super = !r && !a->region.choice.newer_lost && !a->region.choice.newer_hidden;
	if (!r)
		return 0;
	if (super->geometry.region_sectors > a->spare_sectors)
		return error_set(error, ENOSPC,
				 "%s is too small: it has %" PRIu64 " sectors, but the spare "
				 "region had %" PRIu64,
				 a->spare_path, a->spare_sectors,
				 (uint64_t)super->geometry.region_sectors);
	memset(&a->region, 0, sizeof(a->region));
	a->region.fd = a->spare_fd;
	a->region.nr_sectors = super->geometry.region_sectors;
	a->region.super = *super;
	a->region.choice.best = -1;
	return 0;
}

/* One that was committed, as far as can be known. */
static void take_number(struct restoring *a, uint64_t seq)
{
	if (seq > a->newest)
		a->newest = seq;
	if (seq > a->committed)
		a->committed = seq;
}

/* The number that a damaged copy carries may be wrong, but it is a reason to ask. */
static void see_damaged(struct restoring *a, uint32_t block)
{
	_cleanup_free_ uint8_t *data = aligned_bytes(REMAP_BLOCK_BYTES);
	const struct remap_block_header *header = (const void *)data;

	for (unsigned int c = 0; data && c < REMAP_COPIES; c++) {
		uint64_t sector = remap_block_sector(&a->region.super.geometry, c / REMAP_PLACES,
						     c % REMAP_PLACES, block);

		if (read_all_at(a->spare_fd, data, REMAP_BLOCK_BYTES,
				(off_t)(sector * REMAP_SECTOR_BYTES)) < 0 ||
		    memcmp(header->uuid, a->backup->super.uuid, REMAP_UUID_BYTES) ||
		    remap_block_seq(data) > REMAP_MAX_SEQ)
			continue;
		take_number(a, remap_block_seq(data));
	}
}

static int read_blocks(struct restoring *a, struct seen *seen, struct error *error)
{
	const struct remap_geometry *geometry = &a->region.super.geometry;
	int r;

	seen->has_copy =
		calloc(1 + geometry->table_blocks + geometry->soft_blocks, sizeof(*seen->has_copy));
	if (!seen->has_copy)
		return no_memory(error);
	seen->table_blocks = geometry->table_blocks;
	progress_expect(a->progress, region_table_steps(&a->region.super.geometry));
	a->region.progress = a->progress;
	r = region_read_table(&a->region, &a->table, see, seen, error);
	a->region.progress = NULL;
	for (uint32_t b = 1; !r && b <= geometry->table_blocks; b++) {
		a->nr_damaged += a->table.unloadable[b];
		a->has_outdated |= a->table.unloadable[b] && seen->has_copy[b];
	}
	free(seen->has_copy);
	return r;
}

/*
 * Whole, with the number of a restore of this very backup, and main names other hardware: the
 * restore was cut short between the two.
 */
static bool is_to_be_recorded(const struct restoring *a)
{
	struct set_handle members = { .main_fd = a->main_fd,
				      .spare_fd = a->spare_fd,
				      .region = a->region };
	char identity[REMAP_IDENTITY_BYTES];
	struct remap_mark mark;

	if (!a->has_super || a->nr_damaged || a->table.nr_contradictions || a->main_fd < 0 ||
	    a->newest < a->backup->generation + LEAP)
		return false;
	if (mark_read(a->main_fd, a->region.super.probe_chunk, a->backup->super.uuid, &mark) == 0 &&
	    mark.seq > a->committed)
		return false;
	identity_of_device(device_number(a->spare_path), identity);
	return record_is_other(&members, identity);
}

static bool is_used(const struct restoring *a, uint32_t slot)
{
	for (uint32_t i = 0; i < a->backup->nr_entries; i++)
		if (a->backup->entry[i].slot == slot &&
		    a->backup->entry[i].entry.state == REMAP_ENTRY_USED)
			return true;
	return slot < a->table.nr_slots && a->table.entry[slot].state == REMAP_ENTRY_USED;
}

/* A chunk of main may hold what some program looks for where its slot happens to lie. */
static bool is_own_slot(const void *userdata, uint64_t offset, uint64_t nr_bytes)
{
	const struct restoring *a = userdata;
	const struct remap_geometry *geometry = &a->region.super.geometry;
	uint64_t first = geometry->slots_sector * REMAP_SECTOR_BYTES;

	if (offset < first || !nr_bytes)
		return false;
	for (uint64_t i = (offset - first) / REMAP_CHUNK_BYTES;
	     i <= (offset - first + nr_bytes - 1) / REMAP_CHUNK_BYTES; i++)
		if (i >= geometry->slots || !is_used(a, (uint32_t)i))
			return false;
	return true;
}

static int read_spare(struct restoring *a, struct error *error)
{
	struct seen seen = { 0 };
	int r = open_region(a, error);

	if (!r)
		r = read_blocks(a, &seen, error);
	if (r < 0)
		return r;
	if (region_has_note(a->spare_fd, 0, a->backup->super.uuid, NULL)) {
		a->half_restored = true;
		return 0;
	}
	a->same_spare = a->region.choice.best >= 0 || seen.nr_ours;
	if (!a->same_spare)
		return 0;
	a->newest = seen.newest;
	a->committed = seen.committed;
	if (a->region.choice.best >= 0)
		take_number(a, a->table.generation);
	for (uint32_t b = a->has_super; b <= a->region.super.geometry.table_blocks; b++)
		if (!b || a->table.unloadable[b])
			see_damaged(a, b);
	a->only_record = is_to_be_recorded(a);
	if (a->only_record)
		return 0;
	/* mkfs leaves most of the metadata as it is, and writes where it likes */
	a->reused = device_has_name(a->spare_path, a->spare_fd, a->spare_sectors, is_own_slot, a);
	a->same_spare = !a->reused;
	if (a->reused)
		return 0;
	if (a->has_super && !a->nr_damaged && !a->table.nr_contradictions)
		return error_set(error, EEXIST,
				 "%s: its metadata is intact, with sequence number %" PRIu64 " "
				 "(the backup has %" PRIu64 "): there is nothing to restore",
				 a->spare_path, a->newest, a->backup->generation);
	if (a->table.nr_contradictions)
		return error_set(error, EUCLEAN,
				 "%s: intact blocks contradict each other, which a backup cannot "
				 "resolve",
				 a->spare_path);
	return 0;
}

/* Another device must be blank, and of no other set; the set's own has what is to be given up. */
static int check_other_device(struct restoring *a, struct error *error)
{
	struct remap_geometry geometry;
	struct member member;
	char content[160];
	int r;

	if (member_probe(a->spare_path, &member, NULL) == 0 &&
	    (!a->reused || memcmp(member.uuid, a->backup->super.uuid, sizeof(member.uuid)) != 0))
		return error_set(error, EEXIST, "%s is the %s device of a set", a->spare_path,
				 member_role_name(member.role));
	r = device_content(a->spare_path, a->spare_fd, a->spare_sectors, a->half_restored, NULL,
			   content, sizeof(content), error);
	if (r < 0)
		return r;
	if (*content && !a->wipe_spare)
		return error_set(error, EPERM, "%s holds %s; use --wipe-spare to overwrite it",
				 a->spare_path, content);
	if (remap_geometry_compute(a->backup->super.geometry.region_sectors, &geometry) < 0 ||
	    memcmp(&geometry, &a->backup->super.geometry, sizeof(geometry)))
		return error_set(error, ENOTSUP,
				 "the spare was resized, and its layout cannot be recreated");
	return 0;
}

/* A released main is a plain disk in use: no map may be laid over it again. */
static int check_main(struct restoring *a, struct error *error)
{
	const struct backup *backup = a->backup;
	bool guarded = false, marked = a->region.super.flags & REMAP_SUPER_MARKED;
	uint8_t uuid[REMAP_UUID_BYTES];
	_cleanup_free_ uint8_t *chunk = aligned_bytes(REMAP_CHUNK_BYTES);

	if (!chunk)
		return no_memory(error);
	for (uint32_t i = 0; i < backup->nr_entries; i++)
		guarded |= backup->entry[i].entry.cause == REMAP_CAUSE_GUARD;
	if (guarded && read_all_at(a->main_fd, chunk, REMAP_CHUNK_BYTES, 0) < 0)
		return 0; /* its mark may tell */
	if (guarded ? remap_guard_check(chunk, uuid, 0) != REMAP_BAD_MAGIC &&
			      !memcmp(uuid, backup->super.uuid, sizeof(uuid)) :
		      a->marked || !marked)
		return 0;
	return error_set(error, ENODEV,
			 "%s is not, or no longer, the main device of the backup's set; the set "
			 "may have been released",
			 a->main_path);
}

static int check_age(struct restoring *a, struct error *error)
{
	const struct backup *backup = a->backup;
	int r = a->main_fd < 0 ? -ENODEV :
				 mark_read(a->main_fd, a->region.super.probe_chunk,
					   backup->super.uuid, &a->mark);

	a->marked = r == 0;
	if (!r)
		take_number(a, a->mark.seq);
	/* a set that was never active has no mark: main has nothing to tell */
	a->current = a->committed <= backup->generation &&
		     (r == 0 || (r == -ENODATA && !(a->region.super.flags & REMAP_SUPER_MARKED)));
	if (a->main_fd >= 0) {
		r = check_main(a, error);
		if (r < 0)
			return r;
	}
	if (a->same_spare && !a->current && a->has_outdated)
		return error_set(
			error, ESTALE,
			"%s: the newest copies of a block are damaged, and an older one is "
			"intact; either that one or the backup may lack remaps. To access what is "
			"there, run dmremap activate --read-only",
			a->spare_path);
	if (a->current || a->older)
		return 0;
	if (a->committed > backup->generation)
		return error_set(error, ESTALE,
				 "the backup has sequence number %" PRIu64 ", and the set has "
				 "reached %" PRIu64 ": sectors remapped in between would return "
				 "old data from the main device. Use --older to restore it anyway",
				 backup->generation, a->committed);
	return error_set(
		error, EAGAIN,
		"without the set's main device it is not known whether the backup is older than "
		"the last remap; attach it, name it with --main, or use --older");
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Chunks that blocks which are whole claim, sorted; the caller frees. */
static int find_claimed(const struct restoring *a, uint64_t **chunks, size_t *nr_chunks)
{
	size_t nr = 0;

	*chunks = malloc((a->table.nr_slots + 1) * sizeof(**chunks));
	if (!*chunks)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (a->table.entry[slot].state == REMAP_ENTRY_USED &&
		    !a->table.unloadable[remap_table_block_of(slot)])
			(*chunks)[nr++] = a->table.entry[slot].main_chunk;
	qsort(*chunks, nr, sizeof(**chunks), by_number);
	*nr_chunks = nr;
	return 0;
}

static void lose(struct restoring *a, struct remap_entry *entry)
{
	entry->lost = entry->redirected;
	a->lost[a->nr_lost++] = *entry;
}

static int decide(struct restoring *a, struct error *error)
{
	const struct backup *backup = a->backup;
	_cleanup_free_ uint64_t *claimed = NULL;
	size_t nr_claimed = 0;

	a->lost = calloc(backup->nr_entries + 1, sizeof(*a->lost));
	if (!a->lost || find_claimed(a, &claimed, &nr_claimed) < 0)
		return no_memory(error);
	/* what an older copy of a block says counts for nothing */
	for (uint32_t slot = 0; slot < a->table.nr_slots; slot++)
		if (a->table.unloadable[remap_table_block_of(slot)])
			memset(&a->table.entry[slot], 0, sizeof(*a->table.entry));
	for (uint32_t i = 0; i < backup->nr_entries; i++) {
		const struct backup_entry *from = &backup->entry[i];
		struct remap_entry entry = from->entry;
		bool used = entry.state == REMAP_ENTRY_USED;

		if (a->same_spare && (!a->table.unloadable[remap_table_block_of(from->slot)] ||
				      (used && bsearch(&(uint64_t){ entry.main_chunk }, claimed,
						       nr_claimed, sizeof(*claimed), by_number))))
			continue; /* a block that is whole knows better */
		if (used && !(a->same_spare && a->current)) {
			if (from->content == BACKUP_NO_CONTENT)
				lose(a, &entry);
			else
				a->nr_hidden++;
		}
		if (a->same_spare)
			a->table.entry[from->slot] = entry;
	}
	return 0;
}

int restore_look(struct restoring *a, struct error *error)
{
	uint64_t nr_bytes;
	int r = device_bytes(a->spare_fd, &nr_bytes);

	if (r < 0)
		return error_set(error, -r, "%s: cannot read its size", a->spare_path);
	a->spare_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	r = read_spare(a, error);
	if (!r && a->only_record)
		return 0;
	if (!r && !a->same_spare)
		r = check_other_device(a, error);
	if (!r)
		r = check_age(a, error);
	return r ? r : decide(a, error);
}

/*
 * Another device gets a number far above: should the spare that it stands in for come back
 * with commits that were never acknowledged, it must be the older one, by main's mark.
 */
static uint64_t number(const struct restoring *a)
{
	/* not the mark's number: its digest is of the numbers that the blocks had then */
	if (a->same_spare && a->current)
		return a->backup->generation + (a->marked && a->mark.seq == a->backup->generation);
	if (!a->same_spare)
		return (a->newest > a->backup->generation ? a->newest : a->backup->generation) +
		       LEAP;
	return (a->newest > a->backup->generation ? a->newest : a->backup->generation) + 1;
}

static int write_contents(struct restoring *a, struct error *error)
{
	const struct backup *backup = a->backup;

	for (uint32_t i = 0; i < backup->nr_entries; i++) {
		const struct backup_entry *from = &backup->entry[i];
		const struct remap_entry *now = &a->table.entry[from->slot];
		uint64_t sector = remap_slot_sector(&a->region.super.geometry, from->slot);

		if (from->content == BACKUP_NO_CONTENT || now->state != REMAP_ENTRY_USED ||
		    now->main_chunk != from->entry.main_chunk ||
		    !a->table.unloadable[remap_table_block_of(from->slot)])
			continue;
		if (write_all_at(a->spare_fd,
				 backup->content + (size_t)from->content * REMAP_CHUNK_BYTES,
				 REMAP_CHUNK_BYTES, (off_t)(sector * REMAP_SECTOR_BYTES)) < 0)
			return error_set(error, EIO, "%s: slot %u cannot be written", a->spare_path,
					 from->slot);
	}
	return fsync(a->spare_fd) < 0 ?
		       error_set(error, errno, "%s: flushing failed", a->spare_path) :
		       0;
}

static int mend(struct restoring *a, struct error *error)
{
	_cleanup_free_ uint8_t *block = aligned_bytes(REMAP_BLOCK_BYTES);
	struct remap_super super = a->region.super;
	uint64_t seq = number(a);
	int r = block ? 0 : no_memory(error);

	if (!r && !a->current)
		r = write_contents(a, error);
	for (uint32_t b = 1; !r && b <= super.geometry.table_blocks; b++) {
		if (!a->table.unloadable[b])
			continue;
		memset(block, 0, REMAP_BLOCK_BYTES);
		region_encode_table(&super, b, seq, a->table.entry, a->table.nr_slots, block);
		r = region_replace_block(&a->region, b, block, error);
	}
	if (r < 0 || a->has_super)
		return r;
	super.seq = seq;
	if (a->marked)
		super.flags |= REMAP_SUPER_MARKED;
	remap_super_encode(&super, block);
	return region_replace_block(&a->region, 0, block, error);
}

static uint8_t *take_content(uint8_t *at, const struct backup *backup, uint32_t content)
{
	memcpy(at, backup->content + (size_t)content * REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	return at + REMAP_CHUNK_BYTES;
}

/* Slots get new numbers: the probe chunk's first, then hidden chunks, then what is lost. */
static int format(struct restoring *a, struct error *error)
{
	const struct backup *backup = a->backup;
	struct region_plan plan = { .super = backup->super };
	uint8_t *at;
	int r = 0;

	plan.super.seq = number(a);
	plan.super.created = 0;
	plan.super.flags &= REMAP_SUPER_MARKED;
	if (a->marked)
		plan.super.flags |= REMAP_SUPER_MARKED;
	plan.entry = calloc(backup->nr_entries + 1, sizeof(*plan.entry));
	plan.data = aligned_bytes((backup->nr_contents + 1) * (size_t)REMAP_CHUNK_BYTES);
	at = plan.data;
	if (!plan.entry || !plan.data)
		r = no_memory(error);
	for (unsigned int others = 0; !r && others < 2; others++)
		for (uint32_t i = 0; i < backup->nr_entries; i++) {
			const struct backup_entry *from = &backup->entry[i];
			bool is_probe = from->entry.main_chunk == backup->super.probe_chunk;

			if (from->content == BACKUP_NO_CONTENT || is_probe == (others == 1))
				continue;
			plan.entry[plan.nr_entries++] = from->entry;
			at = take_content(at, backup, from->content);
		}
	plan.nr_data = plan.nr_entries;
	plan.note = true;
	plan.progress = a->progress;
	progress_expect(a->progress, region_table_steps(&backup->super.geometry));
	for (uint32_t i = 0; !r && i < a->nr_lost; i++)
		plan.entry[plan.nr_entries++] = a->lost[i];
	if (!r)
		r = region_wipe_device_end(a->spare_fd, backup->super.geometry.region_sectors,
					   a->spare_sectors, error);
	if (!r)
		r = region_format(a->spare_fd, 0, backup->super.geometry.region_sectors, &plan,
				  error);
	free(plan.entry);
	free(plan.data);
	return r;
}

/* Main's header says which hardware the spare is: without that the new one would be a copy. */
static int record_new_spare(struct restoring *a, struct error *error)
{
	struct set_handle members = { .main_fd = a->main_fd, .spare_fd = a->spare_fd };
	char identity[REMAP_IDENTITY_BYTES];
	struct error why;
	int r;

	identity_of_device(device_number(a->spare_path), identity);
	snprintf(members.main_path, sizeof(members.main_path), "%s", a->main_path);
	r = region_open(a->spare_fd, 0, a->spare_sectors, &members.region, &why);
	if (!r)
		r = region_read_table(&members.region, &members.table, NULL, NULL, &why);
	if (!r) {
		r = record_spare(&members, identity, &why);
		r = r == -ENODATA ? 0 : r; /* a main without guard records none */
	}
	region_table_done(&members.table);
	return r == 0 ? 0 :
			error_set(error, -r,
				  "%s has the backup now, but %.300s; run dmremap replace-spare to "
				  "record it as the spare",
				  a->spare_path, why.text);
}

int restore_carry_out(struct restoring *a, struct error *error)
{
	struct error why;
	int r;

	if (a->only_record)
		return record_new_spare(a, error);
	r = a->same_spare ? mend(a, &why) : format(a, &why);

	if (!r && !a->same_spare && a->main_fd >= 0)
		return record_new_spare(a, error);
	return r < 0 ? error_set(error, -r, "%s: %.400s; repeat dmremap restore-backup",
				 a->spare_path, why.text) :
		       0;
}
