// SPDX-License-Identifier: GPL-2.0-or-later
/* dmremap: the command.  Here: options, help, exit codes; verb-table.c has the verbs. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <unistd.h>

#include "set/scan.h"
#include "util/foreign.h"
#include "verbs.h"

static void print_call(FILE *to, const struct verb *verb)
{
	char call[64];

	snprintf(call, sizeof(call), "%s %s", verb->name, verb->arguments);
	fprintf(to, "  %-34s %s\n", call, verb->help);
}

static void print_help(FILE *to)
{
	const struct verb *verb, *before = NULL;

	fprintf(to, "usage: dmremap VERB [ARGUMENTS] [OPTIONS]\n");
	for (size_t i = 0; (verb = verb_at(i)); before = verb, i++) {
		if (!before || before->group != verb->group)
			fprintf(to, "\n%s:\n", verb_group_title(verb->group));
		print_call(to, verb);
	}
	fprintf(to, "\n"
		    "Options, before or after the verb:\n"
		    "  --json     print JSON\n"
		    "  --yes      do not ask\n"
		    "  --quiet    print only what was asked for\n"
		    "  --version  print the version\n"
		    "  --help     print this help, or that of VERB (also: help VERB)\n"
		    "\n"
		    "See dmremap(8).\n");
}

static void print_verb_help(const struct verb *verb)
{
	printf("usage: dmremap %s %s\n\n%s\n", verb->name, verb->arguments, verb->help);
	for (int i = 0; verb->option && verb->option[i].name; i++) {
		char call[40];

		snprintf(call, sizeof(call), "--%s %s", verb->option[i].name,
			 verb->option[i].argument ? verb->option[i].argument : "");
		printf("  %-26s %s\n", call, verb->option[i].help);
	}
}

enum common_option {
	OPTION_JSON = 256,
	OPTION_YES,
	OPTION_QUIET,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_VERB, /* and the verb's own from here on */
};

static void print_version(void)
{
	printf("dmremap %s\n", DM_REMAP_TOOLS_VERSION);
}

/* A short option may stand among others, as in -yx: there the word is not yet done. */
static void print_invalid(const struct verb *verb, const char *word)
{
	char option[3] = { '-', (char)optopt, '\0' };

	fprintf(stderr, "dmremap: %s: invalid option \"%s\"; see dmremap %s --help\n", verb->name,
		FOREIGN(optopt && optopt < OPTION_JSON ? option : word), verb->name);
}

/* 1: help or the version was printed. */
static int parse(int argc, char **argv, struct invocation *invocation)
{
	struct option options[6 + VERB_OPTIONS_MAX] = {
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "yes", no_argument, NULL, OPTION_YES },
		{ "quiet", no_argument, NULL, OPTION_QUIET },
		{ "help", no_argument, NULL, OPTION_HELP },
		{ "version", no_argument, NULL, OPTION_VERSION },
	};
	const struct verb *verb = invocation->verb;
	int nr = 5, code;

	for (int i = 0; verb->option && verb->option[i].name; i++, nr++)
		options[nr] =
			(struct option){ verb->option[i].name,
					 verb->option[i].argument ? required_argument : no_argument,
					 NULL, OPTION_VERB + i };
	opterr = 0;
	while ((code = getopt_long(argc, argv, ":yqhV", options, NULL)) != -1) {
		switch (code) {
		case OPTION_JSON:
			invocation->json = true;
			break;
		case 'y':
		case OPTION_YES:
			invocation->yes = true;
			break;
		case 'q':
		case OPTION_QUIET:
			invocation->quiet = true;
			break;
		case 'h':
		case OPTION_HELP:
			print_verb_help(verb);
			return 1;
		case 'V':
		case OPTION_VERSION:
			print_version();
			return 1;
		case ':':
			fprintf(stderr,
				"dmremap: %s: option \"%s\" needs an argument; see dmremap %s "
				"--help\n",
				verb->name, FOREIGN(argv[optind - 1]), verb->name);
			return -EINVAL;
		case '?':
			print_invalid(verb, argv[optind - 1]);
			return -EINVAL;
		default:
			invocation->value[code - OPTION_VERB] = optarg ? optarg : "";
		}
	}
	invocation->argc = argc - optind;
	invocation->argv = argv + optind;
	if (invocation->argc < verb->min_args || invocation->argc > verb->max_args) {
		fprintf(stderr, "dmremap: usage: dmremap %s %s\n", verb->name, verb->arguments);
		return -EINVAL;
	}
	return 0;
}

