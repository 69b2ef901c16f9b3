/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The on-disk format of dm-remap: structures, constants and pure functions.
 *
 * This file and remap_format.c are compiled unchanged into the kernel module,
 * into the userspace tools and into the tests.  Nothing in here does I/O,
 * allocates, sleeps or logs; every function may be called from any context.
 * FORMAT.md describes the same in prose, offset by offset.
 *
 * Units: a sector is 512 bytes; a chunk is 8 sectors (4 KiB), aligned; a
 * metadata block is 4 KiB.  "Region" sectors count from SPARE_START.
 */
#ifndef DM_REMAP_FORMAT_H
#define DM_REMAP_FORMAT_H

#include <linux/types.h>

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/crc32.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/byteorder.h>
#else
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#define cpu_to_le16(x)	htole16(x)
#define cpu_to_le32(x)	htole32(x)
#define cpu_to_le64(x)	htole64(x)
#define le16_to_cpu(x)	le16toh(x)
#define le32_to_cpu(x)	le32toh(x)
#define le64_to_cpu(x)	le64toh(x)
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(x)	(sizeof(x) / sizeof((x)[0]))
#endif
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
#endif

#define REMAP_SECTOR_BYTES	512
#define REMAP_CHUNK_SECTORS	8
#define REMAP_CHUNK_BYTES	4096
#define REMAP_BLOCK_BYTES	4096
#define REMAP_BLOCK_SECTORS	8

/* Places are padded to this many blocks (64 KiB), see rule C12 in FORMAT.md. */
#define REMAP_PLACE_ALIGN_BLOCKS	16
#define REMAP_SOFT_BLOCKS		2
#define REMAP_MAX_SOFT_BLOCKS		64	/* accepted from a later release */
#define REMAP_ENTRIES_PER_BLOCK		252
#define REMAP_REPLICAS			2
#define REMAP_PLACES			2	/* in each replica */
#define REMAP_COPIES			(REMAP_REPLICAS * REMAP_PLACES)

/* A higher number is damage: no set comes near it, and a counter behind it would wrap. */
#define REMAP_MAX_SEQ			(~0ULL >> 1)
/* Losable counters with a number so far above those of the table are damage, too. */
#define REMAP_SOFT_AHEAD		0x10000000000ULL

/* One slot is taken by the probe chunk; a spare with one slot has no use. */
#define REMAP_MIN_SLOTS			2
/* 64 GiB of spare chunks; more of the region is left unused. */
#define REMAP_MAX_SLOTS			0x1000000U
/* The lookup keeps 40 bits of a chunk number: 4 PiB of main device. */
#define REMAP_MAX_MAIN_SECTORS		0x80000000000ULL

#define REMAP_FORMAT_VERSION		1
/* No feature is defined yet: any incompat bit is refused, any ro_compat bit
 * allows read-only activation at most, compat bits are ignored.
 */
#define REMAP_KNOWN_COMPAT		0ULL
#define REMAP_KNOWN_RO_COMPAT		0ULL
#define REMAP_KNOWN_INCOMPAT		0ULL

#define REMAP_MAGIC_BYTES		8
#define REMAP_MAGIC_SUPER		"dmRemapS"
#define REMAP_MAGIC_TABLE		"dmRemapT"
#define REMAP_MAGIC_SOFT		"dmRemapC"
#define REMAP_MAGIC_MEMBER		"dmRemapM"
#define REMAP_MAGIC_PROBE		"dmRemapP"
#define REMAP_MAGIC_GUARD		"dmRemapG"

#define REMAP_UUID_BYTES		16
#define REMAP_HOST_ID_BYTES		16
#define REMAP_LABEL_BYTES		40	/* NUL-padded, NUL-terminated */
#define REMAP_IDENTITY_BYTES		200	/* NUL-padded, NUL-terminated */

/**
 * struct remap_block_header - first 48 bytes of every metadata block
 * @magic: one of REMAP_MAGIC_*, says which kind of block it is
 * @crc: CRC-32 (IEEE) of all bytes of the structure that follow this field
 * @index: number of the block in its place (superblock 0, table blocks from 1,
 *         then soft state)
 * @uuid: of the set; a stale block of an earlier life has another
 * @seq: the set's generation when this content was made; a number belongs to
 *       one content of a block (C2), the highest valid one wins; at most REMAP_MAX_SEQ
 * @reserved: zero; in the mark the digest of the table, see struct remap_age
 */
