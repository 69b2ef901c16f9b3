/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard (O1-O3): which bytes of main name its content to others, and the member
 * header that keeps them.  Reads main, writes nothing; create.c and release.c do the steps.
 */
#ifndef DM_REMAP_GUARD_H
#define DM_REMAP_GUARD_H

#include "format/places.h"
#include "format/region.h"

#define GUARD_RANGES_MAX 128

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
 * @content: for people: "ext4 \"data\"", "nothing known"
 * @type: of the first thing found, as libblkid calls it; empty: nothing
 * @danger: why this device must not be handle as a whole (O5); empty: nothing
 * @assembles: what is on it, or on one of its partitions, and is put together from whatever
 *             device shows it: LVM, md, ZFS, btrfs; empty: nothing
 * @member: the same, where more than this device may belong to it (O4): all but a btrfs of one
 *          device
 */
struct guard_plan {
	struct hidden_range range[GUARD_RANGES_MAX];
	size_t nr_ranges;
	char content[160];
	char type[32];
	char danger[160];
	char assembles[32];
	char member[32];
};

/*
 * Enumerates as wipefs does: probe, hide in memory, probe again (O3).  @path: of the device or
 * image behind @main_fd.  @places: says what cannot be read: then the rest was looked at, in a
 * copy in which that is zero; NULL: a read error is an error with the sector in it.
 */
int guard_plan_make(const char *path, int main_fd, uint64_t main_sectors, struct guard_plan *plan,
		    struct places *places, struct error *error);
/* The ranges of a copy that was made, and perhaps changed, before. */
int guard_plan_of_copy(const struct places *places, struct guard_plan *plan, struct error *error);
/* Reads where content is looked for, on partitions as well. */
int guard_look(int fd, uint64_t nr_sectors, struct places *places, struct error *error);
/*
 * The chunks that must be mapped: those of all ranges, sorted, chunk 0 always.  The
 * caller frees.
 */
int guard_plan_chunks(const struct guard_plan *plan, uint64_t **chunks, uint32_t *nr_chunks);
/*
 * What blkid still finds on a guarded main, but the protective MBR; -EEXIST with its name.  What
 * cannot be read hides itself.
 */
int guard_check_hidden(const char *path, int fd, uint64_t nr_sectors, struct error *error);

/*
 * Builds the member header; @read returns chunk @main_chunk of main's original content.
 * -ENOSPC: the signatures do not fit.  Where chunk 0 does not, the header is made without it
 * (chunk0_len is zero): then it must be kept elsewhere.  @chunk0_lost: its sectors that could not
 * be read, a bit for each.
 */
typedef const uint8_t *(*guard_read_f)(void *userdata, uint64_t main_chunk);
int guard_header_build(const struct guard_plan *plan, const struct remap_super *super,
		       const char *spare_identity, uint8_t chunk0_lost, guard_read_f read,
		       void *userdata, struct remap_member_disk *header, struct error *error);
/* The original chunk 0 that the header keeps. */
int guard_header_chunk0(const struct remap_member_disk *header, uint8_t chunk[REMAP_CHUNK_BYTES]);
/* Hidden range @i of the header and its original bytes. */
void guard_header_range(const struct remap_member_disk *header, uint32_t i, uint64_t *offset,
			uint32_t *nr_bytes, const uint8_t **original);

#endif /* DM_REMAP_GUARD_H */
