// SPDX-License-Identifier: GPL-2.0-or-later
/* What is wrong with this machine, in the order in which it is to be mended.  Pure. */
#include "doctor-judge.h"

static void judge_device_mapper(const struct kernel_facts *facts, struct diagnosis *diagnosis)
{
	struct finding *finding;

	if (facts->device_mapper != ANSWER_NO)
		return;
	finding = add_finding(diagnosis, FINDING_PROBLEM, CODE_DEVICE_MAPPER, "device-mapper");
	SAY(finding->text, "the kernel does not answer: %s", facts->why);
	SAY(finding->advice, "modprobe dm-mod; in a container sets cannot be used");
}

static void judge_udev(const struct system_facts *facts, struct diagnosis *diagnosis)
{
	struct finding *finding;

	if (facts->rules_masked) {
		finding = add_finding(diagnosis, FINDING_PROBLEM, CODE_UDEV_MASKED, "udev's rules");
		SAY(finding->text,
		    "/etc/udev/rules.d/66-dm-remap.rules masks them: no set is activated "
		    "automatically, and members are not hidden");
		SAY(finding->advice,
		    "rm /etc/udev/rules.d/66-dm-remap.rules; udevadm control --reload");
	} else if (!*facts->rules) {
		finding = add_finding(diagnosis, FINDING_PROBLEM, CODE_UDEV_RULES, "udev's rules");
		SAY(finding->text,
		    "66-dm-remap.rules is not installed: no set is activated automatically, and "
		    "members are not hidden");
		SAY(finding->advice, "%s; from the sources: make install",
		    install_command(facts->packager, "--reinstall dm-remap").text);
	} else if (*facts->rules_lack) {
		finding =
			add_finding(diagnosis, FINDING_PROBLEM, CODE_UDEV_PROGRAM, "udev's rules");
		SAY(finding->text, "%s calls %s, which is missing or not executable", facts->rules,
		    facts->rules_lack);
		SAY(finding->advice, "%s; from the sources: make install with the same PREFIX",
		    install_command(facts->packager, "--reinstall dm-remap").text);
	}
	if (!facts->udev_runs) {
		finding = add_finding(diagnosis, FINDING_PROBLEM, CODE_UDEV_OFF, "udev");
		SAY(finding->text, "it does not run: no set is activated automatically");
		SAY(finding->advice,
		    "systemctl start systemd-udevd; on a system without udev: dmremap activate");
	}
}

static void judge_config(const struct system_facts *facts, struct diagnosis *diagnosis)
{
	struct finding *finding;

	if (!*facts->config_error)
		return;
	finding = add_finding(diagnosis, FINDING_NOTICE, CODE_DAEMON_SETTINGS, "dm-remapd.conf");
	SAY(finding->text, "%s", facts->config_error);
	SAY(finding->advice,
	    "mend it, see dm-remapd.conf(5); dm-remapd --test-config; systemctl reload dm-remapd");
}

/* Sets do without it: nothing reports then that a disk is dying. */
static void judge_daemon(const struct system_facts *facts, struct diagnosis *diagnosis)
{
	const char *text = NULL, *advice = NULL;
	enum finding_code code = CODE_DAEMON_OFF;
	char lacks[PLACE_BYTES + 40], install[240];
	struct finding *finding;

	snprintf(install, sizeof(install), "%s",
		 install_command(facts->packager, "--reinstall dm-remap").text);
	if (facts->systemd_runs && facts->unit_masked) {
		code = CODE_DAEMON_MASKED;
		text = "it is masked";
		advice = "systemctl unmask dm-remapd; systemctl enable --now dm-remapd";
	} else if (facts->systemd_runs && !*facts->unit) {
		code = CODE_DAEMON_MISSING;
		text = "it has no unit: it is not installed";
		advice = install;
	} else if (*facts->unit_lacks) {
		code = CODE_DAEMON_PROGRAM;
		snprintf(lacks, sizeof(lacks), "%s is missing or not executable",
			 facts->unit_lacks);
		text = lacks;
		advice = install;
	} else if (facts->systemd_runs && !facts->unit_enabled) {
		code = CODE_DAEMON_DISABLED;
		text = facts->daemon_runs == ANSWER_YES ?
			       "it runs, but does not start at the next boot" :
			       "it is not enabled, and does not run";
		advice = "systemctl enable --now dm-remapd";
	} else if (facts->daemon_runs == ANSWER_NO) {
		text = "it does not run";
		advice =
			facts->systemd_runs ?
				"systemctl start dm-remapd; systemctl status dm-remapd says why it "
				"ended" :
				"start dm-remapd";
	}
	if (facts->daemon_runs == ANSWER_UNKNOWN)
		add_unseen(diagnosis, "whether dm-remapd runs: /proc hides it; this needs root");
	if (!text)
		return;
	finding = add_finding(diagnosis, FINDING_NOTICE, code, "daemon dm-remapd");
	SAY(finding->text, "%s: sets work, but nothing reports that a disk is dying", text);
	SAY(finding->advice, "%s", advice);
}

