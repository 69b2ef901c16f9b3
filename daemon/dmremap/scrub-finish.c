// SPDX-License-Identifier: GPL-2.0-or-later
/* The end of a scrub: what could not be read is salvaged if that is wanted, and reported. */
#include <errno.h>
#include <inttypes.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "files/files.h"
#include "print-hits.h"
#include "remap_format.h"
#include "scrub.h"
#include "util/foreign.h"

/* More bad places than that are no case for a scrub, but for a person. */
#define SALVAGE_CHUNKS_MAX 1024
/* For names of files, and how many of them are told. */
#define FILES_SECONDS 300
#define FILES_TOLD_MAX 100

static uint64_t count_chunks(const struct runs *runs)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < runs->nr; i++)
		nr += (runs->at[i].at + runs->at[i].nr - 1) / REMAP_CHUNK_SECTORS -
		      runs->at[i].at / REMAP_CHUNK_SECTORS + 1;
	return nr;
}

/* NULL: it can be done; else why not. */
static const char *why_not_salvage(struct scrub *scrub, uint64_t nr_chunks)
{
	const struct remap_status *s = &scrub->device.status;
	struct dm_device now;

	if (dm_get(scrub->device.name, &now, NULL) < 0 || now.fallback)
		return "the module cannot be asked";
	scrub->device = now;
	if (!streq(s->mode, "rw") || !s->probe_ok)
		return "the set has troubles of its own (dmremap health)";
	if (nr_chunks > SALVAGE_CHUNKS_MAX || scrub->state.plan[SCRUB_SET].is_coarse)
		return "there are too many: dmremap import, or replace the disk";
	if (2 * nr_chunks > s->total_slots - s->used_slots - s->bad_slots)
		return "the spare has too little room: dmremap resize";
	return NULL;
}

/* Each place by itself: one that fails keeps no other from it. */
static void salvage(struct scrub *scrub, const struct runs *bad)
{
	const char *why = why_not_salvage(scrub, count_chunks(bad));
	struct error error;

	if (why) {
		printf("%s: scrub: nothing is salvaged: %s\n", FOREIGN(scrub->device.name), why);
		return;
	}
	for (size_t i = 0; i < bad->nr; i++) {
		char message[96];

		snprintf(message, sizeof(message), "remap %" PRIu64 " %" PRIu64 " rescue",
			 bad->at[i].at, bad->at[i].nr);
		if (dm_message(scrub->device.name, message, NULL, &error) < 0)
			printf("%s: scrub: sector %" PRIu64 " is not salvaged: %s\n",
			       FOREIGN(scrub->device.name), bad->at[i].at, error.text);
	}
}

/*
 * Of sectors that the spare serves, those that cannot be read from there: adds them to @left.  What
 * failed is narrowed down already: a part of a chunk that fails fails as a whole.
 */
static int add_unserved(struct scrub_disk *disk, const struct runs *served, struct runs *left)
{
	int r = 0;

	for (size_t i = 0; !r && i < served->nr; i++) {
		uint64_t at = served->at[i].at, end = at + served->at[i].nr, nr, ms;

		for (; !r && at < end; at += nr) {
			uint64_t behind = (at / REMAP_CHUNK_SECTORS + 1) * REMAP_CHUNK_SECTORS;

			nr = (behind < end ? behind : end) - at;
			r = scrub_disk_read(disk, at, nr, &ms);
			if (r >= 0)
				r = r ? 0 : runs_add(left, at, nr, at);
		}
	}
	return r;
}

/*
 * What is served by the spare by now, by whoever moved it, is no bad place of the set any more; but
 * it may have been there before, in a slot that cannot be read.
 */
static int find_left(struct scrub *scrub, const struct runs *bad, struct runs *left,
		     struct error *error)
{
	_cleanup_runs_ struct runs remapped = { NULL, 0, 0 }, lost = { NULL, 0, 0 };
	_cleanup_runs_ struct runs on_spare = { NULL, 0, 0 }, served = { NULL, 0, 0 };
	struct scrub_disk disk = { .fd = -1 };
	int r = scrub_find_sectors(&scrub->device, SCRUB_REMAPPED, &remapped, error);

	if (!r)
		r = scrub_find_sectors(&scrub->device, SCRUB_LOST, &lost, error);
	if (!r)
		r = runs_subtract(bad, &remapped, left);
	if (!r)
		r = runs_subtract(bad, left, &on_spare);
	if (!r)
		r = runs_subtract(&on_spare, &lost, &served);
	if (r < 0 || !served.nr)
		return r;
	r = scrub_disk_of(&scrub->device, SCRUB_SET, &disk, error);
	if (!r) {
		r = add_unserved(&disk, &served, left);
		if (r < 0)
			error_set(error, -r, "%s: %s cannot be read: %s", scrub->device.name,
				  disk.path, strerror(-r));
	}
	scrub_disk_done(&disk);
	return r ? r : runs_sort(left);
}

