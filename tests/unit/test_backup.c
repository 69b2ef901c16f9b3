// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Backups of a spare: what comes back is what was there, or an error where that is not known;
 * never something older, and never over metadata that is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disks.h"
#include "ops/create.h"
#include "ops/release-without-spare.h"
#include "ops/release.h"
#include "ops/restore.h"
#include "set/handle.h"
#include "set/scan.h"

#define MAIN_SECTORS 4096
#define SPARE_SECTORS 3200 /* two table blocks */
#define REMAPPED_CHUNK 5
#define REMAPPED_SLOT 300 /* in the second table block */
#define LATE_CHUNK 9

static u8 *original, *model;
static u8 *saved[NR_DISKS];
static char file[] = "/tmp/unit-backup.XXXXXX";
static struct remap_geometry geometry;

static int create(const char *backup_path, struct error *error)
{
	struct create_request a = { .main_path = disks.path[MAIN],
				    .spare_path = disks.path[SPARE],
				    .label = "data",
				    .guard = true };
	int r;

	snprintf(a.backup_path, sizeof(a.backup_path), "%s", backup_path);
	r = create_prepare(&a, error);
	if (!r)
		r = create_set(&a, error);
	create_done(&a);
	return r;
}

static off_t copy_offset(unsigned int copy, uint32_t block)
{
	return (off_t)remap_block_sector(&geometry, copy / 2, copy % 2, block) * 512;
}

/* One more remap, as a commit does it: whole chunk @main_chunk in @slot, with new data. */
static void remap(uint64_t main_chunk, uint32_t slot)
{
	struct set_handle a = SET_HANDLE_NONE;
	struct error error;
	u8 *block = aligned_bytes(4096), *chunk = aligned_bytes(4096);

	assert_int_equal(handle_open(disks.path[MAIN], disks.path[SPARE], O_RDWR, &a, &error), 0);
	unit_random_bytes(chunk, 4096);
	assert_int_equal(write_all_at(a.spare_fd, chunk, 4096, handle_slot_offset(&a, slot)), 0);
	memcpy(model + main_chunk * 4096, chunk, 4096);
	a.table.entry[slot] = (struct remap_entry){ .main_chunk = main_chunk,
						    .redirected = 0xff,
						    .state = REMAP_ENTRY_USED,
						    .cause = REMAP_CAUSE_WRITE_ERROR,
						    .when = 1 };
	region_encode_table(&a.region.super, remap_table_block_of(slot), a.table.generation + 1,
			    a.table.entry, a.table.nr_slots, block);
	assert_int_equal(region_replace_block(&a.region, remap_table_block_of(slot), block, &error),
			 0);
	handle_close(&a);
	free(block);
	free(chunk);
}

/* What activation writes: the mark, and the superblock that says so. */
static void mark(void)
{
	struct set_handle a = SET_HANDLE_NONE;
	struct remap_super super;
	struct error error;
	u8 *chunk = aligned_bytes(4096);

	assert_int_equal(handle_open(disks.path[MAIN], disks.path[SPARE], O_RDWR, &a, &error), 0);
	super = a.region.super;
	remap_probe_encode(chunk, super.uuid,
			   &(struct remap_mark){ .seq = a.table.generation,
						 .nr_probe = 1,
						 .digest = a.table.age.digest });
	assert_int_equal(write_all_at(a.main_fd, chunk, 4096, (off_t)super.probe_chunk * 4096), 0);
	super.flags |= REMAP_SUPER_MARKED;
	super.seq = a.table.generation + 1;
	assert_int_equal(region_write_super(&a.region, &super, &error), 0);
	handle_close(&a);
	free(chunk);
}

static void back_up(struct error *error)
{
	struct backup backup = { 0 };
	struct region region;
	int fd = open_direct(disks.path[SPARE], O_RDONLY);
	int main_fd = open_direct(disks.path[MAIN], O_RDONLY);

	assert_int_equal(region_open(fd, 0, SPARE_SECTORS, &region, error), 0);
	assert_int_equal(backup_make(&region, main_fd, "serial:1", &backup, error), 0);
	assert_int_equal(backup_write(&backup, file, error), 0);
	backup_done(&backup);
	close(fd);
	close(main_fd);
}

