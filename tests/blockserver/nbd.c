// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The NBD protocol: fixed newstyle negotiation (for clients on a unix socket; the
 * kernel's client starts after it) and simple replies. Reads and writes on a client's
 * socket block: a client that stops in the middle of a message stops the server.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "blockd.h"

#define NBD_MAGIC 0x4e42444d41474943u	     /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC 0x49484156454f5054u /* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC 0x3e889045565a9u
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_REPLY_MAGIC 0x67446698u
#define MAX_REQUEST_BYTES (32u << 20)
#define MAX_OPTION_BYTES 4096u

enum { FLAG_HAS_FLAGS = 1, FLAG_READ_ONLY = 2, FLAG_FLUSH = 4, FLAG_FUA = 8, FLAG_TRIM = 32 };
enum { OPT_EXPORT_NAME = 1, OPT_ABORT = 2, OPT_LIST = 3, OPT_INFO = 6, OPT_GO = 7 };
enum { REP_ACK = 1, REP_SERVER = 2, REP_INFO = 3 };
#define REP_ERR_UNSUP 0x80000001u
enum { INFO_EXPORT = 0, INFO_BLOCK_SIZE = 3 };
enum { CMD_READ = 0, CMD_WRITE = 1, CMD_DISC = 2, CMD_FLUSH = 3, CMD_TRIM = 4 };
#define CMD_FLAG_FUA 1u

