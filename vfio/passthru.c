// SPDX-License-Identifier: GPL-2.0-or-later
// Device type "vfio-pci": a host function in the guest. This file is its life - realize, reset,
// stop, the host asking for it back - and the order of those steps; what the guest sees and how
// it gets there is in the other passthru_*.c.

#define LOG_TAG "vfio/passthru"

#include "vfio/passthru.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"
#include "pci/pcibus.h"
#include "vfio/quirks.h"

static const char *const msix_choices[] = { "off",  "auto", "bar0", "bar1", "bar2",
					    "bar3", "bar4", "bar5", NULL };

#define BAR_PROP(n)                                                                                \
	PROP_NAMED("bar" #n, struct passthru_config, bar[n], PROP_CUSTOM, "direct",                \
		   n == 0 ? "direct, trap, hide, or mapped at: host, <addr>" : "the same",         \
		   .parse = passthru_bar_parse, .syntax = "<word>|<addr>")

#define ID_PROP(name_, field_, help_)                                                              \
	PROP_NAMED(name_, struct passthru_config, field_, PROP_CUSTOM, "off", help_,               \
		   .parse = passthru_id_parse, .syntax = "<n>")

static const char *const request_choices[] = { "eject", "stop", NULL };
static const char *const error_choices[] = { "stop", "reset", "eject", NULL };

static const struct prop passthru_props[] = {
	PROP_NAMED("host", struct passthru_config, host, PROP_CUSTOM, PROP_REQUIRED,
		   "host address, e.g. 0000:03:00.0", .parse = bdf_prop_parse, .syntax = "<bdf>"),
	PROP(struct passthru_config, group, PROP_BOOL, "off",
	     "assign every function of its IOMMU group"),
	PROP_NAMED("on-request", struct passthru_config, on_request, PROP_ENUM, "eject",
		   "when the host wants it back, or it vanishes", .choices = request_choices),
	PROP_NAMED("on-error", struct passthru_config, on_error, PROP_ENUM, "stop",
		   "when it reports an uncorrectable error", .choices = error_choices),
	PROP(struct passthru_config, rombar, PROP_BOOL, "on", "expose the expansion ROM"),
	PROP(struct passthru_config, romfile, PROP_STR, NULL,
	     "expansion ROM image instead of its own"),
	BAR_PROP(0),
	BAR_PROP(1),
	BAR_PROP(2),
	BAR_PROP(3),
	BAR_PROP(4),
	BAR_PROP(5),
	PROP_NAMED("x-msix-relocation", struct passthru_config, msix_to, PROP_ENUM, "off",
		   "out of pages with registers", .choices = msix_choices),
	PROP_NAMED("vf-token", struct passthru_config, vf_token, PROP_CUSTOM, NULL,
		   "UUID that opens a function whose SR-IOV family VFIO has",
		   .parse = passthru_token_parse, .syntax = "<uuid>"),
	PROP_NAMED("hide-serial", struct passthru_config, hide_serial, PROP_BOOL, "off",
		   "leave out the serial number and VPD", ),
	ID_PROP("x-pci-vendor-id", vendor, "vendor id the guest sees"),
	ID_PROP("x-pci-device-id", device, "device id the guest sees"),
	ID_PROP("x-pci-sub-vendor-id", subvendor, "subsystem vendor id the guest sees"),
	ID_PROP("x-pci-sub-device-id", subdevice, "subsystem id the guest sees"),
	PROP_NAMED("x-pci-class-code", struct passthru_config, class_code, PROP_CUSTOM, "off",
		   "class the guest sees, 24 bits", .parse = passthru_class_parse, .syntax = "<n>"),
	PROP_NAMED("x-no-mmap", struct passthru_config, x_no_mmap, PROP_BOOL, "off",
		   "trap every BAR access (debugging)", ),
	PROP_NAMED("x-no-resample", struct passthru_config, x_no_resample, PROP_BOOL, "off",
		   "INTx as on kernels without resampling irqfds (debugging)", ),
	PROP_NAMED("low-power", struct passthru_config, low_power, PROP_BOOL, "off",
		   "the host may switch it off while the guest has it in D3hot", ),
	PROP_NAMED("x-vga", struct passthru_config, x_vga, PROP_BOOL, "off",
		   "legacy VGA memory and ports go to it", ),
	PROP(struct passthru_config, quirks, PROP_BOOL, "on",
	     "give the device what it needs beyond the rules"),
	PROP_NAMED("x-nv-gpudirect-clique", struct passthru_config, clique, PROP_CUSTOM, "off",
		   "0 to 15: NVIDIA GPUs of one number can do peer DMA",
		   .parse = quirks_clique_parse, .syntax = "<n>"),
	PROP_END,
};

