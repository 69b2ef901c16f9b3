/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of release share: release-main.c writes to main and compares, release-lost.c knows
 * what cannot be given back, release-try.c finds out whether main takes what it is going to get, and
 * release.c does it in an order that a crash may interrupt.
 */
#ifndef DM_REMAP_RELEASE_STEPS_H
#define DM_REMAP_RELEASE_STEPS_H

#include "ops/release.h"

/* release-main.c: units are the smallest pieces of main that can be written, masks of a chunk. */
off_t main_chunk_offset(uint64_t main_chunk);
int main_durable(const struct set_handle *a, struct error *error);
uint32_t main_unit_sectors(const struct set_handle *a);
uint8_t main_unit_mask(uint32_t first, uint32_t nr);
int main_read_slot(const struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error);
int main_cannot_do_without(const struct set_handle *a, uint64_t main_chunk, uint32_t first,
			   const char *what, struct error *error);
/* Whether main holds those of @nr sectors from @first of a unit that @mask selects. */
bool main_holds(const struct set_handle *a, uint64_t main_chunk, uint32_t first, uint32_t nr,
		uint8_t mask, const uint8_t *data);
/* The sectors of @mask, from @data to main; what is there already may be unwritable. */
int main_write_sectors(const struct set_handle *a, uint64_t main_chunk, uint8_t mask, uint8_t *data,
		       struct error *error);
int main_compare_sectors(const struct set_handle *a, uint64_t main_chunk, uint8_t mask,
			 const uint8_t *data, struct error *error);
bool main_entry_is_used(const struct set_handle *a, uint32_t slot);
/* What stands on main in the place of such an entry is ours. */
bool main_entry_is_hidden(const struct remap_entry *entry);
/* Sectors 0 to 7, where the guard is, and the chunk of the mark: main must get something. */
bool main_entry_is_own_place(const struct remap_entry *entry);
/* What main gets back of an entry: not what is lost, where something else need not go. */
uint8_t main_mask_back(const struct remap_entry *entry);
/* The content for main: of what is lost, in places of our own, that is zeros. */
int main_read_content(struct set_handle *a, uint32_t slot, uint8_t *buffer, struct error *error);

/* release-lost.c: main fails there as well: it returns nothing that is not true. */
bool main_fails(const struct set_handle *a, uint64_t sector);

/* release-try.c */
/**
 * struct raw_places - what main holds where its content is hidden
 * @slot: the entries that hide it
 * @nr: how many
 * @data: @nr chunks
 */
struct raw_places {
	uint32_t *slot;
	uint32_t nr;
	uint8_t *data;
};

void raw_places_done(struct raw_places *raw);
/*
 * Whether main takes what it is going to be given: each raw place gets what it holds, and
 * is read again.
 */
int release_try_hidden(struct set_handle *a, struct raw_places *raw, struct error *error);
/* Main is hidden again, as it was; false: it could not be. */
bool release_hide_again(struct set_handle *a, const struct raw_places *raw);

#endif /* DM_REMAP_RELEASE_STEPS_H */
