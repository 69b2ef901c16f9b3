// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * queue/write_cache is not used for the change: what is written there alters the kernel's view
 * alone, which would then leave out the flushes that the disk needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "remap_format.h"
#include "system/lock.h"
#include "system/write-cache.h"

/* Deeper than any stack that makes sense. */
#define DEPTH_MAX 16
#define THROUGH "write through"
#define BACK "write back"
#define NVME_ADMIN_SET_FEATURES 0x09
#define NVME_ADMIN_GET_FEATURES 0x0a
#define NVME_FEATURE_VOLATILE_WRITE_CACHE 0x06

static int nvme_feature(const char *node, bool set, bool *on)
{
	_cleanup_close_ int fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct nvme_admin_cmd command = {
		.opcode = set ? NVME_ADMIN_SET_FEATURES : NVME_ADMIN_GET_FEATURES,
		.cdw10 = NVME_FEATURE_VOLATILE_WRITE_CACHE, /* not saved: until it loses power */
		.cdw11 = set && *on,
	};
	int r;

	if (fd < 0)
		return -errno;
	r = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
	if (r < 0)
		return -errno;
	if (r > 0) /* the controller's status */
		return -EOPNOTSUPP;
	if (!set)
		*on = command.result & 1;
	return 0;
}

const struct cache_world this_world = {
	.sys = "/sys",
	.dev = "/dev",
	.run = "/run/dm-remap/write-cache",
	.nvme = nvme_feature,
};

static const char *const names[] = {
	[WRITE_CACHE_THROUGH] = "through",
	[WRITE_CACHE_KEEP] = "keep",
	[WRITE_CACHE_AUTO] = "auto",
};

const char *write_cache_name(enum write_cache write_cache)
{
	return names[write_cache];
}

int write_cache_parse(const char *text, enum write_cache *write_cache)
{
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (streq(text, names[i])) {
			*write_cache = (enum write_cache)i;
			return 0;
		}
	return -EINVAL;
}

uint32_t write_cache_flags(uint32_t flags, enum write_cache write_cache)
{
	flags &= ~(REMAP_SUPER_WRITE_KEEP | REMAP_SUPER_WRITE_AUTO);
	if (write_cache == WRITE_CACHE_KEEP)
		flags |= REMAP_SUPER_WRITE_KEEP;
	if (write_cache == WRITE_CACHE_AUTO)
		flags |= REMAP_SUPER_WRITE_AUTO;
	return flags;
}

enum write_cache write_cache_of_flags(uint32_t flags)
{
	if (flags & REMAP_SUPER_WRITE_KEEP)
		return WRITE_CACHE_KEEP;
	return flags & REMAP_SUPER_WRITE_AUTO ? WRITE_CACHE_AUTO : WRITE_CACHE_THROUGH;
}

