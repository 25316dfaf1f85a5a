// SPDX-License-Identifier: GPL-2.0-or-later
// The reset ladder (see the header). The kernel's own order in reset_method is kept within one
// rung: it knows the function's quirks. Must not know the guest: who may not be disturbed is the
// caller's to say.
#define LOG_TAG "vfio/reset"

#include "vfio/reset.h"

#include <errno.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/sys.h"
#include "core/thread.h"
#include "core/trace.h"

#define TRIES	20
#define WAIT_MS 10

/* --- what there is ---------------------------------------------------------------------------- */

static bool has_method(const struct vfio_device *d, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = strstr(d->reset_method, name); p; p = strstr(p + n, name))
		if ((p == d->reset_method || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

/* Is the first the kernel would take one that clears the function's state? PM comes before the
 * bus in its order, and leaves devices as they were that keep power in D3hot. */
static bool worthy(const struct vfio_device *d)
{
	static const char *const good[] = { "device_specific", "acpi", "flr", "af_flr" };

	if (!d->reset_method[0])
		return true; /* before Linux 5.15: not told, the kernel chooses well */
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (has_method(d, good[i]))
			return true;
	return !has_method(d, "pm");
}

static bool our_group(const struct vfio_device *d, uint32_t id)
{
	const struct vfio_group *g;

	list_for_each(g, &d->group->container->groups, const struct vfio_group, node)
		if (g->id == id)
			return true;
	return false;
}

/* Every function on the bus, this one included, as the kernel tells; NULL: no hot reset here. */
static struct vfio_pci_hot_reset_info *hot_info(const struct vfio_device *d, int *ret_err)
{
	size_t size = sizeof(struct vfio_pci_hot_reset_info) +
		      (VFIO_RESET_DEPS + 1) * sizeof(struct vfio_pci_dependent_device);
	struct vfio_pci_hot_reset_info *info = calloc(1, size);

	*ret_err = -ENOMEM;
	if (!info)
		return NULL;
	info->argsz = (uint32_t)size;
	*ret_err = sys_ioctl(d->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
	if (*ret_err >= 0 && info->count <= VFIO_RESET_DEPS + 1)
		return info;
	free(info);
	return NULL;
}

static void look_at_bus(const struct vfio_device *d, struct vfio_reset *ret)
{
	int err;
	struct vfio_pci_hot_reset_info *info = hot_info(d, &err);
	char name[BDF_STR_MAX];

	if (!info) {
		snprintf(ret->why_not, sizeof(ret->why_not), "%s",
			 err == -ENODEV ? "its bus can't be reset" : "the kernel does not tell");
		return;
	}
	ret->hot = true;
	for (uint32_t i = 0; i < info->count; i++) {
		const struct vfio_pci_dependent_device *dep = &info->devices[i];
		const struct bdf at = { dep->segment, dep->bus, dep->devfn >> 3, dep->devfn & 7 };

		if (bdf_equal(&at, &d->at))
			continue;
		ret->dep_group[ret->n_deps] = dep->group_id;
		ret->dep[ret->n_deps++] = at;
		if (our_group(d, dep->group_id) || !ret->hot)
			continue;
		ret->hot = false;
		snprintf(ret->why_not, sizeof(ret->why_not),
			 "it would reset %s of group %u, which is not this guest's",
			 bdf_str(&at, name), dep->group_id);
	}
	free(info);
}

void vfio_reset_choose(struct vfio_device *d, bool all, struct vfio_reset *ret)
{
	bool any = d->flags & VFIO_DEVICE_FLAGS_RESET;

	memset(ret, 0, sizeof(*ret));
	ret->function = any && worthy(d);
	ret->pm = any && !ret->function;
	if (all || !ret->function)
		look_at_bus(d, ret);
}

/* --- words ------------------------------------------------------------------------------------ */

void vfio_reset_text(const struct vfio_device *d, const struct vfio_reset *r, char *buf,
		     size_t size)
{
	const char *methods = d->reset_method[0] ? d->reset_method : "the kernel does not say how";
	size_t at;

	if (r->function) {
		snprintf(buf, size, "%s (%s)",
			 has_method(d, "flr") || has_method(d, "af_flr") ? "FLR" : "function reset",
			 methods);
		return;
	}
	if (r->hot) {
		snprintf(buf, size, "hot reset of its bus%s", r->n_deps ? ", together with" : "");
		for (unsigned int i = 0; i < r->n_deps; i++) {
			char name[BDF_STR_MAX];
			at = strlen(buf);
			snprintf(buf + at, size - at, " %s", bdf_str(&r->dep[i], name));
		}
		return;
	}
	snprintf(buf, size, "%s",
		 r->pm ? "power management (D3hot and back)" : "none: its state survives");
	at = strlen(buf);
	if (r->why_not[0])
		snprintf(buf + at, size - at, "; no hot reset: %s", r->why_not);
}

/* --- doing it --------------------------------------------------------------------------------- */

/* The kernel takes all its locks by trylock: of functions (EAGAIN), and for a hot reset of this
 * process's memory map (EBUSY). Others hold them for a moment. */
static bool passes(int result)
{
	return result == -EAGAIN || result == -EBUSY || result == -EINTR;
}

static bool reaches(const struct vfio_reset *r, uint32_t group)
{
	for (unsigned int i = 0; i < r->n_deps; i++)
		if (r->dep_group[i] == group)
			return true;
	return false;
}

/* The kernel wants proof that all it resets is ours: an fd of each group, and of no other (more
 * than there are functions on the bus are EINVAL). NULL: out of memory. */
static struct vfio_pci_hot_reset *hot_proof(const struct vfio_device *d,
					    const struct vfio_reset *reset)
{
	const struct vfio_group *g;
	struct vfio_pci_hot_reset *hot =
		calloc(1, sizeof(*hot) + (VFIO_RESET_DEPS + 1) * sizeof(hot->group_fds[0]));

	if (!hot)
		return NULL;
	list_for_each(g, &d->group->container->groups, const struct vfio_group, node)
		if (g == d->group || reaches(reset, g->id))
			hot->group_fds[hot->count++] = g->fd;
	hot->argsz = (uint32_t)(sizeof(*hot) + hot->count * sizeof(hot->group_fds[0]));
	return hot;
}

/* One reset by the kernel, by whatever thread. */
struct vfio_reset_job {
	int fd;
	struct vfio_pci_hot_reset *hot; /* owned; NULL: VFIO_DEVICE_RESET */
	pthread_t thread;
	bool joined;
	int result;
};

static void *job_run(void *arg)
{
	struct vfio_reset_job *j = arg;

	j->result = -EAGAIN;
	for (unsigned int i = 0; i < TRIES && passes(j->result); i++) {
		if (i > 0)
			sys->poll(NULL, 0, WAIT_MS);
		j->result = j->hot ? sys_ioctl(j->fd, VFIO_DEVICE_PCI_HOT_RESET, j->hot)
				   : sys_ioctl_n(j->fd, VFIO_DEVICE_RESET, 0);
	}
	return NULL;
}

static int job_init(struct vfio_reset_job *j, const struct vfio_device *d,
		    const struct vfio_reset *hot)
{
	*j = (struct vfio_reset_job){ .fd = d->fd, .hot = hot ? hot_proof(d, hot) : NULL };
	return hot && !j->hot ? -ENOMEM : 0;
}

void vfio_reset_begin(struct vfio_device *d, const struct vfio_reset *r)
{
	struct vfio_reset_job *j = calloc(1, sizeof(*j));

	vfio_reset_wait(d);
	if (!j || !(r->function || r->hot || r->pm) ||
	    job_init(j, d, r->function || !r->hot ? NULL : r) < 0) {
		free(j);
		return;
	}
	if (thread_start(&j->thread, job_run, j) == 0) {
		d->resetting = j;
		return;
	}
	free(j->hot);
	free(j);
}

void vfio_reset_settle(struct vfio_device *d)
{
	struct vfio_reset_job *j = d->resetting;

	if (j && !j->joined)
		pthread_join(j->thread, NULL);
	if (j)
		j->joined = true;
}

/* What became of a job that was begun; -EALREADY: of the other kind, or none was. */
static int job_end(struct vfio_device *d, bool hot)
{
	struct vfio_reset_job *j = d->resetting;

	if (!j)
		return -EALREADY;
	vfio_reset_settle(d);
	d->resetting = NULL;
	int r = hot == (j->hot != NULL) && !passes(j->result) ? j->result : -EALREADY;
	free(j->hot);
	free(j);
	return r;
}

void vfio_reset_wait(struct vfio_device *d)
{
	job_end(d, false);
}

static int kernel_reset(struct vfio_device *d, const struct vfio_reset *hot)
{
	struct vfio_reset_job j;
	int r = job_end(d, hot != NULL);

	if (r != -EALREADY)
		return r;
	r = job_init(&j, d, hot);
	if (r < 0)
		return r;
	job_run(&j);
	free(j.hot);
	return j.result;
}

int vfio_device_reset(struct vfio_device *d, struct verr *reterr)
{
	const char *method = d->reset_method[0] ? d->reset_method : "unknown";

	if (!(d->flags & VFIO_DEVICE_FLAGS_RESET))
		return verr_set(reterr, -EOPNOTSUPP,
				"%s has no reset: its state is kept from one guest to the next",
				d->name);

	int r = kernel_reset(d, NULL);

	T(vfio_reset, d->name, method, r);
	if (r < 0)
		return verr_set(reterr, r, "%s: its reset failed (method: %s): %s", d->name, method,
				strerror(-r));
	if (!vfio_device_alive(d))
		return verr_set(
			reterr, -EIO,
			"%s did not come back from its reset (method: %s): its vendor id reads "
			"0xffff; a power cycle of the machine brings it back",
			d->name, method);
	return 0;
}

static int hot_reset(struct vfio_device *d, const struct vfio_reset *reset, struct verr *reterr)
{
	int r = kernel_reset(d, reset);

	T(vfio_reset, d->name, "hot", r);
	if (r < 0)
		return verr_set(reterr, r, "%s: its hot reset failed: %s", d->name, strerror(-r));
	if (!vfio_device_alive(d))
		return verr_set(reterr, -EIO,
				"%s did not come back from its hot reset: its vendor id reads "
				"0xffff; a power cycle of the machine brings it back",
				d->name);
	return 0;
}

int vfio_reset_run(struct vfio_device *d, const struct vfio_reset *r, struct verr *reterr)
{
	struct verr err = { 0 };
	int e = -EOPNOTSUPP;

	if (r->function)
		e = vfio_device_reset(d, &err);
	if (e < 0 && r->hot) {
		e = hot_reset(d, r, &err);
		if (e == 0)
			return 1;
	}
	if (e < 0 && r->pm)
		e = vfio_device_reset(d, &err);
	if (e == -EOPNOTSUPP)
		return verr_set(reterr, e, "%s has no reset: its state survives", d->name);
	return e < 0 ? verr_set(reterr, e, "%s", err.msg) : 0;
}
