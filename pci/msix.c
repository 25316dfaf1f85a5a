// SPDX-License-Identifier: GPL-2.0-or-later
// The MSI-X capability, table and pending bits (PCI 3.0 6.8.2) as a pure state machine. Owns the
// table's bytes; knows no BAR, no eventfd and no irqchip.
#include "pci/msix.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/trace.h"
#include "pci/pcicap.h"
#include "pci/pcicfg.h"

#define ENTRY	  16U
#define ENTRY_CTL 12U /* vector control: bit 0 masks */

static bool is_live(const struct msix *m, unsigned int vec)
{
	return (m->live[vec / 8] & (1U << vec % 8)) != 0;
}

static bool is_masked(const struct msix *m, unsigned int vec)
{
	return (m->table[vec * ENTRY + ENTRY_CTL] & PCI_MSIX_ENTRY_CTRL_MASKBIT) != 0;
}

static void clear_table(struct msix *m)
{
	memset(m->table, 0, MSIX_TABLE_SIZE(m->n));
	for (unsigned int i = 0; i < m->n; i++)
		m->table[i * ENTRY + ENTRY_CTL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

int msix_init(struct msix *m, struct pcicfg *cfg, unsigned int off, unsigned int n,
	      unsigned int tbir, uint32_t toff, unsigned int pbir, uint32_t poff,
	      const struct msi_sink *sink, void *opaque, struct verr *reterr)
{
	if (n < 1 || n > 2048)
		return verr_set(reterr, -EINVAL, "MSI-X has 1 to 2048 vectors, not %u", n);
	if (tbir > 5 || pbir > 5)
		return verr_set(reterr, -EINVAL,
				"the MSI-X table and PBA can't be in BAR %u and BAR %u: BARs are 0 "
				"to 5",
				tbir, pbir);
	if (toff % 8 != 0 || poff % 8 != 0)
		return verr_set(reterr, -EINVAL,
				"MSI-X table offset %#x and PBA offset %#x must be multiples of 8",
				toff, poff);
	uint8_t *table = calloc(n, ENTRY);
	uint8_t *live = calloc((n + 7) / 8, 1);
	int r = -ENOMEM;
	if (table == NULL || live == NULL) {
		verr_set(reterr, r, "out of memory for an MSI-X table of %u vectors", n);
		goto fail;
	}
	r = pcicap_add(cfg, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF, off, reterr);
	if (r < 0)
		goto fail;
	*m = (struct msix){ .cfg = cfg,
			    .sink = sink,
			    .opaque = opaque,
			    .off = (uint16_t)r,
			    .n = (uint16_t)n,
			    .table = table,
			    .live = live };
	clear_table(m);
	pcicfg_set(cfg, m->off + PCI_MSIX_FLAGS, 2, n - 1,
		   PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pcicfg_set(cfg, m->off + PCI_MSIX_TABLE, 4, toff | tbir, 0);
	pcicfg_set(cfg, m->off + PCI_MSIX_PBA, 4, poff | pbir, 0);
	return 0;
fail:
	free(table);
	free(live);
	return r;
}

void msix_fini(struct msix *m)
{
	free(m->table);
	free(m->live);
	m->table = NULL;
	m->live = NULL;
	m->n = 0;
}

/* Tells the sink what became of one vector; `touched`: its message may have changed. */
static void update(struct msix *m, unsigned int vec, bool touched)
{
	bool was = is_live(m, vec);
	bool live = m->enabled && !m->fmask && !is_masked(m, vec);
	if (live == was && !(live && touched))
		return;
	const uint8_t *e = &m->table[vec * ENTRY];
	struct msi_msg msg = { .addr = get_le64(e) & ~UINT64_C(3), .data = get_le32(e + 8) };
	uint8_t bit = (uint8_t)(1U << vec % 8);
	m->live[vec / 8] = (uint8_t)(live ? m->live[vec / 8] | bit : m->live[vec / 8] & ~bit);
	m->sink->vector(m->opaque, vec, &msg, live);
}

void msix_cfg_written(struct msix *m, unsigned int off, unsigned int size)
{
	if (off + size <= m->off || off >= m->off + (unsigned int)PCI_CAP_MSIX_SIZEOF)
		return;
	unsigned int flags = (unsigned int)pcicfg_get(m->cfg, m->off + PCI_MSIX_FLAGS, 2);
	bool enabled = (flags & PCI_MSIX_FLAGS_ENABLE) != 0;
	bool fmask = (flags & PCI_MSIX_FLAGS_MASKALL) != 0;
	if (enabled == m->enabled && fmask == m->fmask)
		return;
	bool was = m->enabled;
	m->enabled = enabled;
	m->fmask = fmask;
	if (!enabled && !was)
		return;
	m->sink->begin(m->opaque);
	if (enabled && !was)
		m->sink->enable(m->opaque, true, m->n);
	for (unsigned int i = 0; i < m->n; i++)
		update(m, i, false);
	if (!enabled)
		m->sink->enable(m->opaque, false, 0);
	m->sink->end(m->opaque);
}

void msix_reset(struct msix *m)
{
	unsigned int flags = (unsigned int)pcicfg_get(m->cfg, m->off + PCI_MSIX_FLAGS, 2);
	flags &= ~(unsigned int)(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pcicfg_put(m->cfg, m->off + PCI_MSIX_FLAGS, 2, flags);
	msix_cfg_written(m, m->off, PCI_CAP_MSIX_SIZEOF);
	clear_table(m);
}

uint64_t msix_table_read(struct msix *m, uint64_t off, unsigned int size)
{
	uint64_t end = MSIX_TABLE_SIZE(m->n);
	if (size > 8 || off >= end || size > end - off)
		return 0;
	return get_le(&m->table[off], size);
}

void msix_table_write(struct msix *m, uint64_t off, uint64_t val, unsigned int size)
{
	uint64_t end = MSIX_TABLE_SIZE(m->n);
	if ((size != 4 && size != 8) || off % size != 0 || off >= end || size > end - off)
		return;
	put_le(&m->table[off], val, size);
	unsigned int vec = (unsigned int)(off / ENTRY);
	/* Bits 31:1 of vector control are reserved: they stay 0 (no steering tags offered). */
	uint8_t *ctl = &m->table[vec * ENTRY + ENTRY_CTL];
	put_le32(ctl, get_le32(ctl) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	if (!m->enabled)
		return;
	m->sink->begin(m->opaque);
	update(m, vec, true);
	m->sink->end(m->opaque);
}

uint64_t msix_pba_read(struct msix *m, uint64_t off, unsigned int size)
{
	uint64_t end = MSIX_PBA_SIZE(m->n);
	if (size > 8 || off >= end || size > end - off)
		return 0;
	uint64_t bits = 0;
	for (unsigned int i = 0; i < size * 8; i++) {
		uint64_t vec = off * 8 + i;
		if (vec >= m->n)
			break;
		if (!is_live(m, (unsigned int)vec) &&
		    m->sink->pending(m->opaque, (unsigned int)vec))
			bits |= BIT64(i);
	}
	return bits;
}
