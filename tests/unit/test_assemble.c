// SPDX-License-Identifier: GPL-2.0-or-later
/* Which members make a set (O7, O11, O12, O17, O18), and how hardware is recognised. */
#include "set/assemble.h"
#include "system/identity.h"
#include "unit.h"

#define MAIN_DEV 0x801
#define SPARE_DEV 0x811

static const uint8_t host[16] = { 1 }, other_host[16] = { 2 };

static struct member main_member(void)
{
	struct member m = { .role = MEMBER_MAIN,
			    .guarded = true,
			    .devno = MAIN_DEV,
			    .nr_sectors = 1000,
			    .main_sectors = 1000,
			    .path = "/dev/sda1",
			    .label = "data",
			    .identity = "wwn:0x5001",
			    .recorded = "wwn:0x5002" };

	memcpy(m.uuid, unit_uuid, 16);
	memcpy(m.host_id, host, 16);
	return m;
}

static struct member spare_member(void)
{
	struct member m = { .role = MEMBER_SPARE,
			    .devno = SPARE_DEV,
			    .nr_sectors = 5000,
			    .main_sectors = 1000,
			    .region_sectors = 5000,
			    .path = "/dev/sdb1",
			    .label = "data",
			    .identity = "wwn:0x5002",
			    .recorded = "wwn:0x5001" };

	memcpy(m.uuid, unit_uuid, 16);
	memcpy(m.host_id, host, 16);
	return m;
}

/* The one set that @members make. */
static struct assembly one(const struct member *members, size_t nr, const struct active_set *active,
			   size_t nr_active, const char *const *names)
{
	struct assembly *sets, set;
	size_t nr_sets;

	assert_int_equal(assemble(members, nr, active, nr_active, names, host, &sets, &nr_sets), 0);
	assert_int_equal(nr_sets, 1);
	set = sets[0];
	free(sets);
	return set;
}

static void both_are_here(void **unused)
{
	struct member m[] = { spare_member(), main_member() };
	struct assembly set = one(m, 2, NULL, 0, NULL);

	(void)unused;
	assert_int_equal(set.verdict, ASSEMBLY_READY);
	assert_int_equal(set.main, 1);
	assert_int_equal(set.spare, 0);
	assert_string_equal(set.name, "data");
	assert_string_equal(set.reason, "");
}

static void never_half_a_set(void **unused)
{
	struct member m = main_member(), s = spare_member();
	struct assembly set = one(&m, 1, NULL, 0, NULL);

	(void)unused;
	assert_int_equal(set.verdict, ASSEMBLY_NO_SPARE);
	assert_non_null(strstr(set.reason, "wwn:0x5002"));
	set = one(&s, 1, NULL, 0, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_NO_MAIN);
	assert_non_null(strstr(set.reason, "wwn:0x5001"));
}

static void names(void **unused)
{
	static const char *const taken[] = { "home", "data", NULL };
	static const char *const bad[] = { "", "a b", "../x", "-x", ".x", "sch\xc3\xb6n" };
	struct member m[] = { spare_member(), main_member() };
	char by_uuid[32];

	(void)unused;
	snprintf(by_uuid, sizeof(by_uuid), "remap-%02x%02x%02x%02x", unit_uuid[0], unit_uuid[1],
		 unit_uuid[2], unit_uuid[3]);
	assert_string_equal(one(m, 2, NULL, 0, taken).name, by_uuid);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(m[0].label, sizeof(m[0].label), "%s", bad[i]);
		assert_string_equal(one(m, 2, NULL, 0, NULL).name, by_uuid);
	}
}