/* The first line of an attribute. */
static int read_attribute(const char *path, char *value, size_t nr_bytes)
{
	_cleanup_free_ char *text = NULL;
	int r = read_file_upto(path, 4096, &text, NULL);

	if (r < 0)
		return r;
	snprintf(value, nr_bytes, "%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

static int write_attribute(const char *path, const char *value)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	char line[64];

	if (fd < 0)
		return -errno;
	snprintf(line, sizeof(line), "%s\n", value);
	return write(fd, line, strlen(line)) < 0 ? -errno : 0;
}

static bool is_volatile(const char *value)
{
	return !strncmp(value, BACK, strlen(BACK));
}

/* "0:0:0:0" below device/scsi_disk of a disk. */
static bool find_scsi(const char *directory, struct disk_cache *disk)
{
	_cleanup_closedir_ DIR *scsi_disk = NULL;
	char path[PATH_MAX];
	struct dirent *at;

	snprintf(path, sizeof(path), "%.4000s/device/scsi_disk", directory);
	scsi_disk = opendir(path);
	while (scsi_disk && (at = readdir(scsi_disk))) {
		if (*at->d_name == '.')
			continue;
		snprintf(disk->attribute, sizeof(disk->attribute), "%.4040s/%.64s/cache_type", path,
			 at->d_name);
		if (read_attribute(disk->attribute, disk->value, sizeof(disk->value)) == 0)
			return true;
	}
	return false;
}

static void find_cache(const struct cache_world *world, const char *directory,
		       struct disk_cache *disk)
{
	const char *name = strrchr(directory, '/') + 1;
	char path[PATH_MAX];
	bool on;

	snprintf(disk->node, sizeof(disk->node), "%.32s/%.255s", world->dev, name);
	for (char *c = disk->node + strlen(world->dev) + 1; *c; c++)
		if (*c == '!') /* "cciss!c0d0" */
			*c = '/';
	if (find_scsi(directory, disk)) {
		disk->kind = CACHE_SCSI;
		return;
	}
	snprintf(path, sizeof(path), "%.4000s/queue/write_cache", directory);
	if (read_attribute(path, disk->value, sizeof(disk->value)) < 0)
		*disk->value = '\0';
	/* where there is no volatile cache there is no such feature */
	if (strncmp(name, "nvme", 4) != 0 || !is_volatile(disk->value) ||
	    world->nvme(disk->node, false, &on) < 0)
		return;
	disk->kind = CACHE_NVME;
	snprintf(disk->value, sizeof(disk->value), "%s", on ? BACK : THROUGH);
}

/**
 * struct found - whole disks
 * @at: which
 * @nr: how many
 */
struct found {
	struct disk_cache *at;
	size_t nr;
};

static int add_disk(const struct cache_world *world, const char *directory, dev_t devno,
		    struct found *found)
{
	struct disk_cache *bigger;

	for (size_t i = 0; i < found->nr; i++)
		if (found->at[i].devno == devno)
			return 0;
	bigger = reallocarray(found->at, found->nr + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	found->at = bigger;
	bigger[found->nr] = (struct disk_cache){ .devno = devno };
	find_cache(world, directory, &bigger[found->nr]);
	found->nr++;
	return 0;
}

static int devno_of(const char *directory, dev_t *devno)
{
	unsigned int major_number, minor_number;
	char path[PATH_MAX], text[32];
	int r;

	snprintf(path, sizeof(path), "%.4000s/dev", directory);
	r = read_attribute(path, text, sizeof(text));
	if (!r && sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
		r = -EINVAL;
	if (!r)
		*devno = makedev(major_number, minor_number);
	return r;
}

static int find_disks(const struct cache_world *world, dev_t devno, unsigned int depth,
		      struct found *found)
{
	char link[PATH_MAX], directory[PATH_MAX], path[PATH_MAX];
	_cleanup_closedir_ DIR *slaves = NULL;
	bool has_slaves = false;
	struct dirent *at;
	int r = 0;

	snprintf(link, sizeof(link), "%.2000s/dev/block/%u:%u", world->sys, major(devno),
		 minor(devno));
	if (depth > DEPTH_MAX || !realpath(link, directory))
		return 0;
	snprintf(path, sizeof(path), "%.4000s/partition", directory);
	if (access(path, F_OK) == 0) {
		*strrchr(directory, '/') = '\0';
		r = devno_of(directory, &devno);
		return r < 0 ? 0 : find_disks(world, devno, depth + 1, found);
	}
	snprintf(path, sizeof(path), "%.4000s/slaves", directory);
	slaves = opendir(path);
	while (!r && slaves && (at = readdir(slaves))) {
		dev_t lower;

		if (*at->d_name == '.')
			continue;
		has_slaves = true;
		snprintf(link, sizeof(link), "%.3800s/%.255s", path, at->d_name);
		if (devno_of(link, &lower) == 0)
			r = find_disks(world, lower, depth + 1, found);
	}
	return r || has_slaves ? r : add_disk(world, directory, devno, found);
}

/**
 * struct note - what is kept of a disk that was changed
 * @path: of the file
 * @seq: which disk had this number then; 0: not known
 * @was: what it was
 * @sets: a line "set UUID" for each that needs it
 */
struct note {
	char path[PATH_MAX];
	uint64_t seq;
	char was[40];
	char *sets;
};

static void note_done(struct note *note)
{
	free(note->sets);
	note->sets = NULL;
}

static uint64_t disk_seq(const struct cache_world *world, dev_t devno)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), "%.2000s/dev/block/%u:%u/diskseq", world->sys, major(devno),
		 minor(devno));
	return read_attribute(path, text, sizeof(text)) < 0 ? 0 : strtoull(text, NULL, 10);
}

