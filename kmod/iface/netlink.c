// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink family "dm_remap": events to the group "events", and dumps.
 *
 * Events come from events.c, whose sink this is.  What cannot be sent is dropped; its number is
 * used up, so a listener sees the gap and dumps.
 *
 * Dumps walk the list of active sets (registry.c) under its mutex.  They take no
 * set's lock: each line is a fact of its own, and may be a moment old.
 *
 * Rules kept here:
 *   P9  a listener that is dead or slow holds nothing up
 */
#include <linux/capability.h>
#include <net/genetlink.h>
#include <net/netlink.h>

#include "base/compat.h"
#include "iface/iface.h"
#include "life/life.h"
#include "meta/meta.h"

/* Worst case of one message: a name, a UUID, and some forty numbers. */
#define MESSAGE_BYTES	1024

static struct genl_family family;

static const struct nla_policy policy[DM_REMAP_A_MAX + 1] = {
	[DM_REMAP_A_UUID] = NLA_POLICY_EXACT_LEN(REMAP_UUID_BYTES),
	[DM_REMAP_A_MAJOR] = { .type = NLA_U32 },
	[DM_REMAP_A_MINOR] = { .type = NLA_U32 },
};

/* Whether the group has a member. */
static bool is_listened(void)
{
	return genl_has_listeners(&family, &init_net, 0);
}

/* The name may change at any time; one that is being removed has none any more. */
static int put_name(struct sk_buff *skb, struct remap_set *set)
{
	struct mapped_device *md = dm_table_get_md(set->ti->table);
	struct gendisk *disk = dm_disk(md);
	char name[DM_NAME_LEN];

	if (dm_copy_name_and_uuid(md, name, NULL))
		strscpy(name, set->events.name, sizeof(name));
	return nla_put_string(skb, DM_REMAP_A_NAME, name) ?:
	       nla_put(skb, DM_REMAP_A_UUID, REMAP_UUID_BYTES, remap_uuid(set)) ?:
	       nla_put_u32(skb, DM_REMAP_A_MAJOR, disk->major) ?:
	       nla_put_u32(skb, DM_REMAP_A_MINOR, disk->first_minor);
}

static int put_u64(struct sk_buff *skb, int attribute, u64 value)
{
	return nla_put_u64_64bit(skb, attribute, value, DM_REMAP_A_PAD);
}

/* Zero: the event does not concern it. */
static int put_nonzero(struct sk_buff *skb, int attribute, u32 value)
{
	return value ? nla_put_u32(skb, attribute, value) : 0;
}

/* What failed; 0 where nothing did. */
static u32 operation_of(u32 kind)
{
	switch (kind) {
	case DM_REMAP_EVENT_READ_ERROR:
		return DM_REMAP_OPERATION_READ;
	case DM_REMAP_EVENT_RELOCATED:
	case DM_REMAP_EVENT_REFUSED:
		return DM_REMAP_OPERATION_WRITE;
	case DM_REMAP_EVENT_FLUSH_ERROR:
		return DM_REMAP_OPERATION_FLUSH;
	default:
		return 0;
	}
}

static int put_event(struct sk_buff *skb, struct remap_set *set, const struct remap_event *event)
{
	int r = put_name(skb, set) ?:
		put_u64(skb, DM_REMAP_A_EVENT_SEQ, event->seq) ?:
		put_u64(skb, DM_REMAP_A_TIME, event->time) ?:
		nla_put_u32(skb, DM_REMAP_A_EVENT, event->kind) ?:
		nla_put_string(skb, DM_REMAP_A_MODE, event->mode) ?:
		nla_put_u32(skb, DM_REMAP_A_USED_SLOTS, event->nr_used) ?:
		nla_put_u32(skb, DM_REMAP_A_TOTAL_SLOTS, remap_geometry(set)->slots);

	if (!r && event->nr_sectors)
		r = put_u64(skb, DM_REMAP_A_SECTOR, event->sector);
	if (!r && event->has_slot)
		r = nla_put_u32(skb, DM_REMAP_A_SLOT, event->slot);
	if (!r && event->old_mode)
		r = nla_put_string(skb, DM_REMAP_A_OLD_MODE, event->old_mode);
	r = r ?: put_nonzero(skb, DM_REMAP_A_NR_SECTORS, event->nr_sectors) ?:
		 put_nonzero(skb, DM_REMAP_A_OPERATION, operation_of(event->kind)) ?:
		 put_nonzero(skb, DM_REMAP_A_STATUS, event->status) ?:
		 put_nonzero(skb, DM_REMAP_A_MEMBER, event->member) ?:
		 put_nonzero(skb, DM_REMAP_A_REASON, event->reason) ?:
		 put_nonzero(skb, DM_REMAP_A_CAUSE, event->cause);
	if (r)
		return r;
	switch (event->kind) {
	case DM_REMAP_EVENT_REMAPPED:
		return nla_put_u32(skb, DM_REMAP_A_LOST_SECTORS, event->number);
	case DM_REMAP_EVENT_REPAIRED:
		return nla_put_u32(skb, DM_REMAP_A_COPIES, event->number);
	case DM_REMAP_EVENT_LOADED:
		return put_u64(skb, DM_REMAP_A_GENERATION, remap_last_seq(set));
	default:
		return 0;
	}
}

