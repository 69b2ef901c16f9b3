/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generic netlink client: the group "events", and the dumps.  The only file that
 * includes libnl.  Decoding is separate from sockets, so it is tested without a kernel.
 */
#ifndef DM_REMAP_EVENTS_H
#define DM_REMAP_EVENTS_H

#include "dm_remap.h"
#include "util/util.h"

/**
 * struct remap_event - one decoded message: an event, or a line of a dump
 * @has: bit per DM_REMAP_A_* that was there (bit n: attribute n)
 *
 * The other fields are the attributes of the same names; those that were not
 * there are zero.  Strings are cut to fit and NUL-terminated.
 */
struct remap_event {
	uint64_t has;
	char name[128];
	uint8_t uuid[16];
	uint32_t major;
	uint32_t minor;
	uint64_t seq;
	uint64_t time_ns;
	uint32_t kind;
	char mode[16];
	char old_mode[16];
	uint64_t sector;
	uint32_t nr_sectors;
	uint32_t slot;
	uint32_t operation;
	uint32_t status;
	uint32_t member;
	uint32_t reason;
	uint32_t used_slots;
	uint32_t total_slots;
	uint32_t bad_slots;
	uint32_t lost_sectors;
	uint64_t generation;
	uint32_t percent;
	uint32_t copies;
	uint32_t state;
	uint64_t chunk;
	uint32_t redirected;
	uint32_t lost;
	uint32_t cause;
	uint32_t errors;
	uint64_t when;
	uint64_t read_errors;
	uint64_t write_errors;
	uint64_t spare_read_errors;
	uint64_t spare_write_errors;
	uint64_t flush_errors;
	uint64_t relocations;
	uint64_t rejected;
	uint64_t lost_reads;
	uint64_t saves_ok;
	uint64_t saves_failed;
	uint64_t commit_failures;
};

#define EVENT_HAS(event, attribute) ((event)->has >> (attribute)&1)

/* Names as the journal, `dmremap events` and --json show them; "unknown" for the unknown. */
const char *event_kind_name(uint32_t kind);
const char *event_reason_name(uint32_t reason);
const char *event_member_name(uint32_t member);
const char *event_status_name(uint32_t status);
const char *event_cause_name(uint32_t cause);
/* One line for people: "relocated 3 sectors from 123456 to slot 17 (medium error on main)". */
void event_describe(const struct remap_event *event, char *text, size_t nr_bytes);

/* Decodes the attributes of one message; @attrs is what follows the genetlink header. */
int event_decode(const void *attrs, size_t nr_bytes, struct remap_event *event);

struct event_socket;
typedef int (*event_f)(void *userdata, const struct remap_event *event);

/* -ENOENT, and no other: the kernel has no family, so the module is not loaded. */
int event_socket_open(struct event_socket **sock, struct error *error);
void event_socket_close(struct event_socket *sock);
void event_socket_close_p(struct event_socket **sock);
int event_socket_fd(const struct event_socket *sock);
/* Reads all that is there without waiting; -ENOBUFS: events were lost, ask for everything. */
int event_socket_read(struct event_socket *sock, event_f f, void *userdata);

/*
 * Tells when the family appears or goes, which is when the module is loaded or unloaded: a socket in the group
 * "notify" of generic netlink itself, which is always there.
 */
int family_watch_open(struct event_socket **sock, struct error *error);
/*
 * Reads all that is there without waiting; what happened, as bits.  A socket that was in the
 * family's group is deaf once the family has gone, also when it comes back.
 */
#define FAMILY_APPEARED 1
#define FAMILY_GONE 2
int family_watch_read(struct event_socket *sock);

/* Dumps, on a socket of their own; a dump that was interrupted is begun again by itself. */
int event_dump_devices(event_f f, void *userdata, struct error *error);
int event_dump_counters(event_f f, void *userdata, struct error *error);
/* Of a device's remaps, in the order of their slots: what a line of them has, the rest is zero. */
int event_dump_remaps(uint32_t major, uint32_t minor, event_f f, void *userdata,
		      struct error *error);

#endif /* DM_REMAP_EVENTS_H */
