// SPDX-License-Identifier: GPL-2.0-or-later
// For the PCI unit tests: an irqchip that records, keeps the rules of core/irq.h (bind only what
// is routed, unbind what is bound, nothing effective before route_commit) and delivers from real
// eventfds; and a small machine of a root bus and two address spaces.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>

#include "core/aspace.h"
#include "core/bytes.h"
#include "core/sys.h"
#include "pci/hostbridge.h"
#include "pci/pcibus.h"
#include "pci/pcieport.h"

#ifndef __cplusplus /* the tables below are C: designated */

#define REC_ROUTES 4096U
#define REC_LINES  32U

struct rec_route {
	bool used;
	struct msi_msg staged, live;
	bool committed;
	int fd;
	unsigned int delivered;
	struct msi_msg last;
};

struct rec_chip {
	struct irqchip c; /* first */
	struct rec_route route[REC_ROUTES];
	unsigned int limit; /* routes to give out */
	unsigned int commits, binds, unbinds, sets;
	bool level[REC_LINES];
	unsigned int line_sets;
	struct {
		uint32_t gsi;
		int fd, resample_fd;
	} line[REC_LINES];
	unsigned int n_line;
	int fail_bind, fail_commit, fail_line;
};

static inline struct rec_chip *rec_of(struct irqchip *c)
{
	return container_of(c, struct rec_chip, c);
}

static inline int rec_route_new(struct irqchip *c, uint32_t *ret)
{
	struct rec_chip *r = rec_of(c);
	for (uint32_t i = 0; i < r->limit; i++) {
		if (r->route[i].used)
			continue;
		memset(&r->route[i], 0, sizeof(r->route[i]));
		r->route[i].used = true;
		r->route[i].fd = -1;
		*ret = i;
		return 0;
	}
	return -ENOSPC;
}

static inline void rec_route_free(struct irqchip *c, uint32_t gsi)
{
	struct rec_route *t = &rec_of(c)->route[gsi];
	assert_true(t->used);
	assert_int_equal(t->fd, -1);
	t->used = false;
}

static inline int rec_route_set(struct irqchip *c, uint32_t gsi, const struct msi_msg *msg)
{
	struct rec_chip *r = rec_of(c);
	assert_true(r->route[gsi].used);
	r->route[gsi].staged = *msg;
	r->route[gsi].committed = false;
	r->sets++;
	return 0;
}

static inline int rec_route_commit(struct irqchip *c)
{
	struct rec_chip *r = rec_of(c);
	r->commits++;
	if (r->fail_commit != 0)
		return r->fail_commit;
	for (unsigned int i = 0; i < REC_ROUTES; i++) {
		r->route[i].live = r->route[i].staged;
		r->route[i].committed = true;
	}
	return 0;
}

/* What KVM does when an eventfd with a count is bound, or signalled while bound. */
static inline void rec_deliver(struct rec_route *t)
{
	if (t->fd < 0 || sys_event_take(t->fd) == 0)
		return;
	t->delivered++;
	t->last = t->live;
}

static inline int rec_route_bind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct rec_chip *r = rec_of(c);
	if (r->fail_bind != 0)
		return r->fail_bind;
	assert_true(r->route[gsi].used);
	assert_true(r->route[gsi].committed);
	assert_int_equal(r->route[gsi].fd, -1);
	r->route[gsi].fd = fd;
	r->binds++;
	rec_deliver(&r->route[gsi]);
	return 0;
}

static inline void rec_route_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct rec_chip *r = rec_of(c);
	assert_true(r->route[gsi].used);
	assert_int_equal(r->route[gsi].fd, fd);
	r->route[gsi].fd = -1;
	r->unbinds++;
}

static inline int rec_line_bind(struct irqchip *c, uint32_t gsi, int fd, int resample_fd)
{
	struct rec_chip *r = rec_of(c);
	if (r->fail_line != 0)
		return r->fail_line;
	assert_true(r->n_line < REC_LINES);
	r->line[r->n_line].gsi = gsi;
	r->line[r->n_line].fd = fd;
	r->line[r->n_line++].resample_fd = resample_fd;
	return 0;
}

static inline void rec_line_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct rec_chip *r = rec_of(c);
	for (unsigned int i = 0; i < r->n_line; i++) {
		if (r->line[i].gsi == gsi && r->line[i].fd == fd) {
			r->line[i] = r->line[--r->n_line];
			return;
		}
	}
	fail_msg("line %u: fd %d is not bound", gsi, fd);
}

static inline int rec_line_ended(struct irqchip *c, uint32_t gsi, uint64_t *ret)
{
	(void)c;
	*ret = 100 + gsi;
	return 0;
}

