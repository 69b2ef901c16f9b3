// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making an instance of the target from a table line, and taking it apart.
 *
 * The constructor opens and checks the devices, allocates, and looks at the spare;
 * it owns nothing on the media yet: preresume does (target.c).
 *
 * Rules kept here:
 *   P6  an I/O waits for no memory: all it needs is there before the first one
 *   D11 removal does not wait in postsuspend, so the destructor does
 *   D13 all is allocated in the constructor
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "base/compat.h"
#include "base/written.h"
#include "construct.h"
#include "engine/engine.h"
#include "iface/iface.h"
#include "life/life.h"
#include "meta/meta.h"

static void free_set(struct remap_set *set)
{
	/* Before the worker's queue: suspects go there. */
	if (set->flow.wq)
		flush_workqueue(set->flow.wq);
	if (set->queue.wq)
		destroy_workqueue(set->queue.wq);
	if (set->aux_wq)
		destroy_workqueue(set->aux_wq);
	remap_table_exit(&set->table);
	remap_engine_exit(set);
	remap_meta_exit(set);
	remap_life_exit(set);
	kfree(set->scratch.chunk);
	kfree(set->scratch.anchor);
	kfree(set->scratch.vecs);
	kvfree(set->events.ring);
	remap_flow_exit(set);
	remap_scan_exit(set);
	if (set->spare)
		dm_put_device(set->ti, set->spare);
	if (set->main)
		dm_put_device(set->ti, set->main);
	mutex_destroy(&set->lock);
	kfree(set);
}

/**
 * remap_dtr() - the destructor
 * @ti: the target; not mapped any more, but what is in flight on a removal may still end
 *
 * Context: may sleep.
 */
void remap_dtr(struct dm_target *ti)
{
	struct remap_set *set = ti->private;

	/* postsuspend does not wait on removal (D11): what is in flight uses the set. */
	remap_drain_all(set);
	remap_sysfs_remove(set);
	remap_life_stop(set);
	cancel_work_sync(&set->settle_work);
	remap_scan_stop(set);
	remap_disown(set);
	remap_remove_instance(set);
	free_set(set);
}

/* All that the data path and the error path will ever need (D13, P6). */
static int allocate(struct remap_set *set)
{
	set->scratch.chunk = kmalloc(REMAP_CHUNK_BYTES, GFP_KERNEL);
	set->scratch.anchor = kmalloc(2 * REMAP_CHUNK_BYTES, GFP_KERNEL);
	set->scratch.vecs = kcalloc(BIO_MAX_VECS, sizeof(*set->scratch.vecs), GFP_KERNEL);
	set->events.ring = kvcalloc(REMAP_EVENT_RING, sizeof(*set->events.ring), GFP_KERNEL);
	set->queue.wq = alloc_ordered_workqueue("dm-remap", WQ_MEM_RECLAIM);
	/* Not ordered: a timer that waits for a hung spare holds no event up (P9). */
	set->aux_wq = alloc_workqueue("dm-remap-soft", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!set->scratch.chunk || !set->scratch.anchor || !set->scratch.vecs ||
	    !set->events.ring || !set->queue.wq || !set->aux_wq)
		return -ENOMEM;
	set->flow.is_shared = !queue_is_mq(bdev_get_queue(set->main->bdev)) ||
			      !queue_is_mq(bdev_get_queue(set->spare->bdev)) ||
			      set->main->bdev->bd_disk == set->spare->bdev->bd_disk;
	return remap_meta_init(set) ?: remap_engine_init(set) ?: remap_life_init(set) ?:
	       remap_flow_init(set) ?: remap_scan_init(set, remap_scan_work) ?:
	       remap_table_init(&set->table, set->geometry.slots, set->ti->len);
}

static int parse_features(struct remap_set *set, struct dm_arg_set *as)
{
	static const struct dm_arg group = { 0, 5, "Invalid number of feature arguments" };
	static const struct dm_arg deadline = {
		1, 3600, "deadline must be 1 to 3600 seconds"
	};
	struct dm_target *ti = set->ti;
	unsigned int nr_features;
	int r;

	set->options.deadline_seconds = REMAP_DEADLINE_SECONDS;
	if (!as->argc)
		return 0;
	r = dm_read_arg_group(&group, as, &nr_features, &ti->error);
	if (r)
		return r;
	if (as->argc > nr_features) {
		ti->error = "Too many arguments";
		return -EINVAL;
	}
	while (as->argc) {
		const char *name = dm_shift_arg(as);

		if (!strcmp(name, "force_rw")) {
			set->options.force_rw = true;
			continue;
		}
		if (!strcmp(name, "deadline")) {
			if (!as->argc) {
				ti->error = "deadline needs a number of seconds";
				return -EINVAL;
			}
			r = dm_read_arg(&deadline, as, &set->options.deadline_seconds, &ti->error);
			if (r)
				return r;
			continue;
		}
		if (!strcmp(name, "write_cache")) {
			r = as->argc ? remap_parse_write_cache(dm_shift_arg(as)) : -EINVAL;
			if (r < 0) {
				ti->error = "write_cache must be through, keep or auto";
				return r;
			}
			set->write_cache = r;
			set->options.has_write_cache = true;
			continue;
		}
		ti->error = "Unknown feature argument";
		return -EINVAL;
	}
	return 0;
}

static int get_devices(struct remap_set *set, const char *main_path, const char *spare_path)
{
	struct dm_target *ti = set->ti;
	int r;

	r = dm_get_device(ti, main_path, dm_table_get_mode(ti->table), &set->main);
	if (r) {
		set->main = NULL;
		ti->error = "Cannot open main device";
		return r;
	}
	r = dm_get_device(ti, spare_path, dm_table_get_mode(ti->table), &set->spare);
	if (r) {
		set->spare = NULL;
		ti->error = "Cannot open spare device";
	}
	return r;
}

