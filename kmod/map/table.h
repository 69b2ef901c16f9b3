/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lookup from main chunk to slot: table.c.  It knows nothing else of the module.
 */
#ifndef DM_REMAP_TABLE_H
#define DM_REMAP_TABLE_H

#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/types.h>

#include "remap_format.h"

#if BITS_PER_LONG != 64
#error "dm-remap publishes an entry by one 64-bit store (rule D2) and needs a 64-bit kernel"
#endif

/*
 * A slot's word: everything a reader must see at once (D2).
 * bits 0-39 main chunk, 40-47 redirected, 48-55 lost, 56-57 epoch, flags.
 * A free slot is zero.
 */
#define REMAP_WORD_CHUNK	((1ULL << 40) - 1)
#define REMAP_WORD_REDIRECTED(w) ((u8)((w) >> 40))
#define REMAP_WORD_LOST(w)	((u8)((w) >> 48))
#define REMAP_WORD_EPOCH(w) ((u8)(((w) >> 56) & 3))
#define REMAP_WORD_LINKED	BIT_ULL(58) /* in a hash chain */
#define REMAP_WORD_BUSY		BIT_ULL(59) /* being copied: writes wait (D3) */
#define REMAP_WORD_DOUBT	BIT_ULL(60) /* a commit failed: see REMAP_PROV_DOUBT (C4) */
#define REMAP_WORD_BAD		BIT_ULL(61) /* the spare chunk itself is bad */
#define REMAP_WORD_RETIRED	BIT_ULL(62) /* freed; media may still name it (C11) */
#define REMAP_WORD_RESERVED	BIT_ULL(63) /* allocated, not published yet */

static inline u64 remap_word(u64 chunk, u8 redirected, u8 lost, u8 epoch, u64 flags)
{
	return chunk | (u64)redirected << 40 | (u64)lost << 48 | (u64)epoch << 56 | flags;
}

/*
 * A slot's provenance: bits 0-31 when, 32-39 cause, 40-47 status, 48-55 errors,
 * 56-63 the sectors in doubt.  For a retired slot: the number of the commit
 * that freed it.
 */
#define REMAP_PROV_DOUBT(p)	((u8)((p) >> 56))

static inline u64 remap_prov(u32 when, u8 cause, u8 status, u8 errors, u8 doubt)
{
	return when | (u64)cause << 32 | (u64)status << 40 | (u64)errors << 48 |
	       (u64)doubt << 56;
}

/**
 * struct remap_table - lookup from main chunk to slot
 * @nr_slots: length of @word, @next and @prov
 * @head_shift: 64 less log2 of the length of @heads
 * @heads: per hash of (chunk / 8): REMAP_HEAD_*
 * @next: per slot: 1 + next slot of the chain, kept after removal until a grace period is over
 * @word: per slot: REMAP_WORD_*
 * @prov: per slot: REMAP_PROV_*; read and written under remap_set.lock only
 * @hash_key: odd and random, so that no one can make an image whose chunks share a chain
 * @regions: one bit per 128 KiB of main, set when a chunk in it was ever mapped
 * @nr_regions: bits in @regions
 * @nr_removed: entries taken out of it so far: a dump that sees this change is no snapshot
 * @nr_used: slots that serve sectors
 * @nr_bad: slots whose spare chunk is bad
 * @nr_retired: slots that wait to be used again
 * @nr_reserved: slots taken for what is on its way
 * @nr_lost: lost sectors
 * @nr_unusable: slots that are not in use and cannot be (C8)
 * @free_hint: no free slot lies before it
 */
struct remap_table {
	u32 nr_slots;
	u32 head_shift;
	u64 hash_key;
	u64 *heads;
	u32 *next;
	u64 *word;
	u64 *prov;
	unsigned long *regions;
	u64 nr_regions;
	u32 nr_removed;
	u32 nr_used;
	u32 nr_bad;
	u32 nr_retired;
	u32 nr_reserved;
	u32 nr_lost;
	u32 nr_unusable;
	u32 free_hint;
};

#define REMAP_REGION_SHIFT	8	/* sectors to region: 128 KiB */
#define REMAP_REGION_SECTORS	BIT_ULL(REMAP_REGION_SHIFT)
#define REMAP_GROUP_SHIFT	6	/* sectors to hash key: 32 KiB */

bool remap_table_span_is_clean(const struct remap_table *table, u64 first, u64 last);

/* Of sectors, or of none. */
static __always_inline bool remap_is_in_region(u64 sector, u32 nr_sectors)
{
	return (sector & (REMAP_REGION_SECTORS - 1)) + nr_sectors <= REMAP_REGION_SECTORS;
}

