// SPDX-License-Identifier: GPL-2.0-or-later
// Builds the ACPI tables: the static ones here, the DSDT's contents in dsdt.c. Owns the layout of
// the tables in memory and their checksums. Spec: ACPI 6.4 chapter 5.2; PCI Firmware 3.3 for MCFG.
#include "vmm/boot/acpi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "vmm/boot/aml.h"
#include "vmm/boot/dsdt.h"
#include "vmm/boot/layout.h"
#include "vmm/dev/devs.h"

#define HEADER_SIZE 36
#define RSDP_SIZE   36
#define RSDP_V1	    20 /* bytes the first checksum covers */
#define FADT_SIZE   276
#define XAPIC_IDS   255 /* ids that a local APIC (not x2APIC) entry can name */

/* FADT fields (5.2.9). */
enum {
	F_DSDT = 40,
	F_PROFILE = 45,
	F_CENTURY = 108,
	F_BOOT_ARCH = 109,
	F_FLAGS = 112,
	F_RESET_REG = 116,
	F_RESET_VALUE = 128,
	F_MINOR = 131,
	F_X_DSDT = 140,
	F_SLEEP_CONTROL = 244,
	F_SLEEP_STATUS = 256,
	F_HYPERVISOR = 268,
};
#define PROFILE_SERVER	   4
#define BOOT_LEGACY	   0x01
#define BOOT_8042	   0x02
#define BOOT_NO_VGA	   0x04
#define BOOT_NO_RTC	   0x20
#define FADT_WBINVD	   BIT32(0)
#define FADT_NO_PWR_BUTTON BIT32(4)
#define FADT_NO_SLP_BUTTON BIT32(5)
#define FADT_NO_FIXED_RTC  BIT32(6)
#define FADT_RESET_REG	   BIT32(10)
#define FADT_HW_REDUCED	   BIT32(20)

/* MADT entries (5.2.12). */
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_LAPIC_NMI = 4, MADT_X2APIC = 9, MADT_X2APIC_NMI = 10 };

struct builder {
	struct aml a; /* the whole buffer: bounded appending */
	struct acpi_tables t;
};

static void set_sum(uint8_t *p, size_t len, size_t at)
{
	uint8_t sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)-sum;
}

static size_t table_begin(struct builder *b, const char *sig, uint8_t revision)
{
	static const uint8_t pad[16];
	uint8_t h[HEADER_SIZE] = { 0 };
	struct acpi_table_at *at;

	aml_bytes(&b->a, pad, -b->a.len & 15);
	at = &b->t.table[b->t.n++];
	memcpy(at->sig, sig, 4);
	at->sig[4] = 0;
	at->off = b->a.len;
	memcpy(h, sig, 4);
	h[8] = revision;
	memcpy(h + 10, "VFIOVM", 6);
	memcpy(h + 16, "VFIOVMM ", 8);
	put_le32(h + 24, 1);
	memcpy(h + 28, "VVMM", 4);
	put_le32(h + 32, 1);
	aml_bytes(&b->a, h, sizeof(h));
	return at->off;
}

/* Returns the table's guest physical address. */
static uint64_t table_end(struct builder *b)
{
	struct acpi_table_at *at = &b->t.table[b->t.n - 1];

	if (b->a.overflow)
		return 0;
	at->len = b->a.len - at->off;
	put_le32(b->a.buf + at->off + 4, (uint32_t)at->len);
	set_sum(b->a.buf + at->off, at->len, 9);
	return PC_ACPI_BASE + at->off;
}

static uint64_t build_dsdt(const struct pc_layout *l, struct builder *b)
{
	table_begin(b, "DSDT", 2);
	dsdt_build(l, &b->a);
	return table_end(b);
}

/* 5.2.3.2: an 8-bit I/O port. */
static void gas_port(uint8_t *p, uint16_t port)
{
	p[0] = 1;
	p[1] = 8;
	p[3] = 1;
	put_le64(p + 4, port);
}

static uint64_t build_fadt(const struct pc_layout *l, struct builder *b, uint64_t dsdt)
{
	uint8_t body[FADT_SIZE] = { 0 }; /* by table offset; the header's part is not used */
	unsigned int arch = BOOT_NO_VGA;

	if (l->has_serial)
		arch |= BOOT_LEGACY;
	if (l->has_i8042)
		arch |= BOOT_LEGACY | BOOT_8042;
	if (!l->has_rtc)
		arch |= BOOT_NO_RTC;
	put_le32(body + F_DSDT, (uint32_t)dsdt);
	body[F_PROFILE] = PROFILE_SERVER;
	body[F_CENTURY] = l->has_rtc ? RTC_CENTURY : 0;
	put_le16(body + F_BOOT_ARCH, (uint16_t)arch);
	put_le32(body + F_FLAGS, FADT_WBINVD | FADT_NO_PWR_BUTTON | FADT_NO_SLP_BUTTON |
					 FADT_NO_FIXED_RTC | FADT_RESET_REG | FADT_HW_REDUCED);
	gas_port(body + F_RESET_REG, (uint16_t)(l->acpi_pm_port + ACPI_PM_RESET));
	body[F_RESET_VALUE] = ACPI_PM_RESET_VALUE;
	body[F_MINOR] = 4;
	put_le64(body + F_X_DSDT, dsdt);
	gas_port(body + F_SLEEP_CONTROL, (uint16_t)(l->acpi_pm_port + ACPI_PM_SLEEP_CONTROL));
	gas_port(body + F_SLEEP_STATUS, (uint16_t)(l->acpi_pm_port + ACPI_PM_SLEEP_STATUS));
	memcpy(body + F_HYPERVISOR, "VFIOVMM", 8);

	table_begin(b, "FACP", 6);
	aml_bytes(&b->a, body + HEADER_SIZE, FADT_SIZE - HEADER_SIZE);
	return table_end(b);
}

