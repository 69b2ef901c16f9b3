// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of the worker and of what is moved by hand.
 *
 * Rules kept here:
 *   P6  an I/O waits for no memory: all it needs is there before the first one
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "engine/manual.h"

#define CLONE_POOL	64

static void free_manual(struct remap_manual *manual)
{
	if (!manual)
		return;
	vfree(manual->buffer);
	kfree(manual->io.vecs);
	kvfree(manual->copy);
	kvfree(manual->change);
	mutex_destroy(&manual->lock);
	kfree(manual);
}

static int allocate_manual(struct remap_set *set)
{
	struct remap_manual *manual = kzalloc(sizeof(*manual), GFP_KERNEL);

	if (!manual)
		return -ENOMEM;
	set->engine->manual = manual;
	mutex_init(&manual->lock);
	manual->span = REMAP_MANUAL_CHUNKS;
	manual->buffer = vmalloc(array_size(REMAP_MANUAL_CHUNKS, REMAP_CHUNK_BYTES));
	manual->io.bio = &manual->bio;
	manual->io.vecs = kcalloc(BIO_MAX_VECS, sizeof(*manual->io.vecs), GFP_KERNEL);
	manual->copy = kvcalloc(REMAP_MANUAL_CHUNKS, sizeof(*manual->copy), GFP_KERNEL);
	manual->change = kvcalloc(REMAP_MANUAL_CHUNKS, sizeof(*manual->change), GFP_KERNEL);
	return manual->buffer && manual->io.vecs && manual->copy && manual->change ? 0 : -ENOMEM;
}

/**
 * remap_engine_init() - allocate
 * @set: the set
 *
 * Context: constructor.  Return: 0 or -ENOMEM; remap_engine_exit() frees what was allocated.
 */
int remap_engine_init(struct remap_set *set)
{
	struct remap_engine *engine = kzalloc(sizeof(*engine), GFP_KERNEL);

	if (!engine)
		return -ENOMEM;
	set->engine = engine;
	bio_list_init(&engine->round);
	bio_list_init(&engine->parked);
	init_completion(&engine->subs_done);
	engine->tokens = U64_MAX;
	engine->tokens_at = jiffies;
	engine->piece = kvcalloc(REMAP_ROUND_PIECES, sizeof(*engine->piece), GFP_KERNEL);
	/* Behind the changes of a round: slots that turned out to be bad. */
	engine->change = kvcalloc(2 * REMAP_ROUND_PIECES, sizeof(*engine->change), GFP_KERNEL);
	if (!engine->piece || !engine->change)
		return -ENOMEM;
	return allocate_manual(set) ?:
	       bioset_init(&engine->clones, CLONE_POOL, remap_sub_front_pad(), 0);
}

/**
 * remap_engine_exit() - free
 * @set: the set; nothing of it runs any more
 */
void remap_engine_exit(struct remap_set *set)
{
	struct remap_engine *engine = set->engine;

	if (!engine)
		return;
	bioset_exit(&engine->clones);
	kvfree(engine->piece);
	kvfree(engine->change);
	free_manual(engine->manual);
	kfree(engine);
}

/**
 * remap_tokens() - what the storm limit leaves to the next table (E7)
 * @set: the set
 *
 * Context: remap_set.lock held, or the set is suspended.
 */
u64 remap_tokens(const struct remap_set *set)
{
	return set->engine->tokens;
}

/**
 * remap_set_tokens() - how many chunks may be remapped before the storm limit
 * @set: the set
 * @tokens: more than the bucket holds: as many as that
 *
 * Context: remap_set.lock held.
 */
void remap_set_tokens(struct remap_set *set, u64 tokens)
{
	set->engine->tokens = tokens;
}
