// SPDX-License-Identifier: GPL-2.0-or-later
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "files/btrfs.h"
#include "files/debugfs.h"
#include "files/files.h"
#include "files/fsmap.h"
#include "files/mounts.h"
#include "files/stack.h"
#include "files/walk.h"
#include "set/scan.h"

/**
 * struct search - a search
 * @hits: what is found
 * @mounts: text of mountinfo
 * @progress: of walks
 * @deadline: of walks, see walk.h
 * @by_mounts: see files.h
 */
struct search {
	struct hits *hits;
	char *mounts;
	struct progress *progress;
	time_t deadline;
	bool by_mounts;
};

static int add_rest(struct search *search, const char *path, const struct runs *runs,
		    enum hit_kind kind, const char *what)
{
	struct hit hit = { .kind = kind };

	snprintf(hit.device, sizeof(hit.device), "%.31s", path);
	snprintf(hit.what, sizeof(hit.what), "%s", what);
	return hits_add_runs(search->hits, runs, &hit);
}

/* By libblkid, with its text; empty: it knows none, or cannot read it. */
static void find_type(const char *path, char *type, size_t nr_bytes)
{
	blkid_probe probe = blkid_new_probe_from_filename(path);
	const char *value;

	*type = '\0';
	if (!probe)
		return;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
	if (blkid_do_safeprobe(probe) == 0 &&
	    blkid_probe_lookup_value(probe, "TYPE", &value, NULL) == 0)
		snprintf(type, nr_bytes, "%s", value);
	blkid_free_probe(probe);
}

static bool is_ext(const char *type)
{
	return streq(type, "ext2") || streq(type, "ext3") || streq(type, "ext4");
}

/* What can be told by debugfs goes from @runs; else a note says why not. */
static int ask_debugfs(struct search *search, const char *path, bool is_mounted, struct runs *runs)
{
	int r = runs->nr && !search->by_mounts ?
			debugfs_sort(path, is_mounted, runs, search->hits) :
			0;

	if (r == -ENOENT)
		hits_note(search->hits,
			  "%s: more can be told where debugfs is installed (package e2fsprogs)",
			  path);
	else if (r < 0 && r != -ENOMEM)
		hits_note(search->hits, "%s: debugfs failed: %s", path, strerror(-r));
	return r == -ENOMEM ? r : 0;
}

static bool is_swap(dev_t devno)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL, *line;

	if (read_file("/proc/swaps", &text, NULL) < 0)
		return false;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, " \t")] = '\0';
		if (*line == '/' && device_number(line) == devno)
			return true;
	}
	return false;
}

static int search_unmounted(struct search *search, dev_t devno, const char *path, struct runs *runs)
{
	char type[32], what[96];
	int r = 0;

	if (is_swap(devno))
		return add_rest(search, path, runs, HIT_SWAP, "swap");
	if (search->by_mounts)
		return add_rest(search, path, runs, HIT_NOT_MOUNTED, "");
	find_type(path, type, sizeof(type));
	if (is_ext(type))
		r = ask_debugfs(search, path, false, runs);
	if (!*type)
		snprintf(what, sizeof(what), "no file system that is known");
	else
		snprintf(what, sizeof(what), "%.32s, not mounted here", type);
	return r ?: add_rest(search, path, runs, HIT_NOT_MOUNTED, what);
}

/* Names for @runs and @owners; what has none stays in @runs. */
static int walk(struct search *search, const struct mount *mount, const char *path,
		struct runs *runs, struct owners *owners)
{
	struct walk walk = { .runs = runs,
			     .owners = owners->at,
			     .nr_owners = owners->nr,
			     .hits = search->hits,
			     .device = path,
			     .progress = search->progress,
			     .deadline = search->deadline };
	_cleanup_runs_ struct runs left = { NULL, 0, 0 };
	int r = walk_mounted(&walk, mount->place);

	if (r == -ETIMEDOUT)
		hits_note(search->hits, "%s: not all files were looked at in the time",
			  mount->place);
	else if (r < 0 && r != -ENOMEM)
		hits_note(search->hits, "%s: its files cannot be looked at: %s", mount->place,
			  r == -EOPNOTSUPP ? "its file system does not say where they lie" :
					     strerror(-r));
	if (r == -ENOMEM) {
		runs_done(&walk.found);
		return r;
	}
	r = runs_sort(&walk.found);
	if (!r)
		r = runs_subtract(runs, &walk.found, &left);
	runs_done(&walk.found);
	runs_done(runs);
	*runs = left;
	left = (struct runs){ NULL, 0, 0 };
	return r;
}

