// SPDX-License-Identifier: GPL-2.0-or-later
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <zlib.h>

#include "ops/guard.h"
#include "util/foreign.h"

/* Tables of partitions that lead to each other: more are not followed. */
#define TABLES_MAX 64

#define BTRFS_SUPER_OFFSET 65536
#define BTRFS_NR_DEVICES 136

#define ESP_TYPE "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define BIOS_BOOT_TYPE "21686148-6449-6e6f-744e-656564454649"

static void probe_p(blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

#define _cleanup_probe_ _cleanup_(probe_p)

static int add_range(struct guard_plan *plan, uint64_t offset, uint64_t nr_bytes, const char *type,
		     struct error *error)
{
	struct hidden_range *range;

	if (offset < REMAP_CHUNK_BYTES && offset + nr_bytes > REMAP_CHUNK_BYTES) {
		uint64_t in_chunk0 = REMAP_CHUNK_BYTES - offset;
		int r = add_range(plan, REMAP_CHUNK_BYTES, nr_bytes - in_chunk0, type, error);

		return r < 0 ? r : add_range(plan, offset, in_chunk0, type, error);
	}
	if (plan->nr_ranges == GUARD_RANGES_MAX)
		return error_set(error, ENOSPC,
				 "the device has more than %d signatures, which cannot all be "
				 "hidden",
				 GUARD_RANGES_MAX);
	range = &plan->range[plan->nr_ranges];
	range->offset = offset;
	range->nr_bytes = (uint32_t)nr_bytes;
	snprintf(range->type, sizeof(range->type), "%s", type);
	plan->nr_ranges++;
	return 0;
}

static void describe(struct guard_plan *plan, blkid_probe probe, const char *type)
{
	const char *label = NULL;
	size_t length = strlen(plan->content), nr_bytes = 0;

	if (strstr(plan->content, type))
		return;
	blkid_probe_lookup_value(probe, "LABEL", &label, &nr_bytes);
	if (!length)
		snprintf(plan->type, sizeof(plan->type), "%s", type);
	snprintf(plan->content + length, sizeof(plan->content) - length, "%s%s%s%s%s",
		 length ? ", " : "", type, label ? " \"" : "",
		 label ? foreign_text(label, nr_bytes).text : "", label ? "\"" : "");
}

/* A btrfs says how many devices it has; one that cannot be read has more than one. */
static bool is_single_btrfs(int fd, uint64_t begin)
{
	_cleanup_free_ uint8_t *super = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	__le64 nr_devices;

	if (!super ||
	    read_all_at(fd, super, REMAP_CHUNK_BYTES, (off_t)(begin + BTRFS_SUPER_OFFSET)) < 0)
		return false;
	memcpy(&nr_devices, super + BTRFS_NR_DEVICES, sizeof(nr_devices));
	return le64_to_cpu(nr_devices) == 1;
}

/* @begin: bytes from the start of the device to what is of @type. */
static void note_assembly(int fd, uint64_t begin, const char *type, struct guard_plan *plan)
{
	static const char *const types[] = { "btrfs",	   "LVM2_member", "LVM1_member",
					     "zfs_member", "bcache",	  "stratis" };
	bool assembles = strstr(type, "raid_member") != NULL;

	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assembles |= streq(type, types[i]);
	if (!assembles)
		return;
	if (!*plan->assembles)
		snprintf(plan->assembles, sizeof(plan->assembles), "%s", type);
	if (!*plan->member && !(streq(type, "btrfs") && is_single_btrfs(fd, begin)))
		snprintf(plan->member, sizeof(plan->member), "%s", type);
}

/* Records what the probe has just found; 1: nothing that has a place. */
static int record(int fd, struct guard_plan *plan, blkid_probe probe, struct error *error)
{
	const char *type = NULL, *magic = NULL, *offset = NULL;
	uint64_t at;
	size_t nr_bytes;

	if (blkid_probe_lookup_value(probe, "SBMAGIC_OFFSET", &offset, NULL) == 0) {
		blkid_probe_lookup_value(probe, "SBMAGIC", &magic, &nr_bytes);
		blkid_probe_lookup_value(probe, "TYPE", &type, NULL);
	} else if (blkid_probe_lookup_value(probe, "PTMAGIC_OFFSET", &offset, NULL) == 0) {
		blkid_probe_lookup_value(probe, "PTMAGIC", &magic, &nr_bytes);
		blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL);
	}
	if (!offset || !magic || !type || parse_u64(offset, &at) < 0)
		return 1;
	describe(plan, probe, type);
	note_assembly(fd, 0, type, plan);
	return add_range(plan, at, nr_bytes, type, error);
}

