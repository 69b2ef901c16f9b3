/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far the scrub of a set has come, and what the last one found: a small file in the state
 * directory, replaced as a whole, with a checksum.  Text in, text out, but for its file.
 */
#ifndef DM_REMAP_SCRUB_STATE_H
#define DM_REMAP_SCRUB_STATE_H

#include "scrub/plan.h"

enum scrub_part {
	SCRUB_SET,   /* the mapped device */
	SCRUB_SPARE, /* the region on the spare: metadata and slots */
	NR_SCRUB_PARTS,
};

/* What the kernel said of the copies of the metadata. */
enum scrub_metadata {
	SCRUB_METADATA_OPEN,
	SCRUB_METADATA_GOOD,
	SCRUB_METADATA_FAILED,
	NR_SCRUB_METADATA,
};

/**
 * struct scrub_result - of a scrub that came to its end
 * @ended: seconds since 1970; 0: there is none
 * @unreadable: sectors of the set that could not be read, and were not lost before
 * @salvaged: of these moved to the spare: what could not be read of them is lost
 * @open: sectors that could not be looked at in the time
 * @spare_unreadable: sectors of the spare
 * @slow: reads that took long
 * @metadata: enum scrub_metadata
 */
struct scrub_result {
	uint64_t ended;
	uint64_t unreadable;
	uint64_t salvaged;
	uint64_t open;
	uint64_t spare_unreadable;
	uint64_t slow;
	uint64_t metadata;
};

/**
 * struct scrub_state - of a set
 * @begun: seconds since 1970; 0: there was never a scrub
 * @saved: seconds since 1970, when this was written
 * @worked_ms: that it has taken so far, without the times when it did not run
 * @is_wanted: it goes on by itself, as after a boot; false: it ended, or was stopped
 * @is_finished: it came to its end
 * @metadata: enum scrub_metadata
 * @repaired: copies that were rewritten
 * @salvaged: see struct scrub_result
 * @plan: of each part
 * @last: the last one that came to its end
 * @good: when one last ended that could read all; 0: none
 */
struct scrub_state {
	uint64_t begun;
	uint64_t saved;
	uint64_t worked_ms;
	bool is_wanted;
	bool is_finished;
	uint64_t metadata;
	uint64_t repaired;
	uint64_t salvaged;
	struct plan plan[NR_SCRUB_PARTS];
	struct scrub_result last;
	uint64_t good;
};

/**
 * struct scrub_summary - what is left when the plans are gone
 * @last: the last one that came to its end; it ended at 0: there was none
 * @good: see struct scrub_state
 * @nr_sectors: of the set and its spare
 * @open: of these that the present one, or the last one, has not read
 */
struct scrub_summary {
	struct scrub_result last;
	uint64_t good;
	uint64_t nr_sectors;
	uint64_t open;
};

void scrub_summarise(const struct scrub_state *state, struct scrub_summary *summary);
void scrub_state_done(struct scrub_state *state);
#define _cleanup_scrub_ _cleanup_(scrub_state_done)

/* The caller frees *@text. */
int scrub_state_format(const struct scrub_state *state, char **text, size_t *nr_bytes);
/* -EBADMSG: it is damaged, or of another release. */
int scrub_state_parse(const char *text, size_t nr_bytes, struct scrub_state *state);

/* @key: as of the history of a set.  -ENOENT: there was never a scrub; -EBADMSG. */
int scrub_state_load(const char *key, struct scrub_state *state);
int scrub_state_save(const char *key, struct scrub_state *state);
int scrub_state_path(const char *key, char *path, size_t nr_bytes);

/* In thousandths: how much was read. */
unsigned int scrub_permille(const struct scrub_state *state);
/* Seconds left at the speed so far; 0: that cannot be told yet. */
uint64_t scrub_seconds_left(const struct scrub_state *state);
/* Whether both parts were read to their end. */
bool scrub_is_over(const struct scrub_state *state);

#endif /* DM_REMAP_SCRUB_STATE_H */
