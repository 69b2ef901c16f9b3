// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The golden images of common/golden.
 *
 * spare   1 MiB: a set of a main device of 1000003 sectors, after two commits
 *         of table block 1 (places A hold number 1, places B number 2).
 * mark    the probe chunk's raw place on main, probe write 3 of generation 2
 * member  member header of a guarded main with two hidden ranges
 */
#include "golden.h"

void golden_load(const char *name, void *data, size_t nr_bytes)
{
	char path[4096], line[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.hex", GOLDEN_DIR, name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s cannot be opened", path);
	memset(data, 0, nr_bytes);
	while (fgets(line, sizeof(line), file)) {
		unsigned int byte;
		size_t offset;
		int used, nr;

		if (line[0] == '#')
			continue;
		if (sscanf(line, "%zx:%n", &offset, &used) != 1)
			fail_msg("%s: not a line of a golden image: %s", path, line);
		while (sscanf(line + used, " %2x%n", &byte, &nr) == 1) {
			assert_true(offset < nr_bytes);
			((u8 *)data)[offset++] = byte;
			used += nr;
		}
	}
	fclose(file);
}

void golden_print(const void *data, size_t nr_bytes)
{
	const u8 *bytes = data;
	size_t i, j;

	printf("# SPDX-License-Identifier: GPL-2.0-or-later\n"
	       "# offset: bytes, all hexadecimal; what is not listed is zero\n");
	for (i = 0; i < nr_bytes; i += 32) {
		if (remap_is_zero(bytes + i, 32))
			continue;
		printf("%06zx:", i);
		for (j = 0; j < 32; j++)
			printf("%s%02x", j % 8 ? "" : " ", bytes[i + j]);
		printf("\n");
	}
}

static void put_entry(struct remap_table_disk *table, u32 slot, struct remap_entry entry)
{
	remap_entry_encode(&entry, &table->entry[remap_table_entry_of(slot)]);
}

static void make_table(struct block *block, const struct remap_super *super, u64 seq)
{
	struct remap_table_disk *table = (struct remap_table_disk *)block;

	remap_block_init(block, REMAP_MAGIC_TABLE, unit_uuid, 1, seq);
	table->nr_entries = cpu_to_le32(remap_table_entries(&super->geometry, 1));
	put_entry(table, 0,
		  (struct remap_entry){ .main_chunk = super->probe_chunk,
					.redirected = 0xff,
					.state = REMAP_ENTRY_USED,
					.cause = REMAP_CAUSE_PROBE,
					.when = 1700000000 });
	if (seq > 1) {
		put_entry(table, 1,
			  (struct remap_entry){ .main_chunk = 0x1234,
						.redirected = 0x18,
						.state = REMAP_ENTRY_USED,
						.cause = REMAP_CAUSE_WRITE_ERROR,
						.status = REMAP_STATUS_IOERR,
						.errors = 1,
						.when = 1700000100 });
		/* The last sectors of main, one of them lost, once moved. */
		put_entry(table, 2,
			  (struct remap_entry){ .main_chunk = 125000,
						.redirected = 0x07,
						.lost = 0x02,
						.state = REMAP_ENTRY_USED,
						.generation = 1,
						.cause = REMAP_CAUSE_RESCUE,
						.status = REMAP_STATUS_MEDIUM,
						.errors = 255,
						.when = 1700000101 });
		put_entry(table, 191,
			  (struct remap_entry){ .state = REMAP_ENTRY_BAD,
						.cause = REMAP_CAUSE_SPARE_BAD,
						.status = REMAP_STATUS_IOERR,
						.errors = 2,
						.when = 1700000102 });
	}
	remap_block_seal(block);
}

static void put_block(u8 *spare, const struct remap_super *super, int replica, int place, u32 index,
		      const struct block *block)
{
	memcpy(spare + remap_block_sector(&super->geometry, replica, place, index) * 512, block,
	       sizeof(*block));
}

