// SPDX-License-Identifier: GPL-2.0-or-later
/* What `dmremap doctor` finds: facts in, findings out; and the facts, on a made-up machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "unit.h"

#define KERNEL "6.1.0-9-amd64"
#define LATER "6.1.0-10-amd64"
#define PLACE "/lib/modules/" KERNEL "/updates/dkms/dm-remap.ko"

static struct module_facts module;
static struct system_facts sys;
static struct kernel_facts kernel;
static struct diagnosis diagnosis;

/* A machine on which nothing is wrong. */
static int setup(void **unused)
{
	(void)unused;
	module = (struct module_facts){
		.kernel = KERNEL,
		.tools_version = "1.0.0",
		.is_loaded = true,
		.loaded_version = "1.0.0",
		.has_tree = true,
		.path = PLACE,
		.is_listed = true,
		.file_version = "1.0.0",
		.is_signed = ANSWER_YES,
		.has_headers = true,
		.has_dkms = true,
		.source_version = "1.0.0",
		.signed_only = ANSWER_NO,
		.secure_boot = ANSWER_NO,
		.key = "/var/lib/dkms/mok.pub",
	};
	sys = (struct system_facts){
		.packager = PACKAGER_APT,
		.udev_runs = true,
		.rules = "/usr/lib/udev/rules.d/66-dm-remap.rules",
		.systemd_runs = true,
		.unit = "/usr/lib/systemd/system/dm-remapd.service",
		.unit_enabled = true,
		.daemon_runs = ANSWER_YES,
		.has_initramfs_tools = true,
		.directories = { { .path = "/var/lib/dm-remap" }, { .path = "/run/dm-remap" } },
	};
	kernel = (struct kernel_facts){
		.is_root = true,
		.device_mapper = ANSWER_YES,
		.family = ANSWER_YES,
		.nr_active = 1,
	};
	return 0;
}

