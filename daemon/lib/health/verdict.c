// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "health/verdict.h"
#include "util/util.h"

/* Use of the spare, in percent, that is a reason. */
#define USE_WATCH 75
#define USE_FAILING 90
/* A spare that is full within so long is a reason to act. */
#define FILLS_SECONDS (30 * 86400ULL)
/* Errors that are older are forgiven. */
#define FORGIVEN_SECONDS (30 * 86400ULL)
/* Errors in so many 64ths of the disk are not a local defect, if so many came in a week. */
#define SPREAD_PLACES 8
#define SPREAD_ERRORS 10
/* What a disk said counts for so long: one that sleeps is not asked. */
#define SMART_SECONDS (30 * 86400ULL)
/* Sectors lost on so many days of a week. */
#define LOST_DAYS 2
/* Sets that are scrubbed are scrubbed every month. */
#define SCRUB_OLD_SECONDS (70 * 86400ULL)

static const char *const level_names[] = { "good", "watch", "failing", "failed" };

static const char *const reason_names[NR_REASONS] = {
	[REASON_MODE] = "mode",
	[REASON_MAIN_GONE] = "main-gone",
	[REASON_SPARE_GONE] = "spare-gone",
	[REASON_SUSPENDED] = "suspended",
	[REASON_REPLICA] = "replica-out",
	[REASON_BLOCKS] = "unwritable-blocks",
	[REASON_PROBE] = "probe",
	[REASON_SPARE_USE] = "spare-use",
	[REASON_SPARE_FILLS] = "spare-fills",
	[REASON_LOST] = "lost-sectors",
	[REASON_LOST_GROWS] = "lost-sectors-grow",
	[REASON_BAD_SLOTS] = "bad-slots",
	[REASON_ERRORS_FAST] = "errors-fast",
	[REASON_ERRORS_MAIN] = "main-errors",
	[REASON_ERRORS_SPARE] = "spare-errors",
	[REASON_FLUSH_ERRORS] = "flush-errors",
	[REASON_SPREAD] = "spread",
	[REASON_SMART_FAILS] = "smart-fails",
	[REASON_SMART_SECTORS] = "smart-sectors",
	[REASON_SMART_GROWS] = "smart-grows",
	[REASON_CABLE] = "cable",
	[REASON_WEAR] = "wear",
	[REASON_UNREADABLE] = "unreadable",
	[REASON_SCRUB_OLD] = "scrub-old",
};

const char *verdict_name(enum verdict_level level)
{
	return level_names[level];
}

int verdict_from_name(const char *name, enum verdict_level *level)
{
	for (unsigned int i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (!streq(name, level_names[i]))
			continue;
		*level = (enum verdict_level)i;
		return 0;
	}
	return -EINVAL;
}

const char *reason_name(enum reason_code code)
{
	return reason_names[code];
}

static const struct mode {
	const char *mode;
	enum verdict_level level;
	const char *advice;
} modes[] = {
	{ "rw", VERDICT_GOOD, NULL },
	{ "frozen", VERDICT_WATCH,
	  "no automatic remaps are made; check the disk, then run dmremap thaw" },
	{ "fallback", VERDICT_WATCH, "without the module: bad sectors are not remapped" },
	{ "ro", VERDICT_FAILING, "served read-only; see the kernel log for the reason" },
	{ "full", VERDICT_FAILED,
	  "the spare is full; replace the disk, or move to a larger spare (dmremap resize)" },
	{ "lost-cache", VERDICT_FAILED,
	  "a member returned without the writes in its cache; unmount, check the file system, "
	  "mount again" },
	{ "meta_fail", VERDICT_FAILED,
	  "metadata cannot be written to the spare; check the spare, then run dmremap restore" },
	{ "fail", VERDICT_FAILED,
	  "the spare contradicts what was acknowledged; stop using the set" },
	{ "dead", VERDICT_FAILED,
	  "a returned member was refused, and all I/O fails; attach the right members, then run "
	  "dmremap activate" },
};

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (streq(modes[i].mode, name))
			return &modes[i];
	return NULL;
}

const char *mode_advice(const char *mode)
{
	const struct mode *found = find_mode(mode);

	return found ? found->advice : NULL;
}

/* The next reason, with its text; what was seen and what to do are added to it. */
static struct reason *add(struct verdict *verdict, enum reason_code code, enum verdict_level level,
			  const char *format, ...) _printf_(4, 5);

