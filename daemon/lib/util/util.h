/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small helpers of the command and the daemon: cleanup attributes, whole reads
 * and writes, strings.  Nothing here knows what a set is.
 */
#ifndef DM_REMAP_UTIL_H
#define DM_REMAP_UTIL_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

static inline void free_p(void *p)
{
	free(*(void **)p);
}

static inline void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclose_p(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void closedir_p(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define _cleanup_free_ _cleanup_(free_p)
#define _cleanup_close_ _cleanup_(close_p)
#define _cleanup_fclose_ _cleanup_(fclose_p)
#define _cleanup_closedir_ _cleanup_(closedir_p)

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* "(none)" is not printed by chance: NULL-safe %s. */
static inline const char *strna(const char *s)
{
	return s ? s : "n/a";
}

/* "1 sector", "2 sectors". */
static inline const char *plural(uint64_t number)
{
	return number == 1 ? "" : "s";
}

/* "/dev/cciss/c0d0" of a block device's name in sysfs, "cciss!c0d0". */
void node_of_sysfs(const char *name, char *path, size_t nr_bytes);

struct date {
	char text[24];
};

/* "2026-11-30 06:47" here and now; empty: there is no such date. @seconds: since 1970 UTC. */
struct date date_of(uint64_t seconds);

#define UUID_STRING_BYTES 37 /* with the NUL */

/**
 * struct error - one sentence for the user, built where it is known what is wrong
 * @text: NUL-terminated, without a full stop or newline, printable; empty: none was given
 *
 * Library functions return a negative errno and, where they take a struct
 * error, say what is wrong, with which device, and what to do.  They never
 * print or log; the command prints, the daemon logs.
 */
struct error {
	char text[512];
};

/* Fills in @error (if not NULL) and returns -@number. */
int error_set(struct error *error, int number, const char *format, ...) _printf_(3, 4);

/* Is called after each command of read_all_at(), which may have taken long; NULL: nothing is. */
extern void (*after_read)(void);
/* Whole reads and writes at an offset; -EIO at the end of the file. */
int read_all_at(int fd, void *data, size_t nr_bytes, off_t offset);
int write_all_at(int fd, const void *data, size_t nr_bytes, off_t offset);
/* Size in bytes of a block device or file. */
int device_bytes(int fd, uint64_t *nr_bytes);

/* Aligned for direct I/O, and zero. */
uint8_t *aligned_bytes(size_t nr_bytes);
int no_memory(struct error *error);
/* Smallest piece that can be written, at most a chunk. */
uint32_t logical_bytes(int fd);

int parse_u64(const char *text, uint64_t *value);     /* decimal, nothing behind it */
int parse_number(const char *text, uint64_t *value);  /* the same, or hexadecimal with 0x */
int parse_size(const char *text, uint64_t *nr_bytes); /* "64M", "1GiB", "0x200", "8s"; bytes */
/* The same of a sector number or count: without a suffix sectors; "1M" is 2048 of them. */
int parse_sectors(const char *text, uint64_t *nr_sectors);
/* "1.5 GiB" */
void format_size(uint64_t nr_bytes, char *text, size_t nr_text);
void uuid_to_string(const uint8_t uuid[16], char text[UUID_STRING_BYTES]);
int uuid_from_string(const char *text, uint8_t uuid[16]);
/* Whether @name is one that a disk may suggest (O17): [A-Za-z0-9_.-]{1,32}, no leading - or . */
bool device_name_ok(const char *name);
/*
 * Writes a file so that a crash leaves the old or the new one, and no other that stays.
 * -ENOTSUP: there is a device or the like of that name.
 */
int write_file_atomic(const char *path, const void *data, size_t nr_bytes, mode_t mode);
int read_file(const char *path, char **data, size_t *nr_bytes); /* at most 64 MiB */
int read_fd(int fd, size_t max_bytes, char **data, size_t *nr_bytes);
int read_file_upto(const char *path, size_t max_bytes, char **data, size_t *nr_bytes);
/* The same of a regular file, and of nothing else: a FIFO would be waited for.  -EINVAL: it is none. */
int read_regular_file(const char *path, size_t max_bytes, char **data, size_t *nr_bytes);
/* Closed standard files are no others' numbers from now on: what is printed would go into a disk. */
void keep_standard_files(void);
/* The host id (O7): first 16 bytes of a keyed hash of /etc/machine-id; zeros: none. */
int host_id(uint8_t id[16]);

#endif /* DM_REMAP_UTIL_H */