/*
 * Whether they are in one region, and no chunk was ever mapped there.  A bit that is set stays: a
 * read needs no RCU section, a write is counted in the same one (see remap_drain()).
 */
static __always_inline bool remap_region_is_clean(const struct remap_table *table, u64 sector,
						  u32 nr_sectors)
{
	return remap_is_in_region(sector, nr_sectors) &&
	       !test_bit(sector >> REMAP_REGION_SHIFT, table->regions);
}

/* The same of any number of regions. */
static inline bool remap_table_is_clean(const struct remap_table *table, u64 sector,
					u32 nr_sectors)
{
	return remap_region_is_clean(table, sector, nr_sectors) || !nr_sectors ||
	       remap_table_span_is_clean(table, sector >> REMAP_REGION_SHIFT,
					 (sector + nr_sectors - 1) >> REMAP_REGION_SHIFT);
}

/*
 * A head: in the upper half 1 + first slot of the chain, 0: empty; below that a bit for each
 * chunk % 8 that was put into it since it was empty, so that most chunks beside a mapped one
 * need no walk.
 */
#define REMAP_HEAD_LINK(head)	((u32)((head) >> 32))
#define REMAP_HEAD_CHUNK(chunk)	BIT_ULL((chunk) & 7)

/* The chain of the chunk that has @sector. */
static inline u64 *remap_table_head(const struct remap_table *table, u64 sector)
{
	return &table->heads[(sector >> REMAP_GROUP_SHIFT) * table->hash_key >> table->head_shift];
}

/*
 * Who serves 0 to 8 sectors of one chunk, if all are served alike: the slot, -ENOENT: main, or
 * -EAGAIN: ask remap_table_lookup(), which says what @defer_flags are.  Context: as there; here,
 * because a bio of 4 KiB needs nothing else.
 */
static __always_inline s64 remap_table_slot(const struct remap_table *table, u64 sector,
					    u32 nr_sectors, u64 defer_flags)
{
	u64 chunk = sector / REMAP_CHUNK_SECTORS;
	/* Pairs with the release in remap_table_insert(): what it names is there before it. */
	u64 head = smp_load_acquire(remap_table_head(table, sector));
	unsigned long link = REMAP_HEAD_LINK(head);

	if (!(head & REMAP_HEAD_CHUNK(chunk)))
		return -ENOENT;
	for (; link; link = READ_ONCE(table->next[link - 1])) {
		u64 w = READ_ONCE(table->word[link - 1]);
		u32 mask;

		if ((w & (REMAP_WORD_CHUNK | REMAP_WORD_LINKED)) != (chunk | REMAP_WORD_LINKED))
			continue;
		mask = (BIT(nr_sectors) - 1) << (sector & (REMAP_CHUNK_SECTORS - 1));
		if (w & defer_flags || mask & (~REMAP_WORD_REDIRECTED(w) | REMAP_WORD_LOST(w)))
			return -EAGAIN;
		return link - 1;
	}
	return -ENOENT;
}

enum remap_place_kind {
	REMAP_PLACE_MAIN,
	REMAP_PLACE_SPARE,
	REMAP_PLACE_LOST,
	REMAP_PLACE_DEFER,	/* busy or in doubt: ask the worker */
};

/**
 * struct remap_place - answer of a lookup
 * @kind: who serves the first @nr_sectors sectors
 * @slot: of the entry, unless @kind is REMAP_PLACE_MAIN
 * @nr_sectors: how many sectors from the first one share this answer
 */
struct remap_place {
	enum remap_place_kind kind;
	u32 slot;
	u32 nr_sectors;
};

int remap_table_init(struct remap_table *table, u32 nr_slots, u64 main_sectors);
u64 remap_table_bytes(u32 nr_slots, u64 main_sectors);
void remap_table_exit(struct remap_table *table);
void remap_table_clear(struct remap_table *table);
void remap_table_lookup(const struct remap_table *table, u64 sector, u32 nr_sectors,
			u64 defer_flags, struct remap_place *place);
s64 remap_table_find(const struct remap_table *table, u64 chunk);
s64 remap_table_peek(const struct remap_table *table, u64 chunk, u64 *word, u64 *prov);
void remap_table_set(struct remap_table *table, u32 slot, u64 word);
void remap_table_insert(struct remap_table *table, u32 slot, u64 word);
void remap_table_remove(struct remap_table *table, u32 slot, u64 word);

#endif /* DM_REMAP_TABLE_H */
