// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and writing a batch of busy chunks, for copy.c alone.
 *
 * A batch is one row of sectors, chunk after chunk, in the buffer; what is next to each other
 * there and on the disk goes out as one bio.  One that fails says nothing about its sectors,
 * so each pass has up to three steps:
 *
 *   1. large bios
 *   2. what failed, by the smallest unit in which the disk can fail
 *   3. between two probes, what failed by itself, once more (D7, E6): only that counts
 *
 * remap_set.lock is taken for a moment where main or the spare are probed.
 *
 * Rules kept here:
 *   D7  a slot is called bad after a second write, with FUA, between two probes
 *   E6  what failed once, and reads well between two good probes, is not lost
 *   E8  commands that are slow end a batch early: no other chunk stays busy for long
 */
#include <linux/jiffies.h>
#include <linux/sched/signal.h>

#include "engine/manual.h"

/* Seconds after which a pass starts no command for another chunk. */
#define PASS_SECONDS	2
/* Jiffies that make a command slow: the pass is over, and the next batches are small (E8). */
#define SLOW_COMMAND	HZ

static unsigned int logical_unit(const struct dm_dev *dev)
{
	return bdev_logical_block_size(dev->bdev) >> SECTOR_SHIFT;
}

/* The only two that touch media. */
static int read_run(struct remap_set *set, struct dm_dev *dev, sector_t sector, void *buffer,
		    u32 nr_sectors)
{
	return remap_io_rw(set, &remap_manual(set)->io, dev, sector, buffer, nr_sectors,
			   REQ_OP_READ);
}

static int write_run(struct remap_set *set, struct dm_dev *dev, sector_t sector, void *buffer,
		     u32 nr_sectors, bool durable)
{
	int r;

	/* A late error of this one is not taken for that of what the worker confirms (D19). */
	down_read(&set->flow.copying);
	r = remap_io_rw(set, &remap_manual(set)->io, dev, sector, buffer, nr_sectors,
			REQ_OP_WRITE | (durable ? REQ_FUA : 0));
	up_read(&set->flow.copying);
	return r;
}

/* Where the sector at @position of the row is on the device. */
static sector_t place(const struct remap_set *set, const struct remap_pass *pass, u32 position)
{
	const struct remap_copy *copy = &remap_manual(set)->copy[position / REMAP_CHUNK_SECTORS];
	sector_t start = pass->dev == set->main ? copy->chunk * REMAP_CHUNK_SECTORS :
						  remap_slot_start(set, copy->slot);

	return start + position % REMAP_CHUNK_SECTORS;
}

static bool is_wanted(const struct remap_set *set, u32 position)
{
	const struct remap_copy *copy = &remap_manual(set)->copy[position / REMAP_CHUNK_SECTORS];

	return copy->state == REMAP_COPYING &&
	       copy->want & BIT(position % REMAP_CHUNK_SECTORS);
}

/* The next sectors that go out as one bio, from *@position on; how many, 0: none. */
static u32 next_run(const struct remap_set *set, const struct remap_pass *pass, u32 *position)
{
	u32 end = remap_manual(set)->nr * REMAP_CHUNK_SECTORS, at = *position;

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

	for (i = 0; i < remap_manual(set)->nr; i++)
		nr += remap_manual(set)->copy[i].state == REMAP_COPYING;
	return nr;
}

/* Whether the pass has had its time; a single chunk goes on to its end. */
static bool is_over(const struct remap_set *set)
{
	return time_after(jiffies, remap_manual(set)->until) && nr_copying(set) > 1;
}

/* What is at @position and behind it, as far as the present pass wanted it. */
static void leave_from(struct remap_set *set, u32 position, u32 end)
{
	u32 i;

	for (i = position / REMAP_CHUNK_SECTORS; i * REMAP_CHUNK_SECTORS < end; i++) {
		struct remap_copy *copy = &remap_manual(set)->copy[i];

		if (copy->want && copy->state == REMAP_COPYING)
			copy->state = REMAP_COPY_LEFT;
	}
}

