// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libudev.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "format/region.h"
#include "set/ask.h"
#include "set/asking.h"
#include "set/scan.h"
#include "system/identity.h"

#define UDEV_WAIT_MS 15000
#define UDEV_PAUSE_MS 50
/* A disk that sleeps wakes up in less; and how long disks of others may keep a command waiting. */
#define ANSWER_MS 10000
#define STRANGER_MS 2000

const char *member_role_name(enum member_role role)
{
	return role == MEMBER_MAIN ? "main" : role == MEMBER_SPARE ? "spare" : "none";
}

struct silent_text silent_text(const struct member *silent)
{
	struct silent_text text;
	char since[32] = "";
	struct tm tm;

	if (silent->silent_since && localtime_r(&silent->silent_since, &tm))
		strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(text.text, sizeof(text.text), "%s does not answer%s%s%s", silent->path,
		 *since ? " (still waiting for it since " : "", since, *since ? ")" : "");
	return text;
}

void device_path(dev_t devno, char *path, size_t nr_bytes)
{
	char link[64], target[512];
	ssize_t n;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(devno), minor(devno));
	n = readlink(link, target, sizeof(target) - 1);
	*path = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	node_of_sysfs(strrchr(target, '/') + 1, path, nr_bytes);
}

dev_t device_number(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode) ? st.st_rdev : 0;
}

int open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == EINVAL) /* tmpfs */
		fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int probe_spare(int fd, const char *path, struct member *member, struct error *error)
{
	struct region region;
	struct error why;
	int r = region_open(fd, 0, member->nr_sectors, &region, &why);

	if (r == -ENODATA)
		return r;
	if (r < 0)
		return error_set(error, -r, "%s: %s", path, why.text);
	member->role = MEMBER_SPARE;
	memcpy(member->uuid, region.super.uuid, sizeof(member->uuid));
	memcpy(member->host_id, region.super.host_id, sizeof(member->host_id));
	foreign_escape(region.super.label, sizeof(region.super.label), member->label,
		       sizeof(member->label));
	foreign_escape(region.super.identity, sizeof(region.super.identity), member->recorded,
		       sizeof(member->recorded));
	member->main_sectors = region.super.main_sectors;
	member->region_sectors = region.super.geometry.region_sectors;
	member->probe_chunk = region.super.probe_chunk;
	member->flags = region.super.flags;
	return 0;
}

/* Sector 0 names the set by itself; the header tells more, if it is whole. */
static bool probe_main(const uint8_t *chunk, struct member *member)
{
	const struct remap_member_disk *header = (const void *)(chunk + REMAP_MEMBER_OFFSET);

	if (remap_guard_check(chunk, member->uuid, member->nr_sectors) == REMAP_BAD_MAGIC)
		return false;
	member->role = MEMBER_MAIN;
	member->guarded = true;
	if (remap_member_check(header, member->uuid) == REMAP_OK) {
		memcpy(member->host_id, header->host_id, sizeof(member->host_id));
		foreign_escape(header->label, sizeof(header->label), member->label,
			       sizeof(member->label));
		foreign_escape(header->spare_identity, sizeof(header->spare_identity),
			       member->recorded, sizeof(member->recorded));
		member->main_sectors = le64_to_cpu(header->main_sectors);
	}
	return true;
}

