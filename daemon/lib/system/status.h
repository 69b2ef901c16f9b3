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

/**
 * struct remap_status - what `dmsetup status` says of a remap target
 *
 * Names and units are those of the keys in kmod/dm-remap.rst.
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
	uint64_t lost_sectors;
	uint64_t bad_slots;
	uint64_t retired_slots;
	uint64_t read_errors;
	uint64_t write_errors;
	uint64_t spare_read_errors;
	uint64_t spare_write_errors;
	uint64_t flush_errors;
	uint64_t relocations;
	uint64_t rejected;
	uint64_t lost_reads;
	uint64_t generation;
	uint64_t saves_ok;
	uint64_t saves_failed;
	uint64_t blocks_in_doubt;
	uint64_t commit_failures;
	uint64_t repaired;
	uint64_t frozen_blocks;
	uint64_t reserved_slots;
	bool probe_ok;
	int replica_out;
	char write_cache[16];
};

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