static int receive_all(int fd, void *buffer, size_t bytes)
{
	uint8_t *at = buffer;

	while (bytes) {
		ssize_t n = recv(fd, at, bytes, MSG_WAITALL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int send_all(int fd, const void *buffer, size_t bytes, int flags)
{
	const uint8_t *at = buffer;

	while (bytes) {
		ssize_t n = send(fd, at, bytes, flags | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

uint16_t nbd_transmission_flags(const struct disk *disk)
{
	return (uint16_t)(FLAG_HAS_FLAGS | FLAG_FLUSH | (disk->fua ? FLAG_FUA : 0) |
			  (disk->trim ? FLAG_TRIM : 0) |
			  (disk->read_only_option ? FLAG_READ_ONLY : 0));
}

static int option_reply(int fd, uint32_t option, uint32_t type, const void *data, uint32_t bytes)
{
	struct {
		uint64_t magic;
		uint32_t option, type, bytes;
	} __attribute__((packed)) header = {
		htobe64(NBD_OPTION_REPLY_MAGIC),
		htobe32(option),
		htobe32(type),
		htobe32(bytes),
	};
	int r;

	r = send_all(fd, &header, sizeof(header), bytes ? MSG_MORE : 0);
	return r < 0 || !bytes ? r : send_all(fd, data, bytes, 0);
}

static int reply_info(int fd, uint32_t option, const struct disk *disk)
{
	struct {
		uint16_t type;
		uint64_t bytes;
		uint16_t flags;
	} __attribute__((packed)) export = {
		htobe16(INFO_EXPORT),
		htobe64(disk->sectors * SECTOR_BYTES),
		htobe16(nbd_transmission_flags(disk)),
	};
	struct {
		uint16_t type;
		uint32_t minimum, preferred, maximum;
	} __attribute__((packed)) sizes = {
		htobe16(INFO_BLOCK_SIZE),
		htobe32(disk->logical_bytes),
		htobe32(disk->physical_bytes),
		htobe32(MAX_REQUEST_BYTES),
	};
	int r;

	r = option_reply(fd, option, REP_INFO, &export, sizeof(export));
	if (r < 0)
		return r;
	r = option_reply(fd, option, REP_INFO, &sizes, sizeof(sizes));
	if (r < 0)
		return r;
	return option_reply(fd, option, REP_ACK, NULL, 0);
}

static int reply_export_name(int fd, const struct disk *disk, bool no_zeroes)
{
	struct {
		uint64_t bytes;
		uint16_t flags;
		uint8_t zeroes[124];
	} __attribute__((packed)) export = {
		.bytes = htobe64(disk->sectors * SECTOR_BYTES),
		.flags = htobe16(nbd_transmission_flags(disk)),
	};

	return send_all(fd, &export, no_zeroes ? 10 : sizeof(export), 0);
}

/* One disk a socket, so whatever name the client asks for, it gets that disk. */
int nbd_negotiate(int fd, const struct disk *disk)
{
	struct {
		uint64_t magic, option_magic;
		uint16_t flags;
	} __attribute__((packed)) hello = {
		htobe64(NBD_MAGIC),
		htobe64(NBD_OPTION_MAGIC),
		htobe16(3),
	};
	struct {
		uint64_t magic;
		uint32_t option, bytes;
	} __attribute__((packed)) header;
	uint8_t payload[MAX_OPTION_BYTES];
	uint32_t client_flags, option, bytes;
	int r;

	r = send_all(fd, &hello, sizeof(hello), 0);
	if (r < 0)
		return r;
	r = receive_all(fd, &client_flags, sizeof(client_flags));
	if (r < 0)
		return r;
	for (;;) {
		r = receive_all(fd, &header, sizeof(header));
		if (r < 0)
			return r;
		option = be32toh(header.option);
		bytes = be32toh(header.bytes);
		if (be64toh(header.magic) != NBD_OPTION_MAGIC || bytes > sizeof(payload))
			return -EPROTO;
		r = receive_all(fd, payload, bytes);
		if (r < 0)
			return r;
		switch (option) {
		case OPT_EXPORT_NAME:
			return reply_export_name(fd, disk, be32toh(client_flags) & 2);
		case OPT_GO:
			return reply_info(fd, option, disk);
		case OPT_INFO:
			r = reply_info(fd, option, disk);
			break;
		case OPT_ABORT:
			(void)option_reply(fd, option, REP_ACK, NULL, 0);
			return -ECONNABORTED;
		default:
			r = option_reply(fd, option, REP_ERR_UNSUP, NULL, 0);
		}
		if (r < 0)
			return r;
	}
}

static int check_request(const struct disk *disk, uint64_t offset, uint32_t bytes)
{
	uint64_t size = disk->sectors * SECTOR_BYTES;

	if (offset % SECTOR_BYTES || bytes % SECTOR_BYTES || !bytes)
		return EINVAL;
	return offset > size || bytes > size - offset ? EINVAL : 0;
}

/*
 * Takes one request off the socket and submits it. Returns 0, or a negative error
 * when the connection is to be closed.
 */
int nbd_receive(struct server *s, struct connection *connection)
{
	static const enum op ops[] = {
		[CMD_READ] = OP_READ,
		[CMD_WRITE] = OP_WRITE,
		[CMD_FLUSH] = OP_FLUSH,
		[CMD_TRIM] = OP_TRIM,
	};
	struct {
		uint32_t magic;
		uint16_t flags, command;
		uint64_t handle, offset;
		uint32_t bytes;
	} __attribute__((packed)) wire;
	struct request *request;
	uint32_t bytes;
	int error, r;

	r = receive_all(connection->fd, &wire, sizeof(wire));
	if (r < 0)
		return r;
	bytes = be32toh(wire.bytes);
	wire.command = be16toh(wire.command);
	if (be32toh(wire.magic) != NBD_REQUEST_MAGIC || wire.command > CMD_TRIM)
		return -EPROTO;
	if (wire.command == CMD_DISC)
		return -ECONNRESET;
	if (wire.command <= CMD_WRITE && bytes > MAX_REQUEST_BYTES)
		return -EPROTO;

	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	request->connection = connection;
	request->disk = connection->disk;
	request->handle = wire.handle;
	request->op = ops[wire.command];
	request->fua = be16toh(wire.flags) & CMD_FLAG_FUA;
	request->first = be64toh(wire.offset) / SECTOR_BYTES;
	request->count = bytes / SECTOR_BYTES;
	if (wire.command <= CMD_WRITE) {
		request->data = malloc(bytes ? bytes : 1);
		r = request->data ? 0 : -ENOMEM;
		if (!r && wire.command == CMD_WRITE)
			r = receive_all(connection->fd, request->data, bytes);
		if (r < 0) {
			free(request->data);
			free(request);
			return r;
		}
	}
	error = wire.command == CMD_FLUSH ?
			0 :
			check_request(connection->disk, be64toh(wire.offset), bytes);
	if (request->fua && !connection->disk->fua)
		error = EINVAL; /* it was not offered */
	if (error)
		return nbd_reply(request, error);
	server_submit(s, request);
	return 0;
}

/* Answers and frees the request. */
int nbd_reply(struct request *request, int error)
{
	struct {
		uint32_t magic, error;
		uint64_t handle;
	} __attribute__((packed)) wire = {
		htobe32(NBD_REPLY_MAGIC),
		htobe32((uint32_t)error),
		request->handle,
	};
	bool with_data = request->op == OP_READ && !error;
	int r = 0;

	if (!request->connection->dead) {
		r = send_all(request->connection->fd, &wire, sizeof(wire),
			     with_data ? MSG_MORE : 0);
		if (r == 0 && with_data)
			r = send_all(request->connection->fd, request->data,
				     request->count * SECTOR_BYTES, 0);
		if (r < 0)
			request->connection->dead = true;
	}
	free(request->data);
	free(request);
	return r;
}
