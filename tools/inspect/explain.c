// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio-inspect explain: would these functions work in a guest, and if not, what mends it? The
// judging is vfio/preflight's, the same that vfio-vmm does before it starts; here it is printed.
// With --udev-rule it prints what lets a user open the functions' groups without root.
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/type.h"
#include "tools/inspect/inspect.h"
#include "vfio/preflight.h"
#include "vmm/machine_preflight.h"

#define EXPLAIN_SCHEMA	       "vfio-inspect-explain"
#define EXPLAIN_SCHEMA_VERSION 1
#define TEXT_COLUMN	       24

enum { EXIT_WILL_WORK = 0, EXIT_WILL_NOT = 1, EXIT_WARNINGS = 2 };
enum { OPT_MEMORY = 256, OPT_HUGEPAGES, OPT_UDEV_RULE };

static struct {
	uint64_t memory;
	bool hugepages;
	const char *user;	/* of --udev-rule */
} opt = { .memory = MIB(512) }; /* vfio-vmm's own default */

static const struct option options[] = {
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "hugepages", no_argument, NULL, OPT_HUGEPAGES },
	{ "udev-rule", required_argument, NULL, OPT_UDEV_RULE },
	{ NULL, 0, NULL, 0 },
};

/* --- options --------------------------------------------------------------------------------- */

/* It ends up inside a quoted string of a rule file: nothing but what user names consist of. */
static int check_user(const char *user, struct verr *reterr)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	size_t len = strlen(user);
	if (len == 0 || len > 32 || strspn(user, letters) != len || user[0] == '-')
		return verr_set(reterr, -EINVAL, "--udev-rule %.40s: that is no user name", user);
	/* The users of a captured machine are not ours to know. */
	if (!hostpci_root()[0] && !getpwnam(user))
		return verr_set(reterr, -ENOENT, "--udev-rule: this machine has no user %s", user);
	return 0;
}

static int option(int val, const char *arg, struct verr *reterr)
{
	switch (val) {
	case OPT_MEMORY: {
		int r = parse_size(arg, &opt.memory, reterr);
		if (r < 0)
			return verr_prefix(reterr, r, "--memory");
		if (opt.memory < MIB(2))
			return verr_set(reterr, -EINVAL, "--memory %s: a guest needs at least 2M",
					arg);
		return 0;
	}
	case OPT_HUGEPAGES:
		opt.hugepages = true;
		return 0;
	default:
		opt.user = arg;
		return 0;
	}
}

/* --- the udev rule --------------------------------------------------------------------------- */

static void print_rule(FILE *out, uint32_t group, const char *user)
{
	struct hostpci_dev *v;
	int n = hostpci_group(group, &v, NULL);

	fprintf(out, "# Lets %s use IOMMU group %" PRIu32 " without root. It holds:\n", user,
		group);
	for (int i = 0; i < n; i++) {
		char at[BDF_STR_MAX], name[128];
		if (v[i].header_type == 0)
			fprintf(out, "#   %s %s\n", bdf_str(&v[i].at, at),
				hostpci_name(&v[i], name, sizeof(name)));
	}
	if (n >= 0)
		free(v);
	fprintf(out,
		"# Install: put these lines into /etc/udev/rules.d/70-vfio-group-%" PRIu32
		".rules\n"
		"#   udevadm control --reload && udevadm trigger --subsystem-match=vfio\n"
		"# The number of a group may change when cards are added or moved: then print the\n"
		"# rule anew. %s also needs /dev/kvm (usermod -aG kvm %s) and locked memory for the\n"
		"# guest's RAM (%s - memlock KIB in /etc/security/limits.conf).\n"
		"SUBSYSTEM==\"vfio\", KERNEL==\"%" PRIu32 "\", OWNER=\"%s\", MODE=\"0600\"\n",
		group, user, user, user, group, user);
}

static int udev_rule(struct inspect *in)
{
	struct verr err = { .code = 0 };
	uint32_t *seen = calloc(in->n_args, sizeof(*seen));
	unsigned int n = 0;
	int r = seen ? check_user(opt.user, &err) : -ENOMEM;

	for (unsigned int i = 0; i < in->n_args && r == 0; i++) {
		struct hostpci_dev d;
		char at[BDF_STR_MAX];
		bool again = false;
		r = hostpci_read(&in->bdf[i], &d, &err);
		if (r == 0 && d.group == HOSTPCI_NO_GROUP)
			r = verr_set(&err, -ENOENT,
				     "%s has no IOMMU group that a rule could be made for (run: "
				     "vfio-inspect explain %s)",
				     bdf_str(&d.at, at), at);
		for (unsigned int j = 0; j < n && r == 0; j++)
			again |= seen[j] == d.group;
		if (r < 0 || again)
			continue;
		if (n)
			fputc('\n', in->out);
		seen[n++] = d.group;
		print_rule(in->out, d.group, opt.user);
	}
	free(seen);
	return r < 0 ? inspect_fail(&err, r) : EXIT_WILL_WORK;
}

