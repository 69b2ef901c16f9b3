/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generic netlink client: the group "events", and the dump of remaps (events.c, the only file
 * that includes libnl); what each kind of event is called and says (event-kinds.c).  Decoding is
 * separate from sockets, so it is tested without a kernel.
 */
#ifndef DM_REMAP_EVENTS_H
#define DM_REMAP_EVENTS_H

#include "dm_remap.h"
#include "util/util.h"

/* What events carry: attribute, and member of struct remap_event. */
#define EVENT_ATTRIBUTES(STRING, U32, U64) \
	STRING(NAME, name, 128)            \
	U32(MAJOR, major)                  \
	U32(MINOR, minor)                  \
	U64(EVENT_SEQ, seq)                \
	U64(TIME, time_ns)                 \
	U32(EVENT, kind)                   \
	STRING(MODE, mode, 16)             \
	STRING(OLD_MODE, old_mode, 16)     \
	U64(SECTOR, sector)                \
	U32(NR_SECTORS, nr_sectors)        \
	U32(SLOT, slot)                    \
	U32(OPERATION, operation)          \
	U32(STATUS, status)                \
	U32(MEMBER, member)                \
	U32(REASON, reason)                \
	U32(USED_SLOTS, used_slots)        \
	U32(TOTAL_SLOTS, total_slots)      \
	U32(LOST_SECTORS, lost_sectors)    \
	U64(GENERATION, generation)        \
	U32(COPIES, copies)                \
	U32(CAUSE, cause)

/* The same of a line of a dump of remaps, and struct remap_slot. */
#define SLOT_ATTRIBUTES(STRING, U32, U64) \
	U32(SLOT, slot)                   \
	U32(STATE, state)                 \
	U64(CHUNK, chunk)                 \
	U32(REDIRECTED, redirected)       \
	U32(LOST, lost)                   \
	U32(CAUSE, cause)                 \
	U32(STATUS, status)               \
	U32(ERRORS, errors)               \
	U64(WHEN, when)

#define MEMBER_STRING(attribute, name, nr_bytes) char name[nr_bytes];
#define MEMBER_U32(attribute, name) uint32_t name;
#define MEMBER_U64(attribute, name) uint64_t name;

/**
 * struct remap_event - a decoded event
 * @has: bit per DM_REMAP_A_* that was there (bit n: attribute n)
 * @uuid: of the set
 *
 * The other fields are the attributes of EVENT_ATTRIBUTES; those that were not there are zero.
 * Strings are cut to fit and NUL-terminated.
 */
struct remap_event {
	uint64_t has;
	uint8_t uuid[16];
	EVENT_ATTRIBUTES(MEMBER_STRING, MEMBER_U32, MEMBER_U64)
};

/* A slot that is used or bad: there may be a million of them. */
struct remap_slot {
	SLOT_ATTRIBUTES(MEMBER_STRING, MEMBER_U32, MEMBER_U64)
};

#define EVENT_HAS(event, attribute) ((event)->has >> (attribute)&1)

/**
 * struct event_kind - how a kind of event is reported: event-kinds.c
 * @name: as the journal, `dmremap events` and --json show it
 * @message_id: of the journal; never changed or reused, because people filter by it.
 *              systemd/dm-remap.catalog explains each
 * @priority: of syslog
 * @text: for people; {words} are expanded by event_describe()
 * @failed_text: the same where the event has an error, and its priority is LOG_ERR then;
 *               NULL: no difference
 */
struct event_kind {
	const char *name;
	const char *message_id;
	int priority;
	const char *text;
	const char *failed_text;
};

/* NULL: not a kind that this release knows. */
const struct event_kind *event_kind_find(uint32_t kind);
/* "unknown" for the unknown, as those below. */
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
 * Tells when the family appears or goes, which is when the module is loaded or unloaded: a socket
 * in the group "notify" of generic netlink itself, which is always there.
 */
int family_watch_open(struct event_socket **sock, struct error *error);
/*
 * Reads all that is there without waiting; what happened, as bits.  A socket that was in the
 * family's group is deaf once the family has gone, also when it comes back.
 */
#define FAMILY_APPEARED 1
#define FAMILY_GONE 2
int family_watch_read(struct event_socket *sock);

typedef int (*slot_f)(void *userdata, const struct remap_slot *slot);

/*
 * A device's remaps, in the order of their slots.  The dump has a socket of its own, and one that
 * was interrupted is begun again.
 */
int event_dump_remaps(uint32_t major, uint32_t minor, slot_f f, void *userdata,
		      struct error *error);

#endif /* DM_REMAP_EVENTS_H */
