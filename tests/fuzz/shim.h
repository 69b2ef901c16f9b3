/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * As much of the kernel as the metadata files of kmod/ need to run in a process: types, memory,
 * bits, and device-mapper's structures.  Included before every file (-include); the headers
 * of <linux/...> are empty files.  Memory comes from the C library, so that the sanitizers see
 * its ends.  What talks to disks and listeners is in fuzz.c.
 */
#ifndef FUZZ_SHIM_H
#define FUZZ_SHIM_H

#define _GNU_SOURCE
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* The headers of user space are in; from here on it is kernel code. */
#define __KERNEL__
#define BITS_PER_LONG 64

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s32 s32;
typedef long long s64;
typedef u64 sector_t;
typedef u32 blk_opf_t;
typedef u8 blk_status_t;
typedef unsigned int gfp_t;
typedef u32 fmode_t;
typedef long long time64_t;

#define __percpu
#define __user
#define __rcu
#define __init
#define __exit
#define noinline
#define likely(x) (x)
#define unlikely(x) (x)
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
#define smp_mb__before_atomic() ((void)0)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)

#define EXPORT_SYMBOL(x)
#define THIS_MODULE NULL
#define module_param_named(name, value, type, mode)
#define module_param_cb(name, ops, arg, mode)
#define MODULE_PARM_DESC(name, text)
struct kernel_param {
	void *arg;
};
struct kernel_param_ops {
	int (*set)(const char *value, const struct kernel_param *param);
	int (*get)(char *buffer, const struct kernel_param *param);
};
static inline int param_get_uint(char *buffer, const struct kernel_param *param)
{
	return sprintf(buffer, "%u", *(unsigned int *)param->arg);
}

#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define DIV_ROUND_UP_ULL DIV_ROUND_UP
#define round_down(x, y) ((x) & ~((__typeof__(x))(y)-1))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define max3(a, b, c) max(a, max(b, c))
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define clamp_t(type, x, low, high) min_t(type, max_t(type, x, low), high)
#define swap(a, b)                            \
	do {                                  \
		__typeof__(a) swapped_ = (a); \
		(a) = (b);                    \
		(b) = swapped_;               \
	} while (0)
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX
#define SZ_16M 0x1000000
#define WARN_ON_ONCE(x)          \
	({                       \
		if (x)           \
			abort(); \
		(x);             \
	})

static inline u32 ffz(u64 word)
{
	return __builtin_ctzll(~word);
}
static inline u32 __ffs(u64 word)
{
	return __builtin_ctzll(word);
}
static inline u32 hweight8(u8 byte)
{
	return __builtin_popcount(byte);
}
static inline u32 ilog2(u64 x)
{
	return 63 - __builtin_clzll(x);
}
static inline u64 rounddown_pow_of_two(u64 x)
{
	return 1ULL << ilog2(x);
}
static inline u64 hash_64(u64 value, unsigned int bits) /* of kernels before the key */
{
	return value * 0x61C8864680B583EBULL >> (64 - bits);
}

/* bits */
#define BITS_TO_LONGS(n) DIV_ROUND_UP((n), 64ULL)
static inline bool test_bit(u64 n, const unsigned long *bits)
{
	return bits[n / 64] >> n % 64 & 1;
}
static inline void set_bit(u64 n, unsigned long *bits)
{
	bits[n / 64] |= 1UL << n % 64;
}
static inline void clear_bit(u64 n, unsigned long *bits)
{
	bits[n / 64] &= ~(1UL << n % 64);
}
static inline bool test_and_clear_bit(u64 n, unsigned long *bits)
{
	bool was = test_bit(n, bits);

	clear_bit(n, bits);
	return was;
}
#define __set_bit set_bit
#define DECLARE_BITMAP(name, nr) unsigned long name[BITS_TO_LONGS(nr)]
#define bitmap_set(bits, start, nr) ((void)(bits))
static inline void bitmap_zero(unsigned long *bits, unsigned int nr)
{
	memset(bits, 0, BITS_TO_LONGS(nr) * 8);
}
static inline u64 find_next_bit(const unsigned long *bits, u64 end, u64 from)
{
	while (from < end && !test_bit(from, bits))
		from++;
	return from < end ? from : end;
}

