// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The on-disk format of dm-remap: encode, decode, validate, choose.
 *
 * Pure functions, compiled unchanged into the kernel module, the userspace
 * tools and the tests.  Buffers are aligned to eight bytes.  FORMAT.md says
 * what the fields mean and in which order they may be written.
 *
 * Rules kept here:
 *   C12 all places A, then all places B, aligned and far apart
 *   C6  remap_choose(): the highest valid copy, and whether two disagree
 *   C15 what cannot be read may have been the newest; the mark tells what is missing
 *   C16 what is read is checked whole; numbers from 2^63 on are damage
 */
#include "remap_format.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#else
#include <zlib.h>
#endif

/* The CRC covers everything behind its own field. */
#define CRC_START	(offsetof(struct remap_block_header, crc) + sizeof(__le32))

/**
 * remap_crc32 - CRC-32 (IEEE 802.3) as zlib's crc32() computes it
 * @data: the bytes
 * @nr_bytes: how many
 *
 * Return: the checksum; 0xcbf43926 for the nine bytes "123456789".
 */
u32 remap_crc32(const void *data, size_t nr_bytes)
{
#ifdef __KERNEL__
	return crc32_le(~0U, data, nr_bytes) ^ ~0U;
#else
	return crc32_z(0, data, nr_bytes);
#endif
}

/**
 * remap_is_zero - whether all bytes are zero
 * @data: the bytes
 * @nr_bytes: how many
 *
 * Return: true for zeros and for no bytes at all.
 */
bool remap_is_zero(const void *data, size_t nr_bytes)
{
#ifdef __KERNEL__
	return !memchr_inv(data, 0, nr_bytes);
#else
	const u8 *bytes = data;

	if (!nr_bytes)
		return true;
	return !bytes[0] && !memcmp(bytes, bytes + 1, nr_bytes - 1);
#endif
}

/**
 * remap_verdict_name - a verdict in words
 * @verdict: the verdict
 *
 * Return: a constant string that completes "the block is ...".
 */
const char *remap_verdict_name(enum remap_verdict verdict)
{
	switch (verdict) {
	case REMAP_OK:
		return "valid";
	case REMAP_ZERO:
		return "all zeros";
	case REMAP_BAD_MAGIC:
		return "not a block of this kind";
	case REMAP_BAD_CRC:
		return "damaged (wrong checksum)";
	case REMAP_OTHER_SET:
		return "belongs to another set or place";
	case REMAP_BAD_FIELD:
		return "invalid (a field is out of range)";
	case REMAP_BAD_VERSION:
		return "unsupported format version or feature";
	case REMAP_UNREADABLE:
		return "unreadable";
	case REMAP_DEAD:
		return "dead (given up)";
	}
	return "unknown";
}

static bool terminated(const void *text, size_t nr_bytes)
{
	return memchr(text, 0, nr_bytes);
}

/* Whether @nr sectors from @start lie in a range of @end sectors. */
static bool inside(u64 start, u64 nr, u64 end)
{
	return nr <= end && start <= end - nr;
}

static bool disjoint(u64 start_a, u64 nr_a, u64 start_b, u64 nr_b)
{
	return start_a >= start_b + nr_b || start_b >= start_a + nr_a;
}

static u32 table_blocks_for(u32 slots)
{
	return (slots + REMAP_ENTRIES_PER_BLOCK - 1) / REMAP_ENTRIES_PER_BLOCK;
}

static u32 place_blocks_for(u32 table_blocks)
{
	u32 blocks = 1 + table_blocks + REMAP_SOFT_BLOCKS;

	return (blocks + REMAP_PLACE_ALIGN_BLOCKS - 1) & ~(REMAP_PLACE_ALIGN_BLOCKS - 1U);
}

/* Spare chunks that remain in @total blocks with so many table blocks. */
static u32 slots_for(u64 total, u32 table_blocks)
{
	u64 metadata = (u64)REMAP_COPIES * place_blocks_for(table_blocks);

	if (total <= metadata)
		return 0;
	if (total - metadata > REMAP_MAX_SLOTS)
		return REMAP_MAX_SLOTS;
	return total - metadata;
}

/**
 * remap_geometry_compute - lay out a region for formatting
 * @region_sectors: length of the region
 * @geometry: is filled
 *
 * Takes the fewest table blocks that hold an entry for every slot that is then
 * left.  The same length gives the same layout always: a set whose start is
 * damaged is found by computing where its end replica is.
 *
 * Return: 0, or -ENOSPC when fewer than REMAP_MIN_SLOTS would remain.
 */
int remap_geometry_compute(u64 region_sectors, struct remap_geometry *geometry)
{
	u64 total = region_sectors / REMAP_BLOCK_SECTORS & ~(REMAP_PLACE_ALIGN_BLOCKS - 1ULL);
	u32 low = 1, high = table_blocks_for(REMAP_MAX_SLOTS);
	u32 place_blocks;

	memset(geometry, 0, sizeof(*geometry));
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (middle * REMAP_ENTRIES_PER_BLOCK >= slots_for(total, middle))
			high = middle;
		else
			low = middle + 1;
	}
	if (slots_for(total, low) < REMAP_MIN_SLOTS)
		return -ENOSPC;

	place_blocks = place_blocks_for(low);
	geometry->region_sectors = region_sectors;
	geometry->slots = slots_for(total, low);
	geometry->table_blocks = low;
	geometry->soft_blocks = REMAP_SOFT_BLOCKS;
	geometry->place_blocks = place_blocks;
	geometry->replica_sector[0] = 0;
	geometry->replica_sector[1] =
		(total - (u64)REMAP_PLACES * place_blocks) * REMAP_BLOCK_SECTORS;
	geometry->slots_sector = (u64)REMAP_PLACES * place_blocks * REMAP_BLOCK_SECTORS;
	return 0;
}

/**
 * remap_geometry_valid - whether a layout read from disk can be used
 * @geometry: the layout
 *
 * It need not be what remap_geometry_compute() would choose, only consistent: all parts
 * inside the region, none over another, every slot with an entry; and with no more slots and
 * table blocks than that would give the region.  So a reader that allocates by the length of the
 * region has room for all of it.  A table block may be there without a slot.
 *
 * Return: true if so.
 */
bool remap_geometry_valid(const struct remap_geometry *geometry)
{
	const u64 align = REMAP_PLACE_ALIGN_BLOCKS * REMAP_BLOCK_SECTORS;
	u64 replica, slots, end = geometry->region_sectors;
	struct remap_geometry most;
	int i;

	if (remap_geometry_compute(end, &most))
		return false;
	if (geometry->slots < REMAP_MIN_SLOTS || geometry->slots > most.slots)
		return false;
	if (geometry->table_blocks < table_blocks_for(geometry->slots) ||
	    geometry->table_blocks > most.table_blocks)
		return false;
	if (geometry->soft_blocks < REMAP_SOFT_BLOCKS ||
	    geometry->soft_blocks > REMAP_MAX_SOFT_BLOCKS)
		return false;
	if (geometry->place_blocks % REMAP_PLACE_ALIGN_BLOCKS)
		return false;
	if (geometry->place_blocks < 1ULL + geometry->table_blocks + geometry->soft_blocks)
		return false;

	replica = (u64)REMAP_PLACES * geometry->place_blocks * REMAP_BLOCK_SECTORS;
	slots = (u64)geometry->slots * REMAP_CHUNK_SECTORS;
	if (geometry->slots_sector % REMAP_CHUNK_SECTORS ||
	    !inside(geometry->slots_sector, slots, end))
		return false;
	for (i = 0; i < REMAP_REPLICAS; i++) {
		u64 start = geometry->replica_sector[i];

		if ((start & (align - 1)) || !inside(start, replica, end))
			return false;
		if (!disjoint(start, replica, geometry->slots_sector, slots))
			return false;
	}
	/* The superblock is looked for at the start of the region. */
	if (geometry->replica_sector[0])
		return false;
	return disjoint(geometry->replica_sector[0], replica,
			geometry->replica_sector[1], replica);
}

