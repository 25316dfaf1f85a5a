// SPDX-License-Identifier: GPL-2.0-or-later
//
// The transaction: all functions go to vfio-pci or none does. Under one lock: look at everything,
// refuse what must be refused, write every journal, only then change the first function; on
// failure undo in reverse and drop the journals. A journal that an interrupted run left behind is
// kept as it is: it, not the half-changed present, says what the function was.
#include "vfio/bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "vfio/bind_int.h"
#include "vfio/preflight_int.h"
#include "vfio/why.h"

#define PATH_SIZE 512

struct item {
	struct hostpci_dev d;
	struct bind_journal j;
	bool journalled; /* a journal is on disk */
	bool touched;
};

struct plan {
	struct item *v;
	unsigned int n, cap;
	const struct bind_opts *o;
};

static int enter(int *ret_lock, struct verr *reterr)
{
	int r = bind_journal_folder(reterr);
	if (r == 0)
		r = bind_journal_lock(ret_lock, reterr);
	if (r == 0)
		bind_journal_tidy();
	return r;
}

/* --- which functions ------------------------------------------------------------------------- */

static bool planned(const struct plan *p, const struct bdf *at)
{
	for (unsigned int i = 0; i < p->n; i++) {
		if (bdf_equal(&p->v[i].d.at, at))
			return true;
	}
	return false;
}

static int plan_add(struct plan *p, const struct hostpci_dev *d, struct verr *reterr)
{
	if (planned(p, &d->at))
		return 0;
	if (p->n == p->cap) {
		unsigned int cap = p->cap ? p->cap * 2 : 8;
		struct item *v = (struct item *)reallocarray(p->v, cap, sizeof(*v));
		if (!v)
			return verr_set(reterr, -ENOMEM, "out of memory");
		p->v = v;
		p->cap = cap;
	}
	memset(&p->v[p->n], 0, sizeof(p->v[p->n]));
	p->v[p->n++].d = *d;
	return 0;
}

/* Bridges of the group stay with the host: VFIO does not mind them. */
static int plan_add_group(struct plan *p, uint32_t group, struct verr *reterr)
{
	struct hostpci_dev *v;
	int n = hostpci_group(group, &v, reterr), r = 0;
	if (n < 0)
		return n;
	for (int i = 0; r == 0 && i < n; i++) {
		if (v[i].header_type == 0)
			r = plan_add(p, &v[i], reterr);
	}
	free(v);
	return r;
}

static int plan_function(struct plan *p, const struct bdf *at, struct verr *reterr)
{
	struct hostpci_dev d;
	char name[BDF_STR_MAX];
	int r = hostpci_read(at, &d, reterr);
	if (r < 0)
		return r;
	bdf_str(at, name);
	if (d.header_type != 0)
		return verr_set(
			reterr, -EINVAL,
			"%s is a bridge, which can't be bound to vfio-pci (name the functions "
			"behind it)",
			name);
	if (d.group == HOSTPCI_NO_GROUP)
		return verr_set(reterr, -ENXIO, "%s has no IOMMU group (%s)", name,
				preflight_iommu_fix());
	r = plan_add(p, &d, reterr);
	if (r == 0 && p->o->group)
		r = plan_add_group(p, d.group, reterr);
	return r;
}

static bool is_bound(const struct hostpci_dev *d)
{
	return preflight_is_vfio_driver(d->driver);
}

/* --- refusals -------------------------------------------------------------------------------- */

static int check_use(const struct plan *p, const struct hostpci_dev *d, struct verr *reterr)
{
	char why[400] = "", name[BDF_STR_MAX], ifname[64];
	bdf_str(&d->at, name);
	if (bind_in_use(&d->at, why, sizeof(why))) {
		if (!p->o->force_in_use)
			return verr_set(
				reterr, -EBUSY,
				"%s is in use: %s (end that use, or insist with --force-in-use)",
				name, why);
		bind_say(p->o, "warning: %s is in use: %s", name, why);
	} else if (bind_interface_up(&d->at, ifname, sizeof(ifname))) {
		bind_say(p->o, "warning: network interface %s of %s is up", ifname, name);
	}
	return 0;
}

