// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration space as masks: the one read and the one write routine (PCIe 6.0 7.4, 7.5).
// Owns the merging of shadow and hardware; knows no register by name, no device and no bus.
#include "pci/pcicfg.h"

#include <assert.h>
#include <string.h>

#include "core/bytes.h"

void pcicfg_init(struct pcicfg *c, uint16_t size)
{
	assert(size == 256 || size == PCICFG_SIZE);
	memset(c, 0, sizeof(*c));
	c->size = size;
}

void pcicfg_set(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t val, uint64_t wmask)
{
	assert(off + size <= PCICFG_SIZE);
	put_le(&c->val[off], val, size);
	put_le(&c->wmask[off], wmask, size);
}

void pcicfg_set_w1c(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t mask)
{
	assert(off + size <= PCICFG_SIZE);
	put_le(&c->w1c[off], mask, size);
	put_le(&c->wmask[off], get_le(&c->wmask[off], size) & ~mask, size);
}

void pcicfg_set_hw(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t mask)
{
	assert(off + size <= PCICFG_SIZE);
	put_le(&c->hw[off], mask, size);
}

void pcicfg_set_fwd(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t mask)
{
	assert(off + size <= PCICFG_SIZE);
	put_le(&c->fwd[off], mask, size);
}

uint64_t pcicfg_get(const struct pcicfg *c, unsigned int off, unsigned int size)
{
	assert(off + size <= PCICFG_SIZE);
	return get_le(&c->val[off], size);
}

void pcicfg_put(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t val)
{
	assert(off + size <= PCICFG_SIZE);
	put_le(&c->val[off], val, size);
}

static bool access_ok(const struct pcicfg *c, unsigned int off, unsigned int size)
{
	assert(size == 1 || size == 2 || size == 4);
	assert(off % size == 0 && off + size <= PCICFG_SIZE);
	return off + size <= c->size;
}

static uint32_t mask_of(const uint8_t *mask, unsigned int off, unsigned int size)
{
	return (uint32_t)get_le(&mask[off], size);
}

uint32_t pcicfg_read(const struct pcicfg *c, const struct pcicfg_hw *hw, void *opaque,
		     unsigned int off, unsigned int size)
{
	if (!access_ok(c, off, size))
		return (uint32_t)ones(size);
	uint32_t v = mask_of(c->val, off, size);
	uint32_t from_hw = mask_of(c->hw, off, size);
	if (from_hw != 0 && hw != NULL)
		v = (v & ~from_hw) | (hw->read(opaque, off, size) & from_hw);
	return v;
}

/* What hardware gets: forwarded bits are the guest's, other writable-by-anyone bits keep what
 * hardware says, and no W1C bit is cleared that the guest did not ask for. */
static void forward(const struct pcicfg *c, const struct pcicfg_hw *hw, void *opaque,
		    unsigned int off, uint32_t val, unsigned int size)
{
	uint32_t fwd = mask_of(c->fwd, off, size);
	if (fwd == 0 || hw == NULL)
		return;
	uint32_t keep = (uint32_t)ones(size) & ~fwd & ~mask_of(c->w1c, off, size);
	uint32_t out = val & fwd;
	if (keep != 0)
		out |= hw->read(opaque, off, size) & keep;
	hw->write(opaque, off, out, size);
}

static uint32_t commit_value(const struct pcicfg *c, unsigned int off, uint32_t val,
			     unsigned int size)
{
	uint32_t wmask = mask_of(c->wmask, off, size);
	uint32_t v = (mask_of(c->val, off, size) & ~wmask) | (val & wmask);
	return v & ~(val & mask_of(c->w1c, off, size));
}

void pcicfg_write(struct pcicfg *c, const struct pcicfg_hw *hw, void *opaque, unsigned int off,
		  uint32_t val, unsigned int size)
{
	if (!access_ok(c, off, size))
		return;
	forward(c, hw, opaque, off, val, size);
	put_le(&c->val[off], commit_value(c, off, val, size), size);
}

uint32_t pcicfg_peek_write(const struct pcicfg *c, unsigned int off4, unsigned int off,
			   uint32_t val, unsigned int size)
{
	assert(off4 % 4 == 0 && off >= off4 && off + size <= off4 + 4);
	uint8_t dword[4];
	memcpy(dword, &c->val[off4], sizeof(dword));
	if (access_ok(c, off, size))
		put_le(&dword[off - off4], commit_value(c, off, val, size), size);
	return get_le32(dword);
}
