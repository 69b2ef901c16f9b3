// SPDX-License-Identifier: GPL-2.0-or-later
/* Checksums, and every verdict of remap_block_check(). */
#include "unit.h"

static void crc_vectors(void **unused)
{
	u8 zeros[REMAP_BLOCK_BYTES] = {}, ones[32], counting[256];
	int i;

	(void)unused;
	memset(ones, 0xff, sizeof(ones));
	for (i = 0; i < 256; i++)
		counting[i] = i;
	/* The table of FORMAT.md. */
	assert_int_equal(remap_crc32("", 0), 0x00000000);
	assert_int_equal(remap_crc32("123456789", 9), 0xcbf43926);
	assert_int_equal(remap_crc32(zeros, 32), 0x190a55ad);
	assert_int_equal(remap_crc32(ones, 32), 0xff6cab0b);
	assert_int_equal(remap_crc32(counting, 256), 0x29058c73);
	assert_int_equal(remap_crc32(zeros, REMAP_BLOCK_BYTES), 0xc71c0011);
}

/* Independent of zlib and of the kernel: the definition, bit by bit. */
static u32 crc_by_bits(const u8 *bytes, size_t nr_bytes)
{
	u32 crc = ~0U;
	int bit;

	while (nr_bytes--) {
		crc ^= *bytes++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void crc_against_definition(void **unused)
{
	u8 data[300];
	int i;

	(void)unused;
	unit_seed(__func__);
	for (i = 0; i < 200; i++) {
		size_t nr = unit_random_below(sizeof(data) + 1);

		unit_random_bytes(data, nr);
		assert_int_equal(remap_crc32(data, nr), crc_by_bits(data, nr));
	}
}

static void zero_detection(void **unused)
{
	u8 data[100] = {};
	size_t i;

	(void)unused;
	assert_true(remap_is_zero(NULL, 0));
	assert_true(remap_is_zero(data, 1));
	assert_true(remap_is_zero(data, sizeof(data)));
	for (i = 0; i < sizeof(data); i++) {
		data[i] = 1;
		assert_false(remap_is_zero(data, sizeof(data)));
		assert_true(remap_is_zero(data, i));
		data[i] = 0;
	}
}

static void make_block(struct block *block)
{
	remap_block_init(block, REMAP_MAGIC_TABLE, unit_uuid, 7, 0x123456789abcdef0ULL);
	block->bytes[100] = 0x42;
	remap_block_seal(block);
}

static void header_bytes(void **unused)
{
	static const u8 wanted[] = {
		'd',  'm',  'R',  'e',	'm',  'a',  'p',  'T',	0,    0,    0,	  0,
		7,    0,    0,	  0,	0x9a, 0x7b, 0x05, 0x11, 0x3c, 0x2d, 0x4e, 0x6f,
		0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8, 0xf0, 0xde, 0xbc, 0x9a,
		0x78, 0x56, 0x34, 0x12, 0,    0,    0,	  0,	0,    0,    0,	  0,
	};
	struct block block;
	u32 crc;

	(void)unused;
	memset(&block, 0xee, sizeof(block));
	remap_block_init(&block, REMAP_MAGIC_TABLE, unit_uuid, 7, 0x123456789abcdef0ULL);
	assert_memory_equal(block.bytes, wanted, sizeof(wanted));
	assert_true(remap_is_zero(block.bytes + 48, REMAP_BLOCK_BYTES - 48));
	remap_block_seal(&block);
	crc = crc_by_bits(block.bytes + 12, REMAP_BLOCK_BYTES - 12);
	assert_int_equal(block.bytes[8] | block.bytes[9] << 8 | block.bytes[10] << 16 |
				 (u32)block.bytes[11] << 24,
			 crc);
	assert_true(remap_block_seq(&block) == 0x123456789abcdef0ULL);
}

static void verdicts(void **unused)
{
	struct block block;

	(void)unused;
	make_block(&block);
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_TABLE, unit_uuid, 7), REMAP_OK);
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_TABLE, NULL, 7), REMAP_OK);
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_TABLE, unit_uuid, 8),
			 REMAP_OTHER_SET);
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_TABLE, unit_other_uuid, 7),
			 REMAP_OTHER_SET);
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_SOFT, unit_uuid, 7),
			 REMAP_BAD_MAGIC);
	/* C16: a counter that goes on behind it would wrap */
	remap_block_init(&block, REMAP_MAGIC_TABLE, unit_uuid, 7, REMAP_MAX_SEQ);
	remap_block_seal(&block);
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_TABLE, unit_uuid, 7), REMAP_OK);
	remap_block_init(&block, REMAP_MAGIC_TABLE, unit_uuid, 7, REMAP_MAX_SEQ + 1);
	remap_block_seal(&block);
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_TABLE, unit_uuid, 7),
			 REMAP_BAD_FIELD);
	/* the losable block may not be far ahead */
	remap_block_init(&block, REMAP_MAGIC_SOFT, unit_uuid, 7, 5 + REMAP_SOFT_AHEAD);
	remap_block_seal(&block);
	assert_int_equal(remap_soft_check(&block, unit_uuid, 7, 5), REMAP_OK);
	assert_int_equal(remap_soft_check(&block, unit_uuid, 7, 4), REMAP_BAD_FIELD);
	assert_int_equal(remap_soft_check(&block, unit_uuid, 7, 1ULL << 50), REMAP_OK);
	assert_int_equal(remap_soft_check(&block, unit_uuid, 8, 5), REMAP_OTHER_SET);
	memset(&block, 0, sizeof(block));
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_TABLE, unit_uuid, 7), REMAP_ZERO);
	block.bytes[REMAP_BLOCK_BYTES - 1] = 1;
	assert_int_equal(remap_block_check(&block, REMAP_MAGIC_TABLE, unit_uuid, 7),
			 REMAP_BAD_MAGIC);
}

/* A zeroed sector, like a flipped bit, is never taken for content. */
static void every_bit_counts(void **unused)
{
	struct block block;
	int bit;

	(void)unused;
	make_block(&block);
	for (bit = 0; bit < REMAP_BLOCK_BYTES * 8; bit++) {
		enum remap_verdict verdict;

		block.bytes[bit / 8] ^= 1 << bit % 8;
		verdict = remap_block_check(&block, REMAP_MAGIC_TABLE, unit_uuid, 7);
		assert_int_equal(verdict, bit < 64 ? REMAP_BAD_MAGIC : REMAP_BAD_CRC);
		block.bytes[bit / 8] ^= 1 << bit % 8;
	}
}

static void verdicts_have_names(void **unused)
{
	int a, b;

	(void)unused;
	for (a = REMAP_OK; a <= REMAP_UNREADABLE; a++) {
		assert_string_not_equal(remap_verdict_name(a), "unknown");
		for (b = REMAP_OK; b < a; b++)
			assert_string_not_equal(remap_verdict_name(a), remap_verdict_name(b));
	}
	assert_string_equal(remap_verdict_name(99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_vectors),
		cmocka_unit_test(crc_against_definition),
		cmocka_unit_test(zero_detection),
		cmocka_unit_test(header_bytes),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(verdicts_have_names),
	};

	return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
