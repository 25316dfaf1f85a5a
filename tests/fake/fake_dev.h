// SPDX-License-Identifier: GPL-2.0-or-later
// A fake PCI device: how one is described (a table of numbers), and the strings a test pulls once
// it exists: fire an interrupt, do DMA, vanish.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

enum fake_bar_flags {
	FAKE_BAR_IO = 1,
	FAKE_BAR_64 = 2, /* also takes the next index, whose entry stays empty */
	FAKE_BAR_PREF = 4,
	FAKE_BAR_NOMMAP = 8, /* the kernel does not offer mmap of it (a page it must share) */
};

struct fake_area {
	uint64_t off, size;
};

struct fake_bar {
	uint64_t size; /* 0: absent; otherwise a power of two (odd ones only to be hostile) */
	unsigned int flags;
	/* Sparse mmap capability: only these may be mapped. All-zero: no such capability. */
	struct fake_area sparse[4];
	bool sparse_none; /* the capability with no areas: nothing may be mapped */
};

#define FAKE_BAR(bytes, bits)                                                                      \
	{                                                                                          \
		.size = (bytes), .flags = (bits)                                                   \
	}

/* One capability. Made by the macros below; `off` 0: placed after the one before it. */
struct fake_cap {
	uint16_t id;
	uint16_t off;
	uint16_t len;  /* bytes, header included */
	int next;      /* 0: link properly; otherwise this raw value in the next pointer; -1: 0 */
	uint32_t w[6]; /* dwords (standard: from byte 2 on as w[0] 16 bit, then dwords) */
};

// clang-format off
/* Message Control of MSI: log2 of vectors (0..5), 64 bit, per-vector masking. */
#define FAKE_CAP_MSI(log2n, is64, maskbit)                                                         \
	{ .id = 0x05, .len = (uint16_t)(10 + ((is64) ? 4 : 0) + ((maskbit) ? 10 : 0)),             \
	  .w = { (uint32_t)((log2n) << 1) | ((is64) ? 0x80u : 0u) | ((maskbit) ? 0x100u : 0u) } }
#define FAKE_CAP_MSIX(n, tbir, toff, pbir, poff)                                                   \
	{ .id = 0x11, .len = 12,                                                                   \
	  .w = { (uint32_t)((n) - 1), (uint32_t)(toff) | (tbir), (uint32_t)(poff) | (pbir) } }
/* `nosoft`: No_Soft_Reset, a D3hot to D0 transition keeps state. */
#define FAKE_CAP_PM(nosoft)                                                                        \
	{ .id = 0x01, .len = 8, .w = { 0x4803, (nosoft) ? 0x8u : 0u } }
/* `type` 0 endpoint, 1 legacy endpoint, 9 root complex integrated. */
#define FAKE_CAP_PCIE(type, flr)                                                                   \
	{ .id = 0x10, .len = 60,                                                                   \
	  .w = { 2u | ((type) << 4), 0x8000u | ((flr) ? 0x10000000u : 0u), 0, 0x00413c11,          \
		 0x10110000 } }
#define FAKE_CAP_AF(flr) { .id = 0x13, .len = 6, .w = { 0x0006u | ((flr) ? 0x300u : 0x100u) } }
#define FAKE_CAP_VPD	 { .id = 0x03, .len = 8 }
#define FAKE_CAP_VNDR(n) { .id = 0x09, .len = (n), .w = { (n) } }
#define FAKE_CAP_RAW(i, n) { .id = (i), .len = (n) }
/* Extended: w[0] is the header's version nibble, the rest dwords from byte 4 on. */
#define FAKE_ECAP_AER	      { .id = 0x0001, .len = 0x48, .w = { 2 } }
#define FAKE_ECAP_DSN	      { .id = 0x0003, .len = 12, .w = { 1, 0xffe0c0de, 0x525400ff } }
#define FAKE_ECAP_ARI	      { .id = 0x000e, .len = 8, .w = { 1 } }
#define FAKE_ECAP_ATS	      { .id = 0x000f, .len = 8, .w = { 1 } }
#define FAKE_ECAP_SRIOV(nvf)                                                                       \
	{ .id = 0x0010, .len = 64, .w = { 1, 2, 0, ((uint32_t)(nvf) << 16) | (nvf) } }
