// SPDX-License-Identifier: GPL-2.0-or-later
// Devices that come and go while the machine runs: into an empty hot-plug slot and out of it, with
// the guest's consent or without. A slot is one card: its functions come and go together. Owns the
// pending requests; knows no device in particular.

#define LOG_TAG "plug"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "pci/pcieport.h"
#include "vmm/assign.h"
#include "vmm/machine.h"

#define PLUG_MAX 64 /* functions of one device_add */

/* The guest was asked to let go of what is behind `port`. */
struct eject {
	struct machine *m;
	struct pcidev *port;
	struct loop_timer late;
	struct loop_job done;
	unsigned int seconds;
	struct list node;
};

static void tell(struct machine *m, const char *event, const char *device, const char *why)
{
	log_info("%s %s: %s", event, device, why);
	if (m->observer)
		m->observer(m->observer_opaque, event, device, why);
}

/* ---- out ------------------------------------------------------------------------------------- */

static void stop_slot(struct pcibus *b, unsigned int first)
{
	for (unsigned int fn = 8; fn-- > 0;)
		if (b->fn[first + fn] && b->fn[first + fn]->dev.state == DEV_RUNNING)
			dev_stop(&b->fn[first + fn]->dev);
}

/* Every function of the slot `pd` is in. All are still before the first is given back. */
static void take_out(struct machine *m, struct pcidev *pd, const char *why)
{
	struct pcidev *port = pcidev_slot(pd);
	struct pcibus *b = pd->bus;
	unsigned int first = pd->devfn & 0xf8;

	stop_slot(b, first);
	for (unsigned int fn = 8; fn-- > 0;) {
		struct pcidev *out = b->fn[first + fn];
		char id[sizeof(out->dev.id)];

		if (!out)
			continue;
		memcpy(id, out->dev.id, sizeof(id));
		machine_free_device(&out->dev);
		m->plugged = true;
		tell(m, "DEVICE_DELETED", id, why);
	}
	if (port)
		pcieport_unplugged(port);
}

/* The first function behind a port, NULL if it has gone otherwise. */
static struct pcidev *behind(const struct pcidev *port)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(port->secondary->fn); i++)
		if (port->secondary->fn[i])
			return port->secondary->fn[i];
	return NULL;
}

static void eject_free(struct eject *e)
{
	loop_disarm(&e->late);
	loop_cancel(&e->done);
	list_del(&e->node);
	free(e);
}

static void eject_end(struct eject *e, const char *why)
{
	struct machine *m = e->m;
	struct pcidev *pd = behind(e->port);

	eject_free(e);
	if (pd)
		take_out(m, pd, why);
}

static void eject_done(struct loop_job *job)
{
	eject_end(container_of(job, struct eject, done), "the guest let go of it");
}

static void eject_late(struct loop_timer *t)
{
	struct eject *e = container_of(t, struct eject, late);
	char why[64];

	snprintf(why, sizeof(why), "the guest did not let go of it in %u s", e->seconds);
	eject_end(e, why);
}

/* From the guest's own write: the device is not taken away under it, but by the loop. */
static void eject_granted(void *opaque)
{
	struct eject *e = opaque;

	loop_defer(e->m->loop, &e->done);
}

static struct eject *eject_find(const struct machine *m, const struct pcidev *port)
{
	struct eject *e;

	list_for_each(e, &m->ejects, struct eject, node)
		if (e->port == port)
			return e;
	return NULL;
}

static int eject_ask(struct machine *m, struct pcidev *pd, struct pcidev *port)
{
	struct eject *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->m = m;
	e->port = port;
	e->seconds = pd->common.eject_timeout;
	e->late.fired = eject_late;
	e->done.run = eject_done;
	list_add_tail(&m->ejects, &e->node);
	int r = pcieport_request_eject(port, eject_granted, e);
	if (r < 0)
		eject_free(e);
	else
		loop_arm(m->loop, &e->late, e->seconds * UINT64_C(1000000000));
	return r;
}

/* What its slot was asked for is over, too. */
static void leave_now(struct machine *m, struct pcidev *pd, const char *why)
{
	struct eject *e = pcidev_slot(pd) ? eject_find(m, pcidev_slot(pd)) : NULL;

	if (e)
		eject_free(e);
	take_out(m, pd, why);
}

static int find_leaver(struct machine *m, const char *id, struct pcidev **ret, struct verr *reterr)
{
	struct dev *d = machine_find_device(m, id);

	if (!d)
		return verr_set(reterr, -ENODEV, "no device \"%s\" (status lists them)", id);
	if (!d->type->user || !d->type->pci)
		return verr_set(reterr, -EINVAL, "\"%s\" is part of the machine and stays", id);
	*ret = container_of(d, struct pcidev, dev);
	if ((*ret)->secondary)
		return verr_set(reterr, -EINVAL,
				"\"%s\" is a bridge: it stays while the machine runs", id);
	return 0;
}

int machine_unplug(struct machine *m, const char *id, bool force, struct verr *reterr)
{
	struct pcidev *pd = NULL;

	int r = find_leaver(m, id, &pd, reterr);
	if (r < 0)
		return r;
	struct pcidev *port = pcidev_slot(pd);
	if (force || (port && pd->common.eject_timeout == 0)) {
		leave_now(m, pd, "taken away by force");
		return 0;
	}
	if (!port)
		return verr_set(reterr, -EINVAL,
				"\"%s\" is in no hot-plug slot, so the guest can't be asked: put "
				"it behind a pcie-root-port at the start, or insist with \"force\"",
				id);
	r = eject_find(m, port) ? -EBUSY : eject_ask(m, pd, port);
	if (r == -EBUSY)
		return verr_set(reterr, r, "the guest was asked already to let go of \"%s\"", id);
	return r < 0 ? verr_set(reterr, r, "asking the guest to let go of \"%s\": %s", id,
				strerror(-r))
		     : 0;
}

