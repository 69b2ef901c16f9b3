// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "util/foreign.h"
#include "util/util.h"

#define READ_FILE_MAX (64U << 20)
/* What direct I/O may need, and the largest block that a device of ours may have. */
#define BLOCK_BYTES_MAX 4096
#define SECTOR_BYTES 512

/* Names this application to sd-id128, so that the machine id itself is not revealed. */
#define HOST_ID_APPLICATION \
	SD_ID128_MAKE(6d, 2d, 72, 65, 6d, 61, 70, 40, 9a, 51, 1f, 0c, 83, e7, 55, b2)

int error_set(struct error *error, int number, const char *format, ...)
{
	char text[sizeof(error->text)]; /* the old sentence may be one of the arguments */
	va_list arguments;

	if (error) {
		va_start(arguments, format);
		vsnprintf(text, sizeof(text), format, arguments);
		va_end(arguments);
		/* a sentence may quote what a disk or the kernel said */
		foreign_escape(text, sizeof(text), error->text, sizeof(error->text));
	}
	return -number;
}

void (*after_read)(void);

int read_all_at(int fd, void *data, size_t nr_bytes, off_t offset)
{
	uint8_t *at = data;

	while (nr_bytes) {
		ssize_t n = pread(fd, at, nr_bytes, offset);
		int number = errno;

		if (after_read)
			after_read();
		errno = number;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		at += n;
		offset += n;
		nr_bytes -= (size_t)n;
	}
	return 0;
}

int write_all_at(int fd, const void *data, size_t nr_bytes, off_t offset)
{
	const uint8_t *at = data;

	while (nr_bytes) {
		ssize_t n = pwrite(fd, at, nr_bytes, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		at += n;
		offset += n;
		nr_bytes -= (size_t)n;
	}
	return 0;
}

int device_bytes(int fd, uint64_t *nr_bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*nr_bytes = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	if (ioctl(fd, BLKGETSIZE64, nr_bytes) < 0)
		return -errno;
	return 0;
}

uint8_t *aligned_bytes(size_t nr_bytes)
{
	uint8_t *data = aligned_alloc(BLOCK_BYTES_MAX, nr_bytes);

	return data ? memset(data, 0, nr_bytes) : NULL;
}

int no_memory(struct error *error)
{
	return error_set(error, ENOMEM, "out of memory");
}

uint32_t logical_bytes(int fd)
{
	int nr_bytes = SECTOR_BYTES;

	if (ioctl(fd, BLKSSZGET, &nr_bytes) < 0 || nr_bytes < SECTOR_BYTES ||
	    nr_bytes > BLOCK_BYTES_MAX)
		return SECTOR_BYTES;
	return (uint32_t)nr_bytes;
}

int parse_u64(const char *text, uint64_t *value)
{
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return -errno;
	if (*end)
		return -EINVAL;
	*value = number;
	return 0;
}

/*
 * One grammar for what people type: decimal, or hexadecimal with 0x (a leading 0 is not octal),
 * then nothing, or s (sectors of 512 bytes), or K, M, G, T, P (binary; also KiB, kb ...).
 * @unit: what a number without a suffix counts, in bytes.
 */
static int parse_bytes(const char *text, uint64_t unit, uint64_t *nr_bytes)
{
	static const char suffixes[] = "KMGTP";
	bool is_hex = !strncasecmp(text, "0x", 2) && isxdigit((unsigned char)text[2]);
	unsigned long long number;
	const char *suffix;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, is_hex ? 16 : 10);
	if (errno)
		return -errno;
	suffix = *end ? strchr(suffixes, toupper((unsigned char)*end)) : NULL;
	if ((*end == 's' || *end == 'S') && !end[1]) {
		unit = 512;
		end++;
	} else if (suffix) {
		unit = 1ULL << 10 * (suffix - suffixes + 1);
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B' || *end == 'b')
			end++;
	}
	if (*end)
		return -EINVAL;
	if (number > UINT64_MAX / unit)
		return -ERANGE;
	*nr_bytes = number * unit;
	return 0;
}

