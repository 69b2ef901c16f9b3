// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * create and release on disks that fail, or lose power, after every single write: main is
 * what it was, or the set serves it; nothing is wiped that main does not hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "disks.h"
#include "ops/create.h"
#include "ops/mend.h"
#include "ops/release-without-spare.h"
#include "ops/release.h"
#include "set/handle.h"

#define MAIN_SECTORS 128
#define SPARE_SECTORS 640
#define PROBE_CHUNK 14	 /* the last one holds GPT's backup */
#define REMAPPED_CHUNK 5 /* served by a slot like any bad place */

static u8 *model;	    /* what the mapped device reads as */
static u8 *original;	    /* what main held before there was a set */
static u8 *saved[NR_DISKS]; /* the whole set */

static void restore_saved(void)
{
	disks_reset();
	disks_put(MAIN, saved[MAIN]);
	disks_put(SPARE, saved[SPARE]);
}

static bool accept_unreadable;

static int create(bool guard, struct error *error)
{
	struct create_request a = { .main_path = disks.path[MAIN],
				    .spare_path = disks.path[SPARE],
				    .label = "data",
				    .guard = guard,
				    .accept_unreadable = accept_unreadable,
				    .places = PLACES_NONE,
				    .spare_places = PLACES_NONE,
				    .main_fd = -1,
				    .spare_fd = -1 };
	int r;

	snprintf(a.backup_path, sizeof(a.backup_path), "%s", disks.backup);
	unlink(disks.backup); /* of the set before */
	r = create_prepare(&a, error);
	if (!r)
		r = create_set(&a, error);
	create_done(&a);
	return r;
}

static int open_set(struct set_handle *a, int flags, struct error *error)
{
	*a = (struct set_handle)SET_HANDLE_NONE;
	return handle_open(disks.path[MAIN], disks.path[SPARE], flags, a, error);
}

/* What activation, a remap, and writing through the device would have done. */
static void use_set(void)
{
	struct set_handle a;
	struct error error;
	struct remap_super super;
	u8 *chunk = aligned_bytes(REMAP_CHUNK_BYTES), *block = aligned_bytes(REMAP_BLOCK_BYTES);
	struct remap_table_disk *table = (struct remap_table_disk *)block;
	struct remap_entry entry = { .main_chunk = REMAPPED_CHUNK,
				     .redirected = 0x3c,
				     .state = REMAP_ENTRY_USED,
				     .cause = REMAP_CAUSE_WRITE_ERROR,
				     .when = 1 };
	uint32_t free_slot = 0;

	assert_int_equal(open_set(&a, O_RDWR, &error), 0);
	while (a.table.entry[free_slot].state)
		free_slot++;
	/* the mark */
	remap_probe_encode(chunk, a.region.super.uuid,
			   &(struct remap_mark){ .seq = a.table.generation, .nr_probe = 7 });
	assert_int_equal(write_all_at(a.main_fd, chunk, REMAP_CHUNK_BYTES,
				      (off_t)a.region.super.probe_chunk * REMAP_CHUNK_BYTES),
			 0);
	super = a.region.super;
	super.flags |= REMAP_SUPER_MARKED;
	super.seq = a.table.generation + 1;
	assert_int_equal(region_write_super(&a.region, &super, &error), 0);
	/* what every slot serves is new */
	a.table.entry[free_slot] = entry;
	for (uint32_t slot = 0; slot < a.table.nr_slots; slot++) {
		const struct remap_entry *at = &a.table.entry[slot];

		if (at->state != REMAP_ENTRY_USED)
			continue;
		unit_random_bytes(chunk, REMAP_CHUNK_BYTES);
		if (!at->main_chunk) /* this one must fit into the member header */
			memset(chunk + 64, 0, REMAP_CHUNK_BYTES - 64);
		assert_int_equal(write_all_at(a.spare_fd, chunk, REMAP_CHUNK_BYTES,
					      handle_slot_offset(&a, slot)),
				 0);
		for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
			if (at->redirected & 1U << i)
				memcpy(model + at->main_chunk * REMAP_CHUNK_BYTES + i * 512,
				       chunk + i * 512, 512);
	}
	for (unsigned int replica = 0; replica < REMAP_REPLICAS; replica++) {
		off_t at = (off_t)remap_block_sector(&super.geometry, replica, 0, 1) * 512;

		assert_int_equal(read_all_at(a.spare_fd, block, REMAP_BLOCK_BYTES, at), 0);
		table->header.seq = cpu_to_le64(super.seq + 1);
		remap_entry_encode(&entry, &table->entry[free_slot]);
		remap_block_seal(block);
		at = (off_t)remap_block_sector(&super.geometry, replica, 1, 1) * 512;
		assert_int_equal(write_all_at(a.spare_fd, block, REMAP_BLOCK_BYTES, at), 0);
	}
	handle_close(&a);
	free(chunk);
	free(block);
}

