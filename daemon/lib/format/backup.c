// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "format/backup.h"

#define MAGIC "dmRemapB"
#define VERSION 1
#define HAS_HEADER 1
#define STATE_DIRECTORY "/var/lib/dm-remap"
/* More than the largest spare can need. */
#define FILE_MAX (1U << 30)
/* For others who write a backup into the same directory: ten seconds. */
#define LOCK_TRIES 200
#define LOCK_PAUSE_MS 50
/* How often an active set may change while it is read. */
#define TRIES 8

/* The first block of the file; superblock, main's header, entries, contents follow. */
struct backup_disk {
	__u8 magic[8];				   /*   0 */
	__le32 crc;				   /*   8: CRC-32 of the file from offset 12 */
	__le32 version;				   /*  12 */
	__le32 flags;				   /*  16: bit 0: with main's header */
	__le32 nr_entries;			   /*  20 */
	__le32 nr_contents;			   /*  24 */
	__u8 reserved1[4];			   /*  28 */
	__le64 generation;			   /*  32 */
	__le64 created;				   /*  40 */
	__u8 spare_identity[REMAP_IDENTITY_BYTES]; /*  48 */
	__u8 reserved2[3848];			   /* 248 */
};						   /* 4096 */

struct backup_entry_disk {
	__le32 slot;		       /* 0 */
	__le32 content;		       /* 4 */
	struct remap_entry_disk entry; /* 8 */
};				       /* 24 */

static_assert(sizeof(struct backup_disk) == REMAP_BLOCK_BYTES, "backup_disk");
static_assert(offsetof(struct backup_disk, spare_identity) == 48, "backup_disk");
static_assert(sizeof(struct backup_entry_disk) == 24, "backup_entry_disk");

void backup_done(struct backup *backup)
{
	free(backup->header);
	free(backup->entry);
	free(backup->content);
	memset(backup, 0, sizeof(*backup));
}

const uint8_t *backup_content(const struct backup *backup, uint64_t main_chunk)
{
	for (uint32_t i = 0; i < backup->nr_entries; i++)
		if (backup->entry[i].content != BACKUP_NO_CONTENT &&
		    backup->entry[i].entry.main_chunk == main_chunk)
			return backup->content +
			       (size_t)backup->entry[i].content * REMAP_CHUNK_BYTES;
	return NULL;
}

static bool is_hidden(const struct remap_entry *entry)
{
	return entry->state == REMAP_ENTRY_USED &&
	       (entry->cause == REMAP_CAUSE_GUARD || entry->cause == REMAP_CAUSE_PROBE);
}

static int take_entries(const struct region *region, const struct region_table *table,
			struct backup *backup, struct error *error)
{
	uint32_t nr = 0, nr_hidden = 0;

	backup->nr_unreadable = 0;
	for (uint32_t slot = 0; slot < table->nr_slots; slot++) {
		nr += table->entry[slot].state != REMAP_ENTRY_FREE;
		nr_hidden += is_hidden(&table->entry[slot]);
	}
	backup->entry = calloc(nr + 1, sizeof(*backup->entry));
	backup->content = aligned_bytes((nr_hidden + 1) * (size_t)REMAP_CHUNK_BYTES);
	if (!backup->entry || !backup->content)
		return no_memory(error);
	for (uint32_t slot = 0; slot < table->nr_slots; slot++) {
		struct backup_entry *at = &backup->entry[backup->nr_entries];
		uint8_t *data = backup->content + (size_t)backup->nr_contents * REMAP_CHUNK_BYTES;
		uint64_t sector = region->start + remap_slot_sector(&region->super.geometry, slot);

		if (table->entry[slot].state == REMAP_ENTRY_FREE)
			continue;
		*at = (struct backup_entry){ .slot = slot,
					     .content = BACKUP_NO_CONTENT,
					     .entry = table->entry[slot] };
		backup->nr_entries++;
		if (!is_hidden(&at->entry))
			continue;
		/* what cannot be read is not in it: the rest is worth having all the more */
		if (read_all_at(region->fd, data, REMAP_CHUNK_BYTES,
				(off_t)(sector * REMAP_SECTOR_BYTES)) < 0)
			backup->nr_unreadable++;
		else
			at->content = backup->nr_contents++;
	}
	return 0;
}