/**
 * remap_block_sector - where a copy of a metadata block is
 * @geometry: layout of the region
 * @replica: 0 at the start, 1 at the end of the region
 * @place: 0 (A) or 1 (B)
 * @block: number in the place: 0 superblock, then table blocks, then soft state
 *
 * Return: its first sector in the region.
 */
u64 remap_block_sector(const struct remap_geometry *geometry, unsigned int replica,
		       unsigned int place, u32 block)
{
	u64 blocks = (u64)place * geometry->place_blocks + block;

	return geometry->replica_sector[replica] + blocks * REMAP_BLOCK_SECTORS;
}

/**
 * remap_table_block_of - which block of a place has the entry of a slot
 * @slot: number of the spare chunk
 *
 * Return: the block's number, from 1.
 */
u32 remap_table_block_of(u32 slot)
{
	return 1 + slot / REMAP_ENTRIES_PER_BLOCK;
}

/**
 * remap_table_entry_of - where in its table block the entry of a slot is
 * @slot: number of the spare chunk
 *
 * Return: the index in remap_table_disk.entry.
 */
u32 remap_table_entry_of(u32 slot)
{
	return slot % REMAP_ENTRIES_PER_BLOCK;
}

/**
 * remap_table_entries - how many entries of a table block have a slot
 * @geometry: layout of the region
 * @block: number of the block in its place, from 1
 *
 * Return: the value of remap_table_disk.nr_entries; zero for a block too many.
 */
u32 remap_table_entries(const struct remap_geometry *geometry, u32 block)
{
	u64 first = (u64)(block - 1) * REMAP_ENTRIES_PER_BLOCK;

	if (first >= geometry->slots)
		return 0;
	if (geometry->slots - first < REMAP_ENTRIES_PER_BLOCK)
		return geometry->slots - first;
	return REMAP_ENTRIES_PER_BLOCK;
}

static void header_init(struct remap_block_header *header, const char *magic,
			const u8 *uuid, u32 index, u64 seq)
{
	memcpy(header->magic, magic, REMAP_MAGIC_BYTES);
	header->index = cpu_to_le32(index);
	memcpy(header->uuid, uuid, REMAP_UUID_BYTES);
	header->seq = cpu_to_le64(seq);
}

static void header_seal(struct remap_block_header *header, size_t nr_bytes)
{
	const u8 *bytes = (const u8 *)header;

	header->crc = cpu_to_le32(remap_crc32(bytes + CRC_START, nr_bytes - CRC_START));
}

static enum remap_verdict header_check(const struct remap_block_header *header,
				       size_t nr_bytes, const char *magic,
				       const u8 *uuid, u32 index)
{
	const u8 *bytes = (const u8 *)header;

	if (memcmp(header->magic, magic, REMAP_MAGIC_BYTES))
		return remap_is_zero(header, nr_bytes) ? REMAP_ZERO : REMAP_BAD_MAGIC;
	if (le32_to_cpu(header->crc) != remap_crc32(bytes + CRC_START, nr_bytes - CRC_START))
		return REMAP_BAD_CRC;
	if (uuid && memcmp(header->uuid, uuid, REMAP_UUID_BYTES))
		return REMAP_OTHER_SET;
	if (le32_to_cpu(header->index) != index)
		return REMAP_OTHER_SET;
	/* Of every kind of block: a counter that goes on from there would wrap (C16). */
	return le64_to_cpu(header->seq) > REMAP_MAX_SEQ ? REMAP_BAD_FIELD : REMAP_OK;
}

/**
 * remap_block_init - start a metadata block
 * @block: REMAP_BLOCK_BYTES long, is cleared
 * @magic: one of REMAP_MAGIC_*
 * @uuid: of the set
 * @index: number of the block in its place
 * @seq: the number that belongs to this content and to no other (C2)
 */
void remap_block_init(void *block, const char *magic, const u8 *uuid, u32 index, u64 seq)
{
	memset(block, 0, REMAP_BLOCK_BYTES);
	header_init(block, magic, uuid, index, seq);
}

/**
 * remap_block_seal - compute the checksum of a finished block
 * @block: REMAP_BLOCK_BYTES long
 */
void remap_block_seal(void *block)
{
	header_seal(block, REMAP_BLOCK_BYTES);
}

/**
 * remap_block_check - whether a block read from disk is what it should be
 * @block: REMAP_BLOCK_BYTES long
 * @magic: the kind that is expected
 * @uuid: the set that is expected, or NULL for any
 * @index: the number that is expected
 *
 * Looks at the header and the checksum only, not at what the block contains.  The number is
 * part of the header: above REMAP_MAX_SEQ it is damage.
 *
 * Return: the verdict, REMAP_OK when it may be used.
 */
enum remap_verdict remap_block_check(const void *block, const char *magic,
				     const u8 *uuid, u32 index)
{
	return header_check(block, REMAP_BLOCK_BYTES, magic, uuid, index);
}

/**
 * remap_block_seq - sequence number of a block
 * @block: a block that passed remap_block_check()
 *
 * Return: the number.
 */
u64 remap_block_seq(const void *block)
{
	const struct remap_block_header *header = block;

	return le64_to_cpu(header->seq);
}

/**
 * remap_soft_check - whether a block of soft state can be used
 * @block: REMAP_BLOCK_BYTES long
 * @uuid: the set that is expected
 * @index: the number that is expected
 * @newest: the highest number of superblock and table
 *
 * What may be lost must not decide how the set continues to count: a number that is far above
 * all others is damage (C16).
 *
 * Return: the verdict, REMAP_OK when it may be used.
 */
enum remap_verdict remap_soft_check(const void *block, const u8 *uuid, u32 index, u64 newest)
{
	enum remap_verdict verdict = remap_block_check(block, REMAP_MAGIC_SOFT, uuid, index);

	if (verdict == REMAP_OK && remap_block_seq(block) > newest &&
	    remap_block_seq(block) - newest > REMAP_SOFT_AHEAD)
		return REMAP_BAD_FIELD;
	return verdict;
}

/* The place of a replica that the chosen content is to be written into. */
static u8 place_to_repair(const void *const copy[REMAP_PLACES],
			  const enum remap_verdict verdict[REMAP_PLACES])
{
	bool valid_a = verdict[0] == REMAP_OK, valid_b = verdict[1] == REMAP_OK;

	if (valid_a && valid_b)
		return remap_block_seq(copy[0]) > remap_block_seq(copy[1]);
	if (!valid_a && !valid_b)
		return verdict[0] == REMAP_UNREADABLE && verdict[1] != REMAP_UNREADABLE;
	return valid_a;
}

/*
 * The number of a damaged copy that was newer than @best, or 0.  Its CRC does not vouch for
 * the header, but by chance no garbage is of the right set and index, and newer.
 */
static u64 damaged_newer_seq(const struct remap_block_header *copy, enum remap_verdict verdict,
			     const struct remap_block_header *best)
{
	if (!copy || (verdict != REMAP_BAD_CRC && verdict != REMAP_BAD_FIELD))
		return 0;
	if (memcmp(copy->magic, best->magic, REMAP_MAGIC_BYTES) ||
	    memcmp(copy->uuid, best->uuid, REMAP_UUID_BYTES) || copy->index != best->index)
		return 0;
	if (le64_to_cpu(copy->seq) > REMAP_MAX_SEQ)
		return 0;
	return le64_to_cpu(copy->seq) > le64_to_cpu(best->seq) ? le64_to_cpu(copy->seq) : 0;
}

