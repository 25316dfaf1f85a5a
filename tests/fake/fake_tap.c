// SPDX-License-Identifier: GPL-2.0-or-later
//
// /dev/net/tun: interfaces, their queues, what Linux refuses of both. Owns the interfaces and the
// sockets that stand for the wire.
#include "tests/fake/fake_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fake/fake_int.h"

#define TAPS   8
#define QUEUES 64
#define KNOWN  0x7fu /* with both USO */
#define GSO    (KNOWN & ~(unsigned int)TUN_F_CSUM)

struct tap {
	char name[IFNAMSIZ];
	bool used, persistent, foreign, other, multi_queue;
	unsigned int offload, n_queues;
	struct tap_file *queue[QUEUES];
};

struct tap_file {
	struct tap *tap; /* NULL: not attached ever, or the interface is gone */
	int peer;
	short flags;
	bool set, attached;
};

static struct tap taps[TAPS];
static bool no_create;
static unsigned int known = KNOWN;

static struct tap *find(const char *name)
{
	for (unsigned int i = 0; i < TAPS; i++)
		if (taps[i].used && strcmp(taps[i].name, name) == 0)
			return &taps[i];
	return NULL;
}

static struct tap *make(const char *name)
{
	char path[64];

	for (unsigned int i = 0; i < TAPS; i++) {
		if (taps[i].used)
			continue;
		taps[i] = (struct tap){ .used = true };
		snprintf(taps[i].name, sizeof(taps[i].name), "%s", name);
		snprintf(path, sizeof(path), "/sys/class/net/%s/mtu", name);
		fk_fs_text(path, "1500\n");
		return &taps[i];
	}
	fk_bug("more than %d TAP interfaces", TAPS);
}

static void show_flags(const struct tap *t)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/net/%s/tun_flags", t->name);
	fk_fs_text(path, "0x%x\n", t->multi_queue ? 0x5102 : 0x5002);
}

static void unmake(struct tap *t)
{
	char path[64];

	for (unsigned int i = 0; i < t->n_queues; i++) {
		if (!t->queue[i])
			continue;
		t->queue[i]->tap = NULL;
		shutdown(t->queue[i]->peer, SHUT_RDWR);
	}
	snprintf(path, sizeof(path), "/sys/class/net/%s", t->name);
	fk_fs_remove(path);
	t->used = false;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static unsigned int attached(const struct tap *t)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < t->n_queues; i++)
		n += t->queue[i] && t->queue[i]->attached;
	return n;
}

static int attach(struct tap *t, struct tap_file *tf)
{
	if (!t->multi_queue && attached(t) > 0)
		return -EBUSY;
	if (attached(t) == QUEUES || t->n_queues == QUEUES)
		return -E2BIG;
	t->queue[t->n_queues++] = tf;
	tf->tap = t;
	tf->attached = tf->set = true;
	return 0;
}

static int set_iff(struct tap_file *tf, struct ifreq *ifr)
{
	bool multi = (ifr->ifr_flags & IFF_MULTI_QUEUE) != 0;

	ifr->ifr_name[IFNAMSIZ - 1] = '\0';
	if (tf->set || !(ifr->ifr_flags & IFF_TAP))
		return -EINVAL;
	struct tap *t = find(ifr->ifr_name);
	if (t && (t->other || t->multi_queue != multi))
		return -EINVAL;
	if (t ? t->foreign : no_create)
		return -EPERM;
	if (!t) {
		t = make(ifr->ifr_name);
		t->multi_queue = multi;
		show_flags(t);
	}
	tf->flags = ifr->ifr_flags;
	return attach(t, tf);
}

static int set_queue(struct tap_file *tf, const struct ifreq *ifr)
{
	bool on = ifr->ifr_flags == IFF_ATTACH_QUEUE;

	if (!tf->tap)
		return -EBADFD;
	if (!tf->tap->multi_queue || on == tf->attached)
		return -EINVAL;
	tf->attached = on;
	return 0;
}

static int set_offload(struct tap_file *tf, unsigned int bits)
{
	if (!tf->tap || !tf->attached)
		return -EBADFD;
	unsigned int uso = bits & 0x60;
	if ((bits & ~known) || ((bits & GSO) && !(bits & TUN_F_CSUM)) || uso == 0x20 ||
	    uso == 0x40 || ((bits & TUN_F_TSO_ECN) && !(bits & (TUN_F_TSO4 | TUN_F_TSO6))))
		return -EINVAL;
	tf->tap->offload = bits;
	return 0;
}

