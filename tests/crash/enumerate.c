// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * remap-enumerate: the crash states of a logged workload, judged.
 *
 * For every prefix of the block server's log it makes several of the states a
 * power cut there could leave (see cache_model.h; the record in flight may be
 * torn at 512 bytes), with or without one further fault of the metadata (a
 * replica lost, a copy of a block damaged: P4).  In each it loads the set by
 * the rules of the format (resolve.h) and judges every sector of the mapped
 * device (oracle.h).  Where the newest copy of a block is gone in *both*
 * replicas - damaged, unreadable, zeroed or an older one - the set must be
 * refused or served read-only if anything acknowledged is missing (C15); and
 * even then no sector gives another one's content (C11).
 *
 * A state is named POSITION:VARIANT and depends on the log and the seed only.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../next_random.h"
#include "blocklog.h"
#include "cache_model.h"
#include "oracle.h"
#include "resolve.h"
#include "stamp.h"

enum { DISK_MAIN, DISK_SPARE, DISKS };

enum fault {
	FAULT_NONE,
	FAULT_REPLICA_0,
	FAULT_REPLICA_1,
	FAULT_COPY,
	FAULT_STALE,  /* the newest copies of a block are garbage, on both replicas */
	FAULT_HIDDEN, /* they are unreadable, damaged or gone, each in its own way */
	FAULT_OLD,    /* their writes were lost: both places hold what was there before */
};

enum outcome { OUTCOME_RW, OUTCOME_RO, OUTCOME_REFUSED };

struct options {
	const char *log;
	const char *dump;
	const char *sample;
	uint64_t main_sectors;
	uint64_t spare_sectors;
	uint64_t region_start;
	uint64_t region_sectors;
	uint64_t states;
	uint64_t seed;
	uint64_t sample_every;
	int64_t only_position;
	uint64_t only_variant;
	unsigned int show;
	bool bare;
};

struct state {
	uint64_t position; /* records before it have happened */
	uint64_t variant;
	enum fault fault;
	unsigned int fault_copy;
	uint32_t fault_block;
	unsigned int keep;
	bool torn;	/* the record in flight */
	bool is_marked; /* before the fault, main's mark was of this very table */
	enum outcome outcome;
	uint64_t violations;
};

/* The spare as it is read: some places fail. */
struct spare_view {
	struct cache_model *disk;
	uint64_t unreadable[REMAP_COPIES]; /* first sectors on the disk */
	unsigned int nr_unreadable;
};

struct enumerator {
	struct options options;
	struct block_log log;
	struct cache_model disk[DISKS];
	struct oracle oracle;
	struct resolve_map map;
	char *initial;	       /* stamped content of main */
	const char **known;    /* per sector: content judged last ... */
	uint64_t *known_write; /* ... and the write it is of */
	bool was_active;
	uint64_t nr_states;
	uint64_t nr_bad_states;
	uint64_t nr_repairing;
	uint64_t nr_with_fault;
	uint64_t nr_outcome[3];
	struct spare_view view;
	uint64_t max_used;
	uint64_t nr_samples;
	unsigned int shown;
};

static const char zeros[REMAP_CHUNK_BYTES];
static char garbage[REMAP_SECTOR_BYTES];

static int read_view(void *context, u64 sector, u32 nr, void *buffer)
{
	const struct cache_model *disk = context;
	u32 i;

	for (i = 0; i < nr; i++)
		memcpy((char *)buffer + i * 512, disk->view[sector + i], 512);
	return 0;
}

static int read_spare(void *context, u64 sector, u32 nr, void *buffer)
{
	const struct spare_view *view = context;
	unsigned int i;

	for (i = 0; i < view->nr_unreadable; i++)
		if (sector < view->unreadable[i] + REMAP_BLOCK_SECTORS &&
		    view->unreadable[i] < sector + nr)
			return -EIO;
	return read_view(view->disk, sector, nr, buffer);
}

