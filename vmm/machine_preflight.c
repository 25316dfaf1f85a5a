// SPDX-License-Identifier: GPL-2.0-or-later
// Asks the memory map solver on behalf of vfio/preflight, before there is a machine: the same
// answer, in the same words, that the machine would get later. Owns nothing.

#include "vmm/machine_preflight.h"

#include <stdio.h>

#include "vmm/machine_map.h"

int pc_map_preflight(const struct preflight_map *m, char *note, size_t size, bool *ret_peers,
		     struct verr *reterr)
{
	const struct pc_map_facts f = {
		.ram_size = m->ram_bytes,
		.phys_bits = m->phys_bits,
		.needs = { .mmio32 = m->mmio32,
			   .mmio32_align = m->mmio32_align,
			   .mmio64 = m->mmio64,
			   .mmio64_align = m->mmio64_align },
		.dma = m->dma,
		.why = m->why,
		.opaque = m->opaque,
	};
	struct pc_layout l = { .ecam_base = PC_ECAM_BASE, .ecam_buses = PC_ECAM_BUSES };
	struct pc_map_notes notes;

	int r = pc_map_solve(&f, &l, &notes, reterr);
	if (r < 0)
		return r;
	snprintf(note, size, "%s", notes.n ? notes.text[notes.n - 1] : "");
	*ret_peers = !m->mmio64 || !l.has_mmio64 || !m->dma || rangeset_contains(m->dma, l.mmio64);
	return 0;
}
