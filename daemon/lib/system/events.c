// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "remap_format.h"
#include "system/events.h"

/* Room for a storm: about ten thousand events between two looks. */
#define RECEIVE_BYTES (4 << 20)
#define DUMP_TRIES 8

enum kind {
	KIND_STRING,
	KIND_U32,
	KIND_U64,
	KIND_UUID,
};

static const struct field {
	enum kind kind;
	size_t offset;
	size_t nr_bytes;
} fields[DM_REMAP_A_MAX + 1] = {
#define FIELD(attribute, k, member)                                                  \
	[DM_REMAP_A_##attribute] = { KIND_##k, offsetof(struct remap_event, member), \
				     sizeof(((struct remap_event *)0)->member) }
	FIELD(NAME, STRING, name),
	FIELD(UUID, UUID, uuid),
	FIELD(MAJOR, U32, major),
	FIELD(MINOR, U32, minor),
	FIELD(EVENT_SEQ, U64, seq),
	FIELD(TIME, U64, time_ns),
	FIELD(EVENT, U32, kind),
	FIELD(MODE, STRING, mode),
	FIELD(OLD_MODE, STRING, old_mode),
	FIELD(SECTOR, U64, sector),
	FIELD(NR_SECTORS, U32, nr_sectors),
	FIELD(SLOT, U32, slot),
	FIELD(OPERATION, U32, operation),
	FIELD(STATUS, U32, status),
	FIELD(MEMBER, U32, member),
	FIELD(REASON, U32, reason),
	FIELD(USED_SLOTS, U32, used_slots),
	FIELD(TOTAL_SLOTS, U32, total_slots),
	FIELD(BAD_SLOTS, U32, bad_slots),
	FIELD(LOST_SECTORS, U32, lost_sectors),
	FIELD(GENERATION, U64, generation),
	FIELD(PERCENT, U32, percent),
	FIELD(COPIES, U32, copies),
	FIELD(STATE, U32, state),
	FIELD(CHUNK, U64, chunk),
	FIELD(REDIRECTED, U32, redirected),
	FIELD(LOST, U32, lost),
	FIELD(CAUSE, U32, cause),
	FIELD(ERRORS, U32, errors),
	FIELD(WHEN, U64, when),
	FIELD(READ_ERRORS, U64, read_errors),
	FIELD(WRITE_ERRORS, U64, write_errors),
	FIELD(SPARE_READ_ERRORS, U64, spare_read_errors),
	FIELD(SPARE_WRITE_ERRORS, U64, spare_write_errors),
	FIELD(FLUSH_ERRORS, U64, flush_errors),
	FIELD(RELOCATIONS, U64, relocations),
	FIELD(REJECTED, U64, rejected),
	FIELD(LOST_READS, U64, lost_reads),
	FIELD(SAVES_OK, U64, saves_ok),
	FIELD(SAVES_FAILED, U64, saves_failed),
	FIELD(COMMIT_FAILURES, U64, commit_failures),
#undef FIELD
};

static_assert(DM_REMAP_A_MAX < 64, "remap_event.has has a bit for each attribute");

static const char *name_of(const char *const *names, size_t nr_names, uint32_t number)
{
	return number < nr_names && names[number] ? names[number] : "unknown";
}

const char *event_kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[DM_REMAP_EVENT_LOADED] = "loaded",
		[DM_REMAP_EVENT_UNLOADED] = "unloaded",
		[DM_REMAP_EVENT_RELOCATED] = "relocated",
		[DM_REMAP_EVENT_REMAPPED] = "remapped",
		[DM_REMAP_EVENT_UNREMAPPED] = "unremapped",
		[DM_REMAP_EVENT_READ_ERROR] = "read-error",
		[DM_REMAP_EVENT_REFUSED] = "refused",
		[DM_REMAP_EVENT_FLUSH_ERROR] = "flush-error",
		[DM_REMAP_EVENT_SPARE_LOW] = "spare-low",
		[DM_REMAP_EVENT_SPARE_FULL] = "spare-full",
		[DM_REMAP_EVENT_SPARE_BAD] = "spare-bad",
		[DM_REMAP_EVENT_COMMIT_FAILED] = "commit-failed",
		[DM_REMAP_EVENT_REPAIRED] = "repaired",
		[DM_REMAP_EVENT_MODE] = "mode",
		[DM_REMAP_EVENT_SAVED] = "saved",
		[DM_REMAP_EVENT_STORM] = "storm",
		[DM_REMAP_EVENT_LOST_CACHE] = "lost-cache",
	};

	return name_of(names, ARRAY_SIZE(names), kind);
}

