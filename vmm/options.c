// SPDX-License-Identifier: GPL-2.0-or-later
// The command line (see the header). Values are checked here as far as they can be without
// touching the machine, so that a wrong one is a usage error before anything happens.

#include "vmm/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "core/trace.h"
#include "core/type.h"
#include "pci/pcidev.h"
#include "vmm/accel_select.h"
#include "vmm/backend/chardevs.h"
#include "vmm/shorthand.h"
#include "vmm/tables.h"
#include "vmm/typearg.h"

struct opt_row {
	const char *name;
	const char *arg; /* NULL: a flag */
	const char *help;
	int (*take)(struct vmm_opts *o, const char *value, struct verr *reterr);
	/* Without take(): offset of the const char * it sets, or of the bool if a flag. */
	size_t str;
	const struct shorthand *expand; /* without take(): what it stands for; repeats */
	bool repeats;
	bool optional; /* the value may be missing; given, it comes after a '=' */
};

static int take_memory(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	int r = parse_size(v, &o->memory, reterr);

	if (r < 0)
		return verr_prefix(reterr, r, "--memory");
	if (o->memory < MIB(2) || !IS_ALIGNED(o->memory, KIB(4)))
		return verr_set(reterr, -EINVAL, "--memory %s: at least 2M, in whole pages of 4K",
				v);
	return 0;
}

static int take_cpus(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	uint64_t n;
	int r = parse_u64(v, 1, 255, &n, reterr);

	if (r < 0)
		return verr_prefix(reterr, r, "--cpus");
	o->cpus = (unsigned int)n;
	return 0;
}

static int take_reboot(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	o->reboot_restarts = strcmp(v, "restart") == 0;
	if (!o->reboot_restarts && strcmp(v, "exit") != 0)
		return verr_set(reterr, -EINVAL, "--reboot %s: must be \"restart\" or \"exit\"", v);
	return 0;
}

static int take_serial(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	int r = chr_check(v, reterr);

	o->serial = v;
	return r < 0 ? verr_prefix(reterr, r, "--serial") : 0;
}

static int add_device(struct vmm_opts *o, const char *prefix, const char *v, struct verr *reterr)
{
	if (o->n_devices == VMM_MAX_DEVICES)
		return verr_set(reterr, -E2BIG, "more than %d devices", VMM_MAX_DEVICES);
	if (asprintf(&o->devices[o->n_devices], "%s%s", prefix, v) < 0)
		return verr_set(reterr, -ENOMEM, "out of memory");
	o->n_devices++;
	return 0;
}

static int take_device(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	return add_device(o, "", v, reterr);
}

static int add_backend(struct vmm_opts *o, enum backend_kind kind, const char *v,
		       struct verr *reterr)
{
	if (o->n_backends == VMM_MAX_BACKENDS)
		return verr_set(reterr, -E2BIG, "more than %d back ends", VMM_MAX_BACKENDS);
	char *arg = strdup(v);
	if (!arg)
		return verr_set(reterr, -ENOMEM, "out of memory");
	o->backends[o->n_backends++] = (struct vmm_backend_arg){ .kind = kind, .arg = arg };
	return 0;
}

static int take_blockdev(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	return add_backend(o, BACKEND_BLOCK, v, reterr);
}

static int take_netdev(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	return add_backend(o, BACKEND_NET, v, reterr);
}

static int take_chardev(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	return add_backend(o, BACKEND_CHAR, v, reterr);
}

static int take_shorthand(struct vmm_opts *o, const struct opt_row *row, const char *v,
			  struct verr *reterr)
{
	const struct shorthand *s = row->expand;
	char *backend = NULL, *device = NULL;
	unsigned int n = 0;

	/* Its number: how many of them there are already. */
	for (unsigned int i = 0; s->forms && i < o->n_backends; i++)
		n += o->backends[i].shorthand == s;
	int r = shorthand_expand(s, row->name, v, n, &backend, &device, reterr);
	if (r == 0 && backend) {
		r = add_backend(o, s->kind, backend, reterr);
		if (r == 0)
			o->backends[o->n_backends - 1].shorthand = s;
	}
	if (r == 0)
		r = add_device(o, "", device, reterr);
	free(backend);
	free(device);
	return r;
}

/* Exactly --device vfio-pci,host=... ; the address is looked at first, as "vfio-pci,host=" before
 * a message about it would only confuse. */
static int take_assign(struct vmm_opts *o, const char *v, struct verr *reterr)
{
	char at[64];
	struct bdf bdf;
	size_t n = strcspn(v, ",");

	if (n >= sizeof(at))
		return verr_set(reterr, -EINVAL, "--assign %s: not a PCI address", v);
	memcpy(at, v, n);
	at[n] = '\0';
	int r = bdf_parse(at, &bdf, reterr);
	if (r < 0)
		return verr_prefix(reterr, r, "--assign");
	return add_device(o, "vfio-pci,host=", v, reterr);
}