static inline int rec_line_set(struct irqchip *c, uint32_t gsi, bool level)
{
	struct rec_chip *r = rec_of(c);
	assert_in_range(gsi, 0, REC_LINES - 1);
	assert_int_not_equal(r->level[gsi], level); /* only changes are told */
	r->level[gsi] = level;
	r->line_sets++;
	return 0;
}

static inline int rec_msi_send(struct irqchip *c, const struct msi_msg *msg)
{
	(void)c;
	(void)msg;
	return 0;
}

static const struct irqchip_ops rec_ops = {
	.route_new = rec_route_new,
	.route_free = rec_route_free,
	.route_set = rec_route_set,
	.route_commit = rec_route_commit,
	.route_bind = rec_route_bind,
	.route_unbind = rec_route_unbind,
	.line_bind = rec_line_bind,
	.line_unbind = rec_line_unbind,
	.line_ended = rec_line_ended,
	.line_set = rec_line_set,
	.msi_send = rec_msi_send,
};

static inline void rec_chip_init(struct rec_chip *r)
{
	memset(r, 0, sizeof(*r));
	r->c.ops = &rec_ops;
	r->limit = REC_ROUTES;
}

static inline unsigned int rec_routes(const struct rec_chip *r)
{
	unsigned int n = 0;
	for (unsigned int i = 0; i < REC_ROUTES; i++)
		n += r->route[i].used;
	return n;
}

/* Every bound eventfd that has been signalled becomes an interrupt. */
static inline void rec_poll(struct rec_chip *r)
{
	for (unsigned int i = 0; i < REC_ROUTES; i++)
		if (r->route[i].used)
			rec_deliver(&r->route[i]);
}

/* Interrupts delivered with that data so far, from routes in use. */
static inline unsigned int rec_got(const struct rec_chip *r, uint32_t data)
{
	unsigned int n = 0;
	for (unsigned int i = 0; i < REC_ROUTES; i++)
		if (r->route[i].used && r->route[i].delivered > 0 && r->route[i].last.data == data)
			n += r->route[i].delivered;
	return n;
}

/* ---- a small machine ------------------------------------------------------------------------- */

struct rig {
	struct rec_chip chip;
	struct aspace mmio, pio;
	struct intx_lines lines;
	struct pcibus root;
	struct platform plat;
	struct dev *dev[48];
	unsigned int n_dev;
};

static inline uint32_t rig_gsi(unsigned int dev, unsigned int pin)
{
	return 16 + (dev + pin) % 8;
}

static inline void rig_init(struct rig *g)
{
	memset(g, 0, sizeof(*g));
	rec_chip_init(&g->chip);
	assert_int_equal(aspace_init(&g->mmio, "mmio", (UINT64_C(1) << 46) - 1), 0);
	assert_int_equal(aspace_init(&g->pio, "pio", 0xffff), 0);
	intx_lines_init(&g->lines, &g->chip.c, rig_gsi);
	pcibus_init_root(&g->root, &g->mmio, &g->pio, &g->lines);
	g->plat.mmio = &g->mmio;
	g->plat.pio = &g->pio;
	g->plat.irq = &g->chip.c;
	g->plat.pci0 = &g->root;
}

static inline void rig_free(struct rig *g)
{
	while (g->n_dev > 0)
		dev_free(g->dev[--g->n_dev]);
	pcibus_fini(&g->root);
	aspace_fini(&g->mmio);
	aspace_fini(&g->pio);
	assert_int_equal(rec_routes(&g->chip), 0);
	assert_int_equal(g->chip.n_line, 0);
}

static inline struct pcidev *rig_pd(struct dev *d)
{
	return container_of(d, struct pcidev, dev);
}

/* A device of a type, realized; bus and addr may be NULL. */
static inline struct pcidev *rig_add(struct rig *g, const struct dev_type *type, const char *id,
				     const char *bus, const char *addr)
{
	struct dev *d;
	struct verr err = { 0 };
	assert_int_equal(dev_new(type, &g->plat, id, NULL, &d, &err), 0);
	rig_pd(d)->common.bus = bus != NULL ? strdup(bus) : NULL;
	rig_pd(d)->common.addr = addr != NULL ? strdup(addr) : NULL;
	if (dev_realize(d, &err) < 0)
		fail_msg("%s: %s", id, err.msg);
	g->dev[g->n_dev++] = d;
	return rig_pd(d);
}

static inline void rig_del(struct rig *g, struct pcidev *pd)
{
	for (unsigned int i = 0; i < g->n_dev; i++) {
		if (g->dev[i] != &pd->dev)
			continue;
		dev_free(g->dev[i]);
		memmove(&g->dev[i], &g->dev[i + 1], (--g->n_dev - i) * sizeof(g->dev[0]));
		return;
	}
	fail_msg("not in the rig");
}

