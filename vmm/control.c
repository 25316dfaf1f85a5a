// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket (see the header). Clients are local and of our own user, and still not
// trusted: lines are bounded, JSON is parsed strictly, a client that does not read is dropped.

#define LOG_TAG "control"

#include "vmm/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "core/log.h"
#include "vmm/backend/unix_listen.h"
#include "vmm/control_int.h"

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_LINE_MAX    65536u
#define CONTROL_OUT_MAX	    (1u << 20) /* unread by a client: it is dropped */
#define CONTROL_RETRY_NS    UINT64_C(100000000)

struct client {
	struct loop_fd src;
	struct control *c;
	char in[CONTROL_LINE_MAX];
	size_t n_in;
	char *out; /* owned */
	size_t n_out;
	bool dead;
	struct list node;
};

struct control {
	struct loop *loop; /* borrowed */
	struct machine *m; /* borrowed */
	struct loop_fd listener;
	struct loop_timer retry; /* no fd or memory for a client: it waits in the backlog */
	struct loop_job reap;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct list clients;
	unsigned int n_clients;
};

/* ---- sending --------------------------------------------------------------------------------- */

static void client_kill(struct client *cl)
{
	cl->dead = true;
	loop_defer(cl->c->loop, &cl->c->reap); /* never freed under its own callback */
}

