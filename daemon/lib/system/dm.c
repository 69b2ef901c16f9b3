// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdarg.h>

#include "system/dm.h"

#define TARGET "remap"
/* Of a message that failed: a list of places may be long. */
#define SHOWN_OF_MESSAGE 60
/* As `dmsetup remove --retry`: udev has every new device open for a moment. */
#define REMOVE_RETRY_MS 3000
#define REMOVE_PAUSE_MS 100

static void dm_task_p(struct dm_task **task)
{
	if (*task)
		dm_task_destroy(*task);
}

#define _cleanup_task_ _cleanup_(dm_task_p)

/* What libdevmapper said last; it is single-threaded like its callers. */
static char last_message[256];

static void keep_message(int level, const char *file, int line, int dm_errno, const char *format,
			 ...)
{
	va_list arguments;

	if (level > 3 /* LOG_ERR */)
		return;
	va_start(arguments, format);
	vsnprintf(last_message, sizeof(last_message), format, arguments);
	va_end(arguments);
}

void dm_setup(void)
{
	dm_log_with_errno_init(keep_message);
	/* Without udevd cookies are not completed, and no nodes are made. */
	if (access("/run/udev/control", F_OK) < 0)
		dm_udev_set_sync_support(0);
}

static int failed(struct error *error, struct dm_task *task, const char *what, const char *name)
{
	int number = task ? dm_task_get_errno(task) : 0;

	if (!number || number == EINVAL)
		number = EIO;
	if (number == EBUSY)
		return error_set(error, number, "%s: cannot %s: the device is in use", name, what);
	if (number == ENXIO)
		return error_set(error, ENODEV, "%s: no such mapped device", name);
	return error_set(error, number, "%s: cannot %s: %s; see the kernel log (dmesg)", name, what,
			 *last_message ? last_message : strerror(number));
}

/*
 * The kernel log from now on.  What it says about @name afterwards is the reason of a
 * failure, as device-mapper itself returns only a number (O20).
 */
static int kernel_log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* "MAJOR:MINOR", as the kernel calls a mapped device in its log; empty: there is none. */
static void number_of(const char *name, char *text, size_t nr_bytes)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_INFO);
	struct dm_info info;

	*text = '\0';
	if (task && dm_task_set_name(task, name) && dm_task_run(task) &&
	    dm_task_get_info(task, &info) && info.exists)
		snprintf(text, nr_bytes, "%u:%u", info.major, info.minor);
}

/*
 * What is behind @prefix in a record "6,1234,56789,-;TEXT"; NULL: the text begins otherwise.  The
 * kernel quotes others: what a USB device calls itself, say.
 */
static const char *behind(const char *record, const char *prefix)
{
	const char *text = strchr(record, ';');
	size_t length = strlen(prefix);

	return text && !strncmp(text + 1, prefix, length) ? text + 1 + length : NULL;
}

/*
 * What a line of the target says, without its prefix; NULL: it is about another device.
 * A device that could not be made is gone again: then any number fits (an empty one).
 */
static const char *said_by_target(const char *record, const char *number)
{
	const char *at = behind(record, "device-mapper: " TARGET ": ");
	size_t length;

	if (!at)
		return NULL;
	length = strspn(at, "0123456789:");
	if (!length || at[length] != ' ' || at[length - 1] != ':')
		return NULL;
	if (*number && (strlen(number) != length - 1 || strncmp(at, number, length - 1)))
		return NULL;
	return at + length + 1;
}

/* "message 'save': failed: -5" has no reason but the number, which strerror() knows in words. */
static bool is_number_only(const char *said)
{
	static const char message[] = "message '", failed_with[] = "': failed: -";
	const char *at = strstr(said, failed_with);

	return !strncmp(said, message, sizeof(message) - 1) && at && at < strchrnul(said, '\n');
}

/* One that does not fit takes the place of those before: the last one says how it ended. */
static void add_line(char *text, size_t nr_bytes, const char *line)
{
	int nr = (int)strcspn(line, "\n");
	size_t length = strlen(text);

	if (length && length + strlen("; ") + (size_t)nr < nr_bytes)
		snprintf(text + length, nr_bytes - length, "; %.*s", nr, line);
	else
		snprintf(text, nr_bytes, "%.*s", nr, line);
}