static struct reason *add(struct verdict *verdict, enum reason_code code, enum verdict_level level,
			  const char *format, ...)
{
	struct reason *reason = &verdict->reason[verdict->nr_reasons++];
	va_list arguments;

	*reason = (struct reason){ .code = code, .level = level };
	va_start(arguments, format);
	vsnprintf(reason->text, sizeof(reason->text), format, arguments);
	va_end(arguments);
	verdict->reasons |= 1ULL << code;
	if (level > verdict->level)
		verdict->level = level;
	return reason;
}

#define EVIDENCE(reason, ...) snprintf((reason)->evidence, sizeof((reason)->evidence), __VA_ARGS__)
#define ADVICE(reason, ...) snprintf((reason)->advice, sizeof((reason)->advice), __VA_ARGS__)

static void add_mode(const struct health_facts *facts, struct verdict *verdict)
{
	const struct mode *mode = find_mode(facts->mode);
	struct reason *reason;

	if ((mode && mode->level == VERDICT_GOOD) || (streq(facts->mode, "ro") && facts->read_only))
		return; /* as it was activated */
	reason = add(verdict, REASON_MODE, mode ? mode->level : VERDICT_FAILED, "mode %s",
		     facts->mode);
	if (mode)
		ADVICE(reason, "%s", mode->advice);
}

static void add_gone(const struct health_facts *facts, struct verdict *verdict)
{
	static const char advice[] =
		"reattach it: it is re-added automatically; until then, I/O that it serves fails";

	if (facts->main_gone)
		ADVICE(add(verdict, REASON_MAIN_GONE, VERDICT_FAILED,
			   "its main device (%.60s) is gone", facts->main),
		       advice);
	if (facts->spare_gone)
		ADVICE(add(verdict, REASON_SPARE_GONE, VERDICT_FAILED,
			   "its spare device (%.60s) is gone", facts->spare),
		       advice);
}

static void add_metadata(const struct health_facts *facts, struct verdict *verdict)
{
	const struct remap_status *s = facts->status;

	if (s->replica_out >= 0)
		ADVICE(add(verdict, REASON_REPLICA, VERDICT_WATCH,
			   "replica %d of the metadata is out of use", s->replica_out),
		       "run dmremap restore %s to bring it back into use", facts->name);
	if (s->frozen_blocks)
		ADVICE(add(verdict, REASON_BLOCKS, VERDICT_WATCH,
			   "%" PRIu64 " metadata block%s cannot be written", s->frozen_blocks,
			   plural(s->frozen_blocks)),
		       "run dmremap restore %s to try again", facts->name);
	if (!s->probe_ok)
		ADVICE(add(verdict, REASON_PROBE, VERDICT_WATCH,
			   "the main device did not answer its last probe"),
		       "check its cable and the kernel log; failed writes are not relocated until "
		       "it answers");
}

static void add_lost(const struct health_facts *facts, struct verdict *verdict)
{
	const struct remap_status *s = facts->status;
	const struct growth *growth = facts->growth;
	uint64_t nr = s->lost_sectors;
	struct reason *reason;

	if (!nr)
		return;
	reason = add(verdict, REASON_LOST, VERDICT_WATCH, "%" PRIu64 " sector%s lost", nr,
		     nr == 1 ? " is" : "s are");
	if (growth && growth->span[SPAN_MONTH].lost)
		EVIDENCE(reason,
			 "%" PRIu64 " of them in the last week, %" PRIu64 " in the last 30 days",
			 growth->span[SPAN_WEEK].lost, growth->span[SPAN_MONTH].lost);
	ADVICE(reason,
	       "they read as errors until they are written; list them with dmremap show %s, and "
	       "restore the files from a backup",
	       facts->name);
	if (!growth || growth->lost_days < LOST_DAYS)
		return;
	reason = add(verdict, REASON_LOST_GROWS, VERDICT_FAILING, "sectors keep getting lost");
	EVIDENCE(reason, "on %u of the last seven days", growth->lost_days);
	ADVICE(reason, "copy important data from it now, and replace the main device (%s)",
	       facts->main);
}