static const struct shorthand balloon_shorthand = { .device = "virtio-balloon" };
static const struct shorthand rng_shorthand = { .device = "virtio-rng" };
static const struct shorthand vsock_shorthand = { .device = "virtio-vsock" };

static const struct shorthand_form disk_forms[] = { { "path", "file", "path" }, { .word = NULL } };
static const struct shorthand disk_shorthand = { .device = "virtio-blk",
						 .link = "drive",
						 .id = "disk",
						 .forms = disk_forms,
						 .kind = BACKEND_BLOCK };

static const struct shorthand_form console_forms[] = {
	{ "stdio", "stdio", NULL }, { "pty", "pty", NULL },   { "socket", "socket", "path" },
	{ "file", "file", "path" }, { "null", "null", NULL }, { .word = NULL },
};
static const struct shorthand console_shorthand = { .device = "virtio-console",
						    .link = "chardev",
						    .id = "con",
						    .forms = console_forms,
						    .kind = BACKEND_CHAR };

static const struct shorthand_form net_forms[] = { { "tap", "tap", "ifname" },
						   { "user", "user", NULL },
						   { .word = NULL } };
static const struct shorthand net_shorthand = { .device = "virtio-net",
						.link = "netdev",
						.id = "net",
						.forms = net_forms,
						.kind = BACKEND_NET };

#define STR(field) .str = offsetof(struct vmm_opts, field)

static const struct opt_row rows[] = {
	{ "assign", "BDF[,P=V]", "pass a host PCI function to the guest (repeatable)",
	  .take = take_assign, .repeats = true },
	{ "kernel", "FILE", "bzImage or ELF vmlinux", STR(kernel) },
	{ "initrd", "FILE", "initial RAM disk", STR(initrd) },
	{ "cmdline", "TEXT", "kernel command line, added to the defaults", STR(cmdline) },
	{ "memory", "SIZE", "guest RAM: K, M, G, T; a bare number is MiB (512M)",
	  .take = take_memory },
	{ "cpus", "N", "vCPUs, 1 to 255 (1)", .take = take_cpus },
	{ "device", "TYPE[,P=V]", "add a device (repeatable); \"help\", \"TYPE,help\"",
	  .take = take_device, .repeats = true },
	{ "disk", "path=FILE[,P=V]", "a disk: --blockdev file and --device virtio-blk (repeatable)",
	  .expand = &disk_shorthand },
	{ "net", "tap=IF|user[,P=V]",
	  "a network card: --netdev and --device virtio-net (repeatable)",
	  .expand = &net_shorthand },
	{ "blockdev", "T,id=ID[,P=V]", "add what is behind a disk (repeatable); \"help\"",
	  .take = take_blockdev, .repeats = true },
	{ "netdev", "T,id=ID[,P=V]", "add what is behind a network card (repeatable); \"help\"",
	  .take = take_netdev, .repeats = true },
	{ "chardev", "T,id=ID[,P=V]", "add what is behind a console (repeatable); \"help\"",
	  .take = take_chardev, .repeats = true },
	{ "console", "WHERE[,P=V]",
	  "virtio console hvc0: stdio, pty, socket=PATH, file=PATH, null (repeatable)",
	  .expand = &console_shorthand },
	{ "balloon", "P=V", "takes memory from the guest on request: --device virtio-balloon",
	  .expand = &balloon_shorthand, .optional = true },
	{ "rng", "P=V", "random numbers for the guest: --device virtio-rng",
	  .expand = &rng_shorthand, .optional = true },
	{ "vsock", "cid=N[,P=V]", "sockets between host and guest: --device virtio-vsock",
	  .expand = &vsock_shorthand },
	{ "serial", "SPEC", "serial port: stdio, none, null, file:PATH, pty, socket:PATH (stdio)",
	  .take = take_serial },
	{ "machine", "TYPE[,P=V]", "machine type (pc); \"help\"", STR(machine) },
	{ "accel", "LIST", "accelerators in order, NAME[,P=V]:... (kvm); \"help\"", STR(accel) },
	{ "control", "PATH", "JSON control socket", STR(control) },
	{ "reboot", "MODE", "guest reboot: restart or exit (restart)", .take = take_reboot },
	{ "trace", "GLOBS", "trace points, e.g. 'vfio_*,msix_*'; \"help\"", STR(trace) },
	{ "log", "LEVEL", "err, warn, info or debug[,file=PATH] (warn)", STR(log) },
	{ "timing", NULL, "print how long each phase of the start took", STR(timing) },
	{ "dry-run", NULL, "print the plan and why it would fail; start nothing", STR(dry_run) },
	{ "version", NULL, "print the version", .take = NULL },
	{ "help", NULL, "print this", .take = NULL },
};

