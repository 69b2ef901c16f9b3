// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One disk: its media (DIR/NAME.img), its volatile write cache (DIR/NAME.cache and a
 * bitmap of the sectors that are newer there), and what a request does to both.
 *
 * The cache holds the newest content of each unflushed sector; a flush copies all of
 * it to the media, a FUA write goes to the media at once; faults decide what of that
 * fails (fault.c), and a flush can lose what was in the cache. Data live in files and
 * not in memory, because page faults are what is slow in User Mode Linux.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "../next_random.h"
#include "blockd.h"

static bool is_dirty(const struct disk *disk, uint64_t sector)
{
	return disk->dirty && disk->dirty[sector / 64] >> sector % 64 & 1;
}

static void set_dirty(struct disk *disk, uint64_t first, uint64_t count, bool value)
{
	for (uint64_t sector = first; sector < first + count; sector++) {
		if (is_dirty(disk, sector) == value)
			continue;
		disk->dirty[sector / 64] ^= UINT64_C(1) << sector % 64;
		disk->nr_dirty += value ? 1 : (uint64_t)-1;
	}
}

static int open_file(const char *directory, const char *name, const char *suffix, uint64_t bytes)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int taken;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s.%s", directory, name, suffix) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	taken = fd;
	fd = -1;
	return taken;
}

int disk_open(struct disk *disk, const char *directory)
{
	disk->media_fd = open_file(directory, disk->name, "img", disk->sectors * SECTOR_BYTES);
	if (disk->media_fd < 0)
		return disk->media_fd;
	if (!disk->vcache)
		return 0;
	disk->cache_fd = open_file(directory, disk->name, "cache", disk->sectors * SECTOR_BYTES);
	if (disk->cache_fd < 0)
		return disk->cache_fd;
	disk->dirty = calloc(disk->sectors / 64 + 1, sizeof(uint64_t));
	return disk->dirty ? 0 : -ENOMEM;
}