static int setup(void **unused)
{
	struct error error = { "" };

	(void)unused;
	unit_seed("backup");
	strcpy(file, "/tmp/unit-backup.XXXXXX");
	close(mkstemp(file));
	disks_make(MAIN_SECTORS, SPARE_SECTORS);
	remap_geometry_compute(SPARE_SECTORS, &geometry);
	assert_true(geometry.table_blocks == 2 && geometry.slots > REMAPPED_SLOT + 1);
	model = malloc(disks.nr_bytes[MAIN]);
	for (u64 i = 0; i < disks.nr_bytes[MAIN]; i++)
		model[i] = (u8)(i / 512 + i % 7);
	memset(model, 0, 512);
	memcpy(model + disks.nr_bytes[MAIN] - 512, "EFI PART", 8);
	disks_put(MAIN, model);
	original = disks_get(MAIN);
	if (create(file, &error) < 0)
		fail_msg("%s", error.text);
	mark();
	remap(REMAPPED_CHUNK, REMAPPED_SLOT);
	back_up(&error);
	for (int d = 0; d < NR_DISKS; d++)
		saved[d] = disks_get(d);
	disks_reset();
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	disks_remove();
	unlink(file);
	free(model);
	free(original);
	for (int d = 0; d < NR_DISKS; d++)
		free(saved[d]);
	return 0;
}

/**
 * struct options - of one restore
 * @older, @wipe_spare: as they are said
 * @no_main: it is not here
 */
struct options {
	bool older;
	bool wipe_spare;
	bool no_main;
};

static int restore(struct options options, uint32_t *nr_lost, struct error *error)
{
	struct backup backup = { 0 };
	struct restoring a = { .backup = &backup,
			       .spare_path = disks.path[SPARE],
			       .spare_fd = open_direct(disks.path[SPARE], O_RDWR),
			       .main_path = disks.path[MAIN],
			       .main_fd =
				       options.no_main ? -1 : open_direct(disks.path[MAIN], O_RDWR),
			       .older = options.older,
			       .wipe_spare = options.wipe_spare };
	int r = backup_read(file, &backup, error);

	if (!r)
		r = restore_look(&a, error);
	if (nr_lost)
		*nr_lost = a.nr_lost;
	if (!r)
		r = restore_carry_out(&a, error);
	restore_done(&a);
	backup_done(&backup);
	close(a.spare_fd);
	if (a.main_fd >= 0)
		close(a.main_fd);
	return r;
}

