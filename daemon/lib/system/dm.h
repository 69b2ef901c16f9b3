/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device-mapper through libdevmapper, which only dm.c, dm-table.c and io-stats.c include.
 * create, resume, reload and remove carry a udev cookie and wait for it (O15).
 */
#ifndef DM_REMAP_DM_H
#define DM_REMAP_DM_H

#include "system/status.h"
#include "util/util.h"

#define DM_UUID_PREFIX "REMAP-"

/**
 * struct dm_device - one mapped device with a remap target (or the fallback of one)
 * @name: of the mapped device
 * @dm_uuid: "REMAP-<uuid>" or empty if made with plain dmsetup
 * @major: device number
 * @minor: device number
 * @nr_sectors: length
 * @open_count: how many have it open
 * @suspended: I/O waits
 * @read_only: of the live table
 * @fallback: DM_UUID says it is ours, but the target is not remap (O9)
 * @failed: fallback, and nothing but errors, or no table: see dm_reload(), dm_create_table()
 * @line: the live table
 * @status: of the target; with @fallback all zero
 */
struct dm_device {
	char name[128];
	char dm_uuid[129];
	uint32_t major;
	uint32_t minor;
	uint64_t nr_sectors;
	int open_count;
	bool suspended;
	bool read_only;
	bool fallback;
	bool failed;
	struct remap_line line;
	struct remap_status status;
};

/*
 * The UUID of its set as text; empty: it has none.  What plain dmsetup was given is any text: only
 * a UUID becomes part of paths.
 */
static inline const char *uuid_of_device(const struct dm_device *device)
{
	const char *uuid = device->dm_uuid + strlen(DM_UUID_PREFIX);
	uint8_t number[16];

	if (strncmp(device->dm_uuid, DM_UUID_PREFIX, strlen(DM_UUID_PREFIX)) != 0 ||
	    uuid_from_string(uuid, number) < 0)
		return "";
	return uuid;
}

/* What the files of a set are called: its UUID, or of a set without one "name-" and the name. */
static inline void key_of_device(const struct dm_device *device, char *key, size_t nr_bytes)
{
	const char *uuid = uuid_of_device(device);

	snprintf(key, nr_bytes, "%s%s", *uuid ? "" : "name-", *uuid ? uuid : device->name);
}

/* Silences libdevmapper's own messages; they are collected for struct error instead. */
void dm_setup(void);
/* Version of the target in the kernel; -ENOENT: the module is not loaded. */
int dm_target_version(unsigned int version[3]);
/* Loads the module if the target is missing (modprobe through libkmod is not needed: dm does it). */
int dm_ensure_target(struct error *error);
/* Whether the kernel has it now; nothing is loaded. */
bool dm_has_target(void);

/* All devices with a remap target and all with DM_UUID REMAP-*; the caller frees. */
int dm_list(struct dm_device **devices, size_t *nr_devices, struct error *error);
/* By name; -ENODEV: there is none; -EMEDIUMTYPE: exists but is not a remap device. */
int dm_get(const char *name, struct dm_device *device, struct error *error);

/**
 * struct dm_name - a mapped device of any kind
 * @name: its name
 * @dm_uuid: its DM_UUID, or empty
 */
struct dm_name {
	char name[128];
	char dm_uuid[129];
};

/* All mapped devices there are; the caller frees. */
int dm_names(struct dm_name **names, size_t *nr_names, struct error *error);

/* @params of one remap segment over the whole length. */
int dm_create(const char *name, const char *dm_uuid, uint64_t nr_sectors, const char *params,
	      bool read_only, struct error *error);
/* A table of many lines: for the fallback (O9).  @table: lines "START LEN TARGET PARAMS". */
int dm_create_table(const char *name, const char *dm_uuid, const char *table, bool read_only,
		    struct error *error);
/*
 * Loads a new table and resumes; @noflush: suspend without flushing (a member is gone).
 * When the target refuses in its resume, the old table is gone: device-mapper frees it
 * before.  Then the device gets a table of errors, so that no I/O waits for ever.
 */
int dm_reload(const char *name, uint64_t nr_sectors, const char *params, bool read_only,
	      bool noflush, struct error *error);
int dm_suspend(const char *name, bool noflush, struct error *error);
int dm_resume(const char *name, struct error *error);
int dm_remove(const char *name, bool deferred, struct error *error);
int dm_rename(const char *name, const char *new_name, struct error *error);
/*
 * Sends a message; @reply (may be NULL) is the target's answer, the caller frees.
 * A failing message explains itself in the kernel log: the error says so (O20).
 */
int dm_message(const char *name, const char *message, char **reply, struct error *error);
/* Whose DM_UUID is @dm_uuid: the name; -ENODEV: none. */
int dm_name_of_uuid(const char *dm_uuid, char name[128]);

#endif /* DM_REMAP_DM_H */
