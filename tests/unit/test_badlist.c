// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists of bad sectors in all formats: also broken ones, also random bytes. */
#include <errno.h>

#include "format/badlist.h"
#include "unit.h"

#define LIST(...) \
	(struct bad_range[]){ __VA_ARGS__ }, sizeof((struct bad_range[]){ __VA_ARGS__ }) / 16

static struct badlist parse(const char *text, enum badlist_format format)
{
	struct badlist list = { .format = format, .block_bytes = 1024, .lba_bytes = 512 };
	struct error error = { "" };

	if (badlist_parse(text, &list, &error) < 0)
		fail_msg("%s", error.text);
	return list;
}

static void expect(const char *text, enum badlist_format format, enum badlist_format found,
		   const struct bad_range *wanted, size_t nr_wanted)
{
	struct badlist list = parse(text, format);

	assert_int_equal(list.format, found);
	assert_int_equal(list.nr_ranges, nr_wanted);
	for (size_t i = 0; i < nr_wanted; i++) {
		assert_int_equal(list.range[i].sector, wanted[i].sector);
		assert_int_equal(list.range[i].nr_sectors, wanted[i].nr_sectors);
	}
	badlist_done(&list);
}

static void badblocks(void **unused)
{
	(void)unused;
	expect("", BADLIST_GUESS, BADLIST_BADBLOCKS, NULL, 0);
	expect("7\n8\n\n100\n7", BADLIST_GUESS, BADLIST_BADBLOCKS, LIST({ 14, 4 }, { 200, 2 }));
	expect("100\r\n3\r\n", BADLIST_BADBLOCKS, BADLIST_BADBLOCKS, LIST({ 6, 2 }, { 200, 2 }));
	/* a byte order mark, an own comment, hexadecimal; a leading 0 is not octal */
	expect("\xef\xbb\xbf# mine\n0x10\n010 # ten\n", BADLIST_GUESS, BADLIST_BADBLOCKS,
	       LIST({ 20, 2 }, { 32, 2 }));
}

static void ddrescue(void **unused)
{
	static const char map[] = "# Mapfile. Created by GNU ddrescue version 1.27\n"
				  "# Command line: ddrescue a b c\n"
				  "# current_pos  current_status  current_pass\n"
				  "0x00120000     ?               1\n"
				  "#      pos        size  status\n"
				  "0x00000000  0x00010000  +\n"
				  "0x00010000  0x00000200  -\n"
				  "0x00010200  0x00000100  -\n"
				  "0x00010300  0x00000100  /\n"
				  "0x00020001  0x00000001  -\n"
				  "0x00020002  0x00010000  ?\n"
				  "0x00030002  0x00010000  *\n";
	struct badlist list = { .areas = "?*/-" };
	struct error error;

	(void)unused;
	/* not tried is not bad; a part of a sector is */
	expect(map, BADLIST_GUESS, BADLIST_DDRESCUE, LIST({ 128, 2 }, { 256, 1 }));
	list = parse(map, BADLIST_GUESS);
	assert_int_equal(list.untrimmed, 128);
	assert_int_equal(list.unscraped, 1);
	assert_int_equal(list.untried, 128 + 127); /* with the gap */
	assert_int_equal(list.end, 0x40002 / 512);
	badlist_done(&list);
	/* all that was not rescued */
	list = (struct badlist){ .areas = "?*/-" };
	assert_int_equal(badlist_parse(map, &list, &error), 0);
	assert_int_equal(list.nr_ranges, 1);
	assert_int_equal(list.range[0].sector, 128);
	badlist_done(&list);
}

/* Row 9: as ddrescuelog reads it. */
static void unusual_maps(void **unused)
{
	char text[512];

	(void)unused;
	snprintf(text, sizeof(text), "# mine\n\n  # indented\n0x0 +\n0 0x200 -\n512 512 +%300s\n",
		 "# a long line");
	expect(text, BADLIST_GUESS, BADLIST_DDRESCUE, LIST({ 0, 1 }));
	expect("0x00 F 2\n0x200 0x200 -\n", BADLIST_GUESS, BADLIST_DDRESCUE, LIST({ 1, 1 }));
}

static void ranges(void **unused)
{
	(void)unused;
	expect("800 4\n1000 2\n", BADLIST_GUESS, BADLIST_RANGES, LIST({ 800, 4 }, { 1000, 2 }));
	expect("800-803\n0x3e8 - 1001\n", BADLIST_GUESS, BADLIST_RANGES,
	       LIST({ 800, 4 }, { 1000, 2 }));
	expect("800\n801\n", BADLIST_RANGES, BADLIST_RANGES, LIST({ 800, 2 }));
	expect("Bad-blocks on /dev/sdb1:\n               20000 for 8 sectors\n", BADLIST_GUESS,
	       BADLIST_MDADM, LIST({ 20000, 8 }));
}

