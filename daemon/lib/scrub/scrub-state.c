// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <zlib.h>

#include "format/backup.h"
#include "scrub/scrub-state.h"

#define MAGIC "dm-remap scrub 1\n"
#define FILE_BYTES_MAX (4 << 20)
#define SUM_BYTES 9 /* with its newline */

void scrub_state_done(struct scrub_state *state)
{
	for (int part = 0; part < NR_SCRUB_PARTS; part++)
		plan_done(&state->plan[part]);
}

static size_t slow_kept(const struct plan *plan)
{
	return plan->nr_slow < PLAN_SLOW_MAX ? (size_t)plan->nr_slow : PLAN_SLOW_MAX;
}

static void print_plan(FILE *file, const struct plan *plan)
{
	fprintf(file,
		"plan %" PRIu64 " %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %zu %" PRIu64
		" %d\n",
		plan->nr_sectors, plan->unit, plan->position, plan->skip, plan->bad_ms, plan->read,
		plan->nr_spans, plan->nr_slow, plan->is_coarse);
	for (size_t i = 0; i < plan->nr_spans; i++)
		fprintf(file, "%" PRIu64 " %" PRIu64 " %d\n", plan->span[i].sector,
			plan->span[i].nr, (int)plan->span[i].state);
	for (size_t i = 0; i < slow_kept(plan); i++)
		fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", plan->slow[i].sector,
			plan->slow[i].nr, plan->slow[i].ms);
}

int scrub_state_format(const struct scrub_state *state, char **text, size_t *nr_bytes)
{
	FILE *file = open_memstream(text, nr_bytes);
	const struct scrub_result *last = &state->last;
	uLong sum;

	if (!file)
		return -ENOMEM;
	fprintf(file,
		MAGIC "%" PRIu64 " %" PRIu64 " %" PRIu64 " %d %d %" PRIu64 " %" PRIu64 " %" PRIu64
		      "\n%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		      " %" PRIu64 " %" PRIu64 "\n",
		state->begun, state->saved, state->worked_ms, state->is_wanted, state->is_finished,
		state->metadata, state->repaired, state->salvaged, last->ended, last->unreadable,
		last->salvaged, last->open, last->spare_unreadable, last->slow, last->metadata,
		state->good);
	for (int part = 0; part < NR_SCRUB_PARTS; part++)
		print_plan(file, &state->plan[part]);
	if (fflush(file) == EOF) {
		fclose(file);
		return -ENOMEM;
	}
	sum = crc32(0, (const Bytef *)*text, (uInt)*nr_bytes);
	fprintf(file, "%08lx\n", sum);
	return fclose(file) == EOF ? -ENOMEM : 0;
}

/**
 * struct reader - numbers of a text
 * @at: the rest
 * @is_bad: there was something else
 */
struct reader {
	const char *at;
	bool is_bad;
};

static uint64_t read_number(struct reader *reader)
{
	uint64_t number = 0;
	char *end;

	reader->at += strspn(reader->at, " \n");
	errno = 0;
	if (*reader->at >= '0' && *reader->at <= '9')
		number = strtoull(reader->at, &end, 10);
	else
		reader->is_bad = true;
	if (errno)
		reader->is_bad = true;
	if (!reader->is_bad)
		reader->at = end;
	return reader->is_bad ? 0 : number;
}

static void read_word(struct reader *reader, const char *word)
{
	reader->at += strspn(reader->at, " \n");
	if (strncmp(reader->at, word, strlen(word)) != 0)
		reader->is_bad = true;
	else
		reader->at += strlen(word);
}

static int read_plan(struct reader *reader, struct plan *plan)
{
	uint64_t nr_sectors, unit, nr_spans;
	int r;

	read_word(reader, "plan");
	nr_sectors = read_number(reader);
	unit = read_number(reader);
	r = plan_begin(plan, nr_sectors, (uint32_t)unit);
	if (r < 0)
		return r;
	plan->position = read_number(reader);
	plan->skip = read_number(reader);
	plan->bad_ms = read_number(reader);
	plan->read = read_number(reader);
	nr_spans = read_number(reader);
	plan->nr_slow = read_number(reader);
	plan->is_coarse = read_number(reader);
	if (reader->is_bad || nr_spans > PLAN_SPANS_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < nr_spans; i++) {
		plan->span[i].sector = read_number(reader);
		plan->span[i].nr = read_number(reader);
		plan->span[i].state = (enum span_state)read_number(reader);
	}
	plan->nr_spans = (size_t)nr_spans;
	for (size_t i = 0; i < slow_kept(plan); i++) {
		plan->slow[i].sector = read_number(reader);
		plan->slow[i].nr = read_number(reader);
		plan->slow[i].ms = read_number(reader);
	}
	return reader->is_bad || (plan->nr_sectors && !plan_is_valid(plan)) ? -EBADMSG : 0;
}

