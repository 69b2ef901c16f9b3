// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lookup from main chunk to slot.
 *
 * Readers take no lock and are in RCU sections (those of the fast path in
 * preempt-off ones, which synchronize_rcu() waits for just as well); there is
 * one writer, who holds remap_set.lock.  An entry changes by one 64-bit store
 * of its word (D2).  It is linked at the head of a hash chain by a release
 * store, after its word, its next and its region bit; readers follow by address
 * dependency.  It is unlinked by one store and keeps its next until a grace
 * period has passed.
 *
 * The hash key is chunk / 8, so that one walk finds the first mapped sector of
 * 32 KiB.  It is multiplied by a random odd number: the table is read from a disk that
 * may come from anywhere, and readers walk chains with preemption off.
 *
 * The region bitmap in front of it has one bit per 128 KiB: a bio in clean regions of main
 * costs a look at that, and nothing else.
 *
 * Rules kept here:
 *   D2  mask, lost bits, generation and chunk change by one store
 */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "map/table.h"

#define REGION_SHIFT	REMAP_REGION_SHIFT
#define GROUP_SHIFT	REMAP_GROUP_SHIFT
#define CHUNK_SHIFT	3	/* sectors to chunk */

/*
 * A bitmap of up to 4 GiB: kvmalloc() does not go beyond INT_MAX.  Where there is no memory for
 * it the table is refused, and no other's is taken.
 */
static void *new_bitmap(u64 nr_bytes)
{
	const gfp_t flags = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;

	return nr_bytes > INT_MAX ? __vmalloc(nr_bytes, flags) : kvmalloc(nr_bytes, flags);
}

/**
 * remap_table_bytes() - memory that a table needs
 * @nr_slots: how many slots it must hold
 * @main_sectors: length of the mapped device in sectors
 */
u64 remap_table_bytes(u32 nr_slots, u64 main_sectors)
{
	return 24ULL * nr_slots + (main_sectors >> (REGION_SHIFT + 3));
}

/**
 * remap_table_init() - allocate an empty table
 * @table: zeroed
 * @nr_slots: how many slots it must hold
 * @main_sectors: length of the mapped device in sectors
 *
 * 24 bytes a slot and one bit per 128 KiB of main.  Context: may sleep.
 * Return: 0 or -ENOMEM; then remap_table_exit() frees what was allocated.
 */
int remap_table_init(struct remap_table *table, u32 nr_slots, u64 main_sectors)
{
	/* One for two slots: most misses end at their head, whatever its chain's length. */
	u32 nr_heads = max_t(u32, rounddown_pow_of_two(nr_slots) / 2, 2);

	table->nr_slots = nr_slots;
	table->head_shift = 64 - ilog2(nr_heads);
	table->hash_key = get_random_u64() | 1;
	table->nr_regions = DIV_ROUND_UP_ULL(main_sectors, 1ULL << REGION_SHIFT);
	table->heads = kvcalloc(nr_heads, sizeof(*table->heads), GFP_KERNEL);
	table->next = kvcalloc(nr_slots, sizeof(*table->next), GFP_KERNEL);
	table->word = kvcalloc(nr_slots, sizeof(*table->word), GFP_KERNEL);
	table->prov = kvcalloc(nr_slots, sizeof(*table->prov), GFP_KERNEL);
	table->regions = new_bitmap(BITS_TO_LONGS(table->nr_regions) * sizeof(long));
	if (!table->heads || !table->next || !table->word || !table->prov || !table->regions)
		return -ENOMEM;
	return 0;
}

/**
 * remap_table_exit() - free a table
 * @table: no reader may be left
 */
void remap_table_exit(struct remap_table *table)
{
	kvfree(table->heads);
	kvfree(table->next);
	kvfree(table->word);
	kvfree(table->prov);
	kvfree(table->regions);
}

/* Gigabytes, perhaps. */
static void clear(void *memory, u64 nr_bytes)
{
	while (nr_bytes) {
		size_t piece = min_t(u64, nr_bytes, SZ_16M);

		memset(memory, 0, piece);
		memory += piece;
		nr_bytes -= piece;
		cond_resched();
	}
}

/**
 * remap_table_clear() - forget all entries
 * @table: no reader may run: only while the device is suspended
 *
 * Context: may sleep.
 */
void remap_table_clear(struct remap_table *table)
{
	clear(table->heads, sizeof(*table->heads) << (64 - table->head_shift));
	clear(table->next, sizeof(*table->next) * table->nr_slots);
	clear(table->word, sizeof(*table->word) * table->nr_slots);
	clear(table->prov, sizeof(*table->prov) * table->nr_slots);
	clear(table->regions, BITS_TO_LONGS(table->nr_regions) * sizeof(long));
	table->nr_used = 0;
	table->nr_bad = 0;
	table->nr_retired = 0;
	table->nr_reserved = 0;
	table->nr_lost = 0;
	table->free_hint = 0;
}

