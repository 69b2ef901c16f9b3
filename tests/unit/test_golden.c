// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images made by the first release decode for ever, and the encoders still
 * make them byte for byte.  `test_golden --print NAME` prints what they make.
 */
#include <zlib.h>

#include "golden.h"

static u8 *wanted, *made;

static void same_bytes(const char *name)
{
	size_t nr_bytes = golden_make(name, made), i;

	assert_true(nr_bytes);
	golden_load(name, wanted, nr_bytes);
	assert_false(remap_is_zero(wanted, nr_bytes));
	for (i = 0; i < nr_bytes; i++)
		if (wanted[i] != made[i])
			fail_msg("%s: byte 0x%zx is 0x%02x, the golden image has 0x%02x", name, i,
				 made[i], wanted[i]);
}

static void encoders(void **unused)
{
	(void)unused;
	same_bytes("spare");
	same_bytes("mark");
	same_bytes("member");
	same_bytes("guard");
}

static void spare_super(void **unused)
{
	struct remap_super super;

	(void)unused;
	golden_load("spare", wanted, GOLDEN_SPARE_BYTES);
	assert_int_equal(remap_super_decode(wanted, &super), REMAP_OK);
	assert_int_equal(remap_super_decode(wanted + 0x10000, &super), REMAP_OK);
	assert_int_equal(remap_super_decode(wanted + 0xe0000, &super), REMAP_OK);
	assert_int_equal(remap_super_decode(wanted + 0xf0000, &super), REMAP_OK);
	assert_memory_equal(super.uuid, unit_uuid, sizeof(unit_uuid));
	assert_int_equal(super.seq, 1);
	assert_int_equal(super.version, 1);
	assert_int_equal(super.flags, REMAP_SUPER_MARKED);
	assert_int_equal(super.main_sectors, 1000003);
	assert_int_equal(super.probe_chunk, 124999);
	assert_int_equal(super.created, 1700000000);
	assert_string_equal(super.label, "golden");
	assert_string_equal(super.identity, "wwn-0x5000c500a1b2c3d4-part2");
	assert_int_equal(super.geometry.region_sectors, 2048);
	assert_int_equal(super.geometry.replica_sector[1], 0xe0000 / 512);
	assert_int_equal(super.geometry.slots_sector, 0x20000 / 512);
	assert_int_equal(super.geometry.slots, 192);
	assert_int_equal(super.geometry.table_blocks, 1);
	assert_int_equal(super.geometry.soft_blocks, 2);
	assert_int_equal(super.geometry.place_blocks, 16);
}

static void spare_table(void **unused)
{
	static const size_t at[REMAP_COPIES] = { 0x1000, 0x11000, 0xe1000, 0xf1000 };
	enum remap_verdict verdict[REMAP_COPIES];
	const void *copy[REMAP_COPIES];
	const struct remap_table_disk *table;
	struct remap_choice choice;
	struct remap_super super;
	struct remap_entry entry;
	int i;

	(void)unused;
	golden_load("spare", wanted, GOLDEN_SPARE_BYTES);
	assert_int_equal(remap_super_decode(wanted, &super), REMAP_OK);
	for (i = 0; i < REMAP_COPIES; i++) {
		copy[i] = wanted + at[i];
		verdict[i] = remap_table_check(copy[i], &super.geometry, unit_uuid, 1, 1000003);
		assert_int_equal(verdict[i], REMAP_OK);
	}
	assert_int_equal(remap_choose(copy, verdict, &choice), 0);
	assert_int_equal(choice.seq, 2);
	assert_int_equal(choice.best, 1);
	assert_int_equal(choice.good_place[0], 1);
	assert_int_equal(choice.good_place[1], 1);

	table = copy[1];
	assert_int_equal(le32_to_cpu(table->nr_entries), 192);
	remap_entry_decode(&table->entry[1], &entry);
	assert_int_equal(entry.main_chunk, 0x1234);
	assert_int_equal(entry.redirected, 0x18);
	assert_int_equal(entry.lost, 0);
	assert_int_equal(entry.state, REMAP_ENTRY_USED);
	assert_int_equal(entry.generation, 0);
	assert_int_equal(entry.cause, REMAP_CAUSE_WRITE_ERROR);
	assert_int_equal(entry.status, REMAP_STATUS_IOERR);
	assert_int_equal(entry.errors, 1);
	assert_int_equal(entry.when, 1700000100);
	remap_entry_decode(&table->entry[2], &entry);
	assert_int_equal(entry.main_chunk, 125000);
	assert_int_equal(entry.redirected, 0x07);
	assert_int_equal(entry.lost, 0x02);
	assert_int_equal(entry.generation, 1);
	remap_entry_decode(&table->entry[191], &entry);
	assert_int_equal(entry.state, REMAP_ENTRY_BAD);
}

