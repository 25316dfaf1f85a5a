// SPDX-License-Identifier: GPL-2.0-or-later
// The inventory: the host as VFIO sees it, read once and then only looked at. IOMMU -> group ->
// function, as arrays that refer to each other by index, so that every view (tree, show, JSON,
// HTML, diff) reads the same facts and none reads sysfs by itself.
//
// Reads sysfs and procfs through the system-call seam under hostpci's root prefix, so a captured
// machine is read like the live one. Writes nothing. Wakes nothing: configuration space and the
// attributes whose reading would resume a function or a bridge above it are left alone unless
// inv_fn.asleep is "". Facts that could not be read say so by their own "unknown" value; whether
// root would have seen them is in inv_fn.cfg_len and inv.unprivileged.
//
// Single-threaded (libpci's names are). Strings are UTF-8, never NULL unless said.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/hostpci.h"

VV_BEGIN_DECLS

#define INV_NONE (-1) /* an index that refers to nothing */

/* One IOMMU unit of /sys/class/iommu. */
struct inv_iommu {
	char name[32]; /* "dmar0", "ivhd0", "smmu3.0x..." */
	enum inv_iommu_kind { INV_IOMMU_OTHER, INV_IOMMU_INTEL, INV_IOMMU_AMD } kind;
	bool has_caps;		      /* the fields below were read */
	unsigned int addr_bits;	      /* widest IOVA; 0 unknown */
	uint64_t page_sizes;	      /* bitmap of sizes it maps; 0 unknown */
	bool intr_remap, posted_intr; /* of the hardware, on or not */
	bool dirty_tracking, pasid;
	unsigned int n_fns; /* functions behind it */
};

/* A line of iommu_groups/N/reserved_regions. */
struct inv_resv {
	uint64_t first, last;
	char type[24]; /* "direct", "direct-relaxable", "reserved", "msi" */
};

enum inv_viability {
	INV_VIABLE,	 /* VFIO gives it out */
	INV_NOT_VIABLE,	 /* a function in it is bound to a host driver: inv_fn.blocks */
	INV_FORBIDDEN,	 /* firmware's direct mappings (RMRR): no binding helps */
	INV_NO_ENDPOINT, /* bridges only: nothing to give out */
};

/* Why functions that could stand alone share a group. */
enum inv_merge {
	INV_MERGE_NONE,	     /* one slot's functions at most, or nothing known */
	INV_MERGE_ACS,	     /* merged_by lets peer-to-peer traffic pass (no ACS, or not enabled) */
	INV_MERGE_PCI,	     /* merged_by is a PCI Express to PCI bridge: one requester ID */
	INV_MERGE_FUNCTIONS, /* functions of one device without ACS among them; with merged_by,
				the first of the bridges that these functions are */
};

struct inv_group {
	uint32_t id;
	int iommu;     /* index in inv.iommu, or INV_NONE */
	char type[24]; /* "DMA", "DMA-FQ", "identity"; "" unknown */
	bool no_iommu; /* VFIO's no-IOMMU mode */
	enum inv_viability viable;
	unsigned int *fn; /* members, indices in inv.fn, by address; owned */
	unsigned int n_fn;
	struct inv_resv *resv; /* owned */
	unsigned int n_resv;
	bool resv_known;
	enum inv_merge merge;
	int merged_by; /* index in inv.fn of the bridge, or INV_NONE */
	/* /dev/vfio/ID */
	bool has_node;
	unsigned int node_mode, node_uid, node_gid;
	bool openable;	  /* by who asks */
	char holder[128]; /* "qemu-system-x86 (pid 1234)"; "" nobody seen */
};

struct inv_link {
	unsigned int mts;   /* megatransfers a second: 2500, 5000, 8000 ...; 0 unknown or none */
	unsigned int width; /* lanes; 0 unknown or none */
};

enum inv_bar_kind { INV_BAR_NONE, INV_BAR_IO, INV_BAR_MEM32, INV_BAR_MEM64, INV_BAR_ROM };

