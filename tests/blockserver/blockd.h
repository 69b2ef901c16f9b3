/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of remap-blockd know of each other. One process, one thread that
 * does all I/O (so the log has one order), disks, connections and parked requests
 * in plain lists.
 *
 *   blockd.c     options, poll loop, parked requests
 *   disk.c       media, volatile cache, power cut
 *   fault.c      what goes wrong, where and how often
 *   log.c        the record of everything
 *   nbd.c        the NBD protocol on a socket
 *   kernel.c     /dev/nbdN of the kernel we run on as the client
 *   control.c    the line protocol of the control socket
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define SECTOR_BYTES 512u
#define MAX_DISKS 16

static inline void freep(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ __attribute__((cleanup(freep)))

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define _cleanup_close_ __attribute__((cleanup(closep)))

enum op { OP_READ, OP_WRITE, OP_FLUSH, OP_TRIM, OP_COUNT };

enum action {
	ACT_ERROR,     /* nothing is done, error */
	ACT_HEAL,      /* reads fail until written; a write succeeds and heals */
	ACT_FAIL_HEAL, /* like heal, but the write which heals reports an error and is lost */
	ACT_LANDED,    /* the write is done, then an error is reported */
	ACT_TORN,      /* the first half of the write is done, error */
	ACT_PARTIAL,   /* what lies before the bad sector is done, error */
	ACT_SLOW,      /* only the delay */
	ACT_LATE,      /* into the cache it succeeds, and the flush fails; past it as ACT_ERROR */
	ACT_UNREAD,    /* the media cannot be read until it is written; the cache can */
	ACT_FORGETS,   /* nothing is done, and no error: what was written is not kept */
	ACT_HEAL_4K,   /* physical blocks cannot be read, nor written but whole: that heals */
};

struct fault {
	struct fault *next;
	uint64_t first, count;
	bool on_read, on_write;
	enum action action;
	int64_t times;	  /* how often it still strikes, -1: for ever */
	bool then_unread; /* of ACT_LATE: what lost its content cannot be read */
	uint64_t delay_ms;
};

struct hold {
	struct hold *next;
	uint64_t first, count;
	enum op op;
};

enum device_state { DEVICE_OK, DEVICE_FAILED, DEVICE_READ_ONLY };

struct stats {
	uint64_t reads, writes, flushes, fua, trims, errors, lost;
};

struct disk {
	char name[64];
	uint32_t index;
	uint64_t sectors;
	bool vcache, read_only_option, trim, fua, serial;
	uint32_t physical_bytes, logical_bytes;

	int media_fd;
	int cache_fd;
	uint64_t *dirty; /* a bit a sector: newer in the cache than on the media */
	uint64_t nr_dirty;

	enum device_state state;
	struct fault *faults;
	unsigned int nr_late; /* how many of them are ACT_LATE */
	struct hold *holds;
	uint64_t delay_ms[OP_COUNT];
	uint64_t fua_delay_ms; /* of a write with FUA, on top */
	uint64_t flush_errors, flush_losses;
	struct stats stats;

	int listen_fd; /* --unix */
	int kernel_fd; /* --kernel: /dev/nbdN */
};

struct connection {
	struct connection *next;
	int fd;
	struct disk *disk; /* NULL: a control connection */
	bool dead;
	char line[1024];
	size_t line_bytes;
};

struct request {
	struct request *next;
	struct connection *connection;
	struct disk *disk;
	uint64_t handle;
	enum op op;
	bool fua;
	uint64_t first, count; /* sectors */
	uint8_t *data;	       /* of a write, or room for a read */
	bool held, delayed;
	bool queued; /* of a serial disk: behind another one */
	uint64_t due_ns;
};

struct server {
	const char *directory;
	struct disk disks[MAX_DISKS];
	unsigned int nr_disks;
	int control_fd;
	struct connection *connections;
	struct request *parked;
	bool quit;
};

/* blockd.c */
uint64_t now_ns(void);
void server_submit(struct server *s, struct request *request);
void server_release(struct server *s, struct disk *disk);
void server_fail_parked(struct server *s);
unsigned int server_count_held(const struct server *s, const struct disk *disk);
int listen_unix(const char *directory, const char *name);

/* disk.c: int results are 0 or a positive NBD error number (EIO, EPERM, EINVAL) */
int disk_open(struct disk *disk, const char *directory);
int disk_read(struct disk *disk, uint64_t first, uint64_t count, uint8_t *data);
int disk_write(struct disk *disk, uint64_t first, uint64_t count, const uint8_t *data, bool fua);
int disk_trim(struct disk *disk, uint64_t first, uint64_t count);
int disk_destage(struct disk *disk);
void disk_lose(struct disk *disk, uint64_t first, uint64_t count);
bool disk_next_dirty(const struct disk *disk, uint64_t *first, uint64_t end, uint64_t *count);
int disk_lose_cache(struct disk *disk, bool keep_random, uint64_t *random_state);
int disk_execute(struct disk *disk, struct request *request);

/* fault.c */
struct verdict {
	bool fails;
	uint64_t done; /* a write that fails: how many sectors are done all the same */
};
int fault_add(struct disk *disk, const struct fault *fault);
void fault_clear(struct disk *disk, uint64_t first, uint64_t count);
struct verdict fault_judge(struct disk *disk, const struct request *request);
uint64_t fault_delay_ms(const struct disk *disk, const struct request *request);
bool fault_lose_late(struct disk *disk);
bool fault_is_late(const struct disk *disk, uint64_t sector);
void fault_media_written(struct disk *disk, uint64_t first, uint64_t count);
unsigned int fault_count(const struct disk *disk);

/* log.c */
enum log_kind { LOG_WRITE = 1, LOG_FLUSH, LOG_MARK, LOG_TRIM, LOG_POWERCUT, LOG_LOST };
enum log_flag { LOG_FUA = 1, LOG_FAILED = 2, LOG_LANDED = 4 };
int log_open(const char *path);
void log_append(enum log_kind kind, unsigned int flags, uint32_t disk, uint64_t sector,
		uint32_t length, const void *data, size_t data_bytes);

/* nbd.c */
uint16_t nbd_transmission_flags(const struct disk *disk);
int nbd_negotiate(int fd, const struct disk *disk);
int nbd_receive(struct server *s, struct connection *connection);
int nbd_reply(struct request *request, int error);

/* kernel.c */
int kernel_attach(struct server *s, struct disk *disk);
void kernel_detach(struct server *s);

/* control.c */
void control_line(struct server *s, struct connection *connection, char *line);
