/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LVM's devices file (O17): where there is one, LVM looks at nothing else, so a physical
 * volume that is reached through a mapped device from now on would be missed.  Callers:
 * `dmremap activate`, and verbs that make or end a set.
 */
#ifndef DM_REMAP_LVM_DEVICES_H
#define DM_REMAP_LVM_DEVICES_H

#include "util/util.h"

#define LVM_DEVICES_FILE "/etc/lvm/devices/system.devices"

/**
 * struct lvm_devices - what the devices file lacks of one device
 * @path: the device; empty: nothing is to be done
 * @other: under what name the same physical volume is listed; empty: under none, or it is a copy
 */
struct lvm_devices {
	char path[256];
	char other[256];
};

/*
 * Pure.  Whether the devices file @text lists @path; else @other is the device that it lists
 * with the same physical volume @pvid (32 characters), or empty.
 */
bool lvm_devices_lists(const char *text, const char *path, const char *pvid, char other[256]);
/* Whether @path holds a physical volume that the devices file does not list. */
void lvm_devices_look(const char *path, struct lvm_devices *lacking);
/* What to type, for people. */
void lvm_devices_advice(const struct lvm_devices *lacking, char *text, size_t nr_bytes);
/* Does it: lvm lvmdevices --adddev, and --deldev of the other one. */
int lvm_devices_mend(const struct lvm_devices *lacking, struct error *error);

#endif /* DM_REMAP_LVM_DEVICES_H */
