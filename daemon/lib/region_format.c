// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing a spare region: making a set, and making it none.  The order is that of
 * FORMAT.md section 8; each step is durable before the next.  What a crash leaves:
 *
 *   while wiping		no superblock, or an old one whose set is being given up
 *   while writing blocks	no superblock: no set, main untouched
 *   between superblocks	a set on one replica, completed by the kernel's load
 *   after it			a set without flag bit 0: the kernel writes the mark
 */
#include <errno.h>
#include <time.h>

#include "region.h"

/* Of a fresh set. */
#define FIRST_SEQ 1
#define WIPE_BYTES (1U << 20)

/* Aligned, for direct I/O. */
static void *zeroed(size_t nr_bytes)
{
	void *data = aligned_alloc(REMAP_BLOCK_BYTES, nr_bytes);

	return data ? memset(data, 0, nr_bytes) : NULL;
}

static int write_block(int fd, uint64_t start_sector, uint64_t sector, const void *block)
{
	return write_all_at(fd, block, REMAP_BLOCK_BYTES,
			    (off_t)((start_sector + sector) * REMAP_SECTOR_BYTES));
}

static int durable(int fd)
{
	return fsync(fd) < 0 ? -errno : 0;
}

/* Every place of metadata becomes zero, so that no block of an earlier life counts. */
static int wipe_places(int fd, uint64_t start_sector, const struct remap_geometry *geometry)
{
	_cleanup_free_ uint8_t *zeros = zeroed(WIPE_BYTES);
	int r = zeros ? 0 : -ENOMEM;

	for (unsigned int c = 0; !r && c < REMAP_COPIES; c++) {
		uint64_t at = (start_sector + remap_block_sector(geometry, c / REMAP_PLACES,
								 c % REMAP_PLACES, 0)) *
			      REMAP_SECTOR_BYTES;
		uint64_t end = at + (uint64_t)geometry->place_blocks * REMAP_BLOCK_BYTES;

		for (; !r && at < end; at += WIPE_BYTES)
			r = write_all_at(fd, zeros, end - at < WIPE_BYTES ? end - at : WIPE_BYTES,
					 (off_t)at);
	}
	return r ? r : durable(fd);
}

/* What cannot be read back later is not written (P7). */
static int check_plan(const struct region_plan *plan, struct error *error)
{
	_cleanup_free_ uint8_t *block = zeroed(REMAP_BLOCK_BYTES);
	struct remap_super back;

	if (!block)
		return error_set(error, ENOMEM, "out of memory");
	remap_super_encode(&plan->super, block);
	if (remap_super_decode(block, &back) != REMAP_OK)
		return error_set(error, EINVAL, "the superblock of this set would not be valid");
	for (uint32_t slot = 0; slot < plan->nr_entries; slot++)
		if (!remap_entry_valid(&plan->entry[slot], plan->super.main_sectors))
			return error_set(error, EINVAL, "the entry of slot %u would not be valid",
					 slot);
	return 0;
}

static int write_tables(int fd, uint64_t start_sector, const struct region_plan *plan)
{
	const struct remap_geometry *geometry = &plan->super.geometry;
	_cleanup_free_ uint8_t *data = zeroed(REMAP_BLOCK_BYTES);
	uint32_t end = 1 + geometry->table_blocks + geometry->soft_blocks;
	int r = data ? 0 : -ENOMEM;

	for (uint32_t block = 1; !r && block < end; block++) {
		struct remap_table_disk *table = (struct remap_table_disk *)data;
		bool soft = block > geometry->table_blocks;

		remap_block_init(data, soft ? REMAP_MAGIC_SOFT : REMAP_MAGIC_TABLE,
				 plan->super.uuid, block, FIRST_SEQ);
		if (!soft) {
			uint32_t nr = remap_table_entries(geometry, block);
			uint32_t first = (block - 1) * REMAP_ENTRIES_PER_BLOCK;

			table->nr_entries = cpu_to_le32(nr);
			for (uint32_t i = 0; i < nr && first + i < plan->nr_entries; i++)
				remap_entry_encode(&plan->entry[first + i], &table->entry[i]);
		}
		remap_block_seal(data);
		for (unsigned int replica = 0; !r && replica < REMAP_REPLICAS; replica++)
			r = write_block(fd, start_sector,
					remap_block_sector(geometry, replica, 0, block), data);
	}
	return r;
}

