// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/block/dm-N/remap/ (remap-START for a target that does not begin at sector 0): one
 * value per file, the facts of `dmsetup status` and the settings that may be changed at run
 * time.  The directory follows
 * ownership (D12): two instances of a reload never have it at the same time.
 *
 * show and store take no lock: removal waits for them while it holds others.
 */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "base/written.h"
#include "iface/iface.h"
#include "meta/meta.h"

#define THRESHOLD_MIN	1
#define THRESHOLD_MAX	100

/**
 * struct remap_directory - the directory of one set
 * @kobj: the directory
 * @set: the set; valid as long as the directory is there
 */
struct remap_directory {
	struct kobject kobj;
	struct remap_set *set;
};

struct remap_attribute {
	struct attribute attr;
	ssize_t (*show)(struct remap_set *set, const struct remap_attribute *attr, char *page);
	ssize_t (*store)(struct remap_set *set, const char *page, size_t nr_bytes);
};

#define FILE(_name, _mode, _store, _format, _value)					\
	static ssize_t _name##_show(struct remap_set *set,				\
				    const struct remap_attribute *attr, char *page)	\
	{										\
		return sysfs_emit(page, _format "\n", _value);				\
	}										\
	static struct remap_attribute attr_##_name = {					\
		.attr = { .name = #_name, .mode = _mode },				\
		.show = _name##_show, .store = _store,					\
	}
#define FACT(_name, _format, _value)	FILE(_name, 0444, NULL, _format, _value)
#define SETTING(_name, _format, _value)	FILE(_name, 0644, _name##_store, _format, _value)

static struct remap_report report_of(const struct remap_set *set)
{
	struct remap_report report;

	remap_meta_report(set, &report);
	return report;
}

/*
 * What the kernel alone can say: whether everything is whole.  How near the end
 * a disk is, is for the daemon to decide.
 */
static const char *health_of(const struct remap_set *set)
{
	const char *mode = remap_mode(set);

	if (!strcmp(mode, "frozen") || !strcmp(mode, "full"))
		return "degraded";
	if (strcmp(mode, "rw"))
		return "failed";
	return READ_ONCE(set->table.nr_lost) || READ_ONCE(set->table.nr_bad) ? "degraded" : "good";
}

static ssize_t auto_remap_store(struct remap_set *set, const char *page, size_t nr_bytes)
{
	if (sysfs_streq(page, "enabled")) {
		clear_bit(REMAP_AUTO_OFF, &set->flags);
		remap_scan_resume(set);
	} else if (sysfs_streq(page, "disabled")) {
		set_bit(REMAP_AUTO_OFF, &set->flags);
	} else {
		return -EINVAL;
	}
	return nr_bytes;
}

static ssize_t error_threshold_store(struct remap_set *set, const char *page, size_t nr_bytes)
{
	unsigned int threshold;
	int r = kstrtouint(page, 0, &threshold);

	if (r)
		return r;
	if (threshold < THRESHOLD_MIN || threshold > THRESHOLD_MAX)
		return -ERANGE;
	WRITE_ONCE(set->options.error_threshold, threshold);
	return nr_bytes;
}

FACT(version, "%s", DM_REMAP_VERSION);
FACT(mode, "%s", remap_mode(set));
FACT(health, "%s", health_of(set));
FACT(uuid, "%pU", remap_uuid(set));
FACT(used_slots, "%u", READ_ONCE(set->table.nr_used));
FACT(total_slots, "%u", remap_geometry(set)->slots);
FACT(bad_slots, "%u", READ_ONCE(set->table.nr_bad));
FACT(retired_slots, "%u", READ_ONCE(set->table.nr_retired));
FACT(lost_sectors, "%u", READ_ONCE(set->table.nr_lost));
FACT(generation, "%llu", remap_last_seq(set));
FACT(blocks_in_doubt, "%u", report_of(set).nr_in_doubt);
FACT(last_save, "%lld", report_of(set).last_save);
/* The kernel looks for bad sectors only where users read or write. */
FACT(scan, "%s", "off");
SETTING(auto_remap, "%s", test_bit(REMAP_AUTO_OFF, &set->flags) ? "disabled" : "enabled");
SETTING(error_threshold, "%u", READ_ONCE(set->options.error_threshold));

