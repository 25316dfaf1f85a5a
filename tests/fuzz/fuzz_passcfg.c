// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration space of an assigned function, between a device that lies about its capabilities
// and a guest that writes anything anywhere.
//
// Input: which animal of the zoo (1 byte), bytes put into the device's configuration space (1 byte:
// how many; each 4: offset (2), value, spare), then steps of 8 bytes: what, size, offset (2), value
// (4).
#include "tests/fuzz/passfuzz.h"

#define STEP 8

/* Capabilities start at 0x34 and 0x40: what is in front of them is the host's to know. */
static size_t lie(const uint8_t *data, size_t size)
{
	uint8_t *cfg = fake_dev_config(hw);
	size_t n = size ? MIN(data[0], (size - 1) / 4) : 0;

	for (size_t i = 0; i < n; i++) {
		unsigned int off = get_le16(data + 1 + 4 * i) % PCICFG_SIZE;
		if (off == PCI_CAPABILITY_LIST || off >= 0x40)
			cfg[off] = data[3 + 4 * i];
	}
	return size ? 1 + 4 * n : 0;
}

static void step(const uint8_t *d)
{
	unsigned int len = 1u << d[1] % 3;
	unsigned int off = get_le16(d + 2) % PCICFG_SIZE & ~(len - 1);

	switch (d[0] % 8) {
	case 0:
		pcidev_cfg_read(&pt->pd, off, len);
		break;
	case 1:
		dev_reset(&pt->pd.dev);
		break;
	case 2: /* where something happens */
		pcidev_cfg_write(&pt->pd, off % 0x100 & ~(len - 1), get_le32(d + 4), len);
		break;
	default:
		pcidev_cfg_write(&pt->pd, off, get_le32(d + 4), len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	pf_open();
	hw = fake_zoo_one(zoo_all[data[0] % zoo_count]);
	size_t at = 1 + lie(data + 1, size - 1);
	if (pf_assign("host=0000:03:00.0")) {
		for (; at + STEP <= size && at < 300 * STEP; at += STEP) {
			step(data + at);
			if (pt->lost)
				break;
			pf_check();
		}
	}
	pf_close();
	return 0;
}
