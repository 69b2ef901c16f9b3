// SPDX-License-Identifier: GPL-2.0-or-later
/* Random numbers and sample content for the unit tests. */
#include <time.h>

#include "unit.h"

const u8 unit_uuid[REMAP_UUID_BYTES] = {
	0x9a, 0x7b, 0x05, 0x11, 0x3c, 0x2d, 0x4e, 0x6f,
	0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8,
};

const u8 unit_other_uuid[REMAP_UUID_BYTES] = {
	0x9a, 0x7b, 0x05, 0x11, 0x3c, 0x2d, 0x4e, 0x6f,
	0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf9,
};

static u64 state;

void unit_seed(const char *test)
{
	const char *text = getenv("UNIT_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	state = (u64)now.tv_sec * 1000000000 + now.tv_nsec;
	if (text && *text)
		state = strtoull(text, NULL, 0);
	print_message("%s: repeat with UNIT_SEED=%llu\n", test, (unsigned long long)state);
}

u64 unit_random(void)
{
	u64 x = state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

u64 unit_random_below(u64 limit)
{
	return unit_random() % limit;
}

void unit_random_bytes(void *data, size_t nr_bytes)
{
	u8 *bytes = data;
	size_t i;

	for (i = 0; i < nr_bytes; i++)
		bytes[i] = unit_random();
}

void unit_super(struct remap_super *super, u64 region_sectors)
{
	*super = (struct remap_super){
		.seq = 1,
		.version = REMAP_FORMAT_VERSION,
		.flags = REMAP_SUPER_MARKED,
		.ro_compat = 0x8000000000000001ULL,
		.main_sectors = 1000003,
		.probe_chunk = 124999,
		.created = 1700000000,
		.label = "golden",
		.identity = "wwn-0x5000c500a1b2c3d4-part2",
	};
	assert_int_equal(remap_geometry_compute(region_sectors, &super->geometry), 0);
	memcpy(super->uuid, unit_uuid, sizeof(super->uuid));
	memset(super->host_id, 0x5a, sizeof(super->host_id));
}

void unit_random_entry(struct remap_entry *entry, u64 main_sectors)
{
	u64 rest;

	*entry = (struct remap_entry){ .state = unit_random_below(3) };
	if (entry->state == REMAP_ENTRY_FREE)
		return;
	entry->cause = unit_random();
	entry->status = unit_random();
	entry->errors = unit_random();
	entry->when = unit_random();
	if (entry->state == REMAP_ENTRY_BAD)
		return;
	entry->generation = unit_random_below(4);
	entry->main_chunk = unit_random_below((main_sectors + 7) / 8);
	rest = main_sectors - entry->main_chunk * 8;
	do {
		entry->redirected = unit_random();
		if (rest < 8)
			entry->redirected &= (1U << rest) - 1;
	} while (!entry->redirected);
	entry->lost = entry->redirected & unit_random();
}