#define FAKE_ECAP_REBAR(bar, sizes) { .id = 0x0015, .len = 12, .w = { 1, (sizes), 0x20u | (bar) } }
#define FAKE_ECAP_RAW(i, n)   { .id = (i), .len = (n), .w = { 1 } }
// clang-format on

enum fake_dev_flags {
	FAKE_DEV_NORESET = 0x1,	    /* no method at all: FLAGS_RESET clear, RESET EINVAL */
	FAKE_DEV_RESET_FAILS = 0x2, /* RESET is offered and gives EIO */
	FAKE_DEV_NORESIZE = 0x4,    /* MSI-X cannot grow while enabled (kernels before 6.4) */
	FAKE_DEV_VF = 0x8,	    /* SR-IOV VF: physical vendor and device read 0xffff, BARs 0 */
	FAKE_DEV_MULTIFUNCTION = 0x10,
	FAKE_DEV_NOT_MSIX_MAPPABLE = 0x20, /* mmap of the MSI-X table's pages gives EINVAL */
	FAKE_DEV_ROM_BROKEN = 0x40,	   /* ROM BAR present, image unreadable: region size 0 */
	FAKE_DEV_SHORT_CONFIG = 0x80,	   /* config reads and writes stop at the first dword */
	FAKE_DEV_NO_INTX_DISABLE = 0x100,  /* pre-PCI-2.3: COMMAND.INTx Disable does not stick */
	FAKE_DEV_BRIDGE = 0x200,	   /* type 1 header, pcieport: never given to a guest */
	FAKE_DEV_HAS_VGA = 0x400,	   /* the VGA region exists */
	FAKE_DEV_STUCK_D3 = 0x800,	   /* after close it reads all ones (D3cold wedge) */
	FAKE_DEV_PFNMAP_NO_DMA =
		0x1000, /* MAP_DMA of its BAR gives EFAULT (iommufd compatibility) */
	FAKE_DEV_DEAD_AFTER_RESET = 0x2000, /* a reset succeeds, then it reads all ones */
};

#define FAKE_CAPS_MAX 12

struct fake_devdesc {
	const char *name;   /* "e1000e-like" */
	const char *driver; /* the native driver's name */
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
	uint8_t intx_pin; /* 0 none, 1 A */
	unsigned int flags;
	uint32_t rom_size;
	uint32_t opregion_size; /* Intel graphics: the region VFIO has for it; 0: none */
	uint32_t atomic_comp;	/* VFIO_PCI_ATOMIC_COMP*: AtomicOps the host can complete; 0: the
				 * kernel does not say */
	const char *vf_token;	/* UUID that opening it takes: VFIO has its physical function */
	uint32_t bar_align; /* physical BAR address modulo page: 0 page aligned (sub-page BARs) */
	struct fake_bar bars[6];
	struct fake_cap caps[FAKE_CAPS_MAX];  /* ends at id 0 */
	struct fake_cap ecaps[FAKE_CAPS_MAX]; /* ends at id 0; the first is at 0x100 */
};

struct fake_dev;

/* --- interrupts --------------------------------------------------------------------------- */

enum fake_fire {
	FAKE_FIRE_SENT = 0,   /* an eventfd was signalled (and a bound irqfd has taken it) */
	FAKE_FIRE_NOBODY = 1, /* vector not set up, or no bus mastering: nothing, as on hardware */
	FAKE_FIRE_MASKED = 2, /* INTx: masked, stays pending until unmasked */
};

/* The device raises MSI or MSI-X vector `vec`, whichever VFIO has enabled. */
enum fake_fire fake_dev_fire(struct fake_dev *d, unsigned int vec);
/* INTx pin level. Asserting signals once and auto-masks; unmasking while asserted signals again. */
enum fake_fire fake_dev_intx(struct fake_dev *d, bool level);
bool fake_dev_intx_masked(const struct fake_dev *d); /* by VFIO's own mask or INTx Disable */
enum fake_fire fake_dev_err(struct fake_dev *d);     /* uncorrectable error: ERR eventfd */
enum fake_fire fake_dev_req(struct fake_dev *d);     /* host wants it back: REQ eventfd */

