// SPDX-License-Identifier: GPL-2.0-or-later
/* What is wrong with the kernel module.  Pure. */
#include <errno.h>

#include "doctor-judge.h"

#define OBJECT "module dm-remap"
#define FALLBACK "; until then dmremap activate --fallback serves what is mapped"

/* A module that is loaded already is not missed before the next boot. */
static enum finding_level level_of(const struct module_facts *facts)
{
	return facts->is_loaded ? FINDING_NOTICE : FINDING_PROBLEM;
}

static bool is_too_old(const char *kernel)
{
	unsigned int major, minor;

	return sscanf(kernel, "%u.%u", &major, &minor) == 2 &&
	       (major < 6 || (major == 6 && minor < 1));
}

static struct command headers_command(const struct module_facts *facts, enum packager packager,
				      const char *also)
{
	char packages[160];

	snprintf(packages, sizeof(packages), "%s%s%s-%s", also, *also ? " " : "",
		 packager == PACKAGER_DNF ? "kernel-devel" : "linux-headers", facts->kernel);
	return install_command(packager, packages);
}

static void judge_missing(const struct module_facts *facts, enum packager packager,
			  struct diagnosis *diagnosis)
{
	const char *kernel = facts->kernel, *version = facts->source_version;
	struct finding *finding =
		add_finding(diagnosis, level_of(facts), CODE_MODULE_NOT_BUILT, OBJECT);
	char others[300] = "";

	if (*facts->others)
		SAY(others, ". Linux %s has it: the wrong kernel may be running", facts->others);
	if (is_too_old(kernel)) {
		finding->code = CODE_KERNEL_TOO_OLD;
		SAY(finding->text, "Linux %s is too old for it: it needs 6.1 or later%s", kernel,
		    others);
		SAY(finding->advice, "boot a later kernel");
	} else if (!facts->has_tree) {
		finding->code = CODE_KERNEL_REMOVED;
		SAY(finding->text,
		    "/lib/modules/%s, of the running kernel, is missing or incomplete: its package "
		    "was removed or upgraded%s",
		    kernel, others);
		SAY(finding->advice, "reboot; of a kernel of your own: make modules_install");
	} else if (!*version) {
		finding->code = CODE_SOURCES_MISSING;
		SAY(finding->text, "its sources are not installed%s", others);
		SAY(finding->advice, "%s", headers_command(facts, packager, "dm-remap-dkms").text);
	} else if (!facts->has_headers) {
		finding->code = CODE_HEADERS_MISSING;
		SAY(finding->text,
		    "it is not built for the running kernel %s: the headers of this kernel are not "
		    "installed%s",
		    kernel, others);
		SAY(finding->advice,
		    "%s; DKMS then builds it. If these headers are not available any more, install "
		    "the newest kernel with its headers, and reboot",
		    headers_command(facts, packager, "").text);
	} else if (!facts->has_dkms) {
		finding->code = CODE_DKMS_MISSING;
		SAY(finding->text, "it is not built for Linux %s: dkms is not installed%s", kernel,
		    others);
		SAY(finding->advice, "%s; then dkms install dm-remap/%s -k %s",
		    install_command(packager, "dkms").text, version, kernel);
	} else if (*facts->build_log) {
		finding->code = CODE_BUILD_FAILED;
		SAY(finding->text, "DKMS could not build it for Linux %s: %s says why%s", kernel,
		    facts->build_log, others);
		SAY(finding->advice,
		    "correct what the end of the log reports, then type: dkms install dm-remap/%s "
		    "-k %s",
		    version, kernel);
	} else {
		finding->code = facts->is_built ? CODE_MODULE_NOT_INSTALLED : CODE_MODULE_NOT_BUILT;
		SAY(finding->text, "it is %s for the running kernel %s%s",
		    facts->is_built ? "built but not installed" : "not built", kernel, others);
		SAY(finding->advice, "dkms install dm-remap/%s -k %s", version, kernel);
	}
	if (facts->is_loaded && strlen(finding->text) + 80 < sizeof(finding->text))
		strcat(finding->text, "; it is loaded now, but will not be after the next boot");
}

/* Refused, or it would be, for its signature. */
static void judge_signature(const struct module_facts *facts, enum packager packager,
			    struct diagnosis *diagnosis)
{
	struct finding *finding =
		add_finding(diagnosis, FINDING_PROBLEM, CODE_MODULE_REFUSED, OBJECT);
	const char *why = facts->secure_boot == ANSWER_YES ? "Secure Boot" : "lockdown";

