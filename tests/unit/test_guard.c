// SPDX-License-Identifier: GPL-2.0-or-later
/* What hides main's content (O1, O3): which chunks, and a header that gives all of it back. */
#include <errno.h>
#include <unistd.h>

#include "ops/guard.h"
#include "unit.h"

static uint8_t content[64][REMAP_CHUNK_BYTES];

static const uint8_t *read_content(void *userdata, uint64_t main_chunk)
{
	(void)userdata;
	assert_true(main_chunk < 64);
	return content[main_chunk];
}

static void fill(bool random)
{
	for (unsigned int c = 0; c < 64; c++)
		for (unsigned int i = 0; i < REMAP_CHUNK_BYTES; i++)
			content[c][i] = random ? (uint8_t)unit_random() : (uint8_t)(c + i / 64);
}

static void chunks(void **unused)
{
	struct guard_plan plan = {
		.nr_ranges = 4,
		.range = { { .offset = 0x10040, .nr_bytes = 8 },
			   { .offset = 4094, .nr_bytes = 4 },
			   { .offset = 0x10048, .nr_bytes = 2 },
			   { .offset = 8192, .nr_bytes = 1 } },
	};
	static const uint64_t wanted[] = { 0, 1, 2, 16 };
	uint64_t *all;
	uint32_t nr;

	(void)unused;
	assert_int_equal(guard_plan_chunks(&plan, &all, &nr), 0);
	assert_int_equal(nr, 4);
	assert_memory_equal(all, wanted, sizeof(wanted));
	free(all);
	plan.nr_ranges = 0; /* chunk 0 always */
	assert_int_equal(guard_plan_chunks(&plan, &all, &nr), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(all[0], 0);
	free(all);
}

static void header_gives_back(void **unused)
{
	struct guard_plan plan = {
		.nr_ranges = 3,
		.range = { { .offset = 0x10040, .nr_bytes = 8 },
			   { .offset = 1080, .nr_bytes = 2 },	  /* in chunk 0: kept with it */
			   { .offset = 0x1ffe, .nr_bytes = 6 } }, /* over two chunks */
	};
	struct remap_super super;
	struct remap_member_disk header;
	uint8_t chunk0[REMAP_CHUNK_BYTES];
	const uint8_t *original;
	struct error error;
	uint64_t offset;
	uint32_t nr_bytes;

	(void)unused;
	fill(false);
	unit_super(&super, 8192);
	super.main_sectors = 64 * 8;
	assert_int_equal(guard_header_build(&plan, &super, "wwn:1", 0x04, read_content, NULL,
					    &header, &error),
			 0);
	assert_int_equal(remap_member_check(&header, unit_uuid), REMAP_OK);
	assert_string_equal((char *)header.spare_identity, "wwn:1");
	assert_int_equal(header.chunk0_lost, 0x04);
	assert_int_equal(guard_header_chunk0(&header, chunk0), 0);
	assert_memory_equal(chunk0, content[0], sizeof(chunk0));
	assert_int_equal(le16_to_cpu(header.nr_hidden), 2);
	guard_header_range(&header, 0, &offset, &nr_bytes, &original);
	assert_int_equal(offset, 0x10040);
	assert_memory_equal(original, content[16] + 0x40, 8);
	guard_header_range(&header, 1, &offset, &nr_bytes, &original);
	assert_int_equal(nr_bytes, 6);
	assert_memory_equal(original, content[1] + 0xffe, 2);
	assert_memory_equal(original + 2, content[2], 4);
}

static void what_does_not_fit(void **unused)
{
	struct guard_plan plan = { .nr_ranges = 0 };
	struct remap_super super;
	struct remap_member_disk header;
	uint8_t chunk0[REMAP_CHUNK_BYTES];
	struct error error;

	(void)unused;
	unit_seed(__func__);
	unit_super(&super, 8192);
	super.main_sectors = 64 * 8;
	fill(true); /* cannot be deflated */
	assert_int_equal(
		guard_header_build(&plan, &super, "", 0, read_content, NULL, &header, &error), 0);
	assert_int_equal(le16_to_cpu(header.chunk0_len), 0); /* it is kept elsewhere */
	assert_int_equal(remap_member_check(&header, unit_uuid), REMAP_OK);
	assert_int_equal(guard_header_chunk0(&header, chunk0), -EUCLEAN);
	fill(false);
	for (plan.nr_ranges = 0; plan.nr_ranges <= REMAP_MEMBER_MAX_HIDDEN; plan.nr_ranges++)
		plan.range[plan.nr_ranges] =
			(struct hidden_range){ .offset = 4096 + plan.nr_ranges * 16,
					       .nr_bytes = 8 };
	assert_int_equal(
		guard_header_build(&plan, &super, "", 0, read_content, NULL, &header, &error),
		-ENOSPC);
	plan.nr_ranges = REMAP_MEMBER_MAX_HIDDEN;
	assert_int_equal(
		guard_header_build(&plan, &super, "", 0, read_content, NULL, &header, &error), 0);
	/* a header that is damaged gives nothing back, rather than something else */
	header.area[le16_to_cpu(header.chunk0_offset) + 5] ^= 0x40;
	assert_int_not_equal(remap_member_check(&header, unit_uuid), REMAP_OK);
	assert_int_equal(guard_header_chunk0(&header, chunk0), -EUCLEAN);
}

#define IMAGE_BYTES (4U << 20)

static u8 *image;

static struct guard_plan look(void)
{
	char path[] = "/tmp/unit-guard.XXXXXX";
	struct guard_plan plan;
	struct error error = { "" };
	int fd = mkstemp(path);

	assert_int_equal(write_all_at(fd, image, IMAGE_BYTES, 0), 0);
	if (guard_plan_make(path, fd, IMAGE_BYTES / 512, &plan, NULL, &error) < 0)
		fail_msg("%s", error.text);
	close(fd);
	unlink(path);
	return plan;
}

static void forget_image(void)
{
	memset(image, 0, IMAGE_BYTES);
}

/* O4, O5: what is put together from whatever shows it, on the device or in a partition of it. */
static void what_assembles_itself(void **unused)
{
	struct guard_plan plan;

	(void)unused;
	image = calloc(1, IMAGE_BYTES);
	plan = look();
	assert_string_equal(plan.assembles, "");
	assert_string_equal(plan.member, "");
	for (u64 at = 0; at <= 1U << 20; at += 1U << 20) {
		for (unsigned int what = 0; what < 3; what++) {
			static const char *const type[] = { "LVM2_member", "btrfs", "btrfs" };

			forget_image();
			if (at)
				unit_put_partition(image, 0, 0x83);
			if (what == 0)
				unit_put_lvm(image + at);
			else
				unit_put_btrfs(image + at, what); /* of one device, of two */
			plan = look();
			assert_string_equal(plan.assembles, type[what]);
			assert_string_equal(plan.member, what == 1 ? "" : type[what]);
			assert_string_equal(plan.danger, "");
		}
	}
	/* something else before it does not hide it */
	forget_image();
	memcpy(image + 4086, "SWAPSPACE2", 10);
	image[1024] = 1; /* version */
	unit_put_btrfs(image, 2);
	plan = look();
	assert_string_equal(plan.member, "btrfs");
	free(image);
}

/* O5: what a machine boots from. */
static void what_a_machine_boots_from(void **unused)
{
	struct guard_plan plan;

	(void)unused;
	image = calloc(1, IMAGE_BYTES);
	unit_put_partition(image, 0, 0x83);
	assert_string_equal(look().danger, "");
	image[10] = 0xeb;
	assert_string_equal(look().danger, "boot code in sector 0");
	image[10] = 0;
	unit_put_partition(image, 0x80, 0x83);
	assert_string_equal(look().danger, "an active partition (partition 1)");
	unit_put_partition(image, 0, 0xef);
	assert_string_equal(look().danger, "an EFI system partition (partition 1)");
	/* without partitions */
	forget_image();
	image[10] = 0xeb;
	assert_string_equal(look().danger, ""); /* data */
	image[510] = 0x55;
	image[511] = 0xaa;
	plan = look();
	assert_string_equal(plan.danger, "boot code in sector 0");
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks),
		cmocka_unit_test(header_gives_back),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(what_assembles_itself),
		cmocka_unit_test(what_a_machine_boots_from),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
