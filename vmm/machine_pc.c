// SPDX-License-Identifier: GPL-2.0-or-later
// Machine type "pc": a PC reduced to what a modern kernel needs - PCI with ECAM, a serial port, a
// clock, ACPI sleep and reset - and its memory, laid out by machine_map.c.

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pci/hostbridge.h"
#include "vfio/dma.h"
#include "vmm/backend/backend.h"
#include "vmm/dev/devs.h"
#include "vmm/machine.h"
#include "vmm/machine_pc.h"

#define PC_ACPI_PM_PORT	 0x600
#define PC_SERIAL_PORT	 0x3f8
#define PC_SERIAL_IRQ	 4
#define PC_KVM_PAGES	 UINT64_C(0xfeffc000) /* identity map and TSS: 16 KiB, see kvm/vm.c */
#define PC_FIRMWARE_BASE UINT64_C(0xfd000000) /* what devices' firmware would leave in memory */
#define PC_FIRMWARE_SIZE MIB(1)

enum { PREFAULT_AUTO, PREFAULT_ON, PREFAULT_OFF };

struct pc_cfg {
	bool hugepages, memfd;
	int prefault;
};

static const char *const prefault_choices[] = { "auto", "on", "off", NULL };

static const struct prop pc_props[] = {
	PROP(struct pc_cfg, hugepages, PROP_BOOL, "off", "guest RAM in 2 MiB hugetlbfs pages"),
	PROP(struct pc_cfg, memfd, PROP_BOOL, "off", "guest RAM in a memory file"),
	PROP_NAMED("prefault", struct pc_cfg, prefault, PROP_ENUM, "auto",
		   "touch all RAM at the start (auto: when a device pins it)",
		   .choices = prefault_choices),
	PROP_END,
};

/* Device `dev`'s pins, spread over the eight PCI lines as the _PRT says. */
static uint32_t pc_gsi_of(unsigned int dev, unsigned int pin)
{
	return PC_PCI_GSI_FIRST + ((dev + pin) & 7);
}

static int pc_build(struct machine *m, struct verr *reterr)
{
	intx_lines_init(&m->intx, m->plat.irq, pc_gsi_of);
	pcibus_init_root(&m->pci0, &m->mmio, &m->pio, &m->intx);
	m->has_bus = true;
	return machine_own_device(m, &hostbridge_type, "hostbridge", NULL, NULL, reterr);
}

int machine_reserve(void *machine, uint64_t size, uint64_t *ret_gpa, struct verr *reterr)
{
	struct machine *m = machine;
	uint64_t at = m->firmware.last ? m->firmware.last + 1 : PC_FIRMWARE_BASE;

	if (m->state != MACHINE_NEW)
		return verr_set(reterr, -EBUSY,
				"it needs a place in the guest's memory map, which is fixed once "
				"the machine runs: give the device at the start");
	size = ALIGN_UP(size, KIB(4));
	if (size > PC_FIRMWARE_BASE + PC_FIRMWARE_SIZE - at)
		return verr_set(reterr, -ENOSPC, "no more room for it in the guest's memory map");
	m->firmware = (struct range){ PC_FIRMWARE_BASE, at + size - 1 };
	*ret_gpa = at;
	return 0;
}

/* ---- layout ---------------------------------------------------------------------------------- */

/* What devices reach by DMA in every IOMMU address space. */
static int dma_reach(struct machine *m, struct rangeset *ret)
{
	int r = rangeset_add(ret, (struct range){ 0, UINT64_MAX });

	for (struct vfio_dma *d = vfio_dma_next(&m->gmem, NULL); d && r == 0;
	     d = vfio_dma_next(&m->gmem, d))
		r = rangeset_intersect(ret, &d->c->info.iova);
	return r;
}

static int why_unreached(void *opaque, struct range range, struct verr *reterr)
{
	struct machine *m = opaque;
	int r = 0;

	for (struct vfio_dma *d = vfio_dma_next(&m->gmem, NULL); d && r == 0;
	     d = vfio_dma_next(&m->gmem, d))
		r = vfio_dma_check(d->c, range.first, range_size(range), reterr);
	return r;
}

static int solve_map(struct machine *m, struct verr *reterr)
{
	struct rangeset dma = { 0 };
	struct pc_map_facts f = {
		.ram_size = m->setup.ram_size,
		.phys_bits = m->accel->phys_bits,
		.dma = vfio_dma_next(&m->gmem, NULL) ? &dma : NULL,
		.why = why_unreached,
		.opaque = m,
	};

	int r = pcibus_needs(&m->pci0, &f.needs, reterr);
	if (r < 0)
		return r;
	r = dma_reach(m, &dma);
	if (r < 0)
		verr_set(reterr, r, "out of memory");
	else
		r = pc_map_solve(&f, &m->layout, &m->map_notes, reterr);
	rangeset_fini(&dma);
	return r;
}