static void make_set(bool guard)
{
	struct error error = { "" };

	disks_make(MAIN_SECTORS, SPARE_SECTORS);
	model = malloc(disks.nr_bytes[MAIN]);
	for (u64 i = 0; i < disks.nr_bytes[MAIN]; i++)
		model[i] = (u8)(i / 512 + i % 7);
	memset(model, 0, 512); /* no boot code */
	memcpy(model + 4086, "SWAPSPACE2", 10);
	memcpy(model + disks.nr_bytes[MAIN] - 512, "EFI PART", 8);
	disks_put(MAIN, model);
	original = disks_get(MAIN);
	assert_int_equal(create(guard, &error), 0);
	use_set();
	for (int d = 0; d < NR_DISKS; d++)
		saved[d] = disks_get(d);
	disks_reset();
}

static int setup(void **state)
{
	unit_seed("release");
	make_set(state == NULL || *state == NULL);
	return 0;
}

static int setup_unguarded(void **unused)
{
	(void)unused;
	unit_seed("release");
	make_set(false);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	disks_remove();
	free(model);
	free(original);
	free(saved[MAIN]);
	free(saved[SPARE]);
	return 0;
}

static void assert_main_is_model(void)
{
	u8 *now = disks_get(MAIN);

	for (u64 s = 0; s < MAIN_SECTORS; s++)
		if (memcmp(now + s * 512, model + s * 512, 512))
			fail_msg("sector %llu of main is not what was served",
				 (unsigned long long)s);
	free(now);
}

static bool spare_is_blank(void)
{
	u8 *now = disks_get(SPARE);
	bool blank = remap_is_zero(now, disks.nr_bytes[SPARE]);

	free(now);
	return blank;
}

/* The set counts, and what it serves is MODEL. */
static void assert_set_serves_model(void)
{
	struct segment *segments;
	struct set_handle a;
	struct error error;
	u8 *main = disks_get(MAIN), *spare = disks_get(SPARE);
	size_t nr;

	assert_int_equal(open_set(&a, O_RDONLY, &error), 0);
	assert_int_equal(a.region.super.flags & ~REMAP_SUPER_MARKED, 0);
	assert_int_equal(region_segments(&a.region, &a.table, &segments, &nr, &error), 0);
	for (size_t i = 0; i < nr; i++) {
		const u8 *from = segments[i].kind == SEGMENT_MAIN ?
					 main + segments[i].start * 512 :
					 spare + segments[i].spare_sector * 512;

		assert_memory_equal(from, model + segments[i].start * 512,
				    segments[i].nr_sectors * 512);
	}
	free(segments);
	handle_close(&a);
	free(main);
	free(spare);
}

static int release(struct error *error)
{
	struct set_handle a;
	int r = open_set(&a, O_RDWR, error);

	if (!r)
		r = a.region.super.flags & REMAP_SUPER_CREATING ?
			    release_undo_create(&a, UNDO_FOUND, error) :
			    release_run(&a, error);
	handle_close(&a);
	return r;
}