/*
 * A commit goes to replica 1 only when replica 0 has it whole (C1).  So a damaged newer
 * copy on one replica may be a commit that a crash cut short; with the same number on both,
 * that content was whole once, perhaps acknowledged, and is gone.  (One innocent way there:
 * the write to replica 1 failed and left half of it, and a crash cut the next try on
 * replica 0 so that its first sector stayed.)
 */
static bool newer_is_lost(const void *const copy[REMAP_COPIES],
			  const enum remap_verdict verdict[REMAP_COPIES], const void *best)
{
	int i, j;

	for (i = 0; i < REMAP_PLACES; i++) {
		u64 seq = damaged_newer_seq(copy[i], verdict[i], best);

		for (j = REMAP_PLACES; seq && j < REMAP_COPIES; j++) {
			if (damaged_newer_seq(copy[j], verdict[j], best) == seq)
				return true;
		}
	}
	return false;
}

/*
 * Whether a copy is what a write leaves that a crash cut short: sectors of the new content
 * over what the place held before, which was of the same set and block, or zeros.
 */
static bool may_be_torn(const struct remap_block_header *copy, enum remap_verdict verdict,
			const struct remap_block_header *best)
{
	if (!copy || (verdict != REMAP_BAD_CRC && verdict != REMAP_BAD_MAGIC))
		return false;
	if (verdict == REMAP_BAD_MAGIC)
		return remap_is_zero(copy, REMAP_SECTOR_BYTES);
	return !memcmp(copy->uuid, best->uuid, REMAP_UUID_BYTES) && copy->index == best->index &&
	       le64_to_cpu(copy->seq) <= REMAP_MAX_SEQ;
}

/*
 * What one replica shows of a block.
 * SHOWN_ALL: both places, or the one that is not dead: nothing newer was committed
 * SHOWN_TORN: a valid copy, and one that a crash may have cut short
 * SHOWN_PART: not all: a place is unreadable, gone or overwritten, and may have been the newest
 */
enum shown {
	SHOWN_ALL,
	SHOWN_TORN,
	SHOWN_PART,
};

static enum shown replica_shows(const void *const copy[REMAP_PLACES],
				const enum remap_verdict verdict[REMAP_PLACES], const void *best)
{
	bool any_valid = false;
	enum shown shown = SHOWN_ALL;
	int i;

	for (i = 0; i < REMAP_PLACES; i++) {
		if (verdict[i] == REMAP_OK)
			any_valid = true;
		else if (may_be_torn(copy[i], verdict[i], best))
			shown = SHOWN_TORN;
		/* The second place of a new block was never written. */
		else if (verdict[i] != REMAP_ZERO && verdict[i] != REMAP_DEAD)
			return SHOWN_PART;
	}
	return any_valid ? shown : SHOWN_PART;
}

/*
 * Both replicas have what was acknowledged (C1), so one that shows all it has tells of the
 * other.  Two commits that a crash cut short, of different numbers, are two tries of one
 * (C3): the first one failed on replica 1, the second one was torn on replica 0.
 */
static bool newer_is_hidden(const void *const copy[REMAP_COPIES],
			    const enum remap_verdict verdict[REMAP_COPIES], const void *best)
{
	enum shown first = replica_shows(copy, verdict, best);
	enum shown second = replica_shows(copy + REMAP_PLACES, verdict + REMAP_PLACES, best);

	if (first == SHOWN_ALL || second == SHOWN_ALL)
		return false;
	return first == SHOWN_PART || second == SHOWN_PART;
}

/**
 * remap_choose - which copy of a block counts, and which must be rewritten
 * @copy: the copies, index 2 * replica + place; may be NULL where nothing was read
 * @verdict: of each copy
 * @choice: is filled
 *
 * Rules C1, C3, C5 and C6.  When it fails nothing is to be repaired.
 *
 * Return: 0, -ENODATA when no copy is valid, or -EUCLEAN when two valid copies
 * have the highest number and differ.
 */
int remap_choose(const void *const copy[REMAP_COPIES],
		 const enum remap_verdict verdict[REMAP_COPIES],
		 struct remap_choice *choice)
{
	bool has_best[REMAP_COPIES] = { };
	int i, replica;

	memset(choice, 0, sizeof(*choice));
	choice->best = -1;
	for (i = 0; i < REMAP_COPIES; i++) {
		if (verdict[i] != REMAP_OK)
			continue;
		if (choice->best >= 0 && remap_block_seq(copy[i]) <= choice->seq)
			continue;
		choice->best = i;
		choice->seq = remap_block_seq(copy[i]);
	}
	if (choice->best < 0)
		return -ENODATA;

	for (i = 0; i < REMAP_COPIES; i++) {
		if (verdict[i] != REMAP_OK || remap_block_seq(copy[i]) != choice->seq)
			continue;
		if (memcmp(copy[i], copy[choice->best], REMAP_BLOCK_BYTES)) {
			choice->conflict = true;
			choice->best = -1;
			return -EUCLEAN;
		}
		has_best[i] = true;
	}
	choice->newer_lost = newer_is_lost(copy, verdict, copy[choice->best]);
	choice->newer_hidden = newer_is_hidden(copy, verdict, copy[choice->best]);

	for (replica = 0; replica < REMAP_REPLICAS; replica++) {
		int a = replica * REMAP_PLACES;

		choice->repair[replica] = !has_best[a] && !has_best[a + 1];
		if (choice->repair[replica])
			choice->good_place[replica] = place_to_repair(copy + a, verdict + a);
		else
			choice->good_place[replica] = !has_best[a];
	}
	return 0;
}

/* Partition table of one entry of type 0xEE over everything behind sector 0. */
static void pmbr_fill(u8 *pmbr, u64 nr_sectors)
{
	static const u8 entry[8] = { 0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff };
	__le32 first = cpu_to_le32(1), count;

	count = cpu_to_le32(nr_sectors > 0xffffffffULL ? 0xffffffffU : (u32)(nr_sectors - 1));
	memset(pmbr, 0, REMAP_PMBR_BYTES);
	memcpy(pmbr, entry, sizeof(entry));
	memcpy(pmbr + 8, &first, sizeof(first));
	memcpy(pmbr + 12, &count, sizeof(count));
	pmbr[REMAP_PMBR_BYTES - 2] = 0x55;
	pmbr[REMAP_PMBR_BYTES - 1] = 0xaa;
}

/**
 * remap_dead_code - how the superblock names a dead copy (C8)
 * @block: number of a table block in its place, from 1
 * @copy: 2 * replica + place
 *
 * Return: a value of remap_super.dead; zero there means none.
 */
u32 remap_dead_code(u32 block, unsigned int copy)
{
	return block * REMAP_COPIES + copy + 1;
}

/**
 * remap_dead_copy - the copy of a block that is dead: neither read nor written (C8)
 * @super: the set's superblock
 * @block: number of the block in its place
 *
 * Whatever it holds, should it be readable again, was never acknowledged.
 *
 * Return: 2 * replica + place, or -1.
 */
int remap_dead_copy(const struct remap_super *super, u32 block)
{
	int i;

	for (i = 0; i < REMAP_DEAD_MAX; i++) {
		if (super->dead[i] && (super->dead[i] - 1) / REMAP_COPIES == block)
			return (super->dead[i] - 1) % REMAP_COPIES;
	}
	return -1;
}

/**
 * remap_is_dead - whether a copy of a block is dead (C8)
 * @super: the set's superblock
 * @block: number of the block in its place
 * @copy: 2 * replica + place
 *
 * Return: true if so.
 */
bool remap_is_dead(const struct remap_super *super, u32 block, unsigned int copy)
{
	return remap_dead_copy(super, block) == (int)copy;
}