static inline void rig_start(struct rig *g)
{
	for (unsigned int i = 0; i < g->n_dev; i++)
		dev_reset(g->dev[i]);
	for (unsigned int i = 0; i < g->n_dev; i++)
		if (g->dev[i]->state != DEV_RUNNING)
			assert_int_equal(dev_start(g->dev[i], NULL), 0);
}

static inline int rig_program_each(void *ctx, struct pcidev *pd)
{
	(void)ctx;
	pcibus_program(pd);
	return 0;
}

/* As the reset of every function does, after pcibus_place(). */
static inline void rig_program(struct rig *g)
{
	pcibus_walk(&g->root, rig_program_each, NULL);
}

static inline void rig_place(struct rig *g)
{
	struct verr err = { 0 };
	struct pci_windows w = { { 0x1000, 0xffff },
				 { 0xc0000000, 0xdfffffff },
				 { GIB(64), GIB(256) - 1 } };
	if (pcibus_place(&g->root, &w, &err) < 0)
		fail_msg("%s", err.msg);
	rig_program(g);
}

static inline uint32_t rig_read(struct rig *g, struct pcidev *pd, unsigned int off,
				unsigned int size)
{
	(void)g;
	return pcidev_cfg_read(pd, off, size);
}

static inline uint64_t mmio_r(struct rig *g, uint64_t gpa, unsigned int size)
{
	uint64_t v = 0;
	return aspace_read(&g->mmio, gpa, &v, size) ? v : ones(size);
}

static inline bool mmio_w(struct rig *g, uint64_t gpa, uint64_t v, unsigned int size)
{
	return aspace_write(&g->mmio, gpa, v, size);
}

/* ---- a function to put on it ----------------------------------------------------------------- */

/* What a test device is made of; `next_spec` is taken by the next one realized. */
struct tspec {
	uint16_t device;
	bool pcie, flr, pm;
	struct {
		enum pcibar_kind kind;
		bool prefetch;
		uint64_t size, align;
	} bar[PCIDEV_N_BARS];
	uint64_t fixed[PCIDEV_N_BARS];
	unsigned int msix_n, tbir, toff, pbir, poff;
	unsigned int msi_n;
	unsigned int pin;
	bool multifunction;
};

struct tdev {
	struct pcidev pd;
	uint8_t mem[PCIDEV_N_BARS][65536];
	unsigned int reads, writes, enables, disables, resets, cfg_writes;
	unsigned int modes, vectors, settled;
	enum pcidev_irq_mode mode;
	bool live[2048];
	char log[512]; /* order of what happened */
};

static struct tspec next_spec;

static inline struct tdev *tdev_of(struct pcidev *pd)
{
	return container_of(pd, struct tdev, pd);
}

static inline void tdev_log(struct tdev *t, const char *what)
{
	if (strlen(t->log) + strlen(what) + 2 < sizeof(t->log)) {
		strcat(t->log, what);
		strcat(t->log, " ");
	}
}

static inline uint64_t tdev_read(struct pcidev *pd, unsigned int bar, uint64_t off,
				 unsigned int size)
{
	struct tdev *t = tdev_of(pd);
	assert_true(off + size <= pd->bar[bar].size && off % size == 0);
	t->reads++;
	return off + size <= sizeof(t->mem[bar]) ? get_le(&t->mem[bar][off], size) : 0;
}

static inline void tdev_write(struct pcidev *pd, unsigned int bar, uint64_t off, uint64_t val,
			      unsigned int size)
{
	struct tdev *t = tdev_of(pd);
	assert_true(off + size <= pd->bar[bar].size && off % size == 0);
	t->writes++;
	if (off + size <= sizeof(t->mem[bar]))
		put_le(&t->mem[bar][off], val, size);
}

static inline void tdev_enable(struct pcidev *pd, unsigned int bar)
{
	assert_true(pd->bar[bar].active);
	tdev_of(pd)->enables++;
	tdev_log(tdev_of(pd), "enable");
}

static inline void tdev_disable(struct pcidev *pd, unsigned int bar)
{
	assert_true(pd->bar[bar].active); /* still */
	tdev_of(pd)->disables++;
	tdev_log(tdev_of(pd), "disable");
}

static inline void tdev_cfg_written(struct pcidev *pd, unsigned int off, unsigned int size)
{
	(void)off;
	(void)size;
	tdev_of(pd)->cfg_writes++;
	tdev_log(tdev_of(pd), "written");
}

