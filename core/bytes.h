// SPDX-License-Identifier: GPL-2.0-or-later
// Unaligned little-endian loads and stores (PCI, VIRTIO and x86 boot structures).
#pragma once

#include <stdint.h>
#include <string.h>

#include "core/cc.h"

VV_BEGIN_DECLS

static inline uint16_t get_le16(const void *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t get_le32(const void *p)
{
	return (uint32_t)get_le16(p) | (uint32_t)get_le16((const uint8_t *)p + 2) << 16;
}

static inline uint64_t get_le64(const void *p)
{
	return (uint64_t)get_le32(p) | (uint64_t)get_le32((const uint8_t *)p + 4) << 32;
}

static inline void put_le16(void *p, uint16_t v)
{
	uint8_t *b = (uint8_t *)p;
	b[0] = (uint8_t)v;
	b[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(void *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static inline void put_le64(void *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

/* `size` is 1..8 bytes; the value's upper bytes are dropped on a store and zero on a load. */
static inline uint64_t get_le(const void *p, unsigned int size)
{
	uint64_t v = 0;
	for (unsigned int i = 0; i < size && i < 8; i++)
		v |= (uint64_t)((const uint8_t *)p)[i] << (8 * i);
	return v;
}

static inline void put_le(void *p, uint64_t v, unsigned int size)
{
	for (unsigned int i = 0; i < size && i < 8; i++)
		((uint8_t *)p)[i] = (uint8_t)(v >> (8 * i));
}

/* All ones of `size` bytes: what an absent device answers. */
static inline uint64_t ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1;
}

VV_END_DECLS