/* -ENOENT: none; one of another disk that had this number is none. */
static int note_read(const struct cache_world *world, dev_t devno, struct note *note)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL, *line;
	size_t nr_bytes;
	FILE *sets;

	memset(note, 0, sizeof(*note));
	snprintf(note->path, sizeof(note->path), "%.2000s/%u:%u", world->run, major(devno),
		 minor(devno));
	sets = open_memstream(&note->sets, &nr_bytes);
	if (!sets)
		return -ENOMEM;
	if (read_file_upto(note->path, 65536, &text, NULL) == 0)
		for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			if (!strncmp(line, "diskseq ", 8))
				note->seq = strtoull(line + 8, NULL, 10);
			else if (!strncmp(line, "was ", 4))
				snprintf(note->was, sizeof(note->was), "%s", line + 4);
			else if (!strncmp(line, "set ", 4))
				fprintf(sets, "%s\n", line);
		}
	if (fclose(sets) == EOF)
		return -ENOMEM;
	if (*note->was && note->seq == disk_seq(world, devno))
		return 0;
	*note->was = '\0';
	*note->sets = '\0';
	return -ENOENT;
}

static int note_write(const struct cache_world *world, dev_t devno, const struct note *note)
{
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "diskseq %" PRIu64 "\nwas %s\n%s", disk_seq(world, devno), note->was,
		     note->sets) < 0)
		return -ENOMEM;
	if (mkdir(world->run, 0700) < 0 && errno != EEXIST)
		return -errno;
	return write_file_atomic(note->path, text, strlen(text), 0600);
}

static bool note_has(const struct note *note, const char *uuid)
{
	const char *at = strstr(note->sets, uuid);

	return at && at[strlen(uuid)] == '\n';
}

int disk_caches_of(const struct cache_world *world, dev_t devno, struct disk_cache **disks,
		   size_t *nr_disks)
{
	struct found found = { NULL, 0 };
	int r = find_disks(world, devno, 0, &found);

	for (size_t i = 0; !r && i < found.nr; i++) {
		struct note note;

		if (note_read(world, found.at[i].devno, &note) == 0)
			snprintf(found.at[i].was, sizeof(found.at[i].was), "%s", note.was);
		note_done(&note);
	}
	if (r < 0) {
		free(found.at);
		return r;
	}
	*disks = found.at;
	*nr_disks = found.nr;
	return 0;
}

/* Only where it differs: the kernel sends a command for each write to the attribute. */
static int set_cache(const struct cache_world *world, const struct disk_cache *disk,
		     const char *value)
{
	bool on = is_volatile(value);

	if (streq(disk->value, value))
		return 0;
	if (disk->kind == CACHE_SCSI)
		return write_attribute(disk->attribute, value);
	return disk->kind == CACHE_NVME ? world->nvme(disk->node, true, &on) : -EOPNOTSUPP;
}

static void tell(struct error *told, const struct disk_cache *disk, int r)
{
	size_t length = strlen(told->text);

	if (r < 0)
		snprintf(told->text + length, sizeof(told->text) - length,
			 "%s%.100s: the write cache cannot be turned off (%s); each write is made "
			 "durable individually",
			 length ? "; " : "", disk->node, strerror(-r));
	else
		snprintf(told->text + length, sizeof(told->text) - length,
			 "%s%.100s: the write cache is off now", length ? "; " : "", disk->node);
}

/* Held over commands to this disk, by those who share it. */
static int lock_note(const struct cache_world *world, dev_t devno, int *lock)
{
	char path[PATH_MAX];

	if (mkdir(world->run, 0700) < 0 && errno != EEXIST)
		return -errno;
	/* beside the notes: a device has a name of its own among them, and nothing else has */
	snprintf(path, sizeof(path), "%.2000s.lock", world->run);
	return lock_device_in(path, lock, devno, NULL);
}

/* What it was before the lock was had may be what another set had made of it. */
static void read_again(const struct cache_world *world, struct disk_cache *disk)
{
	_cleanup_free_ struct disk_cache *disks = NULL;
	size_t nr = 0;

	if (disk_caches_of(world, disk->devno, &disks, &nr) < 0)
		return;
	for (size_t i = 0; i < nr; i++)
		if (disks[i].devno == disk->devno)
			*disk = disks[i];
}