/* The flags on the spare; -1: no set. */
static int flags_now(void)
{
	struct region region;
	int fd = open(disks.path[SPARE], O_RDONLY);
	int r = region_open(fd, 0, SPARE_SECTORS, &region, NULL);

	close(fd);
	return r < 0 ? -1 : (int)region.super.flags;
}

/* With everything whole again the state leads to the plain disk. */
static void assert_can_be_ended(const char *what, unsigned int at)
{
	struct error error = { "" };

	disks_reset();
	if (flags_now() >= 0) {
		if (!(flags_now() & ~REMAP_SUPER_MARKED))
			assert_set_serves_model();
		if (release(&error) < 0)
			fail_msg("%s, %u: %s", what, at, error.text);
	}
	assert_main_is_model();
	assert_true(spare_is_blank());
}

static void gives_back_and_leaves_a_blank_spare(void **unused)
{
	struct error error = { "" };

	(void)unused;
	assert_set_serves_model();
	assert_int_equal(release(&error), 0);
	assert_main_is_model();
	assert_true(spare_is_blank());
	assert_int_equal(create(true, &error), 0); /* it is an unused device */
}

static void every_power_cut(void **unused)
{
	struct error error;
	unsigned int nr_writes;

	(void)unused;
	assert_int_equal(release(&error), 0);
	nr_writes = disks.nr_writes;
	assert_true(nr_writes > 20);
	for (unsigned int at = 0; at < nr_writes; at++) {
		restore_saved();
		disks.power_off_after = (int)at;
		assert_int_not_equal(release(&error), 0);
		assert_can_be_ended("cut", at);
	}
}

/* The same with a cache that forgets: each sector since the last flush may be there or not. */
static void every_power_cut_with_a_cache(void **unused)
{
	struct error error;
	unsigned int nr_writes;

	(void)unused;
	assert_int_equal(release(&error), 0);
	nr_writes = disks.nr_writes;
	disks.volatile_cache = true;
	for (unsigned int at = 0; at < nr_writes; at++)
		for (unsigned int i = 0; i < 2; i++) {
			restore_saved();
			disks.power_off_after = (int)at;
			assert_int_not_equal(release(&error), 0);
			assert_can_be_ended("cut with a cache", at);
		}
}

/* After each power cut a sector that may be read for the decision cannot be. */
static void cut_and_then_unreadable(void **unused)
{
	static const u64 bad[] = { 0, 1, 5, PROBE_CHUNK * 8, PROBE_CHUNK * 8 + 3, 120 };
	struct error error;
	unsigned int nr_writes, nr_refused = 0;

	(void)unused;
	assert_int_equal(release(&error), 0);
	nr_writes = disks.nr_writes;
	for (unsigned int at = 0; at < nr_writes; at++)
		for (unsigned int i = 0; i < 2; i++) {
			u64 sector = bad[unit_random_below(sizeof(bad) / sizeof(bad[0]))];
			int r;

			restore_saved();
			disks.power_off_after = (int)at;
			release(&error);
			disks_reset();
			disks_fail(MAIN, i ? sector : 0, 1, true, false)->heals = true;
			r = release(&error);
			nr_refused += r < 0 && flags_now() >= 0;
			if (!r)
				assert_main_is_model();
			assert_can_be_ended("unreadable", at);
		}
	assert_true(nr_refused > 0);
}

/* A whole chunk 0 that cannot be read: written anew where it can be, else nothing changes. */
static void chunk_0_cannot_be_read(void **unused)
{
	struct error error;
	u8 *spare;

	(void)unused;
	for (u64 first = 0; first < 8; first++) {
		restore_saved();
		disks_fail(MAIN, first, 8 - first, true, false)->heals = true;
		assert_int_equal(release(&error), 0);
		assert_main_is_model();

		restore_saved();
		disks_fail(MAIN, first, 8 - first, true, true);
		assert_int_equal(release(&error), -EBUSY);
		spare = disks_get(SPARE);
		assert_memory_equal(spare, saved[SPARE], disks.nr_bytes[SPARE]);
		free(spare);
		assert_can_be_ended("chunk 0", (unsigned int)first);
	}
}

