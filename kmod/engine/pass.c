// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and writing a batch of busy chunks, for copy.c alone.
 *
 * A batch is one row of sectors, chunk after chunk, in the buffer; what is next to each other
 * there and on the disk goes out as one bio.  One that fails says nothing about its sectors,
 * so each pass has up to two steps:
 *
 *   1. large bios; one that fails is sent again by the smallest unit in which the disk can fail
 *   2. between two probes, what failed, once more (D7, E6): only that counts
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

/**
 * struct pass - one way of going through the batch
 * @dev: main or the spare
 * @buffer: the first chunk's place
 * @opf: REQ_OP_READ, or REQ_OP_WRITE | REQ_FUA
 * @unit: sectors: the smallest that the device can fail by
 */
struct pass {
	struct dm_dev *dev;
	void *buffer;
	blk_opf_t opf;
	u32 unit;
};

/**
 * remap_next_copy() - the next chunk of the batch that is good so far
 * @set: the set
 * @copy: the one before, or NULL
 *
 * Context: remap_manual.lock held.  Return: the chunk, or NULL.
 */
struct remap_copy *remap_next_copy(const struct remap_set *set, struct remap_copy *copy)
{
	struct remap_manual *manual = remap_manual(set);

	for (copy = copy ? copy + 1 : manual->copy; copy < manual->copy + manual->nr; copy++) {
		if (!copy->error)
			return copy;
	}
	return NULL;
}

static struct remap_copy *copy_at(const struct remap_set *set, u32 position)
{
	return &remap_manual(set)->copy[position / REMAP_CHUNK_SECTORS];
}

/* Where the sector at @position of the row is on the device. */
static sector_t place_of(const struct remap_set *set, const struct pass *pass, u32 position)
{
	const struct remap_copy *copy = copy_at(set, position);
	sector_t start = pass->dev == set->main ? copy->chunk * REMAP_CHUNK_SECTORS :
						  remap_slot_start(set, copy->slot);

	return start + position % REMAP_CHUNK_SECTORS;
}

static bool is_wanted(const struct remap_set *set, u32 position)
{
	const struct remap_copy *copy = copy_at(set, position);

	return !copy->error && copy->want & BIT(position % REMAP_CHUNK_SECTORS);
}

/*
 * The next sectors that go out as one bio, from *@position on, those before @small by units; how
 * many, 0: none.
 */
static u32 next_run(const struct remap_set *set, const struct pass *pass, u32 *position, u32 small)
{
	u32 end = remap_manual(set)->nr * REMAP_CHUNK_SECTORS, at = *position;

	while (at < end && !is_wanted(set, at))
		at++;
	*position = at;
	if (at == end)
		return 0;
	small = at < small ? pass->unit : end;
	do {
		at++;
	} while (at < end && at % small && is_wanted(set, at) &&
		 place_of(set, pass, at) == place_of(set, pass, at - 1) + 1);
	return at - *position;
}

/* Whether the pass has had its time; a single chunk goes on to its end. */
static bool is_over(const struct remap_set *set)
{
	struct remap_copy *first = remap_next_copy(set, NULL);

	return time_after(jiffies, remap_manual(set)->until) && first &&
	       remap_next_copy(set, first);
}

/* What is at @position and behind it, as far as the present pass wanted it. */
static void leave_from(struct remap_set *set, u32 position, u32 end)
{
	struct remap_copy *copy;

	for (copy = copy_at(set, position); copy <= copy_at(set, end - 1); copy++) {
		if (copy->want && !copy->error)
			copy->error = -EAGAIN;
	}
}

