/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of create share: create-look.c looks and writes nothing, create-devices.c is about
 * one device, create-plan.c decides what goes to which slot, create-backup.c keeps the first backup,
 * create-hide.c writes to main, and create.c does it all in an order that a crash may interrupt.
 */
#ifndef DM_REMAP_CREATE_STEPS_H
#define DM_REMAP_CREATE_STEPS_H

#include "ops/create.h"

/* create-devices.c */
int create_open_members(struct create_request *a, struct error *error);
/* "/sys/devices/..." of the whole disk that @devno is or is a partition of; empty: none. */
void create_disk_of(dev_t devno, char *path, size_t nr_bytes);
int create_block_bytes(int fd);
int create_check_devices(struct create_request *a, struct error *error);
int create_check_members(struct create_request *a, struct error *error);
int create_check_mark(struct create_request *a, struct error *error);

/* create-plan.c */
uint32_t create_nr_entries(const struct create_request *a);
/* Entries and content: the probe chunk, then the hidden ones, then those with bad sectors. */
int create_make_plan(struct create_request *a, struct region_plan *plan, struct error *error);
int create_make_header(struct create_request *a, struct region_plan *plan,
		       struct remap_member_disk *header, struct error *error);

/* create-backup.c: without the backup there is no set. */
int create_check_backup(const struct create_request *a, struct error *error);
/* @header: main's to be; NULL: without guard */
int create_write_backup(struct create_request *a, const struct remap_member_disk *header,
			struct error *error);

/* create-look.c: @write: it must take a write, too. */
int create_find_probe_chunk(struct create_request *a, bool write, struct error *error);
void create_looked_done(struct create_request *a);

/* create-hide.c: *@begun: main's first sector is ours, or may be. */
int create_hide(const struct create_request *a, const struct region_plan *plan,
		const struct remap_member_disk *header, bool *begun, struct error *error);

#endif /* DM_REMAP_CREATE_STEPS_H */
