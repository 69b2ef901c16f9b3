// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The four copies of a block taken together: which superblock counts, what must be written before
 * a set is served, what a dead place means; and the sectors of the mark, the blocks of a new set.
 */
#include "unit.h"

/* What one copy can be: of set A or B, of a version that is not known (N), or not valid. */
static void make_super(struct block *block, enum remap_verdict *verdict, const char *what)
{
	struct remap_super super;

	*verdict = REMAP_OK;
	memset(block, 0, sizeof(*block));
	if (*what == '0')
		return;
	unit_super(&super, 2048);
	super.seq = (u64)(what[1] - '0');
	if (*what == 'B')
		super.uuid[0] ^= 1;
	if (*what == 'N')
		super.incompat = 1;
	remap_super_encode(&super, block);
	if (what[1] && what[2] == '*') { /* another content of that number */
		super.flags ^= REMAP_SUPER_FROZEN;
		remap_super_encode(&super, block);
	}
	if (*what == 'D')
		block->bytes[500] ^= 1;
	if (*what == 'U')
		*verdict = REMAP_UNREADABLE;
}

static void supers(void **unused)
{
	static const struct {
		const char *copy[REMAP_COPIES];
		int r;
		u64 seq;
		u8 rewrite;
	} cases[] = {
		{ { "A5", "A4", "A5", "A4" }, 0, 5, 0 },
		{ { "A5", "A6", "A5", "A6" }, 0, 6, 0 },
		{ { "A5", "A6", "A5", "A4" }, 0, 6, 12 },
		{ { "A5", "U0", "A5", "A4" }, 0, 5, 2 },
		{ { "A5", "D4", "A5", "A4" }, 0, 5, 0 },
		{ { "A5", "D6", "A5", "D6" }, 0, 5, 10 }, /* newer content is lost */
		{ { "A5", "00", "00", "00" }, 0, 5, 12 },
		/* of more sets the one that more copies name, however new the other */
		{ { "A5", "B9", "A5", "A4" }, 0, 5, 0 },
		{ { "B5", "A6", "B5", "B6" }, 0, 6, 3 },
		{ { "A5", "B6", "A5", "B6" }, -EUCLEAN, 0, 0 },
		{ { "A5", "B6", "00", "U0" }, -EUCLEAN, 0, 0 },
		{ { "A5", "A5*", "A5", "A5" }, -EUCLEAN, 0, 0 },
		/* an older place is no way around what is not known */
		{ { "A5", "N6", "A5", "A4" }, -EOPNOTSUPP, 0, 0 },
		{ { "A5", "N4", "A5", "A4" }, 0, 5, 0 },
		{ { "N5", "00", "00", "U0" }, -EOPNOTSUPP, 0, 0 },
		{ { "D5", "00", "U0", "00" }, -EBADMSG, 0, 0 },
		{ { "00", "00", "U0", "00" }, -EIO, 0, 0 },
		{ { "00", "00", "00", "00" }, -ENODATA, 0, 0 },
	};
	struct block block[REMAP_COPIES];
	struct remap_copies copies;
	struct remap_super super;
	size_t n;
	int c;

	(void)unused;
	for (n = 0; n < ARRAY_SIZE(cases); n++) {
		memset(&copies, 0xee, sizeof(copies));
		for (c = 0; c < REMAP_COPIES; c++) {
			make_super(&block[c], &copies.verdict[c], cases[n].copy[c]);
			copies.data[c] = &block[c];
		}
		assert_int_equal(remap_judge_supers(&copies, &super), cases[n].r);
		if (cases[n].r)
			continue;
		assert_int_equal(super.seq, cases[n].seq);
		assert_int_equal(copies.choice.seq, cases[n].seq);
		assert_int_equal(copies.choice.rewrite, cases[n].rewrite);
	}
}

static void make_table(struct block *block, u64 seq, u64 chunk)
{
	struct remap_entry entry = { .main_chunk = chunk,
				     .redirected = 1,
				     .state = REMAP_ENTRY_USED };
	struct remap_table_disk *table = (struct remap_table_disk *)block;

	remap_block_init(block, REMAP_MAGIC_TABLE, unit_uuid, 1, seq);
	remap_entry_encode(&entry, &table->entry[0]);
	remap_block_seal(block);
}

