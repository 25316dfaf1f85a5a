// SPDX-License-Identifier: GPL-2.0-or-later
// Capability lists: walked with bounds whoever wrote them (PCI 3.0 6.7, PCIe 6.0 7.6), and built
// in a shadow. Owns the notion of which configuration dwords are taken; knows the lengths of
// capabilities, not their meaning.
#include "pci/pcicap.h"

#include <errno.h>
#include <linux/pci_regs.h>

#include "core/bytes.h"

#define STD_FIRST 0x40U
#define STD_END	  0x100U
#define EXT_FIRST 0x100U
#define STD_STEPS 48U
#define EXT_STEPS 960U

struct seen {
	uint32_t dword[PCICFG_SIZE / 4 / 32];
};

/* True the first time an offset is shown. */
static bool seen_first(struct seen *s, unsigned int off)
{
	uint32_t bit = BIT32(off / 4 % 32);
	uint32_t *w = &s->dword[off / 4 / 32];
	bool first = (*w & bit) == 0;
	*w |= bit;
	return first;
}

int pcicap_walk(pcicap_reader rd, void *opaque, int (*each)(void *ctx, const struct pcicap *cap),
		void *ctx)
{
	struct seen seen = { { 0 } };
	uint32_t status = rd(opaque, PCI_COMMAND);
	if (status == UINT32_MAX)
		return -EBADMSG;
	if ((status >> 16 & PCI_STATUS_CAP_LIST) == 0)
		return 0;
	unsigned int off = rd(opaque, PCI_CAPABILITY_LIST) & 0xfc;
	for (unsigned int steps = 0; off != 0; steps++) {
		if (off < STD_FIRST)
			return -EBADMSG;
		if (steps >= STD_STEPS || !seen_first(&seen, off))
			return -ELOOP;
		uint32_t h = rd(opaque, off);
		if (h == UINT32_MAX || (h & 0xff) == 0xff)
			return -EBADMSG;
		struct pcicap cap = { .off = (uint16_t)off,
				      .id = (uint16_t)(h & 0xff),
				      .next = (uint16_t)(h >> 8 & 0xfc) };
		int r = each(ctx, &cap);
		if (r != 0)
			return r;
		off = cap.next;
	}
	return 0;
}

int pcicap_walk_ext(pcicap_reader rd, void *opaque,
		    int (*each)(void *ctx, const struct pcicap *cap), void *ctx)
{
	struct seen seen = { { 0 } };
	unsigned int off = EXT_FIRST;
	for (unsigned int steps = 0; off != 0; steps++) {
		if (off < EXT_FIRST)
			return -EBADMSG;
		if (steps >= EXT_STEPS || !seen_first(&seen, off))
			return -ELOOP;
		uint32_t h = rd(opaque, off);
		/* All zero or all ones at the head: there are none (PCIe 6.0 7.6.1). */
		if (off == EXT_FIRST && (h == 0 || h == UINT32_MAX))
			return 0;
		if (h == UINT32_MAX)
			return -EBADMSG;
		struct pcicap cap = { .off = (uint16_t)off,
				      .id = (uint16_t)(h & 0xffff),
				      .version = (uint8_t)(h >> 16 & 0xf),
				      .next = (uint16_t)(h >> 20 & 0xffc) };
		int r = each(ctx, &cap);
		if (r != 0)
			return r;
		off = cap.next;
	}
	return 0;
}

static uint32_t shadow_reader(void *opaque, unsigned int off)
{
	const struct pcicfg *c = opaque;
	return off + 4 <= c->size ? get_le32(&c->val[off]) : UINT32_MAX;
}

struct find {
	uint16_t id;
	uint16_t last; /* where the list ends so far */
	bool by_id;
};

static int find_each(void *ctx, const struct pcicap *cap)
{
	struct find *f = ctx;
	f->last = cap->off;
	return f->by_id && cap->id == f->id ? cap->off : 0;
}

uint16_t pcicap_find(const struct pcicfg *c, uint8_t id)
{
	struct find f = { .id = id, .by_id = true };
	int r = pcicap_walk(shadow_reader, (void *)(uintptr_t)c, find_each, &f);
	return r > 0 ? (uint16_t)r : 0;
}

uint16_t pcicap_find_ext(const struct pcicfg *c, uint16_t id)
{
	struct find f = { .id = id, .by_id = true };
	int r = pcicap_walk_ext(shadow_reader, (void *)(uintptr_t)c, find_each, &f);
	return r > 0 ? (uint16_t)r : 0;
}

/* PCIe 6.0 7.5.3: version 2 has every register up to Link 2; ports with slots the last ones too.
 * Version 1 stops where the function's kind has no more. */
static unsigned int exp_len(uint16_t flags)
{
	unsigned int type = (flags & (unsigned int)PCI_EXP_FLAGS_TYPE) >> 4;
	bool slot = (flags & PCI_EXP_FLAGS_SLOT) != 0;
	if ((flags & PCI_EXP_FLAGS_VERS) >= 2)
		return slot ? 0x3c : 0x2c;
	switch (type) {
	case PCI_EXP_TYPE_RC_END:
		return 0x0c;
	case PCI_EXP_TYPE_ROOT_PORT:
	case PCI_EXP_TYPE_RC_EC:
		return 0x24;
	default:
		return slot ? 0x1c : 0x14;
	}
}

static unsigned int msi_cap_len(uint16_t flags)
{
	unsigned int len = (flags & PCI_MSI_FLAGS_64BIT) != 0 ? 14 : 10;
	return (flags & PCI_MSI_FLAGS_MASKBIT) != 0 ? len + 10 : len;
}

