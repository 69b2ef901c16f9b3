// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <libudev.h>

#include "system/identity.h"
#include "util/foreign.h"

/* What vendors leave in when they forget to fill it in. */
static bool believable(const char *text)
{
	static const char *const fillers[] = { "0123456789ABCDEF", "123456789ABCDEF",
					       "0123456789",	   "123456789",
					       "12345678",	   "None",
					       "unknown",	   "To_Be_Filled_By_O.E.M." };
	const char *digits = text && !strncmp(text, "0x", 2) ? text + 2 : text;

	if (!digits || strlen(digits) < 4)
		return false;
	for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++)
		if (!strcasecmp(digits, fillers[i]))
			return false;
	return strspn(digits, (const char[]){ *digits, '\0' }) < strlen(digits);
}

/* A word has no spaces and nothing that a terminal would act upon. */
static void add_word(char identity[REMAP_IDENTITY_BYTES], const char *kind, const char *first,
		     const char *second, unsigned int partition)
{
	char word[REMAP_IDENTITY_BYTES], part[24] = "";
	size_t used = strlen(identity);
	int length;

	if (partition)
		snprintf(part, sizeof(part), "-part%u", partition);
	length = snprintf(word, sizeof(word), "%s%s:%s%s%s%s", used ? " " : "", kind, first,
			  second ? "_" : "", second ? second : "", part);
	if (length < 0 || used + (size_t)length >= REMAP_IDENTITY_BYTES)
		return;
	for (char *c = word + (used ? 1 : 0); *c; c++)
		if (*c <= ' ' || *c > '~') /* not isgraph(): whatever the locale */
			*c = '_';
	memcpy(identity + used, word, (size_t)length + 1);
}

void identity_of_hardware(const struct hardware *hardware, char identity[REMAP_IDENTITY_BYTES])
{
	memset(identity, 0, REMAP_IDENTITY_BYTES);
	if (believable(hardware->part_uuid))
		add_word(identity, "partuuid", hardware->part_uuid, NULL, 0);
	if (believable(hardware->wwn))
		add_word(identity, "wwn", hardware->wwn, NULL, hardware->partition);
	if (believable(hardware->serial))
		add_word(identity, "serial", hardware->model ? hardware->model : "",
			 hardware->serial, hardware->partition);
	if (believable(hardware->dm_uuid))
		add_word(identity, "dm", hardware->dm_uuid, NULL, 0);
	if (believable(hardware->md_uuid))
		add_word(identity, "md", hardware->md_uuid, NULL, hardware->partition);
}

/*
 * A key that a rule compares.  What is not plain would end the string, or match others by a
 * pattern: false, and *@match is empty, as it is where the rule would be too long.
 */
static bool add_match(char *match, size_t nr_bytes, const char *key, const char *value)
{
	size_t used = strlen(match);
	int length = foreign_is_plain(value) ?
			     snprintf(match + used, nr_bytes - used, "%sENV{%s}==\"%s\"",
				      used ? ", " : "", key, value) :
			     -1;

	if (length >= 0 && (size_t)length < nr_bytes - used)
		return true;
	*match = '\0';
	return false;
}

/* A name of hardware that is believable, and that a rule can spell. */
static bool is_match(const char *value)
{
	return believable(value) && foreign_is_plain(value);
}

void identity_udev_match(const struct hardware *hardware, char *match, size_t nr_bytes)
{
	char number[12];

	*match = '\0';
	if (is_match(hardware->part_uuid)) {
		add_match(match, nr_bytes, "ID_PART_ENTRY_UUID", hardware->part_uuid);
		return;
	}
	if (is_match(hardware->wwn)) {
		add_match(match, nr_bytes,
			  hardware->wwn_is_short ? "ID_WWN" : "ID_WWN_WITH_EXTENSION",
			  hardware->wwn);
	} else if (is_match(hardware->serial)) {
		/* a model that no rule can spell is left out: the serial number is its own */
		if (add_match(match, nr_bytes, "ID_SERIAL_SHORT", hardware->serial) &&
		    hardware->model && foreign_is_plain(hardware->model))
			add_match(match, nr_bytes, "ID_MODEL", hardware->model);
	} else if (is_match(hardware->dm_uuid)) {
		add_match(match, nr_bytes, "DM_UUID", hardware->dm_uuid);
	} else if (is_match(hardware->md_uuid)) {
		add_match(match, nr_bytes, "MD_UUID", hardware->md_uuid);
	}
	if (*match && hardware->partition) {
		snprintf(number, sizeof(number), "%u", hardware->partition);
		add_match(match, nr_bytes, "PARTN", number);
	}
}