/* A probe of some of a device, or of the copy of one, which does not know its blocks. */
static blkid_probe new_probe(int fd, uint64_t begin, uint64_t nr_bytes, uint32_t unit)
{
	blkid_probe probe = blkid_new_probe();

	if (!probe || blkid_probe_set_sectorsize(probe, unit) < 0 ||
	    blkid_probe_set_device(probe, fd, (blkid_loff_t)begin, (blkid_loff_t)nr_bytes) < 0) {
		blkid_free_probe(probe);
		return NULL;
	}
	return probe;
}

/* A new probe of all that wipefs would find. */
static blkid_probe open_probe(int fd, uint32_t unit)
{
	blkid_probe probe = new_probe(fd, 0, 0, unit);

	if (!probe)
		return NULL;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_TYPE |
							 BLKID_SUBLKS_LABEL | BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
	return probe;
}

/* What is on a partition: the whole disk shows only that there is one. */
static void look_into_partition(int fd, uint32_t unit, uint64_t begin, uint64_t nr_bytes,
				struct guard_plan *plan)
{
	_cleanup_probe_ blkid_probe probe = new_probe(fd, begin, nr_bytes, unit);
	const char *type;

	if (!probe)
		return;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_TYPE |
							 BLKID_SUBLKS_BADCSUM);
	while (blkid_do_probe(probe) == 0)
		if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL) == 0)
			note_assembly(fd, begin, type, plan);
}

/*
 * A disk without partitions may have boot code, too; but file systems that begin with a jump
 * over their own parameters always look so.
 */