	if (facts->is_signed == ANSWER_NO || !*facts->key) {
		finding->code = CODE_MODULE_UNSIGNED;
		SAY(finding->text,
		    "the kernel accepts only signed modules (%s), and %s has no signature%s", why,
		    facts->path, *facts->key ? "" : ": DKMS has no key");
		SAY(finding->advice,
		    "%s; dkms install --force dm-remap/%s -k %s signs it; then mokutil --import "
		    "%s, and reboot" FALLBACK,
		    install_command(packager, "openssl mokutil").text, facts->source_version,
		    facts->kernel, *facts->key ? facts->key : "/var/lib/dkms/mok.pub");
	} else if (facts->is_enrolling) {
		finding->code = CODE_KEY_NOT_ENROLLED;
		SAY(finding->text,
		    "the kernel accepts only signed modules (%s); the key of DKMS (%s) was "
		    "imported, and counts only when it was confirmed at a boot",
		    why, facts->key);
		SAY(finding->advice,
		    "reboot, choose \"Enroll MOK\" in the blue screen and give the password of "
		    "mokutil" FALLBACK);
	} else if (facts->is_enrolled != ANSWER_YES) {
		finding->code = CODE_KEY_NOT_ENROLLED;
		SAY(finding->text,
		    "the kernel accepts only signed modules (%s), and does not know the key that "
		    "DKMS signs with (%s)",
		    why, facts->key);
		SAY(finding->advice,
		    "mokutil --import %s, then reboot and choose \"Enroll MOK\"" FALLBACK,
		    facts->key);
	} else {
		SAY(finding->text,
		    "the kernel refuses its signature (%s), though the key of DKMS (%s) is "
		    "enrolled: it was signed with another one",
		    why, facts->key);
		SAY(finding->advice, "dkms install --force dm-remap/%s -k %s" FALLBACK,
		    facts->source_version, facts->kernel);
	}
}

static bool is_refusal(int number)
{
	return number == EKEYREJECTED || number == ENOKEY || number == EPERM || number == ENODATA;
}

static void judge_file(const struct module_facts *facts, enum packager packager,
		       struct diagnosis *diagnosis)
{
	struct finding *finding;

	if (!facts->is_listed) {
		finding = add_finding(diagnosis, level_of(facts), CODE_MODULE_NOT_LISTED, OBJECT);
		SAY(finding->text, "%s exists, but modprobe does not find it", facts->path);
		SAY(finding->advice, "depmod %s", facts->kernel);
		return;
	}
	if (facts->is_loaded)
		return;
	if (facts->was_tried ?
		    is_refusal(facts->load_error) :
		    facts->signed_only == ANSWER_YES &&
			    (facts->is_signed == ANSWER_NO || facts->is_enrolled == ANSWER_NO)) {
		judge_signature(facts, packager, diagnosis);
	} else if (facts->load_error) {
		finding = add_finding(diagnosis, FINDING_PROBLEM, CODE_MODULE_FAILS, OBJECT);
		SAY(finding->text, "the kernel does not load %s: %s%s", facts->path,
		    strerror(facts->load_error),
		    facts->load_error == ENOEXEC ? " (it was built for another kernel)" : "");
		SAY(finding->advice,
		    "dmesg says why; to build it anew: dkms install --force dm-remap/%s -k %s",
		    *facts->source_version ? facts->source_version : facts->tools_version,
		    facts->kernel);
	} else if (!facts->was_tried) {
		add_unseen(diagnosis, "whether the kernel accepts the module: this needs root");
	}
}

/* Any two releases work together; what only one of them knows does not. */
static void judge_version(const struct module_facts *facts, enum packager packager,
			  const struct kernel_facts *kernel, struct diagnosis *diagnosis)
{
	struct finding *finding;

	if (!facts->is_loaded || !*facts->loaded_version ||
	    streq(facts->loaded_version, facts->tools_version))
		return;
	finding = add_finding(diagnosis, FINDING_NOTICE, CODE_MODULE_VERSION, OBJECT);
	SAY(finding->text,
	    "version %s is loaded, but this is dmremap %s: features that only one of them has do "
	    "not work",
	    facts->loaded_version, facts->tools_version);
	if (!streq(facts->file_version, facts->tools_version) && *facts->file_version)
		SAY(finding->advice, "the module on disk is %s: install dm-remap-dkms %s: %s",
		    facts->file_version, facts->tools_version,
		    install_command(packager, "dm-remap-dkms").text);
	else if (kernel->nr_active || !kernel->is_root)
		SAY(finding->advice,
		    "reboot; or deactivate all sets, then modprobe -r dm-remap && modprobe "
		    "dm-remap, and activate them");
	else
		SAY(finding->advice, "modprobe -r dm-remap && modprobe dm-remap");
}

/* Kernels that are booted next: DKMS is silent about one without headers. */
static void judge_later_kernels(const struct module_facts *facts, enum packager packager,
				struct diagnosis *diagnosis)
{
	struct finding *finding;
	char packages[120];

	if (!*facts->lacking)
		return;
	finding = add_finding(diagnosis, FINDING_NOTICE, CODE_NEXT_KERNEL, OBJECT);
	SAY(finding->text,
	    "Linux %s is installed, but has no module: no set works when it is booted",
	    facts->lacking);
	snprintf(packages, sizeof(packages), "%s-%.*s",
		 packager == PACKAGER_DNF ? "kernel-devel" : "linux-headers",
		 (int)strcspn(facts->lacking, ","), facts->lacking);
	SAY(finding->advice, "%s; or dkms status says why it is not built",
	    install_command(packager, packages).text);
}

void judge_module(const struct module_facts *facts, enum packager packager,
		  const struct kernel_facts *kernel, struct diagnosis *diagnosis)
{
	if (!*facts->path)
		judge_missing(facts, packager, diagnosis);
	else
		judge_file(facts, packager, diagnosis);
	judge_version(facts, packager, kernel, diagnosis);
	judge_later_kernels(facts, packager, diagnosis);
}
