// SPDX-License-Identifier: GPL-2.0-or-later
//
// Phrases about the inventory that several views print alike.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "tools/inspect/inv_int.h"

/* Length of the UTF-8 sequence at `s`, 0 if it is none (Unicode 3.9, table 3-7). */
static unsigned int sequence(const unsigned char *s)
{
	unsigned int n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] > 0xf4 || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	for (unsigned int i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

void inv_clean(char *text)
{
	unsigned char *s = (unsigned char *)text;
	while (*s) {
		unsigned int n = sequence(s);
		bool bad = n == 0 || *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0);
		n = MAX(n, 1u);
		if (bad)
			memset(s, '?', n);
		s += n;
	}
}

static void forbidden(const struct inv_group *g, char *buf, size_t size)
{
	for (unsigned int i = 0; i < g->n_resv; i++) {
		const struct inv_resv *r = &g->resv[i];
		if (strcmp(r->type, "direct") != 0)
			continue;
		snprintf(buf, size,
			 "can't be assigned: firmware demands %#" PRIx64 "-%#" PRIx64
			 " mapped directly (RMRR)",
			 r->first, r->last);
		return;
	}
}

char *inv_group_verdict(const struct inv *inv, const struct inv_group *g, char *buf, size_t size)
{
	char name[BDF_STR_MAX];
	const char *sep = "";
	switch (g->viable) {
	case INV_VIABLE:
		snprintf(buf, size, "viable");
		break;
	case INV_NO_ENDPOINT:
		snprintf(buf, size, "bridges only");
		break;
	case INV_FORBIDDEN:
		forbidden(g, buf, size);
		break;
	case INV_NOT_VIABLE:
		snprintf(buf, size, "not viable: ");
		for (unsigned int i = 0; i < g->n_fn; i++) {
			const struct inv_fn *f = &inv->fn[g->fn[i]];
			if (!f->blocks)
				continue;
			text_append(buf, size, "%s%s has %s", sep, bdf_str(&f->pci.at, name),
				    f->pci.driver);
			sep = ", ";
		}
		break;
	}
	return buf;
}

static void speed(unsigned int mts, char *buf, size_t size)
{
	if (mts % 1000)
		snprintf(buf, size, "%u.%u GT/s", mts / 1000, mts % 1000 / 100);
	else
		snprintf(buf, size, "%u GT/s", mts / 1000);
}

char *inv_link_text(const struct inv_fn *f, char *buf, size_t size)
{
	char now[24], max[24];
	buf[0] = '\0';
	if (!f->now.mts || !f->now.width)
		return buf;
	speed(f->now.mts, now, sizeof(now));
	snprintf(buf, size, "%s x%u", now, f->now.width);
	if (!f->degraded)
		return buf;
	speed(f->max.mts, max, sizeof(max));
	text_append(buf, size, " (degraded: %s x%u possible)", max, f->max.width);
	return buf;
}

char *inv_size_text(uint64_t size, char *buf, size_t len)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int u = 0;
	while (size && size % 1024 == 0 && u < ARRAY_SIZE(unit) - 1) {
		size /= 1024;
		u++;
	}
	snprintf(buf, len, "%" PRIu64 " %s", size, unit[u]);
	return buf;
}

char *inv_pages_text(uint64_t sizes, char *buf, size_t len)
{
	char one[16];
	buf[0] = '\0';
	if ((sizes & 0xfffff000) == 0xfffff000) {
		snprintf(buf, len, "pages of 4 KiB and every power of two above");
		return buf;
	}
	snprintf(buf, len, "pages of");
	const char *sep = " ";
	for (unsigned int i = 0; i < 64; i++) {
		if (!(sizes >> i & 1))
			continue;
		text_append(buf, len, "%s%s", sep, inv_size_text(BIT64(i), one, sizeof(one)));
		sep = "/";
	}
	return buf;
}
