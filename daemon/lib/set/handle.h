/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An inactive set taken apart: both members open, checked to be one set (FORMAT.md section 7).
 * Changes nothing; create.c, release.c, mend.c and others do.
 */
#ifndef DM_REMAP_HANDLE_H
#define DM_REMAP_HANDLE_H

#include "format/places.h"
#include "format/region.h"
#include "util/progress.h"

/**
 * struct set_handle - an inactive set with both members open
 * @main_path: of main
 * @spare_path: of the spare
 * @main_fd: opened for direct I/O
 * @spare_fd: the same
 * @region: on @spare_fd
 * @table: its entries
 * @give_up: lost sectors that need not be found again when the set ends
 * @still_lost: after release_run(): sectors that are errors on main, as they were in the set
 * @zeroed: after it, or release_undo_create(): lost sectors in places of the set's own, which are zeros now
 * @spare_read_only: it takes no writes
 * @any_hardware: it was said that these are the disks, whatever they look like
 * @progress: of what is done with it; NULL: not shown
 */
struct set_handle {
	char main_path[256];
	char spare_path[256];
	int main_fd;
	int spare_fd;
	struct region region;
	struct region_table table;
	struct sector_ranges give_up;
	struct sector_ranges still_lost;
	struct sector_ranges zeroed;
	bool spare_read_only;
	bool any_hardware;
	struct progress *progress;
};

#define SET_HANDLE_NONE                       \
	{                                     \
		.main_fd = -1, .spare_fd = -1 \
	}

/*
 * Opens both (@flags: O_RDONLY, or O_RDWR which takes them exclusively) and checks that
 * they are one set, whole and of one age: by the mark (O6).  A set with flags of create or
 * release is opened, too.
 */
int handle_open(const char *main_path, const char *spare_path, int flags, struct set_handle *handle,
		struct error *error);
/*
 * The same, exclusively, where main is a copy of which the place of the mark may not have been
 * rescued (*@lacks_mark): its member header says whose it is, and the age is that of the header.
 * @trusted: nothing has to say so.  With an error *@lacks_mark is true if that would have helped.
 */
int handle_open_copy(const char *main_path, const char *spare_path, bool trusted,
		     struct set_handle *handle, bool *lacks_mark, struct error *error);
/* The same as handle_open(), exclusively, where the spare need not take writes. */
int handle_open_from(const char *main_path, const char *spare_path, struct set_handle *handle,
		     struct error *error);
/* The spare alone, exclusively; @handle has no main. */
int handle_open_spare(const char *spare_path, struct set_handle *handle, struct error *error);
void handle_close(struct set_handle *handle);

/* As open_direct(), exclusively, of an image among those of us; says who uses it. */
int open_exclusive(const char *path, struct error *error);
/*
 * Whether nobody has the device exclusively; it is not opened for writing.  -EBUSY, or -EAGAIN if
 * it is another dmremap that has it, as one does that copies or asks a question.
 */
int device_is_free(const char *path, struct error *error);

/* Where slot @slot lies on the spare device, in bytes. */
off_t handle_slot_offset(const struct set_handle *handle, uint32_t slot);
/*
 * What a slot holds.  Returns the sectors that are served from it and cannot be read, a bit for
 * each; whatever cannot be read is zero.
 */
uint8_t handle_read_slot(const struct set_handle *handle, uint32_t slot, uint8_t *chunk);
bool handle_has_guard(const struct set_handle *handle);
/*
 * Of a set whose create or release was cut short: 1: main is still hidden, so what the spare
 * holds for it is due; 0: main is a plain disk, perhaps in use again, and only the spare is
 * to be wiped.  An error where that cannot be known: then nothing may be written.
 */
int handle_is_due(const struct set_handle *handle, struct error *error);
/*
 * Of a set whose create or release was cut short, and main shows nothing of it: whether this is
 * the disk all the same.  Its hardware tells; where nothing is recorded that can be compared, it
 * must hold what is kept of the places that were to be hidden.  -ENODEV: it is another one, and
 * the spare may have all there is.
 */
int handle_check_main(const struct set_handle *handle, struct error *error);
/* Sectors of the hidden first chunk that are lost, a bit for each. */
uint8_t handle_first_lost(const struct set_handle *handle);
/* Whether main carries the set's mark: 1, 0, or a negative errno: its place cannot be read. */
int handle_is_marked(const struct set_handle *handle);
/* Whether sector 0 is the guard's: 1, 0; -EIO: it cannot be read, and nothing else tells. */
int handle_sector0_is_ours(const struct set_handle *handle);

#endif /* DM_REMAP_HANDLE_H */
