// SPDX-License-Identifier: GPL-2.0-or-later
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "files/debugfs.h"
#include "remap_format.h"
#include "util/limited.h"

#define SUPER_OFFSET 1024
#define SUPER_LOG_BLOCK 24
#define SUPER_MAGIC 56
#define EXT_MAGIC 0xef53
#define NUMBER_BYTES 22
#define ROOT_INODE 2

/* Inodes that the file system keeps for itself. */
static const char *const own_inodes[] = {
	NULL,
	"known as defective",
	NULL, /* the root directory */
	"quota",
	"quota",
	"boot loader",
	"undeletable files",
	"reserved group descriptors",
	"journal",
};

bool debugfs_line(const char **at, uint64_t *number, const char **rest, size_t *nr_rest)
{
	while (**at) {
		const char *line = *at, *tab;
		size_t length = strcspn(line, "\n");
		char text[NUMBER_BYTES];

		*at += length + (line[length] == '\n');
		tab = memchr(line, '\t', length);
		if (!tab || tab == line || (size_t)(tab - line) >= sizeof(text))
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)(tab - line), line);
		if (parse_u64(text, number) < 0)
			continue;
		*rest = tab + 1;
		*nr_rest = length - (size_t)(tab + 1 - line);
		return true;
	}
	return false;
}

static int block_sectors(const char *device, uint64_t *nr_sectors)
{
	_cleanup_close_ int fd = open(device, O_RDONLY | O_CLOEXEC);
	uint8_t super[SUPER_MAGIC + 2];
	uint32_t shift;
	uint16_t magic;
	int r = fd < 0 ? -errno : read_all_at(fd, super, sizeof(super), SUPER_OFFSET);

	if (r < 0)
		return r;
	memcpy(&shift, super + SUPER_LOG_BLOCK, sizeof(shift));
	memcpy(&magic, super + SUPER_MAGIC, sizeof(magic));
	shift = le32toh(shift);
	if (le16toh(magic) != EXT_MAGIC || shift > 6)
		return -EIO;
	*nr_sectors = 2ULL << shift;
	return 0;
}

static int run_debugfs(const char *device, const char *request, char **text)
{
	const char *argv[] = { "debugfs", "-R", request, device, NULL };
	size_t nr_bytes;
	int code, r = limited_run(argv, DEBUGFS_SECONDS, -1, text, &nr_bytes, &code);

	return !r && code ? (code == 127 ? -ENOENT : -EIO) : r;
}

/**
 * struct owned - a block and its inode
 * @block: number
 * @inode: 0: no inode has it
 */
struct owned {
	uint64_t block;
	uint64_t inode;
};

/* "icheck 1 2 3" of @nr blocks. */
static char *make_request(const char *verb, const uint64_t *number, size_t nr)
{
	char *request = malloc(32 + nr * NUMBER_BYTES);
	size_t length;

	if (!request)
		return NULL;
	length = (size_t)sprintf(request, "%s", verb);
	for (size_t i = 0; i < nr; i++)
		length += (size_t)sprintf(request + length, " %" PRIu64, number[i]);
	return request;
}

