// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio-inspect: shows the host as VFIO sees it. Parses the command line and calls the command; what
// a command does is in tools/inspect/. Reads only.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cc.h"
#include "core/sys.h"
#include "pci/hostpci.h"
#include "tools/inspect/inspect.h"
#include "tools/inspect/record.h"

/* The first is what runs when none is named. */
static const struct inspect_cmd *const commands[] = {
	&inspect_tree, &inspect_show, &inspect_explain, &inspect_capture,
	&inspect_html, &inspect_diff, &inspect_watch,	&inspect_complete,
};

enum { OPT_COLOUR = 1, OPT_ROOT, OPT_JSON, OPT_REDACT };

static const struct option common[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "redact", no_argument, NULL, OPT_REDACT },
	{ "color", required_argument, NULL, OPT_COLOUR },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
};

#define MAX_OPTIONS 32

struct state {
	struct inspect in;
	bool redact;
	enum { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER } colour;
};

static int ATTR_PRINTF(1, 2) usage(const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "vfio-inspect: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (see: vfio-inspect --help)\n");
	return INSPECT_USAGE;
}

static void help(void)
{
	puts("Usage: vfio-inspect [COMMAND] [OPTION]...\n"
	     "\n"
	     "Shows the host's PCI functions as VFIO sees them. Reads only, wakes no device. BDF is\n"
	     "an address such as 0000:03:00.0 or 03:00.0. What needs root is marked so.\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-28s %s\n", commands[i]->synopsis, commands[i]->summary);
	puts("\n"
	     "      --json         print JSON (vfio-inspect.schema.json describes it)\n"
	     "      --root FILE    read the machine captured in FILE, or unpacked in a folder\n"
	     "      --redact       leave out what identifies the machine or its people\n"
	     "      --color WHEN   auto (on a terminal, without NO_COLOR), always or never\n"
	     "  -h, --help         print this\n"
	     "  -V, --version      print the version\n"
	     "\n"
	     "Exit status: 0 done, 1 failed, 2 wrong usage; that of explain and diff is in\n"
	     "vfio-inspect(1).");
}

/* --- options ---------------------------------------------------------------------------------- */

static void options_of(const struct inspect_cmd *cmd, struct option all[MAX_OPTIONS])
{
	size_t n = 0;
	memset(all, 0, MAX_OPTIONS * sizeof(*all));
	for (; n < ARRAY_SIZE(common); n++)
		all[n] = common[n];
	for (const struct option *o = cmd->options; o && o->name && n < MAX_OPTIONS - 1; o++)
		all[n++] = *o;
}

static int set_root(const char *where)
{
	struct verr err = { .code = 0 };
	if (!where[0])
		return usage("--root: the name of the file is empty");
	int r = root_set(where, &err);
	return r < 0 ? inspect_fail(&err, r) : -1;
}

static int set_colour(struct state *s, const char *when)
{
	static const char *const names[] = { "auto", "always", "never" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(when, names[i]) == 0) {
			s->colour = i;
			return -1;
		}
	}
	return usage("--color takes auto, always or never, not %s", when);
}

static int bad_option(int c, char *const *argv)
{
	const char *last = argv[optind - 1];
	if (c == ':')
		return usage("an argument is missing after %s", last);
	if (strncmp(last, "--", 2) == 0)
		return usage("%s %s", optopt ? "an argument is not wanted by" : "unknown option",
			     last);
	return usage("unknown option -%c", optopt);
}

/* All options up to the first operand ("+") or of the whole rest. -1 to go on. */
static int parse_options(struct state *s, const struct inspect_cmd *cmd, const char *order,
			 int argc, char **argv)
{
	struct option all[MAX_OPTIONS];
	char shorts[8];
	int c, status = -1;
	options_of(cmd, all);
	snprintf(shorts, sizeof(shorts), "%s:hV", order);
	while (status < 0 && (c = getopt_long(argc, argv, shorts, all, NULL)) != -1) {
		struct verr err = { .code = 0 };
		switch (c) {
		case 'h':
			help();
			return INSPECT_OK;
		case 'V':
			puts("vfio-inspect " VV_VERSION);
			return INSPECT_OK;
		case OPT_JSON:
			s->in.json = true;
			break;
		case OPT_ROOT:
			status = set_root(optarg);
			break;
		case OPT_REDACT:
			s->redact = true;
			break;
		case OPT_COLOUR:
			status = set_colour(s, optarg);
			break;
		case '?':
		case ':':
			return bad_option(c, argv);
		default:
			if (cmd->option(c, optarg, &err) < 0)
				return usage("%s", err.msg);
		}
	}
	return status;
}

/* --- commands --------------------------------------------------------------------------------- */

static const struct inspect_cmd *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	struct bdf at;
	char text[300] = "";
	if (bdf_parse(name, &at, NULL) == 0) {
		fprintf(stderr, "vfio-inspect: what about %s? (run: vfio-inspect show %s)\n", name,
			name);
		return INSPECT_USAGE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? ", " : "",
			 commands[i]->name);
	fprintf(stderr, "vfio-inspect: there is no command %s; there are: %s\n", name, text);
	return INSPECT_USAGE;
}

