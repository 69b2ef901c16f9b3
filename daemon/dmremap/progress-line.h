/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Progress for people, on the standard error: what takes more than two seconds shows a bar with
 * the time left on a terminal, and a line a minute elsewhere.  Callers: verbs that copy or read
 * much.
 */
#ifndef DM_REMAP_PROGRESS_LINE_H
#define DM_REMAP_PROGRESS_LINE_H

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
 */
struct progress_line {
	struct progress progress;
	const char *what;
	time_t started;
	time_t told;
	bool on_terminal;
};

/* @total: steps, 0: the library knows.  Nothing is shown with --quiet or --json. */
void progress_begin(struct progress_line *line, const struct invocation *invocation,
		    const char *what, uint64_t total);
/* Ends the bar; may be called when nothing was begun. */
void progress_end(struct progress_line *line);

#endif /* DM_REMAP_PROGRESS_LINE_H */
