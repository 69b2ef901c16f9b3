// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "set/ask.h"
#include "set/asking.h"

/* A disk that takes longer is left to its child; another one asks the disks behind it. */
#define STALL_MS 250
/* A question is given up when its disk took so many times the time of one command. */
#define COMMANDS_MAX 12
/* A disk that answers quickly need not say so. */
#define ALIVE_MS 100
/* More disks than that are not waited for at once. */
#define ASKERS_MAX 64
#define NOTHING SIZE_MAX

/**
 * struct asker - a child
 * @pid: of the child; 0: there is none
 * @socket: to it
 * @at: the question that it is busy with; NOTHING: none
 * @since: when it got that, or was alive last
 * @begun: when it got that
 */
struct asker {
	pid_t pid;
	int socket;
	size_t at;
	uint64_t since;
	uint64_t begun;
};

struct request {
	ask_f f;
	dev_t device;
	unsigned int timeout_ms;
	size_t answer_bytes;
	uint8_t data[ASK_REQUEST_MAX];
};

/* They stay from one call to the next; between two calls all are idle. */
static struct asker askers[ASKERS_MAX];
static pid_t owner;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Messages of one byte, which no answer is. */
enum says {
	SAYS_ALIVE = 1,
	SAYS_BUSY, /* another process waits for that disk */
};

/* Of a child: its socket, what it asks, and when it said last that it is alive. */
static int child_socket;
static struct asking child_asking = { .fd = -1 };
static uint64_t child_alive;

