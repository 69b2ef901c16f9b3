// SPDX-License-Identifier: GPL-2.0-or-later
/* Everything about a set to be made that can be known before anything is written. */
#include <errno.h>
#include <inttypes.h>
#include <systemd/sd-id128.h>

#include "ops/create-steps.h"
#include "ops/purpose.h"
#include "set/scan.h"
#include "system/mask.h"

/* How far from its end main is tried for a chunk that can be written. */
#define PROBE_TRIES 64

static int check_unguarded(const struct create_request *a, struct error *error)
{
	if (!*a->main_identity && device_number(a->main_path))
		return error_set(error, EPERM,
				 "%s has no serial number or WWN to identify it by, so it needs "
				 "the guard; omit --no-guard",
				 a->main_path);
	if (*a->plan.assembles)
		return error_set(error, EPERM,
				 "%s holds %s, which is assembled from any device that shows it, "
				 "so it needs the guard; omit --no-guard",
				 a->main_path, a->plan.assembles);
	return device_number(a->main_path) ? mask_check(device_number(a->main_path), error) : 0;
}

static int look_at_main(struct create_request *a, struct error *error)
{
	struct error why;
	int r = guard_plan_make(a->main_path, a->main_fd, a->main_sectors, &a->plan, &a->places,
				&why);

	if (r < 0)
		return error_set(error, -r, "%s: %s", a->main_path, why.text);
	if (*a->plan.danger)
		return error_set(error, EPERM,
				 "%s has %s, and firmware boots from the raw disk; make a set of "
				 "the partition that matters instead",
				 a->main_path, a->plan.danger);
	if (!a->guard)
		return check_unguarded(a, error);
	return guard_plan_chunks(&a->plan, &a->chunk, &a->nr_chunks) < 0 ? no_memory(error) : 0;
}

static bool is_in(const uint64_t *chunk, uint32_t nr, uint64_t main_chunk)
{
	for (uint32_t i = 0; i < nr; i++)
		if (chunk[i] == main_chunk)
			return true;
	return false;
}

/* Chunks that are not hidden, with sectors that cannot be read. */
static int find_bad_chunks(struct create_request *a, struct error *error)
{
	const struct sector_ranges *bad = &a->places.unreadable;

	a->bad_chunk = calloc(sector_ranges_count(bad) + 1, sizeof(*a->bad_chunk));
	if (!a->bad_chunk)
		return no_memory(error);
	for (size_t i = 0; i < bad->nr; i++)
		for (uint64_t s = bad->at[i].sector; s < bad->at[i].sector + bad->at[i].nr; s++) {
			uint64_t main_chunk = s / REMAP_CHUNK_SECTORS;

			if (!is_in(a->chunk, a->nr_chunks, main_chunk) &&
			    !is_in(a->bad_chunk, a->nr_bad_chunks, main_chunk))
				a->bad_chunk[a->nr_bad_chunks++] = main_chunk;
		}
	return 0;
}

/* The last whole chunk that can be read and is not hidden for its own sake. */
int create_find_probe_chunk(struct create_request *a, bool write, struct error *error)
{
	_cleanup_free_ uint8_t *data = aligned_bytes(REMAP_CHUNK_BYTES);
	uint64_t last = a->main_sectors / REMAP_CHUNK_SECTORS;

	if (!data)
		return no_memory(error);
	for (uint64_t i = 1; i <= PROBE_TRIES && i < last; i++) {
		off_t at = (off_t)((last - i) * REMAP_CHUNK_BYTES);

		a->probe_chunk = last - i;
		if (is_in(a->chunk, a->nr_chunks, a->probe_chunk) ||
		    is_in(a->bad_chunk, a->nr_bad_chunks, a->probe_chunk) ||
		    read_all_at(a->main_fd, data, REMAP_CHUNK_BYTES, at) < 0)
			continue;
		/* with what it holds already: whatever comes in between, nothing changes */
		if (!write || (write_all_at(a->main_fd, data, REMAP_CHUNK_BYTES, at) == 0 &&
			       fsync(a->main_fd) == 0))
			return 0;
	}
	return error_set(error, EIO,
			 "%s: none of its last %d chunks can be %s: this disk cannot be used",
			 a->main_path, PROBE_TRIES, write ? "written" : "read");
}

static int look_at_header(struct create_request *a, struct error *error)
{
	struct remap_member_disk header;
	struct region_plan plan = { 0 };
	int r = create_make_plan(a, &plan, error);

	if (!r)
		r = create_make_header(a, &plan, &header, error);
	free(plan.entry);
	free(plan.data);
	return r;
}

/* Everything that can be known without writing; both are open. */
static int look(struct create_request *a, struct error *error)
{
	int r = create_check_devices(a, error);

	if (!r)
		r = spare_region(a->spare_path, a->spare_sectors, a->region_bytes,
				 &a->region_sectors, &a->slots, error);
	if (!r)
		r = create_check_members(a, error);
	if (!r)
		r = create_check_mark(a, error);
	if (!r)
		r = look_at_main(a, error);
	if (!r)
		r = find_bad_chunks(a, error);
	a->half_made = region_is_half_made(a->spare_fd, 0);
	if (!r)
		r = device_content(a->spare_path, a->spare_fd, a->spare_sectors, a->half_made,
				   &a->spare_places, a->spare_content, sizeof(a->spare_content),
				   error);
	if (!r)
		r = create_find_probe_chunk(a, false, error);
	if (!r && create_nr_entries(a) + 1 > a->slots)
		r = error_set(error, ENOSPC,
			      "%s: the spare is too small: it has %u slots, and %u are needed "
			      "from the start",
			      a->spare_path, a->slots, create_nr_entries(a) + 1);
	if (!r && a->guard)
		r = look_at_header(a, error);
	return r ? r : create_check_backup(a, error);
}

