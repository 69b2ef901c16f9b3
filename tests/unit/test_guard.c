// SPDX-License-Identifier: GPL-2.0-or-later
/* What hides main's content (O1, O3): which chunks, and a header that gives all of it back. */
#include <errno.h>

#include "guard.h"
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
	assert_int_equal(
		guard_header_build(&plan, &super, "wwn:1", read_content, NULL, &header, &error), 0);
	assert_int_equal(remap_member_check(&header, unit_uuid), REMAP_OK);
	assert_string_equal((char *)header.spare_identity, "wwn:1");
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
	assert_int_equal(guard_header_build(&plan, &super, "", read_content, NULL, &header, &error),
			 0);
	assert_int_equal(le16_to_cpu(header.chunk0_len), 0); /* it is kept elsewhere */
	assert_int_equal(remap_member_check(&header, unit_uuid), REMAP_OK);
	assert_int_equal(guard_header_chunk0(&header, chunk0), -EUCLEAN);
	fill(false);
	for (plan.nr_ranges = 0; plan.nr_ranges <= REMAP_MEMBER_MAX_HIDDEN; plan.nr_ranges++)
		plan.range[plan.nr_ranges] =
			(struct hidden_range){ .offset = 4096 + plan.nr_ranges * 16,
					       .nr_bytes = 8 };
	assert_int_equal(guard_header_build(&plan, &super, "", read_content, NULL, &header, &error),
			 -ENOSPC);
	plan.nr_ranges = REMAP_MEMBER_MAX_HIDDEN;
	assert_int_equal(guard_header_build(&plan, &super, "", read_content, NULL, &header, &error),
			 0);
	/* a header that is damaged gives nothing back, rather than something else */
	header.area[le16_to_cpu(header.chunk0_offset) + 5] ^= 0x40;
	assert_int_not_equal(remap_member_check(&header, unit_uuid), REMAP_OK);
	assert_int_equal(guard_header_chunk0(&header, chunk0), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks),
		cmocka_unit_test(header_gives_back),
		cmocka_unit_test(what_does_not_fit),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