static void foreign_sets_wait(void **unused)
{
	struct member m[] = { spare_member(), main_member() };
	struct assembly set;

	(void)unused;
	memcpy(m[0].host_id, other_host, 16);
	set = one(m, 2, NULL, 0, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_FOREIGN);
	assert_string_not_equal(set.name, "data"); /* a stranger does not choose names */
	assert_int_equal(set.state, ASSEMBLY_READY);
	memcpy(m[0].host_id, host, 16); /* the spare decides: it is written first */
	memcpy(m[1].host_id, other_host, 16);
	assert_int_equal(one(m, 2, NULL, 0, NULL).verdict, ASSEMBLY_READY);
	assert_int_equal(one(m + 1, 1, NULL, 0, NULL).verdict, ASSEMBLY_FOREIGN);
}

/* A zero host id is what anybody can write (O7): not active on its own. */
static void sets_of_no_host_wait(void **unused)
{
	struct member m[] = { spare_member(), main_member() };
	struct assembly set;

	(void)unused;
	memset(m[0].host_id, 0, 16);
	set = one(m, 2, NULL, 0, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_NO_HOST);
	assert_int_equal(set.state, ASSEMBLY_READY);
	assert_non_null(strstr(set.reason, "adopt-host"));
	assert_string_not_equal(set.name, "data");
	m[0].flags = REMAP_SUPER_CREATING;
	set = one(m, 2, NULL, 0, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_NO_HOST);
	assert_int_equal(set.state, ASSEMBLY_UNFINISHED);
}

/* Even two strangers are not written to. */
static void a_strangers_unfinished_set_is_foreign(void **unused)
{
	struct member m[] = { spare_member(), main_member(), spare_member() };

	(void)unused;
	memcpy(m[0].host_id, other_host, 16);
	memcpy(m[2].host_id, other_host, 16);
	m[0].flags = REMAP_SUPER_RELEASING;
	assert_int_equal(one(m, 2, NULL, 0, NULL).verdict, ASSEMBLY_FOREIGN);
	assert_int_equal(one(m, 2, NULL, 0, NULL).state, ASSEMBLY_UNFINISHED);
	assert_int_equal(one(m, 1, NULL, 0, NULL).verdict, ASSEMBLY_FOREIGN);
	assert_int_equal(one(m, 3, NULL, 0, NULL).verdict, ASSEMBLY_FOREIGN);
}

/* O12: one disk that is here, and is not the recorded one, may be a copy of it. */
static void a_lone_copy_waits(void **unused)
{
	struct member m[] = { main_member(), spare_member() };
	static const struct {
		const char *recorded, *is;
		enum assembly_verdict verdict;
	} cases[] = {
		{ "wwn:0x5001", "wwn:0x5001", ASSEMBLY_READY },
		{ "wwn:0x5001", "wwn:0x9999", ASSEMBLY_OTHER_HARDWARE },
		{ "wwn:0x5001 serial:A_1", "serial:A_1", ASSEMBLY_READY },
		{ "wwn:0x5001 serial:A_1", "wwn:0x7777 serial:A_1", ASSEMBLY_READY },
		{ "wwn:0x5001 serial:A_1", "serial:A_2", ASSEMBLY_OTHER_HARDWARE },
		{ "wwn:0x5001-part1", "wwn:0x5001-part2", ASSEMBLY_OTHER_HARDWARE },
		/* a copy of the whole disk has the partition's UUID, and not the disk's names */
		{ "partuuid:1c2d wwn:0x5001-part1 serial:A_1-part1",
		  "partuuid:1c2d wwn:0x9999-part1 serial:A_2-part1", ASSEMBLY_OTHER_HARDWARE },
		{ "partuuid:1c2d wwn:0x5001-part1", "partuuid:1c2d wwn:0x5001-part2",
		  ASSEMBLY_READY },
		{ "partuuid:1c2d wwn:0x5001-part1", "partuuid:1c2d", ASSEMBLY_READY },
		{ "partuuid:1c2d wwn:0x5001-part1", "partuuid:1c2d serial:Bridge_1-part1",
		  ASSEMBLY_READY },
		{ "partuuid:1c2d wwn:0x5001-part1", "partuuid:1c2e wwn:0x5001-part1",
		  ASSEMBLY_READY },
		{ "partuuid:1c2d", "partuuid:1c2e wwn:0x5001-part1", ASSEMBLY_OTHER_HARDWARE },
		/* nothing to compare: another kernel, a virtual disk, a bridge */
		{ "wwn:0x5001", "", ASSEMBLY_READY },
		{ "", "wwn:0x9999", ASSEMBLY_READY },
		{ "wwn:0x5001", "serial:Bridge_1", ASSEMBLY_READY },
		{ "wwn:0x5001", "wwnx:0x9999", ASSEMBLY_READY },
	};

	(void)unused;
	for (size_t role = 0; role < 2; role++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct assembly set;

			m[0] = main_member();
			m[1] = spare_member();
			snprintf(m[role].identity, sizeof(m[0].identity), "%s", cases[i].is);
			snprintf(m[!role].recorded, sizeof(m[0].recorded), "%s", cases[i].recorded);
			set = one(m, 2, NULL, 0, NULL);
			assert_int_equal(set.verdict, cases[i].verdict);
			if (set.verdict == ASSEMBLY_READY)
				continue;
			assert_non_null(strstr(set.reason, "--any-hardware"));
			assert_non_null(
				strstr(set.reason, role ? "replace-spare" : "replace-main"));
			assert_non_null(strstr(set.reason, m[role].path));
		}
}

