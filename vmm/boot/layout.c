// SPDX-License-Identifier: GPL-2.0-or-later
// Checks that a pc_layout hangs together: nothing overlaps, everything is where its kind must be.
// The machine calls it once. Knows no table format.
#include "vmm/boot/layout.h"

#include <errno.h>
#include <inttypes.h>

struct named_range {
	const char *name;
	struct range r;
};

struct range_list {
	struct named_range e[12 + PC_RESERVED_MAX];
	unsigned int n;
};

static int list_put(struct range_list *l, const char *name, struct range r, struct verr *reterr)
{
	if (r.first > r.last)
		return verr_set(reterr, -EINVAL,
				"memory layout: %s %#" PRIx64 "..%#" PRIx64 " is backwards", name,
				r.first, r.last);
	for (unsigned int i = 0; i < l->n; i++)
		if (range_overlaps(l->e[i].r, r))
			return verr_set(reterr, -EINVAL,
					"memory layout: %s %#" PRIx64 "..%#" PRIx64 " overlaps %s",
					name, r.first, r.last, l->e[i].name);
	l->e[l->n++] = (struct named_range){ name, r };
	return 0;
}

static int list_put_size(struct range_list *l, const char *name, uint64_t base, uint64_t size,
			 struct verr *reterr)
{
	struct range r;

	if (!range_make(base, size, &r))
		return verr_set(reterr, -EINVAL,
				"memory layout: %s at %#" PRIx64 " size %#" PRIx64
				" is empty or wraps",
				name, base, size);
	return list_put(l, name, r, reterr);
}

static int check_memory(const struct pc_layout *l, struct verr *reterr)
{
	struct range_list list = { .n = 0 };
	int r;

	if (!IS_ALIGNED(l->ram_low_size, KIB(4)) || !IS_ALIGNED(l->ram_high_size, KIB(4)))
		return verr_set(reterr, -EINVAL, "memory layout: RAM is not a multiple of 4 KiB");
	if (l->ram_low_size < MIB(2) || l->ram_low_size > GIB(4))
		return verr_set(reterr, -EINVAL,
				"memory layout: %" PRIu64 " KiB of RAM below 4 GiB"
				" is not between 2 MiB and 4 GiB",
				l->ram_low_size >> 10);
	if (l->ecam_buses < 1 || l->ecam_buses > 256 || !IS_ALIGNED(l->ecam_base, MIB(1)))
		return verr_set(reterr, -EINVAL,
				"memory layout: ECAM at %#" PRIx64 " for %u buses"
				" is misaligned or not 1 to 256 buses",
				l->ecam_base, l->ecam_buses);
	r = list_put_size(&list, "low RAM", 0, l->ram_low_size, reterr);
	if (r == 0 && l->ram_high_size)
		r = list_put_size(&list, "high RAM", l->ram_high_base, l->ram_high_size, reterr);
	if (r == 0)
		r = list_put_size(&list, "ECAM", l->ecam_base, MIB(l->ecam_buses), reterr);
	if (r == 0)
		r = list_put_size(&list, "local APIC", l->lapic_base, KIB(4), reterr);
	if (r == 0)
		r = list_put_size(&list, "IOAPIC", l->ioapic_base, KIB(4), reterr);
	if (r == 0)
		r = list_put(&list, "32-bit PCI window", l->mmio32, reterr);
	if (r == 0 && l->has_mmio64)
		r = list_put(&list, "64-bit PCI window", l->mmio64, reterr);
	if (l->n_reserved > PC_RESERVED_MAX)
		return verr_set(reterr, -EINVAL, "memory layout: %u reserved ranges",
				l->n_reserved);
	for (unsigned int i = 0; r == 0 && i < l->n_reserved; i++)
		r = list_put(&list, "reserved range", l->reserved[i], reterr);
	if (r < 0)
		return r;
	if (l->mmio32.last > UINT32_MAX)
		return verr_set(reterr, -EINVAL,
				"memory layout: 32-bit PCI window ends at %#" PRIx64,
				l->mmio32.last);
	if (l->ram_high_size && l->ram_high_base < PC_HIGH_RAM_BASE)
		return verr_set(reterr, -EINVAL, "memory layout: high RAM starts at %#" PRIx64,
				l->ram_high_base);
	if (l->has_mmio64 && l->mmio64.first < PC_HIGH_RAM_BASE)
		return verr_set(reterr, -EINVAL,
				"memory layout: 64-bit PCI window starts at %#" PRIx64,
				l->mmio64.first);
	return 0;
}

int pc_layout_check(const struct pc_layout *l, struct verr *reterr)
{
	int r = check_memory(l, reterr);

	if (r < 0)
		return r;
	if (l->vcpus < 1)
		return verr_set(reterr, -EINVAL, "memory layout: no vCPU");
	if (l->pio.first > l->pio.last || l->pio.last > 0xffff)
		return verr_set(reterr, -EINVAL,
				"memory layout: PCI I/O window %#" PRIx64 "..%#" PRIx64
				" is not within 0..0xffff",
				l->pio.first, l->pio.last);
	if (l->n_slots > PC_PCI_SLOTS)
		return verr_set(reterr, -EINVAL, "memory layout: %u PCI slots", l->n_slots);
	for (unsigned int i = 0; i < l->n_slots; i++) {
		if (l->slots[i].dev >= PC_PCI_SLOTS)
			return verr_set(reterr, -EINVAL, "memory layout: PCI slot %u",
					l->slots[i].dev);
		for (unsigned int pin = 0; pin < 4; pin++)
			if (l->slots[i].gsi[pin] < PC_PCI_GSI_FIRST ||
			    l->slots[i].gsi[pin] > PC_PCI_GSI_LAST)
				return verr_set(reterr, -EINVAL,
						"memory layout: slot %u pin INT%c on"
						" GSI %u, not a PCI line",
						l->slots[i].dev, 'A' + (int)pin,
						l->slots[i].gsi[pin]);
	}
	return 0;
}
