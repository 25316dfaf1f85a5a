// SPDX-License-Identifier: GPL-2.0-or-later
// The zoo: device descriptions, ordinary and odd, to put on a fake host.
#pragma once

#include <stddef.h>

#include "tests/fake/fake_dev.h"
#include "tests/fake/fake_host.h"

VV_BEGIN_DECLS

extern const struct fake_devdesc zoo_e1000e; /* MSI-X table and PBA alone in BAR3, MSI, PM, PCIe */
extern const struct fake_devdesc
	zoo_nvme; /* BAR0 16K: doorbells 0x1000, MSI-X table 0x2000, PBA 0x3000 */
extern const struct fake_devdesc zoo_edu;	/* MSI only (1 vector, 64 bit), BAR0 1M */
extern const struct fake_devdesc zoo_e1000;	/* INTx only, conventional, I/O BAR */
extern const struct fake_devdesc zoo_pba_first; /* PBA at 0, table at 0x1000 of one BAR */
extern const struct fake_devdesc
	zoo_odd_table; /* table at 0x1830: unaligned and across a page end */
extern const struct fake_devdesc zoo_shared_page; /* registers, table and PBA in one page */
extern const struct fake_devdesc
	zoo_subpage; /* 256-byte BAR0, exclusive page; 512-byte BAR1, shared page */
extern const struct fake_devdesc zoo_sparse; /* BAR0 1M with three sparse areas, table in none */
extern const struct fake_devdesc zoo_sparse_table; /* sparse areas that overlap the table's page */
extern const struct fake_devdesc zoo_2048;	   /* 2048 vectors, table 32K, PBA 256 bytes */
extern const struct fake_devdesc zoo_noresize;	   /* MSI-X that cannot grow */
extern const struct fake_devdesc zoo_noreset;	   /* no reset method */
extern const struct fake_devdesc zoo_cap_loop;	   /* second capability points at the first */
extern const struct fake_devdesc zoo_cap_ff;	   /* a next pointer of 0xff */
extern const struct fake_devdesc zoo_vf;	   /* SR-IOV VF: IDs from VFIO only */
extern const struct fake_devdesc zoo_sriov_pf; /* SR-IOV, ARI, ATS, ReBAR, AER, DSN extended caps */
extern const struct fake_devdesc zoo_gpu; /* 16 GiB 64-bit prefetchable BAR, 32 MiB BAR, I/O, ROM */
extern const struct fake_devdesc zoo_gpu_audio;	     /* its function 1: MSI, INTx B */
extern const struct fake_devdesc zoo_msix_off_bar;   /* table past the end of its BAR */
extern const struct fake_devdesc zoo_msix_no_bar;    /* table in a BAR that is absent */
extern const struct fake_devdesc zoo_not_mappable;   /* MSI-X page can't be mapped */
extern const struct fake_devdesc zoo_no_intx_no_msi; /* no interrupt at all */
extern const struct fake_devdesc zoo_msi32;	     /* 32 MSI vectors, per-vector masking */
extern const struct fake_devdesc zoo_rom_bad;	     /* ROM that can't be read */
extern const struct fake_devdesc zoo_old_intx;	     /* INTx without COMMAND.INTx Disable */
extern const struct fake_devdesc zoo_no_flr;  /* only PM reset, and that with No_Soft_Reset off */
extern const struct fake_devdesc zoo_io_only; /* I/O BARs only */
extern const struct fake_devdesc zoo_mem32_pref; /* 32-bit prefetchable BAR */

/* fake_zoo_cfg.c */
#define ZOO_VF_TOKEN "00112233-4455-6677-8899-aabbccddeeff"
extern const struct fake_devdesc zoo_reset_fails, zoo_dead_after_reset, zoo_stuck_d3;
extern const struct fake_devdesc zoo_rebar_two; /* BARs 0 and 2 resizable, at 16 and 1 MiB */
extern const struct fake_devdesc zoo_ari_first; /* the extended list's head is not for guests */
extern const struct fake_devdesc zoo_no_pm;	/* PCI Express without power management */
extern const struct fake_devdesc zoo_exp_v1;	/* version 1: 20 bytes, MSI right behind */
extern const struct fake_devdesc zoo_rciep;	/* integrated endpoint */
extern const struct fake_devdesc zoo_pcix;
extern const struct fake_devdesc zoo_ext_loop; /* the extended list loops */
extern const struct fake_devdesc zoo_cap_edge; /* a capability in the last 8 bytes */
extern const struct fake_devdesc zoo_cap_unknown;
extern const struct fake_devdesc zoo_short_config; /* accesses stop at the first dword */
extern const struct fake_devdesc zoo_two_msi;	   /* two of MSI and of PM */
extern const struct fake_devdesc zoo_dvsec;
extern const struct fake_devdesc zoo_no_bars;
extern const struct fake_devdesc zoo_vendor_long; /* 64 bytes of the vendor's own */
extern const struct fake_devdesc zoo_vf_token;	  /* opens with ZOO_VF_TOKEN only */
extern const struct fake_devdesc zoo_msix_high;	  /* table ends with BAR 5, PBA before it */

/* fake_zoo_quirks.c: what needs a row of vfio/quirks.c */
extern const struct fake_devdesc zoo_gpu_c8;   /* NVIDIA, c8h taken */
extern const struct fake_devdesc zoo_gpu_full; /* NVIDIA, c8h and d4h taken */
extern const struct fake_devdesc zoo_gpu_compute;
extern const struct fake_devdesc zoo_radeon; /* mirror in BAR 2, window in BAR 4, no FLR */
extern const struct fake_devdesc zoo_navi;   /* must have neither */
extern const struct fake_devdesc zoo_rtl8168, zoo_igd, zoo_vmd, zoo_chelsio_vf, zoo_kunlun_vf;

extern const struct fake_devdesc zoo_bridge; /* root port, pcieport */

/* All that can be given to a guest or must be refused politely: everything but the bridge and
 * zoo_vf_token. */
extern const struct fake_devdesc *const zoo_all[];
extern const size_t zoo_count;

/* The lab's host: root ports 1c.0..2, NVMe 01:00.0 group 12, edu 02:00.0 group 13, e1000e
 * 03:00.0 group 14, GPU 05:00.0 with its audio 05:00.1 in group 15, e1000 00:04.0 group 16, all
 * with native drivers. */
void fake_zoo_lab(void);
/* One device at 0000:03:00.0 in group 14, bound to vfio-pci. */
struct fake_dev *fake_zoo_one(const struct fake_devdesc *desc);

VV_END_DECLS
