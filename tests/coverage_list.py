# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of kmod that `make coverage` does not see run, and why: file, first line of a run (or the
line before it and that one), reason.

Tests marked plain_only do not take part; lines of which that is said were seen to run there.
"""

RACE = "two threads must meet within a few instructions"
OTHER_KERNEL = "a kernel or a kind of disk that the debugging kernel does not have"
PLAIN = "runs in tests that are too slow for the debugging kernel: "
NO_TEST = "no test does this: "
NO_ROOM = "more memory than that is never asked for, or it is asked for once, at the module's load"
BOTH = "two faults at once: the second one in the command that answers the first"

NEVER_RUN: dict[str, dict[str, str]] = {
    "kmod/base/events.c": {
        "return;": RACE,
    },
    "kmod/base/flow.c": {
        "DEFINE_WAIT(wait);": "two drains of one bucket: the worker and a message, " + RACE,
    },
    "kmod/base/set.h": {"}": "the end of a function that is inlined"},
    "kmod/base/trace.h": {
        "static inline dev_t remap_trace_dev(const struct remap_set *set)":
            "tracepoints are switched on in the virtual machine (vm/test_tracepoints.py)",
        "DECLARE_EVENT_CLASS(dm_remap_relocation,": "the same",
        "DECLARE_EVENT_CLASS(dm_remap_request,": "the same",
    },
    "kmod/base/written.c": {
        "set_bit(area, scan->suspect);": RACE + ": a write that ends between flush and its error",
    },
    "kmod/construct.c": {
        'ti->error = "Main device has logical blocks larger than 4 KiB";': OTHER_KERNEL,
        'ti->error = "Main device is larger than 4 PiB";': OTHER_KERNEL,
        'ti->error = "Cannot allocate the set";': "each allocation fails in the suite \"failing "
                                                  "allocations, each\"; some of them here",
    },
    "kmod/data_path.c": {
        "if (!bio_sectors(bio)) return map_main(set, bio);": "a bio without data that is no flush: none is sent today",
    },
    "kmod/engine/confirm.c": {
        "mutex_unlock(&gate->mutex);": BOTH,
        "remap_give_up(set, piece, DM_REMAP_REASON_CLASS);": BOTH,
    },
    "kmod/engine/copy.c": {
        "u8 remap_chunk_mask(const struct remap_set *set, u64 chunk)": "it is inlined",
        'remap_err(set, "%s: slot %u cannot be read: its chunk stays remapped",':
            NO_TEST + "an unremap of a slot that cannot be read as a whole",
    },
    "kmod/engine/manual.c": {
        "return say_unwritable(set, chunk);": NO_TEST + "more of a chunk, in a block that cannot",
        "return r;": "a suspend between two batches of one message: " + RACE,
    },
    "kmod/engine/near.c": {"return false;": BOTH},
    "kmod/engine/pass.c": {
        "leave_from(set, position, end);": "a slow command before the last of a pass",
        "return r;": "a suspend between two commands of one pass: " + RACE,
    },
    "kmod/engine/pieces.c": {
        "continue;": "a flush fails behind a group of which one piece failed by itself: " + BOTH,
        "piece->status = BLK_STS_IOERR;": "no caller gives up a piece that has no status today",
    },
    "kmod/engine/relocate.c": {
        "return NULL;": NO_TEST + "a write to more of a chunk whose block cannot be written",
        "return -ENODEV;": BOTH,
        "continue;": BOTH,
        "for (i = nr_changes; i < nr_all; i++)": BOTH,
    },
    "kmod/engine/request.c": {
        "manual->span = max(nr_done, 1U);": BOTH,
    },
    "kmod/engine/scan.c": {"set_bit(area, scan->suspect);": "a suspend during one read: " + RACE},
    "kmod/engine/worker.c": {
        "piece->status = BLK_STS_MEDIUM;": "a read that waited for a chunk that is lost meanwhile",
        "end_all(set, BLK_STS_IOERR);": "a bio in the queue of a set that was released: " + RACE,
    },
    "kmod/iface/message.c": {
        "static int run_compare(struct message *m)": PLAIN + "test_sleep_hook",
        "mutex_lock(&set->lock);": PLAIN + "test_sleep_hook",
    },
    "kmod/iface/netlink.c": {
        "return r;": "an event is made with room for all its fields",
        "return;": NO_ROOM,
        "genlmsg_cancel(walk->skb, header);": "the end of a packet falls between two attributes",
    },
    "kmod/life/handover.c": {
        "kfree(will);": PLAIN + "test_operations",
    },
    "kmod/life/registry.c": {
        "clear_bit(REMAP_ACTIVE, &other->flags);":
            "a resume that fails at another target of the same table, and a new table",
    },
    "kmod/meta/anchor.c": {"return r;": BOTH},
    "kmod/meta/anchor_chunk.c": {
        "change.status = BLK_STS_IOERR;": BOTH,
        "super->probe_chunk = old;": BOTH,
    },
    "kmod/meta/commit.c": {
        "remap_table_set(table, change->slot, REMAP_WORD_BAD);": BOTH,
        "continue;": BOTH,
    },
    "kmod/meta/degraded.c": {
        "int remap_compare(struct remap_set *set)": PLAIN + "test_sleep_hook",
    },
    "kmod/meta/format.c": {"continue;": "a main that cannot be read where a mark could be"},
    "kmod/meta/load.c": {
        'remap_err(set, "%s: the probe chunk at sector %llu is not remapped: activation refused",':
            "a table that was forged with right checksums: test_forged has it refused before",
        'remap_err(set, "%s: served read-only: cannot write the superblock: %d",': BOTH,
    },
    "kmod/meta/scrub.c": {
        "return r;": "a suspend between two blocks: " + RACE,
        'return refuse(set, 0, "does not match the mark on main");':
            NO_TEST + "`restore` beside a main that another system has written",
        "!remap_rw(set, set->main, 0, set->scratch.anchor, unit, REQ_OP_READ)))": "the same",
        "meta->anchor.marked = marked;": BOTH,
    },
    "kmod/target.c": {
        "static void remap_presuspend_undo(struct dm_target *ti)":
            "a suspend that a signal ends, or that another target of the table refuses",
        "remap_netlink_exit();": NO_ROOM,
    },
}