/* bytes */
#define cpu_to_le16(x) htole16(x)
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)
#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)
#define le64_add_cpu(at, value) (*(at) = cpu_to_le64(le64_to_cpu(*(at)) + (value)))
static inline u32 crc32_le(u32 crc, const void *data, size_t nr_bytes)
{
	return ~(u32)crc32_z(~crc, data, nr_bytes);
}
static inline void *memchr_inv(const void *data, int byte, size_t nr_bytes)
{
	const u8 *bytes = data;
	size_t i;

	for (i = 0; i < nr_bytes; i++) {
		if (bytes[i] != byte)
			return (void *)(bytes + i);
	}
	return NULL;
}
int kstrtoull(const char *text, unsigned int base, unsigned long long *value);
int kstrtouint(const char *text, unsigned int base, unsigned int *value);

/* memory */
#define GFP_KERNEL 0
#define __GFP_ZERO 1
#define __GFP_NOWARN 2
#define __GFP_RETRY_MAYFAIL 4
#define kmalloc(size, flags) malloc(size)
#define kzalloc(size, flags) calloc(1, size)
#define kcalloc(nr, size, flags) calloc(nr, size)
#define kvcalloc(nr, size, flags) calloc(nr, size)
#define kvmalloc(size, flags) ((flags)&__GFP_ZERO ? calloc(1, size) : malloc(size))
#define __vmalloc kvmalloc
#define vmalloc(size) malloc(size)
#define array_size(a, b) ((size_t)(a) * (b))
#define array3_size(a, b, c) ((size_t)(a) * (b) * (c))
#define kfree free
#define kvfree free
#define vfree free
#define free_percpu free
#define alloc_percpu(type) calloc(1, sizeof(type))

/* waiting, locks, time */
#define HZ 100
extern unsigned long jiffies;
#define time_before(a, b) ((long)((a) - (b)) < 0)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define cond_resched() \
	do {           \
	} while (0)
static inline time64_t ktime_get_real_seconds(void)
{
	return 1700000000;
}
struct mutex {
	bool locked;
};
static inline void mutex_init(struct mutex *mutex)
{
	mutex->locked = false;
}
#define mutex_destroy mutex_init
static inline void mutex_lock(struct mutex *mutex)
{
	assert(!mutex->locked);
	mutex->locked = true;
}
static inline void mutex_unlock(struct mutex *mutex)
{
	assert(mutex->locked);
	mutex->locked = false;
}
typedef struct {
	int unused;
} spinlock_t;
#define spin_lock_init(lock) ((void)(lock))
typedef struct {
	int unused;
} wait_queue_head_t;
struct rw_semaphore {
	int unused;
};
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() smp_mb()
#define rcu_read_lock() ((void)0)
#define rcu_read_unlock() ((void)0)
#define queue_is_mq(queue) true
#define bdev_get_queue(bdev) (bdev)
struct completion {
	int unused;
};
#define init_completion(completion) ((void)(completion))
struct work_struct {
	int unused;
};
typedef void (*work_func_t)(struct work_struct *work);
struct delayed_work {
	struct work_struct work;
};
struct workqueue_struct {
	int unused;
};
#define WQ_MEM_RECLAIM 0
#define WQ_UNBOUND 0
#define alloc_ordered_workqueue(name, flags) calloc(1, sizeof(struct workqueue_struct))
#define alloc_workqueue(name, flags, nr) calloc(1, sizeof(struct workqueue_struct))
#define destroy_workqueue free
#define flush_workqueue(queue) ((void)(queue))
#define cancel_work_sync(work) ((void)(work))
#define INIT_WORK(work, function) ((void)(function))
#define INIT_DELAYED_WORK(work, function) ((void)(function))
#define cancel_delayed_work_sync(work) ((void)(work))
#define queue_delayed_work(queue, work, delay) ((void)(delay))
#define queue_work(queue, work) ((void)(work))
#define to_delayed_work(p) container_of(p, struct delayed_work, work)
typedef struct {
	int counter;
} atomic_t;
typedef struct {
	s64 counter;
} atomic64_t;
static inline s64 atomic64_read(const atomic64_t *v)
{
	return v->counter;
}
static inline void atomic64_set(atomic64_t *v, s64 value)
{
	v->counter = value;
}
static inline void atomic64_inc(atomic64_t *v)
{
	v->counter++;
}
#define this_cpu_inc(x) ((x)++)
struct list_head {
	struct list_head *next, *prev;
};
#define INIT_LIST_HEAD(list) ((void)(list))
u64 get_random_u64(void);
void generate_random_uuid(u8 *uuid);

