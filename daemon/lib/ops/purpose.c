// SPDX-License-Identifier: GPL-2.0-or-later
#include <blkid/blkid.h>
#include <errno.h>
#include <inttypes.h>

#include "ops/purpose.h"

/* Partitions that are looked into; more are of no use for what is said. */
#define PARTITIONS_MAX 64
#define EXT_MAGIC_OFFSET 56

/**
 * struct known - what a kind of content keeps where
 * @type: as libblkid calls it, or the beginning of it with an asterisk
 * @first: first sector; negative: counted from the end, -1 is the last
 * @last: the same
 * @text: what it is
 * @is_guess: said also where the content is not known
 */
static const struct known {
	const char *type;
	int64_t first;
	int64_t last;
	const char *text;
	bool is_guess;
} known[] = {
	{ "gpt", 0, 0, "the protective MBR in front of a GPT", false },
	{ "gpt", 1, 1, "the header of the GPT; its backup is in the last sector", false },
	{ "gpt", 2, 33, "entries of the GPT; their backup is at the end", false },
	{ "gpt", -33, -2, "backup entries of the GPT", false },
	{ "gpt", -1, -1, "the backup header of the GPT", false },
	{ "dos", 0, 0, "the partition table (MBR)", false },
	{ "PMBR", 0, 0, "the partition table (protective MBR)", false },
	{ "ext*", 2, 3, "the superblock of ext2/3/4", true },
	{ "ext*", 4, 15, "group descriptors of ext2/3/4; their backups go with its superblocks",
	  false },
	{ "xfs", 0, 0, "the superblock of XFS (xfs_repair finds its copies)", false },
	{ "xfs", 1, 3, "headers of the first group of XFS (xfs_repair rebuilds them)", false },
	{ "btrfs", 128, 135, "the superblock of btrfs (btrfs rescue super-recover)", true },
	{ "reiserfs", 128, 135, "the superblock of reiserfs", false },
	{ "f2fs", 0, 31, "a superblock of f2fs, of which there are two", false },
	{ "vfat", 0, 0, "the boot sector of FAT; FAT32 has a backup in sector 6 (fsck.vfat)",
	  false },
	{ "vfat", 6, 7, "the backup boot sector of FAT32", false },
	{ "exfat", 0, 11, "the boot region of exFAT; its backup follows it (fsck.exfat)", false },
	{ "exfat", 12, 23, "the backup boot region of exFAT", false },
	{ "ntfs", 0, 0, "the boot sector of NTFS; its backup is in the last sector", false },
	{ "ntfs", -1, -1, "the backup boot sector of NTFS", false },
	{ "iso9660", 64, 71, "the descriptor of ISO 9660", false },
	{ "swap*", 0, 7, "the header of a swap area (mkswap)", false },
	{ "crypto_LUKS", 0, 31, "the header of LUKS (LUKS2 has a second one: cryptsetup repair)",
	  false },
	{ "crypto_LUKS", 32, 4095, "the second header or a key slot of LUKS", false },
	{ "LVM2_member", 0, 3, "the label of an LVM physical volume (pvcreate --restorefile)",
	  false },
	{ "LVM2_member", 8, 2047, "metadata of LVM (vgcfgrestore)", false },
	{ "linux_raid_member", 0, 15, "the superblock of an md array", false },
	{ "linux_raid_member", -256, -1, "the superblock of an md array", false },
	{ "bcache", 8, 15, "the superblock of bcache", false },
	{ "zfs_member", 0, 1023, "a label of ZFS, of which there are four", false },
	{ "zfs_member", -1024, -1, "a label of ZFS, of which there are four", false },
	/* where nothing is known: all that could be there */
	{ "", 0, 0,
	  "the partition table or boot sector, or the superblock of XFS, NTFS or FAT, or the header "
	  "of LUKS",
	  true },
	{ "", 1, 1, "the header of a GPT, or an LVM label", true },
	{ "", 4, 31, "entries of a GPT, swap, RAID or LUKS headers, or group descriptors of ext4",
	  true },
	{ "", 32, 33, "entries of a GPT, or a header of LUKS", true },
	{ "", -33, -1, "the backup of a GPT, or the superblock of a RAID", true },
	{ "", 0, 1023, "a label of ZFS, a key slot of LUKS, metadata of LVM", true },
	{ "", -1024, -1, "a label of ZFS, or the superblock of a RAID", true },
	{ "", 2048, 2055, "the second header of LUKS2", true },
	{ "", 4096, 4103, "the second header of LUKS2", true },
	{ "", 8192, 8199, "the second header of LUKS2", true },
};