struct remap_block_header {
	__u8 magic[REMAP_MAGIC_BYTES];	/*  0 */
	__le32 crc;			/*  8 */
	__le32 index;			/* 12 */
	__u8 uuid[REMAP_UUID_BYTES];	/* 16 */
	__le64 seq;			/* 32 */
	__le64 reserved;		/* 40 */
};					/* 48 */

/*
 * A protective MBR at the end of sector 0: mkfs, pvcreate, mdadm and cryptsetup see a
 * partition table and ask or refuse, the kernel makes no partitions of it.
 */
#define REMAP_PMBR_OFFSET	446
#define REMAP_PMBR_BYTES	66

/* superblock.flags */
#define REMAP_SUPER_MARKED	0x1U /* the mark was written to main's probe chunk */
/* Userspace hides main's signatures, or gives them back: the kernel refuses the set. */
#define REMAP_SUPER_CREATING	0x2U
#define REMAP_SUPER_RELEASING	0x4U
#define REMAP_SUPER_PROBE_FAILED 0x8U /* main did not take the last probe: look at next load */
#define REMAP_SUPER_FROZEN	0x10U /* no new remaps until an administrator says so (E7) */
/* What becomes of writes behind main's volatile cache; neither: written through (D18). */
#define REMAP_SUPER_WRITE_KEEP	0x20U /* left to the cache */
#define REMAP_SUPER_WRITE_AUTO	0x40U /* so until the first error */

/* Places of table blocks that take no write and no read any more (C8). */
#define REMAP_DEAD_MAX		9

/*
 * struct remap_super_disk - superblock; all that is not zero lies in sector 0
 *
 * A torn write of it therefore leaves the old or the new one.
 * Field comments are byte offsets.
 */
struct remap_super_disk {
	struct remap_block_header header;	/*   0 */
	__le32 version;			/*  48: REMAP_FORMAT_VERSION */
	__le32 flags;			/*  52: REMAP_SUPER_* */
	__le64 compat;			/*  56: feature bits */
	__le64 ro_compat;		/*  64 */
	__le64 incompat;		/*  72 */
	__le64 main_sectors;		/*  80: length of the mapped device */
	__le64 region_sectors;		/*  88: SPARE_LEN at format or resize */
	__le64 replica_sector[REMAP_REPLICAS]; /* 96, 104: start of each replica in the region */
	__le64 slots_sector;		/* 112: first spare chunk in the region */
	__le32 slots;			/* 120: number of spare chunks */
	__le32 table_blocks;		/* 124 */
	__le32 soft_blocks;		/* 128 */
	__le32 place_blocks;		/* 132: distance of place B from place A */
	__le64 probe_chunk;		/* 136: main chunk whose raw place carries the mark */
	__le64 created;			/* 144: seconds since 1970 UTC */
	__u8 host_id[REMAP_HOST_ID_BYTES];	/* 152: zero: none */
	__u8 label[REMAP_LABEL_BYTES];	/* 168 */
	__u8 identity[REMAP_IDENTITY_BYTES]; /* 208: of main: WWN, serial or partition UUID */
	__le32 dead[REMAP_DEAD_MAX];	/* 408: dead copies, see remap_dead_code() */
	__u8 reserved[2];		/* 444: zero */
	__u8 pmbr[REMAP_PMBR_BYTES];	/* 446: protective MBR: partition table and 55AA */
	__u8 zero[3584];		/* 512 */
};					/* 4096 */

/* Values of remap_entry.state. */
enum remap_entry_state {
	REMAP_ENTRY_FREE = 0,	/* all other fields are zero */
	REMAP_ENTRY_USED = 1,
	REMAP_ENTRY_BAD = 2,	/* the spare chunk is bad; main_chunk, masks, generation zero */
};

