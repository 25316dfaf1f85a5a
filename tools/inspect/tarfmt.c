// SPDX-License-Identifier: GPL-2.0-or-later
//
// Records of tar archives, to and from. Knows nothing of what they are about.
#include "tools/inspect/tarfmt.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Archives of one machine are alike byte by byte, so the time is always this one: 2000-01-01. */
#define MTIME 946684800UL

_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");

/* The checksum's own field counts as blanks. */
static unsigned int checksum(const struct tar_header *h)
{
	const unsigned char *b = (const unsigned char *)h;
	unsigned int sum = ' ' * sizeof(h->sum);
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += b[i];
	for (size_t i = 0; i < sizeof(h->sum); i++)
		sum -= (unsigned char)h->sum[i];
	return sum;
}

static void octal(char *field, size_t size, uint64_t v)
{
	char text[32];
	snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)v);
	memcpy(field, text, size);
}

void tar_header_fill(struct tar_header *ret, const char *name, char type, const char *link,
		     unsigned int mode, unsigned int uid, unsigned int gid, size_t size)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, name, strnlen(name, TAR_NAME));
	memcpy(ret->link, link, strnlen(link, TAR_NAME));
	octal(ret->mode, sizeof(ret->mode), mode & 07777);
	/* Numbers beyond the field (21 bits) are nobody's that matters: the overflow user's. */
	octal(ret->uid, sizeof(ret->uid), uid < 1u << 21 ? uid : 65534);
	octal(ret->gid, sizeof(ret->gid), gid < 1u << 21 ? gid : 65534);
	octal(ret->size, sizeof(ret->size), size);
	octal(ret->mtime, sizeof(ret->mtime), MTIME);
	ret->type = type;
	memcpy(ret->magic, "ustar  ", 8); /* GNU's */
	octal(ret->sum, 7, checksum(ret));
	ret->sum[7] = ' ';
}

/* Octal text with blanks around; false if it is anything else. */
static bool number(const char *field, size_t size, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;
	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(field[i] - '0');
	for (; i < size; i++) {
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	}
	*ret = v;
	return true;
}

bool tar_header_parse(const struct tar_header *h, struct tar_entry *ret)
{
	uint64_t sum, mode, uid, gid, size;
	if (!number(h->sum, sizeof(h->sum), &sum) || sum != checksum(h) ||
	    !number(h->size, sizeof(h->size), &size) || !number(h->mode, sizeof(h->mode), &mode) ||
	    !number(h->uid, sizeof(h->uid), &uid) || !number(h->gid, sizeof(h->gid), &gid))
		return false;
	/* The prefix is ustar's; GNU keeps other things there. */
	bool posix = memcmp(h->magic, "ustar", 6) == 0;
	int prefix = posix ? (int)strnlen(h->prefix, sizeof(h->prefix)) : 0;
	snprintf(ret->name, sizeof(ret->name), "%.*s%s%.*s", prefix, h->prefix, prefix ? "/" : "",
		 (int)strnlen(h->name, TAR_NAME), h->name);
	snprintf(ret->link, sizeof(ret->link), "%.*s", (int)strnlen(h->link, TAR_NAME), h->link);
	ret->type = h->type == '\0' ? TAR_FILE : h->type;
	ret->mode = (unsigned int)mode & 07777;
	ret->uid = (unsigned int)uid;
	ret->gid = (unsigned int)gid;
	bool has_data = ret->type != TAR_DIR && ret->type != TAR_LINK;
	ret->size = has_data ? (size_t)size : 0;
	return true;
}

bool tar_is_end(const struct tar_header *h)
{
	static const struct tar_header zero;
	return memcmp(h, &zero, sizeof(zero)) == 0;
}

/* "27 path=some/where/long\n": the length counts itself, the blank and the newline. */
void tar_pax(const char *data, size_t len, char **name, char **link)
{
	for (size_t at = 0; at < len;) {
		char *end;
		unsigned long n = strtoul(data + at, &end, 10);
		if (*end != ' ' || n < 5 || n > len - at || data[at + n - 1] != '\n')
			return;
		const char *key = end + 1, *stop = data + at + n - 1;
		char **where = strncmp(key, "path=", 5) == 0	   ? name
			       : strncmp(key, "linkpath=", 9) == 0 ? link
								   : NULL;
		const char *value = strchr(key, '=');
		if (where && value && value < stop) {
			free(*where);
			*where = strndup(value + 1, (size_t)(stop - value - 1));
		}
		at += n;
	}
}

char *tar_shown(const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s", name);
	for (char *s = buf; *s; s++) {
		if (*s < 0x20 || *s > 0x7e || *s == '"')
			*s = '?';
	}
	return buf;
}