int parse_size(const char *text, uint64_t *nr_bytes)
{
	return parse_bytes(text, 1, nr_bytes);
}

int parse_number(const char *text, uint64_t *value)
{
	return text[strspn(text, "0123456789xXabcdefABCDEF")] ? -EINVAL : parse_size(text, value);
}

int parse_sectors(const char *text, uint64_t *nr_sectors)
{
	bool plain = text[strcspn(text, "sSkKmMgGtTpP")] == '\0';
	uint64_t nr_bytes;
	int r = parse_bytes(text, plain ? 1 : 512, &nr_bytes);

	if (r < 0)
		return r;
	if (!plain && nr_bytes % 512)
		return -EINVAL;
	*nr_sectors = plain ? nr_bytes : nr_bytes / 512;
	return 0;
}

void uuid_to_string(const uint8_t uuid[16], char text[UUID_STRING_BYTES])
{
	static const uint8_t groups[] = { 4, 2, 2, 2, 6 };
	unsigned int group, i, at = 0;

	for (group = 0; group < sizeof(groups); group++) {
		if (group)
			*text++ = '-';
		for (i = 0; i < groups[group]; i++) {
			snprintf(text, 3, "%02x", uuid[at++]);
			text += 2;
		}
	}
}

int uuid_from_string(const char *text, uint8_t uuid[16])
{
	unsigned int i;

	if (strlen(text) != UUID_STRING_BYTES - 1)
		return -EINVAL;
	for (i = 0; i < 16; i++) {
		char digits[3];

		if (i == 4 || i == 6 || i == 8 || i == 10) {
			if (*text++ != '-')
				return -EINVAL;
		}
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return -EINVAL;
		memcpy(digits, text, 2);
		digits[2] = '\0';
		uuid[i] = (uint8_t)strtoul(digits, NULL, 16);
		text += 2;
	}
	return 0;
}

bool device_name_ok(const char *name)
{
	size_t length = strlen(name), i;

	/* /dev/mapper/control is device-mapper's own */
	if (length < 1 || length > 32 || *name == '-' || *name == '.' || streq(name, "control"))
		return false;
	for (i = 0; i < length; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c > 127 || !(isalnum(c) || c == '_' || c == '.' || c == '-'))
			return false;
	}
	return true;
}

/*
 * A file of that name that is ours alone; the one of a process that was killed is removed.
 * -EBUSY: another process is writing it.
 */
static int open_temporary(const char *path)
{
	int old = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), fd;
	struct stat st;

	if (old >= 0 && flock(old, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		close(old);
		return -EBUSY;
	}
	unlink(path);
	close_p(&old);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? -EBUSY : -errno;
	/* between the two lines above it may have been taken for an old one */
	if ((flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) || fstat(fd, &st) < 0 ||
	    !st.st_nlink) {
		close(fd);
		return -EBUSY;
	}
	return fd;
}

/* Durable, but for its name. */
static int write_content(int fd, const void *data, size_t nr_bytes, mode_t mode)
{
	int r = write_all_at(fd, data, nr_bytes, 0);

	if (!r && fchmod(fd, mode) < 0)
		r = -errno;
	return r || fsync(fd) == 0 ? r : -errno;
}