static int check_driver_there(struct verr *reterr)
{
	char path[PATH_SIZE];
	int r = sys->access(hostpci_path(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci"),
			    F_OK);
	if (r == -ENOENT)
		return verr_set(reterr, r,
				"the driver vfio-pci is not loaded (run: modprobe vfio-pci)");
	return r < 0 ? verr_prefix(reterr, r, "can't look at %s", path) : 0;
}

static int plan_make(struct plan *p, const struct bdf *bdfs, unsigned int n, struct verr *reterr)
{
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < n; i++)
		r = plan_function(p, &bdfs[i], reterr);
	for (unsigned int i = 0; r == 0 && i < p->n; i++) {
		if (!is_bound(&p->v[i].d))
			r = check_use(p, &p->v[i].d, reterr);
	}
	return r == 0 ? check_driver_there(reterr) : r;
}

/* --- journals -------------------------------------------------------------------------------- */

/* Reads the one that is there, or notes the present. */
static int journal_prepare(struct item *it, struct verr *reterr)
{
	int r = bind_journal_read(&it->d.at, &it->j, reterr);
	if (r < 0 && r != -ENOENT)
		return r;
	it->journalled = r == 0 && !it->j.stale;
	if (!it->journalled && !is_bound(&it->d))
		bind_step_note(&it->d, &it->j);
	return 0;
}

static int journal_all(struct plan *p, struct verr *reterr)
{
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < p->n; i++) {
		struct item *it = &p->v[i];
		r = journal_prepare(it, reterr);
		if (r < 0 || is_bound(&it->d))
			continue;
		it->touched = true; /* its journal may now be there */
		if (!it->journalled)
			r = bind_journal_write(&it->j, reterr);
	}
	return r;
}

/* Bound and verified; also for one that an interrupted run had brought so far. */
static int journal_bound(struct item *it, struct verr *reterr)
{
	if (!it->touched && (!it->journalled || it->j.bound))
		return 0;
	it->j.bound = true;
	return bind_journal_write(&it->j, reterr);
}

/* --- the transaction ------------------------------------------------------------------------- */

static int undo_one(const struct item *it, struct verr *reterr)
{
	/* Quietly and for real, whatever the user asked to see. */
	static const struct bind_opts quiet = { .out = NULL };
	int r = bind_step_back(&it->j, &quiet, reterr);
	return r < 0 ? r : bind_journal_remove(&it->d.at, reterr);
}

/* Returns `code` with the cause in reterr, and what could not be undone behind it. */
static int undo(struct plan *p, int code, struct verr *reterr)
{
	struct verr why = { .code = 0 };
	unsigned int failed = 0;
	for (unsigned int i = p->n; i-- > 0;) {
		if (p->v[i].touched && undo_one(&p->v[i], &why) < 0)
			failed++;
	}
	if (failed == 0 || !reterr)
		return code;
	struct verr cause = *reterr;
	verr_clear(reterr);
	return verr_set(reterr, code,
			"%.220s; undoing it failed: %.200s (run: vfio-bind --restore)", cause.msg,
			why.msg);
}

static int carry_out(struct plan *p, struct verr *reterr)
{
	char name[BDF_STR_MAX];
	int r = journal_all(p, reterr);
	for (unsigned int i = 0; r == 0 && i < p->n; i++) {
		struct item *it = &p->v[i];
		if (it->touched)
			r = bind_step_to_vfio(&it->d, p->o, reterr);
		if (r == 0)
			r = journal_bound(it, reterr);
		if (r == 0)
			bind_say(p->o, "%s is bound to %s%s", bdf_str(&it->d.at, name),
				 it->touched ? "vfio-pci" : it->d.driver,
				 it->touched ? "" : " already");
	}
	return r < 0 ? undo(p, r, reterr) : 0;
}

static int rehearse(struct plan *p, struct verr *reterr)
{
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < p->n; i++) {
		if (!is_bound(&p->v[i].d))
			r = bind_step_to_vfio(&p->v[i].d, p->o, reterr);
	}
	return r;
}

/* Bound is not yet usable: say what else the group needs. */
static void say_blockers(const struct plan *p)
{
	char text[400];
	for (unsigned int i = 0; i < p->n; i++) {
		uint32_t group = p->v[i].d.group;
		bool said = false;
		for (unsigned int j = 0; j < i; j++)
			said |= p->v[j].d.group == group;
		if (!said && preflight_group_blockers(group, text, sizeof(text)) > 0)
			bind_say(p->o, "warning: group %u is not viable yet: %s", group, text);
	}
}

