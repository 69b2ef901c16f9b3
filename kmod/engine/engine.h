/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Failed writes, and what is moved by hand.  struct remap_engine is this layer's own.
 */
#ifndef DM_REMAP_ENGINE_H
#define DM_REMAP_ENGINE_H

#include "base/set.h"

/**
 * struct remap_cursor - where a request stands
 * @index: range, or slot
 * @done: sectors of the range
 */
struct remap_cursor {
	u32 index;
	u64 done;
};

/**
 * struct remap_request - sectors to move by hand
 * @back: from the spare to main
 * @all: whatever can be; else:
 * @nr_ranges: how many ranges
 * @range: the range number @index, inside the mapped device, at least one sector
 * @data: for @range
 * @cause: to be recorded: enum remap_cause
 * @nr_lost: out: sectors that could not be read
 * @at: the next chunk
 * @is_done: nothing is left
 * @rest: the present batch copies the rest of physical blocks to the spare
 * @nr_tries: slots in a row that turned out to be bad
 */
struct remap_request {
	bool back;
	bool all;
	u32 nr_ranges;
	void (*range)(const struct remap_request *request, u32 index, u64 *sector,
		      u64 *nr_sectors);
	const void *data;
	u8 cause;
	u64 nr_lost;
	struct remap_cursor at;
	bool is_done;
	bool rest;
	u32 nr_tries;
};

/* engine.c */
int remap_engine_init(struct remap_set *set);
void remap_engine_exit(struct remap_set *set);
u64 remap_tokens(const struct remap_set *set);
void remap_set_tokens(struct remap_set *set, u64 tokens);

/* manual.c: takes remap_manual.lock and remap_set.lock; not from remap_queue.wq */
int remap_do_request(struct remap_set *set, struct remap_request *request);
int remap_clear(struct remap_set *set, u32 *nr_kept, u32 *nr_guard);
void remap_wait_for_manual(struct remap_set *set);

/* Works that the constructor installs: scan.c, worker.c. */
void remap_scan_work(struct work_struct *work);
void remap_worker(struct work_struct *work);

#endif /* DM_REMAP_ENGINE_H */
