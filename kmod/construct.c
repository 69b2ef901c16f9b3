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

#include "compat.h"
#include "manual.h"

#define LOAD_BLOCKS_MIN	8U
#define CLONE_POOL	64

static void free_manual(struct remap_manual *manual)
{
	if (!manual)
		return;
	vfree(manual->buffer);
	kfree(manual->io.vecs);
	kvfree(manual->copy);
	kvfree(manual->change);
	mutex_destroy(&manual->lock);
	kfree(manual);
}

static void free_set(struct remap_set *set)
{
	/* Before the worker's queue: suspects go there. */
	if (set->flow.wq)
		flush_workqueue(set->flow.wq);
	if (set->wq)
		destroy_workqueue(set->wq);
	if (set->soft_wq)
		destroy_workqueue(set->soft_wq);
	remap_table_exit(&set->table);
	bioset_exit(&set->clones);
	kvfree(set->meta.block);
	vfree(set->meta.buffer);
	kfree(set->meta.image);
	kfree(set->chunk_buffer);
	kfree(set->probe_buffer);
	kvfree(set->note);
	kfree(set->rw_vecs);
	kvfree(set->piece);
	kvfree(set->change);
	remap_flow_exit(set);
	remap_scan_exit(set);
	free_manual(set->manual);
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
	cancel_delayed_work_sync(&set->autosave);
	cancel_delayed_work_sync(&set->lost_work);
	cancel_work_sync(&set->settle_work);
	remap_scan_stop(set);
	remap_disown(set);
	remap_remove_instance(set);
	free_set(set);
}

static int allocate_manual(struct remap_set *set)
{
	struct remap_manual *manual = kzalloc(sizeof(*manual), GFP_KERNEL);

	if (!manual)
		return -ENOMEM;
	set->manual = manual;
	mutex_init(&manual->lock);
	manual->span = REMAP_MANUAL_CHUNKS;
	manual->buffer = vmalloc(array_size(REMAP_MANUAL_CHUNKS, REMAP_CHUNK_BYTES));
	manual->io.bio = &manual->bio;
	manual->io.vecs = kcalloc(BIO_MAX_VECS, sizeof(*manual->io.vecs), GFP_KERNEL);
	manual->copy = kvcalloc(REMAP_MANUAL_CHUNKS, sizeof(*manual->copy), GFP_KERNEL);
	manual->change = kvcalloc(REMAP_MANUAL_CHUNKS, sizeof(*manual->change), GFP_KERNEL);
	return manual->buffer && manual->io.vecs && manual->copy && manual->change ? 0 : -ENOMEM;
}