__attribute__((format(printf, 3, 4))) static void
violation(struct enumerator *e, struct state *state, const char *format, ...)
{
	static const char *const faults[] = {
		"",
		", start replica lost",
		", end replica lost",
		", one copy damaged",
		", newest copies damaged",
		", newest copies hidden",
		", newest writes lost",
	};
	va_list arguments;

	state->violations++;
	if (e->shown++ >= e->options.show)
		return;
	printf("state %" PRIu64 ":%" PRIu64 " (kept %u/256%s%s", state->position, state->variant,
	       state->keep, state->torn ? ", next write torn" : "", faults[state->fault]);
	if (state->fault >= FAULT_COPY)
		printf(" (block %u, copy %u)", state->fault_block, state->fault_copy);
	printf("): ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

/*
 * Whether what was acknowledged may be missing.  What is served read-write must be all of it;
 * of writes that were lost only the mark can tell, if nothing was committed since.
 */
static bool may_be_older(const struct state *state)
{
	if (state->fault < FAULT_STALE)
		return false;
	return state->outcome != OUTCOME_RW || (state->fault == FAULT_OLD && !state->is_marked);
}

static void judge_sector(struct enumerator *e, struct state *state, uint64_t sector)
{
	struct resolve_place place = { RESOLVE_MAIN, sector };
	const char *data, *why;
	uint64_t stamped, write;

	if (e->map.nr_used)
		place = resolve_sector(&e->map, sector);
	if (place.kind == RESOLVE_LOST) {
		if (may_be_older(state))
			return;
		why = oracle_judge_error(&e->oracle, sector);
		if (why)
			violation(e, state, "sector %" PRIu64 " is %s", sector, why);
		return;
	}
	data = place.kind == RESOLVE_MAIN ?
		       e->disk[DISK_MAIN].view[sector] :
		       e->disk[DISK_SPARE].view[e->options.region_start + place.sector];
	write = e->known_write[sector];
	if (data != e->known[sector]) {
		if (!stamp_read(data, &stamped, &write)) {
			violation(e, state, "sector %" PRIu64 " holds no stamp (%s sector %llu)",
				  sector, place.kind == RESOLVE_MAIN ? "main" : "region",
				  place.sector);
			return;
		}
		if (stamped != sector) {
			violation(e, state, "sector %" PRIu64 " holds content of sector %" PRIu64,
				  sector, stamped);
			return;
		}
		e->known[sector] = data;
		e->known_write[sector] = write;
	}
	if (may_be_older(state))
		return;
	why = oracle_judge(&e->oracle, sector, write);
	if (why)
		violation(e, state, "sector %" PRIu64 " holds write %" PRIu64 ": %s", sector, write,
			  why);
}

/* Load the set and ask main's mark: 0 or a negative errno. */
static int load(struct enumerator *e)
{
	struct resolve_disk main_disk = {
		.read = read_view,
		.context = &e->disk[DISK_MAIN],
		.sectors = e->options.main_sectors,
	};
	struct resolve_disk spare = {
		.read = read_spare,
		.context = &e->view,
		.start = e->options.region_start,
		.sectors = e->options.region_sectors,
	};
	int r = e->options.bare ? -ENOENT : resolve_load(&e->map, &spare, e->options.main_sectors);

	return r ? r : resolve_check_mark(&e->map, &main_disk, &spare);
}

static uint64_t copy_sector(const struct remap_geometry *geometry, unsigned int copy,
			    uint32_t block)
{
	return remap_block_sector(geometry, copy / REMAP_PLACES, copy % REMAP_PLACES, block);
}

/* A crash tears what is in the volatile cache as it tears the record in flight. */
static bool has_torn_block(struct enumerator *e)
{
	struct remap_geometry geometry;
	uint32_t block;
	unsigned int c;

	if (remap_geometry_compute(e->options.region_sectors, &geometry))
		return false;
	for (block = 0; block <= geometry.table_blocks; block++)
		for (c = 0; c < REMAP_COPIES; c++)
			if (cache_view_is_torn(&e->disk[DISK_SPARE],
					       e->options.region_start +
						       copy_sector(&geometry, c, block),
					       REMAP_BLOCK_SECTORS))
				return true;
	return false;
}

static void judge(struct enumerator *e, struct state *state)
{
	uint64_t sector;
	int r = load(e);

	state->outcome = r ? OUTCOME_REFUSED : e->map.nr_stale ? OUTCOME_RO : OUTCOME_RW;
	/* Before the device exists there may be no set: then main is a plain disk. */
	if (r == -ENOENT && (e->options.bare || !e->was_active)) {
		e->map.nr_used = 0;
	} else if (r) {
		if (state->fault < FAULT_STALE)
			violation(e, state, "activation is refused: %d %s", r, e->map.error);
		/* What is older by main's mark alone is a whole table. */
		if (r != -ESTALE)
			return;
	} else if (e->map.nr_stale && state->fault == FAULT_NONE &&
		   (e->map.nr_hidden || !(state->torn || has_torn_block(e)))) {
		/* The one innocent way to the same number damaged twice is in FORMAT.md. */
		violation(e, state, "it is taken for stale");
	}
	e->nr_repairing += e->map.nr_repairs != 0;
	if (e->map.nr_used > e->max_used)
		e->max_used = e->map.nr_used;
	for (sector = 0; sector < e->options.main_sectors; sector++)
		judge_sector(e, state, sector);
}

static void damage_block(struct enumerator *e, uint64_t region_sector)
{
	int i;

	for (i = 0; i < REMAP_BLOCK_SECTORS; i++)
		cache_view_sector(&e->disk[DISK_SPARE], e->options.region_start + region_sector + i,
				  garbage);
}

/* The number of a copy as it is in this state; 0: it is not valid. */
static uint64_t copy_seq(struct enumerator *e, uint64_t region_sector, uint32_t block)
{
	u8 data[REMAP_BLOCK_BYTES] __attribute__((aligned(8)));

	read_view(&e->disk[DISK_SPARE], e->options.region_start + region_sector,
		  REMAP_BLOCK_SECTORS, data);
	if (remap_block_check(data, block ? REMAP_MAGIC_TABLE : REMAP_MAGIC_SUPER, NULL, block) !=
	    REMAP_OK)
		return 0;
	return remap_block_seq(data);
}

static void zero_block(struct enumerator *e, uint64_t region_sector)
{
	int i;

	for (i = 0; i < REMAP_BLOCK_SECTORS; i++)
		cache_view_sector(&e->disk[DISK_SPARE], e->options.region_start + region_sector + i,
				  zeros);
}

/* One of the ways in which a copy is there no more; in the last one its replica goes with it. */
static void hide_copy(struct enumerator *e, const struct remap_geometry *geometry,
		      unsigned int copy, uint32_t block, uint64_t dice)
{
	uint64_t sector = copy_sector(geometry, copy, block);

	switch (dice % 4) {
	case 0:
		e->view.unreadable[e->view.nr_unreadable++] = e->options.region_start + sector;
		break;
	case 1:
		damage_block(e, sector);
		break;
	case 2: /* its header is right, and names its number */
		cache_view_sector(&e->disk[DISK_SPARE], e->options.region_start + sector + 7,
				  garbage);
		break;
	case 3:
		zero_block(e, sector);
		zero_block(e, copy_sector(geometry, copy ^ 1, block));
		break;
	}
}

/* Both places of its replica hold what the other one does. */
static void lose_write(struct enumerator *e, const struct remap_geometry *geometry,
		       unsigned int copy, uint32_t block)
{
	uint64_t to = e->options.region_start + copy_sector(geometry, copy, block);
	uint64_t from = e->options.region_start + copy_sector(geometry, copy ^ 1, block);
	int i;

	for (i = 0; i < REMAP_BLOCK_SECTORS; i++)
		cache_view_sector(&e->disk[DISK_SPARE], to + i, e->disk[DISK_SPARE].view[from + i]);
}

static void lose_newest(struct enumerator *e, const struct state *state,
			const struct remap_geometry *geometry, uint64_t *random)
{
	uint32_t block = state->fault_block;
	uint64_t seq[REMAP_COPIES], newest = 0;
	unsigned int c;

	for (c = 0; c < REMAP_COPIES; c++) {
		seq[c] = copy_seq(e, copy_sector(geometry, c, block), block);
		if (seq[c] > newest)
			newest = seq[c];
	}
	for (c = 0; c < REMAP_COPIES; c++) {
		if (seq[c] != newest)
			continue;
		if (state->fault == FAULT_STALE)
			damage_block(e, copy_sector(geometry, c, block));
		else if (state->fault == FAULT_HIDDEN)
			hide_copy(e, geometry, c, block, next_random(random));
		else
			lose_write(e, geometry, c, block);
	}
}

static void set_fault(struct enumerator *e, struct state *state, uint64_t *random)
{
	struct remap_geometry geometry;
	uint32_t block;
	int place;

	if (state->fault == FAULT_NONE ||
	    remap_geometry_compute(e->options.region_sectors, &geometry))
		return;
	if (state->fault == FAULT_COPY) {
		state->fault_block %= 1 + geometry.table_blocks;
		damage_block(e, remap_block_sector(&geometry, state->fault_copy / REMAP_PLACES,
						   state->fault_copy % REMAP_PLACES,
						   state->fault_block));
		return;
	}
	if (state->fault >= FAULT_STALE) {
		/* An older superblock has the same data: only the mark's number can tell. */
		state->fault_block = state->fault == FAULT_HIDDEN ?
					     state->fault_block % (1 + geometry.table_blocks) :
					     1 + state->fault_block % geometry.table_blocks;
		lose_newest(e, state, &geometry, random);
		return;
	}
	for (place = 0; place < REMAP_PLACES; place++)
		for (block = 0; block <= geometry.table_blocks; block++)
			damage_block(e,
				     remap_block_sector(&geometry, state->fault == FAULT_REPLICA_1,
							place, block));
}

/* The record in flight: some of its sectors, whatever its order was to be. */
static void set_torn(struct enumerator *e, const struct log_record *record, uint64_t *random)
{
	uint32_t i;

	for (i = 0; i < record->header.length; i++)
		if (next_random(random) & 1)
			cache_view_sector(&e->disk[record->header.disk], record->header.sector + i,
					  record->data + i * 512);
}

static bool changes_disk(const struct log_record *record)
{
	const struct log_header *header = &record->header;

	/* A flush that lost something failed, and has brought all the rest to the media. */
	if (header->kind == LOG_FLUSH && header->flags & LOG_LANDED)
		return true;
	return header->kind != LOG_MARK && !(header->flags & LOG_FAILED);
}

static int write_file(const char *directory, const char *name, const char *const *view,
		      uint64_t sectors)
{
	char path[4096];
	uint64_t i;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (!file)
		return -errno;
	for (i = 0; i < sectors; i++)
		fwrite(view[i], 512, 1, file);
	return fclose(file) ? -errno : 0;
}

/* Both disks, and what the mapped device must give; lost sectors are zero there. */
/* What activation must come to, and the first sectors of blocks that cannot be read. */
static int dump_outcome(struct enumerator *e, const struct state *state, const char *directory)
{
	static const char *const outcomes[] = { "rw", "ro", "refused" };
	char path[4096];
	unsigned int i;
	FILE *file;

	snprintf(path, sizeof(path), "%s/outcome", directory);
	file = fopen(path, "w");
	if (!file)
		return -errno;
	fprintf(file, "%s\n", outcomes[state->outcome]);
	for (i = 0; i < e->view.nr_unreadable; i++)
		fprintf(file, "%" PRIu64 "\n", e->view.unreadable[i]);
	return fclose(file) ? -errno : 0;
}

static int dump(struct enumerator *e, const struct state *state, const char *directory)
{
	const char **content;
	char path[4096];
	uint64_t sector;
	FILE *lost;
	int r;

	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%s/lost", directory);
	lost = fopen(path, "w");
	content = calloc(e->options.main_sectors, sizeof(*content));
	if (!lost || !content) {
		free(content);
		if (lost)
			fclose(lost);
		return -ENOMEM;
	}
	for (sector = 0; sector < e->options.main_sectors; sector++) {
		struct resolve_place place = { RESOLVE_MAIN, sector };

		if (e->map.nr_used)
			place = resolve_sector(&e->map, sector);
		content[sector] =
			place.kind == RESOLVE_LOST ?
				zeros :
			place.kind == RESOLVE_MAIN ?
				e->disk[DISK_MAIN].view[sector] :
				e->disk[DISK_SPARE].view[e->options.region_start + place.sector];
		if (place.kind == RESOLVE_LOST)
			fprintf(lost, "%" PRIu64 "\n", sector);
	}
	fclose(lost);
	r = write_file(directory, "content.img", content, e->options.main_sectors);
	free(content);
	if (!r)
		r = dump_outcome(e, state, directory);
	if (!r)
		r = write_file(directory, "main.img", e->disk[DISK_MAIN].view,
			       e->options.main_sectors);
	if (!r)
		r = write_file(directory, "spare.img", e->disk[DISK_SPARE].view,
			       e->options.spare_sectors);
	if (r)
		fprintf(stderr, "state %" PRIu64 ":%" PRIu64 " cannot be dumped to %s: %s\n",
			state->position, state->variant, directory, strerror(-r));
	return r;
}

static int keep_state(struct enumerator *e, const struct state *state)
{
	char directory[4096];

	if (e->options.dump)
		return dump(e, state, e->options.dump);
	if (!e->options.sample || e->nr_states % e->options.sample_every || !e->was_active)
		return 0;
	snprintf(directory, sizeof(directory), "%s/%" PRIu64 "-%" PRIu64, e->options.sample,
		 state->position, state->variant);
	e->nr_samples++;
	return dump(e, state, directory);
}

static struct state choose_state(struct enumerator *e, uint64_t position, uint64_t variant,
				 uint64_t *random)
{
	static const unsigned int keeps[] = { 32, 128, 224, 256, 0 };
	struct state state = { .position = position, .variant = variant };
	unsigned int choice;

	*random = e->options.seed ^ position * 0xd6e8feb86659fd93ULL ^ variant << 48;
	next_random(random);
	if (variant < 2) { /* the two plain ones */
		state.keep = variant ? 256 : 0;
		return state;
	}
	state.keep = keeps[next_random(random) % 5];
	state.torn = next_random(random) & 1;
	choice = next_random(random) % 11;
	state.fault = choice < 2  ? FAULT_NONE :
		      choice < 4  ? FAULT_REPLICA_0 :
		      choice < 6  ? FAULT_REPLICA_1 :
		      choice < 8  ? FAULT_COPY :
		      choice < 9  ? FAULT_STALE :
		      choice < 10 ? FAULT_HIDDEN :
				    FAULT_OLD;
	state.fault_copy = next_random(random) % REMAP_COPIES;
	state.fault_block = next_random(random);
	if (!e->was_active || e->options.bare)
		state.fault = FAULT_NONE;
	return state;
}

static int one_state(struct enumerator *e, uint64_t position, uint64_t variant)
{
	uint64_t random;
	struct state state = choose_state(e, position, variant, &random);
	const struct log_record *next = NULL;
	int i, r;

	if (position < e->log.nr_records)
		next = &e->log.record[position];
	state.torn = state.torn && next && next->header.kind == LOG_WRITE;
	for (i = 0; i < DISKS; i++)
		cache_view_random(&e->disk[i], state.keep, &random);
	if (state.torn)
		set_torn(e, next, &random);
	e->view = (struct spare_view){ .disk = &e->disk[DISK_SPARE] };
	if (state.fault == FAULT_OLD)
		state.is_marked = !load(e) && !e->map.nr_stale && e->map.mark.digest &&
				  e->map.mark.seq == e->map.age.newest;
	set_fault(e, &state, &random);
	judge(e, &state);
	e->nr_states++;
	e->nr_outcome[state.outcome]++;
	e->nr_bad_states += state.violations != 0;
	e->nr_with_fault += state.fault != FAULT_NONE;
	r = keep_state(e, &state);
	for (i = 0; i < DISKS; i++)
		cache_view_end(&e->disk[i]);
	return r;
}

static int states_at(struct enumerator *e, uint64_t position, uint64_t nr_variants)
{
	uint64_t variant, first = position;
	int r = 0;

	if (e->options.only_position >= 0)
		return position == (uint64_t)e->options.only_position ?
			       one_state(e, position, e->options.only_variant) :
			       0;
	/* Where there are few, not always the two plain ones. */
	first = nr_variants < 4 ? next_random(&first) % 6 : 0;
	for (variant = first; !r && variant < first + nr_variants; variant++)
		r = one_state(e, position, variant);
	return r;
}

static int apply(struct enumerator *e, uint64_t position)
{
	const struct log_record *record = &e->log.record[position];
	const struct log_header *header = &record->header;
	int r;

	if (header->kind == LOG_MARK) {
		r = oracle_mark(&e->oracle, position, record->data, header->length);
		if (r)
			fprintf(stderr, "record %" PRIu64 ": mark '%.*s' makes no sense\n",
				position, (int)header->length, record->data);
		e->was_active = e->oracle.active;
		return r;
	}
	if (!changes_disk(record))
		return 0;
	if (header->disk >= DISKS ||
	    header->sector + (header->kind == LOG_FLUSH ? 0 : header->length) >
		    e->disk[header->disk].sectors) {
		fprintf(stderr,
			"record %" PRIu64 ": disk %u, sector %" PRIu64 ": there is no such place\n",
			position, header->disk, header->sector);
		return -EINVAL;
	}
	switch (header->kind) {
	case LOG_WRITE:
		cache_write(&e->disk[header->disk], header->sector, header->length, record->data,
			    header->flags & LOG_FUA);
		return 0;
	case LOG_FLUSH:
		cache_flush(&e->disk[header->disk]);
		return 0;
	case LOG_LOST:
		cache_lose(&e->disk[header->disk], header->sector, header->length);
		return 0;
	}
	fprintf(stderr, "record %" PRIu64 ": trims and power cuts are not modelled\n", position);
	return -EINVAL;
}

static int enumerate(struct enumerator *e)
{
	uint64_t position, nr_positions = 1, done = 0;
	int r = 0;

	for (position = 0; position < e->log.nr_records; position++)
		nr_positions += changes_disk(&e->log.record[position]);
	for (position = 0; !r && position < e->log.nr_records; position++) {
		/* Spread evenly, so that the number of states is what was asked for. */
		if (changes_disk(&e->log.record[position])) {
			uint64_t until = (done + 1) * e->options.states / nr_positions;
			uint64_t variants = until - done * e->options.states / nr_positions;

			r = states_at(e, position, variants ? variants : 1);
			done++;
		}
		if (!r)
			r = apply(e, position);
	}
	if (!r)
		r = states_at(e, position, e->options.states / nr_positions + 1);
	return r;
}

static int set_up(struct enumerator *e)
{
	const struct options *options = &e->options;
	uint64_t sector;
	int r;

	r = block_log_open(&e->log, options->log);
	if (!r)
		r = cache_init(&e->disk[DISK_MAIN], options->main_sectors);
	if (!r)
		r = cache_init(&e->disk[DISK_SPARE], options->spare_sectors);
	if (!r)
		r = oracle_init(&e->oracle, options->main_sectors);
	if (!r)
		r = resolve_init(&e->map, options->main_sectors);
	if (r)
		return r;
	e->initial = malloc(options->main_sectors * 512);
	e->known = calloc(options->main_sectors, sizeof(*e->known));
	e->known_write = calloc(options->main_sectors, sizeof(*e->known_write));
	if (!e->initial || !e->known || !e->known_write)
		return -ENOMEM;
	memset(garbage, 0xa5, sizeof(garbage));
	for (sector = 0; sector < options->main_sectors; sector++) {
		stamp_make(sector, 0, e->initial + sector * 512);
		cache_set_initial(&e->disk[DISK_MAIN], sector, e->initial + sector * 512);
	}
	for (sector = 0; sector < options->spare_sectors; sector++)
		cache_set_initial(&e->disk[DISK_SPARE], sector, zeros);
	return 0;
}

static void tear_down(struct enumerator *e)
{
	cache_done(&e->disk[DISK_MAIN]);
	cache_done(&e->disk[DISK_SPARE]);
	oracle_done(&e->oracle);
	resolve_done(&e->map);
	free(e->initial);
	free(e->known);
	free(e->known_write);
	block_log_close(&e->log);
}

static const char usage[] =
	"remap-enumerate --log FILE --main-sectors N --spare-sectors N [OPTION...]\n"
	"  --region START:LEN   of the spare disk (default: all of it)\n"
	"  --states N           how many states (default 2000; every prefix gets at least one)\n"
	"  --seed N             of the random ones (default: the clock)\n"
	"  --only POS:VARIANT   this state only;  --dump DIR  writes it there\n"
	"  --sample DIR:EVERY   writes every EVERYth state to a directory in DIR\n"
	"  --show N             violations to print (default 20)\n"
	"  --bare               there is no set, only main: what a plain disk does\n"
	"Main is disk 0 of the log and starts out stamped, spare is disk 1 and starts out zero.\n"
	"Exit code: 0 all states are allowed, 1 some are not, 2 it could not be told.\n";

static int parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "log", required_argument, NULL, 'l' },
		{ "main-sectors", required_argument, NULL, 'm' },
		{ "spare-sectors", required_argument, NULL, 's' },
		{ "region", required_argument, NULL, 'r' },
		{ "states", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 'S' },
		{ "only", required_argument, NULL, 'o' },
		{ "dump", required_argument, NULL, 'd' },
		{ "sample", required_argument, NULL, 'a' },
		{ "show", required_argument, NULL, 'w' },
		{ "bare", no_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long long a, b;
	char *colon;
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		switch (option) {
		case 'l':
			options->log = optarg;
			break;
		case 'm':
			options->main_sectors = strtoull(optarg, NULL, 0);
			break;
		case 's':
			options->spare_sectors = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			options->states = strtoull(optarg, NULL, 0);
			break;
		case 'S':
			options->seed = strtoull(optarg, NULL, 0);
			break;
		case 'd':
			options->dump = optarg;
			break;
		case 'b':
			options->bare = true;
			break;
		case 'w':
			options->show = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			if (sscanf(optarg, "%llu:%llu", &a, &b) != 2)
				return -EINVAL;
			options->region_start = a;
			options->region_sectors = b;
			break;
		case 'o':
			if (sscanf(optarg, "%llu:%llu", &a, &b) != 2)
				return -EINVAL;
			options->only_position = a;
			options->only_variant = b;
			break;
		case 'a':
			colon = strrchr(optarg, ':');
			if (!colon)
				return -EINVAL;
			*colon = 0;
			options->sample = optarg;
			options->sample_every = strtoull(colon + 1, NULL, 0);
			if (!options->sample_every)
				return -EINVAL;
			break;
		default:
			return -EINVAL;
		}
	}
	if (!options->region_sectors)
		options->region_sectors = options->spare_sectors - options->region_start;
	if (!options->log || !options->main_sectors || !options->spare_sectors ||
	    options->region_start + options->region_sectors > options->spare_sectors)
		return -EINVAL;
	return 0;
}

