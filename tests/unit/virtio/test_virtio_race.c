// SPDX-License-Identifier: GPL-2.0-or-later
// Activation, reset, pause, kicks and moved vectors against each other and against a data plane at
// work, for each device, in as many threads (pthread_create) as a guest has processors and a device
// somebody behind it: for ThreadSanitizer, and for hangs. virtio-vsock's connections have a test of
// their own, test_virtio_vsock_race.c.
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "core/bytes.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_tap.h"
#include "tests/guest/vdrv.h"
#include "tests/guest/vsock.h"
#include "vmm/virtio/virtio.h"

#define ROUNDS	20
#define BUFFERS 7

/* What the driver gives a queue, over and over: `out` bytes that begin with `head`, then room for
 * `in` bytes, then for a status byte. */
struct buffer {
	unsigned int queue, out, in, status;
	uint8_t head[sizeof(struct virtio_vsock_hdr)];
};

/* A device with all that is behind it. %s in the strings is the directory of the case. */
struct subject {
	const char *name, *device;
	enum backend_kind kind[2];
	const char *backend[2];
	unsigned int id, n_queues, n_buffers;
	uint64_t features; /* of its own */
	bool fake;	   /* what is behind it is the fake kernel's */
	void (*outside)(void);
	struct buffer buffer[BUFFERS];
};

static struct guest g;
static struct vdrv v;
static const struct sys_ops *real;
static const struct subject *subject;
static char dir[32];
static int wire[2] = { -1, -1 }; /* the other ends of what is behind the device */
static bool stop;
static pthread_t thread[2]; /* another processor, and the world outside */
static unsigned int n_threads;

static uint64_t place(unsigned int buffer)
{
	return MIB(3) + buffer * UINT64_C(8192);
}

static const char *in_dir(char *buf, size_t size, const char *format)
{
	const char *at = strstr(format, "%s");

	snprintf(buf, size, "%.*s%s%s", at ? (int)(at - format) : (int)strlen(format), format,
		 at ? dir : "", at ? at + 2 : "");
	return buf;
}

static int open_subject(const struct subject *s)
{
	char back[2][128], device[128], path[64];
	struct guest_setup set = { .accel = "none" };

	subject = s;
	sys = s->fake ? &sys_fake : real;
	if (s->fake)
		fake_reset();
	strcpy(dir, "/tmp/vv-race-XXXXXX");
	assert_non_null(mkdtemp(dir));
	int fd = open(in_dir(path, sizeof(path), "%s/disk"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, MIB(1)), 0);
	close(fd);
	for (unsigned int i = 0; i < 2 && s->backend[i]; i++) {
		set.backend[i].kind = s->kind[i];
		set.backend[i].arg = in_dir(back[i], sizeof(back[i]), s->backend[i]);
	}
	set.device[0] = in_dir(device, sizeof(device), s->device);
	guest_start(&g, &set);
	vdrv_open(&v, &g, s->id, 0, 0);
	for (unsigned int i = 0; i < s->n_buffers; i++)
		memcpy(vdrv_ptr(&v, place(i), 4096), s->buffer[i].head, sizeof(s->buffer[i].head));
	return 0;
}

static void tap_open(void)
{
	wire[0] = fake_tap_peer("tap0", 0);
	assert_true(wire[0] >= 0);
}

static void sockets_open(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	for (unsigned int i = 0; i < 2; i++) {
		snprintf(a.sun_path, sizeof(a.sun_path), "%s/%u", dir, i);
		wire[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(wire[i], (struct sockaddr *)&a, sizeof(a)), 0);
	}
}

static void side_start(void *(*fn)(void *), void *arg)
{
	assert_true(n_threads < ARRAY_SIZE(thread));
	assert_int_equal(pthread_create(&thread[n_threads], NULL, fn, arg), 0);
	n_threads++;
}

static void sides_stop(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	while (n_threads > 0)
		pthread_join(thread[--n_threads], NULL);
	__atomic_store_n(&stop, false, __ATOMIC_RELEASE);
}

