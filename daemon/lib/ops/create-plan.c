// SPDX-License-Identifier: GPL-2.0-or-later
/* What of main goes to the spare from the start, and main's header. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "ops/create-steps.h"

static uint64_t chunk_of(const struct create_request *a, uint32_t i)
{
	if (!i)
		return a->probe_chunk;
	return i <= a->nr_chunks ? a->chunk[i - 1] : a->bad_chunk[i - 1 - a->nr_chunks];
}

/* What cannot be read is lost; that was agreed on, and no other sector. */
static int plan_entry(const struct create_request *a, uint32_t i, struct remap_entry *entry,
		      uint8_t *data, struct error *error)
{
	uint64_t main_chunk = chunk_of(a, i);
	uint64_t sectors = a->main_sectors - main_chunk * REMAP_CHUNK_SECTORS;
	uint8_t mask = sectors < REMAP_CHUNK_SECTORS ? (uint8_t)((1U << sectors) - 1) : 0xff;
	uint8_t agreed = sector_ranges_mask(&a->places.unreadable, main_chunk), lost;
	bool is_bad = i > a->nr_chunks;
	int r = places_read_chunk(a->main_fd, main_chunk, a->main_sectors, data, &lost);

	if (!r && lost & ~agreed)
		r = -EIO;
	if (r < 0)
		return error_set(error, EIO, "%s: sector %" PRIu64 " cannot be read", a->main_path,
				 main_chunk * REMAP_CHUNK_SECTORS +
					 (uint64_t)__builtin_ctz((lost & ~agreed) | 0x100) % 8);
	*entry = (struct remap_entry){
		.main_chunk = main_chunk,
		/* of a chunk that is not hidden exactly what was bad (P3) */
		.redirected = is_bad ? agreed & mask : mask,
		.lost = lost,
		.state = REMAP_ENTRY_USED,
		.cause = is_bad ? REMAP_CAUSE_RESCUE :
			 i	? REMAP_CAUSE_GUARD :
				  REMAP_CAUSE_PROBE,
		.status = agreed ? REMAP_STATUS_IOERR : REMAP_STATUS_NONE,
		.errors = agreed ? 1 : 0,
		.when = (u32)time(NULL),
	};
	return 0;
}

uint32_t create_nr_entries(const struct create_request *a)
{
	return 1 + a->nr_chunks + a->nr_bad_chunks;
}

/* Entries and content: the probe chunk, then the hidden ones, then those with bad sectors. */
int create_make_plan(struct create_request *a, struct region_plan *plan, struct error *error)
{
	uint32_t nr = create_nr_entries(a);
	int r = 0;

	plan->entry = calloc(nr, sizeof(*plan->entry));
	plan->data = aligned_bytes((size_t)nr * REMAP_CHUNK_BYTES);
	if (!plan->entry || !plan->data)
		return no_memory(error);
	plan->nr_entries = nr;
	plan->nr_data = nr;
	for (uint32_t i = 0; !r && i < nr; i++)
		r = plan_entry(a, i, &plan->entry[i], plan->data + (size_t)i * REMAP_CHUNK_BYTES,
			       error);
	memcpy(plan->super.uuid, a->uuid, sizeof(plan->super.uuid));
	plan->super.main_sectors = a->main_sectors;
	plan->super.probe_chunk = a->probe_chunk;
	plan->note = true;
	plan->is_new = true;
	plan->super.flags = write_cache_flags(REMAP_SUPER_CREATING, a->write_cache);
	memcpy(plan->super.label, a->label, sizeof(plan->super.label));
	memcpy(plan->super.identity, a->main_identity, sizeof(plan->super.identity));
	host_id(plan->super.host_id);
	return r;
}

/**
 * struct originals - main's content in the chunks that are hidden
 * @request: with the numbers of the chunks
 * @plan: with their content
 */
struct originals {
	const struct create_request *request;
	const struct region_plan *plan;
};

static const uint8_t *original_of(void *userdata, uint64_t main_chunk)
{
	const struct originals *originals = userdata;

	for (uint32_t i = 0; i < originals->request->nr_chunks; i++)
		if (originals->request->chunk[i] == main_chunk)
			return originals->plan->data + (size_t)(1 + i) * REMAP_CHUNK_BYTES;
	return originals->plan->data; /* every range lies in a chunk of the plan */
}

int create_make_header(struct create_request *a, struct region_plan *plan,
		       struct remap_member_disk *header, struct error *error)
{
	struct originals originals = { .request = a, .plan = plan };
	int r;

	plan->super.seq = 1;
	/* chunk 0 is the first of those that are hidden */
	r = guard_header_build(&a->plan, &plan->super, a->spare_identity, plan->entry[1].lost,
			       original_of, &originals, header, error);
	a->chunk0_elsewhere = !r && !header->chunk0_len;
	return r;
}