/**
 * remap_add_dead - call a copy of a table block dead
 * @dead: remap_super.dead
 * @block: number of the block in its place
 * @copy: 2 * replica + place
 *
 * Return: 0, also when it is dead already; -EEXIST: another one of the block is, and one of the
 * two would have to be believed; -ENOSPC: no more can be named.
 */
int remap_add_dead(u32 dead[REMAP_DEAD_MAX], u32 block, unsigned int copy)
{
	int i, unused = -1;

	for (i = REMAP_DEAD_MAX - 1; i >= 0; i--) {
		if (!dead[i])
			unused = i;
		else if ((dead[i] - 1) / REMAP_COPIES == block)
			return dead[i] == remap_dead_code(block, copy) ? 0 : -EEXIST;
	}
	if (unused < 0)
		return -ENOSPC;
	dead[unused] = remap_dead_code(block, copy);
	return 0;
}

/**
 * remap_remove_dead - call no copy of a block dead any more
 * @dead: remap_super.dead
 * @block: number of the block in its place
 */
void remap_remove_dead(u32 dead[REMAP_DEAD_MAX], u32 block)
{
	int i;

	for (i = 0; i < REMAP_DEAD_MAX; i++) {
		if (dead[i] && (dead[i] - 1) / REMAP_COPIES == block)
			dead[i] = 0;
	}
}

/**
 * remap_super_encode - make a superblock
 * @super: its content; unknown compat bits are dropped (see FORMAT.md)
 * @block: REMAP_BLOCK_BYTES long, is overwritten and sealed
 */
void remap_super_encode(const struct remap_super *super, void *block)
{
	const struct remap_geometry *geometry = &super->geometry;
	struct remap_super_disk *disk = block;
	int i;

	remap_block_init(block, REMAP_MAGIC_SUPER, super->uuid, 0, super->seq);
	disk->version = cpu_to_le32(super->version);
	disk->flags = cpu_to_le32(super->flags);
	disk->compat = cpu_to_le64(super->compat & REMAP_KNOWN_COMPAT);
	disk->ro_compat = cpu_to_le64(super->ro_compat);
	disk->incompat = cpu_to_le64(super->incompat);
	disk->main_sectors = cpu_to_le64(super->main_sectors);
	disk->region_sectors = cpu_to_le64(geometry->region_sectors);
	for (i = 0; i < REMAP_REPLICAS; i++)
		disk->replica_sector[i] = cpu_to_le64(geometry->replica_sector[i]);
	disk->slots_sector = cpu_to_le64(geometry->slots_sector);
	disk->slots = cpu_to_le32(geometry->slots);
	disk->table_blocks = cpu_to_le32(geometry->table_blocks);
	disk->soft_blocks = cpu_to_le32(geometry->soft_blocks);
	disk->place_blocks = cpu_to_le32(geometry->place_blocks);
	disk->probe_chunk = cpu_to_le64(super->probe_chunk);
	disk->created = cpu_to_le64(super->created);
	memcpy(disk->host_id, super->host_id, REMAP_HOST_ID_BYTES);
	memcpy(disk->label, super->label, REMAP_LABEL_BYTES);
	memcpy(disk->identity, super->identity, REMAP_IDENTITY_BYTES);
	for (i = 0; i < REMAP_DEAD_MAX; i++)
		disk->dead[i] = cpu_to_le32(super->dead[i]);
	pmbr_fill(disk->pmbr, geometry->region_sectors);
	remap_block_seal(block);
}

static void super_fill(const struct remap_super_disk *disk, struct remap_super *super)
{
	struct remap_geometry *geometry = &super->geometry;
	int i;

	geometry->region_sectors = le64_to_cpu(disk->region_sectors);
	for (i = 0; i < REMAP_REPLICAS; i++)
		geometry->replica_sector[i] = le64_to_cpu(disk->replica_sector[i]);
	geometry->slots_sector = le64_to_cpu(disk->slots_sector);
	geometry->slots = le32_to_cpu(disk->slots);
	geometry->table_blocks = le32_to_cpu(disk->table_blocks);
	geometry->soft_blocks = le32_to_cpu(disk->soft_blocks);
	geometry->place_blocks = le32_to_cpu(disk->place_blocks);
	memcpy(super->uuid, disk->header.uuid, REMAP_UUID_BYTES);
	super->seq = le64_to_cpu(disk->header.seq);
	super->version = le32_to_cpu(disk->version);
	super->flags = le32_to_cpu(disk->flags);
	super->compat = le64_to_cpu(disk->compat);
	super->ro_compat = le64_to_cpu(disk->ro_compat);
	super->incompat = le64_to_cpu(disk->incompat);
	super->main_sectors = le64_to_cpu(disk->main_sectors);
	super->probe_chunk = le64_to_cpu(disk->probe_chunk);
	super->created = le64_to_cpu(disk->created);
	memcpy(super->host_id, disk->host_id, REMAP_HOST_ID_BYTES);
	memcpy(super->label, disk->label, REMAP_LABEL_BYTES - 1);
	memcpy(super->identity, disk->identity, REMAP_IDENTITY_BYTES - 1);
	for (i = 0; i < REMAP_DEAD_MAX; i++)
		super->dead[i] = le32_to_cpu(disk->dead[i]);
}

/* Each names a copy of a table block, and no block more than one: the rest must do. */
static bool dead_valid(const struct remap_super *super)
{
	int i, j;

	for (i = 0; i < REMAP_DEAD_MAX; i++) {
		u32 block = (super->dead[i] - 1) / REMAP_COPIES;

		if (!super->dead[i])
			continue;
		if (block < 1 || block > super->geometry.table_blocks)
			return false;
		for (j = 0; j < i; j++) {
			if (super->dead[j] && (super->dead[j] - 1) / REMAP_COPIES == block)
				return false;
		}
	}
	return true;
}

/**
 * remap_super_decode - check and read a superblock
 * @block: REMAP_BLOCK_BYTES long
 * @super: is filled; all zero unless the checksum is right
 *
 * With REMAP_BAD_VERSION only uuid, seq, version, the feature bits and label
 * mean something, with REMAP_BAD_FIELD also what is in range.  An unknown
 * ro_compat bit is no error here: the caller must not write then.
 *
 * Return: the verdict, REMAP_OK when it may be used.
 */
enum remap_verdict remap_super_decode(const void *block, struct remap_super *super)
{
	const struct remap_super_disk *disk = block;
	enum remap_verdict verdict;

	memset(super, 0, sizeof(*super));
	verdict = remap_block_check(block, REMAP_MAGIC_SUPER, NULL, 0);
	if (verdict != REMAP_OK)
		return verdict;

	super_fill(disk, super);
	if (super->version != REMAP_FORMAT_VERSION ||
	    (super->incompat & ~REMAP_KNOWN_INCOMPAT))
		return REMAP_BAD_VERSION;
	if (!terminated(disk->label, REMAP_LABEL_BYTES) ||
	    !terminated(disk->identity, REMAP_IDENTITY_BYTES))
		return REMAP_BAD_FIELD;
	if (!remap_geometry_valid(&super->geometry))
		return REMAP_BAD_FIELD;
	if (super->main_sectors > REMAP_MAX_MAIN_SECTORS)
		return REMAP_BAD_FIELD;
	/* The probe chunk is a whole one. */
	if (super->probe_chunk >= super->main_sectors / REMAP_CHUNK_SECTORS)
		return REMAP_BAD_FIELD;
	return dead_valid(super) ? REMAP_OK : REMAP_BAD_FIELD;
}

/**
 * remap_super_same_layout - whether two superblocks are of one set with one layout
 * @super: one that was read where the layout of @other says
 * @other: the other one
 *
 * Return: true if so; else one of the two is forged, for a layout that leads to a superblock
 * with another layout was never written.
 */