static void madt_cpu(struct aml *a, uint32_t id)
{
	uint8_t lapic[8] = { MADT_LAPIC, sizeof(lapic), (uint8_t)id, (uint8_t)id, 1 };
	uint8_t x2apic[16] = { MADT_X2APIC, sizeof(x2apic) };

	if (id < XAPIC_IDS) {
		aml_bytes(a, lapic, sizeof(lapic));
		return;
	}
	put_le32(x2apic + 4, id);
	put_le32(x2apic + 8, 1);
	put_le32(x2apic + 12, id);
	aml_bytes(a, x2apic, sizeof(x2apic));
}

static uint64_t build_madt(const struct pc_layout *l, struct builder *b)
{
	/* No 8259s (flags 0) and so no ISA overrides: pins 0..15 are the ISA lines as they are. */
	uint8_t head[8] = { 0 };
	uint8_t ioapic[12] = { MADT_IOAPIC, sizeof(ioapic), l->ioapic_id };
	/* An NMI is LINT1 of every processor. */
	static const uint8_t nmi[6] = { MADT_LAPIC_NMI, sizeof(nmi), 0xff, 0, 0, 1 };
	static const uint8_t nmi2[12] = {
		MADT_X2APIC_NMI, sizeof(nmi2), 0, 0, 0xff, 0xff, 0xff, 0xff, 1
	};

	put_le32(head, l->lapic_base);
	put_le32(ioapic + 4, l->ioapic_base);
	table_begin(b, "APIC", 5);
	aml_bytes(&b->a, head, sizeof(head));
	for (unsigned int i = 0; i < l->vcpus; i++)
		madt_cpu(&b->a, i);
	aml_bytes(&b->a, ioapic, sizeof(ioapic));
	aml_bytes(&b->a, nmi, sizeof(nmi));
	if (l->vcpus > XAPIC_IDS)
		aml_bytes(&b->a, nmi2, sizeof(nmi2));
	return table_end(b);
}

static uint64_t build_mcfg(const struct pc_layout *l, struct builder *b)
{
	uint8_t entry[8 + 16] = { 0 }; /* reserved, then: base, segment, first and last bus */

	put_le64(entry + 8, l->ecam_base);
	entry[19] = (uint8_t)(l->ecam_buses - 1);
	table_begin(b, "MCFG", 1);
	aml_bytes(&b->a, entry, sizeof(entry));
	return table_end(b);
}

static uint64_t build_xsdt(struct builder *b, const uint64_t *tables, unsigned int n)
{
	uint8_t le[8];

	table_begin(b, "XSDT", 1);
	for (unsigned int i = 0; i < n; i++) {
		put_le64(le, tables[i]);
		aml_bytes(&b->a, le, sizeof(le));
	}
	return table_end(b);
}

static void fill_rsdp(uint8_t *p, uint64_t xsdt)
{
	memset(p, 0, RSDP_SIZE);
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "VFIOVM", 6);
	p[15] = 2; /* revision */
	put_le32(p + 20, RSDP_SIZE);
	put_le64(p + 24, xsdt);
	set_sum(p, RSDP_V1, 8);
	set_sum(p, RSDP_SIZE, 32);
}

int acpi_build(const struct pc_layout *l, struct acpi_tables *ret, struct verr *reterr)
{
	static const size_t cap = PC_RESET_VECTOR - PC_ACPI_BASE;
	static const uint8_t rsdp[RSDP_SIZE];
	struct builder b = { .t = { .n = 0 } };
	uint64_t listed[3], xsdt;
	uint8_t *buf = malloc(cap);

	if (!buf)
		return verr_set(reterr, -ENOMEM, "ACPI tables: out of memory");
	aml_init(&b.a, buf, cap);
	aml_bytes(&b.a, rsdp, sizeof(rsdp));
	listed[0] = build_fadt(l, &b, build_dsdt(l, &b));
	listed[1] = build_madt(l, &b);
	listed[2] = build_mcfg(l, &b);
	xsdt = build_xsdt(&b, listed, ARRAY_SIZE(listed));
	if (b.a.overflow) {
		free(buf);
		return verr_set(reterr, -ENOSPC, "ACPI tables for %u vCPUs do not fit in %zu KiB",
				l->vcpus, cap >> 10);
	}
	fill_rsdp(buf, xsdt);
	b.t.buf = buf;
	b.t.len = b.a.len;
	*ret = b.t;
	return 0;
}

void acpi_free(struct acpi_tables *t)
{
	free(t->buf);
	t->buf = NULL;
	t->n = 0;
}