static int add_nameless(struct search *search, const char *path, const struct owners *owners)
{
	int r = 0;

	for (size_t i = 0; !r && i < owners->nr; i++) {
		const struct owner *owner = &owners->at[i];
		struct hit hit = { .sector = owner->sector,
				   .nr_sectors = owner->nr_sectors,
				   .kind = HIT_INODE,
				   .inode = owner->inode,
				   .offset = owner->offset };

		if (owner->is_named)
			continue;
		snprintf(hit.what, sizeof(hit.what), "%s", owner->what);
		snprintf(hit.device, sizeof(hit.device), "%.31s", path);
		r = hits_add(search->hits, &hit);
	}
	return r;
}

static int search_mounted(struct search *search, const struct mount *mount, dev_t devno,
			  const char *path, struct runs *runs)
{
	_cleanup_close_ int fd = open(mount->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(owners_done) struct owners owners = { NULL, 0, 0 };
	bool is_mapped;
	char what[96];
	int r;

	if (fd < 0) {
		hits_note(search->hits, "%s: cannot open it: %s", mount->place, strerror(errno));
		return add_rest(search, path, runs, HIT_UNKNOWN, "");
	}
	if (!streq(mount->root, "/"))
		hits_note(search->hits,
			  "%s: only %s of it is mounted here: names of the rest are "
			  "not known",
			  path, mount->root);
	r = fsmap_sort(fd, devno, path, runs, search->hits, &owners);
	is_mapped = !r;
	if (r < 0 && r != -EOPNOTSUPP && r != -ENOMEM) {
		hits_note(search->hits, "%s: it cannot tell what its blocks are: %s", mount->place,
			  strerror(-r));
		r = 0;
	}
	if (r == -ENOMEM)
		return r;
	r = runs->nr || owners.nr ? walk(search, mount, path, runs, &owners) : 0;
	if (!r)
		r = add_nameless(search, path, &owners);
	if (!r && is_ext(mount->type))
		r = ask_debugfs(search, path, true, runs);
	snprintf(what, sizeof(what), "%.32s: %sin use by the file system, or by no name",
		 mount->type, is_mapped ? "" : "free, or ");
	return r ?: add_rest(search, path, runs, HIT_UNKNOWN, what);
}

/* A btrfs has a number of its own, and may have several devices: each is asked for this one. */
static int find_btrfs(const struct search *search, dev_t devno, struct mount *mount, uint64_t *id)
{
	const char *at = search->mounts;

	while (mounts_next(&at, mount))
		if (streq(mount->type, "btrfs") && btrfs_has_device(mount, devno, id))
			return 0;
	return -ENOENT;
}

static int search_btrfs(struct search *search, const struct mount *mount, uint64_t id,
			const char *path, struct runs *runs)
{
	int r = btrfs_sort(mount, id, path, runs, search->hits);

	if (r < 0 && r != -ENOMEM) {
		hits_note(search->hits, "%s: btrfs cannot tell what its blocks are: %s",
			  mount->place, strerror(-r));
		r = 0;
	}
	return r     ?:
		       add_rest(search, path, runs, HIT_UNKNOWN,
				"btrfs: striped over devices, or not known");
}

static int search_leaf(void *userdata, dev_t devno, const char *path, struct runs *runs)
{
	struct search *search = userdata;
	struct mount *mount = calloc(1, sizeof(*mount));
	uint64_t id;
	int r = mount ? mounts_find(search->mounts, devno, mount) : -ENOMEM;

	if (!r)
		r = search_mounted(search, mount, devno, path, runs);
	else if (r == -ENOENT && find_btrfs(search, devno, mount, &id) == 0)
		r = search_btrfs(search, mount, id, path, runs);
	else if (r == -ENOENT)
		r = search_unmounted(search, devno, path, runs);
	free(mount);
	return r;
}

int files_find(struct files_request *request, struct hits *hits, struct error *error)
{
	struct search search = { .hits = hits,
				 .progress = request->progress,
				 .by_mounts = request->by_mounts };
	struct timespec now;
	int r = read_file("/proc/self/mountinfo", &search.mounts, NULL);

	if (r < 0)
		return error_set(error, -r, "/proc/self/mountinfo: cannot read it: %s",
				 strerror(-r));
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (request->seconds)
		search.deadline = now.tv_sec + request->seconds;
	r = runs_sort(&request->runs);
	if (!r)
		r = stack_resolve(request->devno, &request->runs, hits, search_leaf, &search);
	free(search.mounts);
	hits_sort(hits);
	return r < 0 ? error_set(error, -r, "cannot find what the sectors are: %s", strerror(-r)) :
		       0;
}
