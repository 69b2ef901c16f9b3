// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding of netlink messages, good and bad, without a kernel. */
#include <linux/netlink.h>

#include "remap_format.h"
#include "system/events.h"
#include "unit.h"

static uint8_t message[1024];
static size_t length;

static void start(void)
{
	memset(message, 0, sizeof(message));
	length = 0;
}

static void put(uint16_t type, const void *data, size_t nr_bytes)
{
	struct nlattr attr = { .nla_len = (uint16_t)(NLA_HDRLEN + nr_bytes), .nla_type = type };

	memcpy(message + length, &attr, sizeof(attr));
	memcpy(message + length + NLA_HDRLEN, data, nr_bytes);
	length += (size_t)NLA_ALIGN(attr.nla_len);
}

static void put_u32(uint16_t type, uint32_t value)
{
	put(type, &value, sizeof(value));
}

static void put_u64(uint16_t type, uint64_t value)
{
	put(type, &value, sizeof(value));
}

static void whole(void **unused)
{
	static const uint8_t uuid[16] = { 1, 2, 3 };
	struct remap_event event;
	char text[256];

	(void)unused;
	start();
	put(DM_REMAP_A_NAME, "disk", 5);
	put(DM_REMAP_A_UUID, uuid, sizeof(uuid));
	put_u32(DM_REMAP_A_EVENT, DM_REMAP_EVENT_RELOCATED);
	put_u64(DM_REMAP_A_EVENT_SEQ, 7);
	put_u64(DM_REMAP_A_SECTOR, 1ULL << 40);
	put_u32(DM_REMAP_A_NR_SECTORS, 8);
	put_u32(DM_REMAP_A_SLOT, 9);
	put_u32(DM_REMAP_A_MEMBER, DM_REMAP_MEMBER_MAIN);
	assert_int_equal(event_decode(message, length, &event), 0);
	assert_string_equal(event.name, "disk");
	assert_memory_equal(event.uuid, uuid, sizeof(uuid));
	assert_int_equal(event.kind, DM_REMAP_EVENT_RELOCATED);
	assert_int_equal(event.seq, 7);
	assert_true(event.sector == 1ULL << 40);
	assert_int_equal(event.slot, 9);
	assert_true(EVENT_HAS(&event, DM_REMAP_A_SLOT));
	assert_false(EVENT_HAS(&event, DM_REMAP_A_REASON));
	event_describe(&event, text, sizeof(text));
	assert_non_null(strstr(text, "sectors 1099511627776-1099511627783"));
	assert_non_null(strstr(text, "slot 9"));
}

/* Of the kernel, but a border all the same: what is no text is not passed on. */
static void controls_in_names(void **unused)
{
	static const char name[] = "a\x1b[2J\n\xff\xc2\x9b";
	struct remap_event event;
	char text[256];

	(void)unused;
	start();
	put(DM_REMAP_A_NAME, name, sizeof(name));
	put_u32(DM_REMAP_A_EVENT, DM_REMAP_EVENT_LOADED);
	put(DM_REMAP_A_MODE, name, sizeof(name));
	assert_int_equal(event_decode(message, length, &event), 0);
	assert_string_equal(event.name, "a\\x1b[2J\\x0a\\xff\\xc2\\x9b");
	event_describe(&event, text, sizeof(text));
	assert_non_null(strstr(text, "mode a\\x1b[2J"));
	assert_null(strpbrk(text, "\x1b\n"));
}

static void of_a_later_module(void **unused)
{
	struct remap_event event;
	char text[256];

	(void)unused;
	start();
	put_u32(DM_REMAP_A_MAX + 1, 5);
	put_u32(DM_REMAP_A_EVENT, 999);
	put_u64(DM_REMAP_A_MAX + 40, 5);
	assert_int_equal(event_decode(message, length, &event), 0);
	assert_int_equal(event.kind, 999);
	event_describe(&event, text, sizeof(text));
	assert_non_null(strstr(text, "999"));
	assert_string_equal(event_kind_name(999), "unknown");
}