static void the_right_one_among_copies(void **unused)
{
	struct member m[] = { main_member(), main_member(), spare_member() };
	struct assembly set;

	(void)unused;
	m[0].devno = 0x821;
	snprintf(m[0].identity, sizeof(m[0].identity), "wwn:0x9999");
	set = one(m, 3, NULL, 0, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_READY);
	assert_int_equal(set.main, 1);
	assert_int_equal(set.nr_ignored, 1);
	assert_string_equal(set.ignored, "/dev/sda1");

	/* a copy shares the partition's UUID, but not the disk's name: more words win */
	snprintf(m[2].recorded, sizeof(m[2].recorded), "partuuid:abcd wwn:0x5001");
	snprintf(m[0].identity, sizeof(m[0].identity), "partuuid:abcd wwn:0x9999");
	snprintf(m[1].identity, sizeof(m[1].identity), "partuuid:abcd wwn:0x5001");
	assert_int_equal(one(m, 3, NULL, 0, NULL).main, 1);

	/* none is the recorded one, or two are: neither */
	snprintf(m[1].identity, sizeof(m[1].identity), "wwn:0x9998");
	snprintf(m[0].identity, sizeof(m[0].identity), "wwn:0x9999");
	assert_int_equal(one(m, 3, NULL, 0, NULL).verdict, ASSEMBLY_DUPLICATE);
	snprintf(m[0].identity, sizeof(m[0].identity), "wwn:0x5001");
	snprintf(m[1].identity, sizeof(m[1].identity), "wwn:0x5001");
	assert_int_equal(one(m, 3, NULL, 0, NULL).verdict, ASSEMBLY_DUPLICATE);
}

/* All orders of four. */
static void swap_members(struct member *a, struct member *b)
{
	struct member other = *a;

	*a = *b;
	*b = other;
}

static void check_pair(struct member *m, size_t from)
{
	struct assembly set;

	for (size_t i = from; i < 4; i++) {
		swap_members(&m[from], &m[i]);
		check_pair(m, from + 1);
		swap_members(&m[from], &m[i]);
	}
	if (from < 4)
		return;
	set = one(m, 4, NULL, 0, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_READY);
	assert_string_equal(m[set.main].identity, "wwn:0x6001");
	assert_string_equal(m[set.spare].identity, "wwn:0x6002");
	assert_int_equal(set.nr_ignored, 2);
}

