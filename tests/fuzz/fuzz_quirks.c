// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile guest at the registers that quirks answer for: configuration space mirrored in BARs,
// address and data ports, an MSI-X table behind a window, with the BARs moving meanwhile.
//
// Input: which animal (1 byte), then steps of 12 bytes: what, size, BAR, spare, offset (4),
// value (4).
#include "tests/fuzz/passfuzz.h"

#define STEP 12

static const struct {
	const struct fake_devdesc *desc;
	const char *props;
	struct {
		uint8_t bar;
		uint32_t off; /* where its quirk is */
	} spot[2];
} animals[] = {
	{ &zoo_gpu, "", { { 0, 0x88000 }, { 5, 0 } } },
	{ &zoo_gpu_c8, ",x-nv-gpudirect-clique=5", { { 0, 0x88000 }, { 5, 0 } } },
	{ &zoo_radeon, "", { { 2, 0x4000 }, { 4, 0 } } },
	{ &zoo_rtl8168, "", { { 2, 0x70 }, { 4, 0 } } },
	{ &zoo_igd, "", { { 0, 0 }, { 4, 0 } } },
	{ &zoo_chelsio_vf, "", { { 4, 0x1000 }, { 4, 0 } } },
	{ &zoo_kunlun_vf, "", { { 0, 0xb400 }, { 0, 0 } } },
	{ &zoo_vmd, "", { { 4, 0 }, { 4, 0x1000 } } },
};

/* Every BAR somewhere, everything decoding. */
static void place(void)
{
	uint64_t mem = GIB(64);
	uint32_t low = 0xc0000000, port = 0x2000;

	for (unsigned int i = 0; i < 6; i++) {
		const struct pcidev_bar *b = &pt->pd.bar[i];
		unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;
		if (b->kind == PCIBAR_IO) {
			pcidev_cfg_write(&pt->pd, reg, port, 4);
			port += 0x100;
		} else if (b->kind == PCIBAR_MEM32) {
			low = (uint32_t)ALIGN_UP((uint64_t)low, b->size);
			pcidev_cfg_write(&pt->pd, reg, low, 4);
			low += (uint32_t)b->size;
		} else if (b->kind == PCIBAR_MEM64) {
			mem = ALIGN_UP(mem, b->size);
			pcidev_cfg_write(&pt->pd, reg, (uint32_t)mem, 4);
			pcidev_cfg_write(&pt->pd, reg + 4, (uint32_t)(mem >> 32), 4);
			mem += b->size;
		}
	}
	pcidev_cfg_write(&pt->pd, PCI_COMMAND, 7, 2);
}

static void access(unsigned int bar, uint64_t off, uint64_t val, unsigned int len, bool write)
{
	const struct pcidev_bar *b = &pt->pd.bar[bar];
	struct aspace *as = b->kind == PCIBAR_IO ? &rp.pio : &rp.mmio;

	if (!b->active)
		return;
	len = b->kind == PCIBAR_IO ? MIN(len, 4u) : len;
	off = off % b->size & ~(uint64_t)(len - 1);
	if (write)
		aspace_write(as, b->gpa + off, val, len);
	else
		aspace_read(as, b->gpa + off, &val, len);
}

static void step(unsigned int which, const uint8_t *d)
{
	unsigned int len = 1u << d[1] % 4, spot = d[2] & 1;
	uint32_t off = get_le32(d + 4), val = get_le32(d + 8);
	uint64_t wide = (uint64_t)val << 32 | val;

	switch (d[0] % 8) {
	case 0:
		access(d[2] % 6, off, wide, len, false);
		break;
	case 1:
		access(d[2] % 6, off, wide, len, true);
		break;
	case 2:
		access(animals[which].spot[spot].bar, animals[which].spot[spot].off + off % 4096,
		       wide, len, false);
		break;
	case 3:
	case 4:
		access(animals[which].spot[spot].bar, animals[which].spot[spot].off + off % 4096,
		       wide, len, true);
		break;
	case 5: /* ports are few */
		access(animals[which].spot[spot].bar, animals[which].spot[spot].off + off % 16,
		       wide, len, true);
		break;
	case 6:
		len = MIN(len, 4u);
		pcidev_cfg_write(&pt->pd, off % PCICFG_SIZE & ~(len - 1), val, len);
		break;
	default:
		if (off % 4 == 0)
			dev_reset(&pt->pd.dev);
		place();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char props[96];

	if (size == 0)
		return 0;
	unsigned int which = data[0] % ARRAY_SIZE(animals);
	pf_open();
	hw = fake_zoo_one(animals[which].desc);
	snprintf(props, sizeof(props), "host=0000:03:00.0%s", animals[which].props);
	CHECK(pf_assign(props));
	place();
	for (size_t at = 1; at + STEP <= size && at < 300 * STEP; at += STEP) {
		step(which, data + at);
		if (pt->lost)
			break;
		pf_check();
	}
	pf_close();
	return 0;
}
