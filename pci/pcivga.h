// SPDX-License-Identifier: GPL-2.0-or-later
// Legacy VGA: the memory and ports that a VGA controller decodes beside its BARs, at addresses that
// no register says (PCI 3.0 Appendix D, class 03/00), and that bridges pass on if their VGA Enable
// says so (PCI-to-PCI Bridge 1.2 3.2.5.18). Trapped, never mapped. Under the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/aspace.h"
#include "core/cc.h"
#include "core/range.h"

VV_BEGIN_DECLS

struct pcibus;
struct pcidev;

#define PCIVGA_MEM_FIRST UINT64_C(0xa0000)
#define PCIVGA_MEM_LAST	 UINT64_C(0xbffff)
#define PCIVGA_PARTS	 3 /* memory, ports 3b0-3bb, ports 3c0-3df */

/* Embedded in struct pcidev; zeroed: the function decodes no such thing. */
struct pcivga {
	bool on;
	struct pcivga_part {
		struct pcidev *pd;
		struct io_region io;
	} part[PCIVGA_PARTS];
};

/* In realize: `pd` decodes VGA whenever COMMAND and every bridge above let it. Accesses come by
 * pcidev_ops.vga_*. */
void pcidev_add_vga(struct pcidev *pd);
/* The function that does; NULL: none. */
struct pcidev *pcivga_find(struct pcibus *root);
/* Is all of `r` an address that VGA Enable passes on? */
bool pcivga_covers(bool io, struct range r);

/* pcibar.c: makes it true to the registers of the function and of the bridges above / ends it. */
void pcivga_update(struct pcidev *pd);
void pcivga_drop(struct pcidev *pd);

VV_END_DECLS
