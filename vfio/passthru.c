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

static const char *const bar_modes[] = { "direct", "trap", "hide", NULL };

#define BAR_PROP(n)                                                                                \
	PROP_NAMED("bar" #n, struct passthru_config, bar[n], PROP_ENUM, "direct",                  \
		   n == 0 ? "map its pages, trap every access, or leave it out" : "the same",      \
		   .choices = bar_modes)

#define ID_PROP(name_, field_, help_)                                                              \
	PROP_NAMED(name_, struct passthru_config, field_, PROP_CUSTOM, "off", help_,               \
		   .parse = passthru_id_parse, .syntax = "<n>")

static const struct prop passthru_props[] = {
	PROP_NAMED("host", struct passthru_config, host, PROP_CUSTOM, PROP_REQUIRED,
		   "host address, e.g. 0000:03:00.0", .parse = bdf_prop_parse, .syntax = "<bdf>"),
	PROP(struct passthru_config, rombar, PROP_BOOL, "on", "expose the expansion ROM"),
	PROP(struct passthru_config, romfile, PROP_STR, NULL,
	     "expansion ROM image instead of its own"),
	BAR_PROP(0),
	BAR_PROP(1),
	BAR_PROP(2),
	BAR_PROP(3),
	BAR_PROP(4),
	BAR_PROP(5),
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
	return val;
}

static void passthru_bar_write(struct pcidev *pd, unsigned int bar, uint64_t off, uint64_t val,
			       unsigned int size)
{
	struct passthru *p = passthru_of(pd);

	if (!p->lost && bar != PCIDEV_ROM && !quirks_bar_write(p, bar, off, val, size))
		vfio_region_write(p->vd, bar, off, val, size);
	passthru_intx_touched(p);
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
static void passthru_bar_enable(struct pcidev *pd, unsigned int bar)
{
	const uint16_t decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	struct passthru *p = passthru_of(pd);

	if (p->lost || pd->dev.plat->dry_run)
		return;
	uint16_t want = (uint16_t)pcicfg_get(&pd->cfg, PCI_COMMAND, 2) & decode;
	uint16_t have = (uint16_t)vfio_cfg_read(p->vd, PCI_COMMAND, 2);
	if ((have & decode) != want)
		vfio_cfg_write(p->vd, PCI_COMMAND, (have & (uint32_t)~decode) | want, 2);
	if (hw_decodes(p))
		passthru_win_enable(pd, bar);
}

static void passthru_function_reset(struct pcidev *pd);

static const struct pcidev_ops passthru_pci_ops = {
	.bar_read = passthru_bar_read,
	.bar_write = passthru_bar_write,
	.bar_enable = passthru_bar_enable,
	.bar_disable = passthru_win_disable,
	.cfg_write_hook = passthru_cfg_hook,
	.cfg_written = passthru_irq_cfg_written,
	.hw = &passthru_cfg_hw,
	.irq_mode = passthru_irq_mode,
	.irq_vector = passthru_irq_vector,
	.irq_settled = passthru_irq_settled,
	.reset = passthru_function_reset,
};

/* ---- the host wants it back, or it failed ---------------------------------------------------- */

static void passthru_lose(struct passthru *p, const char *why)
{
	if (p->lost)
		return;
	p->lost = true;
	passthru_win_drop(p);
	dev_event(&p->pd.dev, PLATFORM_DEVICE_LOST, "%s: %s", p->vd->name, why);
}

static void req_ready(struct loop_fd *src, uint32_t events)
{
	struct passthru *p = container_of(src, struct passthru, req);

	(void)events;
	sys_event_take(p->req_fd);
	passthru_lose(p, vfio_device_alive(p->vd) ? "the host asks for the device back"
						  : "the device is gone from the host");
}

static void err_ready(struct loop_fd *src, uint32_t events)
{
	struct passthru *p = container_of(src, struct passthru, err);

	(void)events;
	sys_event_take(p->err_fd);
	passthru_lose(p, "the device reported an uncorrectable error");
}

static int notify_one(struct passthru *p, unsigned int index, int *fd, struct loop_fd *src,
		      void (*ready)(struct loop_fd *, uint32_t), struct verr *reterr)
{
	if (p->vd->irq[index].count == 0)
		return 0;
	*fd = sys_eventfd(0, EFD_NONBLOCK);
	if (*fd < 0) {
		int r = *fd;
		*fd = -1;
		return verr_set(reterr, r, "can't create an eventfd: %s", strerror(-r));
	}
	src->fd = *fd;
	src->events = EPOLLIN;
	src->ready = ready;
	int r = loop_add_fd(p->pd.dev.plat->loop, src, reterr);
	if (r < 0)
		return r;
	r = vfio_irqs_set(p->vd, index, 0, fd, 1);
	return r < 0 ? verr_set(reterr, r, "VFIO refuses the notification interrupt %u: %s", index,
				strerror(-r))
		     : 0;
}

static void notify_off(struct passthru *p)
{
	if (p->req_fd >= 0 && p->vd)
		vfio_irqs_disable(p->vd, VFIO_PCI_REQ_IRQ_INDEX);
	if (p->err_fd >= 0 && p->vd)
		vfio_irqs_disable(p->vd, VFIO_PCI_ERR_IRQ_INDEX);
	loop_del_fd(&p->req);
	loop_del_fd(&p->err);
	sys_close_fd(&p->req_fd);
	sys_close_fd(&p->err_fd);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* No more DMA, then no more interrupts, then nobody who looks at its BARs; only then may they
 * stop decoding, as the kernel takes their mappings away with that. */
static void quiesce(struct passthru *p)
{
	uint32_t command = vfio_cfg_read(p->vd, PCI_COMMAND, 2);

	vfio_cfg_write(p->vd, PCI_COMMAND, command & ~(uint32_t)PCI_COMMAND_MASTER, 2);
	passthru_irq_off(p);
	pcidev_bars_drop(&p->pd);
	vfio_cfg_write(p->vd, PCI_COMMAND, 0, 2);
}

/* A function without a reset method would stay in the low power state its guest left it in. */
static void wake(struct passthru *p)
{
	unsigned int reg = p->pd.pm_off + (unsigned int)PCI_PM_CTRL;

	if (p->pd.pm_off && (vfio_cfg_read(p->vd, reg, 1) & PCI_PM_CTRL_STATE_MASK))
		vfio_cfg_write(p->vd, reg, 0, 1);
}

/* The ladder's rungs are the kernel's: it takes the function's best method (FLR, PM, bus) by its
 * own order, shown in reset_method. */
static int hw_reset(struct passthru *p, struct verr *reterr)
{
	quiesce(p);
	wake(p);
	if (!(p->vd->flags & VFIO_DEVICE_FLAGS_RESET)) {
		log_debug("%s: no reset method; its state survives", p->vd->name);
		return 0;
	}
	int r = vfio_device_reset(p->vd, reterr);
	T(vfio_reset, p->vd->name, p->vd->reset_method, r);
	if (r == 0)
		vfio_cfg_write(p->vd, PCI_COMMAND, 0, 2);
	return r;
}

static int find_exp(void *ctx, const struct pcicap *cap)
{
	(void)ctx;
	return cap->id == PCI_CAP_ID_EXP;
}

/* The named bus, or a PCIe port of its own for what is PCIe, or the root bus. */
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
	if (!pcie || common->addr || !plat->port_for)
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
		r = passthru_cfg_build(p, reterr);
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
		r = verr_set(reterr, -EIO, "its configuration space can't be read");
	if (r == 0 && !d->plat->dry_run)
		r = notify_one(p, VFIO_PCI_REQ_IRQ_INDEX, &p->req_fd, &p->req, req_ready, reterr);
	if (r == 0 && !d->plat->dry_run)
		r = notify_one(p, VFIO_PCI_ERR_IRQ_INDEX, &p->err_fd, &p->err, err_ready, reterr);
	if (r < 0)
		passthru_unrealize(d);
	return name_host(p, r, reterr);
}

static void passthru_stop(struct dev *d)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);

	if (!p->vd || d->plat->dry_run)
		return;
	quiesce(p);
}

