// SPDX-License-Identifier: GPL-2.0-or-later
/* Scrub: the order of reading against disks of every kind, the pace, and the file. */
#include <errno.h>
#include <string.h>

#include "scrub/pace.h"
#include "scrub/scrub-state.h"
#include "unit.h"

/* A failing read of a real disk, and a good one of a piece. */
#define FAIL_MS 7000
#define GOOD_MS 10
#define MINUTE_MS 60000ULL

/**
 * struct disk - a disk as a test makes it
 * @nr: sectors
 * @bad: of each
 * @reads: how often each was read well
 * @nr_fails: failing reads
 * @ms: time so far
 */
struct disk {
	uint64_t nr;
	uint8_t *bad;
	uint8_t *reads;
	uint64_t nr_fails;
	uint64_t ms;
};

static struct disk make_disk(uint64_t nr)
{
	struct disk disk = { .nr = nr, .bad = calloc(1, nr), .reads = calloc(1, nr) };

	assert_true(disk.bad && disk.reads);
	return disk;
}

static void free_disk(struct disk *disk)
{
	free(disk->bad);
	free(disk->reads);
}

static void read_disk(struct disk *disk, struct plan *plan, uint64_t sector, uint64_t nr)
{
	bool is_good = true;

	assert_true(nr > 0 && sector + nr <= disk->nr);
	for (uint64_t i = 0; i < nr; i++)
		is_good &= !disk->bad[sector + i];
	for (uint64_t i = 0; is_good && i < nr; i++)
		disk->reads[sector + i]++;
	disk->nr_fails += !is_good;
	disk->ms += is_good ? GOOD_MS : FAIL_MS;
	plan_result(plan, sector, nr, is_good, is_good ? GOOD_MS : FAIL_MS, false);
	if (disk->ms % 16 == 0)
		assert_true(plan_is_valid(plan));
}

/* Each bad unit is found, and nothing else; each good sector was read. */
static void check(const struct disk *disk, const struct plan *plan)
{
	uint8_t *found = calloc(1, disk->nr);

	assert_non_null(found);
	for (size_t i = 0; i < plan->nr_spans; i++) {
		assert_int_equal(plan->span[i].state, SPAN_BAD);
		memset(found + plan->span[i].sector, 1, plan->span[i].nr);
	}
	for (uint64_t i = 0; i < disk->nr; i++) {
		uint64_t unit = i / plan->unit * plan->unit;
		bool is_bad = false;

		for (uint64_t k = unit; k < unit + plan->unit && k < disk->nr; k++)
			is_bad |= disk->bad[k];
		assert_int_equal(found[i], is_bad);
		assert_true(is_bad || disk->reads[i]);
	}
	assert_int_equal(plan_open(plan), 0);
	free(found);
}

static void make_bad(struct disk *disk, unsigned int kind)
{
	uint64_t nr = kind ? unit_random_below(40) : 0;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t at = unit_random_below(disk->nr);
		uint64_t length = kind == 1 ? 1 : 1 + unit_random_below(kind == 2 ? 40 : 3000);

		for (uint64_t k = at; k < at + length && k < disk->nr; k++)
			disk->bad[k] = 1;
	}
}

static void any_disk(void **unused)
{
	(void)unused;
	for (unsigned int round = 0; round < 120; round++) {
		struct disk disk = make_disk(1 + unit_random_below(round % 3 ? 100000 : 5000));
		uint64_t sector, nr;
		struct plan plan;

		make_bad(&disk, round % 4);
		assert_int_equal(plan_begin(&plan, disk.nr, 1U << unit_random_below(4)), 0);
		while (plan_next(&plan, &sector, &nr)) {
			plan.bad_ms = 0; /* no limit here */
			read_disk(&disk, &plan, sector, nr);
		}
		check(&disk, &plan);
		plan_done(&plan);
		free_disk(&disk);
	}
}

/* What is excluded is not read, in any pass. */
static void excluded(void **unused)
{
	(void)unused;
	for (unsigned int round = 0; round < 60; round++) {
		struct disk disk = make_disk(20000 + unit_random_below(20000));
		struct span lost[20];
		uint64_t sector, nr, at = 0;
		struct plan plan;

		make_bad(&disk, 1 + round % 3);
		assert_int_equal(plan_begin(&plan, disk.nr, 1), 0);
		plan.excluded = lost;
		for (size_t i = 0; i < 20; i++) {
			lost[i] = (struct span){ at += 1 + unit_random_below(900),
						 1 + unit_random_below(i % 4 ? 3 : 90), SPAN_BAD };
			at += lost[i].nr;
			memset(disk.bad + lost[i].sector, 2, lost[i].nr);
			plan.nr_excluded++;
		}
		while (plan_next(&plan, &sector, &nr)) {
			bool is_lost = disk.bad[sector] == 2;

			plan.bad_ms = 0;
			for (uint64_t i = 0; i < nr; i++)
				assert_int_equal(disk.bad[sector + i] == 2, is_lost);
			if (is_lost)
				plan_result(&plan, sector, nr, true, 0, false);
			else
				read_disk(&disk, &plan, sector, nr);
		}
		for (uint64_t i = 0; i < disk.nr; i++)
			assert_int_equal(disk.reads[i] > 0, !disk.bad[i]);
		plan_done(&plan);
		free_disk(&disk);
	}
}

