// SPDX-License-Identifier: GPL-2.0-or-later
// PCI addresses as text and back. Owns nothing; knows nothing of guests or hosts.
#include "pci/bdf.h"

#include <errno.h>
#include <stdio.h>

/* One hexadecimal field of 1 to max_digits digits, at most `max`; NULL if it is not one. */
static const char *hex_field(const char *p, unsigned int max_digits, unsigned int max,
			     unsigned int *ret)
{
	unsigned int v = 0, n = 0;
	for (; n < max_digits; n++, p++) {
		if (*p >= '0' && *p <= '9')
			v = v << 4 | (unsigned int)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			v = v << 4 | (unsigned int)(*p - 'a' + 10);
		else if (*p >= 'A' && *p <= 'F')
			v = v << 4 | (unsigned int)(*p - 'A' + 10);
		else
			break;
	}
	if (n == 0 || v > max)
		return NULL;
	*ret = v;
	return p;
}

static bool parse(const char *text, unsigned int f[4])
{
	/* Two colons: the first field is the segment. */
	const char *p = text;
	unsigned int colons = 0;
	for (const char *c = text; *c != '\0'; c++)
		colons += *c == ':';
	f[0] = 0;
	if (colons == 2) {
		p = hex_field(p, 4, 0xffff, &f[0]);
		if (p == NULL || *p++ != ':')
			return false;
	}
	p = hex_field(p, 2, 0xff, &f[1]);
	if (p == NULL || *p++ != ':')
		return false;
	p = hex_field(p, 2, 0x1f, &f[2]);
	if (p == NULL || *p++ != '.')
		return false;
	p = hex_field(p, 1, 7, &f[3]);
	return p != NULL && *p == '\0';
}

int bdf_parse(const char *text, struct bdf *ret, struct verr *reterr)
{
	unsigned int f[4];
	if (!parse(text, f))
		return verr_set(reterr, -EINVAL,
				"'%s' is not a PCI address: expected [SSSS:]BB:DD.F in hexadecimal "
				"with DD up to 1f and F up to 7, such as 0000:03:00.0",
				text);
	*ret = (struct bdf){ .seg = (uint16_t)f[0],
			     .bus = (uint8_t)f[1],
			     .dev = (uint8_t)f[2],
			     .fn = (uint8_t)f[3] };
	return 0;
}

int bdf_prop_parse(void *field, const char *text, struct verr *reterr)
{
	return bdf_parse(text, field, reterr);
}

char *bdf_str(const struct bdf *b, char buf[BDF_STR_MAX])
{
	snprintf(buf, BDF_STR_MAX, "%04x:%02x:%02x.%x", b->seg, b->bus, b->dev & 0x1fU, b->fn & 7U);
	return buf;
}

int bdf_compare(const struct bdf *a, const struct bdf *b)
{
	uint32_t x = (uint32_t)a->seg << 16 | (uint32_t)a->bus << 8 | PCI_DEVFN_OF(a->dev, a->fn);
	uint32_t y = (uint32_t)b->seg << 16 | (uint32_t)b->bus << 8 | PCI_DEVFN_OF(b->dev, b->fn);
	return (x > y) - (x < y);
}

bool bdf_equal(const struct bdf *a, const struct bdf *b)
{
	return bdf_compare(a, b) == 0;
}