static bool type_matches(const char *types, const char *type)
{
	size_t length = strcspn(type, "*");
	bool beginning = type[length] == '*';

	for (const char *at = types; *at; at += strcspn(at, ","), at += *at == ',')
		if (!strncmp(at, type, length) && (beginning || strcspn(at, ",") == length))
			return true;
	return false;
}

static bool lies_in(const struct known *k, uint64_t at, uint64_t nr_sectors)
{
	uint64_t first = k->first < 0 ? nr_sectors - (uint64_t)-k->first : (uint64_t)k->first;
	uint64_t last = k->last < 0 ? nr_sectors - (uint64_t)-k->last : (uint64_t)k->last;

	return first < nr_sectors && at >= first && at <= last;
}

const char *purpose_at(const char *types, uint64_t at, uint64_t nr_sectors)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct known *k = &known[i];

		if (lies_in(k, at, nr_sectors) &&
		    (*types ? *k->type && type_matches(types, k->type) : k->is_guess))
			return k->text;
	}
	return NULL;
}

/* What the copy shows of a part of the device: "ext4" or "gpt,zfs_member". */
static void types_at(const struct places *places, uint64_t sector, uint64_t nr_sectors, char *text,
		     size_t nr_bytes)
{
	blkid_probe probe = blkid_new_probe();
	const char *type;

	*text = '\0';
	if (!probe || blkid_probe_set_sectorsize(probe, places->unit) < 0 ||
	    blkid_probe_set_device(probe, places->copy_fd,
				   (blkid_loff_t)(sector * REMAP_SECTOR_BYTES),
				   (blkid_loff_t)(nr_sectors * REMAP_SECTOR_BYTES)) < 0)
		goto out;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_FORCE_GPT);
	while (blkid_do_probe(probe) == 0) {
		size_t length = strlen(text);

		if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL) == 0 ||
		    blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL) == 0)
			snprintf(text + length, nr_bytes - length, "%s%s", length ? "," : "", type);
	}
out:
	blkid_free_probe(probe);
}

/**
 * struct part - the device, or a partition of it
 * @sector: where it begins
 * @nr_sectors: its length
 * @number: of the partition, 0: the device
 * @types: what is on it
 * @fsck: how an ext file system is repaired from a backup superblock; empty: there is none
 */
struct part {
	uint64_t sector;
	uint64_t nr_sectors;
	int number;
	char types[128];
	char fsck[64];
};

/* A backup superblock of ext2/3/4 that can be read, where group 1 begins. */
static void find_ext_backup(int fd, struct part *part)
{
	_cleanup_free_ uint8_t *super = aligned_bytes(REMAP_CHUNK_BYTES);

	for (uint32_t block_bytes = 1024; super && block_bytes <= 4096; block_bytes *= 2) {
		uint64_t block = 8ULL * block_bytes + (block_bytes == 1024);
		uint64_t sector = block * (block_bytes / REMAP_SECTOR_BYTES);

		/* chunks, for disks of 4 KiB blocks */
		if (sector + 2 * REMAP_CHUNK_SECTORS > part->nr_sectors ||
		    read_all_at(fd, super, REMAP_CHUNK_BYTES,
				(off_t)((part->sector + sector) / REMAP_CHUNK_SECTORS *
					REMAP_CHUNK_BYTES)) < 0)
			continue;
		if (!memcmp(super +
				    (part->sector + sector) % REMAP_CHUNK_SECTORS *
					    REMAP_SECTOR_BYTES +
				    EXT_MAGIC_OFFSET,
			    "\x53\xef", 2)) {
			snprintf(part->fsck, sizeof(part->fsck), "fsck.ext4 -b %" PRIu64 " -B %u",
				 block, block_bytes);
			return;
		}
	}
}

