// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Faults of a disk: ranges of sectors with what happens to reads and writes there.
 * Owns the list disk->faults. Called by disk_execute() and by the control socket.
 */
#include <errno.h>

#include "blockd.h"

static bool overlaps(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
	return a < b + b_count && b < a + a_count;
}

static bool strikes(const struct fault *fault, const struct request *request)
{
	bool concerned = request->op == OP_READ ? fault->on_read : fault->on_write;

	if (request->op != OP_READ && request->op != OP_WRITE)
		return false;
	return concerned && overlaps(fault->first, fault->count, request->first, request->count);
}

int fault_add(struct disk *disk, const struct fault *fault)
{
	struct fault *copy = malloc(sizeof(*copy));
	struct fault **end = &disk->faults;

	if (!copy)
		return -ENOMEM;
	*copy = *fault;
	copy->next = NULL;
	while (*end)
		end = &(*end)->next;
	*end = copy;
	return 0;
}

unsigned int fault_count(const struct disk *disk)
{
	unsigned int n = 0;

	for (const struct fault *f = disk->faults; f; f = f->next)
		n++;
	return n;
}

/* Takes sectors out of *LINK; returns the link of what comes after what is left of it. */
static struct fault **subtract(struct disk *disk, struct fault **link, uint64_t first,
			       uint64_t count)
{
	struct fault *fault = *link;
	uint64_t end = first + count, fault_end = fault->first + fault->count;

	if (fault->first < first && end < fault_end) {
		struct fault tail = *fault;

		tail.first = end;
		tail.count = fault_end - end;
		if (fault_add(disk, &tail) < 0)
			abort();
		fault->count = first - fault->first;
	} else if (fault->first < first) {
		fault->count = first - fault->first;
	} else if (end < fault_end) {
		fault->first = end;
		fault->count = fault_end - end;
	} else {
		*link = fault->next;
		free(fault);
		return link;
	}
	return &fault->next;
}

void fault_clear(struct disk *disk, uint64_t first, uint64_t count)
{
	struct fault **link = &disk->faults;

	while (*link) {
		if (overlaps((*link)->first, (*link)->count, first, count))
			link = subtract(disk, link, first, count);
		else
			link = &(*link)->next;
	}
}

/* How many sectors of a failing write are done all the same. */
static uint64_t sectors_done(const struct fault *fault, const struct request *request)
{
	switch (fault->action) {
	case ACT_LANDED:
		return request->count;
	case ACT_TORN:
		return request->count / 2;
	case ACT_PARTIAL:
		return fault->first > request->first ? fault->first - request->first : 0;
	default:
		return 0;
	}
}

struct verdict fault_judge(struct disk *disk, const struct request *request)
{
	struct verdict verdict = { .done = request->count };
	struct fault **link = &disk->faults;

	while (*link) {
		struct fault *fault = *link;
		bool heals = fault->action == ACT_HEAL || fault->action == ACT_FAIL_HEAL;
		bool healing_write =
			heals && request->op == OP_WRITE &&
			overlaps(fault->first, fault->count, request->first, request->count);

		if (!healing_write && !strikes(fault, request)) {
			link = &fault->next;
			continue;
		}
		if (fault->action != ACT_SLOW && !(healing_write && fault->action == ACT_HEAL)) {
			uint64_t done = sectors_done(fault, request);

			verdict.fails = true;
			if (done < verdict.done)
				verdict.done = done;
		}
		if (healing_write) {
			link = subtract(disk, link, request->first, request->count);
		} else if (fault->times > 0 && --fault->times == 0) {
			*link = fault->next;
			free(fault);
		} else {
			link = &fault->next;
		}
	}
	return verdict;
}

uint64_t fault_delay_ms(const struct disk *disk, const struct request *request)
{
	uint64_t delay = disk->delay_ms[request->op];

	for (const struct fault *fault = disk->faults; fault; fault = fault->next)
		if (strikes(fault, request))
			delay += fault->delay_ms;
	return delay;
}
