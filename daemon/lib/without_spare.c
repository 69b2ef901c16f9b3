// SPDX-License-Identifier: GPL-2.0-or-later
/* The end of a set whose spare is dead (O2): main made readable from main alone. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "adopt.h"
#include "guard.h"

/* How far from its end a device is searched for the probe chunk. */
#define PROBE_SEARCH_CHUNKS 256

/*
 * The header is the only copy of what it hides, so it goes to the raw place of the probe chunk
 * (ours anyway) or into a file before chunk 0 is overwritten:
 *
 *   until the copy is durable	the guarded main, nothing done
 *   afterwards			found by its magic in chunk 0 or in the copy: done again
 *   after sector 0		a plain disk with the copy in the probe chunk; it is zeroed
 */
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

/* @uuid: NULL: only a copy of the header is looked for. */
static int find_probe(int fd, uint64_t set_sectors, const uint8_t *uuid, uint8_t *buffer,
		      uint64_t *chunk, bool *copied)
{
	uint64_t last = set_sectors / REMAP_CHUNK_SECTORS, found = UINT64_MAX;
	uint8_t own[REMAP_UUID_BYTES];

	*copied = false;
	for (uint64_t i = 1; i <= PROBE_SEARCH_CHUNKS && i < last; i++) {
		if (read_all_at(fd, buffer, REMAP_CHUNK_BYTES,
				(off_t)((last - i) * REMAP_CHUNK_BYTES)) < 0)
			continue;
		if (is_member(buffer, own)) {
			*chunk = last - i;
			*copied = true;
			return 0;
		}
		for (unsigned int s = 0; uuid && s < REMAP_CHUNK_SECTORS; s++)
			if (found == UINT64_MAX &&
			    remap_probe_check_sector(buffer + s * REMAP_SECTOR_BYTES, s, uuid,
						     NULL) == REMAP_OK)
				found = last - i;
	}
	*chunk = found;
	return found == UINT64_MAX ? -ENODATA : 0;
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

static int write_from_header(int fd, const uint8_t *guarded, const uint8_t *chunk0, uint8_t *buffer)
{
	const struct remap_member_disk *header = (const void *)(guarded + REMAP_MEMBER_OFFSET);
	uint32_t unit = logical_bytes(fd);
	int r = restore_ranges(fd, header, buffer);

	memcpy(buffer, chunk0, REMAP_CHUNK_BYTES);
	if (!r && unit < REMAP_CHUNK_BYTES)
		r = write_all_at(fd, buffer + unit, REMAP_CHUNK_BYTES - unit, unit);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r)
		r = write_all_at(fd, buffer, unit, 0);
	if (!r && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* The safety copy; -ENODATA: there is nowhere to put it. */
static int keep_header(int fd, const uint8_t *guarded, uint64_t probe_chunk, const char *keep)
{
	if (keep)
		return write_file_atomic(keep, guarded, REMAP_CHUNK_BYTES, 0600);
	if (probe_chunk == UINT64_MAX)
		return -ENODATA;
	if (write_all_at(fd, guarded, REMAP_CHUNK_BYTES, (off_t)(probe_chunk * REMAP_CHUNK_BYTES)) <
		    0 ||
	    fsync(fd) < 0)
		return -EIO;
	return 0;
}

/* @guarded becomes the header that counts; 1: it is main's own, 0: a copy. */
static int find_header(int fd, const char *main_path, uint64_t nr_sectors, const char *keep,
		       uint8_t *guarded, uint64_t *probe_chunk, struct error *error)
{
	_cleanup_free_ uint8_t *buffer = aligned_bytes(REMAP_CHUNK_BYTES);
	_cleanup_free_ char *kept = NULL;
	uint8_t uuid[REMAP_UUID_BYTES], kept_uuid[REMAP_UUID_BYTES];
	bool whole, copied, ours;
	size_t nr_kept;
	int r;

	if (!buffer)
		return no_memory(error);
	r = read_all_at(fd, guarded, REMAP_CHUNK_BYTES, 0);
	if (r < 0)
		return error_set(error, -r, "%s: the first chunk cannot be read", main_path);
	ours = remap_guard_check(guarded, uuid, 0) != REMAP_BAD_MAGIC;
	whole = is_member(guarded, uuid);
	find_probe(fd, length_of_set(guarded, whole, nr_sectors), ours ? uuid : NULL, buffer,
		   probe_chunk, &copied);
	if (whole)
		return 1;
	if (copied) {
		memcpy(guarded, buffer, REMAP_CHUNK_BYTES);
		return 0;
	}
	if (ours && keep && read_file(keep, &kept, &nr_kept) == 0 && nr_kept == REMAP_CHUNK_BYTES &&
	    is_member((const uint8_t *)kept, kept_uuid) && !memcmp(uuid, kept_uuid, sizeof(uuid))) {
		memcpy(guarded, kept, REMAP_CHUNK_BYTES);
		return 0;
	}
	return error_set(error, ENODATA, "%s: it has no member header of dm-remap%s", main_path,
			 ours ? ", though its first sector is one of ours: give the copy that was "
				"kept (--keep-header FILE)" :
				"");
}

int adopt_release_without_spare(const char *main_path, const struct stale_options *options,
				struct stale_release *result, struct error *error)
{
	_cleanup_free_ uint8_t *guarded = aligned_bytes(REMAP_CHUNK_BYTES);
	_cleanup_free_ uint8_t *chunk0 = aligned_bytes(REMAP_CHUNK_BYTES);
	_cleanup_free_ uint8_t *buffer = aligned_bytes(REMAP_CHUNK_BYTES);
	const struct remap_member_disk *header = (const void *)(guarded + REMAP_MEMBER_OFFSET);
	_cleanup_close_ int fd = open_exclusive(main_path, error);
	uint64_t nr_bytes = 0, probe_chunk = UINT64_MAX;
	int r, own;

	if (fd < 0)
		return fd;
	if (!guarded || !buffer || !chunk0)
		return no_memory(error);
	r = device_bytes(fd, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: cannot read its size", main_path);
	own = find_header(fd, main_path, nr_bytes / REMAP_SECTOR_BYTES, options->keep_header,
			  guarded, &probe_chunk, error);
	if (own < 0)
		return own;
	result->lost_chunk = probe_chunk;
	result->chunk0_lost = header->chunk0_lost;
	if (options->chunk0 && memcmp(options->uuid, header->header.uuid, REMAP_UUID_BYTES))
		return error_set(error, EINVAL, "%s belongs to another set than the backup",
				 main_path);
	if (options->chunk0)
		memcpy(chunk0, options->chunk0, REMAP_CHUNK_BYTES);
	else if (guard_header_chunk0(header, chunk0) < 0)
		return error_set(error, EPERM,
				 "%s: its first 4 KiB did not fit into its member header: give the "
				 "backup that create wrote (--backup FILE); nothing was changed",
				 main_path);
	r = own ? keep_header(fd, guarded, probe_chunk, options->keep_header) : 0;
	if (r == -ENODATA)
		return error_set(error, EPERM,
				 "%s: there is no place on it for a safety copy of its member "
				 "header, without which a power cut could lose what that hides: "
				 "--keep-header FILE puts it into a file elsewhere; nothing was "
				 "changed",
				 main_path);
	if (r < 0)
		return error_set(error, -r, "%s: cannot be written: %s; nothing was changed",
				 options->keep_header ? options->keep_header : main_path,
				 strerror(-r));
	r = write_from_header(fd, guarded, chunk0, buffer);
	if (!r && probe_chunk != UINT64_MAX) {
		memset(buffer, 0, REMAP_CHUNK_BYTES);
		r = write_all_at(fd, buffer, REMAP_CHUNK_BYTES,
				 (off_t)(probe_chunk * REMAP_CHUNK_BYTES));
		if (!r && fsync(fd) < 0)
			r = -errno;
	}
	return r < 0 ? error_set(error, -r,
				 "%s: cannot be written: %s; the order may be repeated%s",
				 main_path, strerror(-r),
				 options->keep_header ? " with the same file" : "") :
		       0;
}
