/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which disks are being asked something, by whichever process: a disk that hangs keeps one process
 * waiting in the kernel, where no signal reaches it, and not one more for each command that comes.
 * In /run/dm-remap/asking each device has a record: locked as long as a process asks the disk, with
 * the moment when the command began that is waited for.
 *
 * Callers: ask.c's children, dm-remap-probe.
 */
#ifndef DM_REMAP_ASKING_H
#define DM_REMAP_ASKING_H

#include <time.h>

#include "util/util.h"

/**
 * struct asking - a question to a disk
 * @fd: holds the record; -1: none
 * @devno: of the disk
 * @is_ours: the record is locked
 */
struct asking {
	int fd;
	dev_t devno;
	bool is_ours;
};

/* Of a record: since when the disk has been waited for. */
struct asked_since {
	uint64_t boot_ms; /* CLOCK_BOOTTIME, in ms */
	int64_t wall;	  /* the same for people */
};

/*
 * 0: this process asks; -EBUSY: another one does, and has been waiting for @timeout_ms.  Waits for
 * one that has not, and calls @alive (may be NULL) when that one gets on.  Where there can be no
 * record the disk is still asked.
 */
int asking_begin(struct asking *asking, dev_t devno, unsigned int timeout_ms, void (*alive)(void));
/* The disk has answered a command: the next one is waited for from now on. */
void asking_go_on(const struct asking *asking);
void asking_end(struct asking *asking);
/* Waits until no process asks the disk any more, however long that takes. */
void asking_wait(dev_t devno);
/* What the record of a disk says; zeros: nothing. */
struct asked_since asking_since(dev_t devno);

#endif /* DM_REMAP_ASKING_H */
