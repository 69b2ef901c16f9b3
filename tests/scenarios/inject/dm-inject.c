// SPDX-License-Identifier: GPL-2.0-only
/*
 * The target `inject`: a lower device that fails with any error, and when it
 * is told to.  For tests; the block server knows one error only.
 *
 * START LEN inject DEV [PHYSICAL]
 *
 * PHYSICAL: bytes of the physical block that it claims to have.
 *
 * Messages:
 *   on OP FIRST COUNT ERRNO [hold]   bios of OP (read, write, flush, discard)
 *                                    that touch these sectors fail; with hold
 *                                    they wait before that; ERRNO 0: they pass
 *   release                          nothing waits any more
 *   clear                            forget all rules
 *   stats                            replies "HITS WAITING"
 */
#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/slab.h>

enum { MOST_RULES = 8 };

struct rule {
	enum req_op op;
	sector_t first;
	sector_t end;
	blk_status_t status;
	bool hold;
};

struct inject {
	struct dm_dev *dev;
	spinlock_t lock; /* protects all below */
	struct rule rule[MOST_RULES];
	unsigned int nr_rules;
	unsigned int nr_hits;
	unsigned int physical_bytes;
	struct bio_list waiting;
};

struct inject_bio {
	blk_status_t status;
};

static int inject_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	unsigned int physical_bytes = 0;
	struct inject *inject;
	int r;

	if (argc < 1 || argc > 2 || (argc == 2 && kstrtouint(argv[1], 10, &physical_bytes))) {
		ti->error = "Usage: DEV [PHYSICAL]";
		return -EINVAL;
	}
	inject = kzalloc(sizeof(*inject), GFP_KERNEL);
	if (!inject)
		return -ENOMEM;
	r = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &inject->dev);
	if (r) {
		ti->error = "Cannot open device";
		kfree(inject);
		return r;
	}
	inject->physical_bytes = physical_bytes;
	spin_lock_init(&inject->lock);
	bio_list_init(&inject->waiting);
	ti->private = inject;
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->per_io_data_size = sizeof(struct inject_bio);
	return 0;
}

static void inject_dtr(struct dm_target *ti)
{
	struct inject *inject = ti->private;

	dm_put_device(ti, inject->dev);
	kfree(inject);
}

static bool matches(const struct rule *rule, const struct bio *bio)
{
	if (bio->bi_opf & REQ_PREFLUSH)
		return rule->op == REQ_OP_FLUSH;
	return rule->op == bio_op(bio) && bio_sectors(bio) && bio->bi_iter.bi_sector < rule->end &&
	       bio_end_sector(bio) > rule->first;
}

static int inject_map(struct dm_target *ti, struct bio *bio)
{
	struct inject *inject = ti->private;
	struct inject_bio *pb = dm_per_bio_data(bio, sizeof(*pb));
	unsigned long irq_flags;
	unsigned int i;
	bool hold = false;

	bio_set_dev(bio, inject->dev->bdev);
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	pb->status = BLK_STS_OK;
	spin_lock_irqsave(&inject->lock, irq_flags);
	for (i = 0; i < inject->nr_rules; i++) {
		if (!matches(&inject->rule[i], bio))
			continue;
		pb->status = inject->rule[i].status;
		hold = inject->rule[i].hold;
		inject->nr_hits++;
		break;
	}
	if (hold)
		bio_list_add(&inject->waiting, bio);
	spin_unlock_irqrestore(&inject->lock, irq_flags);
	if (hold)
		return DM_MAPIO_SUBMITTED;
	if (!pb->status)
		return DM_MAPIO_REMAPPED;
	bio->bi_status = pb->status;
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

static void release(struct inject *inject)
{
	struct bio_list list = BIO_EMPTY_LIST;
	struct bio *bio;
	unsigned int i;

	spin_lock_irq(&inject->lock);
	bio_list_merge(&list, &inject->waiting);
	bio_list_init(&inject->waiting);
	for (i = 0; i < inject->nr_rules; i++)
		inject->rule[i].hold = false;
	spin_unlock_irq(&inject->lock);
	while ((bio = bio_list_pop(&list))) {
		struct inject_bio *pb = dm_per_bio_data(bio, sizeof(*pb));

		bio->bi_status = pb->status;
		if (pb->status)
			bio_endio(bio);
		else
			submit_bio_noacct(bio);
	}
}

static int add_rule(struct inject *inject, unsigned int argc, char **argv)
{
	static const char *const name[] = { "read", "write", "flush", "discard" };
	static const enum req_op op[] = { REQ_OP_READ, REQ_OP_WRITE, REQ_OP_FLUSH, REQ_OP_DISCARD };
	unsigned long long first, count;
	struct rule rule = {};
	unsigned int error;
	int i;

	if (argc < 5 || argc > 6 || (argc == 6 && strcmp(argv[5], "hold")))
		return -EINVAL;
	i = match_string(name, ARRAY_SIZE(name), argv[1]);
	if (i < 0 || kstrtoull(argv[2], 10, &first) || kstrtoull(argv[3], 10, &count) ||
	    kstrtouint(argv[4], 10, &error))
		return -EINVAL;
	rule.op = op[i];
	rule.first = first;
	rule.end = first + count;
	rule.status = errno_to_blk_status(-(int)error);
	rule.hold = argc == 6;
	if (inject->nr_rules == MOST_RULES)
		return -ENOSPC;
	spin_lock_irq(&inject->lock);
	inject->rule[inject->nr_rules++] = rule;
	spin_unlock_irq(&inject->lock);
	return 0;
}

static int inject_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
			  unsigned int maxlen)
{
	struct inject *inject = ti->private;
	struct bio *bio;
	unsigned int sz = 0, nr = 0;

	if (!strcmp(argv[0], "on"))
		return add_rule(inject, argc, argv);
	if (!strcmp(argv[0], "release") || !strcmp(argv[0], "clear")) {
		release(inject);
		if (*argv[0] == 'c')
			inject->nr_rules = 0;
		return 0;
	}
	if (strcmp(argv[0], "stats"))
		return -EINVAL;
	spin_lock_irq(&inject->lock);
	bio_list_for_each(bio, &inject->waiting) nr++;
	DMEMIT("%u %u", inject->nr_hits, nr);
	spin_unlock_irq(&inject->lock);
	return 1;
}

static int inject_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct inject *inject = ti->private;

	return fn(ti, inject->dev, 0, ti->len, data);
}

static void inject_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct inject *inject = ti->private;

	if (inject->physical_bytes)
		limits->physical_block_size = inject->physical_bytes;
}

static struct target_type inject_target = {
	.name = "inject",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = inject_ctr,
	.dtr = inject_dtr,
	.map = inject_map,
	.message = inject_message,
	.iterate_devices = inject_iterate_devices,
	.io_hints = inject_io_hints,
};

static int __init inject_init(void)
{
	return dm_register_target(&inject_target);
}

static void __exit inject_exit(void)
{
	dm_unregister_target(&inject_target);
}

module_init(inject_init);
module_exit(inject_exit);

MODULE_DESCRIPTION("device-mapper target that fails as tests want");
MODULE_AUTHOR("The dm-remap developers");
MODULE_LICENSE("GPL v2");