/* The old ones still record each other, or what was there between the two replacements. */
static void both_were_replaced(void **unused)
{
	static const struct {
		const char *old_main, *old_spare; /* what they record */
	} cases[] = {
		{ "wwn:0x6002", "wwn:0x5001" }, /* first the spare, then main */
		{ "wwn:0x5002", "wwn:0x6001" }, /* first main, then the spare */
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct member m[] = { main_member(), spare_member(), main_member(),
				      spare_member() };

		snprintf(m[0].recorded, sizeof(m[0].recorded), "%s", cases[i].old_main);
		snprintf(m[1].recorded, sizeof(m[1].recorded), "%s", cases[i].old_spare);
		snprintf(m[2].identity, sizeof(m[2].identity), "wwn:0x6001");
		snprintf(m[2].recorded, sizeof(m[2].recorded), "wwn:0x6002");
		snprintf(m[3].identity, sizeof(m[3].identity), "wwn:0x6002");
		snprintf(m[3].recorded, sizeof(m[3].recorded), "wwn:0x6001");
		m[2].devno = 0x821;
		m[3].devno = 0x831;
		check_pair(m, 0);
		/* the new main's hardware is not known any more: none of four is guessed */
		snprintf(m[2].identity, sizeof(m[2].identity), "wwn:0x7777");
		assert_int_equal(one(m, 4, NULL, 0, NULL).verdict, ASSEMBLY_DUPLICATE);
	}
	/* an old spare beside the new main alone: what the other one records does not count */
	{
		struct member m[] = { spare_member(), main_member(), spare_member() };
		struct assembly set;

		snprintf(m[0].identity, sizeof(m[0].identity), "wwn:0x4002");
		snprintf(m[0].recorded, sizeof(m[0].recorded), "wwn:0x4001");
		set = one(m, 3, NULL, 0, NULL);
		assert_int_equal(set.verdict, ASSEMBLY_READY);
		assert_int_equal(set.spare, 2);
	}
}

static void a_copy_never_touches_an_active_set(void **unused)
{
	struct member m[] = { main_member(), main_member(), spare_member() };
	struct active_set active = { .name = "data", .main = MAIN_DEV, .spare = SPARE_DEV };
	struct assembly set;

	(void)unused;
	memcpy(active.uuid, unit_uuid, 16);
	m[0].devno = 0x821;
	set = one(m, 3, &active, 1, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_ACTIVE);
	assert_int_equal(set.main, 1);
	assert_string_equal(set.reason, "");
	assert_int_equal(set.nr_ignored, 1);
	/* nor takes the place of one that has gone */
	snprintf(m[0].identity, sizeof(m[0].identity), "wwn:0x9999");
	m[1] = m[2];
	active.main = 0;
	set = one(m, 2, &active, 1, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_ACTIVE);
	assert_non_null(strstr(set.reason, "its main device is gone, and /dev/sda1 is other"));
	assert_int_equal(set.main, -1);
}

/* The one returns while the other, which is in use, cannot be read: nothing can be put in again. */
static void a_member_returns_beside_a_silent_one(void **unused)
{
	struct member m[] = { main_member(), spare_member() };
	struct active_set active = { .name = "mine", .main = MAIN_DEV, .spare = 0 };
	struct assembly set;

	(void)unused;
	memcpy(active.uuid, unit_uuid, 16);
	set = one(m + 1, 1, &active, 1, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_ACTIVE);
	assert_string_equal(set.reason, "its main device cannot be read");
	active.main = 0;
	active.spare = SPARE_DEV;
	set = one(m, 1, &active, 1, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_ACTIVE);
	assert_string_equal(set.reason, "its spare device cannot be read");
	active.main = MAIN_DEV; /* both in use: that is not for us to judge */
	set = one(m, 1, &active, 1, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_ACTIVE);
	assert_string_equal(set.reason, "");
}

