// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's life and its lock (see the header). Knows no device and no memory map: the
// machine type (machine_pc.c) does.

#include "vmm/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "core/trace.h"
#include "vmm/backend/backend.h"

void machine_lock(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
}

void machine_unlock(struct machine *m)
{
	pthread_mutex_unlock(&m->lock);
}

static void lock_hook(void *m)
{
	machine_lock(m);
}

static void unlock_hook(void *m)
{
	machine_unlock(m);
}

const char *machine_state_name(enum machine_state s)
{
	static const char *const names[] = { "new", "ready", "running", "paused", "stopped" };

	return names[s];
}

static void set_state(struct machine *m, enum machine_state s, const char *event, const char *text)
{
	m->state = s;
	T(machine_state, machine_state_name(s));
	if (m->observer && event)
		m->observer(m->observer_opaque, event, NULL, text);
}

/* ---- events from devices and vCPUs ----------------------------------------------------------- */

#define DEVICE_EVENTS                                                                              \
	(BIT32(PLATFORM_DEVICE_LOST) | BIT32(PLATFORM_DEVICE_EJECT) |                              \
	 BIT32(PLATFORM_DEVICE_GONE) | BIT32(PLATFORM_DEVICE_ERROR))

/* Only a crash and a lost device have something to say, the latter first as in event_run(). */
static bool event_tells(const struct machine *m, enum platform_event ev)
{
	if (ev == PLATFORM_PANIC)
		return !(m->events & (BIT32(PLATFORM_PANIC) | BIT32(PLATFORM_DEVICE_LOST)));
	return ev == PLATFORM_DEVICE_LOST && !(m->events & BIT32(PLATFORM_DEVICE_LOST));
}

static void machine_event(void *opaque, enum platform_event ev, struct dev *dev, const char *text)
{
	struct machine *m = opaque;

	pthread_mutex_lock(&m->event_lock);
	if (text && event_tells(m, ev))
		snprintf(m->event_text, sizeof(m->event_text), "%s", text);
	m->events |= BIT32(ev);
	if (dev && (BIT32(ev) & DEVICE_EVENTS)) {
		dev->raised |= BIT32(ev);
		snprintf(dev->why, sizeof(dev->why), "%s", text ? text : "");
	}
	pthread_mutex_unlock(&m->event_lock);
	loop_defer(m->loop, &m->event_job);
}

/* Who paused the machine finds it so: what the guest asked for until then is done at resume. */
static void hold_reset(struct machine *m)
{
	pthread_mutex_lock(&m->event_lock);
	m->events |= BIT32(PLATFORM_RESET);
	pthread_mutex_unlock(&m->event_lock);
}

/* The gravest first: a guest that crashed is not rebooted because it also asked for it. */
static void event_run(struct loop_job *job)
{
	struct machine *m = container_of(job, struct machine, event_job);
	char text[sizeof(m->event_text)];

	pthread_mutex_lock(&m->event_lock);
	unsigned int events = m->events;
	memcpy(text, m->event_text, sizeof(text));
	m->events = 0;
	m->event_text[0] = '\0';
	pthread_mutex_unlock(&m->event_lock);

	if (events & DEVICE_EVENTS)
		machine_plug_events(m);
	if (events & BIT32(PLATFORM_DEVICE_LOST))
		machine_quit(m, MACHINE_DEVICE_LOST, text);
	else if (events & BIT32(PLATFORM_PANIC))
		machine_quit(m, MACHINE_CRASHED, text);
	else if (events & BIT32(PLATFORM_QUIT))
		machine_quit(m, MACHINE_POWERED_OFF, "stopped at the console");
	else if (events & BIT32(PLATFORM_POWER_OFF))
		machine_quit(m, MACHINE_POWERED_OFF, "the guest powered off");
	else if ((events & BIT32(PLATFORM_RESET)) && !m->setup.reboot_restarts)
		machine_quit(m, MACHINE_POWERED_OFF, "the guest asked for a reboot");
	else if ((events & BIT32(PLATFORM_RESET)) && m->state == MACHINE_PAUSED)
		hold_reset(m);
	else if (events & BIT32(PLATFORM_RESET))
		machine_reset(m, NULL); /* what fails there ends the machine */
}

/* ---- life ------------------------------------------------------------------------------------ */

static void backend_quit(void *opaque, const char *why)
{
	machine_event(opaque, PLATFORM_QUIT, NULL, why);
}

static int init_parts(struct machine *m, struct verr *reterr)
{
	gmem_init(&m->gmem);
	list_init(&m->devs);
	const struct backend_host host = {
		.loop = m->loop,
		.dry_run = m->setup.dry_run,
		.quit = backend_quit,
		.opaque = m,
		.messages = stderr,
	};
	backend_set_init(&m->backends, &host);
	list_init(&m->ejects);
	m->ram.fd = -1;
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->event_lock, NULL);
	m->event_job.run = event_run;
	loop_set_lock(m->loop, lock_hook, unlock_hook, m);
	int r = aspace_init(&m->mmio, "mmio", UINT64_MAX);
	if (r == 0)
		r = aspace_init(&m->pio, "pio", 0xffff);
	return r < 0 ? verr_set(reterr, r, "out of memory") : 0;
}

