// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>

#include "import-list.h"
#include "util/foreign.h"

#define DEFAULT_BLOCK_BYTES 1024
#define LIST_MAX_BYTES (64U << 20)

const char *import_list_name(const char *path)
{
	return streq(path, "-") ? "standard input" : path;
}

static int parse_options(const struct invocation *invocation, struct badlist *list,
			 struct error *error)
{
	const char *format = option_value(invocation, "format");
	const char *block_size = option_value(invocation, "block-size");
	const char *areas = option_value(invocation, "areas");
	uint64_t block_bytes = DEFAULT_BLOCK_BYTES;

	if (format && badlist_format_of(format, &list->format) < 0)
		return error_set(error, EINVAL,
				 "\"%s\": unknown format; use one of " BADLIST_FORMATS, format);
	if (block_size && (parse_size(block_size, &block_bytes) < 0 || block_bytes < 512 ||
			   block_bytes > 1U << 20 || block_bytes % 512))
		return error_set(error, EINVAL,
				 "\"%s\": invalid block size; use a multiple of 512 up to 1 MiB",
				 block_size);
	list->block_bytes = (uint32_t)block_bytes;
	if (areas && (!*areas || areas[strspn(areas, "?*/-")]))
		return error_set(error, EINVAL,
				 "\"%s\": invalid areas of a map; use one or more of ? * / -",
				 areas);
	if (areas)
		list->areas = areas;
	return 0;
}

static int read_text(const char *path, char **text, struct error *error)
{
	const char *name = import_list_name(path);
	size_t nr_bytes;
	int r = streq(path, "-") ? read_fd(STDIN_FILENO, LIST_MAX_BYTES, text, &nr_bytes) :
				   read_file_upto(path, LIST_MAX_BYTES, text, &nr_bytes);

	if (r == -ENOENT && (!strncmp(path, "/dev/fd/", 8) || !strncmp(path, "/proc/", 6)))
		return error_set(
			error, ENOENT,
			"%s: not open (sudo closes what <(...) opens); pass the list on standard "
			"input, with - as FILE",
			path);
	if (r < 0)
		return error_set(error, -r, "%s: cannot read it: %s", name, strerror(-r));
	if (nr_bytes >= 2 && (!memcmp(*text, "\xff\xfe", 2) || !memcmp(*text, "\xfe\xff", 2)))
		return error_set(error, EINVAL,
				 "%s: the text is UTF-16; convert it with iconv -f UTF-16 -t UTF-8",
				 name);
	if (strlen(*text) != nr_bytes)
		return error_set(error, EINVAL, "%s: not a text file", name);
	return 0;
}

/* Only what lies on main stays, with main's numbers. */
static void translate(struct badlist *list, const struct whole_disk *disk)
{
	uint64_t end = disk->start + disk->nr_sectors;
	size_t kept = 0;

	list->nr_sectors = 0;
	for (size_t i = 0; i < list->nr_ranges; i++) {
		uint64_t from = list->range[i].sector, to = from + list->range[i].nr_sectors;

		from = from < disk->start ? disk->start : from;
		to = to > end ? end : to;
		if (from >= to)
			continue;
		list->range[kept++] = (struct bad_range){ from - disk->start, to - from };
		list->nr_sectors += to - from;
	}
	list->nr_elsewhere = list->nr_ranges - kept;
	list->nr_ranges = kept;
}

static int check_inside(const struct badlist *list, const struct whole_disk *disk, const char *path,
			struct error *error)
{
	const struct bad_range *last = list->nr_ranges ? &list->range[list->nr_ranges - 1] : NULL;

	if (!last || last->sector + last->nr_sectors <= disk->nr_sectors)
		return 0;
	return error_set(error, EINVAL,
			 "%s names sector %" PRIu64 ", but %s has only %" PRIu64 ": the list is "
			 "for another device%s; nothing was remapped",
			 import_list_name(path), last->sector + last->nr_sectors - 1, disk->main,
			 disk->nr_sectors,
			 disk->start ? ", or for the whole disk (use --disk)" : "");
}

int import_list_read(const struct invocation *invocation, const char *path,
		     const struct whole_disk *disk, const char *areas, struct badlist *list,
		     struct error *error)
{
	_cleanup_free_ char *text = NULL;
	struct error why;
	int r;

	list->lba_bytes = disk->lba_bytes;
	list->disk = disk->disk;
	r = parse_options(invocation, list, error);
	if (areas)
		list->areas = areas;
	if (!r)
		r = read_text(path, &text, error);
	if (r < 0)
		return r;
	r = badlist_parse(text, list, &why);
	if (r < 0)
		return error_set(error, -r, "%s: %s", import_list_name(path), why.text);
	if (!list->is_of_disk && !option_value(invocation, "disk"))
		return check_inside(list, disk, path, error);
	translate(list, disk);
	return 0;
}

static void print_untaken(uint64_t nr_sectors, const char *what, const char *type)
{
	if (nr_sectors)
		printf("note     %" PRIu64 " more sector%s %s; use --areas \"-%s\" to include "
		       "them\n",
		       nr_sectors, plural(nr_sectors), what, type);
}

void import_list_print(const char *path, const struct badlist *list)
{
	printf("%s (%s): %" PRIu64 " bad sector%s in %zu place%s\n",
	       FOREIGN(import_list_name(path)), badlist_format_name(list->format), list->nr_sectors,
	       plural(list->nr_sectors), list->nr_ranges, plural(list->nr_ranges));
	print_untaken(list->untried, "not tried (?)", "?");
	print_untaken(list->untrimmed, "not trimmed (*)", "*");
	print_untaken(list->unscraped, "not scraped (/)", "/");
	if (list->nr_merged)
		printf("note     %zu overlapping place%s merged\n", list->nr_merged,
		       plural(list->nr_merged));
	if (list->nr_elsewhere)
		printf("note     %zu place%s not on the main device, ignored\n", list->nr_elsewhere,
		       plural(list->nr_elsewhere));
	if (list->nr_other_disks)
		printf("note     %u line%s about disks other than %s, ignored\n",
		       list->nr_other_disks, plural(list->nr_other_disks),
		       list->disk ? list->disk : list->found_disk);
	if (list->nr_other_errors)
		printf("note     %u error%s not of the medium (of a cable or a command), ignored\n",
		       list->nr_other_errors, plural(list->nr_other_errors));
	if (!list->nr_ranges && list->is_of_disk)
		printf("note     it does not name any bad sector of %s\n",
		       list->disk ? list->disk : "the disk");
}
