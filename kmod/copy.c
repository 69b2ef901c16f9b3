// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying busy chunks between main and the spare, for manual.c alone.
 *
 * It runs without remap_set.lock: the busy marks keep everybody else away from the chunks,
 * and remap_manual.lock from the memory used here, so that a disk which takes half a minute
 * for a sector holds up nothing but what was asked for.  The lock is taken for a moment
 * where main or the spare are probed.
 *
 * A batch is one row of sectors, chunk after chunk, in the buffer; what is next to each other
 * there and on the disk goes out as one bio.  One that fails says nothing about its sectors,
 * so each pass has up to three steps:
 *
 *   1. large bios
 *   2. what failed, by the smallest unit in which the disk can fail
 *   3. between two probes, what failed by itself, once more (D7, E6): only that counts
 *
 * No crash can hurt: the table does not change here, and what is written, a slot that no
 * entry names or sectors of main that a slot serves, is read by nobody yet.
 *
 * Rules kept here:
 *   P2  what cannot be read is lost and reads as an error; nothing is invented
 *   D7  a slot is called bad after a second write, with FUA, between two probes
 *   D21 bios of our own to main cover whole physical blocks
 *   E6  what failed once, and reads well between two good probes, is not lost
 *   E8  commands that are slow end a batch early: no other chunk stays busy for long
 */
#include <linux/jiffies.h>
#include <linux/sched/signal.h>

#include "manual.h"

/* Seconds after which a pass starts no command for another chunk. */
#define PASS_SECONDS	2
/* Jiffies that make a command slow: the pass is over, and the next batches are small (E8). */
#define SLOW_COMMAND	HZ

static unsigned int physical_unit(const struct remap_set *set)
{
	return min_t(unsigned int, REMAP_CHUNK_SECTORS,
		     bdev_physical_block_size(set->main->bdev) >> SECTOR_SHIFT);
}

static unsigned int logical_unit(const struct dm_dev *dev)
{
	return bdev_logical_block_size(dev->bdev) >> SECTOR_SHIFT;
}

/**
 * remap_chunk_mask() - sectors of a chunk that exist
 * @set: the set
 * @chunk: chunk of main; the last one may be shorter
 *
 * Context: any.
 */
u8 remap_chunk_mask(const struct remap_set *set, u64 chunk)
{
	u64 nr = set->ti->len - chunk * REMAP_CHUNK_SECTORS;

	return nr >= REMAP_CHUNK_SECTORS ? 0xff : (u8)GENMASK(nr - 1, 0);
}

/**
 * remap_whole_blocks() - the sectors of all physical blocks of main that some sectors are in
 * @set: the set
 * @chunk: chunk of main
 * @mask: the sectors
 *
 * A disk fails by those, and heals by those.  Context: any.
 */
u8 remap_whole_blocks(const struct remap_set *set, u64 chunk, u8 mask)
{
	unsigned int unit = physical_unit(set);
	unsigned int bit;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit += unit) {
		u8 unit_mask = (u8)(GENMASK(unit - 1, 0) << bit);

		if (mask & unit_mask)
			mask |= unit_mask;
	}
	return mask & remap_chunk_mask(set, chunk);
}

/* The only two that touch media. */
static int read_run(struct remap_set *set, struct dm_dev *dev, sector_t sector, void *buffer,
		    u32 nr_sectors)
{
	return remap_io_rw(set, &set->manual->io, dev, sector, buffer, nr_sectors, REQ_OP_READ);
}

static int write_run(struct remap_set *set, struct dm_dev *dev, sector_t sector, void *buffer,
		     u32 nr_sectors, bool durable)
{
	return remap_io_rw(set, &set->manual->io, dev, sector, buffer, nr_sectors,
			   REQ_OP_WRITE | (durable ? REQ_FUA : 0));
}

/**
 * struct pass - one way of going through the batch
 * @dev: main or the spare
 * @buffer: the first chunk's place
 * @write: else read
 * @durable: with FUA
 * @limit: no bio crosses a multiple of it, in sectors
 */
struct pass {
	struct dm_dev *dev;
	void *buffer;
	bool write;
	bool durable;
	u32 limit;
};

#define NO_LIMIT	(REMAP_MANUAL_CHUNKS * REMAP_CHUNK_SECTORS)

