// SPDX-License-Identifier: GPL-2.0-or-later
// The host bridge: decoders that turn port and memory accesses of the processor into
// configuration accesses (PCI 3.0 3.2.2.3.2, PCIe 6.0 7.2.2), and function 00:00.0 which stands
// for them. Owns the CONFIG_ADDRESS latch; knows buses by number only.
#define LOG_TAG "pci/host"
#include "pci/hostbridge.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "core/aspace.h"
#include "core/bytes.h"

#define CF8_ENABLE   0x80000000U
#define CF8_WRITABLE 0x80fffffcU /* enable, bus, device, function, register */
#define DECODER_PRIO 10		 /* a BAR placed over a decoder does not hide it */

struct target {
	uint8_t bus, devfn;
	unsigned int off;
};

static uint32_t part_read(struct hostbridge *hb, struct target t, unsigned int size)
{
	return pcibus_cfg_read(hb->pd.dev.plat->pci0, t.bus, t.devfn, t.off, size);
}

static void part_write(struct hostbridge *hb, struct target t, uint32_t val, unsigned int size)
{
	pcibus_cfg_write(hb->pd.dev.plat->pci0, t.bus, t.devfn, t.off, val, size);
}

/* Largest naturally aligned piece of at most 4 bytes at the start of [addr, addr + left). */
static unsigned int piece(uint64_t addr, unsigned int left)
{
	if (addr % 4 == 0 && left >= 4)
		return 4;
	return addr % 2 == 0 && left >= 2 ? 2 : 1;
}

/* ---- ECAM ------------------------------------------------------------------------------------ */

static struct target ecam_target(uint64_t off)
{
	return (struct target){ .bus = (uint8_t)(off >> 20),
				.devfn = (uint8_t)(off >> 12),
				.off = off & 0xfff };
}

static uint64_t ecam_read(void *opaque, uint64_t off, unsigned int size)
{
	uint64_t v = 0;
	for (unsigned int done = 0, n; done < size; done += n) {
		n = piece(off + done, size - done);
		v |= (uint64_t)part_read(opaque, ecam_target(off + done), n) << (8 * done);
	}
	return v;
}

static void ecam_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	for (unsigned int done = 0, n; done < size; done += n) {
		n = piece(off + done, size - done);
		part_write(opaque, ecam_target(off + done), (uint32_t)(val >> (8 * done) & ones(n)),
			   n);
	}
}

static const struct io_region_ops ecam_ops = {
	.read = ecam_read,
	.write = ecam_write,
	.unaligned = true,
};

/* ---- CF8/CFC --------------------------------------------------------------------------------- */

/* Only a whole dword at 0xCF8 is CONFIG_ADDRESS; narrower accesses are somebody else's ports. */
static uint64_t cf8_read(void *opaque, uint64_t off, unsigned int size)
{
	const struct hostbridge *hb = opaque;
	return off == 0 && size == 4 ? hb->cf8 : ones(size);
}

static void cf8_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct hostbridge *hb = opaque;
	if (off == 0 && size == 4)
		hb->cf8 = (uint32_t)val & CF8_WRITABLE;
}

static struct target cfc_target(const struct hostbridge *hb, uint64_t off)
{
	return (struct target){ .bus = (uint8_t)(hb->cf8 >> 16),
				.devfn = (uint8_t)(hb->cf8 >> 8),
				.off = (hb->cf8 & 0xfc) | (unsigned int)off };
}

static uint64_t cfc_read(void *opaque, uint64_t off, unsigned int size)
{
	struct hostbridge *hb = opaque;
	uint64_t v = 0;
	if ((hb->cf8 & CF8_ENABLE) == 0)
		return ones(size);
	for (unsigned int done = 0, n; done < size; done += n) {
		n = piece(off + done, size - done);
		v |= (uint64_t)part_read(hb, cfc_target(hb, off + done), n) << (8 * done);
	}
	return v;
}

static void cfc_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct hostbridge *hb = opaque;
	if ((hb->cf8 & CF8_ENABLE) == 0)
		return;
	for (unsigned int done = 0, n; done < size; done += n) {
		n = piece(off + done, size - done);
		part_write(hb, cfc_target(hb, off + done), (uint32_t)(val >> (8 * done) & ones(n)),
			   n);
	}
}

