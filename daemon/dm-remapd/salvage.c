// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "salvage.h"

void salvage_add(struct salvage *salvage, uint64_t sector, uint32_t nr_sectors)
{
	if (!nr_sectors || nr_sectors > SALVAGE_SECTORS_MAX || salvage->nr == SALVAGE_RANGES_MAX)
		return;
	for (unsigned int i = 0; i < salvage->nr; i++)
		if (salvage->sector[i] == sector && salvage->nr_sectors[i] >= nr_sectors)
			return;
	salvage->sector[salvage->nr] = sector;
	salvage->nr_sectors[salvage->nr++] = nr_sectors;
}

void salvage_forget(struct salvage *salvage)
{
	salvage->nr = 0;
}

bool salvage_take(struct salvage *salvage, uint64_t now, uint64_t *sector, uint32_t *nr_sectors)
{
	uint64_t nr_back = (now - salvage->taken_at) / SALVAGE_SECONDS;

	if (nr_back >= salvage->nr_taken) {
		salvage->nr_taken = 0;
		salvage->taken_at = now;
	} else {
		salvage->nr_taken -= (unsigned int)nr_back;
		salvage->taken_at += nr_back * SALVAGE_SECONDS;
	}
	if (!salvage->nr || salvage->nr_taken >= SALVAGE_BURST)
		return false;
	*sector = salvage->sector[0];
	*nr_sectors = salvage->nr_sectors[0];
	salvage->nr--;
	memmove(salvage->sector, salvage->sector + 1, salvage->nr * sizeof(salvage->sector[0]));
	memmove(salvage->nr_sectors, salvage->nr_sectors + 1,
		salvage->nr * sizeof(salvage->nr_sectors[0]));
	salvage->nr_taken++;
	return true;
}
