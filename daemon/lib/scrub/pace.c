// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "scrub/pace.h"

#define SECTOR_BYTES 512
/* Waited when others use the disk: from, to; and when they wait for too long. */
#define BACKOFF_MS 50
#define BACKOFF_MOST_MS 1000
#define BACKOFF_SLOW_MS 4000
/* Over so long the rates are taken. */
#define WINDOW_MS 10000
#define LATENCY_MOST_MS 10000
#define RATE_LEAST 65536

int pace_limit_set(struct pace_limits *limits, const char *key, const char *text)
{
	uint64_t number = 0;

	if (streq(key, "latency")) {
		if (parse_number(text, &number) < 0 || !number || number > LATENCY_MOST_MS)
			return -EINVAL;
		limits->latency_ms = number;
		return 0;
	}
	if (!streq(text, "no") && (parse_size(text, &number) < 0 || number < RATE_LEAST))
		return -EINVAL;
	if (streq(key, "rate"))
		limits->rate = number;
	else
		limits->least_rate = number;
	return 0;
}

int disk_counts_parse(const char *text, struct disk_counts *counts)
{
	uint64_t field[17] = { 0 };
	int nr = 0, length;

	while (nr < 17 && sscanf(text, "%" SCNu64 "%n", &field[nr], &length) == 1) {
		text += length;
		nr++;
	}
	if (nr < 11)
		return -EINVAL;
	*counts = (struct disk_counts){ .reads = field[0],
					.read_sectors = field[2],
					.read_ms = field[3],
					.writes = field[4],
					.write_sectors = field[6],
					.write_ms = field[7],
					.flushes = field[15] };
	return 0;
}

/**
 * struct others - what others did meanwhile
 * @is_there: anything
 * @latency_ms: of their writes, and of reads where theirs are most of them; 0: not known
 */
struct others {
	bool is_there;
	uint64_t latency_ms;
};

static struct others look_at_others(const struct pace *pace, uint64_t own_sectors,
				    const struct disk_counts *now)
{
	const struct disk_counts *before = &pace->before;
	uint64_t read = now->read_sectors - before->read_sectors;
	uint64_t nr_reads = now->reads - before->reads;
	uint64_t nr_writes = now->writes - before->writes;
	struct others others = { .is_there = nr_writes || now->flushes != before->flushes ||
					     read > own_sectors };

	if (nr_writes)
		others.latency_ms = (now->write_ms - before->write_ms) / nr_writes;
	else if (nr_reads && read > 2 * own_sectors)
		others.latency_ms = (now->read_ms - before->read_ms) / nr_reads;
	return others;
}

static uint64_t back_off(const struct pace *pace, const struct others *others)
{
	bool is_slow = others->latency_ms > pace->limits.latency_ms;
	uint64_t most = is_slow ? BACKOFF_SLOW_MS : BACKOFF_MOST_MS;
	uint64_t wait = pace->backoff_ms ? pace->backoff_ms * 2 : BACKOFF_MS;

	if (is_slow)
		wait *= 2;
	return wait < most ? wait : most;
}

/* When as much as was read in this window is due at @rate, from its begin on. */
static uint64_t due_ms(const struct pace *pace, uint64_t rate)
{
	return (uint64_t)((double)pace->bytes * 1000 / (double)rate);
}

uint64_t pace_wait(struct pace *pace, uint64_t own_sectors, const struct disk_counts *now,
		   uint64_t now_ms)
{
	uint64_t spent, wait = 0;
	struct others others = { false, 0 };

	if (!pace->begun_ms || now_ms - pace->begun_ms > WINDOW_MS) {
		pace->begun_ms = now_ms ? now_ms : 1;
		pace->bytes = 0;
	}
	pace->bytes += own_sectors * SECTOR_BYTES;
	spent = now_ms - pace->begun_ms;
	if (pace->is_known && now)
		others = look_at_others(pace, own_sectors, now);
	pace->is_known = now != NULL;
	if (now)
		pace->before = *now;
	pace->backoff_ms = others.is_there ? back_off(pace, &others) : 0;
	wait = pace->backoff_ms;
	/* it gets on, however much the disk is used */
	if (wait && pace->limits.least_rate) {
		uint64_t due = due_ms(pace, pace->limits.least_rate);
		uint64_t left = due > spent ? due - spent : 0;

		if (left < wait)
			wait = left;
	}
	if (pace->limits.rate) {
		uint64_t due = due_ms(pace, pace->limits.rate);

		if (due > spent && due - spent > wait)
			wait = due - spent;
	}
	return wait;
}
