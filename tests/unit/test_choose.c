// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * remap_choose() against an oracle that reads like the rules, over every
 * combination of verdict, number and content of the four copies.
 */
#include "unit.h"

/* What one copy can be: two contents of each number, and three kinds of invalid. */
enum kind {
	SEQ_5,
	SEQ_5_OTHER,
	SEQ_6,
	SEQ_6_OTHER,
	SEQ_7,
	DAMAGED,
	ZERO,
	UNREADABLE,
	DEAD,
	TORN, /* our header, number 5, and a wrong checksum */
	KINDS
};

static struct block block_of[KINDS];

static bool valid(int kind)
{
	return kind < DAMAGED;
}

static u64 seq_of(int kind)
{
	return kind < SEQ_6 ? 5 : kind < SEQ_7 ? 6 : 7;
}

static void make_kinds(void)
{
	int kind;

	for (kind = 0; kind < DAMAGED; kind++) {
		remap_block_init(&block_of[kind], REMAP_MAGIC_TABLE, unit_uuid, 1, seq_of(kind));
		block_of[kind].bytes[REMAP_BLOCK_BYTES - 1] = kind;
		remap_block_seal(&block_of[kind]);
	}
	block_of[TORN] = block_of[SEQ_5];
	block_of[TORN].bytes[2000] ^= 1;
}

/* C6: highest number; two contents of it: neither. Returns the kind, -1 or -2. */
static int oracle_best(const int kind[REMAP_COPIES])
{
	int best = -1, i;

	for (i = 0; i < REMAP_COPIES; i++)
		if (valid(kind[i]) && (best < 0 || seq_of(kind[i]) > seq_of(best)))
			best = kind[i];
	for (i = 0; i < REMAP_COPIES; i++)
		if (best >= 0 && valid(kind[i]) && kind[i] != best &&
		    seq_of(kind[i]) == seq_of(best))
			return -2;
	return best;
}

static void check_replica(int a, int b, int best, u8 good_place, bool repair)
{
	assert_true(good_place < REMAP_PLACES);
	if (a == best || b == best) {
		assert_false(repair);
		assert_int_equal(good_place ? b : a, best);
		return;
	}
	assert_true(repair);
	if (valid(a) && valid(b)) /* the older of two goes */
		assert_true(seq_of(good_place ? b : a) <= seq_of(good_place ? a : b));
	else if (valid(a) || valid(b)) /* the valid one stays */
		assert_false(valid(good_place ? b : a));
	else if (a != UNREADABLE || b != UNREADABLE)
		assert_true((good_place ? b : a) != UNREADABLE);
}

/* C15: what a replica shows: 0 all it ever had, 1 beside it a torn copy, 2 not all. */
static int oracle_shown(int a, int b)
{
	int kind[2] = { a, b }, i, shown = 0;

	if (!valid(a) && !valid(b))
		return 2;
	for (i = 0; i < 2; i++) {
		if (kind[i] == DAMAGED || kind[i] == UNREADABLE)
			return 2;
		if (kind[i] == TORN)
			shown = 1;
	}
	return shown;
}

static bool oracle_hidden(const int kind[REMAP_COPIES])
{
	int first = oracle_shown(kind[0], kind[1]), second = oracle_shown(kind[2], kind[3]);

	return first && second && (first == 2 || second == 2);
}

static void all_combinations(void **unused)
{
	enum remap_verdict verdict[REMAP_COPIES];
	const void *copy[REMAP_COPIES];
	struct remap_choice choice;
	int kind[REMAP_COPIES];
	int n, i, r, rest, best, seen[3] = {};

	(void)unused;
	make_kinds();
	for (n = 0; n < KINDS * KINDS * KINDS * KINDS; n++) {
		for (i = 0, rest = n; i < REMAP_COPIES; i++, rest /= KINDS) {
			kind[i] = rest % KINDS;
			verdict[i] = kind[i] == DAMAGED	   ? REMAP_BAD_CRC :
				     kind[i] == ZERO	   ? REMAP_ZERO :
				     kind[i] == UNREADABLE ? REMAP_UNREADABLE :
				     kind[i] == DEAD	   ? REMAP_DEAD :
				     kind[i] == TORN	   ? REMAP_BAD_CRC :
							     REMAP_OK;
			copy[i] = valid(kind[i]) || kind[i] == TORN ? &block_of[kind[i]] : NULL;
		}
		memset(&choice, 0xee, sizeof(choice));
		r = remap_choose(copy, verdict, &choice);
		best = oracle_best(kind);
		seen[best < 0 ? -best : 0]++;
		assert_int_equal(choice.conflict, best == -2);
		if (best < 0) {
			assert_int_equal(r, best == -2 ? -EUCLEAN : -ENODATA);
			assert_int_equal(choice.best, -1);
			assert_false(choice.repair[0] || choice.repair[1]);
			continue;
		}
		assert_int_equal(r, 0);
		assert_in_range(choice.best, 0, REMAP_COPIES - 1);
		assert_int_equal(kind[choice.best], best);
		assert_int_equal(choice.seq, seq_of(best));
		assert_false(choice.newer_lost); /* what is damaged here has no newer number */
		assert_int_equal(choice.newer_hidden, oracle_hidden(kind));
		for (i = 0; i < REMAP_REPLICAS; i++)
			check_replica(kind[2 * i], kind[2 * i + 1], best, choice.good_place[i],
				      choice.repair[i]);
	}
	assert_true(seen[0] && seen[1] && seen[2]);
}

