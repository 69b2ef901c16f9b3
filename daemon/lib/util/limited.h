/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Another program's output, within a time limit: a disk that hangs keeps the program, not us. */
#ifndef DM_REMAP_LIMITED_H
#define DM_REMAP_LIMITED_H

#include "util/util.h"

#define LIMITED_OUTPUT_MAX (16U << 20)

/*
 * Runs @argv (found by PATH) with nothing at its input; *@text, which the caller frees, is what it
 * wrote.  0: its exit code is in *@code.  -ENOENT: there is no such program; -ETIMEDOUT: it was
 * killed; -EFBIG: it wrote too much.  @kept: a file that it has open as well, so that a lock on it
 * lasts as long as a program that cannot be killed; -1: none.
 */
int limited_run(const char *const *argv, unsigned int seconds, int kept, char **text,
		size_t *nr_bytes, int *code);

/*
 * Until process @pid has ended, or CLOCK_MONOTONIC says @deadline in milliseconds: -ETIMEDOUT.  Its
 * output may end long before it does: what it has open is closed then, and a disk may hang.
 */
int limited_wait(pid_t pid, uint64_t deadline, int *status);

#endif /* DM_REMAP_LIMITED_H */
