// SPDX-License-Identifier: GPL-2.0-or-later
// Verdicts before anything is touched: each has a severity, the evidence, the reason and the
// fix. Spoken alike by vfio-vmm, vfio-bind and vfio-inspect. Reads only (sysfs, procfs, limits).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/range.h"
#include "core/verr.h"
#include "pci/bdf.h"
#include "pci/hostpci.h"

VV_BEGIN_DECLS

/* UNKNOWN: what would tell may not be read by this user; no reason to expect trouble. */
enum verdict_level { VERDICT_OK, VERDICT_UNKNOWN, VERDICT_WARN, VERDICT_FAIL };

struct verdict {
	enum verdict_level level;
	const char *check;	    /* stable short name: "group-viable" */
	char function[BDF_STR_MAX]; /* whom it is about; "" the whole machine */
	char text[512];		    /* one sentence: culprit and reason */
	char evidence[256];	    /* where it was read, and what; "" the sentence has it */
	char fix[320];		    /* the command or setting that mends it; "" if none */
};

struct preflight {
	struct verdict *v; /* owned */
	unsigned int n, cap;
};

/* What the guest's memory map has to hold, as far as it can be told from outside. */
struct preflight_map {
	uint64_t ram_bytes;
	unsigned int phys_bits;				     /* of a guest address */
	uint64_t mmio32, mmio32_align, mmio64, mmio64_align; /* BARs: sums and largest */
	const struct rangeset *dma;			     /* what the functions' IOMMUs reach */
	/* Why `r` is not all in `dma`; `opaque` is the caller's. */
	int (*why)(void *opaque, struct range r, struct verr *reterr);
	void *opaque;
};

/* The monitor's own solver of that map. 0, with what a guest should know of it in note ("" if it
 * is as usual; *ret_peers false: devices can't reach each other's BARs); or -errno with what has no
 * place. */
typedef int preflight_solve(const struct preflight_map *m, char *note, size_t size, bool *ret_peers,
			    struct verr *reterr);

struct preflight_request {
	const struct bdf *bdfs;
	unsigned int n_bdfs;
	uint64_t ram_bytes; /* guest RAM to pin; 0: unknown */
	bool need_kvm;
	bool may_wake;		/* asking a sleeping function whether it answers is all right */
	bool hugepages;		/* guest RAM is to be in 2 MiB hugetlbfs pages */
	unsigned int phys_bits; /* guest physical address width; 0: the host processor's */
	bool peers;		/* judge who reaches whose BARs: each pair */
	preflight_solve *solve; /* NULL: addresses are not judged */
};

/* Runs every check that applies. 0, or -ENOMEM. */
int preflight_run(const struct preflight_request *req, struct preflight *ret);
void preflight_fini(struct preflight *p);
enum verdict_level preflight_worst(const struct preflight *p);
/* The first failing verdict as an error: "text (fix)". 0 if none fails. */
int preflight_error(const struct preflight *p, struct verr *reterr);
const char *preflight_level_name(enum verdict_level level); /* "ok", "?", "warn", "fail" */
/* One line a verdict: "fail  group-viable  ...; run: ...". */
void preflight_print(const struct preflight *p, FILE *out, bool all);

/* Does VFIO refuse a group because of this member? Bridges, unbound functions and drivers that do
 * no DMA of their own it leaves alone. */
bool preflight_blocks(const struct hostpci_dev *d);
/* Why a group is not viable: every blocking member with address, driver and the command. Returns
 * the number of blockers. Used by vfio/group.c too. */
unsigned int preflight_group_blockers(unsigned int group, char *text, size_t size);

VV_END_DECLS