static int settle(struct scrub *scrub, struct runs *left, struct error *error)
{
	_cleanup_runs_ struct runs bad = { NULL, 0, 0 };
	struct plan *plan = &scrub->state.plan[SCRUB_SET];
	int r = scrub_find_unreadable(plan, &bad);

	if (!r && bad.nr && scrub->rescue)
		salvage(scrub, &bad);
	if (!r)
		r = find_left(scrub, &bad, left, error);
	if (r < 0)
		return r;
	scrub->state.salvaged += runs_count(&bad) - runs_count(left);
	plan_clear_bad(plan);
	for (size_t i = 0; i < left->nr; i++)
		plan_add_bad(plan, left->at[i].at, left->at[i].nr);
	return 0;
}

static size_t add_words(char *text, size_t nr_bytes, size_t length, uint64_t nr, const char *one,
			const char *many)
{
	int n;

	if (!nr || length >= nr_bytes)
		return length;
	n = snprintf(text + length, nr_bytes - length, "%s%" PRIu64 " %s", length ? ", " : "", nr,
		     nr == 1 ? one : many);
	return n > 0 ? length + (size_t)n : length;
}

void scrub_describe(const struct scrub_result *result, char *text, size_t nr_bytes)
{
	size_t length = 0;

	*text = '\0';
	length = add_words(text, nr_bytes, length, result->unreadable, "sector cannot be read",
			   "sectors cannot be read");
	length = add_words(text, nr_bytes, length, result->salvaged, "sector went to the spare",
			   "sectors went to the spare");
	length = add_words(text, nr_bytes, length, result->spare_unreadable,
			   "sector of the spare cannot be read",
			   "sectors of the spare cannot be read");
	length = add_words(text, nr_bytes, length, result->open,
			   "sector could not be looked at in the time",
			   "sectors could not be looked at in the time");
	length =
		add_words(text, nr_bytes, length, result->slow, "read was slow", "reads were slow");
	if (result->metadata == SCRUB_METADATA_FAILED && length < nr_bytes)
		snprintf(text + length, nr_bytes - length, "%sthe metadata could not be compared",
			 length ? ", " : "");
	else if (!length)
		snprintf(text, nr_bytes, "all could be read");
}

static void set_result(struct scrub *scrub)
{
	struct scrub_state *state = &scrub->state;
	struct scrub_result *last = &state->last;

	*last = (struct scrub_result){
		.ended = (uint64_t)time(NULL),
		.unreadable = plan_bad(&state->plan[SCRUB_SET]),
		.salvaged = state->salvaged,
		.open = plan_open(&state->plan[SCRUB_SET]) + plan_open(&state->plan[SCRUB_SPARE]),
		.spare_unreadable = plan_bad(&state->plan[SCRUB_SPARE]),
		.slow = state->plan[SCRUB_SET].nr_slow + state->plan[SCRUB_SPARE].nr_slow,
		.metadata = state->metadata,
	};
	if (!last->unreadable && !last->salvaged && !last->open && !last->spare_unreadable &&
	    last->metadata != SCRUB_METADATA_FAILED)
		state->good = last->ended;
	state->is_finished = true;
	state->is_wanted = false;
}

/* As the journal takes it: what is not good is a warning there. */
static const char *level_of(const struct scrub_result *result)
{
	bool is_well = !result->unreadable && !result->salvaged && !result->open &&
		       !result->spare_unreadable && result->metadata != SCRUB_METADATA_FAILED;

	return getenv("JOURNAL_STREAM") ? (is_well ? "<5>" : "<4>") : "";
}

static void tell_files(struct scrub *scrub, struct runs *left)
{
	struct files_request request = { .devno = makedev(scrub->device.major, scrub->device.minor),
					 .runs = *left,
					 .seconds = FILES_SECONDS };
	_cleanup_hits_ struct hits hits = { 0 };

	if (left->nr && files_find(&request, &hits, NULL) == 0) {
		if (hits.nr > FILES_TOLD_MAX)
			hits.nr_dropped += hits.nr - FILES_TOLD_MAX;
		hits_print(scrub->invocation, &scrub->device, &hits, FILES_TOLD_MAX);
	}
	*left = request.runs;
}

int scrub_finish(struct scrub *scrub, struct error *error)
{
	_cleanup_runs_ struct runs left = { NULL, 0, 0 };
	char text[400];
	int r = settle(scrub, &left, error);

	if (r < 0)
		return r;
	set_result(scrub);
	r = scrub_state_save(scrub->key, &scrub->state);
	if (r < 0)
		return error_set(error, -r, "%s: the result of the scrub cannot be saved: %s",
				 scrub->device.name, strerror(-r));
	scrub_describe(&scrub->state.last, text, sizeof(text));
	if (isatty(STDOUT_FILENO))
		printf("\r");
	printf("%s%s: scrub: it came to its end: %s\n", level_of(&scrub->state.last),
	       foreign_text(scrub->device.name, sizeof(scrub->device.name)).text, text);
	tell_files(scrub, &left);
	return 0;
}