/* The lines about @name, without their prefix; empty: none. */
static void kernel_log_reason(int fd, const char *name, char *text, size_t nr_bytes)
{
	char number[32], record[8192];
	bool by_target = false;
	ssize_t n;

	*text = '\0';
	number_of(name, number, sizeof(number));
	while (fd >= 0 && ((n = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE)) {
		const char *at;

		if (n <= 0)
			continue; /* some were overwritten: go on with what is there */
		record[n] = '\0';
		at = said_by_target(record, number);
		if (at && !by_target)
			*text = '\0'; /* the target knows better than dm's core */
		by_target |= at != NULL;
		if (!at && !by_target)
			at = behind(record, "device-mapper: table: "); /* a constructor's */
		if (at && !is_number_only(at))
			add_line(text, nr_bytes, at);
	}
}

/*
 * The errno of a refusal: EINVAL of the kernel does not mean that the user's arguments were
 * wrong, and ENODEV not that there is no such device, but that main is another one.
 */
static int refusal(int number)
{
	return number == EINVAL ? EIO : number == ENODEV ? EPERM : number ? number : EIO;
}

/* As failed(), with what the kernel said since @log was opened. */
static int explained(struct error *error, struct dm_task *task, int log, const char *what,
		     const char *name)
{
	int number = task ? dm_task_get_errno(task) : 0;
	char why[256];

	kernel_log_reason(log, name, why, sizeof(why));
	if (!*why)
		return failed(error, task, what, name);
	return error_set(error, refusal(number), "%s: cannot %s: %s", name, what, why);
}

int dm_target_version(unsigned int version[3])
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_LIST_VERSIONS);
	struct dm_versions *at;

	*last_message = '\0';
	if (!task || !dm_task_run(task))
		return -EIO;
	at = dm_task_get_versions(task);
	while (at) {
		if (streq(at->name, TARGET)) {
			for (unsigned int i = 0; i < 3; i++)
				version[i] = at->version[i];
			return 0;
		}
		if (!at->next)
			break;
		at = (struct dm_versions *)((char *)at + at->next);
	}
	return -ENOENT;
}

/* The kernel then refuses what DKMS has built and signed with a key that is not enrolled. */
static bool takes_signed_modules_only(void)
{
	_cleanup_free_ char *lockdown = NULL, *enforced = NULL;

	if (read_file("/sys/kernel/security/lockdown", &lockdown, NULL) == 0 &&
	    !strstr(lockdown, "[none]"))
		return true;
	return read_file("/sys/module/module/parameters/sig_enforce", &enforced, NULL) == 0 &&
	       *enforced == 'Y';
}

bool dm_has_target(void)
{
	unsigned int version[3];

	return dm_target_version(version) == 0;
}

/* Asking for a target's version makes the kernel load its module ("dm-remap"). */
int dm_ensure_target(struct error *error)
{
	_cleanup_task_ struct dm_task *task = NULL;
	unsigned int version[3];

	if (dm_target_version(version) == 0)
		return 0;
	task = dm_task_create(DM_DEVICE_GET_TARGET_VERSION);
	if (task && dm_task_set_name(task, TARGET))
		dm_task_run(task);
	if (dm_target_version(version) == 0)
		return 0;
	return error_set(error, ENOENT,
			 "the kernel has no target \"remap\", and %s: dmremap doctor says what to "
			 "type; activate --fallback does without the module",
			 takes_signed_modules_only() ?
				 "accepts only signed modules (lockdown, as with Secure Boot)" :
				 "the module dm-remap could not be loaded");
}

static int fill_status(struct dm_device *device)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_STATUS);
	char *type = NULL, *params = NULL;
	uint64_t start, length;

	if (!task || !dm_task_set_name(task, device->name) || !dm_task_no_flush(task) ||
	    !dm_task_run(task))
		return -EIO;
	dm_get_next_target(task, NULL, &start, &length, &type, &params);
	return type && streq(type, TARGET) ? remap_status_parse(params, &device->status) : 0;
}