/* Where the sector at @position of the row is on the device. */
static sector_t place(const struct remap_set *set, const struct pass *pass, u32 position)
{
	const struct remap_copy *copy = &set->manual->copy[position / REMAP_CHUNK_SECTORS];
	sector_t start = pass->dev == set->main ? copy->chunk * REMAP_CHUNK_SECTORS :
						  remap_slot_start(set, copy->slot);

	return start + position % REMAP_CHUNK_SECTORS;
}

static bool is_wanted(const struct remap_set *set, u32 position)
{
	const struct remap_copy *copy = &set->manual->copy[position / REMAP_CHUNK_SECTORS];

	return copy->state == REMAP_COPYING &&
	       copy->want & BIT(position % REMAP_CHUNK_SECTORS);
}

/* The next sectors that go out as one bio, from *@position on; how many, 0: none. */
static u32 next_run(const struct remap_set *set, const struct pass *pass, u32 *position)
{
	u32 end = set->manual->nr * REMAP_CHUNK_SECTORS, at = *position;

	while (at < end && !is_wanted(set, at))
		at++;
	*position = at;
	if (at == end)
		return 0;
	do {
		at++;
	} while (at < end && at % pass->limit && is_wanted(set, at) &&
		 place(set, pass, at) == place(set, pass, at - 1) + 1);
	return at - *position;
}

static u32 nr_copying(const struct remap_set *set)
{
	u32 i, nr = 0;

	for (i = 0; i < set->manual->nr; i++)
		nr += set->manual->copy[i].state == REMAP_COPYING;
	return nr;
}

/* Whether the pass has had its time; a single chunk goes on to its end. */
static bool is_over(const struct remap_set *set)
{
	return time_after(jiffies, set->manual->until) && nr_copying(set) > 1;
}

/* What is at @position and behind it, as far as the present pass wanted it. */
static void leave_from(struct remap_set *set, u32 position, u32 end)
{
	u32 i;

	for (i = position / REMAP_CHUNK_SECTORS; i * REMAP_CHUNK_SECTORS < end; i++) {
		if (set->manual->copy[i].want && set->manual->copy[i].state == REMAP_COPYING)
			set->manual->copy[i].state = REMAP_COPY_LEFT;
	}
}