static int take_header(int main_fd, struct backup *backup, struct error *error)
{
	uint8_t uuid[REMAP_UUID_BYTES];

	backup->header = aligned_bytes(REMAP_CHUNK_BYTES);
	if (!backup->header)
		return no_memory(error);
	/* where it cannot be read the backup has none: the rest is worth having */
	backup->has_header =
		main_fd >= 0 && read_all_at(main_fd, backup->header, REMAP_CHUNK_BYTES, 0) == 0 &&
		remap_guard_check(backup->header, uuid, 0) != REMAP_BAD_MAGIC &&
		!memcmp(uuid, backup->super.uuid, sizeof(uuid)) &&
		remap_member_check(backup->header + REMAP_MEMBER_OFFSET, uuid) == REMAP_OK;
	if (!backup->has_header)
		memset(backup->header, 0, REMAP_CHUNK_BYTES);
	return 0;
}

static int make_once(struct region *region, int main_fd, struct backup *backup, bool *changed,
		     struct error *error)
{
	struct progress *progress = region->progress;
	struct region_table table, again;
	int r = region_open(region->fd, region->start, region->nr_sectors, region, error);

	region->progress = progress;
	if (!r)
		progress_expect(progress, 2 * region_table_steps(&region->super.geometry));
	if (!r)
		r = region_read_table(region, &table, NULL, NULL, error);
	if (r < 0)
		return r;
	if (table.nr_unloadable || table.nr_contradictions)
		r = error_set(error, EUCLEAN,
			      "its metadata is damaged, and a backup of it would be as well; run "
			      "dmremap check");
	backup->super = region->super;
	backup->super.flags &= ~(REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING);
	/* saved counters take numbers, too: the set's generation is the highest of all blocks */
	backup->generation = table.newest > table.generation ? table.newest : table.generation;
	if (!r)
		r = take_entries(region, &table, backup, error);
	if (!r)
		r = take_header(main_fd, backup, error);
	if (!r)
		r = region_read_table(region, &again, NULL, NULL, error);
	if (!r) {
		*changed = memcmp(table.entry, again.entry,
				  table.nr_slots * sizeof(*table.entry)) != 0;
		region_table_done(&again);
	}
	region_table_done(&table);
	return r;
}

int backup_make(struct region *region, int main_fd, const char *spare_identity,
		struct backup *backup, struct error *error)
{
	bool changed = true;
	int r = 0;

	for (unsigned int i = 0; !r && changed && i < TRIES; i++) {
		backup_done(backup);
		r = make_once(region, main_fd, backup, &changed, error);
	}
	if (!r && changed)
		r = error_set(error, EAGAIN,
			      "the table changed during every attempt to read it; try again later");
	if (r < 0) {
		backup_done(backup);
		return r;
	}
	snprintf(backup->spare_identity, sizeof(backup->spare_identity), "%s", spare_identity);
	backup->created = (uint64_t)time(NULL);
	return 0;
}

static size_t entries_bytes(uint32_t nr_entries)
{
	size_t nr_bytes = (size_t)nr_entries * sizeof(struct backup_entry_disk);

	return (nr_bytes + REMAP_BLOCK_BYTES - 1) / REMAP_BLOCK_BYTES * REMAP_BLOCK_BYTES;
}

static size_t file_bytes(uint32_t nr_entries, uint32_t nr_contents)
{
	return 3 * (size_t)REMAP_BLOCK_BYTES + entries_bytes(nr_entries) +
	       (size_t)nr_contents * REMAP_CHUNK_BYTES;
}

