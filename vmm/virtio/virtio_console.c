// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-console (VIRTIO 1.2 5.3): a console on port 0, named ports after it, each with a character
// back end. Owns the ports and speaks the control queues; their bytes are virtio_console_io.c's.
#define LOG_TAG "virtio/console"
#include "vmm/virtio/virtio_console_int.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "vmm/virtio/virtio_devs.h"

#define QUEUE_SIZE   128
#define CTL_RX	     2
#define CTL_TX	     3
#define CTL_LEN	     8 /* struct virtio_console_control */
#define TURN_BUFFERS 64

struct con_ports {
	unsigned int n;
	struct {
		char name[CON_NAME_MAX], chardev[CON_NAME_MAX];
	} p[CON_PORTS_MAX - 1];
};

struct virtio_console_cfg {
	struct virtio_props virtio;
	char *chardev;
	struct con_ports ports;
};

static struct virtio_console *con_of(struct virtio_dev *vd)
{
	return container_of(vd, struct virtio_console, vd);
}

/* ---- control messages ------------------------------------------------------------------------ */

/* The order a port's life has. */
static const unsigned int messages[] = {
	VIRTIO_CONSOLE_PORT_ADD,
	VIRTIO_CONSOLE_CONSOLE_PORT,
	VIRTIO_CONSOLE_PORT_NAME,
	VIRTIO_CONSOLE_PORT_OPEN,
};

static bool send_message(struct con_port *p, unsigned int event)
{
	struct virtio_console *s = p->s;
	struct vq *q = &s->vd.vq[CTL_RX];
	uint8_t msg[CTL_LEN + CON_NAME_MAX];
	size_t len = CTL_LEN;
	struct vq_elem e;

	if (con_pop(s, q, &e) <= 0)
		return false;
	put_le32(msg, p->id);
	put_le16(msg + 4, (uint16_t)event);
	put_le16(msg + 6, event == VIRTIO_CONSOLE_PORT_OPEN && con_chr(p)->closed ? 0 : 1);
	if (event == VIRTIO_CONSOLE_PORT_NAME) {
		memcpy(msg + len, p->name, strlen(p->name));
		len += strlen(p->name);
	}
	size_t n = iov_put(e.iov + e.n_out, e.n_in, 0, msg, len);
	vq_push(q, &e, (uint32_t)n);
	if (n < len)
		vq_break(q, "a buffer for control messages is too small for one");
	return n == len;
}

/* Each message is owed once, however often it was asked for: a driver can't pile them up. */
static void ctl_send(struct virtio_console *s)
{
	struct vq *q = &s->vd.vq[CTL_RX];
	bool room = q->ops && !q->broken;

	for (unsigned int i = 0; i < s->n_ports; i++) {
		struct con_port *p = &s->port[i];

		for (size_t k = 0; k < ARRAY_SIZE(messages) && room; k++) {
			if (!(p->say & BIT32(messages[k])))
				continue;
			room = send_message(p, messages[k]);
			if (room)
				p->say &= ~BIT32(messages[k]);
		}
	}
	if (q->ops && !q->broken)
		vq_flush(q);
}

void con_say(struct con_port *p, unsigned int event)
{
	p->say |= BIT32(event);
	ctl_send(p->s);
}

static void driver_ready(struct virtio_console *s, bool fine)
{
	for (unsigned int i = 0; i < s->n_ports; i++) {
		struct con_port *p = &s->port[i];

		p->ready = p->guest_open = false;
		p->say = fine && p->back ? BIT32(VIRTIO_CONSOLE_PORT_ADD) : 0;
	}
}

static void port_ready(struct con_port *p, bool fine)
{
	p->ready = fine;
	p->guest_open = fine && !p->name;
	p->say = 0;
	if (!fine) {
		guest_warn("%s: the driver can't use port %u", p->s->vd.pd.dev.id, p->id);
		return;
	}
	p->say = BIT32(p->name ? VIRTIO_CONSOLE_PORT_NAME : VIRTIO_CONSOLE_CONSOLE_PORT);
	if (!con_chr(p)->closed)
		p->say |= BIT32(VIRTIO_CONSOLE_PORT_OPEN);
	chr_input_ready(con_chr(p));
}

