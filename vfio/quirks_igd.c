// SPDX-License-Identifier: GPL-2.0-or-later
// Intel graphics: the OpRegion, by which the host's firmware tells the driver what displays there
// are. VFIO offers it as a region of its own; the guest gets a copy in its memory, in a range that
// its memory map reserves, with the address in ASLS (configuration space 0xfc). Owns that memory.
// A copy, as VFIO's region is read-only: what the guest writes there the host never sees.

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/bytes.h"
#include "core/sys.h"
#include "vfio/quirks_int.h"

#define IGD_ASLS 0xfc
/* VFIO_REGION_TYPE_PCI_VENDOR_TYPE, unsigned */
#define TYPE_OF_INTEL	 (BIT32(31) | QUIRK_PCI_INTEL)
#define OPREGION_SIG	 "IntelGraphicsMem"
#define OPREGION_SIG_LEN 16
#define OPREGION_MIN	 KIB(8)
#define OPREGION_MAX	 KIB(256) /* with an extended VBT */

static const struct vfio_region *opregion(const struct quirk *q)
{
	return vfio_region_typed(q->p->vd, TYPE_OF_INTEL, VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION);
}

bool quirk_igd_opregion(struct quirk *q)
{
	return opregion(q) != NULL;
}

static void fill(struct quirk *q)
{
	const struct vfio_region *rg = opregion(q);
	uint8_t *to = q->u.mem.hva;

	for (uint64_t off = 0; off + 4 <= rg->size; off += 4)
		put_le32(to + off, (uint32_t)vfio_region_read(q->p->vd, rg->index, off, 4));
}

static int check(const struct quirk *q, struct verr *reterr)
{
	const struct vfio_region *rg = opregion(q);
	char sig[OPREGION_SIG_LEN];

	if (rg->size < OPREGION_MIN || rg->size > OPREGION_MAX)
		return verr_set(reterr, -EINVAL,
				"the OpRegion has %#llx bytes (8 to 256 KiB are "
				"possible); quirks=off leaves it out",
				(unsigned long long)rg->size);
	for (unsigned int i = 0; i < OPREGION_SIG_LEN; i += 4)
		put_le32(sig + i, (uint32_t)vfio_region_read(q->p->vd, rg->index, i, 4));
	if (memcmp(sig, OPREGION_SIG, OPREGION_SIG_LEN) != 0)
		return verr_set(reterr, -EINVAL,
				"the OpRegion does not begin with \"%s\"; quirks=off leaves it out",
				OPREGION_SIG);
	return 0;
}

int quirk_igd_opregion_realize(struct quirk *q, struct verr *reterr)
{
	const struct platform *plat = q->p->pd.dev.plat;
	struct gmem_region *mem = &q->u.mem;
	void *hva;

	int r = check(q, reterr);
	if (r < 0)
		return r;
	*mem = (struct gmem_region){
		.name = "OpRegion",
		.kind = GMEM_RAM,
		.size = ALIGN_UP(opregion(q)->size, KIB(4)),
		.fd = -1,
	};
	if (!plat->reserve)
		return verr_set(reterr, -ENOSPC, "this machine has no place for the OpRegion");
	r = plat->reserve(plat->event_opaque, mem->size, &mem->gpa, reterr);
	if (r < 0)
		return r;
	pcicfg_set(&q->p->pd.cfg, IGD_ASLS, 4, mem->gpa, UINT32_MAX);
	if (plat->dry_run)
		return 0;
	r = sys_mmap(&hva, NULL, mem->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (r < 0)
		return verr_set(reterr, r, "no memory for the OpRegion: %s", strerror(-r));
	mem->hva = hva;
	fill(q);
	return gmem_add(plat->ram, mem, reterr);
}

void quirk_igd_opregion_reset(struct quirk *q)
{
	if (q->u.mem.hva)
		fill(q);
}

void quirk_igd_opregion_fini(struct quirk *q)
{
	if (!q->u.mem.hva)
		return;
	gmem_del(&q->u.mem);
	sys_munmap(q->u.mem.hva, q->u.mem.size);
	q->u.mem.hva = NULL;
}