/* C7, C8: what must be written before a table block is served. */
static void tables(void **unused)
{
	static const struct {
		u8 seq[REMAP_COPIES]; /* 0: zeros, 9: unreadable; the chunk is the number modulo 8 */
		int dead;	      /* copy, or -1 */
		u64 chosen;
		u8 rewrite;
		bool unlike; /* the newest has other entries */
	} cases[] = {
		{ { 5, 6, 5, 6 }, -1, 6, 0, true },
		{ { 5, 6, 5, 4 }, -1, 6, 12, true },
		{ { 4, 3, 5, 6 }, -1, 6, 3, true },
		{ { 5, 6, 9, 6 }, -1, 6, 4, true },
		{ { 5, 0, 5, 0 }, -1, 5, 0, true },
		/* the other place of that replica has the entries, under whatever number */
		{ { 5, 8, 6, 5 }, 1, 6, 0, false },
		{ { 5, 8, 6, 5 }, 1, 6, 1, true },
		{ { 9, 8, 6, 5 }, 1, 6, 1, true },
		{ { 6, 5, 9, 8 }, 2, 8, 3, true },
		{ { 6, 5, 0, 4 }, 3, 6, 4, false },
	};
	struct block block[REMAP_COPIES];
	struct remap_copies copies;
	struct remap_super super;
	size_t n;
	int c;

	(void)unused;
	for (n = 0; n < ARRAY_SIZE(cases); n++) {
		unit_super(&super, 2048);
		if (cases[n].dead >= 0)
			assert_int_equal(remap_add_dead(super.dead, 1, cases[n].dead), 0);
		for (c = 0; c < REMAP_COPIES; c++) {
			u8 seq = cases[n].seq[c];

			make_table(&block[c], seq, cases[n].unlike ? seq : 1);
			if (!seq)
				memset(&block[c], 0, sizeof(block[c]));
			copies.data[c] = &block[c];
			copies.verdict[c] = seq == 9 ? REMAP_UNREADABLE : REMAP_OK;
		}
		assert_int_equal(remap_judge_block(&super, 1, 0, &copies), 0);
		assert_int_equal(copies.choice.seq, cases[n].chosen);
		assert_int_equal(copies.choice.rewrite, cases[n].rewrite);
		for (c = 0; c < REMAP_COPIES; c++)
			assert_int_equal(copies.verdict[c] == REMAP_DEAD, c == cases[n].dead);
		if (cases[n].dead >= 0)
			assert_int_equal(copies.choice.good_place[cases[n].dead / REMAP_PLACES],
					 !(cases[n].dead % REMAP_PLACES));
	}
}

/* C16: of a set that is loaded, a superblock with another layout is another's. */
static void super_of_a_loaded_set(void **unused)
{
	struct remap_super super, other;
	struct remap_copies copies;
	struct block block[REMAP_COPIES];
	int c;

	(void)unused;
	unit_super(&super, 2048);
	for (c = 0; c < REMAP_COPIES; c++) {
		other = super;
		if (c == 1)
			unit_super(&other, 4096);
		if (c == 2)
			other.main_sectors += 8;
		other.seq = (u64)(c + 1);
		remap_super_encode(&other, &block[c]);
		copies.data[c] = &block[c];
		copies.verdict[c] = REMAP_OK;
	}
	assert_int_equal(remap_judge_block(&super, 0, 0, &copies), 0);
	assert_int_equal(copies.choice.best, 3);
	assert_int_equal(copies.verdict[1], REMAP_OTHER_SET);
	assert_int_equal(copies.verdict[2], REMAP_OTHER_SET);
}

static void dead_places(void **unused)
{
	struct remap_super super = { .seq = 1 };
	u32 block;

	(void)unused;
	assert_int_equal(remap_dead_copy(&super, 0), -1);
	for (block = 1; block <= REMAP_DEAD_MAX; block++)
		assert_int_equal(remap_add_dead(super.dead, block, block % REMAP_COPIES), 0);
	assert_int_equal(remap_add_dead(super.dead, block, 0), -ENOSPC);
	assert_int_equal(remap_add_dead(super.dead, 3, 3), 0);
	assert_int_equal(remap_add_dead(super.dead, 3, 2), -EEXIST);
	for (block = 1; block <= REMAP_DEAD_MAX; block++)
		assert_int_equal(remap_dead_copy(&super, block), block % REMAP_COPIES);
	remap_remove_dead(super.dead, 3);
	assert_int_equal(remap_dead_copy(&super, 3), -1);
	/* the hole is used, and what lies behind it is seen first */
	assert_int_equal(remap_add_dead(super.dead, 5, 0), -EEXIST);
	assert_int_equal(remap_add_dead(super.dead, 77, 2), 0);
	assert_int_equal(remap_dead_copy(&super, 77), 2);
}

