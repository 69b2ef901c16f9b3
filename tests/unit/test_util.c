// SPDX-License-Identifier: GPL-2.0-or-later
/* Strings, numbers and files of daemon/lib/util.c. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "unit.h"
#include "util/util.h"

static void numbers(void **unused)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "1x", "0x10", "1.5", "18446744073709551616", "x"
	};
	uint64_t value;

	(void)unused;
	assert_int_equal(parse_u64("0", &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(parse_u64("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(parse_u64(bad[i], &value) < 0);
}

static void sizes(void **unused)
{
	static const struct {
		const char *text;
		uint64_t nr_bytes;
	} good[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "8s", 4096 },
		{ "0x4e20s", 20000 * 512ULL },
		{ "010", 10 }, /* not octal */
		{ "1kb", 1024 },
		{ "1K", 1024 },
		{ "64M", 64ULL << 20 },
		{ "1GiB", 1ULL << 30 },
		{ "2TB", 2ULL << 40 },
		{ "3p", 3ULL << 50 },
		{ "16383P", 16383ULL << 50 },
	};
	static const char *const bad[] = { "",
					   "K",
					   "-1M",
					   "1KK",
					   "1Q",
					   "1 M",
					   "1iB",
					   "0x",
					   "0xK",
					   "8sK",
					   "16384P",
					   "99999999999999999999",
					   "36028797018963968s" };
	uint64_t nr_bytes;

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_size(good[i].text, &nr_bytes), 0);
		assert_true(nr_bytes == good[i].nr_bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(parse_size(bad[i], &nr_bytes) < 0);
}

static void numbers_as_typed(void **unused)
{
	static const char *const bad[] = { "", "-1", "0x", "8s", "1k", "1b", "1e3", "5 ", "x1" };
	uint64_t nr;

	(void)unused;
	assert_int_equal(parse_number("0x1f", &nr), 0);
	assert_true(nr == 31);
	assert_int_equal(parse_number("010", &nr), 0);
	assert_true(nr == 10);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(parse_number(bad[i], &nr) < 0);
}

static void sectors(void **unused)
{
	static const struct {
		const char *text;
		uint64_t nr_sectors;
	} good[] = {
		{ "0", 0 },	     { "20000", 20000 }, { "0x4e20", 20000 },
		{ "20000s", 20000 }, { "08", 8 },	 { "4k", 8 },
		{ "10G", 20971520 }, { "0xffS", 255 },	 { "1MiB", 2048 },
	};
	static const char *const bad[] = {
		"",   "-1", "1x", "0x", "1.5G", "99999999999999999999", "36028797018963968G",
		"8 ", "k"
	};
	uint64_t nr;

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_sectors(good[i].text, &nr), 0);
		assert_true(nr == good[i].nr_sectors);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(parse_sectors(bad[i], &nr) < 0);
}