static void kernel_log(void **unused)
{
	static const char log[] =
		"[  12.1] sd 2:0:0:0: [sdb] tag#0 Sense Key : Medium Error [current]\n"
		"[  12.2] blk_update_request: critical medium error, dev sdb, sector 22048 op "
		"0x0:(READ) flags 0x0 phys_seg 1 prio class 0\n"
		"[  12.3] I/O error, dev sdb, sector 22049 op 0x1:(WRITE)\n"
		"[  12.4] I/O error, dev sdc, sector 5 op 0x1:(WRITE)\n"
		"[  12.5] Buffer I/O error on dev sdb1, logical block 2500, async page read\n";
	struct badlist list = { .lba_bytes = 4096, .disk = "sdc" };
	struct error error;

	(void)unused;
	expect(log, BADLIST_GUESS, BADLIST_KERNEL, LIST({ 22048, 2 }));
	assert_int_equal(badlist_parse(log, &list, &error), 0);
	assert_true(list.is_of_disk && list.nr_ranges == 1 && list.range[0].sector == 5);
	assert_int_equal(list.nr_other_disks, 2);
	badlist_done(&list);
	list = (struct badlist){ .lba_bytes = 4096 };
	assert_int_equal(badlist_parse("nvme0n1: Read(0x2) @ LBA 10, 2 blocks, Unrecovered\n",
				       &list, &error),
			 0);
	assert_true(list.nr_ranges == 1 && list.range[0].sector == 80 &&
		    list.range[0].nr_sectors == 16);
	badlist_done(&list);
}

static void smartctl(void **unused)
{
	static const char log[] =
		"# 1  Extended offline    Completed: read failure       90%     12345         22048\n"
		"# 2  Short offline       Completed without error       00%     12340         -\n"
		"# 3  Extended captive    Completed: read failure       10%     12000         -\n";
	static const char errors[] =
		"Error 3 occurred at disk power-on lifetime: 100 hours\n"
		"  40 51 08 50 c3 00 e0  Error: UNC 8 sectors at LBA = 0x0000c350 = 50000\n"
		"  40 51 00 ff ff ff 0f  Error: UNC at LBA = 0x0fffffff = 268435455\n";
	static const char scsi[] =
		"# 1  Background long   Failed in segment -->       -    1234             22048 "
		"[0x3 0x11 0x0]\n";

	(void)unused;
	expect(log, BADLIST_GUESS, BADLIST_SMARTCTL, LIST({ 22048, 1 }));
	expect(errors, BADLIST_GUESS, BADLIST_SMARTCTL, LIST({ 50000, 8 }));
	expect(scsi, BADLIST_GUESS, BADLIST_SMARTCTL, LIST({ 22048, 1 }));
}

