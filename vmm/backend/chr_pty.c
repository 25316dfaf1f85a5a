// SPDX-License-Identifier: GPL-2.0-or-later
// The back end on a pseudoterminal of its own, whose name it prints; any terminal program can
// connect and leave again. We keep its slave side open, so that the master never hangs up: what
// the guest prints before someone connects waits there, as far as it fits.
#define LOG_TAG "chr"
#include "vmm/backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/sys.h"
#include "vmm/backend/chr_out.h"

struct chr_pty {
	struct chardev chr;
	struct loop *loop; /* borrowed */
	struct chr_out out;
	int master, slave;
	int in_fd; /* the master again: the loop takes a descriptor once, and `out` has the first */
	bool polled;
	struct loop_fd in_src;
};

static void input_stop(struct chr_pty *p)
{
	if (p->polled)
		loop_del_fd(&p->in_src);
	p->polled = false;
}

static void on_input(struct loop_fd *src, uint32_t events)
{
	struct chr_pty *p = container_of(src, struct chr_pty, in_src);
	const struct chardev_front *front = p->chr.front;
	uint8_t buf[256];
	size_t room = front ? front->room(p->chr.front_opaque) : 0;
	ssize_t n;

	(void)events;
	if (room == 0) { /* until the front asks */
		input_stop(p);
		return;
	}
	n = sys_read(p->in_fd, buf, MIN(room, sizeof(buf)));
	if (n > 0)
		front->receive(p->chr.front_opaque, buf, (size_t)n);
	else if (n != -EAGAIN && n != -EINTR)
		input_stop(p);
}

static void pty_input_ready(struct chardev *c)
{
	struct chr_pty *p = container_of(c, struct chr_pty, chr);
	struct verr e = { 0 };

	if (p->polled || !p->chr.front)
		return;
	if (loop_add_fd(p->loop, &p->in_src, &e) < 0)
		log_debug("pty input off: %s", e.msg);
	else
		p->polled = true;
}

static size_t pty_write(struct chardev *c, const void *buf, size_t len)
{
	return chr_out_write(&container_of(c, struct chr_pty, chr)->out, buf, len);
}

static void pty_close(struct chardev *c)
{
	struct chr_pty *p = container_of(c, struct chr_pty, chr);

	input_stop(p);
	if (p->out.loop)
		chr_out_fini(&p->out, 0); /* what nobody reads is gone with the pty anyway */
	sys_close_fd(&p->slave);
	sys_close_fd(&p->in_fd);
	sys_close_fd(&p->master);
	free(p);
}

static const struct chardev_ops pty_ops = {
	.write = pty_write,
	.input_ready = pty_input_ready,
	.close = pty_close,
};

static int open_pair(struct chr_pty *p, char *name, size_t size, struct verr *reterr)
{
	unsigned int number;
	struct termios t;
	int unlock = 0, r;

	p->master = sys_open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
	if (p->master < 0)
		return verr_set(reterr, p->master, "pty: /dev/ptmx: %s", strerror(-p->master));
	r = sys_ioctl(p->master, TIOCSPTLCK, &unlock);
	if (r >= 0)
		r = sys_ioctl(p->master, TIOCGPTN, &number);
	if (r < 0)
		return verr_set(reterr, r, "pty: unlocking: %s", strerror(-r));
	snprintf(name, size, "/dev/pts/%u", number);
	p->slave = sys_open(name, O_RDWR | O_NOCTTY, 0);
	if (p->slave < 0)
		return verr_set(reterr, p->slave, "pty: %s: %s", name, strerror(-p->slave));
	r = tcgetattr(p->slave, &t) < 0 ? -errno : 0;
	if (r == 0) {
		cfmakeraw(&t);
		r = tcsetattr(p->slave, TCSANOW, &t) < 0 ? -errno : 0;
	}
	if (r < 0)
		return verr_set(reterr, r, "pty: %s: raw mode: %s", name, strerror(-r));
	p->in_fd = fcntl(p->master, F_DUPFD_CLOEXEC, 3);
	if (p->in_fd < 0)
		return verr_set(reterr, -errno, "pty: %s", strerror(errno));
	return 0;
}

static int pty_open(const char *arg, const struct chr_host *host, struct chardev **ret,
		    struct verr *reterr)
{
	struct chr_pty *p = calloc(1, sizeof(*p));
	char name[32];
	int r;

	(void)arg;
	if (!p)
		return verr_set(reterr, -ENOMEM, "pty: out of memory");
	p->chr.ops = &pty_ops;
	p->loop = host->loop;
	p->master = p->slave = p->in_fd = -1;
	r = open_pair(p, name, sizeof(name), reterr);
	if (r < 0) {
		pty_close(&p->chr);
		return r;
	}
	chr_out_init(&p->out, host->loop, p->master, true, &p->chr);
	p->in_src = (struct loop_fd){ .fd = p->in_fd, .events = EPOLLIN, .ready = on_input };
	snprintf(p->chr.where, sizeof(p->chr.where), "%s", name);
	if (host->messages) {
		fprintf(host->messages, "%s on %s\n", host->who, name);
		fflush(host->messages);
	}
	*ret = &p->chr;
	return 0;
}

const struct chr_type chr_pty_type = {
	.name = "pty",
	.desc = "a pseudoterminal, whose name is printed",
	.open = pty_open,
};
