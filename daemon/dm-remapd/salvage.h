/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sectors that main could not read, to be salvaged if the administrator wants that.  A
 * salvage moves what can still be read to the spare and gives up what cannot: so it is
 * rate-limited, and in a storm there is none.  Pure.
 */
#ifndef DM_REMAP_SALVAGE_H
#define DM_REMAP_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#define SALVAGE_RANGES_MAX 16
#define SALVAGE_BURST 16
/* A longer request does not say which of its sectors is bad: moving all of it would cost slots. */
#define SALVAGE_SECTORS_MAX 64
#define SALVAGE_SECONDS 60 /* afterwards one in so many seconds */

/**
 * struct salvage - of one set
 * @sector: first sector of each range that waits
 * @nr_sectors: its length
 * @nr: ranges that wait
 * @nr_taken: of the burst, not yet given back
 * @taken_at: when @nr_taken last was right, seconds
 */
struct salvage {
	uint64_t sector[SALVAGE_RANGES_MAX];
	uint32_t nr_sectors[SALVAGE_RANGES_MAX];
	unsigned int nr;
	unsigned int nr_taken;
	uint64_t taken_at;
};

/* A range that is there already, for which there is no room, or that is too long is left out. */
void salvage_add(struct salvage *salvage, uint64_t sector, uint32_t nr_sectors);
/* In a storm: nothing that waits is salvaged. */
void salvage_forget(struct salvage *salvage);
/* The next range, if the rate allows one at @now (seconds). */
bool salvage_take(struct salvage *salvage, uint64_t now, uint64_t *sector, uint32_t *nr_sectors);

#endif /* DM_REMAP_SALVAGE_H */
