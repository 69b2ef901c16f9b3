// SPDX-License-Identifier: GPL-2.0-or-later
/* Random numbers and sample content for the unit tests. */
#include <string.h>
#include <time.h>

#include "../next_random.h"
#include "unit.h"

const u8 unit_uuid[REMAP_UUID_BYTES] = {
	0x9a, 0x7b, 0x05, 0x11, 0x3c, 0x2d, 0x4e, 0x6f,
	0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8,
};

const u8 unit_other_uuid[REMAP_UUID_BYTES] = {
	0x9a, 0x7b, 0x05, 0x11, 0x3c, 0x2d, 0x4e, 0x6f,
	0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf9,
};

static uint64_t state;

void unit_seed(const char *test)
{
	const char *text = getenv("UNIT_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	state = (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (text && *text)
		state = strtoull(text, NULL, 0);
	print_message("%s: repeat with UNIT_SEED=%llu\n", test, (unsigned long long)state);
}

u64 unit_random(void)
{
	return next_random(&state);
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

void unit_put_lvm(u8 *at)
{
	__le64 sector = cpu_to_le64(1);
	__le32 offset = cpu_to_le32(32);

	memcpy(at + 512, "LABELONE", 8);
	memcpy(at + 520, &sector, 8);
	memcpy(at + 532, &offset, 4); /* begin of what has a checksum */
	memcpy(at + 536, "LVM2 001", 8);
	memset(at + 544, 'x', 32);
}

void unit_put_md(u8 *at)
{
	static const struct {
		unsigned int offset;
		u32 value;
	} fields[] = { { 0, 0xa92b4efc }, { 4, 1 },	 { 64, 1 },	{ 72, 1 },  { 80, 4096 },
		       { 92, 2 },	  { 128, 2048 }, { 136, 4096 }, { 144, 8 }, { 220, 2 } };
	u64 sum = 0;

	at += 4096;
	memset(at + 16, 'u', 16);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		__le32 value = cpu_to_le32(fields[i].value);

		memcpy(at + fields[i].offset, &value, sizeof(value));
	}
	for (unsigned int i = 0; i < 256 + 4; i += 4)
		sum += (u32)at[i] | (u32)at[i + 1] << 8 | (u32)at[i + 2] << 16 |
		       (u32)at[i + 3] << 24;
	sum = (sum & 0xffffffff) + (sum >> 32);
	for (unsigned int i = 0; i < 4; i++)
		at[216 + i] = (u8)(sum >> 8 * i);
}

static u32 crc32c(const u8 *data, size_t nr_bytes)
{
	u32 crc = ~0U;

	while (nr_bytes--) {
		crc ^= *data++;
		for (unsigned int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

void unit_put_btrfs(u8 *at, u64 nr_devices)
{
	__le64 nr = cpu_to_le64(nr_devices);
	__le32 sum, sector_bytes = cpu_to_le32(4096);
	u8 *super = at + 0x10000;

	memcpy(super + 0x40, "_BHRfS_M", 8);
	memcpy(super + 0x88, &nr, 8);
	memcpy(super + 0x90, &sector_bytes, 4);
	/* newer releases of libblkid look at the sector size and the checksum */
	sum = cpu_to_le32(crc32c(super + 32, 4096 - 32));
	memcpy(super, &sum, sizeof(sum));
}

void unit_put_partition(u8 *at, u8 status, u8 type)
{
	static const u8 place[] = { 0, 8, 0, 0, 0, 16, 0, 0 };

	at[446] = status;
	at[450] = type;
	memcpy(at + 454, place, sizeof(place));
	at[510] = 0x55;
	at[511] = 0xaa;
}