static void client_flush(struct client *cl)
{
	size_t done = 0;

	while (done < cl->n_out) {
		ssize_t n = send(cl->src.fd, cl->out + done, cl->n_out - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			client_kill(cl);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done)
		memmove(cl->out, cl->out + done, cl->n_out - done);
	cl->n_out -= done;
	if (!cl->dead)
		loop_mod_fd(&cl->src, EPOLLIN | (cl->n_out ? EPOLLOUT : 0u));
}

static void client_send(struct client *cl, json_t *msg)
{
	char *text = json_dumps(msg, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;

	if (cl->dead || !text) {
		free(text);
		return;
	}
	char *out = cl->n_out + len + 1 <= CONTROL_OUT_MAX ? realloc(cl->out, cl->n_out + len + 1)
							   : NULL;
	if (!out) {
		free(text);
		client_kill(cl);
		return;
	}
	cl->out = out;
	memcpy(out + cl->n_out, text, len);
	out[cl->n_out + len] = '\n';
	cl->n_out += len + 1;
	free(text);
	client_flush(cl);
}

static void control_event(void *opaque, const char *event, const char *device, const char *text)
{
	struct control *c = opaque;
	struct timespec ts;
	struct client *cl;

	clock_gettime(CLOCK_REALTIME, &ts);
	json_t *msg = json_pack("{s:s, s:{s:I, s:I}, s:{s:o*, s:o*}}", "event", event, "timestamp",
				"seconds", (json_int_t)ts.tv_sec, "microseconds",
				(json_int_t)(ts.tv_nsec / 1000), "data", "device",
				device ? control_text(device) : NULL, "reason",
				text && text[0] ? control_text(text) : NULL);
	if (!msg)
		return;
	list_for_each(cl, &c->clients, struct client, node)
		client_send(cl, msg);
	json_decref(msg);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void client_line(struct client *cl, const char *line, size_t len)
{
	json_error_t jerr;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &jerr);
	json_t *reply;

	if (!json_is_object(request)) {
		char why[200];

		snprintf(why, sizeof(why), "not a JSON object: %.150s",
			 request ? "something else" : jerr.text);
		reply = control_error("GenericError", why);
	} else {
		json_t *id = json_object_get(request, "id");

		reply = control_execute(cl->c->m, request);
		if (reply && id)
			json_object_set(reply, "id", id);
	}
	if (reply)
		client_send(cl, reply);
	json_decref(reply);
	json_decref(request);
}

static void client_ready(struct loop_fd *src, uint32_t events)
{
	struct client *cl = container_of(src, struct client, src);

	if (cl->dead)
		return;
	if (events & EPOLLOUT)
		client_flush(cl);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	ssize_t n = recv(src->fd, cl->in + cl->n_in, sizeof(cl->in) - cl->n_in, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_kill(cl);
		return;
	}
	cl->n_in += (size_t)n;
	char *nl;
	while (!cl->dead && (nl = memchr(cl->in, '\n', cl->n_in)) != NULL) {
		size_t len = (size_t)(nl - cl->in);

		if (len)
			client_line(cl, cl->in, len);
		memmove(cl->in, nl + 1, cl->n_in - len - 1);
		cl->n_in -= len + 1;
	}
	if (cl->n_in == sizeof(cl->in)) {
		json_t *e = control_error("GenericError", "line longer than 64 KiB");
		client_send(cl, e);
		json_decref(e);
		client_kill(cl);
	}
}

/* ---- connections ----------------------------------------------------------------------------- */

static void client_free(struct client *cl)
{
	loop_del_fd(&cl->src);
	close(cl->src.fd);
	list_del(&cl->node);
	cl->c->n_clients--;
	free(cl->out);
	free(cl);
}

static void reap_run(struct loop_job *job)
{
	struct control *c = container_of(job, struct control, reap);
	struct client *cl, *tmp;

	list_for_each_safe(cl, tmp, &c->clients, struct client, node)
		if (cl->dead)
			client_free(cl);
}

static bool peer_allowed(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == 0 || cred.uid == geteuid();
}

static void listener_retry(struct loop_timer *t)
{
	loop_mod_fd(&container_of(t, struct control, retry)->listener, EPOLLIN);
}

static void listener_ready(struct loop_fd *src, uint32_t events)
{
	struct control *c = container_of(src, struct control, listener);

	(void)events;
	int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		/* The listener stays ready: without a pause the loop would spin. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			loop_mod_fd(src, 0);
			loop_arm(c->loop, &c->retry, CONTROL_RETRY_NS);
		}
		return;
	}
	struct client *cl = NULL;
	if (peer_allowed(fd) && c->n_clients < CONTROL_CLIENTS_MAX)
		cl = calloc(1, sizeof(*cl));
	if (!cl) {
		close(fd);
		return;
	}
	cl->c = c;
	cl->src.fd = fd;
	cl->src.events = EPOLLIN;
	cl->src.ready = client_ready;
	list_add_tail(&c->clients, &cl->node);
	c->n_clients++;
	if (loop_add_fd(c->loop, &cl->src, NULL) < 0)
		client_free(cl);
}

static int listen_at(struct control *c, const char *path, struct verr *reterr)
{
	int fd = unix_listen("--control", path, reterr);
	if (fd < 0)
		return fd;
	snprintf(c->path, sizeof(c->path), "%s", path);
	c->listener.fd = fd;
	c->listener.events = EPOLLIN;
	c->listener.ready = listener_ready;
	return loop_add_fd(c->loop, &c->listener, reterr);
}

int control_open(const char *path, struct machine *m, struct loop *l, struct control **ret,
		 struct verr *reterr)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return verr_set(reterr, -ENOMEM, "out of memory");
	c->loop = l;
	c->m = m;
	c->listener.fd = -1;
	c->reap.run = reap_run;
	c->retry.fired = listener_retry;
	list_init(&c->clients);
	int r = listen_at(c, path, reterr);
	if (r < 0) {
		control_close(c);
		return r;
	}
	m->observer = control_event;
	m->observer_opaque = c;
	*ret = c;
	return 0;
}

void control_close(struct control *c)
{
	struct client *cl, *tmp;

	if (!c)
		return;
	if (c->m->observer_opaque == c) {
		c->m->observer = NULL;
		c->m->observer_opaque = NULL;
	}
	loop_cancel(&c->reap);
	loop_disarm(&c->retry);
	list_for_each_safe(cl, tmp, &c->clients, struct client, node)
		client_free(cl);
	if (c->listener.fd >= 0) {
		loop_del_fd(&c->listener);
		close(c->listener.fd);
	}
	if (c->path[0])
		unlink(c->path);
	free(c);
}
