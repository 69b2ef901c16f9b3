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

/**
 * struct cached - a sector that was written since the last flush of its disk
 * @disk: which
 * @sector: where
 * @old: what was there
 * @new: what is
 */
struct cached {
	int disk;
	u64 sector;
	u8 old[512];
	u8 new[512];
};

static struct cached *cache;
static size_t nr_cached, cache_room;

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

static void remember(int disk, const u8 *data, size_t nr_bytes, off_t offset)
{
	int fd = open(disks.path[disk], O_RDONLY);

	for (size_t at = 0; at < nr_bytes; at += 512) {
		struct cached *sector;

		if (nr_cached == cache_room) {
			cache_room = cache_room ? 2 * cache_room : 256;
			cache = realloc(cache, cache_room * sizeof(*cache));
			if (!cache)
				abort();
		}
		sector = &cache[nr_cached++];
		sector->disk = disk;
		sector->sector = ((u64)offset + at) / 512;
		if (__real_read_all_at(fd, sector->old, 512, offset + (off_t)at) < 0)
			abort();
		memcpy(sector->new, data + at, 512);
	}
	close(fd);
}

static void flushed(int disk)
{
	size_t nr = 0;

	for (size_t i = 0; i < nr_cached; i++)
		if (cache[i].disk != disk)
			cache[nr++] = cache[i];
	nr_cached = nr;
}

/* Back to what was there, then in their order those writes that made it. */
static void forget(void)
{
	int fd[NR_DISKS];

	for (int d = 0; d < NR_DISKS; d++)
		fd[d] = open(disks.path[d], O_RDWR);
	for (size_t i = nr_cached; i-- > 0;)
		__real_write_all_at(fd[cache[i].disk], cache[i].old, 512,
				    (off_t)cache[i].sector * 512);
	for (size_t i = 0; i < nr_cached; i++)
		if (unit_random_below(2))
			__real_write_all_at(fd[cache[i].disk], cache[i].new, 512,
					    (off_t)cache[i].sector * 512);
	for (int d = 0; d < NR_DISKS; d++)
		close(fd[d]);
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
	if (disks.volatile_cache)
		remember(disk, data, nr_bytes, offset);
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
	if (disk >= 0)
		flushed(disk);
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
	snprintf(disks.backup, sizeof(disks.backup), "%s.backup", disks.path[MAIN]);
	disks_reset();
}

void disks_remove(void)
{
	for (int d = 0; d < NR_DISKS; d++) {
		unlink(disks.path[d]);
		inode[d] = 0;
	}
	unlink(disks.backup);
	free(cache);
	cache = NULL;
	nr_cached = 0;
	cache_room = 0;
	disks.volatile_cache = false;
}

void disks_reset(void)
{
	if (nr_cached && power_is_off())
		forget();
	nr_cached = 0;
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