static int get_iff(const struct tap_file *tf, struct ifreq *ifr)
{
	if (!tf->tap)
		return -EBADFD;
	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, tf->tap->name, IFNAMSIZ);
	ifr->ifr_flags = tf->flags;
	return 0;
}

static long tap_ioctl(struct fk_file *f, unsigned long request, void *arg)
{
	struct tap_file *tf = f->obj;

	switch (request) {
	case FIONBIO:
	case FIOCLEX:
		return ioctl(f->fd, request, arg) < 0 ? -errno : 0;
	case TUNSETIFF:
		return set_iff(tf, arg);
	case TUNGETIFF:
		return get_iff(tf, arg);
	case TUNSETQUEUE:
		return set_queue(tf, arg);
	case TUNSETOFFLOAD:
		return set_offload(tf, (unsigned int)(uintptr_t)arg);
	case TUNSETVNETHDRSZ:
		if (!tf->tap)
			return -EBADFD;
		return *(int *)arg < 10 ? -EINVAL : 0;
	default:
		return tf->tap ? -EINVAL : -EBADFD;
	}
}

static void tap_release(struct fk_file *f)
{
	struct tap_file *tf = f->obj;
	struct tap *t = tf->tap;

	close(tf->peer);
	for (unsigned int i = 0; t && i < t->n_queues; i++)
		if (t->queue[i] == tf)
			t->queue[i] = NULL;
	tf->attached = false;
	if (t && !t->persistent && attached(t) == 0)
		unmake(t);
	free(tf);
}

static const struct fk_fops tap_fops = { .ioctl = tap_ioctl, .release = tap_release };

int fk_tap_open(void *opaque, const char *path, int flags)
{
	int fds[2];

	(void)opaque;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	if (!(flags & O_NONBLOCK))
		fcntl(fds[0], F_SETFL, 0);
	struct tap_file *tf = fk_zalloc(sizeof(*tf));
	tf->peer = fds[1];
	fk_install_fd(fds[0], FK_TAP, &tap_fops, tf, path);
	return fds[0];
}

int fk_tap_io(const struct fk_file *f)
{
	const struct tap_file *tf = f->obj;

	if (f->kind != FK_TAP)
		return f->kind == FK_REAL || f->kind == FK_SOCKET ? 0 : -EINVAL;
	return tf->tap && tf->attached ? 0 : -EBADFD;
}

void fk_tap_reset(void)
{
	for (unsigned int i = 0; i < TAPS; i++)
		taps[i].used = false;
	no_create = false;
	known = KNOWN;
}

/* ---- for tests ------------------------------------------------------------------------------- */

void fake_tap_add(const struct fake_tap *a)
{
	fk_lock();
	no_create |= a->no_create;
	if (a->name) {
		struct tap *t = make(a->name);
		t->persistent = true;
		t->foreign = a->foreign;
		t->other = a->other;
		t->multi_queue = a->multi_queue;
		if (!t->other)
			show_flags(t);
	}
	fk_unlock();
}

void fake_tap_delete(const char *name)
{
	fk_lock();
	if (find(name))
		unmake(find(name));
	fk_unlock();
}

int fake_tap_peer(const char *name, unsigned int queue)
{
	fk_lock();
	const struct tap *t = find(name);
	int fd = t && queue < t->n_queues && t->queue[queue] ? t->queue[queue]->peer : -1;
	fk_unlock();
	return fd;
}

bool fake_tap_queue_on(const char *name, unsigned int queue)
{
	fk_lock();
	const struct tap *t = find(name);
	bool on = t && queue < t->n_queues && t->queue[queue] && t->queue[queue]->attached;
	fk_unlock();
	return on;
}

unsigned int fake_tap_offload(const char *name)
{
	fk_lock();
	const struct tap *t = find(name);
	unsigned int n = t ? t->offload : 0;
	fk_unlock();
	return n;
}

void fake_tap_know(unsigned int offloads)
{
	fk_lock();
	known = offloads;
	fk_unlock();
}
