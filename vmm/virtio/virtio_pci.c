// SPDX-License-Identifier: GPL-2.0-or-later
// The PCI transport: windows in one BAR, registers, doorbells and vectors (VIRTIO 1.2 4.1). Owns
// struct virtio_tp; decides nothing about the device's state: that is virtio.c's.
#define LOG_TAG "virtio/pci"
#include "vmm/virtio/virtio_pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "core/accel.h"
#include "core/bytes.h"
#include "core/sys.h"
#include "core/trace.h"
#include "pci/pcibus.h"

#define VPCI_VENDOR   0x1af4
#define VPCI_DEV_BASE 0x1040
#define VPCI_SUBSYS   0x1100

enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

static struct virtio_dev *vdev_of(struct pcidev *pd)
{
	return container_of(pd, struct virtio_dev, pd);
}

/* ---- interrupts ------------------------------------------------------------------------------ */

bool virtio_pci_dma_ok(const struct virtio_dev *vd)
{
	const struct pcicfg *c = &vd->pd.cfg;

	return (pcicfg_get(c, PCI_COMMAND, 2) & PCI_COMMAND_MASTER) &&
	       (pcicfg_get(c, vd->pd.pm_off + (unsigned int)PCI_PM_CTRL, 2) &
		PCI_PM_CTRL_STATE_MASK) == 0;
}

static int call_fd(struct virtio_dev *vd, unsigned int q)
{
	struct pcidev *pd = &vd->pd;
	uint16_t vec = vd->tp.q[q].vector;

	if (pd->irq_mode == PCI_IRQ_INTX)
		return vd->tp.intx_fd;
	if (pd->irq_mode != PCI_IRQ_MSIX || vec >= pd->msix->n)
		return -1;
	return MAX(msivec_fd(&pd->vec[vec]), -1);
}

void virtio_pci_calls(struct virtio_dev *vd)
{
	for (unsigned int i = 0; i < vd->n_queues; i++) {
		struct vq *q = &vd->vq[i];
		int now = __atomic_load_n(&q->call_fd, __ATOMIC_RELAXED), fd = call_fd(vd, i);

		if (fd == now)
			continue;
		__atomic_store_n(&q->call_fd, fd, __ATOMIC_RELEASE);
		if (vd->active && q->ops && vd->ops->call_changed)
			vd->ops->call_changed(vd, i, fd);
	}
}

static void raise_line(struct virtio_dev *vd, uint8_t isr)
{
	vd->tp.isr |= isr;
	pcidev_intx_set(&vd->pd, true);
}

void virtio_pci_config_irq(struct virtio_dev *vd)
{
	if (vd->pd.irq_mode == PCI_IRQ_INTX)
		raise_line(vd, ISR_CONFIG);
	else
		pcidev_notify(&vd->pd, vd->tp.config_vector);
}

/* In the loop: a data plane signalled, and there is no MSI-X. */
static void intx_ready(struct loop_fd *src, uint32_t events)
{
	struct virtio_dev *vd = container_of(src, struct virtio_dev, tp.intx_src);

	(void)events;
	if (sys_event_take(src->fd) > 0 && vd->pd.irq_mode == PCI_IRQ_INTX)
		raise_line(vd, ISR_QUEUE);
}

static void irq_mode(struct pcidev *pd, enum pcidev_irq_mode mode, unsigned int n)
{
	struct virtio_dev *vd = vdev_of(pd);

	(void)n;
	if (mode != PCI_IRQ_INTX) {
		vd->tp.isr = 0;
		pcidev_intx_set(pd, false);
	}
	if (vd->tp.q)
		virtio_pci_calls(vd);
}

/* ---- doorbells ------------------------------------------------------------------------------- */