static int write_slots(int fd, uint64_t start_sector, const struct region_plan *plan)
{
	int r = 0;

	for (uint32_t slot = 0; !r && slot < plan->nr_entries; slot++)
		r = write_block(fd, start_sector, remap_slot_sector(&plan->super.geometry, slot),
				plan->data + (size_t)slot * REMAP_CHUNK_BYTES);
	return r;
}

static int write_supers(int fd, uint64_t start_sector, const struct remap_super *super)
{
	_cleanup_free_ uint8_t *block = zeroed(REMAP_BLOCK_BYTES);
	int r = block ? 0 : -ENOMEM;

	if (!r)
		remap_super_encode(super, block);
	for (unsigned int replica = 0; !r && replica < REMAP_REPLICAS; replica++) {
		r = write_block(fd, start_sector,
				remap_block_sector(&super->geometry, replica, 0, 0), block);
		if (!r)
			r = durable(fd);
	}
	return r;
}

int region_format(int fd, uint64_t start_sector, uint64_t nr_sectors, struct region_plan *plan,
		  struct error *error)
{
	struct remap_super *super = &plan->super;
	int r;

	r = remap_geometry_compute(nr_sectors, &super->geometry);
	if (r < 0)
		return error_set(error, ENOSPC, "the spare region is too small: %d KiB at least",
				 320);
	if (plan->nr_entries >= super->geometry.slots)
		return error_set(error, ENOSPC,
				 "the spare region has %u slots, and %u are needed from the start",
				 super->geometry.slots, plan->nr_entries + 1);
	super->version = REMAP_FORMAT_VERSION;
	super->flags &= REMAP_SUPER_CREATING;
	super->compat = 0;
	super->ro_compat = 0;
	super->incompat = 0;
	super->seq = FIRST_SEQ;
	super->created = (uint64_t)time(NULL);
	r = check_plan(plan, error);
	if (r < 0)
		return r;
	r = wipe_places(fd, start_sector, &super->geometry);
	if (!r)
		r = write_tables(fd, start_sector, plan);
	if (!r)
		r = durable(fd);
	if (!r)
		r = write_slots(fd, start_sector, plan);
	if (!r)
		r = durable(fd);
	if (!r)
		r = write_supers(fd, start_sector, super);
	return r < 0 ? error_set(error, -r, "cannot write the spare region: %s", strerror(-r)) : 0;
}

int region_write_super(struct region *region, struct remap_super *super, struct error *error)
{
	_cleanup_free_ uint8_t *block = aligned_alloc(REMAP_BLOCK_BYTES, REMAP_BLOCK_BYTES);
	int r = block ? 0 : -ENOMEM;

	if (!r)
		remap_super_encode(super, block);
	for (unsigned int replica = 0; !r && replica < REMAP_REPLICAS; replica++) {
		/* the place that does not hold the last committed copy (C3) */
		unsigned int place = region->choice.repair[replica] ?
					     region->choice.good_place[replica] :
					     !region->choice.good_place[replica];

		r = write_block(region->fd, region->start,
				remap_block_sector(&super->geometry, replica, place, 0), block);
		if (!r)
			r = durable(region->fd);
		if (!r) {
			region->choice.good_place[replica] = (u8)place;
			region->choice.repair[replica] = false;
		}
	}
	if (r < 0)
		return error_set(error, -r, "cannot write the superblock: %s", strerror(-r));
	region->super = *super;
	return 0;
}

static bool is_newest(const struct region *region, unsigned int copy)
{
	unsigned int replica = copy / REMAP_PLACES;

	return !region->choice.repair[replica] &&
	       region->choice.good_place[replica] == copy % REMAP_PLACES;
}

/*
 * The older copies first, or the set would come back as it was before its newest
 * superblock; then the newest, the one of the start replica last: until it is gone the set
 * is found, and its end goes on.
 */
int region_wipe(const struct region *region, struct error *error)
{
	_cleanup_free_ uint8_t *zeros = zeroed(REMAP_BLOCK_BYTES);
	int r = zeros ? 0 : -ENOMEM;

	for (unsigned int newest = 0; newest < 2; newest++)
		for (unsigned int c = REMAP_COPIES; !r && c-- > 0;) {
			if (is_newest(region, c) != (newest == 1))
				continue;
			r = write_block(region->fd, region->start,
					remap_block_sector(&region->super.geometry,
							   c / REMAP_PLACES, c % REMAP_PLACES, 0),
					zeros);
			if (!r)
				r = durable(region->fd);
		}
	return r < 0 ? error_set(error, -r, "cannot wipe the superblocks: %s", strerror(-r)) : 0;
}
