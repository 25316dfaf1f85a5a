// SPDX-License-Identifier: GPL-2.0-or-later
// Buses of the guest: slots, bus numbers, two-phase BAR placement, INTx swizzle, hot add and
// remove. Root bus and the secondary buses of bridges alike. Under the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/range.h"
#include "core/verr.h"
#include "pci/intx.h"
#include "pci/pcidev.h"

VV_BEGIN_DECLS

/* What BAR placement may use, and what a bridge passes on. */
enum pci_win { PCI_WIN_IO, PCI_WIN_MEM, PCI_WIN_PREF, PCI_N_WINS };

struct pcibus {
	char id[64];		   /* "pci.0", or the bridge's id */
	struct pcidev *bridge;	   /* borrowed; NULL: root bus */
	struct pcidev *fn[256];	   /* by devfn, borrowed */
	uint8_t number;		   /* as numbered by pcibus_number(): the root's is 0 */
	struct intx_lines *intx;   /* root only */
	struct aspace *mmio, *pio; /* root only; borrowed */
	bool pcie;		   /* may hold PCIe functions */
	bool only_slot0;	   /* below a PCIe port */
	bool in_switch;		   /* between a switch's upstream port and its downstream ones */
	bool hotplug;		   /* below a slot: placement keeps room while it is empty */
	bool off;		   /* below a slot without power: nothing answers */
	void (*changed)(struct pcibus *b); /* a function came or went; NULL: nobody cares */
	/* Behind a bridge: its windows as placed; first > last: closed. */
	struct pci_win_range {
		uint64_t first, last;
	} win[PCI_N_WINS];
};

void pcibus_init_root(struct pcibus *b, struct aspace *mmio, struct aspace *pio,
		      struct intx_lines *intx);
void pcibus_fini(struct pcibus *b); /* asserts empty */
struct pcibus *pcibus_root(struct pcibus *b);
/* By id, over the whole tree below `root`; NULL if none. */
struct pcibus *pcibus_find(struct pcibus *root, const char *id);

/* addr: "04", "04.1" or NULL (next free slot). -EBUSY names who is there. Function numbers > 0
 * need function 0 to be multifunction. */
int pcibus_add(struct pcibus *b, struct pcidev *pd, const char *addr, struct verr *reterr);
void pcibus_remove(struct pcidev *pd);

bool pcibus_empty(const struct pcibus *b);

/* Guest accesses by the guest's current bus numbering (bridges' secondary/subordinate registers
 * decide). Absent: all ones, writes vanish. */
uint32_t pcibus_cfg_read(struct pcibus *root, uint8_t bus, uint8_t devfn, unsigned int off,
			 unsigned int size);
void pcibus_cfg_write(struct pcibus *root, uint8_t bus, uint8_t devfn, unsigned int off,
		      uint32_t val, unsigned int size);
struct pcidev *pcibus_lookup(struct pcibus *root, uint8_t bus, uint8_t devfn);

struct pci_windows {
	struct range io, mmio32; /* inclusive */
	struct range mmio64;	 /* first == last == 0: none */
};

/* How much the BARs present need, rounded to their alignment, bridges' windows and hot-plug
 * reserve included: to size the windows before ACPI is built. 64-bit BARs that could go either
 * way are counted both in mmio64 and, up to 256 MiB each, in mmio32. */
struct pci_needs {
	uint64_t io, mmio32, mmio64;
	uint64_t mmio32_align, mmio64_align; /* largest alignment in it; 0 if it needs nothing */
	/* Not in mmio64: from the first to the last of what has a fixed address, bridges' windows
	 * included; last 0: nothing has. */
	struct range fixed;
	char lowest[96], highest[96]; /* the first and last BAR in it: "gpu BAR 1" */
};
/* -EINVAL names two BARs whose fixed addresses can't both be; -ENOMEM. */
int pcibus_needs(struct pcibus *root, struct pci_needs *ret, struct verr *reterr);
/* Numbers buses and finds a place for every BAR (largest first) and bridge window; the reset that
 * follows programs them. -ENOSPC names the BAR that does not fit, the window and the largest hole;
 * -EINVAL the one whose fixed address can't be. Can be called again (before a reset). */
int pcibus_place(struct pcibus *root, const struct pci_windows *w, struct verr *reterr);
/* Programs one function's BARs, bridge windows and COMMAND memory/I/O enables as firmware would, as
 * pcibus_place() left it; nothing if it was not placed. */
void pcibus_program(struct pcidev *pd);
/* Map as placed: one line per BAR and bridge window, for --dry-run. */
void pcibus_describe(struct pcibus *root, FILE *out);

/* Walks every function, parents first. Stops when each() returns non-zero. */
int pcibus_walk(struct pcibus *root, int (*each)(void *ctx, struct pcidev *pd), void *ctx);
/* Root-bus device number and pin (0..3) a function's pin ends up on. */
void pcibus_swizzle(const struct pcidev *pd, unsigned int *ret_dev, unsigned int *ret_pin);

VV_END_DECLS
