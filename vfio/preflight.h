// SPDX-License-Identifier: GPL-2.0-or-later
// Verdicts before anything is touched: each has a severity, the evidence, the reason and the
// fix. Spoken alike by vfio-vmm, vfio-bind and vfio-inspect. Reads only (sysfs, procfs, limits).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/bdf.h"
#include "pci/hostpci.h"

VV_BEGIN_DECLS

enum verdict_level { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

struct verdict {
	enum verdict_level level;
	const char *check; /* stable short name: "group-viable" */
	char text[512];	   /* one sentence: culprit and reason */
	char fix[256];	   /* the command or setting that mends it; "" if none */
};

struct preflight {
	struct verdict *v; /* owned */
	unsigned int n, cap;
};

struct preflight_request {
	const struct bdf *bdfs;
	unsigned int n_bdfs;
	uint64_t ram_bytes; /* guest RAM to pin; 0: unknown */
	bool need_kvm;
};

/* Runs every check that applies. 0, or -ENOMEM. */
int preflight_run(const struct preflight_request *req, struct preflight *ret);
void preflight_fini(struct preflight *p);
enum verdict_level preflight_worst(const struct preflight *p);
/* The first failing verdict as an error: "text (fix)". 0 if none fails. */
int preflight_error(const struct preflight *p, struct verr *reterr);
/* One line a verdict: "fail  group-viable  ...; run: ...". */
void preflight_print(const struct preflight *p, FILE *out, bool all);

/* Does VFIO refuse a group because of this member? Bridges, unbound functions and drivers that do
 * no DMA of their own it leaves alone. */
bool preflight_blocks(const struct hostpci_dev *d);
/* Why a group is not viable: every blocking member with address, driver and the command. Returns
 * the number of blockers. Used by vfio/group.c too. */
unsigned int preflight_group_blockers(unsigned int group, char *text, size_t size);

VV_END_DECLS
