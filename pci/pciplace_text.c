// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses as placed, for people: a line for each BAR and bridge window. Changes nothing.
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>

#include "pci/pciplace_int.h"

void pciplace_size_text(uint64_t size, char buf[32])
{
	static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned int u = 0;
	for (; size >= 1024 && size % 1024 == 0 && u + 1 < ARRAY_SIZE(unit); u++)
		size /= 1024;
	snprintf(buf, 32, "%" PRIu64 " %s", size, unit[u]);
}

static void describe_range(FILE *out, const char *what, uint64_t first, uint64_t last)
{
	char size[32];
	pciplace_size_text(last - first + 1, size);
	fprintf(out, "    %-28s %#14" PRIx64 "-%#" PRIx64 " (%s)\n", what, first, last, size);
}

static void describe_place(FILE *out, const char *what, const struct pcidev_bar *b)
{
	char size[32];
	if (b->placed != 0) {
		describe_range(out, what, b->placed, b->placed + b->size - 1);
		return;
	}
	pciplace_size_text(b->size, size);
	fprintf(out, "    %-28s %s, without a place\n", what, size);
}

static int describe_each(void *ctx, struct pcidev *pd)
{
	static const char *const kind[] = { "", "I/O", "32-bit memory", "64-bit memory", "ROM" };
	FILE *out = ctx;
	char buf[64];
	fprintf(out, "  %02x:%02x.%u %04x:%04x %s\n", pd->bus->number, pd->devfn >> 3U,
		pd->devfn & 7U, (unsigned int)pcicfg_get(&pd->cfg, PCI_VENDOR_ID, 2),
		(unsigned int)pcicfg_get(&pd->cfg, PCI_DEVICE_ID, 2), pd->dev.id);
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		const struct pcidev_bar *b = &pd->bar[i];
		if (b->kind == PCIBAR_NONE)
			continue;
		if (b->kind == PCIBAR_ROM)
			snprintf(buf, sizeof(buf), "ROM");
		else
			snprintf(buf, sizeof(buf), "BAR %u %s%s", i, kind[b->kind],
				 b->prefetch ? ", pref" : "");
		describe_place(out, buf, b);
	}
	for (unsigned int i = 0; pd->secondary != NULL && i < PCI_N_WINS; i++) {
		static const char *const win[] = { "window I/O", "window memory",
						   "window prefetchable" };
		const struct pci_win_range *w = &pd->secondary->win[i];
		if (w->first <= w->last)
			describe_range(out, win[i], w->first, w->last);
	}
	return 0;
}

void pcibus_describe(struct pcibus *root, FILE *out)
{
	pcibus_walk(root, describe_each, out);
}