static void uuids(void **unused)
{
	static const char text[] = "01234567-89ab-cdef-0011-223344556677";
	static const char *const bad[] = { "", "01234567-89ab-cdef-0011-22334455667",
					   "01234567-89ab-cdef-0011-2233445566778",
					   "0123456789ab-cdef-0011-22334455667700",
					   "g1234567-89ab-cdef-0011-223344556677" };
	char back[UUID_STRING_BYTES];
	uint8_t uuid[16];

	(void)unused;
	assert_int_equal(uuid_from_string(text, uuid), 0);
	assert_int_equal(uuid[0], 0x01);
	assert_int_equal(uuid[15], 0x77);
	uuid_to_string(uuid, back);
	assert_string_equal(back, text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(uuid_from_string(bad[i], uuid) < 0);
}

static void names(void **unused)
{
	static const char *const good[] = { "a", "data", "old-disk_2.b", "0",
					    "12345678901234567890123456789012" };
	static const char *const bad[] = {
		"",	  "-a",	      ".a",
		"..",	  "a/b",      "a b",
		"a\n",	  "\xc3\xa4", "123456789012345678901234567890123",
		"control"
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(device_name_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(device_name_ok(bad[i]));
}

/* In the place of the C library's: a file system that gives a file its only name when it is made. */
static bool has_no_links;

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	if (has_no_links) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

/* What was killed in the middle leaves one file at most, which the next one removes. */
static void files_that_were_not_finished(void **unused)
{
	char directory[] = "/tmp/unit-util.XXXXXX", path[64], temporary[96];
	_cleanup_free_ char *data = NULL;
	int fd;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state", directory);
	snprintf(temporary, sizeof(temporary), "%s.dmremap-new", path);
	assert_int_equal(write_file_atomic(path, "one", 3, 0600), 0);
	for (unsigned int i = 0; i < 2; i++) {
		has_no_links = i;
		fd = open(temporary, O_RDWR | O_CREAT, 0600);
		assert_true(fd >= 0 && write(fd, "ha", 2) == 2);
		close(fd);
		assert_int_equal(write_file_atomic(path, "whole", 5, 0600), 0);
		assert_int_equal(access(temporary, F_OK), -1);
	}
	/* one that is being written is not taken away */
	fd = open(temporary, O_RDWR | O_CREAT, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(write_file_atomic(path, "two", 3, 0600), -EBUSY);
	assert_int_equal(access(temporary, F_OK), 0);
	close(fd);
	has_no_links = false;
	assert_int_equal(read_file(path, &data, NULL), 0);
	assert_string_equal(data, "whole");
	unlink(temporary);
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
}

static void files(void **unused)
{
	char directory[] = "/tmp/unit-util.XXXXXX", path[64];
	_cleanup_free_ char *data = NULL;
	struct stat st;
	size_t nr_bytes;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state", directory);
	assert_int_equal(write_file_atomic(path, "one", 3, 0600), 0);
	assert_int_equal(write_file_atomic(path, "second", 6, 0640), 0);
	assert_int_equal(read_file(path, &data, &nr_bytes), 0);
	assert_int_equal(nr_bytes, 6);
	assert_string_equal(data, "second");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	unlink(path);
	/* nothing temporary was left beside it */
	assert_int_equal(rmdir(directory), 0);
	assert_true(write_file_atomic(path, "x", 1, 0600) < 0);
}

/* Neither is waited for, nor replaced. */
static void what_is_no_file(void **unused)
{
	char directory[] = "/tmp/unit-util.XXXXXX", path[64];
	_cleanup_free_ char *data = NULL;
	struct stat st;

	(void)unused;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/fifo", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(read_regular_file(path, 4096, &data, NULL), -EINVAL);
	assert_int_equal(write_file_atomic(path, "x", 1, 0600), -ENOTSUP);
	assert_true(stat(path, &st) == 0 && S_ISFIFO(st.st_mode));
	unlink(path);
	assert_int_equal(read_regular_file(directory, 4096, &data, NULL), -EINVAL);
	assert_int_equal(write_file_atomic(directory, "x", 1, 0600), -EISDIR);
	assert_int_equal(read_regular_file(path, 4096, &data, NULL), -ENOENT);
	assert_int_equal(write_file_atomic(path, "text", 4, 0600), 0);
	assert_int_equal(read_regular_file(path, 4096, &data, NULL), 0);
	assert_string_equal(data, "text");
	unlink(path);
	assert_int_equal(rmdir(directory), 0);
}

static void nodes(void **unused)
{
	char path[32];

	(void)unused;
	node_of_sysfs("sda1", path, sizeof(path));
	assert_string_equal(path, "/dev/sda1");
	node_of_sysfs("cciss!c0d0p1", path, sizeof(path));
	assert_string_equal(path, "/dev/cciss/c0d0p1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_file),
		cmocka_unit_test(nodes),
		cmocka_unit_test(numbers),
		cmocka_unit_test(sizes),
		cmocka_unit_test(numbers_as_typed),
		cmocka_unit_test(sectors),
		cmocka_unit_test(uuids),
		cmocka_unit_test(names),
		cmocka_unit_test(files),
		cmocka_unit_test(files_that_were_not_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