bool remap_super_same_layout(const struct remap_super *super, const struct remap_super *other)
{
	const struct remap_geometry *a = &super->geometry, *b = &other->geometry;

	return !memcmp(super->uuid, other->uuid, REMAP_UUID_BYTES) &&
	       a->region_sectors == b->region_sectors && a->slots == b->slots &&
	       a->table_blocks == b->table_blocks && a->soft_blocks == b->soft_blocks &&
	       a->place_blocks == b->place_blocks && a->slots_sector == b->slots_sector &&
	       a->replica_sector[0] == b->replica_sector[0] &&
	       a->replica_sector[1] == b->replica_sector[1];
}

/**
 * remap_super_fit - whether a superblock is one to work with here
 * @super: passed remap_super_decode()
 * @main_sectors: length of the mapped device, 0: not known
 * @region_sectors: length of the region, 0: not known
 *
 * Return: REMAP_FITS, or the first thing that is in the way.
 */
enum remap_fit remap_super_fit(const struct remap_super *super, u64 main_sectors,
			       u64 region_sectors)
{
	if (main_sectors && super->main_sectors != main_sectors)
		return REMAP_OTHER_MAIN;
	if (region_sectors && super->geometry.region_sectors != region_sectors)
		return REMAP_OTHER_REGION;
	/* What main shows is neither the disk's own content nor the set's. */
	if (super->flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING))
		return REMAP_UNFINISHED;
	return REMAP_FITS;
}

#define WHERE_CHUNK_BITS	48
#define WHERE_REDIRECTED_SHIFT	48
#define WHERE_LOST_SHIFT	56
#define GENERATION_SHIFT	4
#define GENERATION_MASK		0x30U

/**
 * remap_entry_encode - make a table entry
 * @entry: its content
 * @disk: is overwritten
 */
void remap_entry_encode(const struct remap_entry *entry, struct remap_entry_disk *disk)
{
	u64 where = entry->main_chunk & ((1ULL << WHERE_CHUNK_BITS) - 1);

	where |= (u64)entry->redirected << WHERE_REDIRECTED_SHIFT;
	where |= (u64)entry->lost << WHERE_LOST_SHIFT;
	disk->where = cpu_to_le64(where);
	disk->when = cpu_to_le32(entry->when);
	disk->state_gen = (entry->state & ~GENERATION_MASK) |
			  (entry->generation << GENERATION_SHIFT & GENERATION_MASK);
	disk->cause = entry->cause;
	disk->status = entry->status;
	disk->errors = entry->errors;
}

/**
 * remap_entry_decode - read a table entry
 * @disk: the entry on disk
 * @entry: is filled
 *
 * The two reserved bits beside the generation stay in the state, which makes
 * it an unknown one: remap_entry_valid() says no.
 */
void remap_entry_decode(const struct remap_entry_disk *disk, struct remap_entry *entry)
{
	u64 where = le64_to_cpu(disk->where);

	entry->main_chunk = where & ((1ULL << WHERE_CHUNK_BITS) - 1);
	entry->redirected = where >> WHERE_REDIRECTED_SHIFT;
	entry->lost = where >> WHERE_LOST_SHIFT;
	entry->state = disk->state_gen & ~GENERATION_MASK;
	entry->generation = (disk->state_gen & GENERATION_MASK) >> GENERATION_SHIFT;
	entry->cause = disk->cause;
	entry->status = disk->status;
	entry->errors = disk->errors;
	entry->when = le32_to_cpu(disk->when);
}

/**
 * remap_entry_valid - whether an entry makes sense by itself
 * @entry: the entry
 * @main_sectors: length of the mapped device
 *
 * Unknown causes and statuses are provenance only and allowed.
 *
 * Return: true if so.
 */
bool remap_entry_valid(const struct remap_entry *entry, u64 main_sectors)
{
	u64 first = entry->main_chunk * REMAP_CHUNK_SECTORS;

	if (entry->generation > 3)
		return false;
	switch (entry->state) {
	case REMAP_ENTRY_FREE:
		return !entry->main_chunk && !entry->redirected && !entry->lost &&
		       !entry->generation && !entry->cause && !entry->status &&
		       !entry->errors && !entry->when;
	case REMAP_ENTRY_BAD:
		return !entry->main_chunk && !entry->redirected && !entry->lost &&
		       !entry->generation;
	case REMAP_ENTRY_USED:
		if (!entry->redirected || (entry->lost & ~entry->redirected))
			return false;
		if (first >= main_sectors)
			return false;
		return main_sectors - first >= REMAP_CHUNK_SECTORS ||
		       !(entry->redirected >> (main_sectors - first));
	}
	return false;
}

/**
 * remap_table_check - whether a table block and all its entries can be used
 * @block: REMAP_BLOCK_BYTES long
 * @geometry: layout of the region
 * @uuid: the set that is expected
 * @index: number of the block in its place, from 1
 * @main_sectors: length of the mapped device
 *
 * A copy with one invalid entry counts as damaged as a whole.
 *
 * Return: the verdict, REMAP_OK when it may be used.
 */
enum remap_verdict remap_table_check(const void *block, const struct remap_geometry *geometry,
				     const u8 *uuid, u32 index, u64 main_sectors)
{
	const struct remap_table_disk *disk = block;
	enum remap_verdict verdict;
	struct remap_entry entry;
	u32 i, nr;

	verdict = remap_block_check(block, REMAP_MAGIC_TABLE, uuid, index);
	if (verdict != REMAP_OK)
		return verdict;

	nr = remap_table_entries(geometry, index);
	for (i = 0; i < nr; i++) {
		remap_entry_decode(&disk->entry[i], &entry);
		if (!remap_entry_valid(&entry, main_sectors))
			return REMAP_BAD_FIELD;
	}
	return remap_is_zero(&disk->entry[nr], (REMAP_ENTRIES_PER_BLOCK - nr) *
			     sizeof(disk->entry[0])) ? REMAP_OK : REMAP_BAD_FIELD;
}

/*
 * A superblock of another set among ours is damage like any other (P4): the set that more copies
 * name is the one; two that are equal are none.
 */
static int set_aside_strangers(struct remap_copies *copies)
{
	const struct remap_block_header *header, *own = NULL;
	int c, other, votes, most = 0;
	bool tie = false;

	for (c = 0; c < REMAP_COPIES; c++) {
		header = copies->data[c];
		for (other = 0, votes = 0; other < REMAP_COPIES; other++) {
			const struct remap_block_header *theirs = copies->data[other];

			votes += copies->verdict[c] == REMAP_OK &&
				 copies->verdict[other] == REMAP_OK &&
				 !memcmp(header->uuid, theirs->uuid, REMAP_UUID_BYTES);
		}
		if (votes > most) {
			most = votes;
			own = header;
			tie = false;
		} else if (own && votes == most) {
			tie |= memcmp(header->uuid, own->uuid, REMAP_UUID_BYTES) != 0;
		}
	}
	for (c = 0; c < REMAP_COPIES; c++) {
		header = copies->data[c];
		if (copies->verdict[c] == REMAP_OK &&
		    memcmp(header->uuid, own->uuid, REMAP_UUID_BYTES))
			copies->verdict[c] = REMAP_OTHER_SET;
	}
	return tie ? -EUCLEAN : 0;
}

static u8 copies_to_rewrite(const struct remap_copies *copies)
{
	u8 rewrite = 0;
	int c;

	for (c = 0; c < REMAP_COPIES; c++) {
		enum remap_verdict verdict = copies->verdict[c];
		/* What was newer and is damaged must not be found again by the next load. */
		bool damaged = verdict != REMAP_OK && verdict != REMAP_ZERO;

		if (verdict != REMAP_DEAD &&
		    (verdict == REMAP_UNREADABLE || copies->choice.repair[c / REMAP_PLACES] ||
		     (damaged && remap_is_stale(&copies->choice))))
			rewrite |= 1U << c;
	}
	return rewrite;
}