static bool is_tried(u64 sector)
{
	return sector < 8 || sector / 8 == PROBE_CHUNK || sector / 8 == REMAPPED_CHUNK ||
	       sector / 8 == 15;
}

/* What main does not take is found before the flag is written. */
static void a_place_that_cannot_be_written(void **unused)
{
	struct error error;
	u8 *spare;

	(void)unused;
	for (u64 sector = 0; sector < MAIN_SECTORS; sector++) {
		int r;

		if (!is_tried(sector))
			continue;
		for (int lies = 0; lies < 2; lies++) {
			restore_saved();
			disks_fail(MAIN, sector, 1, false, !lies)->lies = lies;
			r = release(&error);
			spare = disks_get(SPARE);
			if (r < 0 && !lies)
				assert_memory_equal(spare, saved[SPARE], disks.nr_bytes[SPARE]);
			free(spare);
			if (r < 0)
				assert_int_equal(flags_now() & REMAP_SUPER_RELEASING, 0);
			assert_can_be_ended("unwritable", (unsigned int)sector);
		}
	}
}

/* Main goes bad only after the trial: at each of its writes, one place or all of it. */
static void main_fails_in_the_middle(void **unused)
{
	static const u64 bad[] = { 0, 1, 7, PROBE_CHUNK * 8, PROBE_CHUNK * 8 + 7, 120, 127 };
	struct error error;
	unsigned int nr_writes, nr_taken_back = 0;

	(void)unused;
	assert_int_equal(release(&error), 0);
	nr_writes = disks.nr_own_writes[MAIN];
	for (unsigned int at = 0; at < nr_writes; at++)
		for (unsigned int i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
			bool all = i == sizeof(bad) / sizeof(bad[0]);
			u64 sector = all ? 0 : bad[i];

			restore_saved();
			disks_fail(MAIN, all ? 0 : sector, all ? MAIN_SECTORS : 1, false, true)
				->after = at;
			if (release(&error) < 0 && !all) {
				/* one bad sector: the set is whole, as long as it is not sector 0 */
				nr_taken_back += strstr(error.text, "is unchanged") != NULL;
				if (sector && flags_now() & REMAP_SUPER_RELEASING)
					fail_msg("write %u, sector %llu: %s", at,
						 (unsigned long long)sector, error.text);
			}
			assert_can_be_ended("in the middle", at);
		}
	assert_true(nr_taken_back > 0);
}

/* A sector that fails after @after writes to main: its writes, or its reads until it is written. */
static void fail_later(u64 sector, bool read, unsigned int after)
{
	struct disk_fault *fault = disks_fail(MAIN, sector, 1, read, !read);

	fault->after = after;
	fault->heals = true;
}

/*
 * Main fails while it is given back, and while the release is taken back the power goes, after
 * any write: what is found is the set, or a release that goes on.
 */
static void every_power_cut_while_it_is_taken_back(void **unused)
{
	static const u64 bad[] = { 0, 1, 7, PROBE_CHUNK * 8, PROBE_CHUNK * 8 + 7, 120, 127 };
	const unsigned int nr_bad = sizeof(bad) / sizeof(bad[0]);
	struct error error;
	unsigned int nr_writes, nr_cuts = 0;

	(void)unused;
	assert_int_equal(release(&error), 0);
	nr_writes = disks.nr_own_writes[MAIN];
	for (unsigned int at = 0; at <= nr_writes; at++)
		for (unsigned int i = 0; i < 2 * nr_bad; i++) {
			unsigned int nr_all;

			restore_saved();
			fail_later(bad[i % nr_bad], i < nr_bad, at);
			if (release(&error) == 0 || !strstr(error.text, "is unchanged"))
				continue;
			nr_all = disks.nr_writes;
			for (unsigned int cut = at; cut < nr_all; cut += 1 + unit_random_below(8)) {
				restore_saved();
				fail_later(bad[i % nr_bad], i < nr_bad, at);
				disks.power_off_after = (int)cut;
				disks.volatile_cache = unit_random_below(4);
				release(&error);
				assert_can_be_ended("undoing the release failed", cut);
				disks.volatile_cache = false;
				nr_cuts++;
			}
		}
	assert_true(nr_cuts > 20);
}

