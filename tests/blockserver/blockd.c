// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * remap-blockd: disks that fail on command. Options, the poll loop, and requests that
 * wait (held by a command, or delayed). See README.md beside this file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "blockd.h"

#define MAX_POLL 128

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool is_held(const struct request *request)
{
	for (const struct hold *h = request->disk->holds; h; h = h->next) {
		if (h->op != request->op)
			continue;
		if (h->op == OP_FLUSH || (h->first < request->first + request->count &&
					  request->first < h->first + h->count))
			return true;
	}
	return false;
}

static void finish(struct request *request, int error)
{
	if (error < 0)
		error = disk_execute(request->disk, request);
	(void)nbd_reply(request, error);
}

static void park(struct server *s, struct request *request)
{
	struct request **end = &s->parked;

	while (*end)
		end = &(*end)->next;
	request->next = NULL;
	*end = request;
}

/* The disk turns to the request: what it delays ends after that. */
static void begin(struct server *s, struct request *request)
{
	uint64_t delay_ms = request->delayed ? 0 : fault_delay_ms(request->disk, request);

	if (!delay_ms) {
		finish(request, -1);
		return;
	}
	request->delayed = true;
	request->due_ns = now_ns() + delay_ms * 1000000u;
	park(s, request);
}

/*
 * The link of the request that a serial disk turns to next, or NULL: there is none, or
 * the disk is at work.  One that is held has not come to the disk yet.
 */
static struct request **next_in_queue(struct server *s, const struct disk *disk)
{
	struct request **first = NULL;

	for (struct request **link = &s->parked; *link; link = &(*link)->next) {
		if ((*link)->disk != disk || (*link)->held)
			continue;
		if (!(*link)->queued)
			return NULL;
		if (!first)
			first = link;
	}
	return first;
}

static void run_queue(struct server *s, const struct disk *disk)
{
	struct request **link;

	while (disk->serial && (link = next_in_queue(s, disk))) {
		struct request *request = *link;

		*link = request->next;
		request->queued = false;
		begin(s, request);
	}
}

void server_submit(struct server *s, struct request *request)
{
	request->held = is_held(request);
	request->queued = !request->held && request->disk->serial;
	if (request->held || request->queued)
		park(s, request);
	else
		begin(s, request);
	run_queue(s, request->disk);
}

void server_release(struct server *s, struct disk *disk)
{
	struct request *old = s->parked;

	s->parked = NULL;
	while (old) {
		struct request *request = old;

		old = request->next;
		if (request->held && request->disk == disk)
			server_submit(s, request);
		else
			park(s, request);
	}
}

void server_fail_parked(struct server *s)
{
	while (s->parked) {
		struct request *request = s->parked;

		s->parked = request->next;
		finish(request, EIO);
	}
}

unsigned int server_count_held(const struct server *s, const struct disk *disk)
{
	unsigned int n = 0;

	for (const struct request *r = s->parked; r; r = r->next)
		n += r->held && r->disk == disk;
	return n;
}

/* Does what is due; returns how long poll() may sleep. */
static int run_due(struct server *s)
{
	uint64_t now = now_ns(), next = UINT64_MAX;
	struct request **link;

	/* Where the connection of the request at work has gone, too. */
	for (unsigned int i = 0; i < s->nr_disks; i++)
		run_queue(s, &s->disks[i]);
	link = &s->parked;
	while (*link) {
		struct request *request = *link;

		if (request->held || request->queued) {
			link = &request->next;
			continue;
		}
		if (request->due_ns <= now) {
			const struct disk *disk = request->disk;

			*link = request->next;
			finish(request, -1);
			run_queue(s, disk);
			link = &s->parked; /* the list may be another one */
			next = UINT64_MAX;
			continue;
		}
		if (request->due_ns < next)
			next = request->due_ns;
		link = &request->next;
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000u + 1);
}

