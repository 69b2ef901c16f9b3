// SPDX-License-Identifier: GPL-2.0-or-later
/* A set whose create or release was cut short is undone or completed. */
#include <errno.h>
#include <fcntl.h>

#include "ops/create.h"
#include "ops/mend.h"
#include "ops/release.h"
#include "system/identity.h"

/* The device that the set recorded, when it is present without being a member. */
static bool find_recorded_main(const struct member *spare, char *path, size_t nr_bytes)
{
	_cleanup_closedir_ DIR *directory = opendir("/sys/class/block");
	unsigned int nr_found = 0;
	struct dirent *at;

	while (*spare->recorded && directory && (at = readdir(directory))) {
		char node[300], identity[REMAP_IDENTITY_BYTES];
		dev_t devno;

		node_of_sysfs(at->d_name, node, sizeof(node));
		devno = device_number(node);
		if (*at->d_name == '.' || !devno || devno == spare->devno)
			continue;
		identity_of_device(devno, identity);
		if (!identity_matches(identity, spare->recorded))
			continue;
		snprintf(path, nr_bytes, "%s", node);
		nr_found++;
	}
	return nr_found == 1;
}

int mend_create(struct set_handle *handle, struct error *error)
{
	int r = handle_first_lost(handle) ? handle_is_due(handle, error) : 0;

	if (r < 0)
		return r;
	if (!r)
		return release_undo_create(handle, UNDO_FOUND, error);
	r = create_complete(handle, error);
	return r < 0 ? r : 1;
}

int mend_set(const struct inventory *inventory, const struct assembly *set, bool any_hardware,
	     struct error *error)
{
	_cleanup_(handle_close) struct set_handle handle = SET_HANDLE_NONE;
	const struct member *spare = &inventory->members[set->spare];
	bool creating = spare->flags & REMAP_SUPER_CREATING;
	char main_path[300];
	int r;

	if (set->main >= 0)
		snprintf(main_path, sizeof(main_path), "%s", inventory->members[set->main].path);
	else if (!find_recorded_main(spare, main_path, sizeof(main_path)))
		return error_set(error, EAGAIN,
				 "%s: %s, and its main device is missing or not recognised; "
				 "attach it, or, if it is a plain disk again, free the spare with "
				 "dmremap release --without-main %s",
				 set->name, set->reason, spare->path);
	r = handle_open(main_path, spare->path, O_RDWR, &handle, error);
	handle.any_hardware = any_hardware;
	if (!r)
		r = creating ? mend_create(&handle, error) : release_run(&handle, error);
	if (r > 0)
		return r;
	if (r == -ENODEV) /* the set is present, and so is a disk that may be its main */
		r = -EPERM;
	if (r < 0 && !creating && handle.spare_fd >= 0)
		return error_set(error, -r,
				 "%.300s; to access the content, run dmremap activate --fallback "
				 "%s",
				 error->text, spare->path);
	if (r < 0)
		return r;
	return error_set(error, ECANCELED, "%s: %s; it was %s, and %s is a plain disk%s", set->name,
			 set->reason, creating ? "undone" : "completed", main_path,
			 creating ? " as before" : "");
}