/*
 * The first sector in [from, to] (all of one hash key) that is mapped, or
 * to + 1.  A chunk with one of @defer_flags counts as mapped as a whole.
 */
static u64 chain_first(const struct remap_table *table, u64 from, u64 to, u64 defer_flags,
		       u32 *slot, u64 *word)
{
	u64 first = to + 1;
	/* Pairs with the release in remap_table_insert(): what it names is there before it. */
	u32 link = REMAP_HEAD_LINK(smp_load_acquire(remap_table_head(table, from)));

	for (; link; link = READ_ONCE(table->next[link - 1])) {
		u64 w = READ_ONCE(table->word[link - 1]);
		u64 chunk_start = (w & REMAP_WORD_CHUNK) << CHUNK_SHIFT;
		u8 mask = w & defer_flags ? 0xff : REMAP_WORD_REDIRECTED(w);
		u64 sector;

		if (!(w & REMAP_WORD_LINKED) || chunk_start >> GROUP_SHIFT != from >> GROUP_SHIFT)
			continue;
		if (from > chunk_start) {
			if (from - chunk_start >= REMAP_CHUNK_SECTORS)
				continue;
			mask &= 0xff << (from - chunk_start);
		}
		if (!mask)
			continue;
		sector = chunk_start + __ffs(mask);
		if (sector < first) {
			first = sector;
			*slot = link - 1;
			*word = w;
		}
	}
	return first;
}

/**
 * remap_table_span_is_clean() - remap_table_is_clean() of several regions
 * @table: the table
 * @first: first region
 * @last: last region, not before @first
 *
 * Context: any.  In a function of its own, so that the fast path needs no stack for it.
 * Return: whether no chunk was ever mapped there.
 */
bool remap_table_span_is_clean(const struct remap_table *table, u64 first, u64 last)
{
	return find_next_bit(table->regions, last + 1, first) > last;
}

/**
 * remap_table_lookup() - who serves the sectors from @sector on
 * @table: the table
 * @sector: first sector on the mapped device
 * @nr_sectors: at least 1, inside the mapped device
 * @defer_flags: of REMAP_WORD_BUSY and REMAP_WORD_DOUBT, those that the caller must not pass
 * @place: the answer, for as many sectors as share it
 *
 * Context: any, inside an RCU read section, or with remap_set.lock held.
 */
void remap_table_lookup(const struct remap_table *table, u64 sector, u32 nr_sectors,
			u64 defer_flags, struct remap_place *place)
{
	u64 last = sector + nr_sectors - 1;
	u64 nr_regions = (last >> REGION_SHIFT) + 1;
	u64 region = find_next_bit(table->regions, nr_regions, sector >> REGION_SHIFT);

	place->kind = REMAP_PLACE_MAIN;
	place->nr_sectors = nr_sectors;
	while (unlikely(region < nr_regions)) {
		u64 from = max(sector, region << REGION_SHIFT);
		u64 region_last = min(last, ((region + 1) << REGION_SHIFT) - 1);

		while (from <= region_last) {
			u64 to = min(region_last, from | ((1ULL << GROUP_SHIFT) - 1));
			u64 word = 0;
			u64 first = chain_first(table, from, to, defer_flags, &place->slot, &word);
			u32 bit, nr = 1;

			if (first > to) {
				from = to + 1;
				continue;
			}
			if (first > sector) {
				place->nr_sectors = first - sector;
				return;
			}
			bit = first & (REMAP_CHUNK_SECTORS - 1);
			if (word & defer_flags) {
				place->kind = REMAP_PLACE_DEFER;
				nr = REMAP_CHUNK_SECTORS - bit;
			} else {
				u8 lost = REMAP_WORD_LOST(word) >> bit;
				u8 mask = REMAP_WORD_REDIRECTED(word) >> bit;

				mask &= lost & 1 ? lost : ~lost;
				place->kind = lost & 1 ? REMAP_PLACE_LOST : REMAP_PLACE_SPARE;
				nr = ffz(mask);
			}
			place->nr_sectors = min_t(u64, nr, last - sector + 1);
			return;
		}
		region = find_next_bit(table->regions, nr_regions, region + 1);
	}
}

/**
 * remap_table_find() - the slot of a main chunk
 * @table: the table
 * @chunk: chunk of the mapped device
 *
 * Return: the slot, or -1.  Context: remap_set.lock held.
 */