static int attach_accel(struct machine *m, struct verr *reterr)
{
	const struct accel_machine am = {
		.vcpus = m->setup.vcpus,
		.ram = &m->gmem,
		.mmio = &m->mmio,
		.exits = &machine_exits,
		.opaque = m,
	};

	if (m->setup.vcpus > m->accel->max_vcpus)
		return verr_set(reterr, -EINVAL,
				"--cpus %u is more than accelerator \"%s\" can have "
				"here (%u)",
				m->setup.vcpus, m->accel->name, m->accel->max_vcpus);
	int r = m->accel->ops->attach(m->accel, &am, reterr);
	if (r < 0)
		return r;
	m->attached = true;
	m->plat = (struct platform){
		.mmio = &m->mmio,
		.pio = &m->pio,
		.ram = &m->gmem,
		.irq = m->accel->irq,
		.accel = m->accel,
		.loop = m->loop,
		.pci0 = &m->pci0,
		.backends = &m->backends,
		.event = machine_event,
		.port_for = machine_port_for,
		.reserve = machine_reserve,
		.event_opaque = m,
		.dry_run = m->setup.dry_run,
	};
	return 0;
}

int machine_new(const struct machine_setup *s, struct loop *loop, struct machine **ret,
		struct verr *reterr)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m) {
		props_free(&s->type->t, s->cfg);
		s->accel->ops->close(s->accel);
		return verr_set(reterr, -ENOMEM, "out of memory");
	}
	m->setup = *s;
	m->type = s->type;
	m->cfg = s->cfg;
	m->accel = s->accel;
	m->loop = loop;
	timing_mark(&m->timing, "start");
	int r = init_parts(m, reterr);
	if (r == 0 && s->boot.kernel)
		r = boot_open(&s->boot, &m->boot, reterr);
	if (r == 0)
		r = attach_accel(m, reterr);
	timing_mark(&m->timing, "accelerator");
	if (r == 0)
		r = m->type->ops->build(m, reterr);
	timing_mark(&m->timing, "machine");
	if (r < 0) {
		machine_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

/* vCPUs, then devices (each: bus mastering off, interrupts off, windows off, given back), then
 * memory and the accelerator: the reverse of the way up. */
void machine_free(struct machine *m)
{
	if (!m)
		return;
	if (m->attached)
		m->accel->ops->pause(m->accel);
	machine_lock(m);
	machine_plug_forget(m);
	machine_free_devices(m);
	backend_set_fini(&m->backends);
	if (m->has_bus)
		pcibus_fini(&m->pci0);
	chr_close(m->console);
	machine_unlock(m);
	loop_cancel(&m->event_job);
	loop_set_lock(m->loop, NULL, NULL, NULL);
	m->accel->ops->close(m->accel); /* with the VM's slots, cheaper than one by one */
	for (unsigned int i = ARRAY_SIZE(m->ram.part); i-- > 0;)
		gmem_del(&m->ram.part[i]);
	machine_ram_free(&m->ram);
	aspace_fini(&m->mmio);
	aspace_fini(&m->pio);
	gmem_fini(&m->gmem);
	boot_close(m->boot);
	props_free(&m->type->t, m->cfg);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->event_lock);
	free(m);
}

static void reset_devices(struct machine *m)
{
	struct dev *d;

	list_for_each(d, &m->devs, struct dev, node)
		dev_reset(d);
}

int machine_realize(struct machine *m, struct verr *reterr)
{
	timing_mark(&m->timing, "devices");
	int r = m->type->ops->settle(m, reterr);
	if (r < 0)
		return r;
	timing_mark(&m->timing, "memory and PCI map");
	m->state = MACHINE_READY;
	return 0;
}

static int load_and_start(struct machine *m, struct verr *reterr)
{
	struct boot_state bs;
	struct dev *d;
	int r = 0;

	if (m->boot)
		r = boot_load(m->boot, &m->layout, &m->gmem, &bs, reterr);
	if (r == 0 && m->boot)
		r = m->accel->ops->boot_set(m->accel, &bs, reterr);
	timing_mark(&m->timing, "kernel");
	list_for_each(d, &m->devs, struct dev, node)
		if (r == 0 && d->state == DEV_REALIZED)
			r = dev_start(d, reterr);
	if (r == 0)
		r = m->accel->ops->run(m->accel, reterr);
	timing_mark(&m->timing, "vCPUs run");
	if (r == 0)
		set_state(m, MACHINE_RUNNING, NULL, NULL);
	return r;
}

int machine_start(struct machine *m, struct verr *reterr)
{
	struct dev *d;

	reset_devices(m);
	timing_mark(&m->timing, "device reset");
	list_for_each(d, &m->devs, struct dev, node) {
		const char *why = machine_unusable(m, d);
		if (why)
			return verr_set(reterr, -EIO, "%s %s: %s", d->type->t.name, d->id, why);
	}
	return load_and_start(m, reterr);
}

