/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What sectors of a set are used for: through partitions and volumes down to file systems, and
 * there to paths, metadata or free space.  Callers: the verbs files and scrub.
 */
#ifndef DM_REMAP_FILES_H
#define DM_REMAP_FILES_H

#include "files/hits.h"
#include "util/progress.h"

/**
 * struct files_request - a search
 * @devno: of the set's mapped device
 * @runs: its sectors, where @at and @of_set are the same; it takes them
 * @progress: NULL: not shown
 * @by_mounts: only from mounted file systems: no device is read, whose bad sectors would fail again
 * @seconds: that walks through all files may take; 0: no limit
 */
struct files_request {
	dev_t devno;
	struct runs runs;
	struct progress *progress;
	bool by_mounts;
	unsigned int seconds;
};

/* What keeps it from being whole is in the notes of @hits; an error is of this machine. */
int files_find(struct files_request *request, struct hits *hits, struct error *error);

#endif /* DM_REMAP_FILES_H */
