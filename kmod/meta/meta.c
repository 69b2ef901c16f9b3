// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of the metadata, and what other layers may know of it.
 *
 * Rules kept here:
 *   D20 nothing that only reads state waits for a disk: no lock is taken here
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "meta/internal.h"

/*
 * Blocks of each copy that are read at once; at most 256 KiB, BIO_MAX_VECS / 4, for the buffer is
 * kept for as long as the set.
 */
#define READ_BLOCKS_MIN	8U

/**
 * remap_meta_init() - allocate, for every layout that the region may have
 * @set: the set; its region and geometry are those of the formula
 *
 * Context: constructor.  Return: 0 or -ENOMEM; remap_meta_exit() frees what was allocated.
 */
int remap_meta_init(struct remap_set *set)
{
	const struct remap_geometry *geometry = remap_geometry(set);
	struct remap_meta *meta = kzalloc(sizeof(*meta), GFP_KERNEL);

	if (!meta)
		return -ENOMEM;
	set->meta = meta;
	meta->out = -1;
	meta->super.geometry = *geometry;
	/* Room for every layout that a region of this length may have: remap_geometry_valid(). */
	meta->nr_blocks = 1 + geometry->table_blocks + REMAP_MAX_SOFT_BLOCKS;
	meta->read.nr_max = clamp_t(u32, 1 + geometry->table_blocks + geometry->soft_blocks,
				    READ_BLOCKS_MIN, BIO_MAX_VECS / 4);
	meta->block = kvcalloc(meta->nr_blocks, sizeof(*meta->block), GFP_KERNEL);
	meta->read.buffer = vmalloc(array3_size(meta->read.nr_max, REMAP_COPIES,
						REMAP_BLOCK_BYTES));
	meta->image = kmalloc(REMAP_BLOCK_BYTES, GFP_KERNEL);
	return meta->block && meta->read.buffer && meta->image ? 0 : -ENOMEM;
}

/**
 * remap_meta_exit() - free
 * @set: the set; nothing of it runs any more
 */
void remap_meta_exit(struct remap_set *set)
{
	struct remap_meta *meta = set->meta;

	if (!meta)
		return;
	kvfree(meta->block);
	vfree(meta->read.buffer);
	kfree(meta->image);
	kfree(meta);
}

/**
 * remap_is_incomplete() - whether load found a replica damaged or behind, and could not repair it
 * @set: the set
 * @replica: 0 or 1
 *
 * Looks at every block.  Context: any.
 */
bool remap_is_incomplete(const struct remap_set *set, unsigned int replica)
{
	u32 block;

	for (block = 0; block <= remap_geometry(set)->table_blocks; block++) {
		if (READ_ONCE(set->meta->block[block].rewrite) >> (REMAP_PLACES * replica) & 3)
			return true;
	}
	return false;
}

/**
 * remap_meta_report() - what status shows
 * @set: the set
 * @report: is filled; each number may be a moment old
 *
 * Context: any.
 */
void remap_meta_report(const struct remap_set *set, struct remap_report *report)
{
	const struct remap_meta *meta = set->meta;
	unsigned int replica;

	*report = (struct remap_report){
		.last_seq = READ_ONCE(meta->last_seq),
		.committed = READ_ONCE(meta->committed),
		.nr_failures = READ_ONCE(meta->nr_failures),
		.nr_repaired = READ_ONCE(meta->nr_repaired),
		.last_save = READ_ONCE(meta->saved.time),
		.nr_in_doubt = READ_ONCE(meta->nr_in_doubt),
		.nr_unwritable = READ_ONCE(meta->nr_unwritable),
		.out = READ_ONCE(meta->out),
		.probe_failed = READ_ONCE(meta->anchor.ping_failed),
	};
	for (replica = 0; replica < REMAP_REPLICAS; replica++)
		report->replica_errors[replica] = READ_ONCE(meta->replica_errors[replica]);
}

/**
 * remap_uuid() - the set's UUID
 * @set: the set
 *
 * Context: any.
 */
const u8 *remap_uuid(const struct remap_set *set)
{
	return set->meta->super.uuid;
}

/**
 * remap_last_seq() - the highest number ever given out
 * @set: the set
 *
 * Context: any.
 */
u64 remap_last_seq(const struct remap_set *set)
{
	return READ_ONCE(set->meta->last_seq);
}

/**
 * remap_probe_chunk() - the chunk of main that is the set's own
 * @set: the set, loaded
 *
 * Context: remap_set.lock held.
 */
u64 remap_probe_chunk(const struct remap_set *set)
{
	return set->meta->super.probe_chunk;
}

/**
 * remap_super_flags() - the flags of the superblock
 * @set: the set, loaded
 *
 * Context: remap_set.lock held.  Return: REMAP_SUPER_*.
 */
u32 remap_super_flags(const struct remap_set *set)
{
	return set->meta->super.flags;
}

/**
 * remap_has_table_doubt() - whether a commit of a table block failed, and none since was complete
 * @set: the set
 *
 * Context: remap_set.lock held.
 */
bool remap_has_table_doubt(const struct remap_set *set)
{
	return set->meta->nr_in_doubt;
}

/**
 * remap_has_doubt() - the same, or one of the superblock
 * @set: the set
 *
 * Context: remap_set.lock held.
 */
bool remap_has_doubt(const struct remap_set *set)
{
	return set->meta->nr_in_doubt || set->meta->block[0].in_doubt;
}