const char *event_reason_name(uint32_t reason)
{
	static const char *const names[] = {
		[DM_REMAP_REASON_CLASS] = "this kind of error says nothing about sectors",
		[DM_REMAP_REASON_PROBE] = "the main device is gone or takes no writes",
		[DM_REMAP_REASON_DEADLINE] = "it took too long",
		[DM_REMAP_REASON_FULL] = "the spare is full",
		[DM_REMAP_REASON_FROZEN] = "the set is frozen",
		[DM_REMAP_REASON_DISABLED] = "auto_remap is disabled",
		[DM_REMAP_REASON_READ_ONLY] = "the metadata cannot be written",
		[DM_REMAP_REASON_COMMIT] = "the commit failed",
		[DM_REMAP_REASON_SPARE] = "the spare did not take the data",
	};

	return name_of(names, ARRAY_SIZE(names), reason);
}

const char *event_member_name(uint32_t member)
{
	static const char *const names[] = {
		[DM_REMAP_MEMBER_MAIN] = "main",
		[DM_REMAP_MEMBER_SPARE] = "spare",
	};

	return name_of(names, ARRAY_SIZE(names), member);
}

const char *event_status_name(uint32_t status)
{
	static const char *const names[] = {
		[REMAP_STATUS_NONE] = "no error",
		[REMAP_STATUS_IOERR] = "I/O error",
		[REMAP_STATUS_MEDIUM] = "medium error",
		[REMAP_STATUS_OTHER] = "other error",
	};

	return name_of(names, ARRAY_SIZE(names), status);
}

const char *event_cause_name(uint32_t cause)
{
	static const char *const names[] = {
		[REMAP_CAUSE_NONE] = "none",	 [REMAP_CAUSE_WRITE_ERROR] = "write-error",
		[REMAP_CAUSE_RESCUE] = "rescue", [REMAP_CAUSE_MANUAL] = "manual",
		[REMAP_CAUSE_IMPORT] = "import", [REMAP_CAUSE_PROBE] = "probe",
		[REMAP_CAUSE_GUARD] = "guard",	 [REMAP_CAUSE_SPARE_BAD] = "spare-bad",
	};

	return name_of(names, ARRAY_SIZE(names), cause);
}

static void describe_sectors(const struct remap_event *event, char *text, size_t nr_bytes)
{
	if (event->nr_sectors == 1)
		snprintf(text, nr_bytes, "sector %" PRIu64, event->sector);
	else
		snprintf(text, nr_bytes, "sectors %" PRIu64 "-%" PRIu64, event->sector,
			 event->sector + (event->nr_sectors ? event->nr_sectors - 1 : 0));
}