/* Values of remap_entry.cause. */
enum remap_cause {
	REMAP_CAUSE_NONE = 0,
	REMAP_CAUSE_WRITE_ERROR = 1,
	REMAP_CAUSE_RESCUE = 2,	/* the daemon asked, after read errors */
	REMAP_CAUSE_MANUAL = 3,
	REMAP_CAUSE_IMPORT = 4,
	REMAP_CAUSE_PROBE = 5,	/* the set's own probe chunk */
	REMAP_CAUSE_GUARD = 6,	/* hides a signature of main */
	REMAP_CAUSE_SPARE_BAD = 7,	/* why a slot is bad */
};

/* Values of remap_entry.status: block-layer error that led to the entry. */
enum remap_status_class {
	REMAP_STATUS_NONE = 0,
	REMAP_STATUS_IOERR = 1,
	REMAP_STATUS_MEDIUM = 2,
	REMAP_STATUS_OTHER = 3,
};

/**
 * struct remap_entry_disk - one entry of a table block, index = slot
 * @where: bits 0-47 main chunk, 48-55 mask of redirected sectors,
 *         56-63 mask of lost sectors (a subset of the redirected ones)
 * @when: seconds since 1970 UTC, unsigned: good until 2106
 * @state_gen: bits 0-3 state, 4-5 generation (C13), 6-7 zero
 * @cause: enum remap_cause
 * @status: enum remap_status_class
 * @errors: errors seen on this chunk since it was mapped, at most 255
 */
struct remap_entry_disk {
	__le64 where;		/* 0 */
	__le32 when;		/* 8 */
	__u8 state_gen;		/* 12 */
	__u8 cause;		/* 13 */
	__u8 status;		/* 14 */
	__u8 errors;		/* 15 */
};				/* 16 */

struct remap_table_disk {
	struct remap_block_header header;	/* 0 */
	__le32 nr_entries;		/* 48: entries of this block in use by the geometry */
	__u8 reserved[12];		/* 52 */
	struct remap_entry_disk entry[REMAP_ENTRIES_PER_BLOCK];	/* 64 */
};					/* 4096 */

#define REMAP_COUNTERS_MAX	505
/* Soft state, block 0: counters.  Losable; saved by timer and on demand. */
struct remap_soft_disk {
	struct remap_block_header header;	/* 0 */
	__le64 saved;			/* 48: seconds since 1970 UTC */
	__le64 counter[REMAP_COUNTERS_MAX];	/* 56: see dm_remap_counters.h; the rest 0 */
};					/* 4096 */

#define REMAP_PENDING_MAX	504
/* Soft state, block 1: sectors of main that failed to be read and are not mapped. */
struct remap_pending_disk {
	struct remap_block_header header;	/* 0 */
	__le32 nr_pending;		/* 48 */
	__u8 reserved[12];		/* 52 */
	__le64 pending[REMAP_PENDING_MAX];	/* 64: bits 0-47 first sector, 48-63 count */
};					/* 4096 */

/**
 * struct remap_probe_disk - the mark: content of *each* sector of the probe
 * chunk's raw place on main
 * @header: magic, CRC of the rest of the 512 bytes, index = sector in the
 *          chunk (0-7), UUID, seq = the highest committed number when it was written,
 *          reserved = the digest of the table then, 0: not known (C15)
 * @nr_probe: number of the probe write, never repeated for one generation
 * @pattern: bytes derived from nr_probe, so that a cache or a constant cannot answer
 *
 * It says whose main device this is, and of what age its spare must be (O6).
 */
struct remap_probe_disk {
	struct remap_block_header header;	/* 0 */
	__le64 nr_probe;		/* 48 */
	__u8 pattern[456];		/* 56 */
};					/* 512 */

#define REMAP_MEMBER_MAX_HIDDEN	96
/**
 * struct remap_hidden_disk - a byte range of main that the guard overwrote
 * @offset: bytes from the start of main; not in chunk 0
 * @len: bytes, at most 65535
 * @original: offset in the member header's blob of the @len original bytes
 * @reserved: zero
 */
struct remap_hidden_disk {
	__le64 offset;		/* 0 */
	__le16 len;		/* 8 */
	__le16 original;	/* 10 */
	__le32 reserved;	/* 12 */
};				/* 16 */

