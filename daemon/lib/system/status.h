/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's status line and table line, parsed.  Pure; keys that are not
 * known are passed over, keys that are missing are zero (O25).
 */
#ifndef DM_REMAP_STATUS_H
#define DM_REMAP_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers of the status line that are no counters. */
#define STATUS_FACTS(FACT)    \
	FACT(lost_sectors)    \
	FACT(bad_slots)       \
	FACT(retired_slots)   \
	FACT(generation)      \
	FACT(blocks_in_doubt) \
	FACT(commit_failures) \
	FACT(repaired)        \
	FACT(frozen_blocks)   \
	FACT(reserved_slots)

/**
 * struct remap_status - what `dmsetup status` says of a remap target
 *
 * Names and units are those of the keys in kmod/dm-remap.rst; behind those that are named here
 * come STATUS_FACTS and the counters of dm_remap_counters.h.
 * @mode: the mode word
 * @used_slots: slots that serve sectors
 * @total_slots: of the spare
 * @probe_ok: main took the last probe write
 * @replica_out: the replica of the metadata that is known to be gone; -1: none
 * @write_cache: "through", "keep" or "auto"; empty: the module does not say
 */
struct remap_status {
	char mode[16];
	uint32_t used_slots;
	uint32_t total_slots;
	bool probe_ok;
	int replica_out;
	char write_cache[16];
#define FACT(name) uint64_t name;
	STATUS_FACTS(FACT)
#undef FACT
#define COUNTER(NAME, name, text) uint64_t name;
#include "dm_remap_counters.h"
};

/**
 * struct status_number - one of STATUS_FACTS or of the counters
 * @name: its key
 * @offset: in struct remap_status, of a uint64_t
 */
struct status_number {
	const char *name;
	size_t offset;
};

/* NULL behind the last one. */
const struct status_number *status_number_at(size_t i);
uint64_t status_number_of(const struct remap_status *status, const struct status_number *number);
/* Rises with each error and relocation. */
uint64_t status_activity(const struct remap_status *status);

int remap_status_parse(const char *text, struct remap_status *status);

/**
 * struct remap_line - a table line of the target
 * @main: path or major:minor, as the kernel shows it
 * @spare: the same
 * @spare_start: first sector of the region
 * @spare_sectors: its length
 * @features: the optional arguments behind it, with their number; empty: none
 */
struct remap_line {
	char main[256];
	char spare[256];
	uint64_t spare_start;
	uint64_t spare_sectors;
	char features[256];
};

int remap_line_parse(const char *params, struct remap_line *line);
int remap_line_format(const struct remap_line *line, char *params, size_t nr_bytes);

#endif /* DM_REMAP_STATUS_H */