/* ---- what devices raise ---------------------------------------------------------------------- */

static unsigned int take_raised(struct machine *m, struct dev *d, char *why, size_t size)
{
	pthread_mutex_lock(&m->event_lock);
	unsigned int raised = d->raised;
	snprintf(why, size, "%s", d->why);
	d->raised = 0;
	pthread_mutex_unlock(&m->event_lock);
	return raised;
}

static void see_to(struct machine *m, struct dev *d, unsigned int raised, const char *why)
{
	struct pcidev *pd = container_of(d, struct pcidev, dev);
	struct pcidev *port = pcidev_slot(pd);

	if (raised & BIT32(PLATFORM_DEVICE_ERROR)) {
		tell(m, "DEVICE_ERROR", d->id, why);
		/* The guest has seen its card pulled, which is all it was asked for. */
		if (port && eject_find(m, port)) {
			leave_now(m, pd, "it had an error while the guest was asked to let go");
			return;
		}
	}
	if (raised & BIT32(PLATFORM_DEVICE_GONE)) {
		log_warn("%s", why);
		leave_now(m, pd, why);
		return;
	}
	if (!(raised & BIT32(PLATFORM_DEVICE_EJECT)) || (port && eject_find(m, port)))
		return;
	log_warn("%s", why);
	tell(m, "DEVICE_REQUESTED", d->id, why);
	if (!port || pd->common.eject_timeout == 0 || eject_ask(m, pd, port) < 0)
		leave_now(m, pd, why);
}

/* One that leaves may take neighbours along: from the start after each. */
void machine_plug_events(struct machine *m)
{
	struct dev *d;
	char why[sizeof(d->why)];

again:
	list_for_each(d, &m->devs, struct dev, node) {
		unsigned int raised = take_raised(m, d, why, sizeof(why));
		if (!raised || !d->type->pci)
			continue;
		see_to(m, d, raised, why);
		goto again;
	}
}

/* It is no reason to end any more, unless another is lost, too. */
static void forget_lost(struct machine *m)
{
	struct dev *d;
	bool more = false;

	pthread_mutex_lock(&m->event_lock);
	list_for_each(d, &m->devs, struct dev, node)
		more |= (d->raised & BIT32(PLATFORM_DEVICE_LOST)) != 0;
	if (!more) {
		m->events &= ~BIT32(PLATFORM_DEVICE_LOST);
		m->event_text[0] = '\0';
	}
	pthread_mutex_unlock(&m->event_lock);
}

const char *machine_unusable(struct machine *m, struct dev *d)
{
	char why[sizeof(d->why)];
	const unsigned int bad = BIT32(PLATFORM_DEVICE_LOST) | BIT32(PLATFORM_DEVICE_GONE);

	unsigned int raised = take_raised(m, d, why, sizeof(why)) & bad;
	if (raised & BIT32(PLATFORM_DEVICE_LOST))
		forget_lost(m);
	return raised ? d->why : NULL;
}

void machine_plug_settle(struct machine *m)
{
	while (!list_empty(&m->ejects))
		eject_end(container_of(m->ejects.next, struct eject, node),
			  "the guest was reset before it let go of it");
}

void machine_plug_forget(struct machine *m)
{
	while (!list_empty(&m->ejects))
		eject_free(container_of(m->ejects.next, struct eject, node));
}

/* A guest finds room for what came late by itself; after a reset it has it from the firmware. */
void machine_plug_place(struct machine *m)
{
	struct verr err = { 0 };

	if (!m->plugged)
		return;
	m->plugged = false;
	if (pcibus_place(&m->pci0, &m->windows, &err) < 0)
		log_warn("BARs are left to the guest to place: %s", err.msg);
}

/* ---- in -------------------------------------------------------------------------------------- */

/* Those after `mark`, newest first. */
static void take_back(struct machine *m, const struct list *mark)
{
	while (m->devs.prev != mark)
		machine_free_device(container_of(m->devs.prev, struct dev, node));
}

static int bring_up(struct machine *m, struct dev *d, struct verr *reterr)
{
	dev_reset(d);
	const char *why = machine_unusable(m, d);
	if (why)
		return verr_set(reterr, -EIO, "%s %s: %s", d->type->t.name, d->id, why);
	return dev_start(d, reterr);
}

static int plug_all(struct machine *m, char *const *args, unsigned int n, struct verr *reterr)
{
	struct list *mark = m->devs.prev, *at;

	m->plat.hot = true;
	int r = machine_add_devices(m, args, n, reterr);
	m->plat.hot = false;
	for (at = mark->next; at != &m->devs && r == 0; at = at->next)
		r = bring_up(m, container_of(at, struct dev, node), reterr);
	if (r < 0) {
		take_back(m, mark);
		return r;
	}
	for (at = mark->next; at != &m->devs; at = at->next) {
		struct dev *d = container_of(at, struct dev, node);
		pcieport_plugged(pcidev_slot(container_of(d, struct pcidev, dev)));
	}
	m->plugged = true;
	return 0;
}

int machine_plug(struct machine *m, const char *arg, struct verr *reterr)
{
	char *args[PLUG_MAX] = { strdup(arg) };
	unsigned int n = 1;

	if (!args[0])
		return verr_set(reterr, -ENOMEM, "out of memory");
	int r = 0;
	if (m->state != MACHINE_RUNNING && m->state != MACHINE_PAUSED)
		r = verr_set(reterr, -EINVAL, "the machine is not running");
	if (r == 0)
		r = assign_expand(args, &n, PLUG_MAX, reterr);
	if (r == 0)
		r = plug_all(m, args, n, reterr);
	assign_free(args, n);
	return r;
}