static const struct finding *only(const char *code, enum finding_level level)
{
	diagnose(&module, &sys, &kernel, &diagnosis);
	if (diagnosis.nr_findings != 1)
		for (size_t i = 0; i < diagnosis.nr_findings; i++)
			print_error("%s: %s\n", finding_code_name(diagnosis.finding[i].code),
				    diagnosis.finding[i].text);
	assert_int_equal(diagnosis.nr_findings, 1);
	assert_string_equal(finding_code_name(diagnosis.finding[0].code), code);
	assert_int_equal(diagnosis.finding[0].level, level);
	assert_true(*diagnosis.finding[0].object && *diagnosis.finding[0].advice);
	return &diagnosis.finding[0];
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void problem(const char *code, const char *text, const char *advice)
{
	const struct finding *finding = only(code, FINDING_PROBLEM);

	assert_says(finding->text, text);
	assert_says(finding->advice, advice);
}

static void notice(const char *code, const char *text, const char *advice)
{
	const struct finding *finding = only(code, FINDING_NOTICE);

	assert_says(finding->text, text);
	assert_says(finding->advice, advice);
}

static void all_is_well(void **unused)
{
	(void)unused;
	diagnose(&module, &sys, &kernel, &diagnosis);
	assert_int_equal(diagnosis.nr_findings, 0);
	assert_int_equal(diagnosis.nr_unseen, 0);
	/* loaded by the first activation, which was tried */
	module.is_loaded = false;
	module.was_tried = true;
	diagnose(&module, &sys, &kernel, &diagnosis);
	assert_int_equal(diagnosis.nr_findings, 0);
}

static void without_root(void **unused)
{
	(void)unused;
	kernel = (struct kernel_facts){ .family = ANSWER_UNKNOWN };
	module.is_loaded = false;
	sys.daemon_runs = ANSWER_UNKNOWN;
	diagnose(&module, &sys, &kernel, &diagnosis);
	assert_int_equal(diagnosis.nr_findings, 0);
	assert_int_equal(diagnosis.nr_unseen, 3);
	assert_says(diagnosis.unseen[0], "whether the kernel accepts the module");
	assert_says(diagnosis.unseen[1], "sets");
	assert_says(diagnosis.unseen[2], "dm-remapd");
}

static void missing(void)
{
	module.is_loaded = module.is_listed = false;
	*module.path = *module.file_version = '\0';
	module.is_signed = ANSWER_UNKNOWN;
}

static void module_is_missing(void **unused)
{
	(void)unused;
	missing();
	problem("module-not-built", "not built for the running kernel " KERNEL,
		"dkms install dm-remap/1.0.0 -k " KERNEL);
	module.is_built = true;
	problem("module-not-installed", "built but not installed", "dkms install dm-remap/1.0.0");
	module.is_built = false;
	strcpy(module.build_log, "/var/lib/dkms/dm-remap/1.0.0/build/make.log");
	problem("build-failed", "/var/lib/dkms/dm-remap/1.0.0/build/make.log says why",
		"dkms install dm-remap/1.0.0 -k " KERNEL);
	module.has_dkms = false;
	problem("dkms-missing", "dkms is not installed", "apt install dkms; then dkms install");
	module.has_headers = false;
	problem("headers-missing", "headers of this kernel are not installed",
		"apt install linux-headers-" KERNEL ";");
	sys.packager = PACKAGER_DNF;
	problem("headers-missing", "headers", "dnf install kernel-devel-" KERNEL ";");
	sys.packager = PACKAGER_APT;
	*module.source_version = '\0';
	problem("sources-missing", "sources are not installed",
		"apt install dm-remap-dkms linux-headers-" KERNEL);
	module.has_tree = false;
	problem("kernel-removed", "/lib/modules/" KERNEL, "reboot");
	strcpy(module.kernel, "5.10.0-30-amd64");
	problem("kernel-too-old", "needs 6.1 or later", "boot a later kernel");
}

static void another_kernel_has_it(void **unused)
{
	(void)unused;
	missing();
	module.has_headers = false;
	strcpy(module.others, LATER);
	problem("headers-missing", "Linux " LATER " has it: the wrong kernel may be running",
		"linux-headers-" KERNEL);
}

/* The package was removed under a set: it is gone at the next boot. */
static void loaded_and_no_file(void **unused)
{
	(void)unused;
	missing();
	module.is_loaded = true;
	*module.source_version = '\0';
	notice("sources-missing", "will not be after the next boot", "apt install dm-remap-dkms");
}

static void not_listed(void **unused)
{
	(void)unused;
	module.is_listed = module.is_loaded = false;
	problem("module-not-listed", PLACE " exists", "depmod " KERNEL);
}

static void signatures(void **unused)
{
	(void)unused;
	module.is_loaded = false;
	module.signed_only = module.secure_boot = ANSWER_YES;
	module.was_tried = true;
	module.load_error = EKEYREJECTED;
	module.is_enrolled = ANSWER_NO;
	problem("key-not-enrolled", "(Secure Boot), and does not know the key",
		"mokutil --import /var/lib/dkms/mok.pub, then reboot");
	module.is_enrolling = true;
	problem("key-not-enrolled", "confirmed at a boot", "Enroll MOK");
	module.is_enrolling = false;
	module.is_enrolled = ANSWER_YES;
	problem("module-refused", "signed with another one", "dkms install --force");
	module.is_signed = ANSWER_NO;
	problem("module-unsigned", "has no signature", "mokutil --import /var/lib/dkms/mok.pub");
	*module.key = '\0';
	module.secure_boot = ANSWER_NO;
	module.load_error = EPERM;
	problem("module-unsigned", "(lockdown), and " PLACE " has no signature: DKMS has no key",
		"--fallback");
	/* without root: what it would say */
	module.was_tried = false;
	module.load_error = 0;
	problem("module-unsigned", "has no signature", "dkms install --force");
	module.signed_only = ANSWER_NO;
	diagnose(&module, &sys, &kernel, &diagnosis);
	assert_int_equal(diagnosis.nr_findings, 0);
}

static void other_refusals(void **unused)
{
	(void)unused;
	module.is_loaded = false;
	module.was_tried = true;
	module.load_error = ENOEXEC;
	problem("module-fails", "built for another kernel", "dkms install --force dm-remap/1.0.0");
	module.load_error = ENOMEM;
	problem("module-fails", "Cannot allocate memory", "dmesg");
}

static void versions_differ(void **unused)
{
	(void)unused;
	strcpy(module.loaded_version, "0.9.0");
	notice("module-version", "version 0.9.0 is loaded, but this is dmremap 1.0.0", "reboot");
	kernel.nr_active = 0;
	notice("module-version", "0.9.0", "modprobe -r dm-remap && modprobe dm-remap");
	assert_null(strstr(diagnosis.finding[0].advice, "reboot"));
	strcpy(module.file_version, "0.9.0");
	notice("module-version", "0.9.0", "apt install dm-remap-dkms");
}

static void the_next_kernel(void **unused)
{
	(void)unused;
	strcpy(module.lacking, LATER ", 6.12.1");
	notice("next-kernel", LATER ", 6.12.1 is installed",
	       "apt install linux-headers-" LATER ";");
}

static void no_device_mapper(void **unused)
{
	(void)unused;
	kernel.device_mapper = ANSWER_NO;
	strcpy(kernel.why, "No such device");
	problem("device-mapper", "No such device", "modprobe dm-mod");
}

static void family_is_missing(void **unused)
{
	(void)unused;
	kernel.family = ANSWER_NO;
	notice("netlink", "receives no events", "network namespace");
	module.is_loaded = false;
	module.was_tried = true;
	diagnose(&module, &sys, &kernel, &diagnosis);
	assert_int_equal(diagnosis.nr_findings, 0);
}

static void udev(void **unused)
{
	(void)unused;
	strcpy(sys.rules_lack, "/usr/lib/udev/dm-remap-probe");
	problem("udev-program", "calls /usr/lib/udev/dm-remap-probe", "--reinstall dm-remap");
	*sys.rules = '\0';
	problem("udev-rules", "66-dm-remap.rules is not installed", "apt install --reinstall");
	sys.rules_masked = true;
	problem("udev-masked", "masks them", "rm /etc/udev/rules.d/66-dm-remap.rules");
	setup(NULL);
	sys.udev_runs = false;
	problem("udev-off", "does not run", "systemctl start systemd-udevd");
}

static void the_daemon(void **unused)
{
	(void)unused;
	strcpy(sys.config_error, "dm-remapd.conf:3: no such key");
	notice("daemon-settings", "dm-remapd.conf:3", "--test-config");
	*sys.config_error = '\0';
	sys.daemon_runs = ANSWER_NO;
	notice("daemon-off", "does not run", "systemctl start dm-remapd");
	sys.unit_enabled = false;
	notice("daemon-disabled", "not enabled", "systemctl enable --now dm-remapd");
	sys.daemon_runs = ANSWER_YES;
	notice("daemon-disabled", "does not start at the next boot", "systemctl enable --now");
	strcpy(sys.unit_lacks, "/usr/sbin/dm-remapd");
	notice("daemon-program", "/usr/sbin/dm-remapd is missing", "--reinstall dm-remap");
	*sys.unit = '\0';
	notice("daemon-missing", "no unit", "--reinstall dm-remap");
	sys.unit_masked = true;
	notice("daemon-masked", "masked", "systemctl unmask dm-remapd");
	setup(NULL);
	sys.systemd_runs = sys.unit_enabled = false;
	sys.daemon_runs = ANSWER_NO;
	notice("daemon-off", "does not run", "start dm-remapd");
}

static void root_on_a_set(void **unused)
{
	(void)unused;
	strcpy(sys.root_set, "system");
	problem("initramfs", "on the set system",
		"apt install dm-remap-initramfs; then update-initramfs -u -k all");
	sys.has_initramfs_tools = false;
	sys.has_dracut = true;
	problem("initramfs", "on the set system", "apt install dm-remap-dracut; then dracut");
	sys.has_hook = true;
	diagnose(&module, &sys, &kernel, &diagnosis);
	assert_int_equal(diagnosis.nr_findings, 0);
}

static void directories(void **unused)
{
	(void)unused;
	sys.directories[0].state = DIRECTORY_READ_ONLY;
	notice("directory", "no backup of a set is kept", "read-write");
	assert_string_equal(diagnosis.finding[0].object, "/var/lib/dm-remap");
	sys.directories[0].state = DIRECTORY_GOOD;
	sys.directories[1].state = DIRECTORY_FULL;
	problem("directory", "is full: no set can be activated", "delete files");
	sys.directories[1].state = DIRECTORY_NONE;
	problem("directory", "not a directory", "move that file away");
	sys.directories[1].state = DIRECTORY_DENIED;
	problem("directory", "cannot write", "lsattr");
}

static void sets(void **unused)
{
	struct set_trouble *set = &kernel.trouble[0];

	(void)unused;
	kernel.nr_troubles = 1;
	*set = (struct set_trouble){ .name = "data", .state = "ready" };
	problem("set-inactive", "ready", "dmremap activate data");
	assert_string_equal(diagnosis.finding[0].object, "set data");
	*set = (struct set_trouble){ .name = "data", .state = "waiting", .reason = "no spare" };
	problem("set-inactive", "waiting: no spare", "plug the missing disk in");
	*set = (struct set_trouble){ .name = "data", .state = "foreign", .reason = "not ours" };
	notice("set-inactive", "foreign: not ours", "dmremap list");
	*set = (struct set_trouble){ .name = "data", .state = "duplicate", .reason = "two" };
	problem("set-inactive", "duplicate: two", "unplug the copy");
	*set = (struct set_trouble){
		.name = "data", .state = "active", .reason = "its spare is gone", .is_active = true
	};
	notice("set-degraded", "active: its spare is gone", "dmremap health data");
	*set = (struct set_trouble){ .name = "/dev/sda", .state = "silent", .reason = "no answer" };
	problem("set-inactive", "silent: no answer", "cable");
	assert_string_equal(diagnosis.finding[0].object, "/dev/sda");
	kernel.nr_troubles = 0;
	strcpy(kernel.not_listed, "the lock is held");
	diagnose(&module, &sys, &kernel, &diagnosis);
	assert_int_equal(diagnosis.nr_findings, 0);
	assert_says(diagnosis.unseen[0], "sets: the lock is held");
}

/* More than there is room for: what comes first is kept, and nothing is written beyond. */
static void too_many(void **unused)
{
	(void)unused;
	missing();
	sys = (struct system_facts){ .rules_masked = true, .root_set = "a" };
	kernel.nr_troubles = SET_TROUBLES_MAX;
	for (size_t i = 0; i < SET_TROUBLES_MAX; i++)
		kernel.trouble[i] = (struct set_trouble){ .name = "data", .state = "ready" };
	diagnose(&module, &sys, &kernel, &diagnosis);
	assert_true(diagnosis.nr_findings > SET_TROUBLES_MAX);
	assert_true(diagnosis.nr_findings <= FINDINGS_MAX);
	assert_int_equal(diagnosis.finding[0].code, CODE_MODULE_NOT_BUILT);
}

/* From here on the facts: files below a root. */

static char root[64];
static const char *signature, *settings_error;

static int modinfo(const char *path, const char *field, char *text, size_t nr_bytes)
{
	assert_memory_equal(path, root, strlen(root));
	if (!signature)
		return -ENOENT;
	snprintf(text, nr_bytes, "%s", strcmp(field, "version") ? signature : "1.0.0");
	return 0;
}

static int test_config(const char *program, char *text, size_t nr_bytes)
{
	assert_string_equal(program, "/usr/sbin/dm-remapd");
	snprintf(text, nr_bytes, "%s", settings_error ? settings_error : "the settings are right");
	return settings_error != NULL;
}

static const struct doctor_world world = {
	.root = root, .kernel = KERNEL, .modinfo = modinfo, .test_config = test_config
};

static void sh(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A command in the root. */
static void sh(const char *format, ...)
{
	char text[1024], command[1200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(command, sizeof(command), "cd %s && %s", root, text);
	assert_int_equal(system(command), 0);
}

static void put(const char *path, const char *text)
{
	sh("mkdir -p $(dirname .%s) && printf '%%b' '%s' >.%s", path, text, path);
}

static void program(const char *path)
{
	put(path, "#!/bin/sh");
	sh("chmod 755 .%s", path);
}

/* The same machine as files: what the units of this project install, and a kernel. */
static int setup_root(void **unused)
{
	(void)unused;
	strcpy(root, "/tmp/unit-doctor.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	signature = "PKCS#7";
	settings_error = NULL;
	put("/lib/modules/" KERNEL "/modules.builtin", "");
	put("/lib/modules/" KERNEL "/modules.dep",
	    "kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko\\nupdates/dkms/dm-remap.ko: a.ko\\n");
	put(PLACE, "module");
	put("/lib/modules/" KERNEL "/build/Makefile", "");
	put("/sys/module/dm_remap/version", "1.0.0\\n");
	put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\\n");
	put("/usr/src/dm-remap-1.0.0/dkms.conf", "");
	put("/var/lib/dkms/mok.pub", "KEY");
	put("/run/udev/control", "");
	put("/proc/1/comm", "systemd\\n");
	put("/proc/17/comm", "dm-remapd\\n");
	put("/proc/self/mountinfo", "30 1 8:1 / / rw - ext4 /dev/sda1 rw\\n");
	put("/usr/share/initramfs-tools/hook-functions", "");
	put("/etc/systemd/system/multi-user.target.wants/dm-remapd.service", "");
	sh("mkdir -p run/systemd/system var/lib sys/dev/block usr/lib/udev/rules.d "
	   "usr/lib/systemd/system && cp " SYSTEMD_DIR "/66-dm-remap.rules usr/lib/udev/rules.d/ "
	   "&& cp " SYSTEMD_DIR "/dm-remapd.service usr/lib/systemd/system/");
	program("/usr/sbin/dmremap");
	program("/usr/sbin/dm-remapd");
	program("/usr/sbin/dkms");
	program("/usr/bin/apt");
	program("/usr/lib/udev/dm-remap-probe");
	return setup(NULL);
}

static int teardown_root(void **unused)
{
	char command[128];

	(void)unused;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void look(void)
{
	module_facts_look(&world, "1.0.0", &module);
	system_facts_look(&world, &sys);
	diagnose(&module, &sys, &kernel, &diagnosis);
}

/* One finding of what is in the files. */
static void found(const char *code)
{
	look();
	only(code, diagnosis.finding[0].level);
}

static void nothing_found(void)
{
	look();
	for (size_t i = 0; i < diagnosis.nr_findings; i++)
		print_error("%s: %s\n", finding_code_name(diagnosis.finding[i].code),
			    diagnosis.finding[i].text);
	assert_int_equal(diagnosis.nr_findings, 0);
}

static void a_good_machine(void **unused)
{
	(void)unused;
	nothing_found();
	assert_string_equal(module.path, PLACE);
	assert_string_equal(module.loaded_version, "1.0.0");
	assert_int_equal(module.is_signed, ANSWER_YES);
	assert_int_equal(sys.packager, PACKAGER_APT);
	/* packed, and where a distribution's own would be */
	sh("mv .%s .%s.xz && sed -i 's/remap.ko:/remap.ko.xz:/' lib/modules/" KERNEL "/modules.dep",
	   PLACE, PLACE);
	nothing_found();
	assert_string_equal(module.path, PLACE ".xz");
}

static void of_the_module(void **unused)
{
	(void)unused;
	put("/sys/module/dm_remap/version", "0.9.0\\n");
	found("module-version");
	sh("rm -r sys/module");
	sh("rm lib/modules/" KERNEL "/modules.dep");
	found("module-not-listed");
	sh("rm .%s", PLACE);
	found("module-not-built");
	put("/var/lib/dkms/dm-remap/1.0.0/" KERNEL "/x86_64/module/dm-remap.ko", "");
	found("module-not-installed");
	put("/var/lib/dkms/dm-remap/1.0.0/build/make.log",
	    "DKMS make.log for dm-remap-1.0.0 for kernel " LATER " (x86_64)\\n");
	found("module-not-installed");
	put("/var/lib/dkms/dm-remap/1.0.0/build/make.log",
	    "DKMS make.log for dm-remap-1.0.0 for kernel " KERNEL " (x86_64)\\n");
	found("build-failed");
	assert_string_equal(module.build_log, "/var/lib/dkms/dm-remap/1.0.0/build/make.log");
	sh("rm usr/sbin/dkms");
	found("dkms-missing");
	sh("rm -r lib/modules/" KERNEL "/build");
	found("headers-missing");
	put("/lib/modules/" LATER "/updates/dkms/dm-remap.ko.zst", "");
	look();
	assert_string_equal(module.others, LATER);
	sh("rm -r usr/src");
	found("sources-missing");
	sh("rm -r lib/modules/" KERNEL);
	found("kernel-removed");
}

static void of_later_kernels(void **unused)
{
	(void)unused;
	put("/lib/modules/6.1.0-8-amd64/modules.builtin", ""); /* it was booted before */
	sh("mkdir lib/modules/6.1.0-8-amd64/kernel");
	put("/lib/modules/" LATER "/build/Makefile", ""); /* headers only */
	nothing_found();
	put("/lib/modules/" LATER "/modules.builtin", "");
	sh("mkdir lib/modules/" LATER "/kernel");
	found("next-kernel");
	assert_string_equal(module.lacking, LATER);
}

#define EFIVARS "/sys/firmware/efi/efivars"
#define SHIM "-605dab50-e046-4300-abb6-3dd810dd8b23"

static void of_signatures(void **unused)
{
	(void)unused;
	sh("rm -r sys/module");
	put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\\n");
	look();
	assert_int_equal(module.signed_only, ANSWER_YES);
	assert_int_equal(diagnosis.nr_findings,
			 0); /* signed; whether by a known key is not known */
	signature = "";
	found("module-unsigned");
	signature = "PKCS#7";
	put(EFIVARS "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\\006\\0\\0\\0\\0");
	nothing_found();
	assert_int_equal(module.secure_boot, ANSWER_NO);
	put(EFIVARS "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\\006\\0\\0\\0\\001");
	found("key-not-enrolled");
	assert_int_equal(module.secure_boot, ANSWER_YES);
	put(EFIVARS "/MokNew" SHIM, "\\007\\0\\0\\0list KEY");
	look();
	assert_true(module.is_enrolling);
	put(EFIVARS "/MokListRT" SHIM, "\\006\\0\\0\\0list OTHER");
	found("key-not-enrolled");
	put(EFIVARS "/MokListRT" SHIM, "\\006\\0\\0\\0list KEY more");
	nothing_found();
	assert_int_equal(module.is_enrolled, ANSWER_YES);
	signature = NULL; /* no modinfo */
	nothing_found();
	assert_int_equal(module.is_signed, ANSWER_UNKNOWN);
	sh("rm -r sys/kernel");
	put("/sys/module/module/parameters/sig_enforce", "Y\\n");
	look();
	assert_int_equal(module.signed_only, ANSWER_YES);
}

static void of_udev(void **unused)
{
	(void)unused;
	sh("chmod 644 usr/lib/udev/dm-remap-probe");
	found("udev-program");
	assert_string_equal(sys.rules_lack, "/usr/lib/udev/dm-remap-probe");
	sh("chmod 755 usr/lib/udev/dm-remap-probe; rm usr/sbin/dmremap");
	found("udev-program");
	assert_string_equal(sys.rules_lack, "/usr/sbin/dmremap");
	/* another PREFIX, as `make install` writes it */
	program("/opt/sbin/dmremap");
	sh("sed -i 's,/usr/sbin/,/opt/sbin/,g' usr/lib/udev/rules.d/66-dm-remap.rules");
	nothing_found();
	sh("mkdir -p etc/udev/rules.d && ln -s /dev/null etc/udev/rules.d/66-dm-remap.rules");
	found("udev-masked");
	sh("rm etc/udev/rules.d/* && touch etc/udev/rules.d/66-dm-remap.rules");
	found("udev-masked");
	sh("rm etc/udev/rules.d/* usr/lib/udev/rules.d/*");
	found("udev-rules");
	sh("rm run/udev/control");
	look();
	assert_int_equal(diagnosis.nr_findings, 2);
}

static void of_the_daemon(void **unused)
{
	(void)unused;
	settings_error = "/etc/dm-remap/dm-remapd.conf:3: no such key";
	found("daemon-settings");
	assert_string_equal(sys.config_error, settings_error);
	settings_error = NULL;
	sh("rm -r proc/17");
	found("daemon-off");
	sh("rm etc/systemd/system/*/dm-remapd.service");
	found("daemon-disabled");
	sh("rm usr/sbin/dm-remapd");
	found("daemon-program");
	assert_string_equal(sys.unit_lacks, "/usr/sbin/dm-remapd");
	sh("ln -s /dev/null etc/systemd/system/dm-remapd.service");
	look();
	assert_true(sys.unit_masked);
	sh("rm etc/systemd/system/dm-remapd.service usr/lib/systemd/system/dm-remapd.service");
	found("daemon-missing");
	sh("rm -r run/systemd");
	found("daemon-off");
	sh("rm -r proc/1");
	look();
	assert_int_equal(sys.daemon_runs, ANSWER_UNKNOWN);
}

/* A partition of a set in LVM, and btrfs, which has no number of its own. */
static void of_the_root(void **unused)
{
	(void)unused;
	put("/proc/self/mountinfo", "30 1 254:2 / / rw - ext4 /dev/mapper/vg-root rw\\n"
				    "31 1 8:1 / /boot rw - ext4 /dev/sda1 rw\\n");
	put("/sys/devices/dm-2/dm/uuid", "LVM-1234\\n");
	put("/sys/devices/dm-1/dm/uuid", "part1-REMAP-1234\\n");
	put("/sys/devices/dm-0/dm/uuid", "REMAP-1234\\n");
	put("/sys/devices/dm-0/dm/name", "system\\n");
	sh("mkdir -p sys/devices/dm-2/slaves sys/devices/dm-1/slaves sys/class/block && "
	   "ln -s ../../devices/dm-2 sys/dev/block/254:2 && "
	   "ln -s ../../dm-1 sys/devices/dm-2/slaves/dm-1 && "
	   "ln -s ../../dm-0 sys/devices/dm-1/slaves/dm-0");
	found("initramfs");
	assert_string_equal(sys.root_set, "system");
	put("/usr/share/initramfs-tools/hooks/dm-remap", "");
	nothing_found();
	put("/proc/self/mountinfo", "30 1 0:25 /@ / rw - btrfs /dev/mapper/other rw\\n");
	look();
	assert_string_equal(sys.root_set, "");
	put("/sys/devices/dm-3/dm/name", "other\\n");
	sh("mkdir -p sys/fs/btrfs/1234/devices && ln -s ../../devices/dm-3 sys/class/block/ && "
	   "ln -s ../../../../devices/dm-3 ../../../../devices/dm-0 sys/fs/btrfs/1234/devices/");
	look();
	assert_string_equal(sys.root_set, "system");
}

static void of_directories(void **unused)
{
	(void)unused;
	assert_int_equal(setenv("STATE_DIRECTORY", "/var/lib/dm-remap", 1), 0);
	put("/var/lib/dm-remap", "no directory");
	found("directory");
	assert_string_equal(diagnosis.finding[0].object, "/var/lib/dm-remap");
	sh("rm var/lib/dm-remap");
	nothing_found();
}

int main(void)
{
#define ON_ROOT(f) cmocka_unit_test_setup_teardown(f, setup_root, teardown_root)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_is_well, setup),
		cmocka_unit_test_setup(without_root, setup),
		cmocka_unit_test_setup(module_is_missing, setup),
		cmocka_unit_test_setup(another_kernel_has_it, setup),
		cmocka_unit_test_setup(loaded_and_no_file, setup),
		cmocka_unit_test_setup(not_listed, setup),
		cmocka_unit_test_setup(signatures, setup),
		cmocka_unit_test_setup(other_refusals, setup),
		cmocka_unit_test_setup(versions_differ, setup),
		cmocka_unit_test_setup(the_next_kernel, setup),
		cmocka_unit_test_setup(no_device_mapper, setup),
		cmocka_unit_test_setup(family_is_missing, setup),
		cmocka_unit_test_setup(udev, setup),
		cmocka_unit_test_setup(the_daemon, setup),
		cmocka_unit_test_setup(root_on_a_set, setup),
		cmocka_unit_test_setup(directories, setup),
		cmocka_unit_test_setup(sets, setup),
		cmocka_unit_test_setup(too_many, setup),
		ON_ROOT(a_good_machine),
		ON_ROOT(of_the_module),
		ON_ROOT(of_later_kernels),
		ON_ROOT(of_signatures),
		ON_ROOT(of_udev),
		ON_ROOT(of_the_daemon),
		ON_ROOT(of_the_root),
		ON_ROOT(of_directories),
	};

	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
