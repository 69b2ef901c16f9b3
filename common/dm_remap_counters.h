/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note OR BSD-3-Clause */
/*
 * The table of counters: a file that includes it defines what COUNTER() makes of a row.
 *
 *   COUNTER(NAME, name, text)   kept on the spare: DM_REMAP_A_NAME in netlink, name=N in the
 *                               status line, stats/name in sysfs, "name" in JSON; in the text
 *                               of `dmremap status` this text and the number, or, where it
 *                               is NULL, nothing beyond the lines that are written out there
 *   SINCE_LOAD(NAME)            only an attribute beside them, and counted elsewhere
 *
 * A new row goes to the end: the order is that of the attributes, of the fields on the spare
 * (FORMAT.md) and of the status line.  Netlink specification and JSON schema are made from it.
 */
#ifndef SINCE_LOAD
#define SINCE_LOAD(NAME)
#endif

COUNTER(READ_ERRORS, read_errors, NULL)
COUNTER(WRITE_ERRORS, write_errors, NULL)
COUNTER(SPARE_READ_ERRORS, spare_read_errors, NULL)
COUNTER(SPARE_WRITE_ERRORS, spare_write_errors, NULL)
COUNTER(FLUSH_ERRORS, flush_errors, NULL)
COUNTER(RELOCATIONS, relocations, NULL)
COUNTER(REJECTED, rejected, NULL)
COUNTER(LOST_READS, lost_reads, "reads of lost sectors that were refused")
COUNTER(SAVES_OK, saves_ok, NULL)
COUNTER(SAVES_FAILED, saves_failed, NULL)
SINCE_LOAD(COMMIT_FAILURES)

#undef COUNTER
#undef SINCE_LOAD
