// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <zlib.h>

#include "format/backup.h"
#include "health/records.h"

#define FILE_BYTES_MAX (8 << 20)
#define DAY_SECONDS 86400
/* A clock that was not set says 1970, or when the system was built. */
#define FIRST_TIME 1577836800
#define LATE_SECONDS 3600

void records_done(struct records *records)
{
	free(records->at);
	*records = (struct records){ NULL, 0 };
}

size_t record_format(const struct record_kind *kind, const uint64_t *point,
		     char line[RECORD_LINE_BYTES])
{
	size_t length = (size_t)snprintf(line, RECORD_LINE_BYTES, "%s", kind->magic);
	uLong sum;

	for (size_t i = 0; i < kind->nr_fields; i++)
		length += (size_t)snprintf(line + length, RECORD_LINE_BYTES - length, " %" PRIu64,
					   point[i]);
	sum = crc32(0, (const Bytef *)line, (uInt)length);
	length += (size_t)snprintf(line + length, RECORD_LINE_BYTES - length, " %08lx\n", sum);
	return length;
}

bool record_parse(const struct record_kind *kind, const char *line, size_t nr_bytes,
		  uint64_t *point)
{
	char text[RECORD_LINE_BYTES], again[RECORD_LINE_BYTES];
	char *save = NULL, *word;

	if (nr_bytes >= sizeof(text) || memchr(line, '\0', nr_bytes))
		return false;
	memcpy(text, line, nr_bytes);
	text[nr_bytes] = '\0';
	word = strtok_r(text, " ", &save);
	if (!word || !streq(word, kind->magic))
		return false;
	for (size_t i = 0; i < kind->nr_fields; i++) {
		word = strtok_r(NULL, " ", &save);
		if (!word || parse_u64(word, &point[i]) < 0)
			return false;
	}
	/* it is written in one way: what differs in any byte is damaged */
	if (record_format(kind, point, again) != nr_bytes + 1 || memcmp(again, line, nr_bytes))
		return false;
	return !kind->is_valid || kind->is_valid(point);
}

static int compare_times(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

int records_read_text(const struct record_kind *kind, const char *text, size_t nr_bytes,
		      uint64_t now, struct records *records)
{
	const char *end = text + nr_bytes, *line = text, *newline;
	size_t nr_lines = 0;

	*records = (struct records){ NULL, 0 };
	for (size_t i = 0; i < nr_bytes; i++)
		nr_lines += text[i] == '\n';
	records->at = calloc(nr_lines + 1, kind->nr_fields * sizeof(uint64_t));
	if (!records->at)
		return -ENOMEM;
	for (; line < end && (newline = memchr(line, '\n', (size_t)(end - line)));
	     line = newline + 1) {
		uint64_t *point = records->at + records->nr * kind->nr_fields;

		if (record_parse(kind, line, (size_t)(newline - line), point) &&
		    *point >= FIRST_TIME && *point <= now + LATE_SECONDS)
			records->nr++;
	}
	qsort(records->at, records->nr, kind->nr_fields * sizeof(uint64_t), compare_times);
	return 0;
}

/* Two points of one period: the later one is left. */
static bool are_in_one_period(uint64_t at, uint64_t next, uint64_t now)
{
	uint64_t age = now > at ? now - at : 0;
	uint64_t period = age <= 2 * DAY_SECONDS ? 0 : age <= 60 * DAY_SECONDS ? 3600 : DAY_SECONDS;

	return period && at / period == next / period;
}

void records_thin(const struct record_kind *kind, struct records *records, uint64_t now)
{
	size_t nr_bytes = kind->nr_fields * sizeof(uint64_t), kept = 0;

	for (size_t i = 0; i < records->nr; i++) {
		const uint64_t *point = records->at + i * kind->nr_fields;

		if (i + 1 == records->nr ||
		    !are_in_one_period(point[0], point[kind->nr_fields], now))
			memmove(records->at + kept++ * kind->nr_fields, point, nr_bytes);
	}
	if (kept > RECORDS_KEPT) {
		memmove(records->at, records->at + (kept - RECORDS_KEPT) * kind->nr_fields,
			RECORDS_KEPT * nr_bytes);
		kept = RECORDS_KEPT;
	}
	records->nr = kept;
}

int records_path(const struct record_kind *kind, const char *key, char *path, size_t nr_bytes)
{
	int n = snprintf(path, nr_bytes, "%s/%s.%s", state_directory(), key, kind->suffix);

	return n < 0 || (size_t)n >= nr_bytes || strchr(key, '/') ? -EINVAL : 0;
}

int records_load(const struct record_kind *kind, const char *key, uint64_t now,
		 struct records *records, struct error *error)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t nr_bytes;
	int r = records_path(kind, key, path, sizeof(path));

	*records = (struct records){ NULL, 0 };
	if (!r)
		r = read_regular_file(path, FILE_BYTES_MAX, &text, &nr_bytes);
	if (r == -ENOENT)
		return 0;
	if (!r)
		r = records_read_text(kind, text, nr_bytes, now, records);
	return r < 0 ? error_set(error, -r, "%s: cannot read it: %s", path, strerror(-r)) : 0;
}

