// SPDX-License-Identifier: GPL-2.0-or-later
/* The disks in memory, and the rest of the module and of the kernel; see fuzz.h. */
#include "../next_random.h"
#include "fuzz.h"

struct disk disk[DISKS];
bool verbose;
unsigned long jiffies = 1000000;

static uint64_t state;

void dice_seed(u64 seed, u64 number)
{
	state = seed ^ number * 0xd6e8feb86659fd93ULL;
	dice();
	dice();
}

u64 dice(void)
{
	return next_random(&state);
}

u64 dice_below(u64 end)
{
	return dice() % end;
}

bool dice_one_in(u64 n)
{
	return !dice_below(n);
}

void fuzz_log(const char *format, ...)
{
	va_list arguments;

	if (!verbose)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

/* io.c */

int remap_rw(struct remap_set *set, struct dm_dev *dev, sector_t sector, void *buffer,
	     u32 nr_sectors, blk_opf_t opf)
{
	struct disk *d = &disk[dev == set->spare ? DISK_SPARE : DISK_MAIN];
	bool write = (opf & REQ_OP_MASK) == REQ_OP_WRITE;
	u32 i;

	/* Whole, whether it fails or not: the sanitizer looks at the buffer. */
	if (!write)
		memset(buffer, 0xe5, (size_t)nr_sectors * REMAP_SECTOR_BYTES);
	else
		crc32_le(0, buffer, (size_t)nr_sectors * REMAP_SECTOR_BYTES);
	if (sector > d->nr_sectors || nr_sectors > d->nr_sectors - sector)
		return -EIO;
	for (i = 0; i < nr_sectors; i++) {
		u8 fault = d->fault[sector + i];

		if (fault == SECTOR_BAD || fault == (write ? SECTOR_READ_ONLY : SECTOR_UNREADABLE))
			return -EIO;
	}
	if (!write) {
		memcpy(buffer, d->data + sector * REMAP_SECTOR_BYTES,
		       (size_t)nr_sectors * REMAP_SECTOR_BYTES);
		return 0;
	}
	memcpy(d->data + sector * REMAP_SECTOR_BYTES, buffer,
	       (size_t)nr_sectors * REMAP_SECTOR_BYTES);
	for (i = 0; i < nr_sectors; i++)
		d->fault[sector + i] = SECTOR_GOOD;
	d->nr_writes++;
	return 0;
}

int remap_rw_chunk(struct remap_set *set, struct dm_dev *dev, sector_t start, u8 mask,
		   unsigned int unit, blk_opf_t opf, u8 *failed)
{
	unsigned int bit;

	for (bit = 0; bit < REMAP_CHUNK_SECTORS; bit += unit) {
		u8 unit_mask = (u8)(((1U << unit) - 1) << bit);

		if (mask & unit_mask &&
		    remap_rw(set, dev, start + bit, set->scratch.chunk + bit * REMAP_SECTOR_BYTES,
			     unit, opf))
			*failed |= mask & unit_mask;
	}
	return 0;
}

int remap_flush_spare(struct remap_set *set)
{
	(void)set;
	return 0;
}

void remap_drain(struct remap_set *set, const struct remap_drain *drain)
{
	(void)set;
	(void)drain;
}

bool remap_has_fua(const struct remap_set *set, enum remap_member member)
{
	(void)set;
	(void)member;
	return true;
}

struct remap_gate *remap_gate(struct remap_set *set, enum remap_member member)
{
	return &set->flow.gate[member];
}

int remap_gate_clean(struct remap_set *set, enum remap_member member)
{
	(void)set;
	(void)member;
	return 0;
}

int remap_flow_init(struct remap_set *set)
{
	(void)set;
	return 0;
}

void remap_flow_exit(struct remap_set *set)
{
	(void)set;
}

int remap_scan_init(struct remap_set *set, work_func_t work)
{
	(void)work;
	(void)set;
	return 0;
}

void remap_scan_exit(struct remap_set *set)
{
	(void)set;
}

void remap_scan_stop(struct remap_set *set)
{
	(void)set;
}

void remap_scan_work(struct work_struct *work)
{
	(void)work;
}

void remap_scan_resume(struct remap_set *set)
{
	(void)set;
}

void remap_settle_work(struct work_struct *work)
{
	(void)work;
}

int remap_parse_write_cache(const char *word)
{
	(void)word;
	return -EINVAL;
}

void remap_drain_all(struct remap_set *set)
{
	(void)set;
}

/* registry.c, handover.c */

static struct block_device bdev[DISKS];
static struct gendisk gendisk[DISKS];
static struct dm_dev dev[DISKS] = { { &bdev[0], "main" }, { &bdev[1], "spare" } };

int dm_get_device(struct dm_target *ti, const char *path, fmode_t mode, struct dm_dev **found)
{
	int which = strcmp(path, "main") != 0;

	(void)ti;
	(void)mode;
	bdev[which].nr_sectors = disk[which].nr_sectors;
	bdev[which].bd_disk = &gendisk[which];
	*found = &dev[which];
	return 0;
}

bool remap_owned_by_other(const struct remap_set *set)
{
	(void)set;
	return false;
}

void remap_add_instance(struct remap_set *set)
{
	(void)set;
}

void remap_remove_instance(struct remap_set *set)
{
	(void)set;
}

void remap_disown(struct remap_set *set)
{
	(void)set;
}

/* status.c, netlink.c, sysfs.c */

const char *remap_mode(const struct remap_set *set)
{
	(void)set;
	return "rw";
}

void remap_unlock(struct remap_set *set)
{
	mutex_unlock(&set->lock);
}

void remap_notice_mode(struct remap_set *set)
{
	(void)set;
}

void remap_queue_event(struct remap_set *set, struct remap_event *event)
{
	(void)set;
	(void)event;
}

bool remap_listened(void)
{
	return true;
}

void remap_sysfs_remove(struct remap_set *set)
{
	(void)set;
}

/* The workers: nothing is queued. */

int remap_engine_init(struct remap_set *set)
{
	(void)set;
	return 0;
}

void remap_engine_exit(struct remap_set *set)
{
	(void)set;
}

int remap_life_init(struct remap_set *set)
{
	(void)set;
	return 0;
}

void remap_life_stop(struct remap_set *set)
{
	(void)set;
}

void remap_life_exit(struct remap_set *set)
{
	(void)set;
}

void remap_worker(struct work_struct *work)
{
	(void)work;
}

void remap_mode_work(struct work_struct *work)
{
	(void)work;
}

void remap_send_events(struct work_struct *work)
{
	(void)work;
}

/* the kernel */

u64 get_random_u64(void)
{
	return dice();
}

void generate_random_uuid(u8 *uuid)
{
	u64 half[2] = { dice(), dice() };

	memcpy(uuid, half, sizeof(half));
}

int kstrtoull(const char *text, unsigned int base, unsigned long long *value)
{
	*value = strtoull(text, NULL, base);
	return 0;
}

int kstrtouint(const char *text, unsigned int base, unsigned int *value)
{
	*value = strtoul(text, NULL, base);
	return 0;
}

int dm_read_arg(const struct dm_arg *arg, struct dm_arg_set *as, unsigned int *value, char **error)
{
	const char *text = dm_shift_arg(as);

	if (!text || kstrtouint(text, 10, value) || *value < arg->min || *value > arg->max) {
		*error = arg->error;
		return -EINVAL;
	}
	return 0;
}

int dm_read_arg_group(const struct dm_arg *arg, struct dm_arg_set *as, unsigned int *value,
		      char **error)
{
	return dm_read_arg(arg, as, value, error);
}