static void make_soft(struct block *counters, struct block *pending)
{
	struct remap_soft_disk *soft = (struct remap_soft_disk *)counters;
	struct remap_pending_disk *list = (struct remap_pending_disk *)pending;

	remap_block_init(counters, REMAP_MAGIC_SOFT, unit_uuid, 2, 2);
	soft->saved = cpu_to_le64(1700000200);
	for (unsigned int i = 0; i < 10; i++)
		soft->counter[i] = cpu_to_le64(11 + i);
	remap_block_seal(counters);

	remap_block_init(pending, REMAP_MAGIC_SOFT, unit_uuid, 3, 2);
	list->nr_pending = cpu_to_le32(2);
	list->pending[0] = cpu_to_le64(0x0001000000001000ULL);
	list->pending[1] = cpu_to_le64(0x0008000000002008ULL);
	remap_block_seal(pending);
}

static void make_spare(u8 *spare)
{
	struct block block, counters, pending;
	struct remap_super super;
	int replica, place;

	unit_super(&super, GOLDEN_SPARE_BYTES / 512);
	super.ro_compat = 0;
	make_soft(&counters, &pending);
	for (replica = 0; replica < REMAP_REPLICAS; replica++) {
		for (place = 0; place < REMAP_PLACES; place++) {
			remap_super_encode(&super, &block);
			put_block(spare, &super, replica, place, 0, &block);
			make_table(&block, &super, 1 + place);
			put_block(spare, &super, replica, place, 1, &block);
			put_block(spare, &super, replica, place, 2, &counters);
			put_block(spare, &super, replica, place, 3, &pending);
		}
	}
}

static void make_member(struct remap_member_disk *header)
{
	static const char magic[] = "_BHRfS_M", more[] = "\x55\xaa";
	static const u8 deflated[] = {
		/* zlib stream of 4096 zeros */
		0x78, 0x9c, 0xed, 0xc1, 0x01, 0x0d, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xf7, 0x4f,
		0x6d, 0x0f, 0x07, 0x14, 0x00, 0x00, 0x00, 0xf0, 0x6e, 0x10, 0x00, 0x00, 0x01,
	};
	struct remap_hidden_disk hidden[2] = {
		{ .offset = cpu_to_le64(0x10040), .len = cpu_to_le16(8) },
		{ .offset = cpu_to_le64(0x1e8485fe),
		  .len = cpu_to_le16(2),
		  .original = cpu_to_le16(8) },
	};

	memset(header, 0, sizeof(*header));
	memcpy(header->header.magic, REMAP_MAGIC_MEMBER, REMAP_MAGIC_BYTES);
	memcpy(header->header.uuid, unit_uuid, REMAP_UUID_BYTES);
	header->header.seq = cpu_to_le64(2);
	header->version = cpu_to_le32(REMAP_FORMAT_VERSION);
	header->main_sectors = cpu_to_le64(1000003);
	memset(header->host_id, 0x5a, sizeof(header->host_id));
	memcpy(header->label, "golden", 6);
	memcpy(header->spare_identity, "serial-S3YZNB0K", 15);
	header->replicas_out = cpu_to_le32(2);
	header->nr_hidden = cpu_to_le16(2);
	header->blob_offset = cpu_to_le16(sizeof(hidden));
	header->blob_len = cpu_to_le16(10);
	header->chunk0_offset = cpu_to_le16(sizeof(hidden) + 10);
	header->chunk0_len = cpu_to_le16(sizeof(deflated));
	memcpy(header->area, hidden, sizeof(hidden));
	memcpy(header->area + sizeof(hidden), magic, 8);
	memcpy(header->area + sizeof(hidden) + 8, more, 2);
	memcpy(header->area + sizeof(hidden) + 10, deflated, sizeof(deflated));
	remap_member_seal(header);
}

size_t golden_make(const char *name, void *data)
{
	memset(data, 0, GOLDEN_SPARE_BYTES);
	if (!strcmp(name, "spare")) {
		make_spare(data);
		return GOLDEN_SPARE_BYTES;
	}
	if (!strcmp(name, "mark")) {
		remap_probe_encode(data, unit_uuid,
				   &(struct remap_mark){ .seq = 2, .nr_probe = 3 });
		return REMAP_CHUNK_BYTES;
	}
	if (!strcmp(name, "guard")) {
		remap_guard_encode(data, unit_uuid, 1000003);
		return REMAP_SECTOR_BYTES;
	}
	if (!strcmp(name, "member")) {
		make_member(data);
		return REMAP_MEMBER_BYTES;
	}
	return 0;
}
