// SPDX-License-Identifier: GPL-2.0-or-later
// A PCI function on a bus of the guest: configuration space, BARs, capabilities, interrupt
// vectors, reset. The same model carries emulated and assigned functions.
//
// Order of a configuration write (docs/architecture.md): windows that it takes away are dropped
// first (bar_disable), then hardware is written, then the shadow commits, then windows it gives
// are restored (bar_enable), then MSI/MSI-X, then cfg_written. All under the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/aspace.h"
#include "core/dev.h"
#include "core/type.h"
#include "pci/intx.h"
#include "pci/msix.h"
#include "pci/msivec.h"
#include "pci/pcicap.h"
#include "pci/pcicfg.h"
#include "pci/pcivga.h"

VV_BEGIN_DECLS

struct pcibus;
struct pcidev;

#define PCIDEV_ROM    6 /* index of the expansion ROM among the BARs */
#define PCIDEV_N_BARS 7

enum pcibar_kind { PCIBAR_NONE, PCIBAR_IO, PCIBAR_MEM32, PCIBAR_MEM64, PCIBAR_ROM };

struct pcidev_bar {
	enum pcibar_kind kind; /* MEM64 takes this index and the next */
	bool prefetch;
	uint64_t size;	 /* power of two; >= 4 (I/O), 16 (memory), 2048 (ROM) */
	uint64_t align;	 /* placement wish, >= size; 0: size */
	uint64_t gpa;	 /* valid while active */
	bool active;	 /* decoded now: the trap region is mapped at gpa */
	bool stale;	 /* pcibar.c: the write in flight takes it away */
	uint64_t fixed;	 /* MEM64: pcibus_place() puts it here and nowhere else; 0: anywhere */
	uint64_t placed; /* where pcibus_place() put it; 0: nowhere */
	struct pcidev *pd;
	struct io_region
		io; /* the trap over the whole BAR, always behind what is mapped directly */
};

enum pcidev_irq_mode { PCI_IRQ_NONE, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX };

struct pcidev_ops {
	/* Trapped BAR accesses, MSI-X table and PBA already taken out. Offsets from the BAR's
	 * start; size 1, 2, 4 or 8, naturally aligned, inside the BAR. NULL: reads ones, drops
	 * writes. */
	uint64_t (*bar_read)(struct pcidev *pd, unsigned int bar, uint64_t off, unsigned int size);
	void (*bar_write)(struct pcidev *pd, unsigned int bar, uint64_t off, uint64_t val,
			  unsigned int size);
	/* A BAR is about to stop decoding (still at bar->gpa) / now decodes at bar->gpa. NULL:
	 * none. */
	void (*bar_disable)(struct pcidev *pd, unsigned int bar);
	void (*bar_enable)(struct pcidev *pd, unsigned int bar);
	/* Legacy VGA (pcivga.h): accesses by address, in the sizes of a BAR's. vga_enable: part of
	 * it is decoded now. NULL as above. */
	uint64_t (*vga_read)(struct pcidev *pd, uint32_t addr, unsigned int size);
	void (*vga_write)(struct pcidev *pd, uint32_t addr, uint64_t val, unsigned int size);
	void (*vga_enable)(struct pcidev *pd);
	/* The guest's write is committed. NULL: none. */
	void (*cfg_written)(struct pcidev *pd, unsigned int off, unsigned int size);
	/* Before anything of a guest write happens; may change *val, or swallow it (return true).
	 * For registers with side effects (FLR, VPD). NULL: none. */
	bool (*cfg_write_hook)(struct pcidev *pd, unsigned int off, uint32_t *val,
			       unsigned int size);
	/* Before a guest read: may bring the shadow up to date. NULL: none. */
	void (*cfg_read_hook)(struct pcidev *pd, unsigned int off, unsigned int size);
	/* Hardware behind hw/fwd bits; NULL for emulated. `opaque` is the pcidev. */
	const struct pcicfg_hw *hw;
	/* Interrupts of an assigned function: mode changed (after attach it is INTx if there is a
	 * pin, without a call); a vector became live or not (its eventfd then is v->fd); the batch
	 * ended. pcidev_fini() says PCI_IRQ_NONE. NULL: the eventfds alone do it. */
	void (*irq_mode)(struct pcidev *pd, enum pcidev_irq_mode mode, unsigned int n);
	void (*irq_vector)(struct pcidev *pd, unsigned int vec, struct msivec *v, bool live);
	void (*irq_settled)(struct pcidev *pd); /* end of a batch, all vectors bound */
	/* Function-level reset of the guest-visible function, after pcidev reset its own part. */
	void (*reset)(struct pcidev *pd);
};

