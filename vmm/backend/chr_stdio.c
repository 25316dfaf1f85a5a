// SPDX-License-Identifier: GPL-2.0-or-later
// The back end on standard input and output. A terminal is put in raw mode (tty.c) and has an
// escape key, Ctrl-A; a pipe or file is passed through byte for byte. End of input ends the
// input, never the machine. Standard input and output are shared with whoever started us, so
// their flags are left alone: see chr_reopen_nonblock().
#define LOG_TAG "chr"
#include "vmm/backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/sys.h"
#include "vmm/backend/chr_out.h"
#include "vmm/backend/tty.h"

#define ESCAPE	      0x01 /* Ctrl-A */
#define BACKGROUND_NS UINT64_C(500000000)

static const char help_text[] = "\r\n"
				"Ctrl-A x       quit: end the virtual machine at once\r\n"
				"Ctrl-A h       this help\r\n"
				"Ctrl-A Ctrl-A  Ctrl-A itself\r\n";

struct chr_stdio {
	struct chardev chr;
	struct chr_host host;
	struct chr_out out;
	int in_fd, out_fd; /* -1: there is none */
	int wake_fd;	   /* -1: not a terminal */
	bool is_tty;	   /* input is one, with raw mode and escapes */
	bool escape;	   /* Ctrl-A was the last key */
	bool polled;	   /* in_src is in the loop */
	bool plain;	   /* a file: not pollable, always readable */
	bool ended; /* no more input; in_fd stays, the terminal must be restored through it */
	struct loop_fd in_src, wake_src;
	struct loop_job read_job;
	struct loop_timer background; /* while not in the foreground: looks again */
	size_t n_queue;
	uint8_t queue[256]; /* read, not yet received by the front */
};

static bool stdio_taken;

static void input_stop(struct chr_stdio *s)
{
	if (s->polled)
		loop_del_fd(&s->in_src);
	s->polled = false;
}

static void input_end(struct chr_stdio *s, const char *why)
{
	log_debug("input ends: %s", why);
	input_stop(s);
	loop_disarm(&s->background);
	s->ended = true;
}

static void deliver(struct chr_stdio *s)
{
	size_t n;

	if (!s->chr.front || s->n_queue == 0)
		return;
	n = MIN(s->n_queue, s->chr.front->room(s->chr.front_opaque));
	if (n == 0)
		return;
	s->n_queue -= n;
	/* The front may ask for more from inside receive(): let it find the queue in order. */
	uint8_t batch[sizeof(s->queue)];
	memcpy(batch, s->queue, n);
	memmove(s->queue, s->queue + n, s->n_queue);
	s->chr.front->receive(s->chr.front_opaque, batch, n);
}

static void key_after_escape(struct chr_stdio *s, uint8_t key)
{
	switch (key) {
	case 'x':
	case 'X':
		s->host.quit(s->host.opaque, "quit at the console (Ctrl-A x)");
		break;
	case 'h':
	case 'H':
	case '?':
		chr_out_write(&s->out, help_text, sizeof(help_text) - 1);
		break;
	case ESCAPE:
		s->queue[s->n_queue++] = ESCAPE;
		break;
	default: /* not for us: the guest gets what was typed */
		s->queue[s->n_queue++] = ESCAPE;
		s->queue[s->n_queue++] = key;
		break;
	}
}

static void keys(struct chr_stdio *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s->escape) {
			s->escape = false;
			key_after_escape(s, p[i]);
		} else if (s->is_tty && p[i] == ESCAPE) {
			s->escape = true;
		} else {
			s->queue[s->n_queue++] = p[i];
		}
	}
}

static void read_input(struct chr_stdio *s)
{
	uint8_t buf[sizeof(s->queue) / 2 - 1]; /* a key can become two in the queue */
	ssize_t n;

	n = sys_read(s->in_fd, buf, sizeof(buf));
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n == -EIO && s->is_tty && !tty_foreground(s->in_fd)) {
		input_stop(s);
		loop_arm(s->host.loop, &s->background, BACKGROUND_NS);
		return;
	}
	if (n <= 0) {
		input_end(s, n == 0 ? "end of file" : strerror((int)-n));
		return;
	}
	keys(s, buf, (size_t)n);
	deliver(s);
}

/* Reads on exactly while there is an input, nothing is queued and reading would not stop us. */
static void input_update(struct chr_stdio *s)
{
	bool want = s->in_fd >= 0 && !s->ended && s->n_queue == 0 && s->chr.front;
	struct verr e = { 0 };

	if (want && s->is_tty && !tty_foreground(s->in_fd)) {
		want = false;
		loop_arm(s->host.loop, &s->background, BACKGROUND_NS);
	}
	if (!want) {
		input_stop(s);
		return;
	}
	if (s->plain) {
		loop_defer(s->host.loop, &s->read_job);
		return;
	}
	if (s->polled)
		return;
	int r = loop_add_fd(s->host.loop, &s->in_src, &e);
	if (r == -EPERM) { /* epoll does not do files */
		s->plain = true;
		loop_defer(s->host.loop, &s->read_job);
	} else if (r < 0) {
		input_end(s, e.msg);
	} else {
		s->polled = true;
	}
}

