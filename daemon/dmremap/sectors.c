// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "sectors.h"
#include "set/scan.h"

/* What is read before a remap; more would take a dying disk too long. */
#define READ_MAX_SECTORS 64

/* "/dev/sdb:22048": of that device, which must be main or its disk. */
static int parse_of_device(const struct whole_disk *disk, const char *text, uint64_t *sector,
			   bool *of_disk, struct error *error)
{
	const char *colon = strrchr(text, ':');
	char path[300], disk_path[80];
	dev_t devno;

	snprintf(path, sizeof(path), "%.*s", (int)(colon - text), text);
	node_of_sysfs(disk->disk, disk_path, sizeof(disk_path));
	devno = device_number(path);
	if (!devno || (devno != device_number(disk->main) && devno != device_number(disk_path)))
		return error_set(error, EINVAL,
				 "%s is neither the main device (%s) nor the disk that it is on "
				 "(%s)",
				 path, disk->main, disk_path);
	if (parse_sectors(colon + 1, sector) < 0)
		return error_set(error, EINVAL, "\"%s\" is not a sector number", colon + 1);
	*of_disk = devno != device_number(disk->main);
	return 0;
}

static int translate(const struct whole_disk *disk, struct sectors *sectors, struct error *error)
{
	if (sectors->sector < disk->start || sectors->sector - disk->start >= disk->nr_sectors)
		return error_set(error, EINVAL,
				 "sector %" PRIu64 " of %s is not on %s, which has sectors "
				 "%" PRIu64 " to %" PRIu64,
				 sectors->sector, disk->disk, disk->main, disk->start,
				 disk->start + disk->nr_sectors - 1);
	sectors->sector -= disk->start;
	sectors->of_disk = true;
	return 0;
}

static int parse_sector(const struct invocation *invocation, const struct dm_device *device,
			const char *text, struct sectors *sectors, struct error *error)
{
	bool of_disk = option_value(invocation, "disk"), has_device = strchr(text, ':') != NULL;
	struct whole_disk disk;
	int r = has_device || of_disk ? whole_disk_of(device->line.main, &disk, error) : 0;

	if (r < 0)
		return r;
	if (has_device)
		r = parse_of_device(&disk, text, &sectors->sector, &of_disk, error);
	else if (parse_sectors(text, &sectors->sector) < 0)
		r = error_set(error, EINVAL, "\"%s\" is not a sector number", text);
	sectors->of_disk = has_device;
	return !r && of_disk ? translate(&disk, sectors, error) : r;
}

static int check_bounds(const struct dm_device *device, const struct sectors *sectors,
			struct error *error)
{
	if (sectors->sector < device->nr_sectors &&
	    sectors->nr_sectors <= device->nr_sectors - sectors->sector)
		return 0;
	return error_set(
		error, EINVAL,
		"%s has sectors 0 to %" PRIu64 "; %" PRIu64 "+%" PRIu64 " is beyond its end",
		device->name, device->nr_sectors - 1, sectors->sector, sectors->nr_sectors);
}

static int parse_count(const char *text, struct sectors *sectors, struct error *error)
{
	if (parse_sectors(text, &sectors->nr_sectors) < 0 || !sectors->nr_sectors)
		return error_set(error, EINVAL, "\"%s\" is not a number of sectors", text);
	return 0;
}

int parse_named_sectors(const struct invocation *invocation, const struct dm_device *device,
			struct sectors *sectors, struct error *error)
{
	int r;

	*sectors = (struct sectors){ .nr_sectors = 1 };
	r = parse_sector(invocation, device, invocation->argv[1], sectors, error);
	if (!r && invocation->argc > 2)
		r = parse_count(invocation->argv[2], sectors, error);
	return r ?: check_bounds(device, sectors, error);
}

int parse_sectors_argument(const struct invocation *invocation, const struct dm_device *device,
			   const char *text, struct sectors *sectors, struct error *error)
{
	_cleanup_free_ char *copy = strdup(text);
	char *plus = copy ? strrchr(copy, '+') : NULL;
	int r = copy ? 0 : no_memory(error);

	*sectors = (struct sectors){ .nr_sectors = 1 };
	if (plus) {
		*plus = '\0';
		r = parse_count(plus + 1, sectors, error);
	}
	if (!r)
		r = parse_sector(invocation, device, copy, sectors, error);
	return r ?: check_bounds(device, sectors, error);
}

int check_read_first(const struct invocation *invocation, const struct dm_device *device,
		     const struct sectors *sectors, struct error *error)
{
	uint64_t nr =
		sectors->nr_sectors < READ_MAX_SECTORS ? sectors->nr_sectors : READ_MAX_SECTORS;
	struct whole_disk disk;
	uint64_t bad;

	/* where main cannot be looked at, the message says what is wrong */
	if (whole_disk_of(device->line.main, &disk, NULL) < 0 ||
	    whole_disk_read_fails(&disk, sectors->sector, nr, &bad, NULL) != 0)
		return 0;
	if (!sectors->of_disk && disk.start && sectors->sector >= disk.start &&
	    whole_disk_read_fails(&disk, sectors->sector - disk.start, nr, &bad, NULL) == 1 &&
	    !invocation->yes)
		return error_set(error, EPERM,
				 "sector %" PRIu64 " of %s can be read, but sector %" PRIu64 " "
				 "cannot, which is sector %" PRIu64 " of the whole disk %s. If "
				 "that one is meant, use /dev/%s:%" PRIu64 " or --disk; if not, "
				 "use --yes",
				 sectors->sector, device->name, bad, bad + disk.start, disk.disk,
				 disk.disk, bad + disk.start);
	if (invocation->quiet || invocation->json)
		return 0;
	printf("%s%" PRIu64 " can be read from %s%s\n",
	       nr == sectors->nr_sectors && nr > 1 ? "all sectors from " : "sector ",
	       sectors->sector, disk.main,
	       disk.start && !sectors->of_disk ? "; for a sector number of the whole disk, use "
						 "--disk" :
						 "");
	fflush(stdout);
	return 0;
}
