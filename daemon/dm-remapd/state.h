/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's state: shared by manager.c (the loop), poll.c (what is read and
 * judged) and actions.c (what children are sent to do), which are called in this order.
 */
#ifndef DM_REMAP_STATE_H
#define DM_REMAP_STATE_H

#include <libudev.h>
#include <systemd/sd-event.h>

#include "alert.h"
#include "config.h"
#include "jobs.h"
#include "set-state.h"
#include "system/events.h"
#include "waiting.h"

#define SECOND_US 1000000ULL
#define LOADED_MAX 32
/* From an event to the save it leads to: what comes at once is saved at once. */
#define SAVE_DELAY_SECONDS 5

/**
 * struct manager - everything
 * @loop: sd-event's
 * @poll: timer of the next poll
 * @config: settings
 * @config_dir: where the administrator's settings are
 * @events: netlink, NULL: the module is not there (yet), or netlink does not work
 * @events_source: its source
 * @family: tells when the module is loaded; NULL: that does not work
 * @family_source: its source
 * @netlink_error: what does not work, as reported; empty: nothing
 * @udev: libudev's context
 * @monitor: block devices that come and go
 * @jobs: children at work
 * @sets: what is known of each
 * @waiting: sets with a member here
 * @state_path: where reported steps are kept; NULL: nowhere
 * @save_at: when counters that moved are saved next, seconds
 * @catch_up: events were lost: the next poll tells what moved
 * @loaded: devices whose loading was reported, and which no poll has seen yet: a ring
 * @next_loaded: next place in the ring
 * @metrics_at: when metrics are written next, seconds
 * @metrics_failed: that failed, and was reported
 * @alerts: what hooks are told
 * @refused_hooks: lines about hooks that were refused the last time, which are reported already
 * @stopping: SIGTERM came
 */
struct manager {
	sd_event *loop;
	sd_event_source *poll;
	struct config config;
	const char *config_dir;
	struct event_socket *events;
	sd_event_source *events_source;
	struct event_socket *family;
	sd_event_source *family_source;
	char netlink_error[512];
	struct udev *udev;
	struct udev_monitor *monitor;
	struct jobs jobs;
	struct set_states sets;
	struct waiting_list waiting;
	char *state_path;
	uint64_t save_at;
	bool catch_up;
	dev_t loaded[LOADED_MAX];
	unsigned int next_loaded;
	uint64_t metrics_at;
	bool metrics_failed;
	struct alerts alerts;
	char refused_hooks[JOB_TEXT_BYTES];
	bool stopping;
};

/* state.c: the time of the loop; the next poll comes at @delay_us from now at the latest. */
uint64_t now_us(struct manager *m);
uint64_t now_seconds(struct manager *m);
void poll_within(struct manager *m, uint64_t delay_us);

/* poll.c: looks at every set; returns when to do so again, in seconds. */
unsigned int poll_sets(struct manager *m);

/* actions.c: none of these waits for a disk. */
/* Whether all that are to be saved are being saved: a set may be busy. */
bool action_save(struct manager *m, bool always);
void action_restore(struct manager *m, struct set_state *set);
void action_salvage(struct manager *m, struct set_state *set, uint64_t now);
void action_thaw(struct manager *m, struct set_state *set, uint64_t now);
void action_activate(struct manager *m, struct waiting *waiting);
void action_late(void *userdata, const struct job *job);
/* Common to all: a command that was reported as late is reported as finished. */
void action_came_back(struct manager *m, const struct job *job);

/* checkup.c: has a verdict reached and recorded where that is due; in how many seconds it will be. */
unsigned int checkup(struct manager *m, struct set_state *set, uint64_t now);
/*
 * renewal.c: has the backup renewed where that is due, or now if it was to be (@now: 0); in how
 * many seconds it will be.
 */
unsigned int renew_backup(struct manager *m, struct set_state *set, uint64_t now);
/* scrub-resume.c: has a scrub go on that was interrupted. */
void resume_scrub(struct manager *m, struct set_state *set);
/* Whether one is at work, or was since the last poll. */
bool is_scrubbed(struct set_state *set);
/* naming.c: has it looked for what sectors belong to that were reported as unreadable. */
void name_later(struct manager *m, struct set_state *set, uint64_t sector, uint32_t nr_sectors);
/* Where that is due; in how many seconds it will be. */
unsigned int name_files(struct manager *m, struct set_state *set, uint64_t now);
/* metrics.c: has them written where that is due; in how many seconds it will be. */
unsigned int write_metrics(struct manager *m, uint64_t now);
/*
 * telling.c: has hooks run where an alert is due, or now for all news that waits (@now: 0); in how
 * many seconds one will be.
 */
unsigned int tell_hooks(struct manager *m, uint64_t now);
/* From now on the journal's entries are heard. */
void tell_hooks_of_journal(struct manager *m);

#endif /* DM_REMAP_STATE_H */