/* A thousand bad sectors of a disk of 8 GiB, single and together: hours, and no days. */
static void thousand_bad_sectors(void **unused)
{
	(void)unused;
	for (unsigned int kind = 0; kind < 3; kind++) {
		struct disk disk = make_disk(1ULL << 24);
		uint64_t good_ms = disk.nr / PLAN_PIECE_SECTORS * GOOD_MS, sector, nr;
		uint64_t together = kind == 0 ? 1 : kind == 1 ? 25 : 1000;
		struct plan plan;

		for (uint64_t i = 0; i < 1000 / together; i++) {
			uint64_t at = unit_random_below(disk.nr - 100000);

			for (uint64_t k = 0; k < together; k++)
				disk.bad[at + k * (kind == 2 ? 64 : 8)] = 1;
		}
		assert_int_equal(plan_begin(&plan, disk.nr, 8), 0);
		while (plan_next(&plan, &sector, &nr)) {
			read_disk(&disk, &plan, sector, nr);
		}
		print_message("kind %u: %llu failing reads, %llu min, open %llu, bad %llu\n", kind,
			      (unsigned long long)disk.nr_fails,
			      (unsigned long long)(disk.ms / MINUTE_MS),
			      (unsigned long long)plan_open(&plan),
			      (unsigned long long)plan_bad(&plan));
		assert_true(disk.ms < good_ms * 2 + PLAN_BAD_MS + 30 * MINUTE_MS);
		/* what is open is little: nearly all of the disk was seen */
		assert_true(plan_open(&plan) < disk.nr / 20);
		plan_done(&plan);
		free_disk(&disk);
	}
}

/* More bad places than are kept. */
static void too_many_places(void **unused)
{
	struct disk disk = make_disk(1 << 19);
	uint64_t sector, nr, nr_reads = 0;
	struct plan plan;

	(void)unused;
	for (uint64_t i = 0; i < disk.nr; i += 40)
		disk.bad[i] = 1;
	assert_int_equal(plan_begin(&plan, disk.nr, 1), 0);
	while (plan_next(&plan, &sector, &nr)) {
		plan.bad_ms = 0;
		read_disk(&disk, &plan, sector, nr);
		assert_true(++nr_reads < 20 * disk.nr);
	}
	assert_true(plan.is_coarse);
	for (size_t i = 0; i < plan.nr_spans; i++)
		assert_int_equal(plan.span[i].state, SPAN_BAD);
	/* none of them is missed */
	for (uint64_t i = 0; i < disk.nr; i += 40) {
		bool is_found = false;

		for (size_t k = 0; k < plan.nr_spans && !is_found; k++)
			is_found = i >= plan.span[k].sector &&
				   i < plan.span[k].sector + plan.span[k].nr;
		assert_true(is_found);
	}
	plan_done(&plan);
	free_disk(&disk);
}

static void counters(void **unused)
{
	struct disk_counts counts;

	(void)unused;
	assert_int_equal(
		disk_counts_parse("  1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", &counts), 0);
	assert_int_equal(counts.read_sectors, 3);
	assert_int_equal(counts.write_ms, 8);
	assert_int_equal(counts.flushes, 16);
	assert_int_equal(disk_counts_parse("1 2 3 4 5 6 7 8 9 10 11", &counts), 0);
	assert_int_equal(disk_counts_parse("1 2 3 x", &counts), -EINVAL);
}