static void add_use(const struct health_facts *facts, struct verdict *verdict)
{
	const struct remap_status *s = facts->status;
	const struct forecast *forecast = facts->forecast;
	uint64_t taken = s->used_slots + s->bad_slots, total = s->total_slots;
	uint64_t percent = total ? taken * 100 / total : 0;
	struct reason *reason;

	if (percent >= USE_WATCH) {
		reason = add(verdict, REASON_SPARE_USE,
			     percent >= USE_FAILING ? VERDICT_FAILING : VERDICT_WATCH,
			     "%" PRIu64 " %% of the spare is used", percent);
		EVIDENCE(reason, "%u slots serve sectors, %" PRIu64 " are bad, of %u",
			 s->used_slots, s->bad_slots, s->total_slots);
		ADVICE(reason,
		       "run dmremap deactivate %s, then dmremap resize %s DEVICE with a larger "
		       "device; or replace the disk",
		       facts->name, facts->name);
	}
	if (!forecast || forecast->kind != FORECAST_RATE || taken >= total ||
	    forecast->at > facts->now + FILLS_SECONDS)
		return;
	reason = add(verdict, REASON_SPARE_FILLS, VERDICT_FAILING,
		     "the spare will be full about %.10s", date_of(forecast->at).text);
	EVIDENCE(reason,
		 "%" PRIu64 " slots were taken in %" PRIu64 " hours; expected between %.10s and %s",
		 forecast->slots, forecast->seconds / 3600, date_of(forecast->early).text,
		 forecast->late ? date_of(forecast->late).text : "never");
	ADVICE(reason, "replace the main device (%s); a larger spare (dmremap resize) buys time",
	       facts->main);
}

/* Errors that are not known to be old: where the history is too short, they may be new. */
static bool is_recent(const struct health_facts *facts, uint64_t in_month)
{
	const struct growth *growth = facts->growth;

	return in_month || !growth || !growth->since ||
	       facts->now - growth->since < FORGIVEN_SECONDS;
}

static void describe_when(const struct health_facts *facts, struct reason *reason, uint64_t day,
			  uint64_t week, uint64_t month)
{
	const struct growth *growth = facts->growth;

	if (!growth || !growth->since)
		EVIDENCE(reason, "the time is not known: dm-remapd has no history of the set");
	else
		EVIDENCE(reason,
			 "since %s: %" PRIu64 " in the last day, %" PRIu64
			 " in the last week, %" PRIu64 " in the last 30 days",
			 date_of(growth->since).text, day, week, month);
}

static void add_main_errors(const struct health_facts *facts, struct verdict *verdict)
{
	const struct remap_status *s = facts->status;
	uint64_t nr = s->read_errors + s->write_errors;
	const struct growth_counts *span = facts->growth ? facts->growth->span : NULL;
	struct reason *reason;

	if (!nr || !is_recent(facts, span ? span[SPAN_MONTH].main_errors : 0))
		return;
	reason = add(verdict, REASON_ERRORS_MAIN, VERDICT_WATCH,
		     "the main device had %" PRIu64 " error%s", nr, plural(nr));
	describe_when(facts, reason, span ? span[SPAN_DAY].main_errors : 0,
		      span ? span[SPAN_WEEK].main_errors : 0,
		      span ? span[SPAN_MONTH].main_errors : 0);
	ADVICE(reason,
	       "a few errors are no cause for alarm; watch for more (dmremap history %s), and "
	       "keep a backup",
	       facts->name);
}

static void add_other_errors(const struct health_facts *facts, struct verdict *verdict)
{
	const struct remap_status *s = facts->status;
	const struct growth_counts *span = facts->growth ? facts->growth->span : NULL;
	uint64_t nr = s->spare_read_errors + s->spare_write_errors;
	struct reason *reason;

	if (nr && is_recent(facts, span ? span[SPAN_MONTH].spare_errors : 0)) {
		reason = add(verdict, REASON_ERRORS_SPARE, VERDICT_WATCH,
			     "the spare had %" PRIu64 " error%s", nr, plural(nr));
		describe_when(facts, reason, span ? span[SPAN_DAY].spare_errors : 0,
			      span ? span[SPAN_WEEK].spare_errors : 0,
			      span ? span[SPAN_MONTH].spare_errors : 0);
		ADVICE(reason,
		       "without the spare, all remapped sectors are lost; to move to another one, "
		       "run dmremap deactivate %s, then dmremap resize %s DEVICE",
		       facts->name, facts->name);
	}
	if (s->bad_slots)
		ADVICE(add(verdict, REASON_BAD_SLOTS, VERDICT_WATCH,
			   "%" PRIu64 " spare chunk%s bad", s->bad_slots,
			   s->bad_slots == 1 ? " is" : "s are"),
		       "the spare (%s) has bad sectors of its own; to move to another one, run "
		       "dmremap resize %s DEVICE",
		       facts->spare, facts->name);
	nr = s->flush_errors;
	if (nr && is_recent(facts, span ? span[SPAN_MONTH].flush_errors : 0)) {
		reason = add(verdict, REASON_FLUSH_ERRORS, VERDICT_WATCH,
			     "%" PRIu64 " flush%s failed", nr, nr == 1 ? "" : "es");
		describe_when(facts, reason, span ? span[SPAN_DAY].flush_errors : 0,
			      span ? span[SPAN_WEEK].flush_errors : 0,
			      span ? span[SPAN_MONTH].flush_errors : 0);
		ADVICE(reason, "a write that was in a cache may be lost; check the file system");
	}
}