/**
 * struct remap_guard_disk - sector 0 of a guarded main
 * @boot: x86 code that hands back to the BIOS, then zeros
 * @magic: REMAP_MAGIC_GUARD
 * @uuid: of the set
 * @text: for people who look at it
 * @pmbr: protective MBR
 *
 * All of it follows from @uuid and the length of main.  Writing this sector is the step
 * that makes main a member, and overwriting it the step that ends it: a sector is
 * written whole or not at all.
 */
struct remap_guard_disk {
	__u8 boot[8];			/*   0 */
	__u8 magic[REMAP_MAGIC_BYTES];	/*   8 */
	__u8 uuid[REMAP_UUID_BYTES];	/*  16 */
	__u8 text[414];			/*  32 */
	__u8 pmbr[REMAP_PMBR_BYTES];	/* 446 */
};					/* 512 */

#define REMAP_MEMBER_OFFSET	512	/* bytes from the start of main */
#define REMAP_MEMBER_BYTES	3584
#define REMAP_MEMBER_BLOB_BYTES	3136	/* shared by the hidden ranges and the blob */
/*
 * struct remap_member_disk - member header in sectors 1 to 7 of a guarded main
 *
 * Sector 0 in front of it is a protective MBR.  @area starts with @nr_hidden
 * struct remap_hidden_disk; after them, from @blob_offset (in @area), come the
 * original bytes of the hidden ranges, and at @chunk0_offset (in @area) the
 * original chunk 0 as a zlib stream of @chunk0_len bytes.
 */
struct remap_member_disk {
	struct remap_block_header header;	/*   0: index 0, seq = generation (O6) */
	__le32 version;			/*  48: REMAP_FORMAT_VERSION */
	__le32 flags;			/*  52: zero */
	__le64 incompat;		/*  56 */
	__le64 main_sectors;		/*  64 */
	__u8 host_id[REMAP_HOST_ID_BYTES];	/* 72 */
	__u8 label[REMAP_LABEL_BYTES];	/*  88 */
	__u8 spare_identity[REMAP_IDENTITY_BYTES]; /* 128 */
	__le32 replicas_out;		/* 328: bit n: replica n must not be believed (C5) */
	__le16 nr_hidden;		/* 332 */
	__le16 blob_offset;		/* 334: bytes in area */
	__le16 blob_len;		/* 336 */
	__le16 chunk0_offset;		/* 338: bytes in area */
	__le16 chunk0_len;		/* 340: zero: chunk 0 is kept elsewhere */
	__u8 chunk0_lost;		/* 342: bit n: sector n of chunk 0 could not be read */
	__u8 reserved[105];		/* 343 */
	__u8 area[REMAP_MEMBER_BLOB_BYTES];	/* 448 */
};					/* 3584 */

