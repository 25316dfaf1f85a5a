// SPDX-License-Identifier: GPL-2.0-or-later
// The INTx pin of an assigned function (PCI 3.0 2.2.6), a level on a line that others may share.
// VFIO masks the pin when it fires. What ends that is one of two:
//   resampling  the interrupt controller signals the guest's EOI to an eventfd that unmasks the
//               pin; user space is absent;
//   slow        where there is no such thing: user space raises the line, keeps the function's BARs
//               from being mapped, and takes the guest's next access to one as the driver having
//               served the interrupt. If it has not, the pin fires again: level semantics hold.
// Either way the guest's interrupts are counted now and then, and a storm gets the function's name
// into the log. Owns the pin's eventfds, timers and the hold on the windows.

#define LOG_TAG "vfio/intx"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/log.h"
#include "core/sys.h"
#include "vfio/passthru.h"

#define MS UINT64_C(1000000) /* in ns */

#define CALM_NS (1100 * MS) /* slow: without an interrupt for so long, BARs map again */

/* A storm: so many a second, and the pin up whenever looked at. Busy network cards stay below; a
 * guest that nobody stops makes a multiple of it. Linux gives a line up after 100 000. */
#define STORM_RATE 10000u
#define STORM_HOTS 3u	       /* looks in a row */
#define LOOK_NS	   (1000 * MS) /* between looks */
#define LOOK_HOT   (100 * MS)  /* when the last one found too many */
#define UNSEEN	   UINT64_MAX

/* ---- storms ---------------------------------------------------------------------------------- */

