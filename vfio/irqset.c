// SPDX-License-Identifier: GPL-2.0-or-later
// VFIO_DEVICE_SET_IRQS: builds the request and issues it. Owns nothing: the eventfds are lent for
// the call, the kernel takes its own reference. Must not know modes, routes or guests.
#define LOG_TAG "vfio/irqset"

#include "vfio/device.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>

#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"

#define VECTORS_MAX 2048u /* MSI-X Table Size is 11 bits (PCI 3.0 6.8.2.3) */

union irq_request {
	struct vfio_irq_set set;
	uint8_t room[sizeof(struct vfio_irq_set) + VECTORS_MAX * sizeof(int32_t)];
};

/* fds NULL: no data. The flags' data type follows from that. */
static int set_irqs(struct vfio_device *d, unsigned int index, uint32_t action, unsigned int start,
		    const int *fds, unsigned int n)
{
	union irq_request req;
	size_t data = fds ? n * sizeof(int32_t) : 0;

	req.set = (struct vfio_irq_set){
		.argsz = (uint32_t)(sizeof(req.set) + data),
		.flags = action | (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
		.index = index,
		.start = start,
		.count = n,
	};
	if (data)
		memcpy(req.set.data, fds, data);

	int r = sys_ioctl(d->fd, VFIO_DEVICE_SET_IRQS, &req);

	T(vfio_irq_set, d->name, index, start, n);
	if (r != 0)
		log_debug("%s: SET_IRQS index %u start %u count %u: %d", d->name, index, start, n,
			  r);
	return r;
}

/* Is [start, start+n) inside the index? n > 0. */
static bool in_index(const struct vfio_device *d, unsigned int index, unsigned int start,
		     unsigned int n)
{
	if (index >= VFIO_N_IRQS || n == 0 || n > VECTORS_MAX)
		return false;

	uint32_t count = d->irq[index].count;

	return start < count && n <= count - start;
}

int vfio_irqs_set(struct vfio_device *d, unsigned int index, unsigned int start, const int *fds,
		  unsigned int n)
{
	if (!fds || !in_index(d, index, start, n))
		return -EINVAL;
	return set_irqs(d, index, VFIO_IRQ_SET_ACTION_TRIGGER, start, fds, n);
}

int vfio_irqs_disable(struct vfio_device *d, unsigned int index)
{
	if (index >= VFIO_N_IRQS)
		return -EINVAL;
	if (d->irq[index].count == 0)
		return 0; /* nothing there to disable */
	return set_irqs(d, index, VFIO_IRQ_SET_ACTION_TRIGGER, 0, NULL, 0);
}

int vfio_intx_mask(struct vfio_device *d, bool mask)
{
	if (!in_index(d, VFIO_PCI_INTX_IRQ_INDEX, 0, 1))
		return -EINVAL;
	return set_irqs(d, VFIO_PCI_INTX_IRQ_INDEX,
			mask ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK, 0, NULL, 1);
}

int vfio_intx_unmask_fd(struct vfio_device *d, int fd)
{
	if (!in_index(d, VFIO_PCI_INTX_IRQ_INDEX, 0, 1))
		return -EINVAL;
	return set_irqs(d, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, &fd, 1);
}