/* A failed case ends here with the others at work. */
static int teardown(void **state)
{
	char path[64];

	(void)state;
	sides_stop();
	for (unsigned int i = 0; i < 2; i++) {
		if (wire[i] >= 0 && !subject->fake)
			close(wire[i]);
		wire[i] = -1;
	}
	guest_close(&g);
	if (subject->fake)
		fake_assert_clean();
	assert_int_equal(unlink(in_dir(path, sizeof(path), "%s/disk")), 0);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static bool stopping(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static struct virtio_dev *device(void)
{
	return container_of(guest_pcidev(v.fn), struct virtio_dev, pd);
}

/* The mutex is not fair: without a pause between, nobody else would get it for long. */
static void breathe(void)
{
	const struct timespec us = { 0, 50000 };

	nanosleep(&us, NULL);
}

/* guest.h's accesses are one processor's; these are another's. */
static void poke(uint64_t gpa, uint16_t val)
{
	uint8_t b[2] = { (uint8_t)val, (uint8_t)(val >> 8) };

	machine_exits.mmio_write(g.m, gpa, b, sizeof(b));
}

static void peek(uint64_t gpa, unsigned int size)
{
	uint8_t b[8];

	machine_exits.mmio_read(g.m, gpa, b, size);
}

/* Who is at the other end sends all the time, and takes what comes. */
static void *world(void *arg)
{
	uint8_t frame[76] = { 0 }, got[2048];

	memset(frame + 12, 0xff, 6); /* a TAP's header, then an address that all listen to */
	while (!stopping()) {
		for (unsigned int i = 0; i < 2; i++) {
			if (wire[i] < 0)
				continue;
			(void)!write(wire[i], frame, sizeof(frame));
			for (unsigned int k = 0; k < 8 && read(wire[i], got, sizeof(got)) > 0; k++)
				;
		}
		breathe();
	}
	return arg;
}

/* Another processor that kicks all the time, whatever the device's state. */
static void *kicker(void *arg)
{
	uint64_t notify = v.notify;

	(void)arg;
	while (!stopping()) {
		for (unsigned int i = 0; i < subject->n_queues; i++)
			poke(notify + i * UINT64_C(4), (uint16_t)i);
		breathe();
	}
	return NULL;
}

/* One that pauses and resumes, as the control socket does. */
static void *pauser(void *arg)
{
	struct dev *d = arg;

	while (!stopping()) {
		machine_lock(g.m);
		dev_pause(d);
		machine_unlock(g.m);
		breathe();
		machine_lock(g.m);
		dev_resume(d);
		machine_unlock(g.m);
		breathe();
	}
	return NULL;
}

/* One that masks and unmasks, moves vectors, and reads what there is. */
static void *meddler(void *arg)
{
	uint64_t common = v.common, isr = v.isr;

	(void)arg;
	while (!stopping()) {
		peek(isr, 1);
		peek(common + 0x14, 4);
		poke(common + 0x1a, 0);
		poke(common + 0x1a, 1);
		breathe();
	}
	return NULL;
}

static bool add(unsigned int i)
{
	const struct buffer *b = &subject->buffer[i];
	struct vdrv_seg seg[3];
	unsigned int n = 0;

	if (b->out)
		seg[n++] = (struct vdrv_seg){ place(i), b->out };
	if (b->in)
		seg[n++] = (struct vdrv_seg){ place(i) + 4096, b->in };
	if (b->status)
		seg[n++] = (struct vdrv_seg){ place(i) + 8191, b->status };
	return vdrv_add(&v.q[b->queue], seg, b->out ? 1 : 0, n - (b->out ? 1 : 0), false, NULL) >=
	       0;
}

static void fill(void)
{
	bool more;

	do {
		more = false;
		for (unsigned int i = 0; i < subject->n_buffers; i++)
			more |= add(i);
	} while (more);
	for (unsigned int q = 0; q < subject->n_queues; q++)
		vdrv_kick(&v.q[q], true);
}

/* A buffer comes back, from whichever queue. */
static bool served(void)
{
	const time_t end = time(NULL) + 20;

	while (time(NULL) < end) {
		for (unsigned int q = 0; q < subject->n_queues; q++)
			if (vdrv_reap(&v.q[q], NULL, NULL))
				return true;
		loop_turn(g.loop, 1);
	}
	return false;
}

static void rounds(uint64_t want)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		v.ram_next = MIB(1);
		vdrv_start(&v, want | subject->features, subject->n_queues, 16, i & 1);
		fill();
		for (unsigned int k = 0; k < i % 16; k++) {
			assert_true(served());
			fill();
		}
		if (i % 3 == 0) {
			guest_command(v.fn, 0, PCI_COMMAND_MASTER);
			guest_command(v.fn, PCI_COMMAND_MASTER, 0);
		}
		/* The next negotiation resets it with requests in flight. */
	}
	assert_false(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* A driver that changes descriptors under the device's eyes: each is read once, so what was
 * checked is what is used. Atomic stores, as a processor's are: the race is in what they mean. */
static void *scribbler(void *arg)
{
	struct vdrv_queue *q = arg;
	uint64_t *d = (uint64_t *)(void *)q->desc;
	uint64_t good[2] = { MIB(3), 64 | (uint64_t)VRING_DESC_F_WRITE << 32 };
	uint64_t bad[2] = { UINT64_MAX - 15, UINT32_MAX | (uint64_t)VRING_DESC_F_WRITE << 32 };

	for (unsigned int i = 0; !stopping(); i++)
		for (unsigned int k = 0; k < 2; k++)
			__atomic_store_n(&d[k], i & 1 ? bad[k] : good[k], __ATOMIC_RELAXED);
	return NULL;
}

static void test_descriptors_changed_while_they_are_read_do_no_harm(void **state)
{
	unsigned int done = 0, refused = 0;
	uint32_t len;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		v.ram_next = MIB(1);
		vdrv_start(&v, 0, 1, 8, true);
		const struct vdrv_seg seg = { MIB(3), 64 };
		assert_int_equal(vdrv_add(&v.q[0], &seg, 0, 1, false, NULL), 0);
		side_start(scribbler, &v.q[0]);
		vdrv_kick(&v.q[0], true);
		while (!vdrv_reap(&v.q[0], NULL, &len) &&
		       !(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET))
			loop_turn(g.loop, 1);
		if (vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET)
			refused++;
		else
			done++;
		sides_stop();
	}
	assert_int_equal(done + refused, 100);
}

/* ---- the cases ------------------------------------------------------------------------------- */

#define VSOCK_REQUEST                                                                              \
	{                                                                                          \
		52, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, \
			0, VIRTIO_VSOCK_TYPE_STREAM, 0, VIRTIO_VSOCK_OP_REQUEST                    \
	}

static const struct subject subjects[] = {
	{ .name = "virtio-rng",
	  .device = "virtio-rng,packed=on,in_order=on",
	  .id = VIRTIO_ID_RNG,
	  .n_queues = 1,
	  .n_buffers = 1,
	  .buffer = { { .in = 64 } } },
	{ .name = "virtio-blk, two queues in two threads",
	  .device = "virtio-blk,drive=d0,num-queues=2,iothreads=2,packed=on,in_order=on",
	  .kind = { BACKEND_BLOCK },
	  .backend = { "file,id=d0,path=%s/disk" },
	  .id = VIRTIO_ID_BLOCK,
	  .n_queues = 2,
	  .n_buffers = 4,
	  .features = BIT64(VIRTIO_BLK_F_MQ) | BIT64(VIRTIO_BLK_F_FLUSH),
	  .buffer = { { 0, 16, 512, 1, { VIRTIO_BLK_T_IN } },
		      { 1, 16 + 512, 0, 1, { VIRTIO_BLK_T_OUT } },
		      { 0, 16, 0, 1, { VIRTIO_BLK_T_FLUSH } },
		      { 1, 16, 512, 1, { VIRTIO_BLK_T_IN } } } },
	{ .name = "virtio-net",
	  .device = "virtio-net,netdev=n0,packed=on,in_order=on",
	  .kind = { BACKEND_NET },
	  .backend = { "tap,id=n0,ifname=tap0" },
	  .id = VIRTIO_ID_NET,
	  .n_queues = 3,
	  .n_buffers = 3,
	  .features = BIT64(VIRTIO_NET_F_CTRL_VQ) | BIT64(VIRTIO_NET_F_CTRL_RX),
	  .fake = true,
	  .outside = tap_open,
	  .buffer = { { .queue = 0, .in = 2048 },
		      { .queue = 1, .out = 76 },
		      { 2, 3, 0, 1, { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1 } } } },
	{ .name = "virtio-console with a port",
	  .device = "virtio-console,chardev=c0,ports=p:c1,packed=on,in_order=on",
	  .kind = { BACKEND_CHAR, BACKEND_CHAR },
	  .backend = { "socket,id=c0,path=%s/0", "socket,id=c1,path=%s/1" },
	  .id = VIRTIO_ID_CONSOLE,
	  .n_queues = 6,
	  .n_buffers = 7,
	  .features = BIT64(VIRTIO_CONSOLE_F_MULTIPORT),
	  .outside = sockets_open,
	  .buffer = { { .queue = 0, .in = 64 },
		      { .queue = 1, .out = 64 },
		      { .queue = 2, .in = 64 },
		      { 3, 8, 0, 0, { 1, 0, 0, 0, VIRTIO_CONSOLE_PORT_READY, 0, 1 } },
		      { 3, 8, 0, 0, { 1, 0, 0, 0, VIRTIO_CONSOLE_PORT_OPEN, 0, 1 } },
		      { .queue = 4, .in = 64 },
		      { .queue = 5, .out = 64 } } },
	{ .name = "virtio-vsock in user space",
	  .device = "virtio-vsock,cid=52,socket=%s/v,packed=on,in_order=on",
	  .id = VIRTIO_ID_VSOCK,
	  .n_queues = 3,
	  .n_buffers = 3,
	  .buffer = { { .queue = 0, .in = 256 },
		      { 1, sizeof(struct virtio_vsock_hdr), 0, 0, VSOCK_REQUEST },
		      { .queue = 2, .in = 8 } } },
};

static const struct side {
	const char *name;
	void *(*fn)(void *);
} sides[] = {
	{ "another processor kicks", kicker },
	{ "the machine pauses and resumes", pauser },
	{ "another processor moves the vectors", meddler },
};

struct a_case {
	const struct subject *subject;
	const struct side *side;
	char name[128];
};

static int setup(void **state)
{
	const struct a_case *c = *state;

	return open_subject(c->subject);
}

static int setup_rng(void **state)
{
	(void)state;
	return open_subject(&subjects[0]);
}

static void test_resets_with_requests_in_flight(void **state)
{
	static const uint64_t wants[] = { 0, BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER),
					  BIT64(VIRTIO_RING_F_EVENT_IDX) };
	const struct a_case *c = *state;

	if (subject->outside) {
		subject->outside();
		side_start(world, NULL);
	}
	side_start(c->side->fn, &device()->pd.dev);
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++)
		rounds(wants[i]);
}

int main(void)
{
	static struct a_case cases[ARRAY_SIZE(subjects) * ARRAY_SIZE(sides)];
	struct CMUnitTest tests[ARRAY_SIZE(cases) + 1];

	real = sys;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct a_case *c = &cases[i];
		c->subject = &subjects[i / ARRAY_SIZE(sides)];
		c->side = &sides[i % ARRAY_SIZE(sides)];
		snprintf(c->name, sizeof(c->name), "%s: reset at work while %s", c->subject->name,
			 c->side->name);
		tests[i] = (struct CMUnitTest){ c->name, test_resets_with_requests_in_flight, setup,
						teardown, c };
	}
	tests[ARRAY_SIZE(cases)] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		test_descriptors_changed_while_they_are_read_do_no_harm, setup_rng, teardown);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
