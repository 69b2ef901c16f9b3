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
 *   late SECTOR COUNT            what main's cache loses there cannot be read afterwards
 *   told-once                    from here on disks lose what was acknowledged, and say so
 *                                once, to a flush
 *
 * A write is *required* once it was acknowledged with FUA, or acknowledged and
 * then flushed.  A write (whatever its result) is *superseded* in a sector when
 * a required write of that sector was issued after it had ended.  Allowed is
 * any write that was issued and is not superseded; the initial content while
 * nothing is required; an error only where content got unreadable and nothing
 * issued since is required.
 *
 * Told once: a flush, or a write with FUA, that fails tells the application that any write
 * may be lost that was acknowledged before, or was on its way, and that no flush has covered
 * yet: a later flush that succeeds does not make it required.  Operations of several threads
 * overlap, and their marks come in any order: a flush that succeeds makes writes required
 * when all others that were on their way at its end have ended, none of them failed.  Where
 * a sector is late, an error is allowed as soon as a write was issued there that is not
 * required.
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
	bool in_doubt; /* a failure was told while it was on its way */
	int result;
};

struct oracle {
	uint64_t sectors;
	uint64_t *required_issue;   /* per sector: latest issue of a required write */
	uint64_t *readbad;	    /* per sector: when it got unreadable, 0: never */
	uint64_t *last_issue;	    /* per sector: latest issue of any write */
	bool *late;		    /* per sector: what the cache loses gets unreadable */
	struct oracle_write *write; /* index: ID */
	uint64_t nr_writes;
	uint64_t *waiting; /* acknowledged without FUA, not flushed */
	size_t nr_waiting;
	struct oracle_covered {
		uint64_t write;
		uint64_t flushed; /* when the flush that covered it was acknowledged */
	} * covered;		  /* but others that could tell of a loss had not ended */
	size_t nr_covered;
	bool told_once;
	uint64_t nr_told;
	uint64_t nr_doubted;
	uint64_t *flush_issue; /* index: ID; 0: not under way */
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
