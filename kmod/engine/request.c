// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a message asks to be moved by hand: which chunk is next, how many of them make a
 * batch, where to go on after one, and which events are sent.  Called by manual.c alone,
 * under remap_manual.lock; touches no media and changes no entry.
 *
 * Rules kept here:
 *   E8  batches shrink when commands are slow
 */
#include "engine/manual.h"
#include "base/trace.h"

/* Events that are put into the ring before it is given time to empty. */
#define NOTES_AT_ONCE	64

/* The next chunk of a list of ranges, and which of its sectors; false: there is none. */
static bool next_in_ranges(struct remap_request *request, u64 *chunk, u8 *mask)
{
	struct remap_cursor *at = &request->at;
	u64 sector, nr, bit, end = 0;

	*mask = 0;
	for (; at->index < request->nr_ranges; at->index++, at->done = 0) {
		request->range(request, at->index, &sector, &nr);
		if (at->done >= nr)
			continue;
		sector += at->done;
		nr -= at->done;
		/* The rest of a chunk may be in the next range. */
		if (*mask && sector != end)
			break;
		bit = sector & (REMAP_CHUNK_SECTORS - 1);
		nr = min_t(u64, nr, REMAP_CHUNK_SECTORS - bit);
		if (*mask && !bit)
			break;
		*chunk = sector / REMAP_CHUNK_SECTORS;
		*mask |= (u8)(GENMASK(nr - 1, 0) << bit);
		at->done += nr;
		end = sector + nr;
		if (bit + nr == REMAP_CHUNK_SECTORS)
			break;
	}
	return *mask;
}

/**
 * remap_is_clearable() - whether `clear` moves the chunk of a slot
 * @set: the set
 * @slot: the slot
 *
 * Not the anchor, nor what hides main's signatures.  Context: remap_set.lock held.
 */
bool remap_is_clearable(const struct remap_set *set, u32 slot)
{
	u64 word = set->table.word[slot];

	return REMAP_WORD_REDIRECTED(word) &&
	       (word & REMAP_WORD_CHUNK) != remap_probe_chunk(set) &&
	       (u8)(set->table.prov[slot] >> 32) != REMAP_CAUSE_GUARD;
}

/**
 * remap_request_next() - the next chunk of a request
 * @set: the set
 * @request: stands behind it afterwards
 * @chunk: set to its number
 * @mask: set to its sectors that are asked for
 *
 * Context: remap_set.lock held.  Return: whether there is one.
 */
bool remap_request_next(struct remap_set *set, struct remap_request *request, u64 *chunk,
			u8 *mask)
{
	if (!request->all)
		return next_in_ranges(request, chunk, mask);
	for (; request->at.index < remap_geometry(set)->slots; request->at.index++) {
		if (!remap_is_clearable(set, request->at.index))
			continue;
		*chunk = set->table.word[request->at.index++] & REMAP_WORD_CHUNK;
		*mask = 0xff;
		return true;
	}
	return false;
}

/* Reported as one: what lies next to each other on main and on the spare. */
static bool is_next(const struct remap_set *set, const struct remap_copy *a,
		    const struct remap_copy *b)
{
	return a && a->chunk + 1 == b->chunk && a->slot + 1 == b->slot &&
	       a->mask >> 7 && b->mask & 1 &&
	       (remap_change_of(set, a)->prov ^ remap_change_of(set, b)->prov) >> 32 == 0;
}