static const struct io_region_ops cf8_ops = { .read = cf8_read, .write = cf8_write, .max = 4 };
static const struct io_region_ops cfc_ops = {
	.read = cfc_read,
	.write = cfc_write,
	.max = 4,
	.unaligned = true,
};

int hostbridge_map(struct hostbridge *hb, uint64_t ecam_base, uint64_t ecam_size,
		   struct verr *reterr)
{
	const struct platform *plat = hb->pd.dev.plat;
	if (ecam_size > MIB(256) || ecam_size % MIB(1) != 0 || ecam_base % MIB(1) != 0)
		return verr_set(reterr, -EINVAL,
				"the ECAM window has to be whole MiB, one per bus, up to 256");
	hb->cf8_io = (struct io_region){
		.name = "pci-cf8", .ops = &cf8_ops, .opaque = hb, .prio = DECODER_PRIO
	};
	hb->cfc_io = (struct io_region){
		.name = "pci-cfc", .ops = &cfc_ops, .opaque = hb, .prio = DECODER_PRIO
	};
	hb->ecam_io = (struct io_region){
		.name = "pci-ecam", .ops = &ecam_ops, .opaque = hb, .prio = DECODER_PRIO
	};
	int r = aspace_map(plat->pio, &hb->cf8_io, 0xcf8, 4, reterr);
	if (r == 0)
		r = aspace_map(plat->pio, &hb->cfc_io, 0xcfc, 4, reterr);
	if (r == 0 && ecam_size > 0)
		r = aspace_map(plat->mmio, &hb->ecam_io, ecam_base, ecam_size, reterr);
	if (r < 0) {
		aspace_unmap(&hb->cf8_io);
		aspace_unmap(&hb->cfc_io);
		return r;
	}
	hb->ecam_base = ecam_base;
	hb->ecam_size = ecam_size;
	return 0;
}

/* ---- the function ---------------------------------------------------------------------------- */

static struct hostbridge *hostbridge_of(struct dev *d)
{
	return container_of(d, struct hostbridge, pd.dev);
}

static int hostbridge_realize(struct dev *d, struct verr *reterr)
{
	struct hostbridge *hb = hostbridge_of(d);
	pcidev_init(&hb->pd, NULL, false, false);
	/* Red Hat's generic PCI Express host; class 06/00/00. */
	pcidev_set_ids(&hb->pd, 0x1b36, 0x0008, 0, 0, 0x060000, 0);
	if (hb->pd.common.addr == NULL)
		hb->pd.common.addr = strdup("00.0");
	if (hb->pd.common.addr == NULL)
		return verr_set(reterr, -ENOMEM, "out of memory");
	int r = pcidev_attach(&hb->pd, reterr);
	if (r < 0)
		pcidev_fini(&hb->pd);
	return r;
}

static void hostbridge_unrealize(struct dev *d)
{
	struct hostbridge *hb = hostbridge_of(d);
	aspace_unmap(&hb->cf8_io);
	aspace_unmap(&hb->cfc_io);
	aspace_unmap(&hb->ecam_io);
	pcidev_fini(&hb->pd);
}

static void hostbridge_reset(struct dev *d)
{
	struct hostbridge *hb = hostbridge_of(d);
	hb->cf8 = 0;
	pcidev_reset(&hb->pd, true);
}

static struct dev *hostbridge_alloc(void)
{
	struct hostbridge *hb = calloc(1, sizeof(*hb));
	return hb != NULL ? &hb->pd.dev : NULL;
}

static void hostbridge_free(struct dev *d)
{
	free(hostbridge_of(d));
}

static const struct dev_ops hostbridge_ops = {
	.realize = hostbridge_realize,
	.unrealize = hostbridge_unrealize,
	.reset = hostbridge_reset,
};

const struct dev_type hostbridge_type = {
	.t = { .name = "pci-host", .category = "bridge", .desc = "PCI host bridge" },
	.ops = &hostbridge_ops,
	.alloc = hostbridge_alloc,
	.free = hostbridge_free,
	.pci = true,
};