static void drop_parked_of(struct server *s, const struct connection *connection)
{
	struct request **link = &s->parked;

	while (*link) {
		struct request *request = *link;

		if (request->connection != connection) {
			link = &request->next;
			continue;
		}
		*link = request->next;
		free(request->data);
		free(request);
	}
}

static void drop_dead(struct server *s)
{
	struct connection **link = &s->connections;

	while (*link) {
		struct connection *connection = *link;

		if (!connection->dead) {
			link = &connection->next;
			continue;
		}
		*link = connection->next;
		drop_parked_of(s, connection);
		close(connection->fd);
		free(connection);
	}
}

int listen_unix(const char *directory, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r;

	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory,
			     name) >= sizeof(address.sun_path)) {
		fprintf(stderr, "remap-blockd: %s/%s is too long a name for a socket\n", directory,
			name);
		return -ENAMETOOLONG;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static void accept_client(struct server *s, int listen_fd, struct disk *disk)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct connection *connection;

	if (fd < 0)
		return;
	connection = disk && nbd_negotiate(fd, disk) < 0 ? NULL : calloc(1, sizeof(*connection));
	if (!connection) {
		close(fd);
		return;
	}
	connection->fd = fd;
	connection->disk = disk;
	connection->next = s->connections;
	s->connections = connection;
}

static void control_input(struct server *s, struct connection *connection)
{
	size_t room = sizeof(connection->line) - connection->line_bytes;
	ssize_t n = recv(connection->fd, connection->line + connection->line_bytes, room, 0);
	char *newline;

	if (n <= 0 || !room) {
		connection->dead = true;
		return;
	}
	connection->line_bytes += (size_t)n;
	while ((newline = memchr(connection->line, '\n', connection->line_bytes))) {
		size_t used = (size_t)(newline - connection->line) + 1;

		*newline = '\0';
		control_line(s, connection, connection->line);
		connection->line_bytes -= used;
		memmove(connection->line, newline + 1, connection->line_bytes);
	}
}

