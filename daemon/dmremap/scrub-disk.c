// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "scrub-disk.h"
#include "set/scan.h"

#define SECTOR_BYTES 512

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Of the whole disk that a member is, or is a partition of. */
static void find_counters(const char *in_table, char *path, size_t nr_bytes)
{
	unsigned int major_number, minor_number;
	char link[64], real[PATH_MAX], partition[PATH_MAX + 16];

	*path = '\0';
	if (sscanf(in_table, "%u:%u", &major_number, &minor_number) != 2)
		return;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major_number, minor_number);
	if (!realpath(link, real))
		return;
	snprintf(partition, sizeof(partition), "%s/partition", real);
	if (access(partition, F_OK) == 0)
		*strrchr(real, '/') = '\0';
	if (strlen(real) + 6 < nr_bytes)
		sprintf(path, "%s/stat", real);
}

static int open_disk(struct scrub_disk *disk)
{
	disk->fd = open(disk->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	return disk->fd < 0 ? -errno : 0;
}

static uint32_t find_unit(int fd)
{
	unsigned int physical = SECTOR_BYTES;

	if (ioctl(fd, BLKPBSZGET, &physical) < 0 || physical < SECTOR_BYTES ||
	    physical > PLAN_CHUNK_SECTORS * SECTOR_BYTES)
		physical = PLAN_CHUNK_SECTORS * SECTOR_BYTES;
	return physical / SECTOR_BYTES;
}

int scrub_disk_of(const struct dm_device *device, enum scrub_part part, struct scrub_disk *disk,
		  struct error *error)
{
	const struct remap_line *line = &device->line;
	unsigned int major_number, minor_number;
	dev_t devno = makedev(device->major, device->minor);
	int r;

	memset(disk, 0, sizeof(*disk));
	disk->fd = -1;
	disk->nr_sectors = device->nr_sectors;
	if (part == SCRUB_SPARE) {
		if (sscanf(line->spare, "%u:%u", &major_number, &minor_number) != 2)
			return error_set(error, ENODEV, "%s: its spare device (%s) is gone",
					 device->name, line->spare);
		devno = makedev(major_number, minor_number);
		disk->start = line->spare_start;
		disk->nr_sectors = line->spare_sectors;
	}
	device_path(devno, disk->path, sizeof(disk->path));
	find_counters(part == SCRUB_SPARE ? line->spare : line->main, disk->stat_path,
		      sizeof(disk->stat_path));
	disk->buffer = aligned_bytes(PLAN_PIECE_SECTORS * SECTOR_BYTES);
	if (!disk->buffer)
		return no_memory(error);
	r = open_disk(disk);
	if (r < 0)
		return error_set(error, -r, "%s: cannot open %s: %s", device->name, disk->path,
				 strerror(-r));
	disk->unit = find_unit(disk->fd);
	return 0;
}

void scrub_disk_close(struct scrub_disk *disk)
{
	close_p(&disk->fd);
	disk->fd = -1;
}

void scrub_disk_done(struct scrub_disk *disk)
{
	scrub_disk_close(disk);
	free(disk->buffer);
	disk->buffer = NULL;
}

/* What a disk says of a place, not of itself; a timeout is of a place on many. */
static bool is_of_medium(int number)
{
	return number == EIO || number == ENODATA || number == EILSEQ || number == EREMOTEIO ||
	       number == ETIMEDOUT;
}

int scrub_disk_read(struct scrub_disk *disk, uint64_t sector, uint64_t nr, uint64_t *ms)
{
	uint64_t begin = now_ms();
	int r;

	if (disk->fd < 0 && open_disk(disk) < 0)
		return -ENODEV;
	r = read_all_at(disk->fd, disk->buffer, nr * SECTOR_BYTES,
			(off_t)((disk->start + sector) * SECTOR_BYTES));
	*ms = now_ms() - begin;
	if (!r)
		return 1;
	return is_of_medium(-r) ? 0 : r;
}

bool scrub_disk_counts(const struct scrub_disk *disk, struct disk_counts *counts)
{
	_cleanup_free_ char *text = NULL;

	return *disk->stat_path && read_file(disk->stat_path, &text, NULL) == 0 &&
	       disk_counts_parse(text, counts) == 0;
}