static struct attribute *remap_attrs[] = {
	&attr_version.attr, &attr_mode.attr, &attr_health.attr, &attr_uuid.attr,
	&attr_used_slots.attr, &attr_total_slots.attr, &attr_bad_slots.attr,
	&attr_retired_slots.attr, &attr_lost_sectors.attr, &attr_generation.attr,
	&attr_blocks_in_doubt.attr, &attr_last_save.attr, &attr_auto_remap.attr,
	&attr_error_threshold.attr, &attr_scan.attr, NULL
};

/* Filled from the table of counters. */
static struct remap_attribute counter_attrs[REMAP_NR_COUNTERS];
static struct attribute *stats_attrs[REMAP_NR_COUNTERS + 1];

static ssize_t counter_show(struct remap_set *set, const struct remap_attribute *attr, char *page)
{
	return sysfs_emit(page, "%lld\n",
			  (s64)atomic64_read(&set->counters.nr[attr - counter_attrs]));
}

static const struct attribute_group remap_group = { .attrs = remap_attrs };
static const struct attribute_group stats_group = { .name = "stats", .attrs = stats_attrs };
static const struct attribute_group *remap_groups[] = { &remap_group, &stats_group, NULL };

static ssize_t show(struct kobject *kobj, struct attribute *attr, char *page)
{
	struct remap_directory *directory = container_of(kobj, struct remap_directory, kobj);
	struct remap_attribute *attribute = container_of(attr, struct remap_attribute, attr);

	return attribute->show(directory->set, attribute, page);
}

static ssize_t store(struct kobject *kobj, struct attribute *attr, const char *page,
		     size_t nr_bytes)
{
	struct remap_directory *directory = container_of(kobj, struct remap_directory, kobj);
	struct remap_attribute *attribute = container_of(attr, struct remap_attribute, attr);

	return attribute->store ? attribute->store(directory->set, page, nr_bytes) : -EIO;
}

static const struct sysfs_ops remap_sysfs_ops = { .show = show, .store = store };

static void release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct remap_directory, kobj));
}

static const struct kobj_type remap_ktype = {
	.sysfs_ops = &remap_sysfs_ops,
	.default_groups = remap_groups,
	.release = release,
};

/**
 * remap_sysfs_add() - make the directory
 * @set: the set, owned
 *
 * Without it everything else works: a failure is logged only.
 * Context: preresume, may sleep; remap_set.lock not held.
 */
void remap_sysfs_add(struct remap_set *set)
{
	struct gendisk *disk = dm_disk(dm_table_get_md(set->ti->table));
	struct remap_directory *directory;
	char name[32] = "remap";
	int r;

	if (set->directory)
		return;
	directory = kzalloc(sizeof(*directory), GFP_KERNEL);
	if (!directory)
		return;
	directory->set = set;
	/* A table with several of these targets has one directory for each. */
	if (set->ti->begin)
		snprintf(name, sizeof(name), "remap-%llu", (u64)set->ti->begin);
	r = kobject_init_and_add(&directory->kobj, &remap_ktype, &disk_to_dev(disk)->kobj, "%s",
				 name);
	if (r) {
		remap_warn(set, "no directory 'remap' in sysfs: %d", r);
		kobject_put(&directory->kobj);
		return;
	}
	set->directory = &directory->kobj;
}

/**
 * remap_sysfs_remove() - remove the directory; waits for readers of its files
 * @set: the set; need not have one
 *
 * Context: may sleep; remap_set.lock not held.
 */
void remap_sysfs_remove(struct remap_set *set)
{
	if (!set->directory)
		return;
	kobject_del(set->directory);
	kobject_put(set->directory);
	set->directory = NULL;
}

/**
 * remap_sysfs_init() - make the list of files
 *
 * Context: module init.
 */
void __init remap_sysfs_init(void)
{
	unsigned int i;

	for (i = 0; i < REMAP_NR_COUNTERS; i++) {
		counter_attrs[i].attr.name = remap_counter_info[i].name;
		counter_attrs[i].attr.mode = 0444;
		counter_attrs[i].show = counter_show;
		stats_attrs[i] = &counter_attrs[i].attr;
	}
}