static int check_devices(struct remap_set *set)
{
	struct block_device *main = set->main->bdev, *spare = set->spare->bdev;
	struct dm_target *ti = set->ti;
	u64 end = set->spare_start + set->spare_sectors;
	bool writable = dm_table_get_mode(ti->table) & BLK_OPEN_WRITE;

	ti->error = NULL;
	if (bdev_is_zoned(main) || bdev_is_zoned(spare))
		ti->error = "Zoned devices are not supported";
	else if (writable && bdev_read_only(main))
		ti->error = "Main device is read-only";
	else if (writable && bdev_read_only(spare))
		ti->error = "Spare device is read-only";
	else if (bdev_logical_block_size(main) > REMAP_CHUNK_BYTES)
		ti->error = "Main device has logical blocks larger than 4 KiB";
	else if (bdev_logical_block_size(spare) > bdev_logical_block_size(main))
		ti->error = "Spare device has larger logical blocks than main device";
	else if (ti->len > bdev_nr_sectors(main))
		ti->error = "Main device is smaller than the target";
	else if (ti->len < REMAP_CHUNK_SECTORS)
		ti->error = "The target is shorter than a chunk of 4 KiB";
	else if (ti->len > REMAP_MAX_MAIN_SECTORS)
		ti->error = "Main device is larger than 4 PiB";
	else if (end < set->spare_start || end > bdev_nr_sectors(spare))
		ti->error = "Spare region is not within the spare device";
	else if (set->spare_start %
		 max_t(u32, REMAP_CHUNK_SECTORS, bdev_physical_block_size(spare) >> SECTOR_SHIFT))
		ti->error = "SPARE_START must be a multiple of 4 KiB and of the physical block";
	else if (main->bd_disk == spare->bd_disk &&
		 get_start_sect(main) < get_start_sect(spare) + end &&
		 get_start_sect(spare) + set->spare_start < get_start_sect(main) + ti->len)
		ti->error = "Main device and spare region overlap";
	return ti->error ? -EINVAL : 0;
}

/**
 * remap_ctr() - the constructor
 * @ti: the target
 * @argc: number of arguments
 * @argv: MAIN_DEV SPARE_DEV SPARE_START SPARE_LEN [#features ...]; sectors
 *
 * Another instance may own the media and run: nothing is written here, and what
 * is read is read again in preresume.
 *
 * Context: may sleep.  Return: 0 or a negative errno, then ti->error says why.
 */
int remap_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set as = { argc, argv };
	const char *main_path, *spare_path;
	unsigned long long start, nr_sectors;
	struct remap_set *set;
	int r;

	if (argc < 4) {
		ti->error = "Usage: MAIN_DEV SPARE_DEV SPARE_START SPARE_LEN [#features ...]";
		return -EINVAL;
	}
	set = kzalloc(sizeof(*set), GFP_KERNEL);
	if (!set) {
		ti->error = "Cannot allocate the set";
		return -ENOMEM;
	}
	set->ti = ti;
	mutex_init(&set->lock);
	spin_lock_init(&set->queue.lock);
	spin_lock_init(&set->events.lock);
	bio_list_init(&set->queue.bios);
	INIT_WORK(&set->queue.work, remap_worker);
	INIT_WORK(&set->events.mode_work, remap_mode_work);
	INIT_WORK(&set->events.work, remap_send_events);
	INIT_WORK(&set->settle_work, remap_settle_work);
	set->options.error_threshold = 1;

	main_path = dm_shift_arg(&as);
	spare_path = dm_shift_arg(&as);
	r = -EINVAL;
	if (kstrtoull(dm_shift_arg(&as), 10, &start)) {
		ti->error = "SPARE_START is not a number of sectors";
		goto bad;
	}
	if (kstrtoull(dm_shift_arg(&as), 10, &nr_sectors)) {
		ti->error = "SPARE_LEN is not a number of sectors";
		goto bad;
	}
	set->spare_start = start;
	set->spare_sectors = nr_sectors;
	r = parse_features(set, &as);
	if (r)
		goto bad;
	r = get_devices(set, main_path, spare_path);
	if (r)
		goto bad;
	r = check_devices(set);
	if (r)
		goto bad;
	r = remap_geometry_compute(set->spare_sectors, &set->geometry);
	if (r) {
		ti->error = "Spare region is too small";
		goto bad;
	}
	r = allocate(set);
	if (r) {
		remap_err(set, "cannot allocate %llu MiB for the remap table (1 MiB per TiB of main device, 24 bytes per slot)",
			  (remap_table_bytes(set->geometry.slots, ti->len) >> 20) + 1);
		ti->error = "Cannot allocate memory for the remap table";
		goto bad;
	}
	if (remap_owned_by_other(set)) {
		ti->error = "Main or spare device is already in use by another remap device";
		r = -EBUSY;
		goto bad;
	}
	r = remap_probe_spare(set);
	if (r) {
		ti->error = "Spare cannot be used: see the previous message";
		goto bad;
	}

	remap_add_instance(set);
	ti->private = set;
	ti->num_flush_bios = REMAP_NR_MEMBERS;
	ti->flush_supported = true;
	ti->num_discard_bios = bdev_max_discard_sectors(set->main->bdev) ? 1 : 0;
	ti->discards_supported = ti->num_discard_bios;
	ti->per_io_data_size = sizeof(struct remap_bio);
	return 0;

bad:
	free_set(set);
	return r;
}