/* -EMEDIUMTYPE: no remap device. */
static int fill(const char *name, struct dm_device *device, struct error *error)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_TABLE);
	char *type = NULL, *params = NULL;
	struct dm_info info;
	uint64_t start, length;
	const char *uuid;
	void *next;
	bool ours;
	int r;

	memset(device, 0, sizeof(*device));
	*last_message = '\0';
	if (!task || !dm_task_set_name(task, name) || !dm_task_no_open_count(task) ||
	    !dm_task_run(task) || !dm_task_get_info(task, &info))
		return failed(error, task, "read the table", name);
	if (!info.exists)
		return error_set(error, ENODEV, "%s: no such mapped device", name);
	snprintf(device->name, sizeof(device->name), "%s", dm_task_get_name(task));
	uuid = dm_task_get_uuid(task);
	snprintf(device->dm_uuid, sizeof(device->dm_uuid), "%s", uuid ? uuid : "");
	device->major = info.major;
	device->minor = info.minor;
	device->suspended = info.suspended;
	device->read_only = info.read_only;
	next = dm_get_next_target(task, NULL, &start, &length, &type, &params);
	ours = type && streq(type, TARGET);
	device->fallback =
		!ours && !strncmp(device->dm_uuid, DM_UUID_PREFIX, sizeof(DM_UUID_PREFIX) - 1);
	device->failed = device->fallback && !next && (!type || streq(type, "error"));
	if (!ours && !device->fallback)
		return error_set(error, EMEDIUMTYPE, "%s: not a remap device", name);
	if (ours) {
		r = remap_line_parse(params, &device->line);
		if (r < 0)
			return error_set(error, -r, "%s: invalid table line \"%s\"", name, params);
	}
	device->nr_sectors = start + length;
	while (next) {
		next = dm_get_next_target(task, next, &start, &length, &type, &params);
		device->nr_sectors = start + length;
	}
	if (!ours)
		return 0;
	r = fill_status(device);
	return r < 0 ? error_set(error, -r, "%s: cannot read the status", name) : 0;
}

static int fill_open_count(struct dm_device *device)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_INFO);
	struct dm_info info;

	if (!task || !dm_task_set_name(task, device->name) || !dm_task_run(task) ||
	    !dm_task_get_info(task, &info))
		return -EIO;
	device->open_count = info.open_count;
	return 0;
}

int dm_get(const char *name, struct dm_device *device, struct error *error)
{
	int r = fill(name, device, error);

	if (r < 0)
		return r;
	r = fill_open_count(device);
	return r < 0 ? error_set(error, -r, "%s: cannot read its open count", name) : 0;
}

static void fill_uuid(struct dm_name *name)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_INFO);
	struct dm_info info;
	const char *uuid;

	*name->dm_uuid = '\0';
	if (!task || !dm_task_set_name(task, name->name) || !dm_task_no_open_count(task) ||
	    !dm_task_run(task) || !dm_task_get_info(task, &info) || !info.exists)
		return;
	uuid = dm_task_get_uuid(task);
	snprintf(name->dm_uuid, sizeof(name->dm_uuid), "%s", uuid ? uuid : "");
}

/*
 * Of a name that another program gave without encoding it, such as "a b", libdevmapper lists
 * nothing at all; then the names are as the kernel has them.
 */
static int list_devices(struct dm_task **task, struct error *error)
{
	dm_string_mangling_t mode = dm_get_name_mangling_mode();
	int r;

	*last_message = '\0';
	*task = dm_task_create(DM_DEVICE_LIST);
	if (*task && dm_task_run(*task))
		return 0;
	r = failed(error, *task, "list devices", "device-mapper");
	dm_task_p(task);
	dm_set_name_mangling_mode(DM_STRING_MANGLING_NONE);
	*task = dm_task_create(DM_DEVICE_LIST);
	if (*task && dm_task_run(*task))
		r = 0;
	dm_set_name_mangling_mode(mode);
	return r;
}

int dm_names(struct dm_name **names, size_t *nr_names, struct error *error)
{
	_cleanup_task_ struct dm_task *task = NULL;
	_cleanup_free_ struct dm_name *found = NULL;
	struct dm_names *at;
	size_t nr = 0;
	int r = list_devices(&task, error);

	*names = NULL;
	*nr_names = 0;
	if (r < 0)
		return r;
	at = dm_task_get_names(task);
	if (!at || !at->dev)
		return 0;
	for (;;) {
		struct dm_name *bigger = reallocarray(found, nr + 1, sizeof(*found));

		if (!bigger)
			return error_set(error, ENOMEM, "out of memory");
		found = bigger;
		snprintf(found[nr].name, sizeof(found[nr].name), "%s", at->name);
		fill_uuid(&found[nr++]);
		if (!at->next)
			break;
		at = (struct dm_names *)((char *)at + at->next);
	}
	*names = found;
	*nr_names = nr;
	found = NULL;
	return 0;
}