static void mark(void **unused)
{
	struct remap_mark older = { .seq = 5, .nr_probe = 8, .digest = 1 };
	struct remap_mark newer = { .seq = 6, .nr_probe = 9, .digest = 2 };
	struct block chunk, other, before;
	struct remap_mark_found found;

	(void)unused;
	remap_probe_encode(&chunk, unit_uuid, &older);
	remap_find_mark(&chunk, 0, unit_uuid, NULL, &found);
	assert_int_equal(found.proofs, 0xff);
	assert_int_equal(found.others, 0);
	assert_memory_equal(&found.mark, &older, sizeof(older));
	/* a crash leaves sectors of the one before: the later one counts */
	remap_probe_encode(&other, unit_uuid, &newer);
	memcpy(chunk.bytes + 2 * 512, other.bytes + 2 * 512, 512);
	memset(chunk.bytes + 4 * 512, 0x55, 1024);
	remap_find_mark(&chunk, 1 << 5, unit_uuid, NULL, &found);
	assert_int_equal(found.proofs, 0xcf);
	assert_int_equal(found.others, 0x10);
	assert_memory_equal(&found.mark, &newer, sizeof(newer));
	remap_find_mark(&chunk, 0xff, unit_uuid, NULL, &found);
	assert_int_equal(found.proofs | found.others, 0);
	assert_true(remap_is_zero(&found.mark, sizeof(found.mark)));
	/* another set's */
	remap_find_mark(&other, 0, (const u8 *)"another set's id", NULL, &found);
	assert_int_equal(found.others, 0xff);
	remap_find_mark(&other, 0, NULL, NULL, &found);
	assert_int_equal(found.proofs, 0xff);
	/* before the mark is written what was there is proof, too */
	memset(&before, 0x33, sizeof(before));
	chunk = before;
	memcpy(chunk.bytes, other.bytes, 512);
	chunk.bytes[7 * 512] ^= 1;
	remap_find_mark(&chunk, 0, unit_uuid, &before, &found);
	assert_int_equal(found.proofs, 0x7f);
	assert_int_equal(found.others, 0x80);
}

/* C14: a half-made set is recognised by these, where they are. */
static void initial(void **unused)
{
	struct remap_super super;
	const struct remap_geometry *geometry = &super.geometry;
	struct remap_entry entry;
	struct block block;
	u32 b, end;
	u64 sector;

	(void)unused;
	unit_super(&super, 4096);
	end = 1 + geometry->table_blocks + geometry->soft_blocks;
	for (b = 1; b < end; b++) {
		memset(&block, 0xee, sizeof(block));
		remap_initial_block(&super, b, &block);
		assert_true(remap_is_zero(block.bytes + 512, REMAP_BLOCK_BYTES - 512));
		sector = remap_block_sector(geometry, 1, 0, b);
		assert_true(remap_is_initial(geometry, sector, &block));
		assert_true(
			remap_is_initial(geometry, remap_block_sector(geometry, 0, 0, b), &block));
		assert_false(remap_is_initial(geometry, sector + 8, &block));
		if (b > geometry->table_blocks)
			continue;
		assert_int_equal(
			remap_table_check(&block, geometry, super.uuid, b, super.main_sectors),
			REMAP_OK);
		remap_entry_decode(&((struct remap_table_disk *)&block)->entry[0], &entry);
		assert_int_equal(entry.state, b == 1 ? REMAP_ENTRY_USED : REMAP_ENTRY_FREE);
		assert_int_equal(entry.main_chunk, b == 1 ? super.probe_chunk : 0);
		((struct remap_block_header *)&block)->seq = cpu_to_le64(2);
		remap_block_seal(&block);
		assert_false(remap_is_initial(geometry, sector, &block));
	}
	assert_false(remap_is_initial(geometry, 0, &block));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(supers),
		cmocka_unit_test(tables),
		cmocka_unit_test(super_of_a_loaded_set),
		cmocka_unit_test(dead_places),
		cmocka_unit_test(mark),
		cmocka_unit_test(initial),
	};

	return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