int bind_to_vfio(const struct bdf *bdfs, unsigned int n, const struct bind_opts *opts,
		 struct verr *reterr)
{
	struct plan p = { .o = opts };
	int lock = -1;
	int r = opts->dry_run ? 0 : enter(&lock, reterr);
	if (r == 0)
		r = plan_make(&p, bdfs, n, reterr);
	if (r == 0)
		r = opts->dry_run ? rehearse(&p, reterr) : carry_out(&p, reterr);
	if (r == 0 && !opts->dry_run && opts->out)
		say_blockers(&p);
	sys_close_fd(&lock);
	free(p.v);
	return r;
}

/* --- giving back ----------------------------------------------------------------------------- */

static int no_journal(const struct bdf *at, const struct bind_opts *o, struct verr *reterr)
{
	struct hostpci_dev d;
	char name[BDF_STR_MAX];
	int r = hostpci_read(at, &d, reterr);
	if (r < 0)
		return r;
	bdf_str(at, name);
	if (is_bound(&d))
		return verr_set(reterr, -ENOENT,
				"%s was bound to %s by something other than vfio-bind: what it was "
				"before is not known",
				name, d.driver);
	bind_say(o, "%s is not bound to vfio-pci: nothing to give back", name);
	return 0;
}

/* Unbinding vfio-pci waits, for ever if need be, for whoever has the function open. */
static int check_held(const struct bdf *at, const struct bind_opts *o, struct verr *reterr)
{
	struct hostpci_dev d;
	char node[32], who[128], name[BDF_STR_MAX];
	if (hostpci_read(at, &d, NULL) < 0 || !is_bound(&d) || d.group == HOSTPCI_NO_GROUP)
		return 0;
	snprintf(node, sizeof(node), "/dev/vfio/%u", d.group);
	if (!vfio_why_holder(node, who, sizeof(who)))
		return 0;
	bdf_str(at, name);
	if (!o->force_in_use)
		return verr_set(reterr, -EBUSY,
				"%s is in use by %s (stop it, or insist with --force-in-use)", name,
				who);
	bind_say(o, "warning: %s is in use by %s", name, who);
	return 0;
}

/* 1 restored, 0 nothing to do, -errno. */
static int restore_one(const struct bdf *at, const struct bind_opts *o, struct verr *reterr)
{
	struct bind_journal j;
	char name[BDF_STR_MAX];
	int r = bind_journal_read(at, &j, reterr);
	if (r == -ENOENT)
		return no_journal(at, o, reterr);
	if (r < 0)
		return r;
	bdf_str(at, name);
	if (j.stale) {
		bind_say(o, "%s: its journal is of an earlier boot and is dropped", name);
		return o->dry_run ? 0 : bind_journal_remove(at, reterr);
	}
	r = check_held(at, o, reterr);
	if (r == 0)
		r = bind_step_back(&j, o, reterr);
	if (r < 0)
		return r;
	bool gone = r == 1;
	if (!o->dry_run) {
		r = bind_journal_remove(at, reterr);
		if (r < 0)
			return r;
		if (!gone)
			bind_say(o, "%s is back with %s", name,
				 j.driver[0] ? j.driver : "no driver");
	}
	return !gone;
}

/* One that fails does not keep the others from going home. */
static int restore_each(const struct bdf *bdfs, unsigned int n, const struct bind_opts *o,
			struct verr *reterr)
{
	int done = 0, worst = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct verr err = { .code = 0 };
		int r = restore_one(&bdfs[i], o, &err);
		if (r > 0)
			done++;
		if (r >= 0)
			continue;
		if (worst < 0)
			bind_say(o, "%s", err.msg);
		else
			worst = verr_set(reterr, r, "%s", err.msg);
	}
	return worst < 0 ? worst : done;
}

/* A rehearsal does not make the folder: none is no journal then. */
static int list_journals(const struct bind_opts *o, struct bdf **ret, struct verr *reterr)
{
	struct verr err = { .code = 0 };
	int r = bind_journal_list(ret, &err);
	if (r == -ENOENT && o->dry_run)
		return 0;
	return r < 0 ? verr_set(reterr, r, "%s", err.msg) : r;
}

int bind_restore(const struct bdf *bdfs, unsigned int n, const struct bind_opts *opts,
		 struct verr *reterr)
{
	struct bdf *all = NULL;
	int lock = -1;
	int r = opts->dry_run ? 0 : enter(&lock, reterr);
	if (r == 0 && n == 0) {
		r = list_journals(opts, &all, reterr);
		n = r > 0 ? (unsigned int)r : 0;
		bdfs = all;
	}
	if (r >= 0)
		r = restore_each(bdfs, n, opts, reterr);
	sys_close_fd(&lock);
	free(all);
	return r;
}
