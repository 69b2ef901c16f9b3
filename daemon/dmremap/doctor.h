/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor: what hinders sets on this machine, and what to type.  Facts come from files below a root
 * (doctor-module.c, doctor-system.c), and from what only the running machine can tell
 * (verb-doctor.c); doctor-judge.c and doctor-judge-module.c make findings of them.  Those two are
 * pure: facts in, findings out.
 */
#ifndef DM_REMAP_DOCTOR_H
#define DM_REMAP_DOCTOR_H

#include "util/util.h"

#define KERNEL_BYTES 65 /* as utsname has it */
#define PLACE_BYTES 300
#define FINDINGS_MAX 32
#define SET_TROUBLES_MAX 16

enum answer {
	ANSWER_UNKNOWN, /* it could not be seen */
	ANSWER_NO,
	ANSWER_YES,
};

/**
 * struct doctor_world - where facts are found; other than the default in tests
 * @root: before each path; "": this machine
 * @kernel: release of the running kernel
 * @modinfo: a field of a module file; negative errno: it cannot be had
 * @test_config: runs the daemon's test of its settings: 0 right, 1 wrong with @text, negative errno
 */
struct doctor_world {
	const char *root;
	const char *kernel;
	int (*modinfo)(const char *path, const char *field, char *text, size_t nr_bytes);
	int (*test_config)(const char *program, char *text, size_t nr_bytes);
};

enum packager {
	PACKAGER_NONE,
	PACKAGER_APT,
	PACKAGER_DNF,
};

/**
 * struct module_facts - the kernel module, on its way from the sources into the kernel
 * @kernel: that runs
 * @tools_version: of this command
 * @is_loaded: it is in the kernel
 * @loaded_version: of that
 * @has_tree: the kernel's directory below /lib/modules is there
 * @path: of the module for this kernel, below the root; empty: there is none
 * @is_listed: depmod knows it
 * @file_version: of that; empty: not known
 * @is_signed: whether it has a signature
 * @has_headers: of this kernel
 * @has_dkms: the program
 * @source_version: of the sources that DKMS has; empty: none
 * @is_built: DKMS has built it for this kernel, and not installed it
 * @build_log: of a build for this kernel that failed; empty: none did
 * @others: other kernels that have the module, with commas between; or empty
 * @lacking: later kernels that lack it, and are booted next; the same
 * @signed_only: the kernel takes signed modules only
 * @secure_boot: that is why
 * @key: with which DKMS signs; empty: there is none
 * @is_enrolled: the firmware's list has that key
 * @is_enrolling: it will, at the next boot
 * @was_tried: the kernel was asked to load it
 * @load_error: what it said: an errno, 0: it is loaded
 */
struct module_facts {
	char kernel[KERNEL_BYTES];
	char tools_version[32];
	bool is_loaded;
	char loaded_version[32];
	bool has_tree;
	char path[PLACE_BYTES];
	bool is_listed;
	char file_version[32];
	enum answer is_signed;
	bool has_headers;
	bool has_dkms;
	char source_version[32];
	bool is_built;
	char build_log[PLACE_BYTES];
	char others[200];
	char lacking[200];
	enum answer signed_only;
	enum answer secure_boot;
	char key[PLACE_BYTES];
	enum answer is_enrolled;
	bool is_enrolling;
	bool was_tried;
	int load_error;
};

/**
 * struct directory_facts - where something is to be kept
 * @path: of it
 * @state: what keeps that from being
 */
struct directory_facts {
	char path[PLACE_BYTES];
	enum directory_state {
		DIRECTORY_GOOD,
		DIRECTORY_READ_ONLY,
		DIRECTORY_FULL,
		DIRECTORY_DENIED,
		DIRECTORY_NONE, /* something else is in its place */
	} state;
};

/**
 * struct system_facts - what is beside the module
 * @packager: what packages are installed with
 * @udev_runs: it does
 * @rules: the rule file that counts; empty: there is none
 * @rules_masked: one in /etc hides it
 * @rules_lack: a program that it calls and that is not there; or empty
 * @systemd_runs: it does
 * @unit: of the daemon; empty: there is none
 * @unit_masked: it cannot be started
 * @unit_enabled: it is started at boot
 * @unit_lacks: the program that it starts is not there; or empty
 * @daemon_runs: it does
 * @config_error: what is wrong with its settings, or empty
 * @root_set: the set that the machine boots from; empty: none
 * @has_initramfs_tools: makes initramfs images
 * @has_dracut: the same
 * @has_hook: one that is there has what images need for sets
 * @directories: what is kept for long, and for as long as the machine runs
 */
