// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "policy.h"

static bool mode_is(const struct policy_facts *facts, const char *mode)
{
	return strcmp(facts->mode, mode) == 0;
}

void policy_read_error(const struct policy_config *config, struct policy_state *state,
		       uint64_t sector, uint64_t now)
{
	uint64_t number = sector / POLICY_PLACE_SECTORS;

	for (unsigned int i = 0; i < POLICY_ERRORS_MAX && i < state->next_place; i++)
		if (state->place[i].number == number &&
		    now - state->place[i].at < config->error_seconds)
			return;
	state->place[state->next_place++ % POLICY_ERRORS_MAX] =
		(struct policy_place){ .number = number, .at = now };
	state->new_places++;
}

/* A scrub tries every sector of a bad place: that is one error, found once. */
static uint64_t new_errors(struct policy_state *state, const struct policy_facts *facts)
{
	uint64_t nr = facts->errors - state->errors;
	uint64_t reads = facts->main_reads - state->main_reads;
	uint64_t places = state->new_places < reads ? state->new_places : reads;

	if (!facts->is_scrubbed) {
		state->new_places = 0;
		return nr;
	}
	/* an event may come after the counter was read */
	state->new_places -= places;
	return nr - (reads - places);
}

/* Notes new errors; how many there were within error_seconds, if they are error_count or more. */
static unsigned int fast_errors(const struct policy_config *config, struct policy_state *state,
				const struct policy_facts *facts, uint64_t now)
{
	uint64_t nr = new_errors(state, facts);
	unsigned int recent = 0;

	for (; nr; nr--) {
		state->error_at[state->next_error++ % POLICY_ERRORS_MAX] = now;
		if (nr > POLICY_ERRORS_MAX)
			nr = POLICY_ERRORS_MAX;
	}
	for (unsigned int i = 0; i < POLICY_ERRORS_MAX && i < state->next_error; i++)
		if (now - state->error_at[i] < config->error_seconds)
			recent++;
	return recent >= config->error_count ? recent : 0;
}

static bool is_broken(const struct policy_facts *facts)
{
	return mode_is(facts, "fail") || mode_is(facts, "meta_fail") ||
	       mode_is(facts, "lost-cache") || (mode_is(facts, "ro") && !facts->read_only);
}

static void forget_samples(struct policy_state *state)
{
	state->next_sample = 0;
}

static void take_sample(struct policy_state *state, const struct policy_facts *facts, uint64_t now)
{
	const struct policy_sample *last =
		&state->sample[(state->next_sample + POLICY_SAMPLES - 1) % POLICY_SAMPLES];

	if (state->next_sample && now - last->at < POLICY_SAMPLE_SECONDS)
		return;
	state->sample[state->next_sample++ % POLICY_SAMPLES] =
		(struct policy_sample){ .at = now, .used = facts->used_slots };
}

/* The oldest sample that is not older than a day; NULL: there is none. */
static const struct policy_sample *sample_of_a_day(const struct policy_state *state, uint64_t now)
{
	const struct policy_sample *oldest = NULL;

	for (unsigned int i = 0; i < POLICY_SAMPLES && i < state->next_sample; i++) {
		const struct policy_sample *sample = &state->sample[i];

		if (now - sample->at <= POLICY_SAMPLES * POLICY_SAMPLE_SECONDS &&
		    (!oldest || sample->at < oldest->at))
			oldest = sample;
	}
	return oldest;
}

/* At the rate of the last day, or since the set was first seen; 0: there is none to tell. */
static uint64_t time_left(const struct policy_state *state, const struct policy_facts *facts,
			  uint64_t now)
{
	const struct policy_sample *since = sample_of_a_day(state, now);
	uint64_t taken = facts->used_slots + facts->bad_slots;
	uint64_t left = facts->total_slots > taken ? facts->total_slots - taken : 0;

	if (!since || facts->used_slots <= since->used || now <= since->at)
		return 0;
	return 1 + left * (now - since->at) / (facts->used_slots - since->used);
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

/* A step is reported again only after use was clearly below it: no flapping at the edge. */
static unsigned int step_left(const struct policy_config *config, const struct policy_facts *facts,
			      unsigned int told)
{
	uint64_t used = facts->used_slots + facts->bad_slots;

	if (told > POLICY_STEP_SLACK &&
	    used * 100 >= facts->total_slots * (told - POLICY_STEP_SLACK))
		return told;
	return step_of(config, facts);
}

/* A state that needs the administrator, reported again now and then (O23). */
static bool needs_somebody(const struct policy_facts *facts)
{
	return mode_is(facts, "full") || is_broken(facts) ||
	       (mode_is(facts, "frozen") && !facts->by_hand);
}

unsigned int policy_update(const struct policy_config *config, struct policy_state *state,
			   const struct policy_facts *facts, uint64_t now,
			   struct policy_notice notices[POLICY_NOTICES_MAX])
{
	unsigned int nr = 0, step = step_of(config, facts);

	/* Counters that go back: another life of the device; what was reported stays so. */
	if (!state->known || facts->errors < state->errors ||
	    facts->main_reads < state->main_reads) {
		state->known = true;
		state->errors = facts->errors;
		state->main_reads = facts->main_reads;
		state->next_error = 0;
		forget_samples(state);
	}
	/* Slots were given back: the rate begins anew. */
	if (facts->used_slots < state->used)
		forget_samples(state);
	state->used = facts->used_slots;
	state->nr_fast = fast_errors(config, state, facts, now);
	state->errors = facts->errors;
	state->main_reads = facts->main_reads;

	if (step > state->step_reported)
		notices[nr++] = (struct policy_notice){
			.kind = NOTICE_STEP,
			.percent = step,
			.seconds_left = time_left(state, facts, now),
		};
	state->step_reported =
		step > state->step_reported ? step : step_left(config, facts, state->step_reported);
	take_sample(state, facts, now);

	if (!needs_somebody(facts)) {
		state->reminding = false;
	} else if (!state->reminding || now - state->reminded_at >= config->reminder_seconds) {
		state->reminding = true;
		state->reminded_at = now;
		notices[nr++] = (struct policy_notice){ .kind = NOTICE_ALARM };
	}
	return nr;
}

bool policy_thaw(struct thaw_budget *thaw, bool is_frozen, bool probe_ok, unsigned int budget,
		 uint64_t now, unsigned int *nr)
{
	unsigned int used = 0;

	if (!is_frozen) {
		thaw->frozen_at = 0;
		return false;
	}
	if (!thaw->frozen_at)
		thaw->frozen_at = now ? now : 1;
	for (unsigned int i = 0; i < POLICY_THAWS_MAX && i < thaw->next; i++)
		used += now - thaw->at[i] < POLICY_THAW_WHILE;
	if (!probe_ok || used >= budget || now - thaw->frozen_at < POLICY_THAW_SECONDS)
		return false;
	thaw->at[thaw->next++ % POLICY_THAWS_MAX] = now;
	thaw->frozen_at = 0;
	*nr = used + 1;
	return true;
}
