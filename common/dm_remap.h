/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR BSD-3-Clause */
/*
 * Generic netlink family "dm_remap": events of the target and dumps of its state.
 *
 * Shared by the kernel module and userspace; dm_remap.yaml, made from it, says the same as a
 * netlink specification.  Values are never changed or reused, only added: any module works
 * with any daemon (O25).
 *
 * All commands need CAP_SYS_ADMIN, and so does membership of the group (on kernels
 * that know only one kind of administrator there: CAP_NET_ADMIN).  Nothing is
 * numbered or sent without a listener.
 * Sectors are 512 bytes and count from the start of the mapped device.
 */
#ifndef _UAPI_DM_REMAP_H
#define _UAPI_DM_REMAP_H

#define DM_REMAP_GENL_NAME		"dm_remap"
#define DM_REMAP_GENL_VERSION		1
#define DM_REMAP_GENL_GROUP_EVENTS	"events"

/**
 * enum dm_remap_cmd - commands
 * @DM_REMAP_CMD_UNSPEC: not used
 * @DM_REMAP_CMD_GET_DEVICES: dump; one message per active device with NAME, UUID,
 *	MAJOR, MINOR, MODE, USED_SLOTS, TOTAL_SLOTS, BAD_SLOTS, LOST_SECTORS,
 *	GENERATION, EVENT_SEQ
 * @DM_REMAP_CMD_GET_REMAPS: dump; request carries MAJOR and MINOR, and UUID where only
 *	one of several sets in a device is asked for; one message per slot that is used
 *	or bad, with UUID, SLOT, STATE, CHUNK, REDIRECTED, LOST, CAUSE,
 *	STATUS, ERRORS, WHEN
 * @DM_REMAP_CMD_GET_COUNTERS: dump; one message per active device with NAME, UUID,
 *	MAJOR, MINOR and the counters
 * @DM_REMAP_CMD_EVENT: only sent by the kernel, to the group "events"
 */
enum dm_remap_cmd {
	DM_REMAP_CMD_UNSPEC,
	DM_REMAP_CMD_GET_DEVICES,
	DM_REMAP_CMD_GET_REMAPS,
	DM_REMAP_CMD_GET_COUNTERS,
	DM_REMAP_CMD_EVENT,

	/* private: */
	__DM_REMAP_CMD_MAX,
	DM_REMAP_CMD_MAX = __DM_REMAP_CMD_MAX - 1,
};

/**
 * enum dm_remap_attr - attributes
 * @DM_REMAP_A_UNSPEC: not used
 * @DM_REMAP_A_PAD: padding of 64-bit attributes
 * @DM_REMAP_A_NAME: string: name of the mapped device
 * @DM_REMAP_A_UUID: 16 bytes: of the set, as in its superblock
 * @DM_REMAP_A_MAJOR: u32: of the mapped device
 * @DM_REMAP_A_MINOR: u32
 * @DM_REMAP_A_EVENT_SEQ: u64: number of this event of this device; each event has
 *	the number of the one before plus one, so a gap means lost events.  A resume
 *	begins at 1 again, with LOADED.  In a dump of devices: number of the last event.
 * @DM_REMAP_A_TIME: u64: when, nanoseconds since 1970 UTC
 * @DM_REMAP_A_EVENT: u32: enum dm_remap_event
 * @DM_REMAP_A_MODE: string: the mode word of `dmsetup status`
 * @DM_REMAP_A_OLD_MODE: string: the mode before, in DM_REMAP_EVENT_MODE
 * @DM_REMAP_A_SECTOR: u64: first sector that is concerned
 * @DM_REMAP_A_NR_SECTORS: u32
 * @DM_REMAP_A_SLOT: u32
 * @DM_REMAP_A_OPERATION: u32: enum dm_remap_operation
 * @DM_REMAP_A_STATUS: u32: error class, enum remap_status_class of the format
 * @DM_REMAP_A_MEMBER: u32: enum dm_remap_member: where the error was
 * @DM_REMAP_A_REASON: u32: enum dm_remap_reason: why it was not relocated
 * @DM_REMAP_A_USED_SLOTS: u32
 * @DM_REMAP_A_TOTAL_SLOTS: u32
 * @DM_REMAP_A_BAD_SLOTS: u32
 * @DM_REMAP_A_LOST_SECTORS: u32
 * @DM_REMAP_A_GENERATION: u64: of the metadata
 * @DM_REMAP_A_PERCENT: u32: reserved: not sent
 * @DM_REMAP_A_COPIES: u32: metadata copies that were rewritten
 * @DM_REMAP_A_STATE: u32: of an entry, enum remap_entry_state of the format
 * @DM_REMAP_A_CHUNK: u64: main chunk (8 sectors)
 * @DM_REMAP_A_REDIRECTED: u32: mask of 8 bits
 * @DM_REMAP_A_LOST: u32: mask of 8 bits, of those redirected
 * @DM_REMAP_A_CAUSE: u32: enum remap_cause of the format
 * @DM_REMAP_A_ERRORS: u32: seen since it was mapped
 * @DM_REMAP_A_WHEN: u64: seconds since 1970 UTC
 *
 * Behind these the counters, each a u64: dm_remap_counters.h.
 */