struct system_facts {
	enum packager packager;
	bool udev_runs;
	char rules[PLACE_BYTES];
	bool rules_masked;
	char rules_lack[PLACE_BYTES];
	bool systemd_runs;
	char unit[PLACE_BYTES];
	bool unit_masked;
	bool unit_enabled;
	char unit_lacks[PLACE_BYTES];
	enum answer daemon_runs;
	char config_error[400];
	char root_set[128];
	bool has_initramfs_tools;
	bool has_dracut;
	bool has_hook;
	struct directory_facts directories[2];
};

/**
 * struct set_trouble - a set that is not as it should be
 * @name: of the set, or the path of a device
 * @state: as `list` shows it
 * @reason: why
 * @is_active: and serves what it can
 */
struct set_trouble {
	char name[128];
	char state[20];
	char reason[512];
	bool is_active;
};

/**
 * struct kernel_facts - what the running kernel says
 * @is_root: it can be asked
 * @device_mapper: it answers
 * @why: it does not
 * @family: the netlink family of events is there
 * @nr_active: sets that are active
 * @trouble: sets that are not as they should be
 * @nr_troubles: how many, as far as there is room
 * @not_listed: why sets could not be looked at; or empty
 */
struct kernel_facts {
	bool is_root;
	enum answer device_mapper;
	char why[200];
	enum answer family;
	size_t nr_active;
	struct set_trouble trouble[SET_TROUBLES_MAX];
	size_t nr_troubles;
	char not_listed[300];
};

/* What can be wrong, and how dmremap(8) and --json call it. */
/* clang-format off */
#define FINDING_CODES(CODE) \
	CODE(DEVICE_MAPPER, "device-mapper") \
	CODE(KERNEL_TOO_OLD, "kernel-too-old") \
	CODE(KERNEL_REMOVED, "kernel-removed") \
	CODE(SOURCES_MISSING, "sources-missing") \
	CODE(HEADERS_MISSING, "headers-missing") \
	CODE(DKMS_MISSING, "dkms-missing") \
	CODE(BUILD_FAILED, "build-failed") \
	CODE(MODULE_NOT_BUILT, "module-not-built") \
	CODE(MODULE_NOT_INSTALLED, "module-not-installed") \
	CODE(MODULE_NOT_LISTED, "module-not-listed") \
	CODE(MODULE_UNSIGNED, "module-unsigned") \
	CODE(KEY_NOT_ENROLLED, "key-not-enrolled") \
	CODE(MODULE_REFUSED, "module-refused") \
	CODE(MODULE_FAILS, "module-fails") \
	CODE(MODULE_VERSION, "module-version") \
	CODE(NEXT_KERNEL, "next-kernel") \
	CODE(NETLINK, "netlink") \
	CODE(UDEV_RULES, "udev-rules") \
	CODE(UDEV_MASKED, "udev-masked") \
	CODE(UDEV_PROGRAM, "udev-program") \
	CODE(UDEV_OFF, "udev-off") \
	CODE(INITRAMFS, "initramfs") \
	CODE(DIRECTORY, "directory") \
	CODE(SET_INACTIVE, "set-inactive") \
	CODE(SET_DEGRADED, "set-degraded") \
	CODE(DAEMON_MISSING, "daemon-missing") \
	CODE(DAEMON_PROGRAM, "daemon-program") \
	CODE(DAEMON_MASKED, "daemon-masked") \
	CODE(DAEMON_DISABLED, "daemon-disabled") \
	CODE(DAEMON_OFF, "daemon-off") \
	CODE(DAEMON_SETTINGS, "daemon-settings")
/* clang-format on */

#define CODE_ENUM(name, text) CODE_##name,
enum finding_code { FINDING_CODES(CODE_ENUM) };
#undef CODE_ENUM

enum finding_level {
	FINDING_NOTICE,	 /* sets work; something else does not, or will not */
	FINDING_PROBLEM, /* something keeps sets from working */
};

/**
 * struct finding - one thing that is wrong
 * @code: what it is
 * @level: how bad
 * @object: what it is about
 * @text: what is wrong with it
 * @advice: what to do about it
 */
struct finding {
	enum finding_code code;
	enum finding_level level;
	char object[160];
	char text[1000];
	char advice[1000];
};

/**
 * struct diagnosis - all that was found, in the order in which it is to be mended
 * @finding: what is wrong
 * @nr_findings: how many
 * @unseen: what could not be seen, and why
 * @nr_unseen: how many
 */
struct diagnosis {
	struct finding finding[FINDINGS_MAX];
	size_t nr_findings;
	char unseen[4][300];
	size_t nr_unseen;
};

void module_facts_look(const struct doctor_world *world, const char *tools_version,
		       struct module_facts *facts);
void system_facts_look(const struct doctor_world *world, struct system_facts *facts);
void diagnose(const struct module_facts *module, const struct system_facts *system,
	      const struct kernel_facts *kernel, struct diagnosis *diagnosis);
const char *finding_level_name(enum finding_level level);
const char *finding_code_name(enum finding_code code);

#endif /* DM_REMAP_DOCTOR_H */
