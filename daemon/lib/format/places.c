// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A failing command may take half a minute, so a piece that fails is halved only as far as it
 * must be: 64 KiB, 4 KiB, the device's blocks.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "format/places.h"

#define READ_BYTES (64U << 10)
#define EDGE_SECTORS 2048ULL
/* More than that is not a disk with bad places, and each may take half a minute. */
#define UNREADABLE_MAX 1024
/*
 * Further in libblkid looks at a few places only: the second headers of LUKS2, VMFS; in KiB.
 */
static const uint32_t single_places[] = { 1024, 2048, 4096 };

int sector_ranges_add(struct sector_ranges *ranges, uint64_t sector, uint64_t nr)
{
	struct sector_range *bigger, *at;
	uint64_t end = sector + nr;
	size_t i, after;

	if (!nr)
		return 0;
	bigger = reallocarray(ranges->at, ranges->nr + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	ranges->at = bigger;
	for (i = 0; i < ranges->nr; i++)
		if (bigger[i].sector + bigger[i].nr >= sector)
			break;
	/* those that it touches become part of it */
	for (after = i; after < ranges->nr && bigger[after].sector <= end; after++) {
		if (bigger[after].sector < sector)
			sector = bigger[after].sector;
		if (bigger[after].sector + bigger[after].nr > end)
			end = bigger[after].sector + bigger[after].nr;
	}
	at = &bigger[i];
	memmove(at + 1, &bigger[after], (ranges->nr - after) * sizeof(*at));
	*at = (struct sector_range){ .sector = sector, .nr = end - sector };
	ranges->nr = ranges->nr - (after - i) + 1;
	return 0;
}

void sector_ranges_done(struct sector_ranges *ranges)
{
	free(ranges->at);
	memset(ranges, 0, sizeof(*ranges));
}

bool sector_ranges_has(const struct sector_ranges *ranges, uint64_t sector)
{
	for (size_t i = 0; i < ranges->nr; i++)
		if (sector >= ranges->at[i].sector &&
		    sector - ranges->at[i].sector < ranges->at[i].nr)
			return true;
	return false;
}

uint8_t sector_ranges_mask(const struct sector_ranges *ranges, uint64_t main_chunk)
{
	uint8_t mask = 0;

	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++)
		if (sector_ranges_has(ranges, main_chunk * REMAP_CHUNK_SECTORS + i))
			mask |= (uint8_t)(1U << i);
	return mask;
}

uint64_t sector_ranges_count(const struct sector_ranges *ranges)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < ranges->nr; i++)
		nr += ranges->at[i].nr;
	return nr;
}

void sector_ranges_text(const struct sector_ranges *ranges, char *text, size_t nr_bytes)
{
	const size_t reserve = sizeof(" and 18446744073709551615 more");
	size_t length = 0, i;
	uint64_t told = 0;
	char one[64];

	*text = '\0';
	for (i = 0; i < ranges->nr; i++) {
		const struct sector_range *at = &ranges->at[i];

		if (at->nr == 1)
			snprintf(one, sizeof(one), "%s%" PRIu64, i ? ", " : "", at->sector);
		else
			snprintf(one, sizeof(one), "%s%" PRIu64 "-%" PRIu64, i ? ", " : "",
				 at->sector, at->sector + at->nr - 1);
		if (length + strlen(one) + reserve > nr_bytes)
			break;
		length += (size_t)snprintf(text + length, nr_bytes - length, "%s", one);
		told += at->nr;
	}
	if (i < ranges->nr)
		snprintf(text + length, nr_bytes - length, "%s%" PRIu64 " more",
			 length ? " and " : "", sector_ranges_count(ranges) - told);
}

static int parse_sector(const char **at, uint64_t *sector)
{
	bool hexadecimal = (*at)[0] == '0' && ((*at)[1] == 'x' || (*at)[1] == 'X');
	char *end;

	if (**at < '0' || **at > '9')
		return -EINVAL;
	errno = 0;
	*sector = strtoull(*at, &end, hexadecimal ? 16 : 10);
	if (errno || end == *at)
		return -EINVAL;
	*at = end;
	return 0;
}