static void read_head(struct reader *reader, struct scrub_state *state)
{
	struct scrub_result *last = &state->last;

	state->begun = read_number(reader);
	state->saved = read_number(reader);
	state->worked_ms = read_number(reader);
	state->is_wanted = read_number(reader);
	state->is_finished = read_number(reader);
	state->metadata = read_number(reader);
	state->repaired = read_number(reader);
	state->salvaged = read_number(reader);
	last->ended = read_number(reader);
	last->unreadable = read_number(reader);
	last->salvaged = read_number(reader);
	last->open = read_number(reader);
	last->spare_unreadable = read_number(reader);
	last->slow = read_number(reader);
	last->metadata = read_number(reader);
	state->good = read_number(reader);
	if (state->metadata >= NR_SCRUB_METADATA || last->metadata >= NR_SCRUB_METADATA)
		reader->is_bad = true;
}

/* The last line is the checksum of all before it. */
static bool is_whole(const char *text, size_t nr_bytes)
{
	char sum[SUM_BYTES + 1];

	if (nr_bytes < strlen(MAGIC) + SUM_BYTES || memchr(text, '\0', nr_bytes) ||
	    strncmp(text, MAGIC, strlen(MAGIC)) != 0)
		return false;
	snprintf(sum, sizeof(sum), "%08lx\n",
		 crc32(0, (const Bytef *)text, (uInt)(nr_bytes - SUM_BYTES)));
	return memcmp(text + nr_bytes - SUM_BYTES, sum, SUM_BYTES) == 0;
}

int scrub_state_parse(const char *text, size_t nr_bytes, struct scrub_state *state)
{
	struct reader reader = { .at = text + strlen(MAGIC) };
	int r = is_whole(text, nr_bytes) ? 0 : -EBADMSG;

	memset(state, 0, sizeof(*state));
	if (!r)
		read_head(&reader, state);
	for (int part = 0; !r && part < NR_SCRUB_PARTS; part++)
		r = read_plan(&reader, &state->plan[part]);
	if (!r && reader.is_bad)
		r = -EBADMSG;
	if (r < 0)
		scrub_state_done(state);
	return r;
}

int scrub_state_path(const char *key, char *path, size_t nr_bytes)
{
	int n = snprintf(path, nr_bytes, "%s/%s.scrub", state_directory(), key);

	return n < 0 || (size_t)n >= nr_bytes || strchr(key, '/') ? -EINVAL : 0;
}

int scrub_state_load(const char *key, struct scrub_state *state)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t nr_bytes;
	int r = scrub_state_path(key, path, sizeof(path));

	memset(state, 0, sizeof(*state));
	if (!r)
		r = read_regular_file(path, FILE_BYTES_MAX, &text, &nr_bytes);
	return r ?: scrub_state_parse(text, nr_bytes, state);
}

int scrub_state_save(const char *key, struct scrub_state *state)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t nr_bytes;
	int r = scrub_state_path(key, path, sizeof(path));

	if (!r && mkdir(state_directory(), 0700) < 0 && errno != EEXIST)
		r = -errno;
	state->saved = (uint64_t)time(NULL);
	if (!r)
		r = scrub_state_format(state, &text, &nr_bytes);
	return r ?: write_file_atomic(path, text, nr_bytes, 0600);
}

void scrub_summarise(const struct scrub_state *state, struct scrub_summary *summary)
{
	*summary = (struct scrub_summary){ .last = state->last, .good = state->good };
	for (int part = 0; part < NR_SCRUB_PARTS; part++) {
		summary->nr_sectors += state->plan[part].nr_sectors;
		summary->open += plan_open(&state->plan[part]);
	}
}

unsigned int scrub_permille(const struct scrub_state *state)
{
	struct scrub_summary all;

	scrub_summarise(state, &all);
	return all.nr_sectors ? (unsigned int)((double)(all.nr_sectors - all.open) * 1000 /
					       (double)all.nr_sectors) :
				0;
}

uint64_t scrub_seconds_left(const struct scrub_state *state)
{
	uint64_t done = 0, open = 0;
	double spent_ms;

	for (int part = 0; part < NR_SCRUB_PARTS; part++) {
		open += plan_open(&state->plan[part]);
		done += state->plan[part].read;
	}
	/* bad places are taken to be as many in what is left */
	spent_ms = (double)state->worked_ms;
	if (!done || spent_ms < 1000)
		return 0;
	return (uint64_t)(spent_ms * (double)open / (double)done / 1000) + 1;
}

bool scrub_is_over(const struct scrub_state *state)
{
	uint64_t sector, nr;

	for (int part = 0; part < NR_SCRUB_PARTS; part++)
		if (plan_next(&state->plan[part], &sector, &nr))
			return false;
	return true;
}
