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
	const char *lba = strstr(line, " @ LBA "), *found = NULL;

	/* the last before it: a host may have such a name, too */
	for (const char *at = lba ? strstr(line, "nvme") : NULL; at && at < lba;
	     at = strstr(at + 1, "nvme"))
		found = at;
	return found;
}

/* The buffer's line is of the log, but in blocks of a size that it does not tell: no place. */
bool badlist_is_kernel(const char *line)
{
	return find_dev(line) || find_nvme(line) || strstr(line, "Buffer I/O error on dev ");
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

int badlist_add_lbas(struct badlist *list, uint64_t lba, uint64_t nr, uint32_t lba_bytes)
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
	/* of the types of status only the second is about the medium */
	if (strstr(line, "(sct 0x") && !strstr(line, "(sct 0x2 ")) {
		list->nr_other_errors++;
		return 0;
	}
	at = strstr(at, " @ LBA ") + strlen(" @ LBA ");
	if (!badlist_take_number(&at, &lba))
		return 0;
	if (!strncmp(at, ", ", 2)) {
		at += 2;
		if (!badlist_take_number(&at, &nr))
			return 0;
	}
	return badlist_add_lbas(list, lba, nr, list->lba_bytes);
}

/* "timeout error", "critical target error", "recoverable transport error": the medium is no cause. */
static bool is_of_medium(const char *line)
{
	return strstr(line, "I/O error, dev ") || strstr(line, "medium error, dev ");
}

/* A flush has no sector, and a discard or zeroing fails where it began; older kernels do not say. */
static bool is_of_data(const char *line)
{
	return !strstr(line, " op 0x") || ((strstr(line, ":(READ)") || strstr(line, ":(WRITE)")) &&
					   !strstr(line, " phys_seg 0 "));
}

int badlist_take_kernel(struct badlist *list, const char *line)
{
	const char *at = find_dev(line);
	uint64_t sector;

	if (!at)
		return find_nvme(line) ? take_nvme(list, line) : 0;
	if (!is_wanted(list, at, strcspn(at, ", ")))
		return 0;
	if (!is_of_medium(line) || !is_of_data(line)) {
		list->nr_other_errors++;
		return 0;
	}
	at = strstr(at, ", sector ");
	if (!at)
		return 0;
	at += strlen(", sector ");
	if (!badlist_take_number(&at, &sector))
		return 0;
	return badlist_add_lbas(list, sector, 1, SECTOR_BYTES);
}

/* " 0   Extended          Completed: failed segments          6613        22048     1   2 ..." */
static const char *find_nvme_failure(const char *line)
{
	static const char *const words[] = { "Completed: failed segments",
					     "Completed: unknown failed segment" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = strstr(line, words[i]);

		if (at)
			return at + strlen(words[i]);
	}
	return NULL;
}

static int take_nvme_failure(struct badlist *list, const char *at)
{
	uint64_t hours, lba;

	if (!badlist_take_number(&at, &hours) || !badlist_take_number(&at, &lba))
		return 0; /* "-": it does not say where */
	return badlist_add_lbas(list, lba, 1, list->lba_bytes);
}

/*
 * "  0        124     1  0x001f  0x4502  0x000        22048     1     -  Unrecovered Read Error": a
 * write fault and this are errors of the medium; the status is as it lies in the log.
 */
static bool is_nvme_error(const char *line, uint64_t *lba, bool *is_medium)
{
	unsigned int number, status;
	uint64_t count;

	if (sscanf(line, "%3u %" SCNu64 " %*[0-9-] %*[0-9a-fx-] 0x%4x %*[0-9a-fx-] %" SCNu64,
		   &number, &count, &status, lba) != 4)
		return false;
	status = status >> 1 & 0x7ff;
	*is_medium = status == 0x280 || status == 0x281;
	return true;
}

/* "# 1  Extended offline    Completed: read failure       90%     12345         22048" */
static bool is_self_test(const char *line)
{
	uint64_t number;

	if (*line != '#')
		return find_nvme_failure(line);
	line++;
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
	       strstr(line, "ErrCount  SQId") || strstr(line, "Failing_LBA") ||
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
	return badlist_add_lbas(list, lba, 1, list->lba_bytes);
}

/* Uncorrectable, or not found: not one of the cable (ICRC) or of a command (ABRT). */
static bool is_of_ata_medium(const char *at)
{
	size_t length = strcspn(at, "=");

	for (; length >= 4; at++, length--)
		if (!strncmp(at, "UNC", 3) || !strncmp(at, "IDNF", 4) || !strncmp(at, "AMNF", 4))
			return true;
	return false;
}

int badlist_take_ata_error(struct badlist *list, const char *text)
{
	const char *at = find_lba(text);
	uint64_t lba, nr = 1;

	if (!at)
		return 0;
	if (!is_of_ata_medium(at)) {
		list->nr_other_errors++;
		return 0;
	}
	if (sscanf(at, "Error: %*[A-Z ,] %" SCNu64 " sectors", &nr) != 1 || !nr || nr > 65536)
		nr = 1;
	at = strstr(at, "LBA = ") + strlen("LBA = ");
	if (!badlist_take_number(&at, &lba) || lba == NO_LBA28)
		return 0;
	return badlist_add_lbas(list, lba, nr, list->lba_bytes);
}

int badlist_take_smartctl(struct badlist *list, const char *line)
{
	bool is_medium;
	uint64_t lba;

	if (is_self_test(line))
		return *line == '#' ? take_self_test(list, line) :
				      take_nvme_failure(list, find_nvme_failure(line));
	if (!is_nvme_error(line, &lba, &is_medium))
		return badlist_take_ata_error(list, line);
	if (!is_medium) {
		list->nr_other_errors++;
		return 0;
	}
	return badlist_add_lbas(list, lba, 1, list->lba_bytes);
}