static void pace(void **unused)
{
	struct pace pace = { .limits = PACE_DEFAULTS };
	struct disk_counts counts = { 0 };
	uint64_t now = 1000, wait, bytes = 0;

	(void)unused;
	/* alone: no waiting */
	for (int i = 0; i < 100; i++) {
		counts.reads++;
		counts.read_sectors += 2048;
		assert_int_equal(pace_wait(&pace, 2048, &counts, now += 10), 0);
	}
	/* others write: it waits longer and longer, and gets on nevertheless */
	for (int i = 0; i < 200; i++) {
		counts.read_sectors += 2048;
		counts.writes += 3;
		counts.write_ms += 6;
		wait = pace_wait(&pace, 2048, &counts, now += 10);
		now += wait;
		bytes += 1 << 20;
		assert_true(i < 100 || wait);
	}
	assert_true(pace.backoff_ms == 1000);
	assert_in_range(bytes * 1000 / (now - 2000), 900000, 1400000);
	/* they wait for long: it backs off further */
	counts.writes += 3;
	counts.write_ms += 600;
	pace_wait(&pace, 0, &counts, now += 10);
	counts.writes += 3;
	counts.write_ms += 600;
	pace_wait(&pace, 0, &counts, now += 10);
	assert_int_equal(pace.backoff_ms, 4000);
	/* and they have gone; others that read are others, too */
	assert_int_equal(pace_wait(&pace, 0, &counts, now += 10), 0);
	counts.read_sectors += 2048 + 8;
	counts.reads += 2;
	pace_wait(&pace, 2048, &counts, now += 10);
	assert_int_equal(pace.backoff_ms, 50);
	/* a limit of speed */
	assert_int_equal(pace_limit_set(&pace.limits, "rate", "10M"), 0);
	bytes = 0;
	for (now = 100000; now < 200000; bytes += 1 << 20) {
		counts.read_sectors += 2048;
		now += 10;
		now += pace_wait(&pace, 2048, &counts, now);
	}
	assert_in_range(bytes / 100, 9 << 20, 11 << 20);
	/* without counters: that alone */
	assert_int_equal(pace_limit_set(&pace.limits, "rate", "no"), 0);
	assert_int_equal(pace_wait(&pace, 2048, NULL, now), 0);
	assert_int_equal(pace_limit_set(&pace.limits, "rate", "100"), -EINVAL);
	assert_int_equal(pace_limit_set(&pace.limits, "latency", "0"), -EINVAL);
	assert_int_equal(pace_limit_set(&pace.limits, "latency", "5"), 0);
}

static void make_state(struct scrub_state *state)
{
	memset(state, 0, sizeof(*state));
	state->begun = 1800000000;
	state->worked_ms = 12345;
	state->is_wanted = true;
	state->metadata = SCRUB_METADATA_GOOD;
	state->repaired = 2;
	state->last = (struct scrub_result){ 1790000000, 5, 3, 7, 1, 2, SCRUB_METADATA_FAILED };
	state->good = 1780000000;
	assert_int_equal(plan_begin(&state->plan[0], 100000, 8), 0);
	assert_int_equal(plan_begin(&state->plan[1], 4000, 1), 0);
	plan_result(&state->plan[0], 0, 2048, false, 30, false);
	plan_result(&state->plan[0], state->plan[0].position, 2048, true, 3000, true);
	state->plan[0].nr_slow = 300;
	plan_result(&state->plan[1], 0, 2048, true, 3, false);
}

static void file(void **unused)
{
	struct scrub_state state, other;
	size_t nr_bytes, nr_again;
	char *text, *again;

	(void)unused;
	make_state(&state);
	assert_int_equal(scrub_state_format(&state, &text, &nr_bytes), 0);
	assert_int_equal(scrub_state_parse(text, nr_bytes, &other), 0);
	assert_int_equal(scrub_state_format(&other, &again, &nr_again), 0);
	assert_int_equal(nr_again, nr_bytes);
	assert_memory_equal(again, text, nr_bytes);
	assert_int_equal(other.last.open, 7);
	assert_int_equal(other.plan[0].nr_spans, 2);
	assert_true(other.is_wanted && !other.is_finished);
	scrub_state_done(&other);
	free(again);
	/* cut anywhere, or with any byte changed */
	for (size_t i = 0; i < nr_bytes; i++) {
		char *damaged = malloc(nr_bytes + 1);

		assert_non_null(damaged);
		memcpy(damaged, text, nr_bytes + 1);
		damaged[i] = (char)(damaged[i] ^ (1 << unit_random_below(8)));
		assert_int_equal(scrub_state_parse(damaged, nr_bytes, &other), -EBADMSG);
		memcpy(damaged, text, nr_bytes);
		damaged[i] = '\0';
		assert_int_equal(scrub_state_parse(damaged, i, &other), -EBADMSG);
		free(damaged);
	}
	free(text);
	scrub_state_done(&state);
}

static void progress(void **unused)
{
	struct scrub_state state;
	uint64_t sector, nr;

	(void)unused;
	memset(&state, 0, sizeof(state));
	assert_int_equal(scrub_permille(&state), 0);
	assert_int_equal(scrub_seconds_left(&state), 0);
	assert_int_equal(plan_begin(&state.plan[0], 100 * 2048, 8), 0);
	assert_int_equal(plan_begin(&state.plan[1], 0, 8), 0);
	for (int i = 0; i < 25; i++) {
		assert_true(plan_next(&state.plan[0], &sector, &nr));
		plan_result(&state.plan[0], sector, nr, true, 100, false);
		state.worked_ms += 100;
	}
	assert_int_equal(scrub_permille(&state), 250);
	assert_in_range(scrub_seconds_left(&state), 7, 9);
	assert_false(scrub_is_over(&state));
	scrub_state_done(&state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_disk),
		cmocka_unit_test(excluded),
		cmocka_unit_test(thousand_bad_sectors),
		cmocka_unit_test(too_many_places),
		cmocka_unit_test(counters),
		cmocka_unit_test(pace),
		cmocka_unit_test(file),
		cmocka_unit_test(progress),
	};

	unit_seed("scrub");
	return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