/* Errors of a cable, of a command or of a path say nothing about a sector. */
static void not_of_the_medium(void **unused)
{
	static const char kernel[] =
		"blk_update_request: critical target error, dev sdb, sector 100 op 0x1:(WRITE)\n"
		"blk_update_request: timeout error, dev sdb, sector 200 op 0x0:(READ)\r\n"
		"[1] recoverable transport error, dev sdb, sector 300 op 0x0:(READ)\n"
		"end_request: I/O error, dev sdb, sector 400\n"
		"Nov 30 x kernel: print_req_error: critical medium error, dev sdb, sector 500\n"
		"Buffer I/O error on dev sdb1, logical block 75, async page read\n";
	static const char nvme[] =
		"[ 1.0] nvme0n1: I/O Cmd(0x2) @ LBA 22048, 8 blocks, I/O Error (sct 0x2 / sc 0x81) \n"
		"[ 1.0] nvme0n1: I/O Cmd(0x1) @ LBA 100, 8 blocks, I/O Error (sct 0x3 / sc 0x71) \n";
	static const char ata[] =
		"  40 -- 51 00 08 00 00 00 00 c3 50 40 00  Error: UNC 8 sectors at LBA = 0x0000c350 = 50000\n"
		"  84 51 08 50 c3 00 e0  Error: ICRC, ABRT 8 sectors at LBA = 0x0000c3f0 = 50160\n"
		"  10 51 01 60 00 00 e0  Error: IDNF at LBA = 0x00000060 = 96\n"
		"  04 51 01 00 00 00 e0  Error: ABRT at LBA = 0x00000007 = 7\n";
	static const char nvme_log[] =
		"Error Information (NVMe Log 0x01, 16 of 63 entries)\n"
		"Num   ErrCount  SQId   CmdId  Status  PELoc          LBA  NSID    VS  Message\n"
		"  0        124     1  0x001f  0x4502  0x000        22048     1     -  Unrecovered Read "
		"Error\n"
		"  1        123     1  0x001f  0x4503      -        30000     1     -  x\n"
		"  2        122     0  0x0008  0x4004  0x028            0     0     -  Invalid Field\n"
		"  3        121     -       -  0x4500  0x028            -     0     -  Write Fault\n"
		"Self-test Log (NVMe Log 0x06)\n"
		"Num  Test_Description  Status                       Power_on_Hours  Failing_LBA  NSID SCT "
		"Code\n"
		" 0   Extended          Completed: failed segments               6613        40000     1 0x2 "
		"0x81\n"
		" 1   Short             Completed: unknown failed segment        6600            -     -   - "
		"   -\n"
		" 2   Short             Completed without error                  6500            -     -   - "
		"   -\n";
	struct badlist list = parse(kernel, BADLIST_GUESS);

	(void)unused;
	assert_int_equal(list.nr_other_errors, 3);
	badlist_done(&list);
	expect(kernel, BADLIST_GUESS, BADLIST_KERNEL, LIST({ 400, 1 }, { 500, 1 }));
	expect(nvme, BADLIST_GUESS, BADLIST_KERNEL, LIST({ 22048, 8 }));
	expect(ata, BADLIST_GUESS, BADLIST_SMARTCTL, LIST({ 96, 1 }, { 50000, 8 }));
	expect(nvme_log, BADLIST_GUESS, BADLIST_SMARTCTL,
	       LIST({ 22048, 1 }, { 30000, 1 }, { 40000, 1 }));
}

/* A flush that fails names sector 0, a discard or zeroing the sector that it began at. */
static void commands_without_data(void **unused)
{
	static const char kernel[] =
		"[1] I/O error, dev sdb, sector 0 op 0x1:(WRITE) flags 0x800 phys_seg 0 prio class 0\n"
		"[1] I/O error, dev sdb, sector 8 op 0x2:(FLUSH) flags 0x800 phys_seg 0 prio class 2\n"
		"[1] I/O error, dev sdb, sector 16 op 0x3:(DISCARD) flags 0x800 phys_seg 1 prio class 2\n"
		"[1] I/O error, dev sdb, sector 24 op 0x9:(WRITE_ZEROES) flags 0x0 phys_seg 0\n"
		"[1] I/O error, dev sdb, sector 32 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 0\n"
		"[1] critical medium error, dev sdb, sector 40 op 0x0:(READ) flags 0x80700 phys_seg 10\n";
	struct badlist list = parse(kernel, BADLIST_GUESS);

	(void)unused;
	assert_int_equal(list.nr_other_errors, 4);
	badlist_done(&list);
	expect(kernel, BADLIST_GUESS, BADLIST_KERNEL, LIST({ 32, 1 }, { 40, 1 }));
}

/* The name of the device is the word before the sector, whatever else is in the line. */
static void nvme_elsewhere(void **unused)
{
	(void)unused;
	expect("Nov 30 12:00:00 nvme-host kernel: nvme0n1: Read(0x2) @ LBA 22048, 8 blocks, x\n",
	       BADLIST_GUESS, BADLIST_KERNEL, LIST({ 22048, 8 }));
	expect("x @ LBA 22048 of nvme0n1\n7\n", BADLIST_KERNEL, BADLIST_KERNEL, NULL, 0);
	expect("[1] Buffer I/O error on dev sdb1, logical block 2500, async page read\n",
	       BADLIST_GUESS, BADLIST_KERNEL, NULL, 0);
}

