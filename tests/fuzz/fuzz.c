// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * remap-fuzz: metadata that was forged or cut, through the module's own code.
 *
 *   remap-fuzz CASES [SEED [FIRST]] [-v]
 *
 * The real files of the module's metadata, the table and construct.c format and fill a few sets.  Each case takes one, changes fields of its blocks
 * and puts the checksums right again, moves, cuts, zeroes or hides blocks; then it constructs,
 * loads, looks up, checks, commits, saves, and loads again.  The sanitizers tell of wild
 * accesses; and it is checked that
 *
 *   - what was refused, or is served read-only, was not written
 *   - what is served goes with the table line, and every entry lies in main and in the region
 *   - what was committed is there after the next load (as long as no disk fails)
 *
 * A failing case prints its number: the same SEED and number repeat it.  -v shows the log.
 */
#include <time.h>

#include "fuzz.h"

#define NR_BASES 12
#define NR_TRIES 3

/**
 * struct base - a set in order
 * @spare_sectors: length of its region
 * @geometry: where its blocks are
 * @data: content of both disks
 */
struct base {
	u64 spare_sectors;
	struct remap_geometry geometry;
	u8 *data[DISKS];
};

static struct base base[NR_BASES];
static u64 seed, number;
static u64 nr_served, nr_read_only, nr_refused;