void options_help(FILE *out)
{
	fprintf(out, "usage: vfio-vmm --assign BDF --kernel FILE [options]\n"
		     "Runs a virtual machine with host PCI devices assigned through VFIO.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s%s", rows[i].name,
			 rows[i].optional ? "[="
			 : rows[i].arg	  ? " "
					  : "",
			 rows[i].arg ? rows[i].arg : "", rows[i].optional ? "]" : "");
		fprintf(out, "  %-22s %s\n", left, rows[i].help);
	}
	fprintf(out,
		"\nexit status: 0 powered off, 1 set-up failed, 2 usage, 3 guest crashed,\n"
		"             4 device lost or reclaimed\n"
		"example: vfio-vmm --assign 0000:03:00.0 --kernel bzImage --initrd initrd.img\n");
}

/* ---- help inside values ---------------------------------------------------------------------- */

static bool help_device(const char *v, FILE *out)
{
	char name[64];
	const char *rest;

	if (type_split(v, name, sizeof(name), &rest) < 0)
		return false;
	if (strcmp(name, "help") == 0 && !rest) {
		const struct type_desc *user[64];
		size_t n = 0;

		for (size_t i = 0; dev_types[i] && n + 1 < ARRAY_SIZE(user); i++)
			if (dev_types[i]->user)
				user[n++] = &dev_types[i]->t;
		user[n] = NULL;
		type_help_list(out, "device", user);
		return true;
	}
	if (!rest || strcmp(rest, "help") != 0)
		return false;
	for (size_t i = 0; dev_types[i]; i++) {
		if (!dev_types[i]->user || strcmp(dev_types[i]->t.name, name) != 0)
			continue;
		type_help_props(out, &dev_types[i]->t,
				dev_types[i]->pci ? pcidev_common_props : NULL);
		return true;
	}
	return false;
}

static bool help_types(const char *v, const char *kind, const struct type_desc *const *types,
		       const struct prop *shared, FILE *out)
{
	char name[64];
	const char *rest;

	if (type_split(v, name, sizeof(name), &rest) < 0)
		return false;
	if (strcmp(name, "help") == 0 && !rest) {
		type_help_list(out, kind, types);
		return true;
	}
	if (!rest || strcmp(rest, "help") != 0)
		return false;
	for (size_t i = 0; types[i]; i++) {
		if (strcmp(types[i]->name, name) == 0) {
			type_help_props(out, types[i], shared);
			return true;
		}
	}
	return false;
}

static bool help_value(const char *option, const char *v, FILE *out)
{
	if (strcmp(option, "device") == 0)
		return help_device(v, out);
	if (strcmp(option, "machine") == 0)
		return help_types(v, "machine", (const struct type_desc *const *)machine_types,
				  NULL, out);
	if (strcmp(option, "accel") == 0)
		return help_types(v, "accelerator", (const struct type_desc *const *)accel_types,
				  NULL, out);
	for (unsigned int k = 0; k < BACKEND_N_KINDS; k++)
		if (strcmp(option, backend_kind_names[k]) == 0)
			return help_types(v, option,
					  (const struct type_desc *const *)backend_types[k],
					  backend_common_props, out);
	if (strcmp(v, "help") != 0)
		return false;
	if (strcmp(option, "serial") == 0)
		chr_help(out);
	else if (strcmp(option, "trace") == 0)
		trace_help(out);
	else
		return false;
	return true;
}

/* ---- parsing --------------------------------------------------------------------------------- */

static const struct opt_row *find_row(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
			return &rows[i];
	return NULL;
}