static void bell(struct virtio_dev *vd, unsigned int q, bool on)
{
	struct accel *a = vd->pd.dev.plat->accel;
	struct virtio_queue_pci *qp = &vd->tp.q[q];
	struct doorbell d = {
		.addr = vd->tp.bells_gpa + VPCI_NOTIFY + (uint64_t)q * VPCI_NOTIFY_MULT,
		.any = true,
		.fd = vd->vq[q].kick_fd,
	};
	/* Any width, which is also the fast path; else what this driver writes. What matches none
	 * is trapped and kicks just as well. */
	const uint32_t sizes[] = { 0, virtio_has(vd, 38) ? 4 : 2 };

	if (!on) {
		if (qp->bell >= 0) {
			d.size = (uint32_t)qp->bell;
			a->ops->doorbell_del(a, &d);
		}
		qp->bell = -1;
		return;
	}
	for (unsigned int i = 0; a && i < ARRAY_SIZE(sizes) && qp->bell < 0; i++) {
		d.size = sizes[i];
		if (a->ops->doorbell_add(a, &d) == 0)
			qp->bell = (int)d.size;
	}
}

void virtio_pci_bells(struct virtio_dev *vd)
{
	const struct pcidev_bar *b = &vd->pd.bar[VPCI_BAR];
	uint64_t gpa = vd->active && b->active ? b->gpa : 0;

	if (gpa == vd->tp.bells_gpa)
		return;
	for (unsigned int i = 0; i < vd->n_queues && vd->tp.bells_gpa; i++)
		bell(vd, i, false);
	vd->tp.bells_gpa = gpa;
	for (unsigned int i = 0; i < vd->n_queues && gpa; i++)
		if (vd->vq[i].ops)
			bell(vd, i, true);
}

static void bar_disable(struct pcidev *pd, unsigned int bar)
{
	struct virtio_dev *vd = vdev_of(pd);

	(void)bar;
	for (unsigned int i = 0; i < vd->n_queues && vd->tp.bells_gpa; i++)
		bell(vd, i, false);
	vd->tp.bells_gpa = 0;
}

static void bar_enable(struct pcidev *pd, unsigned int bar)
{
	(void)bar;
	virtio_pci_bells(vdev_of(pd));
}

static void trapped_kick(struct virtio_dev *vd, uint64_t off)
{
	uint64_t q = off / VPCI_NOTIFY_MULT;

	if (q >= vd->n_queues || !vd->vq[q].regs.enabled ||
	    !(vd->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	T(virtio_kick, vd->pd.dev.id, (unsigned int)q);
	sys_event_signal(vd->vq[q].kick_fd);
}

/* ---- common configuration (VIRTIO 1.2 4.1.4.3) ----------------------------------------------- */

static struct vq *selected(struct virtio_dev *vd)
{
	return vd->tp.queue_sel < vd->n_queues ? &vd->vq[vd->tp.queue_sel] : NULL;
}

static uint32_t half(uint64_t v, uint32_t sel)
{
	return sel < 2 ? (uint32_t)(v >> (32 * sel)) : 0;
}

static uint32_t queue_read32(struct virtio_dev *vd, unsigned int off)
{
	const struct vq *q = selected(vd);
	const struct virtio_queue_pci *qp = q ? &vd->tp.q[vd->tp.queue_sel] : NULL;

	if (!q)
		return off == VIRTIO_PCI_COMMON_Q_SIZE ? (uint32_t)VIRTIO_MSI_NO_VECTOR << 16 : 0;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return q->regs.size | (uint32_t)qp->vector << 16;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->regs.enabled | (uint32_t)vd->tp.queue_sel << 16;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return half(q->regs.desc, off != VIRTIO_PCI_COMMON_Q_DESCLO);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return half(q->regs.driver, off != VIRTIO_PCI_COMMON_Q_AVAILLO);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return half(q->regs.device, off != VIRTIO_PCI_COMMON_Q_USEDLO);
	default:
		return 0;
	}
}

/* No register here has a read side effect: a dword at a time, whatever was asked for. */
static uint32_t common_read32(struct virtio_dev *vd, unsigned int off)
{
	const struct virtio_tp *tp = &vd->tp;

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return tp->feature_sel;
	case VIRTIO_PCI_COMMON_DF:
		return half(vd->features, tp->feature_sel);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return tp->driver_feature_sel;
	case VIRTIO_PCI_COMMON_GF:
		return half(vd->acked, tp->driver_feature_sel);
	case VIRTIO_PCI_COMMON_MSIX:
		return tp->config_vector | (uint32_t)vd->n_queues << 16;
	case VIRTIO_PCI_COMMON_STATUS:
		return vd->status | (uint32_t)tp->generation << 8 | (uint32_t)tp->queue_sel << 16;
	default:
		return queue_read32(vd, off);
	}
}

