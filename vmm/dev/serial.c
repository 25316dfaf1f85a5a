// SPDX-License-Identifier: GPL-2.0-or-later
// 16550A serial port. Bytes leave at once, unless the back end has no room: then they wait in the
// transmit FIFO and the guest sees it full, as behind a slow line. Received bytes are taken from
// the back end as the receive FIFO has room, so nothing is overrun but in loopback. Owns the
// registers and the interrupt line; knows of the back end only that it takes and gives bytes.
// Spec: National Semiconductor PC16550D data sheet, chapter 8.
#define LOG_TAG "serial"
#include <stdlib.h>
#include <string.h>

#include "core/aspace.h"
#include "core/irq.h"
#include "core/log.h"
#include "vmm/backend/backend.h"
#include "vmm/dev/devs.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR, REGS };

#define IER_RDA	 0x01
#define IER_THRE 0x02
#define IER_LSI	 0x04
#define IER_MSI	 0x08

#define IIR_NONE    0x01
#define IIR_MSI	    0x00
#define IIR_THRE    0x02
#define IIR_RDA	    0x04
#define IIR_LSI	    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS   0xc0

#define FCR_ENABLE   0x01
#define FCR_RX_RESET 0x02
#define FCR_TX_RESET 0x04

#define LCR_DLAB 0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08 /* on a PC, the gate between the chip's interrupt pin and the line */
#define MCR_LOOP 0x10

#define LSR_DR	 0x01
#define LSR_OE	 0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_DELTAS 0x0f
#define MSR_CTS	   0x10
#define MSR_DSR	   0x20
#define MSR_RI	   0x40
#define MSR_DCD	   0x80

#define FIFO_SIZE 16

struct fifo {
	uint8_t b[FIFO_SIZE];
	unsigned int n;
};

struct serial {
	struct dev dev;
	struct io_region io;
	struct fifo rx, tx;
	uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	bool overrun;	   /* LSR_OE */
	bool thre_pending; /* the transmitter ran empty, and nobody has read that in IIR */
	bool line;	   /* as last given to the interrupt controller */
};

static const struct serial_cfg *cfg(const struct serial *s)
{
	return s->dev.cfg;
}

static void fifo_push(struct fifo *f, uint8_t v)
{
	f->b[f->n++] = v;
}

static void fifo_drop(struct fifo *f, unsigned int n)
{
	f->n -= n;
	memmove(f->b, f->b + n, f->n);
}

static unsigned int fifo_depth(const struct serial *s)
{
	return s->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static unsigned int rx_trigger(const struct serial *s)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return s->fcr & FCR_ENABLE ? levels[s->fcr >> 6] : 1;
}

/* The highest-priority cause, as IIR shows it. */
static uint8_t irq_cause(const struct serial *s)
{
	if ((s->ier & IER_LSI) && s->overrun)
		return IIR_LSI;
	if ((s->ier & IER_RDA) && s->rx.n >= rx_trigger(s))
		return IIR_RDA;
	/* Bytes below the trigger level time out; here they do at once. */
	if ((s->ier & IER_RDA) && s->rx.n > 0)
		return IIR_TIMEOUT;
	if ((s->ier & IER_THRE) && s->thre_pending)
		return IIR_THRE;
	if ((s->ier & IER_MSI) && (s->msr & MSR_DELTAS))
		return IIR_MSI;
	return IIR_NONE;
}