unsigned int pcicap_len(pcicap_reader rd, void *opaque, const struct pcicap *cap)
{
	uint32_t h = rd(opaque, cap->off);
	uint16_t flags = (uint16_t)(h >> 16);
	switch (cap->id) {
	case PCI_CAP_ID_PM:
	case PCI_CAP_ID_VPD:
	case PCI_CAP_ID_SHPC:
	case PCI_CAP_ID_SSVID:
	case PCI_CAP_ID_SATA:
		return 8;
	case PCI_CAP_ID_AGP:
	case PCI_CAP_ID_MSIX:
		return 12;
	case PCI_CAP_ID_SLOTID:
	case PCI_CAP_ID_CHSWP:
	case PCI_CAP_ID_DBG:
	case PCI_CAP_ID_CCRC:
		return 4;
	case PCI_CAP_ID_SECDEV:
		return 16;
	case PCI_CAP_ID_AF:
		return 6;
	case PCI_CAP_ID_VNDR:
		return h >> 16 & 0xff; /* whole capability, header included */
	case PCI_CAP_ID_PCIX:
		/* Item version in bits 13:12 of the command register: 0 has no ECC registers. */
		return (flags & 0x3000) != 0 ? 24 : 8;
	case PCI_CAP_ID_MSI:
		return msi_cap_len(flags);
	case PCI_CAP_ID_EXP:
		return exp_len(flags);
	default:
		return 0;
	}
}

static bool is_taken(const struct pcicfg *c, unsigned int off)
{
	return (c->taken[off / 4 / 32] & BIT32(off / 4 % 32)) != 0;
}

static bool all_free(const struct pcicfg *c, unsigned int off, unsigned int len)
{
	for (unsigned int o = off & ~3U; o < off + len; o += 4)
		if (is_taken(c, o))
			return false;
	return true;
}

/* Chosen places also keep clear of registers that nobody declared but somebody filled in. */
static bool all_blank(const struct pcicfg *c, unsigned int off, unsigned int len)
{
	for (unsigned int o = off; o < off + len; o++)
		if ((c->val[o] | c->wmask[o] | c->w1c[o] | c->hw[o] | c->fwd[o]) != 0)
			return false;
	return true;
}

static int choose(const struct pcicfg *c, unsigned int first, unsigned int end, unsigned int len)
{
	for (unsigned int off = first; off + len <= end; off += 4)
		if (all_free(c, off, len) && all_blank(c, off, len))
			return (int)off;
	return -ENOSPC;
}

static void take(struct pcicfg *c, unsigned int off, unsigned int len)
{
	for (unsigned int o = off & ~3U; o < off + len; o += 4)
		c->taken[o / 4 / 32] |= BIT32(o / 4 % 32);
}

/* Finds or checks the place; returns the offset. */
static int settle(struct pcicfg *c, const char *what, unsigned int id, unsigned int len,
		  unsigned int off, unsigned int first, unsigned int end, struct verr *reterr)
{
	if (off == 0) {
		int r = choose(c, first, end, len);
		return r >= 0 ? r
			      : verr_set(reterr, r, "no room for %s %#x of %u bytes", what, id,
					 len);
	}
	if (off < first || off % 4 != 0 || off + len > end || off + len > c->size)
		return verr_set(reterr, -EINVAL, "%s %#x of %u bytes can't be at %#x", what, id,
				len, off);
	if (!all_free(c, off, len))
		return verr_set(reterr, -EBUSY, "%s %#x overlaps another one at %#x", what, id,
				off);
	return (int)off;
}

int pcicap_add(struct pcicfg *c, uint8_t id, unsigned int len, unsigned int off,
	       struct verr *reterr)
{
	struct find f = { 0 };
	int r = pcicap_walk(shadow_reader, c, find_each, &f);
	if (r < 0)
		return verr_set(reterr, r, "the capability list is broken");
	r = settle(c, "capability", id, len, off, STD_FIRST, STD_END, reterr);
	if (r < 0)
		return r;
	take(c, (unsigned int)r, len);
	if (f.last == 0) {
		c->val[PCI_CAPABILITY_LIST] = (uint8_t)r;
		c->val[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	} else {
		c->val[f.last + 1] = (uint8_t)r;
	}
	c->val[r] = id;
	c->val[r + 1] = 0;
	return r;
}

int pcicap_add_ext(struct pcicfg *c, uint16_t id, uint8_t version, unsigned int len,
		   unsigned int off, struct verr *reterr)
{
	struct find f = { 0 };
	if (c->size < PCICFG_SIZE)
		return verr_set(reterr, -ENOSPC,
				"extended capability %#x needs an extended configuration space",
				id);
	int r = pcicap_walk_ext(shadow_reader, c, find_each, &f);
	if (r < 0)
		return verr_set(reterr, r, "the extended capability list is broken");
	r = settle(c, "extended capability", id, len, off, EXT_FIRST, PCICFG_SIZE, reterr);
	if (r < 0)
		return r;
	if (f.last == 0 && r != (int)EXT_FIRST)
		return verr_set(reterr, -EINVAL,
				"extended capability %#x is the first: it has to be at 0x100", id);
	take(c, (unsigned int)r, len);
	if (f.last != 0) {
		uint32_t h = get_le32(&c->val[f.last]);
		put_le32(&c->val[f.last], (h & 0xfffff) | (uint32_t)r << 20);
	}
	put_le32(&c->val[r], (uint32_t)id | (uint32_t)(version & 0xf) << 16);
	return r;
}