static void judge_images(const struct system_facts *facts, struct diagnosis *diagnosis)
{
	struct finding *finding;

	if (!*facts->root_set || facts->has_hook)
		return;
	finding = add_finding(diagnosis, FINDING_PROBLEM, CODE_INITRAMFS, "initramfs");
	SAY(finding->text,
	    "the root file system is on the set %s, and the initramfs program has no hook for "
	    "sets: the next image does not boot",
	    facts->root_set);
	if (facts->has_dracut && !facts->has_initramfs_tools)
		SAY(finding->advice, "%s; then dracut --force --regenerate-all",
		    install_command(facts->packager, "dm-remap-dracut").text);
	else
		SAY(finding->advice, "%s; then update-initramfs -u -k all",
		    install_command(facts->packager, "dm-remap-initramfs").text);
}

static void judge_directory(const struct directory_facts *facts, struct diagnosis *diagnosis)
{
	static const char *const texts[] = {
		[DIRECTORY_READ_ONLY] = "its file system is read-only",
		[DIRECTORY_FULL] = "its file system is full",
		[DIRECTORY_DENIED] = "root cannot write to it",
		[DIRECTORY_NONE] = "it is not a directory",
	};
	static const char *const advices[] = {
		[DIRECTORY_READ_ONLY] =
			"mount it read-write; dmesg says whether an error made it so",
		[DIRECTORY_FULL] = "delete files that are not needed there",
		[DIRECTORY_DENIED] = "look at its mode and attributes (ls -ld, lsattr -d)",
		[DIRECTORY_NONE] = "move that file away",
	};
	struct finding *finding;
	bool is_run = !strncmp(facts->path, "/run/", strlen("/run/"));

	if (facts->state == DIRECTORY_GOOD)
		return;
	/* without a place for locks nothing of a set can be changed; without backups it can */
	finding = add_finding(diagnosis, is_run ? FINDING_PROBLEM : FINDING_NOTICE, CODE_DIRECTORY,
			      "%s", facts->path);
	SAY(finding->text, "%s: %s", texts[facts->state],
	    is_run ? "no set can be activated or changed" : "no backup of a set is kept");
	SAY(finding->advice, "%s", advices[facts->state]);
}

/* A set that belongs elsewhere is none that this machine should have. */
static enum finding_level level_of(const struct set_trouble *set)
{
	return set->is_active || streq(set->state, "foreign") || streq(set->state, "no-host") ?
		       FINDING_NOTICE :
		       FINDING_PROBLEM;
}

static void judge_sets(const struct kernel_facts *facts, struct diagnosis *diagnosis)
{
	for (size_t i = 0; i < facts->nr_troubles; i++) {
		const struct set_trouble *set = &facts->trouble[i];
		struct finding *finding;
		bool is_to_activate = streq(set->state, "ready") || streq(set->state, "returned") ||
				      streq(set->state, "unfinished");

		finding = add_finding(diagnosis, level_of(set),
				      set->is_active ? CODE_SET_DEGRADED : CODE_SET_INACTIVE,
				      "%s%s", *set->name == '/' ? "" : "set ", set->name);
		SAY(finding->text, "%s%s%s", set->state, *set->reason ? ": " : "", set->reason);
		if (is_to_activate)
			SAY(finding->advice, "dmremap activate %s", set->name);
		else if (streq(set->state, "waiting"))
			SAY(finding->advice,
			    "plug the missing disk in; if it failed for good, or was copied to another "
			    "disk, see \"When things go wrong\" in dm-remap(7)");
		else if (streq(set->state, "duplicate"))
			SAY(finding->advice, "unplug the copy; dmremap list");
		else if (streq(set->state, "silent"))
			SAY(finding->advice, "check the kernel log (dmesg) and the cable");
		else if (set->is_active)
			SAY(finding->advice, "dmremap health %s", set->name);
		else
			SAY(finding->advice, "see dmremap list, and activate in dmremap(8)");
	}
	if (*facts->not_listed)
		add_unseen(diagnosis, "sets: %s", facts->not_listed);
	else if (!facts->is_root)
		add_unseen(diagnosis, "sets: this needs root");
}

static void judge_family(const struct module_facts *module, const struct kernel_facts *facts,
			 struct diagnosis *diagnosis)
{
	struct finding *finding;

	if (!module->is_loaded || facts->family != ANSWER_NO)
		return;
	finding = add_finding(diagnosis, FINDING_NOTICE, CODE_NETLINK, "netlink family dm_remap");
	SAY(finding->text,
	    "the module is loaded, but the family is missing: dm-remapd receives no events, and "
	    "dmremap show does not work");
	SAY(finding->advice,
	    "in a container or another network namespace use the host's; else modprobe -r dm-remap "
	    "&& modprobe dm-remap, or reboot");
}

void diagnose(const struct module_facts *module, const struct system_facts *system,
	      const struct kernel_facts *kernel, struct diagnosis *diagnosis)
{
	diagnosis->nr_findings = diagnosis->nr_unseen = 0;
	judge_device_mapper(kernel, diagnosis);
	judge_module(module, system->packager, kernel, diagnosis);
	judge_family(module, kernel, diagnosis);
	judge_udev(system, diagnosis);
	judge_images(system, diagnosis);
	for (size_t i = 0; i < sizeof(system->directories) / sizeof(system->directories[0]); i++)
		judge_directory(&system->directories[i], diagnosis);
	judge_sets(kernel, diagnosis);
	judge_daemon(system, diagnosis);
	judge_config(system, diagnosis);
}