int create_prepare(struct create_request *a, struct error *error)
{
	sd_id128_t uuid;
	int r;

	a->main_fd = -1;
	a->spare_fd = -1;
	a->places.copy_fd = -1;
	a->spare_places.copy_fd = -1;
	if (!device_name_ok(a->label))
		return error_set(error, EINVAL,
				 "\"%s\": invalid name; use 1 to 32 of A-Z a-z 0-9 _ . -, the "
				 "first not - or ., and not control",
				 a->label);
	if (sd_id128_randomize(&uuid) < 0)
		return error_set(error, EIO, "cannot get random numbers");
	memcpy(a->uuid, uuid.bytes, sizeof(a->uuid));
	r = create_open_members(a, error);
	return r ? r : look(a, error);
}

void create_looked_done(struct create_request *a)
{
	free(a->chunk);
	free(a->bad_chunk);
	a->chunk = NULL;
	a->bad_chunk = NULL;
	a->nr_chunks = 0;
	a->nr_bad_chunks = 0;
	places_done(&a->places);
	places_done(&a->spare_places);
}

/* What was agreed on covers it: a sector that can be read now is lost no more than it must be. */
static bool covers(const struct places *agreed, const struct places *now)
{
	for (size_t i = 0; i < now->unreadable.nr; i++)
		for (uint64_t s = 0; s < now->unreadable.at[i].nr; s++)
			if (!sector_ranges_has(&agreed->unreadable,
					       now->unreadable.at[i].sector + s))
				return false;
	return true;
}

static bool same_ranges(const struct guard_plan *a, const struct guard_plan *b)
{
	for (size_t i = 0; a->nr_ranges == b->nr_ranges && i < a->nr_ranges; i++)
		if (a->range[i].offset != b->range[i].offset ||
		    a->range[i].nr_bytes != b->range[i].nr_bytes)
			return false;
	return a->nr_ranges == b->nr_ranges;
}

int create_look_again(struct create_request *a, struct error *error)
{
	struct create_request now = *a;
	uint64_t nr_bytes;
	bool same;
	int r;

	/* who opens a device without O_EXCL may have written to it meanwhile */
	now.chunk = NULL;
	now.bad_chunk = NULL;
	now.nr_chunks = 0;
	now.nr_bad_chunks = 0;
	now.places = (struct places)PLACES_NONE;
	now.spare_places = (struct places)PLACES_NONE;
	*now.spare_content = '\0';
	r = look(&now, error);
	if (!r && (device_bytes(a->main_fd, &nr_bytes) < 0 ||
		   nr_bytes / REMAP_SECTOR_BYTES != a->main_sectors))
		r = error_set(error, EBUSY, "%s: the size of the device has changed meanwhile",
			      a->main_path);
	same = !r && same_ranges(&now.plan, &a->plan) && streq(now.plan.content, a->plan.content) &&
	       streq(now.spare_content, a->spare_content) && covers(&a->places, &now.places);
	create_looked_done(&now);
	if (!r && !same)
		r = error_set(error, EBUSY,
			      "the content of %s or %s has changed meanwhile; nothing was written",
			      a->main_path, a->spare_path);
	return r;
}

void create_done(struct create_request *a)
{
	close_p(&a->main_fd);
	close_p(&a->spare_fd);
	a->main_fd = -1;
	a->spare_fd = -1;
	create_looked_done(a);
	sector_ranges_done(&a->bad_on_spare);
}

int create_check_unreadable(const struct create_request *a, struct error *error)
{
	const struct places *places = &a->places;
	_cleanup_free_ struct purpose *purpose = NULL;
	size_t nr = 0, at = 0, i;
	char sectors[96], what[280] = "";

	if (a->accept_unreadable || (!places->unreadable.nr && !places->elsewhere))
		return 0;
	if (purposes_of(places, a->main_fd, &purpose, &nr) < 0)
		return no_memory(error);
	for (i = 0; i < nr; i++) {
		char one[280];

		if (!*purpose[i].text)
			continue;
		snprintf(one, sizeof(one), "%s%" PRIu64 ": %s", at ? "; " : " (",
			 purpose[i].range.sector, purpose[i].text);
		if (at + strlen(one) + 8 >= sizeof(what))
			break;
		at += (size_t)snprintf(what + at, sizeof(what) - at, "%s", one);
	}
	if (at)
		snprintf(what + at, sizeof(what) - at, i < nr ? "; ...)" : ")");
	sector_ranges_text(&places->unreadable, sectors, sizeof(sectors));
	return error_set(error, EPERM,
			 "%.64s: sector%s %s cannot be read%s; nothing was changed. With "
			 "--accept-unreadable they read as errors until they are written",
			 a->main_path, sector_ranges_count(&places->unreadable) == 1 ? "" : "s",
			 places->unreadable.nr ? sectors : "of its content", what);
}
