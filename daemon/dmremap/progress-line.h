/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Progress for people, on the standard error: what takes more than two seconds shows a bar with
 * the time left on a terminal, and a line a minute elsewhere.  Callers: verbs that copy or read
 * much.
 */
#ifndef DM_REMAP_PROGRESS_LINE_H
#define DM_REMAP_PROGRESS_LINE_H

#include <pthread.h>
#include <time.h>

#include "util/progress.h"
#include "verbs.h"

/**
 * struct progress_line - what is shown
 * @progress: counted by the library
 * @what: "copying chunks"; NULL: nothing is shown
 * @started: seconds of a clock that does not jump
 * @told: the same, when it was shown last; 0: not yet
 * @on_terminal: a bar that is drawn over itself
 * @lock: of showing, where it is watched
 * @thread: that watches
 * @watched: it is there
 * @stop: ends it
 */
struct progress_line {
	struct progress progress;
	const char *what;
	time_t started;
	time_t told;
	bool on_terminal;
	pthread_mutex_t lock;
	pthread_t thread;
	bool watched;
	int stop;
};

/* "3 h", "12 min" */
void format_time_left(time_t seconds, char *text, size_t nr_bytes);
/* @total: steps, 0: the library knows.  Nothing is shown with --quiet or --json. */
void progress_begin(struct progress_line *line, const struct invocation *invocation,
		    const char *what, uint64_t total);
/*
 * From here to progress_end() it is shown each second: what has no steps, or long ones, with the
 * time that it took so far.
 */
void progress_watch(struct progress_line *line);
/* Ends the bar; may be called when nothing was begun. */
void progress_end(struct progress_line *line);

#endif /* DM_REMAP_PROGRESS_LINE_H */
