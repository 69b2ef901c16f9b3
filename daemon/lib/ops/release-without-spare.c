// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a set whose spare is dead (O2).  With a guard the member header is the only copy of
 * what it hides, so it goes to the raw place of the probe chunk (ours anyway) or into a file
 * before chunk 0 is overwritten:
 *
 *   until the copy is durable	the guarded main, nothing done
 *   afterwards			found by its magic in chunk 0 or in the copy: done again
 *   after sector 0		a plain disk with the copy in the probe chunk
 *   in the place of the copy	its sector 0 goes last, and is ours: that place is written again
 *
 * Without a guard only the place of the mark is overwritten: as long as one of its sectors has
 * the mark the same order writes all of them again.  The rule that hides main goes before: of
 * what has no mark any more nothing tells that it is hidden.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "ops/guard.h"
#include "ops/release-without-spare.h"
#include "set/handle.h"
#include "set/mark.h"
#include "system/mask.h"

static bool is_member(const uint8_t *chunk, uint8_t uuid[REMAP_UUID_BYTES])
{
	return remap_guard_check(chunk, uuid, 0) != REMAP_BAD_MAGIC &&
	       remap_member_check(chunk + REMAP_MEMBER_OFFSET, uuid) == REMAP_OK;
}

/* Main may be longer than the set: its length then is in the header, or in sector 0. */
static uint64_t length_of_set(const uint8_t *chunk, bool whole, uint64_t nr_sectors)
{
	const struct remap_member_disk *header = (const void *)(chunk + REMAP_MEMBER_OFFSET);
	uint8_t uuid[REMAP_UUID_BYTES];
	__le32 count;
	uint64_t length = nr_sectors;

	if (whole) {
		length = le64_to_cpu(header->main_sectors);
	} else if (remap_guard_check(chunk, uuid, 0) != REMAP_BAD_MAGIC) {
		memcpy(&count, chunk + REMAP_PMBR_OFFSET + 12, sizeof(count));
		if (le32_to_cpu(count) != UINT32_MAX) /* more than it can say */
			length = le32_to_cpu(count) + 1ULL;
	}
	return length < nr_sectors ? length : nr_sectors;
}

/*
 * The safety copy near the end of main: @chunk becomes its content.  1: whole; 0: only its sector
 * 0 is left of it, and @uuid says of which set.  -ENODATA: there is none.
 */
static int find_copy(int fd, uint64_t set_sectors, uint8_t *chunk, uint64_t *at,
		     uint8_t uuid[REMAP_UUID_BYTES])
{
	uint64_t last = set_sectors / REMAP_CHUNK_SECTORS;

	for (uint64_t i = 1; i <= MARK_SEARCH_CHUNKS && i < last; i++) {
		if (read_all_at(fd, chunk, REMAP_CHUNK_BYTES,
				(off_t)((last - i) * REMAP_CHUNK_BYTES)) < 0)
			continue;
		*at = last - i;
		if (is_member(chunk, uuid))
			return 1;
		if (remap_guard_check(chunk, uuid, 0) != REMAP_BAD_MAGIC)
			return 0;
	}
	return -ENODATA;
}

static int restore_ranges(int fd, const struct remap_member_disk *header, uint8_t *buffer)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < le16_to_cpu(header->nr_hidden); i++) {
		const uint8_t *original;
		uint64_t offset;
		uint32_t nr_bytes;

		guard_header_range(header, i, &offset, &nr_bytes, &original);
		for (uint32_t b = 0; !r && b < nr_bytes;) {
			uint64_t chunk = (offset + b) / REMAP_CHUNK_BYTES;
			uint32_t in = (uint32_t)((offset + b) % REMAP_CHUNK_BYTES);
			uint32_t nr = REMAP_CHUNK_BYTES - in < nr_bytes - b ?
					      REMAP_CHUNK_BYTES - in :
					      nr_bytes - b;
			uint32_t unit = logical_bytes(fd);
			uint32_t from = in / unit * unit;
			uint32_t to = (in + nr + unit - 1) / unit * unit;
			off_t at = (off_t)(chunk * REMAP_CHUNK_BYTES + from);

			r = read_all_at(fd, buffer, to - from, at);
			if (!r) {
				memcpy(buffer + in - from, original + b, nr);
				r = write_all_at(fd, buffer, to - from, at);
			}
			b += nr;
		}
	}
	return r;
}