static int unknown(const char *name, size_t len, struct verr *reterr)
{
	const char *names[ARRAY_SIZE(rows)];
	char given[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		names[i] = rows[i].name;
	snprintf(given, sizeof(given), "%.*s", (int)MIN(len, sizeof(given) - 1), name);
	const char *near = nearest_name(given, names, ARRAY_SIZE(rows));
	return verr_set(reterr, -EINVAL, "unknown option --%s%s%s%s (see --help)", given,
			near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

static int set_value(struct vmm_opts *o, const struct opt_row *row, const char *v,
		     struct verr *reterr)
{
	if (row->take)
		return row->take(o, v, reterr);
	if (row->expand)
		return take_shorthand(o, row, v ? v : "", reterr);
	if (!row->arg)
		*(bool *)((char *)o + row->str) = true;
	else
		*(const char **)((char *)o + row->str) = v;
	return 0;
}

/* Opening `file` would truncate it: not what is about to be booted. */
static int check_overwrite(const struct vmm_opts *o, const char *option, const char *value,
			   const char *file, struct verr *reterr)
{
	const char *const used[][2] = { { "kernel", o->kernel }, { "initrd", o->initrd } };
	struct stat a, b;

	for (size_t i = 0; i < ARRAY_SIZE(used) && file; i++) {
		if (!used[i][1] || sys->stat(file, &a) < 0 || sys->stat(used[i][1], &b) < 0 ||
		    a.st_dev != b.st_dev || a.st_ino != b.st_ino)
			continue;
		return verr_set(reterr, -EINVAL,
				"--%s %s would overwrite the file of --%s: choose another one",
				option, value, used[i][0]);
	}
	return 0;
}

static int check_backend(const struct vmm_opts *o, const struct vmm_backend_arg *b,
			 struct verr *reterr)
{
	struct backend_common common = { 0 };
	const struct backend_type *type = NULL;
	void *cfg = NULL;

	int r = typearg_backend(b->kind, b->arg, &type, &cfg, &common, reterr);
	if (r == 0)
		r = check_overwrite(o, backend_kind_names[b->kind], b->arg,
				    chr_backend_overwrites(type, cfg), reterr);
	if (type)
		props_free(&type->t, cfg);
	props_clear(backend_common_props, &common);
	return r;
}

static int finish(struct vmm_opts *o, struct verr *reterr)
{
	if (o->initrd && !o->kernel)
		return verr_set(reterr, -EINVAL, "--initrd without --kernel");
	if (o->cmdline && !o->kernel)
		return verr_set(reterr, -EINVAL, "--cmdline without --kernel");
	int r = accel_list_check(o->accel, reterr);
	if (r == 0)
		r = check_overwrite(o, "serial", o->serial,
				    strncmp(o->serial, "file:", 5) == 0 ? o->serial + 5 : NULL,
				    reterr);
	if (r == 0)
		r = typearg_check_machine(o->machine, reterr);
	for (unsigned int i = 0; i < o->n_backends && r == 0; i++)
		r = check_backend(o, &o->backends[i], reterr);
	for (unsigned int i = 0; i < o->n_devices && r == 0; i++)
		r = typearg_check_device(o->devices[i], reterr);
	return r;
}

enum options_result options_parse(int argc, char **argv, struct vmm_opts *o, FILE *out,
				  struct verr *reterr)
{
	bool seen[ARRAY_SIZE(rows)] = { false };

	memset(o, 0, sizeof(*o));
	o->memory = MIB(512);
	o->cpus = 1;
	o->serial = "stdio";
	o->machine = "pc";
	o->accel = "kvm";
	o->reboot_restarts = true;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (strcmp(a, "-h") == 0)
			a = "--help";
		if (strncmp(a, "--", 2) != 0 || a[2] == '\0') {
			verr_set(reterr, -EINVAL, "unexpected argument \"%s\" (see --help)", a);
			return OPTIONS_BAD;
		}
		const char *eq = strchr(a, '=');
		size_t len = eq ? (size_t)(eq - a) - 2 : strlen(a) - 2;
		const struct opt_row *row = find_row(a + 2, len);
		if (!row) {
			unknown(a + 2, len, reterr);
			return OPTIONS_BAD;
		}
		if (strcmp(row->name, "help") == 0) {
			options_help(out);
			return OPTIONS_DONE;
		}
		if (strcmp(row->name, "version") == 0) {
			fprintf(out, "vfio-vmm %s\n", VV_VERSION);
			return OPTIONS_DONE;
		}
		bool needs = row->arg && !row->optional;
		if (needs ? !eq && i + 1 == argc : !row->arg && eq) {
			verr_set(reterr, -EINVAL,
				 row->arg ? "--%s needs a value: %s" : "--%s takes no value%s",
				 row->name, row->arg ? row->arg : "");
			return OPTIONS_BAD;
		}
		const char *v = eq ? eq + 1 : needs ? argv[++i] : NULL;
		if (seen[row - rows] && !row->repeats && !row->expand) {
			verr_set(reterr, -EINVAL, "--%s given twice", row->name);
			return OPTIONS_BAD;
		}
		seen[row - rows] = true;
		if (v && help_value(row->name, v, out))
			return OPTIONS_DONE;
		if (set_value(o, row, v, reterr) < 0)
			return OPTIONS_BAD;
	}
	return finish(o, reterr) < 0 ? OPTIONS_BAD : OPTIONS_RUN;
}

void options_fini(struct vmm_opts *o)
{
	for (unsigned int i = 0; i < o->n_devices; i++)
		free(o->devices[i]);
	for (unsigned int i = 0; i < o->n_backends; i++)
		free(o->backends[i].arg);
	o->n_devices = o->n_backends = 0;
}
