// SPDX-License-Identifier: GPL-2.0-or-later
//
// BARs, a bridge's windows and VF BARs out of sysfs `resource`, and which of their pages a guest
// gets mapped directly: vfio-pci maps memory BARs of a page or more, smaller ones when they have
// their page alone; vfio-vmm keeps the pages of MSI-X table and PBA to itself.
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "core/range.h"
#include "core/sys.h"
#include "pci/msix.h"
#include "tools/inspect/inv_int.h"
#include "vfio/hostproc.h"

/* linux/ioport.h, which the kernel does not export; sysfs prints these. */
#define IORESOURCE_IO	    0x00000100
#define IORESOURCE_MEM	    0x00000200
#define IORESOURCE_PREFETCH 0x00002000
#define IORESOURCE_MEM_64   0x00100000
#define IORESOURCE_UNSET    0x20000000

#define PAGE	   4096
#define MAX_LINES  17
#define ROM_LINE   6
#define VF_LINE	   7 /* of a kernel with SR-IOV, which prints 13 lines or 17 */
#define N_WITH_IOV 13

struct lines {
	struct inv_bar bar[MAX_LINES];
	unsigned int n;
};

static int take_line(void *opaque, char *line)
{
	struct lines *l = opaque;
	uint64_t start, end, flags;
	if (l->n == MAX_LINES)
		return 1;
	struct inv_bar *b = &l->bar[l->n];
	if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags) != 3)
		return 1;
	l->n++;
	if (!(flags & (IORESOURCE_IO | IORESOURCE_MEM)) || end < start)
		return 0;
	b->kind = flags & IORESOURCE_IO	      ? INV_BAR_IO
		  : flags & IORESOURCE_MEM_64 ? INV_BAR_MEM64
					      : INV_BAR_MEM32;
	b->prefetch = flags & IORESOURCE_PREFETCH;
	b->addr = start;
	b->size = end - start + 1;
	b->unassigned = (flags & IORESOURCE_UNSET) || start == 0;
	return 0;
}

static void read_lines(const struct inv_fn *f, struct lines *l)
{
	char path[96], name[BDF_STR_MAX];
	memset(l, 0, sizeof(*l));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", bdf_str(&f->pci.at, name));
	hostproc_lines(path, take_line, l);
}

/* --- resizable BARs --------------------------------------------------------------------------- */

/* PCIe 6.0 7.8.6: up to six entries of capability and control. */
static void resizable_from_cap(struct inv_fn *f, const struct inv_cap *c)
{
	unsigned int n = inv_cfg(f, c->off + PCI_REBAR_CTRL, 4) >> 5 & 7;
	for (unsigned int i = 0; i < n && i < 6; i++) {
		uint64_t cap = inv_cfg(f, c->off + PCI_REBAR_CAP + 8 * i, 4);
		uint64_t ctrl = inv_cfg(f, c->off + PCI_REBAR_CTRL + 8 * i, 4);
		unsigned int bar = ctrl & PCI_REBAR_CTRL_BAR_IDX;
		if (bar < 6)
			f->bar[bar].resizable = (cap >> 4 & 0xfffffff) | (ctrl >> 16 & 0xffff)
										 << 28;
	}
}

static void read_resizable(struct inv_fn *f)
{
	const struct inv_cap *c = inv_cap_find(f, PCI_EXT_CAP_ID_REBAR, true);
	if (c) {
		resizable_from_cap(f, c);
		return;
	}
	if (f->cfg_len > 256 || f->asleep[0] || f->bridge)
		return;
	for (unsigned int i = 0; i < 6; i++) {
		char file[24], text[32];
		snprintf(file, sizeof(file), "resource%u_resize", i);
		if (f->bar[i].size && inv_fn_text(f, file, text, sizeof(text))[0])
			sscanf(text, "%" SCNx64, &f->bar[i].resizable);
	}
}

/* --- direct mapping --------------------------------------------------------------------------- */