/* @uuid: NULL: for those that are noted. */
static void turn_off(const struct cache_world *world, const char *uuid, struct disk_cache *disk,
		     struct error *told)
{
	_cleanup_close_ int lock = -1;
	bool is_new = false;
	struct note note;
	int r;

	if (disk->kind == CACHE_NONE)
		return;
	r = lock_note(world, disk->devno, &lock);
	if (r < 0) {
		tell(told, disk, r);
		return;
	}
	read_again(world, disk);
	r = note_read(world, disk->devno, &note);
	if (r == -ENOENT && uuid)
		r = 0;
	if (!r && uuid && !note_has(&note, uuid)) {
		char *more = NULL;

		is_new = true;
		if (!*note.was)
			snprintf(note.was, sizeof(note.was), "%s", disk->value);
		if (asprintf(&more, "%sset %s\n", note.sets, uuid) < 0) {
			r = -ENOMEM;
		} else {
			free(note.sets);
			note.sets = more;
			r = note_write(world, disk->devno, &note);
		}
	}
	note_done(&note);
	if (r < 0 || !is_volatile(disk->value))
		return;
	r = set_cache(world, disk, THROUGH);
	/* what cannot be helped is said once */
	if (!r || is_new)
		tell(told, disk, r);
}

void write_cache_off(const struct cache_world *world, const char *uuid, dev_t main,
		     struct error *told)
{
	_cleanup_free_ struct disk_cache *disks = NULL;
	size_t nr = 0;

	*told->text = '\0';
	if (disk_caches_of(world, main, &disks, &nr) < 0)
		return;
	for (size_t i = 0; i < nr; i++)
		turn_off(world, uuid, &disks[i], told);
}

void write_cache_again(const struct cache_world *world, dev_t disk, struct error *told)
{
	_cleanup_free_ struct disk_cache *disks = NULL;
	size_t nr = 0;

	*told->text = '\0';
	if (disk_caches_of(world, disk, &disks, &nr) < 0)
		return;
	for (size_t i = 0; i < nr; i++)
		turn_off(world, NULL, &disks[i], told);
}

/* One set less; the last one leaves the disk as it was, unless it has been changed since. */
static void leave(const struct cache_world *world, const char *uuid, dev_t devno)
{
	_cleanup_free_ struct disk_cache *disks = NULL;
	_cleanup_close_ int lock = -1;
	struct note note;
	char *at, *end;
	size_t nr = 0;
	int r = note_read(world, devno, &note);
	bool is_others = !r && !note_has(&note, uuid);

	/* a disk of other sets, which may hang, is not waited for; and a note that stays does no harm */
	note_done(&note);
	if (is_others || lock_note(world, devno, &lock) < 0)
		return;
	r = note_read(world, devno, &note);
	if (r == -ENOENT)
		unlink(note.path);
	if (r < 0 || !note_has(&note, uuid)) {
		note_done(&note);
		return;
	}
	at = strstr(note.sets, uuid) - strlen("set ");
	end = strchr(at, '\n') + 1;
	memmove(at, end, strlen(end) + 1);
	if (*note.sets) {
		note_write(world, devno, &note);
		note_done(&note);
		return;
	}
	/* the disk first: a crash in between leaves a note of a disk that is as it was */
	if (disk_caches_of(world, devno, &disks, &nr) == 0)
		for (size_t i = 0; i < nr; i++)
			if (disks[i].devno == devno && disks[i].kind != CACHE_NONE &&
			    !is_volatile(disks[i].value))
				set_cache(world, &disks[i], note.was);
	unlink(note.path);
	note_done(&note);
}

void write_cache_let_go(const struct cache_world *world, const char *uuid)
{
	_cleanup_closedir_ DIR *directory = opendir(world->run);
	struct dirent *at;

	while (directory && (at = readdir(directory))) {
		unsigned int major_number, minor_number;
		int end = 0;

		if (sscanf(at->d_name, "%u:%u%n", &major_number, &minor_number, &end) == 2 &&
		    !at->d_name[end])
			leave(world, uuid, makedev(major_number, minor_number));
	}
}
