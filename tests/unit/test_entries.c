// SPDX-License-Identifier: GPL-2.0-or-later
/* Table entries: their bytes, what is valid, generations, whole blocks. */
#include "unit.h"

#define MAIN_SECTORS 1003 /* chunks 0 to 125, the last of 3 sectors */

static const struct remap_entry used = {
	.main_chunk = 125,
	.redirected = 0x07,
	.lost = 0x05,
	.state = REMAP_ENTRY_USED,
	.generation = 2,
	.cause = REMAP_CAUSE_RESCUE,
	.status = REMAP_STATUS_MEDIUM,
	.errors = 200,
	.when = 0xfedcba98,
};

static void bytes(void **unused)
{
	static const u8 wanted[] = {
		0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xf1, 0x31,
		0x98, 0xba, 0xdc, 0xfe, 0x21, 0x02, 0x02, 0xc8,
	};
	struct remap_entry entry = used;
	struct remap_entry_disk disk;

	(void)unused;
	entry.main_chunk = 0x112233445566ULL;
	entry.redirected = 0xf1;
	entry.lost = 0x31;
	remap_entry_encode(&entry, &disk);
	assert_memory_equal(&disk, wanted, sizeof(wanted));
}

static void round_trips(void **unused)
{
	struct remap_entry entry, back;
	struct remap_entry_disk disk, again;
	int i;

	(void)unused;
	unit_seed(__func__);
	for (i = 0; i < 20000; i++) {
		unit_random_entry(&entry, MAIN_SECTORS);
		assert_true(remap_entry_valid(&entry, MAIN_SECTORS));
		remap_entry_encode(&entry, &disk);
		memset(&back, 0, sizeof(back));
		remap_entry_decode(&disk, &back);
		assert_memory_equal(&entry, &back, sizeof(entry));
		/* Any sixteen bytes survive, also those that are not valid. */
		unit_random_bytes(&disk, sizeof(disk));
		remap_entry_decode(&disk, &entry);
		remap_entry_encode(&entry, &again);
		assert_memory_equal(&disk, &again, sizeof(disk));
	}
}

#define INVALID(start, change)                                         \
	do {                                                           \
		struct remap_entry entry = (start);                    \
		assert_true(remap_entry_valid(&entry, MAIN_SECTORS));  \
		entry.change;                                          \
		assert_false(remap_entry_valid(&entry, MAIN_SECTORS)); \
	} while (0)

static void invalid(void **unused)
{
	static const struct remap_entry free_entry;
	static const struct remap_entry bad = {
		.state = REMAP_ENTRY_BAD,
		.cause = REMAP_CAUSE_SPARE_BAD,
		.errors = 1,
		.when = 5,
	};

	(void)unused;
	INVALID(free_entry, main_chunk = 1);
	INVALID(free_entry, redirected = 1);
	INVALID(free_entry, lost = 1);
	INVALID(free_entry, generation = 1);
	INVALID(free_entry, cause = 1);
	INVALID(free_entry, status = 1);
	INVALID(free_entry, errors = 1);
	INVALID(free_entry, when = 1);
	INVALID(free_entry, state = REMAP_ENTRY_USED);
	INVALID(bad, main_chunk = 1);
	INVALID(bad, redirected = 1);
	INVALID(bad, lost = 1);
	INVALID(bad, generation = 1);
	INVALID(bad, state = 3);
	INVALID(bad, state = 15);
	INVALID(used, redirected = 0);
	INVALID(used, redirected = 0x0f); /* sector 3 is beyond main */
	INVALID(used, redirected = 0x03); /* sector 2 would be lost but not redirected */
	INVALID(used, lost = 0x0d);
	INVALID(used, main_chunk = 126);
	INVALID(used, main_chunk = (1ULL << 48) - 1);
	INVALID(used, generation = 4);
	INVALID(used, state = REMAP_ENTRY_USED | 0x40);
}

static void tails(void **unused)
{
	u64 main_sectors;

	(void)unused;
	for (main_sectors = 1; main_sectors <= 24; main_sectors++) {
		u64 sector;

		for (sector = 0; sector < 32; sector++) {
			struct remap_entry entry = {
				.state = REMAP_ENTRY_USED,
				.main_chunk = sector / 8,
				.redirected = 1U << sector % 8,
			};

			assert_int_equal(remap_entry_valid(&entry, main_sectors),
					 sector < main_sectors);
		}
	}
}

static void generations(void **unused)
{
	int a, b;

	(void)unused;
	for (a = 0; a < 4; a++) {
		for (b = 0; b < 4; b++) {
			int wanted = a == (b + 1) % 4 ? 1 : b == (a + 1) % 4 ? -1 : 0;

			assert_int_equal(remap_generation_compare(a, b), wanted);
		}
	}
}

static void table_blocks(void **unused)
{
	struct remap_geometry geometry = { .slots = 252 + 10 };
	struct remap_table_disk *table;
	struct block block;
	u32 i;

	(void)unused;
	remap_block_init(&block, REMAP_MAGIC_TABLE, unit_uuid, 2, 9);
	table = (struct remap_table_disk *)&block;
	table->nr_entries = cpu_to_le32(10);
	for (i = 0; i < 10; i++)
		remap_entry_encode(&used, &table->entry[i]);
	remap_block_seal(&block);
	assert_int_equal(remap_table_check(&block, &geometry, unit_uuid, 2, MAIN_SECTORS),
			 REMAP_OK);
	assert_int_equal(remap_table_check(&block, &geometry, unit_other_uuid, 2, MAIN_SECTORS),
			 REMAP_OTHER_SET);
	assert_int_equal(remap_table_check(&block, &geometry, unit_uuid, 1, MAIN_SECTORS),
			 REMAP_OTHER_SET);
	assert_int_equal(remap_table_check(&block, &geometry, unit_uuid, 2, MAIN_SECTORS - 1),
			 REMAP_BAD_FIELD);
	/* An entry without a slot is not free. */
	geometry.slots--;
	assert_int_equal(remap_table_check(&block, &geometry, unit_uuid, 2, MAIN_SECTORS),
			 REMAP_BAD_FIELD);
	geometry.slots = 252;
	assert_int_equal(remap_table_check(&block, &geometry, unit_uuid, 2, MAIN_SECTORS),
			 REMAP_BAD_FIELD);
	block.bytes[4095] = 1;
	assert_int_equal(remap_table_check(&block, &geometry, unit_uuid, 2, MAIN_SECTORS),
			 REMAP_BAD_CRC);
}

static void slots_and_blocks(void **unused)
{
	struct remap_geometry geometry = { .slots = 1000000 };
	u32 slot, next[2] = {};

	(void)unused;
	/* Every slot has an entry of its own, in order. */
	for (slot = 0; slot < geometry.slots; slot++) {
		if (!next[1] || next[1] == REMAP_ENTRIES_PER_BLOCK) {
			next[0]++;
			next[1] = 0;
		}
		assert_int_equal(remap_table_block_of(slot), next[0]);
		assert_int_equal(remap_table_entry_of(slot), next[1]++);
	}
	assert_int_equal(remap_table_entries(&geometry, 1), 252);
	assert_int_equal(remap_table_entries(&geometry, next[0]), next[1]);
	assert_int_equal(remap_table_entries(&geometry, next[0] + 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(invalid),
		cmocka_unit_test(tails),
		cmocka_unit_test(generations),
		cmocka_unit_test(table_blocks),
		cmocka_unit_test(slots_and_blocks),
	};

	return cmocka_run_group_tests_name("entries", tests, NULL, NULL);
}