/* Sectors of a chunk that go first, durably, and then the one that decides. */
static int write_chunk_first_last(int fd, uint64_t chunk, const uint8_t *data)
{
	off_t at = (off_t)(chunk * REMAP_CHUNK_BYTES);
	uint32_t unit = logical_bytes(fd);
	int r = 0;

	if (unit < REMAP_CHUNK_BYTES)
		r = write_all_at(fd, data + unit, REMAP_CHUNK_BYTES - unit, at + unit);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r)
		r = write_all_at(fd, data, unit, at);
	if (!r && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* The safety copy; -ENODATA: there is nowhere to put it. */
static int keep_header(const struct stale_release *a)
{
	if (a->keep_header)
		return write_file_atomic(a->keep_header, a->guarded, REMAP_CHUNK_BYTES, 0600);
	if (a->probe_chunk == UINT64_MAX)
		return -ENODATA;
	if (write_all_at(a->fd, a->guarded, REMAP_CHUNK_BYTES,
			 (off_t)(a->probe_chunk * REMAP_CHUNK_BYTES)) < 0 ||
	    fsync(a->fd) < 0)
		return -EIO;
	return 0;
}

/* -ENODATA: it is not in a file either. */
static int read_kept(struct stale_release *a)
{
	_cleanup_free_ char *kept = NULL;
	uint8_t uuid[REMAP_UUID_BYTES];
	size_t nr_bytes;

	if (!a->keep_header || read_file(a->keep_header, &kept, &nr_bytes) < 0 ||
	    nr_bytes != REMAP_CHUNK_BYTES || !is_member((const uint8_t *)kept, uuid) ||
	    memcmp(uuid, a->uuid, sizeof(uuid)) != 0)
		return -ENODATA;
	memcpy(a->guarded, kept, REMAP_CHUNK_BYTES);
	return 0;
}

/* What main tells of its set. */
static int find_set(struct stale_release *a, uint64_t nr_sectors, struct error *error)
{
	_cleanup_free_ uint8_t *copy = aligned_bytes(REMAP_CHUNK_BYTES);
	uint8_t copy_uuid[REMAP_UUID_BYTES];
	uint64_t length, copy_chunk;
	bool is_ours;
	int r, copied;

	a->guarded = aligned_bytes(REMAP_CHUNK_BYTES);
	if (!copy || !a->guarded)
		return no_memory(error);
	r = read_all_at(a->fd, a->guarded, REMAP_CHUNK_BYTES, 0);
	if (r < 0)
		return error_set(error, -r, "%s: the first chunk cannot be read", a->main_path);
	is_ours = remap_guard_check(a->guarded, a->uuid, 0) != REMAP_BAD_MAGIC;
	a->is_own = is_member(a->guarded, a->uuid);
	length = length_of_set(a->guarded, a->is_own, nr_sectors);
	copied = find_copy(a->fd, length, copy, &copy_chunk, copy_uuid);
	if (copied >= 0 && (!is_ours || !memcmp(copy_uuid, a->uuid, sizeof(copy_uuid)))) {
		a->probe_chunk = copy_chunk;
		memcpy(a->uuid, copy_uuid, sizeof(copy_uuid));
	} else {
		copied = -ENODATA;
	}
	if (a->is_own)
		return copied < 0 ? mark_find(a->fd, length, a->uuid, false, &a->probe_chunk),
		       0 : 0;
	if (copied == 1) {
		memcpy(a->guarded, copy, REMAP_CHUNK_BYTES);
		return 0;
	}
	if (copied == 0 && !is_ours) {
		a->has_ended = true;
		return 0;
	}
	if (is_ours && read_kept(a) == 0) {
		mark_find(a->fd, length, a->uuid, false, &a->probe_chunk);
		return 0;
	}
	if (is_ours)
		return error_set(error, ENODATA,
				 "%s: the dm-remap member header is missing, although its first "
				 "sector is from dm-remap; pass the copy that was kept, with "
				 "--keep-header FILE",
				 a->main_path);
	free(a->guarded);
	a->guarded = NULL;
	return mark_find(a->fd, nr_sectors, a->uuid, true, &a->probe_chunk) < 0 ?
		       error_set(error, ENODATA,
				 "%s: there is neither a dm-remap member header nor the mark of a "
				 "set without guard: it is a plain disk",
				 a->main_path) :
		       0;
}

/* A backup that was named must be one; the usual place may be empty. */
static int find_backup(struct stale_release *a, struct error *error)
{
	bool is_named = *a->backup_path;
	struct error why;
	int r = is_named ?
			0 :
			backup_default_path(a->uuid, a->backup_path, sizeof(a->backup_path), &why);

	if (!r)
		r = backup_read(a->backup_path, &a->backup, is_named ? error : &why);
	if (r < 0)
		return is_named ? r : 0;
	a->has_backup = true;
	if (memcmp(a->backup.super.uuid, a->uuid, sizeof(a->uuid)) != 0)
		return error_set(error, EINVAL, "%s belongs to another set than the backup",
				 a->main_path);
	return 0;
}

const uint8_t *stale_release_probe(const struct stale_release *a)
{
	return a->has_backup && a->probe_chunk != UINT64_MAX ?
		       backup_content(&a->backup, a->probe_chunk) :
		       NULL;
}

/* What main's chunk 0 was. */
static int find_chunk0(const struct stale_release *a, uint8_t *chunk0, struct error *error)
{
	const struct remap_member_disk *header = (const void *)(a->guarded + REMAP_MEMBER_OFFSET);
	const uint8_t *kept = a->has_backup ? backup_content(&a->backup, 0) : NULL;

	/* the backup is not older than the header, which has what create found */
	if (!kept && guard_header_chunk0(header, chunk0) == 0)
		return 0;
	if (!kept)
		return error_set(error, EPERM,
				 "%s: its first 4 KiB did not fit into its member header; nothing "
				 "was changed. Pass the backup that create wrote, with --backup "
				 "FILE",
				 a->main_path);
	memcpy(chunk0, kept, REMAP_CHUNK_BYTES);
	return 0;
}

static int refuse_loss(const struct stale_release *a, struct error *error)
{
	uint64_t first = a->probe_chunk * REMAP_CHUNK_SECTORS;

	return error_set(error, EPERM,
			 "%s: sectors %" PRIu64 " to %" PRIu64 " were on the spare only, and no "
			 "backup of the set was found (%.200s); nothing was changed. Name a "
			 "backup with --backup FILE, or accept zeros in their place with "
			 "--accept-loss",
			 a->main_path, first, first + REMAP_CHUNK_SECTORS - 1, a->backup_path);
}

int stale_release_look(struct stale_release *a, struct error *error)
{
	_cleanup_free_ uint8_t *chunk0 = aligned_bytes(REMAP_CHUNK_BYTES);
	uint64_t nr_bytes = 0;
	int r;

	a->probe_chunk = UINT64_MAX;
	a->fd = open_exclusive(a->main_path, error);
	if (a->fd < 0)
		return a->fd;
	if (!chunk0)
		return no_memory(error);
	r = device_bytes(a->fd, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: cannot read its size", a->main_path);
	r = find_set(a, nr_bytes / REMAP_SECTOR_BYTES, error);
	if (!r)
		r = mask_check_removable(a->uuid, error);
	if (!r)
		r = find_backup(a, error);
	if (!r && a->guarded && !a->has_ended)
		r = find_chunk0(a, chunk0, error);
	if (!r && a->probe_chunk != UINT64_MAX && !a->accept_loss && !stale_release_probe(a))
		r = refuse_loss(a, error);
	return r;
}

static int write_from_header(const struct stale_release *a, const uint8_t *chunk0)
{
	const struct remap_member_disk *header = (const void *)(a->guarded + REMAP_MEMBER_OFFSET);
	_cleanup_free_ uint8_t *buffer = aligned_bytes(REMAP_CHUNK_BYTES);
	int r = buffer ? restore_ranges(a->fd, header, buffer) : -ENOMEM;

	return r ? r : write_chunk_first_last(a->fd, 0, chunk0);
}

static int write_guarded(const struct stale_release *a, struct error *error)
{
	_cleanup_free_ uint8_t *chunk0 = aligned_bytes(REMAP_CHUNK_BYTES);
	int r = chunk0 ? find_chunk0(a, chunk0, error) : no_memory(error);

	if (r < 0)
		return r;
	r = a->is_own ? keep_header(a) : 0;
	if (r == -ENODATA)
		return error_set(error, EPERM,
				 "%s: it has no room for a safety copy of its member header, "
				 "without which a power cut could lose hidden content; nothing "
				 "was changed. Store the copy in a file elsewhere with "
				 "--keep-header FILE",
				 a->main_path);
	if (r < 0)
		return error_set(error, -r, "%s: cannot write to it: %s; nothing was changed",
				 a->keep_header ? a->keep_header : a->main_path, strerror(-r));
	r = write_from_header(a, chunk0);
	return r < 0 ? error_set(error, -r, "%s: cannot write to it: %s; repeat the command%s",
				 a->main_path, strerror(-r),
				 a->keep_header ? " with the same file" : "") :
		       0;
}

int stale_release_carry_out(struct stale_release *a, struct error *error)
{
	_cleanup_free_ uint8_t *probe = aligned_bytes(REMAP_CHUNK_BYTES);
	const uint8_t *kept = stale_release_probe(a);
	int r = 0;

	if (!probe)
		return no_memory(error);
	if (kept)
		memcpy(probe, kept, REMAP_CHUNK_BYTES);
	if (a->guarded && !a->has_ended)
		r = write_guarded(a, error);
	if (!r)
		r = mask_remove(a->uuid, error);
	if (r < 0)
		return r;
	if (a->probe_chunk != UINT64_MAX)
		r = write_chunk_first_last(a->fd, a->probe_chunk, probe);
	return r < 0 ? error_set(error, -r, "%s: cannot write to it: %s; repeat the command",
				 a->main_path, strerror(-r)) :
		       0;
}

void stale_release_done(struct stale_release *a)
{
	close_p(&a->fd);
	a->fd = -1;
	free(a->guarded);
	a->guarded = NULL;
	backup_done(&a->backup);
}