/* --- text ------------------------------------------------------------------------------------ */

struct counts {
	unsigned int of[VERDICT_FAIL + 1];
};

static const char *plural(unsigned int n)
{
	return n == 1 ? "" : "s";
}

static void print_verdict(const struct inspect *in, const struct verdict *v)
{
	static const enum paint paint[] = { PAINT_GOOD, PAINT_DIM, PAINT_WARN, PAINT_BAD };
	char text[1200];
	paintf(in, paint[v->level], "%-4s", preflight_level_name(v->level));
	fprintf(in->out, "  %-16s  ", v->check);
	snprintf(text, sizeof(text), "%s%s%s%s", v->text, v->evidence[0] ? " [" : "", v->evidence,
		 v->evidence[0] ? "]" : "");
	paint_text(in, PAINT_PLAIN, TEXT_COLUMN, TEXT_COLUMN, text);
	if (!v->fix[0])
		return;
	fprintf(in->out, "%*s=> ", TEXT_COLUMN, "");
	paint_text(in, PAINT_HEAD, TEXT_COLUMN + 3, TEXT_COLUMN + 3, v->fix);
}

static void print_sum(const struct inspect *in, const struct counts *c)
{
	unsigned int fails = c->of[VERDICT_FAIL], warns = c->of[VERDICT_WARN],
		     unknown = c->of[VERDICT_UNKNOWN];
	if (fails)
		paintf(in, PAINT_BAD, "won't work: %u failure%s", fails, plural(fails));
	else
		paintf(in, warns ? PAINT_WARN : PAINT_GOOD, "will work");
	if (warns)
		fprintf(in->out, "%s %u warning%s", fails ? "," : " with", warns, plural(warns));
	if (unknown)
		fprintf(in->out, "; %u thing%s can't be told", unknown, plural(unknown));
	fprintf(in->out, " (guest RAM: %" PRIu64 " MiB)\n", opt.memory >> 20);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static const char *const level_json[] = { "ok", "unknown", "warn", "fail" };

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static int print_json(struct inspect *in, const struct preflight *p)
{
	static const char *const result[] = { "will-work", "will-work", "warnings", "will-not" };
	json_t *fns = json_array(), *verdicts = json_array();
	for (unsigned int i = 0; i < in->n_args; i++) {
		char at[BDF_STR_MAX];
		json_array_append_new(fns, json_string(bdf_str(&in->bdf[i], at)));
	}
	for (unsigned int i = 0; i < p->n; i++) {
		const struct verdict *v = &p->v[i];
		json_array_append_new(verdicts,
				      json_pack("{ss, ss, so, ss, so, so}", "level",
						level_json[v->level], "check", v->check, "function",
						text_or_null(v->function), "text", v->text,
						"evidence", text_or_null(v->evidence), "fix",
						text_or_null(v->fix)));
	}
	return inspect_json_print(in,
				  json_pack("{ss, si, so, sI, ss, so}", "schema", EXPLAIN_SCHEMA,
					    "version", EXPLAIN_SCHEMA_VERSION, "functions", fns,
					    "memory", (json_int_t)opt.memory, "result",
					    result[preflight_worst(p)], "verdicts", verdicts));
}

/* --------------------------------------------------------------------------------------------- */

static int explain(struct inspect *in)
{
	static const int status[] = { EXIT_WILL_WORK, EXIT_WILL_WORK, EXIT_WARNINGS,
				      EXIT_WILL_NOT };
	struct preflight_request req = { .bdfs = in->bdf,
					 .n_bdfs = in->n_args,
					 .ram_bytes = opt.memory,
					 .need_kvm = true,
					 .hugepages = opt.hugepages,
					 .peers = true,
					 .solve = pc_map_preflight };
	struct preflight p;
	struct counts c = { .of = { 0 } };

	if (opt.user)
		return udev_rule(in);
	int r = preflight_run(&req, &p);
	if (r < 0)
		return inspect_fail(NULL, r);
	int ret = status[preflight_worst(&p)];
	if (in->json) {
		if (print_json(in, &p) != INSPECT_OK)
			ret = EXIT_WILL_NOT;
	} else {
		for (unsigned int i = 0; i < p.n; i++) {
			print_verdict(in, &p.v[i]);
			c.of[p.v[i].level]++;
		}
		print_sum(in, &c);
	}
	preflight_fini(&p);
	return ret;
}

const struct inspect_cmd inspect_explain = {
	.name = "explain",
	.synopsis = "explain BDF... [--memory N]",
	.summary = "would these work in a guest, and if not, what to do",
	.args = ARGS_BDF,
	.options = options,
	.option = option,
	.run = explain,
};
