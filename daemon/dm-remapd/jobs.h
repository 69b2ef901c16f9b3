/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever may wait for a disk is done by a child: the command `dmremap`, which lies
 * beside the daemon.  So a hung member holds up the child, and never the event loop.
 * One child at a time for each set; a child that does not come back is told once and
 * left alone, for a process that waits in the kernel cannot be killed.
 */
#ifndef DM_REMAP_JOBS_H
#define DM_REMAP_JOBS_H

#include <systemd/sd-event.h>

#include "util/util.h"

#define JOB_TEXT_BYTES 512
#define JOB_ARGUMENTS_MAX 16

enum job_flags {
	JOB_OUTSIDE = 1, /* it has to open disks, and this service may not: see job_start() */
	JOB_BESIDE = 2,	 /* it changes nothing of the set: beside others, one of each verb */
	JOB_AWAITED = 4, /* beside others, and the daemon does not end before it */
};

struct job;
/* Called once when the child has ended; @job is gone afterwards. */
typedef void (*job_done_f)(void *userdata, const struct job *job);
/* Called once when the child has been at work for too long. */
typedef void (*job_late_f)(void *userdata, const struct job *job);

/**
 * struct job - a child at work
 * @set: UUID or name of its set: the key
 * @verb: of the command, for the journal
 * @is_beside: JOB_BESIDE
 * @is_awaited: it has to end before the daemon does
 * @number: whatever who started it wants to know again
 * @code: when it is done: its exit code, -1: it was killed
 * @text: when it is done: what it said, without the program's name and the last newline
 * @late: it was told that it does not come back
 * @done: whom to tell
 * @jobs: all of them
 * @child: source of its end
 * @deadline: source of the moment when it is late
 * @output: read end of what it says
 * @next: another one
 */
struct job {
	char set[128];
	const char *verb;
	bool is_beside;
	bool is_awaited;
	uint64_t number;
	int code;
	char text[JOB_TEXT_BYTES];
	bool late;
	job_done_f done;
	struct jobs *jobs;
	sd_event_source *child;
	sd_event_source *deadline;
	int output;
	struct job *next;
};

/**
 * struct jobs - all children
 * @loop: sd-event's; SIGCHLD is blocked
 * @command: path of the command
 * @timeout_seconds: how long a child may take before it is told
 * @on_late: who tells
 * @userdata: for the callbacks
 * @first: list of them
 */
struct jobs {
	sd_event *loop;
	char *command;
	unsigned int timeout_seconds;
	job_late_f on_late;
	void *userdata;
	struct job *first;
};

/* Finds the command: the file `dmremap` in the directory of this program. */
int jobs_init(struct jobs *jobs, sd_event *loop, unsigned int timeout_seconds, job_late_f on_late,
	      void *userdata);
/* Forgets the children; they go on. */
void jobs_done(struct jobs *jobs);
/* Whether any is at work that has to end before the daemon does. */
bool jobs_at_work(const struct jobs *jobs);
bool jobs_busy(const struct jobs *jobs, const char *set); /* but for those that are beside */
/*
 * Starts `dmremap VERB ARGUMENT...` (@arguments: after the verb, ended by NULL).
 * JOB_OUTSIDE: by systemd-run where there is a systemd, as a unit of its own.  -EBUSY: a child
 * is at work for this set.
 */
int job_start(struct jobs *jobs, const char *set, const char *verb, const char *const *arguments,
	      unsigned int flags, uint64_t number, job_done_f done);

#endif /* DM_REMAP_JOBS_H */