static uint64_t passthru_bar_read(struct pcidev *pd, unsigned int bar, uint64_t off,
				  unsigned int size)
{
	struct passthru *p = passthru_of(pd);
	uint64_t val = ones(size);

	if (bar == PCIDEV_ROM)
		return p->lost ? ones(size) : passthru_rom_read(p, off, size);
	if (!p->lost && !quirks_bar_read(p, bar, off, size, &val))
		val = vfio_region_read(p->vd, bar, off, size);
	passthru_intx_touched(p);
	passthru_crowd_count(p, bar, off);
	return val;
}

static void passthru_bar_write(struct pcidev *pd, unsigned int bar, uint64_t off, uint64_t val,
			       unsigned int size)
{
	struct passthru *p = passthru_of(pd);

	if (!p->lost && bar != PCIDEV_ROM && !quirks_bar_write(p, bar, off, val, size))
		vfio_region_write(p->vd, bar, off, val, size);
	passthru_intx_touched(p);
	passthru_crowd_count(p, bar, off);
}

/* A write that should have turned it on may have failed: then the trap answers. */
static bool hw_decodes(struct passthru *p)
{
	uint32_t command = vfio_cfg_read(p->vd, PCI_COMMAND, 2), power = 0;

	if (p->pd.pm_off)
		power = vfio_cfg_read(p->vd, p->pd.pm_off + (unsigned int)PCI_PM_CTRL, 1);
	return (command & PCI_COMMAND_MEMORY) && !(power & PCI_PM_CTRL_STATE_MASK);
}

/* Decoding must be on in hardware before a window shows it: after a reset the shadow has the
 * guest's COMMAND and the hardware 0. */
void passthru_decode(struct passthru *p)
{
	const uint16_t decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;

	if (p->lost || p->pd.dev.plat->dry_run)
		return;
	uint16_t want = (uint16_t)pcicfg_get(&p->pd.cfg, PCI_COMMAND, 2) & decode;
	uint16_t have = (uint16_t)vfio_cfg_read(p->vd, PCI_COMMAND, 2);
	if ((have & decode) != want)
		passthru_command(p, (have & (uint32_t)~decode) | want);
}

static void passthru_bar_enable(struct pcidev *pd, unsigned int bar)
{
	struct passthru *p = passthru_of(pd);

	if (p->lost || pd->dev.plat->dry_run)
		return;
	passthru_decode(p);
	if (hw_decodes(p))
		passthru_win_enable(pd, bar);
}

static void cfg_written(struct pcidev *pd, unsigned int off, unsigned int size)
{
	passthru_irq_cfg_written(pd, off, size);
	passthru_power_written(passthru_of(pd));
}

static const struct pcidev_ops passthru_pci_ops = {
	.bar_read = passthru_bar_read,
	.bar_write = passthru_bar_write,
	.bar_enable = passthru_bar_enable,
	.bar_disable = passthru_win_disable,
	.vga_read = passthru_vga_read,
	.vga_write = passthru_vga_write,
	.vga_enable = passthru_vga_enable,
	.cfg_write_hook = passthru_cfg_hook,
	.cfg_written = cfg_written,
	.hw = &passthru_cfg_hw,
	.irq_mode = passthru_irq_mode,
	.irq_vector = passthru_irq_vector,
	.irq_settled = passthru_irq_settled,
	.reset = passthru_function_reset,
};

/* ---- life ------------------------------------------------------------------------------------ */

static int find_exp(void *ctx, const struct pcicap *cap)
{
	(void)ctx;
	return cap->id == PCI_CAP_ID_EXP;
}

/* Another function of the same host device that came with this one. */
static int is_sibling(void *ctx, struct pcidev *pd)
{
	struct passthru *p = ctx;
	const struct bdf *mine = &p->vd->at;

	if (pd->dev.type != &vfio_pci_type || pd->dev.state == DEV_RUNNING)
		return 0;
	const struct bdf *its = &passthru_of(pd)->vd->at;
	if (its->seg != mine->seg || its->bus != mine->bus || its->dev != mine->dev)
		return 0;
	p->sibling = pd;
	return 1;
}

/* Its own number if that can be had; another only where function 0 is not assigned. */
static int join_sibling(struct passthru *p, struct verr *reterr)
{
	struct pcibus *b = p->sibling->bus;
	unsigned int first = p->sibling->devfn & 0xf8, fn = p->vd->at.fn;
	char addr[8];

	for (unsigned int i = 1; i < 8 && b->fn[first + fn]; i++)
		fn = i;
	if (b->fn[first + fn] || !b->fn[first])
		return verr_set(reterr, -EBUSY, "no function of slot %02x on PCI bus %s is free",
				first >> 3, b->id);
	snprintf(addr, sizeof(addr), "%02x.%u", first >> 3, fn);
	p->bus = b;
	p->pd.common.bus = strdup(b->id);
	p->pd.common.addr = strdup(addr);
	if (!p->pd.common.bus || !p->pd.common.addr)
		return verr_set(reterr, -ENOMEM, "out of memory");
	pcidev_multifunction(b->fn[first]);
	return 0;
}

