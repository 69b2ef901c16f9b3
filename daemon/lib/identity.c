// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <libudev.h>

#include "identity.h"

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
		if (!isgraph((unsigned char)*c))
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

void identity_of_device(dev_t devno, char identity[REMAP_IDENTITY_BYTES])
{
	struct udev *udev = udev_new();
	struct udev_device *device = udev ? udev_device_new_from_devnum(udev, 'b', devno) : NULL;
	struct hardware hardware = { 0 };
	const char *number;
	uint64_t partition;

	memset(identity, 0, REMAP_IDENTITY_BYTES);
	if (device) {
		hardware.part_uuid = udev_device_get_property_value(device, "ID_PART_ENTRY_UUID");
		hardware.wwn = udev_device_get_property_value(device, "ID_WWN_WITH_EXTENSION");
		if (!hardware.wwn)
			hardware.wwn = udev_device_get_property_value(device, "ID_WWN");
		hardware.serial = udev_device_get_property_value(device, "ID_SERIAL_SHORT");
		hardware.model = udev_device_get_property_value(device, "ID_MODEL");
		hardware.dm_uuid = udev_device_get_property_value(device, "DM_UUID");
		hardware.md_uuid = udev_device_get_property_value(device, "MD_UUID");
		number = udev_device_get_property_value(device, "PARTN");
		if (number && parse_u64(number, &partition) == 0)
			hardware.partition = (unsigned int)partition;
		identity_of_hardware(&hardware, identity);
		udev_device_unref(device);
	}
	if (udev)
		udev_unref(udev);
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

bool identity_contradicts(const char *a, const char *b)
{
	if (identity_matches(a, b))
		return false;
	while (*a) {
		size_t kind = strcspn(a, ": "), length = strcspn(a, " ");

		for (const char *at = b; a[kind] == ':' && *at;) {
			if (!strncmp(a, at, kind + 1))
				return true;
			at += strcspn(at, " ");
			at += strspn(at, " ");
		}
		a += length;
		a += strspn(a, " ");
	}
	return false;
}
