// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disks.h"

struct disks disks = { .power_off_after = -1 };
static ino_t inode[NR_DISKS];

int __real_read_all_at(int fd, void *data, size_t nr_bytes, off_t offset);
int __real_write_all_at(int fd, const void *data, size_t nr_bytes, off_t offset);
int __real_fsync(int fd);
int __wrap_read_all_at(int fd, void *data, size_t nr_bytes, off_t offset);
int __wrap_write_all_at(int fd, const void *data, size_t nr_bytes, off_t offset);
int __wrap_fsync(int fd);

static int disk_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		for (int d = 0; d < NR_DISKS; d++)
			if (st.st_ino == inode[d])
				return d;
	return -1;
}

static bool power_is_off(void)
{
	return disks.power_off_after >= 0 && disks.nr_writes >= (unsigned int)disks.power_off_after;
}

static struct disk_fault *fault_at(int disk, size_t nr_bytes, off_t offset)
{
	u64 first = (u64)offset / 512, end = ((u64)offset + nr_bytes + 511) / 512;

	for (unsigned int i = 0; i < DISK_FAULTS_MAX; i++) {
		struct disk_fault *fault = &disks.fault[disk][i];

		if (fault->nr && first < fault->first + fault->nr && fault->first < end &&
		    disks.nr_own_writes[disk] >= fault->after)
			return fault;
	}
	return NULL;
}

int __wrap_read_all_at(int fd, void *data, size_t nr_bytes, off_t offset)
{
	int disk = disk_of(fd);
	struct disk_fault *fault = disk < 0 ? NULL : fault_at(disk, nr_bytes, offset);

	if (disk >= 0 && (power_is_off() || (fault && fault->read)))
		return -EIO;
	return __real_read_all_at(fd, data, nr_bytes, offset);
}

int __wrap_write_all_at(int fd, const void *data, size_t nr_bytes, off_t offset)
{
	int disk = disk_of(fd);
	struct disk_fault *fault = disk < 0 ? NULL : fault_at(disk, nr_bytes, offset);

	if (disk < 0)
		return __real_write_all_at(fd, data, nr_bytes, offset);
	if (power_is_off() || (fault && fault->write))
		return -EIO;
	disks.nr_writes++;
	disks.nr_own_writes[disk]++;
	if (fault && fault->lies)
		return 0;
	if (fault && fault->heals && !fault->write)
		fault->nr = 0;
	return __real_write_all_at(fd, data, nr_bytes, offset);
}

int __wrap_fsync(int fd)
{
	int disk = disk_of(fd);

	if (disk >= 0 && (power_is_off() || disks.flush_fails[disk])) {
		errno = EIO;
		return -1;
	}
	return disk >= 0 ? 0 : __real_fsync(fd);
}

static void make(enum disk disk, const char *name, u64 nr_sectors)
{
	struct stat st;
	int fd;

	snprintf(disks.path[disk], sizeof(disks.path[disk]), "%s/unit-%s.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
	fd = mkstemp(disks.path[disk]);
	if (fd < 0 || ftruncate(fd, (off_t)nr_sectors * 512) < 0 || fstat(fd, &st) < 0)
		abort();
	close(fd);
	inode[disk] = st.st_ino;
	disks.nr_bytes[disk] = nr_sectors * 512;
}

void disks_make(u64 main_sectors, u64 spare_sectors)
{
	make(MAIN, "main", main_sectors);
	make(SPARE, "spare", spare_sectors);
	disks_reset();
}

void disks_remove(void)
{
	for (int d = 0; d < NR_DISKS; d++) {
		unlink(disks.path[d]);
		inode[d] = 0;
	}
}

void disks_reset(void)
{
	memset(disks.fault, 0, sizeof(disks.fault));
	memset(disks.nr_own_writes, 0, sizeof(disks.nr_own_writes));
	memset(disks.flush_fails, 0, sizeof(disks.flush_fails));
	disks.nr_writes = 0;
	disks.power_off_after = -1;
}

struct disk_fault *disks_fail(enum disk disk, u64 first, u64 nr, bool read, bool write)
{
	for (unsigned int i = 0; i < DISK_FAULTS_MAX; i++)
		if (!disks.fault[disk][i].nr) {
			disks.fault[disk][i] = (struct disk_fault){
				.first = first, .nr = nr, .read = read, .write = write
			};
			return &disks.fault[disk][i];
		}
	abort();
}

u8 *disks_get(enum disk disk)
{
	u8 *content = malloc(disks.nr_bytes[disk]);
	int fd = open(disks.path[disk], O_RDONLY);

	if (!content || fd < 0 || __real_read_all_at(fd, content, disks.nr_bytes[disk], 0) < 0)
		abort();
	close(fd);
	return content;
}

void disks_put(enum disk disk, const u8 *content)
{
	int fd = open(disks.path[disk], O_WRONLY);

	if (fd < 0 || __real_write_all_at(fd, content, disks.nr_bytes[disk], 0) < 0)
		abort();
	close(fd);
}