static int serve(struct server *s)
{
	while (!s->quit) {
		struct pollfd fds[MAX_POLL] = { { .fd = s->control_fd, .events = POLLIN } };
		struct connection *clients[MAX_POLL];
		unsigned int n = 1, first_client;
		int timeout = run_due(s);

		drop_dead(s);
		for (unsigned int i = 0; i < s->nr_disks; i++)
			fds[n++] = (struct pollfd){ .fd = s->disks[i].listen_fd, .events = POLLIN };
		first_client = n;
		for (struct connection *c = s->connections; c && n < MAX_POLL; c = c->next) {
			clients[n] = c;
			fds[n++] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
		}
		if (poll(fds, n, timeout) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (unsigned int i = first_client; i < n; i++) {
			if (!fds[i].revents || clients[i]->dead)
				continue;
			if (!clients[i]->disk)
				control_input(s, clients[i]);
			else if (nbd_receive(s, clients[i]) < 0)
				clients[i]->dead = true;
		}
		if (fds[0].revents)
			accept_client(s, s->control_fd, NULL);
		for (unsigned int i = 0; i < s->nr_disks; i++)
			if (fds[1 + i].revents)
				accept_client(s, s->disks[i].listen_fd, &s->disks[i]);
	}
	return 0;
}

static int parse_bool(const char *text, bool *value)
{
	if (strcmp(text, "on") && strcmp(text, "off"))
		return -EINVAL;
	*value = !strcmp(text, "on");
	return 0;
}

static int parse_disk_option(struct disk *disk, char *option)
{
	char *value = strchr(option, '=');

	if (!strcmp(option, "ro")) {
		disk->read_only_option = true;
		return 0;
	}
	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (!strcmp(option, "vcache"))
		return parse_bool(value, &disk->vcache);
	if (!strcmp(option, "trim"))
		return parse_bool(value, &disk->trim);
	if (!strcmp(option, "fua"))
		return parse_bool(value, &disk->fua);
	if (!strcmp(option, "serial"))
		return parse_bool(value, &disk->serial);
	if (strcmp(value, "512") && strcmp(value, "4096"))
		return -EINVAL;
	if (!strcmp(option, "phys"))
		disk->physical_bytes = (uint32_t)atoi(value);
	else if (!strcmp(option, "logical"))
		disk->logical_bytes = (uint32_t)atoi(value);
	else
		return -EINVAL;
	return 0;
}

/* NAME:BYTES[:option,option...] */
static int parse_disk(struct server *s, char *text)
{
	struct disk *disk = &s->disks[s->nr_disks];
	char *name = strsep(&text, ":"), *size = strsep(&text, ":"), *option, *end;
	uint64_t bytes;

	if (s->nr_disks == MAX_DISKS || !size || !*name || strlen(name) >= sizeof(disk->name))
		return -EINVAL;
	bytes = strtoull(size, &end, 10);
	if (*end || !bytes || bytes % 4096)
		return -EINVAL;
	*disk = (struct disk){
		.index = s->nr_disks,
		.sectors = bytes / SECTOR_BYTES,
		.trim = true,
		.fua = true,
		.physical_bytes = 4096,
		.logical_bytes = SECTOR_BYTES,
		.media_fd = -1,
		.cache_fd = -1,
		.listen_fd = -1,
		.kernel_fd = -1,
	};
	strcpy(disk->name, name);
	while ((option = strsep(&text, ",")))
		if (parse_disk_option(disk, option) < 0)
			return -EINVAL;
	s->nr_disks++;
	return 0;
}

static int start(struct server *s, bool with_kernel)
{
	char name[80];
	int r;

	for (unsigned int i = 0; i < s->nr_disks; i++) {
		struct disk *disk = &s->disks[i];

		r = disk_open(disk, s->directory);
		if (r >= 0 && with_kernel) {
			r = kernel_attach(s, disk);
		} else if (r >= 0) {
			snprintf(name, sizeof(name), "%s.sock", disk->name);
			r = disk->listen_fd = listen_unix(s->directory, name);
		}
		if (r < 0) {
			fprintf(stderr, "remap-blockd: disk %s: %s\n", disk->name, strerror(-r));
			return r;
		}
	}
	s->control_fd = listen_unix(s->directory, "ctl");
	return s->control_fd < 0 ? s->control_fd : 0;
}

static int usage(void)
{
	fputs("usage: remap-blockd --dir DIR [--log FILE] (--unix | --kernel)\n"
	      "                    --disk NAME:BYTES[:vcache=on|off,phys=512|4096,"
	      "logical=512|4096,trim=on|off,fua=on|off,serial=on|off,ro] ...\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },  { "log", required_argument, NULL, 'l' },
		{ "disk", required_argument, NULL, 'D' }, { "unix", no_argument, NULL, 'u' },
		{ "kernel", no_argument, NULL, 'k' },	  { NULL, 0, NULL, 0 },
	};
	static struct server server = { .control_fd = -1 };
	bool with_kernel = false, with_unix = false;
	int c, r = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd')
			server.directory = optarg;
		else if (c == 'l')
			r = log_open(optarg);
		else if (c == 'D')
			r = parse_disk(&server, optarg);
		else if (c == 'u')
			with_unix = true;
		else if (c == 'k')
			with_kernel = true;
		else
			return usage();
		if (r < 0) {
			fprintf(stderr, "remap-blockd: cannot use '%s': %s\n", optarg,
				strerror(-r));
			return 1;
		}
	}
	if (optind != argc || !server.directory || !server.nr_disks || with_kernel == with_unix)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	r = start(&server, with_kernel);
	if (r >= 0) {
		puts("ready");
		fflush(stdout);
		r = serve(&server);
	}
	kernel_detach(&server);
	return r < 0 ? 1 : 0;
}