/*
 * C1, C3 and C5 together: from any state a commit can leave (each write done,
 * torn or not there, one after the other) loading finds the old or the new
 * content, and the new one whenever both writes were done.
 */
static void crash_in_commit(void **unused)
{
	static const int done[] = { 0, 1, 2 }; /* not there, torn, done */
	int old_place0, old_place1, first, second;

	(void)unused;
	make_kinds();
	for (old_place0 = 0; old_place0 < 2; old_place0++)
		for (old_place1 = 0; old_place1 < 2; old_place1++)
			for (first = 0; first < 3; first++)
				for (second = 0; second < (done[first] == 2 ? 3 : 1); second++) {
					int kind[REMAP_COPIES] = { DAMAGED, DAMAGED, DAMAGED,
								   DAMAGED };
					enum remap_verdict verdict[REMAP_COPIES];
					const void *copy[REMAP_COPIES];
					struct remap_choice choice;
					int i;

					kind[old_place0] = SEQ_6;
					kind[2 + old_place1] = SEQ_6;
					kind[!old_place0] = first == 2 ? SEQ_7 :
							    first == 1 ? TORN :
									 SEQ_5;
					kind[2 + !old_place1] = second == 2 ? SEQ_7 :
								second == 1 ? TORN :
									      SEQ_5;
					for (i = 0; i < REMAP_COPIES; i++) {
						verdict[i] =
							valid(kind[i]) ? REMAP_OK : REMAP_BAD_CRC;
						copy[i] = &block_of[kind[i]];
					}
					assert_int_equal(remap_choose(copy, verdict, &choice), 0);
					assert_int_equal(choice.seq, first == 2 ? 7 : 6);
					assert_false(choice.newer_lost);
					assert_false(choice.newer_hidden);
					assert_false(choice.repair[0]);
					/* The copy that another crash falls back to is never the one repaired. */
					assert_int_equal(choice.repair[1],
							 first == 2 && second != 2);
					if (choice.repair[1])
						assert_int_equal(choice.good_place[1], !old_place1);
				}
}

/* Copy @c damaged, with the header of number @seq; another set's with @stranger. */
static void damage(struct block *block, u64 seq, u32 index, bool stranger)
{
	remap_block_init(block, REMAP_MAGIC_TABLE,
			 stranger ? (const u8 *)"another set's id" : unit_uuid, index, seq);
	block->bytes[REMAP_BLOCK_BYTES - 1] = 0xdd;
}

/* C1: the same newer number damaged on both replicas is no commit that was cut short. */
static void newest_damaged(void **unused)
{
	static const struct {
		u64 seq[REMAP_COPIES]; /* 6: valid; else: damaged */
		int strange;	       /* copy that is of another set, or -1 */
		bool lost;
	} cases[] = {
		{ { 6, 7, 6, 7 }, -1, true },
		{ { 7, 6, 6, 7 }, -1, true },
		{ { 7, 6, 7, 6 }, -1, true },
		{ { 6, 7, 6, 5 }, -1, false }, /* a crash in the write to replica 0 */
		{ { 6, 5, 6, 5 }, -1, false }, /* older copies rotted */
		{ { 6, 5, 6, 7 }, -1, false },
		{ { 6, 8, 6, 7 }, -1, false }, /* 7 failed on replica 1, 8 torn on replica 0 */
		{ { 6, 7, 6, 7 }, 3, false },
		{ { 6, 7, 6, 7 }, 1, false },
	};
	size_t n;

	(void)unused;
	make_kinds();
	for (n = 0; n < ARRAY_SIZE(cases); n++) {
		enum remap_verdict verdict[REMAP_COPIES];
		const void *copy[REMAP_COPIES];
		struct block damaged[REMAP_COPIES];
		struct remap_choice choice;
		int i;

		for (i = 0; i < REMAP_COPIES; i++) {
			bool whole = cases[n].seq[i] == 6;

			damage(&damaged[i], cases[n].seq[i], 1, i == cases[n].strange);
			verdict[i] = whole ? REMAP_OK : REMAP_BAD_CRC;
			copy[i] = whole ? &block_of[SEQ_6] : &damaged[i];
		}
		assert_int_equal(remap_choose(copy, verdict, &choice), 0);
		assert_int_equal(choice.seq, 6);
		assert_int_equal(choice.newer_lost, cases[n].lost);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_combinations),
		cmocka_unit_test(crash_in_commit),
		cmocka_unit_test(newest_damaged),
	};

	return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