/* The named bus, or the slot that another function of the same device has, or a PCIe port of its
 * own for what is PCIe (while the machine runs, for everything), or the root bus. */
static int choose_bus(struct passthru *p, bool pcie, struct verr *reterr)
{
	const struct platform *plat = p->pd.dev.plat;
	struct pcidev_common *common = &p->pd.common;

	p->bus = plat->pci0;
	if (common->bus) {
		p->bus = pcibus_find(plat->pci0, common->bus);
		if (!p->bus)
			return verr_set(reterr, -ENODEV, "no bus \"%s\" (the root bus is \"%s\")",
					common->bus, plat->pci0->id);
		return 0;
	}
	if (!common->addr && pcibus_walk(plat->pci0, is_sibling, p))
		return join_sibling(p, reterr);
	if ((!pcie && !plat->hot) || common->addr || !plat->port_for)
		return 0;
	p->bus = plat->port_for(plat->event_opaque, &p->pd.dev, reterr);
	if (!p->bus)
		return reterr ? reterr->code : -ENOSPC;
	common->bus = strdup(p->bus->id);
	return common->bus ? 0 : verr_set(reterr, -ENOMEM, "out of memory");
}

static int alloc_irq(struct passthru *p, struct verr *reterr)
{
	p->used = calloc(p->pd.n_vec + 1, 1);
	p->fresh = calloc(p->pd.n_vec + 1, 1);
	return p->used && p->fresh ? 0 : verr_set(reterr, -ENOMEM, "out of memory");
}

static void passthru_unrealize(struct dev *d);

static int realize_guest_view(struct passthru *p, struct verr *reterr)
{
	bool pcie = pcicap_walk(vfio_cfg_reader, p->vd, find_exp, NULL) == 1;

	int r = choose_bus(p, pcie, reterr);
	if (r < 0)
		return r;
	pcidev_init(&p->pd, &passthru_pci_ops, pcie, false);
	r = passthru_bars_build(p, reterr);
	if (r == 0)
		r = passthru_vga_build(p, reterr);
	if (r == 0)
		r = passthru_cfg_build(p, reterr);
	if (r == 0)
		r = passthru_power_build(p, reterr);
	if (r == 0)
		r = quirks_realize(p, reterr);
	if (r == 0)
		r = alloc_irq(p, reterr);
	if (r == 0 && !p->pd.dev.plat->dry_run)
		r = passthru_win_open(p, reterr);
	if (r == 0)
		r = pcidev_attach(&p->pd, reterr);
	if (r == 0)
		passthru_port_show(p);
	return r;
}

static int same_function(void *ctx, struct pcidev *pd)
{
	const struct passthru *p = ctx;
	const struct passthru_config *cfg = p->pd.dev.cfg;

	return pd->dev.type == &vfio_pci_type && bdf_equal(&passthru_of(pd)->vd->at, &cfg->host);
}

/* VFIO opens a function twice without complaint; two guests' worth of driver on it is never
 * meant. */
static int check_single(struct passthru *p, struct verr *reterr)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;
	char name[BDF_STR_MAX];

	if (!pcibus_walk(p->pd.dev.plat->pci0, same_function, p))
		return 0;
	return verr_set(reterr, -EBUSY, "%s is assigned to this guest already: name it once",
			bdf_str(&cfg->host, name));
}

/* Whatever was wrong: with which function? */
static int name_host(const struct passthru *p, int r, struct verr *reterr)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;
	char name[BDF_STR_MAX];

	bdf_str(&cfg->host, name);
	if (r < 0 && reterr && !strstr(reterr->msg, name))
		verr_prefix(reterr, r, "%s", name);
	return r;
}

static int unreadable(const struct vfio_device *vd, struct verr *reterr)
{
	if (vd->failed_region == VFIO_PCI_CONFIG_REGION_INDEX)
		return verr_set(reterr, -EIO, "its configuration space can't be read");
	return verr_set(reterr, -EIO, "its region %u, as VFIO counts, can't be read%s",
			vd->failed_region,
			vd->failed_region >= VFIO_N_REGIONS ? "; quirks=off does without" : "");
}

static void passthru_begin(struct dev *d)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);
	const struct passthru_config *cfg = d->cfg;
	struct verr err = { 0 };

	p->seat.vf_token = cfg->vf_token;
	if (vfio_seat_begin(&p->seat, d->plat, &cfg->host, true, &err) < 0)
		log_debug("%s", err.msg);
}