/* Options before the verb; where it is.  -EINVAL: a bad one; 0: help or version was printed. */
static int parse_before(int argc, char **argv, struct invocation *invocation)
{
	int i = 1;

	for (; i < argc && *argv[i] == '-' && argv[i][1]; i++) {
		if (streq(argv[i], "--json")) {
			invocation->json = true;
		} else if (streq(argv[i], "--yes") || streq(argv[i], "-y")) {
			invocation->yes = true;
		} else if (streq(argv[i], "--quiet") || streq(argv[i], "-q")) {
			invocation->quiet = true;
		} else if (streq(argv[i], "--help") || streq(argv[i], "-h")) {
			print_help(stdout);
			return 0;
		} else if (streq(argv[i], "--version") || streq(argv[i], "-V")) {
			print_version();
			return 0;
		} else {
			fprintf(stderr, "dmremap: invalid option \"%s\"; see dmremap --help\n",
				FOREIGN(argv[i]));
			return -EINVAL;
		}
	}
	return i;
}

static const struct verb *find_or_complain(const char *name)
{
	const struct verb *verb = verb_find(name);

	if (!verb)
		fprintf(stderr, "dmremap: unknown verb \"%s\"; see dmremap --help\n",
			FOREIGN(name));
	return verb;
}

static int help(const char *name)
{
	const struct verb *verb = name ? find_or_complain(name) : NULL;

	if (name && !verb)
		return EXIT_CODE_USAGE;
	if (verb)
		print_verb_help(verb);
	else
		print_help(stdout);
	return EXIT_CODE_OK;
}

/* What can be known without looking at anything. */
static int check_call(const struct invocation *invocation)
{
	const struct verb *verb = invocation->verb;

	if (invocation->json && !(verb->flags & VERB_JSON)) {
		fprintf(stderr,
			"dmremap: %s does not print JSON; --json is for verbs that show "
			"something\n",
			verb->name);
		return EXIT_CODE_USAGE;
	}
	if (geteuid() != 0 && !(verb->flags & VERB_ANYONE) &&
	    !(verb->flags & VERB_IMAGE && invocation->argc &&
	      (verb->flags & VERB_PATH || strchr(invocation->argv[0], '/')) &&
	      !device_number(invocation->argv[0]))) {
		fprintf(stderr, "dmremap: %s needs root\n", verb->name);
		return EXIT_CODE_REFUSED;
	}
	return EXIT_CODE_OK;
}

/* In a pipe what was printed before comes before the sentence of an error. */
static bool is_printed(void)
{
	errno = 0; /* an error before this flush has left only its mark */
	if (fflush(stdout) != EOF && !ferror(stdout))
		return true;
	fprintf(stderr, "dmremap: cannot write the output%s%s\n", errno ? ": " : "",
		errno ? strerror(errno) : "");
	return false;
}

static int run(struct invocation *invocation)
{
	struct error error = { "" };
	bool printed;
	int r;

	dm_setup();
	r = invocation->verb->run(invocation, &error);
	printed = is_printed();
	if (r < 0)
		fprintf(stderr, "dmremap: %s\n", *error.text ? error.text : strerror(-r));
	else if (!printed)
		return EXIT_CODE_FAILED;
	return r >= 0 && invocation->exit_code ? invocation->exit_code : exit_code_of(r);
}

static int call(int argc, char **argv)
{
	struct invocation invocation = { 0 };
	int at = parse_before(argc, argv, &invocation), r;

	if (at <= 0)
		return at < 0 ? EXIT_CODE_USAGE : EXIT_CODE_OK;
	if (at >= argc) {
		print_help(stderr);
		return EXIT_CODE_USAGE;
	}
	if (streq(argv[at], "help"))
		return help(argv[at + 1]);
	invocation.verb = find_or_complain(argv[at]);
	if (!invocation.verb)
		return EXIT_CODE_USAGE;
	r = parse(argc - at, argv + at, &invocation);
	if (r)
		return r < 0 ? EXIT_CODE_USAGE : EXIT_CODE_OK;
	r = check_call(&invocation);
	return r ? r : run(&invocation);
}

int main(int argc, char **argv)
{
	int code;

	keep_standard_files();
	/* whoever started us may ignore it: then no child would say how it ended */
	signal(SIGCHLD, SIG_DFL);
	code = call(argc, argv);
	return code == EXIT_CODE_OK && !is_printed() ? EXIT_CODE_FAILED : code;
}
