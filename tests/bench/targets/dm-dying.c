// SPDX-License-Identifier: GPL-2.0-only
/*
 * The target `dying`: a disk that does one command at a time, in order of
 * arrival, and on which some sectors cannot be read or written, which it
 * finds out slowly.
 *
 * START LEN dying DEV SERVICE_US FIRST STRIDE COUNT BAD_MS
 *
 * A command takes SERVICE_US; one that touches sector FIRST + n * STRIDE, n
 * below COUNT, takes BAD_MS instead and fails.  Status: "READS WRITES FLUSHES
 * FAILED".
 */
#include <linux/bio.h>
#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

struct dying {
	struct dm_dev *dev;
	unsigned int service_us;
	u64 first;
	u64 stride;
	u64 count;
	unsigned int bad_ms;
	struct workqueue_struct *queue;
	struct work_struct work;
	spinlock_t lock; /* protects @waiting */
	struct bio_list waiting;
	unsigned int nr_reads, nr_writes, nr_flushes, nr_failed; /* the work's */
};

/* Inclusive of one that begins before FIRST. */
static bool is_bad(const struct dying *dying, const struct bio *bio)
{
	u64 start = bio->bi_iter.bi_sector, end = bio_end_sector(bio), n;

	if (start == end || end <= dying->first)
		return false;
	n = start <= dying->first ? 0 : DIV_ROUND_UP_ULL(start - dying->first, dying->stride);
	return n < dying->count && dying->first + n * dying->stride < end;
}

static void serve(struct dying *dying, struct bio *bio)
{
	if (op_is_write(bio_op(bio))) {
		if (bio_sectors(bio))
			dying->nr_writes++;
		else
			dying->nr_flushes++;
	} else {
		dying->nr_reads++;
	}
	if (is_bad(dying, bio)) {
		dying->nr_failed++;
		msleep(dying->bad_ms);
		bio->bi_status = BLK_STS_MEDIUM;
		bio_endio(bio);
	} else {
		usleep_range(dying->service_us, dying->service_us + 1);
		dm_submit_bio_remap(bio, NULL);
	}
}

static void dying_work(struct work_struct *work)
{
	struct dying *dying = container_of(work, struct dying, work);
	struct bio *bio;

	for (;;) {
		spin_lock_irq(&dying->lock);
		bio = bio_list_pop(&dying->waiting);
		spin_unlock_irq(&dying->lock);
		if (!bio)
			return;
		serve(dying, bio);
	}
}

static int dying_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dying *dying;
	int r;

	dying = kzalloc(sizeof(*dying), GFP_KERNEL);
	if (!dying)
		return -ENOMEM;
	if (argc != 6 || kstrtouint(argv[1], 10, &dying->service_us) ||
	    kstrtou64(argv[2], 10, &dying->first) || kstrtou64(argv[3], 10, &dying->stride) ||
	    kstrtou64(argv[4], 10, &dying->count) || kstrtouint(argv[5], 10, &dying->bad_ms) ||
	    !dying->stride) {
		ti->error = "Usage: DEV SERVICE_US FIRST STRIDE COUNT BAD_MS";
		r = -EINVAL;
		goto free;
	}
	dying->queue = alloc_ordered_workqueue("dying", WQ_MEM_RECLAIM);
	if (!dying->queue) {
		r = -ENOMEM;
		goto free;
	}
	r = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &dying->dev);
	if (r) {
		ti->error = "Cannot open device";
		goto destroy;
	}
	INIT_WORK(&dying->work, dying_work);
	spin_lock_init(&dying->lock);
	bio_list_init(&dying->waiting);
	ti->private = dying;
	ti->num_flush_bios = 1;
	ti->accounts_remapped_io = true;
	return 0;

destroy:
	destroy_workqueue(dying->queue);
free:
	kfree(dying);
	return r;
}

static void dying_dtr(struct dm_target *ti)
{
	struct dying *dying = ti->private;

	destroy_workqueue(dying->queue);
	dm_put_device(ti, dying->dev);
	kfree(dying);
}

static int dying_map(struct dm_target *ti, struct bio *bio)
{
	struct dying *dying = ti->private;
	unsigned long flags;

	bio_set_dev(bio, dying->dev->bdev);
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	spin_lock_irqsave(&dying->lock, flags);
	bio_list_add(&dying->waiting, bio);
	spin_unlock_irqrestore(&dying->lock, flags);
	queue_work(dying->queue, &dying->work);
	return DM_MAPIO_SUBMITTED;
}

static void dying_status(struct dm_target *ti, status_type_t type, unsigned int status_flags,
			 char *result, unsigned int maxlen)
{
	struct dying *dying = ti->private;
	unsigned int sz = 0;

	if (type == STATUSTYPE_INFO)
		DMEMIT("%u %u %u %u", dying->nr_reads, dying->nr_writes, dying->nr_flushes,
		       dying->nr_failed);
	else
		result[0] = '\0';
}

static int dying_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct dying *dying = ti->private;

	return fn(ti, dying->dev, 0, ti->len, data);
}

static struct target_type dying_target = {
	.name = "dying",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = dying_ctr,
	.dtr = dying_dtr,
	.map = dying_map,
	.status = dying_status,
	.iterate_devices = dying_iterate_devices,
};

static int __init dying_init(void)
{
	return dm_register_target(&dying_target);
}

static void __exit dying_exit(void)
{
	dm_unregister_target(&dying_target);
}

module_init(dying_init);
module_exit(dying_exit);

MODULE_DESCRIPTION("device-mapper target that is a serial disk with bad sectors, to measure on");
MODULE_AUTHOR("The dm-remap developers");
MODULE_LICENSE("GPL v2");
