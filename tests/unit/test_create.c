// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What create refuses before it asks (O4, O5): nothing is written then.  Large enough images
 * that libblkid looks for arrays and volume groups.
 */
#include <errno.h>
#include <string.h>

#include "disks.h"
#include "ops/create.h"
#include "ops/release.h"
#include "set/handle.h"

#define NR_SECTORS 8192

static u8 *content;

static int setup(void **unused)
{
	(void)unused;
	unit_seed("create");
	disks_make(NR_SECTORS, NR_SECTORS);
	content = calloc(1, NR_SECTORS * 512);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	disks_remove();
	free(content);
	return 0;
}

/* What create says of CONTENT on @disk, the other one being blank. */
static char spare_content[160];

static int prepare(enum disk disk, bool guard, const char **text)
{
	static struct error error;
	struct create_request a = { .main_path = disks.path[MAIN],
				    .spare_path = disks.path[SPARE],
				    .label = "data",
				    .guard = guard,
				    .wipe_spare = true };
	u8 *now, *zeros = calloc(1, NR_SECTORS * 512);
	int r;

	disks_put(disk, content);
	disks_put(!disk, zeros);
	*error.text = '\0';
	r = create_prepare(&a, &error);
	snprintf(spare_content, sizeof(spare_content), "%s", a.spare_content);
	create_done(&a);
	now = disks_get(disk);
	assert_memory_equal(now, content, NR_SECTORS * 512);
	free(now);
	free(zeros);
	*text = error.text;
	return r;
}

/* CONTENT is zeros, or a table with one partition: where a disk's, or its, content begins. */
static u8 *empty(bool partition)
{
	memset(content, 0, NR_SECTORS * 512);
	if (partition)
		unit_put_partition(content, 0, 0x83);
	return content + (partition ? 1 << 20 : 0);
}

/* O5: where the raw disk stays visible, nothing may assemble itself from it. */
static void what_needs_the_guard(void **unused)
{
	const char *text;

	(void)unused;
	for (unsigned int what = 0; what < 5; what++) {
		u8 *at = empty(what % 2);

		if (what < 2)
			unit_put_lvm(at);
		else if (what < 4)
			unit_put_btrfs(at, 1);
		assert_int_equal(prepare(MAIN, true, &text), 0);
		assert_int_equal(prepare(MAIN, false, &text), what == 4 ? 0 : -EPERM);
		if (what < 4)
			assert_non_null(strstr(text, "it needs the guard"));
	}
}

/* O4: wiping it would take a disk from others, whatever was said of this one. */
static void what_is_no_spare(void **unused)
{
	const char *text;

	(void)unused;
	for (unsigned int what = 0; what < 6; what++) {
		u8 *at = empty(what % 2);

		if (what < 2)
			unit_put_lvm(at);
		else
			unit_put_btrfs(at, what < 4 ? 2 : 1);
		assert_int_equal(prepare(SPARE, true, &text), what < 4 ? -EPERM : 0);
		if (what < 4)
			assert_non_null(strstr(text, "which may still be in use"));
	}
}

/* What a create leaves in the first block of the spare when it is cut short. */
static void put_note(void)
{
	struct block block = { 0 };
	struct remap_super super;

	unit_super(&super, NR_SECTORS);
	super.flags = REMAP_SUPER_CREATING;
	remap_super_encode(&super, block.bytes);
	memcpy(block.bytes, "dmRemapR", 8);
	remap_block_seal(block.bytes);
	memcpy(content, block.bytes, sizeof(block.bytes));
}

/* The note says what it has left: data without a name, and nothing that is another's. */
static void a_note_is_no_leave_to_wipe_all(void **unused)
{
	const char *text;

	(void)unused;
	for (int note = 0; note < 2; note++) {
		unit_put_btrfs(empty(false), 1);
		if (note)
			put_note();
		assert_int_equal(prepare(SPARE, true, &text), 0);
		assert_non_null(strstr(spare_content, "btrfs"));
		unit_put_btrfs(empty(false), 2);
		if (note)
			put_note();
		assert_int_equal(prepare(SPARE, true, &text), -EPERM);
		unit_put_md(empty(false));
		if (note)
			put_note();
		assert_int_equal(prepare(SPARE, true, &text), -EPERM);
		assert_non_null(strstr(text, "which may still be in use"));
		memset(empty(false) + 8192, 1, 100);
		if (note)
			put_note();
		assert_int_equal(prepare(SPARE, true, &text), 0);
		assert_string_equal(spare_content, note ? "" : "unknown data");
	}
}

/* O5: the firmware reads the raw disk. */
static void what_a_machine_boots_from(void **unused)
{
	const char *text;

	(void)unused;
	unit_put_partition(content, 0x80, 0x83);
	for (int guard = 0; guard < 2; guard++) {
		assert_int_equal(prepare(MAIN, guard, &text), -EPERM);
		assert_non_null(strstr(text, "make a set of the partition"));
	}
	unit_put_partition(content, 0, 0x83);
	assert_int_equal(prepare(MAIN, true, &text), 0);
	memset(content, 0x90, 100);
	assert_int_equal(prepare(MAIN, true, &text), -EPERM);
	memset(content + 446, 0, 64); /* and without partitions */
	assert_int_equal(prepare(MAIN, true, &text), -EPERM);
	assert_non_null(strstr(text, "boot code"));
	memset(content, 0x90, 510); /* nor room for any */
	assert_int_equal(prepare(MAIN, true, &text), -EPERM);
	assert_non_null(strstr(text, "boot code"));
	/* a FAT begins like that, too, and says at every boot that it is not one */
	memset(content, 0, 512);
	memcpy(content, "\xeb\x3c\x90mkfs.fat\0\2\4\1\0\2\0\2\0\x20\xf8\x20\0\x20\0\2", 28);
	memcpy(content + 54, "FAT16   ", 8);
	memcpy(content + 62, "\x0e\x1f\xbe\x5b", 4);
	content[510] = 0x55;
	content[511] = 0xaa;
	content[512] = 0xf8;
	content[513] = 0xff;
	content[514] = 0xff;
	if (prepare(MAIN, true, &text) < 0)
		fail_msg("%s", text);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_needs_the_guard),
		TEST(what_is_no_spare),
		TEST(a_note_is_no_leave_to_wipe_all),
		TEST(what_a_machine_boots_from),
	};

	return cmocka_run_group_tests_name("create", tests, NULL, NULL);
}