/* A disk may take half a minute for each command: so it is looked between any two (D12). */
static int may_go_on(const struct remap_set *set)
{
	if (test_bit(REMAP_SUSPENDING, &set->flags))
		return -EBUSY;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int run_command(struct remap_set *set, const struct pass *pass, u32 position, u32 nr)
{
	void *buffer = pass->buffer + position * REMAP_SECTOR_BYTES;
	sector_t sector = place(set, pass, position);
	unsigned long begun = jiffies;
	int r = pass->write ? write_run(set, pass->dev, sector, buffer, nr, pass->durable) :
			      read_run(set, pass->dev, sector, buffer, nr);

	if (time_after(jiffies, begun + SLOW_COMMAND)) {
		set->manual->slow = true;
		set->manual->until = begun;
	}
	return r;
}

static void mark_failed(struct remap_set *set, u32 position, u32 nr, u32 unit)
{
	u32 at;

	for (at = position; at < position + nr; at++) {
		struct remap_copy *copy = &set->manual->copy[at / REMAP_CHUNK_SECTORS];

		copy->failed |= BIT(at % REMAP_CHUNK_SECTORS);
		if (nr <= unit)
			copy->known |= BIT(at % REMAP_CHUNK_SECTORS);
	}
}

/*
 * One step: read or write what is wanted; what failed is in remap_copy.failed.  @unit is the
 * smallest that can fail.  Returns an error that says nothing of single sectors (E3).
 */
static int go_through(struct remap_set *set, const struct pass *pass, u32 unit)
{
	u32 i, position = 0, nr, end = set->manual->nr * REMAP_CHUNK_SECTORS;
	int r;

	for (i = 0; i < set->manual->nr; i++)
		set->manual->copy[i].failed = 0;
	while ((nr = next_run(set, pass, &position))) {
		r = may_go_on(set);
		if (r)
			return r;
		if (is_over(set)) {
			leave_from(set, position, end);
			return 0;
		}
		r = run_command(set, pass, position, nr);
		if (r && r != -EIO && r != -ENODATA)
			return r;
		if (r) {
			mark_failed(set, position, nr, unit);
			/* It would take as long again to know which of them it is. */
			if (nr > unit && is_over(set))
				leave_from(set, position, position + nr);
		}
		position += nr;
	}
	return 0;
}

static bool is_alive(struct remap_set *set, const struct dm_dev *dev)
{
	bool alive;

	mutex_lock(&set->lock);
	alive = dev == set->main ? remap_main_alive(set) : remap_spare_alive(set);
	mutex_unlock(&set->lock);
	if (!alive)
		remap_err(set, "%s does not take a probe write: nothing is moved", dev->name);
	return alive;
}

/* What failed is wanted, and nothing else; false: there is none of it. */
static bool want_failed(struct remap_set *set)
{
	bool any = false;
	u32 i;

	for (i = 0; i < set->manual->nr; i++) {
		struct remap_copy *copy = &set->manual->copy[i];

		copy->want = copy->failed;
		any |= copy->want && copy->state == REMAP_COPYING;
	}
	return any;
}

/* Step 2, for what failed in a bio of more than a unit. */
static int narrow(struct remap_set *set, const struct pass *pass, u32 unit)
{
	struct pass small = *pass;
	bool any = false;
	u32 i;
	int r;

	for (i = 0; i < set->manual->nr; i++) {
		struct remap_copy *copy = &set->manual->copy[i];

		copy->want = copy->failed & ~copy->known;
		any |= copy->want && copy->state == REMAP_COPYING;
	}
	if (any) {
		small.limit = unit;
		r = go_through(set, &small, unit);
		if (r)
			return r;
	}
	for (i = 0; i < set->manual->nr; i++)
		set->manual->copy[i].failed = set->manual->copy[i].known;
	return 0;
}

/*
 * All three steps; @unit is the smallest that the device can fail by.  Afterwards
 * remap_copy.failed is what the device does not do, sector by sector.
 */
static int pass_through(struct remap_set *set, const struct pass *pass, u32 unit)
{
	unsigned int logical = logical_unit(pass->dev);
	struct pass again = *pass;
	u32 i;
	int r;

	for (i = 0; i < set->manual->nr; i++)
		set->manual->copy[i].known = 0;
	set->manual->until = jiffies + PASS_SECONDS * HZ;
	r = go_through(set, pass, unit) ?: narrow(set, pass, unit);
	if (r || !want_failed(set))
		return r;
	if (!is_alive(set, pass->dev))
		return -ENODEV;
	again.limit = unit;
	again.durable = pass->write;
	r = go_through(set, &again, unit);
	/*
	 * A disk whose blocks are not what it says may read the good sectors of them; where that
	 * costs seconds each, the block is taken at its word.
	 */
	if (!r && !pass->write && logical < unit && want_failed(set) &&
	    !time_after(jiffies, set->manual->until)) {
		again.limit = logical;
		r = go_through(set, &again, logical);
	}
	if (r)
		return r;
	return want_failed(set) && !is_alive(set, pass->dev) ? -ENODEV : 0;
}

static void fail(struct remap_copy *copy, int error)
{
	if (copy->state != REMAP_COPYING)
		return;
	copy->state = REMAP_COPY_FAILED;
	copy->error = error;
}

static void want_masks(struct remap_set *set)
{
	u32 i;

	for (i = 0; i < set->manual->nr; i++)
		set->manual->copy[i].want = set->manual->copy[i].mask;
}

/*
 * A slot that nobody uses is written whole: scattered chunks, next to each other on the
 * spare, go out as one bio.
 */
static void fill_slot(struct remap_copy *copy, void *buffer)
{
	unsigned int bit;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit++) {
		if (!(copy->want & BIT(bit)))
			memset(buffer + bit * REMAP_SECTOR_BYTES, 0, REMAP_SECTOR_BYTES);
	}
	copy->want = 0xff;
}

/**
 * remap_copy_in() - copy the batch from main to its slots
 * @set: the set; the chunks are busy and drained
 *
 * Context: remap_manual.lock held, remap_set.lock not; may sleep, for as long as a disk takes.
 * Return: 0: remap_copy.state says what became of each; or a negative errno: of none.
 */
