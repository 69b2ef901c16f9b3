/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever may wait for a disk is done by a child: the command `dmremap`, which lies
 * beside the daemon.  So a hung member holds up the child, and never the event loop.
 * One child at a time for each set; a child that does not finish is reported once and
 * left alone, for a process that waits in the kernel cannot be killed.
 */
#ifndef DM_REMAP_JOBS_H
#define DM_REMAP_JOBS_H

#include <systemd/sd-event.h>

#include "util/util.h"

#define JOB_TEXT_BYTES 4096
#define JOB_LINE_BYTES 512
#define JOB_ARGUMENTS_MAX 24

enum job_flags {
	JOB_OUTSIDE = 1,  /* it has to open disks, and this service may not: see job_start() */
	JOB_BESIDE = 2,	  /* it changes nothing of the set: beside others, one of each verb */
	JOB_AWAITED = 4,  /* beside others, and the daemon does not end before it */
	JOB_LINES = 8,	  /* all of what it says is kept, not only one line */
	JOB_ANSWERS = 16, /* its first line is the answer, also when it fails */
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
 * @timeout_seconds: when it is late
 * @is_hooks: it runs hooks, see job_start_hooks()
 * @keeps_lines: JOB_LINES
 * @answers: JOB_ANSWERS
 * @code: when it is done: its exit code, -1: it was killed
 * @text: when it is done: what it said, without the program's name: the first line, of a failure
 * without JOB_ANSWERS the last one, of hooks and of JOB_LINES all of it
 * @late: it was reported that it does not finish
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
	unsigned int timeout_seconds;
	bool is_hooks;
	bool keeps_lines;
	bool answers;
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
 * @daemon: path of this program
 * @timeout_seconds: how long a child may take before it is reported
 * @on_late: who tells
 * @userdata: for the callbacks
 * @first: list of them
 */
struct jobs {
	sd_event *loop;
	char *command;
	char *daemon;
	unsigned int timeout_seconds;
	job_late_f on_late;
	void *userdata;
	struct job *first;
};

/* More than that of each kind are not started at once, see jobs_nr(). */
#define JOBS_BESIDE_MAX 4
#define JOBS_ACTIVATIONS_MAX 8

/* Finds the command: the file `dmremap` in the directory of this program. */
int jobs_init(struct jobs *jobs, sd_event *loop, unsigned int timeout_seconds, job_late_f on_late,
	      void *userdata);
/* Forgets the children; they go on. */
void jobs_done(struct jobs *jobs);
/* Whether any is at work that has to end before the daemon does. */
bool jobs_at_work(const struct jobs *jobs);
bool jobs_busy(const struct jobs *jobs, const char *set); /* but for those that are beside */
/*
 * How many are at work that are beside, or that are not: with many sets they are not all started at
 * once.  A child that is late waits for a disk, and does not count.
 */
unsigned int jobs_nr(const struct jobs *jobs, bool is_beside);
/* Whether the child that is beside, with this verb and number, is late. */
bool jobs_late(const struct jobs *jobs, const char *set, const char *verb, uint64_t number);
/*
 * Starts `dmremap VERB ARGUMENT...` (@arguments: after the verb, ended by NULL).
 * JOB_OUTSIDE: by systemd-run where there is a systemd, as a unit of its own.  -EBUSY: a child
 * is at work for this set.
 */
int job_start(struct jobs *jobs, const char *set, const char *verb, const char *const *arguments,
	      unsigned int flags, uint64_t number, job_done_f done);
/*
 * Starts `dm-remapd --run-hooks ARGUMENT...`, by systemd-run where there is a systemd: hooks send
 * mail, open connections and write to terminals, none of which this service may.  What they leave
 * running ends with that unit, which may take @timeout_seconds.  One at a time: else -EBUSY.
 */
int job_start_hooks(struct jobs *jobs, const char *const *arguments, unsigned int timeout_seconds,
		    bool is_awaited, job_done_f done);
/*
 * The beginning of the command line that does this: systemd-run and its options, or nothing;
 * @limit: room for one of them.  How many.
 */
#define JOB_PREFIX_MAX 12
int job_hooks_prefix(const char *argv[JOB_PREFIX_MAX], char *limit, size_t nr_bytes,
		     unsigned int timeout_seconds);

#endif /* DM_REMAP_JOBS_H */
