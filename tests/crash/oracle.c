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
	return oracle->required_issue && oracle->readbad ? 0 : -ENOMEM;
}

void oracle_done(struct oracle *oracle)
{
	free(oracle->required_issue);
	free(oracle->readbad);
	free(oracle->write);
	free(oracle->waiting);
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
		if (!oracle->waiting)
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
	else if (!result)
		oracle->waiting[oracle->nr_waiting++] = id;
	return 0;
}

static int flush_ack(struct oracle *oracle, uint64_t id, int result)
{
	size_t i, left = 0;

	if (id >= oracle->nr_flushes || !oracle->flush_issue[id])
		return -EINVAL;
	if (result)
		return 0;
	for (i = 0; i < oracle->nr_waiting; i++) {
		uint64_t write = oracle->waiting[i];

		if (oracle->write[write].ack < oracle->flush_issue[id])
			require(oracle, write);
		else
			oracle->waiting[left++] = write;
	}
	oracle->nr_waiting = left;
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
		return flush_ack(oracle, id, number);
	if (sscanf(line, "readbad %llu %llu", &sector, &count) == 2)
		return readbad(oracle, position, sector, count);
	if (!strcmp(line, "active"))
		oracle->active = true;
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
	if (!oracle->readbad[sector])
		return "an error, though main never failed to be read there";
	if (oracle->required_issue[sector] > oracle->readbad[sector])
		return "an error, though a durable write was acknowledged";
	return NULL;
}