int backup_check_target(const char *path, const uint8_t uuid[REMAP_UUID_BYTES], struct error *error)
{
	_cleanup_close_ int fd = -1;
	char magic[sizeof(MAGIC) - 1];
	struct remap_block_header super;
	struct stat st;

	/* a link would be replaced, and /dev/stdout is one */
	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISREG(st.st_mode))
		return error_set(error, EINVAL, "%s: not a regular file", path);
	if (!st.st_size)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read_all_at(fd, magic, sizeof(magic), 0) < 0 ||
	    memcmp(magic, MAGIC, sizeof(magic)))
		return error_set(error, EEXIST,
				 "%s already exists, and is not a dm-remap backup; nothing was "
				 "changed",
				 path);
	if (read_all_at(fd, &super, sizeof(super), REMAP_BLOCK_BYTES) < 0 ||
	    memcmp(super.uuid, uuid, sizeof(super.uuid)) != 0)
		return error_set(error, EEXIST,
				 "%s is the backup of another set; nothing was changed", path);
	return 0;
}

int backup_lock(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	int fd;

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		 slash ? path : ".");
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* whoever may read the directory may lock it as well: not waited for without end */
	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && i < LOCK_TRIES; i++)
		poll(NULL, 0, LOCK_PAUSE_MS);
	return fd;
}

bool backup_is_outdated(const struct backup *backup, const struct backup *other)
{
	return !memcmp(backup->super.uuid, other->super.uuid, REMAP_UUID_BYTES) &&
	       backup->generation < other->generation && backup->created <= other->created;
}

int backup_write(const struct backup *backup, const char *path, struct error *error)
{
	_cleanup_close_ int lock = backup_lock(path);
	_cleanup_backup_ struct backup now = { 0 };
	int r = backup_check_target(path, backup->super.uuid, error);

	if (!r && backup_read(path, &now, NULL) == 0 && backup_is_outdated(backup, &now))
		return 0;
	return r ? r : backup_write_locked(backup, path, error);
}

int backup_write_locked(const struct backup *backup, const char *path, struct error *error)
{
	size_t nr_bytes = file_bytes(backup->nr_entries, backup->nr_contents);
	_cleanup_free_ uint8_t *file = aligned_bytes(nr_bytes);
	struct backup_disk *disk = (struct backup_disk *)file;
	struct backup_entry_disk *entry;
	int r = backup_check_target(path, backup->super.uuid, error);

	if (r < 0)
		return r;
	if (!file)
		return no_memory(error);
	memcpy(disk->magic, MAGIC, sizeof(disk->magic));
	disk->version = cpu_to_le32(VERSION);
	disk->flags = cpu_to_le32(backup->has_header ? HAS_HEADER : 0);
	disk->nr_entries = cpu_to_le32(backup->nr_entries);
	disk->nr_contents = cpu_to_le32(backup->nr_contents);
	disk->generation = cpu_to_le64(backup->generation);
	disk->created = cpu_to_le64(backup->created);
	memcpy(disk->spare_identity, backup->spare_identity, sizeof(disk->spare_identity));
	remap_super_encode(&backup->super, file + REMAP_BLOCK_BYTES);
	memcpy(file + 2 * REMAP_BLOCK_BYTES, backup->header, REMAP_CHUNK_BYTES);
	entry = (struct backup_entry_disk *)(file + 3 * REMAP_BLOCK_BYTES);
	for (uint32_t i = 0; i < backup->nr_entries; i++, entry++) {
		entry->slot = cpu_to_le32(backup->entry[i].slot);
		entry->content = cpu_to_le32(backup->entry[i].content);
		remap_entry_encode(&backup->entry[i].entry, &entry->entry);
	}
	if (backup->nr_contents)
		memcpy(file + 3 * REMAP_BLOCK_BYTES + entries_bytes(backup->nr_entries),
		       backup->content, (size_t)backup->nr_contents * REMAP_CHUNK_BYTES);
	disk->crc = cpu_to_le32(remap_crc32(file + 12, nr_bytes - 12));
	r = write_file_atomic(path, file, nr_bytes, 0600);
	return r < 0 ? error_set(error, -r, "%s: cannot write the backup: %s", path, strerror(-r)) :
		       0;
}

