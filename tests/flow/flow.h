// SPDX-License-Identifier: GPL-2.0-or-later
// What the flow tests share: a host with one assigned function, the machine it is in, and the
// ends of a case. Each test file has its own copy of this state.
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/pci_regs.h>

#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_kvm.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_vfio.h"
#include "tests/fake/fake_zoo.h"
#include "tests/guest/guest.h"
#include "vfio/passthru.h"

#define HOST_BDF "0000:03:00.0"
#define MSI_ADDR UINT64_C(0xfee00000)

static struct guest g;
static struct guest_fn fn;  /* the assigned function, as the guest has it */
static struct fake_dev *hw; /* the same, as the host has it */

static inline int flow_setup(void **state)
{
	(void)state;
	fake_reset();
	memset(&g, 0, sizeof(g));
	return 0;
}

/* A device that vanished is closed by another thread. */
static inline void flow_closed(void)
{
	while (vfio_device_closing())
		sys->poll(NULL, 0, 1);
}

static inline int flow_teardown(void **state)
{
	(void)state;
	guest_close(&g);
	flow_closed();
	return fake_clean() ? 0 : -1;
}

/* The one function of the zoo on the host, in a running machine; `props` follow host=. */
static inline void flow_start_with(const struct fake_devdesc *desc, const char *props,
				   const struct guest_setup *more)
{
	struct guest_setup s = more ? *more : (struct guest_setup){ 0 };
	char arg[128];
	hw = fake_zoo_one(desc);
	snprintf(arg, sizeof(arg), "vfio-pci,host=%s%s", HOST_BDF, props);
	s.device[0] = arg;
	guest_start(&g, &s);
	fn = guest_find(&g, desc->vendor, desc->device, 0);
}

static inline void flow_start(const struct fake_devdesc *desc)
{
	flow_start_with(desc, "", NULL);
}

/* As a driver does first. */
static inline void flow_enable(void)
{
	guest_command(fn, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
}

#define FLOW_TEST(f)                                                                               \
	{                                                                                          \
#f, f, flow_setup, flow_teardown, NULL                                             \
	}

/* For fault sweeps: the back ends and devices of `parts` added to a bare machine, no more. */
static inline int guest_seat_parts(const struct guest_setup *parts, struct verr *err)
{
	const struct guest_setup bare = { .accel = "none" };
	struct guest one;
	if (guest_open(&one, &bare, err) < 0)
		guest_close(&one);
	int r = one.m ? 0 : -EIO;
	if (one.m) {
		machine_lock(one.m);
		for (unsigned int i = 0; parts->backend[i].arg && r == 0; i++)
			r = machine_add_backend(one.m, parts->backend[i].kind,
						parts->backend[i].arg, err);
		for (unsigned int i = 0; parts->device[i] && r == 0; i++)
			r = machine_add_device(one.m, parts->device[i], err);
		machine_unlock(one.m);
	}
	guest_close(&one);
	return r;
}

/* The same with one device; opaque: as after --device. */
static inline int guest_seat(void *opaque, struct verr *err)
{
	const struct guest_setup parts = { .device = { opaque } };

	return guest_seat_parts(&parts, err);
}
