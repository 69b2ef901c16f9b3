// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * import: what other tools found bad is remapped, with what can be read of it.
 */
#include <errno.h>
#include <inttypes.h>

#include "badlist.h"
#include "output.h"
#include "verbs.h"

#define DEFAULT_BLOCK_BYTES 1024
/*
 * Of one message: what it has done when it fails, for a suspend say, it has done, but a long one
 * keeps a terminal waiting; and the kernel takes 1024 ranges of at most 1 GiB together.
 */
#define SECTORS_AT_ONCE 65536
#define RANGES_AT_ONCE 512

static int read_list(struct invocation *invocation, struct bad_range **ranges, size_t *nr,
		     struct error *error)
{
	const char *format = option_value(invocation, "format");
	const char *block_size = option_value(invocation, "block-size");
	const char *path = invocation->argv[1];
	enum badlist_format kind = BADLIST_GUESS;
	uint64_t block_bytes = DEFAULT_BLOCK_BYTES;
	_cleanup_free_ char *text = NULL;
	struct error why;
	size_t nr_bytes;
	int r;

	if (format && streq(format, "badblocks"))
		kind = BADLIST_BADBLOCKS;
	else if (format && streq(format, "ddrescue"))
		kind = BADLIST_DDRESCUE;
	else if (format)
		return error_set(error, EINVAL, "\"%s\" is neither badblocks nor ddrescue", format);
	if (block_size && (parse_u64(block_size, &block_bytes) < 0 || block_bytes < 512 ||
			   block_bytes > 1U << 20 || block_bytes % 512))
		return error_set(error, EINVAL,
				 "\"%s\" is not a block size: a multiple of 512 up to 1 MiB",
				 block_size);
	r = read_file(path, &text, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: cannot read it: %s", path, strerror(-r));
	if (strlen(text) != nr_bytes)
		return error_set(error, EINVAL, "%s: not a text file", path);
	r = badlist_parse(text, kind, (uint32_t)block_bytes, ranges, nr, &why);
	return r < 0 ? error_set(error, -r, "%s: %s", path, why.text) : 0;
}

/* The next part of a range, from @done on, that still fits beside @nr_taken sectors. */
static uint64_t part_of(const struct bad_range *range, uint64_t done, uint64_t nr_taken)
{
	uint64_t room = SECTORS_AT_ONCE - nr_taken, nr = range->nr_sectors - done;

	return nr < room ? nr : room;
}

/* One message for as many places as it takes: they share the kernel's commits. */
static int remap_listed(const struct dm_device *device, const struct bad_range *ranges, size_t nr,
			struct error *error)
{
	uint64_t done = 0;
	size_t i = 0;
	int r = 0;

	while (!r && i < nr) {
		char message[32 + 44 * RANGES_AT_ONCE];
		size_t length = (size_t)snprintf(message, sizeof(message), "remap_list import");
		uint64_t nr_taken = 0;

		for (int n = 0; n < RANGES_AT_ONCE && i < nr && nr_taken < SECTORS_AT_ONCE; n++) {
			uint64_t part = part_of(&ranges[i], done, nr_taken);

			length += (size_t)snprintf(message + length, sizeof(message) - length,
						   " %" PRIu64 ":%" PRIu64, ranges[i].sector + done,
						   part);
			nr_taken += part;
			done += part;
			if (done == ranges[i].nr_sectors) {
				done = 0;
				i++;
			}
		}
		r = dm_message(device->name, message, NULL, error);
	}
	return r;
}

/* A module that is older than this command. */
static int remap_one_by_one(const struct dm_device *device, const struct bad_range *ranges,
			    size_t nr, struct error *error)
{
	int r = 0;

	for (size_t i = 0; !r && i < nr; i++) {
		for (uint64_t done = 0; !r && done < ranges[i].nr_sectors;) {
			uint64_t part = part_of(&ranges[i], done, 0);
			char message[96];

			snprintf(message, sizeof(message), "remap %" PRIu64 " %" PRIu64 " import",
				 ranges[i].sector + done, part);
			r = dm_message(device->name, message, NULL, error);
			done += part;
		}
	}
	return r;
}

static int remap_ranges(const struct dm_device *device, const struct bad_range *ranges, size_t nr,
			struct error *error)
{
	_cleanup_free_ char *verbs = NULL;
	int r = dm_message(device->name, "help", &verbs, error);

	if (r < 0)
		return r;
	return strstr(verbs, "remap_list") ? remap_listed(device, ranges, nr, error) :
					     remap_one_by_one(device, ranges, nr, error);
}

static const struct column range_columns[] = { { "sector", true, false },
					       { "nr_sectors", true, false },
					       { NULL } };

static int print_ranges(const struct bad_range *ranges, size_t nr)
{
	_cleanup_output_ struct output *output = NULL;
	int r = output_open(&output, "ranges", range_columns, true);

	for (size_t i = 0; !r && i < nr; i++) {
		r = output_line(output);
		if (!r)
			r = output_number(output, ranges[i].sector);
		if (!r)
			r = output_number(output, ranges[i].nr_sectors);
	}
	return r ? r : output_print(output);
}

int verb_import(struct invocation *invocation, struct error *error)
{
	_cleanup_free_ struct bad_range *ranges = NULL;
	struct dm_device device;
	uint64_t total = 0;
	size_t nr = 0;
	int r;

	r = find_device(invocation->argv[0], &device, error);
	if (!r)
		r = read_list(invocation, &ranges, &nr, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < nr; i++) {
		total += ranges[i].nr_sectors;
		if (ranges[i].sector + ranges[i].nr_sectors > device.nr_sectors)
			return error_set(error, EINVAL,
					 "%s names sector %" PRIu64 ", and %s has only %" PRIu64
					 ": the list is of another device; nothing was remapped",
					 invocation->argv[1],
					 ranges[i].sector + ranges[i].nr_sectors - 1, device.name,
					 device.nr_sectors);
	}
	if (!invocation->quiet && !invocation->json)
		printf("%s: %" PRIu64 " bad sectors in %zu places\n", invocation->argv[1], total,
		       nr);
	if (nr && !option_value(invocation, "dry-run"))
		r = remap_ranges(&device, ranges, nr, error);
	return !r && invocation->json ? print_ranges(ranges, nr) : r;
}
