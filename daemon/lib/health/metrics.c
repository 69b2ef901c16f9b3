// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "health/metrics.h"
#include "util/foreign.h"

/* Of a name or UUID of device-mapper. */
#define DM_NAME_BYTES 130

/* The value of a label: any bytes become valid text, and two values never the same. */
static void print_label(FILE *to, const char *name, const char *value)
{
	char text[FOREIGN_TEXT_BYTES(DM_NAME_BYTES)];

	foreign_escape(value, strlen(value), text, sizeof(text));
	fprintf(to, "%s=\"", name);
	for (const char *at = text; *at; at++)
		fprintf(to, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
	fputc('"', to);
}

static void print_head(FILE *to, const char *metric, const char *type, const char *help)
{
	fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

/* @label: one more beside the set's, or NULL. */
static void print_sample(FILE *to, const char *metric, const struct metric_set *set,
			 const char *label, const char *value, uint64_t number)
{
	fprintf(to, "%s{", metric);
	print_label(to, "name", set->name);
	fputc(',', to);
	print_label(to, "uuid", set->uuid);
	if (label) {
		fputc(',', to);
		print_label(to, label, value);
	}
	fprintf(to, "} %" PRIu64 "\n", number);
}

static const struct counter {
	const char *metric;
	size_t offset;
	bool is_gauge;
	const char *help;
} counters[] = {
#define FIELD(name) offsetof(struct remap_status, name)
	{ "dm_remap_lost_sectors", FIELD(lost_sectors), true,
	  "Sectors that read as errors until they are written." },
	{ "dm_remap_spare_bad_slots", FIELD(bad_slots), true, "Spare chunks that are bad." },
	{ "dm_remap_unwritable_metadata_blocks", FIELD(frozen_blocks), true,
	  "Metadata blocks that cannot be written." },
#define COUNTER(NAME, name, text) \
	{ "dm_remap_" #name "_total", FIELD(name), false, "Counter " #name " of dmsetup status." },
#include "dm_remap_counters.h"
	{ "dm_remap_commit_failures_total", FIELD(commit_failures), false,
	  "Metadata blocks whose write failed." },
#undef FIELD
};

static void print_counters(FILE *to, const struct metric_set *sets, size_t nr)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		const struct counter *counter = &counters[i];

		print_head(to, counter->metric, counter->is_gauge ? "gauge" : "counter",
			   counter->help);
		for (size_t n = 0; n < nr; n++) {
			uint64_t number;

			if (!sets[n].status)
				continue;
			memcpy(&number, (const char *)sets[n].status + counter->offset,
			       sizeof(number));
			print_sample(to, counter->metric, &sets[n], NULL, NULL, number);
		}
	}
}

static void print_verdicts(FILE *to, const struct metric_set *sets, size_t nr)
{
	print_head(to, "dm_remap_verdict", "gauge",
		   "1 for the verdict on the set: good, watch, failing or failed.");
	for (size_t i = 0; i < nr; i++)
		for (int level = VERDICT_GOOD; level <= VERDICT_FAILED; level++)
			print_sample(to, "dm_remap_verdict", &sets[i], "verdict",
				     verdict_name((enum verdict_level)level),
				     (int)sets[i].verdict->level == level);
	print_head(to, "dm_remap_reason", "gauge",
		   "1 for each reason of the verdict; the label is its code in dmremap health "
		   "--json.");
	for (size_t i = 0; i < nr; i++)
		for (int code = 0; code < NR_REASONS; code++)
			if (sets[i].verdict->reasons >> code & 1)
				print_sample(to, "dm_remap_reason", &sets[i], "reason",
					     reason_name((enum reason_code)code), 1);
	print_head(to, "dm_remap_mode", "gauge", "1 for the mode of the set.");
	for (size_t i = 0; i < nr; i++)
		print_sample(to, "dm_remap_mode", &sets[i], "mode", sets[i].mode, 1);
}

static void print_spare(FILE *to, const struct metric_set *sets, size_t nr)
{
	print_head(to, "dm_remap_spare_slots", "gauge", "Slots of the spare, of 4 KiB each.");
	for (size_t i = 0; i < nr; i++)
		if (sets[i].status)
			print_sample(to, "dm_remap_spare_slots", &sets[i], NULL, NULL,
				     sets[i].status->total_slots);
	print_head(to, "dm_remap_spare_used_slots", "gauge",
		   "Slots of the spare that serve sectors.");
	for (size_t i = 0; i < nr; i++)
		if (sets[i].status)
			print_sample(to, "dm_remap_spare_used_slots", &sets[i], NULL, NULL,
				     sets[i].status->used_slots);
	print_head(to, "dm_remap_member_present", "gauge",
		   "Whether the device of a member is present.");
	for (size_t i = 0; i < nr; i++)
		for (int member = 0; sets[i].status && member < 2; member++)
			print_sample(to, "dm_remap_member_present", &sets[i], "member",
				     member ? "spare" : "main", !sets[i].is_gone[member]);
}

/* Those that are not known have no sample: a date of 0 would be in the past. */
static void print_dates(FILE *to, const struct metric_set *sets, size_t nr)
{
	static const struct {
		const char *metric;
		size_t offset;
		const char *help;
	} dates[] = {
		{ "dm_remap_spare_full_timestamp_seconds", offsetof(struct forecast, at),
		  "When the spare will be full by the forecast, if there is one." },
		{ "dm_remap_spare_full_early_timestamp_seconds", offsetof(struct forecast, early),
		  "The forecast's earliest date." },
		{ "dm_remap_spare_full_late_timestamp_seconds", offsetof(struct forecast, late),
		  "The forecast's latest date." },
	};

	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		print_head(to, dates[i].metric, "gauge", dates[i].help);
		for (size_t n = 0; n < nr; n++) {
			uint64_t at;

			memcpy(&at, (const char *)sets[n].forecast + dates[i].offset, sizeof(at));
			if (at && sets[n].forecast->kind == FORECAST_RATE)
				print_sample(to, dates[i].metric, &sets[n], NULL, NULL, at);
		}
	}
	print_head(to, "dm_remap_history_timestamp_seconds", "gauge",
		   "When the newest point of the history was recorded.");
	for (size_t n = 0; n < nr; n++)
		if (sets[n].history_at)
			print_sample(to, "dm_remap_history_timestamp_seconds", &sets[n], NULL, NULL,
				     sets[n].history_at);
}