/* Gives a file that has no name its name; an old file makes room in the last step. */
static int give_name(int fd, const char *path, const char *temporary)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	unlink(temporary);
	if (linkat(AT_FDCWD, self, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return rename(temporary, path) < 0 ? -errno : 0;
}

/* An error is of the file system that cannot do that, or of a writer of the same file. */
static int write_unnamed(const char *parent, const char *path, const char *temporary,
			 const void *data, size_t nr_bytes, mode_t mode)
{
	_cleanup_close_ int fd = open(parent, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_content(fd, data, nr_bytes, mode);

	return r ? r : give_name(fd, path, temporary);
}

static int write_named(const char *path, const char *temporary, const void *data, size_t nr_bytes,
		       mode_t mode)
{
	_cleanup_close_ int fd = open_temporary(temporary);
	int r = fd < 0 ? fd : write_content(fd, data, nr_bytes, mode);

	if (!r && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		unlink(temporary);
	return r;
}

/*
 * A crash leaves the old file or the new one, for the name changes after the content is durable;
 * and besides at most one file, which the next call removes: where the file system can make
 * files that have no name yet, none that is not whole.
 */
int write_file_atomic(const char *path, const void *data, size_t nr_bytes, mode_t mode)
{
	_cleanup_close_ int directory = -1;
	char parent[PATH_MAX], temporary[PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct stat st;
	int r;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ENOTSUP;
	if (slash == path)
		snprintf(parent, sizeof(parent), "/");
	else
		snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 1,
			 slash ? path : ".");
	r = snprintf(temporary, sizeof(temporary), "%s.dmremap-new", path);
	if (r < 0 || (size_t)r >= sizeof(temporary))
		return -ENAMETOOLONG;
	directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	r = write_unnamed(parent, path, temporary, data, nr_bytes, mode);
	if (r < 0 && r != -ENOSPC && r != -EDQUOT && r != -EIO && r != -EROFS)
		r = write_named(path, temporary, data, nr_bytes, mode);
	if (r < 0)
		return r;
	return fsync(directory) < 0 ? -errno : 0;
}

int read_file(const char *path, char **data, size_t *nr_bytes)
{
	return read_file_upto(path, READ_FILE_MAX, data, nr_bytes);
}

int read_fd(int fd, size_t max_bytes, char **data, size_t *nr_bytes)
{
	_cleanup_free_ char *buffer = NULL;
	size_t room = 4096, length = 0;

	for (;;) {
		char *bigger = realloc(buffer, room + 1);
		ssize_t n;

		if (!bigger)
			return -ENOMEM;
		buffer = bigger;
		n = read(fd, buffer + length, room - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
		if (length == room)
			room *= 2;
		if (room / 2 > max_bytes)
			return -EFBIG;
	}
	buffer[length] = '\0';
	*data = buffer;
	if (nr_bytes)
		*nr_bytes = length;
	buffer = NULL;
	return 0;
}

int read_file_upto(const char *path, size_t max_bytes, char **data, size_t *nr_bytes)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : read_fd(fd, max_bytes, data, nr_bytes);
}

int read_regular_file(const char *path, size_t max_bytes, char **data, size_t *nr_bytes)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? read_fd(fd, max_bytes, data, nr_bytes) : -EINVAL;
}

/* Writing to them fails, and is told; reading, too. */
void keep_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(1);
}

struct date date_of(uint64_t seconds)
{
	time_t when = (time_t)seconds;
	struct date date = { "" };
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(date.text, sizeof(date.text), "%Y-%m-%d %H:%M", &tm);
	return date;
}

int host_id(uint8_t id[16])
{
	sd_id128_t host;
	int r;

	memset(id, 0, 16);
	r = sd_id128_get_machine_app_specific(HOST_ID_APPLICATION, &host);
	if (r < 0)
		return r;
	memcpy(id, host.bytes, 16);
	return 0;
}

void node_of_sysfs(const char *name, char *path, size_t nr_bytes)
{
	snprintf(path, nr_bytes, "/dev/%s", name);
	for (char *c = path; *c; c++)
		if (*c == '!')
			*c = '/';
}

void format_size(uint64_t nr_bytes, char *text, size_t nr_text)
{
	static const char units[] = "KMGTPE";
	double size = (double)nr_bytes;
	int unit = -1;

	while (size >= 1024 && units[unit + 1]) {
		size /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, nr_text, "%" PRIu64 " B", nr_bytes);
	else
		snprintf(text, nr_text, "%.*f %ciB",
			 size < 10 && (uint64_t)(size * 10) % 10 ? 1 : 0, size, units[unit]);
}