static bool has_boot_code(const uint8_t *sector, const struct guard_plan *plan)
{
	static const char *const own[] = { "vfat", "ntfs", "exfat" };

	for (unsigned int i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (streq(plan->type, own[i]))
			return false;
	return sector[510] == 0x55 && sector[511] == 0xaa && !remap_is_zero(sector, 440);
}

/* Whole disks that a machine boots from: the firmware reads the raw disk (O5). */
static int find_danger(int fd, uint32_t unit, struct guard_plan *plan, struct error *error)
{
	_cleanup_probe_ blkid_probe probe = new_probe(fd, 0, 0, unit);
	_cleanup_free_ uint8_t *sector = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	blkid_partlist list;
	bool mbr_code;
	int r;

	if (!probe || !sector)
		return error_set(error, ENOMEM, "cannot look for partitions");
	r = read_all_at(fd, sector, REMAP_CHUNK_BYTES, 0);
	if (r < 0)
		return error_set(error, -r, "the first sectors cannot be read");
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_enable_superblocks(probe, 0);
	list = blkid_probe_get_partitions(probe);
	if (!list || !blkid_partlist_get_table(list)) {
		if (has_boot_code(sector, plan))
			snprintf(plan->danger, sizeof(plan->danger), "boot code in sector 0");
		return 0;
	}
	for (int i = 0; i < blkid_partlist_numof_partitions(list); i++) {
		blkid_partition partition = blkid_partlist_get_partition(list, i);
		const char *type = blkid_partition_get_type_string(partition);
		const char *what = NULL;

		if (!blkid_partition_is_extended(partition))
			look_into_partition(
				fd, unit, (uint64_t)blkid_partition_get_start(partition) * 512,
				(uint64_t)blkid_partition_get_size(partition) * 512, plan);
		if (type && !strcasecmp(type, ESP_TYPE))
			what = "an EFI system partition";
		else if (type && !strcasecmp(type, BIOS_BOOT_TYPE))
			what = "a BIOS boot partition";
		else if (!type && blkid_partition_get_type(partition) == 0xef)
			what = "an EFI system partition";
		else if (!type && (blkid_partition_get_flags(partition) & 0x80))
			what = "an active partition";
		if (what)
			snprintf(plan->danger, sizeof(plan->danger), "%s (partition %d)", what,
				 blkid_partition_get_partno(partition));
	}
	mbr_code = !remap_is_zero(sector, 440);
	if (!*plan->danger && mbr_code)
		snprintf(plan->danger, sizeof(plan->danger), "boot code in sector 0");
	return 0;
}

/*
 * GPT's backup is found by libblkid only once sector 0 has a protective MBR, which is what
 * the guard puts there (O3): looked for by hand, for both sizes of logical blocks.
 */
static int find_gpt_backup(int fd, uint64_t nr_bytes, struct guard_plan *plan, struct error *error)
{
	_cleanup_free_ uint8_t *block = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	static const uint32_t block_bytes[] = { 512, 4096 };

	if (!block)
		return error_set(error, ENOMEM, "out of memory");
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t at = nr_bytes / block_bytes[i] * block_bytes[i] - block_bytes[i];
		bool known = false;

		/* on a disk of 4 KiB blocks the first look is not possible, nor needed */
		if (read_all_at(fd, block, block_bytes[i], (off_t)at) < 0 ||
		    memcmp(block, "EFI PART", 8))
			continue;
		for (size_t j = 0; j < plan->nr_ranges; j++)
			known |= plan->range[j].offset == at;
		if (!known) {
			int r = add_range(plan, at, 8, "gpt", error);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* A partition table may name others, which are found when it has been copied. */
static int look_at_partitions(int fd, struct places *places, struct error *error)
{
	int is_new = 1;

	for (unsigned int round = 0; is_new && round < TABLES_MAX; round++) {
		_cleanup_probe_ blkid_probe probe = new_probe(places->copy_fd, 0, 0, places->unit);
		blkid_partlist list;

		is_new = 0;
		if (!probe)
			return error_set(error, ENOMEM, "cannot look for partitions");
		blkid_probe_enable_partitions(probe, 1);
		blkid_probe_enable_superblocks(probe, 0);
		list = blkid_probe_get_partitions(probe);
		for (int i = 0; list && i < blkid_partlist_numof_partitions(list); i++) {
			blkid_partition partition = blkid_partlist_get_partition(list, i);
			int r = places_look_into(fd, (uint64_t)blkid_partition_get_start(partition),
						 (uint64_t)blkid_partition_get_size(partition),
						 places, error);

			if (r < 0)
				return r;
			is_new |= r;
		}
	}
	return 0;
}

int guard_look(int fd, uint64_t nr_sectors, struct places *places, struct error *error)
{
	int r = places_look(fd, nr_sectors, places, error);

	return r < 0 ? r : look_at_partitions(fd, places, error);
}

/* All that has a name; 1: libblkid met a read error. */
static int find_all(int fd, uint32_t unit, struct guard_plan *plan, struct error *error)
{
	_cleanup_probe_ blkid_probe probe = open_probe(fd, unit);
	int r;

	memset(plan, 0, sizeof(*plan));
	if (!probe)
		return error_set(error, ENOMEM, "cannot probe the device");
	while ((r = blkid_do_probe(probe)) == 0) {
		r = record(fd, plan, probe, error);
		if (r < 0)
			return r;
		if (r == 0 && blkid_do_wipe(probe, true) < 0)
			return error_set(error, EIO, "libblkid cannot probe behind a signature");
	}
	return r < 0 ? 1 : 0;
}

int guard_plan_make(const char *path, int main_fd, uint64_t main_sectors, struct guard_plan *plan,
		    struct places *places, struct error *error)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_places_ struct places own = PLACES_NONE;
	int r, from;

	if (!places)
		places = &own;
	if (fd < 0)
		return error_set(error, errno, "%s: cannot open it: %s", path, strerror(errno));
	r = guard_look(main_fd, main_sectors, places, error);
	if (r < 0)
		return r;
	from = places->unreadable.nr ? places->copy_fd : fd;
	r = find_all(from, places->unit, plan, error);
	if (r > 0 && from == fd) {
		places->elsewhere = true;
		from = places->copy_fd;
		r = find_all(from, places->unit, plan, error);
	}
	if (r > 0)
		return error_set(error, EIO, "libblkid cannot probe the device");
	if (!r)
		r = find_gpt_backup(from == fd ? main_fd : from, main_sectors * REMAP_SECTOR_BYTES,
				    plan, error);
	if (!r)
		r = find_danger(from, places->unit, plan, error);
	if (!r && places == &own && (places->unreadable.nr || places->elsewhere))
		return error_set(error, EIO,
				 "sector %" PRIu64 " cannot be read, so the content of the device "
				 "is not known for certain; nothing was changed",
				 places->unreadable.nr ? places->unreadable.at[0].sector : 0);
	if (!*plan->content)
		snprintf(plan->content, sizeof(plan->content), "nothing known");
	return r;
}

int guard_plan_of_copy(const struct places *places, struct guard_plan *plan, struct error *error)
{
	int r = find_all(places->copy_fd, places->unit, plan, error);

	if (r > 0)
		return error_set(error, EIO, "libblkid cannot probe the copy");
	return r ? r :
		   find_gpt_backup(places->copy_fd, places->nr_sectors * REMAP_SECTOR_BYTES, plan,
				   error);
}

static int compare_chunks(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int guard_plan_chunks(const struct guard_plan *plan, uint64_t **chunks, uint32_t *nr_chunks)
{
	uint64_t *all = calloc(1 + 2 * plan->nr_ranges, sizeof(*all));
	uint32_t nr = 1, kept = 1;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < plan->nr_ranges; i++) {
		const struct hidden_range *range = &plan->range[i];

		all[nr++] = range->offset / REMAP_CHUNK_BYTES;
		all[nr++] = (range->offset + range->nr_bytes - 1) / REMAP_CHUNK_BYTES;
	}
	qsort(all, nr, sizeof(*all), compare_chunks);
	for (uint32_t i = 1; i < nr; i++)
		if (all[i] != all[kept - 1])
			all[kept++] = all[i];
	*chunks = all;
	*nr_chunks = kept;
	return 0;
}

/* 1: libblkid met a read error. */
static int find_visible(const char *path, int fd, uint32_t unit, struct error *error)
{
	_cleanup_probe_ blkid_probe probe = open_probe(fd, unit);
	const char *type = NULL;
	int r;

	if (!probe)
		return error_set(error, EIO, "%s: cannot be probed again", path);
	while ((r = blkid_do_probe(probe)) == 0) {
		if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL) < 0 &&
		    blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL) < 0)
			continue;
		if (strcmp(type, "PMBR"))
			return error_set(error, EEXIST, "%s: %s cannot be hidden", path, type);
	}
	return r < 0 ? 1 : 0;
}

