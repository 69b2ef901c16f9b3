// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the command and the daemon read and have not written, or cannot know that they have: one
 * target of libFuzzer each.  TARGET is its name, see the Makefile.  A target aborts when what a
 * parser accepted is not what its header promises; the sanitizers look for the rest.
 *
 * Targets of binary formats begin with something whole, and take the input for changes of it;
 * checksums are put right afterwards, or no input would come behind them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "format/backup.h"
#include "format/badlist.h"
#include "format/places.h"
#include "health/history.h"
#include "health/smart.h"
#include "ops/guard.h"
#include "scrub/scrub-state.h"
#include "system/dm-table.h"
#include "system/events.h"
#include "system/status.h"
#include "util/foreign.h"

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

#define START 128
#define SECTORS 4096
#define MAIN_SECTORS 20000
#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t nr_bytes);

static char scratch[] = "/dev/shm/dm-remap-fuzz-XXXXXX";

static void remove_scratch(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/file", scratch);
	unlink(path);
	snprintf(path, sizeof(path), "%s/dm-remapd.conf", scratch);
	unlink(path);
	rmdir(scratch);
}

/* A file of that name and content, in a directory of this process. */
static const char *file_of(const char *name, const uint8_t *content, size_t nr_bytes)
{
	static char path[64];
	int fd;

	if (strchr(scratch, 'X')) {
		MUST(mkdtemp(scratch));
		atexit(remove_scratch);
	}
	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write_all_at(fd, content, nr_bytes, 0) == 0);
	close(fd);
	return path;
}

/* The input as text; the caller frees. */
static char *text_of(const uint8_t *input, size_t nr_bytes)
{
	char *text = malloc(nr_bytes + 1);

	MUST(text);
	memcpy(text, input, nr_bytes);
	text[nr_bytes] = 0;
	return text;
}

/*
 * The input is a row of changes: where, how many bytes, which.  @step: what "where" counts in.
 */
static void change(uint8_t *data, size_t nr_data, size_t step, const uint8_t *input,
		   size_t nr_bytes)
{
	while (nr_bytes >= 4) {
		size_t at = (input[0] | input[1] << 8) * step % nr_data;
		size_t nr = input[2];

		input += 3;
		nr_bytes -= 3;
		nr = nr > nr_bytes ? nr_bytes : nr;
		nr = nr > nr_data - at ? nr_data - at : nr;
		memcpy(data + at, input, nr);
		input += nr;
		nr_bytes -= nr;
	}
}

/* A set with five entries, one of them lost in part, in a file in memory. */
static int make_region(void)
{
	static uint8_t data[5 * REMAP_CHUNK_BYTES];
	struct remap_entry entry[5];
	struct region_plan plan = { .entry = entry, .nr_entries = 5, .data = data, .nr_data = 5 };
	int fd = memfd_create("region", MFD_CLOEXEC);

	MUST(fd >= 0 && ftruncate(fd, (off_t)(START + SECTORS) * REMAP_SECTOR_BYTES) == 0);
	memset(plan.super.uuid, 0x5a, sizeof(plan.super.uuid));
	plan.super.main_sectors = MAIN_SECTORS;
	plan.super.probe_chunk = 2499;
	strcpy(plan.super.label, "data");
	for (unsigned int i = 0; i < 5; i++)
		entry[i] = (struct remap_entry){
			.main_chunk = i ? 10 * i : 2499,
			.redirected = i == 3 ? 0x3c : 0xff,
			.lost = i == 3 ? 0x08 : 0,
			.state = REMAP_ENTRY_USED,
			.cause = i ? REMAP_CAUSE_GUARD : REMAP_CAUSE_PROBE,
			.when = 1,
		};
	MUST(region_format(fd, START, SECTORS, &plan, NULL) == 0);
	return fd;
}

