// SPDX-License-Identifier: GPL-2.0-or-later
/* LVM's devices file (O17): what it lists, and what it says of the same volume elsewhere. */
#include "system/lvm-devices.h"
#include "unit.h"

#define PVID "eGHzZ6kCn3bYQCZbIdFmXjMzpHEkUYrK"

static const char text[] =
	"# LVM uses devices listed in this file.\n"
	"# DEVNAME=/dev/mapper/commented PVID=" PVID "\n"
	"VERSION=1.1.4\n"
	"IDTYPE=sys_wwid IDNAME=naa.5000c500a1b2c3d4 DEVNAME=/dev/sda1 PVID=" PVID " PART=1\n"
	"IDTYPE=devname IDNAME=/dev/mapper/home DEVNAME=/dev/mapper/home PVID=other\n";

static void lists(void **unused)
{
	char other[256];

	(void)unused;
	assert_true(lvm_devices_lists(text, "/dev/mapper/home", "other", other));
	assert_true(lvm_devices_lists(text, "/dev/sda1", PVID, other));
	assert_false(lvm_devices_lists(text, "/dev/mapper/data", PVID, other));
	assert_string_equal(other, "/dev/sda1");
	assert_false(lvm_devices_lists(text, "/dev/mapper/hom", "none", other));
	assert_string_equal(other, "");
	assert_false(lvm_devices_lists(text, "/dev/mapper/commented", "none", other));
	assert_false(lvm_devices_lists("", "/dev/mapper/data", PVID, other));
	assert_true(lvm_devices_lists("IDTYPE=devname IDNAME=/dev/mapper/data", "/dev/mapper/data",
				      PVID, other));
}

static void advice(void **unused)
{
	struct lvm_devices lacking = { "/dev/mapper/data", "/dev/sda1" };
	char words[512];

	(void)unused;
	lvm_devices_advice(&lacking, words, sizeof(words));
	assert_non_null(strstr(words, "lvm lvmdevices --adddev /dev/mapper/data; "
				      "lvm lvmdevices --deldev /dev/sda1"));
	lacking.other[0] = '\0';
	lvm_devices_advice(&lacking, words, sizeof(words));
	assert_null(strstr(words, "deldev"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(advice),
	};

	return cmocka_run_group_tests_name("lvm_devices", tests, NULL, NULL);
}
