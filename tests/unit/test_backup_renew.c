// SPDX-License-Identifier: GPL-2.0-or-later
/* Backups that are made again and again: which are kept, and when the one before is not touched. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/backup-renew.h"
#include "unit.h"

#define DAY 86400ULL
#define NOW 1800000000ULL

static char directory[32], path[64];
static struct backup backup;

static int setup(void **unused)
{
	(void)unused;
	snprintf(directory, sizeof(directory), "/tmp/unit-renew.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/u.backup", directory);
	backup = (struct backup){ .created = NOW, .generation = 1, .has_header = true };
	unit_super(&backup.super, 4096);
	backup.header = aligned_bytes(REMAP_CHUNK_BYTES);
	backup.entry = calloc(64, sizeof(backup.entry[0]));
	backup.content = aligned_bytes(REMAP_CHUNK_BYTES);
	return 0;
}

static const char *name(const char *suffix)
{
	static char text[80];

	snprintf(text, sizeof(text), "%s%s", path, suffix);
	return text;
}

static int cleanup(void **unused)
{
	static const char *const suffixes[] = { "", ".1", ".2", ".week", ".week2" };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		unlink(name(suffixes[i]));
	assert_int_equal(rmdir(directory), 0);
	backup_done(&backup);
	return 0;
}

/* One more remap, a while later. */
static void remap(uint64_t created)
{
	uint32_t slot = backup.nr_entries++;

	backup.entry[slot] = (struct backup_entry){
		.slot = slot,
		.content = BACKUP_NO_CONTENT,
		.entry = { .main_chunk = slot,
			   .redirected = 1,
			   .state = REMAP_ENTRY_USED,
			   .cause = REMAP_CAUSE_WRITE_ERROR },
	};
	backup.generation++;
	backup.created = created;
}

static int renew(bool *is_current)
{
	struct error error = { "" };
	int r = backup_renew(&backup, path, is_current, &error);

	assert_int_equal(r < 0, *error.text != '\0');
	return r;
}

/* Remaps in the backup of that name; -1: there is none. */
static int remaps_in(const char *suffix)
{
	_cleanup_backup_ struct backup read = { 0 };

	return backup_read(name(suffix), &read, NULL) < 0 ? -1 : (int)read.nr_entries;
}

static void some_are_kept(void **unused)
{
	bool is_current;

	(void)unused;
	for (int day = 0; day < 30; day++) {
		remap(NOW + (uint64_t)day * DAY);
		assert_int_equal(renew(&is_current), 0);
		assert_false(is_current);
		assert_int_equal(remaps_in(""), day + 1);
		assert_int_equal(remaps_in(".1"), day > 0 ? day : -1);
		assert_int_equal(remaps_in(".2"), day > 1 ? day - 1 : -1);
		/* from the first three weeks on: one of the last nine days, one a week older */
		if (day > 20) {
			int week = remaps_in(".week"), week2 = remaps_in(".week2");

			assert_in_range(week, day + 1 - 9, day + 1 - 3);
			assert_int_equal(week2, week - 7);
		}
	}
}

static void what_is_the_same_is_current(void **unused)
{
	struct stat before, after;
	bool is_current;

	(void)unused;
	remap(NOW);
	assert_int_equal(renew(&is_current), 0);
	assert_int_equal(stat(path, &before), 0);
	backup.created += DAY;
	assert_int_equal(renew(&is_current), 0);
	assert_true(is_current);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* another number alone: restore has to know it, and it is no reason to keep the one before */
	backup.generation++;
	assert_int_equal(renew(&is_current), 0);
	assert_true(is_current);
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(remaps_in(".1"), -1);
	backup.entry[0].entry.lost = 1;
	assert_int_equal(renew(&is_current), 0);
	assert_int_equal(remaps_in(".1"), 1);
}

static void what_the_new_one_lacks_stays(void **unused)
{
	bool is_current;

	(void)unused;
	remap(NOW);
	assert_int_equal(renew(&is_current), 0);
	remap(NOW + 1);
	backup.nr_unreadable = 1;
	assert_int_equal(renew(&is_current), -EIO);
	backup.nr_unreadable = 0;
	backup.has_header = false;
	assert_int_equal(renew(&is_current), -EIO);
	assert_int_equal(remaps_in(""), 1);
	assert_int_equal(remaps_in(".1"), -1);
	backup.has_header = true;
	assert_int_equal(renew(&is_current), 0);
	assert_int_equal(remaps_in(""), 2);
}

static void what_is_no_backup_of_it_stays(void **unused)
{
	bool is_current;
	FILE *file;

	(void)unused;
	remap(NOW);
	assert_int_equal(renew(&is_current), 0);
	memcpy(backup.super.uuid, unit_other_uuid, REMAP_UUID_BYTES);
	remap(NOW + 1);
	assert_int_equal(renew(&is_current), -EEXIST);
	assert_int_equal(remaps_in(""), 1);
	assert_int_equal(remaps_in(".1"), -1);
	/* one that is damaged takes no place of those that are not */
	memcpy(backup.super.uuid, unit_uuid, REMAP_UUID_BYTES);
	assert_int_equal(renew(&is_current), 0);
	file = fopen(path, "r+");
	assert_non_null(file);
	fseek(file, 3 * 4096, SEEK_SET);
	fputc('x', file);
	fclose(file);
	assert_int_equal(remaps_in(""), -1);
	remap(NOW + 2);
	assert_int_equal(renew(&is_current), 0);
	assert_int_equal(remaps_in(""), 3);
	assert_int_equal(remaps_in(".1"), 1);
}