static void a_member_returns(void **unused)
{
	struct member m[] = { main_member(), spare_member() };
	struct active_set active = { .name = "mine", .main = 0, .spare = SPARE_DEV };
	struct assembly set;

	(void)unused;
	memcpy(active.uuid, unit_uuid, 16);
	set = one(m + 1, 1, &active, 1, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_ACTIVE);
	assert_string_equal(set.reason, "its main device is gone");
	set = one(m, 2, &active, 1, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_RETURNED);
	assert_string_equal(set.name, "mine");
	assert_int_equal(set.main, 0);
	active.main = MAIN_DEV;
	active.suspended = true;
	set = one(m, 2, &active, 1, NULL);
	assert_int_equal(set.verdict, ASSEMBLY_ACTIVE);
	assert_non_null(strstr(set.reason, "dmsetup resume mine"));
	active.main = 0;
	/* two that could be it, and no recorded hardware to decide: untouched */
	{
		struct member two[] = { main_member(), main_member(), spare_member() };

		two[2].recorded[0] = '\0';
		set = one(two, 3, &active, 1, NULL);
		assert_int_equal(set.verdict, ASSEMBLY_ACTIVE);
	}
}

static void interrupted_and_contradicting(void **unused)
{
	struct member m[] = { spare_member(), main_member() };

	(void)unused;
	m[1].nr_sectors = 999;
	assert_int_equal(one(m, 2, NULL, 0, NULL).verdict, ASSEMBLY_MISMATCH);
	m[1].nr_sectors = 1000;
	m[0].flags = REMAP_SUPER_RELEASING;
	assert_int_equal(one(m, 2, NULL, 0, NULL).verdict, ASSEMBLY_UNFINISHED);
	/* whatever its host: it must be mended here, and before anything else */
	assert_int_equal(one(m, 1, NULL, 0, NULL).verdict, ASSEMBLY_UNFINISHED);
}

static void identities(void **unused)
{
	static const struct {
		struct hardware hardware;
		const char *identity;
	} cases[] = {
		{ { 0 }, "" },
		{ { .wwn = "0x5000c500a1b2c3d4" }, "wwn:0x5000c500a1b2c3d4" },
		{ { .wwn = "0x5000c500a1b2c3d4", .partition = 2 }, "wwn:0x5000c500a1b2c3d4-part2" },
		{ { .wwn = "0x0000000000000000" }, "" },
		{ { .serial = "0123456789ABCDEF", .model = "Stick" }, "" },
		{ { .serial = "00000000" }, "" },
		{ { .serial = "abc" }, "" },
		{ { .serial = "S3YZ NB0K", .model = "A B", .partition = 1 },
		  "serial:A_B_S3YZ_NB0K-part1" },
		{ { .part_uuid = "1c2d-aa", .wwn = "0x5000c5", .serial = "S3YZNB0K", .model = "M" },
		  "partuuid:1c2d-aa wwn:0x5000c5 serial:M_S3YZNB0K" },
		{ { .dm_uuid = "LVM-abcdef" }, "dm:LVM-abcdef" },
	};
	char identity[REMAP_IDENTITY_BYTES], huge[300];

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		identity_of_hardware(&cases[i].hardware, identity);
		assert_string_equal(identity, cases[i].identity);
	}
	memset(huge, 'x', sizeof(huge) - 1);
	huge[0] = 'y';
	huge[sizeof(huge) - 1] = '\0';
	identity_of_hardware(&(struct hardware){ .part_uuid = huge, .wwn = "0x5000c5" }, identity);
	assert_string_equal(identity, "wwn:0x5000c5");
	assert_int_equal(identity_matches("a b c", "c a"), 2);
	assert_int_equal(identity_matches("a", "ab"), 0);
	assert_int_equal(identity_matches("", "a"), 0);
	assert_int_equal(identity_matches("wwn:1", ""), 0);
	assert_true(identity_contradicts("wwn:1", "wwn:2"));
	assert_true(identity_contradicts("partuuid:1 wwn:1", "serial:A_1 wwn:2"));
	assert_true(identity_contradicts("partuuid:1 wwn:1", "partuuid:1 wwn:2"));
	assert_false(identity_contradicts("partuuid:1 wwn:1-part1", "partuuid:1 wwn:1-part12"));
	assert_true(identity_contradicts("partuuid:1 wwn:1-part1", "partuuid:1 wwn:12-part1"));
	assert_false(identity_contradicts("word", "word2"));
	assert_true(identity_agrees("partuuid:1 wwn:1", "serial:A_1 wwn:1"));
	assert_false(identity_agrees("partuuid:1 wwn:1", "partuuid:1 wwn:2"));
	assert_false(identity_agrees("wwn:1", "serial:A_1"));
	assert_false(identity_agrees("", ""));
}

