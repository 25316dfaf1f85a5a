// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the guest's memory map: RAM, and what must be left alone. Device windows are not listed:
// the host bridge's resources in ACPI say where those are. Knows no kernel image format.
#include "vmm/boot/e820.h"

#include <errno.h>
#include <inttypes.h>

#include "core/bytes.h"
#include "vmm/boot/layout.h"

static int put(struct e820 *m, uint64_t addr, uint64_t size, enum e820_type type,
	       struct verr *reterr)
{
	unsigned int at = m->n;

	if (m->n == E820_MAX)
		return verr_set(reterr, -ENOSPC, "memory map: more than %d entries", E820_MAX);
	while (at > 0 && m->e[at - 1].addr > addr) {
		m->e[at] = m->e[at - 1];
		at--;
	}
	m->e[at] = (struct e820_entry){ addr, size, type };
	m->n++;
	return 0;
}

int e820_build(const struct pc_layout *l, struct e820 *ret, struct verr *reterr)
{
	struct e820 m = { .n = 0 };
	int r;

	/* The VGA hole is neither RAM nor listed; the last of it is where our tables are. */
	r = put(&m, 0, PC_LOW_RAM_END, E820_RAM, reterr);
	if (r == 0)
		r = put(&m, PC_LOW_RAM_END, 0xa0000 - PC_LOW_RAM_END, E820_RESERVED, reterr);
	if (r == 0)
		r = put(&m, PC_ACPI_BASE, PC_ACPI_LAST + 1 - PC_ACPI_BASE, E820_RESERVED, reterr);
	if (r == 0)
		r = put(&m, MIB(1), l->ram_low_size - MIB(1), E820_RAM, reterr);
	if (r == 0)
		r = put(&m, l->ecam_base, MIB(l->ecam_buses), E820_RESERVED, reterr);
	for (unsigned int i = 0; r == 0 && i < l->n_reserved; i++)
		r = put(&m, l->reserved[i].first, range_size(l->reserved[i]), E820_RESERVED,
			reterr);
	if (r == 0 && l->ram_high_size)
		r = put(&m, l->ram_high_base, l->ram_high_size, E820_RAM, reterr);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < m.n; i++) {
		uint64_t next = i + 1 < m.n ? m.e[i + 1].addr : UINT64_MAX;

		if (m.e[i].size == 0 || m.e[i].size > next - m.e[i].addr)
			return verr_set(reterr, -EINVAL,
					"memory map: the entry at %#" PRIx64
					" is empty or overlaps the next",
					m.e[i].addr);
	}
	*ret = m;
	return 0;
}

static void encode(const struct e820 *m, uint8_t *out, unsigned int stride)
{
	for (unsigned int i = 0; i < m->n; i++, out += stride) {
		memset(out, 0, stride);
		put_le64(out, m->e[i].addr);
		put_le64(out + 8, m->e[i].size);
		put_le32(out + 16, m->e[i].type);
	}
}

void e820_encode_boot(const struct e820 *m, uint8_t *out)
{
	encode(m, out, E820_BOOT_ENTRY_SIZE);
}

void e820_encode_pvh(const struct e820 *m, uint8_t *out)
{
	encode(m, out, E820_PVH_ENTRY_SIZE);
}
