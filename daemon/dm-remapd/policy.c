// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "policy.h"

const char *health_name(enum health health)
{
	static const char *const names[] = { "good", "degraded", "failing" };

	return names[health];
}

static bool mode_is(const struct policy_facts *facts, const char *mode)
{
	return strcmp(facts->mode, mode) == 0;
}

/* Notes new errors; whether there were error_count of them within error_seconds. */
static bool errors_come_fast(const struct policy_config *config, struct policy_state *state,
			     const struct policy_facts *facts, uint64_t now)
{
	uint64_t nr = facts->errors - state->errors;
	unsigned int recent = 0;

	for (; nr; nr--) {
		state->error_at[state->next_error++ % POLICY_ERRORS_MAX] = now;
		if (nr > POLICY_ERRORS_MAX)
			nr = POLICY_ERRORS_MAX;
	}
	for (unsigned int i = 0; i < POLICY_ERRORS_MAX && i < state->next_error; i++)
		if (now - state->error_at[i] < config->error_seconds)
			recent++;
	return recent >= config->error_count;
}

static enum health judge(const struct policy_facts *facts, bool fast)
{
	if (fast || mode_is(facts, "fail") || mode_is(facts, "meta_fail") || mode_is(facts, "ro") ||
	    mode_is(facts, "lost-cache"))
		return HEALTH_FAILING;
	if (facts->lost_sectors || facts->bad_slots || !mode_is(facts, "rw"))
		return HEALTH_DEGRADED;
	return HEALTH_GOOD;
}

/* At the rate since the set was first seen; 0: there is none to tell. */
static uint64_t time_left(const struct policy_state *state, const struct policy_facts *facts,
			  uint64_t now)
{
	uint64_t grown = facts->used_slots - state->first_used;

	if (facts->used_slots <= state->first_used || now <= state->first_at)
		return 0;
	return 1 + (facts->total_slots - facts->used_slots) * (now - state->first_at) / grown;
}

static unsigned int step_of(const struct policy_config *config, const struct policy_facts *facts)
{
	uint64_t used = facts->used_slots + facts->bad_slots;
	unsigned int step = 0;

	for (unsigned int i = 0; i < config->nr_steps && facts->total_slots; i++)
		if (used * 100 >= facts->total_slots * config->step[i])
			step = config->step[i];
	return step;
}

/* A state that somebody must do something about, told again now and then (O23). */
static bool needs_somebody(const struct policy_facts *facts)
{
	return mode_is(facts, "full") || mode_is(facts, "meta_fail") || mode_is(facts, "fail") ||
	       mode_is(facts, "lost-cache");
}

unsigned int policy_update(const struct policy_config *config, struct policy_state *state,
			   const struct policy_facts *facts, uint64_t now,
			   struct policy_notice notices[POLICY_NOTICES_MAX])
{
	unsigned int nr = 0, step = step_of(config, facts);
	enum health health;
	bool fast;

	/* Counters that go back: another life of the device; what was told stays told. */
	if (!state->known || facts->errors < state->errors ||
	    facts->used_slots < state->first_used) {
		state->known = true;
		state->errors = facts->errors;
		state->next_error = 0;
		state->first_used = facts->used_slots;
		state->first_at = now;
	}
	fast = errors_come_fast(config, state, facts, now);
	state->errors = facts->errors;

	if (step > state->step_told)
		notices[nr++] = (struct policy_notice){
			.kind = NOTICE_STEP,
			.percent = step,
			.seconds_left = time_left(state, facts, now),
		};
	state->step_told = step;

	health = judge(facts, fast);
	if (health != state->health)
		notices[nr++] = (struct policy_notice){ .kind = NOTICE_HEALTH, .health = health };
	state->health = health;

	if (!needs_somebody(facts)) {
		state->alarm = false;
	} else if (!state->alarm || now - state->alarmed_at >= config->alarm_seconds) {
		state->alarm = true;
		state->alarmed_at = now;
		notices[nr++] = (struct policy_notice){ .kind = NOTICE_ALARM };
	}
	return nr;
}
