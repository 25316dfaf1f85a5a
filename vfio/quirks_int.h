// SPDX-License-Identifier: GPL-2.0-or-later
// What the quirks' files share: a row with its functions, and a quirk that applies to a function.
#pragma once

#include "core/gmem.h"
#include "vfio/passthru.h"
#include "vfio/quirks.h"

VV_BEGIN_DECLS

#define QUIRK_ANY	  0xffff /* a vendor or device id that stands for all */
#define QUIRK_TRAPS	  2	 /* BAR ranges of one quirk */
#define QUIRKS_MAX	  8	 /* quirks of one function */
#define QUIRK_PCI_ATI	  0x1002
#define QUIRK_PCI_NVIDIA  0x10de
#define QUIRK_PCI_REALTEK 0x10ec
#define QUIRK_PCI_CHELSIO 0x1425
#define QUIRK_PCI_BAIDU	  0x1d22
#define QUIRK_PCI_INTEL	  0x8086

struct quirk;

struct quirk_type {
	struct quirk_row row;
	uint16_t device, device_mask;	 /* all of QUIRK_ANY: any */
	uint32_t class_code, class_mask; /* mask 0: any; 24 bits */
	/* Does it apply beyond the ids? Sets the traps. NULL: yes. */
	bool (*applies)(struct quirk *q);
	/* Puts q->p->msix right. NULL: nothing wrong with it. */
	void (*fix_msix)(struct quirk *q);
	/* After configuration space was built. NULL: nothing. */
	int (*realize)(struct quirk *q, struct verr *reterr);
	/* Accesses inside one of its traps: 1, 2, 4 or 8 bytes, naturally aligned. */
	uint64_t (*read)(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size);
	void (*write)(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
		      unsigned int size);
	void (*reset)(struct quirk *q);
	void (*fini)(struct quirk *q);
	const char *note; /* what its user has to know, said once at the start; NULL: nothing */
};

/* An address register and a data register behind which configuration space lies. */
struct quirk_window {
	uint32_t addr;	/* as last written */
	uint32_t match; /* offset in configuration space, if `open` */
	bool open;
	uint32_t master, enable; /* NVIDIA: both bits 0 set, or the window is plain registers */
};

struct quirk {
	const struct quirk_type *type;
	struct passthru *p;
	struct bar_trap trap[QUIRK_TRAPS];
	unsigned int n_traps;
	union {
		struct quirk_window window;
		struct {
			uint32_t addr, data;
			bool table; /* the address is in the MSI-X table */
		} rtl;
		struct {
			uint32_t addr;
			uint8_t index, mode; /* CRT controller: register chosen; register 38 */
		} rma;
		struct gmem_region mem; /* Intel: the OpRegion; mem.hva owned */
	} u;
};

struct quirk_set {
	struct quirk q[QUIRKS_MAX];
	unsigned int n;
};

/* --- quirks.c --- */
void quirk_trap(struct quirk *q, unsigned int bar, uint64_t off, uint64_t size);
/* The hardware behind the quirk. */
uint64_t quirk_hw_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size);
void quirk_hw_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
		    unsigned int size);
bool quirk_bar_is_io(const struct quirk *q, unsigned int bar);
bool quirk_bar_is_mem64(const struct quirk *q, unsigned int bar);
uint64_t quirk_bar_size(const struct quirk *q, unsigned int bar);
/* `old` with `size` bytes at byte `at` replaced: partial writes of a 32-bit register. */
uint32_t quirk_merge(uint32_t old, unsigned int at, uint64_t val, unsigned int size);

/* --- quirks_mirror.c: configuration space seen through a BAR --- */
bool quirk_nvidia_bar0(struct quirk *q);
bool quirk_nvidia_bar5(struct quirk *q);
bool quirk_ati_bar2(struct quirk *q);
bool quirk_ati_bar4(struct quirk *q);
uint64_t quirk_mirror_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size);
void quirk_mirror_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			unsigned int size);
void quirk_nvidia_mirror_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			       unsigned int size);
uint64_t quirk_window_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size);
void quirk_window_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			unsigned int size);
void quirk_window_reset(struct quirk *q);

/* --- quirks_vga.c: configuration space seen through legacy VGA ports --- */
bool quirk_nvidia_vga(struct quirk *q);
uint64_t quirk_nvidia_vga_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size);
void quirk_nvidia_vga_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			    unsigned int size);
void quirk_nvidia_vga_reset(struct quirk *q);
bool quirk_ati_vga(struct quirk *q);
uint64_t quirk_ati_vga_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size);

/* --- quirks_caps.c: capabilities that are added --- */
bool quirk_wants_clique(struct quirk *q);
int quirk_add_clique(struct quirk *q, struct verr *reterr);
int quirk_add_vmd_shadow(struct quirk *q, struct verr *reterr);

/* --- quirks_realtek.c --- */
bool quirk_rtl8168(struct quirk *q);
uint64_t quirk_rtl8168_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size);
void quirk_rtl8168_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			 unsigned int size);
void quirk_rtl8168_reset(struct quirk *q);

/* --- quirks_igd.c --- */
bool quirk_igd_opregion(struct quirk *q);
int quirk_igd_opregion_realize(struct quirk *q, struct verr *reterr);
void quirk_igd_opregion_reset(struct quirk *q);
void quirk_igd_opregion_fini(struct quirk *q);

VV_END_DECLS
