// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which disks lie under a device, and what becomes of their write caches, on a made-up /sys.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remap_format.h"
#include "system/lock.h"
#include "system/write-cache.h"
#include "unit.h"

#define ONE "11111111-1111-1111-1111-111111111111"
#define TWO "22222222-2222-2222-2222-222222222222"
#define SDA makedev(8, 0)
#define SDB makedev(8, 16)
#define NVME makedev(259, 0)

static char root[64], sys[96], run[96];
static bool nvme_on, nvme_fails, nvme_refuses;
static unsigned int nr_nvme_sets;

static int nvme(const char *node, bool set, bool *on)
{
	assert_string_equal(node, "/dev/nvme0n1");
	nr_nvme_sets += set;
	if (nvme_fails || (set && nvme_refuses))
		return -EOPNOTSUPP;
	if (set)
		nvme_on = *on;
	else
		*on = nvme_on;
	return 0;
}

static struct cache_world world = { .sys = sys, .dev = "/dev", .run = run, .nvme = nvme };

static void put(const char *path, const char *text)
{
	char command[2 * PATH_MAX], full[PATH_MAX];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", sys, path);
	snprintf(command, sizeof(command), "mkdir -p $(dirname %s)", full);
	assert_int_equal(system(command), 0);
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void get(const char *path, char *text, size_t nr_bytes)
{
	char full[PATH_MAX];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", sys, path);
	file = fopen(full, "r");
	assert_non_null(file);
	if (!fgets(text, (int)nr_bytes, file))
		*text = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(file);
}

static void assert_is(const char *path, const char *wanted)
{
	char text[64];

	get(path, text, sizeof(text));
	assert_string_equal(text, wanted);
}

/* @parent: of a partition; "": a disk */
static void add(const char *name, const char *number, const char *parent)
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "devices/%s%s%s/dev", parent, *parent ? "/" : "", name);
	put(path, number);
	if (*parent) {
		snprintf(path, sizeof(path), "devices/%s/%s/partition", parent, name);
		put(path, "1\n");
	} else {
		snprintf(path, sizeof(path), "devices/%s/diskseq", name);
		put(path, "7\n");
	}
	snprintf(target, sizeof(target), "%s/devices/%s%s%s", sys, parent, *parent ? "/" : "",
		 name);
	snprintf(path, sizeof(path), "%s/dev/block/%.*s", sys, (int)strcspn(number, "\n"), number);
	assert_int_equal(symlink(target, path), 0);
}

static void slave(const char *upper, const char *lower, const char *name)
{
	char path[PATH_MAX], target[PATH_MAX], command[2 * PATH_MAX];

	snprintf(command, sizeof(command), "mkdir -p %s/devices/%s/slaves", sys, upper);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof(path), "%s/devices/%s/slaves/%s", sys, upper, name);
	snprintf(target, sizeof(target), "%s/devices/%s", sys, lower);
	assert_int_equal(symlink(target, path), 0);
}

#define SDA_CACHE "devices/sda/device/scsi_disk/0:0:0:0/cache_type"
#define SDB_CACHE "devices/sdb/device/scsi_disk/1:0:0:0/cache_type"