enum dm_remap_attr {
	DM_REMAP_A_UNSPEC,
	DM_REMAP_A_PAD,
	DM_REMAP_A_NAME,
	DM_REMAP_A_UUID,
	DM_REMAP_A_MAJOR,
	DM_REMAP_A_MINOR,
	DM_REMAP_A_EVENT_SEQ,
	DM_REMAP_A_TIME,
	DM_REMAP_A_EVENT,
	DM_REMAP_A_MODE,
	DM_REMAP_A_OLD_MODE,
	DM_REMAP_A_SECTOR,
	DM_REMAP_A_NR_SECTORS,
	DM_REMAP_A_SLOT,
	DM_REMAP_A_OPERATION,
	DM_REMAP_A_STATUS,
	DM_REMAP_A_MEMBER,
	DM_REMAP_A_REASON,
	DM_REMAP_A_USED_SLOTS,
	DM_REMAP_A_TOTAL_SLOTS,
	DM_REMAP_A_BAD_SLOTS,
	DM_REMAP_A_LOST_SECTORS,
	DM_REMAP_A_GENERATION,
	DM_REMAP_A_PERCENT,
	DM_REMAP_A_COPIES,
	DM_REMAP_A_STATE,
	DM_REMAP_A_CHUNK,
	DM_REMAP_A_REDIRECTED,
	DM_REMAP_A_LOST,
	DM_REMAP_A_CAUSE,
	DM_REMAP_A_ERRORS,
	DM_REMAP_A_WHEN,
#define COUNTER(NAME, name, text) DM_REMAP_A_##NAME,
#define SINCE_LOAD(NAME) DM_REMAP_A_##NAME,
#include "dm_remap_counters.h"

	/* private: */
	__DM_REMAP_A_MAX,
	DM_REMAP_A_MAX = __DM_REMAP_A_MAX - 1,
};

/**
 * enum dm_remap_event - kinds of event
 *
 * Every event carries NAME, UUID, MAJOR, MINOR, EVENT_SEQ, TIME, EVENT, MODE,
 * USED_SLOTS and TOTAL_SLOTS, and what is said here.
 *
 * @DM_REMAP_EVENT_UNSPEC: not used
 * @DM_REMAP_EVENT_LOADED: the device became active: GENERATION
 * @DM_REMAP_EVENT_UNLOADED: the device is suspended or removed, and has released its spare
 * @DM_REMAP_EVENT_RELOCATED: a failed write went to the spare: SECTOR, NR_SECTORS,
 *	SLOT, STATUS, MEMBER (where it failed), OPERATION
 * @DM_REMAP_EVENT_REMAPPED: by message `remap`: SECTOR, NR_SECTORS, SLOT, CAUSE,
 *	LOST_SECTORS (of these)
 * @DM_REMAP_EVENT_UNREMAPPED: SECTOR, NR_SECTORS, SLOT
 * @DM_REMAP_EVENT_READ_ERROR: SECTOR, NR_SECTORS (of the failed request), STATUS, MEMBER,
 *	OPERATION
 * @DM_REMAP_EVENT_REFUSED: a failed write was not relocated: SECTOR, NR_SECTORS,
 *	STATUS, REASON, OPERATION
 * @DM_REMAP_EVENT_FLUSH_ERROR: MEMBER, STATUS, OPERATION
 * @DM_REMAP_EVENT_SPARE_LOW: reserved: not sent; the daemon has steps of spare use
 * @DM_REMAP_EVENT_SPARE_FULL: no free slot is left
 * @DM_REMAP_EVENT_SPARE_BAD: a spare chunk is bad: SLOT, and SECTOR if it was in use
 * @DM_REMAP_EVENT_COMMIT_FAILED: a table block could not be written: STATUS
 * @DM_REMAP_EVENT_REPAIRED: COPIES of the metadata were rewritten
 * @DM_REMAP_EVENT_MODE: OLD_MODE
 * @DM_REMAP_EVENT_SAVED: soft state was saved (or not: STATUS is not 0)
 * @DM_REMAP_EVENT_STORM: relocations came too fast; mode is `frozen` until `thaw`
 * @DM_REMAP_EVENT_LOST_CACHE: MEMBER came back and may have lost acknowledged writes
 */
