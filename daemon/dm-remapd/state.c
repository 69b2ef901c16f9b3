// SPDX-License-Identifier: GPL-2.0-or-later
/* The clock of the loop, and when the next poll comes. */
#include "state.h"

uint64_t now_us(struct manager *m)
{
	uint64_t now = 0;

	sd_event_now(m->loop, CLOCK_BOOTTIME, &now);
	return now;
}

uint64_t now_seconds(struct manager *m)
{
	return now_us(m) / SECOND_US;
}

void poll_within(struct manager *m, uint64_t delay_us)
{
	uint64_t at = now_us(m) + delay_us, planned;
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(m->poll, &enabled);
	if (enabled != SD_EVENT_OFF && sd_event_source_get_time(m->poll, &planned) >= 0 &&
	    planned <= at)
		return;
	sd_event_source_set_time(m->poll, at);
	sd_event_source_set_enabled(m->poll, SD_EVENT_ONESHOT);
}
