// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Faults of a disk: ranges of sectors with what happens to reads and writes there.
 * Owns the list disk->faults. Called by disk_execute() and by the control socket.
 */
#include <errno.h>

#include "blockd.h"

#define BLOCK_SECTORS UINT64_C(8) /* of ACT_HEAL_4K */

static bool overlaps(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
	return a < b + b_count && b < a + a_count;
}

/* To the physical blocks that the range touches. */
static void widen(uint64_t *first, uint64_t *count)
{
	uint64_t before = *first % BLOCK_SECTORS;

	*first -= before;
	*count += before;
	if (*count <= UINT64_MAX - BLOCK_SECTORS)
		*count = (*count + BLOCK_SECTORS - 1) / BLOCK_SECTORS * BLOCK_SECTORS;
}

static uint64_t end_of(const struct fault *fault)
{
	return fault->first + fault->count;
}

/* Some sector of both ranges is newer in the cache (or, DIRTY false, some is not). */
static bool has_sector(const struct disk *disk, uint64_t first, uint64_t end, bool dirty)
{
	uint64_t run = first, n = 0;
	bool found;

	if (end > disk->sectors)
		end = disk->sectors;
	found = disk_next_dirty(disk, &run, end, &n);

	return dirty ? found : !found || run > first || n < end - first;
}

/* Does a write of the request's range leave a physical block that is bad part old? */
static bool leaves_part(const struct fault *fault, const struct request *request)
{
	uint64_t first = request->first, end = first + request->count;

	return (first % BLOCK_SECTORS && fault->first < first) ||
	       (end % BLOCK_SECTORS && end < end_of(fault));
}

static bool strikes(const struct disk *disk, const struct fault *fault,
		    const struct request *request)
{
	bool concerned = request->op == OP_READ ? fault->on_read : fault->on_write;
	uint64_t first = fault->first, end = end_of(fault);

	if (fault->action == ACT_LATE && request->op == OP_FLUSH)
		return has_sector(disk, first, end, true);
	if ((request->op != OP_READ && request->op != OP_WRITE) || !concerned ||
	    !overlaps(first, fault->count, request->first, request->count))
		return false;
	if (first < request->first)
		first = request->first;
	if (end > request->first + request->count)
		end = request->first + request->count;
	switch (fault->action) {
	case ACT_LATE: /* what goes into the cache does not fail yet */
		return request->fua || !disk->vcache;
	case ACT_UNREAD:
		return has_sector(disk, first, end, false);
	case ACT_HEAL_4K:
		return request->op == OP_READ || leaves_part(fault, request);
	default:
		return true;
	}
}

int fault_add(struct disk *disk, const struct fault *fault)
{
	struct fault *copy = malloc(sizeof(*copy));
	struct fault **end = &disk->faults;

	if (!copy)
		return -ENOMEM;
	*copy = *fault;
	if (copy->action == ACT_HEAL_4K) {
		copy->on_read = copy->on_write = true;
		widen(&copy->first, &copy->count);
	}
	disk->nr_late += copy->action == ACT_LATE;
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

static void drop(struct disk *disk, struct fault **link)
{
	struct fault *fault = *link;

	disk->nr_late -= fault->action == ACT_LATE;
	*link = fault->next;
	free(fault);
}

/* It has struck once; returns the link of what comes after it. */
static struct fault **struck(struct disk *disk, struct fault **link)
{
	if ((*link)->times > 0 && --(*link)->times == 0) {
		drop(disk, link);
		return link;
	}
	return &(*link)->next;
}

/* Takes sectors out of *LINK; returns the link of what comes after what is left of it. */
static struct fault **subtract(struct disk *disk, struct fault **link, uint64_t first,
			       uint64_t count)
{
	struct fault *fault = *link;
	uint64_t end, fault_end = end_of(fault);

	if (fault->action == ACT_HEAL_4K)
		widen(&first, &count);
	end = first + count;

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
		drop(disk, link);
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

static void heal(struct disk *disk, enum action action, uint64_t first, uint64_t count)
{
	struct fault **link = &disk->faults;

	while (*link) {
		if ((*link)->action == action &&
		    overlaps((*link)->first, (*link)->count, first, count))
			link = subtract(disk, link, first, count);
		else
			link = &(*link)->next;
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

		if (!healing_write && !strikes(disk, fault, request)) {
			link = &fault->next;
			continue;
		}
		if (fault->action != ACT_SLOW && !(healing_write && fault->action == ACT_HEAL)) {
			uint64_t done = sectors_done(fault, request);

			verdict.fails |= fault->action != ACT_FORGETS;
			if (done < verdict.done)
				verdict.done = done;
		}
		if (healing_write)
			link = subtract(disk, link, request->first, request->count);
		else
			link = struck(disk, link);
	}
	if (request->op == OP_WRITE && verdict.done == request->count)
		heal(disk, ACT_HEAL_4K, request->first, request->count);
	return verdict;
}

/*
 * A flush begins: the late sectors in the cache are gone, each fault strikes once.
 * Returns whether there were any.
 */
bool fault_lose_late(struct disk *disk)
{
	struct fault **link = &disk->faults;
	bool lost = false;

	while (*link) {
		struct fault *fault = *link;
		uint64_t end = end_of(fault), first = fault->first, n;
		bool here = false;

		if (end > disk->sectors)
			end = disk->sectors;
		for (; fault->action == ACT_LATE && disk_next_dirty(disk, &first, end, &n);
		     first += n) {
			struct fault unread = {
				.first = first,
				.count = n,
				.on_read = true,
				.action = ACT_UNREAD,
				.times = -1,
			};

			disk_lose(disk, first, n);
			heal(disk, ACT_UNREAD, first, n); /* not twice */
			if (fault->then_unread && fault_add(disk, &unread) < 0)
				abort();
			here = true;
		}
		lost = lost || here;
		for (link = &disk->faults; *link != fault;) /* the list may be another one */
			link = &(*link)->next;
		link = here ? struck(disk, link) : &fault->next;
	}
	return lost;
}

bool fault_is_late(const struct disk *disk, uint64_t sector)
{
	for (const struct fault *fault = disk->faults; fault; fault = fault->next)
		if (fault->action == ACT_LATE && overlaps(fault->first, fault->count, sector, 1))
			return true;
	return false;
}

/* Sectors of the media hold what was written: they can be read again. */
void fault_media_written(struct disk *disk, uint64_t first, uint64_t count)
{
	heal(disk, ACT_UNREAD, first, count);
}

uint64_t fault_delay_ms(const struct disk *disk, const struct request *request)
{
	uint64_t delay = disk->delay_ms[request->op];

	if (request->op == OP_WRITE && request->fua)
		delay += disk->fua_delay_ms;

	for (const struct fault *fault = disk->faults; fault; fault = fault->next)
		if (strikes(disk, fault, request))
			delay += fault->delay_ms;
	return delay;
}
