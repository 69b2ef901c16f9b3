/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a set is doing: one of four words, with the reasons, what was seen, and what to type.
 * Pure: facts and the time in, verdict out.  list, status, health, the journal and the metrics
 * all use it, so that they say the same.
 */
#ifndef DM_REMAP_VERDICT_H
#define DM_REMAP_VERDICT_H

#include "health/growth.h"
#include "health/smart.h"
#include "scrub/scrub-state.h"
#include "system/status.h"

enum verdict_level {
	VERDICT_GOOD,	 /* nothing is wrong */
	VERDICT_WATCH,	 /* it works; something happened that may go on */
	VERDICT_FAILING, /* it works, and not for long: act now */
	VERDICT_FAILED,	 /* it does not do its work */
};

/* Kept as bits in the history: a number is never used again. */
enum reason_code {
	REASON_MODE,
	REASON_MAIN_GONE,
	REASON_SPARE_GONE,
	REASON_SUSPENDED,
	REASON_REPLICA,
	REASON_BLOCKS,
	REASON_PROBE,
	REASON_SPARE_USE,
	REASON_SPARE_FILLS,
	REASON_LOST,
	REASON_LOST_GROWS,
	REASON_BAD_SLOTS,
	REASON_ERRORS_FAST,
	REASON_ERRORS_MAIN,
	REASON_ERRORS_SPARE,
	REASON_FLUSH_ERRORS,
	REASON_SPREAD,
	REASON_SMART_FAILS,
	REASON_SMART_SECTORS,
	REASON_SMART_GROWS,
	REASON_CABLE,
	REASON_WEAR,
	REASON_UNREADABLE,
	REASON_SCRUB_OLD,
	NR_REASONS,
};

/* Those of SMART are of main and of the spare. */
#define VERDICT_REASONS_MAX (NR_REASONS + 5)

/**
 * struct health_facts - what is known of an active set now
 * @name: of the mapped device
 * @mode: the mode word, or "dead", "fallback"
 * @status: of the kernel; NULL: nothing counts (without the module, and of one that failed)
 * @read_only: it was activated so
 * @suspended: I/O waits
 * @main: a name of the main device
 * @spare: of the spare
 * @main_gone: no such device any more
 * @spare_gone: the same
 * @growth: from the history; NULL: there is none
 * @forecast: from the history; NULL: there is none
 * @smart: of the disks of main and the spare; NULL: not known
 * @scrub: what the last scrub found; NULL: there was none
 * @scrub_good: when one last could read all; 0: none
 * @recent: errors came fast: so many ...
 * @window: ... within so many seconds; 0: they did not, or that is not known
 * @places: in how many 64ths of main sectors are remapped; 0: not known
 * @now: seconds since 1970
 */
struct health_facts {
	const char *name;
	const char *mode;
	const struct remap_status *status;
	bool read_only;
	bool suspended;
	const char *main;
	const char *spare;
	bool main_gone;
	bool spare_gone;
	const struct growth *growth;
	const struct forecast *forecast;
	const struct smart *smart[2];
	const struct scrub_result *scrub;
	uint64_t scrub_good;
	uint64_t recent;
	uint64_t window;
	uint64_t places;
	uint64_t now;
};

/**
 * struct reason - one thing that is not well
 * @code: which
 * @level: what the set is because of it
 * @text: in a few words
 * @evidence: what was seen, when, how many; or empty
 * @advice: what to do, with the command to type
 */
struct reason {
	enum reason_code code;
	enum verdict_level level;
	char text[128];
	char evidence[256];
	char advice[256];
};

/**
 * struct verdict - a verdict
 * @level: the worst of its reasons'
 * @reasons: bits of enum reason_code
 * @reason: the worst first
 * @nr_reasons: how many
 */
struct verdict {
	enum verdict_level level;
	uint64_t reasons;
	struct reason reason[VERDICT_REASONS_MAX];
	unsigned int nr_reasons;
};

void verdict_of(const struct health_facts *facts, struct verdict *verdict);
/* All reasons in a line, the worst first; empty: there are none. */
void verdict_describe(const struct verdict *verdict, char *text, size_t nr_bytes);
/* "good", "watch", "failing", "failed" */
const char *verdict_name(enum verdict_level level);
/* -EINVAL: none of them. */
int verdict_from_name(const char *name, enum verdict_level *level);
/* "spare-use" and the like, for machines. */
const char *reason_name(enum reason_code code);
/* What to do in a mode; NULL: nothing. */
const char *mode_advice(const char *mode);

#endif /* DM_REMAP_VERDICT_H */