/* The superblock with the flag cannot be written: the next activation must not complete it. */
static void the_flag_cannot_be_written(void **unused)
{
	struct error error;
	struct remap_geometry geometry;

	(void)unused;
	remap_geometry_compute(SPARE_SECTORS, &geometry);
	for (unsigned int which = 1; which < 16; which++)
		for (int lands = 0; lands < 2; lands++) {
			bool in_doubt;
			int r;

			restore_saved();
			for (unsigned int c = 0; c < REMAP_COPIES; c++)
				if (which & 1U << c)
					disks_fail(SPARE,
						   remap_block_sector(&geometry, c / 2, c % 2, 0),
						   1, false, true);
			if (lands) /* it was written, but the flush failed */
				disks.flush_fails[SPARE] = true;
			r = release(&error);
			in_doubt = r < 0 && strstr(error.text, "may complete the release");
			/* or the release is complete but for the wiping */
			if (r < 0 && flags_now() & REMAP_SUPER_RELEASING && !in_doubt)
				assert_main_is_model();
			else if (r < 0 && !in_doubt)
				assert_set_serves_model();
			assert_can_be_ended("flag", which);
		}
}

static void nothing_is_taken_for_main(void **unused)
{
	struct error error;
	u8 *zeros = calloc(1, disks.nr_bytes[SPARE]), *spare; /* the larger one */

	(void)unused;
	disks_put(MAIN, zeros);
	assert_int_equal(release(&error), -ENODEV);
	spare = disks_get(SPARE);
	assert_memory_equal(spare, saved[SPARE], disks.nr_bytes[SPARE]);
	free(spare);
	/* before its first activation, too, when there is no mark */
	disks_put(SPARE, zeros);
	disks_put(MAIN, model);
	assert_int_equal(create(true, &error), 0);
	disks_put(MAIN, zeros);
	assert_int_equal(release(&error), -ENODEV);
	assert_true(flags_now() >= 0);
	free(zeros);
}

/* A plain disk and a blank spare, and everything works. */
static void before_create(void)
{
	u8 *zeros = calloc(1, disks.nr_bytes[SPARE]);

	disks_reset();
	disks_put(SPARE, zeros);
	disks_put(MAIN, model);
	free(zeros);
}

/* At write @at: there is a set that release ends, or main is as it was. */
static void assert_create_fails(unsigned int at)
{
	struct error error;

	assert_int_not_equal(create(true, &error), 0);
	disks_reset();
	if (flags_now() >= 0)
		assert_can_be_ended("create", at);
	else
		assert_main_is_model();
}