static void send_event(struct remap_set *set, const struct remap_event *event)
{
	struct sk_buff *skb = genlmsg_new(MESSAGE_BYTES, GFP_NOIO);
	void *header;

	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &family, 0, DM_REMAP_CMD_EVENT);
	if (!header || put_event(skb, set, event)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast(&family, skb, 0, 0, GFP_NOIO);
}

static const struct remap_sink sink = { .is_listened = is_listened, .send = send_event };

/**
 * struct walk - a dump over the active sets, or over the slots of one device
 * @skb: filled
 * @cb: args[0]: sets that are done; args[1]: slots of the present set that are
 * @command: of the lines
 * @put: what a line has
 * @index: of the present set, among those that are asked for
 * @major: slots: of the mapped device, which may have several sets
 * @minor: the same
 * @uuid: slots: of the set that is asked for, or NULL: all
 * @slot: slots: the present one
 * @word: what it has
 */
struct walk {
	struct sk_buff *skb;
	struct netlink_callback *cb;
	u8 command;
	int (*put)(const struct walk *walk, struct remap_set *set);
	long index;
	u32 major;
	u32 minor;
	const u8 *uuid;
	u32 slot;
	u64 word;
};

static int put_device_line(const struct walk *walk, struct remap_set *set)
{
	const struct remap_table *table = &set->table;
	struct sk_buff *skb = walk->skb;

	return put_name(skb, set) ?:
	       nla_put_string(skb, DM_REMAP_A_MODE, remap_mode(set)) ?:
	       nla_put_u32(skb, DM_REMAP_A_USED_SLOTS, READ_ONCE(table->nr_used)) ?:
	       nla_put_u32(skb, DM_REMAP_A_TOTAL_SLOTS, remap_geometry(set)->slots) ?:
	       nla_put_u32(skb, DM_REMAP_A_BAD_SLOTS, READ_ONCE(table->nr_bad)) ?:
	       nla_put_u32(skb, DM_REMAP_A_LOST_SECTORS, READ_ONCE(table->nr_lost)) ?:
	       put_u64(skb, DM_REMAP_A_GENERATION, remap_last_seq(set)) ?:
	       put_u64(skb, DM_REMAP_A_EVENT_SEQ, READ_ONCE(set->events.seq));
}

static int put_counters_line(const struct walk *walk, struct remap_set *set)
{
	struct sk_buff *skb = walk->skb;
	int r = put_name(skb, set);
	struct remap_report report;
	unsigned int i;

	for (i = 0; i < REMAP_NR_COUNTERS && !r; i++)
		r = put_u64(skb, remap_counter_info[i].attribute,
			    atomic64_read(&set->counters.nr[i]));
	remap_meta_report(set, &report);
	return r ?: put_u64(skb, DM_REMAP_A_COMMIT_FAILURES, report.nr_failures);
}

static int put_slot_line(const struct walk *walk, struct remap_set *set)
{
	u64 word = walk->word, prov = READ_ONCE(set->table.prov[walk->slot]);
	u32 state = word & REMAP_WORD_BAD ? REMAP_ENTRY_BAD : REMAP_ENTRY_USED;
	struct sk_buff *skb = walk->skb;

	return nla_put(skb, DM_REMAP_A_UUID, REMAP_UUID_BYTES, remap_uuid(set)) ?:
	       nla_put_u32(skb, DM_REMAP_A_SLOT, walk->slot) ?:
	       nla_put_u32(skb, DM_REMAP_A_STATE, state) ?:
	       put_u64(skb, DM_REMAP_A_CHUNK, word & REMAP_WORD_CHUNK) ?:
	       nla_put_u32(skb, DM_REMAP_A_REDIRECTED, REMAP_WORD_REDIRECTED(word)) ?:
	       nla_put_u32(skb, DM_REMAP_A_LOST, REMAP_WORD_LOST(word)) ?:
	       nla_put_u32(skb, DM_REMAP_A_CAUSE, (u8)(prov >> 32)) ?:
	       nla_put_u32(skb, DM_REMAP_A_STATUS, (u8)(prov >> 40)) ?:
	       nla_put_u32(skb, DM_REMAP_A_ERRORS, (u8)(prov >> 48)) ?:
	       put_u64(skb, DM_REMAP_A_WHEN, (u32)prov);
}

static int put_line(const struct walk *walk, struct remap_set *set)
{
	struct netlink_callback *cb = walk->cb;
	void *header = genlmsg_put(walk->skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				   &family, NLM_F_MULTI, walk->command);

	if (!header)
		return -EMSGSIZE;
	genl_dump_check_consistent(cb, header);
	if (walk->put(walk, set)) {
		genlmsg_cancel(walk->skb, header);
		return -EMSGSIZE;
	}
	genlmsg_end(walk->skb, header);
	return 0;
}

