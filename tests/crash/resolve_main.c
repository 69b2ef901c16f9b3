// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * remap-resolve: what a set is, from the images of its two devices.
 *
 *   remap-resolve --main FILE --spare FILE [--region START:LEN]
 *                 [--lose-replica 0|1] [--content FILE] [--lost FILE]
 *
 * Prints the set and its remaps, and whether it is possibly stale; --content writes what the mapped device gives,
 * with zeros in lost sectors, whose numbers go to --lost.  Writes nothing else.
 * Exit code: 0, or 1 when the set cannot be activated read-write.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "resolve.h"

struct image {
	int fd;
	struct remap_geometry geometry;
	int lost_replica; /* -1: none */
	u64 region_start;
};

static int read_image(void *context, u64 sector, u32 nr, void *buffer)
{
	const struct image *image = context;

	if (image->lost_replica >= 0) {
		u64 start = image->region_start +
			    remap_block_sector(&image->geometry, image->lost_replica, 0, 0);

		if (sector >= start && sector < start + 2ULL * image->geometry.place_blocks * 8)
			return -EIO;
	}
	return pread(image->fd, buffer, nr * 512, sector * 512) == nr * 512 ? 0 : -EIO;
}

static u64 open_image(const char *path, struct image *image)
{
	struct stat status;

	image->lost_replica = -1;
	image->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (image->fd < 0 || fstat(image->fd, &status) < 0) {
		perror(path);
		exit(2);
	}
	return status.st_size / 512;
}

static void print_map(const struct resolve_map *map)
{
	const struct remap_super *super = &map->super;
	u32 i;

	printf("set ");
	for (i = 0; i < REMAP_UUID_BYTES; i++)
		printf("%02x", super->uuid[i]);
	printf(" main %llu sectors, %u slots, probe chunk %llu, flags %#x, generation %llu "
	       "(counters %llu), %u used, %u bad, %u copies to repair%s\n",
	       super->main_sectors, super->geometry.slots, super->probe_chunk, super->flags,
	       map->age.newest, map->newest_soft, map->nr_used, map->nr_bad, map->nr_repairs,
	       map->nr_stale ? ", read-only: possibly stale" : "");
	for (i = 0; i < map->nr_used; i++) {
		u64 chunk = map->used[i];

		printf("chunk %llu slot %u redirected %02x lost %02x\n", chunk,
		       map->slot_of_chunk[chunk] - 1, map->redirected[chunk], map->lost[chunk]);
	}
}

static int write_content(const struct resolve_map *map, const struct resolve_disk *main_disk,
			 const struct resolve_disk *spare, const char *content, const char *lost)
{
	FILE *content_file = content ? fopen(content, "w") : NULL;
	FILE *lost_file = lost ? fopen(lost, "w") : NULL;
	int r = (content && !content_file) || (lost && !lost_file) ? -EIO : 0;
	u64 sector;

	for (sector = 0; !r && sector < map->super.main_sectors; sector++) {
		struct resolve_place place = resolve_sector(map, sector);
		u8 data[512] = {};

		if (place.kind == RESOLVE_MAIN)
			r = main_disk->read(main_disk->context, sector, 1, data);
		else if (place.kind == RESOLVE_SPARE)
			r = spare->read(spare->context, spare->start + place.sector, 1, data);
		else if (lost_file)
			fprintf(lost_file, "%llu\n", sector);
		if (content_file && fwrite(data, 512, 1, content_file) != 1)
			r = -EIO;
	}
	if (content_file && fclose(content_file))
		r = -EIO;
	if (lost_file && fclose(lost_file))
		r = -EIO;
	return r;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "main", required_argument, NULL, 'm' },
		{ "spare", required_argument, NULL, 's' },
		{ "region", required_argument, NULL, 'r' },
		{ "lose-replica", required_argument, NULL, 'x' },
		{ "content", required_argument, NULL, 'c' },
		{ "lost", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	const char *main_path = NULL, *spare_path = NULL, *content = NULL, *lost = NULL;
	struct image main_image, spare_image;
	struct resolve_disk main_disk = { .read = read_image, .context = &main_image };
	struct resolve_disk spare = { .read = read_image, .context = &spare_image };
	static struct resolve_map map;
	int option, lose = -1, r;

	while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (option == 'm')
			main_path = optarg;
		else if (option == 's')
			spare_path = optarg;
		else if (option == 'x')
			lose = atoi(optarg);
		else if (option == 'c')
			content = optarg;
		else if (option == 'l')
			lost = optarg;
		else if (option != 'r' ||
			 sscanf(optarg, "%llu:%llu", &spare.start, &spare.sectors) != 2)
			return 2;
	}
	if (!main_path || !spare_path || lose > 1) {
		fprintf(stderr, "usage: see the top of tests/crash/resolve_main.c\n");
		return 2;
	}
	main_disk.sectors = open_image(main_path, &main_image);
	if (spare.sectors)
		open_image(spare_path, &spare_image);
	else
		spare.sectors = open_image(spare_path, &spare_image);
	if (lose >= 0 && remap_geometry_compute(spare.sectors, &spare_image.geometry) == 0) {
		spare_image.lost_replica = lose;
		spare_image.region_start = spare.start;
	}

	r = resolve_init(&map, main_disk.sectors);
	if (!r)
		r = resolve_load(&map, &spare, main_disk.sectors);
	if (!r) {
		print_map(&map);
		r = resolve_check_mark(&map, &main_disk, &spare);
	}
	if (r)
		fprintf(stderr, "%s: %s\n", spare_path, map.error[0] ? map.error : strerror(-r));
	else if (content || lost)
		r = write_content(&map, &main_disk, &spare, content, lost);
	resolve_done(&map);
	return r ? 1 : 0;
}
