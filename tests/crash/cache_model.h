/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk with a volatile write cache, and the states a power cut can leave.
 *
 * Each sector has durable content and, behind it, what was written since and is
 * not flushed.  A power cut leaves in each sector any one of these, whatever it
 * leaves in others.  Content is never copied: it is pointers into the log.
 */
#ifndef CACHE_MODEL_H
#define CACHE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct version;

struct cache_model {
	uint64_t sectors;
	const char **view; /* content in the crash state that is looked at */
	const char **durable;
	struct version **unflushed; /* newest first */
	uint64_t *dirty;	    /* sectors that have unflushed versions */
	bool *listed;		    /* per sector: it is in dirty */
	uint64_t nr_dirty;
	uint64_t *changed; /* sectors whose view is not the durable content */
	uint64_t nr_changed;
};

int cache_init(struct cache_model *disk, uint64_t sectors);
void cache_done(struct cache_model *disk);
void cache_set_initial(struct cache_model *disk, uint64_t sector, const char *data);

/* What the log says, one record after the other; no view may be set. */
void cache_write(struct cache_model *disk, uint64_t sector, uint64_t nr, const char *data,
		 bool durable);
void cache_flush(struct cache_model *disk);
void cache_lose(struct cache_model *disk, uint64_t sector, uint64_t nr);

/*
 * A crash state: of each sector's unflushed versions the newest, none, or a
 * random one with probability keep / 256.  cache_view_sector() changes one
 * sector further, each at most CACHE_VIEW_CHANGES - 1 times; cache_view_end()
 * goes back.
 */
#define CACHE_VIEW_CHANGES 4
void cache_view_random(struct cache_model *disk, unsigned int keep, uint64_t *random);
void cache_view_sector(struct cache_model *disk, uint64_t sector, const char *data);
void cache_view_end(struct cache_model *disk);

/* Whether of the sectors that have unflushed versions some are in the view, and not all. */
bool cache_view_is_torn(const struct cache_model *disk, uint64_t sector, uint64_t nr);

#endif
