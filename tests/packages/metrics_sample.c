// SPDX-License-Identifier: GPL-2.0-or-later
/* metrics_sample STEP: the metrics of a set that is well, and of one that gets worse step by step. */
#include <stdlib.h>

#include "health/metrics.h"

int main(int argc, char **argv)
{
	uint64_t step = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	struct verdict good = { .level = VERDICT_GOOD };
	struct verdict bad = { .level = VERDICT_FAILING,
			       .reasons = 1ULL << REASON_SPARE_FILLS | 1ULL << REASON_LOST };
	struct forecast none = { .kind = FORECAST_NO_POINTS };
	struct forecast soon = { FORECAST_RATE, 100, 50, 2000000000, 1900000000, 2100000000 };
	struct remap_status well = { .total_slots = 96, .used_slots = 2 };
	struct remap_status sick = { .total_slots = 200,
				     .used_slots = (uint32_t)(100 + step),
				     .bad_slots = 10,
				     .lost_sectors = 3,
				     .read_errors = 7 * step,
				     .write_errors = 3 * step,
				     .spare_read_errors = step,
				     .spare_write_errors = step,
				     .flush_errors = step,
				     .relocations = 2 * step };
	struct scrub_summary scrub = { .last = { 1600000000, 5, 0, 0, 1, 2, 1 },
				       .nr_sectors = 1000,
				       .open = 250 };
	struct metric_set sets[] = {
		{ "well", "u1", "rw", &well, { false }, &good, &none, NULL, false, 7 },
		{ "sick", "u2", "rw", &sick, { false, true }, &bad, &soon, &scrub, true, 7 },
	};

	metrics_write(stdout, sets, 2);
	return 0;
}