static inline void tdev_irq_mode(struct pcidev *pd, enum pcidev_irq_mode mode, unsigned int n)
{
	static const char *const name[] = { "none", "intx", "msi", "msix" };
	(void)n;
	tdev_of(pd)->modes++;
	tdev_of(pd)->mode = mode;
	tdev_log(tdev_of(pd), name[mode]);
}

static inline void tdev_irq_vector(struct pcidev *pd, unsigned int vec, struct msivec *v, bool live)
{
	struct tdev *t = tdev_of(pd);
	assert_ptr_equal(v, &pd->vec[vec]);
	assert_int_not_equal(t->live[vec], live);
	assert_true(v->fd >= 0);
	t->live[vec] = live;
	t->vectors++;
	tdev_log(t, live ? "live" : "dead");
}

static inline void tdev_irq_settled(struct pcidev *pd)
{
	struct tdev *t = tdev_of(pd);
	t->settled++;
	for (unsigned int i = 0; i < pd->n_vec; i++)
		assert_int_equal(pd->vec[i].bound, t->live[i]);
	tdev_log(t, "settled");
}

static inline void tdev_pci_reset(struct pcidev *pd)
{
	tdev_of(pd)->resets++;
	tdev_log(tdev_of(pd), "reset");
}

static const struct pcidev_ops tdev_ops = {
	.bar_read = tdev_read,
	.bar_write = tdev_write,
	.bar_enable = tdev_enable,
	.bar_disable = tdev_disable,
	.cfg_written = tdev_cfg_written,
	.irq_mode = tdev_irq_mode,
	.irq_vector = tdev_irq_vector,
	.irq_settled = tdev_irq_settled,
	.reset = tdev_pci_reset,
};

static inline int tdev_build(struct pcidev *pd, const struct tspec *s, struct verr *err)
{
	int r = 0;
	pcidev_init(pd, &tdev_ops, s->pcie, false);
	pcidev_set_ids(pd, 0x1234, s->device != 0 ? s->device : 0x11e8, 0x1234, 0x5678, 0x00ff00,
		       3);
	for (unsigned int i = 0; i < PCIDEV_N_BARS && r == 0; i++) {
		if (s->bar[i].kind == PCIBAR_NONE)
			continue;
		r = pcidev_add_bar(pd, i, s->bar[i].kind, s->bar[i].prefetch, s->bar[i].size, err);
		pd->bar[i].align = s->bar[i].align;
		pd->bar[i].fixed = s->fixed[i];
	}
	if (r == 0 && s->pm)
		r = pcidev_add_pm(pd, 0, err);
	if (r == 0 && s->msi_n != 0)
		r = pcidev_add_msi(pd, 0, s->msi_n, true, true, err);
	if (r == 0 && s->pcie)
		r = pcidev_add_exp(pd, 0, PCI_EXP_TYPE_ENDPOINT, s->flr, err);
	if (r == 0 && s->msix_n != 0)
		r = pcidev_add_msix(pd, 0, s->msix_n, s->tbir, s->toff, s->pbir, s->poff, err);
	if (r == 0 && s->pin != 0)
		r = pcidev_add_intx(pd, s->pin);
	pd->common.multifunction = s->multifunction;
	return r == 0 ? pcidev_attach(pd, err) : r;
}

static inline int tdev_realize(struct dev *d, struct verr *err)
{
	struct tspec s = next_spec;
	int r = tdev_build(rig_pd(d), &s, err);
	if (r < 0)
		pcidev_fini(rig_pd(d));
	return r;
}

static inline void tdev_unrealize(struct dev *d)
{
	pcidev_fini(rig_pd(d));
}

static inline void tdev_dev_reset(struct dev *d)
{
	pcidev_reset(rig_pd(d), true);
}

static inline struct dev *tdev_alloc(void)
{
	struct tdev *t = calloc(1, sizeof(*t));
	return t != NULL ? &t->pd.dev : NULL;
}

static inline void tdev_free(struct dev *d)
{
	free(tdev_of(rig_pd(d)));
}

static const struct dev_ops tdev_dev_ops = {
	.realize = tdev_realize,
	.unrealize = tdev_unrealize,
	.reset = tdev_dev_reset,
};

static const struct dev_type tdev_type = {
	.t = { .name = "test-function", .category = "test", .desc = "a function for tests" },
	.ops = &tdev_dev_ops,
	.alloc = tdev_alloc,
	.free = tdev_free,
	.pci = true,
};

static inline struct tdev *rig_tdev(struct rig *g, const char *id, const char *bus,
				    const char *addr, struct tspec spec)
{
	next_spec = spec;
	return tdev_of(rig_add(g, &tdev_type, id, bus, addr));
}

#endif