static void passthru_unrealize(struct dev *d)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);

	if (!p->vd)
		return;
	if (!d->plat->dry_run) {
		passthru_stop(d);
		notify_off(p);
		if (!p->lost)
			hw_reset(p, NULL);
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
}

/* Called from within pcidev_reset(), whoever asks for it: the machine, the guest by FLR, or a
 * bridge above that resets its secondary bus. Windows and MSI are off, decoding is not back yet. */
static void passthru_function_reset(struct pcidev *pd)
{
	struct passthru *p = passthru_of(pd);
	struct verr err = { 0 };

	if (pd->dev.plat->dry_run || p->lost)
		return;
	if (hw_reset(p, &err) < 0)
		guest_warn("%s", err.msg);
	if (!vfio_device_alive(p->vd)) {
		passthru_lose(p, "the device does not answer after its reset");
		return;
	}
	passthru_rom_reset(p);
	quirks_reset(p);
	passthru_irq_mode(pd, pd->irq_mode, 0);
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
	passthru_lose(p, "the device is gone from the host");
	return any;
}

static void passthru_describe(struct dev *d, FILE *out)
{
	static const char *const irq_names[VFIO_N_IRQS] = { "INTx", "MSI", "MSI-X", "error",
							    "request" };
	struct passthru *p = container_of(d, struct passthru, pd.dev);

	fprintf(out, "  host %s, IOMMU group %u, reset: %s\n", p->vd->name, p->seat.group->id,
		p->vd->reset_method[0] ? p->vd->reset_method : "no method known");
	passthru_bars_describe(p, out);
	passthru_rom_describe(p, out);
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
	free(container_of(d, struct passthru, pd.dev));
}

static const struct dev_ops passthru_dev_ops = {
	.realize = passthru_realize,
	.unrealize = passthru_unrealize,
	.reset = passthru_reset,
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
