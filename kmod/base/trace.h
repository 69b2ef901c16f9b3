/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the slow path, system dm_remap in tracefs.  They are for
 * looking on: what programs rely on comes by netlink (netlink.c).
 *
 * Texts are arrays of fixed length: __assign_str() differs between kernels.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dm_remap

#if !defined(DM_REMAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DM_REMAP_TRACE_H

#include <linux/tracepoint.h>

#include "base/set.h"

#ifndef DM_REMAP_TRACE_HELPERS
#define DM_REMAP_TRACE_HELPERS

#define REMAP_MODE_LEN 12

static inline dev_t remap_trace_dev(const struct remap_set *set)
{
	return disk_devt(dm_disk(dm_table_get_md(set->ti->table)));
}

#endif

/* A chunk whose bad sectors get a place in a slot, or whose lost ones get content. */
DECLARE_EVENT_CLASS(dm_remap_relocation,
	TP_PROTO(const struct remap_set *set, u64 chunk, u32 slot, u8 mask, bool fresh, u8 result,
		 u8 status),
	TP_ARGS(set, chunk, slot, mask, fresh, result, status),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(u32, slot)
		__field(u8, mask)
		__field(bool, fresh)
		__field(u8, result)
		__field(u8, status)
	),
	TP_fast_assign(
		__entry->dev = remap_trace_dev(set);
		__entry->sector = chunk * REMAP_CHUNK_SECTORS;
		__entry->slot = slot;
		__entry->mask = mask;
		__entry->fresh = fresh;
		__entry->result = result;
		__entry->status = status;
	),
	TP_printk("%d:%d sector=%llu mask=0x%02x slot=%u%s result=%s status=%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->sector, __entry->mask,
		  __entry->slot, __entry->fresh ? " fresh" : "",
		  __print_symbolic(__entry->result,
				   { REMAP_COMMITTED, "committed" },
				   { REMAP_NOT_WRITTEN, "none" },
				   { REMAP_IN_DOUBT, "doubt" }),
		  __print_symbolic(__entry->status,
				   { REMAP_STATUS_NONE, "ok" },
				   { REMAP_STATUS_IOERR, "ioerr" },
				   { REMAP_STATUS_MEDIUM, "medium" },
				   { REMAP_STATUS_OTHER, "other" }))
);

DEFINE_EVENT(dm_remap_relocation, dm_remap_relocate_begin,
	TP_PROTO(const struct remap_set *set, u64 chunk, u32 slot, u8 mask, bool fresh, u8 result,
		 u8 status),
	TP_ARGS(set, chunk, slot, mask, fresh, result, status)
);

DEFINE_EVENT(dm_remap_relocation, dm_remap_relocate_end,
	TP_PROTO(const struct remap_set *set, u64 chunk, u32 slot, u8 mask, bool fresh, u8 result,
		 u8 status),
	TP_ARGS(set, chunk, slot, mask, fresh, result, status)
);

/* A failed write that is not relocated; reason: enum dm_remap_reason. */
TRACE_EVENT(dm_remap_refuse,
	TP_PROTO(const struct remap_set *set, u64 sector, u32 nr_sectors, u8 reason),
	TP_ARGS(set, sector, nr_sectors, reason),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(u32, nr_sectors)
		__field(u8, reason)
	),
	TP_fast_assign(
		__entry->dev = remap_trace_dev(set);
		__entry->sector = sector;
		__entry->nr_sectors = nr_sectors;
		__entry->reason = reason;
	),
	TP_printk("%d:%d sector=%llu sectors=%u reason=%u",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->sector,
		  __entry->nr_sectors, __entry->reason)
);

/* One metadata block went to both replicas, or did not: error is 0 or an errno. */
TRACE_EVENT(dm_remap_commit,
	TP_PROTO(const struct remap_set *set, u32 block, u64 seq, int error),
	TP_ARGS(set, block, seq, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u32, block)
		__field(u64, seq)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dev = remap_trace_dev(set);
		__entry->block = block;
		__entry->seq = seq;
		__entry->error = error;
	),
	TP_printk("%d:%d block=%u seq=%llu error=%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->block, __entry->seq,
		  __entry->error)
);

/* Whether main took a write to the probe chunk and gave it back. */
TRACE_EVENT(dm_remap_probe,
	TP_PROTO(const struct remap_set *set, u64 sector, bool alive),
	TP_ARGS(set, sector, alive),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(bool, alive)
	),
	TP_fast_assign(
		__entry->dev = remap_trace_dev(set);
		__entry->sector = sector;
		__entry->alive = alive;
	),
	TP_printk("%d:%d sector=%llu alive=%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->sector, __entry->alive)
);

/* What the messages remap and unremap did with one chunk. */
DECLARE_EVENT_CLASS(dm_remap_request,
	TP_PROTO(const struct remap_set *set, u64 chunk, u8 mask, int error),
	TP_ARGS(set, chunk, mask, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, sector)
		__field(u8, mask)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dev = remap_trace_dev(set);
		__entry->sector = chunk * REMAP_CHUNK_SECTORS;
		__entry->mask = mask;
		__entry->error = error;
	),
	TP_printk("%d:%d sector=%llu mask=0x%02x error=%d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->sector, __entry->mask,
		  __entry->error)
);

DEFINE_EVENT(dm_remap_request, dm_remap_remap,
	TP_PROTO(const struct remap_set *set, u64 chunk, u8 mask, int error),
	TP_ARGS(set, chunk, mask, error)
);

DEFINE_EVENT(dm_remap_request, dm_remap_unremap,
	TP_PROTO(const struct remap_set *set, u64 chunk, u8 mask, int error),
	TP_ARGS(set, chunk, mask, error)
);

/* The mode word, as it is sent to listeners. */
TRACE_EVENT(dm_remap_mode,
	TP_PROTO(const struct remap_set *set, const char *old_mode, const char *mode),
	TP_ARGS(set, old_mode, mode),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__array(char, old_mode, REMAP_MODE_LEN)
		__array(char, mode, REMAP_MODE_LEN)
	),
	TP_fast_assign(
		__entry->dev = remap_trace_dev(set);
		strscpy(__entry->old_mode, old_mode, REMAP_MODE_LEN);
		strscpy(__entry->mode, mode, REMAP_MODE_LEN);
	),
	TP_printk("%d:%d old=%s new=%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->old_mode, __entry->mode)
);

#endif /* DM_REMAP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH base
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
