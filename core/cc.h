// SPDX-License-Identifier: GPL-2.0-or-later
// The compiler vocabulary every other file uses: attributes, alignment, container_of.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* clang-format off */ /* it takes (ptr) - x for a cast */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* `a` is a power of two; the result may wrap: check with range_make() first when it can. */
#define ALIGN_UP(x, a)	 (((x) + ((a)-1)) & ~((a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((a)-1))
#define IS_ALIGNED(x, a) (((x) & ((a)-1)) == 0)
#define IS_POW2(x)	 ((x) != 0 && (((x) & ((x)-1)) == 0))
#define BIT32(n)	 (UINT32_C(1) << (n))
#define BIT64(n)	 (UINT64_C(1) << (n))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define ATTR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define ATTR_UNUSED		__attribute__((unused))
#define ATTR_CLEANUP(fn)	__attribute__((cleanup(fn)))

#ifdef __cplusplus
#define VV_STATIC_ASSERT(c, msg) static_assert(c, msg)
#define VV_BEGIN_DECLS		 extern "C" {
#define VV_END_DECLS		 }
#else
#define VV_STATIC_ASSERT(c, msg) _Static_assert(c, msg)
#define VV_BEGIN_DECLS
#define VV_END_DECLS
#endif
