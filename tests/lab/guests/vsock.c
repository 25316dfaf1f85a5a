// SPDX-License-Identifier: GPL-2.0-or-later
// In a guest with virtio-vsock: "vsock-peer serve PORT" echoes one connection of the host's, "talk
// PORT BYTES" has the host echo and compares, "hold PORT" keeps a connection until it ends.
// tests/lab/test_vmm_vsock.sh builds it.

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define HOST 2

static int fail(const char *what)
{
	printf("guest: %s: %s\n", what, strerror(errno));
	return 1;
}

static struct sockaddr_vm address(unsigned int cid, const char *port)
{
	return (struct sockaddr_vm){ .svm_family = AF_VSOCK,
				     .svm_cid = cid,
				     .svm_port = (unsigned int)strtoul(port, NULL, 10) };
}

static int serve(const char *port)
{
	struct sockaddr_vm a = address(VMADDR_CID_ANY, port);
	static char buf[65536];
	unsigned long total = 0;
	int s = socket(AF_VSOCK, SOCK_STREAM, 0), one;
	ssize_t n;

	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 1) < 0)
		return fail("serve");
	printf("guest: listening\n");
	/* The host may have asked before anybody was here, and given up: that one is empty. */
	while (total == 0) {
		one = accept(s, NULL, NULL);
		if (one < 0)
			return fail("accept");
		while ((n = read(one, buf, sizeof(buf))) > 0) {
			total += (unsigned long)n;
			for (ssize_t done = 0, k; done < n; done += k)
				if ((k = write(one, buf + done, (size_t)(n - done))) < 0)
					return fail("write");
		}
		close(one);
	}
	printf("guest: served %lu bytes\n", total);
	return 0;
}

static int connected(const char *port)
{
	struct sockaddr_vm a = address(HOST, port);
	int s = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (s >= 0 && connect(s, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(s);
		return -1;
	}
	return s;
}

static unsigned char pattern(unsigned long i)
{
	return (unsigned char)(i * 31 >> 4);
}

static int talk(const char *port, unsigned long bytes)
{
	int s = connected(port);
	static unsigned char buf[16384];
	unsigned long sent = 0, got = 0, wrong = 0;
	ssize_t n;

	if (s < 0)
		return fail("talk");
	for (;;) {
		struct pollfd p = { .fd = s, .events = sent < bytes ? POLLIN | POLLOUT : POLLIN };

		if (poll(&p, 1, 20000) <= 0)
			return fail("poll");
		if (p.revents & POLLOUT) {
			size_t len = bytes - sent < sizeof(buf) ? bytes - sent : sizeof(buf);

			for (size_t i = 0; i < len; i++)
				buf[i] = pattern(sent + i);
			n = send(s, buf, len, MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				return fail("send");
			sent += n > 0 ? (unsigned long)n : 0;
			if (sent == bytes)
				shutdown(s, SHUT_WR);
		}
		if (!(p.revents & (POLLIN | POLLHUP)))
			continue;
		n = recv(s, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0)
			break;
		if (n < 0 && errno != EAGAIN)
			return fail("recv");
		for (ssize_t i = 0; i < n; i++)
			wrong += buf[i] != pattern(got + (unsigned long)i);
		got += n > 0 ? (unsigned long)n : 0;
	}
	printf("guest: talked %lu bytes, %lu wrong\n", got, wrong);
	return 0;
}

static int hold(const char *port)
{
	int s = connected(port);
	char c;

	if (s < 0)
		return fail("hold");
	printf("guest: holding\n");
	ssize_t n = read(s, &c, 1);
	printf("guest: let go (%s)\n", n < 0 ? strerror(errno) : "end");
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return hold(argv[2]);
	if (argc == 4 && strcmp(argv[1], "talk") == 0)
		return talk(argv[2], strtoul(argv[3], NULL, 10));
	return 2;
}
