/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making a set of a device with data and a spare (O3-O5, O21): first everything is looked
 * at and nothing written, so that the command can show it and ask; then it is done.
 */
#ifndef DM_REMAP_CREATE_H
#define DM_REMAP_CREATE_H

#include <limits.h>

#include "format/region.h"
#include "ops/guard.h"
#include "set/handle.h"
#include "set/inventory.h"
#include "system/write-cache.h"

/**
 * struct create_request - a set that is to be made; the first part is the caller's
 * @main_path: device or image whose bad sectors are to be replaced; its content stays
 * @spare_path: device or image that replaces them; what is on it is lost
 * @label: of the set, and name of the mapped device
 * @region_bytes: length of the spare region; 0: the whole device
 * @guard: hide main's content from all but the mapped device
 * @wipe_spare: also when there is something on the spare
 * @accept_unreadable: also when main has sectors that cannot be read: they become lost
 * @write_cache: what becomes of writes behind main's volatile cache
 * @backup_path: file for the set's first backup, empty: the usual place (backup.h)
 *
 * @main_fd: taken exclusively
 * @spare_fd: the same
 * @main_sectors: length of main
 * @spare_sectors: length of the spare device
 * @region_sectors: length of the region on it
 * @slots: number of spare chunks
 * @plan: what is on main and must be hidden
 * @chunk: main chunks that go to the spare from the start, sorted
 * @nr_chunks: how many; 0: without guard
 * @places: what of main cannot be read, of what is looked at anyway
 * @bad_chunk: chunks with such sectors that are not among those above, sorted
 * @nr_bad_chunks: how many
 * @spare_places: the same of the spare
 * @bad_on_spare: sectors of the region that cannot be written, or not read back
 * @probe_chunk: main chunk whose raw place is used for probing
 * @spare_content: what is on the spare now; empty: nothing
 * @main_identity: hardware of main
 * @spare_identity: hardware of the spare
 * @same_disk: both are on one disk
 * @chunk0_elsewhere: main's first chunk does not fit into the member header: without the
 *                    spare it is in the backup only, which must then be written
 * @half_made: on the spare is what an earlier create left that was cut short
 * @removable: the spare can be unplugged
 * @uuid: of the set: known before it is there, so that it can be locked
 * @progress: of writing to the spare; NULL: not shown
 */
struct create_request {
	const char *main_path;
	const char *spare_path;
	char label[REMAP_LABEL_BYTES];
	uint64_t region_bytes;
	bool guard;
	bool wipe_spare;
	bool accept_unreadable;
	enum write_cache write_cache;
	char backup_path[PATH_MAX];

	int main_fd;
	int spare_fd;
	uint64_t main_sectors;
	uint64_t spare_sectors;
	uint64_t region_sectors;
	uint32_t slots;
	struct guard_plan plan;
	uint64_t *chunk;
	uint32_t nr_chunks;
	struct places places;
	uint64_t *bad_chunk;
	uint32_t nr_bad_chunks;
	struct places spare_places;
	struct sector_ranges bad_on_spare;
	uint64_t probe_chunk;
	char spare_content[160];
	char main_identity[REMAP_IDENTITY_BYTES];
	char spare_identity[REMAP_IDENTITY_BYTES];
	bool same_disk;
	bool chunk0_elsewhere;
	bool half_made;
	bool removable;
	uint8_t uuid[16];
	struct progress *progress;
};

/*
 * Opens both exclusively, until create_done(), and looks; writes nothing.  Every refusal is
 * a sentence.
 */
int create_prepare(struct create_request *request, struct error *error);
/* After the question: -EBUSY if what is on them is not what was agreed on any more. */
int create_look_again(struct create_request *request, struct error *error);
/*
 * Does it, under the locks of @uuid and both members.  After an error main is unchanged; if it
 * could not be restored, the message says so, and `dmremap activate` on the spare tries again.
 */
int create_set(struct create_request *request, struct error *error);
void create_done(struct create_request *request);
/*
 * Why main is refused without --accept-unreadable: -EPERM with what cannot be read and what
 * that is for; 0: all of it can be read, or that was accepted.
 */
int create_check_unreadable(const struct create_request *request, struct error *error);
/*
 * Continues an interrupted create where undoing it would leave something on main in place
 * of sectors that could not be read: the set counts afterwards.
 */
int create_complete(struct set_handle *handle, struct error *error);
/* Whether a device can be the spare of a main: writable, not zoned, no larger blocks. */
int spare_check(const char *main_path, int main_fd, const char *spare_path, int spare_fd,
		struct error *error);
/* The region on a spare, and what it has room for; @region_bytes: 0: the whole device. */
int spare_region(const char *path, uint64_t device_sectors, uint64_t region_bytes,
		 uint64_t *region_sectors, uint32_t *slots, struct error *error);
/*
 * What would be lost if a device became a spare; @text: empty: it is blank.  -EPERM: it is a
 * member of an array, a volume group or a file system of several devices (O4).  @places: says
 * what cannot be read, which is part of @text; NULL: that is an error.  @half_made: it has the note
 * of what is to be made again: data without a name is what that has left.
 */
int device_content(const char *path, int fd, uint64_t nr_sectors, bool half_made,
		   struct places *places, char *text, size_t nr_text, struct error *error);
/* -EEXIST: a mapped device, or another set that is present, has the name; @way: what to do then. */
int set_check_name(const char *name, const uint8_t uuid[16], const struct inventory *inventory,
		   const char *way, struct error *error);
/*
 * Whether another program's signature is on it: what a set of ours shows is none, and neither is
 * what @is_own (or NULL) says is the set's own data.
 */
typedef bool (*own_bytes_f)(const void *userdata, uint64_t offset, uint64_t nr_bytes);
bool device_has_name(const char *path, int fd, uint64_t nr_sectors, own_bytes_f is_own,
		     const void *userdata);

#endif /* DM_REMAP_CREATE_H */
