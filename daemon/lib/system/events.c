// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <linux/genetlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "system/events.h"
#include "util/foreign.h"

/* Room for a storm: about ten thousand events between two looks. */
#define RECEIVE_BYTES (4 << 20)
#define DUMP_TRIES 8

/**
 * struct field - where an attribute goes
 * @offset: in the struct
 * @nr_bytes: of the member; 0: it is passed over
 * @is_string: which is made printable, and cut to fit; others have as many bytes as the member
 */
struct field {
	size_t offset;
	size_t nr_bytes;
	bool is_string;
};

/* STRUCT is what the table at this place fills. */
#define FIELD(attribute, member, is_string)                           \
	[DM_REMAP_A_##attribute] = { offsetof(struct STRUCT, member), \
				     sizeof(((struct STRUCT *)0)->member), is_string },
#define FIELD_STRING(attribute, member, nr_bytes) FIELD(attribute, member, true)
#define FIELD_NUMBER(attribute, member) FIELD(attribute, member, false)

#define STRUCT remap_event
static const struct field event_fields[DM_REMAP_A_MAX + 1] = { FIELD(
	UUID, uuid, false) EVENT_ATTRIBUTES(FIELD_STRING, FIELD_NUMBER, FIELD_NUMBER) };
#undef STRUCT
#define STRUCT remap_slot
static const struct field slot_fields[DM_REMAP_A_MAX + 1] = { SLOT_ATTRIBUTES(
	FIELD_STRING, FIELD_NUMBER, FIELD_NUMBER) };
#undef STRUCT

/* @has: bit per attribute that was there */
static int decode_attribute(const struct nlattr *attr, const struct field *fields, void *to,
			    uint64_t *has)
{
	int type = nla_type(attr);
	const struct field *field;
	char *at;

	if (type > DM_REMAP_A_MAX)
		return 0; /* of a later module (O25) */
	field = &fields[type];
	if (!field->nr_bytes)
		return 0;
	at = (char *)to + field->offset;
	if (field->is_string) {
		foreign_escape(nla_data(attr), (size_t)nla_len(attr), at, field->nr_bytes);
	} else {
		if ((size_t)nla_len(attr) != field->nr_bytes)
			return -EBADMSG;
		memcpy(at, nla_data(attr), field->nr_bytes);
	}
	if (type < 64)
		*has |= UINT64_C(1) << type;
	return 0;
}

static int decode(const void *attrs, size_t nr_bytes, const struct field *fields, void *to,
		  uint64_t *has)
{
	const struct nlattr *attr;
	int remaining, r;

	if (nr_bytes > INT32_MAX)
		return -EBADMSG;
	nla_for_each_attr(attr, (struct nlattr *)attrs, (int)nr_bytes, remaining)
	{
		r = decode_attribute(attr, fields, to, has);
		if (r < 0)
			return r;
	}
	return remaining ? -EBADMSG : 0;
}

int event_decode(const void *attrs, size_t nr_bytes, struct remap_event *event)
{
	memset(event, 0, sizeof(*event));
	return decode(attrs, nr_bytes, event_fields, event, &event->has);
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
				 "the kernel has no netlink family \"%s\": dmremap doctor says "
				 "why, and what to type",
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
		return explain_nl(r, "listen for new families", error);
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
 * struct dump - a dump of remaps
 *
 * Lines are kept until it is known to be whole: an interrupted one is thrown away.
 */
struct dump {
	int family;
	struct remap_slot *slot;
	size_t nr;
	size_t room;
	int result;
};

static struct remap_slot *next_slot(struct dump *dump)
{
	if (dump->nr == dump->room) {
		size_t room = dump->room ? 2 * dump->room : 64;
		void *bigger = reallocarray(dump->slot, room, sizeof(*dump->slot));

		if (!bigger)
			return NULL;
		dump->slot = bigger;
		dump->room = room;
	}
	return memset(&dump->slot[dump->nr++], 0, sizeof(*dump->slot));
}

static int on_slot(struct nl_msg *msg, void *userdata)
{
	struct dump *dump = userdata;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct genlmsghdr *genl;
	struct remap_slot *slot;
	uint64_t has = 0;
	int r = -ENOMEM;

	if (header->nlmsg_type != dump->family || !genlmsg_valid_hdr(header, 0))
		return NL_SKIP;
	genl = genlmsg_hdr(header);
	slot = next_slot(dump);
	if (slot)
		r = decode(genlmsg_attrdata(genl, 0), (size_t)genlmsg_attrlen(genl, 0), slot_fields,
			   slot, &has);
	if (r < 0 && !dump->result)
		dump->result = r;
	return NL_OK;
}

static int dump_once(uint32_t major, uint32_t minor, struct dump *dump, struct error *error)
{
	_cleanup_(event_socket_close_p) struct event_socket *sock = calloc(1, sizeof(*sock));
	struct nl_msg *msg;
	int r;

	if (!sock)
		return error_set(error, ENOMEM, "out of memory");
	r = open_socket(sock, error);
	if (r < 0)
		return r;
	*dump = (struct dump){ .family = sock->family, .slot = dump->slot, .room = dump->room };
	nl_socket_modify_cb(sock->sock, NL_CB_VALID, NL_CB_CUSTOM, on_slot, dump);
	msg = nlmsg_alloc();
	if (!msg ||
	    !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, sock->family, 0, NLM_F_DUMP,
			 DM_REMAP_CMD_GET_REMAPS, DM_REMAP_GENL_VERSION) ||
	    nla_put_u32(msg, DM_REMAP_A_MAJOR, major) < 0 ||
	    nla_put_u32(msg, DM_REMAP_A_MINOR, minor) < 0)
		r = -NLE_NOMEM;
	else
		r = nl_send_auto(sock->sock, msg);
	nlmsg_free(msg);
	if (r >= 0)
		r = nl_recvmsgs_default(sock->sock);
	if (r < 0)
		return error_set(error, -errno_of_nl(r), "netlink dump: %s", nl_geterror(r));
	return dump->result;
}

int event_dump_remaps(uint32_t major, uint32_t minor, slot_f f, void *userdata, struct error *error)
{
	struct dump dump = { 0 };
	int r = -ESTALE;

	for (int try = 0; try < DUMP_TRIES && r == -ESTALE; try++)
		r = dump_once(major, minor, &dump, error);
	for (size_t i = 0; !r && i < dump.nr; i++)
		r = f(userdata, &dump.slot[i]);
	free(dump.slot);
	return r;
}
