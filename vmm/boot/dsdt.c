// SPDX-License-Identifier: GPL-2.0-or-later
// The DSDT: host bridge with its windows, interrupt pins and _OSC; the ECAM's reservation; ISA
// devices; processors; S5. Knows the guest's view only, and nothing of how devices work.
#include "vmm/boot/dsdt.h"

#include <stdio.h>

#include "vmm/boot/aml.h"
#include "vmm/boot/layout.h"
#include "vmm/dev/devs.h"

/* PCI Firmware Specification 3.3, 4.5.1. */
#define OSC_PCI_UUID	     "33db4d5b-1ff7-401c-9657-7441c03dd766"
#define OSC_UNKNOWN_UUID     0x04
#define OSC_UNKNOWN_REVISION 0x08
#define OSC_MASKED	     0x10
#define OSC_NATIVE_HOTPLUG   0x01
#define OSC_NATIVE_PME	     0x04
#define OSC_NATIVE_AER	     0x08
#define OSC_CAP_STRUCTURE    0x10
/* Not SHPC (0x02): no bridge of ours has one. */
#define OSC_GRANTED (OSC_NATIVE_HOTPLUG | OSC_NATIVE_PME | OSC_NATIVE_AER | OSC_CAP_STRUCTURE)

#define CFG_PORT_FIRST 0xcf8
#define CFG_PORT_LAST  0xcff

static void name_int(struct aml *a, const char *name, uint64_t v)
{
	aml_name(a, name);
	aml_int(a, v);
}

static void name_eisaid(struct aml *a, const char *name, const char *id)
{
	aml_name(a, name);
	aml_eisaid(a, id);
}

static void name_resources(struct aml *a, struct aml_res *r)
{
	aml_name(a, "_CRS");
	aml_res_end(r, a);
}

static void bridge_resources(const struct pc_layout *l, struct aml *a)
{
	struct aml_res r;

	aml_res_begin(&r);
	aml_res_bus_window(&r, 0, (uint16_t)(l->ecam_buses - 1));
	aml_res_io(&r, CFG_PORT_FIRST, CFG_PORT_LAST - CFG_PORT_FIRST + 1);
	if (l->has_vga)
		aml_res_mem32_window(&r, PC_VGA_BASE, PC_VGA_LAST);
	if (l->has_vga && l->pio.first > 0x3df) {
		aml_res_io_window(&r, 0x3b0, 0x3bb);
		aml_res_io_window(&r, 0x3c0, 0x3df);
	}
	if (l->pio.first < CFG_PORT_FIRST)
		aml_res_io_window(&r, (uint16_t)l->pio.first,
				  (uint16_t)MIN(l->pio.last, CFG_PORT_FIRST - 1));
	if (l->pio.last > CFG_PORT_LAST)
		aml_res_io_window(&r, (uint16_t)MAX(l->pio.first, CFG_PORT_LAST + 1),
				  (uint16_t)l->pio.last);
	aml_res_mem32_window(&r, (uint32_t)l->mmio32.first, (uint32_t)l->mmio32.last);
	if (l->has_mmio64)
		aml_res_mem64_window(&r, l->mmio64.first, l->mmio64.last);
	name_resources(a, &r);
}

/* ACPI 6.4 6.2.13: each pin of each slot straight to a GSI, no link devices. A GSI so given is
 * PCI's own level, active low. */
static void bridge_pins(const struct pc_layout *l, struct aml *a)
{
	size_t prt, pin;

	aml_name(a, "_PRT");
	prt = aml_package(a, (uint8_t)(l->n_slots * 4));
	for (unsigned int i = 0; i < l->n_slots; i++) {
		for (unsigned int p = 0; p < 4; p++) {
			pin = aml_package(a, 4);
			aml_int(a, (uint64_t)l->slots[i].dev << 16 | 0xffff);
			aml_int(a, p);
			aml_int(a, 0);
			aml_int(a, l->slots[i].gsi[p]);
			aml_end(a, pin);
		}
	}
	aml_end(a, prt);
}

static void or_into(struct aml *a, const char *name, uint64_t bits)
{
	aml_op(a, AML_OR);
	aml_path(a, name);
	aml_int(a, bits);
	aml_path(a, name);
}

static void dword_field(struct aml *a, unsigned int off, const char *name)
{
	aml_op(a, AML_CREATE_DWORD_FIELD);
	aml_op(a, AML_ARG3);
	aml_int(a, off);
	aml_path(a, name);
}