static void spare_soft(void **unused)
{
	const struct remap_soft_disk *soft;
	const struct remap_pending_disk *pending;

	(void)unused;
	golden_load("spare", wanted, GOLDEN_SPARE_BYTES);
	soft = (const void *)(wanted + 0x2000);
	pending = (const void *)(wanted + 0x3000);
	assert_int_equal(remap_block_check(soft, REMAP_MAGIC_SOFT, unit_uuid, 2), REMAP_OK);
	assert_int_equal(remap_block_check(pending, REMAP_MAGIC_SOFT, unit_uuid, 3), REMAP_OK);
	assert_int_equal(le64_to_cpu(soft->saved), 1700000200);
	assert_int_equal(le64_to_cpu(soft->counter[5]), 16);
	assert_int_equal(le64_to_cpu(soft->counter[9]), 20);
	assert_int_equal(le32_to_cpu(pending->nr_pending), 2);
	assert_true(le64_to_cpu(pending->pending[1]) == 0x0008000000002008ULL);
}

static void mark(void **unused)
{
	struct remap_mark found;
	unsigned int i;

	(void)unused;
	golden_load("mark", wanted, REMAP_CHUNK_BYTES);
	for (i = 0; i < 8; i++) {
		assert_int_equal(remap_probe_check_sector(wanted + i * 512, i, unit_uuid, &found),
				 REMAP_OK);
		assert_int_equal(found.seq, 2);
		assert_int_equal(found.nr_probe, 3);
		assert_int_equal(found.digest, 0);
	}
}

static void guard(void **unused)
{
	const struct remap_guard_disk *sector = (const void *)wanted;
	u8 uuid[REMAP_UUID_BYTES];

	(void)unused;
	golden_load("guard", wanted, REMAP_SECTOR_BYTES);
	assert_int_equal(remap_guard_check(wanted, uuid, 1000003), REMAP_OK);
	assert_memory_equal(uuid, unit_uuid, REMAP_UUID_BYTES);
	/* a partition table for everybody: one entry, 0xee, from sector 1 to the end */
	assert_int_equal(sector->pmbr[4], 0xee);
	assert_int_equal(sector->pmbr[8], 1);
	assert_memory_equal(sector->pmbr + 12, "\x42\x42\x0f\x00", 4);
	assert_memory_equal(sector->pmbr + 64, "\x55\xaa", 2);
}

static void member(void **unused)
{
	const struct remap_member_disk *header = (const void *)wanted;
	u8 chunk[REMAP_CHUNK_BYTES];
	uLongf nr_bytes = sizeof(chunk);

	(void)unused;
	golden_load("member", wanted, REMAP_MEMBER_BYTES);
	assert_int_equal(remap_member_check(wanted, unit_uuid), REMAP_OK);
	assert_int_equal(le64_to_cpu(header->header.seq), 2);
	assert_int_equal(le64_to_cpu(header->main_sectors), 1000003);
	assert_int_equal(le16_to_cpu(header->nr_hidden), 2);
	assert_memory_equal(header->area + le16_to_cpu(header->blob_offset), "_BHRfS_M", 8);
	assert_int_equal(uncompress(chunk, &nr_bytes,
				    header->area + le16_to_cpu(header->chunk0_offset),
				    le16_to_cpu(header->chunk0_len)),
			 Z_OK);
	assert_int_equal(nr_bytes, REMAP_CHUNK_BYTES);
	assert_true(remap_is_zero(chunk, sizeof(chunk)));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encoders),    cmocka_unit_test(spare_super),
		cmocka_unit_test(spare_table), cmocka_unit_test(spare_soft),
		cmocka_unit_test(mark),	       cmocka_unit_test(member),
		cmocka_unit_test(guard),
	};
	int r;

	wanted = aligned_alloc(4096, GOLDEN_SPARE_BYTES);
	made = aligned_alloc(4096, GOLDEN_SPARE_BYTES);
	if (!wanted || !made)
		return 1;
	if (argc == 3 && !strcmp(argv[1], "--print")) {
		size_t nr_bytes = golden_make(argv[2], made);

		golden_print(made, nr_bytes);
		r = nr_bytes ? 0 : 1;
	} else {
		r = cmocka_run_group_tests_name("golden", tests, NULL, NULL);
	}
	free(wanted);
	free(made);
	return r;
}