/* All that the data path and the error path will ever need (D13, P6). */
static int allocate(struct remap_set *set)
{
	struct remap_meta *meta = &set->meta;
	const struct remap_geometry *geometry = &meta->super.geometry;

	/* Room for every layout that a region of this length may have: remap_geometry_valid(). */
	meta->nr_blocks = 1 + geometry->table_blocks + REMAP_MAX_SOFT_BLOCKS;
	meta->load_blocks = clamp_t(u32, 1 + geometry->table_blocks + geometry->soft_blocks,
				    LOAD_BLOCKS_MIN, BIO_MAX_VECS);
	meta->block = kvcalloc(meta->nr_blocks, sizeof(*meta->block), GFP_KERNEL);
	meta->buffer = vmalloc(array3_size(meta->load_blocks, REMAP_COPIES, REMAP_BLOCK_BYTES));
	meta->image = kmalloc(REMAP_BLOCK_BYTES, GFP_KERNEL);
	set->chunk_buffer = kmalloc(REMAP_CHUNK_BYTES, GFP_KERNEL);
	set->probe_buffer = kmalloc(2 * REMAP_CHUNK_BYTES, GFP_KERNEL);
	set->rw_vecs = kcalloc(BIO_MAX_VECS, sizeof(*set->rw_vecs), GFP_KERNEL);
	set->piece = kvcalloc(REMAP_ROUND_PIECES, sizeof(*set->piece), GFP_KERNEL);
	/* Behind the changes of a round: slots that turned out to be bad. */
	set->change = kvcalloc(2 * REMAP_ROUND_PIECES, sizeof(*set->change), GFP_KERNEL);
	set->note = kvcalloc(REMAP_NOTES, sizeof(*set->note), GFP_KERNEL);
	set->wq = alloc_ordered_workqueue("dm-remap", WQ_MEM_RECLAIM);
	/* Not ordered: a timer that waits for a hung spare holds no event up (P9). */
	set->soft_wq = alloc_workqueue("dm-remap-soft", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!meta->block || !meta->buffer || !meta->image || !set->chunk_buffer ||
	    !set->probe_buffer || !set->rw_vecs || !set->piece || !set->change || !set->note ||
	    !set->wq || !set->soft_wq)
		return -ENOMEM;
	set->flow.is_shared = !queue_is_mq(bdev_get_queue(set->main->bdev)) ||
			      !queue_is_mq(bdev_get_queue(set->spare->bdev)) ||
			      set->main->bdev->bd_disk == set->spare->bdev->bd_disk;
	return allocate_manual(set) ?: remap_flow_init(set) ?: remap_scan_init(set, remap_scan_work) ?:
	       bioset_init(&set->clones, CLONE_POOL, remap_sub_front_pad(), 0) ?:
	       remap_table_init(&set->table, geometry->slots, set->ti->len);
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

	set->deadline_seconds = REMAP_DEADLINE_SECONDS;
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
			set->force_rw = true;
			continue;
		}
		if (!strcmp(name, "deadline")) {
			if (!as->argc) {
				ti->error = "deadline needs a number of seconds";
				return -EINVAL;
			}
			r = dm_read_arg(&deadline, as, &set->deadline_seconds, &ti->error);
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
			set->has_write_cache = true;
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
		ti->error = "Main device has logical blocks of more than 4 KiB";
	else if (bdev_logical_block_size(spare) > bdev_logical_block_size(main))
		ti->error = "Spare device has larger logical blocks than main device";
	else if (ti->len > bdev_nr_sectors(main))
		ti->error = "Main device is smaller than the target";
	else if (ti->len < REMAP_CHUNK_SECTORS)
		ti->error = "The target is shorter than a chunk of 4 KiB";
	else if (ti->len > REMAP_MAX_MAIN_SECTORS)
		ti->error = "Main device is larger than 4 PiB";
	else if (end < set->spare_start || end > bdev_nr_sectors(spare))
		ti->error = "Spare region does not lie inside the spare device";
	else if (set->spare_start %
		 max_t(u32, REMAP_CHUNK_SECTORS, bdev_physical_block_size(spare) >> SECTOR_SHIFT))
		ti->error = "SPARE_START is no multiple of 4 KiB and of the spare's physical block";
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
	spin_lock_init(&set->queue_lock);
	spin_lock_init(&set->note_lock);
	bio_list_init(&set->queue);
	bio_list_init(&set->round);
	bio_list_init(&set->parked);
	INIT_WORK(&set->work, remap_worker);
	INIT_WORK(&set->event_work, remap_event_work);
	INIT_WORK(&set->note_work, remap_send_notes);
	INIT_DELAYED_WORK(&set->autosave, remap_autosave);
	INIT_DELAYED_WORK(&set->lost_work, remap_lost_work);
	INIT_WORK(&set->settle_work, remap_settle_work);
	init_completion(&set->subs_done);
	INIT_LIST_HEAD(&set->owners);
	INIT_LIST_HEAD(&set->instances);
	set->error_threshold = 1;
	set->meta.out = -1;
	set->tokens = U64_MAX;
	set->tokens_at = jiffies;

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
	r = remap_geometry_compute(set->spare_sectors, &set->meta.super.geometry);
	if (r) {
		ti->error = "Spare region is too small";
		goto bad;
	}
	r = allocate(set);
	if (r) {
		remap_err(set, "%llu MiB of memory for the remap table are not there (1 MiB for each TiB of main device, 24 bytes for each slot)",
			  (remap_table_bytes(set->meta.super.geometry.slots, ti->len) >> 20) + 1);
		ti->error = "Cannot allocate memory for the remap table";
		goto bad;
	}
	if (remap_owned_by_other(set)) {
		ti->error = "Main or spare device is already in use by another remap device";
		r = -EBUSY;
		goto bad;
	}
	r = remap_probe_spare(set, &ti->error);
	if (r)
		goto bad;

	r = remap_add_instance(set);
	if (r) {
		ti->error = "Cannot allocate the set";
		goto bad;
	}
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