void event_describe(const struct remap_event *event, char *text, size_t nr_bytes)
{
	char sectors[64];

	describe_sectors(event, sectors, sizeof(sectors));
	switch (event->kind) {
	case DM_REMAP_EVENT_LOADED:
		snprintf(text, nr_bytes, "active, mode %s, %u of %u slots used", event->mode,
			 event->used_slots, event->total_slots);
		break;
	case DM_REMAP_EVENT_UNLOADED:
		snprintf(text, nr_bytes, "suspended or removed");
		break;
	case DM_REMAP_EVENT_RELOCATED:
		snprintf(text, nr_bytes, "relocated %s to slot %u after a failed write (%s on %s)",
			 sectors, event->slot, event_status_name(event->status),
			 event_member_name(event->member));
		break;
	case DM_REMAP_EVENT_REMAPPED:
		snprintf(text, nr_bytes, "remapped %s to slot %u (%s), %u of them lost", sectors,
			 event->slot, event_cause_name(event->cause), event->lost_sectors);
		break;
	case DM_REMAP_EVENT_UNREMAPPED:
		snprintf(text, nr_bytes, "%s %s served by the main device again (slot %u)", sectors,
			 event->nr_sectors == 1 ? "is" : "are", event->slot);
		break;
	case DM_REMAP_EVENT_READ_ERROR:
		snprintf(text, nr_bytes, "cannot read %s (%s on %s)", sectors,
			 event_status_name(event->status), event_member_name(event->member));
		break;
	case DM_REMAP_EVENT_REFUSED:
		snprintf(text, nr_bytes, "a failed write of %s was not relocated: %s (%s)", sectors,
			 event_reason_name(event->reason), event_status_name(event->status));
		break;
	case DM_REMAP_EVENT_FLUSH_ERROR:
		snprintf(text, nr_bytes, "a flush of the %s device failed (%s)",
			 event_member_name(event->member), event_status_name(event->status));
		break;
	case DM_REMAP_EVENT_SPARE_LOW:
		snprintf(text, nr_bytes, "%u %% of the spare is used (%u of %u slots)",
			 event->percent, event->used_slots, event->total_slots);
		break;
	case DM_REMAP_EVENT_SPARE_FULL:
		snprintf(text, nr_bytes, "the spare is full: %u of %u slots", event->used_slots,
			 event->total_slots);
		break;
	case DM_REMAP_EVENT_SPARE_BAD:
		snprintf(text, nr_bytes, "the spare chunk of slot %u is bad", event->slot);
		break;
	case DM_REMAP_EVENT_COMMIT_FAILED:
		snprintf(text, nr_bytes, "the metadata on the spare could not be written (%s)",
			 event_status_name(event->status));
		break;
	case DM_REMAP_EVENT_REPAIRED:
		snprintf(text, nr_bytes, "%u metadata copies were repaired", event->copies);
		break;
	case DM_REMAP_EVENT_MODE:
		snprintf(text, nr_bytes, "mode changed from %s to %s", event->old_mode,
			 event->mode);
		break;
	case DM_REMAP_EVENT_SAVED:
		snprintf(text, nr_bytes, "%s",
			 event->status ? "the counters could not be saved" :
					 "the counters were saved");
		break;
	case DM_REMAP_EVENT_STORM:
		snprintf(text, nr_bytes,
			 "relocations come too fast: frozen until `dmremap thaw %s`", event->name);
		break;
	case DM_REMAP_EVENT_LOST_CACHE:
		snprintf(text, nr_bytes,
			 "the %s device came back and may have lost acknowledged writes",
			 event_member_name(event->member));
		break;
	default:
		snprintf(text, nr_bytes, "event %u, which this release does not know", event->kind);
	}
}

static int decode_attribute(const struct nlattr *attr, struct remap_event *event)
{
	int type = nla_type(attr);
	const struct field *field;
	char *at;

	if (type > DM_REMAP_A_MAX)
		return 0; /* of a later module (O25) */
	field = &fields[type];
	if (!field->nr_bytes)
		return 0;
	at = (char *)event + field->offset;
	switch (field->kind) {
	case KIND_STRING:
		nla_strlcpy(at, attr, field->nr_bytes);
		break;
	case KIND_U32:
		if (nla_len(attr) != sizeof(uint32_t))
			return -EBADMSG;
		memcpy(at, nla_data(attr), sizeof(uint32_t));
		break;
	case KIND_U64:
		if (nla_len(attr) != sizeof(uint64_t))
			return -EBADMSG;
		memcpy(at, nla_data(attr), sizeof(uint64_t));
		break;
	case KIND_UUID:
		if (nla_len(attr) != 16)
			return -EBADMSG;
		memcpy(at, nla_data(attr), 16);
		break;
	}
	event->has |= UINT64_C(1) << type;
	return 0;
}

int event_decode(const void *attrs, size_t nr_bytes, struct remap_event *event)
{
	const struct nlattr *attr;
	int remaining, r;

	memset(event, 0, sizeof(*event));
	if (nr_bytes > INT32_MAX)
		return -EBADMSG;
	nla_for_each_attr(attr, (struct nlattr *)attrs, (int)nr_bytes, remaining)
	{
		r = decode_attribute(attr, event);
		if (r < 0)
			return r;
	}
	return remaining ? -EBADMSG : 0;
}

/**
 * struct event_socket - a subscription
 * @sock: libnl's socket
 * @family: number of the family
 * @f: for event_socket_read()
 * @userdata: its argument
 * @result: first error of @f
 */
