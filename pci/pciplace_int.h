// SPDX-License-Identifier: GPL-2.0-or-later
// Between the files of BAR placement: pciplace_items.c (what wants a place on a bus, and how much
// of it), pciplace.c (giving places, programming) and pciplace_text.c (telling of them).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/range.h"
#include "core/verr.h"
#include "pci/pcibus.h"

VV_BEGIN_DECLS

/* Something that wants a place in a window: a BAR, or (bar < 0) the window of the bridge `pd`. */
struct pciplace_item {
	struct pcidev *pd;
	int bar;
	uint64_t size, align;
	bool fixed;  /* a BAR with an address of its own, or the bridge of one */
	uint64_t at; /* then: where it has to be */
};

struct pciplace_items {
	struct pciplace_item *v; /* owned */
	size_t n, cap;
};

/* How placement is done this time. */
struct pciplace_plan {
	bool have64;
	uint64_t spill; /* 64-bit BARs of this size and more go above 4 GiB if there is any way */
	struct verr *reterr;
};

struct pciplace_room {
	uint64_t size, align; /* size 0: nothing needed */
};

static inline struct range pciplace_range(const struct pciplace_item *it)
{
	return (struct range){ it->at, it->at + it->size - 1 };
}

/* Which window of its bus a BAR wants. */
enum pci_win pciplace_window_of(const struct pciplace_plan *p, const struct pcidev *pd,
				unsigned int bar);
/* What wants a place in that window of the bus: those that have theirs first, which are apart from
 * each other, then the widest alignment. -EINVAL names two that have to be in one place. */
int pciplace_collect(const struct pciplace_plan *p, struct pcibus *b, enum pci_win win,
		     struct pciplace_items *ret);
/* Room for all that has no place yet. */
int pciplace_measure(const struct pciplace_plan *p, struct pcibus *b, enum pci_win win,
		     struct pciplace_room *ret);
/* The BARs at and below the bus with an address of their own that are first and last; NULL if
 * there is none. */
struct pciplace_span {
	const struct pcidev_bar *lowest, *highest;
};
struct pciplace_span pciplace_fixed(struct pcibus *b);
/* "gpu BAR 1" */
void pciplace_bar_text(const struct pcidev_bar *b, char *buf, size_t size);
/* "64 GiB": sizes here are nearly always round. */
void pciplace_size_text(uint64_t size, char buf[32]);

VV_END_DECLS