int guard_check_hidden(const char *path, int fd, uint64_t nr_sectors, struct error *error)
{
	_cleanup_places_ struct places places = PLACES_NONE;
	_cleanup_close_ int buffered = open(path, O_RDONLY | O_CLOEXEC);
	int r = guard_look(fd, nr_sectors, &places, error);

	if (r < 0)
		return r;
	r = places.unreadable.nr || buffered < 0 ? 1 :
						   find_visible(path, buffered, places.unit, error);
	if (r > 0)
		r = find_visible(path, places.copy_fd, places.unit, error);
	return r > 0 ? error_set(error, EIO, "%s: cannot be probed again", path) : r;
}

/* The ranges outside chunk 0 with their original bytes, then chunk 0, deflated. */
int guard_header_build(const struct guard_plan *plan, const struct remap_super *super,
		       const char *spare_identity, uint8_t chunk0_lost, guard_read_f read,
		       void *userdata, struct remap_member_disk *header, struct error *error)
{
	struct remap_hidden_disk hidden[REMAP_MEMBER_MAX_HIDDEN];
	uint8_t blob[REMAP_MEMBER_BLOB_BYTES], deflated[REMAP_CHUNK_BYTES * 2];
	uLongf deflated_bytes = sizeof(deflated);
	uint32_t nr = 0, blob_bytes = 0, at;

	memset(header, 0, sizeof(*header));
	memset(hidden, 0, sizeof(hidden));
	for (size_t i = 0; i < plan->nr_ranges; i++) {
		const struct hidden_range *range = &plan->range[i];

		if (range->offset < REMAP_CHUNK_BYTES)
			continue; /* all of chunk 0 is kept */
		if (nr == REMAP_MEMBER_MAX_HIDDEN || blob_bytes + range->nr_bytes > sizeof(blob))
			return error_set(error, ENOSPC,
					 "the device has %zu signatures, which do not fit into "
					 "the member header",
					 plan->nr_ranges);
		hidden[nr].offset = cpu_to_le64(range->offset);
		hidden[nr].len = cpu_to_le16((uint16_t)range->nr_bytes);
		hidden[nr].original = cpu_to_le16((uint16_t)blob_bytes);
		nr++;
		for (uint32_t b = 0; b < range->nr_bytes; b++) {
			uint64_t offset = range->offset + b;

			blob[blob_bytes++] = read(
				userdata, offset / REMAP_CHUNK_BYTES)[offset % REMAP_CHUNK_BYTES];
		}
	}
	if (compress2(deflated, &deflated_bytes, read(userdata, 0), REMAP_CHUNK_BYTES,
		      Z_BEST_COMPRESSION) != Z_OK)
		return error_set(error, ENOMEM, "cannot compress the first chunk");
	at = nr * (uint32_t)sizeof(hidden[0]);
	if (at + blob_bytes > REMAP_MEMBER_BLOB_BYTES)
		return error_set(error, ENOSPC, "%u signatures do not fit into the member header",
				 nr);
	if (at + blob_bytes + deflated_bytes > REMAP_MEMBER_BLOB_BYTES)
		deflated_bytes = 0;
	memcpy(header->header.magic, REMAP_MAGIC_MEMBER, REMAP_MAGIC_BYTES);
	memcpy(header->header.uuid, super->uuid, REMAP_UUID_BYTES);
	header->header.seq = cpu_to_le64(super->seq);
	header->version = cpu_to_le32(REMAP_FORMAT_VERSION);
	header->main_sectors = cpu_to_le64(super->main_sectors);
	memcpy(header->host_id, super->host_id, sizeof(header->host_id));
	memcpy(header->label, super->label, sizeof(header->label));
	snprintf((char *)header->spare_identity, sizeof(header->spare_identity), "%s",
		 spare_identity);
	header->nr_hidden = cpu_to_le16((uint16_t)nr);
	header->blob_offset = cpu_to_le16((uint16_t)at);
	header->blob_len = cpu_to_le16((uint16_t)blob_bytes);
	header->chunk0_offset = cpu_to_le16((uint16_t)(at + blob_bytes));
	header->chunk0_len = cpu_to_le16((uint16_t)deflated_bytes);
	header->chunk0_lost = chunk0_lost;
	memcpy(header->area, hidden, at);
	memcpy(header->area + at, blob, blob_bytes);
	memcpy(header->area + at + blob_bytes, deflated, deflated_bytes);
	remap_member_seal(header);
	if (remap_member_check(header, super->uuid) != REMAP_OK)
		return error_set(error, EINVAL, "cannot build a valid member header");
	return 0;
}

int guard_header_chunk0(const struct remap_member_disk *header, uint8_t chunk[REMAP_CHUNK_BYTES])
{
	uLongf nr_bytes = REMAP_CHUNK_BYTES;

	if (!le16_to_cpu(header->chunk0_len) ||
	    uncompress(chunk, &nr_bytes, header->area + le16_to_cpu(header->chunk0_offset),
		       le16_to_cpu(header->chunk0_len)) != Z_OK ||
	    nr_bytes != REMAP_CHUNK_BYTES)
		return -EUCLEAN;
	return 0;
}

void guard_header_range(const struct remap_member_disk *header, uint32_t i, uint64_t *offset,
			uint32_t *nr_bytes, const uint8_t **original)
{
	struct remap_hidden_disk hidden;

	memcpy(&hidden, header->area + i * sizeof(hidden), sizeof(hidden));
	*offset = le64_to_cpu(hidden.offset);
	*nr_bytes = le16_to_cpu(hidden.len);
	*original = header->area + le16_to_cpu(header->blob_offset) + le16_to_cpu(hidden.original);
}
