// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/sysmacros.h>

#include "remap_format.h"
#include "set/scan.h"
#include "set/whole-disk.h"

static int read_number(const char *directory, const char *name, uint64_t *number)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX + 64];
	int r;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	r = read_file(path, &text, NULL);
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, number);
}

int whole_disk_of(const char *main, struct whole_disk *disk, struct error *error)
{
	char link[64], real[PATH_MAX], partition[PATH_MAX + 16];
	unsigned int major_number, minor_number;
	uint64_t lba_bytes = REMAP_SECTOR_BYTES;
	int end = 0;

	if (sscanf(main, "%u:%u%n", &major_number, &minor_number, &end) != 2 || main[end]) {
		dev_t devno = device_number(main);

		major_number = major(devno);
		minor_number = minor(devno);
	}
	memset(disk, 0, sizeof(*disk));
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major_number, minor_number);
	if (!realpath(link, real) || read_number(real, "size", &disk->nr_sectors) < 0)
		return error_set(error, EAGAIN, "%s: the main device is gone; attach it again",
				 main);
	device_path(makedev(major_number, minor_number), disk->main, sizeof(disk->main));
	snprintf(partition, sizeof(partition), "%s/partition", real);
	if (access(partition, F_OK) == 0) {
		if (read_number(real, "start", &disk->start) < 0)
			return error_set(error, ENODEV, "%s: its start on the disk is not known",
					 disk->main);
		*strrchr(real, '/') = '\0';
	}
	snprintf(disk->disk, sizeof(disk->disk), "%.63s", strrchr(real, '/') + 1);
	read_number(real, "queue/logical_block_size", &lba_bytes);
	disk->lba_bytes = (uint32_t)lba_bytes;
	return 0;
}

int whole_disk_read_fails(const struct whole_disk *disk, uint64_t sector, uint64_t nr_sectors,
			  uint64_t *bad, struct error *error)
{
	uint32_t unit = disk->lba_bytes / REMAP_SECTOR_BYTES;
	_cleanup_free_ uint8_t *data = NULL;
	_cleanup_close_ int fd = open_direct(disk->main, O_RDONLY);

	if (fd < 0)
		return error_set(error, -fd, "%s: cannot open it: %s", disk->main, strerror(-fd));
	if (!unit || posix_memalign((void **)&data, REMAP_CHUNK_BYTES, disk->lba_bytes))
		return error_set(error, ENOMEM, "out of memory");
	for (uint64_t at = sector / unit * unit; at < sector + nr_sectors; at += unit)
		if (at < disk->nr_sectors &&
		    read_all_at(fd, data, disk->lba_bytes, (off_t)(at * REMAP_SECTOR_BYTES)) < 0) {
			*bad = at < sector ? sector : at;
			return 1;
		}
	return 0;
}
