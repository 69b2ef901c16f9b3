// SPDX-License-Identifier: GPL-2.0-or-later
/* Bad places that stand among other lines: the kernel's log, and what smartctl prints. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#include "format/badlist.h"

#define SECTOR_BYTES 512
/* A command with 28-bit addresses that has none. */
#define NO_LBA28 0x0fffffffU

/*
 * "blk_update_request: critical medium error, dev sdb, sector 22048 op 0x0:(READ) ...": in
 * sectors of 512 bytes, always of the whole disk.
 */
static const char *find_dev(const char *line)
{
	const char *at = strstr(line, " error, dev ");

	return at ? at + strlen(" error, dev ") : NULL;
}

/* "nvme0n1: Read(0x2) @ LBA 22048, 8 blocks, Unrecovered Read Error": logical blocks. */
static const char *find_nvme(const char *line)
{
	return strstr(line, " @ LBA ") ? strstr(line, "nvme") : NULL;
}

bool badlist_is_kernel(const char *line)
{
	return find_dev(line) || find_nvme(line);
}

/* A log may tell of other disks, too; false: of another one than the wanted, or the first. */
static bool is_wanted(struct badlist *list, const char *name, size_t length)
{
	const char *wanted;

	if (!*list->found_disk && list->disk)
		snprintf(list->found_disk, sizeof(list->found_disk), "%s", list->disk);
	else if (!*list->found_disk)
		snprintf(list->found_disk, sizeof(list->found_disk), "%.*s", (int)length, name);
	wanted = list->found_disk;
	if (strlen(wanted) == length && !strncmp(name, wanted, length))
		return true;
	list->nr_other_disks++;
	return false;
}

static int add_lbas(struct badlist *list, uint64_t lba, uint64_t nr, uint32_t lba_bytes)
{
	int r;

	if (lba > UINT64_MAX / lba_bytes || nr > UINT64_MAX / lba_bytes)
		return -ERANGE;
	r = badlist_add(list, lba * lba_bytes, nr * lba_bytes);
	return r < 0 ? r : 1;
}

static int take_nvme(struct badlist *list, const char *line)
{
	const char *at = find_nvme(line);
	uint64_t lba, nr = 1;

	if (!is_wanted(list, at, strcspn(at, ": ")))
		return 0;
	at = strstr(at, " @ LBA ") + strlen(" @ LBA ");
	if (!badlist_take_number(&at, &lba))
		return 0;
	if (!strncmp(at, ", ", 2)) {
		at += 2;
		if (!badlist_take_number(&at, &nr))
			return 0;
	}
	return add_lbas(list, lba, nr, list->lba_bytes);
}

int badlist_take_kernel(struct badlist *list, const char *line)
{
	const char *at = find_dev(line);
	uint64_t sector;

	if (!at)
		return find_nvme(line) ? take_nvme(list, line) : 0;
	if (!is_wanted(list, at, strcspn(at, ", ")))
		return 0;
	at = strstr(at, ", sector ");
	if (!at)
		return 0;
	at += strlen(", sector ");
	if (!badlist_take_number(&at, &sector))
		return 0;
	return add_lbas(list, sector, 1, SECTOR_BYTES);
}

/* "# 1  Extended offline    Completed: read failure       90%     12345         22048" */
static bool is_self_test(const char *line)
{
	uint64_t number;

	if (*line++ != '#')
		return false;
	return badlist_take_number(&line, &number) && isblank((unsigned char)*line) &&
	       (strstr(line, "offline") || strstr(line, "captive") || strstr(line, "Background") ||
		strstr(line, "Foreground"));
}

/* "  Error: UNC 8 sectors at LBA = 0x0000c350 = 50000" */
static const char *find_lba(const char *line)
{
	const char *at = strstr(line, "Error: ");

	return at && strstr(at, "LBA = ") ? at : NULL;
}

bool badlist_is_smartctl(const char *line)
{
	return is_self_test(line) || find_lba(line) || strstr(line, "LBA_of_first_error") ||
	       !strncmp(line, "smartctl ", 9);
}

static int take_self_test(struct badlist *list, const char *line)
{
	const char *end = line + strlen(line), *at;
	uint64_t lba;

	if (!strstr(line, "failure") && !strstr(line, "Failed"))
		return 0;
	if (memchr(line, '[', (size_t)(end - line))) /* SCSI: the sense data */
		end = strchr(line, '[');
	while (end > line && isspace((unsigned char)end[-1]))
		end--;
	for (at = end; at > line && !isspace((unsigned char)at[-1]);)
		at--;
	if (!badlist_take_number(&at, &lba) || at != end)
		return 0; /* "-": it does not say where */
	return add_lbas(list, lba, 1, list->lba_bytes);
}

int badlist_take_smartctl(struct badlist *list, const char *line)
{
	const char *at = find_lba(line);
	uint64_t lba, nr = 1;

	if (is_self_test(line))
		return take_self_test(list, line);
	if (!at)
		return 0;
	if (sscanf(at, "Error: %*[A-Z ,] %" SCNu64 " sectors", &nr) != 1 || !nr || nr > 65536)
		nr = 1;
	at = strstr(at, "LBA = ") + strlen("LBA = ");
	if (!badlist_take_number(&at, &lba) || lba == NO_LBA28)
		return 0;
	return add_lbas(list, lba, nr, list->lba_bytes);
}