/* Killed, or out of space, between the second name and the new file: the next ones go on. */
static void one_that_did_not_end(void **unused)
{
	char one[80], two[80];
	bool is_current;

	(void)unused;
	for (int day = 0; day < 3; day++) {
		remap(NOW + (uint64_t)day * DAY);
		assert_int_equal(renew(&is_current), 0);
	}
	snprintf(one, sizeof(one), "%s", name(".1"));
	snprintf(two, sizeof(two), "%s", name(".2"));
	for (int again = 0; again < 2; again++) {
		assert_int_equal(rename(one, two), 0);
		assert_int_equal(link(path, one), 0);
		for (int i = 0; i < 4; i++) {
			int before = remaps_in("");

			remap(backup.created + DAY);
			assert_int_equal(renew(&is_current), 0);
			assert_int_equal(remaps_in(""), before + 1);
			assert_int_equal(remaps_in(".1"), before);
			assert_int_equal(remaps_in(".2"), before - 1);
		}
	}
}

/* Two at once: the one that read the spare earlier comes later. */
static void an_older_one_is_not_put_on_top(void **unused)
{
	bool is_current;
	struct error error;

	(void)unused;
	remap(NOW);
	assert_int_equal(renew(&is_current), 0);
	remap(NOW + 2);
	remap(NOW + 2);
	assert_int_equal(renew(&is_current), 0);
	backup.nr_entries = 2;
	backup.generation--;
	assert_int_equal(renew(&is_current), 0);
	assert_true(is_current);
	assert_int_equal(backup_write(&backup, path, &error), 0);
	assert_int_equal(remaps_in(""), 3);
	assert_int_equal(remaps_in(".1"), 1);
	/* a set that an older backup was restored to */
	backup.created++;
	assert_int_equal(renew(&is_current), 0);
	assert_false(is_current);
	assert_int_equal(remaps_in(""), 2);
}

/* What is there is looked at, moved and replaced in one go. */
static void one_at_a_time(void **unused)
{
	bool is_current;
	int lock, status;
	pid_t pid;

	(void)unused;
	remap(NOW);
	lock = backup_lock(path);
	assert_int_not_equal(lock, -1);
	pid = fork();
	if (!pid) {
		close(lock); /* it is shared */
		alarm(60);
		_exit(renew(&is_current) < 0);
	}
	usleep(200000);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(remaps_in(""), -1);
	close(lock);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(remaps_in(""), 1);
}

/* A stranger may lock a directory that he can read. */
static void who_keeps_the_lock_does_not_stop_it(void **unused)
{
	struct backup now = { 0 };
	int lock = backup_lock(path);

	(void)unused;
	assert_int_not_equal(lock, -1);
	alarm(120);
	assert_int_equal(backup_write(&backup, path, NULL), 0);
	alarm(0);
	close(lock);
	assert_int_equal(backup_read(path, &now, NULL), 0);
	backup_done(&now);
}

static void copies(void **unused)
{
	char other[] = "/tmp/unit-copies.XXXXXX", copy[64];
	_cleanup_backup_ struct backup read = { 0 };
	struct error error;
	bool is_current;
	struct stat st;

	(void)unused;
	assert_non_null(mkdtemp(other));
	snprintf(copy, sizeof(copy), "%s/u.backup", other);
	remap(NOW);
	assert_int_equal(renew(&is_current), 0);
	assert_int_equal(backup_copy(path, other, &error), 0);
	assert_int_equal(backup_read(copy, &read, &error), 0);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(rmdir(other), 0);
	/* not mounted: nothing is made */
	assert_int_equal(backup_copy(path, other, &error), -ENOTDIR);
	assert_non_null(strstr(error.text, "mounted"));
	assert_int_equal(access(other, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(some_are_kept, setup, cleanup),
		cmocka_unit_test_setup_teardown(what_is_the_same_is_current, setup, cleanup),
		cmocka_unit_test_setup_teardown(what_the_new_one_lacks_stays, setup, cleanup),
		cmocka_unit_test_setup_teardown(what_is_no_backup_of_it_stays, setup, cleanup),
		cmocka_unit_test_setup_teardown(one_that_did_not_end, setup, cleanup),
		cmocka_unit_test_setup_teardown(an_older_one_is_not_put_on_top, setup, cleanup),
		cmocka_unit_test_setup_teardown(one_at_a_time, setup, cleanup),
		cmocka_unit_test_setup_teardown(who_keeps_the_lock_does_not_stop_it, setup,
						cleanup),
		cmocka_unit_test_setup_teardown(copies, setup, cleanup),
	};

	return cmocka_run_group_tests_name("backup renewal", tests, NULL, NULL);
}