static void check_region(int fd)
{
	struct region_table table;
	struct region region;
	struct error error = { "" };
	struct remap_soft_disk soft;
	struct segment *segments = NULL;
	size_t nr_segments = 0;
	uint64_t next = 0;

	if (region_open(fd, START, SECTORS, &region, &error) < 0)
		return;
	region_read_soft(&region, &soft);
	if (region_read_table(&region, &table, NULL, NULL, &error) < 0)
		return;
	if (region_segments(&region, &table, &segments, &nr_segments, &error) == 0) {
		for (size_t i = 0; i < nr_segments; i++) {
			MUST(segments[i].start == next && segments[i].nr_sectors);
			MUST(segments[i].kind != SEGMENT_SPARE ||
			     segments[i].spare_sector + segments[i].nr_sectors <= START + SECTORS);
			next += segments[i].nr_sectors;
		}
		MUST(next == region.super.main_sectors);
	}
	free(segments);
	region_table_done(&table);
}

/* The blocks of both replicas are changed, and sealed unless the last byte is odd. */
static void fuzz_region(const uint8_t *input, size_t nr_bytes)
{
	static uint8_t *whole;
	static int fd = -1;
	size_t nr = (size_t)(START + SECTORS) * REMAP_SECTOR_BYTES;
	struct remap_geometry geometry;
	uint8_t *map;

	if (fd < 0) {
		fd = make_region();
		whole = malloc(nr);
		MUST(whole && read_all_at(fd, whole, nr, 0) == 0);
	}
	MUST(write_all_at(fd, whole, nr, 0) == 0);
	map = mmap(NULL, nr, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(map != MAP_FAILED && remap_geometry_compute(SECTORS, &geometry) == 0);
	for (unsigned int replica = 0; replica < REMAP_REPLICAS; replica++) {
		/* Each change goes to one replica, or to both. */
		uint8_t *start = map + (START + geometry.replica_sector[replica]) *
					       (size_t)REMAP_SECTOR_BYTES;
		size_t nr_replica =
			(size_t)REMAP_PLACES * geometry.place_blocks * REMAP_BLOCK_BYTES;

		if (nr_bytes && input[nr_bytes - 1] >> 1 == 1 + replica)
			continue;
		change(start, nr_replica, 4, input, nr_bytes);
		for (size_t at = 0; at + REMAP_BLOCK_BYTES <= nr_replica &&
				    (!nr_bytes || !(input[nr_bytes - 1] & 1));
		     at += REMAP_BLOCK_BYTES)
			if (!memcmp(start + at, "dmRemap", 7))
				remap_block_seal(start + at);
	}
	munmap(map, nr);
	check_region(fd);
}

/* Main's member header, its chunk 0 and the ranges in it. */
static void fuzz_member(const uint8_t *input, size_t nr_bytes)
{
	struct remap_member_disk *header = calloc(1, REMAP_MEMBER_BYTES);
	uint8_t chunk[REMAP_CHUNK_BYTES], uuid[REMAP_UUID_BYTES] = { 1 };
	const uint8_t *original;
	uint64_t offset;
	uint32_t nr;
	uint8_t sum = 0;

	MUST(header);
	memcpy(header->header.magic, REMAP_MAGIC_MEMBER, REMAP_MAGIC_BYTES);
	memcpy(header->header.uuid, uuid, sizeof(uuid));
	header->version = cpu_to_le32(REMAP_FORMAT_VERSION);
	header->main_sectors = cpu_to_le64(MAIN_SECTORS);
	change((uint8_t *)header, REMAP_MEMBER_BYTES, 1, input, nr_bytes);
	remap_member_seal(header);
	if (remap_member_check(header, NULL) == REMAP_OK) {
		MUST(foreign_text(header->label, REMAP_LABEL_BYTES).text[0] || !header->label[0]);
		guard_header_chunk0(header, chunk);
		/* All of what it says is there. */
		for (uint32_t i = 0; i < le16_to_cpu(header->nr_hidden); i++) {
			guard_header_range(header, i, &offset, &nr, &original);
			for (uint32_t k = 0; original && k < nr; k++)
				sum ^= original[k];
		}
	}
	MUST(sum || !sum);
	free(header);
}

static void fuzz_backup(const uint8_t *input, size_t nr_bytes)
{
	static uint8_t *whole;
	static size_t nr_whole;
	struct backup backup = {};
	struct error error = { "" };
	uint8_t *file;
	const char *path;
	__le32 crc;

	if (!whole) {
		struct region region;
		int fd = make_region();
		char *text;

		MUST(region_open(fd, START, SECTORS, &region, &error) == 0);
		MUST(backup_make(&region, -1, "a disk", &backup, &error) == 0);
		path = file_of("file", (const uint8_t *)"", 0);
		unlink(path);
		MUST(backup_write(&backup, path, &error) == 0);
		backup_done(&backup);
		close(fd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		MUST(read_fd(fd, 1 << 20, &text, &nr_whole) == 0);
		close(fd);
		whole = (uint8_t *)text;
	}
	/* The last byte: how much of the file is there. */
	file = malloc(nr_whole);
	MUST(file);
	memcpy(file, whole, nr_whole);
	change(file, nr_whole, 4, input, nr_bytes);
	if (nr_bytes && input[nr_bytes - 1] >= 0xf0) {
		path = file_of("file", file, nr_whole * (input[nr_bytes - 1] & 0xf) / 16);
	} else {
		crc = cpu_to_le32(remap_crc32(file + 12, nr_whole - 12));
		memcpy(file + 8, &crc, sizeof(crc));
		path = file_of("file", file, nr_whole);
	}
	if (backup_read(path, &backup, &error) == 0) {
		uint32_t nr_seen = 0;

		for (uint32_t i = 0; i < backup.nr_entries; i++) {
			MUST(remap_entry_valid(&backup.entry[i].entry, backup.super.main_sectors));
			MUST(backup.entry[i].content == BACKUP_NO_CONTENT ||
			     backup.entry[i].content == nr_seen++);
		}
		MUST(nr_seen == backup.nr_contents);
		backup_content(&backup, 10);
		backup_done(&backup);
	}
	free(file);
}

static void complain(void *userdata, const char *sentence)
{
	MUST(*sentence && !strchr(sentence, '\n'));
}

static void fuzz_config(const uint8_t *input, size_t nr_bytes)
{
	struct config config;

	config_defaults(&config);
	file_of("dm-remapd.conf", input, nr_bytes);
	config_read("/nonexistent", scratch, &config, complain, NULL);
	MUST(config.save_seconds >= 1 && config.save_seconds <= 3600);
	MUST(config.poll_seconds >= 1 && config.poll_seconds <= 3600);
	MUST(config.hook_seconds >= 1 && config.hook_seconds <= 600);
	MUST(config.thaws <= 100);
}

/* First byte: the format, and whether a disk is named. */
static void fuzz_badlist(const uint8_t *input, size_t nr_bytes)
{
	struct badlist list = { .block_bytes = 1024, .lba_bytes = 512 };
	struct error error = { "" };
	char *text, *out = NULL;
	size_t nr_out = 0;
	FILE *to;

	if (!nr_bytes)
		return;
	list.format = input[0] % (BADLIST_MDADM + 1);
	list.disk = input[0] & 0x80 ? "sda" : NULL;
	text = text_of(input + 1, nr_bytes - 1);
	if (badlist_parse(text, &list, &error) == 0) {
		uint64_t end = 0;

		for (size_t i = 0; i < list.nr_ranges; i++) {
			MUST(list.range[i].nr_sectors && (!i || list.range[i].sector > end));
			end = list.range[i].sector + list.range[i].nr_sectors;
			MUST(end > list.range[i].sector);
		}
		to = open_memstream(&out, &nr_out);
		MUST(to);
		if (list.nr_ranges && list.nr_sectors < 100000)
			badlist_write(to, &list, BADLIST_DDRESCUE, 0, end);
		fclose(to);
		free(out);
	} else {
		MUST(error.text[0]);
	}
	badlist_done(&list);
	free(text);
}

static void fuzz_status(const uint8_t *input, size_t nr_bytes)
{
	char *text = text_of(input, nr_bytes), *params;
	struct remap_status status;
	struct remap_line line, again;
	struct dm_segment segment;
	char back[2048];

	if (remap_status_parse(text, &status) == 0)
		MUST(strlen(status.mode) < sizeof(status.mode));
	if (remap_line_parse(text, &line) == 0) {
		MUST(remap_line_format(&line, back, sizeof(back)) >= 0);
		MUST(remap_line_parse(back, &again) == 0 && !strcmp(line.main, again.main) &&
		     !strcmp(line.spare, again.spare) && line.spare_start == again.spare_start);
	}
	params = strchr(text, ' ');
	if (params) {
		*params++ = 0;
		memset(&segment, 0, sizeof(segment));
		dm_segment_parse(&segment, text, params);
	}
	free(text);
}

static void fuzz_event(const uint8_t *input, size_t nr_bytes)
{
	struct remap_event event;
	char text[512];
	/* As aligned as what a socket gives. */
	uint8_t *attrs = malloc(nr_bytes + 1);

	MUST(attrs);
	memcpy(attrs, input, nr_bytes);
	if (event_decode(attrs, nr_bytes, &event) == 0) {
		event_describe(&event, text, sizeof(text));
		MUST(strlen(text) < sizeof(text) && event_kind_name(event.kind));
		for (const char *c = text; *c; c++)
			MUST(!foreign_is_control((unsigned char)*c) || (unsigned char)*c >= 0x80);
	}
	free(attrs);
}

static void fuzz_smart(const uint8_t *input, size_t nr_bytes)
{
	struct smart_point point;
	char *text = text_of(input, nr_bytes);

	smart_parse(text, nr_bytes, 1700000000, &point);
	free(text);
}

/* The files in the state directory; a power cut may leave anything of them. */
static void fuzz_state(const uint8_t *input, size_t nr_bytes)
{
	struct records records = {};
	struct scrub_state scrub = {};
	struct sector_ranges ranges = {};
	char *text = text_of(input, nr_bytes), line[RECORD_LINE_BYTES];
	uint64_t point[RECORD_FIELDS_MAX] = { 0 }, again[RECORD_FIELDS_MAX];
	size_t nr;

	/* What was written is read back. */
	memcpy(point, input, nr_bytes < sizeof(point) ? nr_bytes : sizeof(point));
	nr = record_format(&history_kind, point, line);
	MUST(nr < sizeof(line));
	if (record_parse(&history_kind, line, nr, again))
		MUST(!memcmp(point, again, history_kind.nr_fields * sizeof(*point)));

	if (records_read_text(&history_kind, text, nr_bytes, 1700000000, &records) == 0)
		MUST(records.nr <= RECORDS_MAX);
	records_done(&records);
	if (scrub_state_parse(text, nr_bytes, &scrub) == 0)
		MUST(scrub_permille(&scrub) <= 1000);
	scrub_state_done(&scrub);
	if (sector_ranges_parse(text, MAIN_SECTORS, &ranges) == 0)
		MUST(sector_ranges_count(&ranges) <= MAIN_SECTORS);
	sector_ranges_done(&ranges);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t nr_bytes)
{
	/* All but one are for the other programs. */
	(void)fuzz_region, (void)fuzz_member, (void)fuzz_backup, (void)fuzz_config;
	(void)fuzz_badlist, (void)fuzz_status, (void)fuzz_event, (void)fuzz_smart;
	(void)fuzz_state;
	CAT(fuzz_, TARGET)(input, nr_bytes);
	return 0;
}
