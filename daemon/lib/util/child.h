/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that is run for what it prints and for its exit code.  It is waited for: only for
 * programs that open no disk.
 */
#ifndef DM_REMAP_CHILD_H
#define DM_REMAP_CHILD_H

#include <stddef.h>

/*
 * Runs @argv, which is looked for along PATH; *@exit_code: 128 and more: a signal ended it.
 * @text: what it printed, on the standard error as well, cut to fit and without the last newline.
 * A negative errno: it could not be run.
 */
int child_run(const char *const argv[], char *text, size_t nr_bytes, int *exit_code);

#endif /* DM_REMAP_CHILD_H */