/* Another function's BAR in the page of a BAR smaller than that. */
static bool page_shared(const struct inv *inv, const struct inv_fn *f, const struct inv_bar *b)
{
	uint64_t page = ALIGN_DOWN(b->addr, (uint64_t)PAGE);
	if (b->addr != page)
		return true; /* vfio-pci asks for the page's start */
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		struct lines l;
		read_lines(&inv->fn[i], &l);
		for (unsigned int j = 0; j < l.n && j < VF_LINE; j++) {
			const struct inv_bar *o = &l.bar[j];
			bool itself = &inv->fn[i] == f && o->addr == b->addr;
			if (o->size && o->kind != INV_BAR_IO && !o->unassigned && !itself &&
			    ALIGN_DOWN(o->addr, (uint64_t)PAGE) == page)
				return true;
		}
	}
	return false;
}

static void punch(struct inv_bar_map *m, struct rangeset *s, uint64_t off, uint64_t len,
		  uint64_t bar_size)
{
	struct range hole = { .first = ALIGN_DOWN(off, (uint64_t)PAGE),
			      .last = ALIGN_UP(off + len, (uint64_t)PAGE) - 1 };
	if (off >= bar_size)
		return; /* broken: said with the capability */
	rangeset_subtract(s, hole);
	if (m->n_holes && m->hole[0].off == hole.first && m->hole[0].size == range_size(hole))
		return;
	m->hole[m->n_holes++] = (struct inv_span){ hole.first, range_size(hole) };
}

static void map_bar(const struct inv *inv, struct inv_fn *f, unsigned int i)
{
	const struct inv_bar *b = &f->bar[i];
	struct inv_bar_map *m = &f->map[i];
	struct rangeset s = { 0 };
	if ((b->kind != INV_BAR_MEM32 && b->kind != INV_BAR_MEM64) || b->unassigned)
		return;
	m->known = f->irq.known;
	m->subpage = b->size < PAGE;
	m->shares_page = m->subpage && page_shared(inv, f, b);
	if (m->shares_page)
		return;
	if (rangeset_add(&s, (struct range){ 0, ALIGN_UP(b->size, (uint64_t)PAGE) - 1 }) < 0)
		return;
	if (f->irq.msix && f->irq.table_bar == i)
		punch(m, &s, f->irq.table_off, MSIX_TABLE_SIZE(f->irq.msix), b->size);
	if (f->irq.msix && f->irq.pba_bar == i)
		punch(m, &s, f->irq.pba_off, MSIX_PBA_SIZE(f->irq.msix), b->size);
	for (size_t k = 0; k < s.n && m->n_direct < ARRAY_SIZE(m->direct); k++)
		m->direct[m->n_direct++] = (struct inv_span){ s.r[k].first, range_size(s.r[k]) };
	rangeset_fini(&s);
}

void inv_bar_read(const struct inv *inv, struct inv_fn *f)
{
	struct lines l;
	read_lines(f, &l);
	for (unsigned int i = 0; i < l.n && i < INV_N_BARS; i++)
		f->bar[i] = l.bar[i];
	if (f->bar[ROM_LINE].size) {
		f->bar[ROM_LINE].kind = INV_BAR_ROM;
		f->bar[ROM_LINE].prefetch = false; /* the kernel marks every ROM so */
	}
	if (l.n >= N_WITH_IOV && f->sriov.pf)
		memcpy(f->sriov.vf_bar, &l.bar[VF_LINE], sizeof(f->sriov.vf_bar));
	if (f->bridge) {
		unsigned int first = l.n > N_WITH_IOV ? N_WITH_IOV : VF_LINE;
		for (unsigned int i = 0; i < INV_N_WINDOWS && first + i < l.n; i++)
			f->window[i] = l.bar[first + i];
	}
	read_resizable(f);
	for (unsigned int i = 0; i < 6; i++)
		map_bar(inv, f, i);
}