/* The capabilities of our UUID: Local0 = CDW3 & granted; say so if that took something away. */
static void osc_grant(struct aml *a)
{
	size_t m;

	dword_field(a, 8, "CDW3");
	m = aml_if(a);
	aml_op(a, AML_LNOT);
	aml_op(a, AML_LEQUAL);
	aml_op(a, AML_ARG1);
	aml_int(a, 1);
	or_into(a, "CDW1", OSC_UNKNOWN_REVISION);
	aml_end(a, m);

	aml_op(a, AML_AND);
	aml_path(a, "CDW3");
	aml_int(a, OSC_GRANTED);
	aml_op(a, AML_LOCAL0);

	m = aml_if(a);
	aml_op(a, AML_LNOT);
	aml_op(a, AML_LEQUAL);
	aml_op(a, AML_LOCAL0);
	aml_path(a, "CDW3");
	or_into(a, "CDW1", OSC_MASKED);
	aml_op(a, AML_STORE);
	aml_op(a, AML_LOCAL0);
	aml_path(a, "CDW3");
	aml_end(a, m);
}

static void bridge_osc(struct aml *a)
{
	size_t method = aml_method(a, "_OSC", 4, true), m;

	dword_field(a, 0, "CDW1");
	m = aml_if(a);
	aml_op(a, AML_LEQUAL);
	aml_op(a, AML_ARG0);
	aml_uuid(a, OSC_PCI_UUID);
	osc_grant(a);
	aml_end(a, m);
	m = aml_else(a);
	or_into(a, "CDW1", OSC_UNKNOWN_UUID);
	aml_end(a, m);
	aml_op(a, AML_RETURN);
	aml_op(a, AML_ARG3);
	aml_end(a, method);
}

static void host_bridge(const struct pc_layout *l, struct aml *a)
{
	size_t dev = aml_device(a, "PCI0");

	name_eisaid(a, "_HID", "PNP0A08");
	name_eisaid(a, "_CID", "PNP0A03");
	name_int(a, "_UID", 0);
	name_int(a, "_SEG", 0);
	name_int(a, "_BBN", 0);
	bridge_resources(l, a);
	bridge_pins(l, a);
	bridge_osc(a);
	aml_end(a, dev);
}

/* Without a motherboard device that claims it, Linux does not believe the MCFG. */
static void ecam_reservation(const struct pc_layout *l, struct aml *a)
{
	uint64_t size = MIB(l->ecam_buses), last = l->ecam_base + size - 1;
	size_t dev = aml_device(a, "ECAM");
	struct aml_res r;

	name_eisaid(a, "_HID", "PNP0C02");
	name_int(a, "_UID", 0);
	aml_res_begin(&r);
	if (last <= UINT32_MAX)
		aml_res_fixed32(&r, (uint32_t)l->ecam_base, (uint32_t)size);
	else
		aml_res_mem64(&r, l->ecam_base, last);
	name_resources(a, &r);
	aml_end(a, dev);
}

static void isa_devices(const struct pc_layout *l, struct aml *a)
{
	struct aml_res r;
	size_t dev;

	if (l->has_serial) {
		dev = aml_device(a, "COM1");
		name_eisaid(a, "_HID", "PNP0501");
		name_int(a, "_UID", 1);
		aml_res_begin(&r);
		aml_res_io(&r, l->serial_port, 8);
		aml_res_irq_edge(&r, l->serial_irq);
		name_resources(a, &r);
		aml_end(a, dev);
	}
	if (l->has_rtc) { /* no interrupt: it has no alarm */
		dev = aml_device(a, "RTC");
		name_eisaid(a, "_HID", "PNP0B00");
		aml_res_begin(&r);
		aml_res_io(&r, RTC_PORT, RTC_PORTS);
		name_resources(a, &r);
		aml_end(a, dev);
	}
	if (l->has_i8042) {
		dev = aml_device(a, "KBD");
		name_eisaid(a, "_HID", "PNP0303");
		aml_res_begin(&r);
		aml_res_io(&r, I8042_DATA_PORT, 1);
		aml_res_io(&r, I8042_CMD_PORT, 1);
		aml_res_irq_edge(&r, I8042_IRQ);
		name_resources(a, &r);
		aml_end(a, dev);
	}
}

/* The MADT says which of them there are; _UID is the link. */
static void processors(const struct pc_layout *l, struct aml *a)
{
	for (unsigned int i = 0; i < l->vcpus; i++) {
		char name[12];
		size_t dev;

		snprintf(name, sizeof(name), "C%03X", i & 0xfff);
		dev = aml_device(a, name);
		aml_name(a, "_HID");
		aml_string(a, "ACPI0007");
		name_int(a, "_UID", i);
		aml_end(a, dev);
	}
}

void dsdt_build(const struct pc_layout *l, struct aml *a)
{
	size_t scope = aml_scope(a, "\\_SB"), s5;

	processors(l, a);
	host_bridge(l, a);
	ecam_reservation(l, a);
	isa_devices(l, a);
	aml_end(a, scope);

	/* ACPI 6.4 7.4.2: four elements; the first is what goes into the sleep control register. */
	aml_name(a, "\\_S5");
	s5 = aml_package(a, 4);
	aml_int(a, ACPI_PM_SLP_TYP_S5);
	aml_int(a, ACPI_PM_SLP_TYP_S5);
	aml_int(a, 0);
	aml_int(a, 0);
	aml_end(a, s5);
}
