/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sets that the daemon knows of, and what of them survives its restart.
 */
#ifndef DM_REMAP_WATCHED_H
#define DM_REMAP_WATCHED_H

#include "dm_remap.h"
#include "limit.h"
#include "policy.h"
#include "rescue.h"
#include "system/dm.h"

/**
 * struct watched - one active set
 * @device: as it was last seen
 * @policy: what was told of it
 * @limit: per kind of event
 * @seq: number of its last event; 0: none was seen since the last poll
 * @gap: numbers of its events were missed since the last poll
 * @activity: sum of its counters when they were last saved
 * @save_failed: the last save failed, and that was told
 * @storm: mode frozen: a storm did it, or it was so when the set was first seen
 * @thaw: storms that the daemon ended by itself
 * @reported: udev reported a member under the number that is in the table
 * @is_gone: index 0 main, 1 the spare: the device went from under the set, and that was told
 * @rescue: what is to be rescued
 * @seen: in the present poll
 */
struct watched {
	struct dm_device device;
	struct policy_state policy;
	struct rescue rescue;
	bool save_failed;
	bool storm;
	struct thaw_budget thaw;
	bool reported;
	bool is_gone[2];
	struct limit limit[DM_REMAP_EVENT_MAX + 1];
	uint64_t seq;
	bool gap;
	uint64_t activity;
	bool seen;
};

/* So many sets that are not active are remembered; the longest forgotten goes first. */
#define STEPS_MAX 256

/**
 * struct step_told - what was told of a set, active or not
 * @dm_uuid: of the set
 * @step: the step, in percent
 */
struct step_told {
	char dm_uuid[129];
	unsigned int step;
};

/**
 * struct watched_list - all sets
 * @at: the active ones
 * @nr: how many
 * @step: steps told, of these and of others
 * @nr_steps: how many
 */
struct watched_list {
	struct watched *at;
	size_t nr;
	struct step_told step[STEPS_MAX];
	size_t nr_steps;
};

struct watched *watched_find(struct watched_list *list, uint32_t major, uint32_t minor);
/* The one of @device, made if it is not known; NULL: out of memory. */
struct watched *watched_of(struct watched_list *list, const struct dm_device *device);
/* Forgets those that were not seen in the present poll. */
void watched_forget_unseen(struct watched_list *list);
/* Changes whenever a counter worth saving does. */
uint64_t watched_activity(const struct dm_device *device);
/* Steps already told, per set: "UUID PERCENT" a line, in @path. */
void watched_load_steps(struct watched_list *list, const char *path);
unsigned int watched_step(const struct watched_list *list, const char *dm_uuid);
/* Notes the step of @watched, if the set has a DM_UUID.  Whether that changes anything. */
bool watched_note_step(struct watched_list *list, const struct watched *watched);
int watched_save_steps(const struct watched_list *list, const char *path);

#endif /* DM_REMAP_WATCHED_H */
