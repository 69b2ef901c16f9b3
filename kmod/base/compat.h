/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place that knows that kernels differ.
 *
 * Kbuild looks into the headers of the kernel that it builds for and defines
 * REMAP_HAS_* (see remap-has there); no version number is asked.
 */
#ifndef DM_REMAP_COMPAT_H
#define DM_REMAP_COMPAT_H

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <net/genetlink.h>

/* Block devices' modes of opening were once those of files. */
#ifndef BLK_OPEN_WRITE
#define BLK_OPEN_WRITE FMODE_WRITE
#endif

/* Newer kernels also tell prepare_ioctl which ioctl it is, and let it answer by itself. */
#ifdef REMAP_HAS_IOCTL_FORWARD
#define REMAP_PREPARE_IOCTL(function)						\
	int function(struct dm_target *ti, struct block_device **bdev,		\
		     unsigned int cmd, unsigned long arg, bool *forward)
#else
#define REMAP_PREPARE_IOCTL(function)						\
	int function(struct dm_target *ti, struct block_device **bdev)
#endif

/* Who may join a multicast group was once said with the flags of operations. */
#ifdef GENL_MCAST_CAP_SYS_ADMIN
#define REMAP_GROUP_ADMIN GENL_MCAST_CAP_SYS_ADMIN
#else
#define REMAP_GROUP_ADMIN GENL_UNS_ADMIN_PERM
#endif

/* Older kernels ask every device of a table by themselves whether it is rotational. */
static inline void remap_hint_rotational(struct queue_limits *limits,
					 const struct queue_limits *main)
{
#ifdef BLK_FEAT_ROTATIONAL
	limits->features &= ~BLK_FEAT_ROTATIONAL | (main->features & BLK_FEAT_ROTATIONAL);
#endif
}

#endif