static void ack_features(struct virtio_dev *vd, uint32_t val)
{
	uint32_t sel = vd->tp.driver_feature_sel;

	if ((vd->status & VIRTIO_CONFIG_S_FEATURES_OK) || sel > 1)
		return;
	vd->acked &= ~((uint64_t)UINT32_MAX << (32 * sel));
	vd->acked |= (uint64_t)val << (32 * sel);
}

/* VIRTIO 1.2 4.1.5.1.2: what can't be had reads back as no vector. */
static uint16_t vector(struct virtio_dev *vd, uint64_t val)
{
	if (!vd->pd.msix || val >= vd->pd.msix->n || msivec_fd(&vd->pd.vec[val]) < 0)
		return VIRTIO_MSI_NO_VECTOR;
	return (uint16_t)val;
}

static void enable_queue(struct virtio_dev *vd, struct vq *q, uint64_t val)
{
	if (val != 1 || !(vd->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
	    (vd->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	q->regs.enabled = true;
}

static void put_half(uint64_t *field, bool high, uint64_t val)
{
	unsigned int shift = high ? 32 : 0;

	*field = (*field & ~((uint64_t)UINT32_MAX << shift)) | (val & UINT32_MAX) << shift;
}

/* Size and addresses: only while the queue is not in use (VIRTIO 1.2 4.1.4.3.2). */
static void queue_write(struct virtio_dev *vd, struct vq *q, unsigned int off, uint64_t val,
			unsigned int size)
{
	if (q->regs.enabled || (vd->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (off == VIRTIO_PCI_COMMON_Q_SIZE && size == 2) {
		if (val != 0 && val <= q->max)
			q->regs.size = (uint16_t)val;
		return;
	}
	if (size != 4)
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		put_half(&q->regs.desc, off == VIRTIO_PCI_COMMON_Q_DESCHI, val);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		put_half(&q->regs.driver, off == VIRTIO_PCI_COMMON_Q_AVAILHI, val);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		put_half(&q->regs.device, off == VIRTIO_PCI_COMMON_Q_USEDHI, val);
		break;
	default:
		break;
	}
}

/* VIRTIO 1.2 4.1.3.1: a field is written at its own width; anything else is ignored. */
static void common_write(struct virtio_dev *vd, unsigned int off, uint64_t val, unsigned int size)
{
	struct virtio_tp *tp = &vd->tp;
	struct vq *q = selected(vd);

	if (size == 8) { /* 64-bit fields may be written as one */
		if (off >= VIRTIO_PCI_COMMON_Q_DESCLO && off < VIRTIO_PCI_COMMON_Q_USEDLO + 8) {
			common_write(vd, off, val & UINT32_MAX, 4);
			common_write(vd, off + 4, val >> 32, 4);
		}
		return;
	}
	if (off == VIRTIO_PCI_COMMON_DFSELECT && size == 4) {
		tp->feature_sel = (uint32_t)val;
	} else if (off == VIRTIO_PCI_COMMON_GFSELECT && size == 4) {
		tp->driver_feature_sel = (uint32_t)val;
	} else if (off == VIRTIO_PCI_COMMON_GF && size == 4) {
		ack_features(vd, (uint32_t)val);
	} else if (off == VIRTIO_PCI_COMMON_MSIX && size == 2) {
		tp->config_vector = vector(vd, val);
	} else if (off == VIRTIO_PCI_COMMON_STATUS && size == 1) {
		virtio_set_status(vd, (uint8_t)val);
	} else if (off == VIRTIO_PCI_COMMON_Q_SELECT && size == 2) {
		tp->queue_sel = (uint16_t)val;
	} else if (!q) {
		return;
	} else if (off == VIRTIO_PCI_COMMON_Q_MSIX && size == 2) {
		tp->q[tp->queue_sel].vector = vector(vd, val);
		virtio_pci_calls(vd);
	} else if (off == VIRTIO_PCI_COMMON_Q_ENABLE && size == 2) {
		enable_queue(vd, q, val);
	} else {
		queue_write(vd, q, off, val, size);
	}
}

/* ---- the BAR --------------------------------------------------------------------------------- */

#define COMMON_LEN 0x40u

static uint64_t common_read(struct virtio_dev *vd, unsigned int off, unsigned int size)
{
	uint64_t v = common_read32(vd, off & ~3u) >> (8 * (off & 3));

	if (size == 8)
		v |= (uint64_t)common_read32(vd, off + 4) << 32;
	return v;
}

static uint64_t isr_read(struct virtio_dev *vd)
{
	uint8_t isr = vd->tp.isr;

	vd->tp.isr = 0;
	pcidev_intx_set(&vd->pd, false);
	return isr;
}

static uint64_t bar_read(struct pcidev *pd, unsigned int bar, uint64_t off, unsigned int size)
{
	struct virtio_dev *vd = vdev_of(pd);

	(void)bar;
	if (off < COMMON_LEN)
		return common_read(vd, (unsigned int)off, size);
	if (off == VPCI_ISR)
		return isr_read(vd);
	if (off >= VPCI_DEVICE && off < VPCI_DEVICE + (uint64_t)vd->config_len) {
		if (vd->ops->config_read)
			vd->ops->config_read(vd);
		off -= VPCI_DEVICE;
		return get_le(vd->config + off, MIN(size, vd->config_len - (unsigned int)off));
	}
	return 0;
}

static void bar_write(struct pcidev *pd, unsigned int bar, uint64_t off, uint64_t val,
		      unsigned int size)
{
	struct virtio_dev *vd = vdev_of(pd);

	(void)bar;
	if (off < COMMON_LEN)
		common_write(vd, (unsigned int)off, val, size);
	else if (off >= VPCI_NOTIFY && off < VPCI_MSIX_TABLE)
		trapped_kick(vd, off - VPCI_NOTIFY);
	else if (off >= VPCI_DEVICE && off + size <= VPCI_DEVICE + (uint64_t)vd->config_len &&
		 vd->ops->config_write)
		vd->ops->config_write(vd, (unsigned int)off - VPCI_DEVICE, val, size);
}

/* ---- configuration space --------------------------------------------------------------------- */

/* The access the PCI configuration window asks for (VIRTIO 1.2 4.1.4.9); false: none that is. */
static bool window(struct virtio_dev *vd, uint64_t *ret_off, unsigned int *ret_len)
{
	const uint8_t *cap = &vd->pd.cfg.val[vd->tp.cfg_cap];
	uint32_t off = get_le32(cap + offsetof(struct virtio_pci_cap, offset));
	uint32_t len = get_le32(cap + offsetof(struct virtio_pci_cap, length));

	if (cap[offsetof(struct virtio_pci_cap, bar)] != VPCI_BAR ||
	    (len != 1 && len != 2 && len != 4) || !IS_ALIGNED(off, len) || off >= VPCI_MSIX_TABLE)
		return false;
	*ret_off = off;
	*ret_len = len;
	return true;
}

static unsigned int window_data(const struct virtio_dev *vd)
{
	return vd->tp.cfg_cap + (unsigned int)sizeof(struct virtio_pci_cap);
}

static void cfg_read_hook(struct pcidev *pd, unsigned int off, unsigned int size)
{
	struct virtio_dev *vd = vdev_of(pd);
	unsigned int data = window_data(vd), len;
	uint64_t at;

	(void)size;
	if (vd->tp.cfg_cap && off == data && window(vd, &at, &len))
		pcicfg_put(&pd->cfg, data, 4, bar_read(pd, VPCI_BAR, at, len) & ones(len));
}

static void cfg_written(struct pcidev *pd, unsigned int off, unsigned int size)
{
	struct virtio_dev *vd = vdev_of(pd);
	unsigned int data = window_data(vd), len;
	uint64_t at;

	(void)size;
	if (vd->tp.cfg_cap && off == data && window(vd, &at, &len))
		bar_write(pd, VPCI_BAR, at, pcicfg_get(&pd->cfg, data, 4) & ones(len), len);
	/* COMMAND and power state decide whether it may reach memory. */
	if (off < PCI_COMMAND + 2 || (off & ~3u) == pd->pm_off + (unsigned int)PCI_PM_CTRL)
		virtio_update(vd);
}

/* FLR, or a reset of the bus above: interrupts are off and memory is out of reach by now. */
static void function_reset(struct pcidev *pd)
{
	virtio_reset(vdev_of(pd));
	for (unsigned int i = 0; i < pd->n_vec; i++)
		if (pd->vec[i].fd >= 0)
			sys_event_take(pd->vec[i].fd);
}

static const struct pcidev_ops pci_ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.bar_disable = bar_disable,
	.bar_enable = bar_enable,
	.cfg_read_hook = cfg_read_hook,
	.cfg_written = cfg_written,
	.irq_mode = irq_mode,
	.reset = function_reset,
};

static int add_cap(struct virtio_dev *vd, uint8_t type, uint32_t off, uint32_t len,
		   unsigned int extra, struct verr *reterr)
{
	struct pcicfg *c = &vd->pd.cfg;
	unsigned int size = (unsigned int)sizeof(struct virtio_pci_cap) + extra;
	int r = pcicap_add(c, PCI_CAP_ID_VNDR, size, 0, reterr);

	if (r < 0)
		return r;
	unsigned int at = (unsigned int)r;
	bool open = type == VIRTIO_PCI_CAP_PCI_CFG;
	pcicfg_set(c, at + offsetof(struct virtio_pci_cap, cap_len), 1, size, 0);
	pcicfg_set(c, at + offsetof(struct virtio_pci_cap, cfg_type), 1, type, 0);
	pcicfg_set(c, at + offsetof(struct virtio_pci_cap, bar), 1, VPCI_BAR, open ? 0xff : 0);
	pcicfg_set(c, at + offsetof(struct virtio_pci_cap, offset), 4, off, open ? UINT32_MAX : 0);
	pcicfg_set(c, at + offsetof(struct virtio_pci_cap, length), 4, len, open ? UINT32_MAX : 0);
	if (extra)
		pcicfg_set(c, at + sizeof(struct virtio_pci_cap), 4, open ? 0 : VPCI_NOTIFY_MULT,
			   open ? UINT32_MAX : 0);
	return r;
}

static int add_caps(struct virtio_dev *vd, struct verr *reterr)
{
	int r = add_cap(vd, VIRTIO_PCI_CAP_COMMON_CFG, VPCI_COMMON, COMMON_LEN, 0, reterr);

	if (r >= 0)
		r = add_cap(vd, VIRTIO_PCI_CAP_NOTIFY_CFG, VPCI_NOTIFY,
			    vd->n_queues * VPCI_NOTIFY_MULT, 4, reterr);
	if (r >= 0)
		r = add_cap(vd, VIRTIO_PCI_CAP_ISR_CFG, VPCI_ISR, 1, 0, reterr);
	if (r >= 0 && vd->config_len > 0)
		r = add_cap(vd, VIRTIO_PCI_CAP_DEVICE_CFG, VPCI_DEVICE, vd->config_len, 0, reterr);
	if (r >= 0)
		r = add_cap(vd, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 4, reterr);
	if (r >= 0)
		vd->tp.cfg_cap = (unsigned int)r;
	return MIN(r, 0);
}

/* ---- life ------------------------------------------------------------------------------------ */

void virtio_pci_reset_regs(struct virtio_dev *vd)
{
	struct virtio_tp *tp = &vd->tp;

	tp->feature_sel = tp->driver_feature_sel = 0;
	tp->queue_sel = 0;
	tp->config_vector = VIRTIO_MSI_NO_VECTOR;
	tp->isr = 0;
	pcidev_intx_set(&vd->pd, false);
	for (unsigned int i = 0; i < vd->n_queues; i++)
		tp->q[i].vector = VIRTIO_MSI_NO_VECTOR;
	if (tp->intx_fd >= 0)
		sys_event_take(tp->intx_fd);
	virtio_pci_calls(vd);
}

/* A PCIe port of its own, so that it can be unplugged, unless the user says where it is to be. */
static int choose_bus(struct virtio_dev *vd, bool *ret_root, struct verr *reterr)
{
	const struct platform *plat = vd->pd.dev.plat;
	struct pcidev_common *common = &vd->pd.common;

	if (!common->bus && !common->addr && plat->port_for) {
		struct pcibus *b = plat->port_for(plat->event_opaque, &vd->pd.dev, reterr);
		if (!b)
			return reterr ? reterr->code : -ENOSPC;
		common->bus = strdup(b->id);
		if (!common->bus)
			return verr_set(reterr, -ENOMEM, "out of memory");
	}
	*ret_root = !common->bus || strcmp(common->bus, plat->pci0->id) == 0;
	return 0;
}

static int open_line(struct virtio_dev *vd, struct verr *reterr)
{
	int fd = sys_eventfd(0, EFD_NONBLOCK);

	if (fd < 0)
		return verr_set(reterr, fd, "no eventfd: %s", strerror(-fd));
	vd->tp.intx_fd = fd;
	vd->tp.intx_src = (struct loop_fd){ .fd = fd, .events = EPOLLIN, .ready = intx_ready };
	return loop_add_fd(vd->pd.dev.plat->loop, &vd->tp.intx_src, reterr);
}

int virtio_pci_open(struct virtio_dev *vd, uint32_t class_code, struct verr *reterr)
{
	struct pcidev *pd = &vd->pd;
	unsigned int vectors = MIN(vd->n_queues + 1, 2048u);
	bool root = true;

	vd->tp.q = calloc(vd->n_queues, sizeof(*vd->tp.q));
	if (!vd->tp.q)
		return verr_set(reterr, -ENOMEM, "out of memory for %u queues", vd->n_queues);
	for (unsigned int i = 0; i < vd->n_queues; i++)
		vd->tp.q[i].bell = -1;
	int r = choose_bus(vd, &root, reterr);
	if (r < 0)
		return r;
	pcidev_init(pd, &pci_ops, true, false);
	pcidev_set_ids(pd, VPCI_VENDOR, (uint16_t)(VPCI_DEV_BASE + vd->id), VPCI_VENDOR,
		       VPCI_SUBSYS, class_code, 1);
	r = pcidev_add_bar(pd, VPCI_BAR, PCIBAR_MEM64, true, VPCI_BAR_SIZE, reterr);
	if (r == 0)
		r = pcidev_add_msix(pd, 0, vectors, VPCI_BAR, VPCI_MSIX_TABLE, VPCI_BAR,
				    VPCI_MSIX_PBA, reterr);
	if (r == 0)
		r = pcidev_add_intx(pd, 1);
	if (r == 0)
		r = pcidev_add_exp(pd, 0, root ? PCI_EXP_TYPE_RC_END : PCI_EXP_TYPE_ENDPOINT, true,
				   reterr);
	if (r == 0)
		r = pcidev_add_pm(pd, 0, reterr);
	if (r == 0)
		r = add_caps(vd, reterr);
	if (r == 0 && !pd->dev.plat->dry_run)
		r = open_line(vd, reterr);
	if (r == 0)
		r = pcidev_attach(pd, reterr);
	return r;
}

void virtio_pci_close(struct virtio_dev *vd)
{
	loop_del_fd(&vd->tp.intx_src);
	pcidev_fini(&vd->pd);
	sys_close_fd(&vd->tp.intx_fd);
	free(vd->tp.q);
	vd->tp.q = NULL;
}