/* Interrupted: another disk in the place of main is refused, and the spare stays.  1: it had to. */
static unsigned int assert_another_main_is_refused(const char *what, unsigned int at)
{
	struct error error = { "" };
	unsigned int nr_hidden = 0;
	u8 *other, *main, *spare, *now;
	int r;

	disks_reset();
	if (flags_now() < 0 || !(flags_now() & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING)))
		return 0;
	main = disks_get(MAIN);
	spare = disks_get(SPARE);
	other = disks_get(MAIN);
	for (u64 i = 0; i < disks.nr_bytes[MAIN]; i++)
		other[i] = (u8)(model[i] ^ 0xff);
	disks_put(MAIN, other);
	r = release(&error);
	now = disks_get(SPARE);
	/* or there is nothing that only the spare has */
	if (memcmp(main, model, disks.nr_bytes[MAIN]) != 0 &&
	    (r != -ENODEV || memcmp(now, spare, disks.nr_bytes[SPARE]) != 0))
		fail_msg("%s, %u: %d, %s", what, at, r, error.text);
	nr_hidden += memcmp(main, model, disks.nr_bytes[MAIN]) != 0;
	free(now);
	now = disks_get(MAIN);
	assert_memory_equal(now, other, disks.nr_bytes[MAIN]);
	disks_put(MAIN, main);
	disks_put(SPARE, spare);
	free(now);
	free(other);
	free(main);
	free(spare);
	assert_can_be_ended(what, at);
	return nr_hidden;
}

static void another_main_after_a_cut_create(void **unused)
{
	unsigned int nr_hidden = 0;
	struct error error;

	(void)unused;
	for (int guard = 0; guard < 2; guard++) {
		unsigned int nr_writes;

		before_create();
		assert_int_equal(create(guard, &error), 0);
		nr_writes = disks.nr_writes;
		for (unsigned int at = 0; at < nr_writes; at++) {
			before_create();
			disks.power_off_after = (int)at;
			assert_int_not_equal(create(guard, &error), 0);
			nr_hidden += assert_another_main_is_refused("create", at);
		}
	}
	assert_true(nr_hidden > 1);
}

static void another_main_after_a_cut_release(void **unused)
{
	struct error error;
	unsigned int nr_writes, nr_hidden = 0;

	(void)unused;
	assert_int_equal(release(&error), 0);
	nr_writes = disks.nr_writes;
	for (unsigned int at = 0; at < nr_writes; at++) {
		restore_saved();
		disks.power_off_after = (int)at;
		assert_int_not_equal(release(&error), 0);
		nr_hidden += assert_another_main_is_refused("release", at);
	}
	assert_true(nr_hidden > 1);
}

static void cut_create(bool cache, unsigned int repeat)
{
	struct error error;
	unsigned int nr_writes;

	before_create();
	assert_int_equal(create(true, &error), 0);
	nr_writes = disks.nr_writes * repeat;
	disks.volatile_cache = cache;
	for (unsigned int i = 0; i < nr_writes; i++) {
		unsigned int at = i / repeat;

		before_create();
		disks.power_off_after = (int)at;
		assert_create_fails(at);
	}
}

static void every_power_cut_of_create(void **unused)
{
	(void)unused;
	cut_create(false, 1);
	cut_create(true, 2);
}

/* One bad sector of either disk at each write: the error says so, or main is as it was. */
static void create_fails_in_the_middle(void **unused)
{
	struct error error;
	unsigned int nr_writes[NR_DISKS];

	(void)unused;
	before_create();
	assert_int_equal(create(true, &error), 0);
	memcpy(nr_writes, disks.nr_own_writes, sizeof(nr_writes));
	for (int d = 0; d < NR_DISKS; d++)
		for (unsigned int at = 0; at < nr_writes[d]; at++)
			for (int read = 0; read < 2; read++) {
				before_create();
				disks_fail(d, 0, disks.nr_bytes[d] / 512, read, true)->after = at;
				assert_create_fails(at);
			}
}

/* Sector 2 cannot be read until something was written to it. */
static void spoil_first_chunk(void)
{
	u8 *now = disks_get(MAIN);

	if (!memcmp(now + 1024, model + 1024, 512))
		disks_fail(MAIN, 2, 1, true, false)->heals = true;
	free(now);
}

