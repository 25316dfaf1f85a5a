// SPDX-License-Identifier: GPL-2.0-or-later
// MC146818 real-time clock and CMOS memory at ports 0x70 and 0x71. The time is the host's plus
// what the guest has set since; it is computed at each read, so nothing ticks here. There is no
// alarm and no periodic interrupt: their enable bits are stored and do nothing.
// Spec: Motorola MC146818A data sheet; the memory size bytes are PC firmware convention.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/aspace.h"
#include "vmm/dev/devs.h"

enum {
	R_SECONDS = 0x00,
	R_MINUTES = 0x02,
	R_HOURS = 0x04,
	R_WEEKDAY = 0x06,
	R_DAY = 0x07,
	R_MONTH = 0x08,
	R_YEAR = 0x09,
	R_A = 0x0a,
	R_B = 0x0b,
	R_C = 0x0c,
	R_D = 0x0d,
	R_BASE_KIB = 0x15,  /* and 0x16: KiB below 640 KiB */
	R_EXT_KIB = 0x17,   /* and 0x18: KiB above 1 MiB, at most 64 MiB */
	R_EXT_KIB_2 = 0x30, /* the same again */
	R_EXT_64K = 0x34,   /* and 0x35: 64 KiB units above 16 MiB */
	R_HIGH_64K = 0x5b,  /* to 0x5d: 64 KiB units above 4 GiB */
	CMOS_SIZE = 128,
};

#define A_UIP	  0x80
#define A_DIVIDER 0x26 /* 32768 Hz, 1024 Hz periodic: what firmware sets */
#define B_SET	  0x80
#define B_BINARY  0x04
#define B_24H	  0x02
#define D_VALID	  0x80
#define HOUR_PM	  0x80

#define NS_PER_S    INT64_C(1000000000)
#define UIP_LEAD_NS INT64_C(244000) /* UIP is up this long before the time changes */

struct rtc {
	struct dev dev;
	struct io_region io;
	uint8_t index;
	int64_t offset_s; /* guest time - host time: the fraction of the second is the host's */
	uint8_t ram[CMOS_SIZE];
};

static int64_t host_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* The guest's whole seconds since the epoch; *ret_rest is what is past them, in ns. */
static int64_t guest_now(const struct rtc *s, int64_t *ret_rest)
{
	const struct rtc_cfg *c = s->dev.cfg;
	int64_t ns = c->now_ns ? c->now_ns() : host_now_ns();
	int64_t seconds = ns / NS_PER_S;

	*ret_rest = ns % NS_PER_S;
	if (*ret_rest < 0) { /* before the epoch */
		*ret_rest += NS_PER_S;
		seconds--;
	}
	return seconds + s->offset_s;
}

static uint8_t encode(const struct rtc *s, int v)
{
	if (s->ram[R_B] & B_BINARY)
		return (uint8_t)v;
	return (uint8_t)(v / 10 << 4 | v % 10);
}

static int decode(const struct rtc *s, uint8_t v)
{
	return s->ram[R_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 0xf);
}

static uint8_t encode_hours(const struct rtc *s, int hours)
{
	if (s->ram[R_B] & B_24H)
		return encode(s, hours);
	return (uint8_t)(encode(s, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOUR_PM : 0));
}