/**
 * remap_judge_supers - which of four superblocks counts, if any
 * @copies: read where one layout says; is filled
 * @super: set to the one that counts
 *
 * Return: 0; -ENODATA: nothing of ours; -EBADMSG: all are damaged; -EIO: none is valid, and some
 * cannot be read; -EOPNOTSUPP: the newest is of a version or feature that is not known here, and
 * an older place without it is no way around it (P7); -EUCLEAN: they contradict each other.
 */
int remap_judge_supers(struct remap_copies *copies, struct remap_super *super)
{
	bool unreadable = false, damaged = false;
	u64 unknown_seq = 0;
	int c, r;

	for (c = 0; c < REMAP_COPIES; c++) {
		if (copies->verdict[c] != REMAP_UNREADABLE)
			copies->verdict[c] = remap_super_decode(copies->data[c], super);
		unreadable |= copies->verdict[c] == REMAP_UNREADABLE;
		damaged |= copies->verdict[c] == REMAP_BAD_CRC ||
			   copies->verdict[c] == REMAP_BAD_FIELD;
		if (copies->verdict[c] == REMAP_BAD_VERSION &&
		    remap_block_seq(copies->data[c]) > unknown_seq)
			unknown_seq = remap_block_seq(copies->data[c]);
	}
	r = set_aside_strangers(copies);
	if (r) {
		copies->choice.best = -1;
		return r;
	}
	r = remap_choose(copies->data, copies->verdict, &copies->choice);
	if (unknown_seq && (r || unknown_seq > copies->choice.seq))
		return -EOPNOTSUPP;
	if (r == -ENODATA)
		return damaged ? -EBADMSG : unreadable ? -EIO : r;
	if (r)
		return r;
	copies->choice.rewrite = copies_to_rewrite(copies);
	remap_super_decode(copies->data[copies->choice.best], super);
	return 0;
}

/*
 * One place of a block is dead (C8): its replica keeps the entries in the other place, under
 * whatever number.  Where they are not those that were chosen, they are written there.
 */
static void choose_live_place(struct remap_copies *copies, int dead)
{
	const u8 *live = copies->data[dead ^ 1], *best = copies->data[copies->choice.best];
	int replica = dead / REMAP_PLACES;

	copies->choice.good_place[replica] = (dead ^ 1) % REMAP_PLACES;
	copies->choice.repair[replica] =
		copies->verdict[dead ^ 1] != REMAP_OK ||
		memcmp(live + sizeof(struct remap_block_header),
		       best + sizeof(struct remap_block_header),
		       REMAP_BLOCK_BYTES - sizeof(struct remap_block_header));
}

/**
 * remap_judge_block - which copy of a block counts, and which must be rewritten
 * @super: the set's superblock
 * @block: number of the block in its place; 0: as strict as where the superblock is looked for,
 *         one with another layout is of another set (C16)
 * @newest: the highest number of superblock and table, for soft state
 * @copies: is filled
 *
 * Return: as remap_choose().
 */
int remap_judge_block(const struct remap_super *super, u32 block, u64 newest,
		      struct remap_copies *copies)
{
	int c, r, dead = remap_dead_copy(super, block);

	for (c = 0; c < REMAP_COPIES; c++) {
		enum remap_verdict *verdict = &copies->verdict[c];
		const void *data = copies->data[c];
		struct remap_super found;

		if (c == dead) {
			*verdict = REMAP_DEAD;
		} else if (*verdict == REMAP_UNREADABLE) {
			continue;
		} else if (!block) {
			*verdict = remap_super_decode(data, &found);
			if (*verdict == REMAP_OK &&
			    (!remap_super_same_layout(&found, super) ||
			     found.main_sectors != super->main_sectors))
				*verdict = REMAP_OTHER_SET;
		} else if (block <= super->geometry.table_blocks) {
			*verdict = remap_table_check(data, &super->geometry, super->uuid, block,
						     super->main_sectors);
		} else {
			*verdict = remap_soft_check(data, super->uuid, block, newest);
		}
	}
	r = remap_choose(copies->data, copies->verdict, &copies->choice);
	if (r)
		return r;
	if (dead >= 0)
		choose_live_place(copies, dead);
	copies->choice.rewrite = copies_to_rewrite(copies);
	return 0;
}

/**
 * remap_initial_block - a table or soft state block of a set that is new
 * @super: its superblock
 * @block: number of the block in its place
 * @data: REMAP_BLOCK_BYTES long, is overwritten and sealed
 *
 * Slot 0 has the content of the probe chunk.  All that is not zero lies in the first 512 bytes,
 * so a torn write leaves a whole block or none.
 */
void remap_initial_block(const struct remap_super *super, u32 block, void *data)
{
	bool is_table = block <= super->geometry.table_blocks;
	struct remap_table_disk *table = data;
	struct remap_entry entry = {
		.main_chunk = super->probe_chunk,
		.redirected = 0xff,
		.state = REMAP_ENTRY_USED,
		.cause = REMAP_CAUSE_PROBE,
		.when = (u32)super->created,
	};

	remap_block_init(data, is_table ? REMAP_MAGIC_TABLE : REMAP_MAGIC_SOFT, super->uuid, block,
			 REMAP_FIRST_SEQ);
	if (is_table)
		table->nr_entries = cpu_to_le32(remap_table_entries(&super->geometry, block));
	if (block == 1)
		remap_entry_encode(&entry, &table->entry[0]);
	remap_block_seal(data);
}

/**
 * remap_is_initial - whether a block of a region without superblock is one of a half-made set
 * @geometry: where metadata would go
 * @region_sector: first sector of the block in the region
 * @data: the block
 *
 * Return: true if so: it may be overwritten.
 */
bool remap_is_initial(const struct remap_geometry *geometry, u64 region_sector, const void *data)
{
	int replica;

	for (replica = 0; replica < REMAP_REPLICAS; replica++) {
		u64 start = geometry->replica_sector[replica];
		u64 block = (region_sector - start) / REMAP_BLOCK_SECTORS;

		if (region_sector < start || block < 1 ||
		    block > geometry->table_blocks + geometry->soft_blocks)
			continue;
		return remap_block_check(data, block <= geometry->table_blocks ?
					 REMAP_MAGIC_TABLE : REMAP_MAGIC_SOFT, NULL,
					 block) == REMAP_OK &&
		       remap_block_seq(data) == REMAP_FIRST_SEQ;
	}
	return false;
}

/**
 * remap_generation_compare - which of two entries for one chunk came later (C13)
 * @a: generation of one, 0 to 3
 * @b: generation of the other
 *
 * Return: 1 when @a succeeds @b, -1 when @b succeeds @a, 0 when neither is the
 * direct successor: refuse both.
 */
int remap_generation_compare(u8 a, u8 b)
{
	switch ((a - b) & 3) {
	case 1:
		return 1;
	case 3:
		return -1;
	}
	return 0;
}