#define CHECK(condition, ...)                                             \
	do {                                                              \
		if (!(condition)) {                                       \
			printf("seed %llu case %llu: ", seed, number);    \
			printf(__VA_ARGS__);                              \
			printf(" (%s, line %d)\n", #condition, __LINE__); \
			abort();                                          \
		}                                                         \
	} while (0)

/* As device-mapper would: a table line. */
struct instance {
	struct dm_target ti;
	struct dm_table table;
	struct remap_set *set;
};

static int construct(struct instance *instance, u64 spare_sectors, bool force_rw)
{
	char sectors[32];
	char *argv[] = { "main", "spare", "0", sectors, "1", "force_rw" };
	int r;

	memset(instance, 0, sizeof(*instance));
	snprintf(sectors, sizeof(sectors), "%llu", spare_sectors);
	instance->table.mode = BLK_OPEN_WRITE;
	instance->ti.table = &instance->table;
	instance->ti.len = MAIN_SECTORS;
	r = remap_ctr(&instance->ti, force_rw ? 6 : 4, argv);
	instance->set = instance->ti.private;
	return r;
}

/* preresume */
static int activate(struct remap_set *set)
{
	struct remap_load load = {};
	int r;

	mutex_lock(&set->lock);
	r = remap_load_super(set, &load) ?: remap_load(set, &load);
	if (!r)
		set_bit(REMAP_ACTIVE, &set->flags);
	mutex_unlock(&set->lock);
	return r;
}

/* postsuspend */
static void leave(struct remap_set *set)
{
	mutex_lock(&set->lock);
	remap_resolve_doubt(set, true);
	if (remap_may_write(set)) {
		remap_update_anchor(set);
		remap_record_ping(set);
		remap_update_anchor(set);
		remap_soft_save(set);
	}
	clear_bit(REMAP_ACTIVE, &set->flags);
	mutex_unlock(&set->lock);
}

/* One change of the table as relocate.c and rescue.c make them. */
static void commit_one(struct remap_set *set)
{
	u64 chunk = dice_below(MAIN_SECTORS / REMAP_CHUNK_SECTORS);
	s64 slot = remap_table_find(&set->table, chunk);
	struct remap_change change = { .add = 1 + dice_below(255) };
	u64 old;

	if (chunk == set->meta->super.probe_chunk || remap_is_pinned(set, chunk))
		return;
	if (slot < 0) {
		change.fresh = true;
		slot = remap_slot_alloc(set);
		if (slot < 0)
			return;
		change.word = remap_word(chunk, change.add, change.add & dice(), 0, 0);
	} else {
		old = set->table.word[slot];
		if (old & (REMAP_WORD_DOUBT | REMAP_WORD_BUSY) || remap_is_unwritable(set, slot))
			return;
		change.word = chunk | (old & (3ULL << 56)); /* freed, or with other sectors */
		if (!dice_one_in(3))
			change.word = remap_word(chunk, REMAP_WORD_REDIRECTED(old) | change.add, 0,
						 REMAP_WORD_EPOCH(old), 0);
	}
	change.slot = slot;
	change.prov = remap_prov(1700000000, REMAP_CAUSE_MANUAL, 0, 0, 0);
	remap_commit(set, &change, 1);
}

static void look_up_everything(struct remap_set *set)
{
	struct remap_place place;
	u64 sector = 0;
	u64 end = set->spare_start + set->spare_sectors;

	while (sector < set->ti->len) {
		remap_table_lookup(&set->table, sector, set->ti->len - sector, REMAP_WORD_BUSY,
				   &place);
		CHECK(place.nr_sectors && place.nr_sectors <= set->ti->len - sector,
		      "sector %llu: %u sectors", sector, place.nr_sectors);
		if (place.kind != REMAP_PLACE_MAIN)
			CHECK(remap_slot_start(set, place.slot) + REMAP_CHUNK_SECTORS <= end,
			      "slot %u lies outside", place.slot);
		sector += place.nr_sectors;
	}
}

static void check_served(struct remap_set *set)
{
	const struct remap_super *super = &set->meta->super;
	const struct remap_geometry *geometry = &super->geometry;
	u32 slot;

	CHECK(super->main_sectors == set->ti->len, "main has %llu sectors", super->main_sectors);
	CHECK(geometry->region_sectors == set->spare_sectors, "the region has %llu sectors",
	      geometry->region_sectors);
	CHECK(remap_geometry_valid(geometry), "the layout is not valid");
	CHECK(!(super->flags & (REMAP_SUPER_CREATING | REMAP_SUPER_RELEASING)), "flags %x",
	      super->flags);
	CHECK(!super->incompat, "incompat bits %llx", super->incompat);
	CHECK(remap_table_find(&set->table, super->probe_chunk) >= 0, "no probe chunk");
	for (slot = geometry->slots; slot < set->table.nr_slots; slot++)
		CHECK(!set->table.word[slot], "slot %u is not one", slot);
	look_up_everything(set);
}

static void use(struct remap_set *set, unsigned int nr_steps)
{
	u32 nr_repaired, nr_blocks = 1 + remap_geometry(set)->table_blocks;

	mutex_lock(&set->lock);
	while (nr_steps--) {
		switch (dice_below(8)) {
		case 0:
			remap_restore(set, &nr_repaired);
			break;
		case 1:
			remap_compare_media(set);
			break;
		case 2:
			remap_soft_save(set);
			break;
		case 3:
			if (nr_blocks > 1)
				remap_commit_block(set, 1 + dice_below(nr_blocks - 1));
			break;
		case 4:
			remap_super_commit(set);
			break;
		case 5:
			remap_ping_main(set);
			break;
		default:
			commit_one(set);
		}
		jiffies += HZ;
		remap_resolve_doubt(set, dice_one_in(4));
	}
	mutex_unlock(&set->lock);
	look_up_everything(set);
}

/* Which sector is served from where. */
static u64 *map_of(struct remap_set *set)
{
	u64 *map = calloc(MAIN_SECTORS, sizeof(*map));
	struct remap_place place;
	u64 sector;

	for (sector = 0; sector < MAIN_SECTORS; sector++) {
		remap_table_lookup(&set->table, sector, 1, 0, &place);
		map[sector] = place.kind == REMAP_PLACE_MAIN ?
				      0 :
				      (u64)place.kind << 32 | (place.slot + 1);
	}
	return map;
}

static bool any_fault(void)
{
	u64 i;
	int d;

	for (d = 0; d < DISKS; d++) {
		for (i = 0; i < disk[d].nr_sectors; i++) {
			if (disk[d].fault[i])
				return true;
		}
	}
	return false;
}

static void make_base(struct base *b, u64 spare_sectors)
{
	struct instance instance;
	int d;

	b->spare_sectors = spare_sectors;
	CHECK(!remap_geometry_compute(spare_sectors, &b->geometry), "%llu sectors", spare_sectors);
	disk[DISK_MAIN].nr_sectors = MAIN_SECTORS;
	disk[DISK_SPARE].nr_sectors = spare_sectors;
	for (d = 0; d < DISKS; d++) {
		memset(disk[d].data, 0, sizeof(disk[d].data));
		memset(disk[d].fault, 0, sizeof(disk[d].fault));
	}
	CHECK(!construct(&instance, spare_sectors, false), "%s", instance.ti.error);
	CHECK(!activate(instance.set), "a new set is not activated");
	use(instance.set, 3 * b->geometry.slots / 2 + 20);
	leave(instance.set);
	remap_dtr(&instance.ti);
	for (d = 0; d < DISKS; d++) {
		b->data[d] = malloc(disk[d].nr_sectors * REMAP_SECTOR_BYTES);
		memcpy(b->data[d], disk[d].data, disk[d].nr_sectors * REMAP_SECTOR_BYTES);
	}
}

/* A length for which the formula itself leaves a table block without a slot. */
static u64 length_with_empty_block(void)
{
	struct remap_geometry g;
	u64 sectors;

	for (sectors = 640; sectors < DISK_SECTORS_MAX; sectors += 128) {
		if (!remap_geometry_compute(sectors, &g) &&
		    (g.table_blocks - 1) * REMAP_ENTRIES_PER_BLOCK > g.slots)
			return sectors;
	}
	return 640;
}

static void make_bases(void)
{
	static const u64 lengths[] = { 640, 1280, 2688, 2690, 5000 };
	unsigned int i;

	for (i = 0; i < NR_BASES; i++) {
		dice_seed(seed, ~(u64)i);
		make_base(&base[i], i % 6 == 5 ? length_with_empty_block() : lengths[i % 6]);
	}
}

/* mutations */

static u64 corner(void)
{
	static const u64 values[] = { 0,
				      1,
				      2,
				      7,
				      8,
				      127,
				      128,
				      252,
				      253,
				      255,
				      256,
				      65535,
				      1ULL << 24,
				      (1ULL << 24) + 1,
				      1ULL << 31,
				      0xffffffff,
				      1ULL << 32,
				      1ULL << 40,
				      1ULL << 43,
				      1ULL << 48,
				      1ULL << 61,
				      1ULL << 62,
				      (1ULL << 63) - 1,
				      1ULL << 63,
				      ~0ULL };

	return values[dice_below(ARRAY_SIZE(values))];
}

static void reseal(u8 *block, size_t nr_bytes)
{
	u32 crc = remap_crc32(block + 12, nr_bytes - 12);

	memcpy(block + 8, &crc, sizeof(crc));
}

/* A field of @width bytes: another value, a near one, or one of the corners. */
static void change_field(u8 *at, unsigned int width)
{
	u64 value = 0;

	memcpy(&value, at, width);
	switch (dice_below(4)) {
	case 0:
		value += dice_below(2) ? dice_below(40) : -dice_below(40);
		break;
	case 1:
		value = corner();
		break;
	case 2:
		value ^= 1ULL << dice_below(8 * width);
		break;
	default:
		value = dice() >> dice_below(64);
	}
	memcpy(at, &value, width);
}

static void change_super(u8 *block)
{
	static const struct {
		u16 at;
		u16 width;
	} fields[] = {
		{ 32, 8 },  { 48, 4 },	{ 52, 4 },  { 56, 8 },	{ 64, 8 },  { 72, 8 },	{ 80, 8 },
		{ 88, 8 },  { 96, 8 },	{ 104, 8 }, { 112, 8 }, { 120, 4 }, { 124, 4 }, { 128, 4 },
		{ 132, 4 }, { 136, 8 }, { 207, 1 }, { 407, 1 }, { 408, 4 }, { 412, 4 }, { 16, 8 },
	};
	unsigned int i = dice_below(ARRAY_SIZE(fields));

	change_field(block + fields[i].at, fields[i].width);
}

static void change_table(u8 *block)
{
	unsigned int entry = dice_one_in(3) ? dice_below(REMAP_ENTRIES_PER_BLOCK) : dice_below(20);
	static const u8 fields[][2] = {
		{ 0, 8 }, { 0, 4 }, { 6, 1 }, { 7, 1 }, { 12, 1 }, { 8, 4 }
	};
	unsigned int i = dice_below(ARRAY_SIZE(fields));
	u8 *at = block + 64 + entry * 16;

	switch (dice_below(6)) {
	case 0:
		change_field(block + 32, 8);
		break;
	case 1:
		change_field(block + 12, 4);
		break;
	case 2: /* two slots of one chunk */
		memcpy(at, block + 64 + dice_below(20) * 16, 16);
		at[12] ^= dice_below(4) << 4;
		break;
	case 3: /* an entry in order */
		memset(at, 0, 16);
		at[0] = dice();
		at[1] = dice_below(2);
		at[6] = 1 + dice_below(255);
		at[12] = 1;
		break;
	default:
		change_field(at + fields[i][0], fields[i][1]);
	}
}

static u8 *copy_at(const struct base *b, unsigned int copy, u32 block)
{
	u64 sector =
		remap_block_sector(&b->geometry, copy / REMAP_PLACES, copy % REMAP_PLACES, block);

	return disk[DISK_SPARE].data + sector * REMAP_SECTOR_BYTES;
}

static u32 some_block(const struct base *b)
{
	return dice_one_in(3) ? 0 : dice_below(2 + b->geometry.table_blocks);
}

/* Change a block in some of its copies, in all of them alike; a higher number makes it count. */
static void change_block(const struct base *b)
{
	u32 block = some_block(b);
	u8 changed[REMAP_BLOCK_BYTES];
	u8 copies = dice_one_in(2) ? 15 : 1 + dice_below(15);
	unsigned int c, nr = 1 + dice_below(3);
	u64 seq;

	memcpy(changed, copy_at(b, dice_below(REMAP_COPIES), block), sizeof(changed));
	while (nr--) {
		if (!block)
			change_super(changed);
		else if (block <= b->geometry.table_blocks)
			change_table(changed);
		else
			change_field(changed + 8 * dice_below(17), 8);
	}
	if (dice_one_in(2)) {
		memcpy(&seq, changed + 32, sizeof(seq));
		seq += dice_below(1000);
		memcpy(changed + 32, &seq, sizeof(seq));
	}
	if (!dice_one_in(10))
		reseal(changed, sizeof(changed));
	for (c = 0; c < REMAP_COPIES; c++) {
		if (copies >> c & 1)
			memcpy(copy_at(b, c, block), changed, sizeof(changed));
	}
}

/* A superblock that is in order names another layout, and what lies there is not. */
static void forge_layout(const struct base *b)
{
	u8 first[REMAP_BLOCK_BYTES], second[REMAP_BLOCK_BYTES];
	u32 shift = 256 + 128 * dice_below(3), slots = b->geometry.slots - shift / 8, at;
	u64 end = b->geometry.replica_sector[1] - shift, seq;
	unsigned int place;

	if (b->geometry.slots < shift / 8 + 2)
		return;
	memcpy(first, copy_at(b, 0, 0), sizeof(first));
	memcpy(&seq, first + 32, sizeof(seq));
	seq += 1000;
	memcpy(first + 32, &seq, sizeof(seq));
	memcpy(first + 104, &end, sizeof(end));
	memcpy(first + 120, &slots, sizeof(slots));
	reseal(first, sizeof(first));
	memcpy(second, first, sizeof(second));
	seq += dice_below(3);
	memcpy(second + 32, &seq, sizeof(seq));
	if (dice_one_in(3)) {
		/* A layout in order of a region that is not there. */
		u64 region = 1ULL << (20 + dice_below(20)), slots_at;
		u32 table = 1 + dice_below(66577), place_blocks = (table + 3 + 15) & ~15U;

		slots = min_t(u64, (u64)table * 252, region / 16);
		slots_at = (u64)place_blocks * 16;
		end = (slots_at + slots * 8ULL + 127) & ~127ULL;
		memcpy(second + 88, &region, 8);
		memcpy(second + 104, &end, 8);
		memcpy(second + 112, &slots_at, 8);
		memcpy(second + 120, &slots, 4);
		memcpy(second + 124, &table, 4);
		memcpy(second + 132, &place_blocks, 4);
	} else if (dice_one_in(2)) {
		at = 1 + dice_below(13); /* as many as a place has room for */
		memcpy(second + 124, &at, 4);
	} else if (dice_one_in(2)) {
		u64 main_sectors = 1ULL << (13 + dice_below(31));
		u64 probe = main_sectors / 8 - 1;

		memcpy(second + 80, &main_sectors, 8);
		memcpy(second + 136, &probe, 8);
	} else {
		change_super(second);
	}
	reseal(second, sizeof(second));
	for (place = 0; place < REMAP_PLACES; place++) {
		memcpy(copy_at(b, place, 0), first, sizeof(first));
		at = end < DISK_SECTORS_MAX ? end : b->geometry.replica_sector[1] - shift;
		at += place * b->geometry.place_blocks * 8;
		if (at + 8 > disk[DISK_SPARE].nr_sectors)
			continue;
		memcpy(disk[DISK_SPARE].data + at * REMAP_SECTOR_BYTES, second, sizeof(second));
	}
	/* Where the first one leads to. */
	at = b->geometry.replica_sector[1] - shift;
	memcpy(disk[DISK_SPARE].data + at * REMAP_SECTOR_BYTES, second, sizeof(second));
}

static void change_mark(const struct base *b)
{
	u64 chunk;
	u8 *sector;
	unsigned int i;

	memcpy(&chunk, copy_at(b, 0, 0) + 136, sizeof(chunk));
	if (chunk >= MAIN_SECTORS / 8)
		return;
	sector = disk[DISK_MAIN].data + chunk * 4096;
	for (i = 0; i < REMAP_CHUNK_SECTORS; i++, sector += REMAP_SECTOR_BYTES) {
		if (dice_one_in(2))
			continue;
		change_field(sector + (dice_one_in(2) ? 32 : 8 * dice_below(8)), 8);
		if (!dice_one_in(10))
			reseal(sector, REMAP_SECTOR_BYTES);
	}
}

static void damage_block(const struct base *b)
{
	u32 block = some_block(b);
	u8 *copy = copy_at(b, dice_below(REMAP_COPIES), block);
	unsigned int i;

	switch (dice_below(5)) {
	case 0:
		memset(copy, 0, REMAP_BLOCK_BYTES);
		break;
	case 1:
		for (i = 0; i < REMAP_BLOCK_BYTES; i++)
			copy[i] = dice();
		break;
	case 2:
		copy[dice_below(REMAP_BLOCK_BYTES)] ^= 1U << dice_below(8);
		break;
	case 3: /* torn, or an older one, or another block's */
		memcpy(copy,
		       copy_at(b, dice_below(REMAP_COPIES), dice_one_in(4) ? some_block(b) : block),
		       512 * (1 + dice_below(8)));
		break;
	case 4:
		memset(&disk[DISK_SPARE].fault[(copy - disk[DISK_SPARE].data) / REMAP_SECTOR_BYTES],
		       1 + dice_below(3), 1 + dice_below(8));
		break;
	}
}

static void mutate(const struct base *b)
{
	unsigned int nr = 1 + dice_below(4);

	while (nr--) {
		switch (dice_below(12)) {
		case 0:
		case 1:
			forge_layout(b);
			break;
		case 2:
			change_mark(b);
			break;
		case 3:
		case 4:
		case 5:
			damage_block(b);
			break;
		case 6: /* cut */
			if (dice_one_in(4))
				disk[DISK_SPARE].nr_sectors =
					b->spare_sectors - dice_below(b->spare_sectors / 2);
			break;
		default:
			change_block(b);
		}
	}
}

static void put(const struct base *b)
{
	int d;

	disk[DISK_MAIN].nr_sectors = MAIN_SECTORS;
	disk[DISK_SPARE].nr_sectors = b->spare_sectors;
	for (d = 0; d < DISKS; d++) {
		memcpy(disk[d].data, b->data[d], disk[d].nr_sectors * REMAP_SECTOR_BYTES);
		memset(disk[d].fault, 0, sizeof(disk[d].fault));
		disk[d].nr_writes = 0;
	}
}

/*
 * Constructs, loads, uses and leaves.  *@map: set to who serves what, if it is served and
 * nothing went wrong.  Returns whether it was served read-write.
 */
static bool run(u64 spare_sectors, bool force_rw, unsigned int nr_steps, u64 **map)
{
	bool unmarked;
	struct instance instance;
	u64 writes = disk[0].nr_writes + disk[1].nr_writes;
	bool rw;
	int r;

	*map = NULL;
	if (construct(&instance, spare_sectors, force_rw)) {
		CHECK(disk[0].nr_writes + disk[1].nr_writes == writes, "the constructor wrote");
		nr_refused++;
		return false;
	}
	r = activate(instance.set);
	unmarked = !(instance.set->meta->super.flags & REMAP_SUPER_MARKED);
	rw = !r && remap_may_write(instance.set);
	if (r) {
		/* Formatting is the one thing that may fail half done. */
		CHECK(unmarked || disk[0].nr_writes + disk[1].nr_writes == writes,
		      "refused (%d) and written", r);
		nr_refused++;
	} else {
		check_served(instance.set);
		use(instance.set, nr_steps);
		rw &= remap_may_write(instance.set) && !instance.set->meta->nr_in_doubt;
		leave(instance.set);
		if (rw && !instance.set->meta->nr_in_doubt &&
		    !instance.set->meta->block[0].in_doubt && remap_may_write(instance.set))
			*map = map_of(instance.set);
		nr_served++;
		nr_read_only += !rw;
	}
	remap_dtr(&instance.ti);
	return rw;
}

static void one_case(void)
{
	const struct base *b;
	u64 *first, *second, sectors;
	bool force_rw, was_faulty;

	dice_seed(seed, number);
	b = &base[dice_below(NR_BASES)];
	put(b);
	mutate(b);
	force_rw = dice_one_in(4);
	sectors = dice_one_in(20) ? disk[DISK_SPARE].nr_sectors : b->spare_sectors;
	run(sectors, force_rw, dice_below(12), &first);
	was_faulty = any_fault();
	if (first && !was_faulty) {
		bool rw = run(sectors, false, 0, &second);

		CHECK(rw, "it was read-write, and is not any more");
		CHECK(second && !memcmp(first, second, MAIN_SECTORS * sizeof(*first)),
		      "committed entries are gone");
		free(second);
	}
	free(first);
}

/* Chunks that share a chain under any fixed multiplier must not under the table's (row 6). */
static void check_chains(void)
{
	enum { SLOTS = 1 << 14, LIMIT = 200 };
	struct remap_table table = {};
	u32 slot = 0, link, length, most = 0, head;
	u64 group;

	CHECK(!remap_table_init(&table, SLOTS, 1ULL << 40), "no memory");
	for (group = 1; slot < SLOTS; group++) {
		if (group * 0x61C8864680B583EBULL >> 50)
			continue;
		remap_table_insert(&table, slot, remap_word(group << 3, 0xff, 0, 0, 0));
		slot++;
	}
	for (head = 0; head < 1U << (64 - table.head_shift); head++) {
		link = REMAP_HEAD_LINK(table.heads[head]);
		for (length = 0; link; link = table.next[link - 1])
			length++;
		most = max(most, length);
	}
	CHECK(most < LIMIT, "a chain of %u entries", most);
	remap_table_exit(&table);
}

int main(int argc, char **argv)
{
	u64 cases = 5000, first = 0;
	struct timespec now;
	int i, nr = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = now.tv_sec * 1000003ULL + now.tv_nsec;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-v")) {
			verbose = true;
			continue;
		}
		*(u64 *[]){ &cases, &seed, &first }[nr > 2 ? 2 : nr] = strtoull(argv[i], NULL, 0);
		nr++;
	}
	printf("seed %llu\n", seed);
	fflush(stdout);
	setvbuf(stdout, NULL, _IOLBF, 0);
	number = ~0ULL;
	make_bases();
	for (number = first; number < first + cases; number++)
		one_case();
	dice_seed(seed, 0);
	check_chains();
	printf("%llu cases: %llu times served, %llu of them read-only, %llu times refused\n", cases,
	       nr_served, nr_read_only, nr_refused);
	printf("%llu passed, 0 failed\n", cases);
	for (i = 0; i < NR_BASES; i++) {
		free(base[i].data[DISK_MAIN]);
		free(base[i].data[DISK_SPARE]);
	}
	return 0;
}