/* O5: what a rule for udev compares; nothing of it may end the string or match by pattern. */
static void rules_for_udev(void **unused)
{
	static const struct {
		struct hardware hardware;
		const char *match;
	} cases[] = {
		{ { .part_uuid = "1234-5678", .wwn = "0x5000c5", .partition = 3 },
		  "ENV{ID_PART_ENTRY_UUID}==\"1234-5678\"" },
		{ { .wwn = "0x5000c5", .serial = "abcd1", .model = "M" },
		  "ENV{ID_WWN_WITH_EXTENSION}==\"0x5000c5\"" },
		{ { .wwn = "0x5000c5", .wwn_is_short = true, .partition = 2 },
		  "ENV{ID_WWN}==\"0x5000c5\", ENV{PARTN}==\"2\"" },
		{ { .wwn = "0x0000000", .serial = "abcd1", .model = "M" },
		  "ENV{ID_SERIAL_SHORT}==\"abcd1\", ENV{ID_MODEL}==\"M\"" },
		/* not even as a pattern: four of these would be everybody's serial number */
		{ { .serial = "a\" b*\\$[1]\n" }, "" },
		{ { .serial = "abcd*" }, "" },
		{ { .wwn = "0x5000\nRUN+=\"x\"", .serial = "abcd1", .model = "M\"" },
		  "ENV{ID_SERIAL_SHORT}==\"abcd1\"" },
		{ { .part_uuid = "12\xff", .dm_uuid = "LVM-a%b" }, "" },
		{ { .dm_uuid = "LVM-abcdef" }, "ENV{DM_UUID}==\"LVM-abcdef\"" },
		{ { .serial = "0123456789ABCDEF" }, "" },
		{ { 0 }, "" },
	};
	char match[200], huge[300];

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		identity_udev_match(&cases[i].hardware, match, sizeof(match));
		assert_string_equal(match, cases[i].match);
	}
	memset(huge, 'x', sizeof(huge) - 1);
	huge[0] = 'y';
	huge[sizeof(huge) - 1] = '\0';
	identity_udev_match(&(struct hardware){ .part_uuid = huge }, match, sizeof(match));
	assert_string_equal(match, ""); /* half of it would match others */
	identity_udev_match(&(struct hardware){ .serial = "abcd1", .model = huge }, match,
			    sizeof(match));
	assert_string_equal(match, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_for_udev),
		cmocka_unit_test(both_are_here),
		cmocka_unit_test(never_half_a_set),
		cmocka_unit_test(names),
		cmocka_unit_test(foreign_sets_wait),
		cmocka_unit_test(sets_of_no_host_wait),
		cmocka_unit_test(a_strangers_unfinished_set_is_foreign),
		cmocka_unit_test(a_lone_copy_waits),
		cmocka_unit_test(the_right_one_among_copies),
		cmocka_unit_test(both_were_replaced),
		cmocka_unit_test(a_copy_never_touches_an_active_set),
		cmocka_unit_test(a_member_returns),
		cmocka_unit_test(a_member_returns_beside_a_silent_one),
		cmocka_unit_test(interrupted_and_contradicting),
		cmocka_unit_test(identities),
	};

	return cmocka_run_group_tests_name("assemble", tests, NULL, NULL);
}
