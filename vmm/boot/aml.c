// SPDX-License-Identifier: GPL-2.0-or-later
// Encodes ACPI machine language: names, integers, packages, methods. Knows the encoding
// (ACPI 6.4 20.2) and no machine.
#include "vmm/boot/aml.h"

#include <assert.h>
#include <string.h>

#include "core/bytes.h"

enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXT = 0x5b,
	OP_EXT_DEVICE = 0x82,
	OP_IF = 0xa0,
	OP_ELSE = 0xa1,
};

#define PKG_LEN_MAX 0x0fffffff /* 28 bits */

void aml_init(struct aml *a, void *buf, size_t cap)
{
	*a = (struct aml){ .buf = buf, .cap = cap };
}

void aml_bytes(struct aml *a, const void *data, size_t len)
{
	if (a->overflow || len > a->cap - a->len) {
		a->overflow = true;
		return;
	}
	memcpy(a->buf + a->len, data, len);
	a->len += len;
}

static void byte(struct aml *a, uint8_t v)
{
	aml_bytes(a, &v, 1);
}

void aml_op(struct aml *a, enum aml_op op)
{
	byte(a, (uint8_t)op);
}

/* ACPI 6.4 20.2.2 */
void aml_path(struct aml *a, const char *name)
{
	unsigned int segments = 1;

	if (*name == '\\')
		byte(a, (uint8_t)*name++);
	for (const char *p = name; *p; p++)
		segments += *p == '.';
	if (segments == 2) {
		byte(a, OP_DUAL_NAME);
	} else if (segments > 2) {
		byte(a, OP_MULTI_NAME);
		byte(a, (uint8_t)segments);
	}
	for (const char *p = name;; p++) {
		char seg[4] = { '_', '_', '_', '_' };
		size_t len = strcspn(p, ".");

		assert(len >= 1 && len <= sizeof(seg));
		memcpy(seg, p, len);
		aml_bytes(a, seg, sizeof(seg));
		p += len;
		if (!*p)
			break;
	}
}

void aml_name(struct aml *a, const char *name)
{
	byte(a, OP_NAME);
	aml_path(a, name);
}

void aml_int(struct aml *a, uint64_t v)
{
	uint8_t le[8];

	if (v <= 1) {
		byte(a, v ? OP_ONE : OP_ZERO);
		return;
	}
	put_le64(le, v);
	if (v <= UINT8_MAX) {
		byte(a, OP_BYTE);
		aml_bytes(a, le, 1);
	} else if (v <= UINT16_MAX) {
		byte(a, OP_WORD);
		aml_bytes(a, le, 2);
	} else if (v <= UINT32_MAX) {
		byte(a, OP_DWORD);
		aml_bytes(a, le, 4);
	} else {
		byte(a, OP_QWORD);
		aml_bytes(a, le, 8);
	}
}

void aml_string(struct aml *a, const char *s)
{
	byte(a, OP_STRING);
	aml_bytes(a, s, strlen(s) + 1);
}

/* ACPI 6.4 20.2.4: the length counts its own bytes. It is inserted when the block ends, when the
 * shortest form that fits is known. */
void aml_end(struct aml *a, size_t mark)
{
	size_t body = a->len - mark, width, total;
	uint8_t pkg[4] = { 0 };

	for (width = 1; width < 4; width++)
		if (body + width < (width == 1 ? 64 : (size_t)1 << (4 + 8 * (width - 1))))
			break;
	total = body + width;
	if (a->overflow || total > PKG_LEN_MAX || width > a->cap - a->len) {
		a->overflow = true;
		return;
	}
	if (width == 1) {
		pkg[0] = (uint8_t)total;
	} else {
		pkg[0] = (uint8_t)((width - 1) << 6 | (total & 0xf));
		for (size_t i = 1; i < width; i++)
			pkg[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
	}
	memmove(a->buf + mark + width, a->buf + mark, body);
	memcpy(a->buf + mark, pkg, width);
	a->len += width;
}

size_t aml_scope(struct aml *a, const char *path)
{
	size_t mark;

	byte(a, OP_SCOPE);
	mark = a->len;
	aml_path(a, path);
	return mark;
}

size_t aml_device(struct aml *a, const char *name)
{
	size_t mark;

	byte(a, OP_EXT);
	byte(a, OP_EXT_DEVICE);
	mark = a->len;
	aml_path(a, name);
	return mark;
}

size_t aml_method(struct aml *a, const char *name, unsigned int args, bool serialized)
{
	size_t mark;

	assert(args <= 7);
	byte(a, OP_METHOD);
	mark = a->len;
	aml_path(a, name);
	byte(a, (uint8_t)(args | (serialized ? 8 : 0)));
	return mark;
}

size_t aml_package(struct aml *a, uint8_t elements)
{
	size_t mark;

	byte(a, OP_PACKAGE);
	mark = a->len;
	byte(a, elements);
	return mark;
}

size_t aml_if(struct aml *a)
{
	byte(a, OP_IF);
	return a->len;
}

size_t aml_else(struct aml *a)
{
	byte(a, OP_ELSE);
	return a->len;
}

void aml_buffer(struct aml *a, const void *data, size_t len)
{
	size_t mark;

	byte(a, OP_BUFFER);
	mark = a->len;
	aml_int(a, len);
	aml_bytes(a, data, len);
	aml_end(a, mark);
}

static unsigned int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	return (unsigned int)((c | 0x20) - 'a' + 10);
}

/* ACPI 6.4 19.3.4: three letters of five bits and four hexadecimal digits, big-endian. */
void aml_eisaid(struct aml *a, const char id[8])
{
	uint32_t v = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 |
		     (uint32_t)(id[2] - '@') << 16;
	uint8_t be[4];

	for (unsigned int i = 0; i < 4; i++)
		v |= hex_digit(id[3 + i]) << (12 - 4 * i);
	for (unsigned int i = 0; i < 4; i++)
		be[i] = (uint8_t)(v >> (24 - 8 * i));
	byte(a, OP_DWORD); /* always a dword, whatever the value */
	aml_bytes(a, be, sizeof(be));
}

void aml_uuid(struct aml *a, const char *text)
{
	/* ACPI 6.4 19.6.142: where each byte of the text goes; three groups are swapped. */
	static const uint8_t place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t uuid[16];

	for (unsigned int i = 0; i < 16; i++, text += 2) {
		if (*text == '-')
			text++;
		uuid[place[i]] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
	}
	aml_buffer(a, uuid, sizeof(uuid));
}
