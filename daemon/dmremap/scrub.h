/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scrub at work, and what its files share. */
#ifndef DM_REMAP_SCRUB_H
#define DM_REMAP_SCRUB_H

#include "files/runs.h"
#include "scrub-disk.h"
#include "scrub/scrub-lock.h"
#include "verbs.h"

/**
 * struct scrub - a scrub at work
 * @invocation: of the verb
 * @device: the set
 * @key: of its files
 * @uuid: of the set
 * @has_uuid: it has one: its lock is respected
 * @state: how far it is
 * @pace: how fast it may be
 * @rescue: what cannot be read is salvaged
 * @excluded: of each part, by sector: lost sectors, and slots that are known as bad
 * @nr_excluded: how many ranges
 * @average_us: of reading a piece, in microseconds
 * @has_pause: others used the disk during the last read
 * @begun_ms: when this process began, or counted its time last
 * @saved_ms: when the state was saved last
 * @told_ms: when progress was told last
 */
struct scrub {
	const struct invocation *invocation;
	struct dm_device device;
	char key[256];
	uint8_t uuid[16];
	bool has_uuid;
	struct scrub_state state;
	struct pace pace;
	bool rescue;
	struct span *excluded[NR_SCRUB_PARTS];
	size_t nr_excluded[NR_SCRUB_PARTS];
	uint64_t average_us;
	bool has_pause;
	uint64_t begun_ms;
	uint64_t saved_ms;
	uint64_t told_ms;
};

/* scrub-run.c: in the foreground, to its end or until a signal. */
int scrub_run(struct invocation *invocation, const struct dm_device *device, struct error *error);

enum scrub_sectors {
	SCRUB_REMAPPED,	 /* of the set: served by the spare */
	SCRUB_LOST,	 /* of these, those that are lost */
	SCRUB_BAD_SLOTS, /* of the region on the spare: places that are not used any more */
};

/* scrub-sectors.c: sorted; the caller frees. */
int scrub_find_sectors(const struct dm_device *device, enum scrub_sectors kind, struct runs *runs,
		       struct error *error);
/* What the last scrub could not read; it may have been remapped since. */
int scrub_find_unreadable(const struct plan *plan, struct runs *runs);

/* scrub-finish.c: salvage, what is left, the result. */
int scrub_finish(struct scrub *scrub, struct error *error);
/* "12 sectors cannot be read, ..."; of a result. */
void scrub_describe(const struct scrub_result *result, char *text, size_t nr_bytes);

#endif /* DM_REMAP_SCRUB_H */