/* The strings are @device's. */
static void read_hardware(struct udev_device *device, struct hardware *hardware)
{
	const char *number;
	uint64_t partition;

	memset(hardware, 0, sizeof(*hardware));
	hardware->part_uuid = udev_device_get_property_value(device, "ID_PART_ENTRY_UUID");
	hardware->wwn = udev_device_get_property_value(device, "ID_WWN_WITH_EXTENSION");
	if (!hardware->wwn) {
		hardware->wwn = udev_device_get_property_value(device, "ID_WWN");
		hardware->wwn_is_short = true;
	}
	hardware->serial = udev_device_get_property_value(device, "ID_SERIAL_SHORT");
	hardware->model = udev_device_get_property_value(device, "ID_MODEL");
	hardware->dm_uuid = udev_device_get_property_value(device, "DM_UUID");
	hardware->md_uuid = udev_device_get_property_value(device, "MD_UUID");
	number = udev_device_get_property_value(device, "PARTN");
	if (number && parse_u64(number, &partition) == 0)
		hardware->partition = (unsigned int)partition;
}

static void of_device(dev_t devno, char *identity, char *match, size_t nr_match)
{
	struct udev *udev = udev_new();
	struct udev_device *device = udev ? udev_device_new_from_devnum(udev, 'b', devno) : NULL;
	struct hardware hardware;

	if (device) {
		read_hardware(device, &hardware);
		if (identity)
			identity_of_hardware(&hardware, identity);
		if (match)
			identity_udev_match(&hardware, match, nr_match);
		udev_device_unref(device);
	}
	if (udev)
		udev_unref(udev);
}

void identity_of_device(dev_t devno, char identity[REMAP_IDENTITY_BYTES])
{
	memset(identity, 0, REMAP_IDENTITY_BYTES);
	of_device(devno, identity, NULL, 0);
}

void identity_udev_match_of_device(dev_t devno, char *match, size_t nr_bytes)
{
	*match = '\0';
	of_device(devno, NULL, match, nr_bytes);
}

unsigned int identity_matches(const char *a, const char *b)
{
	unsigned int nr = 0;

	while (*a) {
		size_t length = strcspn(a, " ");

		for (const char *at = b; length && *at;) {
			size_t other = strcspn(at, " ");

			if (other == length && !memcmp(a, at, length)) {
				nr++;
				break;
			}
			at += other;
			at += strspn(at, " ");
		}
		a += length;
		a += strspn(a, " ");
	}
	return nr;
}

/* How many kinds of words both have. */
static unsigned int nr_comparable(const char *a, const char *b)
{
	unsigned int nr = 0;

	while (*a) {
		size_t kind = strcspn(a, ": "), length = strcspn(a, " ");

		for (const char *at = b; a[kind] == ':' && *at;) {
			if (!strncmp(a, at, kind + 1)) {
				nr++;
				break;
			}
			at += strcspn(at, " ");
			at += strspn(at, " ");
		}
		a += length;
		a += strspn(a, " ");
	}
	return nr;
}

#define PARTUUID "partuuid:"

/* Length of a word of hardware; @of_disk: without the number of the partition. */
static size_t word_length(const char *word, bool of_disk)
{
	size_t length = strcspn(word, " "), end = length;

	while (of_disk && end && isdigit((unsigned char)word[end - 1]))
		end--;
	return of_disk && end > 5 && end < length && !strncmp(word + end - 5, "-part", 5) ?
		       end - 5 :
		       length;
}

static const char *next_word(const char *word)
{
	word += strcspn(word, " ");
	return word + strspn(word, " ");
}

static bool is_hardware(const char *word)
{
	return strncmp(word, PARTUUID, strlen(PARTUUID)) != 0;
}

/* Both have words of one kind, but for the partition's UUID, and none is the same. */
static bool hardware_differs(const char *a, const char *b, bool of_disk, bool *comparable)
{
	bool same = false;

	*comparable = false;
	for (; *a; a = next_word(a)) {
		size_t kind = strcspn(a, ": "), length = word_length(a, of_disk);

		for (const char *at = b; is_hardware(a) && *at; at = next_word(at)) {
			if (a[kind] != ':' || strncmp(a, at, kind + 1) != 0)
				continue;
			*comparable = true;
			same |= length == word_length(at, of_disk) && !memcmp(a, at, length);
		}
	}
	return *comparable && !same;
}

static bool shares_partition(const char *a, const char *b)
{
	for (; *a; a = next_word(a)) {
		size_t length = strcspn(a, " ");

		for (const char *at = b; !is_hardware(a) && *at; at = next_word(at))
			if (length == strcspn(at, " ") && !memcmp(a, at, length))
				return true;
	}
	return false;
}

bool identity_contradicts(const char *a, const char *b)
{
	bool comparable, differs = hardware_differs(a, b, shares_partition(a, b), &comparable);

	return comparable ? differs : nr_comparable(a, b) && !identity_matches(a, b);
}

bool identity_agrees(const char *a, const char *b)
{
	unsigned int nr = identity_matches(a, b);

	return nr && nr == nr_comparable(a, b);
}