static bool asserted(struct passthru *p)
{
	return vfio_cfg_read(p->vd, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT;
}

static void judge(struct passthru *p, bool too_many, uint64_t rate)
{
	struct passthru_intx *x = &p->intx;

	x->hot = too_many ? x->hot + 1 : 0;
	if (x->hot >= STORM_HOTS && !x->storm) {
		x->storm = true;
		guest_warn("%s: INTx storm on line %u: %llu interrupts a second, and the function "
			   "still asserts it: no driver of the guest serves it",
			   p->vd->name, p->pd.intx.gsi, (unsigned long long)rate);
	} else if (x->storm && !too_many) {
		x->storm = false;
		guest_warn("%s: INTx storm on line %u is over", p->vd->name, p->pd.intx.gsi);
	}
}

static void look(struct loop_timer *t)
{
	struct passthru_intx *x = container_of(t, struct passthru_intx, look);
	struct passthru *p = container_of(x, struct passthru, intx);
	uint64_t now = x->raised, period = x->hot && !x->storm ? LOOK_HOT : LOOK_NS;

	if (p->lost || (!x->slow && intx_ended(&p->pd.intx, &now) < 0))
		return; /* no more looks: nobody counts */
	if (x->ended != UNSEEN) {
		uint64_t rate = (now - x->ended) * LOOK_NS / period;

		judge(p, rate >= STORM_RATE && asserted(p), rate);
	}
	x->ended = now;
	loop_arm(p->pd.dev.plat->loop, t, x->hot && !x->storm ? LOOK_HOT : LOOK_NS);
}

/* ---- slow ------------------------------------------------------------------------------------ */

static void raised(struct loop_fd *src, uint32_t events)
{
	struct passthru_intx *x = container_of(src, struct passthru_intx, ready);
	struct passthru *p = container_of(x, struct passthru, intx);

	(void)events;
	if (!sys_event_take(x->fd))
		return;
	x->raised++;
	x->pending = true;
	if (p->n_win) {
		passthru_win_hold(p);
		loop_arm(p->pd.dev.plat->loop, &x->calm, CALM_NS);
	}
	pcidev_intx_set(&p->pd, true);
}

static void calm(struct loop_timer *t)
{
	struct passthru_intx *x = container_of(t, struct passthru_intx, calm);
	struct passthru *p = container_of(x, struct passthru, intx);

	if (x->pending)
		loop_arm(p->pd.dev.plat->loop, t, CALM_NS);
	else
		passthru_win_release(p);
}

void passthru_intx_touched(struct passthru *p)
{
	if (!p->intx.pending)
		return;
	p->intx.pending = false;
	pcidev_intx_set(&p->pd, false);
	if (!p->lost)
		vfio_intx_mask(p->vd, false);
}

static int slow_on(struct passthru *p, int why)
{
	struct passthru_intx *x = &p->intx;

	if (!x->told)
		log_warn("%s: INTx goes through user space, which is slow: %s", p->vd->name,
			 why == -ECANCELED    ? "x-no-resample=on"
			 : why == -EOPNOTSUPP ? "the kernel has no resampling irqfds "
						"(KVM_CAP_IRQFD_RESAMPLE)"
					      : strerror(-why));
	x->told = true;
	x->slow = true;
	sys_close_fd(&x->resample_fd);
	x->ready.fd = x->fd;
	x->ready.events = EPOLLIN;
	return loop_add_fd(p->pd.dev.plat->loop, &x->ready, NULL);
}

static void slow_off(struct passthru *p)
{
	loop_del_fd(&p->intx.ready);
	loop_disarm(&p->intx.calm);
	p->intx.pending = false;
	pcidev_intx_set(&p->pd, false);
	passthru_win_release(p);
	p->intx.slow = false;
}

/* ---- on and off ------------------------------------------------------------------------------ */

static void close_fds(struct passthru_intx *x)
{
	sys_close_fd(&x->fd);
	sys_close_fd(&x->resample_fd);
	x->fd = x->resample_fd = -1; /* a failed eventfd() left its error there */
}

void passthru_intx_init(struct passthru *p)
{
	p->intx = (struct passthru_intx){
		.fd = -1,
		.resample_fd = -1,
		.ready.ready = raised,
		.calm.fired = calm,
		.look.fired = look,
	};
}

/* The line first, so that the first interrupt finds it. */
static int connect_pin(struct passthru *p)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;
	struct passthru_intx *x = &p->intx;

	x->fd = sys_eventfd(0, EFD_NONBLOCK);
	x->resample_fd = sys_eventfd(0, EFD_NONBLOCK);
	int r = MIN(MIN(x->fd, x->resample_fd), 0);
	if (r < 0)
		return r;
	int bound = cfg->x_no_resample ? -ECANCELED : intx_bind(&p->pd.intx, x->fd, x->resample_fd);
	if (bound < 0)
		r = slow_on(p, bound);
	if (r == 0)
		r = vfio_irqs_set(p->vd, VFIO_PCI_INTX_IRQ_INDEX, 0, &x->fd, 1);
	if (r == 0 && !x->slow)
		r = vfio_intx_unmask_fd(p->vd, x->resample_fd);
	if (r == 0)
		r = vfio_intx_mask(p->vd, false);
	return r;
}

int passthru_intx_on(struct passthru *p)
{
	struct vfio_irq *irq = &p->vd->irq[VFIO_PCI_INTX_IRQ_INDEX];
	/* One that goes on firing until it is served would never let the guest serve it. */
	int r = irq->flags & VFIO_IRQ_INFO_AUTOMASKED ? 0 : -EOPNOTSUPP;

	if (!irq->count || !p->pd.intx_pin)
		return 0;
	if (r == 0)
		r = connect_pin(p);
	if (r == 0) {
		p->intx.ended = UNSEEN;
		loop_arm(p->pd.dev.plat->loop, &p->intx.look, LOOK_HOT);
		return 0;
	}
	guest_warn("%s: INTx can't be delivered to the guest: %s", p->vd->name, strerror(-r));
	passthru_intx_off(p);
	close_fds(&p->intx);
	return r;
}

/* Masked and deasserted, whatever was in flight: the level must not stay behind. */
void passthru_intx_off(struct passthru *p)
{
	struct passthru_intx *x = &p->intx;

	if (x->fd < 0)
		return;
	loop_disarm(&x->look);
	x->hot = 0;
	x->storm = false;
	vfio_intx_mask(p->vd, true);
	if (!x->slow)
		vfio_intx_unmask_fd(p->vd, -1);
	intx_unbind(&p->pd.intx);
	vfio_irqs_disable(p->vd, VFIO_PCI_INTX_IRQ_INDEX);
	slow_off(p);
	close_fds(x);
}