struct event_socket {
	struct nl_sock *sock;
	int family;
	event_f f;
	void *userdata;
	int result;
};

static int on_message(struct nl_msg *msg, void *userdata)
{
	struct event_socket *sock = userdata;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct genlmsghdr *genl;
	struct remap_event event;
	int r;

	if (header->nlmsg_type != sock->family || !genlmsg_valid_hdr(header, 0))
		return NL_SKIP;
	genl = genlmsg_hdr(header);
	r = event_decode(genlmsg_attrdata(genl, 0), (size_t)genlmsg_attrlen(genl, 0), &event);
	if (!r)
		r = sock->f(sock->userdata, &event);
	if (r < 0 && !sock->result)
		sock->result = r;
	return NL_OK;
}

static int errno_of_nl(int r)
{
	switch (-r) {
	case NLE_SUCCESS:
		return 0;
	case NLE_NOMEM:
		return -ENOBUFS; /* libnl says so for ENOBUFS of the socket */
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_INTR:
		return -EINTR;
	case NLE_DUMP_INTR:
		return -ESTALE;
	case NLE_NODEV:
		return -ENODEV;
	default:
		return -EIO;
	}
}

/* Only "no such family" means that the module is missing; all else is a failure of its own. */
static int explain_nl(int r, const char *what, struct error *error)
{
	return error_set(error, -errno_of_nl(r), "generic netlink: cannot %s: %s", what,
			 nl_geterror(r));
}

static int open_socket(struct event_socket *sock, struct error *error)
{
	int r;

	sock->sock = nl_socket_alloc();
	if (!sock->sock)
		return error_set(error, ENOMEM, "out of memory");
	r = genl_connect(sock->sock);
	if (r < 0)
		return explain_nl(r, "open a socket", error);
	sock->family = genl_ctrl_resolve(sock->sock, DM_REMAP_GENL_NAME);
	if (sock->family == -NLE_OBJ_NOTFOUND)
		return error_set(error, ENOENT,
				 "the kernel has no netlink family \"%s\": load the module "
				 "dm-remap",
				 DM_REMAP_GENL_NAME);
	if (sock->family < 0)
		return explain_nl(sock->family, "ask for the family \"" DM_REMAP_GENL_NAME "\"",
				  error);
	nl_socket_modify_cb(sock->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, sock);
	return 0;
}

void event_socket_close(struct event_socket *sock)
{
	if (!sock)
		return;
	if (sock->sock)
		nl_socket_free(sock->sock);
	free(sock);
}

void event_socket_close_p(struct event_socket **sock)
{
	event_socket_close(*sock);
}

int event_socket_open(struct event_socket **result, struct error *error)
{
	_cleanup_(event_socket_close_p) struct event_socket *sock = calloc(1, sizeof(*sock));
	int group, r;

	if (!sock)
		return error_set(error, ENOMEM, "out of memory");
	r = open_socket(sock, error);
	if (r < 0)
		return r;
	group = genl_ctrl_resolve_grp(sock->sock, DM_REMAP_GENL_NAME, DM_REMAP_GENL_GROUP_EVENTS);
	if (group == -NLE_OBJ_NOTFOUND)
		return error_set(error, EPROTO, "the netlink family has no group \"%s\"",
				 DM_REMAP_GENL_GROUP_EVENTS);
	if (group < 0)
		return explain_nl(group, "ask for the group of events", error);
	nl_socket_disable_seq_check(sock->sock);
	/* needs CAP_NET_ADMIN beyond the limit; the smaller buffer works, too */
	r = RECEIVE_BYTES;
	if (setsockopt(nl_socket_get_fd(sock->sock), SOL_SOCKET, SO_RCVBUFFORCE, &r, sizeof(r)) < 0)
		nl_socket_set_buffer_size(sock->sock, RECEIVE_BYTES, 0);
	r = nl_socket_set_nonblocking(sock->sock);
	if (r == 0)
		r = nl_socket_add_membership(sock->sock, group);
	if (r < 0)
		return explain_nl(r, "listen to events", error);
	*result = sock;
	sock = NULL;
	return 0;
}

int event_socket_fd(const struct event_socket *sock)
{
	return nl_socket_get_fd(sock->sock);
}

