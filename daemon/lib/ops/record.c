// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a crash leaves between the steps of record_host():
 *
 *   in the superblock	 a commit like any other: the old one or the new one
 *   before the header	 a set of this host: where the spare is present, it decides.  The header
 *			 counts only for a main alone, which then waits as foreign
 *   in the header	 one sector, whole or not at all (FORMAT.md section 7)
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "ops/record.h"
#include "set/scan.h"
#include "system/identity.h"
#include "util/foreign.h"

/* Main's chunk 0 with a header that can be believed.  -ENODATA: main is not guarded. */
static int read_header(const struct set_handle *a, uint8_t *chunk, struct error *error)
{
	uint8_t uuid[16];
	int r;

	if (a->main_fd < 0) /* it was not opened */
		return -ENODATA;
	r = read_all_at(a->main_fd, chunk, REMAP_CHUNK_BYTES, 0);
	/* the table, where it was read, says that main is as it is, readable or not */
	if (r < 0 && a->table.entry && !handle_has_guard(a))
		return -ENODATA;
	if (r < 0)
		return error_set(error, EIO, "%s: sectors 0 to 7 cannot be read", a->main_path);
	if (remap_guard_check(chunk, uuid, 0) == REMAP_BAD_MAGIC ||
	    memcmp(uuid, a->region.super.uuid, sizeof(uuid)))
		return -ENODATA;
	if (remap_member_check(chunk + REMAP_MEMBER_OFFSET, uuid) != REMAP_OK)
		return error_set(error, EUCLEAN, "%s: its member header is damaged", a->main_path);
	return 0;
}

/* All that may have changed is in the header's first sector. */
static int write_header(const struct set_handle *a, uint8_t *chunk, struct error *error)
{
	struct remap_member_disk *header = (void *)(chunk + REMAP_MEMBER_OFFSET);
	int unit = REMAP_SECTOR_BYTES;
	off_t from;

	header->header.seq = cpu_to_le64(a->region.super.seq);
	remap_member_seal(header);
	if (ioctl(a->main_fd, BLKSSZGET, &unit) < 0 || unit < REMAP_SECTOR_BYTES ||
	    unit > REMAP_CHUNK_BYTES)
		unit = REMAP_SECTOR_BYTES;
	from = REMAP_MEMBER_OFFSET / unit * unit;
	if (write_all_at(a->main_fd, chunk + from, (size_t)unit, from) < 0 || fsync(a->main_fd) < 0)
		return error_set(error, EIO, "%s: sector 1 cannot be written", a->main_path);
	return 0;
}

int record_host(struct set_handle *a, const uint8_t host[16], const char *label,
		struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	struct remap_super super = a->region.super;
	struct remap_member_disk *header;
	int guarded, r;

	if (!chunk)
		return error_set(error, ENOMEM, "out of memory");
	guarded = read_header(a, chunk, error);
	if (guarded < 0 && guarded != -ENODATA)
		return guarded;
	memcpy(super.host_id, host, sizeof(super.host_id));
	if (label) {
		memset(super.label, 0, sizeof(super.label));
		snprintf((char *)super.label, sizeof(super.label), "%s", label);
	}
	super.seq = a->table.generation + 1;
	r = region_write_super(&a->region, &super, error);
	if (r < 0 || guarded < 0)
		return r;
	header = (void *)(chunk + REMAP_MEMBER_OFFSET);
	memcpy(header->host_id, host, sizeof(header->host_id));
	memcpy(header->label, super.label, sizeof(header->label));
	return write_header(a, chunk, error);
}

int record_check(const struct set_handle *a, struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);

	return chunk ? read_header(a, chunk, error) : error_set(error, ENOMEM, "out of memory");
}

int record_mark(const struct set_handle *a, struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	const struct remap_super *super = &a->region.super;
	const struct remap_mark mark = { .seq = a->table.generation, .nr_probe = 1 };
	off_t at = (off_t)(super->probe_chunk * REMAP_CHUNK_BYTES);
	struct remap_mark found;

	if (!chunk)
		return error_set(error, ENOMEM, "out of memory");
	remap_probe_encode(chunk, super->uuid, &mark);
	if (write_all_at(a->main_fd, chunk, REMAP_CHUNK_BYTES, at) < 0 || fsync(a->main_fd) < 0 ||
	    mark_read(a->main_fd, super->probe_chunk, super->uuid, &found) < 0 ||
	    found.seq != mark.seq)
		return error_set(error, EIO, "%s: cannot write the mark of the set", a->main_path);
	return 0;
}

bool record_is_other(const struct set_handle *a, const char *identity)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	const struct remap_member_disk *header = (void *)(chunk + REMAP_MEMBER_OFFSET);
	struct foreign_text recorded;

	if (!chunk || read_header(a, chunk, NULL) < 0)
		return false;
	recorded = foreign_text(header->spare_identity, sizeof(header->spare_identity));
	return identity_contradicts(identity, recorded.text);
}

int record_spare(struct set_handle *a, const char *identity, struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	struct remap_member_disk *header;
	int r;

	if (!chunk)
		return error_set(error, ENOMEM, "out of memory");
	r = read_header(a, chunk, error);
	if (r == -ENODATA)
		return error_set(error, ENODATA, "%s has no guard, so it does not record its spare",
				 a->main_path);
	if (r < 0)
		return r;
	header = (void *)(chunk + REMAP_MEMBER_OFFSET);
	memset(header->spare_identity, 0, sizeof(header->spare_identity));
	snprintf((char *)header->spare_identity, sizeof(header->spare_identity), "%s", identity);
	return write_header(a, chunk, error);
}
