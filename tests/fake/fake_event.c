// SPDX-License-Identifier: GPL-2.0-or-later
//
// Eventfds as the kernel holds them: by their open file, not by a descriptor number, so that a
// close and reuse of the number changes nothing; and the kernel's own consumers of their counts.
// Delivery is synchronous: when a signal call returns, the consumers have seen it.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake/fake_int.h"

struct fk_efd {
	struct list node;
	struct list waiters;
	uint64_t id;
	int fd;	       /* our own duplicate */
	uint64_t seen; /* count that was there, and was acted on, when a consumer came */
	unsigned int refs;
};

static struct list efds = { &efds, &efds };

/* A number from fdinfo, base 10 or 16; false if it is not there. */
static bool fdinfo(int fd, const char *key, int base, uint64_t *ret)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	int info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return false;
	ssize_t n = read(info, text, sizeof(text) - 1);
	close(info);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *at = strstr(text, key);
	if (at)
		*ret = strtoull(at + strlen(key), NULL, base);
	return at != NULL;
}

/* Linux 5.2 and later tell the identity; ids start at 0. */
uint64_t fk_efd_id(int fd)
{
	uint64_t id;
	return fdinfo(fd, "eventfd-id:", 10, &id) ? id + 1 : 0;
}

struct fk_efd *fk_efd_get(int fd, int *ret_err)
{
	if (fcntl(fd, F_GETFD) < 0) {
		*ret_err = -EBADF;
		return NULL;
	}
	const struct fk_file *f = fk_file(fd);
	uint64_t id = f && f->kind == FK_EVENTFD ? f->id : f ? 0 : fk_efd_id(fd);
	if (id == 0) {
		*ret_err = -EINVAL;
		return NULL;
	}
	struct fk_efd *e;
	list_for_each(e, &efds, struct fk_efd, node) {
		if (e->id == id) {
			e->refs++;
			return e;
		}
	}
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0) {
		*ret_err = -errno;
		return NULL;
	}
	e = fk_zalloc(sizeof(*e));
	list_init(&e->waiters);
	e->id = id;
	e->fd = own;
	e->refs = 1;
	list_add_tail(&efds, &e->node);
	return e;
}

void fk_efd_put(struct fk_efd *e)
{
	if (!e || --e->refs)
		return;
	list_del(&e->node);
	close(e->fd);
	free(e);
}

int fk_efd_fd(const struct fk_efd *e)
{
	return e->fd;
}

bool fk_efd_pending(const struct fk_efd *e)
{
	struct pollfd p = { .fd = e->fd, .events = POLLIN };
	return poll(&p, 1, 0) > 0;
}

static void pump(struct fk_efd *e)
{
	if (list_empty(&e->waiters) || !fk_efd_pending(e))
		return;
	uint64_t count;
	if (read(e->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return;
	/* A consumer may go while it runs: the reference keeps the list. */
	e->seen = 0;
	e->refs++;
	struct fk_waiter *w, *next;
	list_for_each_safe(w, next, &e->waiters, struct fk_waiter, node)
		w->fn(w);
	fk_efd_put(e);
}

void fk_efd_signal(struct fk_efd *e)
{
	uint64_t one = 1;
	struct pollfd p = { .fd = e->fd, .events = POLLOUT };
	/* A counter at its maximum stays there, as in the kernel. */
	if (poll(&p, 1, 0) > 0 && write(e->fd, &one, sizeof(one)) < 0)
		fk_bug("eventfd write: %s", strerror(errno));
	pump(e);
}

void fk_efd_wrote(uint64_t id)
{
	struct fk_efd *e;
	list_for_each(e, &efds, struct fk_efd, node) {
		if (e->id == id) {
			pump(e);
			return;
		}
	}
}

/* For signals that came by another way than the seam. A count from before a consumer came is not
 * one. */
void fk_efd_pump_all(void)
{
	struct fk_efd *e, *next;
	uint64_t count;
	list_for_each_safe(e, next, &efds, struct fk_efd, node)
		if (!e->seen || !fdinfo(e->fd, "eventfd-count:", 16, &count) || count != e->seen)
			pump(e);
}

void fk_efd_seen(struct fk_efd *e, bool take)
{
	uint64_t count;
	if (take && read(e->fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		return;
	if (!fdinfo(e->fd, "eventfd-count:", 16, &e->seen))
		fk_bug("the kernel does not tell an eventfd's count");
}

void fk_efd_drained(uint64_t id)
{
	struct fk_efd *e;
	list_for_each(e, &efds, struct fk_efd, node)
		if (e->id == id)
			e->seen = 0;
}

void fk_waiter_add(struct fk_waiter *w, struct fk_efd *e)
{
	w->e = e;
	list_add_tail(&e->waiters, &w->node);
}

void fk_waiter_del(struct fk_waiter *w)
{
	list_del(&w->node);
	fk_efd_put(w->e);
	w->e = NULL;
}

void fk_efd_reset(void)
{
	if (!list_empty(&efds))
		fk_bug("eventfds are still held after everything was reset");
}