int remap_copy_in(struct remap_set *set)
{
	struct remap_manual *manual = set->manual;
	struct pass in = { .dev = set->main, .buffer = manual->buffer, .limit = NO_LIMIT };
	struct pass out = { .dev = set->spare, .buffer = manual->buffer, .limit = NO_LIMIT,
			    .write = true };
	u32 i;
	int r;

	for (i = 0; i < manual->nr; i++)
		manual->copy[i].want = remap_whole_blocks(set, manual->copy[i].chunk,
							  manual->copy[i].mask);
	r = pass_through(set, &in, physical_unit(set));
	if (r)
		return r == -ENODEV ? -EIO : r;
	for (i = 0; i < manual->nr; i++) {
		manual->copy[i].lost = manual->copy[i].failed & manual->copy[i].mask;
		manual->copy[i].want = manual->copy[i].mask & ~manual->copy[i].lost;
		if (manual->change[i].fresh)
			fill_slot(&manual->copy[i], manual->buffer + i * REMAP_CHUNK_BYTES);
	}
	r = pass_through(set, &out, REMAP_CHUNK_SECTORS);
	if (r)
		return r == -EBUSY || r == -EINTR ? r : -EIO;
	for (i = 0; i < manual->nr; i++) {
		struct remap_copy *copy = &manual->copy[i];

		if (!copy->failed || copy->state != REMAP_COPYING)
			continue;
		copy->slot_bad = true;
		fail(copy, -EIO);
		remap_err(set, "%s: spare chunk %u cannot be written", set->spare->name,
			  copy->slot);
	}
	return 0;
}

/* What main gave back, in the second half of the buffer, is what was written. */
static void compare(struct remap_set *set, struct remap_copy *copy, const void *written,
		    const void *back)
{
	unsigned int bit;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit++) {
		if (copy->mask & BIT(bit) && memcmp(written + bit * REMAP_SECTOR_BYTES,
						    back + bit * REMAP_SECTOR_BYTES,
						    REMAP_SECTOR_BYTES))
			copy->failed |= BIT(bit);
	}
}

static void say_failing(struct remap_set *set, struct remap_copy *copy)
{
	if (copy->state != REMAP_COPYING)
		return;
	remap_err(set, "%s: sector %llu still fails: it stays remapped%s", set->main->name,
		  copy->chunk * REMAP_CHUNK_SECTORS + __ffs(copy->failed),
		  copy->mask == remap_chunk_mask(set, copy->chunk) ? "" :
		  " (remap and unremap all 8 sectors of its 4 KiB: a larger write may heal it)");
	fail(copy, -EIO);
}

/**
 * remap_copy_back() - copy the batch from its slots to main, durably, and read it back
 * @set: the set; the chunks are busy and drained; what is copied is not lost
 *
 * Context: as remap_copy_in().  Return: as remap_copy_in().
 */
int remap_copy_back(struct remap_set *set)
{
	struct remap_manual *manual = set->manual;
	void *half = manual->buffer + REMAP_MANUAL_BACK * REMAP_CHUNK_BYTES;
	struct pass slots = { .dev = set->spare, .buffer = manual->buffer, .limit = NO_LIMIT };
	struct pass out = { .dev = set->main, .buffer = manual->buffer, .limit = NO_LIMIT,
			    .write = true, .durable = true };
	struct pass back = { .dev = set->main, .buffer = half, .limit = NO_LIMIT };
	u32 i;
	int r;

	want_masks(set);
	r = pass_through(set, &slots, REMAP_CHUNK_SECTORS);
	if (r)
		return r == -ENODEV ? -EIO : r;
	for (i = 0; i < manual->nr; i++) {
		struct remap_copy *copy = &manual->copy[i];

		if (!copy->failed || copy->state != REMAP_COPYING)
			continue;
		remap_err(set, "%s: slot %u cannot be read: its chunk stays remapped",
			  set->spare->name, copy->slot);
		fail(copy, -EIO);
	}
	want_masks(set);
	r = pass_through(set, &out, REMAP_CHUNK_SECTORS);
	if (r)
		return r == -ENODEV ? -EIO : r;
	for (i = 0; i < manual->nr; i++) {
		if (manual->copy[i].failed)
			say_failing(set, &manual->copy[i]);
	}
	want_masks(set);
	r = pass_through(set, &back, REMAP_CHUNK_SECTORS);
	if (r)
		return r == -ENODEV ? -EIO : r;
	for (i = 0; i < manual->nr; i++) {
		struct remap_copy *copy = &manual->copy[i];

		if (copy->state == REMAP_COPYING)
			compare(set, copy, manual->buffer + i * REMAP_CHUNK_BYTES,
				half + i * REMAP_CHUNK_BYTES);
		if (copy->failed)
			say_failing(set, copy);
	}
	return 0;
}
