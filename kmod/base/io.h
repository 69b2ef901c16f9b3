/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synchronous I/O with memory of its own: io.c.
 */
#ifndef DM_REMAP_IO_H
#define DM_REMAP_IO_H

#include <linux/bio.h>
#include <linux/device-mapper.h>

struct remap_set;

/**
 * struct remap_io - memory for one synchronous request at a time
 * @bio: not in use between requests
 * @vecs: BIO_MAX_VECS vectors
 */
struct remap_io {
	struct bio *bio;
	struct bio_vec *vecs;
};

/**
 * struct remap_scratch - memory of the one writer; under remap_set.lock
 * @bio: for synchronous I/O, with @vecs
 * @vecs: BIO_MAX_VECS vectors
 * @chunk: one chunk, for copies
 * @anchor: two chunks, for the probe
 */
struct remap_scratch {
	struct bio bio;
	struct bio_vec *vecs;
	void *chunk;
	void *anchor;
};

int remap_io_rw(struct remap_set *set, const struct remap_io *io, struct dm_dev *dev,
		sector_t sector, void *buffer, u32 nr_sectors, blk_opf_t opf);
int remap_rw(struct remap_set *set, struct dm_dev *dev, sector_t sector, void *buffer,
	     u32 nr_sectors, blk_opf_t opf);
int remap_rw_chunk(struct remap_set *set, struct dm_dev *dev, sector_t start, u8 mask,
		   unsigned int unit, blk_opf_t opf, u8 *failed);

#endif /* DM_REMAP_IO_H */
