// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "rescue.h"

void rescue_add(struct rescue *rescue, uint64_t sector, uint32_t nr_sectors)
{
	if (!nr_sectors || rescue->nr == RESCUE_RANGES_MAX)
		return;
	for (unsigned int i = 0; i < rescue->nr; i++)
		if (rescue->sector[i] == sector && rescue->nr_sectors[i] >= nr_sectors)
			return;
	rescue->sector[rescue->nr] = sector;
	rescue->nr_sectors[rescue->nr++] = nr_sectors;
}

void rescue_forget(struct rescue *rescue)
{
	rescue->nr = 0;
}

bool rescue_take(struct rescue *rescue, uint64_t now, uint64_t *sector, uint32_t *nr_sectors)
{
	uint64_t nr_back = (now - rescue->taken_at) / RESCUE_SECONDS;

	if (nr_back >= rescue->nr_taken) {
		rescue->nr_taken = 0;
		rescue->taken_at = now;
	} else {
		rescue->nr_taken -= (unsigned int)nr_back;
		rescue->taken_at += nr_back * RESCUE_SECONDS;
	}
	if (!rescue->nr || rescue->nr_taken >= RESCUE_BURST)
		return false;
	*sector = rescue->sector[0];
	*nr_sectors = rescue->nr_sectors[0];
	rescue->nr--;
	memmove(rescue->sector, rescue->sector + 1, rescue->nr * sizeof(rescue->sector[0]));
	memmove(rescue->nr_sectors, rescue->nr_sectors + 1,
		rescue->nr * sizeof(rescue->nr_sectors[0]));
	rescue->nr_taken++;
	return true;
}
