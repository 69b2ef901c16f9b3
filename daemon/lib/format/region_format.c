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

#include "format/region.h"
#include "format/spare_layout.h"

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
		return error_set(error, EINVAL, "cannot build a valid superblock for this set");
	for (uint32_t slot = 0; slot < plan->nr_entries; slot++)
		if (plan->entry[slot].state != REMAP_ENTRY_FREE &&
		    !remap_entry_valid(&plan->entry[slot], plan->super.main_sectors))
			return error_set(error, EINVAL, "cannot build a valid entry for slot %u",
					 slot);
	return 0;
}

void region_encode_table(const struct remap_super *super, uint32_t block, uint64_t seq,
			 const struct remap_entry *entry, uint32_t nr_entries, void *data)
{
	struct remap_table_disk *table = data;
	uint32_t nr = remap_table_entries(&super->geometry, block);
	uint32_t first = remap_first_slot(block);

	remap_block_init(data, REMAP_MAGIC_TABLE, super->uuid, block, seq);
	table->nr_entries = cpu_to_le32(nr);
	for (uint32_t i = 0; i < nr && first + i < nr_entries; i++)
		remap_entry_encode(&entry[first + i], &table->entry[i]);
	remap_block_seal(data);
}

static int write_tables(int fd, uint64_t start_sector, const struct region_plan *plan)
{
	const struct remap_geometry *geometry = &plan->super.geometry;
	_cleanup_free_ uint8_t *data = zeroed(REMAP_BLOCK_BYTES);
	uint32_t end = 1 + geometry->table_blocks + geometry->soft_blocks;
	int r = data ? 0 : -ENOMEM;

	for (uint32_t block = 1; !r && block < end; block++) {
		if (block > geometry->table_blocks) {
			remap_block_init(data, REMAP_MAGIC_SOFT, plan->super.uuid, block,
					 plan->super.seq);
			if (plan->soft)
				memcpy(data + sizeof(struct remap_block_header),
				       (const uint8_t *)plan->soft +
					       sizeof(struct remap_block_header),
				       sizeof(*plan->soft) - sizeof(struct remap_block_header));
			remap_block_seal(data);
		} else {
			region_encode_table(&plan->super, block, plan->super.seq, plan->entry,
					    plan->nr_entries, data);
		}
		for (unsigned int replica = 0; !r && replica < REMAP_REPLICAS; replica++) {
			bool dead = remap_is_dead(&plan->super, block, replica * REMAP_PLACES);

			r = write_block(fd, start_sector,
					remap_block_sector(geometry, replica, dead, block), data);
			/* nothing has been put into the last block yet: it may be missing */
			if (r < 0 && plan->laid_out && block > geometry->table_blocks + 1)
				r = 0;
		}
		progress_step(plan->progress);
	}
	return r;
}

