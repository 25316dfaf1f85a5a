// SPDX-License-Identifier: GPL-2.0-or-later
//
// `vfio-bind --status`: one line for every function that has a journal or is bound to vfio-pci.
// Reads only and takes no lock, so it may be asked while a transaction runs.
#include <errno.h>
#include <stdlib.h>

#include "vfio/bind_int.h"
#include "vfio/preflight_int.h"
#include "vfio/why.h"

static void print_before(FILE *out, const struct bind_journal *j)
{
	fprintf(out, "before: %s", j->driver[0] ? j->driver : "no driver");
	if (j->override[0])
		fprintf(out, ", driver_override %s", j->override);
}

static void print_journal(FILE *out, const struct bdf *at)
{
	struct bind_journal j;
	struct verr err = { .code = 0 };
	char name[BDF_STR_MAX];
	int r = bind_journal_read(at, &j, &err);
	bdf_str(at, name);
	if (r == -ENOENT) {
		fprintf(out, "not bound by vfio-bind");
	} else if (r < 0) {
		fprintf(out, "%s", err.msg);
	} else if (j.stale) {
		fprintf(out, "journal of an earlier boot (run: vfio-bind --restore %s)", name);
	} else {
		print_before(out, &j);
		if (!j.bound)
			fprintf(out, "; interrupted (run: vfio-bind --restore %s)", name);
	}
}

static void print_function(FILE *out, const struct hostpci_dev *d)
{
	char name[BDF_STR_MAX], node[32], who[128];
	fprintf(out, "%s  %s  ", bdf_str(&d->at, name), d->driver[0] ? d->driver : "unbound");
	if (d->group != HOSTPCI_NO_GROUP)
		fprintf(out, "group %u  ", d->group);
	print_journal(out, &d->at);
	snprintf(node, sizeof(node), "/dev/vfio/%u", d->group);
	if (preflight_is_vfio_driver(d->driver) && vfio_why_holder(node, who, sizeof(who)))
		fprintf(out, "; in use by %s", who);
	fputc('\n', out);
}

static bool listed(const struct bdf *at, const struct bdf *v, int n)
{
	for (int i = 0; i < n; i++) {
		if (bdf_equal(at, &v[i]))
			return true;
	}
	return false;
}

int bind_status(FILE *out, struct verr *reterr)
{
	struct bdf *journals = NULL;
	struct hostpci_dev *devs = NULL;
	struct verr err = { .code = 0 };
	int n_journals = bind_journal_list(&journals, &err);
	if (n_journals == -ENOENT)
		n_journals = 0;
	if (n_journals < 0)
		return verr_set(reterr, n_journals, "%s", err.msg);
	int n_devs = hostpci_list(&devs, reterr);

	for (int i = 0; i < n_devs; i++) {
		if (preflight_is_vfio_driver(devs[i].driver) ||
		    listed(&devs[i].at, journals, n_journals))
			print_function(out, &devs[i]);
	}
	for (int i = 0; n_devs >= 0 && i < n_journals; i++) {
		struct hostpci_dev d;
		char name[BDF_STR_MAX];
		if (hostpci_read(&journals[i], &d, NULL) != -ENODEV)
			continue;
		fprintf(out, "%s  gone  ", bdf_str(&journals[i], name));
		print_journal(out, &journals[i]);
		fputc('\n', out);
	}
	free(devs);
	free(journals);
	return n_devs < 0 ? n_devs : 0;
}
