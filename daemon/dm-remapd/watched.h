/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sets that the daemon knows of, and what of them survives its restart.
 */
#ifndef DM_REMAP_WATCHED_H
#define DM_REMAP_WATCHED_H

#include "dm.h"
#include "dm_remap.h"
#include "limit.h"
#include "policy.h"

/**
 * struct watched - one active set
 * @device: as it was last seen
 * @policy: what was told of it
 * @limit: per kind of event
 * @seq: number of its last event; 0: none was seen since the last look
 * @activity: sum of its counters when they were last saved
 * @seen: in the present look
 */
struct watched {
	struct dm_device device;
	struct policy_state policy;
	struct limit limit[DM_REMAP_EVENT_MAX + 1];
	uint64_t seq;
	uint64_t activity;
	bool seen;
};

struct watched_list {
	struct watched *at;
	size_t nr;
};

struct watched *watched_find(struct watched_list *list, uint32_t major, uint32_t minor);
/* The one of @device, made if it is not known; NULL: out of memory. */
struct watched *watched_of(struct watched_list *list, const struct dm_device *device);
/* Forgets those that were not seen in the present look. */
void watched_forget_unseen(struct watched_list *list);
/* Changes whenever a counter worth saving does. */
uint64_t watched_activity(const struct dm_device *device);
/* Steps already told, per set: "UUID PERCENT" a line, in @path. */
int watched_save(const struct watched_list *list, const char *path);
unsigned int watched_load_step(const char *path, const char *dm_uuid);

#endif /* DM_REMAP_WATCHED_H */
