/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon writes to the journal: one structured entry per event.  The only
 * file that calls sd_journal_send for them.
 */
#ifndef DM_REMAP_JOURNAL_H
#define DM_REMAP_JOURNAL_H

#include "dm.h"
#include "events.h"
#include "limit.h"
#include "policy.h"
#include "waiting.h"

void journal_event(const struct remap_event *event);
void journal_held(const char *name, uint32_t kind, const struct limit *over);
void journal_notice(const struct dm_device *device, const struct policy_notice *notice);
void journal_events_lost(const char *name, const char *why);
void journal_config(const char *sentence);
void journal_waiting(const struct waiting *waiting);
/* A MESSAGE_ID by kind of event, for the unit test of the catalog; NULL: none. */
const char *journal_message_id(uint32_t kind);

#endif /* DM_REMAP_JOURNAL_H */