static int passthru_realize(struct dev *d, struct verr *reterr)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);
	const struct passthru_config *cfg = d->cfg;

	passthru_intx_init(p);
	p->req_fd = p->err_fd = -1;
	p->seat.vf_token = cfg->vf_token;
	int r = check_single(p, reterr);
	if (r == 0)
		r = vfio_seat_take(&p->seat, d->plat, &cfg->host, reterr);
	if (r < 0) {
		vfio_seat_leave(&p->seat);
		pcidev_fini(&p->pd);
		return name_host(p, r, reterr);
	}
	p->vd = p->seat.vd;
	if (!vfio_device_alive(p->vd))
		r = verr_set(reterr, -EIO,
			     "the function does not answer (reads all ones): it is "
			     "powered off or hung; look at /sys/bus/pci/devices/%s/power_state, "
			     "remove and rescan it",
			     p->vd->name);
	if (r == 0)
		r = realize_guest_view(p, reterr);
	/* What was built from a read that failed is not this function. */
	if (r == 0 && p->vd->failed_reads)
		r = unreadable(p->vd, reterr);
	if (r == 0 && !d->plat->dry_run)
		r = passthru_notify_on(p, reterr);
	if (r < 0)
		passthru_unrealize(d);
	return name_host(p, r, reterr);
}

static void passthru_stop(struct dev *d)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);

	if (!p->vd || d->plat->dry_run)
		return;
	passthru_quiesce(p);
	/* Who opens its windows again meanwhile opens none. */
	pcicfg_put(&p->pd.cfg, PCI_COMMAND, 2, 0);
}

static int passthru_start(struct dev *d, struct verr *reterr)
{
	(void)reterr;
	container_of(d, struct passthru, pd.dev)->taken = false;
	return 0;
}

static void passthru_unrealize(struct dev *d)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);
	const struct passthru_config *cfg = d->cfg;
	char name[BDF_STR_MAX];

	if (!p->vd)
		return;
	if (!d->plat->dry_run) {
		passthru_stop(d);
		passthru_notify_off(p);
		if (!p->lost)
			passthru_leave(p);
	}
	passthru_port_forget(p);
	pcidev_fini(&p->pd);
	passthru_win_close(p);
	passthru_rom_free(p);
	quirks_fini(p);
	free(p->used);
	free(p->fresh);
	p->used = p->fresh = NULL;
	vfio_seat_leave(&p->seat);
	p->vd = NULL;
	/* Closing it was a reset. */
	if (!d->plat->dry_run && !p->lost && !vfio_function_alive(&cfg->host))
		log_warn("%s does not answer any more: it did not come back from its last reset; a "
			 "power cycle of the machine brings it back",
			 bdf_str(&cfg->host, name));
}

static void passthru_reset(struct dev *d)
{
	pcidev_reset(&container_of(d, struct passthru, pd.dev)->pd, true);
}

static bool passthru_recheck(struct dev *d)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);

	if (!p->vd || vfio_device_alive(p->vd))
		return false;
	bool any = passthru_win_drop(p);
	passthru_lose(p, true, "the device is gone from the host");
	return any;
}

static void passthru_describe(struct dev *d, FILE *out)
{
	static const char *const irq_names[VFIO_N_IRQS] = { "INTx", "MSI", "MSI-X", "error",
							    "request" };
	struct passthru *p = container_of(d, struct passthru, pd.dev);

	char reset[256];

	passthru_reset_text(p, reset, sizeof(reset));
	fprintf(out, "  host %s, IOMMU group %u, reset: %s\n", p->vd->name, p->seat.group->id,
		reset);
	passthru_bars_describe(p, out);
	passthru_rom_describe(p, out);
	passthru_vga_describe(p, out);
	fprintf(out, "  interrupts:");
	for (unsigned int i = 0; i < VFIO_N_IRQS; i++)
		if (p->vd->irq[i].count)
			fprintf(out, " %s %u", irq_names[i], p->vd->irq[i].count);
	fprintf(out, "\n");
	quirks_describe(p, out);
}

static struct dev *passthru_alloc(void)
{
	struct passthru *p = calloc(1, sizeof(*p));

	return p ? &p->pd.dev : NULL;
}

static void passthru_free(struct dev *d)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);

	vfio_seat_leave(&p->seat); /* begun, not realized */
	free(p);
}

static const struct dev_ops passthru_dev_ops = {
	.begin = passthru_begin,
	.realize = passthru_realize,
	.unrealize = passthru_unrealize,
	.reset_begin = passthru_reset_begin,
	.reset = passthru_reset,
	.start = passthru_start,
	.stop = passthru_stop,
	.describe = passthru_describe,
	.recheck = passthru_recheck,
};

const struct dev_type vfio_pci_type = {
	.t = { "vfio-pci", "passthrough", "pass a host PCI function to the guest", passthru_props,
	       sizeof(struct passthru_config) },
	.ops = &passthru_dev_ops,
	.alloc = passthru_alloc,
	.free = passthru_free,
	.pci = true,
	.user = true,
};