s64 remap_table_find(const struct remap_table *table, u64 chunk)
{
	u32 link;

	link = REMAP_HEAD_LINK(*remap_table_head(table, chunk << CHUNK_SHIFT));
	for (; link; link = table->next[link - 1]) {
		if ((table->word[link - 1] & REMAP_WORD_CHUNK) == chunk)
			return link - 1;
	}
	return -1;
}

/**
 * remap_table_peek() - the slot of a main chunk, for who only wants to know
 * @table: the table
 * @chunk: chunk of the mapped device
 * @word: set to its word
 * @prov: set to its provenance, as of the same moment
 *
 * Context: any; not in an RCU section.  Return: the slot, or -1.
 */
s64 remap_table_peek(const struct remap_table *table, u64 chunk, u64 *word, u64 *prov)
{
	s64 found = -1;
	u32 link;

	rcu_read_lock();
	/* As in chain_first(). */
	link = REMAP_HEAD_LINK(smp_load_acquire(remap_table_head(table, chunk << CHUNK_SHIFT)));
	for (; link && found < 0; link = READ_ONCE(table->next[link - 1])) {
		u32 slot = link - 1;

		do {
			*word = READ_ONCE(table->word[slot]);
			/* The one writer changes either at any time: between two equal words. */
			smp_rmb();
			*prov = READ_ONCE(table->prov[slot]);
			/* As above. */
			smp_rmb();
		} while (*word != READ_ONCE(table->word[slot]));
		if (*word & REMAP_WORD_LINKED && (*word & REMAP_WORD_CHUNK) == chunk)
			found = slot;
	}
	rcu_read_unlock();
	return found;
}

/**
 * remap_table_set() - change the word of a slot
 * @table: the table
 * @slot: the slot
 * @word: REMAP_WORD_*; its chunk may not change while the slot is linked
 *
 * Context: remap_set.lock held.  Readers see the old or the new word (D2).
 */
void remap_table_set(struct remap_table *table, u32 slot, u64 word)
{
	u64 old = table->word[slot];

	table->nr_used += !!REMAP_WORD_REDIRECTED(word) - !!REMAP_WORD_REDIRECTED(old);
	table->nr_lost += hweight8(REMAP_WORD_LOST(word)) - hweight8(REMAP_WORD_LOST(old));
	table->nr_bad += !!(word & REMAP_WORD_BAD) - !!(old & REMAP_WORD_BAD);
	table->nr_retired += !!(word & REMAP_WORD_RETIRED) - !!(old & REMAP_WORD_RETIRED);
	table->nr_reserved += !!(word & REMAP_WORD_RESERVED) - !!(old & REMAP_WORD_RESERVED);
	if (!word && slot < table->free_hint)
		table->free_hint = slot;
	WRITE_ONCE(table->word[slot], word);
}

/**
 * remap_table_insert() - publish a slot to readers
 * @table: the table
 * @slot: not linked; no reader may still know it from an earlier life (C11)
 * @word: REMAP_WORD_LINKED is added
 *
 * Context: remap_set.lock held.
 */
void remap_table_insert(struct remap_table *table, u32 slot, u64 word)
{
	u64 chunk = word & REMAP_WORD_CHUNK;
	u64 *head = remap_table_head(table, chunk << CHUNK_SHIFT);

	remap_table_set(table, slot, word | REMAP_WORD_LINKED);
	WRITE_ONCE(table->next[slot], REMAP_HEAD_LINK(*head));
	set_bit(chunk >> (REGION_SHIFT - CHUNK_SHIFT), table->regions);
	/* Pairs with the acquire in chain_first(): word, next, region bit before the link. */
	smp_store_release(head, (u64)(slot + 1) << 32 | (u32)*head | REMAP_HEAD_CHUNK(chunk));
}

/**
 * remap_table_remove() - hide a slot from readers
 * @table: the table
 * @slot: linked
 * @word: its word from now on, without REMAP_WORD_LINKED
 *
 * Readers may still know it: it is used again only after a grace period (C11).
 * Its region bit stays: clean again is not worth a rescan.
 * Context: remap_set.lock held.
 */
void remap_table_remove(struct remap_table *table, u32 slot, u64 word)
{
	u64 chunk = table->word[slot] & REMAP_WORD_CHUNK;
	u64 *head = remap_table_head(table, chunk << CHUNK_SHIFT);
	u32 next = table->next[slot], link = REMAP_HEAD_LINK(*head);

	if (link == slot + 1) {
		WRITE_ONCE(*head, next ? (u64)next << 32 | (u32)*head : 0);
	} else {
		while (table->next[link - 1] != slot + 1)
			link = table->next[link - 1];
		WRITE_ONCE(table->next[link - 1], next);
	}
	WRITE_ONCE(table->nr_removed, table->nr_removed + 1);
	remap_table_set(table, slot, word);
}