/* A disk may take half a minute for each command: so it is looked between any two (D12). */
static int may_go_on(const struct remap_set *set)
{
	if (test_bit(REMAP_SUSPENDING, &set->flags))
		return -EBUSY;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int run_command(struct remap_set *set, const struct remap_pass *pass, u32 position, u32 nr)
{
	void *buffer = pass->buffer + position * REMAP_SECTOR_BYTES;
	sector_t sector = place(set, pass, position);
	unsigned long begun = jiffies;
	int r = pass->write ? write_run(set, pass->dev, sector, buffer, nr, pass->durable) :
			      read_run(set, pass->dev, sector, buffer, nr);

	if (time_after(jiffies, begun + SLOW_COMMAND)) {
		remap_manual(set)->slow = true;
		remap_manual(set)->until = begun;
	}
	return r;
}

static void mark_failed(struct remap_set *set, u32 position, u32 nr, u32 unit)
{
	u32 at;

	for (at = position; at < position + nr; at++) {
		struct remap_copy *copy = &remap_manual(set)->copy[at / REMAP_CHUNK_SECTORS];

		copy->failed |= BIT(at % REMAP_CHUNK_SECTORS);
		if (nr <= unit)
			copy->known |= BIT(at % REMAP_CHUNK_SECTORS);
	}
}

/*
 * One step: read or write what is wanted; what failed is in remap_copy.failed.  @unit is the
 * smallest that can fail.  Returns an error that says nothing of single sectors (E3).
 */
static int go_through(struct remap_set *set, const struct remap_pass *pass, u32 unit)
{
	u32 i, position = 0, nr, end = remap_manual(set)->nr * REMAP_CHUNK_SECTORS;
	int r;

	for (i = 0; i < remap_manual(set)->nr; i++)
		remap_manual(set)->copy[i].failed = 0;
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

/* A main of several disks must live wherever something failed (E9). */
static bool is_near_alive(struct remap_set *set)
{
	bool alive = true;
	u32 i;

	remap_hold_main(set);
	for (i = 0; i < remap_manual(set)->nr && alive; i++) {
		const struct remap_copy *copy = &remap_manual(set)->copy[i];

		if (copy->failed && copy->state == REMAP_COPYING)
			alive = remap_ping_near(set, copy->chunk * REMAP_CHUNK_SECTORS);
	}
	remap_unhold_main(set);
	return alive;
}

static bool is_alive(struct remap_set *set, const struct dm_dev *dev)
{
	bool alive;

	mutex_lock(&set->lock);
	alive = dev != set->main ? remap_ping_spare(set) :
		remap_is_one_disk(set) ? remap_ping_main(set) : is_near_alive(set);
	remap_unlock(set);
	if (!alive)
		remap_err(set, "%s does not take a probe write: nothing is moved", dev->name);
	return alive;
}

/* What failed is wanted, and nothing else; false: there is none of it. */
static bool want_failed(struct remap_set *set)
{
	bool any = false;
	u32 i;

	for (i = 0; i < remap_manual(set)->nr; i++) {
		struct remap_copy *copy = &remap_manual(set)->copy[i];

		copy->want = copy->failed;
		any |= copy->want && copy->state == REMAP_COPYING;
	}
	return any;
}

/* Step 2, for what failed in a bio of more than a unit. */
static int narrow(struct remap_set *set, const struct remap_pass *pass, u32 unit)
{
	struct remap_pass small = *pass;
	bool any = false;
	u32 i;
	int r;

	for (i = 0; i < remap_manual(set)->nr; i++) {
		struct remap_copy *copy = &remap_manual(set)->copy[i];

		copy->want = copy->failed & ~copy->known;
		any |= copy->want && copy->state == REMAP_COPYING;
	}
	if (any) {
		small.limit = unit;
		r = go_through(set, &small, unit);
		if (r)
			return r;
	}
	for (i = 0; i < remap_manual(set)->nr; i++)
		remap_manual(set)->copy[i].failed = remap_manual(set)->copy[i].known;
	return 0;
}

/**
 * remap_pass_through() - read or write what is wanted of the batch, all three steps
 * @set: the set; remap_copy.want says what, remap_copy.failed what the device did not do
 * @pass: which way
 * @unit: sectors: the smallest that the device can fail by
 *
 * Context: remap_manual.lock held, remap_set.lock not; may sleep.
 * Return: 0; -EBUSY or -EINTR: it has to stop; another errno says nothing of single sectors.
 */
int remap_pass_through(struct remap_set *set, const struct remap_pass *pass, u32 unit)
{
	unsigned int logical = logical_unit(pass->dev);
	struct remap_pass again = *pass;
	u32 i;
	int r;

	for (i = 0; i < remap_manual(set)->nr; i++)
		remap_manual(set)->copy[i].known = 0;
	remap_manual(set)->until = jiffies + PASS_SECONDS * HZ;
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
	    !time_after(jiffies, remap_manual(set)->until)) {
		again.limit = logical;
		r = go_through(set, &again, logical);
	}
	if (r)
		return r;
	return want_failed(set) && !is_alive(set, pass->dev) ? -ENODEV : 0;
}