static int pc_layout(struct machine *m, struct verr *reterr)
{
	struct pc_layout *l = &m->layout;

	*l = (struct pc_layout){
		.pio = { 0x1000, 0xffff },
		.ecam_base = PC_ECAM_BASE,
		.ecam_buses = PC_ECAM_BUSES,
		.lapic_base = 0xfee00000,
		.ioapic_base = 0xfec00000,
		.ioapic_id = 0,
		.vcpus = m->setup.vcpus,
		.has_vga = pcivga_find(&m->pci0) != NULL,
		.reserved = { { PC_KVM_PAGES, PC_KVM_PAGES + KIB(16) - 1 } },
		.n_reserved = 1,
		.acpi_pm_port = PC_ACPI_PM_PORT,
		.has_serial = m->console != NULL,
		.serial_port = PC_SERIAL_PORT,
		.serial_irq = PC_SERIAL_IRQ,
		.has_rtc = true,
		.has_i8042 = false, /* answers a reset, but a guest need not probe for a keyboard */
	};
	if (m->firmware.last)
		l->reserved[l->n_reserved++] = m->firmware;
	for (uint8_t dev = 0; dev < PC_PCI_SLOTS; dev++) {
		struct pc_slot *s = &l->slots[l->n_slots++];
		s->dev = dev;
		for (uint8_t pin = 0; pin < 4; pin++)
			s->gsi[pin] = (uint8_t)pc_gsi_of(dev, pin);
	}
	int r = solve_map(m, reterr);
	if (r == 0)
		r = pc_layout_check(l, reterr);
	m->windows = (struct pci_windows){ .io = l->pio, .mmio32 = l->mmio32 };
	if (l->has_mmio64)
		m->windows.mmio64 = l->mmio64;
	return r;
}

/* ---- RAM ------------------------------------------------------------------------------------- */

static int add_ram(struct machine *m, unsigned int part, const char *name, uint64_t gpa,
		   uint64_t size, uint64_t off, struct verr *reterr)
{
	struct gmem_region *r = &m->ram.part[part];

	*r = (struct gmem_region){
		.name = name,
		.kind = GMEM_RAM,
		.gpa = gpa,
		.size = size,
		.hva = (char *)m->ram.hva + off,
		.fd = m->ram.fd,
		.fd_off = off,
		.keep = m->ram.huge,
	};
	return gmem_add(&m->gmem, r, reterr);
}

/* RAM behind VGA's memory is left out: a mapping there would answer before the device. */
static int add_all_ram(struct machine *m, struct verr *reterr)
{
	const struct pc_layout *l = &m->layout;
	uint64_t first = l->has_vga ? PC_VGA_LAST + 1 : 0;
	int r = 0;

	if (l->has_vga)
		r = add_ram(m, 0, "RAM below VGA's memory", 0, PC_VGA_BASE, 0, reterr);
	if (r == 0)
		r = add_ram(m, 1, "RAM below 4 GiB", first, l->ram_low_size - first, first, reterr);
	if (r == 0 && l->ram_high_size)
		r = add_ram(m, 2, "RAM above 4 GiB", l->ram_high_base, l->ram_high_size,
			    l->ram_low_size, reterr);
	return r;
}

/* A plan pins nothing: it only asks every IOMMU address space whether RAM would fit. */
static int check_ram(struct machine *m, struct verr *reterr)
{
	const struct pc_layout *l = &m->layout;
	int r = 0;

	for (struct vfio_dma *d = vfio_dma_next(&m->gmem, NULL); d && r == 0;
	     d = vfio_dma_next(&m->gmem, d)) {
		r = vfio_dma_check(d->c, 0, l->ram_low_size, reterr);
		if (r == 0 && l->ram_high_size)
			r = vfio_dma_check(d->c, l->ram_high_base, l->ram_high_size, reterr);
	}
	return r;
}

static int pc_ram(struct machine *m, struct verr *reterr)
{
	const struct pc_cfg *cfg = m->cfg;
	bool pinned = vfio_dma_next(&m->gmem, NULL) != NULL;

	if (m->setup.dry_run)
		return check_ram(m, reterr);
	const struct ram_opts o = {
		.size = m->setup.ram_size,
		.shared = cfg->memfd,
		.hugepages = cfg->hugepages,
		.prefault =
			cfg->prefault == PREFAULT_ON || (cfg->prefault == PREFAULT_AUTO && pinned),
	};
	int r = machine_ram_alloc(&m->ram, &o, reterr);
	timing_mark(&m->timing, o.prefault ? "RAM, populated" : "RAM");
	if (r < 0)
		return r;
	r = add_all_ram(m, reterr);
	timing_mark(&m->timing, pinned ? "RAM mapped, pinned" : "RAM mapped");
	return r;
}

/* ---- legacy devices -------------------------------------------------------------------------- */

static void console_quit(void *opaque, const char *why)
{
	struct machine *m = opaque;

	m->plat.event(m->plat.event_opaque, PLATFORM_QUIT, NULL, why);
}

