// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Foreign bytes through every decoder, under the sanitizers: mutations of the
 * golden images, with the checksum put right so that the fields are reached.
 * What a decoder accepts must be within the bounds its callers rely on.
 */
#include "golden.h"

#define ROUNDS 200000

/* Exactly as long as the structure: one byte too many is seen. */
static u8 *exact(const u8 *data, size_t nr_bytes)
{
	u8 *copy = malloc(nr_bytes);

	assert_non_null(copy);
	memcpy(copy, data, nr_bytes);
	return copy;
}

static void mutate(u8 *data, size_t nr_bytes, size_t interesting)
{
	int n = 1 + unit_random_below(4);

	while (n--) {
		size_t limit = unit_random_below(4) ? interesting : nr_bytes;
		size_t at = unit_random_below(limit);
		static const u64 corner[] = { 0,	  1,	      7,	  8,
					      127,	  255,	      65535,	  ~0ULL,
					      1ULL << 63, 1ULL << 31, 0xffffffff, 1ULL << 43,
					      1ULL << 61 };
		u64 value = unit_random_below(2) ? unit_random() >> unit_random_below(64) :
						   corner[unit_random_below(ARRAY_SIZE(corner))];
		size_t width = 1 << unit_random_below(4);

		at &= ~(width - 1);
		if (at + width <= nr_bytes)
			memcpy(data + at, &value, width);
	}
}

static void check_super(const u8 *block)
{
	struct remap_super super;
	const struct remap_geometry *g = &super.geometry;
	u32 block_nr, last;

	if (remap_super_decode(block, &super) != REMAP_OK)
		return;
	assert_int_equal(super.label[REMAP_LABEL_BYTES - 1], 0);
	assert_int_equal(super.identity[REMAP_IDENTITY_BYTES - 1], 0);
	assert_true(super.probe_chunk * 8 + 8 <= super.main_sectors);
	last = remap_table_block_of(g->slots - 1);
	assert_true(last <= g->table_blocks);
	for (block_nr = 0; block_nr <= last + 1; block_nr += last + 1)
		assert_true(remap_block_sector(g, 1, 1, block_nr) + 8 <= g->region_sectors);
	assert_true(remap_slot_sector(g, g->slots - 1) + 8 <= g->region_sectors);
}

static void fuzz_super(void **unused)
{
	struct remap_super super;
	struct block good, block;
	int i;

	(void)unused;
	unit_seed(__func__);
	for (i = 0; i < ROUNDS / 4; i++) {
		u8 *copy;

		unit_super(&super, 640 + unit_random_below(1 << 20));
		remap_super_encode(&super, &good);
		block = good;
		mutate(block.bytes, sizeof(block), 416);
		if (unit_random_below(16))
			remap_block_seal(&block);
		copy = exact(block.bytes, sizeof(block));
		check_super(copy);
		free(copy);
	}
}

static void fuzz_table(void **unused)
{
	static u8 spare[GOLDEN_SPARE_BYTES];
	struct remap_geometry g;
	struct block block;
	int i;

	(void)unused;
	unit_seed(__func__);
	golden_make("spare", spare);
	assert_int_equal(remap_geometry_compute(2048, &g), 0);
	for (i = 0; i < ROUNDS / 4; i++) {
		const struct remap_table_disk *table = (const void *)block.bytes;
		struct remap_entry entry;
		u32 slot;

		memcpy(&block, spare + 0x11000, sizeof(block));
		mutate(block.bytes, sizeof(block), 64 + 16 * 4);
		remap_block_seal(&block);
		if (remap_table_check(&block, &g, unit_uuid, 1, 1000003) != REMAP_OK)
			continue;
		for (slot = 0; slot < g.slots; slot++) {
			remap_entry_decode(&table->entry[slot], &entry);
			assert_true(entry.state <= REMAP_ENTRY_BAD);
			assert_true(entry.generation < 4);
			assert_int_equal(entry.lost & ~entry.redirected, 0);
			if (entry.state == REMAP_ENTRY_USED)
				assert_true(entry.main_chunk * 8 +
						    (31 - __builtin_clz(entry.redirected)) <
					    1000003);
		}
	}
}

static void fuzz_member(void **unused)
{
	static u8 good[GOLDEN_SPARE_BYTES];
	int i, accepted = 0;

	(void)unused;
	unit_seed(__func__);
	golden_make("member", good);
	for (i = 0; i < ROUNDS; i++) {
		u8 *copy = exact(good, REMAP_MEMBER_BYTES);
		struct remap_member_disk *header = (void *)copy;

		mutate(copy, REMAP_MEMBER_BYTES, 500);
		remap_member_seal(header);
		if (remap_member_check(copy, NULL) == REMAP_OK) {
			accepted++;
			assert_true(le16_to_cpu(header->chunk0_len) == 0 ||
				    le16_to_cpu(header->chunk0_offset) +
						    le16_to_cpu(header->chunk0_len) <=
					    REMAP_MEMBER_BLOB_BYTES);
			assert_true(le16_to_cpu(header->blob_len) == 0 ||
				    le16_to_cpu(header->blob_offset) +
						    le16_to_cpu(header->blob_len) <=
					    REMAP_MEMBER_BLOB_BYTES);
		}
		free(copy);
	}
	assert_true(accepted > 0);
}

static void fuzz_noise(void **unused)
{
	int i;

	(void)unused;
	unit_seed(__func__);
	for (i = 0; i < ROUNDS / 10; i++) {
		size_t nr_bytes =
			unit_random_below(4) ? 512 : unit_random_below(REMAP_FOREIGN_BYTES);
		u8 *noise = malloc(nr_bytes + 1);

		assert_non_null(noise);
		memset(noise, unit_random_below(3), nr_bytes);
		if (nr_bytes) {
			unit_random_bytes(noise, nr_bytes > 64 ? 64 : nr_bytes);
			mutate(noise, nr_bytes, nr_bytes);
		}
		remap_foreign_name(noise, nr_bytes);
		if (nr_bytes >= 512) {
			if (unit_random_below(2))
				memcpy(noise, REMAP_MAGIC_PROBE, 8);
			assert_true(remap_probe_check_sector(noise, 0, NULL, NULL) != REMAP_OK);
		}
		free(noise);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fuzz_super),
		cmocka_unit_test(fuzz_table),
		cmocka_unit_test(fuzz_member),
		cmocka_unit_test(fuzz_noise),
	};

	return cmocka_run_group_tests_name("fuzz", tests, NULL, NULL);
}