int dm_list(struct dm_device **devices, size_t *nr_devices, struct error *error)
{
	_cleanup_task_ struct dm_task *task = NULL;
	_cleanup_free_ struct dm_device *found = NULL;
	struct dm_names *at;
	size_t nr = 0;
	int r = list_devices(&task, error);

	*devices = NULL;
	*nr_devices = 0;
	if (r < 0)
		return r;
	at = dm_task_get_names(task);
	if (!at || !at->dev)
		return 0;
	for (;;) {
		struct dm_device *bigger = reallocarray(found, nr + 1, sizeof(*found));

		if (!bigger)
			return error_set(error, ENOMEM, "out of memory");
		found = bigger;
		/* one that goes away meanwhile, or is not ours, is not listed */
		r = fill(at->name, &found[nr], NULL);
		if (!r && !fill_open_count(&found[nr]))
			nr++;
		if (!at->next)
			break;
		at = (struct dm_names *)((char *)at + at->next);
	}
	*devices = found;
	*nr_devices = nr;
	found = NULL;
	return 0;
}

/* Runs @task with a udev cookie and waits until udev is through with the device. */
static int run_with_cookie(struct dm_task *task)
{
	uint32_t cookie = 0;
	int ok;

	if (!dm_task_set_cookie(task, &cookie, 0))
		return 0;
	ok = dm_task_run(task);
	dm_udev_wait(cookie);
	if (!dm_udev_get_sync_support())
		dm_task_update_nodes();
	return ok;
}

static int add_lines(struct dm_task *task, const char *table)
{
	_cleanup_free_ char *copy = strdup(table);
	char *save = NULL, *line;

	if (!copy)
		return 0;
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		uint64_t start, length;
		char type[32];
		int params = 0;

		if (sscanf(line, "%" SCNu64 " %" SCNu64 " %31s %n", &start, &length, type,
			   &params) < 3)
			return 0;
		if (!dm_task_add_target(task, start, length, type, params ? line + params : ""))
			return 0;
	}
	return 1;
}

static int simple(int type, const char *name, const char *what, bool cookie, bool noflush,
		  struct error *error)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(type);

	*last_message = '\0';
	if (!task || !dm_task_set_name(task, name) ||
	    (noflush && (!dm_task_no_flush(task) || !dm_task_skip_lockfs(task))))
		return failed(error, task, what, name);
	if (!(cookie ? run_with_cookie(task) : dm_task_run(task)))
		return failed(error, task, what, name);
	return 0;
}

int dm_suspend(const char *name, bool noflush, struct error *error)
{
	return simple(DM_DEVICE_SUSPEND, name, "suspend", false, noflush, error);
}

int dm_resume(const char *name, struct error *error)
{
	return simple(DM_DEVICE_RESUME, name, "resume", true, false, error);
}

static int load(const char *name, const char *table, bool read_only, struct error *error)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_RELOAD);
	_cleanup_close_ int log = kernel_log_open();

	*last_message = '\0';
	if (!task || !dm_task_set_name(task, name) || (read_only && !dm_task_set_ro(task)) ||
	    !add_lines(task, table))
		return failed(error, task, "prepare the table", name);
	if (!dm_task_run(task))
		return explained(error, task, log, "load the table", name);
	return 0;
}

/* As dm_resume(), and the error says why the target refused. */
static int resume_new(const char *name, struct error *error)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_RESUME);
	_cleanup_close_ int log = kernel_log_open();

	*last_message = '\0';
	if (!task || !dm_task_set_name(task, name) || !run_with_cookie(task))
		return explained(error, task, log, "start it", name);
	return 0;
}

static int create_empty(const char *name, const char *dm_uuid, struct error *error)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_CREATE);

	*last_message = '\0';
	if (!task || !dm_task_set_name(task, name) ||
	    (dm_uuid && *dm_uuid && !dm_task_set_uuid(task, dm_uuid)) || !dm_task_run(task))
		return failed(error, task, "create the device", name);
	return 0;
}

/*
 * Step by step: libdevmapper's own create forgets why the kernel refused.  A crash before the
 * resume leaves a device without a table, which counts as failed, and gets one.
 */
int dm_create_table(const char *name, const char *dm_uuid, const char *table, bool read_only,
		    struct error *error)
{
	int r = create_empty(name, dm_uuid, error);

	if (r < 0)
		return r;
	r = load(name, table, read_only, error);
	if (!r)
		r = resume_new(name, error);
	if (r < 0)
		dm_remove(name, false, NULL);
	return r;
}

int dm_create(const char *name, const char *dm_uuid, uint64_t nr_sectors, const char *params,
	      bool read_only, struct error *error)
{
	_cleanup_free_ char *table = NULL;

	if (asprintf(&table, "0 %" PRIu64 " " TARGET " %s", nr_sectors, params) < 0)
		return error_set(error, ENOMEM, "out of memory");
	return dm_create_table(name, dm_uuid, table, read_only, error);
}