#define INV_N_BARS    7 /* 0-5, 6 the expansion ROM */
#define INV_N_VF_BARS 6
#define INV_N_WINDOWS 4 /* of a bridge: I/O, memory, prefetchable, unused */

struct inv_bar {
	enum inv_bar_kind kind;
	bool prefetch;
	bool unassigned;     /* the kernel found no place for it: size only */
	uint64_t addr, size; /* size 0: absent */
	uint64_t resizable;  /* ReBAR: bitmap, bit n is 2^n MiB; 0 not or unknown */
};

struct inv_span {
	uint64_t off, size;
};

/* What maps directly into a guest, as vfio-pci decides from size, address and MSI-X table. */
struct inv_bar_map {
	bool known;	  /* false: where the MSI-X table lies needs root */
	bool subpage;	  /* smaller than a page: one page if it has it alone, else trapped */
	bool shares_page; /* ... and it does not */
	struct inv_span direct[3]; /* what vfio-vmm maps: pages free of MSI-X structures */
	unsigned int n_direct;
	struct inv_span hole[2]; /* pages of MSI-X table and PBA: trapped */
	unsigned int n_holes;
};

struct inv_irq {
	bool known;	    /* MSI and MSI-X need root */
	uint8_t intx_pin;   /* 0 none, 1 A .. 4 D */
	int irq;	    /* the host's number; -1 */
	uint16_t msi, msix; /* vectors; 0 none */
	bool msi_64, msi_mask, msi_on, msix_on;
	uint8_t table_bar, pba_bar; /* of MSI-X */
	uint32_t table_off, pba_off;
	unsigned int in_use; /* MSI and MSI-X vectors the host's driver has now */
};

#define INV_MAX_CAPS  256
#define INV_NEED_ROOT "needs root"

struct inv_cap {
	uint16_t off, id;
	uint8_t version; /* extended only */
	bool ext;
};

/* ACS of a bridge or of a function of several (PCIe 6.0 7.7.11). */
struct inv_acs {
	bool known; /* extended configuration space was read */
	bool present;
	uint16_t cap, ctrl; /* PCI_ACS_* bits */
};

struct inv_sriov {
	bool pf;			      /* has the capability */
	unsigned int total, enabled;	      /* VFs */
	uint16_t vf_device;		      /* device ID of its VFs; 0 unknown */
	struct inv_bar vf_bar[INV_N_VF_BARS]; /* size: of all VFs together */
	int pf_fn;			      /* of a VF: its PF, index in inv.fn, or INV_NONE */
};

struct inv_fn {
	struct hostpci_dev pci;
	char *name;	  /* "Intel Corporation 82574L Gigabit Network Connection"; owned */
	char *class_name; /* "Ethernet controller"; owned */
	int group;	  /* index in inv.group, or INV_NONE */
	int parent;	  /* the bridge above, index in inv.fn; INV_NONE on a root bus */
	bool bridge;
	bool pcie;	 /* PCI Express, as sysfs tells: it has link attributes */
	int iommu;	 /* index in inv.iommu, or INV_NONE */
	bool blocks;	 /* bound to a driver that keeps its group from being viable */
	bool is_vfio;	 /* bound to vfio-pci or a variant driver */
	char asleep[48]; /* why reading would wake it ("D3cold", "0000:00:1c.0 above sleeps"); "" */
	char used_by[96];      /* what the host does with it: "eth0 (default route)", "/dev/nvme0n1
			     mounted on /"; "" nothing seen */
	char cdev[24];	       /* "vfio3": its node is /dev/vfio/devices/vfio3; "" none */
	char cdev_holder[128]; /* who has that open, as inv_group.holder */
	char cpus[64];	       /* local CPUs, "0-7,16-23" */
	unsigned int dma_bits; /* the host driver's DMA mask; 0 unknown */
	struct inv_link now, max;
	bool degraded;		     /* now is less than both ends can */
	uint8_t bus_first, bus_last; /* of a bridge; 0 unknown */

