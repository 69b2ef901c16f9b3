/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sets that the daemon knows of, and what of them survives its restart.
 */
#ifndef DM_REMAP_SET_STATE_H
#define DM_REMAP_SET_STATE_H

#include "dm_remap.h"
#include "health/verdict.h"
#include "limit.h"
#include "policy.h"
#include "salvage.h"
#include "system/dm.h"

/**
 * struct checkup - verdicts on a set, which a child reaches
 * @seen: the kernel's status at the last one, without what saves change
 * @is_gone: members then
 * @nr_fast: errors came fast then
 * @since: when the errors were first counted, seconds
 * @is_wanted: whatever has changed or not
 * @smart_at: when its disks were last asked, seconds; 0: never
 * @at: when that was, seconds; 0: never
 * @is_known: there was one
 * @level: what it was, as reported
 * @reasons: the same
 * @is_unsaved: it could not be recorded, and that was reported
 */
struct checkup {
	struct remap_status seen;
	bool is_gone[2];
	unsigned int nr_fast;
	uint64_t since;
	bool is_wanted;
	uint64_t smart_at;
	uint64_t at;
	bool is_known;
	enum verdict_level level;
	uint64_t reasons;
	bool is_unsaved;
};

/**
 * struct renewal - of the backup of a set
 * @seen: slots used and bad, lost sectors and relocations at the last one, or at first
 * @is_seen: there is @seen
 * @has_event: the table changed since, by an event: what goes and what comes may add up to nothing
 * @at: when the next one is due, seconds; 0: none is
 * @has_failed: the last one failed, and that was reported
 * @has_stale_copies: it was renewed while the child that copies it was late
 */
struct renewal {
	uint64_t seen[4];
	bool is_seen;
	bool has_event;
	uint64_t at;
	bool has_failed;
	bool has_stale_copies;
};

/**
 * struct set_state - one active set
 * @device: as it was last seen
 * @policy: what was reported of it
 * @limit: per kind of event
 * @seq: number of its last event; 0: none was seen since the last poll
 * @gap: numbers of its events were missed since the last poll
 * @activity: sum of its counters when they were last saved
 * @save_failed: the last save failed, and that was reported
 * @save_owed: the daemon stops, and another command is at work: it is saved after that one
 * @may_be_storm: mode frozen: no command did it that the daemon has seen
 * @is_storm: mode frozen: a storm did it, by its event
 * @thaw: storms that the daemon ended by itself
 * @reported: udev reported a member under the number that is in the table
 * @is_gone: index 0 main, 1 the spare: the device is gone, and that was reported
 * @salvage: sectors that are to be salvaged
 * @nameless: sectors whose files are to be found
 * @checkup: the verdict on it
 * @renewal: its backup
 * @was_scrubbed: a scrub was at work at the last poll, or since then
 * @missed: events were missed before the present poll
 * @is_scrub_seen: whether a scrub of it was interrupted was looked at
 * @seen: in the present poll
 */
struct set_state {
	struct dm_device device;
	struct policy_state policy;
	struct salvage salvage;
	struct salvage nameless;
	struct checkup checkup;
	struct renewal renewal;
	bool save_failed;
	bool save_owed;
	bool may_be_storm;
	bool is_storm;
	struct thaw_budget thaw;
	bool reported;
	bool is_gone[2];
	struct limit limit[DM_REMAP_EVENT_MAX + 1];
	uint64_t seq;
	bool gap;
	uint64_t activity;
	bool was_scrubbed;
	bool missed;
	bool is_scrub_seen;
	bool seen;
};

/* So many sets that are not active are remembered; the longest forgotten goes first. */
#define STEPS_MAX 256

/**
 * struct step_reported - what was reported of a set, active or not
 * @dm_uuid: of the set
 * @step: the step, in percent
 */
struct step_reported {
	char dm_uuid[129];
	unsigned int step;
};

/**
 * struct set_states - all sets
 * @at: the active ones
 * @nr: how many
 * @step: steps reported, of these and of others
 * @nr_steps: how many
 */
struct set_states {
	struct set_state *at;
	size_t nr;
	struct step_reported step[STEPS_MAX];
	size_t nr_steps;
};

struct set_state *set_state_find(struct set_states *list, uint32_t major, uint32_t minor);
struct set_state *set_state_named(struct set_states *list, const char *name);
/* The one of @device, made if it is not known; NULL: out of memory. */
struct set_state *set_state_of(struct set_states *list, const struct dm_device *device);
/* Forgets those that were not seen in the present poll. */
void set_state_forget_unseen(struct set_states *list);
/* Steps already reported, per set: "UUID PERCENT" a line, in @path. */
void set_state_load_steps(struct set_states *list, const char *path);
unsigned int set_state_step(const struct set_states *list, const char *dm_uuid);
/* Notes the step of @set, if the set has a DM_UUID.  Whether that changes anything. */
bool set_state_note_step(struct set_states *list, const struct set_state *set);
int set_state_save_steps(const struct set_states *list, const char *path);

#endif /* DM_REMAP_SET_STATE_H */
