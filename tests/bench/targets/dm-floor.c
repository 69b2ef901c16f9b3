// SPDX-License-Identifier: GPL-2.0-only
/*
 * The target `floor`: dm-linear with an end_io that does nothing.  What it
 * costs is what any target with an end_io pays; `make bench` compares with it.
 *
 * START LEN floor DEV
 */
#include <linux/device-mapper.h>
#include <linux/module.h>

static int floor_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_dev *dev;
	int r;

	if (argc != 1) {
		ti->error = "Usage: DEV";
		return -EINVAL;
	}
	r = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &dev);
	if (r) {
		ti->error = "Cannot open device";
		return r;
	}
	ti->private = dev;
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->per_io_data_size = sizeof(u64);
	return 0;
}

static void floor_dtr(struct dm_target *ti)
{
	dm_put_device(ti, ti->private);
}

static int floor_map(struct dm_target *ti, struct bio *bio)
{
	struct dm_dev *dev = ti->private;

	bio_set_dev(bio, dev->bdev);
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	return DM_MAPIO_REMAPPED;
}

static int floor_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	return DM_ENDIO_DONE;
}

static int floor_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	return fn(ti, ti->private, 0, ti->len, data);
}

static struct target_type floor_target = {
	.name = "floor",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = floor_ctr,
	.dtr = floor_dtr,
	.map = floor_map,
	.end_io = floor_end_io,
	.iterate_devices = floor_iterate_devices,
};

static int __init floor_init(void)
{
	return dm_register_target(&floor_target);
}

static void __exit floor_exit(void)
{
	dm_unregister_target(&floor_target);
}

module_init(floor_init);
module_exit(floor_exit);

MODULE_DESCRIPTION("device-mapper target that does nothing, to measure others by");
MODULE_AUTHOR("The dm-remap developers");
MODULE_LICENSE("GPL v2");