/* Of sets that were never scrubbed there is nothing to say. */
static void print_scrub_numbers(FILE *to, const struct metric_set *sets, size_t nr)
{
	static const struct {
		const char *metric;
		size_t offset;
		const char *help;
		bool is_of_last;
	} numbers[] = {
#define FIELD(name) offsetof(struct scrub_summary, name)
		{ "dm_remap_scrub_sectors", FIELD(nr_sectors),
		  "Sectors of the set and its spare that a scrub reads.", false },
		{ "dm_remap_scrub_open_sectors", FIELD(open),
		  "Of these that the present or last scrub has not read.", false },
		{ "dm_remap_scrub_end_timestamp_seconds", FIELD(last.ended),
		  "When a scrub last came to its end.", true },
		{ "dm_remap_scrub_good_timestamp_seconds", FIELD(good),
		  "When a scrub last could read all.", true },
		{ "dm_remap_scrub_salvaged_sectors", FIELD(last.salvaged),
		  "Sectors that the last scrub moved to the spare.", true },
		{ "dm_remap_scrub_slow_reads", FIELD(last.slow),
		  "Reads of the last scrub that took long.", true },
#undef FIELD
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		bool is_date = strstr(numbers[i].metric, "timestamp");

		print_head(to, numbers[i].metric, "gauge", numbers[i].help);
		for (size_t n = 0; n < nr; n++) {
			uint64_t number;

			if (!sets[n].scrub || (numbers[i].is_of_last && !sets[n].scrub->last.ended))
				continue;
			memcpy(&number, (const char *)sets[n].scrub + numbers[i].offset,
			       sizeof(number));
			if (number || !is_date)
				print_sample(to, numbers[i].metric, &sets[n], NULL, NULL, number);
		}
	}
}

static void print_scrubs(FILE *to, const struct metric_set *sets, size_t nr)
{
	print_head(to, "dm_remap_scrub_running", "gauge", "Whether a scrub is at work.");
	for (size_t i = 0; i < nr; i++)
		print_sample(to, "dm_remap_scrub_running", &sets[i], NULL, NULL,
			     sets[i].is_scrubbed);
	print_scrub_numbers(to, sets, nr);
	print_head(to, "dm_remap_scrub_unreadable_sectors", "gauge",
		   "Sectors that the last scrub could not read, of the set and of the spare.");
	for (size_t i = 0; i < nr; i++)
		for (int part = 0; part < 2 && sets[i].scrub && sets[i].scrub->last.ended; part++)
			print_sample(to, "dm_remap_scrub_unreadable_sectors", &sets[i], "part",
				     part ? "spare" : "set",
				     part ? sets[i].scrub->last.spare_unreadable :
					    sets[i].scrub->last.unreadable);
}

void metrics_write(FILE *to, const struct metric_set *sets, size_t nr)
{
	print_head(to, "dm_remap_sets", "gauge", "Active sets.");
	fprintf(to, "dm_remap_sets %zu\n", nr);
	print_verdicts(to, sets, nr);
	print_spare(to, sets, nr);
	print_counters(to, sets, nr);
	print_dates(to, sets, nr);
	print_scrubs(to, sets, nr);
}
