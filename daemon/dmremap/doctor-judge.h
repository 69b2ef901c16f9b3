/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the two files that judge: how a finding is written down (doctor-finding.c).
 */
#ifndef DM_REMAP_DOCTOR_JUDGE_H
#define DM_REMAP_DOCTOR_JUDGE_H

#include "doctor.h"

/* Room for a finding; its object is given. */
struct finding *add_finding(struct diagnosis *diagnosis, enum finding_level level,
			    enum finding_code code, const char *format, ...) _printf_(4, 5);
void add_unseen(struct diagnosis *diagnosis, const char *format, ...) _printf_(2, 3);
#define SAY(field, ...) snprintf(field, sizeof(field), __VA_ARGS__)

/* "apt install NAME", as far as it is known what installs packages here. */
struct command {
	char text[200];
};
struct command install_command(enum packager packager, const char *packages);

void judge_module(const struct module_facts *facts, enum packager packager,
		  const struct kernel_facts *kernel, struct diagnosis *diagnosis);

#endif /* DM_REMAP_DOCTOR_JUDGE_H */
