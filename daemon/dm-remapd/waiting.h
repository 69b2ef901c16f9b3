/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets with a member here, as udev's database knows them: who waits, for what, since
 * when; and when to try an activation.  No disk is opened.  All but waiting_collect() is
 * pure: facts and the time in, decisions out.
 *
 * An activation is tried once after members have come (or gone, if copies confuse it),
 * a moment later than udev's own one-shot, and again with growing pauses while it
 * fails.  A set that was active and is not any more was deactivated by request, and
 * stays so until a member comes: where there is a note of it the activation decides that.
 */
#ifndef DM_REMAP_WAITING_H
#define DM_REMAP_WAITING_H

#include <libudev.h>

#include "util/util.h"

/* How long a set may wait for its other member before it is reported. */
#define WAITING_PATIENCE_SECONDS 20
/* From a member's coming to our try: udev's one-shot does it first, and then there is none. */
#define WAITING_TRY_SECONDS 5
#define WAITING_RETRY_SECONDS_MAX 320

/* A set has two; more are copies. */
#define WAITING_MEMBERS_MAX 8
/* A number that no device has: for waiting_is_active(), of a table without members. */
#define WAITING_NOBODY ((dev_t)-1)

/**
 * struct waiting_member - a device that says that it is a member
 * @devno: its number
 * @disk_seq: of its disk: one that goes and comes back has the number, and another one of these
 * @is_main: else the spare
 */
struct waiting_member {
	dev_t devno;
	uint64_t disk_seq;
	bool is_main;
};

/**
 * struct waiting - a set with a member here
 * @uuid: of the set
 * @label: of the set, or empty
 * @main: path of its main device, or empty
 * @spare: the same
 * @name: of the mapped device; empty: the set is not active
 * @member: what is present in the current poll
 * @nr_members: how many
 * @before: what was here in the poll before
 * @nr_before: how many
 * @nr_strange: active: how many of @member are not in the mapped device's table
 * @since: when it was first seen inactive, seconds
 * @try_at: when to try an activation; 0: not planned
 * @nr_tries: failed ones in a row
 * @reason: what the last one said; empty: nothing
 * @reported: that it waits
 * @let_go: since the last poll it was active, and is not any more
 * @noted: it was deactivated by `dmremap`, which notes with which disks (deactivated.h)
 * @held: the same, and they are the same disks: that it is not active is no news
 * @seen: in the present poll
 */
struct waiting {
	char uuid[UUID_STRING_BYTES];
	char label[48];
	char main[64];
	char spare[64];
	char name[128];
	struct waiting_member member[WAITING_MEMBERS_MAX];
	unsigned int nr_members;
	struct waiting_member before[WAITING_MEMBERS_MAX];
	unsigned int nr_before;
	unsigned int nr_strange;
	uint64_t since;
	uint64_t try_at;
	unsigned int nr_tries;
	char reason[512];
	bool reported;
	bool let_go;
	bool noted;
	bool held;
	bool seen;
};

/**
 * struct waiting_list - all of them
 * @at: array
 * @nr: how many
 * @passive: what is present at the next poll is not tried: it may have been deactivated
 */
struct waiting_list {
	struct waiting *at;
	size_t nr;
	bool passive;
};

void waiting_begin(struct waiting_list *list);
/* A member is present; called for each between begin and end of a poll. */
int waiting_member(struct waiting_list *list, const char *uuid, const char *label, const char *role,
		   const char *path, dev_t devno, uint64_t disk_seq, uint64_t now);
/*
 * A mapped device: @uuid of its DM_UUID, empty if it has none of ours; @main and @spare:
 * the numbers in its table, both 0: not known.  A set is recognised by any of them.
 */
void waiting_is_active(struct waiting_list *list, const char *name, const char *uuid, dev_t main,
		       dev_t spare);
/* An event: the set became active, or @gone: it is not any more. */
int waiting_event(struct waiting_list *list, const char *uuid, bool gone, uint64_t now);
/* Forgets those without a member; @tell is called once for each that has waited too long. */
void waiting_end(struct waiting_list *list, uint64_t now,
		 void (*tell)(const struct waiting *waiting));
struct waiting *waiting_find(struct waiting_list *list, const char *uuid);
/* Whether an activation is to be tried now; then it is taken for tried. */
bool waiting_take(struct waiting *waiting, uint64_t now);
/*
 * How it ended: @said is what it said, @failed: it is to be tried again.  Whether @said
 * is to be reported: it was not before.
 */
bool waiting_result(struct waiting *waiting, bool failed, const char *said, uint64_t now);
/* Something changed that is not seen here, as the module: what failed is tried at once. */
void waiting_retry(struct waiting_list *list, uint64_t now);
/* Seconds until there is something to do; at most @most. */
unsigned int waiting_next(const struct waiting_list *list, uint64_t now, unsigned int most);
/* Calls waiting_member() for everything in udev's database. */
int waiting_collect(struct waiting_list *list, struct udev *udev, uint64_t now);

#endif /* DM_REMAP_WAITING_H */