int sector_ranges_parse(const char *text, uint64_t nr_sectors, struct sector_ranges *ranges)
{
	uint64_t first, last;
	int r;

	for (;; text++) {
		r = parse_sector(&text, &first);
		last = first;
		if (!r && *text == '-') {
			text++;
			r = parse_sector(&text, &last);
		}
		if (r < 0 || last < first || last >= nr_sectors || (*text && *text != ','))
			return -EINVAL;
		r = sector_ranges_add(ranges, first, last - first + 1);
		if (r < 0 || !*text)
			return r;
	}
}

bool is_medium_error(int r)
{
	return r == -EIO || r == -ENODATA || r == -EILSEQ;
}

void places_done(struct places *places)
{
	sector_ranges_done(&places->unreadable);
	sector_ranges_done(&places->looked_at);
	close_p(&places->copy_fd);
	places->copy_fd = -1;
}

/* Reads @nr_bytes into @buffer, in ever smaller pieces; what cannot be read is zero. */
static int read_piece(int fd, uint64_t at, uint32_t nr_bytes, uint32_t unit, uint8_t *buffer,
		      struct sector_ranges *unreadable)
{
	uint32_t piece = nr_bytes > REMAP_CHUNK_BYTES ? REMAP_CHUNK_BYTES : unit;
	int r = read_all_at(fd, buffer, nr_bytes, (off_t)at);

	if (!r || !is_medium_error(r))
		return r;
	if (nr_bytes <= unit) {
		memset(buffer, 0, nr_bytes);
		if (sector_ranges_count(unreadable) >= UNREADABLE_MAX)
			return -E2BIG;
		return sector_ranges_add(unreadable, at / REMAP_SECTOR_BYTES,
					 nr_bytes / REMAP_SECTOR_BYTES);
	}
	r = 0;
	for (uint32_t from = 0; !r && from < nr_bytes; from += piece)
		r = read_piece(fd, at + from, nr_bytes - from < piece ? nr_bytes - from : piece,
			       unit, buffer + from, unreadable);
	return r;
}

/* 1: something of it is new. */
static int copy_area(int fd, uint64_t sector, uint64_t end, struct places *places)
{
	_cleanup_free_ uint8_t *buffer = aligned_bytes(READ_BYTES);
	uint64_t from = sector * REMAP_SECTOR_BYTES, to;
	int r = buffer ? 0 : -ENOMEM, is_new = 0;

	if (end > places->nr_sectors)
		end = places->nr_sectors;
	from = from / places->unit * places->unit;
	to = end * REMAP_SECTOR_BYTES / places->unit * places->unit;
	while (!r && from < to) {
		uint32_t nr = to - from < READ_BYTES ? (uint32_t)(to - from) : READ_BYTES;
		uint64_t first = from / REMAP_SECTOR_BYTES, next = first;

		while (next < first + nr / REMAP_SECTOR_BYTES &&
		       sector_ranges_has(&places->looked_at, next))
			next++;
		from += nr;
		if (next == first + nr / REMAP_SECTOR_BYTES)
			continue;
		is_new = 1;
		r = read_piece(fd, first * REMAP_SECTOR_BYTES, nr, places->unit, buffer,
			       &places->unreadable);
		if (!r)
			r = write_all_at(places->copy_fd, buffer, nr,
					 (off_t)(first * REMAP_SECTOR_BYTES));
		if (!r)
			r = sector_ranges_add(&places->looked_at, first, nr / REMAP_SECTOR_BYTES);
	}
	return r ? r : is_new;
}

