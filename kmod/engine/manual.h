/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What manual.c, request.c and copy.c share: the chunks that the messages `remap`, `remap_list`,
 * `unremap` and `clear` are copying.  Besides them construct.c includes it, which allocates.
 */
#ifndef DM_REMAP_MANUAL_H
#define DM_REMAP_MANUAL_H

#include "engine/internal.h"

/* Chunks that are busy at once, that share one drain, one flush, one commit a block. */
#define REMAP_MANUAL_CHUNKS	256
/* The way back needs the buffer twice: what was written is read again, and compared. */
#define REMAP_MANUAL_BACK	(REMAP_MANUAL_CHUNKS / 2)

/**
 * struct remap_copy - one busy chunk
 * @chunk: of main
 * @slot: of the spare
 * @mask: sectors to move; on a main with large physical blocks, whole ones (D16, D21)
 * @want: sectors that the present pass reads or writes
 * @failed: of those, what failed
 * @lost: sectors of @mask that cannot be read
 * @slot_bad: the slot did not take the data
 * @error: 0: good so far; -EAGAIN: taken back, to be tried again; or another negative errno
 * @at: where the request stood before this chunk
 */
struct remap_copy {
	u64 chunk;
	u32 slot;
	u8 mask;
	u8 want;
	u8 failed;
	u8 lost;
	bool slot_bad;
	int error;
	struct remap_cursor at;
};

/**
 * struct remap_manual - memory of the one operation by hand
 * @lock: one batch at a time; taken before remap_set.lock, and held while no disk command
 *        holds that one: what is below is under it
 * @bio: for @io
 * @io: bio and vectors
 * @buffer: REMAP_MANUAL_CHUNKS chunks
 * @copy: the batch, in the order of the request
 * @change: the same for the commit
 * @nr: how many
 * @span: how many the next batch may have: few, while commands are slow (E8)
 * @careful: of how many of the next chunks one is slow: they go one by one
 * @slow: a command of the batch was
 * @until: jiffies when the present pass begins nothing for further chunks
 */
struct remap_manual {
	struct mutex lock; /* one batch at a time */
	struct bio bio;
	struct remap_io io;
	void *buffer;
	struct remap_copy *copy;
	struct remap_change *change;
	u32 nr;
	u32 span;
	u32 careful;
	bool slow;
	unsigned long until;
};

static inline struct remap_manual *remap_manual(const struct remap_set *set)
{
	return set->engine->manual;
}

static inline struct remap_change *remap_change_of(const struct remap_set *set,
						   const struct remap_copy *copy)
{
	return &set->engine->manual->change[copy - set->engine->manual->copy];
}

/* Which way the present batch copies. */
static inline bool remap_is_back(const struct remap_request *request)
{
	return request->back && !request->rest;
}

/* request.c */
bool remap_request_next(struct remap_set *set, struct remap_request *request, u64 *chunk,
			u8 *mask);
void remap_request_tell(struct remap_set *set, struct remap_request *request);
int remap_request_settle(struct remap_set *set, struct remap_request *request, int r);
bool remap_is_clearable(const struct remap_set *set, u32 slot);

/* pass.c */
struct remap_copy *remap_next_copy(const struct remap_set *set, struct remap_copy *copy);
int remap_pass_through(struct remap_set *set, struct dm_dev *dev, blk_opf_t opf, void *buffer,
		       u32 unit);

/* copy.c */
u8 remap_chunk_mask(const struct remap_set *set, u64 chunk);
u8 remap_whole_blocks(const struct remap_set *set, u64 chunk, u8 mask);
int remap_copy_in(struct remap_set *set);
int remap_copy_back(struct remap_set *set);

#endif /* DM_REMAP_MANUAL_H */
