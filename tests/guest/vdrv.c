// SPDX-License-Identifier: GPL-2.0-or-later
// The mini driver: PCI transport and negotiation. Rings are in vdrv_ring.c.
#include "tests/guest/vdrv.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <time.h>

#include "core/sys.h"
#include "tests/guest/guest_int.h"
#include "pci/pcidev.h"

uint64_t vdrv_ram(struct vdrv *v, uint64_t size)
{
	uint64_t gpa = v->ram_next;

	size = ALIGN_UP(size, UINT64_C(4096));
	v->ram_next += size;
	memset(vdrv_ptr(v, gpa, size), 0, size);
	return gpa;
}

void *vdrv_ptr(struct vdrv *v, uint64_t gpa, uint64_t len)
{
	void *p = gmem_ptr(&v->g->m->gmem, gpa, len);

	if (!p)
		guest_bug("the mini driver has no RAM at %#llx (%llu bytes)",
			  (unsigned long long)gpa, (unsigned long long)len);
	return p;
}

/* ---- finding it ------------------------------------------------------------------------------ */

static void take_cap(struct vdrv *v, unsigned int at)
{
	unsigned int bar = guest_cfg(v->fn, at + 4, 1);
	uint64_t off = guest_cfg(v->fn, at + 8, 4);

	if (guest_cfg(v->fn, at + 3, 1) == VIRTIO_PCI_CAP_PCI_CFG) {
		v->cfg_cap = at;
		return;
	}
	uint64_t gpa = guest_bar_addr(v->fn, bar) + off;
	switch (guest_cfg(v->fn, at + 3, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		v->common = gpa;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		v->notify = gpa;
		v->notify_mult = guest_cfg(v->fn, at + 16, 4);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		v->isr = gpa;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		v->config = gpa;
		break;
	default:
		break;
	}
}

void vdrv_open(struct vdrv *v, struct guest *g, unsigned int virtio_id, unsigned int nth,
	       uint64_t ram)
{
	memset(v, 0, sizeof(*v));
	v->g = g;
	v->ram_next = ram ? ram : MIB(1);
	v->fn = guest_find(g, 0x1af4, (uint16_t)(0x1040 + virtio_id), nth);
	guest_command(v->fn, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	for (unsigned int at = guest_cfg(v->fn, PCI_CAPABILITY_LIST, 1); at;
	     at = guest_cfg(v->fn, at + 1, 1))
		if (guest_cfg(v->fn, at, 1) == PCI_CAP_ID_VNDR)
			take_cap(v, at);
	if (!v->common || !v->notify || !v->isr)
		guest_bug("virtio device %u lacks a window", virtio_id);
	v->n_queues = (unsigned int)vdrv_get(v, VIRTIO_PCI_COMMON_NUMQ, 2);
}

/* ---- registers ------------------------------------------------------------------------------- */

uint64_t vdrv_get(struct vdrv *v, unsigned int off, unsigned int size)
{
	return guest_read(v->g, v->common + off, size);
}

void vdrv_set(struct vdrv *v, unsigned int off, uint64_t val, unsigned int size)
{
	guest_write(v->g, v->common + off, val, size);
}

uint8_t vdrv_status(struct vdrv *v)
{
	return (uint8_t)vdrv_get(v, VIRTIO_PCI_COMMON_STATUS, 1);
}

void vdrv_set_status(struct vdrv *v, uint8_t s)
{
	vdrv_set(v, VIRTIO_PCI_COMMON_STATUS, s, 1);
}

uint64_t vdrv_offered(struct vdrv *v)
{
	vdrv_set(v, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	uint64_t low = vdrv_get(v, VIRTIO_PCI_COMMON_DF, 4);
	vdrv_set(v, VIRTIO_PCI_COMMON_DFSELECT, 1, 4);
	return low | vdrv_get(v, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

uint64_t vdrv_config(struct vdrv *v, unsigned int off, unsigned int size)
{
	return guest_read(v->g, v->config + off, size);
}

void vdrv_set_config(struct vdrv *v, unsigned int off, uint64_t val, unsigned int size)
{
	guest_write(v->g, v->config + off, val, size);
}

/* ---- negotiation ----------------------------------------------------------------------------- */

bool vdrv_negotiate(struct vdrv *v, uint64_t want)
{
	uint8_t s = VIRTIO_CONFIG_S_ACKNOWLEDGE;

	vdrv_set_status(v, 0);
	vdrv_set_status(v, s);
	vdrv_set_status(v, s |= VIRTIO_CONFIG_S_DRIVER);
	v->features = vdrv_offered(v) & (want | BIT64(VIRTIO_F_VERSION_1));
	for (uint32_t i = 0; i < 2; i++) {
		vdrv_set(v, VIRTIO_PCI_COMMON_GFSELECT, i, 4);
		vdrv_set(v, VIRTIO_PCI_COMMON_GF, (uint32_t)(v->features >> (32 * i)), 4);
	}
	vdrv_set_status(v, s | VIRTIO_CONFIG_S_FEATURES_OK);
	return (vdrv_status(v) & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
}

void vdrv_driver_ok(struct vdrv *v)
{
	vdrv_set_status(v, vdrv_status(v) | VIRTIO_CONFIG_S_DRIVER_OK);
}

void vdrv_msix(struct vdrv *v)
{
	unsigned int cap = guest_cap(v->fn, PCI_CAP_ID_MSIX);
	unsigned int n = (guest_cfg(v->fn, cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;

	for (unsigned int i = 0; i < n; i++)
		guest_msix_vector(v->fn, i, VDRV_MSI_ADDR, i, false);
	guest_msix(v->fn, true, false);
	vdrv_set(v, VIRTIO_PCI_COMMON_MSIX, 0, 2);
}

void vdrv_start(struct vdrv *v, uint64_t want, unsigned int n, uint16_t size, bool msix)
{
	if (!vdrv_negotiate(v, want))
		guest_bug("the device refuses features %#llx", (unsigned long long)v->features);
	if (msix)
		vdrv_msix(v);
	for (unsigned int i = 0; i < n; i++)
		vdrv_queue(v, i, size);
	vdrv_driver_ok(v);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool vdrv_wait_for(struct vdrv_queue *q, unsigned int ms, void **ret_cookie, uint32_t *ret_len)
{
	for (uint64_t end = now_ms() + ms; now_ms() < end;) {
		if (vdrv_reap(q, ret_cookie, ret_len))
			return true;
		loop_turn(q->v->g->loop, 1);
	}
	return false;
}

bool vdrv_wait(struct vdrv_queue *q, void **ret_cookie, uint32_t *ret_len)
{
	return vdrv_wait_for(q, 60000, ret_cookie, ret_len);
}

bool vdrv_wait_needs_reset(struct vdrv *v)
{
	for (uint64_t end = now_ms() + 5000; now_ms() < end;) {
		if (vdrv_status(v) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return true;
		loop_turn(v->g->loop, 1);
	}
	return false;
}

static int vector_fd(struct vdrv *v, unsigned int vector)
{
	struct pcidev *pd = guest_pcidev(v->fn);

	return pd && vector < pd->n_vec ? pd->vec[vector].fd : -1;
}

uint64_t vdrv_signals(struct vdrv *v, unsigned int vector)
{
	int fd = vector_fd(v, vector);

	return fd >= 0 ? sys_event_take(fd) : 0;
}

bool vdrv_pending(struct vdrv *v, unsigned int vector)
{
	int fd = vector_fd(v, vector);

	return fd >= 0 && sys_event_pending(fd);
}