enum dm_remap_event {
	DM_REMAP_EVENT_UNSPEC,
	DM_REMAP_EVENT_LOADED,
	DM_REMAP_EVENT_UNLOADED,
	DM_REMAP_EVENT_RELOCATED,
	DM_REMAP_EVENT_REMAPPED,
	DM_REMAP_EVENT_UNREMAPPED,
	DM_REMAP_EVENT_READ_ERROR,
	DM_REMAP_EVENT_REFUSED,
	DM_REMAP_EVENT_FLUSH_ERROR,
	DM_REMAP_EVENT_SPARE_LOW,
	DM_REMAP_EVENT_SPARE_FULL,
	DM_REMAP_EVENT_SPARE_BAD,
	DM_REMAP_EVENT_COMMIT_FAILED,
	DM_REMAP_EVENT_REPAIRED,
	DM_REMAP_EVENT_MODE,
	DM_REMAP_EVENT_SAVED,
	DM_REMAP_EVENT_STORM,
	DM_REMAP_EVENT_LOST_CACHE,

	/* private: */
	__DM_REMAP_EVENT_MAX,
	DM_REMAP_EVENT_MAX = __DM_REMAP_EVENT_MAX - 1,
};

enum dm_remap_operation {
	DM_REMAP_OPERATION_READ = 1,
	DM_REMAP_OPERATION_WRITE = 2,
	DM_REMAP_OPERATION_FLUSH = 3,
};

enum dm_remap_member {
	DM_REMAP_MEMBER_MAIN = 1,
	DM_REMAP_MEMBER_SPARE = 2,
};

/**
 * enum dm_remap_reason - why a failed write was not relocated
 * @DM_REMAP_REASON_CLASS: the error is of a class that says nothing about sectors
 * @DM_REMAP_REASON_PROBE: main did not take the probe: it is gone, or read-only
 * @DM_REMAP_REASON_DEADLINE: it took too long
 * @DM_REMAP_REASON_FULL: no free slot
 * @DM_REMAP_REASON_FROZEN: mode `frozen`
 * @DM_REMAP_REASON_DISABLED: auto_remap is disabled
 * @DM_REMAP_REASON_READ_ONLY: the metadata cannot be written
 * @DM_REMAP_REASON_COMMIT: the commit failed
 * @DM_REMAP_REASON_SPARE: the spare did not take the data
 */
enum dm_remap_reason {
	DM_REMAP_REASON_CLASS = 1,
	DM_REMAP_REASON_PROBE = 2,
	DM_REMAP_REASON_DEADLINE = 3,
	DM_REMAP_REASON_FULL = 4,
	DM_REMAP_REASON_FROZEN = 5,
	DM_REMAP_REASON_DISABLED = 6,
	DM_REMAP_REASON_READ_ONLY = 7,
	DM_REMAP_REASON_COMMIT = 8,
	DM_REMAP_REASON_SPARE = 9,
};

#endif /* _UAPI_DM_REMAP_H */