/* The disk is slow, and not dead. */
static void say_alive(void)
{
	if (now_ms() < child_alive + ALIVE_MS)
		return;
	child_alive = now_ms();
	asking_go_on(&child_asking);
	send(child_socket, (const char[]){ SAYS_ALIVE }, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Another process asks it: it is not said that the disk is alive for that one's sake. */
static void say_other_is_alive(void)
{
	send(child_socket, (const char[]){ SAYS_ALIVE }, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Returns how many bytes of @answer are to be sent. */
static size_t ask(const struct request *request, uint8_t *answer)
{
	child_alive = now_ms();
	memset(answer, 0, request->answer_bytes);
	if (asking_begin(&child_asking, request->device, request->timeout_ms, say_other_is_alive) <
	    0) {
		*answer = SAYS_BUSY;
		return 1;
	}
	request->f(request->data, answer);
	asking_end(&child_asking);
	return request->answer_bytes;
}

/*
 * Nothing of the parent's is kept: a child that hangs would hold its lock, and a reader
 * its output would wait for the end of it.
 */
static void __attribute__((noreturn)) be_asker(int socket)
{
	static uint8_t answer[ASK_ANSWER_MAX];
	static struct request request;
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	dup2(socket, 3);
	close_range(4, ~0U, 0);
	child_socket = 3;
	after_read = say_alive;
	while (recv(3, &request, sizeof(request), 0) > 0) {
		if (send(3, answer, ask(&request, answer), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static int start_asker(struct asker *asker)
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	asker->pid = fork();
	if (!asker->pid)
		be_asker(sockets[1]);
	close(sockets[1]);
	if (asker->pid < 0) {
		asker->pid = 0;
		close(sockets[0]);
		return -errno;
	}
	asker->socket = sockets[0];
	asker->at = NOTHING;
	return 0;
}

/* One that waits in the kernel ends when its disk answers; init reaps it if we are gone. */
static void leave(struct asker *asker)
{
	kill(asker->pid, SIGKILL);
	waitpid(asker->pid, NULL, WNOHANG);
	close(asker->socket);
	asker->pid = 0;
}

static int give(const struct questions *q, struct asker *asker, size_t i, unsigned int timeout_ms)
{
	struct request request = { .f = q->f,
				   .device = q->device ? q->device[i] : 0,
				   .timeout_ms = timeout_ms,
				   .answer_bytes = q->answer_bytes };

	memcpy(request.data, (const uint8_t *)q->requests + i * q->request_bytes, q->request_bytes);
	if (send(asker->socket, &request, offsetof(struct request, data) + q->request_bytes,
		 MSG_NOSIGNAL) < 0)
		return -errno;
	asker->at = i;
	asker->begun = now_ms();
	asker->since = asker->begun;
	return 0;
}

/* To an idle child, or a new one; -EBUSY: all wait for disks. */
static int dispatch(const struct questions *q, size_t i, unsigned int timeout_ms)
{
	for (unsigned int again = 0; again < 2; again++)
		for (unsigned int c = 0; c < ASKERS_MAX; c++) {
			struct asker *asker = &askers[c];
			int r = 0;

			/* first those that are there */
			if (again ? asker->pid != 0 : !asker->pid || asker->at != NOTHING)
				continue;
			if (!asker->pid)
				r = start_asker(asker);
			if (!r && give(q, asker, i, timeout_ms) == 0)
				return 0;
			if (r < 0)
				return r;
			leave(asker); /* it died meanwhile */
		}
	return -EBUSY;
}

static void read_answer(const struct questions *q, struct asker *asker)
{
	uint8_t answer[ASK_ANSWER_MAX];
	ssize_t n = recv(asker->socket, answer, sizeof(answer), MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n == 1 && *answer == SAYS_ALIVE) {
		asker->since = now_ms();
		return;
	}
	if (n == 1 && *answer == SAYS_BUSY) {
		asker->at = NOTHING;
		return;
	}
	if (n != (ssize_t)q->answer_bytes) {
		leave(asker);
		return;
	}
	memcpy((uint8_t *)q->answers + asker->at * q->answer_bytes, answer, q->answer_bytes);
	q->answered[asker->at] = true;
	asker->at = NOTHING;
}

/* Of its disk's present command, or of all of them. */
static uint64_t deadline_of(const struct asker *asker, unsigned int timeout_ms)
{
	uint64_t command = asker->since + timeout_ms;
	uint64_t all = asker->begun + (uint64_t)timeout_ms * COMMANDS_MAX;

	return command < all ? command : all;
}

/*
 * Waits for answers, until there is one, or @until, or the first child is late; that one is
 * left.  Returns how many are busy.
 */
static unsigned int wait_for_answers(const struct questions *q, uint64_t until,
				     unsigned int timeout_ms)
{
	struct pollfd polled[ASKERS_MAX];
	struct asker *who[ASKERS_MAX];
	unsigned int nr = 0;
	uint64_t now = now_ms();
	int ready;

	for (unsigned int c = 0; c < ASKERS_MAX; c++) {
		struct asker *asker = &askers[c];

		if (!asker->pid || asker->at == NOTHING)
			continue;
		if (now >= deadline_of(asker, timeout_ms)) {
			/* perhaps it was us who were late */
			read_answer(q, asker);
			if (asker->pid && asker->at != NOTHING &&
			    now >= deadline_of(asker, timeout_ms))
				leave(asker);
			if (!asker->pid || asker->at == NOTHING)
				continue;
		}
		if (deadline_of(asker, timeout_ms) < until)
			until = deadline_of(asker, timeout_ms);
		who[nr] = asker;
		polled[nr++] = (struct pollfd){ .fd = asker->socket, .events = POLLIN };
	}
	if (!nr)
		return 0;
	ready = poll(polled, nr, until > now ? (int)(until - now) : 0);
	for (unsigned int i = 0; ready > 0 && i < nr; i++)
		if (polled[i].revents)
			read_answer(q, who[i]);
	return nr;
}

static bool is_busy(size_t i)
{
	for (unsigned int c = 0; c < ASKERS_MAX; c++)
		if (askers[c].pid && askers[c].at == i)
			return true;
	return false;
}

int ask_disks(const struct questions *q, unsigned int timeout_ms)
{
	int r;

	/* those of a process that we were forked from are not ours to ask */
	for (unsigned int c = 0; owner != getpid() && c < ASKERS_MAX; c++) {
		if (askers[c].pid)
			close(askers[c].socket);
		askers[c].pid = 0;
	}
	owner = getpid();
	memset(q->answered, 0, q->nr * sizeof(*q->answered));
	for (size_t i = 0; i < q->nr; i++) {
		uint64_t until;

		while ((r = dispatch(q, i, timeout_ms)) == -EBUSY)
			wait_for_answers(q, UINT64_MAX, timeout_ms);
		if (r < 0)
			return r;
		until = now_ms() + (timeout_ms < STALL_MS ? timeout_ms : STALL_MS);
		while (is_busy(i) && now_ms() < until)
			wait_for_answers(q, until, timeout_ms);
	}
	while (wait_for_answers(q, UINT64_MAX, timeout_ms))
		;
	return 0;
}
