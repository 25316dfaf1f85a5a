// SPDX-License-Identifier: GPL-2.0-or-later
// Vendor-specific capabilities that the device does not have and its guest driver looks for in a
// virtual machine. They are linked at the end of the guest's list. Owns nothing.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "vfio/quirks_int.h"

#define CLIQUE_LEN     8
#define CLIQUE_FIRST   0xc8 /* where NVIDIA's specification wants it ... */
#define CLIQUE_SECOND  0xd4 /* ... and where it has to go on GPUs that use that */
#define VMD_SHADOW_LEN 24
#define VMD_SHADOW_AT  0xe8
#define VMD_SHADOW_SIG 0x53484457u /* "WDHS" as bytes */

/* GPUs of one clique can do peer-to-peer DMA with one another; drivers use it if told so by a
 * capability "P2P": signature in bytes 3 to 5, clique in bits 6:3 of byte 6. */
bool quirk_wants_clique(struct quirk *q)
{
	const struct passthru_config *cfg = q->p->pd.dev.cfg;

	return cfg->clique != 0;
}

int quirk_add_clique(struct quirk *q, struct verr *reterr)
{
	const struct passthru_config *cfg = q->p->pd.dev.cfg;
	struct pcicfg *c = &q->p->pd.cfg;

	int off = pcicap_add(c, PCI_CAP_ID_VNDR, CLIQUE_LEN, CLIQUE_FIRST, NULL);
	if (off == -EBUSY)
		off = pcicap_add(c, PCI_CAP_ID_VNDR, CLIQUE_LEN, CLIQUE_SECOND, NULL);
	if (off == -EBUSY)
		return verr_set(reterr, off,
				"the GPUDirect capability has no place: the GPU uses both %#x and "
				"%#x (leave x-nv-gpudirect-clique= out)",
				CLIQUE_FIRST, CLIQUE_SECOND);
	if (off < 0)
		return verr_set(reterr, off, "the GPUDirect capability can't be added");
	pcicfg_set(c, (unsigned int)off + 2, 4, CLIQUE_LEN | 'P' << 8 | '2' << 16 | 'P' << 24, 0);
	pcicfg_set(c, (unsigned int)off + 6, 2, (cfg->clique - 1u) << 3, 0);
	return 0;
}

int quirks_clique_parse(void *field, const char *text, struct verr *reterr)
{
	uint64_t n;

	if (strcmp(text, "off") == 0) {
		*(uint8_t *)field = 0;
		return 0;
	}
	int r = parse_u64(text, 0, 15, &n, reterr);
	if (r < 0)
		return verr_set(reterr, r, "a clique is 0 to 15, or off");
	*(uint8_t *)field = (uint8_t)(n + 1);
	return 0;
}

/* The driver of a VMD programs the BARs of the devices behind it with what BARs 2 and 4 of the VMD
 * physically are, as the guest's addresses mean nothing to them. */
int quirk_add_vmd_shadow(struct quirk *q, struct verr *reterr)
{
	struct pcicfg *c = &q->p->pd.cfg;

	int off = pcicap_add(c, PCI_CAP_ID_VNDR, VMD_SHADOW_LEN, VMD_SHADOW_AT, reterr);
	if (off < 0)
		return off;
	pcicfg_set(c, (unsigned int)off + 2, 2, VMD_SHADOW_LEN | 1 << 8, 0);
	pcicfg_set(c, (unsigned int)off + 4, 4, VMD_SHADOW_SIG, 0);
	for (unsigned int i = 0; i < 4; i++)
		pcicfg_set(c, (unsigned int)off + 8 + 4 * i, 4,
			   vfio_cfg_read(q->p->vd, PCI_BASE_ADDRESS_2 + 4 * i, 4), 0);
	return 0;
}