	/* INV_FULL only, below: for the functions asked for and the bridges above them. */
	bool full;
	uint8_t *cfg;	      /* what configuration space could be read; owned; NULL none */
	unsigned int cfg_len; /* 64: the rest needs root; 256; 4096 */
	int cfg_errno;	      /* why cfg is NULL: -EACCES..., -EHOSTDOWN asleep */
	struct inv_bar bar[INV_N_BARS];
	struct inv_bar_map map[INV_N_BARS];
	struct inv_bar window[INV_N_WINDOWS]; /* of a bridge */
	struct inv_irq irq;
	struct inv_cap *cap; /* in list order, standard ones first; owned */
	unsigned int n_caps;
	int caps_errno; /* a broken list: -ELOOP, -EBADMSG; the capabilities before it stand */
	struct inv_acs acs;
	struct inv_sriov sriov;
	uint8_t pcie_type; /* PCI_EXP_TYPE_*; 0xff not PCI Express or unknown */
};

enum inv_detail {
	INV_TREE, /* what the default view prints */
	INV_FULL, /* everything */
};

struct inv {
	enum inv_detail detail;
	bool unprivileged;	/* configuration space past byte 63 was refused somewhere */
	char kernel[80];	/* release; "" unknown */
	char product[96];	/* DMI product name; "" unknown */
	char cpu[96];		/* model name; "" unknown */
	unsigned int phys_bits; /* physical address width of the CPU; 0 unknown */
	uint64_t ram_bytes;
	bool intr_remapped; /* interrupts are remapped now (/proc/interrupts) */
	bool intr_known;
	bool acs_override; /* pcie_acs_override= on the kernel command line: groups may lie */
	bool has_kvm, has_vfio, has_iommufd; /* /dev/kvm, /dev/vfio/vfio, /dev/iommu */
	struct inv_iommu *iommu;	     /* by name, numbers as numbers; owned */
	unsigned int n_iommus;
	struct inv_group *group; /* by id; owned */
	unsigned int n_groups;
	struct inv_fn *fn; /* by address; owned */
	unsigned int n_fns;
};

/* Reads the machine. `detail` applies to the functions in only[0..n_only), or to all when n_only
 * is 0; the others are read as INV_TREE. -ENODEV: one of `only` is not there (the sentence names
 * near ones). *ret is filled on success only; inv_fini() it. */
int inv_read(struct inv *ret, enum inv_detail detail, const struct bdf *only, unsigned int n_only,
	     struct verr *reterr);
void inv_fini(struct inv *inv); /* zeroed and NULL allowed */
/* Index in inv.fn, or INV_NONE. */
int inv_find(const struct inv *inv, const struct bdf *at);
/* In inv.group, or INV_NONE. */
int inv_find_group(const struct inv *inv, uint32_t id);

/* --- phrases that several views print alike --------------------------------------------------- */

/* "viable"; "not viable: 0000:05:00.1 is bound to snd_hda_intel, ..."; buf is cut with "...". */
char *inv_group_verdict(const struct inv *inv, const struct inv_group *g, char *buf, size_t size);
/* "0000:00:01.0 has no ACS: what is behind it can reach each other"; "" if there is nothing to
 * say. */
char *inv_group_merge(const struct inv *inv, const struct inv_group *g, char *buf, size_t size);
/* "8 GT/s x4 (degraded, 16 GT/s x16 possible)"; "" for what has no link. */
char *inv_link_text(const struct inv_fn *f, char *buf, size_t size);
/* "16 GiB", "4 KiB", "256" */
char *inv_size_text(uint64_t size, char *buf, size_t len);
/* "4 KiB, 2 MiB, 1 GiB"; "4 KiB and every power of two above" */
char *inv_pages_text(uint64_t sizes, char *buf, size_t len);
/* Does this bridge, as far as its configuration space was read, lack ACS that isolates? */
bool inv_acs_lacks(const struct inv_fn *b);
/* The first capability with that id; NULL. */
const struct inv_cap *inv_cap_find(const struct inv_fn *f, uint16_t id, bool ext);
/* Bytes of configuration space; all ones past what was read. */
uint32_t inv_cfg(const struct inv_fn *f, unsigned int off, unsigned int size);

VV_END_DECLS