/* Properties every PCI device takes in --device, beside its own. */
struct pcidev_common {
	char *id;
	char *bus;  /* id of a bridge, or "pci.0"; NULL: chosen */
	char *addr; /* "04" or "04.1"; NULL: next free */
	bool multifunction;
	uint32_t eject_timeout; /* seconds a guest has to let go of it; 0: it is not asked */
};
extern const struct prop pcidev_common_props[]; /* id, bus, addr, multifunction, eject-timeout */

struct pcidev {
	struct dev dev;		     /* first member of the embedding struct's base */
	struct pcidev_common common; /* strings owned */
	const struct pcidev_ops *ops;

	struct pcibus *bus; /* NULL while not on one */
	uint8_t devfn;
	bool is_pcie; /* has (or is given) a PCIe capability: wants a root port */

	struct pcicfg cfg;
	struct pcidev_bar bar[PCIDEV_N_BARS];
	struct pcivga vga;

	struct msi *msi;   /* owned; NULL: no such capability */
	struct msix *msix; /* owned */
	unsigned int msix_tbir, msix_pbir;
	uint32_t msix_toff, msix_poff;
	struct msivec *vec; /* n_vec, owned */
	unsigned int n_vec;
	bool batching;
	bool routes_changed;		       /* in this batch: a commit is due */
	unsigned int staged_first, staged_end; /* vectors this batch may have to settle */
	enum pcidev_irq_mode irq_mode;

	uint8_t intx_pin; /* 0: none, 1 = INTA# ... */
	bool intx_level;  /* what the device wants of it */
	struct intx_source intx;

	uint16_t pm_off;  /* power management capability, 0: none */
	uint16_t exp_off; /* PCI Express capability, 0: none */

	struct pcibus *secondary;	/* bridges: the bus behind, owned; NULL otherwise */
	bool placed;			/* pcibus_place() has been here */
	uint8_t reset_val[PCICFG_SIZE]; /* cfg.val at the end of realize: what reset restores */
};

/* In realize: identity. `class_code` is the 24-bit class. Header type 0 (1 if bridge, windows
 * closed). */
void pcidev_init(struct pcidev *pd, const struct pcidev_ops *ops, bool pcie, bool bridge);
void pcidev_set_ids(struct pcidev *pd, uint16_t vendor, uint16_t device, uint16_t subvendor,
		    uint16_t subdevice, uint32_t class_code, uint8_t revision);
/* A bridge has BARs 0 and 1 and a ROM only. -EINVAL names what a BAR can't be. */
int pcidev_add_bar(struct pcidev *pd, unsigned int bar, enum pcibar_kind kind, bool prefetch,
		   uint64_t size, struct verr *reterr);
/* n vectors; `off` 0: capability anywhere. Vectors are allocated, without fds. The BARs of table
 * and PBA have to be there already and contain them. */
int pcidev_add_msix(struct pcidev *pd, unsigned int off, unsigned int n, unsigned int tbir,
		    uint32_t toff, unsigned int pbir, uint32_t poff, struct verr *reterr);
int pcidev_add_msi(struct pcidev *pd, unsigned int off, unsigned int n, bool is64, bool maskable,
		   struct verr *reterr);
