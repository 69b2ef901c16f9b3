/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to disks, asked by children: a disk that does not answer keeps a child waiting in
 * the kernel, where no signal reaches it, and not the command.  As long as all answer there is
 * one child, which stays for the next questions; it ends with its parent.  A disk that a child of
 * whichever process still waits for is not asked again (asking.h).
 *
 * Not for several threads.  Caller: scan.c.
 */
#ifndef DM_REMAP_ASK_H
#define DM_REMAP_ASK_H

#include "util/util.h"

#define ASK_REQUEST_MAX 1024
#define ASK_ANSWER_MAX 3072

/*
 * Runs in the child, which has nothing of the parent's open, and none of its later memory:
 * fills in @answer, zeros before, from what @request says.
 */
typedef void (*ask_f)(const void *request, void *answer);

/**
 * struct questions - questions of one kind
 * @f: answers one
 * @nr: how many
 * @requests: @nr of @request_bytes each
 * @request_bytes: at most ASK_REQUEST_MAX
 * @answers: @nr of @answer_bytes each; of those that do not come in time nothing is changed
 * @answer_bytes: at most ASK_ANSWER_MAX
 * @answered: @nr: which came
 * @device: @nr: which device each is for; 0: none that could hang
 */
struct questions {
	ask_f f;
	size_t nr;
	const void *requests;
	size_t request_bytes;
	void *answers;
	size_t answer_bytes;
	bool *answered;
	const dev_t *device;
};

/*
 * Each disk has @timeout_ms for each of its commands, so that a slow one comes to its end, but not
 * for ever; and none waits for another.
 */
int ask_disks(const struct questions *questions, unsigned int timeout_ms);

#endif /* DM_REMAP_ASK_H */
