/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the members of an inactive set record beside their data: whose set it is (O7), and
 * which hardware the spare is (O12).  Callers: `dmremap adopt-host`, `replace-main`,
 * `replace-spare`.
 */
#ifndef DM_REMAP_RECORD_H
#define DM_REMAP_RECORD_H

#include "set/handle.h"

/* The set is of this host from now on; @host: not all zero.  @label: its new name; NULL: as it is. */
int record_host(struct set_handle *handle, const uint8_t host[16], const char *label,
		struct error *error);
/* Whether record_spare() could say it.  -ENODATA: main has no guard; -EUCLEAN, -EIO. */
int record_check(const struct set_handle *handle, struct error *error);
/* Writes the mark of a main that lacks it, with the number that the set has now. */
int record_mark(const struct set_handle *handle, struct error *error);
/* Main has a header, and it names hardware that is certainly not this one. */
bool record_is_other(const struct set_handle *handle, const char *identity);
/* The spare is this hardware from now on.  -ENODATA: main has no header to say so. */
int record_spare(struct set_handle *handle, const char *identity, struct error *error);

#endif /* DM_REMAP_RECORD_H */
