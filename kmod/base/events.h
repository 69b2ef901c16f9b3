/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events and the mode: events.c, mode.c.
 */
#ifndef DM_REMAP_EVENTS_H
#define DM_REMAP_EVENTS_H

#include <linux/blk_types.h>
#include <linux/dm-ioctl.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "dm_remap.h"

struct remap_set;

/* Events that wait to be sent; more at once are dropped, visibly. */
#define REMAP_EVENT_RING	256

/**
 * struct remap_event - one event
 * @seq: its number
 * @time: nanoseconds since 1970 UTC
 * @sector: first sector concerned, if @nr_sectors
 * @mode: the mode word then
 * @old_mode: the one before, or NULL
 * @kind: enum dm_remap_event
 * @nr_sectors: 0: none concerned
 * @slot: if @has_slot
 * @nr_used: slots in use then
 * @number: lost sectors or copies, as the kind has it
 * @has_slot: whether a slot is concerned
 * @status: enum remap_status_class
 * @member: enum dm_remap_member, or 0
 * @reason: enum dm_remap_reason, or 0
 * @cause: enum remap_cause, or 0
 */
struct remap_event {
	u64 seq;
	u64 time;
	u64 sector;
	const char *mode;
	const char *old_mode;
	u32 kind;
	u32 nr_sectors;
	u32 slot;
	u32 nr_used;
	u32 number;
	bool has_slot;
	u8 status;
	u8 member;
	u8 reason;
	u8 cause;
};

/**
 * struct remap_events - the events of a set
 * @lock: protects the ring; taken from end_io
 * @ring: REMAP_EVENT_RING of them
 * @head: next event goes here
 * @tail: next one to be sent
 * @seq: number of the last event
 * @work: sends them
 * @mode_work: tells listeners, device-mapper's as well, of a change of mode
 * @mode_told: mode that listeners know; NULL: nothing is sent to them
 * @is_full: listeners know that the spare is full; under remap_set.lock
 * @name: of the mapped device when it was resumed; for events of its end
 */
struct remap_events {
	spinlock_t lock; /* protects ring, head, tail, seq */
	struct remap_event *ring;
	u32 head;
	u32 tail;
	u64 seq;
	struct work_struct work;
	struct work_struct mode_work;
	const char *mode_told;
	bool is_full;
	char name[DM_NAME_LEN];
};

/**
 * struct remap_sink - who gets the events
 * @is_listened: whether there is a listener; any context
 * @send: one of them; may sleep, but waits for no I/O of ours
 */
struct remap_sink {
	bool (*is_listened)(void);
	void (*send)(struct remap_set *set, const struct remap_event *event);
};

const char *remap_mode(const struct remap_set *set);
void remap_set_sink(const struct remap_sink *to);
bool remap_listened(void);
void remap_queue_event(struct remap_set *set, struct remap_event *event);
void remap_send_events(struct work_struct *work);
void remap_notice_use(struct remap_set *set);
bool remap_status_confirmable(blk_status_t status);
u8 remap_status_class(blk_status_t status);
void remap_report_error(struct remap_set *set, u32 kind, u64 sector, u32 nr_sectors,
			bool on_spare, blk_status_t error);
void remap_notice_mode(struct remap_set *set);
void remap_unlock(struct remap_set *set);
void remap_mode_work(struct work_struct *work);

#endif /* DM_REMAP_EVENTS_H */
