// SPDX-License-Identifier: GPL-2.0-only
/* Finds the sub-command; options, help and messages for all of them. */
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>
#include "tool.h"

struct command {
	const char *noun;
	const char *verb;	/* or NULL */
	int (*run)(int argc, char **argv);
	const char *summary;
};

static const struct command commands[] = {
	{ "host", "check", host_check,
	  "can this host pass devices through?" },
	{ "device", "list", device_list,
	  "PCI functions: group, driver, claimable or not" },
	{ "device", "show", device_show,
	  "all about one function, and who uses it" },
	{ "guest", "exec", guest_exec,
	  "run a VMM while mica holds devices for it" },
	{ "guest", "end", guest_end,
	  "end a session, and have its devices go back" },
	{ "guest", "list", guest_list,
	  "sessions, their guests and their devices" },
	{ "union", "mount", union_mount,
	  "mount a union of directories" },
	{ "union", "list", union_list,
	  "unions, where they are mounted, their branches" },
	{ "union", "check", union_check,
	  "the whiteouts and marks of a layer, and what is wrong" },
	{ "union", "add", union_add,
	  "a directory becomes a branch of a mounted union" },
	{ "union", "del", union_del,
	  "a branch leaves a mounted union" },
	{ "union", "mode", union_mode,
	  "a branch of a mounted union can be written to, or not" },
	{ "union", "move", union_move,
	  "a branch of a mounted union gets another position" },
	{ "union", "snapshot", union_snapshot,
	  "keep a mounted union as it is, and go on in a new branch" },
	{ "union", "reset", union_reset,
	  "drop what a union has for a name, so that what is below shows" },
	{ "union", "diff", union_diff,
	  "what a layer adds, changes and removes" },
	{ "union", "export", union_export,
	  "a layer becomes the archive of a layer of an OCI image" },
	{ "union", "import", union_import,
	  "such an archive becomes a layer" },
	{ "union", "merge", union_merge,
	  "several layers become one" },
	{ "monitor", NULL, monitor,
	  "print events as they come" },
};

static const struct command *current;

static void print_name(FILE *to)
{
	fputs("mica", to);
	if (current)
		fprintf(to, " %s", current->noun);
	if (current && current->verb)
		fprintf(to, " %s", current->verb);
}

/* A wrong command line: says what is wrong and ends with MICA_USAGE. */
void usage_error(const char *fmt, ...)
{
	va_list args;

	print_name(stderr);
	fputs(": ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs("; see '", stderr);
	print_name(stderr);
	fputs(" --help'\n", stderr);
	exit(MICA_USAGE);
}

/* Something worth a sentence on stderr. */
void note(const char *fmt, ...)
{
	va_list args;

	fputs("mica: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* The sentence of a failure, and the exit code to return. */
int fail(const char *fmt, ...)
{
	va_list args;

	fputs("mica: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return MICA_FAILED;
}

/*
 * getopt_long() with our own messages; --help is done here. @shorts begins with
 * ':', behind a '+' if options end at the first argument.
 */
int next_option(int argc, char **argv, const char *shorts,
		const struct option *longs, const char *help)
{
	int c;

	opterr = 0;
	c = getopt_long(argc, argv, shorts, longs, NULL);
	switch (c) {
	case 'h':
		fputs(help, stdout);
		exit(MICA_OK);
	case ':':
		usage_error("'%s' needs a value", argv[optind - 1]);
	case '?':
		if (optopt && optopt < 0x80 && !strchr(argv[optind - 1], '='))
			usage_error("unknown option '-%c'", optopt);
		usage_error("unknown option '%s'", argv[optind - 1]);
	default:
		return c;
	}
}

void no_arguments(int argc, char **argv)
{
	if (optind < argc)
		usage_error("takes no argument, not '%s'", argv[optind]);
}

static void print_help(const char *noun)
{
	size_t i;

	printf("Usage: mica %s [OPTION...] [ARGUMENT...]\n\n",
	       noun ?: "NOUN VERB");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];
		int width = -(int)(14 - strlen(c->noun));

		if (noun && strcmp(noun, c->noun))
			continue;
		printf("  mica %s %*s %s\n", c->noun, width, c->verb ?: "",
		       c->summary);
	}
	if (!noun)
		puts("\n  mica --help      this text\n"
		     "  mica --version   which mica this is");
	puts("\nEach of them has a --help of its own. The manual is mica(1).");
}

/*
 * What was written must have got there: a full disk is no success. Output that
 * nobody reads any more (EPIPE) is no failure either.
 */
static void close_stdout(void)
{
	if ((ferror(stdout) | fclose(stdout)) && errno != EPIPE) {
		fail("the output could not be written: %s", strerror(errno));
		_exit(MICA_FAILED);
	}
}

static bool is_noun(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(word, commands[i].noun))
			return true;
	return false;
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static const struct command *find_command(const char *noun, const char *verb)
{
	const struct command *c;

	for (c = commands; c < commands + ARRAY_SIZE(commands); c++) {
		if (strcmp(noun, c->noun))
			continue;
		if (!c->verb || (verb && !strcmp(verb, c->verb)))
			return c;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const char *noun = argc > 1 ? argv[1] : NULL;
	const char *verb = argc > 2 ? argv[2] : NULL;
	const struct command *command;
	int skip;

	setlocale(LC_CTYPE, "");
	atexit(close_stdout);
	if (!noun)
		usage_error("a command is missing");
	if (is_help(noun)) {
		print_help(NULL);
		return MICA_OK;
	}
	if (!strcmp(noun, "--version") || !strcmp(noun, "-V")) {
		printf("mica %s\n", MICA_VERSION);
		return MICA_OK;
	}
	if (!is_noun(noun))
		usage_error("there is no command '%s'", noun);

	command = find_command(noun, verb);
	if (!command) {
		if (verb && is_help(verb)) {
			print_help(noun);
			return MICA_OK;
		}
		if (!verb)
			usage_error("'%s' needs a verb", noun);
		usage_error("there is no command '%s %s'", noun, verb);
	}
	current = command;
	skip = command->verb ? 2 : 1;
	return command->run(argc - skip, argv + skip);
}