int member_probe(const char *path, struct member *member, struct error *error)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	_cleanup_close_ int fd = -1;
	uint64_t nr_bytes;
	int r, read_only = 0;

	memset(member, 0, sizeof(*member));
	snprintf(member->path, sizeof(member->path), "%s", path);
	if (!chunk)
		return error_set(error, ENOMEM, "out of memory");
	fd = open_direct(path, O_RDONLY);
	if (fd < 0)
		return error_set(error, -fd, "%s: cannot open it: %s", path, strerror(-fd));
	r = device_bytes(fd, &nr_bytes);
	if (r < 0)
		return error_set(error, -r, "%s: neither a block device nor an image", path);
	member->devno = device_number(path);
	member->nr_sectors = nr_bytes / REMAP_SECTOR_BYTES;
	if (nr_bytes < REMAP_CHUNK_BYTES)
		return -ENODATA;
	if (member->devno && ioctl(fd, BLKROGET, &read_only) == 0)
		member->read_only = read_only;
	r = read_all_at(fd, chunk, REMAP_CHUNK_BYTES, 0);
	if (!r && probe_main(chunk, member))
		return 0;
	/* even where sector 0 cannot be read there may be a spare: other copies tell */
	if (r < 0 || !memcmp(chunk, REMAP_MAGIC_SUPER, REMAP_MAGIC_BYTES) ||
	    !memcmp(chunk + REMAP_PMBR_OFFSET, "\0\0\2\0\xee", 5) ||
	    remap_is_zero(chunk, REMAP_CHUNK_BYTES))
		return probe_spare(fd, path, member, error);
	return -ENODATA;
}

int mark_read(int main_fd, uint64_t probe_chunk, const uint8_t uuid[16], struct remap_mark *mark)
{
	_cleanup_free_ uint8_t *chunk = aligned_alloc(REMAP_CHUNK_BYTES, REMAP_CHUNK_BYTES);
	struct remap_mark_found found;
	uint8_t unreadable = 0;

	if (!chunk)
		return -ENOMEM;
	/* sector by sector where the chunk cannot be read as a whole */
	if (read_all_at(main_fd, chunk, REMAP_CHUNK_BYTES,
			(off_t)(probe_chunk * REMAP_CHUNK_BYTES)) < 0)
		for (unsigned int i = 0; i < REMAP_CHUNK_SECTORS; i++) {
			uint8_t *sector = chunk + i * REMAP_SECTOR_BYTES;

			if (read_all_at(main_fd, sector, REMAP_SECTOR_BYTES,
					(off_t)(probe_chunk * REMAP_CHUNK_BYTES +
						i * REMAP_SECTOR_BYTES)) < 0)
				unreadable |= 1U << i;
		}
	remap_find_mark(chunk, unreadable, uuid, NULL, &found);
	if (!found.proofs)
		return unreadable ? -EIO : -ENODATA;
	*mark = found.mark;
	return 0;
}

/**
 * struct candidate - a block device that may be a member
 * @member: what it turned out to be; path, devno and identity are known before
 * @known: udev or the kernel says that it is one, or none has looked yet
 * @asked: it was asked, in vain perhaps
 * @answered: it answered when it was asked last
 * @silent: it is a member, or likely one, and did not answer
 * @silent_stranger: it did not answer a question for a mark
 */
struct candidate {
	struct member member;
	bool known;
	bool asked;
	bool answered;
	bool silent;
	bool silent_stranger;
};

/**
 * struct candidates - the block devices that may be members
 * @at: they
 * @nr: how many
 * @udev_knows: udev is there and has looked at every device that it lists
 * @host: this one
 */
struct candidates {
	struct candidate *at;
	size_t nr;
	bool udev_knows;
	uint8_t host[16];
};

static void candidates_done(struct candidates *candidates)
{
	free(candidates->at);
}

static const char *property(struct udev_device *device, const char *key)
{
	const char *value = udev_device_get_property_value(device, key);

	return value ? value : "";
}

/* Members of md, LVM and others are not opened; what is on top of them is looked at instead. */
static bool is_somebody_elses(struct udev_device *device)
{
	const char *type = property(device, "ID_FS_TYPE");
	size_t length = strlen(type);

	if (streq(property(device, "DM_MULTIPATH_DEVICE_PATH"), "1"))
		return true;
	return !streq(type, "dm_remap_member") && length > 7 && streq(type + length - 7, "_member");
}

/* By what the rules found: a member shows a protective MBR, and the prober names it. */
static bool is_members_own(struct udev_device *device)
{
	const char *type = property(device, "ID_FS_TYPE");

	if (*type)
		return streq(type, "dm_remap_member");
	return streq(property(device, "ID_PART_TABLE_TYPE"), "PMBR");
}