static void update_line(struct serial *s)
{
	struct irqchip *irq = s->dev.plat->irq;
	bool gate = (s->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
	bool level = gate && irq_cause(s) != IIR_NONE;

	if (level == s->line)
		return;
	s->line = level;
	if (irq->ops->line_set(irq, cfg(s)->irq, level) < 0)
		log_debug("%s: interrupt line not set", s->dev.id);
}

/* Modem inputs: carrier and readiness always; in loopback, the modem outputs. */
static uint8_t modem_inputs(const struct serial *s)
{
	uint8_t in = 0;

	if (!(s->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (s->mcr & MCR_RTS)
		in |= MSR_CTS;
	if (s->mcr & MCR_DTR)
		in |= MSR_DSR;
	if (s->mcr & MCR_OUT1)
		in |= MSR_RI;
	if (s->mcr & MCR_OUT2)
		in |= MSR_DCD;
	return in;
}

static void update_modem(struct serial *s)
{
	uint8_t in = modem_inputs(s), changed = (s->msr ^ in) & 0xf0;

	if (in & MSR_RI)
		changed &= (uint8_t)~MSR_RI; /* only the trailing edge of RI counts */
	s->msr = (uint8_t)(in | (s->msr & MSR_DELTAS) | changed >> 4);
}

static void rx_byte(struct serial *s, uint8_t v)
{
	if (s->rx.n == fifo_depth(s)) {
		s->overrun = true;
		if (!(s->fcr & FCR_ENABLE))
			s->rx.b[0] = v; /* without a FIFO the newer byte wins */
		return;
	}
	fifo_push(&s->rx, v);
}

/* As much of the transmit FIFO as the back end takes. */
static void tx_pump(struct serial *s)
{
	unsigned int had = s->tx.n;

	if (had == 0)
		return;
	fifo_drop(&s->tx, (unsigned int)chr_write(cfg(s)->chr, s->tx.b, s->tx.n));
	if (s->tx.n == 0)
		s->thre_pending = true;
}

static void tx_byte(struct serial *s, uint8_t v)
{
	s->thre_pending = false;
	if (s->mcr & MCR_LOOP) {
		rx_byte(s, v);
		s->thre_pending = true;
		return;
	}
	if (s->tx.n < fifo_depth(s))
		fifo_push(&s->tx, v); /* else the guest did not wait for room: lost */
	tx_pump(s);
}

static uint8_t read_data(struct serial *s)
{
	uint8_t v;

	if (s->rx.n == 0)
		return 0;
	v = s->rx.b[0];
	fifo_drop(&s->rx, 1);
	if (s->rx.n == 0 && !(s->mcr & MCR_LOOP))
		chr_input_ready(cfg(s)->chr);
	return v;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t cause = irq_cause(s);

	if (cause == IIR_THRE)
		s->thre_pending = false;
	return cause | (s->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct serial *s)
{
	uint8_t v = 0;

	if (s->rx.n > 0)
		v |= LSR_DR;
	if (s->overrun)
		v |= LSR_OE;
	if (s->tx.n == 0)
		v |= LSR_THRE | LSR_TEMT;
	s->overrun = false;
	return v;
}

static uint8_t read_msr(struct serial *s)
{
	uint8_t v = s->msr;

	s->msr &= (uint8_t)~MSR_DELTAS;
	return v;
}

static uint64_t serial_read(void *opaque, uint64_t off, unsigned int size)
{
	struct serial *s = opaque;
	bool dlab = s->lcr & LCR_DLAB;
	uint8_t v = 0;

	(void)size;
	switch (off) {
	case REG_DATA:
		v = dlab ? s->dll : read_data(s);
		break;
	case REG_IER:
		v = dlab ? s->dlm : s->ier;
		break;
	case REG_IIR_FCR:
		v = read_iir(s);
		break;
	case REG_LCR:
		v = s->lcr;
		break;
	case REG_MCR:
		v = s->mcr;
		break;
	case REG_LSR:
		v = read_lsr(s);
		break;
	case REG_MSR:
		v = read_msr(s);
		break;
	case REG_SCR:
		v = s->scr;
		break;
	}
	update_line(s);
	return v;
}

static void write_fcr(struct serial *s, uint8_t v)
{
	bool toggled = (s->fcr ^ v) & FCR_ENABLE;

	if (toggled || (v & FCR_RX_RESET))
		s->rx.n = 0;
	if ((toggled || (v & FCR_TX_RESET)) && s->tx.n > 0) {
		s->tx.n = 0;
		s->thre_pending = true;
	}
	s->fcr = v & FCR_ENABLE ? v & (0xc0 | FCR_ENABLE) : 0;
	if (!(s->mcr & MCR_LOOP))
		chr_input_ready(cfg(s)->chr);
}

static void write_ier(struct serial *s, uint8_t v)
{
	/* Enabling the transmitter's interrupt while it is empty raises it (8.6.5). */
	if ((v & IER_THRE) && !(s->ier & IER_THRE) && s->tx.n == 0)
		s->thre_pending = true;
	s->ier = v & 0x0f;
}

static void write_mcr(struct serial *s, uint8_t v)
{
	bool was_loop = s->mcr & MCR_LOOP;

	s->mcr = v & 0x1f;
	update_modem(s);
	if (was_loop && !(s->mcr & MCR_LOOP))
		chr_input_ready(cfg(s)->chr);
}

static void serial_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct serial *s = opaque;
	bool dlab = s->lcr & LCR_DLAB;
	uint8_t v = (uint8_t)val;

	(void)size;
	switch (off) {
	case REG_DATA:
		if (dlab)
			s->dll = v;
		else
			tx_byte(s, v);
		break;
	case REG_IER:
		if (dlab)
			s->dlm = v;
		else
			write_ier(s, v);
		break;
	case REG_IIR_FCR:
		write_fcr(s, v);
		break;
	case REG_LCR:
		s->lcr = v;
		break;
	case REG_MCR:
		write_mcr(s, v);
		break;
	case REG_SCR:
		s->scr = v;
		break;
	default: /* LSR and MSR: factory test, no effect */
		break;
	}
	update_line(s);
}

static const struct io_region_ops serial_io_ops = {
	.read = serial_read,
	.write = serial_write,
	.min = 1,
	.max = 1,
};

static size_t front_room(void *opaque)
{
	const struct serial *s = opaque;

	if (s->mcr & MCR_LOOP)
		return 0;
	return fifo_depth(s) - s->rx.n;
}

static void front_receive(void *opaque, const uint8_t *data, size_t len)
{
	struct serial *s = opaque;

	for (size_t i = 0; i < len; i++)
		rx_byte(s, data[i]);
	update_line(s);
}

static void front_drained(void *opaque)
{
	struct serial *s = opaque;

	tx_pump(s);
	update_line(s);
}

static const struct chardev_front serial_front = {
	.room = front_room,
	.receive = front_receive,
	.drained = front_drained,
};

static void serial_reset(struct dev *d)
{
	struct serial *s = container_of(d, struct serial, dev);

	s->rx.n = s->tx.n = 0;
	s->ier = s->fcr = s->lcr = s->mcr = s->scr = 0;
	s->dll = 12; /* 9600 baud, what firmware leaves behind */
	s->dlm = 0;
	s->overrun = false;
	s->thre_pending = false;
	s->msr = modem_inputs(s);
	update_line(s);
	chr_input_ready(cfg(s)->chr);
}

static int serial_realize(struct dev *d, struct verr *reterr)
{
	struct serial *s = container_of(d, struct serial, dev);
	int r;

	s->io = (struct io_region){ .name = d->id, .ops = &serial_io_ops, .opaque = s };
	r = aspace_map(d->plat->pio, &s->io, cfg(s)->port, REGS, reterr);
	if (r < 0)
		return r;
	s->msr = modem_inputs(s);
	chr_attach(cfg(s)->chr, &serial_front, s);
	return 0;
}

static void serial_unrealize(struct dev *d)
{
	struct serial *s = container_of(d, struct serial, dev);

	chr_detach(cfg(s)->chr);
	aspace_unmap(&s->io);
}

static struct dev *serial_alloc(void)
{
	struct serial *s = calloc(1, sizeof(*s));

	return s ? &s->dev : NULL;
}

static void serial_free(struct dev *d)
{
	free(container_of(d, struct serial, dev));
}

static const struct dev_ops serial_ops = {
	.realize = serial_realize,
	.unrealize = serial_unrealize,
	.reset = serial_reset,
};

const struct dev_type serial_type = {
	.t = { .name = "serial",
	       .category = "platform",
	       .desc = "16550A serial port",
	       .cfg_size = sizeof(struct serial_cfg) },
	.ops = &serial_ops,
	.alloc = serial_alloc,
	.free = serial_free,
};