int pcidev_add_intx(struct pcidev *pd, unsigned int pin); /* 1..4 */
/* Power management capability, D0 and D3hot; no PME. */
int pcidev_add_pm(struct pcidev *pd, unsigned int off, struct verr *reterr);
/* PCI Express capability v2; `type` is PCI_EXP_TYPE_*. FLR offered if `flr`. Slot registers are
 * the root port's own. */
int pcidev_add_exp(struct pcidev *pd, unsigned int off, unsigned int type, bool flr,
		   struct verr *reterr);
/* Bridges: the bus behind, named as the device; it goes with pcidev_fini(). -ENOMEM. */
int pcidev_add_bus(struct pcidev *pd, struct verr *reterr);
/* Attaches to plat->pci0 or the bus named in common; after all capabilities are there. Takes the
 * reset snapshot. pcidev_fini() undoes everything above in any state (zeroed included), frees
 * common's strings, and may be called twice. */
int pcidev_attach(struct pcidev *pd, struct verr *reterr);
void pcidev_fini(struct pcidev *pd);
/* Function 0 says that there are more, now and after a reset. */
void pcidev_multifunction(struct pcidev *pd);
/* The port whose hot-plug slot it is in; NULL: it is in none. */
struct pcidev *pcidev_slot(const struct pcidev *pd);
/* Power-on state: windows dropped, MSI/MSI-X off, cfg.val restored, BARs to their placed
 * addresses and COMMAND as after placement iff `placed`. */
void pcidev_reset(struct pcidev *pd, bool placed);
/* pcidev_reset(, false) of every function behind a bridge: its link went down, or its secondary
 * bus is held in reset. */
void pcidev_reset_behind(struct pcidev *pd);

/* pcidev_irq.c: grows pd->vec to n vectors. */
int pcidev_vectors(struct pcidev *pd, unsigned int n, struct verr *reterr);
/* pcidev_irq.c: the sinks of pd->msi and pd->msix; opaque is the pcidev. */
extern const struct msi_sink pcidev_msi_sink, pcidev_msix_sink;
/* pcidev_irq.c: COMMAND or the mode changed: drives the line as it has to be now. */
void pcidev_intx_update(struct pcidev *pd);
/* pcidev_irq.c: everything off and freed. */
void pcidev_irq_fini(struct pcidev *pd);

/* Raises vector `vec` in the mode the guest chose; INTx: asserts (pcidev_intx_set lowers). */
void pcidev_notify(struct pcidev *pd, unsigned int vec);
void pcidev_intx_set(struct pcidev *pd, bool level); /* gated by COMMAND.INTX_DISABLE */

uint32_t pcidev_cfg_read(struct pcidev *pd, unsigned int off, unsigned int size);
void pcidev_cfg_write(struct pcidev *pd, unsigned int off, uint32_t val, unsigned int size);

/* pcibar.c: recompute which BARs decode and where from cfg; drop or map accordingly. For a bridge,
 * everything behind it as well. */
void pcidev_bars_drop(struct pcidev *pd); /* all active ones */
void pcidev_bars_update(struct pcidev *pd);
/* In two steps, for a write in flight: mark what does not fit the shadow as it stands, then (the
 * shadow back to what it was) drop what is marked. */
void pcidev_bars_mark(struct pcidev *pd);
void pcidev_bars_drop_marked(struct pcidev *pd);
/* Set-up of a BAR's trap region; pcidev_add_bar() calls it. */
void pcibar_trap_init(struct pcidev_bar *b);
/* Offset of BAR `bar`'s register in this function's header. */
unsigned int pcidev_bar_reg(const struct pcidev *pd, unsigned int bar);
bool pcidev_is_bridge(const struct pcidev *pd);
/* Does memory (io: I/O) decode now: COMMAND bit set, power state D0? */
bool pcidev_decodes(const struct pcidev *pd, bool io);
/* Does every bridge above let the range through, by a window or by VGA Enable? */
bool pcidev_reachable(const struct pcidev *pd, bool io, struct range r);
/* "0000:00:03.0" in the guest's numbering, for messages. */
char *pcidev_str(const struct pcidev *pd, char buf[16]);

VV_END_DECLS