/* NTFS is known by its table of files as well, which lies somewhere in it. */
static uint64_t ntfs_table(const struct places *places, uint64_t sector)
{
	_cleanup_free_ uint8_t *boot = aligned_bytes(REMAP_CHUNK_BYTES);
	__le16 sector_bytes;
	__le64 cluster;

	if (!boot ||
	    read_all_at(places->copy_fd, boot, REMAP_SECTOR_BYTES,
			(off_t)(sector * REMAP_SECTOR_BYTES)) < 0 ||
	    memcmp(boot + 3, "NTFS    ", 8))
		return 0;
	memcpy(&sector_bytes, boot + 11, sizeof(sector_bytes));
	memcpy(&cluster, boot + 48, sizeof(cluster));
	if (le64_to_cpu(cluster) > places->nr_sectors)
		return 0;
	return sector +
	       le64_to_cpu(cluster) * boot[13] * (le16_to_cpu(sector_bytes) / REMAP_SECTOR_BYTES);
}

int places_look_into(int fd, uint64_t sector, uint64_t nr_sectors, struct places *places,
		     struct error *error)
{
	uint64_t end = sector + nr_sectors, tail, table;
	int r, is_new;

	if (sector >= places->nr_sectors)
		return 0;
	if (end > places->nr_sectors || end < sector)
		end = places->nr_sectors;
	tail = end - sector < EDGE_SECTORS ? sector : end - EDGE_SECTORS;
	tail = tail / REMAP_CHUNK_SECTORS * REMAP_CHUNK_SECTORS;
	r = copy_area(fd, sector, end - sector < EDGE_SECTORS ? end : sector + EDGE_SECTORS,
		      places);
	is_new = r > 0;
	if (r >= 0 && tail < end)
		r = copy_area(fd, tail, end, places);
	is_new |= r > 0;
	for (size_t i = 0; r >= 0 && i < sizeof(single_places) / sizeof(single_places[0]); i++) {
		uint64_t at = sector + 2ULL * single_places[i];

		if (at + REMAP_CHUNK_SECTORS <= end)
			r = copy_area(fd, at, at + REMAP_CHUNK_SECTORS, places);
		is_new |= r > 0;
	}
	table = r < 0 ? 0 : ntfs_table(places, sector);
	if (table && table + 8ULL * REMAP_CHUNK_SECTORS <= end)
		r = copy_area(fd, table, table + 8ULL * REMAP_CHUNK_SECTORS, places);
	is_new |= r > 0;
	if (r == -E2BIG)
		return error_set(error, EIO,
				 "more than %d of its sectors cannot be read; copy what can be "
				 "read with ddrescue",
				 UNREADABLE_MAX);
	return r < 0 ? error_set(error, -r, "cannot examine it: %s", strerror(-r)) : is_new;
}

int places_look(int fd, uint64_t nr_sectors, struct places *places, struct error *error)
{
	int r;

	memset(places, 0, sizeof(*places));
	places->nr_sectors = nr_sectors;
	places->unit = logical_bytes(fd);
	places->copy_fd = memfd_create("dm-remap", MFD_CLOEXEC);
	if (places->copy_fd < 0 ||
	    ftruncate(places->copy_fd, (off_t)(nr_sectors * REMAP_SECTOR_BYTES)) < 0)
		return error_set(error, errno, "cannot make a copy in memory: %s", strerror(errno));
	r = places_look_into(fd, 0, nr_sectors, places, error);
	if (r < 0)
		return r;
	if (sector_ranges_count(&places->unreadable) == sector_ranges_count(&places->looked_at))
		return error_set(error, EIO, "none of it can be read");
	return 0;
}

int places_read_chunk(int fd, uint64_t main_chunk, uint64_t nr_sectors, uint8_t *chunk,
		      uint8_t *unreadable)
{
	struct sector_ranges failed = { 0 };
	uint64_t sector = main_chunk * REMAP_CHUNK_SECTORS, nr = nr_sectors - sector;
	uint32_t unit = logical_bytes(fd);
	int r;

	if (nr > REMAP_CHUNK_SECTORS)
		nr = REMAP_CHUNK_SECTORS;
	memset(chunk, 0, REMAP_CHUNK_BYTES);
	r = read_piece(fd, sector * REMAP_SECTOR_BYTES, (uint32_t)nr * REMAP_SECTOR_BYTES, unit,
		       chunk, &failed);
	*unreadable = sector_ranges_mask(&failed, main_chunk);
	sector_ranges_done(&failed);
	return r;
}