/* The set counts and serves MODEL; but chunk @lost is an error, or @old is what it was once. */
static void assert_serves(uint64_t lost, uint64_t old)
{
	struct set_handle a = SET_HANDLE_NONE;
	struct segment *segments;
	struct error error = { "" };
	u8 *main = disks_get(MAIN), *spare = disks_get(SPARE);
	bool seen_lost = false;
	size_t nr;

	if (handle_open(disks.path[MAIN], disks.path[SPARE], O_RDONLY, &a, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(region_segments(&a.region, &a.table, &segments, &nr, &error), 0);
	for (size_t i = 0; i < nr; i++)
		for (u64 s = 0; s < segments[i].nr_sectors; s++) {
			u64 sector = segments[i].start + s;
			const u8 *wanted = (sector / 8 == old ? original : model) + sector * 512;

			if (segments[i].kind == SEGMENT_LOST) {
				assert_int_equal(sector / 8, lost);
				seen_lost = true;
				continue;
			}
			assert_int_not_equal(sector / 8, lost);
			if (memcmp(segments[i].kind == SEGMENT_MAIN ?
					   main + sector * 512 :
					   spare + (segments[i].spare_sector + s) * 512,
				   wanted, 512))
				fail_msg("sector %llu is not what it was",
					 (unsigned long long)sector);
		}
	assert_int_equal(seen_lost, lost != UINT64_MAX);
	free(segments);
	handle_close(&a);
	free(main);
	free(spare);
}

static void zero_copies(uint32_t block)
{
	u8 *spare = disks_get(SPARE);

	for (unsigned int c = 0; c < REMAP_COPIES; c++)
		memset(spare + copy_offset(c, block), 0, 4096);
	disks_put(SPARE, spare);
	free(spare);
}

static void zero_replica(unsigned int replica, uint32_t block)
{
	u8 *spare = disks_get(SPARE);

	for (unsigned int place = 0; place < REMAP_PLACES; place++)
		memset(spare + copy_offset(2 * replica + place, block), 0, 4096);
	disks_put(SPARE, spare);
	free(spare);
}

static void assert_spare_unchanged(const u8 *before)
{
	u8 *now = disks_get(SPARE);

	assert_memory_equal(now, before, disks.nr_bytes[SPARE]);
	free(now);
}

static void whole_metadata_is_left_alone(void **unused)
{
	struct error error;

	(void)unused;
	assert_int_equal(
		restore((struct options){ .older = true, .wipe_spare = true }, NULL, &error),
		-EEXIST);
	assert_spare_unchanged(saved[SPARE]);
}

/* Every block of the spare, alone and all of them together: all data is there again. */
static void a_damaged_spare_is_whole_again(void **unused)
{
	struct error error = { "" };

	(void)unused;
	for (unsigned int which = 1; which < 8; which++) {
		uint32_t nr_lost;
		int r;

		disks_put(SPARE, saved[SPARE]);
		for (uint32_t block = 0; block < 3; block++)
			if (which & 1U << block)
				zero_copies(block);
		r = restore((struct options){ 0 }, &nr_lost, &error);
		if (r < 0)
			fail_msg("blocks %x: %s", which, error.text);
		assert_int_equal(nr_lost, 0);
		assert_serves(UINT64_MAX, UINT64_MAX);
	}
}

/* What hidden chunks were given after the backup is in their slots, and is not overwritten. */
static void slots_of_the_same_spare_are_not_overwritten(void **unused)
{
	struct set_handle a = SET_HANDLE_NONE;
	struct error error = { "" };
	u8 *chunk = aligned_bytes(4096);

	(void)unused;
	assert_int_equal(handle_open(disks.path[MAIN], disks.path[SPARE], O_RDWR, &a, &error), 0);
	for (uint32_t slot = 0; slot < a.table.nr_slots; slot++) {
		if (a.table.entry[slot].state != REMAP_ENTRY_USED || a.table.entry[slot].main_chunk)
			continue;
		unit_random_bytes(chunk, 4096);
		write_all_at(a.spare_fd, chunk, 4096, handle_slot_offset(&a, slot));
		memcpy(model, chunk, 4096);
	}
	handle_close(&a);
	free(chunk);
	zero_copies(1);
	assert_int_equal(restore((struct options){ 0 }, NULL, &error), 0);
	assert_serves(UINT64_MAX, UINT64_MAX);
}

static void every_power_cut(void **unused)
{
	struct error error = { "" };
	unsigned int nr_writes;
	u8 *damaged, *zeros = calloc(1, disks.nr_bytes[SPARE]);

	(void)unused;
	for (uint32_t block = 0; block < 3; block++)
		zero_copies(block);
	damaged = disks_get(SPARE);
	for (int blank = 0; blank < 2; blank++) {
		const u8 *before = blank ? zeros : damaged;

		disks_reset();
		disks_put(SPARE, before);
		assert_int_equal(restore((struct options){ 0 }, NULL, &error), 0);
		nr_writes = disks.nr_writes;
		for (unsigned int at = 0; at < nr_writes; at++) {
			bool done;
			int r;

			disks_reset();
			disks_put(SPARE, before);
			disks.power_off_after = (int)at;
			done = restore((struct options){ 0 }, NULL, &error) == 0;
			assert_false(done);
			disks_reset();
			r = restore((struct options){ 0 }, NULL, &error);
			if (r < 0 && r != -EEXIST) /* it may be complete but for a last copy */
				fail_msg("after write %u of %u: %s", at, nr_writes, error.text);
			assert_serves(blank ? REMAPPED_CHUNK : UINT64_MAX, UINT64_MAX);
		}
	}
	free(damaged);
	free(zeros);
}

static void another_device_has_the_hidden_chunks(void **unused)
{
	struct error error = { "" };
	u8 *other = calloc(1, disks.nr_bytes[SPARE]);
	uint32_t nr_lost;

	(void)unused;
	other[700] = 1;
	disks_put(SPARE, other);
	assert_int_equal(restore((struct options){ 0 }, NULL, &error), -EPERM);
	assert_spare_unchanged(other);
	assert_int_equal(
		restore((struct options){ .no_main = true, .wipe_spare = true }, NULL, &error),
		-EAGAIN);
	assert_spare_unchanged(other);
	assert_int_equal(restore((struct options){ .wipe_spare = true }, &nr_lost, &error), 0);
	assert_int_equal(nr_lost, 1);
	assert_serves(REMAPPED_CHUNK, UINT64_MAX);
	free(other);
}

/* A remap after the backup: only by the word, and what it named is not served as good. */
static void an_older_backup(void **unused)
{
	struct error error = { "" };
	u8 *before;

	(void)unused;
	remap(LATE_CHUNK, REMAPPED_SLOT + 1);
	zero_copies(1); /* the other block is whole, and newer than the backup */
	before = disks_get(SPARE);
	assert_int_equal(restore((struct options){ 0 }, NULL, &error), -ESTALE);
	assert_non_null(strstr(error.text, "--older"));
	assert_spare_unchanged(before);
	assert_int_equal(restore((struct options){ .older = true }, NULL, &error), 0);
	assert_serves(UINT64_MAX, UINT64_MAX); /* a whole block is not replaced by an older one */

	/* the same block lost: its slots may hold anything by now */
	disks_put(SPARE, before);
	zero_copies(2);
	disks_put(MAIN, saved[MAIN]);
	assert_int_equal(restore((struct options){ .no_main = true }, NULL, &error), -EAGAIN);
	assert_int_equal(restore((struct options){ .older = true, .no_main = true }, NULL, &error),
			 0);
	assert_serves(REMAPPED_CHUNK, LATE_CHUNK);
	free(before);
}

/* Main's mark says that the set went on (O6), though nothing on the spare does. */
static void the_mark_is_newer(void **unused)
{
	struct error error = { "" };
	struct remap_super super;
	struct backup backup;
	u8 *chunk = aligned_bytes(4096);
	int fd = open(disks.path[MAIN], O_RDWR);

	(void)unused;
	assert_int_equal(backup_read(file, &backup, &error), 0);
	super = backup.super;
	remap_probe_encode(chunk, super.uuid,
			   &(struct remap_mark){ .seq = backup.generation + 3, .nr_probe = 1 });
	assert_int_equal(pwrite(fd, chunk, 4096, (off_t)super.probe_chunk * 4096), 4096);
	close(fd);
	zero_copies(2);
	assert_int_equal(restore((struct options){ 0 }, NULL, &error), -ESTALE);
	assert_int_equal(restore((struct options){ .older = true }, NULL, &error), 0);
	assert_serves(REMAPPED_CHUNK, UINT64_MAX); /* and the number is above the mark's */
	backup_done(&backup);
	free(chunk);
}

/* The newest copies of a block are damaged, and older ones are whole: these do not count. */
static void an_outdated_block(void **unused)
{
	struct error error = { "" };
	static struct remap_entry entry[REMAPPED_SLOT + 6];
	u8 *older = aligned_bytes(4096), *before;
	struct backup backup;

	(void)unused;
	assert_int_equal(backup_read(file, &backup, &error), 0);
	/* place 0 of both replicas has the newest copy; an older one without it in place 1 */
	entry[REMAPPED_SLOT + 5] = (struct remap_entry){ .main_chunk = 50,
							 .redirected = 0xff,
							 .state = REMAP_ENTRY_USED };
	region_encode_table(&backup.super, 2, 1, entry, REMAPPED_SLOT + 6, older);
	for (int newer = 0; newer < 2; newer++) {
		u8 *spare;

		disks_put(SPARE, saved[SPARE]);
		if (newer)
			remap(LATE_CHUNK, REMAPPED_SLOT + 1);
		spare = disks_get(SPARE);
		for (unsigned int replica = 0; replica < 2; replica++) {
			memcpy(spare + copy_offset(2 * replica + 1, 2), older, 4096);
			spare[copy_offset(2 * replica, 2) + 2000] ^= 1;
		}
		disks_put(SPARE, spare);
		free(spare);
		before = disks_get(SPARE);
		if (newer) {
			assert_int_equal(restore((struct options){ .older = true }, NULL, &error),
					 -ESTALE);
			assert_spare_unchanged(before);
		} else {
			if (restore((struct options){ 0 }, NULL, &error) < 0)
				fail_msg("%s", error.text);
			assert_serves(UINT64_MAX, UINT64_MAX);
		}
		free(before);
	}
	backup_done(&backup);
	free(older);
}

/* C8: nothing that is written to a dead place counts. */
static void a_block_with_a_dead_place(void **unused)
{
	struct set_handle a = SET_HANDLE_NONE;
	struct remap_super super;
	struct error error = { "" };

	(void)unused;
	for (unsigned int copy = 0; copy < REMAP_COPIES; copy++) {
		disks_put(SPARE, saved[SPARE]);
		assert_int_equal(
			handle_open(disks.path[MAIN], disks.path[SPARE], O_RDWR, &a, &error), 0);
		super = a.region.super;
		super.dead[0] = remap_dead_code(2, copy);
		super.seq = a.table.generation + 1;
		assert_int_equal(region_write_super(&a.region, &super, &error), 0);
		handle_close(&a);
		back_up(&error);
		zero_copies(2);
		assert_int_equal(restore((struct options){ 0 }, NULL, &error), 0);
		zero_replica(!(copy / 2), 2);
		assert_serves(UINT64_MAX, UINT64_MAX);
		/* and another device has no dead places */
		zero_copies(0);
		zero_copies(1);
		zero_copies(2);
		zero_copies(3);
		zero_copies(4);
		assert_int_equal(restore((struct options){ .wipe_spare = true }, NULL, &error), 0);
		zero_replica(!(copy / 2), 2);
		assert_serves(REMAPPED_CHUNK, UINT64_MAX);
	}
}

/* A damaged superblock has the only trace that the set went on. */
static void a_damaged_superblock_has_a_number(void **unused)
{
	struct set_handle a = SET_HANDLE_NONE;
	struct remap_super super;
	struct error error;
	u8 *spare;

	(void)unused;
	assert_int_equal(handle_open(disks.path[MAIN], disks.path[SPARE], O_RDWR, &a, &error), 0);
	super = a.region.super;
	super.seq = a.table.generation + 1;
	assert_int_equal(region_write_super(&a.region, &super, &error), 0);
	handle_close(&a);
	spare = disks_get(SPARE);
	for (unsigned int copy = 0; copy < REMAP_COPIES; copy++)
		spare[copy_offset(copy, 0) + 150] ^= 1;
	disks_put(SPARE, spare);
	assert_int_equal(restore((struct options){ 0 }, NULL, &error), -ESTALE);
	assert_spare_unchanged(spare);
	free(spare);
}

/* Main was released and is a disk in use: no map is laid over it again. */
static void a_released_main(void **unused)
{
	struct set_handle a = SET_HANDLE_NONE;
	struct error error;
	u8 *before;

	(void)unused;
	assert_int_equal(handle_open(disks.path[MAIN], disks.path[SPARE], O_RDWR, &a, &error), 0);
	assert_int_equal(release_run(&a, &error), 0);
	handle_close(&a);
	before = disks_get(SPARE);
	assert_int_equal(
		restore((struct options){ .older = true, .wipe_spare = true }, NULL, &error),
		-ENODEV);
	assert_spare_unchanged(before);
	free(before);
}

/* The spare that another one stands in for comes back, with commits that were not known. */
static void the_old_spare_is_the_older_one(void **unused)
{
	struct set_handle a = SET_HANDLE_NONE;
	struct error error = { "" };
	u8 *old, *zeros = calloc(1, disks.nr_bytes[SPARE]);

	(void)unused;
	for (unsigned int i = 0; i < 50; i++)
		remap(LATE_CHUNK, REMAPPED_SLOT + 1);
	old = disks_get(SPARE);
	disks_put(SPARE, zeros);
	assert_int_equal(restore((struct options){ 0 }, NULL, &error), 0);
	assert_int_equal(handle_open(disks.path[MAIN], disks.path[SPARE], O_RDONLY, &a, &error), 0);
	assert_true(a.region.super.flags & REMAP_SUPER_MARKED); /* only this main is the one */
	handle_close(&a);
	mark(); /* as the next activation does */
	disks_put(SPARE, old);
	assert_int_equal(handle_open(disks.path[MAIN], disks.path[SPARE], O_RDONLY, &a, &error),
			 -ESTALE);
	handle_close(&a);
	free(old);
	free(zeros);
}

/* Another file is not taken for the place of a backup, and not removed either. */
static void only_over_a_backup(void **unused)
{
	char name[] = "/tmp/unit-precious.XXXXXX", text[] = "precious, longer than a magic";
	struct backup backup;
	struct error error;
	char *data;
	size_t nr_bytes;
	u8 *now, *zeros = calloc(1, disks.nr_bytes[SPARE]);

	(void)unused;
	close(mkstemp(name));
	assert_int_equal(write_file_atomic(name, text, sizeof(text), 0600), 0);
	assert_int_equal(backup_read(file, &backup, &error), 0);
	assert_int_equal(backup_write(&backup, name, &error), -EEXIST);
	assert_int_equal(backup_write(&backup, file, &error), 0);
	disks_put(MAIN, original);
	disks_put(SPARE, zeros);
	/* create asks before it begins, and neither disk has changed */
	assert_int_equal(create(name, &error), -EEXIST);
	assert_int_equal(create(file, &error), -EEXIST); /* of another set */
	assert_non_null(strstr(error.text, "another set"));
	now = disks_get(MAIN);
	assert_memory_equal(now, original, disks.nr_bytes[MAIN]);
	free(now);
	now = disks_get(SPARE);
	assert_memory_equal(now, zeros, disks.nr_bytes[SPARE]);
	free(now);
	assert_int_equal(read_file(name, &data, &nr_bytes), 0);
	assert_int_equal(nr_bytes, sizeof(text));
	assert_memory_equal(data, text, sizeof(text));
	free(data);
	backup.super.uuid[0] ^= 1;
	assert_int_equal(backup_write(&backup, file, &error), -EEXIST);
	free(zeros);
	unlink(name);
	backup_done(&backup);
}

/* While main is neither hidden nor as it was, the backup may be all that puts it right. */
static void a_backup_is_kept_for_a_create_that_cannot_be_undone(void **unused)
{
	struct backup backup;
	struct error error = { "" };
	struct disk_fault *fault;
	u8 *zeros = calloc(1, disks.nr_bytes[SPARE]);

	(void)unused;
	for (int undone = 0; undone < 2; undone++) {
		disks_reset();
		disks_put(MAIN, original);
		disks_put(SPARE, zeros);
		unlink(file);
		fault = disks_fail(MAIN, undone, 1, false, true);
		fault->after = 2; /* the probe chunk, and sector 0 */
		if (!undone)
			fault->nr = 8;
		assert_true(create(file, &error) < 0);
		disks_reset();
		assert_int_equal(backup_read(file, &backup, &error), undone ? -ENOENT : 0);
		backup_done(&backup);
	}
	free(zeros);
}

static void a_damaged_file_is_refused(void **unused)
{
	struct backup backup;
	struct error error;
	char *data;
	size_t nr_bytes;

	(void)unused;
	assert_int_equal(read_file(file, &data, &nr_bytes), 0);
	for (unsigned int i = 0; i < 300; i++) {
		size_t at = i < 64 ? i : unit_random_below(nr_bytes);
		char bit = (char)(1 << unit_random_below(8));

		data[at] ^= bit;
		assert_int_equal(write_file_atomic(file, data, nr_bytes, 0600), 0);
		assert_true(backup_read(file, &backup, &error) < 0);
		data[at] ^= bit;
	}
	for (size_t length = 0; length < nr_bytes; length += 1 + unit_random_below(3000)) {
		assert_int_equal(write_file_atomic(file, data, length, 0600), 0);
		assert_true(backup_read(file, &backup, &error) < 0);
	}
	free(data);
	assert_int_equal(backup_read("/none", &backup, &error), -ENOENT);
}

static void refuse(const struct backup *backup)
{
	struct backup now;
	struct error error;

	unlink(file);
	assert_int_equal(backup_write(backup, file, &error), 0);
	assert_int_equal(backup_read(file, &now, &error), -EUCLEAN);
}

/* Its checksum is right: what it says decides how much is copied, and whether the set loads. */
static void a_forged_file_is_refused(void **unused)
{
	struct backup backup;
	struct error error;
	uint32_t last;

	(void)unused;
	assert_int_equal(backup_read(file, &backup, &error), 0);
	assert_true(backup.nr_contents > 1);
	for (last = backup.nr_entries; backup.entry[--last].content == BACKUP_NO_CONTENT;)
		;
	backup.entry[last].content = 0; /* that of another slot */
	refuse(&backup);
	backup.entry[last].content = BACKUP_NO_CONTENT;
	refuse(&backup);
	backup.entry[last].content = backup.nr_contents - 1;
	backup.generation = REMAP_MAX_SEQ;
	refuse(&backup);
	backup_done(&backup);
}

static void fill_random(u8 *data, size_t nr_bytes)
{
	unit_random_bytes(data, nr_bytes);
	memset(data, 0, 512);
}

static int without_spare(const char *backup_path, struct error *error)
{
	struct stale_release a = { .main_path = disks.path[MAIN], .fd = -1 };
	int r;

	snprintf(a.backup_path, sizeof(a.backup_path), "%s", backup_path);
	r = stale_release_look(&a, error);
	if (!r)
		r = stale_release_carry_out(&a, error);
	stale_release_done(&a);
	return r;
}

/* O1: a first chunk that does not fit into the header is in the backup, or there is no set. */
static void a_first_chunk_that_does_not_fit(void **unused)
{
	struct backup backup;
	u8 uuid[REMAP_UUID_BYTES];
	struct error error = { "" };
	u8 *zeros = calloc(1, disks.nr_bytes[SPARE]), *now;
	char unwritable[] = "/proc/none";

	(void)unused;
	fill_random(original, 4096);
	disks_put(MAIN, original);
	disks_put(SPARE, zeros);
	assert_int_equal(create("", &error), -EPERM);
	assert_non_null(strstr(error.text, "--backup FILE"));
	assert_int_not_equal(create(unwritable, &error), 0); /* main is as it was */
	now = disks_get(MAIN);
	assert_memory_equal(now, original, disks.nr_bytes[MAIN]);
	free(now);
	disks_put(SPARE, zeros);
	unlink(file); /* of the set before */
	assert_int_equal(create(file, &error), 0);
	mark();
	assert_int_equal(backup_read(file, &backup, &error), 0);
	assert_true(backup.has_header);
	assert_int_equal(without_spare("", &error), -EPERM);
	assert_non_null(strstr(error.text, "--backup FILE"));
	memcpy(uuid, backup.super.uuid, sizeof(uuid));
	memcpy(backup.super.uuid, unit_other_uuid, sizeof(uuid));
	unlink(file);
	assert_int_equal(backup_write(&backup, file, &error), 0);
	assert_int_equal(without_spare(file, &error), -EINVAL);
	unlink(file);
	memcpy(backup.super.uuid, uuid, sizeof(uuid));
	assert_int_equal(backup_write(&backup, file, &error), 0);
	assert_int_equal(without_spare(file, &error), 0);
	now = disks_get(MAIN);
	assert_memory_equal(now, original, disks.nr_bytes[MAIN]);
	free(now);
	free(zeros);
	backup_done(&backup);
}

#define ZEROS_BYTES (16U << 20)

/* How many bytes of zeros a reader of @path takes before it goes. */
static __attribute__((noreturn)) void write_zeros(const char *path)
{
	static const u8 zeros[4096];
	int fd = open(path, O_WRONLY);
	unsigned int nr = 0;

	signal(SIGPIPE, SIG_IGN);
	while (nr < ZEROS_BYTES && write(fd, zeros, sizeof(zeros)) == sizeof(zeros))
		nr += sizeof(zeros);
	_exit(nr < ZEROS_BYTES / 2 ? 0 : 1);
}

/* What a user names may be a pipe, and what comes out of it may have no end. */
static void a_pipe_is_read_as_long_as_it_may_be_a_backup(void **unused)
{
	struct backup backup;
	struct error error;
	int status = -1;
	pid_t pid;

	(void)unused;
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	pid = fork();
	if (!pid)
		write_zeros(file);
	assert_int_equal(backup_read(file, &backup, &error), -ENODATA);
	assert_non_null(strstr(error.text, "not a dm-remap backup"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	unlink(file);
	assert_int_equal(status, 0);
}

/* As of a process substitution: it comes in parts. */
static void a_backup_is_read_from_a_pipe(void **unused)
{
	char pipe_path[sizeof(file) + 8];
	_cleanup_free_ char *text = NULL;
	struct backup backup;
	struct error error;
	size_t nr_bytes;
	pid_t pid;

	(void)unused;
	snprintf(pipe_path, sizeof(pipe_path), "%s.pipe", file);
	assert_int_equal(read_file(file, &text, &nr_bytes), 0);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	pid = fork();
	if (!pid) {
		int fd = open(pipe_path, O_WRONLY);

		for (size_t at = 0; at < nr_bytes; at += 4093)
			if (write(fd, text + at, nr_bytes - at < 4093 ? nr_bytes - at : 4093) < 0)
				break;
		_exit(0);
	}
	assert_int_equal(backup_read(pipe_path, &backup, &error), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	unlink(pipe_path);
	assert_true(backup.nr_entries > 0);
	backup_done(&backup);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(whole_metadata_is_left_alone),
		TEST(a_pipe_is_read_as_long_as_it_may_be_a_backup),
		TEST(a_backup_is_read_from_a_pipe),
		TEST(a_damaged_spare_is_whole_again),
		TEST(slots_of_the_same_spare_are_not_overwritten),
		TEST(every_power_cut),
		TEST(another_device_has_the_hidden_chunks),
		TEST(an_older_backup),
		TEST(the_mark_is_newer),
		TEST(an_outdated_block),
		TEST(a_block_with_a_dead_place),
		TEST(a_damaged_superblock_has_a_number),
		TEST(a_released_main),
		TEST(the_old_spare_is_the_older_one),
		TEST(only_over_a_backup),
		TEST(a_backup_is_kept_for_a_create_that_cannot_be_undone),
		TEST(a_damaged_file_is_refused),
		TEST(a_forged_file_is_refused),
		TEST(a_first_chunk_that_does_not_fit),
	};

	return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
