/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon writes to the journal: one structured entry per event.  The only
 * file that calls sd_journal_send for them.
 */
#ifndef DM_REMAP_JOURNAL_H
#define DM_REMAP_JOURNAL_H

#include "health/verdict.h"
#include "jobs.h"
#include "limit.h"
#include "policy.h"
#include "system/dm.h"
#include "system/events.h"
#include "waiting.h"

void journal_event(const struct remap_event *event);
/* Events about places that were told already. */
void journal_repeats(const char *name, uint32_t kind, uint64_t nr);
/* The verdict changed, or has a new reason. */
void journal_verdict(const struct dm_device *device, enum verdict_level level, const char *why);
void journal_thawed(const struct dm_device *device, unsigned int nr, unsigned int of);
void journal_suppressed(const char *name, uint32_t kind, const struct limit *over);
void journal_notice(const struct dm_device *device, const struct policy_notice *notice);
void journal_events_lost(const char *name, const char *why);
void journal_config(const char *sentence);
void journal_waiting(const struct waiting *waiting);
/* A set that is active, and whose loading was not heard. */
void journal_found(const struct dm_device *device);
/* A member went from under an active set, or is there again. */
void journal_gone(const struct dm_device *device, const char *role, const char *in_table,
		  bool is_gone);
/* What counters say happened since @before, while events were lost; nothing: says nothing. */
void journal_caught_up(const struct dm_device *device, const struct remap_status *before, bool gap);
/* An activation was refused or failed, or a member stays out: @said is why. */
void journal_not_active(const struct waiting *waiting, const char *said, bool failed);
void journal_returned(const struct waiting *waiting, const char *said);
/* A child does not come back; or (@late false) it came back after that was told. */
void journal_job_late(const struct job *job, bool late);
void journal_job_failed(const struct job *job);
/* Netlink does not work, and the module is not the reason. */
void journal_netlink(const char *sentence);

#endif /* DM_REMAP_JOURNAL_H */
