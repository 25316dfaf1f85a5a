// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration space is masks (PCIe 6.0 7.5): one read and one write routine serve emulated and
// assigned functions, every access size, and every register without a special case.
//
//   val    what the guest sees where hw is 0
//   wmask  bits the guest may change
//   w1c    bits that a written 1 clears (they stay 0 in wmask)
//   hw     bits read from hardware instead of val
//   fwd    bits whose writes go to hardware too (COMMAND is shadowed *and* forwarded)
//
// Emulated devices have hw = fwd = 0. No locking of its own: the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

#define PCICFG_SIZE 4096

struct pcicfg {
	uint8_t val[PCICFG_SIZE];
	uint8_t wmask[PCICFG_SIZE];
	uint8_t w1c[PCICFG_SIZE];
	uint8_t hw[PCICFG_SIZE];
	uint8_t fwd[PCICFG_SIZE];
	uint32_t taken[PCICFG_SIZE / 4 / 32]; /* dwords that belong to a capability: pcicap.c */
	uint16_t size; /* 256 (conventional) or 4096; beyond: reads ones, writes vanish */
};

/* Access to the hardware's configuration space; NULL for emulated devices. `size` is 1, 2 or 4,
 * naturally aligned. A read that fails answers all ones. */
struct pcicfg_hw {
	uint32_t (*read)(void *opaque, unsigned int off, unsigned int size);
	void (*write)(void *opaque, unsigned int off, uint32_t val, unsigned int size);
};

void pcicfg_init(struct pcicfg *c, uint16_t size); /* all zero: reads 0, ignores writes */

/* Set-up: value and write mask of a little-endian register; size 1, 2, 4 or 8. */
void pcicfg_set(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t val,
		uint64_t wmask);
void pcicfg_set_w1c(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t mask);
void pcicfg_set_hw(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t mask);
void pcicfg_set_fwd(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t mask);
/* The shadow value, without hardware. */
uint64_t pcicfg_get(const struct pcicfg *c, unsigned int off, unsigned int size);
/* Changes the shadow only (device state, not a guest write). */
void pcicfg_put(struct pcicfg *c, unsigned int off, unsigned int size, uint64_t val);

/* Guest accesses: off + size within 4096, size 1, 2 or 4, naturally aligned (the host bridge
 * splits the rest). */
uint32_t pcicfg_read(const struct pcicfg *c, const struct pcicfg_hw *hw, void *opaque,
		     unsigned int off, unsigned int size);
/* Forwards first (once, at the guest's width, read-modify-write under fwd; W1C bits the guest did
 * not set are written 0), then commits wmask/w1c to val. */
void pcicfg_write(struct pcicfg *c, const struct pcicfg_hw *hw, void *opaque, unsigned int off,
		  uint32_t val, unsigned int size);
/* What `val` at [off, off+4) would be after the write, without doing it: to see which windows a
 * write takes away before it happens. `off4` is dword aligned and contains the write. */
uint32_t pcicfg_peek_write(const struct pcicfg *c, unsigned int off4, unsigned int off,
			   uint32_t val, unsigned int size);

VV_END_DECLS