static void smartctl_json(void **unused)
{
	static const char text[] =
		" {\n\"json_format_version\": [1, 0], \"lba\": 1,\n"
		"\"ata_smart_self_test_log\": { \"extended\": { \"table\": [\n"
		"{ \"type\": {\"value\": 2}, \"status\": {\"value\": 121, \"passed\": false}, "
		"\"lba\": 22048 },\n"
		"{ \"status\": {\"value\": 0, \"passed\": true}, \"lba\": 7 },\n"
		"{ \"lba\": 30000, \"status\": {\"passed\": false} },\n"
		"{ \"status\": {\"value\": 16}, \"lba\": 9 } ] } },\n"
		"\"ata_smart_error_log\": { \"summary\": { \"table\": [\n"
		"{ \"completion_registers\": { \"lba\": 5 },\n"
		"\"error_description\": \"Error: UNC 8 sectors at LBA = 0x0000c350 = 50000\" },\n"
		"{ \"error_description\": \"Error: ICRC, ABRT at LBA = 0x00000001 = 1\" } ] } },\n"
		"\"nvme_error_information_log\": { \"table\": [\n"
		"{ \"status_field\": {\"value\": 8833}, \"lba\": {\"value\": 60000} },\n"
		"{ \"status_field\": {\"value\": 8194}, \"lba\": {\"value\": 3} } ] },\n"
		"\"nvme_self_test_log\": { \"table\": [\n"
		"{ \"self_test_result\": {\"value\": 7}, \"lba\": 70000 },\n"
		"{ \"self_test_result\": {\"value\": 0} } ] },\n"
		"\"scsi_self_test_0\": { \"lba_first_failure\": {\"value\": 80000} } }\n";
	struct badlist list = { .block_bytes = 1024, .lba_bytes = 512 };
	struct error error;

	(void)unused;
	expect(text, BADLIST_GUESS, BADLIST_SMARTCTL,
	       LIST({ 22048, 1 }, { 30000, 1 }, { 50000, 8 }, { 60000, 1 }, { 70000, 1 },
		    { 80000, 1 }));
	/* cut short, as by head, it is refused and nothing is taken */
	assert_int_equal(badlist_parse("{ \"scsi_self_test_0\": { \"lba_first_failure\": "
				       "{\"value\": 80000} }",
				       &list, &error),
			 -EINVAL);
	assert_int_equal(list.nr_ranges, 0);
	assert_non_null(strstr(error.text, "JSON"));
}

static void bytes(void **unused)
{
	(void)unused;
	expect("0 1\n1024-2047\n0x1000 0x200 # x\n4608\n", BADLIST_BYTES, BADLIST_BYTES,
	       LIST({ 0, 1 }, { 2, 2 }, { 8, 2 }));
}

static void refused(void **unused)
{
	static const struct {
		const char *text;
		enum badlist_format format;
		int r;
	} cases[] = {
		{ "x", BADLIST_BADBLOCKS, -EINVAL },
		{ "1 2", BADLIST_BADBLOCKS, -EINVAL },
		{ "-1", BADLIST_BADBLOCKS, -EINVAL },
		{ "1x", BADLIST_BADBLOCKS, -EINVAL },
		{ "99999999999999999999", BADLIST_BADBLOCKS, -EINVAL },
		{ "18446744073709551615", BADLIST_BADBLOCKS, -EINVAL },
		{ "0x0 +\n0x0 0x10 %\n", BADLIST_DDRESCUE, -EINVAL },
		{ "0x0 +\n0x0\n", BADLIST_DDRESCUE, -EINVAL },
		{ "0x0 +\n0x0 0x10 - more\n", BADLIST_DDRESCUE, -EINVAL },
		{ "0x0 +\n010 0x10 -\n", BADLIST_DDRESCUE, -EINVAL }, /* 8 for ddrescue */
		{ "0x0 +\n0x0 0x200 -\n0x100 0x200 -\n", BADLIST_DDRESCUE, -EINVAL },
		{ "0x0 +\n0xffffffffffffff00 0xfff -\n", BADLIST_DDRESCUE, -EINVAL },
		{ "0x0 +\n0x0 0x10 + \n", BADLIST_DDRESCUE, 0 },
		{ "5-4\n", BADLIST_RANGES, -EINVAL },
		{ "5 0\n", BADLIST_RANGES, -EINVAL },
		{ "5 1 1\n", BADLIST_RANGES, -EINVAL },
		{ "0-18446744073709551615\n", BADLIST_RANGES, -EINVAL },
		{ "5 0\n", BADLIST_BYTES, -EINVAL },
		{ "18446744073709551000 1000\n", BADLIST_BYTES, -EINVAL },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct badlist list = { .format = cases[i].format, .block_bytes = 1024 };
		struct error error = { "" };

		assert_int_equal(badlist_parse(cases[i].text, &list, &error), cases[i].r);
		if (cases[i].r)
			assert_non_null(strstr(error.text, "line "));
		badlist_done(&list);
	}
}