int main(int argc, char **argv)
{
	struct enumerator e = { .options = {
					.states = 2000,
					.show = 20,
					.only_position = -1,
				} };
	struct timespec start, end;

	clock_gettime(CLOCK_REALTIME, &start);
	e.options.seed = start.tv_sec * 1000003ULL + start.tv_nsec;
	if (parse(argc, argv, &e.options)) {
		fputs(usage, stderr);
		return 2;
	}
	if (set_up(&e) || enumerate(&e)) {
		fprintf(stderr, "remap-enumerate: gave up\n");
		return 2;
	}
	clock_gettime(CLOCK_REALTIME, &end);
	printf("%" PRIu64 " states of %zu records (seed %" PRIu64 "), %" PRIu64
	       " with a further fault, %" PRIu64 " to be repaired, %" PRIu64
	       " served read-only, %" PRIu64 " refused, %" PRIu64 " chunks mapped at most; %" PRIu64
	       " writes, %" PRIu64 " failed; told %" PRIu64 " times of %" PRIu64 " writes; %" PRIu64
	       " states not allowed; %.1f s\n",
	       e.nr_states, e.log.nr_records, e.options.seed, e.nr_with_fault, e.nr_repairing,
	       e.nr_outcome[OUTCOME_RO], e.nr_outcome[OUTCOME_REFUSED], e.max_used,
	       e.oracle.nr_acked, e.oracle.nr_failed, e.oracle.nr_told, e.oracle.nr_doubted,
	       e.nr_bad_states, end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9);
	tear_down(&e);
	return e.nr_bad_states ? 1 : 0;
}