/* The file is whole and of this version; sizes are what they must be. */
static int check_file(const char *path, const uint8_t *file, size_t nr_bytes, struct error *error)
{
	const struct backup_disk *disk = (const void *)file;

	if (nr_bytes < 3 * REMAP_BLOCK_BYTES || memcmp(disk->magic, MAGIC, sizeof(disk->magic)))
		return error_set(error, ENODATA, "%s: not a dm-remap backup", path);
	if (le32_to_cpu(disk->crc) != remap_crc32(file + 12, nr_bytes - 12))
		return error_set(error, EUCLEAN, "%s: the backup is damaged (wrong checksum)",
				 path);
	if (le32_to_cpu(disk->version) != VERSION)
		return error_set(error, ENOTSUP,
				 "%s: the backup was made by a newer dm-remap; upgrade dm-remap",
				 path);
	if (le32_to_cpu(disk->nr_contents) > le32_to_cpu(disk->nr_entries) ||
	    nr_bytes != file_bytes(le32_to_cpu(disk->nr_entries), le32_to_cpu(disk->nr_contents)))
		return error_set(error, EUCLEAN, "%s: the backup is damaged (wrong length)", path);
	return 0;
}

static int decode(const uint8_t *file, struct backup *backup)
{
	const struct backup_disk *disk = (const void *)file;
	const struct backup_entry_disk *entry = (const void *)(file + 3 * REMAP_BLOCK_BYTES);
	uint32_t nr_contents = le32_to_cpu(disk->nr_contents);
	uint32_t nr_entries = le32_to_cpu(disk->nr_entries), nr_seen = 0;

	if (remap_super_decode(file + REMAP_BLOCK_BYTES, &backup->super) != REMAP_OK)
		return -EUCLEAN;
	backup->generation = le64_to_cpu(disk->generation);
	if (backup->generation > REMAP_MAX_SEQ / 2) /* a restore counts on from it */
		return -EUCLEAN;
	backup->created = le64_to_cpu(disk->created);
	backup->has_header = le32_to_cpu(disk->flags) & HAS_HEADER;
	snprintf(backup->spare_identity, sizeof(backup->spare_identity), "%.*s",
		 (int)sizeof(disk->spare_identity), (const char *)disk->spare_identity);
	backup->header = aligned_bytes(REMAP_CHUNK_BYTES);
	backup->entry = calloc(nr_entries + 1, sizeof(*backup->entry));
	backup->content = aligned_bytes((nr_contents + 1) * (size_t)REMAP_CHUNK_BYTES);
	if (!backup->header || !backup->entry || !backup->content)
		return -ENOMEM;
	memcpy(backup->header, file + 2 * REMAP_BLOCK_BYTES, REMAP_CHUNK_BYTES);
	for (uint32_t i = 0; i < nr_entries; i++, entry++) {
		struct backup_entry *at = &backup->entry[i];

		at->slot = le32_to_cpu(entry->slot);
		at->content = le32_to_cpu(entry->content);
		remap_entry_decode(&entry->entry, &at->entry);
		if (at->slot >= backup->super.geometry.slots ||
		    (i && at->slot <= backup->entry[i - 1].slot) ||
		    at->entry.state == REMAP_ENTRY_FREE ||
		    !remap_entry_valid(&at->entry, backup->super.main_sectors) ||
		    (at->content != BACKUP_NO_CONTENT && at->content != nr_seen++))
			return -EUCLEAN;
		backup->nr_entries++;
	}
	/* each is of one slot: what is restored has room for so many */
	if (nr_seen != nr_contents)
		return -EUCLEAN;
	memcpy(backup->content, file + 3 * REMAP_BLOCK_BYTES + entries_bytes(nr_entries),
	       (size_t)nr_contents * REMAP_CHUNK_BYTES);
	backup->nr_contents = nr_contents;
	return 0;
}