static int parse_operands(struct inspect *in, const struct inspect_cmd *cmd)
{
	if (cmd->args == ARGS_NONE && in->n_args)
		return usage("%s takes no operands", cmd->name);
	if ((cmd->args == ARGS_BDF || cmd->args == ARGS_FILE) && !in->n_args)
		return usage("%s: no %s named", cmd->name,
			     cmd->args == ARGS_BDF ? "PCI function" : "file");
	if (cmd->args == ARGS_FILE && in->n_args > 1)
		return usage("%s takes one file", cmd->name);
	if (cmd->args == ARGS_FILE && !in->arg[0][0])
		return usage("%s: the name of the file is empty", cmd->name);
	if (cmd->args == ARGS_FILE || !in->n_args)
		return -1;
	in->bdf = calloc(in->n_args, sizeof(*in->bdf));
	if (!in->bdf) {
		fprintf(stderr, "vfio-inspect: out of memory\n");
		return INSPECT_FAILED;
	}
	for (unsigned int i = 0; i < in->n_args; i++) {
		struct verr err = { .code = 0 };
		if (bdf_parse(in->arg[i], &in->bdf[i], &err) < 0) {
			fprintf(stderr, "vfio-inspect: %s\n", err.msg);
			return INSPECT_USAGE;
		}
	}
	return -1;
}

/* `--watch` and `--diff OLD` are spellings of the commands: argv with the command in front, where
 * its options are known. The caller frees it; NULL without memory. */
static char **as_command(int *argc, char **argv)
{
	static char watch[] = "watch", diff[] = "diff";
	char **v = calloc((size_t)*argc + 3, sizeof(*v)), *found = NULL;
	int n = 2; /* [0] is the program's name, [1] the command's if one is found */
	if (!v)
		return NULL;
	for (int i = 1; i < *argc; i++) {
		bool is_diff = strcmp(argv[i], "--diff") == 0;
		bool has_file = strncmp(argv[i], "--diff=", 7) == 0;
		if (!found && (is_diff || has_file || strcmp(argv[i], "--watch") == 0)) {
			found = is_diff || has_file ? diff : watch;
			if (has_file)
				v[n++] = argv[i] + 7;
		} else if (n > 2 || strcmp(argv[i], commands[0]->name) != 0) {
			v[n++] = argv[i];
		}
	}
	if (!found) {
		memcpy(v, argv, (size_t)*argc * sizeof(*v));
		return v;
	}
	v[0] = argv[0];
	v[1] = found;
	*argc = n;
	return v;
}

static int parse(struct state *s, int argc, char **argv, const struct inspect_cmd **ret)
{
	const struct inspect_cmd *cmd = commands[0];
	int status = parse_options(s, cmd, "+", argc, argv);
	if (status >= 0)
		return status;
	if (optind < argc) {
		cmd = find_command(argv[optind]);
		if (!cmd)
			return unknown_command(argv[optind]);
		argc -= optind; /* the command's name stands where a program's does */
		argv += optind;
		optind = 0;
		status = parse_options(s, cmd, "", argc, argv);
		if (status >= 0)
			return status;
	}
	s->in.cmd = cmd->name;
	s->in.arg = argv + optind;
	s->in.n_args = (unsigned int)(argc - optind);
	if (s->redact && cmd == &inspect_watch)
		return usage("watch can't take --redact, which shows a copy that does not change");
	*ret = cmd;
	return parse_operands(&s->in, cmd);
}

/* A standard output that is closed stays one that can't be written to: what is printed there is
 * lost, and must not count as done. */
static void std_fds(void)
{
	bool closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
	sys_std_fds();
	int fd = closed ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		close(fd);
	}
}

/* The exit status, after all that was printed has arrived or has not. */
static int finish(int status, const struct inspect_cmd *cmd)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "vfio-inspect: can't write the output%s%s\n", errno ? ": " : "",
		errno ? strerror(errno) : "");
	return cmd && cmd->trouble ? cmd->trouble : status ? status : INSPECT_FAILED;
}

int main(int argc, char **argv)
{
	struct state s = { .in.out = stdout };
	const struct inspect_cmd *cmd = NULL;

	std_fds();
	char **words = as_command(&argc, argv);
	int status = words ? parse(&s, argc, words, &cmd) : INSPECT_FAILED;
	if (status < 0) {
		const char *no_colour = getenv("NO_COLOR");
		s.in.colour = s.colour == COLOUR_ALWAYS ||
			      (s.colour == COLOUR_AUTO && isatty(STDOUT_FILENO) &&
			       !(no_colour && no_colour[0]));
		struct verr err = { .code = 0 };
		int r = s.redact ? root_redact(&err) : 0;
		status = r < 0 ? inspect_fail(&err, r) : cmd->run(&s.in);
	}
	free(s.in.bdf);
	free(words);
	return finish(status, cmd);
}
