// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>

#include "set/mark.h"
#include "set/scan.h"

static bool is_mark(const uint8_t *sector, unsigned int index, uint8_t uuid[REMAP_UUID_BYTES],
		    bool any)
{
	const struct remap_block_header *header = (const void *)sector;

	if (remap_probe_check_sector(sector, index, any ? NULL : uuid, NULL) != REMAP_OK)
		return false;
	if (any)
		memcpy(uuid, header->uuid, REMAP_UUID_BYTES);
	return true;
}

/* Sector by sector where the chunk cannot be read as a whole. */
static void read_chunk(int fd, uint64_t chunk, uint8_t *data)
{
	off_t at = (off_t)(chunk * REMAP_CHUNK_BYTES);

	if (read_all_at(fd, data, REMAP_CHUNK_BYTES, at) == 0)
		return;
	for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++) {
		uint32_t in = i * REMAP_SECTOR_BYTES;

		if (read_all_at(fd, data + in, REMAP_SECTOR_BYTES, at + in) < 0)
			memset(data + in, 0, REMAP_SECTOR_BYTES);
	}
}

int mark_find(int main_fd, uint64_t nr_sectors, uint8_t uuid[REMAP_UUID_BYTES], bool any,
	      uint64_t *chunk)
{
	_cleanup_free_ uint8_t *data = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	uint64_t nr = nr_sectors / REMAP_CHUNK_SECTORS;

	if (!data)
		return -ENOMEM;
	for (uint64_t i = 1; i <= MARK_SEARCH_CHUNKS && i < nr; i++) {
		read_chunk(main_fd, nr - i, data);
		for (unsigned int s = 0; s < REMAP_CHUNK_SECTORS; s++) {
			if (!is_mark(data + s * REMAP_SECTOR_BYTES, s, uuid, any))
				continue;
			*chunk = nr - i;
			return 0;
		}
	}
	return -ENODATA;
}
