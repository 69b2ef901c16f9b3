// SPDX-License-Identifier: GPL-2.0-or-later
/* What a sector may contain after a crash, see oracle.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

int oracle_init(struct oracle *oracle, uint64_t sectors)
{
	*oracle = (struct oracle){ .sectors = sectors };
	oracle->required_issue = calloc(sectors, sizeof(oracle->required_issue[0]));
	oracle->readbad = calloc(sectors, sizeof(oracle->readbad[0]));
	oracle->last_issue = calloc(sectors, sizeof(oracle->last_issue[0]));
	oracle->late = calloc(sectors, sizeof(oracle->late[0]));
	if (!oracle->required_issue || !oracle->readbad || !oracle->last_issue || !oracle->late)
		return -ENOMEM;
	return 0;
}

void oracle_done(struct oracle *oracle)
{
	free(oracle->required_issue);
	free(oracle->readbad);
	free(oracle->last_issue);
	free(oracle->late);
	free(oracle->write);
	free(oracle->waiting);
	free(oracle->covered);
	free(oracle->flush_issue);
}

/* Makes ARRAY hold INDEX, new elements zero. */
static int grow(void **array, uint64_t *nr, uint64_t index, size_t size)
{
	uint64_t more = *nr ? *nr : 256;
	char *bigger;

	if (index < *nr)
		return 0;
	if (index > 1 << 26)
		return -EINVAL;
	while (more <= index)
		more *= 2;
	bigger = realloc(*array, more * size);
	if (!bigger)
		return -ENOMEM;
	memset(bigger + *nr * size, 0, (more - *nr) * size);
	*array = bigger;
	*nr = more;
	return 0;
}

static int issue(struct oracle *oracle, uint64_t position, uint64_t id, uint64_t sector,
		 uint64_t count, bool fua)
{
	int r;

	if (!id || sector >= oracle->sectors || count > oracle->sectors - sector)
		return -EINVAL;
	if (id >= oracle->nr_writes) {
		r = grow((void **)&oracle->write, &oracle->nr_writes, id, sizeof(oracle->write[0]));
		if (r)
			return r;
		oracle->waiting =
			realloc(oracle->waiting, oracle->nr_writes * sizeof(oracle->waiting[0]));
		oracle->covered =
			realloc(oracle->covered, oracle->nr_writes * sizeof(oracle->covered[0]));
		if (!oracle->waiting || !oracle->covered)
			return -ENOMEM;
	}
	if (oracle->write[id].issue)
		return -EINVAL;
	oracle->write[id] = (struct oracle_write){
		.issue = position,
		.ack = UINT64_MAX,
		.sector = sector,
		.count = count,
		.fua = fua,
	};
	while (count--)
		oracle->last_issue[sector + count] = position;
	return 0;
}

static void require(struct oracle *oracle, uint64_t id)
{
	struct oracle_write *write = &oracle->write[id];
	uint64_t sector;

	write->required = true;
	for (sector = write->sector; sector < write->sector + write->count; sector++)
		if (oracle->required_issue[sector] < write->issue)
			oracle->required_issue[sector] = write->issue;
}

/* The earliest issue of a flush, or write with FUA, that has not ended. */
static uint64_t first_on_its_way(const struct oracle *oracle)
{
	uint64_t first = UINT64_MAX, i;

	for (i = 0; i < oracle->nr_writes; i++) {
		const struct oracle_write *write = &oracle->write[i];

		if (write->issue && write->fua && write->ack == UINT64_MAX && write->issue < first)
			first = write->issue;
	}
	for (i = 0; i < oracle->nr_flushes; i++)
		if (oracle->flush_issue[i] && oracle->flush_issue[i] < first)
			first = oracle->flush_issue[i];
	return first;
}

/* What a flush has covered, while no other operation could report a loss, is required. */
static void require_covered(struct oracle *oracle)
{
	uint64_t first = oracle->told_once ? first_on_its_way(oracle) : UINT64_MAX;
	size_t i, left = 0;

	for (i = 0; i < oracle->nr_covered; i++)
		if (oracle->covered[i].flushed < first)
			require(oracle, oracle->covered[i].write);
		else
			oracle->covered[left++] = oracle->covered[i];
	oracle->nr_covered = left;
}

/* What was issued at ISSUE reported a loss. */
static void told(struct oracle *oracle, uint64_t issue)
{
	size_t left = 0, i;

	oracle->nr_told++;
	oracle->nr_doubted += oracle->nr_waiting;
	oracle->nr_waiting = 0;
	for (i = 0; i < oracle->nr_covered; i++)
		if (oracle->covered[i].flushed < issue)
			oracle->covered[left++] = oracle->covered[i];
	oracle->nr_doubted += oracle->nr_covered - left;
	oracle->nr_covered = left;
	for (i = 0; i < oracle->nr_writes; i++)
		if (oracle->write[i].issue && oracle->write[i].ack == UINT64_MAX)
			oracle->write[i].in_doubt = true;
}

