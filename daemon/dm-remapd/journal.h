/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon writes to the journal: one structured entry per event.  The only
 * file that calls sd_journal_send for them.
 */
#ifndef DM_REMAP_JOURNAL_H
#define DM_REMAP_JOURNAL_H

#include "alert.h"
#include "health/verdict.h"
#include "jobs.h"
#include "limit.h"
#include "policy.h"
#include "system/dm.h"
#include "system/events.h"
#include "waiting.h"

/* Hears of every entry before it is written; one listener. */
typedef void (*journal_listener_f)(void *userdata, const struct alert_news *news);
void journal_listen(journal_listener_f f, void *userdata);

void journal_event(const struct remap_event *event);
/* Events about places that were reported already. */
void journal_repeats(const char *name, uint32_t kind, uint64_t nr);
/* The verdict changed, or has a new reason. */
void journal_verdict(const struct dm_device *device, enum verdict_level level, const char *why);
void journal_thawed(const struct dm_device *device, unsigned int nr, unsigned int of);
void journal_suppressed(const char *name, uint32_t kind, const struct limit *over);
void journal_notice(const struct dm_device *device, const struct policy_notice *notice);
void journal_events_lost(const char *name, const char *why);
void journal_config(const char *sentence);
void journal_waiting(const struct waiting *waiting);
/* A set that is active, and whose event "loaded" was not received. */
void journal_found(const struct dm_device *device);
/* A member went from under an active set, or is there again. */
void journal_gone(const struct dm_device *device, const char *role, const char *in_table,
		  bool is_gone);
/* What counters say happened since @before, while events were lost; nothing: says nothing. */
void journal_caught_up(const struct dm_device *device, const struct remap_status *before, bool gap);
/* An activation was refused or failed, or a member stays out: @said is why. */
void journal_not_active(const struct waiting *waiting, const char *said, bool failed);
void journal_returned(const struct waiting *waiting, const char *said);
/* A child does not finish; or (@late false) it has finished after that was reported. */
void journal_job_late(const struct job *job, bool late);
void journal_job_failed(const struct job *job);
/* What sectors that could not be read are: @kind as hit_kind_name(), @what printable. */
void journal_file(const struct dm_device *device, uint64_t sector, uint64_t nr_sectors,
		  const char *kind, const char *what);
/* A hook failed, was late or is refused. */
void journal_hook(const char *hook, const char *what);
/* Netlink does not work, and the module is not the reason. */
void journal_netlink(const char *sentence);

#endif /* DM_REMAP_JOURNAL_H */