static void damaged(void **unused)
{
	struct remap_event event;
	char name[400];

	(void)unused;
	start();
	put_u32(DM_REMAP_A_SECTOR, 1); /* 4 bytes where 8 belong */
	assert_int_equal(event_decode(message, length, &event), -EBADMSG);
	start();
	put_u64(DM_REMAP_A_SLOT, 1);
	assert_int_equal(event_decode(message, length, &event), -EBADMSG);
	start();
	put(DM_REMAP_A_UUID, "short", 5);
	assert_int_equal(event_decode(message, length, &event), -EBADMSG);
	start();
	put_u32(DM_REMAP_A_SLOT, 1);
	assert_int_equal(event_decode(message, length - 2, &event), -EBADMSG);
	/* a string without an end, and longer than there is room for */
	start();
	memset(name, 'x', sizeof(name));
	put(DM_REMAP_A_NAME, name, sizeof(name));
	assert_int_equal(event_decode(message, length, &event), 0);
	assert_int_equal(strlen(event.name), sizeof(event.name) - 1);
}

static void any_bytes(void **unused)
{
	struct remap_event event;

	(void)unused;
	unit_seed(__func__);
	for (int i = 0; i < 20000; i++) {
		size_t nr_bytes = unit_random_below(sizeof(message));
		uint8_t *exact = malloc(nr_bytes ? nr_bytes : 1);

		unit_random_bytes(exact, nr_bytes);
		/* lengths that are plausible get further */
		for (size_t at = 0; at + 4 <= nr_bytes && i % 2; at += 4 * (1 + exact[at] % 8)) {
			exact[at] = (uint8_t)(exact[at] % 32);
			exact[at + 1] = 0;
			exact[at + 2] = (uint8_t)(exact[at + 2] % 48);
			exact[at + 3] = 0;
		}
		(void)event_decode(exact, nr_bytes, &event);
		free(exact);
	}
}

static void names(void **unused)
{
	(void)unused;
	for (uint32_t kind = 1; kind <= DM_REMAP_EVENT_MAX; kind++)
		if (kind != DM_REMAP_EVENT_SPARE_LOW) /* reserved */
			assert_string_not_equal(event_kind_name(kind), "unknown");
	for (uint32_t reason = 1; reason <= DM_REMAP_REASON_SPARE; reason++)
		assert_string_not_equal(event_reason_name(reason), "unknown");
	assert_string_equal(event_reason_name(0), "unknown");
	assert_string_equal(event_reason_name(UINT32_MAX), "unknown");
}

/* Every kind says a sentence without braces, also when nothing came with it or much did. */
static void texts(void **unused)
{
	struct remap_event none = { 0 }, full;
	char text[256], small[20];

	(void)unused;
	memset(&full, 0xff, sizeof(full));
	full.status = REMAP_STATUS_MEDIUM;
	for (size_t i = 0; i < sizeof(full.name); i++)
		full.name[i] = i + 1 < sizeof(full.name) ? 'x' : '\0';
	full.mode[sizeof(full.mode) - 1] = full.old_mode[sizeof(full.old_mode) - 1] = '\0';
	for (uint32_t kind = 0; kind <= DM_REMAP_EVENT_MAX + 1; kind++) {
		none.kind = full.kind = kind;
		event_describe(&none, text, sizeof(text));
		assert_true(strlen(text) > 10);
		assert_null(strpbrk(text, "{}"));
		event_describe(&full, text, sizeof(text));
		assert_null(strpbrk(text, "{}"));
		event_describe(&full, small, sizeof(small));
		assert_memory_equal(small, text, strlen(small));
	}
	full.kind = DM_REMAP_EVENT_SAVED;
	event_describe(&full, text, sizeof(text));
	assert_string_equal(text, "the counters could not be saved");
	full.status = REMAP_STATUS_NONE;
	event_describe(&full, text, sizeof(text));
	assert_string_equal(text, "the counters were saved");
	full = (struct remap_event){ .kind = DM_REMAP_EVENT_REMAPPED,
				     .sector = 16,
				     .nr_sectors = 1,
				     .slot = 9,
				     .cause = REMAP_CAUSE_RESCUE,
				     .lost_sectors = 2 };
	event_describe(&full, text, sizeof(text));
	assert_string_equal(text, "remapped sector 16 to slot 9 (rescue), 2 of them lost");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(controls_in_names),
		cmocka_unit_test(of_a_later_module),
		cmocka_unit_test(damaged),
		cmocka_unit_test(any_bytes),
		cmocka_unit_test(names),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