/* block layer */
#define SECTOR_SIZE 512
#define PAGE_SIZE 4096
#define SECTOR_SHIFT 9
#define BIO_MAX_VECS 256U
enum { REQ_OP_READ, REQ_OP_WRITE, REQ_OP_MASK = 1 };
#define REQ_FUA 0x100U
#define REQ_PREFLUSH 0x200U
#define BLK_STS_OK 0
#define BLK_STS_IOERR 10
#define BLK_OPEN_WRITE 2
static inline int blk_status_to_errno(blk_status_t status)
{
	return status ? -EIO : 0;
}
struct queue_limits {
	unsigned int features;
};
struct gendisk {
	int unused;
};
struct block_device {
	u64 nr_sectors;
	struct gendisk *bd_disk;
};
struct bvec_iter {
	sector_t bi_sector;
};
struct bio_vec {
	void *page;
};
struct bio {
	struct bvec_iter bi_iter;
	void *bi_private;
};
struct bio_list {
	struct bio *head;
};
#define bio_list_init(list) ((list)->head = NULL)
struct bio_set {
	int unused;
};
#define bioset_init(set, nr, pad, flags) ((void)(set), 0)
#define bioset_exit(set) ((void)(set))
#define bdev_is_zoned(bdev) ((void)(bdev), false)
#define bdev_read_only(bdev) ((void)(bdev), false)
#define bdev_logical_block_size(bdev) ((void)(bdev), 512U)
#define bdev_physical_block_size(bdev) ((void)(bdev), 512U)
#define bdev_nr_sectors(bdev) ((bdev)->nr_sectors)
#define bdev_max_discard_sectors(bdev) ((void)(bdev), 0U)
#define get_start_sect(bdev) ((void)(bdev), 0ULL)

/* device-mapper */
#define DM_NAME_LEN 128
struct dm_dev {
	struct block_device *bdev;
	char name[16];
};
struct dm_table {
	fmode_t mode;
};
struct dm_target {
	struct dm_table *table;
	sector_t len;
	char *error;
	void *private;
	unsigned int num_flush_bios;
	unsigned int num_discard_bios;
	unsigned int per_io_data_size;
	bool flush_supported;
	bool discards_supported;
};
struct dm_arg_set {
	unsigned int argc;
	char **argv;
};
struct dm_arg {
	unsigned int min;
	unsigned int max;
	char *error;
};
typedef int status_type_t;
struct kobject;
static inline fmode_t dm_table_get_mode(const struct dm_table *table)
{
	return table->mode;
}
#define dm_table_get_md(table) ((struct mapped_device *)(void *)(table))
static inline const char *dm_table_device_name(const struct dm_table *table)
{
	(void)table;
	return "fuzz";
}
static inline const char *dm_shift_arg(struct dm_arg_set *as)
{
	return as->argc ? as->argc--, *as->argv++ : NULL;
}
int dm_get_device(struct dm_target *ti, const char *path, fmode_t mode, struct dm_dev **dev);
#define dm_put_device(ti, dev) ((void)(dev))
int dm_read_arg(const struct dm_arg *arg, struct dm_arg_set *as, unsigned int *value, char **error);
int dm_read_arg_group(const struct dm_arg *arg, struct dm_arg_set *as, unsigned int *value,
		      char **error);
static inline void *dm_per_bio_data(struct bio *bio, size_t nr_bytes)
{
	(void)nr_bytes;
	return bio;
}
/* %pU and such are none of the C library's: only where the log is asked for. */
__attribute__((format(printf, 1, 2))) void fuzz_log(const char *format, ...);
#define DMERR(...) fuzz_log(__VA_ARGS__)
#define DMWARN(...) fuzz_log(__VA_ARGS__)
#define DMWARN_LIMIT(...) fuzz_log(__VA_ARGS__)
#define DMINFO(...) fuzz_log(__VA_ARGS__)

/* tracepoints */
#define DM_REMAP_TRACE_H
#define trace_dm_remap_commit(set, block, seq, r) ((void)(r))
#define trace_dm_remap_probe(set, sector, alive) ((void)(set))

#endif
