// SPDX-License-Identifier: GPL-2.0-only
/*
 * Formatting a blank spare (C14).
 *
 * Order of formatting, and what a crash after each step leaves:
 *   1. table and soft state blocks, number 1, place A of both replicas
 *      -> blocks of ours without a superblock: recognised, formatted again
 *   2. content of main's probe chunk copied to slot 0, flushed  -> the same
 *   3. superblock, replica 0 then replica 1: the set exists     -> load repairs
 *   4. the mark over the probe chunk's raw place on main, whose content now
 *      lives in slot 0        -> load sees no REMAP_SUPER_MARKED, compares
 *                                main with slot 0, and goes on here
 *   5. superblock with REMAP_SUPER_MARKED
 *
 * A torn write of step 1 leaves a whole block or none: see remap_initial_block().
 *
 * Rules kept here:
 *   C14 formatted only where metadata and signatures would be zero; superblock last
 *   P7  unknown content on the spare is never overwritten
 */
#include <linux/ktime.h>
#include <linux/uuid.h>

#include "meta/internal.h"

#define MIB_SECTORS		2048

static int check_range(struct remap_set *set, u64 sector, u64 end, bool *half_formatted)
{
	u32 nr_max = REMAP_COPIES * set->meta->read.nr_max * REMAP_BLOCK_SECTORS;
	u64 slot0 = remap_slot_sector(remap_geometry(set), 0);
	void *buffer = set->meta->read.buffer;

	while (sector < end) {
		u32 nr = min_t(u64, nr_max, end - sector);
		u32 i;
		int r = remap_rw(set, set->spare, set->spare_start + sector, buffer, nr,
				 REQ_OP_READ);

		if (r) {
			remap_err(set, "%s: cannot read sectors %llu+%u to see whether the spare is blank: not formatted",
				  set->spare->name, set->spare_start + sector, nr);
			return r;
		}
		for (i = 0; i < nr; i += REMAP_BLOCK_SECTORS) {
			void *data = buffer + ((size_t)i << SECTOR_SHIFT);
			u32 bytes = min_t(u32, REMAP_BLOCK_BYTES, (nr - i) << SECTOR_SHIFT);

			if (remap_is_initial(remap_geometry(set), sector + i, data)) {
				*half_formatted = true;
				continue;
			}
			if (remap_is_zero(data, bytes) || (*half_formatted && sector + i == slot0))
				continue;
			remap_err(set, "%s: the spare is not blank (sector %llu is not zero) and not a dm-remap spare: not formatted. Use 'dmremap create', or wipe the region if nothing on it is needed",
				  set->spare->name, set->spare_start + sector + i);
			return -EEXIST;
		}
		sector += nr;
	}
	return 0;
}

/**
 * remap_check_blank() - whether the kernel may format the region (C14)
 * @set: the set; remap_set.geometry says where metadata would go
 *
 * Everywhere that metadata or another program's signature could be must be zero:
 * both replicas, the first and the last MiB.  Writes nothing.
 *
 * Context: remap_set.lock held, may sleep.
 * Return: 0: blank, or half-formatted by us; -EEXIST: not ours; or an I/O error.
 */
int remap_check_blank(struct remap_set *set)
{
	const struct remap_geometry *geometry = remap_geometry(set);
	u64 replica_sectors = 2ULL * geometry->place_blocks * REMAP_BLOCK_SECTORS;
	u64 end = set->spare_sectors, mib = min_t(u64, MIB_SECTORS, end);
	u64 last = round_down(end - mib, REMAP_BLOCK_SECTORS);
	u64 first = geometry->replica_sector[0], second = geometry->replica_sector[1];
	bool half_formatted = false;

	return check_range(set, first, first + replica_sectors, &half_formatted) ?:
	       check_range(set, second, second + replica_sectors, &half_formatted) ?:
	       check_range(set, 0, mib, &half_formatted) ?:
	       check_range(set, last, end, &half_formatted);
}

