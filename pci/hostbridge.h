// SPDX-License-Identifier: GPL-2.0-or-later
// The host bridge: function 00:00.0, and the CF8/CFC (PCI 3.0 3.2.2.3.2) and ECAM (PCIe 6.0 7.2.2)
// decoders in front of the buses.
#pragma once

#include "core/dev.h"
#include "pci/pcibus.h"

VV_BEGIN_DECLS

struct hostbridge {
	struct pcidev pd;
	uint32_t cf8;
	struct io_region cf8_io, cfc_io, ecam_io;
	uint64_t ecam_base, ecam_size;
};

extern const struct dev_type hostbridge_type; /* not for --device */

/* Realized like any device; then maps the decoders. ecam_size: 1 MiB per bus, 0: no ECAM. */
int hostbridge_map(struct hostbridge *hb, uint64_t ecam_base, uint64_t ecam_size,
		   struct verr *reterr);

VV_END_DECLS
