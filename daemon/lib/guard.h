/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard (O1-O7): hiding what is on main from everybody but the mapped device,
 * and giving it back.  create and release are built on it; see guard.c for what a
 * crash between each two steps leaves.
 */
#ifndef DM_REMAP_GUARD_H
#define DM_REMAP_GUARD_H

#include "region.h"

/**
 * struct hidden_range - bytes of main that name its content to others
 * @offset: bytes from the start of main
 * @nr_bytes: length
 * @type: what libblkid calls it
 */
struct hidden_range {
	uint64_t offset;
	uint32_t nr_bytes;
	char type[32];
};

/**
 * struct guard_plan - what hiding main takes
 * @range: everything found, in the order it was found
 * @nr_ranges: how many
 * @content: the first thing found, for people: "ext4 \"data\"", "nothing known"
 * @chunk: main chunks that must be remapped first, sorted; chunk 0 always
 * @nr_chunks: how many
 */
struct guard_plan {
	struct hidden_range *range;
	size_t nr_ranges;
	char content[128];
	uint64_t *chunk;
	size_t nr_chunks;
};

/*
 * Enumerates as wipefs does: probe, hide in an overlay, probe again (O3).  Writes
 * nothing.  A read error is an error with the sector in it.
 */
int guard_plan_make(int main_fd, uint64_t main_sectors, struct guard_plan *plan,
		    struct error *error);
void guard_plan_done(struct guard_plan *plan);

/* Builds the member header.  -ENOSPC: it does not fit (a backup file is needed). */
int guard_header_build(const struct guard_plan *plan, int main_fd, const struct remap_super *super,
		       const char *spare_identity, struct remap_member_disk *header,
		       struct error *error);
/* Reads and checks it.  -ENODATA: none. */
int guard_header_read(int main_fd, struct remap_member_disk *header, struct error *error);
/* Writes header, protective MBR and hides the ranges, durably; then probes that nothing shows. */
int guard_apply(int main_fd, const struct guard_plan *plan, const struct remap_member_disk *header,
		struct error *error);
/* Undoes it from main alone (O2): chunk 0 and all hidden ranges from the header. */
int guard_remove(int main_fd, struct error *error);

#endif /* DM_REMAP_GUARD_H */