static int write_slots(int fd, uint64_t start_sector, const struct region_plan *plan)
{
	_cleanup_free_ uint8_t *chunk = zeroed(REMAP_CHUNK_BYTES);
	int r = chunk ? 0 : -ENOMEM;

	for (uint32_t slot = 0; !r && slot < plan->nr_data; slot++) {
		if (plan->laid_out && plan->entry[slot].state != REMAP_ENTRY_USED)
			continue;
		if (plan->read)
			r = plan->read(plan->userdata, slot, chunk);
		else
			memcpy(chunk, plan->data + (size_t)slot * REMAP_CHUNK_BYTES,
			       REMAP_CHUNK_BYTES);
		if (!r)
			r = write_block(fd, start_sector,
					remap_slot_sector(&plan->super.geometry, slot), chunk);
	}
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

/*
 * Zeros from sector @at to @end of the region, but not over the block at @kept.  @for_good: the
 * set ends: bad sectors that are no superblock's hold nothing that counts without one.
 */
static int wipe_span(const struct region *region, uint64_t at, uint64_t end, uint64_t kept,
		     bool for_good, const void *zeros)
{
	struct sector_ranges bad = { 0 };
	int r = 0;

	while (!r && at < end) {
		uint64_t nr = end - at;

		if (at == kept) {
			at += REMAP_CHUNK_SECTORS;
			continue;
		}
		if (at < kept && kept - at < nr)
			nr = kept - at;
		if (nr > WIPE_BYTES / REMAP_SECTOR_BYTES)
			nr = WIPE_BYTES / REMAP_SECTOR_BYTES;
		r = write_all_at(region->fd, zeros, nr * REMAP_SECTOR_BYTES,
				 (off_t)((region->start + at) * REMAP_SECTOR_BYTES));
		if (r < 0 && for_good && is_medium_error(r))
			r = spare_zero(region->fd, region->start + at, region->start + at + nr,
				       &bad);
		at += nr;
	}
	sector_ranges_done(&bad);
	return r;
}

/* Both replicas, and all that create would take for data. */
static int wipe_edges(const struct region *region, uint64_t kept, bool for_good, const void *zeros)
{
	const struct remap_geometry *geometry = &region->super.geometry;
	uint64_t nr_sectors = geometry->region_sectors, edge = WIPE_BYTES / REMAP_SECTOR_BYTES;
	uint64_t head = geometry->slots_sector, tail = geometry->replica_sector[1];
	int r;

	if (head < edge)
		head = edge;
	if (tail > nr_sectors - edge || nr_sectors < edge)
		tail = nr_sectors < edge ? 0 : (nr_sectors - edge) & ~(REMAP_CHUNK_SECTORS - 1ULL);
	r = wipe_span(region, 0, head < nr_sectors ? head : nr_sectors, kept, for_good, zeros);
	if (!r)
		r = wipe_span(region, tail, nr_sectors, kept, for_good, zeros);
	return r ? r : durable(region->fd);
}

#define NOTE_MAGIC "dmRemapR"

/* A superblock in all but its magic. */
static int write_note(int fd, uint64_t start_sector, const struct remap_super *super, bool is_new)
{
	_cleanup_free_ uint8_t *block = zeroed(REMAP_BLOCK_BYTES);
	struct remap_super to_come = *super;
	int r = block ? 0 : -ENOMEM;

	if (!r) {
		/* of a resize or a restore it is never set */
		if (is_new)
			to_come.flags |= REMAP_SUPER_CREATING;
		remap_super_encode(&to_come, block);
		memcpy(block, NOTE_MAGIC, REMAP_MAGIC_BYTES);
		remap_block_seal(block);
		r = write_block(fd, start_sector, 0, block);
	}
	return r ? r : durable(fd);
}

bool region_has_note(int fd, uint64_t start_sector, const uint8_t uuid[REMAP_UUID_BYTES],
		     struct remap_super *super)
{
	_cleanup_free_ uint8_t *block = zeroed(REMAP_BLOCK_BYTES);
	struct remap_super to_come;

	if (!block ||
	    read_all_at(fd, block, REMAP_BLOCK_BYTES, (off_t)(start_sector * REMAP_SECTOR_BYTES)) <
		    0 ||
	    remap_block_check(block, NOTE_MAGIC, uuid, 0) != REMAP_OK)
		return false;
	memcpy(block, REMAP_MAGIC_SUPER, REMAP_MAGIC_BYTES);
	remap_block_seal(block);
	if (remap_super_decode(block, &to_come) != REMAP_OK)
		return false;
	if (super)
		*super = to_come;
	return true;
}

bool region_is_half_made(int fd, uint64_t start_sector)
{
	struct remap_super to_come;

	return region_has_note(fd, start_sector, NULL, &to_come) &&
	       to_come.flags & REMAP_SUPER_CREATING;
}

/* The note lies where the start replica's first superblock is going to be, and goes with it. */
static int begin_with_note(int fd, uint64_t start_sector, const struct remap_super *super,
			   bool is_new)
{
	struct region region = { .fd = fd, .start = start_sector, .super = *super };
	_cleanup_free_ uint8_t *zeros = zeroed(WIPE_BYTES);
	int r = zeros ? write_note(fd, start_sector, super, is_new) : -ENOMEM;

	return r ? r : wipe_edges(&region, 0, false, zeros);
}

int region_prepare(int fd, uint64_t start_sector, uint64_t nr_sectors, struct region_plan *plan,
		   struct error *error)
{
	struct remap_super *super = &plan->super;
	int r;

	r = remap_geometry_compute(nr_sectors, &super->geometry);
	if (r < 0)
		return error_set(error, ENOSPC,
				 "the spare region is too small; at least %d KiB are needed", 320);
	if (plan->nr_entries >= super->geometry.slots)
		return error_set(error, ENOSPC,
				 "the spare region is too small: it has %u slots, and %u are "
				 "needed from the start",
				 super->geometry.slots, plan->nr_entries + 1);
	super->version = REMAP_FORMAT_VERSION;
	if (!plan->laid_out)
		memset(super->dead, 0, sizeof(super->dead));
	super->compat = 0;
	super->ro_compat = 0;
	super->incompat = 0;
	if (!super->seq)
		super->seq = REMAP_FIRST_SEQ;
	if (!super->created)
		super->created = (uint64_t)time(NULL);
	r = check_plan(plan, error);
	if (r < 0)
		return r;
	if (plan->laid_out)
		r = plan->note ? write_note(fd, start_sector, super, plan->is_new) : 0;
	else
		r = plan->note ? begin_with_note(fd, start_sector, super, plan->is_new) :
				 wipe_places(fd, start_sector, &super->geometry);
	if (!r)
		r = write_tables(fd, start_sector, plan);
	if (!r)
		r = durable(fd);
	if (!r)
		r = write_slots(fd, start_sector, plan);
	if (!r)
		r = durable(fd);
	return r < 0 ? error_set(error, -r, "cannot write the spare region: %s", strerror(-r)) : 0;
}

int region_complete(int fd, uint64_t start_sector, const struct remap_super *super,
		    struct error *error)
{
	int r = write_supers(fd, start_sector, super);

	return r < 0 ? error_set(error, -r, "cannot write the superblocks: %s", strerror(-r)) : 0;
}

int region_format(int fd, uint64_t start_sector, uint64_t nr_sectors, struct region_plan *plan,
		  struct error *error)
{
	int r = region_prepare(fd, start_sector, nr_sectors, plan, error);

	return r ? r : region_complete(fd, start_sector, &plan->super, error);
}

int region_replace_block(const struct region *region, uint32_t block, void *data,
			 struct error *error)
{
	_cleanup_free_ uint8_t *zeros = zeroed(REMAP_BLOCK_BYTES);
	int r = zeros ? 0 : -ENOMEM;

	/* one place of each replica durably, then the others: until then they may be all there is */
	for (unsigned int later = 0; later < 2; later++) {
		for (unsigned int replica = 0; !r && replica < REMAP_REPLICAS; replica++) {
			unsigned int first =
				remap_is_dead(&region->super, block, replica * REMAP_PLACES);
			unsigned int place = later ? !first : first;

			/* at most one copy of a block is dead, and it is never the one to count */
			if (remap_is_dead(&region->super, block, replica * REMAP_PLACES + place))
				continue;
			r = write_block(
				region->fd, region->start,
				remap_block_sector(&region->super.geometry, replica, place, block),
				later ? zeros : data);
		}
		if (!r)
			r = durable(region->fd);
	}
	return r < 0 ? error_set(error, -r, "cannot write block %u: %s", block, strerror(-r)) : 0;
}

int region_find_unnamed(const struct region *region, uint32_t block,
			bool usable[REMAP_ENTRIES_PER_BLOCK])
{
	_cleanup_free_ uint8_t *buffer = zeroed(REMAP_COPIES * REMAP_BLOCK_BYTES);
	struct remap_copies copies;
	int r = buffer ? region_read_copies(region, block, region->super.seq, buffer, &copies) :
			 -ENOMEM;

	memset(usable, 0, REMAP_ENTRIES_PER_BLOCK * sizeof(*usable));
	if (r < 0 || remap_dead_copy(&region->super, block) >= 0)
		return r;
	for (uint32_t i = 0; i < REMAP_ENTRIES_PER_BLOCK; i++) {
		usable[i] = true;
		for (unsigned int c = 0; c < REMAP_COPIES; c++) {
			const struct remap_table_disk *table = copies.data[c];
			struct remap_entry entry;

			if (copies.verdict[c] != REMAP_OK)
				continue;
			remap_entry_decode(&table->entry[i], &entry);
			usable[i] &= entry.state == REMAP_ENTRY_FREE;
		}
	}
	return 0;
}

/*
 * What a crash leaves: until replica 0 is durable the old one, from then on the new one, which
 * the load completes.  A failed write leaves either, with a number that is burnt.
 */
int region_commit_table(const struct region *region, uint32_t block, uint64_t seq,
			const struct remap_entry *entry, uint32_t nr_entries, struct error *error)
{
	_cleanup_free_ uint8_t *buffer = zeroed(REMAP_COPIES * REMAP_BLOCK_BYTES);
	_cleanup_free_ uint8_t *data = zeroed(REMAP_BLOCK_BYTES);
	struct remap_copies copies;
	int r = buffer && data ?
			region_read_copies(region, block, region->super.seq, buffer, &copies) :
			-ENOMEM;

	if (!r && copies.choice.newer_lost)
		r = -EUCLEAN;
	if (!r && remap_dead_copy(&region->super, block) >= 0)
		r = -EROFS;
	if (!r)
		region_encode_table(&region->super, block, seq, entry, nr_entries, data);
	for (unsigned int replica = 0; !r && replica < REMAP_REPLICAS; replica++) {
		unsigned int good = copies.choice.good_place[replica];
		unsigned int place = copies.choice.repair[replica] ? good : !good;

		r = write_block(region->fd, region->start,
				remap_block_sector(&region->super.geometry, replica, place, block),
				data);
		if (!r)
			r = durable(region->fd);
	}
	return r < 0 ? error_set(error, -r, "cannot write table block %u: %s", block,
				 strerror(-r)) :
		       0;
}

static unsigned int good_copy(const struct region *region, unsigned int replica)
{
	return replica * REMAP_PLACES + region->choice.good_place[replica];
}

/* Into the place that does not hold the last committed copy (C3). */
static int commit_super(struct region *region, unsigned int replica, const void *block)
{
	unsigned int place = region->choice.repair[replica] ? region->choice.good_place[replica] :
							      !region->choice.good_place[replica];
	int r = write_block(region->fd, region->start,
			    remap_block_sector(&region->super.geometry, replica, place, 0), block);

	if (!r)
		r = durable(region->fd);
	if (!r) {
		region->choice.good_place[replica] = (u8)place;
		region->choice.repair[replica] = false;
	}
	return r;
}

/* Returns the number of replicas that have it. */
static unsigned int put_back(struct region *region, void *block, uint64_t seq)
{
	struct remap_super super = region->super;
	unsigned int nr_done = 0;

	super.seq = seq;
	remap_super_encode(&super, block);
	for (unsigned int replica = 0; replica < REMAP_REPLICAS; replica++)
		nr_done += commit_super(region, replica, block) == 0;
	if (nr_done)
		region->super = super;
	return nr_done;
}

/*
 * What a crash leaves: until replica 0 is durable the old one, from then on the new one,
 * which the load completes.  A write that failed may still have reached the media, so after a
 * failure the old content follows under a higher number: one replica with it is enough.
 */
int region_write_super(struct region *region, struct remap_super *super, struct error *error)
{
	_cleanup_free_ uint8_t *block = aligned_alloc(REMAP_BLOCK_BYTES, REMAP_BLOCK_BYTES);
	struct remap_super back;
	int r = 0;

	if (!block)
		return error_set(error, ENOMEM, "out of memory");
	remap_super_encode(super, block);
	/* its number included: behind the last one there is none */
	if (super->seq >= REMAP_MAX_SEQ || remap_super_decode(block, &back) != REMAP_OK)
		return error_set(error, EINVAL, "cannot build a valid superblock for this set");
	for (unsigned int replica = 0; !r && replica < REMAP_REPLICAS; replica++)
		r = commit_super(region, replica, block);
	if (!r) {
		region->super = *super;
		return 0;
	}
	region->in_doubt = put_back(region, block, super->seq + 1) == 0;
	return error_set(error, -r, "cannot write the superblock: %s; %s", strerror(-r),
			 region->in_doubt ? "it may be in effect, because writing the old one "
					    "back failed as well" :
					    "the old one is still in effect");
}

/* The superblock that goes last: the newest, of the start replica if that is whole. */
static unsigned int last_copy(const struct region *region)
{
	return good_copy(region, region->choice.repair[0] ? 1 : 0);
}

static int wipe_super(const struct region *region, unsigned int copy, const void *zeros)
{
	int r = write_block(region->fd, region->start,
			    remap_block_sector(&region->super.geometry, copy / REMAP_PLACES,
					       copy % REMAP_PLACES, 0),
			    zeros);

	return r ? r : durable(region->fd);
}

/* All superblocks but one: the older copies before the newer, or the set would come back older. */
static int wipe_other_supers(const struct region *region, unsigned int last, const void *zeros)
{
	int r = 0;

	for (unsigned int newest = 0; newest < 2; newest++)
		for (unsigned int c = REMAP_COPIES; !r && c-- > 0;) {
			unsigned int replica = c / REMAP_PLACES;
			bool is_newest =
				!region->choice.repair[replica] && c == good_copy(region, replica);

			if (c != last && is_newest == (newest == 1))
				r = wipe_super(region, c, zeros);
		}
	return r;
}

/*
 * All but one superblock, then all else, then that: until it is gone the set is found, and its
 * end goes on.
 */
int region_wipe(const struct region *region, struct error *error)
{
	_cleanup_free_ uint8_t *zeros = zeroed(WIPE_BYTES);
	unsigned int last = last_copy(region);
	int r = zeros ? wipe_other_supers(region, last, zeros) : -ENOMEM;

	if (!r)
		r = wipe_edges(region,
			       remap_block_sector(&region->super.geometry, last / REMAP_PLACES,
						  last % REMAP_PLACES, 0),
			       true, zeros);
	if (!r)
		r = wipe_super(region, last, zeros);
	return r < 0 ? error_set(error, -r, "cannot wipe the spare region: %s", strerror(-r)) : 0;
}

bool region_is_half_wiped(const struct region *region)
{
	_cleanup_free_ uint8_t *block = zeroed(REMAP_BLOCK_BYTES);
	unsigned int nr_left = 0;

	for (unsigned int c = 0; block && c < REMAP_COPIES; c++) {
		uint64_t sector = remap_block_sector(&region->super.geometry, c / REMAP_PLACES,
						     c % REMAP_PLACES, 0);

		nr_left +=
			read_all_at(region->fd, block, REMAP_BLOCK_BYTES,
				    (off_t)((region->start + sector) * REMAP_SECTOR_BYTES)) < 0 ||
			!remap_is_zero(block, REMAP_BLOCK_BYTES);
	}
	return block && nr_left == 1;
}

int region_discard(const struct region *region, struct error *error)
{
	_cleanup_free_ uint8_t *zeros = zeroed(WIPE_BYTES);
	int r = zeros ? 0 : -ENOMEM;

	for (unsigned int newest = 0; zeros && newest < 2; newest++)
		for (unsigned int c = 0; c < REMAP_COPIES; c++) {
			unsigned int replica = c / REMAP_PLACES;
			bool is_newest =
				!region->choice.repair[replica] && c == good_copy(region, replica);
			int own = is_newest == (newest == 1) ? wipe_super(region, c, zeros) : 0;

			r = r ? r : own;
		}
	if (!r)
		r = wipe_edges(region, UINT64_MAX, true, zeros);
	return r < 0 ? error_set(error, -r, "cannot wipe the spare region: %s", strerror(-r)) : 0;
}

int region_wipe_device_end(int fd, uint64_t region_end_sector, uint64_t device_sectors,
			   struct error *error)
{
	uint64_t from = region_end_sector, edge = WIPE_BYTES / REMAP_SECTOR_BYTES;
	_cleanup_free_ uint8_t *zeros = zeroed(WIPE_BYTES);

	if (!zeros)
		return error_set(error, ENOMEM, "out of memory");
	if (device_sectors > edge && from < device_sectors - edge)
		from = device_sectors - edge;
	if (from >= device_sectors)
		return 0;
	return write_all_at(fd, zeros, (device_sectors - from) * REMAP_SECTOR_BYTES,
			    (off_t)(from * REMAP_SECTOR_BYTES)) < 0 ?
		       error_set(error, EIO, "its end cannot be written") :
		       0;
}
