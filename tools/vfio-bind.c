// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio-bind: hands PCI functions to vfio-pci and gives them back. Parses the command line, loads
// the vfio-pci module where it is missing, prints; the work is vfio/bind.c's.
#include <errno.h>
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cc.h"
#include "core/sys.h"
#include "pci/bdf.h"
#include "vfio/bind.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct args {
	enum { ACT_BIND, ACT_RESTORE, ACT_STATUS } action;
	struct bind_opts opts;
	struct bdf *bdfs;
	unsigned int n;
};

static const char help_text[] =
	"Usage: vfio-bind [--group] [--dry-run] [--force-in-use] BDF...\n"
	"       vfio-bind --restore [--dry-run] [--force-in-use] [BDF...]\n"
	"       vfio-bind --status\n"
	"\n"
	"Binds PCI functions to vfio-pci, all or none, so that a virtual machine can use them,\n"
	"and gives them back to the drivers they had. BDF is an address such as 0000:03:00.0 or\n"
	"03:00.0 (see: lspci -D).\n"
	"\n"
	"  -g, --group         bind every endpoint of the functions' IOMMU groups\n"
	"  -r, --restore       give back the named functions, or all that vfio-bind has bound;\n"
	"                      also mends what an interrupted vfio-bind left behind\n"
	"  -s, --status        list functions that are bound to vfio-pci or have a journal\n"
	"  -n, --dry-run       print every write to sysfs, change nothing\n"
	"      --force-in-use  go on although something uses the function (a mounted file\n"
	"                      system, swap, the default route, the console, a running VM)\n"
	"  -h, --help          print this\n"
	"  -V, --version       print the version\n"
	"\n"
	"Exit status: 0 done, 1 failed and undone, 2 wrong usage.\n";

static int usage(const char *what)
{
	fprintf(stderr, "vfio-bind: %s (see: vfio-bind --help)\n", what);
	return EXIT_USAGE;
}

/* getopt stands past a long option, but still on a cluster of short ones. */
static int bad_option(char *const *argv)
{
	char text[128];
	const char *last = argv[optind - 1];
	if (strncmp(last, "--", 2) == 0)
		snprintf(text, sizeof(text), "%s option %.64s",
			 optopt ? "an argument is not wanted by" : "unknown", last);
	else
		snprintf(text, sizeof(text), "unknown option -%c", optopt);
	return usage(text);
}

static int parse_functions(struct args *a, char **argv, int n)
{
	a->bdfs = (struct bdf *)calloc((size_t)n + 1, sizeof(*a->bdfs));
	if (!a->bdfs) {
		fprintf(stderr, "vfio-bind: out of memory\n");
		return EXIT_FAILED;
	}
	for (int i = 0; i < n; i++) {
		struct verr err = { .code = 0 };
		if (bdf_parse(argv[i], &a->bdfs[i], &err) < 0) {
			fprintf(stderr, "vfio-bind: %s\n", err.msg);
			return EXIT_USAGE;
		}
		a->n++;
	}
	return -1;
}

static int check_combination(const struct args *a)
{
	if (a->action == ACT_BIND && a->n == 0)
		return usage("no PCI function named");
	if (a->action != ACT_BIND && a->opts.group)
		return usage("--group goes with binding only");
	if (a->action == ACT_STATUS && (a->n || a->opts.dry_run || a->opts.force_in_use))
		return usage("--status takes nothing else");
	return -1;
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "group", no_argument, NULL, 'g' },	    { "restore", no_argument, NULL, 'r' },
		{ "status", no_argument, NULL, 's' },	    { "dry-run", no_argument, NULL, 'n' },
		{ "force-in-use", no_argument, NULL, 'F' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },	    { NULL, 0, NULL, 0 },
	};
	bool restore = false, status = false;
	int c;
	while ((c = getopt_long(argc, argv, ":grsnhV", options, NULL)) != -1) {
		switch (c) {
		case 'g':
			a->opts.group = true;
			break;
		case 'r':
			restore = true;
			break;
		case 's':
			status = true;
			break;
		case 'n':
			a->opts.dry_run = true;
			break;
		case 'F':
			a->opts.force_in_use = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return EXIT_OK;
		case 'V':
			puts("vfio-bind " VV_VERSION);
			return EXIT_OK;
		default:
			return bad_option(argv);
		}
	}
	if (restore && status)
		return usage("--restore and --status exclude each other");
	a->action = restore ? ACT_RESTORE : status ? ACT_STATUS : ACT_BIND;
	int r = parse_functions(a, argv + optind, argc - optind);
	return r >= 0 ? r : check_combination(a);
}

/* Its failure needs no word of its own: the driver is then missing, which bind_to_vfio() says. */
static void load_vfio_pci(void)
{
	static char *const argv[] = { (char *)"modprobe", (char *)"vfio-pci", NULL };
	pid_t pid;
	if (access("/sys/bus/pci/drivers/vfio-pci", F_OK) == 0)
		return;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int run(struct args *a)
{
	struct verr err = { .code = 0 };
	int r;
	if (a->action == ACT_STATUS) {
		r = bind_status(stdout, &err);
	} else if (!a->opts.dry_run && geteuid() != 0) {
		fprintf(stderr,
			"vfio-bind: must be run as root to change drivers (run: sudo vfio-bind "
			"..., or add --dry-run to see what it would do)\n");
		return EXIT_FAILED;
	} else if (a->action == ACT_RESTORE) {
		r = bind_restore(a->bdfs, a->n, &a->opts, &err);
	} else {
		if (!a->opts.dry_run)
			load_vfio_pci();
		r = bind_to_vfio(a->bdfs, a->n, &a->opts, &err);
	}
	if (r >= 0)
		return EXIT_OK;
	fprintf(stderr, "vfio-bind: %s\n", err.msg[0] ? err.msg : strerror(-r));
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct args a = { .opts = { .out = stdout } };

	sys_std_fds();
	int status = parse(argc, argv, &a);
	if (status < 0)
		status = run(&a);
	free(a.bdfs);
	return status;
}
