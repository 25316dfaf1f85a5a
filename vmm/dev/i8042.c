// SPDX-License-Identifier: GPL-2.0-or-later
// Keyboard controller (ports 0x60 and 0x64) with neither keyboard nor mouse. It is there for the
// reset pulse, and answers every probe at once, so that no driver waits for what can't come.
// Spec: Intel 8042 as in the IBM PS/2 Technical Reference, "Keyboard and Auxiliary Device
// Controller".
#include <stdlib.h>

#include "core/aspace.h"
#include "core/irq.h"
#include "vmm/dev/devs.h"

#define STATUS_OBF     0x01 /* a byte waits at the data port */
#define STATUS_SYSTEM  0x04
#define STATUS_CMD     0x08 /* the last write was a command */
#define STATUS_UNLOCK  0x10
#define STATUS_AUX     0x20
#define STATUS_TIMEOUT 0x40 /* the device did not answer */

#define CTR_KBD_IRQ   0x01
#define CTR_SYSTEM    0x04
#define CTR_KBD_OFF   0x10
#define CTR_AUX_OFF   0x20
#define CTR_TRANSLATE 0x40

enum {
	CMD_READ_CTR = 0x20,
	CMD_WRITE_CTR = 0x60,
	CMD_AUX_OFF = 0xa7,
	CMD_AUX_ON = 0xa8,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KBD_TEST = 0xab,
	CMD_KBD_OFF = 0xad,
	CMD_KBD_ON = 0xae,
	CMD_READ_OUTPUT = 0xd0,
	CMD_WRITE_OUTPUT = 0xd1,
	CMD_KBD_LOOP = 0xd2,
	CMD_AUX_LOOP = 0xd3,
	CMD_AUX_WRITE = 0xd4,
	CMD_PULSE = 0xf0, /* to 0xff: a zero bit pulses that output line low; bit 0 is reset */
};

#define OUTPUT_RESET 0x01 /* output port: 0 holds the processor in reset */
#define OUTPUT_A20   0x02
#define NO_ANSWER    0xfe
#define LINE_STUCK   0x01 /* interface test: clock line low */
#define SELF_TEST_OK 0x55

struct i8042 {
	struct dev dev;
	struct io_region data_io, cmd_io;
	uint8_t ctr,
		pending; /* pending: command that waits for its operand at the data port, or 0 */
	uint8_t out, out_status; /* output buffer, and the status bits that go with it */
	bool last_was_cmd;
	bool line;
};

static void update_line(struct i8042 *s)
{
	struct irqchip *irq = s->dev.plat->irq;
	bool level = (s->out_status & STATUS_OBF) && !(s->out_status & STATUS_AUX) &&
		     (s->ctr & CTR_KBD_IRQ);

	if (level == s->line)
		return;
	s->line = level;
	(void)irq->ops->line_set(irq, I8042_IRQ, level); /* it polls as well */
}

static void answer(struct i8042 *s, uint8_t v, uint8_t status)
{
	s->out = v;
	s->out_status = STATUS_OBF | status;
}

static void reset_machine(struct i8042 *s)
{
	dev_event(&s->dev, PLATFORM_RESET, "the guest reset the machine (keyboard controller)");
}

static void command(struct i8042 *s, uint8_t cmd)
{
	s->pending = 0;
	switch (cmd) {
	case CMD_READ_CTR:
		answer(s, s->ctr, 0);
		break;
	case CMD_WRITE_CTR:
	case CMD_WRITE_OUTPUT:
	case CMD_KBD_LOOP:
	case CMD_AUX_LOOP:
	case CMD_AUX_WRITE:
		s->pending = cmd;
		break;
	case CMD_SELF_TEST:
		s->ctr |= CTR_SYSTEM;
		answer(s, SELF_TEST_OK, 0);
		break;
	case CMD_KBD_TEST:
		answer(s, 0, 0);
		break;
	case CMD_AUX_TEST:
		answer(s, LINE_STUCK, 0);
		break;
	case CMD_AUX_OFF:
	case CMD_AUX_ON:
		break; /* there is no second port: the bit does not move, which is how one tells */
	case CMD_KBD_OFF:
		s->ctr |= CTR_KBD_OFF;
		break;
	case CMD_KBD_ON:
		s->ctr &= (uint8_t)~CTR_KBD_OFF;
		break;
	case CMD_READ_OUTPUT:
		answer(s, OUTPUT_RESET | OUTPUT_A20, 0);
		break;
	default:
		if (cmd >= CMD_PULSE && !(cmd & OUTPUT_RESET))
			reset_machine(s);
		break;
	}
}