static void take_message(struct virtio_console *s, const uint8_t msg[CTL_LEN])
{
	uint32_t id = get_le32(msg);
	unsigned int event = get_le16(msg + 4);
	bool value = get_le16(msg + 6) != 0;

	if (event == VIRTIO_CONSOLE_DEVICE_READY) {
		driver_ready(s, value);
		return;
	}
	if (id >= s->n_ports || !s->port[id].back) {
		guest_warn("%s: a message about port %u, which there is not", s->vd.pd.dev.id,
			   (unsigned int)id);
		return;
	}
	struct con_port *p = &s->port[id];
	if (event == VIRTIO_CONSOLE_PORT_READY) {
		port_ready(p, value);
	} else if (event == VIRTIO_CONSOLE_PORT_OPEN) {
		p->guest_open = p->ready && value;
		chr_input_ready(con_chr(p));
	} else {
		guest_warn("%s: the driver sent control message %u", s->vd.pd.dev.id, event);
	}
}

static void ctl_rx_kicked(struct loop_fd *src, uint32_t events)
{
	(void)events;
	sys_event_take(src->fd);
	ctl_send(container_of(src, struct virtio_console, ctl_kick[0]));
}

static void ctl_tx_kicked(struct loop_fd *src, uint32_t events)
{
	struct virtio_console *s = container_of(src, struct virtio_console, ctl_kick[1]);
	struct vq *q = &s->vd.vq[CTL_TX];
	uint8_t msg[CTL_LEN];
	struct vq_elem e;
	unsigned int n;
	int r = 1;

	(void)events;
	sys_event_take(src->fd);
	for (n = 0; n < TURN_BUFFERS && (r = con_pop(s, q, &e)) > 0; n++) {
		if (iov_get(e.iov, e.n_out, 0, msg, CTL_LEN) == CTL_LEN)
			take_message(s, msg);
		else
			guest_warn("%s: a control message is cut short", s->vd.pd.dev.id);
		vq_push(q, &e, 0);
	}
	if (r >= 0)
		vq_flush(q);
	if (n == TURN_BUFFERS)
		sys_event_signal(q->kick_fd);
	ctl_send(s);
}

/* ---- hand-over ------------------------------------------------------------------------------- */

static void con_deactivate(struct virtio_dev *vd)
{
	struct virtio_console *s = con_of(vd);

	for (unsigned int i = 0; i < s->n_ports; i++) {
		loop_del_fd(&s->port[i].rx_kick);
		loop_del_fd(&s->port[i].tx_kick);
	}
	loop_del_fd(&s->ctl_kick[0]);
	loop_del_fd(&s->ctl_kick[1]);
}

static int listen_kick(struct virtio_console *s, struct vq *q, struct loop_fd *src,
		       void (*ready)(struct loop_fd *src, uint32_t events))
{
	if (!q->ops) /* the driver left it out */
		return 0;
	*src = (struct loop_fd){ .fd = q->kick_fd, .events = EPOLLIN, .ready = ready };
	return loop_add_fd(s->vd.pd.dev.plat->loop, src, NULL);
}

static int con_activate(struct virtio_dev *vd)
{
	struct virtio_console *s = con_of(vd);
	bool multiport = virtio_has(vd, VIRTIO_CONSOLE_F_MULTIPORT);
	int r = 0;

	if (!multiport) /* port 0 is all there is, and ready */
		s->port[0].guest_open = s->port[0].back != NULL;
	for (unsigned int i = 0; i < (multiport ? s->n_ports : 1) && r == 0; i++) {
		struct con_port *p = &s->port[i];

		r = listen_kick(s, p->rx, &p->rx_kick, con_rx_kicked);
		if (r == 0)
			r = listen_kick(s, p->tx, &p->tx_kick, con_tx_kicked);
	}
	if (r == 0 && multiport)
		r = listen_kick(s, &vd->vq[CTL_RX], &s->ctl_kick[0], ctl_rx_kicked);
	if (r == 0 && multiport)
		r = listen_kick(s, &vd->vq[CTL_TX], &s->ctl_kick[1], ctl_tx_kicked);
	if (r < 0)
		con_deactivate(vd);
	return r;
}