/* What create could not read of the first chunk becomes no zeros that are taken for content. */
static void a_cut_create_makes_no_zeros(void **unused)
{
	struct error error = { "" };
	unsigned int nr_writes, nr_completed = 0, nr_zeroed = 0;

	(void)unused;
	accept_unreadable = true;
	before_create();
	spoil_first_chunk();
	if (create(true, &error) < 0)
		fail_msg("%s", error.text);
	nr_writes = disks.nr_writes;
	for (unsigned int i = 0; i < 2 * nr_writes; i++) {
		struct set_handle a;
		int r;

		before_create();
		spoil_first_chunk();
		disks.power_off_after = (int)i / 2;
		assert_int_not_equal(create(true, &error), 0);
		disks_reset();
		spoil_first_chunk();
		if (flags_now() < 0 || !(flags_now() & REMAP_SUPER_CREATING))
			continue;
		assert_int_equal(open_set(&a, O_RDWR, &error), 0);
		/* by hand it is undone all the same, and what is zeros is said */
		r = i % 2 ? release_undo_create(&a, UNDO_FOUND, &error) : mend_create(&a, &error);
		if (r < 0)
			fail_msg("%u: %s", i, error.text);
		nr_completed += r > 0;
		nr_zeroed += a.zeroed.nr;
		assert_int_equal(flags_now(), r ? 0 : -1);
		if (a.zeroed.nr) {
			assert_true(i % 2);
			assert_true(sector_ranges_has(&a.zeroed, 2));
			assert_int_equal(sector_ranges_count(&a.zeroed), 1);
		} else if (!r) {
			assert_main_is_model();
		}
		handle_close(&a);
	}
	accept_unreadable = false;
	assert_true(nr_completed > 0);
	assert_true(nr_zeroed > 0);
}

/* Between the question and the answer a device was written to, past O_EXCL. */
static void what_was_agreed_on_is_looked_at_again(void **unused)
{
	struct create_request a = { .main_path = disks.path[MAIN],
				    .spare_path = disks.path[SPARE],
				    .label = "data",
				    .guard = true };
	u8 *content = calloc(1, disks.nr_bytes[SPARE]);
	struct error error = { "" };

	(void)unused;
	disks_put(SPARE, content);
	disks_put(MAIN, original);
	assert_int_equal(create_prepare(&a, &error), 0);
	assert_int_equal(create_look_again(&a, &error), 0);
	content[5000] = 1; /* data on the spare, which was blank */
	disks_put(SPARE, content);
	assert_int_equal(create_look_again(&a, &error), -EBUSY);
	content[5000] = 0;
	disks_put(SPARE, content);
	assert_int_equal(create_look_again(&a, &error), 0);
	memcpy(content, original, disks.nr_bytes[MAIN]);
	content[disks.nr_bytes[MAIN] - 512] = 'X'; /* a signature of main is gone */
	disks_put(MAIN, content);
	assert_int_equal(create_look_again(&a, &error), -EBUSY);
	create_done(&a);
	free(content);
}

static int without_spare(const char *keep, struct error *error)
{
	struct stale_release a = {
		.main_path = disks.path[MAIN], .keep_header = keep, .accept_loss = true, .fd = -1
	};
	int r = stale_release_look(&a, error);

	if (!r)
		r = stale_release_carry_out(&a, error);
	stale_release_done(&a);
	return r;
}

static void assert_main_is_original(bool but_the_probe_chunk)
{
	u8 *now = disks_get(MAIN);

	for (u64 c = 0; c < MAIN_SECTORS / 8; c++)
		if (!(c == PROBE_CHUNK && but_the_probe_chunk) &&
		    memcmp(now + c * 4096, original + c * 4096, 4096))
			fail_msg("chunk %llu is not what it was", (unsigned long long)c);
	free(now);
}