/* A vCPU may be waiting for the lock in an exit: it is dropped while they are waited for. */
static void pause_vcpus(struct machine *m)
{
	machine_unlock(m);
	m->accel->ops->pause(m->accel);
	machine_lock(m);
}

void machine_pause(struct machine *m)
{
	struct dev *d;

	if (m->state != MACHINE_RUNNING)
		return;
	pause_vcpus(m);
	list_for_each_reverse(d, &m->devs, struct dev, node)
		dev_pause(d);
	set_state(m, MACHINE_PAUSED, "STOP", NULL);
}

int machine_resume(struct machine *m, struct verr *reterr)
{
	struct dev *d;

	if (m->state != MACHINE_PAUSED)
		return 0;
	int r = m->accel->ops->run(m->accel, reterr);
	if (r < 0)
		return r;
	list_for_each(d, &m->devs, struct dev, node)
		dev_resume(d);
	set_state(m, MACHINE_RUNNING, "RESUME", NULL);
	loop_defer(m->loop, &m->event_job); /* see hold_reset() */
	return 0;
}

/* What the vCPUs asked for until they stood still is answered by the one reset that follows. */
static void forget_resets(struct machine *m)
{
	pthread_mutex_lock(&m->event_lock);
	m->events &= ~BIT32(PLATFORM_RESET);
	pthread_mutex_unlock(&m->event_lock);
}

static int start_over(struct machine *m, struct verr *reterr)
{
	struct dev *d;

	list_for_each_reverse(d, &m->devs, struct dev, node)
		dev_stop(d);
	machine_plug_settle(m);
	machine_plug_place(m);
	list_for_each(d, &m->devs, struct dev, node)
		dev_reset_begin(d);
	int r = m->accel->ops->reset(m->accel, reterr);
	if (r < 0)
		return r;
	reset_devices(m);
	return load_and_start(m, reterr);
}

/* As the reset line does: everything to power-on, the kernel loaded anew. A paused machine stays
 * paused no longer: it starts over. Half of a reset is no machine: a failure ends it. */
int machine_reset(struct machine *m, struct verr *reterr)
{
	struct verr err = { 0 };

	if (m->state != MACHINE_RUNNING && m->state != MACHINE_PAUSED)
		return verr_set(reterr, -EINVAL, "the machine is not running");
	pause_vcpus(m);
	forget_resets(m);
	int r = start_over(m, &err);
	if (r < 0) {
		machine_quit(m, MACHINE_CRASHED, err.msg);
		return verr_set(reterr, r, "%s", err.msg);
	}
	if (m->observer)
		m->observer(m->observer_opaque, "RESET", NULL, NULL);
	return 0;
}

void machine_quit(struct machine *m, enum machine_stop why, const char *text)
{
	if (m->state == MACHINE_STOPPED)
		return;
	m->stop = why;
	snprintf(m->stop_text, sizeof(m->stop_text), "%s", text ? text : "");
	set_state(m, MACHINE_STOPPED, "SHUTDOWN", m->stop_text);
	loop_quit(m->loop, 0);
}

int machine_run(struct machine *m, enum machine_stop *ret, struct verr *reterr)
{
	machine_lock(m);
	int r = machine_start(m, reterr);
	machine_unlock(m);
	if (r < 0)
		return r;
	int status = loop_run(m->loop);
	if (status < 0)
		return verr_set(reterr, status, "the event loop failed: %s", strerror(-status));
	*ret = m->stop;
	return status;
}

void machine_describe(const struct machine *m, FILE *out)
{
	struct dev *d;

	fprintf(out, "machine %s, %u vCPU%s, %llu MiB of RAM\naccelerator %s%s%s%s\n",
		m->type->t.name, m->setup.vcpus, m->setup.vcpus == 1 ? "" : "s",
		(unsigned long long)(m->setup.ram_size >> 20), m->accel->name,
		m->accel->detail[0] ? " (" : "", m->accel->detail, m->accel->detail[0] ? ")" : "");
	if (m->boot) {
		fprintf(out, "boot\n");
		boot_describe(m->boot, out);
	}
	m->type->ops->describe(m, out);
	list_for_each(d, &m->devs, struct dev, node) {
		if (!d->type->user || !d->type->ops->describe)
			continue;
		fprintf(out, "device %s (%s)\n", d->id, d->type->t.name);
		d->type->ops->describe(d, out);
	}
}

/* ---- --timing -------------------------------------------------------------------------------- */

void timing_mark(struct timing *t, const char *what)
{
	struct timespec ts;

	if (t->n == ARRAY_SIZE(t->mark))
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	t->mark[t->n].what = what;
	t->mark[t->n++].ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void timing_print(const struct timing *t, FILE *out)
{
	for (unsigned int i = 1; i < t->n; i++)
		fprintf(out, "timing: %-20s %10.3f ms\n", t->mark[i].what,
			(double)(t->mark[i].ns - t->mark[i - 1].ns) / 1e6);
	if (t->n > 1)
		fprintf(out, "timing: %-20s %10.3f ms\n", "total",
			(double)(t->mark[t->n - 1].ns - t->mark[0].ns) / 1e6);
}
