// SPDX-License-Identifier: GPL-2.0-or-later
// What the fuzz targets of virtio devices share: a machine with one device and the mini driver at
// it, made once and started anew for each input and after each reset.
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "core/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/guest/vdrv.h"

static struct guest g;
static struct vdrv v;
static struct dev *dev; /* NULL: not made yet */
static uint64_t vf_ram;

/* The device has the id "dut". */
static inline void vf_open(const struct guest_setup *s, unsigned int virtio_id)
{
	CHECK(log_configure("err", NULL) == 0);
	guest_start(&g, s);
	dev = machine_find_device(g.m, "dut");
	vdrv_open(&v, &g, virtio_id, 0, 0);
	vf_ram = v.ram_next;
}

/* Features of the rings, by bits of an input: packed, indirect, in order, event index. */
static inline uint64_t vf_rings(unsigned int bits)
{
	return (bits & 1 ? BIT64(VIRTIO_F_RING_PACKED) : 0) |
	       (bits & 2 ? BIT64(VIRTIO_RING_F_INDIRECT_DESC) : 0) |
	       (bits & 4 ? BIT64(VIRTIO_F_IN_ORDER) : 0) |
	       (bits & 8 ? BIT64(VIRTIO_RING_F_EVENT_IDX) : 0);
}

static inline void vf_start(uint64_t want, unsigned int n_queues)
{
	v.ram_next = vf_ram;
	vdrv_start(&v, want, n_queues, 16, false);
}

/* A buffer's table is indirect if the input says so and the driver may. */
static inline bool vf_indirect(unsigned int bit)
{
	return bit && (v.features & BIT64(VIRTIO_RING_F_INDIRECT_DESC));
}

static inline void vf_pause_resume(void)
{
	machine_lock(g.m);
	dev_pause(dev);
	dev_resume(dev);
	machine_unlock(g.m);
}
