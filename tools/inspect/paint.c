// SPDX-License-Identifier: GPL-2.0-or-later
//
// How text gets onto a terminal: colour if there is one to get, lines that end by column 100.
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "tools/inspect/inspect.h"

#define COLUMNS 100

int inspect_fail(const struct verr *err, int code)
{
	fprintf(stderr, "vfio-inspect: %s\n", err && err->msg[0] ? err->msg : strerror(-code));
	return INSPECT_FAILED;
}

void paintf(const struct inspect *in, enum paint p, const char *fmt, ...)
{
	static const char *const on[] = { "",	      "\033[1m",  "\033[32m",
					  "\033[33m", "\033[31m", "\033[2m" };
	bool colour = in->colour && p != PAINT_PLAIN;
	va_list ap;
	if (colour)
		fputs(on[p], in->out);
	va_start(ap, fmt);
	vfprintf(in->out, fmt, ap);
	va_end(ap);
	if (colour)
		fputs("\033[0m", in->out);
}

/* Characters, not bytes: continuation bytes of UTF-8 take no column. */
static unsigned int columns_of(const char *s)
{
	unsigned int n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void paint_items(const struct inspect *in, unsigned int at, unsigned int indent, const char *sep,
		 const char *const *item, unsigned int n)
{
	bool first = true;
	for (unsigned int i = 0; i < n; i++) {
		if (!item[i] || !item[i][0])
			continue;
		unsigned int want = columns_of(item[i]);
		if (!first && at + columns_of(sep) + want > COLUMNS - 1) {
			fprintf(in->out, "%s\n%*s", sep[0] == ' ' ? "" : ",", (int)indent, "");
			at = indent;
		} else if (!first) {
			fputs(sep, in->out);
			at += columns_of(sep);
		}
		fputs(item[i], in->out);
		at += want;
		first = false;
	}
	fputc('\n', in->out);
}

void paint_text(const struct inspect *in, enum paint p, unsigned int at, unsigned int indent,
		const char *text)
{
	while (*text) {
		size_t len = strlen(text), take = len;
		if (at + columns_of(text) > COLUMNS) {
			size_t room = COLUMNS - at;
			for (take = MIN(room, len); take > 0 && text[take] != ' '; take--)
				;
			if (take == 0)
				take = strcspn(text, " ");
		}
		paintf(in, p, "%.*s", (int)take, text);
		text += take;
		while (*text == ' ')
			text++;
		if (*text)
			fprintf(in->out, "\n%*s", (int)indent, "");
		at = indent;
	}
	fputc('\n', in->out);
}

char *paint_cut(char *text, unsigned int columns)
{
	size_t keep = 0;
	unsigned int n = 0;
	if (columns < 4 || columns_of(text) <= columns)
		return text;
	for (; text[keep]; keep++) {
		if (((unsigned char)text[keep] & 0xc0) != 0x80 && n++ == columns - 3)
			break;
	}
	memcpy(text + keep, "...", 4); /* at least four characters were cut */
	return text;
}
