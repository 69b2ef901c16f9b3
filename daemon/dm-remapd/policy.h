/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy of a set: what is reported, and when.  Pure: facts and the time in,
 * notices out; nothing here does I/O or reads a clock.  Callers: manager.c.
 */
#ifndef DM_REMAP_POLICY_H
#define DM_REMAP_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_STEPS_MAX 8
#define POLICY_ERRORS_MAX 64
#define POLICY_NOTICES_MAX 4
/* What a scrub cannot read within so many sectors is one error: it tries each of them. */
#define POLICY_PLACE_SECTORS 2048
/* The rate of spare use is that of the last day: 24 samples, an hour apart. */
#define POLICY_SAMPLES 24
#define POLICY_SAMPLE_SECONDS 3600
/* Use has to fall so far below a step before that step is reported again. */
#define POLICY_STEP_SLACK 5

/**
 * struct policy_config - the settings of the policy
 * @step: percentages of spare use that are reported, rising
 * @nr_steps: how many
 * @error_count: so many errors ...
 * @error_seconds: ... in so many seconds are a disk that fails
 * @reminder_seconds: how often a state that needs the administrator is reported again
 */
struct policy_config {
	unsigned int step[POLICY_STEPS_MAX];
	unsigned int nr_steps;
	unsigned int error_count;
	unsigned int error_seconds;
	unsigned int reminder_seconds;
};

/**
 * struct policy_facts - what is known of a set now
 * @used_slots: in use
 * @total_slots: of the spare
 * @bad_slots: spare chunks that are bad
 * @errors: failed reads and writes of either member, ever
 * @main_reads: of these the failed reads of main
 * @is_scrubbed: a scrub is at work, and all errors were seen by policy_read_error()
 * @mode: the mode word
 * @read_only: the mapped device is read-only by request
 * @by_hand: mode frozen: by request, not by a storm
 */
struct policy_facts {
	uint64_t used_slots;
	uint64_t total_slots;
	uint64_t bad_slots;
	uint64_t errors;
	uint64_t main_reads;
	bool is_scrubbed;
	const char *mode;
	bool read_only;
	bool by_hand;
};

/**
 * struct policy_sample - how much was in use when
 * @at: seconds
 * @used: slots
 */
struct policy_sample {
	uint64_t at;
	uint64_t used;
};

/**
 * struct policy_place - where main could not be read
 * @number: of the place, from its start
 * @at: seconds
 */
struct policy_place {
	uint64_t number;
	uint64_t at;
};

/**
 * struct policy_state - what was reported of a set
 * @known: there were facts before
 * @step_reported: last step of spare use, in percent; kept over restarts
 * @errors: counter at the last poll
 * @main_reads: the same
 * @place: where main could not be read lately: a ring
 * @next_place: next place in the ring
 * @new_places: so many since the last poll
 * @error_at: when the latest errors were seen: a ring
 * @next_error: next place in the ring
 * @nr_fast: errors came fast: so many within error_seconds; 0: they did not
 * @used: slots in use at the last poll
 * @sample: use of the spare in the last day: a ring
 * @next_sample: next place in the ring
 * @reminded_at: when the present state was last reported, if @reminding
 * @reminding: it was reported and its cause is still there
 */
struct policy_state {
	bool known;
	unsigned int step_reported;
	uint64_t errors;
	uint64_t main_reads;
	struct policy_place place[POLICY_ERRORS_MAX];
	unsigned int next_place;
	uint64_t new_places;
	uint64_t error_at[POLICY_ERRORS_MAX];
	unsigned int next_error;
	unsigned int nr_fast;
	uint64_t used;
	struct policy_sample sample[POLICY_SAMPLES];
	unsigned int next_sample;
	uint64_t reminded_at;
	bool reminding;
};

/**
 * struct policy_notice - something to tell
 * @kind: what
 * @percent: NOTICE_STEP: the step
 * @seconds_left: NOTICE_STEP: until the spare is full at the present rate; 0: unknown
 */
struct policy_notice {
	enum {
		NOTICE_STEP,
		NOTICE_ALARM,
	} kind;
	unsigned int percent;
	uint64_t seconds_left;
};

/* From a storm to the thaw, and the while that a budget is for. */
#define POLICY_THAW_SECONDS 30
#define POLICY_THAW_WHILE (24 * 3600)
#define POLICY_THAWS_MAX 100

/**
 * struct thaw_budget - storms that were ended by the daemon
 * @frozen_at: when the present one was first seen; 0: there is none
 * @at: when those of the last day were ended: a ring
 * @next: next place in the ring
 */
struct thaw_budget {
	uint64_t frozen_at;
	uint64_t at[POLICY_THAWS_MAX];
	unsigned int next;
};

/*
 * A set that a storm has frozen (@is_frozen), whose main answers its probe (@probe_ok): whether
 * to thaw it now, @budget times a day.  Then it is taken for done; *@nr: how many that makes.
 * Each makes room for as many remaps as the kernel's own limit allows at once.
 */
bool policy_thaw(struct thaw_budget *thaw, bool is_frozen, bool probe_ok, unsigned int budget,
		 uint64_t now, unsigned int *nr);

/* A read of main failed at @now.  Between two calls of policy_update(). */
void policy_read_error(const struct policy_config *config, struct policy_state *state,
		       uint64_t sector, uint64_t now);
/*
 * Looks at new facts at @now (seconds of a clock that does not jump).  Fills in at
 * most POLICY_NOTICES_MAX notices and returns how many.
 */
unsigned int policy_update(const struct policy_config *config, struct policy_state *state,
			   const struct policy_facts *facts, uint64_t now,
			   struct policy_notice notices[POLICY_NOTICES_MAX]);

#endif /* DM_REMAP_POLICY_H */
