// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether main is written through its volatile cache (D18).
 *
 * A write that a cache has acknowledged fails later, when there is no bio to
 * relocate any more.  A disk that gets a spare is known to be bad, so by default
 * each write to it is acknowledged only when it is durable.  `keep` leaves it to the
 * cache; `auto` does so until the first error of main.  The superblock says which,
 * unless the table line does.  flow.c does it.
 *
 * Rules kept here:
 *   D18 by default the first failing write succeeds behind a cache, too
 */
#include "life/life.h"
#include "meta/meta.h"

static const char * const names[] = {
	[REMAP_WRITE_THROUGH] = "through",
	[REMAP_WRITE_KEEP] = "keep",
	[REMAP_WRITE_AUTO] = "auto",
};

/**
 * remap_write_cache_name() - what it is called
 * @write_cache: which
 */
const char *remap_write_cache_name(enum remap_write_cache write_cache)
{
	return names[write_cache];
}

/**
 * remap_parse_write_cache() - read its name
 * @word: of a table line or a message
 *
 * Return: enum remap_write_cache, or -EINVAL.
 */
int remap_parse_write_cache(const char *word)
{
	return match_string(names, ARRAY_SIZE(names), word);
}

/**
 * remap_settle_work() - after a change to writing through: what the cache has is flushed
 * @work: remap_set.settle_work
 *
 * Waits for writes that were sent before, without the lock (D20).
 */
void remap_settle_work(struct work_struct *work)
{
	struct remap_set *set = container_of(work, struct remap_set, settle_work);

	remap_settle_main(set);
	mutex_lock(&set->lock);
	if (test_bit(REMAP_ACTIVE, &set->flags))
		remap_store_settings(set);
	remap_unlock(set);
}

/**
 * remap_load_write_cache() - as the superblock says, where the table line does not
 * @set: the set, its superblock loaded; no I/O is on its way
 */
void remap_load_write_cache(struct remap_set *set)
{
	u32 flags = remap_super_flags(set);

	if (!set->options.has_write_cache)
		WRITE_ONCE(set->write_cache, flags & REMAP_SUPER_WRITE_KEEP ? REMAP_WRITE_KEEP :
					     flags & REMAP_SUPER_WRITE_AUTO ? REMAP_WRITE_AUTO :
									      REMAP_WRITE_THROUGH);
}

/**
 * remap_start_write_cache() - on resume, when it is known what is done with main's cache
 * @set: the set, active; no I/O is on its way
 *
 * Main is flushed, so that whatever an earlier owner left in its cache is reported to the
 * first user who flushes, and to none later.
 * Context: preresume, remap_set.lock held.
 */
void remap_start_write_cache(struct remap_set *set)
{
	/* The cache may be off for now, or main fail: until a flush says so it is not empty. */
	remap_gate(set, REMAP_MAIN)->backed |= remap_write_cache(set) != REMAP_WRITE_THROUGH;
	if (remap_is_cached(set, REMAP_MAIN) && !test_bit(REMAP_READ_ONLY, &set->flags))
		remap_settle_main(set);
}

/**
 * remap_set_write_cache() - change it, for the message `write_cache`
 * @set: the set, active
 * @write_cache: what it is from now on
 *
 * Context: may sleep.
 */
void remap_set_write_cache(struct remap_set *set, enum remap_write_cache write_cache)
{
	struct remap_gate *gate = remap_gate(set, REMAP_MAIN);

	mutex_lock(&gate->mutex);
	/* First, so that no flush takes the new ones for durable. */
	gate->backed = true;
	WRITE_ONCE(set->write_cache, write_cache);
	mutex_unlock(&gate->mutex);
	remap_settle_work(&set->settle_work);
}
