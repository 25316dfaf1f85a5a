// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-vsock in user space under load from both sides while the machine pauses, the device loses
// the right to memory and its driver resets it: for ThreadSanitizer, and for what gets lost.
#include <linux/pci_regs.h>
#include <pthread.h>

#include "tests/unit/virtio/vsock_case.h"

#define ROUNDS 12

static bool stop;
static unsigned int echoed;

/* Connects, says something, hears it again, goes. */
static void *host_program(void *arg)
{
	const struct sockaddr_un a = addr_of("");
	const struct timeval tv = { .tv_usec = 200000 };
	char buf[600];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		memset(buf, 'e', sizeof(buf));
		memcpy(buf, "CONNECT 52\n", 11);
		ssize_t n = connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0
				    ? send(fd, buf, sizeof(buf), MSG_NOSIGNAL)
				    : -1;
		/* Its answer, then what it sent. */
		for (size_t back = 0; n > 0 && back < 500; back += (size_t)MAX(n, 0))
			if ((n = recv(fd, buf, sizeof(buf), 0)) > 0 && back + (size_t)n >= 500)
				__atomic_add_fetch(&echoed, 1, __ATOMIC_RELAXED);
		close(fd);
	}
	return arg;
}

/* The guest's answer to a packet. */
static void answer(const struct vsock_got *p)
{
	uint32_t guest_port = p->h.dst_port, host_port = p->h.src_port;

	s.fwd_cnt = 0;
	switch (p->h.op) {
	case REQUEST:
		vsock_guest_put(&s, RESPONSE, guest_port, host_port, NULL, 0);
		break;
	case RW:
		vsock_guest_put(&s, RW, guest_port, host_port, p->data, p->h.len);
		break;
	case SHUT:
		vsock_guest_put(&s, RST, guest_port, host_port, NULL, 0);
		break;
	default:
		break;
	}
}

static void serve(unsigned int packets)
{
	while (packets-- > 0 && vsock_guest_get(&s, &got))
		answer(&got);
}

static void test_traffic_while_the_device_comes_and_goes(void **state)
{
	pthread_t thread[3];

	(void)state;
	start();
	for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, host_program, NULL), 0);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		serve(20);
		machine_lock(g.m);
		machine_pause(g.m);
		assert_int_equal(machine_resume(g.m, NULL), 0);
		machine_unlock(g.m);
		serve(20);
		guest_command(v.fn, 0, PCI_COMMAND_MASTER);
		guest_command(v.fn, PCI_COMMAND_MASTER, 0);
		serve(10);
		start_driver(round & 1 ? BIT64(VIRTIO_F_RING_PACKED) : 0, 16);
	}
	serve(50);
	assert_true(sound());
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	guest_close(&g); /* with connections open and opening */
	for (unsigned int i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	assert_true(echoed > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VSOCK_TEST(test_traffic_while_the_device_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
