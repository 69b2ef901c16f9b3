/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the hooks of a directory, one after the other, as a process of its own: `dm-remapd
 * --run-hooks`.  The daemon starts it (telling.c) and reads what it prints; nothing here runs in
 * the daemon.
 */
#ifndef DM_REMAP_HOOKS_H
#define DM_REMAP_HOOKS_H

#include "util/util.h"

#define HOOKS_MAX 32
/* The first word of a line of the report; the hook's name, and what is to be said, follow. */
#define HOOK_OK "ok"
#define HOOK_FAILED "failed"
#define HOOK_LATE "late"
#define HOOK_REFUSED "refused"
#define HOOK_SKIPPED "skipped"

/**
 * struct hooks_result - what became of them
 * @nr_ok: hooks that ran and succeeded
 * @nr_bad: that failed, were late or were refused
 */
struct hooks_result {
	unsigned int nr_ok;
	unsigned int nr_bad;
};

/*
 * Runs what is in @directory with @variables ("NAME=value", ended by NULL) in the environment, each
 * for at most @seconds, and prints a line for each to @report.
 */
struct hooks_result hooks_run(const char *directory, unsigned int seconds, char *const *variables,
			      FILE *report);

#endif /* DM_REMAP_HOOKS_H */