/* A disk may take half a minute for each command: so it is looked between any two (D12). */
static int may_go_on(const struct remap_set *set)
{
	if (test_bit(REMAP_SUSPENDING, &set->flags))
		return -EBUSY;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* The only one that touches media. */
static int run_command(struct remap_set *set, const struct pass *pass, u32 position, u32 nr)
{
	struct remap_manual *manual = remap_manual(set);
	unsigned long begun = jiffies;
	int r;

	/* A late error of a write is not taken for that of what the worker confirms (D19). */
	if (op_is_write(pass->opf))
		down_read(&set->flow.copying);
	r = remap_io_rw(set, &manual->io, pass->dev, place_of(set, pass, position),
			pass->buffer + position * REMAP_SECTOR_BYTES, nr, pass->opf);
	if (op_is_write(pass->opf))
		up_read(&set->flow.copying);
	if (time_after(jiffies, begun + SLOW_COMMAND)) {
		manual->slow = true;
		manual->until = begun;
	}
	return r;
}

/*
 * Read or write what is wanted, if @small by units; what failed is in remap_copy.failed.
 * Returns an error that says nothing of single sectors (E3).
 */
static int go_through(struct remap_set *set, const struct pass *pass, bool small)
{
	struct remap_manual *manual = remap_manual(set);
	u32 end = manual->nr * REMAP_CHUNK_SECTORS, small_end = small ? end : 0;
	u32 i, position = 0, nr;
	int r;

	for (i = 0; i < manual->nr; i++)
		manual->copy[i].failed = 0;
	while ((nr = next_run(set, pass, &position, small_end))) {
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
		if (r && nr > pass->unit) {
			small_end = position + nr;
			/* It would take as long again to know which of them it is. */
			if (is_over(set))
				leave_from(set, position, small_end);
			continue;
		}
		for (i = position; r && i < position + nr; i++)
			copy_at(set, i)->failed |= BIT(i % REMAP_CHUNK_SECTORS);
		position += nr;
	}
	return 0;
}

/* A main of several disks must live wherever something failed (E9). */
static bool is_near_alive(struct remap_set *set)
{
	struct remap_copy *copy = NULL;
	bool alive = true;

	remap_hold_main(set);
	while (alive && (copy = remap_next_copy(set, copy))) {
		if (copy->failed)
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
		remap_err(set, "%s: probe write failed: nothing is moved", dev->name);
	return alive;
}

/* What failed is wanted, and nothing else; false: there is none of it. */
static bool want_failed(struct remap_set *set)
{
	struct remap_copy *copy = NULL;
	bool any = false;

	while ((copy = remap_next_copy(set, copy))) {
		copy->want = copy->failed;
		any |= copy->want;
	}
	return any;
}

/**
 * remap_pass_through() - read or write what is wanted of the batch, both steps
 * @set: the set; remap_copy.want says what, remap_copy.failed what the device did not do
 * @dev: main or the spare
 * @opf: REQ_OP_READ, or REQ_OP_WRITE | REQ_FUA
 * @buffer: the first chunk's place
 * @unit: sectors: the smallest that the device can fail by
 *
 * Context: remap_manual.lock held, remap_set.lock not; may sleep.
 * Return: 0; -EBUSY or -EINTR: it has to stop; another errno says nothing of single sectors.
 */
int remap_pass_through(struct remap_set *set, struct dm_dev *dev, blk_opf_t opf, void *buffer,
		       u32 unit)
{
	struct pass pass = { .dev = dev, .buffer = buffer, .opf = opf, .unit = unit };
	u32 logical = bdev_logical_block_size(dev->bdev) >> SECTOR_SHIFT;
	int r;

	remap_manual(set)->until = jiffies + PASS_SECONDS * HZ;
	r = go_through(set, &pass, false);
	if (r || !want_failed(set))
		return r;
	if (!is_alive(set, dev))
		return -EIO;
	r = go_through(set, &pass, true);
	/*
	 * A disk whose blocks are not what it says may read the good sectors of them; where that
	 * costs seconds each, the block is taken at its word.
	 */
	if (!r && !op_is_write(opf) && logical < unit && want_failed(set) &&
	    !time_after(jiffies, remap_manual(set)->until)) {
		pass.unit = logical;
		r = go_through(set, &pass, true);
	}
	if (r)
		return r;
	return want_failed(set) && !is_alive(set, dev) ? -EIO : 0;
}