static int walk_set(struct remap_set *set, void *data)
{
	struct walk *walk = data;

	if (walk->index++ < walk->cb->args[0])
		return 0;
	if (put_line(walk, set))
		return -EMSGSIZE;
	walk->cb->args[0] = walk->index;
	return 0;
}

static int dump_devices(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct walk walk = {
		.skb = skb, .cb = cb, .command = DM_REMAP_CMD_GET_DEVICES, .put = put_device_line,
	};

	remap_walk_active(walk_set, &walk, &cb->seq);
	return skb->len;
}

static int dump_counters(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct walk walk = {
		.skb = skb, .cb = cb, .command = DM_REMAP_CMD_GET_COUNTERS,
		.put = put_counters_line,
	};

	remap_walk_active(walk_set, &walk, &cb->seq);
	return skb->len;
}

static int walk_slots(struct remap_set *set, void *data)
{
	struct walk *walk = data;
	struct netlink_callback *cb = walk->cb;
	struct gendisk *disk = dm_disk(dm_table_get_md(set->ti->table));
	u32 nr_slots = remap_geometry(set)->slots;

	if (disk->major != walk->major || disk->first_minor != walk->minor ||
	    (walk->uuid && memcmp(walk->uuid, remap_uuid(set), REMAP_UUID_BYTES)))
		return 0;
	/* An entry may have moved to a slot that is sent already: the listener starts again. */
	cb->seq += READ_ONCE(set->table.nr_removed);
	if (walk->index++ < cb->args[0])
		return 0;
	for (walk->slot = cb->args[1]; walk->slot < nr_slots; walk->slot++) {
		walk->word = READ_ONCE(set->table.word[walk->slot]);
		cb->args[1] = walk->slot;
		if ((walk->word & REMAP_WORD_BAD || REMAP_WORD_REDIRECTED(walk->word)) &&
		    put_line(walk, set))
			return -EMSGSIZE;
	}
	cb->args[0] = walk->index;
	cb->args[1] = 0;
	return 0;
}

static int dump_remaps(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct walk walk = {
		.skb = skb, .cb = cb, .command = DM_REMAP_CMD_GET_REMAPS, .put = put_slot_line,
	};
	struct nlattr *attrs[DM_REMAP_A_MAX + 1];
	int r;

	r = genlmsg_parse(cb->nlh, &family, attrs, DM_REMAP_A_MAX, policy, cb->extack);
	if (r)
		return r;
	if (!attrs[DM_REMAP_A_MAJOR] || !attrs[DM_REMAP_A_MINOR]) {
		NL_SET_ERR_MSG(cb->extack, "MAJOR and MINOR of the mapped device are missing");
		return -EINVAL;
	}
	walk.major = nla_get_u32(attrs[DM_REMAP_A_MAJOR]);
	walk.minor = nla_get_u32(attrs[DM_REMAP_A_MINOR]);
	if (attrs[DM_REMAP_A_UUID])
		walk.uuid = nla_data(attrs[DM_REMAP_A_UUID]);
	remap_walk_active(walk_slots, &walk, &cb->seq);
	if (!walk.index) {
		NL_SET_ERR_MSG(cb->extack, "no active remap device has this number");
		return -ENODEV;
	}
	return skb->len;
}

static int start_dump(struct netlink_callback *cb)
{
	return netlink_capable(cb->skb, CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static const struct genl_ops ops[] = {
	{ .cmd = DM_REMAP_CMD_GET_DEVICES, .start = start_dump, .dumpit = dump_devices },
	{ .cmd = DM_REMAP_CMD_GET_REMAPS, .start = start_dump, .dumpit = dump_remaps },
	{ .cmd = DM_REMAP_CMD_GET_COUNTERS, .start = start_dump, .dumpit = dump_counters },
};

static const struct genl_multicast_group groups[] = {
	{ .name = DM_REMAP_GENL_GROUP_EVENTS, .flags = REMAP_GROUP_ADMIN },
};

static struct genl_family family __ro_after_init = {
	.name = DM_REMAP_GENL_NAME,
	.version = DM_REMAP_GENL_VERSION,
	.maxattr = DM_REMAP_A_MAX,
	.policy = policy,
	.module = THIS_MODULE,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.resv_start_op = __DM_REMAP_CMD_MAX,
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
};

/**
 * remap_netlink_init() - register the family
 *
 * Context: module init.  Return: 0 or a negative errno.
 */
int __init remap_netlink_init(void)
{
	int r = genl_register_family(&family);

	if (!r)
		remap_set_sink(&sink);
	return r;
}

/**
 * remap_netlink_exit() - take it back; no set exists any more
 */
void remap_netlink_exit(void)
{
	remap_set_sink(NULL);
	genl_unregister_family(&family);
}