/* Of a pipe nothing can be looked at before; a backup's beginning is read, and then the rest. */
static int read_pipe(int fd, char **file, size_t *nr_bytes)
{
	_cleanup_free_ char *rest = NULL;
	char magic[sizeof(MAGIC) - 1];
	size_t nr = 0, nr_rest;
	int r;

	while (nr < sizeof(magic)) {
		ssize_t n = read(fd, magic + nr, sizeof(magic) - nr);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		nr += (size_t)n;
	}
	if (memcmp(magic, MAGIC, sizeof(magic)))
		return -ENODATA;
	r = read_fd(fd, FILE_MAX, &rest, &nr_rest);
	if (r < 0)
		return r;
	*file = realloc(rest, nr_rest + nr);
	if (!*file)
		return -ENOMEM;
	rest = NULL;
	memmove(*file + nr, *file, nr_rest);
	memcpy(*file, magic, nr);
	*nr_bytes = nr_rest + nr;
	return 0;
}

/*
 * What is no backup is not read: it may be long, or never end.  What a user names may be a pipe;
 * in the state directory there is none to wait for.
 */
static int read_whole(const char *path, char **file, size_t *nr_bytes)
{
	const char *own = state_directory();
	bool is_own = !strncmp(path, own, strlen(own));
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC | (is_own ? O_NONBLOCK : 0));
	char magic[sizeof(MAGIC) - 1];
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	*file = NULL;
	*nr_bytes = 0;
	if (S_ISFIFO(st.st_mode) && !is_own) {
		r = read_pipe(fd, file, nr_bytes);
		return r == -ENODATA ? 0 : r; /* that it is no backup is said by who looks at it */
	}
	if (S_ISREG(st.st_mode) && pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	    !memcmp(magic, MAGIC, sizeof(magic)))
		return read_fd(fd, FILE_MAX, file, nr_bytes);
	return 0;
}

int backup_read(const char *path, struct backup *backup, struct error *error)
{
	_cleanup_free_ char *file = NULL;
	size_t nr_bytes;
	int r = read_whole(path, &file, &nr_bytes);

	memset(backup, 0, sizeof(*backup));
	if (r < 0)
		return error_set(error, -r, "%s: cannot read it: %s", path, strerror(-r));
	r = check_file(path, (const uint8_t *)file, nr_bytes, error);
	if (r < 0)
		return r;
	r = decode((const uint8_t *)file, backup);
	if (r < 0) {
		backup_done(backup);
		return error_set(error, -r, "%s: the backup is invalid", path);
	}
	return 0;
}

const char *state_directory(void)
{
	const char *directory = getenv("STATE_DIRECTORY"); /* as systemd gives it to services */

	return directory && *directory ? directory : STATE_DIRECTORY;
}

int backup_find(const char *what, char *path, size_t nr_bytes)
{
	_cleanup_closedir_ DIR *directory = opendir(state_directory());
	struct dirent *at;

	while (directory && (at = readdir(directory))) {
		_cleanup_backup_ struct backup backup = { 0 };
		const char *dot = strrchr(at->d_name, '.');
		char uuid[UUID_STRING_BYTES];

		if (!dot || !streq(dot, ".backup"))
			continue;
		snprintf(path, nr_bytes, "%s/%s", state_directory(), at->d_name);
		if (backup_read(path, &backup, NULL) < 0)
			continue;
		uuid_to_string(backup.super.uuid, uuid);
		if (streq(backup.super.label, what) || streq(uuid, what))
			return 0;
	}
	return -ENOENT;
}

void backup_forget(const uint8_t uuid[REMAP_UUID_BYTES])
{
	char path[PATH_MAX], text[UUID_STRING_BYTES];

	uuid_to_string(uuid, text);
	if (snprintf(path, sizeof(path), "%s/%s.backup", state_directory(), text) <
		    (int)sizeof(path) &&
	    backup_check_target(path, uuid, NULL) == 0)
		unlink(path);
}

int backup_default_path(const uint8_t uuid[REMAP_UUID_BYTES], char *path, size_t nr_bytes,
			struct error *error)
{
	const char *directory = state_directory();
	char text[UUID_STRING_BYTES];

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return error_set(error, errno, "%s: cannot create it: %s", directory,
				 strerror(errno));
	uuid_to_string(uuid, text);
	snprintf(path, nr_bytes, "%s/%s.backup", directory, text);
	return 0;
}