/* Without the daemon (in some initramfs, in containers) its database may be old, or empty. */
static bool udev_is_running(void)
{
	return access("/run/udev/control", F_OK) == 0;
}

static bool udev_says(dev_t devno, bool (*what)(struct udev_device *))
{
	struct udev *udev = udev_new();
	struct udev_device *device = udev ? udev_device_new_from_devnum(udev, 'b', devno) : NULL;
	bool says = device && what(device);

	if (device)
		udev_device_unref(device);
	if (udev)
		udev_unref(udev);
	return says;
}

/* udev is notified when a writer closes the device, but does not watch every kind of device. */
int scan_tell_udev(dev_t devno, const char *action)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", major(devno), minor(devno));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* if it fails it is waited for in vain, and what is missing is reported */
	return fd < 0 || write(fd, action, strlen(action)) < 0 ? -errno : 0;
}

void scan_tell_udev_of_masked(void)
{
	struct udev *udev = udev_new();
	struct udev_enumerate *enumerate = udev ? udev_enumerate_new(udev) : NULL;
	struct udev_list_entry *at;

	if (enumerate && udev_enumerate_add_match_subsystem(enumerate, "block") >= 0 &&
	    udev_enumerate_add_match_property(enumerate, "DM_REMAP_MASKED", "1") >= 0 &&
	    udev_enumerate_scan_devices(enumerate) >= 0)
		udev_list_entry_foreach(at, udev_enumerate_get_list_entry(enumerate))
		{
			struct udev_device *device =
				udev_device_new_from_syspath(udev, udev_list_entry_get_name(at));

			if (device)
				scan_tell_udev(udev_device_get_devnum(device), "change");
			udev_device_unref(device);
		}
	if (enumerate)
		udev_enumerate_unref(enumerate);
	if (udev)
		udev_unref(udev);
}

void scan_wait_for_udev(dev_t devno)
{
	bool running = udev_is_running();

	if (running ? udev_says(devno, is_members_own) : !udev_says(devno, is_somebody_elses))
		return;
	scan_tell_udev(devno, "change");
	for (unsigned int i = 0; i < UDEV_WAIT_MS / UDEV_PAUSE_MS; i++) {
		usleep(UDEV_PAUSE_MS * 1000);
		if (running ? udev_says(devno, is_members_own) :
			      !udev_says(devno, is_somebody_elses))
			return;
	}
}

