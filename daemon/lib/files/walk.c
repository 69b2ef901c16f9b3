// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "files/extents.h"
#include "files/walk.h"

/* A directory is open for each. */
#define DEPTH_MAX 256
#define DEADLINE_STEPS 64

/**
 * struct walker - where a walk is
 * @walk: the caller's
 * @path: of the present file, as people see it
 * @length: of @path
 * @room: of @path
 * @dev: of the file system
 * @inode: of the present file
 * @is_directory: it is one
 * @nr_left: sectors that are not found yet
 * @has_more: a file shares sectors, or has other names: all of them are wanted
 * @nr_failed: directories and files that could not be looked at
 * @nr_deep: directories that lie too deep
 * @nr_steps: entries
 */
struct walker {
	struct walk *walk;
	char *path;
	size_t length;
	size_t room;
	dev_t dev;
	uint64_t inode;
	bool is_directory;
	uint64_t nr_left;
	bool has_more;
	uint64_t nr_failed;
	uint64_t nr_deep;
	uint64_t nr_steps;
};

static int push_name(struct walker *walker, const char *name)
{
	size_t length = strlen(name);

	if (walker->length + length + 2 > walker->room) {
		size_t room = (walker->length + length + 2) * 2;
		char *bigger = realloc(walker->path, room);

		if (!bigger)
			return -ENOMEM;
		walker->path = bigger;
		walker->room = room;
	}
	if (!walker->length || walker->path[walker->length - 1] != '/')
		walker->path[walker->length++] = '/';
	memcpy(walker->path + walker->length, name, length + 1);
	walker->length += length;
	return 0;
}

static void pop_name(struct walker *walker, size_t length)
{
	walker->length = length;
	walker->path[length] = '\0';
}

static int add_hit(struct walker *walker, uint64_t sector, uint64_t nr, uint64_t offset,
		   const char *what)
{
	struct hit hit = {
		.sector = sector,
		.nr_sectors = nr,
		.kind = walker->is_directory ? HIT_DIRECTORY : HIT_FILE,
		.inode = walker->inode,
		.offset = offset,
		.path = walker->path,
	};

	snprintf(hit.what, sizeof(hit.what), "%s", what);
	snprintf(hit.device, sizeof(hit.device), "%s", walker->walk->device);
	return hits_add(walker->walk->hits, &hit);
}

static int meet_extent(void *userdata, const struct extent *extent)
{
	struct walker *walker = userdata;
	const struct runs *runs = walker->walk->runs;
	uint64_t end = extent->sector + extent->nr_sectors;
	int r = 0;

	for (size_t i = runs_find(runs, extent->sector); !r && i < runs->nr && runs->at[i].at < end;
	     i++) {
		const struct run *run = &runs->at[i];
		uint64_t from = run->at > extent->sector ? run->at : extent->sector;
		uint64_t until = run->at + run->nr < end ? run->at + run->nr : end;
		uint64_t of_set = run->of_set + (from - run->at);

		r = add_hit(walker, of_set, until - from,
			    extent->offset + (from - extent->sector) * 512, "");
		if (!r)
			r = runs_add(&walker->walk->found, from, until - from, of_set);
		walker->has_more |= extent->is_shared;
		walker->nr_left -= walker->nr_left < until - from ? walker->nr_left : until - from;
	}
	return r;
}

static int compare_owners(const void *a, const void *b)
{
	const struct owner *one = a, *other = b;

	return one->inode < other->inode ? -1 : one->inode > other->inode;
}

static int meet_inode(struct walker *walker, uint64_t inode)
{
	struct walk *walk = walker->walk;
	const struct owner key = { .inode = inode };
	struct owner *found = walk->nr_owners ? bsearch(&key, walk->owners, walk->nr_owners,
							sizeof(*found), compare_owners) :
						NULL;
	int r = 0;

	if (!found)
		return 0;
	while (found > walk->owners && found[-1].inode == inode)
		found--;
	walker->inode = inode;
	for (; !r && found < walk->owners + walk->nr_owners && found->inode == inode; found++) {
		r = add_hit(walker, found->sector, found->nr_sectors, found->offset, found->what);
		walker->nr_left -= found->is_named ? 0 : found->nr_sectors;
		found->is_named = true;
	}
	return r;
}