/*
 * Main may belong to a set already, whose spare is another one: then its
 * remapped sectors hold old data, and must not be served as if new (P2, P7).
 */
static int check_unmarked(struct remap_set *set)
{
	u64 chunk, nr_chunks = set->ti->len / REMAP_CHUNK_SECTORS;
	const struct remap_probe_disk *sector = set->scratch.chunk;
	struct remap_mark_found found;

	for (chunk = nr_chunks; chunk-- && chunk + REMAP_PROBE_TRIES >= nr_chunks;) {
		if (remap_rw(set, set->main, chunk * REMAP_CHUNK_SECTORS, set->scratch.chunk,
			     REMAP_CHUNK_SECTORS, REQ_OP_READ))
			continue;
		remap_find_mark(set->scratch.chunk, 0, NULL, NULL, &found);
		if (!found.proofs)
			continue;
		remap_err(set, "%s carries the mark of set %pU at sector %llu, and %s is blank: not formatted. Use the spare of that set",
			  set->main->name, sector[__ffs(found.proofs)].header.uuid,
			  chunk * REMAP_CHUNK_SECTORS + __ffs(found.proofs), set->spare->name);
		return -EEXIST;
	}
	return 0;
}

static int write_initial_blocks(struct remap_set *set)
{
	const struct remap_geometry *geometry = remap_geometry(set);
	u32 end = 1 + geometry->table_blocks + geometry->soft_blocks;
	void *buffer = set->meta->read.buffer;
	u32 block, nr, i;
	unsigned int replica;
	int r;

	for (block = 1; block < end; block += nr) {
		nr = min(end - block, set->meta->read.nr_max);
		for (i = 0; i < nr; i++)
			remap_initial_block(&set->meta->super, block + i,
					    buffer + i * REMAP_BLOCK_BYTES);
		for (replica = 0; replica < REMAP_REPLICAS; replica++) {
			r = remap_rw(set, set->spare, set->spare_start +
				     remap_block_sector(geometry, replica, 0, block),
				     buffer, nr * REMAP_BLOCK_SECTORS, REQ_OP_WRITE);
			if (r)
				return r;
		}
	}
	return remap_flush_spare(set);
}

/**
 * remap_format() - make a set of a blank spare and a main device, whose data stays
 * @set: the set; remap_check_blank() has agreed
 *
 * Context: remap_set.lock held, may sleep.  See the order at the top.
 * Return: 0 or a negative errno; then the spare is blank or half-formatted,
 * and main is as it was.
 */
int remap_format(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;
	struct remap_super *super = &meta->super;
	int r;

	generate_random_uuid(super->uuid);
	super->version = REMAP_FORMAT_VERSION;
	super->flags = 0;
	super->main_sectors = set->ti->len;
	super->created = ktime_get_real_seconds();

	r = check_unmarked(set) ?: remap_find_anchor_chunk(set, &super->probe_chunk);
	if (r)
		return r;
	r = write_initial_blocks(set);
	if (!r)
		r = remap_rw(set, set->spare, remap_slot_start(set, 0), set->scratch.chunk,
			     REMAP_CHUNK_SECTORS, REQ_OP_WRITE);
	if (!r)
		r = remap_flush_spare(set);
	if (r) {
		remap_err(set, "%s: cannot format the spare: %d", set->spare->name, r);
		return r;
	}

	/* remap_write_block() goes to the other place: A. */
	meta->last_seq = REMAP_FIRST_SEQ;
	meta->block[0] = (struct remap_block_state){ .good_place = { 1, 1 } };
	r = remap_super_commit(set);
	if (r) {
		remap_err(set, "%s: cannot write the superblock: %d", set->spare->name, r);
		return r;
	}
	remap_info(set, "%s: formatted as spare of %s: %u slots, set %pU", set->spare->name,
		   set->main->name, super->geometry.slots, super->uuid);
	return 0;
}