/* @keep: file for the header.  After every power cut the same order goes on. */
static void cut_without_spare(const char *keep, bool but_the_probe_chunk)
{
	u8 *guarded = disks_get(MAIN);
	struct error error = { "" };
	unsigned int nr_writes;

	disks_reset();
	if (without_spare(keep, &error) < 0)
		fail_msg("%s", error.text);
	assert_main_is_original(but_the_probe_chunk);
	nr_writes = disks.nr_writes;
	assert_true(nr_writes >= 3);
	for (unsigned int at = 0; at < nr_writes; at++) {
		disks_reset();
		disks_put(MAIN, guarded);
		if (keep)
			unlink(keep);
		disks.power_off_after = (int)at;
		assert_int_not_equal(without_spare(keep, &error), 0);
		disks_reset();
		if (without_spare(keep, &error) < 0 && error.text[0] &&
		    !strstr(error.text, "neither a dm-remap member header"))
			fail_msg("after write %u: %s", at, error.text);
		assert_main_is_original(but_the_probe_chunk);
	}
	free(guarded);
}

static void every_power_cut_without_spare(void **unused)
{
	(void)unused;
	cut_without_spare(NULL, true);
}

/* After replace-main to a larger disk the mark is not near the end of the device. */
static void without_spare_on_a_longer_main(void **unused)
{
	(void)unused;
	assert_int_equal(truncate(disks.path[MAIN], 16 << 20), 0);
	cut_without_spare(NULL, true);
}

/* Never activated: there is no mark, and the probe chunk holds what it always did. */
static void without_spare_and_without_mark(void **unused)
{
	char keep[] = "/tmp/unit-keep.XXXXXX";
	u8 *zeros = calloc(1, disks.nr_bytes[SPARE]), *before, *after;
	struct error error;

	(void)unused;
	close(mkstemp(keep));
	unlink(keep);
	disks_reset();
	disks_put(SPARE, zeros);
	disks_put(MAIN, original);
	assert_int_equal(create(true, &error), 0);
	before = disks_get(MAIN);
	assert_int_equal(without_spare(NULL, &error), -EPERM);
	assert_non_null(strstr(error.text, "--keep-header"));
	after = disks_get(MAIN);
	assert_memory_equal(before, after, disks.nr_bytes[MAIN]);
	cut_without_spare(keep, false);
	unlink(keep);
	free(before);
	free(after);
	free(zeros);
}

int main(void)
{
#define GUARDED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define UNGUARDED(test) cmocka_unit_test_setup_teardown(test, setup_unguarded, teardown)
	const struct CMUnitTest guarded[] = {
		GUARDED(gives_back_and_leaves_a_blank_spare),
		GUARDED(every_power_cut),
		GUARDED(every_power_cut_with_a_cache),
		GUARDED(every_power_cut_while_it_is_taken_back),
		GUARDED(cut_and_then_unreadable),
		GUARDED(chunk_0_cannot_be_read),
		GUARDED(a_place_that_cannot_be_written),
		GUARDED(main_fails_in_the_middle),
		GUARDED(the_flag_cannot_be_written),
		GUARDED(nothing_is_taken_for_main),
		GUARDED(every_power_cut_of_create),
		GUARDED(another_main_after_a_cut_create),
		GUARDED(another_main_after_a_cut_release),
		GUARDED(create_fails_in_the_middle),
		GUARDED(a_cut_create_makes_no_zeros),
		GUARDED(what_was_agreed_on_is_looked_at_again),
		GUARDED(every_power_cut_without_spare),
		GUARDED(without_spare_on_a_longer_main),
		GUARDED(without_spare_and_without_mark),
	};
	const struct CMUnitTest unguarded[] = {
		UNGUARDED(every_power_cut),
		UNGUARDED(every_power_cut_with_a_cache),
		UNGUARDED(every_power_cut_while_it_is_taken_back),
		UNGUARDED(cut_and_then_unreadable),
		UNGUARDED(another_main_after_a_cut_release),
		UNGUARDED(a_place_that_cannot_be_written),
		UNGUARDED(main_fails_in_the_middle),
		UNGUARDED(the_flag_cannot_be_written),
	};
	int r = cmocka_run_group_tests_name("release", guarded, NULL, NULL);

	return r + cmocka_run_group_tests_name("release without guard", unguarded, NULL, NULL);
}
