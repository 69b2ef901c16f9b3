/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members: what the block devices of this machine hold of sets.  Reading devices
 * is present; deciding what goes together is in assemble.c, which is pure.
 */
#ifndef DM_REMAP_SCAN_H
#define DM_REMAP_SCAN_H

#include <time.h>

#include "remap_format.h"
#include "util/foreign.h"
#include "util/util.h"

enum member_role {
	MEMBER_NONE = 0,
	MEMBER_MAIN,
	MEMBER_SPARE,
};

/**
 * struct member - one device that belongs to a set
 * @path: "/dev/sdb1": the kernel's name
 * @devno: device number
 * @nr_sectors: length of the device
 * @role: what it is
 * @uuid: of the set
 * @label: of the set, or empty; printable
 * @host_id: of the set's host, zeros: none
 * @identity: of the hardware, see identity.h; empty: none
 * @recorded: what the set says of the hardware of the *other* member, printable; empty: nothing
 * @guarded: main with the guard's sector 0
 * @main_sectors: length of the mapped device; 0: not known (damaged member header)
 * @region_sectors: spare: length of the region
 * @probe_chunk: spare: where main has the mark
 * @flags: spare: REMAP_SUPER_*
 * @read_only: the device is write-protected
 * @outdated: of several spares one that main's mark says is older: inventory.c fills it in
 * @mark_unreadable: it was asked for the mark of a set, and the place of it cannot be read
 * @silent_since: it did not answer, and is waited for since then; 0: not known
 */
struct member {
	char path[256];
	dev_t devno;
	uint64_t nr_sectors;
	enum member_role role;
	uint8_t uuid[16];
	char label[FOREIGN_TEXT_BYTES(REMAP_LABEL_BYTES)];
	uint8_t host_id[16];
	char identity[REMAP_IDENTITY_BYTES];
	char recorded[FOREIGN_TEXT_BYTES(REMAP_IDENTITY_BYTES)];
	bool guarded;
	uint64_t main_sectors;
	uint64_t region_sectors;
	uint64_t probe_chunk;
	uint32_t flags;
	bool read_only;
	bool outdated;
	bool mark_unreadable;
	time_t silent_since;
};

/**
 * struct silent_text - what is said of a device that does not answer
 * @text: "/dev/sdb does not answer (still waiting for it since 2026-11-29 14:03:12)"
 */
struct silent_text {
	char text[400];
};

struct silent_text silent_text(const struct member *silent);

/*
 * Looks at one device or image, without udev.  -ENODATA: no member by its own content
 * (a main without guard is recognised only beside its spare).  A read error is an
 * error, never "no member".
 */
int member_probe(const char *path, struct member *member, struct error *error);
/**
 * struct scan_request - where to look
 * @devices: besides what udev takes for members: those of active sets, and what a user named
 * @nr_devices: how many
 * @thorough: a set is looked for by hand: a main without guard that is behind other
 *            hardware than was recorded is looked for on all devices
 * @uuid: of the only set that is looked for: what udev knows as a member of another one is left
 *        out, unless it is one of @devices; NULL: of all
 */
struct scan_request {
	const dev_t *devices;
	size_t nr_devices;
	bool thorough;
	const uint8_t *uuid;
};

/**
 * struct scan - what was found
 * @members: members, in the order of their devices
 * @nr_members: how many
 * @silent: devices that did not answer in time: path and number; role and uuid as udev knows
 *          them, or their hardware tells, or none.  There is room for the members, too
 * @nr_silent: how many
 * @strangers: that did not either, and that nothing says are members: they were only asked
 *             whether they are a main without guard
 * @nr_strangers: how many
 */
struct scan {
	struct member *members;
	size_t nr_members;
	struct member *silent;
	size_t nr_silent;
	struct member *strangers;
	size_t nr_strangers;
};

/*
 * All members among the block devices of this machine, mains without guard included.  What is
 * a member is udev's to know: no other disk is opened, and none is waited for longer than
 * seconds, for children ask (ask.h).  Where udev does not run all disks are asked.  Passed
 * over: what cannot be read, paths of a multipath device, members of others (md, LVM),
 * suspended mapped devices.
 */
int scan_members(const struct scan_request *request, struct scan *scan, struct error *error);
void scan_done(struct scan *scan);
/*
 * What udev has on record, without opening anything: path, number, role, uuid, and a label if
 * it is a good name.  The caller frees.
 */
int scan_known(struct member **members, size_t *nr_members, struct error *error);
/* The set of which udev knows the device as a member; false: of none, or udev does not run. */
bool scan_known_set(dev_t devno, uint8_t uuid[16]);
/*
 * Members of one set again, in the same way, and their hardware.  @answered: which did; @same:
 * which are what they were; the others are left as they are.
 */
int scan_again(struct member *members, size_t nr, bool *answered, bool *same, struct error *error);
/*
 * udev may not have looked yet at what was just written: waits until it says that the device is
 * a member, but not for ever.
 */
void scan_wait_for_udev(dev_t devno);
/* Has udev look at a device that was written to ("change"), or as if it had come ("add"). */
int scan_tell_udev(dev_t devno, const char *action);
/* The same of those that a rule of mask.h hides, as far as udev knows: one has gone. */
void scan_tell_udev_of_masked(void);
const char *member_role_name(enum member_role role);
/* "/dev/sda" of a device number; empty: there is none. */
void device_path(dev_t devno, char *path, size_t nr_bytes);
/* Device number of a path to a block device; 0: it is none. */
dev_t device_number(const char *path);
/* Opens for direct reading or writing, also images; @flags: O_RDONLY or O_RDWR, O_EXCL. */
int open_direct(const char *path, int flags);
/* Whether main has the set's mark in @probe_chunk; *@mark: what it says.  -ENODATA: no. */
int mark_read(int main_fd, uint64_t probe_chunk, const uint8_t uuid[16], struct remap_mark *mark);

#endif /* DM_REMAP_SCAN_H */
