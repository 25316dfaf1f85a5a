// SPDX-License-Identifier: GPL-2.0-or-later
// What a vCPU's exits mean: the accesses go to the address spaces under the machine lock, the
// rest becomes an event for the loop. Runs in vCPU threads; knows no device.

#include <inttypes.h>

#include "core/bytes.h"
#include "core/trace.h"
#include "vmm/machine.h"

static void exit_mmio_read(void *opaque, uint64_t gpa, void *data, unsigned int len)
{
	struct machine *m = opaque;
	uint64_t val = ones(len);

	machine_lock(m);
	if (!aspace_read(&m->mmio, gpa, &val, len))
		val = ones(len);
	machine_unlock(m);
	T(mmio_read, gpa, len, val);
	put_le(data, val, len);
}

static void exit_mmio_write(void *opaque, uint64_t gpa, const void *data, unsigned int len)
{
	struct machine *m = opaque;
	uint64_t val = get_le(data, len);

	T(mmio_write, gpa, len, val);
	machine_lock(m);
	aspace_write(&m->mmio, gpa, val, len);
	machine_unlock(m);
}

static void exit_pio_read(void *opaque, uint16_t port, void *data, unsigned int len)
{
	struct machine *m = opaque;
	uint64_t val = ones(len);

	machine_lock(m);
	if (!aspace_read(&m->pio, port, &val, len))
		val = ones(len);
	machine_unlock(m);
	T(pio_read, (uint64_t)port, len, val);
	put_le(data, val, len);
}

static void exit_pio_write(void *opaque, uint16_t port, const void *data, unsigned int len)
{
	struct machine *m = opaque;
	uint64_t val = get_le(data, len);

	T(pio_write, (uint64_t)port, len, val);
	machine_lock(m);
	aspace_write(&m->pio, port, val, len);
	machine_unlock(m);
}

static bool exit_fault(void *opaque)
{
	struct machine *m = opaque;
	struct dev *d;
	bool any = false;

	machine_lock(m);
	list_for_each(d, &m->devs, struct dev, node)
		if (d->state != DEV_NEW && d->type->ops->recheck)
			any |= d->type->ops->recheck(d);
	machine_unlock(m);
	return any;
}

static void exit_stopped(void *opaque, enum vm_stop_reason reason, const char *why)
{
	struct machine *m = opaque;

	(void)reason;
	m->plat.event(m->plat.event_opaque, PLATFORM_PANIC, NULL, why);
}

const struct vmexit_ops machine_exits = {
	.mmio_read = exit_mmio_read,
	.mmio_write = exit_mmio_write,
	.pio_read = exit_pio_read,
	.pio_write = exit_pio_write,
	.fault = exit_fault,
	.stopped = exit_stopped,
};