/* sda with sda1, sdb, nvme0n1 with p2, vda; md0 of sda1 and sdb, dm-0 on md0. */
static int setup(void **state)
{
	char command[256];

	(void)state;
	snprintf(root, sizeof(root), "/tmp/unit-cache.XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(sys, sizeof(sys), "%s/sys", root);
	snprintf(run, sizeof(run), "%s/run", root);
	snprintf(command, sizeof(command), "mkdir -p %s/dev/block", sys);
	assert_int_equal(system(command), 0);
	add("sda", "8:0\n", "");
	add("sda1", "8:1\n", "sda");
	add("sdb", "8:16\n", "");
	add("nvme0n1", "259:0\n", "");
	add("nvme0n1p2", "259:2\n", "nvme0n1");
	add("vda", "254:0\n", "");
	add("md0", "9:0\n", "");
	add("dm-0", "253:0\n", "");
	slave("md0", "sda/sda1", "sda1");
	slave("md0", "sdb", "sdb");
	slave("dm-0", "md0", "md0");
	put(SDA_CACHE, "write back\n");
	put(SDB_CACHE, "write through\n");
	put("devices/nvme0n1/queue/write_cache", "write back\n");
	put("devices/vda/queue/write_cache", "write back\n");
	nvme_on = true;
	nvme_fails = false;
	nvme_refuses = false;
	nr_nvme_sets = 0;
	return 0;
}

static int teardown(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void the_disks_at_the_bottom(void **state)
{
	struct disk_cache *disks;
	size_t nr;

	(void)state;
	assert_int_equal(disk_caches_of(&world, makedev(8, 1), &disks, &nr), 0);
	assert_int_equal(nr, 1);
	assert_true(disks[0].devno == SDA && disks[0].kind == CACHE_SCSI);
	assert_string_equal(disks[0].node, "/dev/sda");
	assert_string_equal(disks[0].value, "write back");
	free(disks);
	assert_int_equal(disk_caches_of(&world, makedev(253, 0), &disks, &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(disks[0].devno + disks[1].devno, SDA + SDB);
	free(disks);
	assert_int_equal(disk_caches_of(&world, makedev(254, 0), &disks, &nr), 0);
	assert_true(nr == 1 && disks[0].kind == CACHE_NONE);
	assert_string_equal(disks[0].value, "write back");
	free(disks);
	assert_int_equal(disk_caches_of(&world, makedev(1, 1), &disks, &nr), 0);
	assert_int_equal(nr, 0);
	free(disks);
}

static void off_and_as_it_was(void **state)
{
	struct error told;

	(void)state;
	write_cache_off(&world, ONE, makedev(253, 0), &told);
	assert_string_equal(told.text, "/dev/sda: the write cache is off now");
	assert_is(SDA_CACHE, "write through");
	assert_is(SDB_CACHE, "write through");
	write_cache_off(&world, ONE, makedev(253, 0), &told);
	assert_string_equal(told.text, "");
	write_cache_let_go(&world, TWO);
	assert_is(SDA_CACHE, "write through");
	write_cache_let_go(&world, ONE);
	assert_is(SDA_CACHE, "write back");
	assert_is(SDB_CACHE, "write through");
	write_cache_let_go(&world, ONE);
	assert_is(SDA_CACHE, "write back");
}

/* The kernel's other word for a disk that caches no reads is put back as it was. */
static void words_of_the_kernel(void **state)
{
	struct error told;

	(void)state;
	put(SDA_CACHE, "write back, no read (daft)\n");
	write_cache_off(&world, ONE, SDA, &told);
	assert_is(SDA_CACHE, "write through");
	write_cache_let_go(&world, ONE);
	assert_is(SDA_CACHE, "write back, no read (daft)");
}

static void two_sets_on_one_disk(void **state)
{
	struct error told;

	(void)state;
	write_cache_off(&world, ONE, makedev(8, 1), &told);
	write_cache_off(&world, TWO, SDA, &told);
	assert_string_equal(told.text, "");
	write_cache_let_go(&world, ONE);
	assert_is(SDA_CACHE, "write through");
	write_cache_let_go(&world, TWO);
	assert_is(SDA_CACHE, "write back");
}

/* Another process: it holds the disk's lock until the other set has let the cache go. */
static void __attribute__((noreturn)) let_go_under_the_lock(int ready)
{
	char path[PATH_MAX];
	int lock = -1;

	snprintf(path, sizeof(path), "%s.lock", run);
	if (lock_device_in(path, &lock, SDA, NULL) < 0 || write(ready, "", 1) != 1)
		_exit(1);
	usleep(300 * 1000);
	put(SDA_CACHE, "write back\n");
	snprintf(path, sizeof(path), "%s/8:0", run);
	unlink(path);
	_exit(0);
}

/* What the disk was while its lock was waited for does not count. */
static void let_go_while_it_is_waited_for(void **state)
{
	struct error told;
	int ready[2], status;
	char byte;
	pid_t pid;

	(void)state;
	write_cache_off(&world, ONE, SDA, &told);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid)
		let_go_under_the_lock(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	write_cache_off(&world, TWO, SDA, &told);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
	assert_string_equal(told.text, "/dev/sda: the write cache is off now");
	assert_is(SDA_CACHE, "write through");
	write_cache_let_go(&world, TWO);
	assert_is(SDA_CACHE, "write back");
}

static void after_a_power_cycle(void **state)
{
	struct error told;

	(void)state;
	write_cache_again(&world, SDA, &told);
	assert_is(SDA_CACHE, "write back");
	write_cache_off(&world, ONE, SDA, &told);
	put(SDA_CACHE, "write back\n");
	write_cache_again(&world, SDA, &told);
	assert_string_equal(told.text, "/dev/sda: the write cache is off now");
	assert_is(SDA_CACHE, "write through");
	/* another disk that has the number now is left alone */
	put("devices/sda/diskseq", "8\n");
	put(SDA_CACHE, "write back\n");
	write_cache_again(&world, SDA, &told);
	assert_is(SDA_CACHE, "write back");
	put(SDA_CACHE, "none\n");
	write_cache_let_go(&world, ONE);
	assert_is(SDA_CACHE, "none");
}

/* It was turned on meanwhile, and stays so. */
static void changed_by_others(void **state)
{
	struct error told;

	(void)state;
	write_cache_off(&world, ONE, SDA, &told);
	put(SDA_CACHE, "write back, no read (daft)\n");
	write_cache_let_go(&world, ONE);
	assert_is(SDA_CACHE, "write back, no read (daft)");
}

static void nvme_has_a_feature(void **state)
{
	struct error told;

	(void)state;
	write_cache_off(&world, ONE, makedev(259, 2), &told);
	assert_string_equal(told.text, "/dev/nvme0n1: the write cache is off now");
	assert_false(nvme_on);
	write_cache_off(&world, ONE, makedev(259, 2), &told);
	assert_int_equal(nr_nvme_sets, 1);
	write_cache_let_go(&world, ONE);
	assert_true(nvme_on);
	nvme_fails = true;
	write_cache_off(&world, ONE, NVME, &told);
	assert_string_equal(told.text, "");
}

static void what_cannot_be_turned_off_is_said_once(void **state)
{
	struct error told;

	(void)state;
	nvme_refuses = true;
	write_cache_off(&world, ONE, NVME, &told);
	assert_non_null(strstr(told.text, "/dev/nvme0n1: the write cache cannot be turned off"));
	write_cache_off(&world, ONE, NVME, &told);
	assert_string_equal(told.text, "");
	write_cache_again(&world, NVME, &told);
	assert_string_equal(told.text, "");
	nr_nvme_sets = 0;
	write_cache_let_go(&world, ONE);
	assert_int_equal(nr_nvme_sets, 0);
}

static void flags_and_names(void **state)
{
	enum write_cache mode;

	(void)state;
	for (int m = WRITE_CACHE_THROUGH; m <= WRITE_CACHE_AUTO; m++) {
		uint32_t flags = write_cache_flags(0xffffffff, (enum write_cache)m);

		assert_int_equal(write_cache_of_flags(flags), m);
		assert_int_equal(flags | REMAP_SUPER_WRITE_KEEP | REMAP_SUPER_WRITE_AUTO,
				 0xffffffff);
		assert_int_equal(write_cache_parse(write_cache_name((enum write_cache)m), &mode),
				 0);
		assert_int_equal(mode, m);
	}
	assert_int_equal(write_cache_flags(0, WRITE_CACHE_THROUGH), 0);
	assert_int_equal(write_cache_parse("back", &mode), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_disks_at_the_bottom, setup, teardown),
		cmocka_unit_test_setup_teardown(off_and_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(words_of_the_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(two_sets_on_one_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(let_go_while_it_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(after_a_power_cycle, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_by_others, setup, teardown),
		cmocka_unit_test_setup_teardown(nvme_has_a_feature, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_turned_off_is_said_once, setup,
						teardown),
		cmocka_unit_test(flags_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