static void note_moved(struct remap_set *set, bool back)
{
	struct remap_copy *copy = NULL, *last = NULL;
	struct remap_event event = { };
	u32 nr_notes = 0;

	for (; (copy = remap_next_copy(set, copy)); last = copy) {
		u64 start = copy->chunk * REMAP_CHUNK_SECTORS;

		if (!is_next(set, last, copy)) {
			if (last)
				remap_queue_event(set, &event);
			event = (struct remap_event){
				.kind = back ? DM_REMAP_EVENT_UNREMAPPED : DM_REMAP_EVENT_REMAPPED,
				.sector = start + __ffs(copy->mask),
				.has_slot = true,
				.slot = copy->slot,
				.cause = back ? 0 : remap_change_of(set, copy)->prov >> 32,
			};
			if (++nr_notes % NOTES_AT_ONCE == 0)
				flush_work(&set->events.work);
		}
		event.nr_sectors = start + fls(copy->mask) - event.sector;
		event.number += hweight8(copy->lost);
	}
	if (last)
		remap_queue_event(set, &event);
}

/**
 * remap_request_tell() - events, traces and counts of a batch that is finished
 * @set: the set
 * @request: gets the sectors that were lost
 *
 * Context: remap_manual.lock held, remap_set.lock not; may sleep.
 */
void remap_request_tell(struct remap_set *set, struct remap_request *request)
{
	struct remap_manual *manual = remap_manual(set);
	bool back = remap_is_back(request);
	u32 i;

	note_moved(set, back);
	for (i = 0; i < manual->nr; i++) {
		const struct remap_copy *copy = &manual->copy[i];

		if (back)
			trace_dm_remap_unremap(set, copy->chunk, copy->mask, copy->error);
		else
			trace_dm_remap_remap(set, copy->chunk, copy->mask, copy->error);
		if (!copy->error && copy->lost) {
			request->nr_lost += hweight8(copy->lost);
			remap_warn_ratelimited(set, "%s: chunk at sector %llu: %u sectors could not be read and are lost",
					       set->main->name, copy->chunk * REMAP_CHUNK_SECTORS,
					       hweight8(copy->lost));
		}
	}
}

/*
 * How many the next batch may have.  When a slow command says only that one of many chunks is
 * slow, they go one by one until it is found, and as long as each is; then they may soon be
 * many again (E8).
 */
static void adapt_span(struct remap_manual *manual, u32 nr_left, u32 nr_done)
{
	if (manual->slow) {
		manual->span = 1;
		manual->careful = nr_left;
	} else if (manual->careful) {
		manual->careful -= min(manual->careful, nr_done);
	} else if (nr_left) {
		manual->span = max(nr_done, 1U);
	} else {
		manual->span = min_t(u32, 2 * manual->span, REMAP_MANUAL_CHUNKS);
	}
}

/**
 * remap_request_settle() - what became of the batch: where the request goes on
 * @set: the set
 * @request: stands behind the batch; set back to the first chunk that has to be tried again
 * @r: the error at which marking stopped, behind the batch, or 0
 *
 * Context: remap_manual.lock held.  Return: 0: the request goes on; or its first error.
 */
int remap_request_settle(struct remap_set *set, struct remap_request *request, int r)
{
	struct remap_manual *manual = remap_manual(set);
	const struct remap_cursor *left = NULL;
	u32 i, nr_left = 0, nr_done = 0;
	int error = 0;

	for (i = 0; i < manual->nr; i++) {
		const struct remap_copy *copy = &manual->copy[i];

		nr_done += !copy->error;
		nr_left += copy->error == -EAGAIN && !copy->slot_bad;
		if (copy->error == -EAGAIN)
			left = left ?: &copy->at;
		else if (copy->error &&
			 (!request->all || copy->error == -EBUSY || copy->error == -EINTR))
			error = error ?: copy->error;
	}
	adapt_span(manual, nr_left, nr_done);
	/* The chunk of which the rest cannot be copied stays: `clear` goes on behind it. */
	if (request->rest && !nr_done && !left)
		request->at.index = manual->copy[0].slot + 1;
	if (error || !left)
		return error ?: r;
	/* A bad slot: there may be a better one. */
	request->nr_tries = nr_done || nr_left ? 0 : request->nr_tries + 1;
	if (request->nr_tries == REMAP_SLOT_TRIES)
		return -EIO;
	request->at = *left;
	request->is_done = false;
	return 0;
}