static int transfer(int fd, uint64_t first, uint64_t count, uint8_t *data, bool is_write)
{
	size_t left = count * SECTOR_BYTES;
	off_t at = (off_t)(first * SECTOR_BYTES);

	while (left) {
		ssize_t n = is_write ? pwrite(fd, data, left, at) : pread(fd, data, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fprintf(stderr, "remap-blockd: the host's file fails: %m\n");
			return EIO;
		}
		data += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

/* End of the run of sectors, starting at FIRST, that are all dirty or all clean. */
static uint64_t run_end(const struct disk *disk, uint64_t first, uint64_t end)
{
	bool dirty = is_dirty(disk, first);
	uint64_t sector = first + 1;

	while (sector < end && is_dirty(disk, sector) == dirty)
		sector++;
	return sector;
}

int disk_read(struct disk *disk, uint64_t first, uint64_t count, uint8_t *data)
{
	uint64_t end = first + count;
	int r;

	if (!disk->nr_dirty)
		return transfer(disk->media_fd, first, count, data, false);
	while (first < end) {
		uint64_t next = run_end(disk, first, end);
		int fd = is_dirty(disk, first) ? disk->cache_fd : disk->media_fd;

		r = transfer(fd, first, next - first, data, false);
		if (r)
			return r;
		data += (next - first) * SECTOR_BYTES;
		first = next;
	}
	return 0;
}

int disk_write(struct disk *disk, uint64_t first, uint64_t count, const uint8_t *data, bool fua)
{
	bool cached = disk->vcache && !fua;
	int r;

	r = transfer(cached ? disk->cache_fd : disk->media_fd, first, count, (uint8_t *)data, true);
	if (!r && disk->vcache)
		set_dirty(disk, first, count, cached);
	if (!r && !cached)
		fault_media_written(disk, first, count);
	return r;
}

/* The next run of dirty sectors at or after *FIRST and before END. */
bool disk_next_dirty(const struct disk *disk, uint64_t *first, uint64_t end, uint64_t *count)
{
	while (disk->nr_dirty && *first < end) {
		if (*first % 64 == 0 && !disk->dirty[*first / 64]) {
			*first += 64;
			continue;
		}
		if (is_dirty(disk, *first)) {
			*count = run_end(disk, *first, end) - *first;
			return true;
		}
		++*first;
	}
	return false;
}

/* The cache forgets dirty sectors: they hold what the media holds. */
void disk_lose(struct disk *disk, uint64_t first, uint64_t count)
{
	set_dirty(disk, first, count, false);
	disk->stats.lost += count;
	log_append(LOG_LOST, 0, disk->index, first, (uint32_t)count, NULL, 0);
}

int disk_trim(struct disk *disk, uint64_t first, uint64_t count)
{
	if (disk->vcache)
		set_dirty(disk, first, count, false);
	if (fallocate(disk->media_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)(first * SECTOR_BYTES), (off_t)(count * SECTOR_BYTES)) < 0)
		return EIO;
	return 0;
}

static int destage(struct disk *disk, uint64_t first, uint64_t count)
{
	uint8_t buffer[64 * 1024];
	int r;

	while (count) {
		uint64_t n = sizeof(buffer) / SECTOR_BYTES;

		if (n > count)
			n = count;
		r = transfer(disk->cache_fd, first, n, buffer, false);
		if (!r)
			r = transfer(disk->media_fd, first, n, buffer, true);
		if (r)
			return r;
		fault_media_written(disk, first, n);
		first += n;
		count -= n;
	}
	return 0;
}

/*
 * Copies dirty sectors to the media: all, or each with probability 1/2, and forgets the
 * rest.  Late sectors cannot be written: they stay dirty, or are forgotten.
 */
static int empty_cache(struct disk *disk, bool keep_random, uint64_t *random_state)
{
	uint64_t words = disk->sectors / 64 + 1;
	int r;

	for (uint64_t word = 0; disk->nr_dirty && word < words; word++) {
		uint64_t sector = word * 64;
		uint64_t end = sector + 64 < disk->sectors ? sector + 64 : disk->sectors;

		if (!disk->dirty[word])
			continue;
		if (keep_random) {
			uint64_t lost = disk->dirty[word] & next_random(random_state);

			disk->dirty[word] ^= lost;
			disk->nr_dirty -= (uint64_t)__builtin_popcountll(lost);
		}
		while (sector < end) {
			uint64_t next = run_end(disk, sector, end);

			if (is_dirty(disk, sector) && disk->nr_late) {
				next = sector + 1;
				if (fault_is_late(disk, sector)) {
					if (keep_random)
						set_dirty(disk, sector, 1, false);
					sector = next;
					continue;
				}
			}
			if (is_dirty(disk, sector)) {
				r = destage(disk, sector, next - sector);
				if (r)
					return r;
				set_dirty(disk, sector, next - sector, false);
			}
			sector = next;
		}
	}
	return 0;
}

int disk_destage(struct disk *disk)
{
	return empty_cache(disk, false, NULL);
}

int disk_lose_cache(struct disk *disk, bool keep_random, uint64_t *random_state)
{
	if (keep_random)
		return empty_cache(disk, true, random_state);
	for (uint64_t word = 0; disk->nr_dirty && word < disk->sectors / 64 + 1; word++)
		disk->dirty[word] = 0;
	disk->nr_dirty = 0;
	return 0;
}

static int execute_write(struct disk *disk, struct request *request)
{
	unsigned int fua = request->fua ? LOG_FUA : 0;
	struct verdict verdict = fault_judge(disk, request);
	uint64_t rest = request->count - verdict.done;
	int r = 0;

	if (verdict.done) {
		r = disk_write(disk, request->first, verdict.done, request->data, request->fua);
		log_append(LOG_WRITE, fua | (verdict.fails ? LOG_LANDED : 0), disk->index,
			   request->first, (uint32_t)verdict.done, request->data,
			   verdict.done * SECTOR_BYTES);
	}
	if (rest)
		log_append(LOG_WRITE, fua | LOG_FAILED, disk->index, request->first + verdict.done,
			   (uint32_t)rest, request->data + verdict.done * SECTOR_BYTES,
			   rest * SECTOR_BYTES);
	return verdict.fails ? EIO : r;
}

/*
 * Late sectors are gone, all else is on the media, and the flush fails: in the log failed,
 * and landed.
 */
static int execute_flush(struct disk *disk)
{
	bool lost = false;
	int r = EIO;

	if (disk->flush_losses) {
		disk->flush_losses--;
		for (uint64_t first = 0, n; disk_next_dirty(disk, &first, disk->sectors, &n);
		     first += n)
			disk_lose(disk, first, n);
	} else if (disk->flush_errors) {
		disk->flush_errors--;
	} else {
		lost = fault_lose_late(disk);
		r = disk_destage(disk);
	}
	log_append(LOG_FLUSH,
		   r	? LOG_FAILED :
		   lost ? LOG_FAILED | LOG_LANDED :
			  0,
		   disk->index, 0, 0, NULL, 0);
	return lost ? EIO : r;
}

/* The whole device refuses: dead, or read-only and this would change it. */
static int device_error(const struct disk *disk, const struct request *request)
{
	bool changes = request->op == OP_WRITE || request->op == OP_TRIM;

	if (disk->state == DEVICE_FAILED)
		return EIO;
	if (changes && (disk->state == DEVICE_READ_ONLY || disk->read_only_option))
		return EPERM;
	return 0;
}

static int refuse(struct disk *disk, const struct request *request, int error)
{
	unsigned int flags = LOG_FAILED | (request->fua ? LOG_FUA : 0);

	if (request->op == OP_WRITE)
		log_append(LOG_WRITE, flags, disk->index, request->first, (uint32_t)request->count,
			   request->data, request->count * SECTOR_BYTES);
	else if (request->op == OP_FLUSH)
		log_append(LOG_FLUSH, flags, disk->index, 0, 0, NULL, 0);
	else if (request->op == OP_TRIM)
		log_append(LOG_TRIM, flags, disk->index, request->first, (uint32_t)request->count,
			   NULL, 0);
	return error;
}

static int execute(struct disk *disk, struct request *request)
{
	int r = device_error(disk, request);

	if (r)
		return refuse(disk, request, r);
	switch (request->op) {
	case OP_READ:
		if (fault_judge(disk, request).fails)
			return EIO;
		return disk_read(disk, request->first, request->count, request->data);
	case OP_WRITE:
		return execute_write(disk, request);
	case OP_FLUSH:
		return execute_flush(disk);
	case OP_TRIM:
		r = disk_trim(disk, request->first, request->count);
		log_append(LOG_TRIM, r ? LOG_FAILED : 0, disk->index, request->first,
			   (uint32_t)request->count, NULL, 0);
		return r;
	default:
		return EINVAL;
	}
}

int disk_execute(struct disk *disk, struct request *request)
{
	int r = execute(disk, request);

	disk->stats.reads += request->op == OP_READ;
	disk->stats.writes += request->op == OP_WRITE;
	disk->stats.flushes += request->op == OP_FLUSH;
	disk->stats.trims += request->op == OP_TRIM;
	disk->stats.fua += request->op == OP_WRITE && request->fua;
	disk->stats.errors += r != 0;
	return r;
}