/* Which index VFIO has enabled: 0 INTx, 1 MSI, 2 MSI-X; -1 none. */
int fake_dev_irq_index(const struct fake_dev *d);
/* Host interrupts allocated for it, and vectors with an eventfd among them. */
unsigned int fake_dev_irqs_allocated(const struct fake_dev *d);
unsigned int fake_dev_irqs_armed(const struct fake_dev *d);

/* --- DMA as the device sees it ------------------------------------------------------------ */

/* Through its group's container. 0; -EPERM bus master off or not in D0; -EFAULT no mapping or no
 * permission (an IOMMU fault, counted). A transfer may cross adjacent maps. */
int fake_dev_dma_read(struct fake_dev *d, uint64_t iova, void *buf, size_t len);
int fake_dev_dma_write(struct fake_dev *d, uint64_t iova, const void *buf, size_t len);
unsigned int fake_dev_dma_faults(const struct fake_dev *d);

/* --- BARs and state ----------------------------------------------------------------------- */

/* The device's own view of a BAR's memory, whatever the decode bits say. Within the BAR. */
void fake_dev_bar_read(struct fake_dev *d, unsigned int bar, uint64_t off, void *buf, size_t len);
void fake_dev_bar_write(struct fake_dev *d, unsigned int bar, uint64_t off, const void *buf,
			size_t len);
/* Called for each pread/pwrite of a BAR (trapped accesses) instead of plain memory; NULL restores
 * memory. A mapped access never gets here: that it does not is the point of counting. */
void fake_dev_bar_hook(struct fake_dev *d, unsigned int bar,
		       void (*fn)(void *opaque, uint64_t off, void *data, unsigned int len,
				  bool write),
		       void *opaque);
unsigned int fake_dev_bar_traps(const struct fake_dev *d, unsigned int bar); /* pread + pwrite */
/* Legacy VGA memory and ports as the device has them, by address below 0xc0000; and how many preads
 * and pwrites there were. */
uint8_t *fake_dev_vga(struct fake_dev *d);
unsigned int fake_dev_vga_traps(const struct fake_dev *d);
/* The guest has its table elsewhere: it may see the physical one, which else breaks a rule. */
void fake_dev_msix_moved(struct fake_dev *d);

/* Flash of the expansion ROM, as long as the description says; borrowed. NULL: a proper image. */
void fake_dev_rom(struct fake_dev *d, const uint8_t *bytes);
unsigned int fake_dev_rom_reads(const struct fake_dev *d); /* preads of it */

bool fake_dev_is_open(const struct fake_dev *d);
bool fake_dev_is_asleep(const struct fake_dev *d); /* VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY */
bool fake_dev_bus_master(const struct fake_dev *d);
bool fake_dev_memory_enabled(const struct fake_dev *d); /* COMMAND.Memory and D0 */
/* COMMAND.SERR# Enable, as the host's firmware sets it. */
void fake_dev_set_serr(struct fake_dev *d);
bool fake_dev_serr(const struct fake_dev *d);
unsigned int fake_dev_resets(const struct fake_dev *d); /* VFIO_DEVICE_RESET, hot reset and FLR */
/* Whether any page of [off, off+len) of the BAR is mapped by user space / is in a KVM slot / is
 * DMA-mapped for peers. */
bool fake_dev_bar_mapped(const struct fake_dev *d, unsigned int bar, uint64_t off, uint64_t len);
bool fake_dev_bar_in_slot(const struct fake_dev *d, unsigned int bar, uint64_t off, uint64_t len);
bool fake_dev_bar_dma_mapped(const struct fake_dev *d, unsigned int bar, uint64_t off,
			     uint64_t len);

/* Surprise removal: config reads all ones, BAR accesses EIO, mappings zapped, eventfds silent.
 * The fds stay until closed; sysfs loses it. */
void fake_dev_remove(struct fake_dev *d);

VV_END_DECLS
