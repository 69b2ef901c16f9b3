// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "set/ask.h"
#include "set/asking.h"
#include "set/handle.h"
#include "set/look.h"
#include "set/mark.h"
#include "set/scan.h"

/* A disk that sleeps wakes up in less. */
#define ANSWER_MS 10000

/**
 * struct question - what is looked at
 * @path: the disk
 * @main_path: of a spare, its main
 */
struct question {
	char path[256];
	char main_path[256];
};

/**
 * struct mark_answer - where the mark is
 * @r: of mark_find()
 * @uuid: of the set
 * @chunk: of main
 */
struct mark_answer {
	int r;
	uint8_t uuid[REMAP_UUID_BYTES];
	uint64_t chunk;
};

static int ask_one(ask_f f, const char *path, const char *main_path, void *answer,
		   size_t answer_bytes, struct error *error)
{
	struct member silent = { .devno = device_number(path) };
	struct question question = { .main_path = "" };
	bool answered;
	struct questions questions = { .f = f,
				       .nr = 1,
				       .requests = &question,
				       .request_bytes = sizeof(question),
				       .answers = answer,
				       .answer_bytes = answer_bytes,
				       .answered = &answered,
				       .device = &silent.devno };
	int r;

	snprintf(question.path, sizeof(question.path), "%s", path);
	if (main_path)
		snprintf(question.main_path, sizeof(question.main_path), "%s", main_path);
	snprintf(silent.path, sizeof(silent.path), "%s", path);
	if (strlen(path) >= sizeof(question.path))
		return error_set(error, ENAMETOOLONG, "%.64s...: the path is too long", path);
	r = ask_disks(&questions, ANSWER_MS);
	if (r < 0)
		return error_set(error, -r, "%s: cannot look at it: %s", path, strerror(-r));
	if (answered)
		return 0;
	silent.silent_since = asking_since(silent.devno).wall;
	return error_set(error, ETIMEDOUT, "%s", silent_text(&silent).text);
}

static void answer_spare(const void *request, void *answer)
{
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;
	const struct question *question = request;
	struct spare_look *look = answer;
	uint64_t nr_bytes;

	handle.spare_fd = open_direct(question->path, O_RDONLY);
	if (handle.spare_fd < 0 || device_bytes(handle.spare_fd, &nr_bytes) < 0 ||
	    region_open(handle.spare_fd, 0, nr_bytes / REMAP_SECTOR_BYTES, &handle.region, NULL) <
		    0)
		return;
	look->is_set = true;
	memcpy(look->host_id, handle.region.super.host_id, sizeof(look->host_id));
	if (region_read_table(&handle.region, &handle.table, NULL, NULL, NULL) < 0)
		return;
	look->is_whole = !handle.table.nr_unloadable && !handle.table.nr_contradictions;
	look->has_guard = handle_has_guard(&handle);
}

int look_at_spare(const char *path, struct spare_look *look, struct error *error)
{
	memset(look, 0, sizeof(*look));
	return ask_one(answer_spare, path, NULL, look, sizeof(*look), error);
}

static void answer_age(const void *request, void *answer)
{
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;
	const struct question *question = request;

	/* not one byte: that is how a child says that it is alive */
	*(int *)answer = handle_open(question->main_path, question->path, O_RDONLY, &handle, NULL);
}

bool look_is_outdated(const char *main_path, const char *spare_path)
{
	int r = 0;

	return ask_one(answer_age, spare_path, main_path, &r, sizeof(r), NULL) == 0 && r == -ESTALE;
}

static void answer_mark(const void *request, void *answer)
{
	const struct question *question = request;
	struct mark_answer *found = answer;
	_cleanup_close_ int fd = open_direct(question->path, O_RDONLY);
	uint64_t nr_bytes;

	found->r = fd < 0 ? fd : device_bytes(fd, &nr_bytes);
	if (!found->r)
		found->r = mark_find(fd, nr_bytes / REMAP_SECTOR_BYTES, found->uuid, true,
				     &found->chunk);
}

int look_for_mark(const char *path, uint8_t uuid[REMAP_UUID_BYTES], uint64_t *chunk,
		  struct error *error)
{
	struct mark_answer found;
	int r = ask_one(answer_mark, path, NULL, &found, sizeof(found), error);

	if (r < 0)
		return r;
	if (found.r < 0)
		return error_set(error, -found.r, "%s: no mark of a set is found on it", path);
	memcpy(uuid, found.uuid, sizeof(found.uuid));
	*chunk = found.chunk;
	return 0;
}

/*
 * Anywhere: where a sector is bad a dying disk takes its time, and it is elsewhere when the
 * command is repeated.
 */
static void answer_anything(const void *request, void *answer)
{
	_cleanup_free_ uint8_t *data = aligned_bytes(REMAP_BLOCK_BYTES);
	const struct question *question = request;
	_cleanup_close_ int fd = open_direct(question->path, O_RDONLY);
	struct timespec now;
	uint64_t nr_bytes;

	(void)answer;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (fd < 0 || !data || device_bytes(fd, &nr_bytes) < 0 || nr_bytes < REMAP_BLOCK_BYTES)
		return;
	nr_bytes = (uint64_t)now.tv_nsec * 4099 % (nr_bytes / REMAP_BLOCK_BYTES);
	if (read_all_at(fd, data, REMAP_BLOCK_BYTES, (off_t)(nr_bytes * REMAP_BLOCK_BYTES)) < 0)
		return; /* that it cannot be read is an answer */
}

int look_answers(const char *path, struct error *error)
{
	int nothing;

	return device_number(path) ?
		       ask_one(answer_anything, path, NULL, &nothing, sizeof(nothing), error) :
		       0;
}