static void data(struct i8042 *s, uint8_t v)
{
	uint8_t cmd = s->pending;

	s->pending = 0;
	switch (cmd) {
	case CMD_WRITE_CTR:
		s->ctr = (v & (CTR_KBD_IRQ | CTR_SYSTEM | CTR_KBD_OFF | CTR_TRANSLATE)) |
			 CTR_AUX_OFF;
		break;
	case CMD_WRITE_OUTPUT:
		if (!(v & OUTPUT_RESET))
			reset_machine(s);
		break;
	case CMD_KBD_LOOP:
	case CMD_AUX_LOOP: /* comes back unmarked: no second port */
		answer(s, v, 0);
		break;
	default: /* to the keyboard or the mouse */
		answer(s, NO_ANSWER, STATUS_TIMEOUT);
		break;
	}
}

static uint64_t data_read(void *opaque, uint64_t off, unsigned int size)
{
	struct i8042 *s = opaque;

	(void)off;
	(void)size;
	s->out_status = 0;
	update_line(s);
	return s->out;
}

static void data_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct i8042 *s = opaque;

	(void)off;
	(void)size;
	s->last_was_cmd = false;
	data(s, (uint8_t)val);
	update_line(s);
}

static uint64_t cmd_read(void *opaque, uint64_t off, unsigned int size)
{
	const struct i8042 *s = opaque;

	(void)off;
	(void)size;
	return (uint64_t)(s->out_status | STATUS_UNLOCK |
			  (s->ctr & CTR_SYSTEM ? STATUS_SYSTEM : 0) |
			  (s->last_was_cmd ? STATUS_CMD : 0));
}

static void cmd_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct i8042 *s = opaque;

	(void)off;
	(void)size;
	s->last_was_cmd = true;
	command(s, (uint8_t)val);
	update_line(s);
}

static const struct io_region_ops data_ops = {
	.read = data_read,
	.write = data_write,
	.min = 1,
	.max = 1,
};

static const struct io_region_ops cmd_ops = {
	.read = cmd_read,
	.write = cmd_write,
	.min = 1,
	.max = 1,
};

static void i8042_reset(struct dev *d)
{
	struct i8042 *s = container_of(d, struct i8042, dev);

	s->ctr = CTR_SYSTEM | CTR_KBD_OFF | CTR_AUX_OFF | CTR_TRANSLATE;
	s->pending = s->out = s->out_status = 0;
	s->last_was_cmd = false;
	update_line(s);
}

static int i8042_realize(struct dev *d, struct verr *reterr)
{
	struct i8042 *s = container_of(d, struct i8042, dev);
	int r;

	s->data_io = (struct io_region){ .name = d->id, .ops = &data_ops, .opaque = s };
	s->cmd_io = (struct io_region){ .name = d->id, .ops = &cmd_ops, .opaque = s };
	r = aspace_map(d->plat->pio, &s->data_io, I8042_DATA_PORT, 1, reterr);
	if (r < 0)
		return r;
	r = aspace_map(d->plat->pio, &s->cmd_io, I8042_CMD_PORT, 1, reterr);
	if (r < 0)
		aspace_unmap(&s->data_io);
	return r;
}

static void i8042_unrealize(struct dev *d)
{
	struct i8042 *s = container_of(d, struct i8042, dev);

	aspace_unmap(&s->cmd_io);
	aspace_unmap(&s->data_io);
}

static struct dev *i8042_alloc(void)
{
	struct i8042 *s = calloc(1, sizeof(*s));

	return s ? &s->dev : NULL;
}

static void i8042_free(struct dev *d)
{
	free(container_of(d, struct i8042, dev));
}

static const struct dev_ops i8042_ops = {
	.realize = i8042_realize,
	.unrealize = i8042_unrealize,
	.reset = i8042_reset,
};

const struct dev_type i8042_type = {
	.t = { .name = "i8042",
	       .category = "platform",
	       .desc = "keyboard controller without keyboard, for the reset line" },
	.ops = &i8042_ops,
	.alloc = i8042_alloc,
	.free = i8042_free,
};