static int open_console(struct machine *m, struct verr *reterr)
{
	const struct chr_host host = {
		.loop = m->loop,
		.quit = console_quit,
		.opaque = m,
		.messages = stderr,
		.who = "serial port",
	};

	if (!m->setup.serial || m->setup.dry_run)
		return 0;
	int r = chr_open(m->setup.serial, &host, &m->console, reterr);
	return r < 0 ? verr_prefix(reterr, r, "--serial") : 0;
}

static int own(struct machine *m, const struct dev_type *type, const char *id, const void *values,
	       struct verr *reterr)
{
	void *cfg = NULL;

	if (values) {
		cfg = props_new(&type->t);
		if (!cfg)
			return verr_set(reterr, -ENOMEM, "out of memory");
		memcpy(cfg, values, type->t.cfg_size);
	}
	return machine_own_device(m, type, id, cfg, NULL, reterr);
}

static int pc_legacy(struct machine *m, struct verr *reterr)
{
	const struct serial_cfg serial = { m->console, PC_SERIAL_PORT, PC_SERIAL_IRQ };
	const struct rtc_cfg rtc = { m->layout.ram_low_size, m->layout.ram_high_size, NULL };
	const struct acpi_pm_cfg pm = { PC_ACPI_PM_PORT };
	int r = 0;

	if (m->console)
		r = own(m, &serial_type, "serial0", &serial, reterr);
	if (r == 0)
		r = own(m, &rtc_type, "rtc", &rtc, reterr);
	if (r == 0)
		r = own(m, &i8042_type, "i8042", NULL, reterr);
	if (r == 0)
		r = own(m, &acpi_pm_type, "acpi-pm", &pm, reterr);
	if (r == 0)
		r = own(m, &legacy_type, "legacy", NULL, reterr);
	return r;
}

static int pc_settle(struct machine *m, struct verr *reterr)
{
	int r = open_console(m, reterr);
	if (r == 0)
		r = pc_layout(m, reterr);
	if (r == 0)
		r = pc_legacy(m, reterr);
	if (r == 0)
		r = pc_ram(m, reterr);
	if (r < 0)
		return r;
	struct dev *hb = machine_find_device(m, "hostbridge");
	r = hostbridge_map(container_of(hb, struct hostbridge, pd.dev), m->layout.ecam_base,
			   MIB(m->layout.ecam_buses), reterr);
	if (r == 0)
		r = pcibus_place(&m->pci0, &m->windows, reterr);
	return r;
}

static void describe_range(FILE *out, struct range r, const char *what)
{
	fprintf(out, "  0x%012" PRIx64 " 0x%012" PRIx64 " %s\n", r.first, r.last, what);
}

/* In order of addresses, as far as there is a map. */
static void describe_map(const struct machine *m, FILE *out)
{
	const struct pc_layout *l = &m->layout;
	struct range high = { l->ram_high_base, l->ram_high_base + l->ram_high_size - 1 };
	bool window_first = l->ram_high_base && l->has_mmio64 && l->mmio64.first < high.first;

	if (l->ram_low_size == 0)
		return;
	fprintf(out, "memory map\n");
	if (l->has_vga) {
		describe_range(out, (struct range){ 0, PC_VGA_BASE - 1 }, "RAM");
		describe_range(out, (struct range){ PC_VGA_BASE, PC_VGA_LAST }, "legacy VGA");
	}
	describe_range(out, (struct range){ l->has_vga ? PC_VGA_LAST + 1 : 0, l->ram_low_size - 1 },
		       "RAM");
	describe_range(out, l->mmio32, "32-bit PCI window");
	describe_range(out, (struct range){ l->ecam_base, l->ecam_base + MIB(l->ecam_buses) - 1 },
		       "ECAM");
	if (m->firmware.last)
		describe_range(out, m->firmware, "devices' firmware data");
	if (window_first)
		describe_range(out, l->mmio64, "64-bit PCI window");
	if (l->ram_high_size && l->ram_high_base)
		describe_range(out, high, "RAM");
	else if (l->ram_high_size)
		fprintf(out, "  %" PRIu64 " MiB of RAM without a place\n", l->ram_high_size >> 20);
	if (l->has_mmio64 && !window_first)
		describe_range(out, l->mmio64, "64-bit PCI window");
	for (unsigned int i = 0; i < m->map_notes.n; i++)
		fprintf(out, "  note: %s\n", m->map_notes.text[i]);
}

static void pc_describe(const struct machine *m, FILE *out)
{
	describe_map(m, out);
	fprintf(out, "PCI\n");
	pcibus_describe((struct pcibus *)&m->pci0, out);
}

static const struct machine_ops pc_ops = {
	.build = pc_build,
	.settle = pc_settle,
	.describe = pc_describe,
};

const struct machine_type pc_machine = {
	.t = { "pc", "machine", "x86-64 PC with PCI Express and ACPI", pc_props,
	       sizeof(struct pc_cfg) },
	.ops = &pc_ops,
};
