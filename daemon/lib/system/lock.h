/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who changes what (O13): a byte of /run/dm-remap/lock for each set, each device, and one for
 * what all of them share.  Who changes a set holds those of the set and of its members, over I/O to
 * these, so that a disk that hangs holds up its own set and no other.
 *
 * Order: a set, then devices (lock_devices() sorts them), then the machine.  Who takes one after
 * the other otherwise waits in vain, and is refused.
 *
 * *@fd: -1, or what an earlier call returned: then it holds both.  Closing it lets all of them go.
 * What is held for too long is an error, -EBUSY, that names the process.
 */
#ifndef DM_REMAP_LOCK_H
#define DM_REMAP_LOCK_H

#include "util/util.h"

#define RUN_DIR "/run/dm-remap"

int lock_set(int *fd, const uint8_t uuid[16], struct error *error);
/* Numbers of 0 and those that are there twice are passed over. */
int lock_devices(int *fd, const dev_t *devices, size_t nr, struct error *error);
/* Files in /run and names, which sets share: for a moment only, without I/O to any disk. */
int lock_machine(int *fd, struct error *error);
/* -EAGAIN: a process holds it.  Does not wait. */
int lock_try_set(int *fd, const uint8_t uuid[16]);
/* The same for notes in another directory; @path: of the file. */
int lock_device_in(const char *path, int *fd, dev_t devno, struct error *error);

#endif /* DM_REMAP_LOCK_H */
