// SPDX-License-Identifier: GPL-2.0-or-later
/* The superblock: round trips, what is refused, and torn writes of it. */
#include "unit.h"

static void seal_and_decode(struct block *block, enum remap_verdict wanted)
{
	struct remap_super super;

	remap_block_seal(block);
	assert_int_equal(remap_super_decode(block, &super), wanted);
}

static void round_trips(void **unused)
{
	struct remap_super super, back;
	struct block block, again;
	int i;

	(void)unused;
	unit_seed(__func__);
	for (i = 0; i < 2000; i++) {
		/* Padding too: the structures are compared as bytes. */
		memset(&super, 0, sizeof(super));
		unit_random_bytes(super.uuid, sizeof(super.uuid));
		unit_random_bytes(super.host_id, sizeof(super.host_id));
		unit_random_bytes(super.label, unit_random_below(REMAP_LABEL_BYTES));
		unit_random_bytes(super.identity, unit_random_below(REMAP_IDENTITY_BYTES));
		remap_geometry_compute(640 + unit_random_below(1ULL << (10 + i % 30)),
				       &super.geometry);
		super.version = REMAP_FORMAT_VERSION;
		super.seq = unit_random() >> 1;
		super.flags = unit_random();
		super.ro_compat = unit_random();
		super.created = unit_random();
		super.main_sectors = 8 + unit_random_below(REMAP_MAX_MAIN_SECTORS - 7);
		super.probe_chunk = unit_random_below(super.main_sectors / 8);
		memset(&block, 0xee, sizeof(block));
		remap_super_encode(&super, &block);
		memset(&back, 0xee, sizeof(back));
		assert_int_equal(remap_super_decode(&block, &back), REMAP_OK);
		assert_memory_equal(&super, &back, sizeof(super));
		remap_super_encode(&back, &again);
		assert_memory_equal(&block, &again, sizeof(block));
		/* C14 and tearing: all of it lies in one sector. */
		assert_true(remap_is_zero(block.bytes + 512, REMAP_BLOCK_BYTES - 512));
	}
}

/* One field after the other is broken under a right checksum. */
static void refused(void **unused)
{
	struct remap_super super;
	struct block good, block;
	struct remap_super_disk *disk = (struct remap_super_disk *)&block;

	(void)unused;
	unit_super(&super, 2048);
	remap_super_encode(&super, &good);
#define REFUSED(change, verdict)                   \
	do {                                       \
		block = good;                      \
		seal_and_decode(&block, REMAP_OK); \
		change;                            \
		seal_and_decode(&block, verdict);  \
	} while (0)
	REFUSED(disk->version = cpu_to_le32(2), REMAP_BAD_VERSION);
	REFUSED(disk->version = 0, REMAP_BAD_VERSION);
	REFUSED(disk->incompat = cpu_to_le64(1), REMAP_BAD_VERSION);
	REFUSED(disk->incompat = cpu_to_le64(1ULL << 63), REMAP_BAD_VERSION);
	REFUSED(disk->main_sectors = cpu_to_le64(REMAP_MAX_MAIN_SECTORS + 1), REMAP_BAD_FIELD);
	REFUSED(disk->main_sectors = 0, REMAP_BAD_FIELD);
	REFUSED(disk->probe_chunk = cpu_to_le64(125000), REMAP_BAD_FIELD);
	REFUSED(disk->probe_chunk = cpu_to_le64(~0ULL), REMAP_BAD_FIELD);
	REFUSED(disk->slots = cpu_to_le32(193), REMAP_BAD_FIELD);
	REFUSED(disk->replica_sector[1] = 0, REMAP_BAD_FIELD);
	REFUSED(memset(disk->label, 'x', sizeof(disk->label)), REMAP_BAD_FIELD);
	REFUSED(memset(disk->identity, 'x', sizeof(disk->identity)), REMAP_BAD_FIELD);
	REFUSED(disk->header.index = cpu_to_le32(1), REMAP_OTHER_SET);
	REFUSED(disk->header.magic[7] = 'T', REMAP_BAD_MAGIC);
#undef REFUSED
	memset(&block, 0, sizeof(block));
	assert_int_equal(remap_super_decode(&block, &super), REMAP_ZERO);
	assert_true(remap_is_zero(&super, sizeof(super)));
}