static void add_growth(const struct health_facts *facts, struct verdict *verdict)
{
	const struct growth *growth = facts->growth;
	struct reason *reason;

	if (facts->window) {
		reason = add(verdict, REASON_ERRORS_FAST, VERDICT_FAILING,
			     "many errors in a short time");
		EVIDENCE(reason, "%" PRIu64 " within %" PRIu64 " seconds", facts->recent,
			 facts->window);
		ADVICE(reason,
		       "copy important data from it now; check the cable of the main device (%s), "
		       "or replace the disk",
		       facts->main);
	}
	if (!growth || facts->places < SPREAD_PLACES ||
	    growth->span[SPAN_WEEK].main_errors < SPREAD_ERRORS)
		return;
	reason = add(verdict, REASON_SPREAD, VERDICT_FAILING,
		     "bad sectors are spread over the disk");
	EVIDENCE(reason,
		 "remapped sectors in %" PRIu64 " of 64 parts of the disk, %" PRIu64 " errors in "
		 "the last week",
		 facts->places, growth->span[SPAN_WEEK].main_errors);
	ADVICE(reason, "copy important data from it now, and replace the main device (%s)",
	       facts->main);
}

static bool is_known(uint64_t number)
{
	return number != SMART_UNKNOWN;
}

static uint64_t known(uint64_t number)
{
	return is_known(number) ? number : 0;
}

/* What the disk itself has had to do in the last thirty days. */
static void add_smart_growth(const struct smart *smart, const char *role, struct verdict *verdict)
{
	const struct smart_point *before = &smart->before, *last = &smart->last;
	uint64_t reallocated = smart_risen(before->reallocated, last->reallocated);
	uint64_t uncorrected = smart_risen(before->uncorrected, last->uncorrected);
	uint64_t timeouts = smart_risen(before->timeouts, last->timeouts);
	uint64_t crc = smart_risen(before->crc, last->crc);
	struct reason *reason;

	if (reallocated || uncorrected || timeouts) {
		reason = add(verdict, REASON_SMART_GROWS, VERDICT_WATCH,
			     "the disk of the %s reports new errors (SMART)", role);
		EVIDENCE(reason,
			 "since %s: %" PRIu64 " more sectors remapped by the disk itself, "
			 "%" PRIu64 " uncorrected errors, %" PRIu64 " timeouts",
			 date_of(before->at).text, reallocated, uncorrected, timeouts);
		ADVICE(reason, "keep a backup; replace the disk if there are more within a week");
	}
	if (crc) {
		reason = add(verdict, REASON_CABLE, VERDICT_WATCH,
			     "the cable of the %s causes transfer errors (SMART)", role);
		EVIDENCE(reason, "%" PRIu64 " more CRC errors since %s", crc,
			 date_of(before->at).text);
		ADVICE(reason, "the disk itself is not at fault; replace or reseat its cable, or "
			       "use another port");
	}
}

