// SPDX-License-Identifier: GPL-2.0-or-later
//
// Ranges and the sorted set of them. Pure; every sum is checked, because bases and sizes come
// from guests and devices.
#include "core/range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool range_make(uint64_t base, uint64_t size, struct range *ret)
{
	uint64_t last;
	if (size == 0 || __builtin_add_overflow(base, size - 1, &last))
		return false;
	ret->first = base;
	ret->last = last;
	return true;
}

bool range_intersect(struct range a, struct range b, struct range *ret)
{
	if (!range_overlaps(a, b))
		return false;
	ret->first = MAX(a.first, b.first);
	ret->last = MIN(a.last, b.last);
	return true;
}

void rangeset_fini(struct rangeset *s)
{
	free(s->r);
	s->r = NULL;
	s->n = 0;
	s->cap = 0;
}

static int reserve(struct rangeset *s, size_t n)
{
	if (n <= s->cap)
		return 0;
	size_t cap = MAX(n, s->cap * 2);
	struct range *r = reallocarray(s->r, cap, sizeof(*r));
	if (!r)
		return -ENOMEM;
	s->r = r;
	s->cap = cap;
	return 0;
}

/* Index of the first range that ends at or after x; n if none. */
static size_t lower(const struct rangeset *s, uint64_t x)
{
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->r[mid].last < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Replaces ranges [from, to) by the `n` of `with` (at most 2). */
static int splice(struct rangeset *s, size_t from, size_t to, const struct range *with, size_t n)
{
	size_t total = s->n - (to - from) + n;
	int r = reserve(s, total);
	if (r < 0)
		return r;
	if (s->n > to)
		memmove(s->r + from + n, s->r + to, (s->n - to) * sizeof(*s->r));
	for (size_t i = 0; i < n; i++)
		s->r[from + i] = with[i];
	s->n = total;
	return 0;
}

int rangeset_add(struct rangeset *s, struct range r)
{
	/* Neighbours one apart merge as well, hence the look one further at both ends. */
	size_t from = lower(s, r.first ? r.first - 1 : 0);
	size_t to = from;
	uint64_t reach = r.last == UINT64_MAX ? r.last : r.last + 1;
	while (to < s->n && s->r[to].first <= reach)
		to++;
	if (to > from) {
		r.first = MIN(r.first, s->r[from].first);
		r.last = MAX(r.last, s->r[to - 1].last);
	}
	return splice(s, from, to, &r, 1);
}

int rangeset_subtract(struct rangeset *s, struct range r)
{
	size_t from = lower(s, r.first);
	size_t to = from;
	while (to < s->n && s->r[to].first <= r.last)
		to++;
	if (to == from)
		return 0;

	struct range left[2];
	size_t n = 0;
	if (s->r[from].first < r.first)
		left[n++] = (struct range){ s->r[from].first, r.first - 1 };
	if (s->r[to - 1].last > r.last)
		left[n++] = (struct range){ r.last + 1, s->r[to - 1].last };
	return splice(s, from, to, left, n);
}

int rangeset_intersect(struct rangeset *s, const struct rangeset *with)
{
	uint64_t at = 0;

	/* What lies between the other's ranges goes, and what lies behind the last. */
	for (size_t i = 0; i < with->n; i++) {
		if (with->r[i].first > at) {
			int r = rangeset_subtract(s, (struct range){ at, with->r[i].first - 1 });
			if (r < 0)
				return r;
		}
		if (with->r[i].last == UINT64_MAX)
			return 0;
		at = with->r[i].last + 1;
	}
	return rangeset_subtract(s, (struct range){ at, UINT64_MAX });
}

bool rangeset_contains(const struct rangeset *s, struct range r)
{
	size_t i = lower(s, r.first);
	return i < s->n && range_contains(s->r[i], r);
}

bool rangeset_overlaps(const struct rangeset *s, struct range r)
{
	size_t i = lower(s, r.first);
	return i < s->n && range_overlaps(s->r[i], r);
}

int rangeset_copy(struct rangeset *dst, const struct rangeset *src)
{
	if (dst == src)
		return 0;
	int r = reserve(dst, src->n);
	if (r < 0)
		return r;
	if (src->n)
		memcpy(dst->r, src->r, src->n * sizeof(*src->r));
	dst->n = src->n;
	return 0;
}