static void unknown_features(void **unused)
{
	struct remap_super super, back;
	struct block block;

	(void)unused;
	/* What a refusal must be able to name. */
	unit_super(&super, 2048);
	super.version = 7;
	super.incompat = 0x30;
	remap_super_encode(&super, &block);
	assert_int_equal(remap_super_decode(&block, &back), REMAP_BAD_VERSION);
	assert_int_equal(back.version, 7);
	assert_int_equal(back.incompat, 0x30);
	assert_memory_equal(back.uuid, unit_uuid, sizeof(unit_uuid));
	assert_string_equal(back.label, "golden");

	/* ro_compat is the caller's; an unknown compat bit is read and not kept. */
	unit_super(&super, 2048);
	super.ro_compat = 0x10;
	remap_super_encode(&super, &block);
	((struct remap_super_disk *)&block)->compat = cpu_to_le64(0x20);
	((struct remap_super_disk *)&block)->reserved[1] = 1;
	remap_block_seal(&block);
	assert_int_equal(remap_super_decode(&block, &back), REMAP_OK);
	assert_int_equal(back.ro_compat, 0x10);
	assert_int_equal(back.compat, 0x20);
	remap_super_encode(&back, &block);
	assert_int_equal(remap_super_decode(&block, &back), REMAP_OK);
	assert_int_equal(back.compat, 0);
}

/* C8: dead copies are kept; what names no table block, or two of one, is refused. */
static void dead_copies(void **unused)
{
	static const struct {
		u32 dead[2];
		enum remap_verdict verdict;
	} cases[] = {
		{ { 5, 0 }, REMAP_OK }, /* block 1, copy 0 */
		{ { 0, 8 }, REMAP_OK }, /* block 1, copy 3 */
		{ { 5, 8 }, REMAP_BAD_FIELD },
		{ { 4, 0 }, REMAP_BAD_FIELD }, /* the superblock */
		{ { 0xffffffff, 0 }, REMAP_BAD_FIELD },
	};
	struct remap_super super, back;
	struct block block;
	size_t n;
	u32 b, c;

	(void)unused;
	for (n = 0; n < ARRAY_SIZE(cases); n++) {
		unit_super(&super, 2048);
		super.dead[3] = cases[n].dead[0];
		super.dead[8] = cases[n].dead[1];
		remap_super_encode(&super, &block);
		assert_int_equal(remap_super_decode(&block, &back), cases[n].verdict);
		assert_memory_equal(back.dead, super.dead, sizeof(back.dead));
		for (b = 1; b < 3 && cases[n].verdict == REMAP_OK; b++)
			for (c = 0; c < REMAP_COPIES; c++)
				assert_int_equal(remap_is_dead(&back, b, c),
						 remap_dead_code(b, c) == super.dead[3] ||
							 remap_dead_code(b, c) == super.dead[8]);
	}
}

/* Torn at 512 bytes in any way, it is the old one or the new one. */
static void torn(void **unused)
{
	struct remap_super super;
	struct block old, new, mixed;
	int subset, sector;

	(void)unused;
	unit_super(&super, 2048);
	remap_super_encode(&super, &old);
	super.seq = 9;
	super.flags = 0;
	memcpy(super.label, "renamed", 8);
	remap_super_encode(&super, &new);
	for (subset = 0; subset < 256; subset++) {
		for (sector = 0; sector < 8; sector++)
			memcpy(mixed.bytes + sector * 512,
			       (subset >> sector & 1 ? &new : &old)->bytes + sector * 512, 512);
		assert_int_equal(remap_super_decode(&mixed, &super), REMAP_OK);
		assert_int_equal(super.seq, subset & 1 ? 9 : 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(refused),
		cmocka_unit_test(unknown_features),
		cmocka_unit_test(dead_copies),
		cmocka_unit_test(torn),
	};

	return cmocka_run_group_tests_name("super", tests, NULL, NULL);
}
