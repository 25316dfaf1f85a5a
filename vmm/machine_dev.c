// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's list of devices: from a --device argument to a realized one, ports for those that
// need one, and their end in reverse order.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pci/pcieport.h"
#include "vmm/machine.h"
#include "vmm/typearg.h"

struct dev *machine_find_device(struct machine *m, const char *id)
{
	struct dev *d;

	list_for_each(d, &m->devs, struct dev, node)
		if (strcmp(d->id, id) == 0)
			return d;
	return NULL;
}

static int adopt(struct machine *m, struct dev *d, struct verr *reterr)
{
	/* Listed before it is realized, so that a port made for it on the way can stand in front of
	 * it: the end comes in reverse order and must take the function first. */
	list_add_tail(&m->devs, &d->node);
	int r = dev_realize(d, reterr);
	if (r < 0) {
		list_del(&d->node);
		dev_free(d);
	}
	return r;
}

int machine_own_device(struct machine *m, const struct dev_type *type, const char *id, void *cfg,
		       struct dev **ret, struct verr *reterr)
{
	struct dev *d;

	if (machine_find_device(m, id)) {
		props_free(&type->t, cfg);
		return verr_set(reterr, -EEXIST,
				"id \"%s\" is taken by the machine's own %s: give another one", id,
				type->t.name);
	}
	int r = dev_new(type, &m->plat, id, cfg, &d, reterr);
	if (r < 0)
		return r;
	r = adopt(m, d, reterr);
	if (r == 0 && ret)
		*ret = d;
	return r;
}

static bool id_taken(struct machine *m, struct dev *const *v, unsigned int n, const char *id)
{
	for (unsigned int i = 0; i < n; i++)
		if (strcmp(v[i]->id, id) == 0)
			return true;
	return machine_find_device(m, id) != NULL;
}

/* v[n] from its argument; not listed yet, nor are the n before it. */
static int make(struct machine *m, const char *arg, struct dev **v, unsigned int n,
		struct verr *reterr)
{
	struct pcidev_common common;
	const struct dev_type *type = NULL;
	struct dev *d;
	void *cfg = NULL;

	memset(&common, 0, sizeof(common));
	int r = typearg_device(arg, &type, &cfg, &common, reterr);
	if (r == 0 && m->plat.hot && !type->pci) {
		props_free(&type->t, cfg);
		r = verr_set(reterr, -EINVAL,
			     "a %s can't be added to a running machine: it sits in no PCI slot",
			     type->t.name);
	}
	if (r == 0 && common.id && id_taken(m, v, n, common.id)) {
		props_free(&type->t, cfg);
		r = verr_set(reterr, -EEXIST, "two devices with id \"%s\"", common.id);
	}
	if (r == 0)
		r = dev_new(type, &m->plat, common.id, cfg, &d, reterr);
	if (r < 0) {
		props_clear(pcidev_common_props, &common);
		return r;
	}
	if (!common.id) { /* two of one type get numbers of their own */
		char id[sizeof(d->id)];
		do
			snprintf(id, sizeof(id), "%.48s.%u", type->t.name, m->next_id++);
		while (id_taken(m, v, n, id));
		memcpy(d->id, id, sizeof(id));
	}
	if (type->pci)
		container_of(d, struct pcidev, dev)->common = common; /* strings now its own */
	else
		props_clear(pcidev_common_props, &common);
	v[n] = d;
	return 0;
}

/* One that was never realized, which is when its common properties become the bus's to free. */
static void unmake(struct dev *d)
{
	if (d->type->pci)
		props_clear(pcidev_common_props, &container_of(d, struct pcidev, dev)->common);
	dev_free(d);
}

int machine_add_devices(struct machine *m, char *const *args, unsigned int n, struct verr *reterr)
{
	struct dev **v = calloc(n + 1, sizeof(*v));
	unsigned int made = 0, done = 0;
	int r = v ? 0 : verr_set(reterr, -ENOMEM, "out of memory");

	for (; made < n && r == 0; made += r == 0)
		r = make(m, args[made], v, made, reterr);
	for (unsigned int i = 0; i < n && n > 1 && r == 0; i++)
		if (v[i]->type->ops->begin)
			v[i]->type->ops->begin(v[i]);
	for (; done < made && r == 0; done++) {
		r = adopt(m, v[done], reterr);
		if (r == 0)
			dev_reset_begin(v[done]);
	}
	while (done < made)
		unmake(v[--made]);
	free(v);
	return r;
}

int machine_add_device(struct machine *m, const char *arg, struct verr *reterr)
{
	char *args[] = { (char *)arg };

	return machine_add_devices(m, args, 1, reterr);
}

int machine_add_backend(struct machine *m, enum backend_kind kind, const char *arg,
			struct verr *reterr)
{
	const struct backend_type *type = NULL;
	struct backend_common common = { 0 };
	void *cfg = NULL;

	int r = typearg_backend(kind, arg, &type, &cfg, &common, reterr);
	if (r == 0)
		r = backend_add(&m->backends, type, common.id, cfg, reterr);
	props_clear(backend_common_props, &common);
	return r;
}

static int free_slot(void *ret, struct pcidev *pd)
{
	struct pcibus *b = pd->secondary;

	if (!b || !b->hotplug || !pcibus_empty(b))
		return 0;
	*(struct pcibus **)ret = b;
	return 1;
}

static struct pcibus *find_slot(struct machine *m, struct verr *reterr)
{
	struct pcibus *b = NULL;

	if (!pcibus_walk(&m->pci0, free_slot, &b))
		verr_set(reterr, -ENOSPC,
			 "no hot-plug slot is empty: start with one --device pcie-root-port for "
			 "each device to come, or remove a device first");
	return b;
}

struct pcibus *machine_port_for(void *machine, struct dev *d, struct verr *reterr)
{
	struct machine *m = machine;
	struct dev *port;
	char id[32];

	if (m->plat.hot)
		return find_slot(m, reterr);
	do
		snprintf(id, sizeof(id), "port%u", m->next_port++);
	while (machine_find_device(m, id));
	void *cfg = rootport_type.t.cfg_size ? props_new(&rootport_type.t) : NULL;
	if (machine_own_device(m, &rootport_type, id, cfg, &port, reterr) < 0)
		return NULL;
	/* The port outlives what is plugged into it. */
	list_del(&port->node);
	list_add_tail(&d->node, &port->node);
	return container_of(port, struct pcidev, dev)->secondary;
}

void machine_free_device(struct dev *d)
{
	list_del(&d->node);
	dev_free(d);
}

/* None is at work any more when the first is taken apart: a reset may reach its neighbours. */
void machine_free_devices(struct machine *m)
{
	struct dev *d;

	list_for_each_reverse(d, &m->devs, struct dev, node)
		if (d->state == DEV_RUNNING)
			dev_stop(d);
	while (!list_empty(&m->devs))
		machine_free_device(container_of(m->devs.prev, struct dev, node));
}
