/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers of the test programs: the same ones for the same seed (splitmix64). */
#ifndef NEXT_RANDOM_H
#define NEXT_RANDOM_H

#include <stdint.h>

static inline uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

#endif