/* What is looked for by its sectors; errors are of the disk, or of one file. */
static int look_at(struct walker *walker, int fd)
{
	struct stat st;
	int r;

	if (!walker->walk->runs->nr)
		return 0;
	if (fstat(fd, &st) < 0 || st.st_dev != walker->dev) {
		walker->nr_failed++;
		return 0;
	}
	walker->inode = st.st_ino;
	walker->is_directory = S_ISDIR(st.st_mode);
	if (walker->is_directory)
		r = extents_of_directory(fd, meet_extent, walker);
	else if (S_ISREG(st.st_mode))
		r = extents_of_file(fd, meet_extent, walker);
	else
		return 0;
	/* another name of it may come */
	walker->has_more |= !walker->is_directory && st.st_nlink > 1;
	if (r == -EOPNOTSUPP && walker->is_directory)
		return 0;
	walker->nr_failed += r < 0 && r != -ENOMEM && r != -EOPNOTSUPP;
	return r == -ENOMEM || r == -EOPNOTSUPP ? r : 0;
}

static bool is_over(struct walker *walker)
{
	struct timespec now;

	progress_step(walker->walk->progress);
	if (!walker->walk->deadline || ++walker->nr_steps % DEADLINE_STEPS)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec >= walker->walk->deadline;
}

static bool is_done(const struct walker *walker)
{
	return !walker->nr_left && !walker->has_more && !walker->walk->nr_owners;
}

static int walk_directory(struct walker *walker, int fd, unsigned int depth);

static int walk_entry(struct walker *walker, int parent, const struct dirent *entry,
		      unsigned int depth)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	bool is_directory = entry->d_type == DT_DIR, is_file = entry->d_type == DT_REG;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (entry->d_type == DT_UNKNOWN) {
		if (fstatat(parent, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			walker->nr_failed++;
			return 0;
		}
		is_directory = S_ISDIR(st.st_mode);
		is_file = S_ISREG(st.st_mode);
	}
	walker->is_directory = is_directory;
	r = meet_inode(walker, entry->d_ino);
	if (r < 0 || !(is_directory || (is_file && walker->walk->runs->nr)))
		return r;
	fd = openat(parent, entry->d_name, flags | O_NOATIME | (is_directory ? O_DIRECTORY : 0));
	if (fd < 0) {
		walker->nr_failed += errno != ENOENT;
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	}
	if (is_file)
		return look_at(walker, fd);
	if (depth == DEPTH_MAX) {
		walker->nr_deep++;
		return 0;
	}
	r = walk_directory(walker, fd, depth + 1);
	fd = -1;
	return r;
}

/* Closes @fd. */
static int walk_directory(struct walker *walker, int fd, unsigned int depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	size_t length = walker->length;
	struct dirent *entry;
	int r;

	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	r = look_at(walker, fd);
	while (!r && !is_done(walker)) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			walker->nr_failed += errno != 0;
			break;
		}
		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		if (is_over(walker))
			return -ETIMEDOUT;
		r = push_name(walker, entry->d_name);
		if (!r)
			r = walk_entry(walker, fd, entry, depth);
		pop_name(walker, length);
	}
	return r;
}

/* As it is mounted by itself: what other mounts hide of it is seen, too. */
static int open_mounted(const char *place)
{
	int tree = open_tree(AT_FDCWD, place, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), fd;

	if (tree < 0)
		return open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(tree);
	return fd;
}

static int walk_from(struct walker *walker, int fd, const char *place)
{
	struct statvfs fs;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : push_name(walker, place + (*place == '/'));

	if (r < 0) {
		close(fd);
		return r;
	}
	walker->dev = st.st_dev;
	if (fstatvfs(fd, &fs) == 0 && fs.f_files > fs.f_ffree)
		progress_expect(walker->walk->progress, fs.f_files - fs.f_ffree);
	walker->is_directory = true;
	r = meet_inode(walker, st.st_ino);
	return r ?: walk_directory(walker, fd, 0);
}

static void note(const struct walker *walker, const char *place)
{
	struct hits *hits = walker->walk->hits;

	if (walker->nr_failed)
		hits_note(hits,
			  "%s: %llu files or directories could not be looked at: the list may lack "
			  "some of their names",
			  place, (unsigned long long)walker->nr_failed);
	if (walker->nr_deep)
		hits_note(hits, "%s: %llu directories lie deeper than %d levels, and were left out",
			  place, (unsigned long long)walker->nr_deep, DEPTH_MAX);
}

int walk_mounted(struct walk *walk, const char *place)
{
	struct walker walker = { .walk = walk, .nr_left = runs_count(walk->runs) };
	int fd = open_mounted(place), r;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < walk->nr_owners; i++)
		walker.nr_left += walk->owners[i].nr_sectors;
	if (walk->nr_owners)
		qsort(walk->owners, walk->nr_owners, sizeof(*walk->owners), compare_owners);
	r = walk_from(&walker, fd, place);
	note(&walker, place);
	free(walker.path);
	return r;
}
