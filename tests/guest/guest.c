// SPDX-License-Identifier: GPL-2.0-or-later
// The guest player's machine and its accesses (see the header). Builds the machine by the calls
// of vmm/vmm.c, in their order, and plays no device's driver: that is guest_pci.c's.
#include "tests/guest/guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "tests/fake/fake_kvm.h"
#include "tests/guest/guest_int.h"
#include "vmm/accel_select.h"
#include "vmm/assign.h"
#include "vmm/machine_pc.h"

#define PATIENCE_MS 5000

void guest_bug(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("guest: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

/* --- life ------------------------------------------------------------------------------------- */

static int new_machine(struct guest *g, const struct guest_setup *s, struct accel *a,
		       struct verr *reterr)
{
	void *cfg = props_new(&pc_machine.t);
	if (!cfg) {
		a->ops->close(a);
		return verr_set(reterr, -ENOMEM, "out of memory");
	}
	const struct props_target target = { pc_machine.t.props, cfg };
	int r = props_parse("pc", s->machine ? s->machine : "", &target, 1, reterr);
	if (r < 0) {
		props_free(&pc_machine.t, cfg);
		a->ops->close(a);
		return r;
	}
	const struct machine_setup ms = {
		.type = &pc_machine,
		.cfg = cfg,
		.accel = a,
		.ram_size = s->ram ? s->ram : MIB(4),
		.vcpus = s->vcpus ? s->vcpus : 1,
		.boot = { .kernel = s->kernel },
		.reboot_restarts = !s->reboot_exits,
		.dry_run = s->dry_run,
	};
	return machine_new(&ms, g->loop, &g->m, reterr);
}

static int fill_machine(struct guest *g, const struct guest_setup *s, struct verr *reterr)
{
	char *args[4 * GUEST_DEVICES];
	unsigned int n = 0;
	for (; n < GUEST_DEVICES && s->device[n]; n++) {
		args[n] = strdup(s->device[n]);
		if (!args[n])
			guest_bug("out of memory");
	}
	int r = assign_expand(args, &n, ARRAY_SIZE(args), reterr);
	machine_lock(g->m);
	for (unsigned int i = 0; i < GUEST_BACKENDS && s->backend[i].arg && r == 0; i++)
		r = machine_add_backend(g->m, s->backend[i].kind, s->backend[i].arg, reterr);
	if (r == 0)
		r = machine_add_devices(g->m, args, n, reterr);
	if (r == 0)
		r = machine_realize(g->m, reterr);
	machine_unlock(g->m);
	assign_free(args, n);
	return r;
}

int guest_open(struct guest *g, const struct guest_setup *s, struct verr *reterr)
{
	struct accel *a = NULL;
	bool fallback;
	memset(g, 0, sizeof(*g));
	int r = accel_list_open(s->accel ? s->accel : "kvm", NULL, &a, &fallback, reterr);
	if (r < 0)
		return r;
	g->kvm = a->runs_guests;
	r = loop_open(&g->loop, reterr);
	if (r < 0)
		a->ops->close(a);
	else
		r = new_machine(g, s, a, reterr);
	if (r == 0)
		r = fill_machine(g, s, reterr);
	if (r < 0)
		guest_close(g);
	return r;
}

int guest_run(struct guest *g, struct verr *reterr)
{
	struct verr err = { 0 };
	machine_lock(g->m);
	int r = machine_start(g->m, &err);
	machine_unlock(g->m);
	if (r == -EOPNOTSUPP && !g->kvm)
		return 0;
	if (r < 0)
		return verr_set(reterr, r, "%s", err.msg);
	if (!fake_kvm_wait_running(g->m->setup.vcpus, PATIENCE_MS))
		guest_bug("%u vCPUs do not all run", g->m->setup.vcpus);
	return 0;
}

void guest_start(struct guest *g, const struct guest_setup *s)
{
	struct verr err = { 0 };
	if (guest_open(g, s, &err) < 0 || guest_run(g, &err) < 0)
		guest_bug("the machine does not start: %s", err.msg);
}

void guest_close(struct guest *g)
{
	machine_free(g->m);
	loop_close(g->loop);
	g->m = NULL;
	g->loop = NULL;
}

int guest_reset(struct guest *g, struct verr *reterr)
{
	machine_lock(g->m);
	int r = machine_reset(g->m, reterr);
	machine_unlock(g->m);
	if (r == 0 && !fake_kvm_wait_running(g->m->setup.vcpus, PATIENCE_MS))
		guest_bug("%u vCPUs do not all run after the reset", g->m->setup.vcpus);
	return r;
}

/* What a callback defers waits for the next turn. */
void guest_turn(struct guest *g)
{
	for (unsigned int i = 0; i < 4; i++)
		loop_turn(g->loop, 0);
}

/* --- accesses --------------------------------------------------------------------------------- */

/* Host address of guest memory, RAM or a window; NULL: it would be an exit. */
static uint8_t *backing(struct guest *g, uint64_t gpa, unsigned int size)
{
	const struct gmem_region *r;
	list_for_each(r, &g->m->gmem.regions, const struct gmem_region, node)
		if (gpa >= r->gpa && gpa - r->gpa <= r->size - size)
			return (uint8_t *)r->hva + (gpa - r->gpa);
	return NULL;
}

static void served(struct guest *g, int how, const char *what, uint64_t at)
{
	g->last = how;
	if (how < 0)
		guest_bug("%s at %#llx: %s", what, (unsigned long long)at, strerror(-how));
}

uint64_t guest_read(struct guest *g, uint64_t gpa, unsigned int size)
{
	uint64_t val = 0;
	uint8_t buf[8] = { 0 };
	if (g->kvm) {
		served(g, fake_guest_read(0, gpa, &val, size), "read", gpa);
		return val & ones(size);
	}
	const uint8_t *p = backing(g, gpa, size);
	g->last = p ? FAKE_ACCESS_DIRECT : FAKE_ACCESS_EXIT;
	if (p)
		return get_le(p, size);
	machine_exits.mmio_read(g->m, gpa, buf, size);
	return get_le(buf, size);
}

void guest_write(struct guest *g, uint64_t gpa, uint64_t val, unsigned int size)
{
	uint8_t buf[8] = { 0 };
	if (g->kvm) {
		served(g, fake_guest_write(0, gpa, val, size), "write", gpa);
		return;
	}
	uint8_t *p = backing(g, gpa, size);
	g->last = p ? FAKE_ACCESS_DIRECT : FAKE_ACCESS_EXIT;
	put_le(p ? p : buf, val, size);
	if (!p)
		machine_exits.mmio_write(g->m, gpa, buf, size);
}

uint32_t guest_in(struct guest *g, uint16_t port, unsigned int size)
{
	uint32_t val = 0;
	uint8_t buf[4] = { 0 };
	if (g->kvm) {
		served(g, fake_guest_in(0, port, &val, size), "in", port);
		return val & (uint32_t)ones(size);
	}
	g->last = FAKE_ACCESS_EXIT;
	machine_exits.pio_read(g->m, port, buf, size);
	return (uint32_t)get_le(buf, size);
}

void guest_out(struct guest *g, uint16_t port, uint32_t val, unsigned int size)
{
	uint8_t buf[4] = { 0 };
	if (g->kvm) {
		served(g, fake_guest_out(0, port, val, size), "out", port);
		return;
	}
	g->last = FAKE_ACCESS_EXIT;
	put_le(buf, val, size);
	machine_exits.pio_write(g->m, port, buf, size);
}
