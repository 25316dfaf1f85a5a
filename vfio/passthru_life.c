// SPDX-License-Identifier: GPL-2.0-or-later
// Leaving and losing an assigned function: the host asks for it back (VFIO's REQ interrupt, again
// and again until it has it), it reports an error (ERR), it vanishes, which nobody need say: it is
// looked at now and then. What is done about it are the properties on-request and on-error; here it
// is decided, the machine does it.

#define LOG_TAG "vfio/life"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <linux/vfio.h>

#include "core/log.h"
#include "core/sys.h"
#include "pci/pcibus.h"
#include "pci/pcieport.h"
#include "vfio/passthru.h"

#define MEND_MAX     3 /* errors mended within ... */
#define MEND_SECONDS 60

#define WATCH_NS       UINT64_C(500000000) /* two looks a second; */
#define WATCH_AGAIN_NS UINT64_C(250000000) /* one that finds nothing is made sure of: */
#define WATCH_MISSES   3		   /* its bus may be in the middle of a reset */

static const struct passthru_config *config(const struct passthru *p)
{
	return p->pd.dev.cfg;
}

void passthru_lose(struct passthru *p, bool vanished, const char *why)
{
	bool stop = vanished ? config(p)->on_request == PASSTHRU_REQUEST_STOP
			     : config(p)->on_error != PASSTHRU_ERROR_EJECT;

	if (p->lost)
		return;
	p->lost = true;
	p->vd->vanished = vanished;
	passthru_win_drop(p);
	dev_event(&p->pd.dev, stop ? PLATFORM_DEVICE_LOST : PLATFORM_DEVICE_GONE, "%s: %s",
		  p->vd->name, why);
}

static void req_ready(struct loop_fd *src, uint32_t events)
{
	struct passthru *p = container_of(src, struct passthru, req);

	(void)events;
	sys_event_take(p->req_fd);
	if (!vfio_device_alive(p->vd)) {
		passthru_lose(p, true, "the device is gone from the host");
		return;
	}
	if (p->asked || p->lost)
		return;
	p->asked = true;
	dev_event(&p->pd.dev,
		  config(p)->on_request == PASSTHRU_REQUEST_STOP ? PLATFORM_DEVICE_LOST
								 : PLATFORM_DEVICE_EJECT,
		  "%s: the host asks for the device back", p->vd->name);
}

/* One that fails again and again is not worth the guest's time. */
static bool worth_mending(struct passthru *p)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (p->mended == 0 || (uint64_t)now.tv_sec - p->mended_since > MEND_SECONDS) {
		p->mended = 0;
		p->mended_since = (uint64_t)now.tv_sec;
	}
	return p->mended++ < MEND_MAX;
}

/* Switched off it was reset, as all functions of the slot: in again. */
static void put_in(struct passthru *p)
{
	if (p->lost)
		return;
	pcieport_plugged(pcidev_slot(&p->pd));
	dev_event(&p->pd.dev, PLATFORM_DEVICE_ERROR, "%s: reset after an uncorrectable error",
		  p->vd->name);
}

void passthru_mended(struct passthru *p)
{
	loop_disarm(&p->mend_late);
	p->mending = false;
}

static void mend_granted(void *opaque)
{
	struct passthru *p = opaque;

	passthru_mended(p);
	put_in(p);
}

static void mend_late(struct loop_timer *t)
{
	struct passthru *p = container_of(t, struct passthru, mend_late);

	p->mending = false;
	pcieport_unplugged(pcidev_slot(&p->pd));
	put_in(p);
}

/* The guest is asked to let go of its card and, when it is reset, to take it again: the only way
 * that every driver stands. One that does not answer sees it pulled; some drivers then wait for a
 * register of it for ever. */
static void mend(struct passthru *p, struct pcidev *port)
{
	unsigned int seconds = p->pd.common.eject_timeout;

	if (p->mending)
		return;
	p->mend_late.fired = mend_late;
	if (seconds == 0) {
		mend_late(&p->mend_late);
		return;
	}
	p->mending = true;
	if (pcieport_request_eject(port, mend_granted, p) < 0) { /* it was asked: it leaves */
		p->mending = false;
		dev_event(&p->pd.dev, PLATFORM_DEVICE_ERROR, "%s: an uncorrectable error",
			  p->vd->name);
	} else if (p->mending) {
		loop_arm(p->pd.dev.plat->loop, &p->mend_late, seconds * UINT64_C(1000000000));
	}
}

static void err_ready(struct loop_fd *src, uint32_t events)
{
	struct passthru *p = container_of(src, struct passthru, err);
	static const char words[] = "the device reported an uncorrectable error";
	struct pcidev *port = pcidev_slot(&p->pd);
	enum platform_event ev = PLATFORM_DEVICE_LOST;
	const char *more = "";

	(void)events;
	sys_event_take(p->err_fd);
	if (p->lost)
		return;
	if (!vfio_device_alive(p->vd)) {
		passthru_lose(p, true, "the device had an error and is gone from the host");
		return;
	}
	if (config(p)->on_error == PASSTHRU_ERROR_EJECT) {
		ev = PLATFORM_DEVICE_GONE;
	} else if (config(p)->on_error == PASSTHRU_ERROR_RESET && !port) {
		more = " and is in no hot-plug slot, through which a guest could be told of a reset";
	} else if (config(p)->on_error == PASSTHRU_ERROR_RESET) {
		if (p->mending || worth_mending(p)) {
			mend(p, port);
			return;
		}
		ev = PLATFORM_DEVICE_GONE;
		more = " again and again";
	}
	dev_event(&p->pd.dev, ev, "%s: %s%s", p->vd->name, words, more);
}

/* A host whose slot lost power behind its back asks for nothing, and a guest that looks at mapped
 * BARs only faults nowhere. */
static void watch(struct loop_timer *t)
{
	struct passthru *p = container_of(t, struct passthru, watch);

	if (p->lost)
		return;
	/* A look would wake it. */
	p->missed = p->asleep || vfio_device_alive(p->vd) ? 0 : p->missed + 1;
	if (p->missed == WATCH_MISSES)
		passthru_lose(p, true, "the device is gone from the host");
	else
		loop_arm(p->pd.dev.plat->loop, t, p->missed ? WATCH_AGAIN_NS : WATCH_NS);
}

/* ---- the interrupts -------------------------------------------------------------------------- */

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

int passthru_notify_on(struct passthru *p, struct verr *reterr)
{
	int r = notify_one(p, VFIO_PCI_REQ_IRQ_INDEX, &p->req_fd, &p->req, req_ready, reterr);

	if (r == 0)
		r = notify_one(p, VFIO_PCI_ERR_IRQ_INDEX, &p->err_fd, &p->err, err_ready, reterr);
	if (r < 0)
		return r;
	p->watch.fired = watch;
	loop_arm(p->pd.dev.plat->loop, &p->watch, WATCH_NS);
	return 0;
}

void passthru_notify_off(struct passthru *p)
{
	if (p->req_fd >= 0 && p->vd)
		vfio_irqs_disable(p->vd, VFIO_PCI_REQ_IRQ_INDEX);
	if (p->err_fd >= 0 && p->vd)
		vfio_irqs_disable(p->vd, VFIO_PCI_ERR_IRQ_INDEX);
	loop_disarm(&p->watch);
	loop_disarm(&p->mend_late);
	loop_del_fd(&p->req);
	loop_del_fd(&p->err);
	sys_close_fd(&p->req_fd);
	sys_close_fd(&p->err_fd);
}