/* What is still in the socket when events were lost is read first, to make room. */
int event_socket_read(struct event_socket *sock, event_f f, void *userdata)
{
	bool lost = false;
	int r;

	sock->f = f;
	sock->userdata = userdata;
	sock->result = 0;
	do {
		r = nl_recvmsgs_default(sock->sock);
		r = r < 0 ? errno_of_nl(r) : 0;
		lost |= r == -ENOBUFS;
	} while ((!r || r == -ENOBUFS) && !sock->result);
	if (lost)
		return -ENOBUFS;
	if (r == -EAGAIN || r == -EINTR)
		r = 0;
	return r < 0 ? r : sock->result;
}

/* Room for the kernel's news of families: they come at boot, one per module. */
#define FAMILY_RECEIVE_BYTES (256 << 10)

static int on_family(struct nl_msg *msg, void *userdata)
{
	struct nlattr *attrs[CTRL_ATTR_MAX + 1];
	struct genlmsghdr *genl;
	int *news = userdata;

	if (!genlmsg_valid_hdr(nlmsg_hdr(msg), 0))
		return NL_SKIP;
	genl = genlmsg_hdr(nlmsg_hdr(msg));
	if ((genl->cmd != CTRL_CMD_NEWFAMILY && genl->cmd != CTRL_CMD_DELFAMILY) ||
	    genlmsg_parse(nlmsg_hdr(msg), 0, attrs, CTRL_ATTR_MAX, NULL) < 0 ||
	    !attrs[CTRL_ATTR_FAMILY_NAME] ||
	    nla_strcmp(attrs[CTRL_ATTR_FAMILY_NAME], DM_REMAP_GENL_NAME) != 0)
		return NL_SKIP;
	*news |= genl->cmd == CTRL_CMD_NEWFAMILY ? FAMILY_APPEARED : FAMILY_GONE;
	return NL_OK;
}

int family_watch_open(struct event_socket **result, struct error *error)
{
	_cleanup_(event_socket_close_p) struct event_socket *sock = calloc(1, sizeof(*sock));
	int group, r;

	if (!sock)
		return error_set(error, ENOMEM, "out of memory");
	sock->sock = nl_socket_alloc();
	if (!sock->sock)
		return error_set(error, ENOMEM, "out of memory");
	r = genl_connect(sock->sock);
	if (r < 0)
		return explain_nl(r, "open a socket", error);
	group = genl_ctrl_resolve_grp(sock->sock, "nlctrl", "notify");
	if (group < 0)
		return explain_nl(group, "ask for the group \"notify\"", error);
	nl_socket_disable_seq_check(sock->sock);
	nl_socket_set_buffer_size(sock->sock, FAMILY_RECEIVE_BYTES, 0);
	r = nl_socket_set_nonblocking(sock->sock);
	if (r == 0)
		r = nl_socket_add_membership(sock->sock, group);
	if (r < 0)
		return explain_nl(r, "listen to families that come", error);
	*result = sock;
	sock = NULL;
	return 0;
}

int family_watch_read(struct event_socket *sock)
{
	int news = 0, r;

	nl_socket_modify_cb(sock->sock, NL_CB_VALID, NL_CB_CUSTOM, on_family, &news);
	do {
		r = nl_recvmsgs_default(sock->sock);
	} while (r >= 0);
	r = errno_of_nl(r);
	if (r == -ENOBUFS) /* both may have been among what was lost */
		return FAMILY_APPEARED | FAMILY_GONE;
	return r == -EAGAIN || r == -EINTR ? news : r;
}

/*
 * Lines of a dump are kept until it is known to be whole: an interrupted one is thrown away.  Of
 * remaps there may be a million, so only what a line of them has is kept.
 */
struct dump {
	void *line;
	size_t line_bytes;
	size_t nr_lines;
	size_t room;
};

/**
 * struct remapped - a line of a dump of remaps
 *
 * The fields are those of struct remap_event.
 */
struct remapped {
	uint64_t chunk;
	uint64_t when;
	uint32_t slot;
	uint32_t errors;
	uint8_t state;
	uint8_t redirected;
	uint8_t lost;
	uint8_t cause;
	uint32_t status;
};