static void con_reset(struct virtio_dev *vd)
{
	struct virtio_console *s = con_of(vd);

	for (unsigned int i = 0; i < s->n_ports; i++) {
		struct con_port *p = &s->port[i];

		p->ready = p->guest_open = false;
		p->say = 0;
		p->tx_off = 0;
		p->n_spill = 0;
	}
}

/* The emergency write: a character before there is a driver, or after it crashed. */
static void con_config_write(struct virtio_dev *vd, unsigned int off, uint64_t val,
			     unsigned int size)
{
	const unsigned int at = offsetof(struct virtio_console_config, emerg_wr);
	struct chardev *c = con_chr(&con_of(vd)->port[0]);

	(void)size;
	if (off == at && c) {
		uint8_t b = (uint8_t)val;
		chr_write(c, &b, 1);
	}
}

static const struct virtio_ops con_ops = {
	.activate = con_activate,
	.deactivate = con_deactivate,
	.reset = con_reset,
	.config_write = con_config_write,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void con_unrealize(struct dev *d)
{
	struct virtio_console *s = con_of(virtio_of(d));

	for (unsigned int i = 0; i < s->n_ports; i++)
		if (s->port[i].back)
			chr_detach(con_chr(&s->port[i]));
	virtio_unrealize(&s->vd);
	for (unsigned int i = 0; i < s->n_ports; i++)
		backend_release(s->port[i].back);
	free(s->port);
	s->port = NULL;
	s->n_ports = 0;
}

static int take_port(struct virtio_console *s, unsigned int i, const char *prop, const char *name,
		     const char *chardev, struct verr *reterr)
{
	struct con_port *p = &s->port[i];
	const struct dev *d = &s->vd.pd.dev;

	p->name = name;
	return backend_take(d->plat->backends, BACKEND_CHAR, prop, chardev, d->id, &p->back,
			    reterr);
}

static int open_ports(struct virtio_console *s, const struct virtio_console_cfg *c,
		      struct verr *reterr)
{
	unsigned int n = 1 + c->ports.n;
	int r = 0;

	s->port = calloc(n, sizeof(*s->port));
	if (!s->port)
		return verr_set(reterr, -ENOMEM, "out of memory for %u ports", n);
	s->n_ports = n;
	for (unsigned int i = 0; i < n; i++) {
		s->port[i].s = s;
		s->port[i].id = i;
	}
	/* Without ports it is missed; with them the console may be left out. */
	if (c->chardev || n == 1)
		r = take_port(s, 0, "chardev", NULL, c->chardev, reterr);
	for (unsigned int i = 1; i < n && r == 0; i++)
		r = take_port(s, i, "ports", c->ports.p[i - 1].name, c->ports.p[i - 1].chardev,
			      reterr);
	return r;
}

static int con_realize(struct dev *d, struct verr *reterr)
{
	struct virtio_console *s = con_of(virtio_of(d));
	const struct virtio_console_cfg *c = d->cfg;
	struct virtio_console_config config = { 0 };

	int r = open_ports(s, c, reterr);
	put_le32(&config.max_nr_ports, s->n_ports);
	const struct virtio_desc desc = {
		.ops = &con_ops,
		.id = VIRTIO_ID_CONSOLE,
		.class_code = 0x078000,
		.features = BIT64(VIRTIO_CONSOLE_F_MULTIPORT) | BIT64(VIRTIO_CONSOLE_F_EMERG_WRITE),
		.n_queues = 2 * (s->n_ports + 1),
		.queue_size = QUEUE_SIZE,
		.config = &config,
		.config_len = sizeof(config),
		.props = &c->virtio,
	};
	if (r == 0)
		r = virtio_realize(&s->vd, &desc, reterr);
	if (r < 0) {
		con_unrealize(d);
		return r;
	}
	for (unsigned int i = 0; i < s->n_ports; i++) {
		struct con_port *p = &s->port[i];

		p->rx = &s->vd.vq[i ? 2 + 2 * i : 0];
		p->tx = p->rx + 1;
		if (p->back)
			chr_attach(con_chr(p), p->name ? &con_port_front : &con_console_front, p);
	}
	return 0;
}

static void con_describe(struct dev *d, FILE *out)
{
	const struct virtio_console *s = con_of(virtio_of(d));

	virtio_dev_describe(d, out);
	for (unsigned int i = 0; i < s->n_ports; i++) {
		const struct con_port *p = &s->port[i];

		if (!p->back)
			continue;
		fprintf(out, "  port %u, %s: chardev %s at %s%s%s\n", i,
			p->name ? p->name : "the console", p->back->id, con_chr(p)->where,
			con_chr(p)->closed ? ", nobody connected" : "",
			p->guest_open ? ", open in the guest" : "");
	}
}

/* ---- the type -------------------------------------------------------------------------------- */

/* NAME:CHARDEV of `len` bytes. */
static int parse_port(struct con_ports *ports, const char *item, size_t len, struct verr *reterr)
{
	const char *colon = memchr(item, ':', len);
	size_t name = colon ? (size_t)(colon - item) : 0;
	size_t chardev = colon ? len - name - 1 : 0;

	if (name == 0 || chardev == 0 || memchr(colon + 1, ':', chardev))
		return verr_set(reterr, -EINVAL, "\"%.*s\" is not NAME:CHARDEV",
				(int)MIN(len, (size_t)64), item);
	if (name >= CON_NAME_MAX || chardev >= CON_NAME_MAX)
		return verr_set(reterr, -EINVAL, "\"%.64s...\": a name has at most %d characters",
				item, CON_NAME_MAX - 1);
	if (ports->n == ARRAY_SIZE(ports->p))
		return verr_set(reterr, -E2BIG, "more than %zu ports", ARRAY_SIZE(ports->p));
	for (unsigned int i = 0; i < ports->n; i++)
		if (strlen(ports->p[i].name) == name && !memcmp(ports->p[i].name, item, name))
			return verr_set(reterr, -EINVAL, "port \"%.*s\" is there twice", (int)name,
					item);
	memcpy(ports->p[ports->n].name, item, name);
	memcpy(ports->p[ports->n].chardev, colon + 1, chardev);
	ports->n++;
	return 0;
}

static int parse_ports(void *field, const char *text, struct verr *reterr)
{
	struct con_ports *ports = field;
	int r;

	for (;;) {
		size_t len = strcspn(text, "+");

		r = parse_port(ports, text, len, reterr);
		if (r < 0 || !text[len])
			return r;
		text += len + 1;
	}
}

static struct dev *con_alloc(void)
{
	struct virtio_console *s = calloc(1, sizeof(*s));

	return s ? &s->vd.pd.dev : NULL;
}

static void con_free(struct dev *d)
{
	free(con_of(virtio_of(d)));
}

static const struct dev_ops con_dev_ops = {
	.realize = con_realize,
	.unrealize = con_unrealize,
	.reset = virtio_dev_reset,
	.start = virtio_dev_start,
	.stop = virtio_dev_stop,
	.pause = virtio_dev_pause,
	.resume = virtio_dev_resume,
	.describe = con_describe,
};

static const struct prop con_props[] = {
	PROP(struct virtio_console_cfg, chardev, PROP_STR, NULL,
	     "id of a --chardev: the console, port 0"),
	PROP_NAMED("ports", struct virtio_console_cfg, ports, PROP_CUSTOM, NULL,
		   "further ports, /dev/virtio-ports/NAME in the guest",
		   .syntax = "NAME:CHARDEV[+NAME:CHARDEV...]", .parse = parse_ports),
	VIRTIO_PROPS(struct virtio_console_cfg, virtio),
	PROP_END,
};

const struct dev_type virtio_console_type = {
	.t = { .name = "virtio-console",
	       .category = "virtio",
	       .desc = "a console and ports for bytes",
	       .props = con_props,
	       .cfg_size = sizeof(struct virtio_console_cfg) },
	.ops = &con_dev_ops,
	.alloc = con_alloc,
	.free = con_free,
	.pci = true,
	.user = true,
};
