// SPDX-License-Identifier: GPL-2.0-or-later
/* What is on the main device: the mark and the member header; foreign names. */
#include "golden.h"

static void mark_round_trips(void **unused)
{
	struct block chunk;
	unsigned int i, round;

	(void)unused;
	unit_seed(__func__);
	for (round = 0; round < 500; round++) {
		struct remap_mark mark = { .seq = unit_random() >> 1,
					   .nr_probe = unit_random(),
					   .digest = unit_random() };
		struct remap_mark back;

		remap_probe_encode(&chunk, unit_uuid, &mark);
		for (i = 0; i < 8; i++) {
			u8 *sector = chunk.bytes + i * 512;

			memset(&back, 0, sizeof(back));
			assert_int_equal(remap_probe_check_sector(sector, i, unit_uuid, &back),
					 REMAP_OK);
			assert_memory_equal(&back, &mark, sizeof(mark));
			assert_int_equal(remap_probe_check_sector(sector, i, NULL, NULL), REMAP_OK);
			assert_int_equal(
				remap_probe_check_sector(sector, (i + 1) % 8, unit_uuid, NULL),
				REMAP_OTHER_SET);
			assert_int_equal(remap_probe_check_sector(sector, i, unit_other_uuid, NULL),
					 REMAP_OTHER_SET);
			sector[unit_random_below(504) + 8] ^= 1 << unit_random_below(8);
			assert_int_equal(remap_probe_check_sector(sector, i, unit_uuid, NULL),
					 REMAP_BAD_CRC);
		}
	}
	memset(&chunk, 0, sizeof(chunk));
	assert_int_equal(remap_probe_check_sector(&chunk, 0, NULL, NULL), REMAP_ZERO);
	memset(&chunk, 1, sizeof(chunk));
	assert_int_equal(remap_probe_check_sector(&chunk, 0, NULL, NULL), REMAP_BAD_MAGIC);
}

/* C15: the mark's number, and while no table block is newer than that, its digest. */
static void mark_tells_the_age(void **unused)
{
	struct remap_age age = { 0 }, other;
	struct remap_mark mark, later;
	static const u64 seq[] = { 40, 7, 30, 20 }; /* superblock, three table blocks */
	unsigned int i, lost;

	(void)unused;
	for (i = 0; i < 4; i++)
		remap_age_add(&age, i, seq[i], false);
	assert_int_equal(age.newest, 40);
	assert_int_equal(age.newest_table, 30);
	assert_true(age.digest);
	mark = (struct remap_mark){ .seq = 40, .nr_probe = 3, .digest = age.digest };
	assert_false(remap_is_older(&age, &mark));
	assert_false(remap_is_older(&age, &(struct remap_mark){ 0 }));
	mark.seq = 41;
	assert_true(remap_is_older(&age, &mark));
	mark.seq = 40;
	/* any one block that is older, or all in another order */
	for (lost = 1; lost < 4; lost++) {
		memset(&other, 0, sizeof(other));
		for (i = 4; i--;)
			remap_age_add(&other, i, seq[i] - (i == lost), false);
		assert_true(remap_is_older(&other, &mark));
		mark.digest = 0; /* not known */
		assert_false(remap_is_older(&other, &mark));
		mark.digest = age.digest;
	}
	memset(&other, 0, sizeof(other));
	for (i = 4; i--;)
		remap_age_add(&other, i, seq[i], false);
	assert_memory_equal(&other, &age, sizeof(age));
	/* two blocks that exchanged their numbers are not the same */
	memset(&other, 0, sizeof(other));
	for (i = 0; i < 4; i++)
		remap_age_add(&other, i, seq[i == 1 ? 2 : i == 2 ? 1 : i], false);
	assert_true(remap_is_older(&other, &mark));
	/* what was committed since is not known to the mark: the superblock alone, a table block */
	memset(&other, 0, sizeof(other));
	for (i = 0; i < 4; i++)
		remap_age_add(&other, i, i ? seq[i] : 50, false);
	assert_false(remap_is_older(&other, &mark));
	remap_age_add(&other, 4, 51, false);
	assert_false(remap_is_older(&other, &mark));
	/* a frozen block has two numbers (C8) */
	memset(&other, 0, sizeof(other));
	for (i = 0; i < 4; i++)
		remap_age_add(&other, i, seq[i], false);
	remap_age_add(&other, 5, 39, true);
	assert_false(remap_is_older(&other, &mark));
	/* one that was frozen after the mark was written is in its digest */
	memset(&other, 0, sizeof(other));
	for (i = 0; i < 4; i++)
		remap_age_add(&other, i, i ? seq[i] : 41, i == 2);
	assert_false(remap_is_older(&other, &mark));
	/* and before it is not */
	memset(&other, 0, sizeof(other));
	for (i = 0; i < 4; i++)
		remap_age_add(&other, i, seq[i], i == 2);
	assert_true(remap_is_older(&other, &mark));

	later = mark;
	assert_false(remap_mark_succeeds(&later, &mark));
	later.nr_probe++;
	assert_true(remap_mark_succeeds(&later, &mark));
	later.seq--;
	assert_false(remap_mark_succeeds(&later, &mark));
}