/* A permutation of 64-bit numbers (the finalizer of splitmix64). */
static u64 scramble(u64 x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/**
 * remap_probe_encode - make the mark for the probe chunk's raw place on main
 * @chunk: REMAP_CHUNK_BYTES long, is overwritten: eight sectors, each sealed
 * @uuid: of the set
 * @mark: what it is to say
 */
void remap_probe_encode(void *chunk, const u8 *uuid, const struct remap_mark *mark)
{
	struct remap_probe_disk *sector = chunk;
	unsigned int index, i;
	__le64 word;

	memset(chunk, 0, REMAP_CHUNK_BYTES);
	for (index = 0; index < REMAP_CHUNK_SECTORS; index++, sector++) {
		header_init(&sector->header, REMAP_MAGIC_PROBE, uuid, index, mark->seq);
		sector->header.reserved = cpu_to_le64(mark->digest);
		sector->nr_probe = cpu_to_le64(mark->nr_probe);
		for (i = 0; i < sizeof(sector->pattern); i += sizeof(word)) {
			word = cpu_to_le64(scramble(scramble(mark->nr_probe) + index * 512 + i));
			memcpy(sector->pattern + i, &word, sizeof(word));
		}
		header_seal(&sector->header, REMAP_SECTOR_BYTES);
	}
}

/**
 * remap_probe_check_sector - read one sector of the mark
 * @sector: REMAP_SECTOR_BYTES long
 * @index: its number in the probe chunk, 0 to 7
 * @uuid: the set that is expected, or NULL for any
 * @mark: is filled with REMAP_OK only; may be NULL
 *
 * Return: the verdict.
 */
enum remap_verdict remap_probe_check_sector(const void *sector, unsigned int index,
					    const u8 *uuid, struct remap_mark *mark)
{
	const struct remap_probe_disk *disk = sector;
	enum remap_verdict verdict;

	verdict = header_check(&disk->header, REMAP_SECTOR_BYTES, REMAP_MAGIC_PROBE,
			       uuid, index);
	if (verdict == REMAP_OK && mark) {
		mark->seq = le64_to_cpu(disk->header.seq);
		mark->nr_probe = le64_to_cpu(disk->nr_probe);
		mark->digest = le64_to_cpu(disk->header.reserved);
	}
	return verdict;
}

/**
 * remap_mark_succeeds - which of two sectors of a mark was written later
 * @mark: of one sector
 * @other: of another one; all zero: none
 *
 * A crash may leave some sectors of the mark before it.
 *
 * Return: true if @mark was.
 */
bool remap_mark_succeeds(const struct remap_mark *mark, const struct remap_mark *other)
{
	if (mark->seq != other->seq)
		return mark->seq > other->seq;
	return mark->nr_probe > other->nr_probe;
}

/**
 * remap_find_mark - what the raw place of the probe chunk holds
 * @chunk: REMAP_CHUNK_BYTES long, as read from main
 * @unreadable: bit per sector that could not be read
 * @uuid: the set that is expected
 * @original: what was there before the mark was written, or NULL: the mark was
 * @found: is filled
 *
 * Any one sector with the mark is proof; those that cannot be read prove nothing either way.
 */
void remap_find_mark(const void *chunk, u8 unreadable, const u8 *uuid, const void *original,
		     struct remap_mark_found *found)
{
	unsigned int i;

	memset(found, 0, sizeof(*found));
	for (i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		const u8 *sector = (const u8 *)chunk + i * REMAP_SECTOR_BYTES;
		const u8 *before = original;
		struct remap_mark mark;

		if (unreadable >> i & 1)
			continue;
		if (remap_probe_check_sector(sector, i, uuid, &mark) == REMAP_OK) {
			found->proofs |= 1U << i;
			if (remap_mark_succeeds(&mark, &found->mark))
				found->mark = mark;
		} else if (before && !memcmp(sector, before + i * REMAP_SECTOR_BYTES,
					     REMAP_SECTOR_BYTES)) {
			found->proofs |= 1U << i;
		} else {
			found->others |= 1U << i;
		}
	}
}

/**
 * remap_age_add - count the number of a block into the age of a set (C15)
 * @age: zeroed before the first one
 * @block: its number in its place: the superblock's, or a table block's
 * @seq: number of its chosen copy
 * @frozen: it is frozen (C8)
 *
 * The digest is a sum, so that the order does not matter; each block has its share once.
 */
void remap_age_add(struct remap_age *age, u32 block, u64 seq, bool frozen)
{
	if (seq > age->newest)
		age->newest = seq;
	if (!block)
		age->super = seq;
	if (block && frozen)
		age->nr_frozen++;
	if (!block || frozen)
		return;
	if (seq > age->newest_table)
		age->newest_table = seq;
	age->digest += scramble(scramble(block) ^ seq);
}

/**
 * remap_is_older - whether a spare is older than main's mark says (O6, C15)
 * @age: of all blocks that were chosen
 * @mark: all zero: there is none
 *
 * The mark has the highest number that was committed when it was written.  As long as no
 * table block was committed, and none was frozen, after it, the digest tells of each block
 * whether it is the one that there was then; later the number alone can tell.
 *
 * Return: true if something that was committed is missing.
 */
bool remap_is_older(const struct remap_age *age, const struct remap_mark *mark)
{
	if (age->newest < mark->seq)
		return true;
	if (!mark->digest || age->newest_table > mark->seq)
		return false;
	/* The superblock that froze a block may have come later. */
	if (age->nr_frozen && age->super > mark->seq)
		return false;
	return age->digest != mark->digest;
}

/* What hides main's content, and its record, are made and read by the programs alone. */
#ifndef __KERNEL__

/**
 * remap_guard_encode - make sector 0 of a guarded main device
 * @sector: REMAP_SECTOR_BYTES long, is overwritten
 * @uuid: of the set
 * @main_sectors: length of main
 */
void remap_guard_encode(void *sector, const u8 *uuid, u64 main_sectors)
{
	/* int 0x18 (the BIOS boots from the next device), hlt, jmp -3 */
	static const u8 boot[5] = { 0xcd, 0x18, 0xf4, 0xeb, 0xfd };
	static const char text[] =
		"Main device of a dm-remap set; reach its content through the set (dmremap list)";
	struct remap_guard_disk *disk = sector;

	memset(disk, 0, sizeof(*disk));
	memcpy(disk->boot, boot, sizeof(boot));
	memcpy(disk->magic, REMAP_MAGIC_GUARD, REMAP_MAGIC_BYTES);
	memcpy(disk->uuid, uuid, REMAP_UUID_BYTES);
	memcpy(disk->text, text, sizeof(text));
	pmbr_fill(disk->pmbr, main_sectors);
}

/**
 * remap_guard_check - whether sector 0 of a device is that of a guarded main
 * @sector: REMAP_SECTOR_BYTES long
 * @uuid: set to the set's UUID when it is
 * @main_sectors: length of the device
 *
 * Return: REMAP_OK, REMAP_BAD_MAGIC, or REMAP_BAD_FIELD if the rest is not as encoded:
 * the set was made on a device of another length, or the sector was edited.
 */
enum remap_verdict remap_guard_check(const void *sector, u8 *uuid, u64 main_sectors)
{
	const struct remap_guard_disk *disk = sector;
	struct remap_guard_disk good;

	if (memcmp(disk->magic, REMAP_MAGIC_GUARD, REMAP_MAGIC_BYTES))
		return REMAP_BAD_MAGIC;
	memcpy(uuid, disk->uuid, REMAP_UUID_BYTES);
	remap_guard_encode(&good, disk->uuid, main_sectors);
	return memcmp(&good, disk, sizeof(good)) ? REMAP_BAD_FIELD : REMAP_OK;
}

/**
 * remap_member_seal - compute the checksum of a finished member header
 * @header: REMAP_MEMBER_BYTES long
 */
void remap_member_seal(struct remap_member_disk *header)
{
	header_seal(&header->header, REMAP_MEMBER_BYTES);
}

static bool member_hidden_valid(const struct remap_member_disk *disk)
{
	u32 nr_hidden = le16_to_cpu(disk->nr_hidden);
	u32 blob_len = le16_to_cpu(disk->blob_len);
	u64 main_bytes = le64_to_cpu(disk->main_sectors) * REMAP_SECTOR_BYTES;
	struct remap_hidden_disk hidden;
	u32 i;

	for (i = 0; i < nr_hidden; i++) {
		memcpy(&hidden, disk->area + i * sizeof(hidden), sizeof(hidden));
		if (!hidden.len)
			return false;
		if (le64_to_cpu(hidden.offset) < REMAP_CHUNK_BYTES ||
		    !inside(le64_to_cpu(hidden.offset), le16_to_cpu(hidden.len), main_bytes))
			return false;
		if (!inside(le16_to_cpu(hidden.original), le16_to_cpu(hidden.len), blob_len))
			return false;
	}
	return true;
}

/**
 * remap_member_check - whether a member header read from main can be used
 * @header: REMAP_MEMBER_BYTES long, from byte REMAP_MEMBER_OFFSET of main
 * @uuid: the set that is expected, or NULL for any
 *
 * Checks all offsets and lengths in it, but does not inflate chunk 0.
 *
 * Return: the verdict, REMAP_OK when it may be used.
 */
enum remap_verdict remap_member_check(const void *header, const u8 *uuid)
{
	const struct remap_member_disk *disk = header;
	u32 nr_hidden = le16_to_cpu(disk->nr_hidden);
	u32 blob_offset = le16_to_cpu(disk->blob_offset);
	u32 blob_len = le16_to_cpu(disk->blob_len);
	u32 chunk0_offset = le16_to_cpu(disk->chunk0_offset);
	u32 chunk0_len = le16_to_cpu(disk->chunk0_len);
	u32 hidden_len = nr_hidden * sizeof(struct remap_hidden_disk);
	enum remap_verdict verdict;

	verdict = header_check(&disk->header, REMAP_MEMBER_BYTES, REMAP_MAGIC_MEMBER, uuid, 0);
	if (verdict != REMAP_OK)
		return verdict;
	if (le32_to_cpu(disk->version) != REMAP_FORMAT_VERSION ||
	    (le64_to_cpu(disk->incompat) & ~REMAP_KNOWN_INCOMPAT))
		return REMAP_BAD_VERSION;
	if (!terminated(disk->label, REMAP_LABEL_BYTES) ||
	    !terminated(disk->spare_identity, REMAP_IDENTITY_BYTES))
		return REMAP_BAD_FIELD;
	if (!disk->main_sectors || le64_to_cpu(disk->main_sectors) > REMAP_MAX_MAIN_SECTORS)
		return REMAP_BAD_FIELD;
	/* At most one replica can be out: the other one is the set. */
	if (le32_to_cpu(disk->replicas_out) > 2)
		return REMAP_BAD_FIELD;
	if (nr_hidden > REMAP_MEMBER_MAX_HIDDEN)
		return REMAP_BAD_FIELD;
	if (blob_len && (blob_offset < hidden_len ||
			 !inside(blob_offset, blob_len, REMAP_MEMBER_BLOB_BYTES)))
		return REMAP_BAD_FIELD;
	if (chunk0_len && (chunk0_offset < hidden_len ||
			   !inside(chunk0_offset, chunk0_len, REMAP_MEMBER_BLOB_BYTES)))
		return REMAP_BAD_FIELD;
	if (blob_len && chunk0_len &&
	    !disjoint(blob_offset, blob_len, chunk0_offset, chunk0_len))
		return REMAP_BAD_FIELD;
	return member_hidden_valid(disk) ? REMAP_OK : REMAP_BAD_FIELD;
}

#endif /* !__KERNEL__ */

struct signature {
	u32 offset;
	u32 nr_bytes;
	const char *bytes;
	const char *name;
};

#define SIGNATURE(at, text, what) \
	{ .offset = (at), .nr_bytes = sizeof(text) - 1, .bytes = (text), .name = (what) }

/* The first that fits is named: the certain ones before the two-byte ones. */
static const struct signature signatures[] = {
	SIGNATURE(0, REMAP_MAGIC_SUPER, "a superblock of dm-remap"),
	SIGNATURE(4096, REMAP_MAGIC_TABLE, "table blocks of a dm-remap set without superblock"),
	SIGNATURE(512, REMAP_MAGIC_MEMBER, "the main device of a dm-remap set"),
	SIGNATURE(8, REMAP_MAGIC_GUARD, "the main device of a dm-remap set"),
	SIGNATURE(0, "DMREMAP3", "metadata of dm-remap v3"),
	SIGNATURE(0, "4RMD", "metadata of dm-remap-v4"),
	SIGNATURE(0, "DMR4", "metadata of dm-remap-v4"),
	SIGNATURE(0x10040, "_BHRfS_M", "a btrfs file system"),
	SIGNATURE(0, "LUKS\xba\xbe", "a LUKS encrypted volume"),
	SIGNATURE(0, "LABELONE", "an LVM physical volume"),
	SIGNATURE(512, "LABELONE", "an LVM physical volume"),
	SIGNATURE(1024, "LABELONE", "an LVM physical volume"),
	SIGNATURE(1536, "LABELONE", "an LVM physical volume"),
	SIGNATURE(0, "\xfc\x4e\x2b\xa9", "a member of an md array (metadata 1.1)"),
	SIGNATURE(4096, "\xfc\x4e\x2b\xa9", "a member of an md array (metadata 1.2)"),
	SIGNATURE(4096 + 24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca", "a bcache device"),
	SIGNATURE(4096 + 24, "\xc6\x85\x73\xf6\x66\xce\x90\xa9", "a bcachefs file system"),
	SIGNATURE(16384, "\1\1\0\0\0\0\0\0\0\0\0\1", "a member of a ZFS pool"),
	SIGNATURE(16384, "\1\0\0\0\0\0\0\0\0\0\0\1", "a member of a ZFS pool"),
	SIGNATURE(0, "XFSB", "an XFS file system"),
	SIGNATURE(1024, "\x10\x20\xf5\xf2", "an F2FS file system"),
	SIGNATURE(0, "hsqs", "a squashfs image"),
	SIGNATURE(3, "NTFS    ", "an NTFS file system"),
	SIGNATURE(3, "EXFAT   ", "an exFAT file system"),
	SIGNATURE(3, "-FVE-FS-", "a BitLocker volume"),
	SIGNATURE(82, "FAT32   ", "a FAT file system"),
	SIGNATURE(54, "FAT16   ", "a FAT file system"),
	SIGNATURE(54, "FAT12   ", "a FAT file system"),
	SIGNATURE(4096 - 10, "SWAPSPACE2", "swap space"),
	SIGNATURE(4096 - 10, "SWAP-SPACE", "swap space"),
	SIGNATURE(65536 - 10, "SWAPSPACE2", "swap space"),
	SIGNATURE(32769, "CD001", "an ISO 9660 file system"),
	SIGNATURE(512, "EFI PART", "a GPT partition table"),
	SIGNATURE(4096, "EFI PART", "a GPT partition table"),
	SIGNATURE(1024 + 56, "\x53\xef", "an ext2, ext3 or ext4 file system"),
	SIGNATURE(510, "\x55\xaa", "an MBR partition table or boot sector"),
};

/**
 * remap_foreign_name - what the start of a region looks like
 * @data: the region's first bytes
 * @nr_bytes: how many of them, best REMAP_FOREIGN_BYTES
 *
 * For the message of a refusal only: what is not zero is refused, known or not.
 *
 * Return: a constant string such as "a btrfs file system", or NULL.
 */
const char *remap_foreign_name(const void *data, size_t nr_bytes)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signatures); i++) {
		const struct signature *signature = &signatures[i];

		if (!inside(signature->offset, signature->nr_bytes, nr_bytes))
			continue;
		if (!memcmp((const u8 *)data + signature->offset, signature->bytes,
			    signature->nr_bytes))
			return signature->name;
	}
	return NULL;
}
