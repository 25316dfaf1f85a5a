// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of coming and going share: the slot as a guest's hot-plug driver works it, the
// events an observer gets, and what is held of host and kernel at a moment.
#pragma once

#include <unistd.h>

#include "flow.h"

static char events[2048]; /* "EVENT device: reason\n" */

static inline void plug_observe(void *opaque, const char *event, const char *device,
				const char *why)
{
	size_t n = strlen(events);

	(void)opaque;
	snprintf(events + n, sizeof(events) - n, "%s %s: %s\n", event, device ? device : "-",
		 why ? why : "");
}

static inline void plug_watch(void)
{
	events[0] = '\0';
	g.m->observer = plug_observe;
}

static inline void assert_event(const char *what)
{
	if (!strstr(events, what))
		fail_msg("\"%s\" is not in: %s", what, events);
}

/* The port above a function, as the guest has it. */
static inline struct guest_fn port_of(struct guest_fn f)
{
	return (struct guest_fn){ &g, 0, guest_pcidev(f)->bus->bridge->devfn };
}

static inline unsigned int slot_status(struct guest_fn port)
{
	return guest_cfg(port, guest_cap(port, PCI_CAP_ID_EXP) + PCI_EXP_SLTSTA, 2);
}

/* Acknowledges what there is and switches power. */
static inline void slot_power(struct guest_fn port, bool on)
{
	unsigned int exp = guest_cap(port, PCI_CAP_ID_EXP);
	uint32_t ctl = guest_cfg(port, exp + PCI_EXP_SLTCTL, 2) & ~(uint32_t)PCI_EXP_SLTCTL_PCC;

	guest_cfg_set(port, exp + PCI_EXP_SLTSTA, 0x1ff, 2);
	guest_cfg_set(port, exp + PCI_EXP_SLTCTL, on ? ctl : ctl | PCI_EXP_SLTCTL_PWR_OFF, 2);
}

/* The loop, until the devices named are `n`, five seconds at most. */
static inline void wait_devices(unsigned int n)
{
	for (unsigned int tries = 0; tries < 500; tries++) {
		unsigned int have = 0;
		struct dev *d;
		guest_turn(&g);
		list_for_each(d, &g.m->devs, struct dev, node)
			have += d->type == &vfio_pci_type;
		if (have == n && !vfio_device_closing())
			return;
		usleep(10000);
	}
	fail_msg("not %u devices", n);
}

static inline int plug(const char *arg, struct verr *err)
{
	machine_lock(g.m);
	int r = machine_plug(g.m, arg, err);
	machine_unlock(g.m);
	return r;
}

static inline void must_plug(const char *arg)
{
	struct verr err = { 0 };
	if (plug(arg, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline int unplug(const char *id, bool force, struct verr *err)
{
	machine_lock(g.m);
	int r = machine_unplug(g.m, id, force, err);
	machine_unlock(g.m);
	return r;
}

struct held {
	unsigned int slots, irqfds, routes, files, maps, containers, groups;
};

static inline struct held held_now(void)
{
	return (struct held){ fake_kvm_slots(),	     fake_kvm_irqfds(), fake_kvm_routes(),
			      fake_kvm_vfio_files(), fake_dma_maps(),	fake_containers(),
			      fake_groups_attached() };
}

static inline void assert_held(const struct held *want)
{
	struct held now = held_now();
	assert_memory_equal(&now, want, sizeof(now));
}