static int find_inodes(const char *device, const uint64_t *block, size_t nr, struct owned *owned,
		       size_t *nr_owned)
{
	_cleanup_free_ char *request = make_request("icheck", block, nr), *text = NULL;
	const char *at, *rest;
	uint64_t number;
	size_t nr_rest;
	int r = request ? run_debugfs(device, request, &text) : -ENOMEM;

	*nr_owned = 0;
	for (at = text; !r && *nr_owned < nr && debugfs_line(&at, &number, &rest, &nr_rest);) {
		owned[*nr_owned].block = number;
		owned[*nr_owned].inode = strtoull(rest, NULL, 10);
		(*nr_owned)++;
	}
	return r;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

/* Of each inode once; @text, which the caller frees, has the names. */
static int find_names(const char *device, const struct owned *owned, size_t nr, char **text)
{
	_cleanup_free_ uint64_t *inode = calloc(nr + 1, sizeof(*inode));
	_cleanup_free_ char *request = NULL;
	size_t nr_inodes = 0, nr_once = 0;

	if (!inode)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		if (owned[i].inode)
			inode[nr_inodes++] = owned[i].inode;
	qsort(inode, nr_inodes, sizeof(*inode), compare_numbers);
	for (size_t i = 0; i < nr_inodes; i++)
		if (!i || inode[i] != inode[i - 1])
			inode[nr_once++] = inode[i];
	*text = NULL;
	if (!nr_once)
		return 0;
	request = make_request("ncheck", inode, nr_once);
	return request ? run_debugfs(device, request, text) : -ENOMEM;
}

/* 'stat "/a ""name"""', as debugfs reads a path. */
static char *stat_request(const char *path, size_t length)
{
	char *request = malloc(2 * length + 16), *to = request;

	if (!request)
		return NULL;
	to = stpcpy(to, "stat \"");
	for (size_t i = 0; i < length; i++) {
		if (path[i] == '"')
			*to++ = '"';
		*to++ = path[i];
	}
	strcpy(to, "\"");
	return request;
}

/* Names are printed raw, and a part of one may look like the line of another inode. */
static bool is_name_of(const char *device, const char *path, size_t length, uint64_t inode)
{
	_cleanup_free_ char *request = stat_request(path, length), *text = NULL;
	uint64_t number;

	return request && run_debugfs(device, request, &text) == 0 &&
	       sscanf(text, "Inode: %" SCNu64, &number) == 1 && number == inode;
}

/* The caller frees; NULL: none. */
static char *name_of(const char *device, const char *names, uint64_t inode)
{
	const char *rest;
	uint64_t number;
	size_t nr_rest;

	while (names && debugfs_line(&names, &number, &rest, &nr_rest)) {
		/* "<12>" is a name to debugfs, too: of whichever inode has that number */
		if (number != inode || *rest != '/')
			continue;
		if (nr_rest > 1 && rest[1] == '/') { /* it says "//name" in the root directory */
			rest++;
			nr_rest--;
		}
		if (is_name_of(device, rest, nr_rest, inode))
			return strndup(rest, nr_rest);
	}
	return NULL;
}

static void describe(struct hit *hit, const struct owned *owned, bool is_free)
{
	uint64_t inode = owned->inode;

	hit->inode = inode;
	if (!inode) {
		hit->kind = is_free ? HIT_FREE : HIT_METADATA;
	} else if (inode < ARRAY_SIZE(own_inodes) && own_inodes[inode]) {
		hit->kind = HIT_METADATA;
		snprintf(hit->what, sizeof(hit->what), "%s", own_inodes[inode]);
	} else if (inode == ROOT_INODE) {
		hit->kind = HIT_DIRECTORY;
		if (!hit->path)
			hit->path = strdup("/");
	} else {
		hit->kind = hit->path ? HIT_FILE : HIT_INODE;
	}
}

/* "Block 123 not in use" of testb; false: it is in use, or that is not known. */
static bool is_block_free(const char *device, uint64_t block)
{
	_cleanup_free_ char *text = NULL;
	char request[48];

	snprintf(request, sizeof(request), "testb %" PRIu64, block);
	return run_debugfs(device, request, &text) == 0 && strstr(text, "not in use");
}

/* Blocks of no inode that are tested, so that not every one of a large free area is. */
#define TESTED_MAX 32

/**
 * struct sorting - runs being sorted
 * @device: path
 * @is_mounted: it may change meanwhile
 * @owned: by block
 * @nr_owned: how many
 * @names: as ncheck printed them
 * @named: the inode that was looked up last
 * @name: of it; NULL: none
 * @nr_tested: blocks of no inode
 * @left: of the runs
 * @hits: what is known
 */
struct sorting {
	const char *device;
	bool is_mounted;
	const struct owned *owned;
	size_t nr_owned;
	const char *names;
	uint64_t named;
	char *name;
	unsigned int nr_tested;
	struct runs left;
	struct hits *hits;
};

static int compare_blocks(const void *a, const void *b)
{
	const struct owned *one = a, *other = b;

	return one->block < other->block ? -1 : one->block > other->block;
}

/* A part of a run that lies in one block. */
static int sort_part(struct sorting *sorting, uint64_t block, const struct run *part)
{
	const struct owned key = { .block = block };
	const struct owned *owned = sorting->nr_owned ?
					    bsearch(&key, sorting->owned, sorting->nr_owned,
						    sizeof(key), compare_blocks) :
					    NULL;
	struct hit hit = { .sector = part->of_set,
			   .nr_sectors = part->nr,
			   .offset = HIT_OFFSET_UNKNOWN };
	bool is_free = false;
	int r;

	if (owned && !owned->inode && sorting->nr_tested++ < TESTED_MAX)
		is_free = is_block_free(sorting->device, block);
	/* of one that is mounted it may be of a file that was deleted and is still open */
	if (!owned ||
	    (!owned->inode && !is_free && (sorting->is_mounted || sorting->nr_tested > TESTED_MAX)))
		return runs_add(&sorting->left, part->at, part->nr, part->of_set);
	if (owned->inode != sorting->named) { /* that of one file follow each other */
		free(sorting->name);
		sorting->named = owned->inode;
		sorting->name = name_of(sorting->device, sorting->names, owned->inode);
	}
	hit.path = sorting->name ? strdup(sorting->name) : NULL;
	describe(&hit, owned, is_free);
	snprintf(hit.device, sizeof(hit.device), "%.31s", sorting->device);
	r = hits_add(sorting->hits, &hit);
	free(hit.path);
	return r;
}

static int sort_run(struct sorting *sorting, const struct run *run, uint64_t sectors)
{
	uint64_t end = run->at + run->nr;
	int r = 0;

	for (uint64_t at = run->at; !r && at < end;) {
		uint64_t behind = (at / sectors + 1) * sectors;
		struct run part = { at, (behind < end ? behind : end) - at,
				    run->of_set + (at - run->at) };

		r = sort_part(sorting, at / sectors, &part);
		at += part.nr;
	}
	return r;
}

/* The blocks that @runs touch, each once, at most DEBUGFS_BLOCKS_MAX; the caller frees. */
static uint64_t *list_blocks(const struct runs *runs, uint64_t sectors, size_t *nr)
{
	uint64_t *block = calloc(DEBUGFS_BLOCKS_MAX, sizeof(*block));

	*nr = 0;
	for (size_t i = 0; block && i < runs->nr; i++) {
		uint64_t last = (runs->at[i].at + runs->at[i].nr - 1) / sectors;

		for (uint64_t at = runs->at[i].at / sectors; at <= last && *nr < DEBUGFS_BLOCKS_MAX;
		     at++)
			if (!*nr || block[*nr - 1] != at)
				block[(*nr)++] = at;
	}
	return block;
}

int debugfs_sort(const char *device, bool is_mounted, struct runs *runs, struct hits *hits)
{
	_cleanup_free_ uint64_t *block = NULL;
	_cleanup_free_ struct owned *owned = NULL;
	_cleanup_free_ char *names = NULL;
	size_t nr_blocks, nr_owned = 0;
	struct sorting sorting;
	uint64_t sectors;
	int r = block_sectors(device, &sectors);

	if (r < 0)
		return r;
	block = list_blocks(runs, sectors, &nr_blocks);
	owned = calloc(DEBUGFS_BLOCKS_MAX, sizeof(*owned));
	if (!block || !owned)
		return -ENOMEM;
	r = find_inodes(device, block, nr_blocks, owned, &nr_owned);
	if (!r)
		r = find_names(device, owned, nr_owned, &names);
	sorting = (struct sorting){ .device = device,
				    .is_mounted = is_mounted,
				    .owned = owned,
				    .nr_owned = nr_owned,
				    .names = names,
				    .hits = hits };
	if (!r)
		qsort(owned, nr_owned, sizeof(*owned), compare_blocks);
	for (size_t i = 0; !r && i < runs->nr; i++)
		r = sort_run(&sorting, &runs->at[i], sectors);
	free(sorting.name);
	if (r < 0) {
		runs_done(&sorting.left);
		return r;
	}
	free(runs->at);
	*runs = sorting.left;
	return 0;
}
