// SPDX-License-Identifier: GPL-2.0-or-later
/* Stamped sectors, see stamp.h. */
#include <string.h>

#include <zlib.h>

#include "stamp.h"

void stamp_make(uint64_t sector, uint64_t write, void *data)
{
	uint64_t words[4] = { STAMP_MAGIC, sector, write };
	int i;

	words[3] = crc32(0, (const unsigned char *)words, 24);
	for (i = 0; i < STAMP_SECTOR_BYTES; i += sizeof(words))
		memcpy((char *)data + i, words, sizeof(words));
}

bool stamp_read(const void *data, uint64_t *sector, uint64_t *write)
{
	uint64_t words[4];

	memcpy(words, data, sizeof(words));
	if (words[0] != STAMP_MAGIC || words[3] != crc32(0, (const unsigned char *)words, 24) ||
	    memcmp(data, (const char *)data + sizeof(words), STAMP_SECTOR_BYTES - sizeof(words)))
		return false;
	*sector = words[1];
	*write = words[2];
	return true;
}
