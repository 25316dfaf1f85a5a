// SPDX-License-Identifier: GPL-2.0-or-later
// What the two halves of virtio-console share: virtio_console.c is the device and its ports'
// control messages, virtio_console_io.c moves their bytes. Unlike those of other devices, its
// queues are served by the loop, under the machine lock: that is where character back ends live.
#pragma once

#include <linux/virtio_console.h>

#include "vmm/backend/chardevs.h"
#include "vmm/virtio/virtio.h"

VV_BEGIN_DECLS

#define CON_PORTS_MAX 31
#define CON_NAME_MAX  64
#define CON_SPILL     4096u

struct virtio_console;

struct con_port {
	struct virtio_console *s;
	unsigned int id;
	const char *name;	/* borrowed; NULL: the console */
	struct backend *back;	/* NULL: there is no console on port 0 */
	struct vq *rx, *tx;	/* filled by the device; emptied by it */
	bool ready, guest_open; /* as the driver says */
	uint32_t say;		/* BIT32(VIRTIO_CONSOLE_*) messages owed to the driver */
	uint64_t tx_off;	/* of the first buffer in tx: bytes written of it */
	size_t n_spill;		/* received, and no buffer of the driver's had room */
	uint8_t spill[CON_SPILL];
	struct loop_fd rx_kick, tx_kick;
};

struct virtio_console {
	struct virtio_dev vd;
	unsigned int n_ports;
	struct con_port *port;	    /* n_ports, owned */
	struct loop_fd ctl_kick[2]; /* queue 2: to the driver, 3: from it */
	struct iovec iov[VQ_SEGS];  /* of the buffer at hand */
};

extern const struct chardev_front con_console_front, con_port_front;

static inline struct chardev *con_chr(const struct con_port *p)
{
	return p->back ? chardev_of(p->back) : NULL;
}

/* Takes the next buffer of `q` into *e, or asks for a kick. As vq_pop(). */
int con_pop(struct virtio_console *s, struct vq *q, struct vq_elem *e);
/* For loop_fd.ready: the driver kicked. */
void con_rx_kicked(struct loop_fd *src, uint32_t events);
void con_tx_kicked(struct loop_fd *src, uint32_t events);
/* A message to the driver is owed: sends what can be sent. */
void con_say(struct con_port *p, unsigned int event);

VV_END_DECLS