static bool is_held_by_others(const char *syspath)
{
	_cleanup_closedir_ DIR *directory = NULL;
	char path[512];
	struct dirent *at;

	snprintf(path, sizeof(path), "%s/holders", syspath);
	directory = opendir(path);
	while (directory && (at = readdir(directory))) {
		_cleanup_free_ char *dm_uuid = NULL;
		size_t nr_bytes;
		int r;

		if (*at->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/class/block/%s/dm/uuid", at->d_name);
		r = read_file(path, &dm_uuid, &nr_bytes);
		/* a mapped device that is being made or removed: for a moment it has none */
		if (r == -ENOENT && !strncmp(at->d_name, "dm-", 3))
			continue;
		if (r < 0)
			return true;
		/* a remap device made with plain dmsetup has none */
		if (strncmp(dm_uuid, "REMAP-", 6) && *dm_uuid && *dm_uuid != '\n')
			return true;
	}
	return false;
}

static bool is_ready(struct udev_device *device)
{
	const char *name = udev_device_get_sysname(device);
	const char *size = udev_device_get_sysattr_value(device, "size");
	const char *suspended = udev_device_get_sysattr_value(device, "dm/suspended");

	if (!size || streq(size, "0") || (suspended && streq(suspended, "1")))
		return false;
	/*
	 * Opening an empty floppy or optical drive takes seconds and tells nothing; what a
	 * null_blk device "reads" is what happened to be in memory.
	 */
	return strncmp(name, "nullb", 5) && strncmp(name, "fd", 2) && strncmp(name, "sr", 2) &&
	       strncmp(name, "ram", 3) && strncmp(name, "zram", 4);
}

static bool is_one_of(dev_t devno, const dev_t *devices, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (devices[i] == devno)
			return true;
	return false;
}

static bool set_of(struct udev_device *device, uint8_t uuid[16])
{
	return *property(device, "DM_REMAP_ROLE") &&
	       uuid_from_string(property(device, "DM_REMAP_UUID"), uuid) == 0;
}

/* A set's activation that asked the members of all others would cost the square of their number. */
static bool is_of_another_set(struct udev_device *device, const struct scan_request *request)
{
	uint8_t uuid[16];

	return request->uuid && set_of(device, uuid) &&
	       memcmp(uuid, request->uuid, sizeof(uuid)) != 0 &&
	       !is_one_of(udev_device_get_devnum(device), request->devices, request->nr_devices);
}

/* Nothing is opened here: sysfs and udev's database tell. */
static int add_candidate(struct candidates *candidates, struct udev_device *device,
			 const struct scan_request *request)
{
	const char *node = udev_device_get_devnode(device);
	const char *size = udev_device_get_sysattr_value(device, "size");
	dev_t devno = udev_device_get_devnum(device);
	struct candidate *bigger, *candidate;

	if (candidates->udev_knows && is_of_another_set(device, request))
		return 0;
	if (!node || !is_ready(device) || is_somebody_elses(device) ||
	    is_held_by_others(udev_device_get_syspath(device)))
		return 0;
	bigger = reallocarray(candidates->at, candidates->nr + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	candidates->at = bigger;
	candidate = &bigger[candidates->nr++];
	memset(candidate, 0, sizeof(*candidate));
	snprintf(candidate->member.path, sizeof(candidate->member.path), "%s", node);
	candidate->member.devno = devno;
	if (size)
		candidate->member.nr_sectors = strtoull(size, NULL, 10);
	if (streq(property(device, "DM_REMAP_ROLE"), "main"))
		candidate->member.role = MEMBER_MAIN;
	else if (streq(property(device, "DM_REMAP_ROLE"), "spare"))
		candidate->member.role = MEMBER_SPARE;
	uuid_from_string(property(device, "DM_REMAP_UUID"), candidate->member.uuid);
	if (device_name_ok(property(device, "ID_FS_LABEL")))
		snprintf(candidate->member.label, sizeof(candidate->member.label), "%s",
			 property(device, "ID_FS_LABEL"));
	identity_of_device(devno, candidate->member.identity);
	candidate->known = !candidates->udev_knows || is_members_own(device) ||
			   is_one_of(devno, request->devices, request->nr_devices);
	return 0;
}

static int find_candidates(struct candidates *candidates, const struct scan_request *request)
{
	struct udev *udev = udev_new();
	struct udev_enumerate *enumerate = udev ? udev_enumerate_new(udev) : NULL;
	struct udev_list_entry *at;
	int r = enumerate ? 0 : -ENOMEM;

	candidates->udev_knows = udev_is_running();
	host_id(candidates->host);
	if (!r)
		r = udev_enumerate_add_match_subsystem(enumerate, "block");
	if (!r)
		r = udev_enumerate_scan_devices(enumerate);
	if (r >= 0) {
		r = 0;
		udev_list_entry_foreach(at, udev_enumerate_get_list_entry(enumerate))
		{
			struct udev_device *device =
				udev_device_new_from_syspath(udev, udev_list_entry_get_name(at));

			if (device && !r)
				r = add_candidate(candidates, device, request);
			udev_device_unref(device);
		}
	}
	if (enumerate)
		udev_enumerate_unref(enumerate);
	if (udev)
		udev_unref(udev);
	return r;
}

/**
 * struct question - what is asked of a device
 * @path: of the device
 * @devno: of it
 * @mark: whether it has the mark of a set, where it is no member by its own content
 * @uuid: of that set
 * @probe_chunk: where it would be
 */
struct question {
	char path[256];
	dev_t devno;
	bool mark;
	uint8_t uuid[16];
	uint64_t probe_chunk;
};

static_assert(sizeof(struct question) <= ASK_REQUEST_MAX, "question");
static_assert(sizeof(struct member) <= ASK_ANSWER_MAX, "member");

/* Of no length: it cannot be opened.  A main without guard has the mark where the spare says. */
static void answer_question(const void *request, void *answer)
{
	const struct question *question = request;
	struct member *member = answer;
	_cleanup_close_ int fd = -1;
	struct remap_mark mark;
	int r = member_probe(question->path, member, NULL);
	bool answers = r == -ENODATA;

	if (r < 0)
		member->role = MEMBER_NONE;
	if (!question->mark || !member->nr_sectors || member->role != MEMBER_NONE)
		return;
	fd = open_direct(question->path, O_RDONLY);
	r = fd < 0 ? fd : mark_read(fd, question->probe_chunk, question->uuid, &mark);
	if (!r)
		member->role = MEMBER_MAIN;
	/* of a disk that answers nothing it says nothing */
	member->mark_unreadable = r == -EIO && answers;
}

static void make_question(struct question *question, const struct member *member,
			  const struct member *spare)
{
	memset(question, 0, sizeof(*question));
	snprintf(question->path, sizeof(question->path), "%s", member->path);
	question->devno = member->devno;
	if (!spare)
		return;
	question->mark = true;
	memcpy(question->uuid, spare->uuid, sizeof(question->uuid));
	question->probe_chunk = spare->probe_chunk;
}

static int ask_questions(size_t nr, const struct question *question, struct member *answer,
			 bool *answered, unsigned int timeout_ms)
{
	_cleanup_free_ dev_t *device = calloc(nr + 1, sizeof(*device));
	struct questions questions = { .f = answer_question,
				       .device = device,
				       .nr = nr,
				       .requests = question,
				       .request_bytes = sizeof(*question),
				       .answers = answer,
				       .answer_bytes = sizeof(*answer),
				       .answered = answered };

	if (!device)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		device[i] = question[i].devno;
	return ask_disks(&questions, timeout_ms);
}

typedef bool (*candidate_f)(const struct candidate *candidate, const struct member *other);

static bool is_known(const struct candidate *candidate, const struct member *other)
{
	(void)other;
	return candidate->known;
}

/* Hardware that a member recorded, whatever it shows: its first sector may be damaged. */
static bool is_recorded(const struct candidate *candidate, const struct member *other)
{
	return !candidate->asked && !candidate->silent &&
	       identity_matches(candidate->member.identity, other->recorded);
}

static bool can_be_main(const struct candidate *candidate, const struct member *spare)
{
	return !candidate->silent && (candidate->member.role == MEMBER_NONE || !candidate->asked) &&
	       candidate->member.nr_sectors >= spare->main_sectors;
}

/* The same, but only hardware that the spare recorded. */
static bool is_likely_main(const struct candidate *candidate, const struct member *spare)
{
	return can_be_main(candidate, spare) &&
	       (candidate->known || identity_matches(candidate->member.identity, spare->recorded));
}

/* Asks those that @which selects, each in good time; those that do not answer are silent. */
static int ask(struct candidates *candidates, candidate_f which, const struct member *other,
	       const struct member *spare, unsigned int timeout_ms)
{
	_cleanup_free_ struct candidate **at = calloc(candidates->nr + 1, sizeof(*at));
	_cleanup_free_ struct question *question = calloc(candidates->nr + 1, sizeof(*question));
	_cleanup_free_ struct member *answer = calloc(candidates->nr + 1, sizeof(*answer));
	_cleanup_free_ bool *answered = calloc(candidates->nr + 1, sizeof(*answered));
	size_t nr = 0;
	int r;

	if (!at || !question || !answer || !answered)
		return -ENOMEM;
	for (size_t i = 0; i < candidates->nr; i++) {
		if (!which(&candidates->at[i], other))
			continue;
		make_question(&question[nr], &candidates->at[i].member, spare);
		at[nr++] = &candidates->at[i];
	}
	r = ask_questions(nr, question, answer, answered, timeout_ms);
	for (size_t i = 0; !r && i < nr; i++) {
		/* a foreign one, asked for a mark, may be silent */
		at[i]->silent = !answered[i] && (!spare || is_likely_main(at[i], spare));
		at[i]->silent_stranger |= !answered[i] && spare;
		at[i]->asked = true;
		at[i]->answered = answered[i];
		if (!answered[i]) {
			at[i]->member.silent_since = asking_since(at[i]->member.devno).wall;
			continue;
		}
		memcpy(answer[i].identity, at[i]->member.identity, sizeof(answer[i].identity));
		at[i]->member = answer[i];
	}
	return r;
}

static bool is_foreign(const struct candidates *candidates, const struct member *member)
{
	static const uint8_t none[16];

	return memcmp(member->host_id, none, sizeof(none)) != 0 &&
	       memcmp(member->host_id, candidates->host, sizeof(candidates->host)) != 0;
}

static bool has_other(const struct candidates *candidates, const struct member *member)
{
	enum member_role other = member->role == MEMBER_MAIN ? MEMBER_SPARE : MEMBER_MAIN;

	for (size_t i = 0; i < candidates->nr; i++)
		if (candidates->at[i].asked && !candidates->at[i].silent &&
		    candidates->at[i].member.role == other &&
		    !memcmp(candidates->at[i].member.uuid, member->uuid, sizeof(member->uuid)))
			return true;
	return false;
}

static bool has_guarded_main(const struct candidates *candidates, const struct member *spare)
{
	for (size_t i = 0; i < candidates->nr; i++)
		if (candidates->at[i].asked && candidates->at[i].member.guarded &&
		    !memcmp(candidates->at[i].member.uuid, spare->uuid, sizeof(spare->uuid)))
			return true;
	return false;
}

static void become_main(struct member *member, const struct member *spare)
{
	member->role = MEMBER_MAIN;
	memcpy(member->uuid, spare->uuid, sizeof(member->uuid));
	memcpy(member->host_id, spare->host_id, sizeof(member->host_id));
	memcpy(member->label, spare->label, sizeof(member->label));
	member->main_sectors = spare->main_sectors;
}

/*
 * A main without guard shows its own content, and the mark where the spare says.  Before
 * the first activation there is no mark, and later its place may have become unreadable: then its
 * hardware must be the recorded one, which the spare of another host may say of any disk of ours.
 */
static bool is_unguarded_main(const struct member *member, const struct member *spare,
			      const struct candidates *candidates)
{
	if (member->role == MEMBER_MAIN && !member->guarded && !member->main_sectors)
		return true;
	return member->role == MEMBER_NONE && spare->role == MEMBER_SPARE &&
	       member->nr_sectors >= spare->main_sectors &&
	       (!(spare->flags & REMAP_SUPER_MARKED) || member->mark_unreadable) &&
	       !is_foreign(candidates, spare) &&
	       identity_matches(member->identity, spare->recorded);
}

static int find_unguarded_main(struct candidates *candidates, const struct member *spare,
			       candidate_f which, unsigned int timeout_ms)
{
	int r = ask(candidates, which, spare, spare, timeout_ms);

	for (size_t i = 0; !r && i < candidates->nr; i++) {
		struct candidate *candidate = &candidates->at[i];

		if (candidate->asked && candidate->answered &&
		    is_unguarded_main(&candidate->member, spare, candidates))
			become_main(&candidate->member, spare);
	}
	return r;
}

/* Of two spares that could have the same main the first here gets it. */
enum claim {
	CLAIM_MARK, /* it is this host's, and main must have its mark */
	CLAIM_HARDWARE,
	CLAIM_FOREIGN,
	NR_CLAIMS
};

static enum claim claim_of(const struct candidates *candidates, const struct member *spare)
{
	if (!memcmp(spare->host_id, candidates->host, sizeof(candidates->host)) &&
	    spare->flags & REMAP_SUPER_MARKED)
		return CLAIM_MARK;
	return is_foreign(candidates, spare) ? CLAIM_FOREIGN : CLAIM_HARDWARE;
}

static int ask_for_main(struct candidates *candidates, const struct scan_request *request,
			const struct member *spare, enum claim claim)
{
	int r = 0;

	if (!has_guarded_main(candidates, spare))
		r = find_unguarded_main(candidates, spare, is_likely_main, ANSWER_MS);
	if (!r && claim != CLAIM_FOREIGN && !has_other(candidates, spare) &&
	    (request->thorough || !*spare->recorded))
		r = find_unguarded_main(candidates, spare, can_be_main, STRANGER_MS);
	return r;
}

static int ask_for_mains(struct candidates *candidates, const struct scan_request *request)
{
	int r = 0;

	for (unsigned int claim = 0; claim < NR_CLAIMS; claim++)
		for (size_t i = 0; !r && i < candidates->nr; i++) {
			const struct member spare = candidates->at[i].member;

			if (candidates->at[i].asked && !candidates->at[i].silent &&
			    spare.role == MEMBER_SPARE && claim_of(candidates, &spare) == claim)
				r = ask_for_main(candidates, request, &spare, claim);
		}
	return r;
}

/* A silent one of which udev knows nothing is a member that is missing, by its hardware. */
static void name_silent(struct candidates *candidates, const struct member *member)
{
	for (size_t i = 0; i < candidates->nr; i++) {
		struct candidate *candidate = &candidates->at[i];

		if (!candidate->silent || candidate->member.role != MEMBER_NONE ||
		    !identity_matches(candidate->member.identity, member->recorded))
			continue;
		candidate->member.role = member->role == MEMBER_MAIN ? MEMBER_SPARE : MEMBER_MAIN;
		memcpy(candidate->member.uuid, member->uuid, sizeof(member->uuid));
	}
}

/*
 * First those that are members, as far as is known; then the hardware that these recorded,
 * for a spare may have lost its first sector; then what carries the mark.  A device that is
 * none of these is not touched, but for a main of which nothing is recorded, or that is
 * looked for by hand: then all are asked, for a moment, if the set is not another host's.
 */
static int ask_all(struct candidates *candidates, const struct scan_request *request)
{
	int r = ask(candidates, is_known, NULL, NULL, ANSWER_MS);

	for (size_t i = 0; !r && i < candidates->nr; i++) {
		const struct member member = candidates->at[i].member;

		if (candidates->at[i].asked && member.role != MEMBER_NONE && *member.recorded &&
		    !has_other(candidates, &member))
			r = ask(candidates, is_recorded, &member, NULL, ANSWER_MS);
	}
	if (!r)
		r = ask_for_mains(candidates, request);
	for (size_t i = 0; !r && i < candidates->nr; i++) {
		const struct candidate *candidate = &candidates->at[i];

		if (candidate->asked && !candidate->silent &&
		    candidate->member.role != MEMBER_NONE &&
		    !is_foreign(candidates, &candidate->member) &&
		    !has_other(candidates, &candidate->member))
			name_silent(candidates, &candidate->member);
	}
	return r;
}

int scan_members(const struct scan_request *request, struct scan *scan, struct error *error)
{
	_cleanup_(candidates_done) struct candidates candidates = { .at = NULL };
	int r = find_candidates(&candidates, request);

	memset(scan, 0, sizeof(*scan));
	if (!r)
		r = ask_all(&candidates, request);
	if (!r) {
		scan->members = calloc(candidates.nr + 1, sizeof(*scan->members));
		scan->silent = calloc(candidates.nr + 1, sizeof(*scan->silent));
		scan->strangers = calloc(candidates.nr + 1, sizeof(*scan->strangers));
		r = scan->members && scan->silent && scan->strangers ? 0 : -ENOMEM;
	}
	for (size_t i = 0; !r && i < candidates.nr; i++) {
		const struct candidate *candidate = &candidates.at[i];

		if (candidate->silent)
			scan->silent[scan->nr_silent++] = candidate->member;
		else if (candidate->asked && candidate->member.role != MEMBER_NONE)
			scan->members[scan->nr_members++] = candidate->member;
		else if (candidate->silent_stranger)
			scan->strangers[scan->nr_strangers++] = candidate->member;
	}
	return r < 0 ? error_set(error, -r, "cannot examine the block devices: %s", strerror(-r)) :
		       0;
}

void scan_done(struct scan *scan)
{
	free(scan->members);
	free(scan->silent);
	free(scan->strangers);
	memset(scan, 0, sizeof(*scan));
}

int scan_known(struct member **members, size_t *nr_members, struct error *error)
{
	_cleanup_(candidates_done) struct candidates candidates = { .at = NULL };
	struct scan_request request = { .nr_devices = 0 };
	int r = find_candidates(&candidates, &request);

	*nr_members = 0;
	*members = r < 0 ? NULL : calloc(candidates.nr + 1, sizeof(**members));
	if (!*members)
		return error_set(error, r < 0 ? -r : ENOMEM, "cannot list the block devices: %s",
				 strerror(r < 0 ? -r : ENOMEM));
	for (size_t i = 0; i < candidates.nr; i++)
		if (candidates.at[i].member.role != MEMBER_NONE)
			(*members)[(*nr_members)++] = candidates.at[i].member;
	return 0;
}

bool scan_known_set(dev_t devno, uint8_t uuid[16])
{
	struct udev *udev = udev_is_running() ? udev_new() : NULL;
	struct udev_device *device = udev ? udev_device_new_from_devnum(udev, 'b', devno) : NULL;
	bool is_known_member = device && set_of(device, uuid);

	if (device)
		udev_device_unref(device);
	if (udev)
		udev_unref(udev);
	return is_known_member;
}

/* The spare beside which a main without guard was found; NULL: it is known by itself. */
static const struct member *spare_of(const struct member *members, size_t nr, size_t i)
{
	for (size_t s = 0; members[i].role == MEMBER_MAIN && !members[i].guarded && s < nr; s++)
		if (members[s].role == MEMBER_SPARE &&
		    !memcmp(members[s].uuid, members[i].uuid, sizeof(members[i].uuid)))
			return &members[s];
	return NULL;
}

int scan_again(struct member *members, size_t nr, bool *answered, bool *same, struct error *error)
{
	_cleanup_free_ struct question *question = calloc(nr + 1, sizeof(*question));
	_cleanup_free_ struct member *answer = calloc(nr + 1, sizeof(*answer));
	struct candidates candidates = { .at = NULL };
	int r;

	if (!question || !answer)
		return error_set(error, ENOMEM, "out of memory");
	host_id(candidates.host);
	for (size_t i = 0; i < nr; i++)
		make_question(&question[i], &members[i], spare_of(members, nr, i));
	r = ask_questions(nr, question, answer, answered, ANSWER_MS);
	if (r < 0)
		return error_set(error, -r, "cannot examine the members again: %s", strerror(-r));
	for (size_t i = 0; i < nr; i++) {
		const struct member *spare = spare_of(members, nr, i);

		/* another disk may have the number now */
		identity_of_device(members[i].devno, answer[i].identity);
		if (spare && answered[i] &&
		    is_unguarded_main(&answer[i], &answer[spare - members], &candidates))
			become_main(&answer[i], spare);
	}
	for (size_t i = 0; i < nr; i++) {
		same[i] = answered[i] && answer[i].role == members[i].role &&
			  answer[i].devno == members[i].devno &&
			  !memcmp(answer[i].uuid, members[i].uuid, sizeof(members[i].uuid));
		if (!answered[i])
			members[i].silent_since = asking_since(members[i].devno).wall;
		if (!same[i])
			continue;
		answer[i].outdated = members[i].outdated;
		members[i] = answer[i];
	}
	return 0;
}