static void expect_written(const struct badlist *list, enum badlist_format format, uint64_t start,
			   const char *wanted)
{
	size_t nr_bytes;
	char *text;
	FILE *file = open_memstream(&text, &nr_bytes);

	badlist_write(file, list, format, start, 1000);
	fclose(file);
	assert_string_equal(text, wanted);
	free(text);
}

static void written(void **unused)
{
	struct badlist list = { .block_bytes = 1024 }, none = { .block_bytes = 4096 };

	(void)unused;
	/* as they come, some of them touch */
	assert_int_equal(badlist_add(&list, 999 * 512, 512), 0);
	assert_int_equal(badlist_add(&list, 8 * 512, 512), 0);
	assert_int_equal(badlist_add(&list, 3 * 512, 512), 0);
	assert_int_equal(badlist_add(&list, 2 * 512, 512), 0);
	assert_int_equal(badlist_add(&list, 5 * 512, 512), 0);
	badlist_join(&list);
	assert_int_equal(list.nr_ranges, 4);
	assert_int_equal(list.nr_sectors, 5);
	expect_written(&list, BADLIST_RANGES, 0, "2 2\n5 1\n8 1\n999 1\n");
	expect_written(&list, BADLIST_RANGES, 2048, "2050 2\n2053 1\n2056 1\n3047 1\n");
	expect_written(&list, BADLIST_BADBLOCKS, 0, "1\n2\n4\n499\n");
	list.block_bytes = 4096; /* one block for three places */
	expect_written(&list, BADLIST_BADBLOCKS, 0, "0\n1\n124\n");
	expect_written(&list, BADLIST_BADBLOCKS, 3, "0\n1\n125\n");
	expect_written(&none, BADLIST_BADBLOCKS, 0, "");
	expect_written(&none, BADLIST_DDRESCUE, 0,
		       "# Mapfile. Created by dmremap export\n"
		       "# current_pos  current_status  current_pass\n"
		       "0x00000000     +               1\n"
		       "#      pos        size  status\n"
		       "0x00000000  0x0007D000  +\n");
	expect_written(&list, BADLIST_DDRESCUE, 16,
		       "# Mapfile. Created by dmremap export\n"
		       "# current_pos  current_status  current_pass\n"
		       "0x00002000     +               1\n"
		       "#      pos        size  status\n"
		       "0x00000000  0x00002000  ?\n"
		       "0x00002000  0x00000400  +\n"
		       "0x00002400  0x00000400  -\n"
		       "0x00002800  0x00000200  +\n"
		       "0x00002A00  0x00000200  -\n"
		       "0x00002C00  0x00000400  +\n"
		       "0x00003000  0x00000200  -\n"
		       "0x00003200  0x0007BC00  +\n"
		       "0x0007EE00  0x00000200  -\n");
	badlist_done(&list);
}

static void random_text(void **unused)
{
	static const char letters[] = "0123456789 xX\t\n\n#+-/*?abc\r";
	static const char *const words[] = { "I/O error, dev sdb, sector ", "# 1 offline failure ",
					     "Error: UNC at LBA = ", " for 8 sectors" };

	(void)unused;
	unit_seed(__func__);
	for (unsigned int round = 0; round < 20000; round++) {
		struct badlist list = { .format = round % 7,
					.block_bytes = 512,
					.lba_bytes = 4096,
					.areas = round % 2 ? "?-" : NULL };
		struct error error;
		char text[300];
		size_t length = unit_random_below(200);

		for (size_t i = 0; i < length; i++)
			text[i] = letters[unit_random_below(sizeof(letters) - 1)];
		text[length] = '\0';
		if (round % 3 == 0)
			strcat(text, words[unit_random_below(4)]);
		if (badlist_parse(text, &list, &error))
			continue;
		for (size_t i = 0; i + 1 < list.nr_ranges; i++) /* sorted, apart */
			assert_true(list.range[i].sector + list.range[i].nr_sectors <
				    list.range[i + 1].sector);
		badlist_done(&list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(badblocks),
		cmocka_unit_test(ddrescue),
		cmocka_unit_test(unusual_maps),
		cmocka_unit_test(ranges),
		cmocka_unit_test(kernel_log),
		cmocka_unit_test(smartctl),
		cmocka_unit_test(refused),
		cmocka_unit_test(random_text),
		cmocka_unit_test(written),
		cmocka_unit_test(not_of_the_medium),
		cmocka_unit_test(smartctl_json),
		cmocka_unit_test(bytes),
		cmocka_unit_test(commands_without_data),
		cmocka_unit_test(nvme_elsewhere),
	};

	return cmocka_run_group_tests_name("badlist", tests, NULL, NULL);
}