static size_t find_parts(const struct places *places, int fd, struct part part[PARTITIONS_MAX + 1])
{
	blkid_probe probe = blkid_new_probe();
	blkid_partlist list = NULL;
	size_t nr = 1;

	part[0] = (struct part){ .nr_sectors = places->nr_sectors };
	if (probe && blkid_probe_set_sectorsize(probe, places->unit) == 0 &&
	    blkid_probe_set_device(probe, places->copy_fd, 0, 0) == 0) {
		blkid_probe_enable_partitions(probe, 1);
		blkid_probe_enable_superblocks(probe, 0);
		list = blkid_probe_get_partitions(probe);
	}
	for (int i = 0; list && i < blkid_partlist_numof_partitions(list); i++) {
		blkid_partition at = blkid_partlist_get_partition(list, i);

		if (nr > PARTITIONS_MAX || blkid_partition_is_extended(at))
			continue;
		part[nr++] = (struct part){ .sector = (uint64_t)blkid_partition_get_start(at),
					    .nr_sectors = (uint64_t)blkid_partition_get_size(at),
					    .number = blkid_partition_get_partno(at) };
	}
	blkid_free_probe(probe);
	for (size_t i = 0; i < nr; i++) {
		types_at(places, part[i].sector, part[i].nr_sectors, part[i].types,
			 sizeof(part[i].types));
		if (!*part[i].types || type_matches(part[i].types, "ext*"))
			find_ext_backup(fd, &part[i]);
	}
	return nr;
}

static const struct part *part_of(const struct part *part, size_t nr, uint64_t sector)
{
	const struct part *found = &part[0];

	for (size_t i = 1; i < nr; i++)
		if (sector >= part[i].sector && sector - part[i].sector < part[i].nr_sectors)
			found = &part[i];
	return found;
}

static void describe(const struct part *part, uint64_t sector, char *text, size_t nr_bytes)
{
	/* where a backup of ext4 is found, that is what it was */
	const char *types = !*part->types && *part->fsck ? "ext4" : part->types;
	const char *what = purpose_at(types, sector - part->sector, part->nr_sectors);
	char number[32] = "";

	if (part->number)
		snprintf(number, sizeof(number), "partition %d: ", part->number);
	if (what && *part->fsck && strstr(what, "superblock of ext"))
		snprintf(text, nr_bytes, "%s%s (%s repairs it)", number, what, part->fsck);
	else
		snprintf(text, nr_bytes, "%s%s", what ? number : "", what ? what : "");
}

int purposes_of(const struct places *places, int fd, struct purpose **purposes, size_t *nr_purposes)
{
	struct part *part = calloc(PARTITIONS_MAX + 1, sizeof(*part));
	uint64_t nr_sectors = sector_ranges_count(&places->unreadable);
	struct purpose *list = calloc(nr_sectors + 1, sizeof(*list));
	size_t nr_parts, nr = 0;

	if (!part || !list) {
		free(part);
		free(list);
		return -ENOMEM;
	}
	nr_parts = find_parts(places, fd, part);
	for (size_t i = 0; i < places->unreadable.nr; i++) {
		const struct sector_range *range = &places->unreadable.at[i];

		for (uint64_t s = range->sector; s < range->sector + range->nr; s++) {
			struct purpose *last = nr ? &list[nr - 1] : NULL;

			list[nr] = (struct purpose){ .range = { .sector = s, .nr = 1 } };
			describe(part_of(part, nr_parts, s), s, list[nr].text,
				 sizeof(list[nr].text));
			if (last && last->range.sector + last->range.nr == s &&
			    streq(last->text, list[nr].text))
				last->range.nr++;
			else
				nr++;
		}
	}
	free(part);
	*purposes = list;
	*nr_purposes = nr;
	return 0;
}