static void add_smart(const struct health_facts *facts, int member, struct verdict *verdict)
{
	const char *role = member ? "spare" : "main device";
	const char *path = member ? facts->spare : facts->main;
	const struct smart *smart = facts->smart[member];
	const struct smart_point *last = &smart->last;
	bool spare_low = is_known(last->spare_left) && is_known(last->spare_least) &&
			 last->spare_left < last->spare_least;
	struct reason *reason;

	if (last->failing == 1 || known(last->warning) || spare_low) {
		reason = add(verdict, REASON_SMART_FAILS, VERDICT_FAILING,
			     "the disk of the %s reports that it is failing (SMART)", role);
		EVIDENCE(reason, "at %s", date_of(last->at).text);
		ADVICE(reason, "copy important data from it now, and replace it (%s)", path);
	}
	if (known(last->pending) || known(last->unreadable)) {
		reason = add(verdict, REASON_SMART_SECTORS, VERDICT_WATCH,
			     "the disk of the %s has sectors that it cannot read (SMART)", role);
		EVIDENCE(reason, "at %s: %" PRIu64 " pending, %" PRIu64 " unreadable in its tests",
			 date_of(last->at).text, known(last->pending), known(last->unreadable));
		ADVICE(reason, "remap the sectors in its self-test log with dmremap import %s",
		       facts->name);
	}
	add_smart_growth(smart, role, verdict);
	if (is_known(last->wear) && last->wear >= 100) {
		reason = add(verdict, REASON_WEAR, VERDICT_WATCH,
			     "the disk of the %s is worn out (SMART)", role);
		EVIDENCE(reason, "%" PRIu64 " %% of its rated life is used", last->wear);
		ADVICE(reason, "plan to replace it (%s)", path);
	}
}

/* Where nobody scrubs, nothing is said of it. */
static void add_scrub(const struct health_facts *facts, struct verdict *verdict)
{
	const struct scrub_result *scrub = facts->scrub;
	struct reason *reason;

	if (!scrub || !scrub->ended)
		return;
	if (scrub->unreadable || scrub->spare_unreadable) {
		reason = add(verdict, REASON_UNREADABLE, VERDICT_WATCH,
			     "the last scrub could not read %" PRIu64 " sector%s",
			     scrub->unreadable + scrub->spare_unreadable,
			     plural(scrub->unreadable + scrub->spare_unreadable));
		EVIDENCE(reason, "at %s: %" PRIu64 " of the set, %" PRIu64 " of the spare",
			 date_of(scrub->ended).text, scrub->unreadable, scrub->spare_unreadable);
		if (scrub->unreadable)
			ADVICE(reason,
			       "dmremap files %s --unreadable says which files they hit: put these "
			       "back from a backup, then: dmremap scrub start %s",
			       facts->name, facts->name);
		else
			ADVICE(reason, "dmremap resize %s DEVICE moves the set to another spare",
			       facts->name);
	}
	if (facts->now > scrub->ended + SCRUB_OLD_SECONDS) {
		reason = add(verdict, REASON_SCRUB_OLD, VERDICT_WATCH, "the last scrub is old");
		EVIDENCE(reason, "it ended at %s", date_of(scrub->ended).text);
		ADVICE(reason,
		       "dmremap scrub start %s; systemctl enable --now dm-remap-scrub@%s.timer "
		       "does it every month",
		       facts->name, facts->name);
	}
}

/* The worst first; those that are as bad stay in their order. */
static void sort(struct verdict *verdict)
{
	for (unsigned int i = 1; i < verdict->nr_reasons; i++) {
		struct reason reason = verdict->reason[i];
		unsigned int at = i;

		for (; at && verdict->reason[at - 1].level < reason.level; at--)
			verdict->reason[at] = verdict->reason[at - 1];
		verdict->reason[at] = reason;
	}
}

void verdict_of(const struct health_facts *facts, struct verdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	add_gone(facts, verdict);
	add_mode(facts, verdict);
	if (facts->suspended)
		ADVICE(add(verdict, REASON_SUSPENDED, VERDICT_WATCH, "suspended: all I/O waits"),
		       "run dmsetup resume %s, unless a command is still running", facts->name);
	if (facts->status) {
		add_metadata(facts, verdict);
		add_use(facts, verdict);
		add_lost(facts, verdict);
		add_growth(facts, verdict);
		add_main_errors(facts, verdict);
		add_other_errors(facts, verdict);
	}
	for (int member = 0; member < 2; member++)
		if (facts->smart[member] && facts->smart[member]->last.at &&
		    facts->now < facts->smart[member]->last.at + SMART_SECONDS)
			add_smart(facts, member, verdict);
	add_scrub(facts, verdict);
	sort(verdict);
}

void verdict_describe(const struct verdict *verdict, char *text, size_t nr_bytes)
{
	size_t length = 0;

	*text = '\0';
	for (unsigned int i = 0; i < verdict->nr_reasons && length < nr_bytes; i++) {
		int n = snprintf(text + length, nr_bytes - length, "%s%s", i ? "; " : "",
				 verdict->reason[i].text);

		length += n > 0 ? (size_t)n : 0;
	}
}
