// SPDX-License-Identifier: GPL-2.0-or-later
//
// The tables of `show` about BARs and interrupts.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "tools/inspect/show_int.h"

static const char *why_unknown(const struct inv_fn *f)
{
	return f->asleep[0] ? "not read, it sleeps" : f->cfg_errno ? "not readable" : INV_NEED_ROOT;
}

/* "direct 0x0-0x2fff", "MSI-X 0x3000-0x3fff is trapped", "trapped: shares its page" */
static void map_words(const struct inv_fn *f, const struct inv_bar *b, const struct inv_bar_map *m,
		      char *buf, size_t size)
{
	buf[0] = '\0';
	if (b->kind == INV_BAR_IO || b->kind == INV_BAR_ROM) {
		text_append(buf, size, ", trapped");
		return;
	}
	if (m->shares_page)
		text_append(buf, size, ", trapped: smaller than a page, which it shares");
	else if (m->subpage)
		text_append(buf, size, ", smaller than a page, which it has alone");
	for (unsigned int i = 0; i < m->n_direct; i++)
		text_append(buf, size, "%s 0x%" PRIx64 "-0x%" PRIx64, i ? "," : ", direct",
			    m->direct[i].off, m->direct[i].off + m->direct[i].size - 1);
	if (m->n_direct == 0 && !m->shares_page)
		text_append(buf, size, ", nothing direct");
	for (unsigned int i = 0; i < m->n_holes; i++)
		text_append(buf, size, "%s 0x%" PRIx64 "-0x%" PRIx64, i ? "," : ", MSI-X hole",
			    m->hole[i].off, m->hole[i].off + m->hole[i].size - 1);
	if (!m->known)
		text_append(buf, size, " (MSI-X holes: %s)", why_unknown(f));
}

static void show_bar(const struct inspect *in, const struct inv_fn *f, const char *name,
		     const struct inv_bar *b, const struct inv_bar_map *m)
{
	static const char *const kind[] = { "", "I/O", "32-bit", "64-bit", "ROM" };
	char size[24], place[32] = "not assigned", words[400] = "", sizes[300] = "", one[24];
	if (b->size == 0)
		return;
	inv_size_text(b->size, size, sizeof(size));
	if (!b->unassigned)
		snprintf(place, sizeof(place), "at 0x%" PRIx64, b->addr);
	if (m && !b->unassigned)
		map_words(f, b, m, words, sizeof(words));
	for (unsigned int i = 0; i < 44; i++) {
		if (b->resizable >> i & 1)
			text_append(sizes, sizeof(sizes), "%s%s",
				    sizes[0] ? "/" : ", resizable to ",
				    inv_size_text(BIT64(i + 20), one, sizeof(one)));
	}
	show_line(in, "%-8s %-7s%s %s %s%s%s", name, kind[b->kind],
		  b->prefetch ? " prefetchable" : "", size, place, words, sizes);
}

void show_bars(const struct inspect *in, const struct inv_fn *f)
{
	static const char *const window[] = { "I/O", "memory", "prefetch", "other" };
	char name[16];
	unsigned int n = 0;
	paintf(in, PAINT_HEAD, f->bridge ? "  BARs and windows\n" : "  BARs\n");
	for (unsigned int i = 0; i < INV_N_BARS; i++) {
		if (i < 6)
			snprintf(name, sizeof(name), "BAR %u", i);
		else
			snprintf(name, sizeof(name), "ROM");
		n += f->bar[i].size != 0;
		show_bar(in, f, name, &f->bar[i], &f->map[i]);
	}
	for (unsigned int i = 0; i < INV_N_VF_BARS; i++) {
		snprintf(name, sizeof(name), "VF BAR %u", i);
		n += f->sriov.vf_bar[i].size != 0;
		show_bar(in, f, name, &f->sriov.vf_bar[i], NULL);
	}
	for (unsigned int i = 0; i < INV_N_WINDOWS; i++) {
		n += f->window[i].size != 0;
		show_bar(in, f, window[i], &f->window[i], NULL);
	}
	if (n == 0)
		show_line(in, "none");
}

void show_irqs(const struct inspect *in, const struct inv_fn *f)
{
	const struct inv_irq *q = &f->irq;
	char irq[32] = "";
	paintf(in, PAINT_HEAD, "  interrupts\n");
	if (q->irq >= 0)
		snprintf(irq, sizeof(irq), ", host's IRQ %d", q->irq);
	if (q->intx_pin)
		show_line(in, "INTx     pin %c%s", 'A' + q->intx_pin - 1, irq);
	if (q->msi)
		show_line(in, "MSI      %u %s, %s-bit addresses%s%s", q->msi,
			  q->msi == 1 ? "vector" : "vectors", q->msi_64 ? "64" : "32",
			  q->msi_mask ? ", maskable" : "", q->msi_on ? ", enabled" : "");
	if (q->msix)
		show_line(in, "MSI-X    %u %s, table in BAR %u at 0x%x, PBA in BAR %u at 0x%x%s",
			  q->msix, q->msix == 1 ? "vector" : "vectors", q->table_bar, q->table_off,
			  q->pba_bar, q->pba_off, q->msix_on ? ", enabled" : "");
	if (q->in_use)
		show_line(in, "in use   %u", q->in_use);
	if (!q->known)
		show_line(in, "MSI and MSI-X: %s", why_unknown(f));
	else if (!q->intx_pin && !q->msi && !q->msix)
		show_line(in, "none");
}