static int ack(struct oracle *oracle, uint64_t position, uint64_t id, int result)
{
	struct oracle_write *write;

	if (id >= oracle->nr_writes || !oracle->write[id].issue ||
	    oracle->write[id].ack != UINT64_MAX)
		return -EINVAL;
	write = &oracle->write[id];
	write->ack = position;
	write->result = result;
	oracle->nr_acked++;
	oracle->nr_failed += result != 0;
	if (!result && write->fua)
		require(oracle, id);
	else if (!result && !write->in_doubt)
		oracle->waiting[oracle->nr_waiting++] = id;
	else if (result && write->fua && oracle->told_once)
		told(oracle, write->issue);
	require_covered(oracle);
	return 0;
}

static int flush_ack(struct oracle *oracle, uint64_t position, uint64_t id, int result)
{
	uint64_t issued;
	size_t i, left = 0;

	if (id >= oracle->nr_flushes || !oracle->flush_issue[id])
		return -EINVAL;
	issued = oracle->flush_issue[id];
	oracle->flush_issue[id] = 0;
	if (result) {
		if (oracle->told_once)
			told(oracle, issued);
		require_covered(oracle);
		return 0;
	}
	for (i = 0; i < oracle->nr_waiting; i++) {
		uint64_t write = oracle->waiting[i];

		if (oracle->write[write].ack < issued)
			oracle->covered[oracle->nr_covered++] = (struct oracle_covered){
				.write = write,
				.flushed = position,
			};
		else
			oracle->waiting[left++] = write;
	}
	oracle->nr_waiting = left;
	require_covered(oracle);
	return 0;
}

static int readbad(struct oracle *oracle, uint64_t position, uint64_t sector, uint64_t count)
{
	if (sector >= oracle->sectors || count > oracle->sectors - sector)
		return -EINVAL;
	while (count--)
		oracle->readbad[sector + count] = position;
	return 0;
}

static int late(struct oracle *oracle, uint64_t sector, uint64_t count)
{
	if (sector >= oracle->sectors || count > oracle->sectors - sector)
		return -EINVAL;
	while (count--)
		oracle->late[sector + count] = true;
	return 0;
}

int oracle_mark(struct oracle *oracle, uint64_t position, const char *text, size_t nr_bytes)
{
	unsigned long long id, sector, count;
	char line[200];
	int number, r;

	if (nr_bytes >= sizeof(line))
		return -EINVAL;
	memcpy(line, text, nr_bytes);
	line[nr_bytes] = 0;
	position++; /* 0 means never */
	if (sscanf(line, "issue %llu %llu %llu %d", &id, &sector, &count, &number) == 4)
		return issue(oracle, position, id, sector, count, number);
	if (sscanf(line, "ack %llu %d", &id, &number) == 2)
		return ack(oracle, position, id, number);
	if (sscanf(line, "flush-issue %llu", &id) == 1) {
		r = grow((void **)&oracle->flush_issue, &oracle->nr_flushes, id,
			 sizeof(oracle->flush_issue[0]));
		if (!r)
			oracle->flush_issue[id] = position;
		return r;
	}
	if (sscanf(line, "flush-ack %llu %d", &id, &number) == 2)
		return flush_ack(oracle, position, id, number);
	if (sscanf(line, "readbad %llu %llu", &sector, &count) == 2)
		return readbad(oracle, position, sector, count);
	if (sscanf(line, "late %llu %llu", &sector, &count) == 2)
		return late(oracle, sector, count);
	if (!strcmp(line, "active"))
		oracle->active = true;
	else if (!strcmp(line, "told-once"))
		oracle->told_once = true;
	else if (line[0] != '#')
		return -EINVAL;
	return 0;
}

const char *oracle_judge(const struct oracle *oracle, uint64_t sector, uint64_t write)
{
	const struct oracle_write *version;

	if (!write)
		return oracle->required_issue[sector] ?
			       "its initial content, though a durable write was acknowledged" :
			       NULL;
	if (write >= oracle->nr_writes || !oracle->write[write].issue)
		return "content of a write that was never issued";
	version = &oracle->write[write];
	if (sector < version->sector || sector - version->sector >= version->count)
		return "content of a write that did not reach it";
	if (version->ack < oracle->required_issue[sector])
		return version->result ? "a failed write risen over a later, durable one" :
					 "a version older than the last durable one";
	return NULL;
}

const char *oracle_judge_error(const struct oracle *oracle, uint64_t sector)
{
	if (oracle->late[sector] && oracle->last_issue[sector] > oracle->required_issue[sector])
		return NULL;
	if (!oracle->readbad[sector])
		return "an error, though main never failed to be read there";
	if (oracle->required_issue[sector] > oracle->readbad[sector])
		return "an error, though a durable write was acknowledged";
	return NULL;
}