static void *next_line(struct dump *dump)
{
	if (dump->nr_lines == dump->room) {
		size_t room = dump->room ? 2 * dump->room : 64;
		void *bigger = reallocarray(dump->line, room, dump->line_bytes);

		if (!bigger)
			return NULL;
		dump->line = bigger;
		dump->room = room;
	}
	return (char *)dump->line + dump->nr_lines++ * dump->line_bytes;
}

static int keep_line(void *userdata, const struct remap_event *event)
{
	struct remap_event *line = next_line(userdata);

	if (!line)
		return -ENOMEM;
	*line = *event;
	return 0;
}

static int keep_remap(void *userdata, const struct remap_event *event)
{
	struct remapped *line = next_line(userdata);

	if (!line)
		return -ENOMEM;
	*line = (struct remapped){
		.chunk = event->chunk,
		.when = event->when,
		.slot = event->slot,
		.errors = event->errors,
		.state = (uint8_t)event->state,
		.redirected = (uint8_t)event->redirected,
		.lost = (uint8_t)event->lost,
		.cause = (uint8_t)event->cause,
		.status = event->status,
	};
	return 0;
}

static int dump_once(uint8_t command, bool one, uint32_t major, uint32_t minor, event_f keep,
		     struct dump *dump, struct error *error)
{
	_cleanup_(event_socket_close_p) struct event_socket *sock = calloc(1, sizeof(*sock));
	struct nl_msg *msg;
	int r;

	if (!sock)
		return error_set(error, ENOMEM, "out of memory");
	r = open_socket(sock, error);
	if (r < 0)
		return r;
	sock->f = keep;
	sock->userdata = dump;
	msg = nlmsg_alloc();
	if (!msg ||
	    !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, sock->family, 0, NLM_F_DUMP, command,
			 DM_REMAP_GENL_VERSION) ||
	    (one && (nla_put_u32(msg, DM_REMAP_A_MAJOR, major) < 0 ||
		     nla_put_u32(msg, DM_REMAP_A_MINOR, minor) < 0)))
		r = -NLE_NOMEM;
	else
		r = nl_send_auto(sock->sock, msg);
	nlmsg_free(msg);
	if (r >= 0)
		r = nl_recvmsgs_default(sock->sock);
	if (r < 0)
		return error_set(error, -errno_of_nl(r), "netlink dump: %s", nl_geterror(r));
	return sock->result;
}

static int dump(uint8_t command, bool one, uint32_t major, uint32_t minor, event_f keep,
		struct dump *lines, struct error *error)
{
	int r = -ESTALE;

	for (int try = 0; try < DUMP_TRIES && r == -ESTALE; try++) {
		lines->nr_lines = 0;
		r = dump_once(command, one, major, minor, keep, lines, error);
	}
	return r;
}

static int dump_events(uint8_t command, event_f f, void *userdata, struct error *error)
{
	struct dump lines = { .line_bytes = sizeof(struct remap_event) };
	int r = dump(command, false, 0, 0, keep_line, &lines, error);

	for (size_t i = 0; !r && i < lines.nr_lines; i++)
		r = f(userdata, (struct remap_event *)lines.line + i);
	free(lines.line);
	return r;
}

int event_dump_devices(event_f f, void *userdata, struct error *error)
{
	return dump_events(DM_REMAP_CMD_GET_DEVICES, f, userdata, error);
}

int event_dump_counters(event_f f, void *userdata, struct error *error)
{
	return dump_events(DM_REMAP_CMD_GET_COUNTERS, f, userdata, error);
}

int event_dump_remaps(uint32_t major, uint32_t minor, event_f f, void *userdata,
		      struct error *error)
{
	struct dump lines = { .line_bytes = sizeof(struct remapped) };
	int r = dump(DM_REMAP_CMD_GET_REMAPS, true, major, minor, keep_remap, &lines, error);

	for (size_t i = 0; !r && i < lines.nr_lines; i++) {
		const struct remapped *line = (struct remapped *)lines.line + i;
		struct remap_event event = {
			.major = major,
			.minor = minor,
			.chunk = line->chunk,
			.when = line->when,
			.slot = line->slot,
			.errors = line->errors,
			.state = line->state,
			.redirected = line->redirected,
			.lost = line->lost,
			.cause = line->cause,
			.status = line->status,
		};

		r = f(userdata, &event);
	}
	free(lines.line);
	return r;
}