static void on_input(struct loop_fd *src, uint32_t events)
{
	struct chr_stdio *s = container_of(src, struct chr_stdio, in_src);

	(void)events; /* EPOLLHUP too: read() says what it means */
	read_input(s);
	input_update(s);
}

static void on_read_job(struct loop_job *j)
{
	struct chr_stdio *s = container_of(j, struct chr_stdio, read_job);

	if (!s->ended && s->n_queue == 0)
		read_input(s);
	input_update(s);
}

static void on_wake(struct loop_fd *src, uint32_t events)
{
	struct chr_stdio *s = container_of(src, struct chr_stdio, wake_src);

	(void)events;
	sys_event_take(s->wake_fd);
	input_update(s);
}

static void on_background(struct loop_timer *t)
{
	struct chr_stdio *s = container_of(t, struct chr_stdio, background);

	tty_raw_again();
	input_update(s);
}

static void stdio_input_ready(struct chardev *c)
{
	struct chr_stdio *s = container_of(c, struct chr_stdio, chr);

	deliver(s);
	input_update(s);
}

static size_t stdio_write(struct chardev *c, const void *buf, size_t len)
{
	struct chr_stdio *s = container_of(c, struct chr_stdio, chr);

	return s->out_fd < 0 ? len : chr_out_write(&s->out, buf, len);
}

static void stdio_close(struct chardev *c)
{
	struct chr_stdio *s = container_of(c, struct chr_stdio, chr);

	input_stop(s);
	loop_cancel(&s->read_job);
	loop_disarm(&s->background);
	if (s->out_fd >= 0)
		chr_out_fini(&s->out, CHR_FLUSH_MS);
	if (s->wake_fd >= 0) {
		tty_raw_end();
		loop_del_fd(&s->wake_src);
		sys_close_fd(&s->wake_fd);
	}
	sys_close_fd(&s->in_fd);
	sys_close_fd(&s->out_fd);
	stdio_taken = false;
	free(s);
}

static const struct chardev_ops stdio_ops = {
	.write = stdio_write,
	.input_ready = stdio_input_ready,
	.close = stdio_close,
};

/* -1 if `fd` is not open at all (a daemon's): then there is just no input or no output. */
static int adopt(int fd, int flags, bool *ret_nonblock)
{
	struct stat st;
	int r;

	*ret_nonblock = false;
	if (sys->fstat(fd, &st) < 0)
		return -1;
	/* Reopening a file would lose the shared position. */
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		r = chr_reopen_nonblock(fd, flags, ret_nonblock);
	else
		r = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return r < 0 ? -1 : r;
}

static int tty_setup(struct chr_stdio *s, struct verr *reterr)
{
	int r;

	s->wake_fd = sys_eventfd(0, O_NONBLOCK);
	if (s->wake_fd < 0)
		return verr_set(reterr, s->wake_fd, "stdio: eventfd: %s", strerror(-s->wake_fd));
	s->wake_src = (struct loop_fd){ .fd = s->wake_fd, .events = EPOLLIN, .ready = on_wake };
	r = loop_add_fd(s->host.loop, &s->wake_src, reterr);
	if (r == 0) {
		r = tty_raw_begin(s->in_fd, s->wake_fd, reterr);
		if (r == 0)
			return 0;
		loop_del_fd(&s->wake_src);
	}
	sys_close_fd(&s->wake_fd);
	return r;
}

static int stdio_open(const char *arg, const struct chr_host *host, struct chardev **ret,
		      struct verr *reterr)
{
	struct chr_stdio *s;
	bool nonblock;
	int r = 0;

	(void)arg;
	if (stdio_taken)
		return verr_set(reterr, -EBUSY,
				"stdio: another port or console has it already; the serial "
				"port, unless --serial names another place");
	s = calloc(1, sizeof(*s));
	if (!s)
		return verr_set(reterr, -ENOMEM, "stdio: out of memory");
	s->chr.ops = &stdio_ops;
	s->host = *host;
	snprintf(s->chr.where, sizeof(s->chr.where), "standard input and output");
	s->wake_fd = -1;
	s->read_job.run = on_read_job;
	s->background.fired = on_background;
	s->out_fd = adopt(STDOUT_FILENO, O_WRONLY, &nonblock);
	if (s->out_fd >= 0)
		chr_out_init(&s->out, host->loop, s->out_fd, nonblock, &s->chr);
	s->in_fd = adopt(STDIN_FILENO, O_RDONLY, &nonblock);
	s->in_src = (struct loop_fd){ .fd = s->in_fd, .events = EPOLLIN, .ready = on_input };
	s->is_tty = s->in_fd >= 0 && isatty(s->in_fd);
	stdio_taken = true;
	if (s->is_tty)
		r = tty_setup(s, reterr);
	if (r < 0) {
		stdio_close(&s->chr);
		return r;
	}
	*ret = &s->chr;
	return 0;
}

const struct chr_type chr_stdio_type = {
	.name = "stdio",
	.desc = "this terminal (Ctrl-A x quits, Ctrl-A h helps), or standard input and output",
	.open = stdio_open,
};
