// SPDX-License-Identifier: GPL-2.0-or-later
/* How a finding is written down. */
#include <stdarg.h>

#include "doctor-judge.h"

const char *finding_level_name(enum finding_level level)
{
	return level == FINDING_PROBLEM ? "problem" : "notice";
}

const char *finding_code_name(enum finding_code code)
{
#define CODE_NAME(name, text) [CODE_##name] = (text),
	static const char *const names[] = { FINDING_CODES(CODE_NAME) };
#undef CODE_NAME

	return names[code];
}

/* The last place is used again where there is no room: what comes first is mended first. */
struct finding *add_finding(struct diagnosis *diagnosis, enum finding_level level,
			    enum finding_code code, const char *format, ...)
{
	struct finding *finding = &diagnosis->finding[diagnosis->nr_findings];
	va_list arguments;

	if (diagnosis->nr_findings < FINDINGS_MAX)
		diagnosis->nr_findings++;
	else
		finding--;
	*finding = (struct finding){ .code = code, .level = level };
	va_start(arguments, format);
	vsnprintf(finding->object, sizeof(finding->object), format, arguments);
	va_end(arguments);
	return finding;
}

void add_unseen(struct diagnosis *diagnosis, const char *format, ...)
{
	size_t room = sizeof(diagnosis->unseen) / sizeof(diagnosis->unseen[0]);
	va_list arguments;

	if (diagnosis->nr_unseen == room)
		return;
	va_start(arguments, format);
	vsnprintf(diagnosis->unseen[diagnosis->nr_unseen++], sizeof(diagnosis->unseen[0]), format,
		  arguments);
	va_end(arguments);
}

struct command install_command(enum packager packager, const char *packages)
{
	static const char *const programs[] = {
		[PACKAGER_NONE] = "install",
		[PACKAGER_APT] = "apt install",
		[PACKAGER_DNF] = "dnf install",
	};
	struct command command;

	SAY(command.text, "%s %s", programs[packager], packages);
	return command;
}
