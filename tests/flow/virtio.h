// SPDX-License-Identifier: GPL-2.0-or-later
// What the flow tests of virtio devices with back ends share: at work without exits, coming and
// going while the guest runs, and a set-up that fails at each of its kernel calls.
#pragma once

#include "flow.h"
#include "tests/guest/vdrv.h"

struct flow_virtio {
	struct guest_setup parts;      /* the device, its id "dut", and what is behind it */
	const char *last;	       /* id of the last back end */
	unsigned int id;	       /* virtio's */
	unsigned int n_queues, n_base; /* with `features`, and with none */
	uint64_t features;
	void (*io)(void);	    /* what the device does, by `v` */
	void (*host)(void *opaque); /* prepares the fake kernel for the sweep; may be NULL */
};

static struct vdrv v;

static inline void flow_virtio_drive(const struct flow_virtio *c, uint64_t features, unsigned int n)
{
	vdrv_open(&v, &g, c->id, 0, 0);
	vdrv_start(&v, features, n, 64, true);
	c->io();
}

/* Requests cost no exit; after a reset of the machine it works as before. */
static inline void flow_virtio_no_exit(const struct flow_virtio *c)
{
	guest_start(&g, &c->parts);
	flow_virtio_drive(c, c->features, c->n_queues);
	unsigned int exits = fake_kvm_exits();
	for (unsigned int i = 0; i < 100; i++)
		c->io();
	assert_int_equal(fake_kvm_exits(), exits);
	assert_int_equal(guest_reset(&g, NULL), 0);
	flow_virtio_drive(c, 0, c->n_base);
}

/* It is refused without its last back end, which can't go before it. */
static inline void flow_virtio_plug(const struct flow_virtio *c)
{
	const struct guest_setup s = { .device = { "pcie-root-port,id=slot" } };
	unsigned int n = 0;
	struct verr err = { 0 };
	char says[64];

	snprintf(says, sizeof(says), "=%s: there is no ", c->last);
	guest_start(&g, &s);
	machine_lock(g.m);
	for (; c->parts.backend[n + 1].arg; n++)
		assert_int_equal(machine_add_backend(g.m, c->parts.backend[n].kind,
						     c->parts.backend[n].arg, &err),
				 0);
	for (unsigned int i = 0; i < 3; i++) {
		verr_clear(&err);
		assert_int_equal(machine_plug(g.m, c->parts.device[0], &err), -ENOENT);
		assert_non_null(strstr(err.msg, says));
		verr_clear(&err);
		assert_int_equal(machine_add_backend(g.m, c->parts.backend[n].kind,
						     c->parts.backend[n].arg, &err),
				 0);
		assert_int_equal(machine_plug(g.m, c->parts.device[0], &err), 0);
		assert_int_equal(backend_del(&g.m->backends, c->last, &err), -EBUSY);
		verr_clear(&err);
		assert_int_equal(machine_unplug(g.m, "dut", true, &err), 0);
		assert_null(machine_find_device(g.m, "dut"));
		assert_int_equal(backend_del(&g.m->backends, c->last, &err), 0);
	}
	machine_unlock(g.m);
}

static inline int flow_virtio_seat(void *opaque, struct verr *err)
{
	return guest_seat_parts(opaque, err);
}

/* Every failure of its set-up is undone and named. */
static inline void flow_virtio_sweep(const struct flow_virtio *c)
{
	struct guest_setup parts = c->parts;
	char device[128];
	const struct fake_sweep s = { .name = c->parts.device[0],
				      .setup = c->host,
				      .run = flow_virtio_seat,
				      .opaque = &parts };
	struct fake_sweep_stats st;

	snprintf(device, sizeof(device), "%s,bus=pci.0", c->parts.device[0]);
	parts.device[0] = device;
	assert_int_equal(fault_sweep(&s, &st), 0);
	assert_true(st.failed > 8);
}
