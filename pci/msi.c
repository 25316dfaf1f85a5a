// SPDX-License-Identifier: GPL-2.0-or-later
// The MSI capability (PCI 3.0 6.8.1) as a pure state machine: compares what the registers say now
// with what the sink was last told, and tells the difference. Knows no eventfd and no irqchip.
#include "pci/msi.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "pci/pcicap.h"
#include "pci/pcicfg.h"

unsigned int msi_len(bool is64, bool maskable)
{
	return (is64 ? 14U : 10U) + (maskable ? 10U : 0U);
}

static unsigned int data_off(const struct msi *m)
{
	return m->off + (m->is64 ? (unsigned int)PCI_MSI_DATA_64 : (unsigned int)PCI_MSI_DATA_32);
}

static unsigned int mask_off(const struct msi *m)
{
	return m->off + (m->is64 ? (unsigned int)PCI_MSI_MASK_64 : (unsigned int)PCI_MSI_MASK_32);
}

static unsigned int pending_off(const struct msi *m)
{
	return mask_off(m) + 4;
}

static uint32_t all_vectors(unsigned int n)
{
	return n >= 32 ? UINT32_MAX : BIT32(n) - 1;
}

int msi_init(struct msi *m, struct pcicfg *cfg, unsigned int off, unsigned int vectors, bool is64,
	     bool maskable, const struct msi_sink *sink, void *opaque, struct verr *reterr)
{
	if (!IS_POW2(vectors) || vectors > 32)
		return verr_set(reterr, -EINVAL, "MSI has 1, 2, 4, 8, 16 or 32 vectors, not %u",
				vectors);
	int r = pcicap_add(cfg, PCI_CAP_ID_MSI, msi_len(is64, maskable), off, reterr);
	if (r < 0)
		return r;
	*m = (struct msi){ .cfg = cfg,
			   .sink = sink,
			   .opaque = opaque,
			   .off = (uint16_t)r,
			   .log2_max = (uint8_t)__builtin_ctz(vectors),
			   .is64 = is64,
			   .maskable = maskable };
	unsigned int flags = (unsigned int)m->log2_max << 1;
	flags |= is64 ? PCI_MSI_FLAGS_64BIT : 0;
	flags |= maskable ? PCI_MSI_FLAGS_MASKBIT : 0;
	pcicfg_set(cfg, m->off + PCI_MSI_FLAGS, 2, flags,
		   PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pcicfg_set(cfg, m->off + PCI_MSI_ADDRESS_LO, 4, 0, 0xfffffffc);
	if (is64)
		pcicfg_set(cfg, m->off + PCI_MSI_ADDRESS_HI, 4, 0, UINT32_MAX);
	pcicfg_set(cfg, data_off(m), 2, 0, 0xffff);
	if (maskable) {
		pcicfg_set(cfg, mask_off(m), 4, 0, all_vectors(vectors));
		pcicfg_set(cfg, pending_off(m), 4, 0, 0);
	}
	return 0;
}

struct msi_msg msi_message(const struct msi *m, unsigned int vec)
{
	/* The function changes the low bits of the data only (PCI 3.0 6.8.1.6). */
	struct msi_msg msg = m->base;
	msg.data = (msg.data & ~((uint32_t)m->n - 1)) | vec;
	return msg;
}

/* What the registers say, with reserved vector counts cut to what was offered. */
struct regs {
	bool enabled;
	uint8_t n;
	struct msi_msg base;
	uint32_t mask;
};

static struct regs read_regs(const struct msi *m)
{
	unsigned int flags = (unsigned int)pcicfg_get(m->cfg, m->off + PCI_MSI_FLAGS, 2);
	unsigned int log2 = (flags & PCI_MSI_FLAGS_QSIZE) >> 4;
	struct regs r = { .enabled = (flags & PCI_MSI_FLAGS_ENABLE) != 0 };
	r.n = (uint8_t)(1U << MIN(log2, (unsigned int)m->log2_max));
	r.base.addr = pcicfg_get(m->cfg, m->off + PCI_MSI_ADDRESS_LO, 4);
	if (m->is64)
		r.base.addr |= pcicfg_get(m->cfg, m->off + PCI_MSI_ADDRESS_HI, 4) << 32;
	r.base.data = (uint32_t)pcicfg_get(m->cfg, data_off(m), 2);
	if (m->maskable)
		r.mask = (uint32_t)pcicfg_get(m->cfg, mask_off(m), 4);
	return r;
}

static void tell(struct msi *m, unsigned int vec, bool live)
{
	struct msi_msg msg = msi_message(m, vec);
	m->live = live ? m->live | BIT32(vec) : m->live & ~BIT32(vec);
	m->sink->vector(m->opaque, vec, &msg, live);
}

static void turn_off(struct msi *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		if ((m->live & BIT32(i)) != 0)
			tell(m, i, false);
	m->enabled = false;
	m->sink->enable(m->opaque, false, 0);
}

void msi_cfg_written(struct msi *m, unsigned int off, unsigned int size)
{
	if (off + size <= m->off || off >= m->off + msi_len(m->is64, m->maskable))
		return;
	struct regs r = read_regs(m);
	bool restart = m->enabled && r.enabled && r.n != m->n;
	bool moved = r.base.addr != m->base.addr || r.base.data != m->base.data;
	if (!r.enabled && !m->enabled)
		return;
	if (r.enabled && m->enabled && !restart && !moved && r.mask == m->mask)
		return;

	m->sink->begin(m->opaque);
	if (m->enabled && (!r.enabled || restart))
		turn_off(m);
	if (r.enabled) {
		bool fresh = !m->enabled;
		m->n = r.n;
		m->base = r.base;
		m->mask = r.mask;
		m->enabled = true;
		if (fresh)
			m->sink->enable(m->opaque, true, m->n);
		for (unsigned int i = 0; i < m->n; i++) {
			bool was = (m->live & BIT32(i)) != 0;
			bool live = (m->mask & BIT32(i)) == 0;
			if (live != was || (live && moved))
				tell(m, i, live);
		}
	}
	m->sink->end(m->opaque);
}

void msi_cfg_read(struct msi *m, unsigned int off, unsigned int size)
{
	if (!m->maskable || off + size <= pending_off(m) || off >= pending_off(m) + 4)
		return;
	uint32_t bits = 0;
	for (unsigned int i = 0; m->enabled && i < m->n; i++)
		if ((m->live & BIT32(i)) == 0 && m->sink->pending(m->opaque, i))
			bits |= BIT32(i);
	pcicfg_put(m->cfg, pending_off(m), 4, bits);
}

void msi_reset(struct msi *m)
{
	unsigned int flags = (unsigned int)pcicfg_get(m->cfg, m->off + PCI_MSI_FLAGS, 2);
	flags &= ~(unsigned int)(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	pcicfg_put(m->cfg, m->off + PCI_MSI_FLAGS, 2, flags);
	pcicfg_put(m->cfg, m->off + PCI_MSI_ADDRESS_LO, 4, 0);
	if (m->is64)
		pcicfg_put(m->cfg, m->off + PCI_MSI_ADDRESS_HI, 4, 0);
	pcicfg_put(m->cfg, data_off(m), 2, 0);
	if (m->maskable) {
		pcicfg_put(m->cfg, mask_off(m), 4, 0);
		pcicfg_put(m->cfg, pending_off(m), 4, 0);
	}
	msi_cfg_written(m, m->off, msi_len(m->is64, m->maskable));
}