/*
 * A crash before the suspend leaves a table that waits and does nothing, one between suspend
 * and resume a suspended device: `list` says so.
 */
int dm_reload(const char *name, uint64_t nr_sectors, const char *params, bool read_only,
	      bool noflush, struct error *error)
{
	_cleanup_free_ char *table = NULL, *errors = NULL;
	struct error why = { "" };
	int r;

	if (asprintf(&table, "0 %" PRIu64 " " TARGET " %s", nr_sectors, params) < 0 ||
	    asprintf(&errors, "0 %" PRIu64 " error", nr_sectors) < 0)
		return error_set(error, ENOMEM, "out of memory");
	r = load(name, table, read_only, error);
	if (r < 0)
		return r;
	r = dm_suspend(name, noflush, error);
	if (r < 0) {
		simple(DM_DEVICE_CLEAR, name, "drop the table", false, false, NULL);
		return r;
	}
	r = resume_new(name, &why);
	if (!r)
		return 0;
	if (load(name, errors, read_only, NULL) < 0 || dm_resume(name, NULL) < 0)
		return error_set(error, -r,
				 "%s; it is suspended, and its I/O waits until it is removed with "
				 "dmsetup remove --force %s",
				 why.text, name);
	return error_set(error, -r,
			 "%s; all its I/O fails until the right members are attached and it is "
			 "activated again",
			 why.text);
}

static int remove_once(const char *name, bool deferred, struct error *error)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_REMOVE);

	*last_message = '\0';
	if (!task || !dm_task_set_name(task, name) || (deferred && !dm_task_deferred_remove(task)))
		return failed(error, task, "remove", name);
	if (!run_with_cookie(task))
		return failed(error, task, "remove", name);
	return 0;
}

int dm_remove(const char *name, bool deferred, struct error *error)
{
	int r = remove_once(name, deferred, error);

	for (unsigned int i = 0; r == -EBUSY && i < REMOVE_RETRY_MS / REMOVE_PAUSE_MS; i++) {
		usleep(REMOVE_PAUSE_MS * 1000);
		r = remove_once(name, deferred, error);
	}
	return r;
}

int dm_rename(const char *name, const char *new_name, struct error *error)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_RENAME);

	*last_message = '\0';
	if (!task || !dm_task_set_name(task, name) || !dm_task_set_newname(task, new_name) ||
	    !run_with_cookie(task))
		return failed(error, task, "rename", name);
	return 0;
}

int dm_message(const char *name, const char *message, char **reply, struct error *error)
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_TARGET_MSG);
	_cleanup_close_ int log = kernel_log_open();
	const char *answer;

	if (reply)
		*reply = NULL;
	*last_message = '\0';
	if (!task || !dm_task_set_name(task, name) || !dm_task_set_sector(task, 0) ||
	    !dm_task_set_message(task, message))
		return failed(error, task, "prepare the message", name);
	if (!dm_task_run(task)) {
		int number = dm_task_get_errno(task);
		char why[256];

		if (number == ENXIO)
			return error_set(error, ENODEV, "%s: no such mapped device", name);
		kernel_log_reason(log, name, why, sizeof(why));
		if (!number)
			number = EIO;
		if (!*why)
			snprintf(why, sizeof(why), "%s; see dmremap status %.128s",
				 strerror(number), name);
		/* a sector has no data: it is not the set that does not exist */
		return error_set(error, number == ENODATA ? EPERM : number,
				 "%s: \"%.*s%s\" failed: %s", name, SHOWN_OF_MESSAGE, message,
				 strlen(message) > SHOWN_OF_MESSAGE ? "..." : "", why);
	}
	if (!reply)
		return 0;
	answer = dm_task_get_message_response(task);
	*reply = strdup(answer ? answer : "");
	return *reply ? 0 : error_set(error, ENOMEM, "out of memory");
}

int dm_name_of_uuid(const char *dm_uuid, char name[128])
{
	_cleanup_task_ struct dm_task *task = dm_task_create(DM_DEVICE_INFO);
	struct dm_info info;

	*last_message = '\0';
	if (!task || !dm_task_set_uuid(task, dm_uuid) || !dm_task_run(task) ||
	    !dm_task_get_info(task, &info) || !info.exists)
		return -ENODEV;
	snprintf(name, 128, "%s", dm_task_get_name(task));
	return 0;
}
