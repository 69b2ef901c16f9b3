// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/process.h"

/* What it runs; empty: it has ended. */
static void words_of(const char *pid, char *text, size_t nr_bytes)
{
	_cleanup_free_ char *words = NULL;
	char path[64];
	size_t length;

	*text = '\0';
	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	if (read_file(path, &words, &length) < 0)
		return;
	for (size_t i = 0; i + 1 < length; i++)
		if (!words[i])
			words[i] = ' ';
	snprintf(text, nr_bytes, "%s", words);
}

bool process_find(process_f f, const void *userdata, char *text, size_t nr_bytes)
{
	_cleanup_closedir_ DIR *directory = opendir("/proc");
	struct dirent *process;
	char words[151];

	while (directory && (process = readdir(directory))) {
		if (*process->d_name < '0' || *process->d_name > '9' ||
		    !f(process->d_name, userdata))
			continue;
		words_of(process->d_name, words, sizeof(words));
		snprintf(text, nr_bytes, "process %.20s (%s)", process->d_name,
			 *words ? words : "it has ended");
		return true;
	}
	return false;
}