#define REMAP_ASSERT_OFFSET(type, field, offset) \
	static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define REMAP_ASSERT_SIZE(type, size) \
	static_assert(sizeof(struct type) == (size), "sizeof " #type)

REMAP_ASSERT_SIZE(remap_block_header, 48);
REMAP_ASSERT_OFFSET(remap_block_header, crc, 8);
REMAP_ASSERT_OFFSET(remap_block_header, index, 12);
REMAP_ASSERT_OFFSET(remap_block_header, uuid, 16);
REMAP_ASSERT_OFFSET(remap_block_header, seq, 32);
REMAP_ASSERT_OFFSET(remap_block_header, reserved, 40);
REMAP_ASSERT_SIZE(remap_super_disk, REMAP_BLOCK_BYTES);
REMAP_ASSERT_OFFSET(remap_super_disk, version, 48);
REMAP_ASSERT_OFFSET(remap_super_disk, flags, 52);
REMAP_ASSERT_OFFSET(remap_super_disk, compat, 56);
REMAP_ASSERT_OFFSET(remap_super_disk, ro_compat, 64);
REMAP_ASSERT_OFFSET(remap_super_disk, incompat, 72);
REMAP_ASSERT_OFFSET(remap_super_disk, main_sectors, 80);
REMAP_ASSERT_OFFSET(remap_super_disk, region_sectors, 88);
REMAP_ASSERT_OFFSET(remap_super_disk, replica_sector, 96);
REMAP_ASSERT_OFFSET(remap_super_disk, slots_sector, 112);
REMAP_ASSERT_OFFSET(remap_super_disk, slots, 120);
REMAP_ASSERT_OFFSET(remap_super_disk, table_blocks, 124);
REMAP_ASSERT_OFFSET(remap_super_disk, soft_blocks, 128);
REMAP_ASSERT_OFFSET(remap_super_disk, place_blocks, 132);
REMAP_ASSERT_OFFSET(remap_super_disk, probe_chunk, 136);
REMAP_ASSERT_OFFSET(remap_super_disk, created, 144);
REMAP_ASSERT_OFFSET(remap_super_disk, host_id, 152);
REMAP_ASSERT_OFFSET(remap_super_disk, label, 168);
REMAP_ASSERT_OFFSET(remap_super_disk, identity, 208);
REMAP_ASSERT_OFFSET(remap_super_disk, dead, 408);
REMAP_ASSERT_OFFSET(remap_super_disk, reserved, 444);
REMAP_ASSERT_OFFSET(remap_super_disk, pmbr, REMAP_PMBR_OFFSET);
REMAP_ASSERT_OFFSET(remap_super_disk, zero, 512);
REMAP_ASSERT_SIZE(remap_guard_disk, REMAP_SECTOR_BYTES);
REMAP_ASSERT_OFFSET(remap_guard_disk, magic, 8);
REMAP_ASSERT_OFFSET(remap_guard_disk, uuid, 16);
REMAP_ASSERT_OFFSET(remap_guard_disk, text, 32);
REMAP_ASSERT_OFFSET(remap_guard_disk, pmbr, REMAP_PMBR_OFFSET);
REMAP_ASSERT_SIZE(remap_entry_disk, 16);
REMAP_ASSERT_OFFSET(remap_entry_disk, when, 8);
REMAP_ASSERT_OFFSET(remap_entry_disk, state_gen, 12);
REMAP_ASSERT_OFFSET(remap_entry_disk, cause, 13);
REMAP_ASSERT_OFFSET(remap_entry_disk, status, 14);
REMAP_ASSERT_OFFSET(remap_entry_disk, errors, 15);
REMAP_ASSERT_SIZE(remap_table_disk, REMAP_BLOCK_BYTES);
REMAP_ASSERT_OFFSET(remap_table_disk, nr_entries, 48);
REMAP_ASSERT_OFFSET(remap_table_disk, entry, 64);
REMAP_ASSERT_SIZE(remap_soft_disk, REMAP_BLOCK_BYTES);
REMAP_ASSERT_OFFSET(remap_soft_disk, saved, 48);
REMAP_ASSERT_OFFSET(remap_soft_disk, counter, 56);
REMAP_ASSERT_SIZE(remap_pending_disk, REMAP_BLOCK_BYTES);
REMAP_ASSERT_OFFSET(remap_pending_disk, nr_pending, 48);
REMAP_ASSERT_OFFSET(remap_pending_disk, pending, 64);
REMAP_ASSERT_SIZE(remap_probe_disk, REMAP_SECTOR_BYTES);
REMAP_ASSERT_OFFSET(remap_probe_disk, nr_probe, 48);
REMAP_ASSERT_OFFSET(remap_probe_disk, pattern, 56);
REMAP_ASSERT_SIZE(remap_hidden_disk, 16);
REMAP_ASSERT_OFFSET(remap_hidden_disk, len, 8);
REMAP_ASSERT_OFFSET(remap_hidden_disk, original, 10);
REMAP_ASSERT_SIZE(remap_member_disk, REMAP_MEMBER_BYTES);
REMAP_ASSERT_OFFSET(remap_member_disk, version, 48);
REMAP_ASSERT_OFFSET(remap_member_disk, flags, 52);
REMAP_ASSERT_OFFSET(remap_member_disk, incompat, 56);
REMAP_ASSERT_OFFSET(remap_member_disk, main_sectors, 64);
REMAP_ASSERT_OFFSET(remap_member_disk, host_id, 72);
REMAP_ASSERT_OFFSET(remap_member_disk, label, 88);
REMAP_ASSERT_OFFSET(remap_member_disk, spare_identity, 128);
REMAP_ASSERT_OFFSET(remap_member_disk, replicas_out, 328);
REMAP_ASSERT_OFFSET(remap_member_disk, nr_hidden, 332);
REMAP_ASSERT_OFFSET(remap_member_disk, blob_offset, 334);
REMAP_ASSERT_OFFSET(remap_member_disk, blob_len, 336);
REMAP_ASSERT_OFFSET(remap_member_disk, chunk0_offset, 338);
REMAP_ASSERT_OFFSET(remap_member_disk, chunk0_len, 340);
REMAP_ASSERT_OFFSET(remap_member_disk, chunk0_lost, 342);
REMAP_ASSERT_OFFSET(remap_member_disk, area, 448);

/**
 * struct remap_geometry - where things lie in the region; all in region sectors
 * @region_sectors: length of the region
 * @slots: number of spare chunks
 * @table_blocks: blocks that hold their entries
 * @soft_blocks: blocks of soft state
 * @place_blocks: blocks from place A to place B of one replica
 * @replica_sector: first sector of each replica
 * @slots_sector: first sector of slot 0
 */
struct remap_geometry {
	u64 region_sectors;
	u32 slots;
	u32 table_blocks;
	u32 soft_blocks;
	u32 place_blocks;
	u64 replica_sector[REMAP_REPLICAS];
	u64 slots_sector;
};

/*
 * struct remap_super - a decoded superblock
 *
 * @label and @identity are NUL-terminated.  The other fields are those of
 * struct remap_super_disk.
 */
struct remap_super {
	struct remap_geometry geometry;
	u8 uuid[REMAP_UUID_BYTES];
	u64 seq;
	u32 version;
	u32 flags;
	u64 compat;
	u64 ro_compat;
	u64 incompat;
	u64 main_sectors;
	u64 probe_chunk;
	u64 created;
	u8 host_id[REMAP_HOST_ID_BYTES];
	char label[REMAP_LABEL_BYTES];
	char identity[REMAP_IDENTITY_BYTES];
	u32 dead[REMAP_DEAD_MAX];
};

/*
 * struct remap_entry - a decoded entry of the remap table
 *
 * The fields are those of struct remap_entry_disk.
 */
struct remap_entry {
	u64 main_chunk;
	u8 redirected;
	u8 lost;
	u8 state;
	u8 generation;
	u8 cause;
	u8 status;
	u8 errors;
	u32 when;
};

/**
 * enum remap_verdict - what a check of a block says
 * @REMAP_OK: valid
 * @REMAP_ZERO: the block is all zeros: never written
 * @REMAP_BAD_MAGIC: not a block of this kind
 * @REMAP_BAD_CRC: of this kind, but damaged or torn
 * @REMAP_OTHER_SET: valid, but of another set, or of another index
 * @REMAP_BAD_FIELD: the CRC is right but a field makes no sense
 * @REMAP_BAD_VERSION: a version or an incompat bit this code does not know
 * @REMAP_UNREADABLE: the device returned an error (set by the reader)
 * @REMAP_DEAD: the superblock calls it dead, so whatever it holds does not count (set by
 *              the reader, C8)
 */
enum remap_verdict {
	REMAP_OK = 0,
	REMAP_ZERO,
	REMAP_BAD_MAGIC,
	REMAP_BAD_CRC,
	REMAP_OTHER_SET,
	REMAP_BAD_FIELD,
	REMAP_BAD_VERSION,
	REMAP_UNREADABLE,
	REMAP_DEAD,
};

/**
 * enum remap_fit - whether a superblock that is in order by itself is one to work with
 * @REMAP_FITS: it is
 * @REMAP_OTHER_MAIN: the set's main device has another length
 * @REMAP_OTHER_REGION: the set's region has another length
 * @REMAP_UNFINISHED: creation or release of the set was interrupted
 */
enum remap_fit {
	REMAP_FITS = 0,
	REMAP_OTHER_MAIN,
	REMAP_OTHER_REGION,
	REMAP_UNFINISHED,
};

/**
 * struct remap_mark - what a sector of the mark says
 * @seq: the highest committed number when it was written
 * @nr_probe: number of the probe write
 * @digest: of the table then, see struct remap_age; 0: not known
 */
struct remap_mark {
	u64 seq;
	u64 nr_probe;
	u64 digest;
};

/**
 * struct remap_age - the numbers of a set's chosen blocks, to compare with the mark (C15)
 * @newest: the highest one of superblock and table
 * @newest_table: the highest one of table blocks
 * @digest: of the numbers of all table blocks
 * @super: the superblock's number
 * @nr_frozen: table blocks that are frozen: left out of @newest_table and @digest, because
 *             their replicas have different numbers (C8)
 *
 * Soft state is losable and does not count.
 */
struct remap_age {
	u64 newest;
	u64 newest_table;
	u64 digest;
	u64 super;
	u32 nr_frozen;
};

/**
 * struct remap_choice - which of the four copies of a block counts (C5, C6)
 * @best: index (2 * replica + place) of the copy to load, or -1: none is valid
 * @conflict: two valid copies share the highest number but differ: load neither
 * @newer_lost: on both replicas a newer copy is damaged: @best is older than what was
 *              committed, so it may be looked at, but not written upon
 * @newer_hidden: on each replica a copy is unreadable, gone or overwritten, so that newer
 *                content may have been committed: to be treated alike (C15)
 * @good_place: per replica, the place that holds (or, after the repair, will
 *              hold) the chosen content (C3)
 * @repair: per replica, whether @good_place must be written before serving
 * @seq: of the chosen copy
 * @rewrite: bit per copy that must hold the chosen content before serving: of a replica that
 *           lacks it every place that is not dead (C7), and what cannot be read, or was newer
 *           and is damaged: it may hold anything, even a number that was burnt (C2); set by
 *           remap_judge_supers() and remap_judge_block()
 */
struct remap_choice {
	int best;
	bool conflict;
	bool newer_lost;
	bool newer_hidden;
	u8 good_place[REMAP_REPLICAS];
	bool repair[REMAP_REPLICAS];
	u64 seq;
	u8 rewrite;
};

/**
 * struct remap_copies - the four copies of a block, index 2 * replica + place
 * @data: their content
 * @verdict: of each; the reader sets REMAP_UNREADABLE, or REMAP_OK where it has @data
 * @choice: which of them counts
 */
struct remap_copies {
	const void *data[REMAP_COPIES];
	enum remap_verdict verdict[REMAP_COPIES];
	struct remap_choice choice;
};

/**
 * struct remap_mark_found - what the raw place of the probe chunk holds
 * @mark: what the sector that was written last says; all zero: none carries the mark
 * @proofs: bit per sector with the mark, or with what was there before it
 * @others: bit per sector that could be read and has neither
 */
struct remap_mark_found {
	struct remap_mark mark;
	u8 proofs;
	u8 others;
};

u32 remap_crc32(const void *data, size_t nr_bytes);
bool remap_is_zero(const void *data, size_t nr_bytes);
const char *remap_verdict_name(enum remap_verdict verdict);

/* Geometry: all in sectors of the region. */
int remap_geometry_compute(u64 region_sectors, struct remap_geometry *geometry);
bool remap_geometry_valid(const struct remap_geometry *geometry);
u64 remap_block_sector(const struct remap_geometry *geometry, unsigned int replica,
		       unsigned int place, u32 block);

/**
 * remap_slot_sector - where a spare chunk is
 * @geometry: layout of the region
 * @slot: its number
 *
 * Return: its first sector in the region.
 */
static inline u64 remap_slot_sector(const struct remap_geometry *geometry, u32 slot)
{
	return geometry->slots_sector + (u64)slot * REMAP_CHUNK_SECTORS;
}

/* First slot of a table block; remap_table_entries() says how many it has, if any. */
static inline u32 remap_first_slot(u32 block)
{
	return (block - 1) * REMAP_ENTRIES_PER_BLOCK;
}

u32 remap_table_block_of(u32 slot);	/* number of the block in its place, from 1 */
u32 remap_table_entry_of(u32 slot);	/* index of the entry in that block */
u32 remap_table_entries(const struct remap_geometry *geometry, u32 block);

/* Formatting (C14) */
#define REMAP_FIRST_SEQ		1	/* of all blocks of a set that is new */
void remap_initial_block(const struct remap_super *super, u32 block, void *data);
bool remap_is_initial(const struct remap_geometry *geometry, u64 region_sector, const void *data);

/* Blocks: seal last, check first. */
void remap_block_init(void *block, const char *magic, const u8 *uuid, u32 index, u64 seq);
void remap_block_seal(void *block);
enum remap_verdict remap_block_check(const void *block, const char *magic,
				     const u8 *uuid, u32 index);
u64 remap_block_seq(const void *block);
enum remap_verdict remap_soft_check(const void *block, const u8 *uuid, u32 index, u64 newest);
int remap_choose(const void *const copy[REMAP_COPIES],
		 const enum remap_verdict verdict[REMAP_COPIES],
		 struct remap_choice *choice);
int remap_judge_supers(struct remap_copies *copies, struct remap_super *super);
int remap_judge_block(const struct remap_super *super, u32 block, u64 newest,
		      struct remap_copies *copies);

/* Whether there is, or may be, newer content than what was chosen (C5, C15). */
static inline bool remap_is_stale(const struct remap_choice *choice)
{
	return choice->newer_lost || choice->newer_hidden;
}

/* Superblock */
u32 remap_dead_code(u32 block, unsigned int copy);
bool remap_is_dead(const struct remap_super *super, u32 block, unsigned int copy);
int remap_dead_copy(const struct remap_super *super, u32 block);
int remap_add_dead(u32 dead[REMAP_DEAD_MAX], u32 block, unsigned int copy);
void remap_remove_dead(u32 dead[REMAP_DEAD_MAX], u32 block);
void remap_super_encode(const struct remap_super *super, void *block);
enum remap_verdict remap_super_decode(const void *block, struct remap_super *super);
enum remap_fit remap_super_fit(const struct remap_super *super, u64 main_sectors,
			       u64 region_sectors);
bool remap_super_same_layout(const struct remap_super *super, const struct remap_super *other);

/* Table entries */
void remap_entry_encode(const struct remap_entry *entry, struct remap_entry_disk *disk);
void remap_entry_decode(const struct remap_entry_disk *disk, struct remap_entry *entry);
bool remap_entry_valid(const struct remap_entry *entry, u64 main_sectors);
enum remap_verdict remap_table_check(const void *block, const struct remap_geometry *geometry,
				     const u8 *uuid, u32 index, u64 main_sectors);
int remap_generation_compare(u8 a, u8 b);	/* 1: a succeeds b, -1: b succeeds a, 0: tie */

/* The mark on main's probe chunk */
void remap_probe_encode(void *chunk, const u8 *uuid, const struct remap_mark *mark);
enum remap_verdict remap_probe_check_sector(const void *sector, unsigned int index,
					    const u8 *uuid, struct remap_mark *mark);
bool remap_mark_succeeds(const struct remap_mark *mark, const struct remap_mark *other);
void remap_find_mark(const void *chunk, u8 unreadable, const u8 *uuid, const void *original,
		     struct remap_mark_found *found);

/* What main's mark says about the age of the spare */
void remap_age_add(struct remap_age *age, u32 block, u64 seq, bool frozen);
bool remap_is_older(const struct remap_age *age, const struct remap_mark *mark);

/* Sector 0 of a guarded main */
void remap_guard_encode(void *sector, const u8 *uuid, u64 main_sectors);
enum remap_verdict remap_guard_check(const void *sector, u8 *uuid, u64 main_sectors);

/* Member header: @header is REMAP_MEMBER_BYTES long */
void remap_member_seal(struct remap_member_disk *header);
enum remap_verdict remap_member_check(const void *header, const u8 *uuid);

/* Content of others at the start of a region; NULL: none known. */
#define REMAP_FOREIGN_BYTES	(72 * 1024)
const char *remap_foreign_name(const void *data, size_t nr_bytes);

#endif /* DM_REMAP_FORMAT_H */
