/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a sector may contain after a crash, by promises P1 and P2.
 *
 * It follows the marks that a workload puts into the log (positions are record
 * numbers):
 *
 *   issue ID SECTOR COUNT FUA    a write is about to be sent
 *   ack ID RESULT                it has ended; RESULT 0 or an errno
 *   flush-issue ID, flush-ack ID RESULT
 *   readbad SECTOR COUNT         these sectors of main cannot be read from now on
 *   active                       the mapped device exists
 *
 * A write is *required* once it was acknowledged with FUA, or acknowledged and
 * then flushed.  A write (whatever its result) is *superseded* in a sector when
 * a required write of that sector was issued after it had ended.  Allowed is
 * any write that was issued and is not superseded; the initial content while
 * nothing is required; an error only where content got unreadable and nothing
 * issued since is required.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oracle_write {
	uint64_t issue; /* position; 0: not issued */
	uint64_t ack;	/* UINT64_MAX: not yet */
	uint64_t sector;
	uint32_t count;
	bool fua;
	bool required;
	int result;
};

struct oracle {
	uint64_t sectors;
	uint64_t *required_issue;   /* per sector: latest issue of a required write */
	uint64_t *readbad;	    /* per sector: when it got unreadable, 0: never */
	struct oracle_write *write; /* index: ID */
	uint64_t nr_writes;
	uint64_t *waiting; /* acknowledged without FUA, not flushed */
	size_t nr_waiting;
	uint64_t *flush_issue; /* index: ID */
	uint64_t nr_flushes;
	bool active;
	uint64_t nr_acked;
	uint64_t nr_failed;
};

int oracle_init(struct oracle *oracle, uint64_t sectors);
void oracle_done(struct oracle *oracle);
/* A mark at a position of the log; 0, or -EINVAL for a mark that makes no sense. */
int oracle_mark(struct oracle *oracle, uint64_t position, const char *text, size_t nr_bytes);

/* WRITE: number of the write the content is of.  NULL: allowed; else why not. */
const char *oracle_judge(const struct oracle *oracle, uint64_t sector, uint64_t write);
const char *oracle_judge_error(const struct oracle *oracle, uint64_t sector);

#endif