/* E5: neither the last probe nor a neighbour answers for this one. */
static void mark_never_repeats(void **unused)
{
	struct block one, other;
	int i, j;
	u64 n;

	(void)unused;
	for (n = 0; n < 100; n++) {
		remap_probe_encode(&one, unit_uuid,
				   &(struct remap_mark){ .seq = 5, .nr_probe = n });
		remap_probe_encode(&other, unit_uuid,
				   &(struct remap_mark){ .seq = 5, .nr_probe = n + 1 });
		for (i = 0; i < 8; i++) {
			for (j = 0; j < 8; j++) {
				assert_memory_not_equal(one.bytes + i * 512 + 56,
							other.bytes + j * 512 + 56, 456);
				if (i != j)
					assert_memory_not_equal(one.bytes + i * 512 + 56,
								one.bytes + j * 512 + 56, 456);
			}
		}
	}
}

static void member_refused(void **unused)
{
	static u8 buffer[GOLDEN_SPARE_BYTES] __attribute__((aligned(8)));
	struct remap_member_disk *header = (struct remap_member_disk *)buffer, good;
	struct remap_hidden_disk hidden;
	int bit;

	(void)unused;
	golden_make("member", buffer);
	good = *header;
	assert_int_equal(remap_member_check(header, NULL), REMAP_OK);
	assert_int_equal(remap_member_check(header, unit_uuid), REMAP_OK);
	assert_int_equal(remap_member_check(header, unit_other_uuid), REMAP_OTHER_SET);
	for (bit = 0; bit < REMAP_MEMBER_BYTES * 8; bit += 7) {
		buffer[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(remap_member_check(header, NULL),
				 bit < 64 ? REMAP_BAD_MAGIC : REMAP_BAD_CRC);
		buffer[bit / 8] ^= 1 << bit % 8;
	}
#define REFUSED(change, verdict)                                                  \
	do {                                                                      \
		*header = good;                                                   \
		change;                                                           \
		remap_member_seal(header);                                        \
		assert_int_equal(remap_member_check(header, unit_uuid), verdict); \
	} while (0)
	REFUSED(header->version = cpu_to_le32(2), REMAP_BAD_VERSION);
	REFUSED(header->incompat = cpu_to_le64(4), REMAP_BAD_VERSION);
	REFUSED(header->main_sectors = 0, REMAP_BAD_FIELD);
	REFUSED(header->main_sectors = cpu_to_le64(~0ULL), REMAP_BAD_FIELD);
	REFUSED(header->main_sectors = cpu_to_le64(1000002), REMAP_BAD_FIELD);
	REFUSED(header->replicas_out = cpu_to_le32(3), REMAP_BAD_FIELD);
	REFUSED(header->nr_hidden = cpu_to_le16(97), REMAP_BAD_FIELD);
	REFUSED(header->nr_hidden = cpu_to_le16(3), REMAP_BAD_FIELD);
	REFUSED(header->blob_offset = cpu_to_le16(31), REMAP_BAD_FIELD);
	REFUSED(header->blob_offset = cpu_to_le16(3127), REMAP_BAD_FIELD);
	REFUSED(header->blob_len = cpu_to_le16(9), REMAP_BAD_FIELD);
	REFUSED(header->blob_len = cpu_to_le16(11), REMAP_BAD_FIELD);
	REFUSED(header->blob_len = cpu_to_le16(65535), REMAP_BAD_FIELD);
	REFUSED(header->chunk0_offset = cpu_to_le16(41), REMAP_BAD_FIELD);
	REFUSED(header->chunk0_len = cpu_to_le16(3136), REMAP_BAD_FIELD);
	REFUSED(memset(header->label, 'x', sizeof(header->label)), REMAP_BAD_FIELD);
	REFUSED(memset(header->spare_identity, 'x', 200), REMAP_BAD_FIELD);
	hidden = (struct remap_hidden_disk){ .offset = cpu_to_le64(4095), .len = cpu_to_le16(8) };
	REFUSED(memcpy(header->area, &hidden, 16), REMAP_BAD_FIELD);
	hidden.offset = cpu_to_le64(~0ULL);
	REFUSED(memcpy(header->area, &hidden, 16), REMAP_BAD_FIELD);
	hidden = (struct remap_hidden_disk){ .offset = cpu_to_le64(4096) };
	REFUSED(memcpy(header->area, &hidden, 16), REMAP_BAD_FIELD);
	hidden.len = cpu_to_le16(11);
	REFUSED(memcpy(header->area, &hidden, 16), REMAP_BAD_FIELD);
	hidden.len = cpu_to_le16(10);
	REFUSED(memcpy(header->area, &hidden, 16), REMAP_OK);
	REFUSED(header->chunk0_len = 0, REMAP_OK);
#undef REFUSED
}

/* O6: a new generation changes the header's first sector only. */
static void member_generation_is_one_sector(void **unused)
{
	static u8 buffer[GOLDEN_SPARE_BYTES] __attribute__((aligned(8)));
	struct remap_member_disk *header = (struct remap_member_disk *)buffer, old;

	(void)unused;
	golden_make("member", buffer);
	old = *header;
	header->header.seq = cpu_to_le64(77);
	header->replicas_out = 0;
	remap_member_seal(header);
	assert_memory_not_equal(&old, header, 512);
	assert_memory_equal((u8 *)&old + 512, (u8 *)header + 512, REMAP_MEMBER_BYTES - 512);
}

static void guard_sector(void **unused)
{
	struct remap_guard_disk sector;
	u8 uuid[REMAP_UUID_BYTES];
	unsigned int i;

	(void)unused;
	remap_guard_encode(&sector, unit_uuid, 5000);
	assert_int_equal(remap_guard_check(&sector, uuid, 5000), REMAP_OK);
	assert_memory_equal(uuid, unit_uuid, REMAP_UUID_BYTES);
	assert_int_equal(remap_guard_check(&sector, uuid, 5001), REMAP_BAD_FIELD);
	for (i = 0; i < REMAP_SECTOR_BYTES; i++) {
		u8 *byte = (u8 *)&sector + i;

		*byte ^= 1;
		if (i >= 8 && i < 16)
			assert_int_equal(remap_guard_check(&sector, uuid, 5000), REMAP_BAD_MAGIC);
		else if (i >= 16 && i < 32) /* another set's */
			assert_memory_not_equal((remap_guard_check(&sector, uuid, 5000), uuid),
						unit_uuid, REMAP_UUID_BYTES);
		else
			assert_int_equal(remap_guard_check(&sector, uuid, 5000), REMAP_BAD_FIELD);
		*byte ^= 1;
	}
	/* more sectors than fit in the field */
	remap_guard_encode(&sector, unit_uuid, 1ULL << 40);
	assert_memory_equal(sector.pmbr + 12, "\xff\xff\xff\xff", 4);
}

static void foreign_names(void **unused)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t nr_bytes;
		const char *name;
	} wanted[] = {
#define AT(offset, text, name) { offset, text, sizeof(text) - 1, name }
		AT(0, "DMREMAP3", "metadata of dm-remap v3"),
		AT(0, "\x34\x52\x4d\x44", "metadata of dm-remap-v4"),
		AT(0, "\x44\x4d\x52\x34", "metadata of dm-remap-v4"),
		AT(0, "dmRemapS", "a superblock of dm-remap"),
		AT(4096, "dmRemapT", "table blocks of a dm-remap set without superblock"),
		AT(512, "dmRemapM", "the main device of a dm-remap set"),
		AT(0x10040, "_BHRfS_M", "a btrfs file system"),
		AT(0x438, "\x53\xef", "an ext2, ext3 or ext4 file system"),
		AT(0, "XFSB", "an XFS file system"),
		AT(0, "\xfc\x4e\x2b\xa9", "a member of an md array (metadata 1.1)"),
		AT(4096, "\xfc\x4e\x2b\xa9", "a member of an md array (metadata 1.2)"),
		AT(512, "LABELONE", "an LVM physical volume"),
		AT(1536, "LABELONE", "an LVM physical volume"),
		AT(0, "LUKS\xba\xbe", "a LUKS encrypted volume"),
		AT(16384, "\1\1\0\0\0\0\0\0\0\0\0\1", "a member of a ZFS pool"),
		AT(0x8001, "CD001", "an ISO 9660 file system"),
		AT(4086, "SWAPSPACE2", "swap space"),
		AT(65526, "SWAPSPACE2", "swap space"),
		AT(512, "EFI PART", "a GPT partition table"),
		AT(510, "\x55\xaa", "an MBR partition table or boot sector"),
		AT(82, "FAT32   ", "a FAT file system"),
		AT(3, "NTFS    ", "an NTFS file system"),
#undef AT
	};
	static u8 data[REMAP_FOREIGN_BYTES];
	size_t i;

	(void)unused;
	assert_null(remap_foreign_name(data, sizeof(data)));
	assert_null(remap_foreign_name(data, 0));
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		const char *name;

		memset(data, 0, sizeof(data));
		/* A boot sector's mark does not hide what is certain. */
		if (wanted[i].at > 512 && wanted[i].at != 0x438)
			memcpy(data + 510, "\x55\xaa", 2);
		memcpy(data + wanted[i].at, wanted[i].bytes, wanted[i].nr_bytes);
		name = remap_foreign_name(data, sizeof(data));
		assert_non_null(name);
		assert_string_equal(name, wanted[i].name);
		/* A byte less, and it is not seen. */
		name = remap_foreign_name(data, wanted[i].at + wanted[i].nr_bytes - 1);
		assert_true(!name || strcmp(name, wanted[i].name));
	}
	memset(data, 0x77, sizeof(data));
	assert_null(remap_foreign_name(data, sizeof(data)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mark_round_trips),
		cmocka_unit_test(mark_never_repeats),
		cmocka_unit_test(mark_tells_the_age),
		cmocka_unit_test(member_refused),
		cmocka_unit_test(guard_sector),
		cmocka_unit_test(member_generation_is_one_sector),
		cmocka_unit_test(foreign_names),
	};

	return cmocka_run_group_tests_name("main side", tests, NULL, NULL);
}
