/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Activation and deactivation: idempotent, under one lock (/run/dm-remap/lock, O13).
 * Callers: `dmremap activate` (also --auto, from udev), the daemon.
 */
#ifndef DM_REMAP_ACTIVATE_H
#define DM_REMAP_ACTIVATE_H

#include "assemble.h"

/**
 * struct activate_options - how
 * @name: name of the mapped device instead of the set's own; NULL: the set's
 * @read_only: read-only
 * @foreign: also a set of another host
 * @fallback: with linear and error segments, without the module (O9)
 */
struct activate_options {
	const char *name;
	bool read_only;
	bool foreign;
	bool fallback;
};

/*
 * Activates the set that @what belongs to: a UUID, a label, or the path of a member.
 * Already active: 0, and *@assembly says so.  -EAGAIN: a member is missing.
 * On return *@assembly (may be NULL) tells what was decided, with names.
 */
int activate(const char *what, const struct activate_options *options, struct assembly *assembly,
	     struct error *error);
/* Saves, removes the partitions, then the device.  -EBUSY: somebody has it open. */
int deactivate(const char *name, struct error *error);
/* The partitions of a mapped device, as kpartx names them (O16): create, remove. */
int partitions_create(const char *name, struct error *error);
int partitions_remove(const char *name, struct error *error);
/*
 * A member came back: puts the devices of that set in again under the mapped device
 * (suspend without flushing, reload, resume, restore; O18).
 */
int reattach(const char *name, struct error *error);

#endif /* DM_REMAP_ACTIVATE_H */