static int decode_hours(const struct rtc *s, uint8_t v)
{
	if (s->ram[R_B] & B_24H)
		return decode(s, v);
	return decode(s, v & 0x7f) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* The time registers into ram. */
static void latch_time(struct rtc *s)
{
	int64_t rest;
	time_t t = (time_t)guest_now(s, &rest);
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return; /* a year beyond int: the registers keep what they had */
	int year = tm.tm_year + 1900;
	s->ram[R_SECONDS] = encode(s, tm.tm_sec);
	s->ram[R_MINUTES] = encode(s, tm.tm_min);
	s->ram[R_HOURS] = encode_hours(s, tm.tm_hour);
	s->ram[R_WEEKDAY] = encode(s, tm.tm_wday + 1);
	s->ram[R_DAY] = encode(s, tm.tm_mday);
	s->ram[R_MONTH] = encode(s, tm.tm_mon + 1);
	s->ram[R_YEAR] = encode(s, year % 100);
	/* Firmware's convention, always BCD. */
	s->ram[RTC_CENTURY] = (uint8_t)(year / 1000 % 10 << 4 | year / 100 % 10);
}

/* The guest's registers become the time: an offset. Values out of range are normalised. */
static void set_time(struct rtc *s)
{
	int century = (s->ram[RTC_CENTURY] >> 4) * 10 + (s->ram[RTC_CENTURY] & 0xf);
	struct tm tm = {
		.tm_sec = decode(s, s->ram[R_SECONDS]),
		.tm_min = decode(s, s->ram[R_MINUTES]),
		.tm_hour = decode_hours(s, s->ram[R_HOURS]),
		.tm_mday = decode(s, s->ram[R_DAY]),
		.tm_mon = decode(s, s->ram[R_MONTH]) - 1,
		.tm_year = (century - 19) * 100 + decode(s, s->ram[R_YEAR]),
	};
	int64_t rest;

	s->offset_s += (int64_t)timegm(&tm) - guest_now(s, &rest);
}

static bool is_time(uint8_t reg)
{
	return reg == R_SECONDS || reg == R_MINUTES || reg == R_HOURS ||
	       (reg >= R_WEEKDAY && reg <= R_YEAR) || reg == RTC_CENTURY;
}

static uint8_t read_reg(struct rtc *s, uint8_t reg)
{
	bool stopped = s->ram[R_B] & B_SET;
	int64_t rest;

	if (is_time(reg) && !stopped)
		latch_time(s);
	if (reg == R_A) {
		guest_now(s, &rest);
		return s->ram[R_A] | (!stopped && rest >= NS_PER_S - UIP_LEAD_NS ? A_UIP : 0);
	}
	if (reg == R_C)
		return 0; /* no interrupt is ever pending */
	return s->ram[reg];
}

static void write_reg(struct rtc *s, uint8_t reg, uint8_t v)
{
	bool was_stopped = s->ram[R_B] & B_SET;

	switch (reg) {
	case R_A:
		s->ram[R_A] = v & 0x7f;
		return;
	case R_B:
		if (!was_stopped && (v & B_SET))
			latch_time(s);
		/* While it runs, the registers are recomputed in the new format when read. */
		if (was_stopped && !(v & B_SET))
			set_time(s);
		s->ram[R_B] = v;
		return;
	case R_C:
	case R_D:
		return;
	}
	if (is_time(reg) && !was_stopped)
		latch_time(s);
	s->ram[reg] = v;
	if (is_time(reg) && !was_stopped)
		set_time(s);
}

static uint64_t rtc_read(void *opaque, uint64_t off, unsigned int size)
{
	struct rtc *s = opaque;

	(void)size;
	return off == 0 ? 0xff : read_reg(s, s->index); /* the index can't be read back on a PC */
}

static void rtc_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct rtc *s = opaque;

	(void)size;
	if (off == 0)
		s->index = (uint8_t)val & (CMOS_SIZE - 1); /* bit 7 is the NMI mask */
	else
		write_reg(s, s->index, (uint8_t)val);
}

static const struct io_region_ops rtc_io_ops = {
	.read = rtc_read,
	.write = rtc_write,
	.min = 1,
	.max = 1,
};

static void put16(struct rtc *s, unsigned int reg, uint64_t v)
{
	v = MIN(v, 0xffff);
	s->ram[reg] = (uint8_t)v;
	s->ram[reg + 1] = (uint8_t)(v >> 8);
}

static void fill_sizes(struct rtc *s)
{
	const struct rtc_cfg *c = s->dev.cfg;
	uint64_t low = c->ram_low_size, high = MIN(c->ram_high_size >> 16, 0xffffff);
	uint64_t ext = low > MIB(1) ? (low - MIB(1)) >> 10 : 0;

	put16(s, R_BASE_KIB, 640);
	put16(s, R_EXT_KIB, ext);
	put16(s, R_EXT_KIB_2, ext);
	put16(s, R_EXT_64K, low > MIB(16) ? (low - MIB(16)) >> 16 : 0);
	for (unsigned int i = 0; i < 3; i++)
		s->ram[R_HIGH_64K + i] = (uint8_t)(high >> (8 * i));
}

static void rtc_reset(struct dev *d)
{
	struct rtc *s = container_of(d, struct rtc, dev);

	/* Battery backed: memory and time stay; interrupt enables do not. */
	s->index = 0;
	s->ram[R_B] &= B_BINARY | B_24H;
}

static int rtc_realize(struct dev *d, struct verr *reterr)
{
	struct rtc *s = container_of(d, struct rtc, dev);

	s->ram[R_A] = A_DIVIDER;
	s->ram[R_B] = B_24H;
	s->ram[R_D] = D_VALID;
	fill_sizes(s);
	s->io = (struct io_region){ .name = d->id, .ops = &rtc_io_ops, .opaque = s };
	return aspace_map(d->plat->pio, &s->io, RTC_PORT, RTC_PORTS, reterr);
}

static void rtc_unrealize(struct dev *d)
{
	aspace_unmap(&container_of(d, struct rtc, dev)->io);
}

static struct dev *rtc_alloc(void)
{
	struct rtc *s = calloc(1, sizeof(*s));

	return s ? &s->dev : NULL;
}

static void rtc_free(struct dev *d)
{
	free(container_of(d, struct rtc, dev));
}

static const struct dev_ops rtc_ops = {
	.realize = rtc_realize,
	.unrealize = rtc_unrealize,
	.reset = rtc_reset,
};

const struct dev_type rtc_type = {
	.t = { .name = "rtc",
	       .category = "platform",
	       .desc = "MC146818 clock and CMOS memory",
	       .cfg_size = sizeof(struct rtc_cfg) },
	.ops = &rtc_ops,
	.alloc = rtc_alloc,
	.free = rtc_free,
};