/* As a whole: the first point, and what is left of many. */
static int write_points(const struct record_kind *kind, const char *path,
			const struct records *records)
{
	_cleanup_free_ char *text = malloc(records->nr * RECORD_LINE_BYTES + 1);
	size_t nr_bytes = 0;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < records->nr; i++)
		nr_bytes += record_format(kind, records->at + i * kind->nr_fields, text + nr_bytes);
	return write_file_atomic(path, text, nr_bytes, 0600);
}

/* Behind what a power cut tore: that is a line of its own then, which no reader takes. */
static int append_line(const struct record_kind *kind, int fd, const uint64_t *point)
{
	char text[1 + RECORD_LINE_BYTES], last = '\n';
	off_t size = lseek(fd, 0, SEEK_END);
	size_t nr_bytes;
	int r = 0;

	if (size > 0)
		r = read_all_at(fd, &last, 1, size - 1);
	if (size < 0 || r < 0)
		return size < 0 ? -errno : r;
	text[0] = '\n';
	nr_bytes = record_format(kind, point, text + 1);
	r = last == '\n' ? write_all_at(fd, text + 1, nr_bytes, size) :
			   write_all_at(fd, text, nr_bytes + 1, size);
	if (!r && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int append_to(const struct record_kind *kind, const char *path, const uint64_t *point)
{
	_cleanup_close_ int fd =
		open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	_cleanup_records_ struct records records = { NULL, 0 };
	_cleanup_free_ char *text = NULL;
	size_t nr_bytes = 0, nr_lines = 0;
	struct stat st;
	int r;

	if (fd < 0 && errno != ENOENT)
		return -errno;
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
		return -EINVAL;
	if (fd >= 0) {
		r = read_fd(fd, FILE_BYTES_MAX, &text, &nr_bytes);
		if (r < 0 && r != -EFBIG)
			return r;
		if (r == -EFBIG) /* no file of ours grows so: it begins anew */
			nr_lines = RECORDS_MAX;
	}
	for (size_t i = 0; i < nr_bytes; i++)
		nr_lines += text[i] == '\n';
	if (fd >= 0 && nr_lines < RECORDS_MAX)
		return append_line(kind, fd, point);
	r = records_read_text(kind, text ? text : "", nr_bytes, *point, &records);
	if (r < 0)
		return r;
	memcpy(records.at + records.nr++ * kind->nr_fields, point,
	       kind->nr_fields * sizeof(uint64_t));
	records_thin(kind, &records, *point);
	return write_points(kind, path, &records);
}

int records_append(const struct record_kind *kind, const char *key, const uint64_t *point,
		   struct error *error)
{
	_cleanup_close_ int lock = -1;
	char path[PATH_MAX];
	int r = records_path(kind, key, path, sizeof(path));

	if (r < 0)
		return error_set(error, -r, "\"%s\": not a valid file name", key);
	if (mkdir(state_directory(), 0700) < 0 && errno != EEXIST)
		return error_set(error, errno, "%s: cannot create it: %s", state_directory(),
				 strerror(errno));
	/* the file is replaced when it is thinned out: the lock is the directory's */
	lock = backup_lock(path);
	r = lock < 0 ? -errno : append_to(kind, path, point);
	return r < 0 ? error_set(error, -r, "%s: cannot write it: %s", path, strerror(-r)) : 0;
}
