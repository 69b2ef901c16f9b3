// SPDX-License-Identifier: GPL-2.0-or-later
#include <blkid/blkid.h>
#include <errno.h>
#include <inttypes.h>

#include "system/partitions.h"

static void probe_p(blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

/* Number of the partition in "part<n>-<the set's DM_UUID>"; 0: it is none of @device. */
static unsigned int number_of(const char *dm_uuid, const struct dm_device *device)
{
	unsigned int number;
	int length = 0;

	if (sscanf(dm_uuid, "part%u-%n", &number, &length) != 1 || !length)
		return 0;
	return streq(dm_uuid + length, device->dm_uuid) ? number : 0;
}

/* Another device may have the name: the set works without that partition. */
static bool is_taken(const char *name, const char *dm_uuid)
{
	_cleanup_free_ struct dm_name *names = NULL;
	size_t nr;

	if (dm_names(&names, &nr, NULL) < 0)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (streq(names[i].name, name) && !streq(names[i].dm_uuid, dm_uuid))
			return true;
	return false;
}

static int make_one(const struct dm_device *device, unsigned int number, uint64_t start,
		    uint64_t nr_sectors, char taken[PARTITIONS_TAKEN_BYTES], struct error *error)
{
	char name[160], dm_uuid[192], existing[128], table[128];

	if (start >= device->nr_sectors || nr_sectors > device->nr_sectors - start)
		return 0; /* the table names more than there is */
	snprintf(name, sizeof(name), "%s-part%u", device->name, number);
	snprintf(dm_uuid, sizeof(dm_uuid), "part%u-%s", number, device->dm_uuid);
	if (dm_name_of_uuid(dm_uuid, existing) == 0)
		return 0;
	if (is_taken(name, dm_uuid)) {
		size_t length = strlen(taken);

		snprintf(taken + length, PARTITIONS_TAKEN_BYTES - length, "%s%s",
			 length ? ", " : "", name);
		return 0;
	}
	snprintf(table, sizeof(table), "0 %" PRIu64 " linear %u:%u %" PRIu64, nr_sectors,
		 device->major, device->minor, start);
	return dm_create_table(name, dm_uuid, table, device->read_only, error);
}

int partitions_create(const struct dm_device *device, char taken[PARTITIONS_TAKEN_BYTES],
		      struct error *error)
{
	_cleanup_(probe_p) blkid_probe probe = NULL;
	blkid_partlist list;
	char path[160];
	int r = 0;

	*taken = '\0';
	if (!*device->dm_uuid)
		return 0;
	snprintf(path, sizeof(path), "/dev/mapper/%s", device->name);
	probe = blkid_new_probe_from_filename(path);
	if (!probe)
		return error_set(error, errno ? errno : EIO, "%s: cannot look for partitions: %s",
				 path, strerror(errno));
	/* a file system without a table may look like one (vfat): then there are none */
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
	if (blkid_do_safeprobe(probe) == 0 && blkid_probe_has_value(probe, "TYPE"))
		return 0;
	blkid_probe_enable_partitions(probe, 1);
	list = blkid_probe_get_partitions(probe);
	for (int i = 0; !r && list && i < blkid_partlist_numof_partitions(list); i++) {
		blkid_partition partition = blkid_partlist_get_partition(list, i);

		if (blkid_partition_is_extended(partition))
			continue;
		r = make_one(device, (unsigned int)blkid_partition_get_partno(partition),
			     (uint64_t)blkid_partition_get_start(partition),
			     (uint64_t)blkid_partition_get_size(partition), taken, error);
	}
	return r;
}

int partitions_remove(const struct dm_device *device, struct error *error)
{
	_cleanup_free_ struct dm_name *names = NULL;
	size_t nr;
	int r;

	if (!*device->dm_uuid)
		return 0;
	r = dm_names(&names, &nr, error);
	for (size_t i = 0; !r && i < nr; i++)
		if (number_of(names[i].dm_uuid, device))
			r = dm_remove(names[i].name, false, error);
	return r;
}
