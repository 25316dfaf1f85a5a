// SPDX-License-Identifier: GPL-2.0-or-later
// In a guest: sends a file to a peer that sends back what it gets, and keeps what comes back. The
// peer is a port of a virtual socket (vsock:CID:PORT) or a file such as a console port's. No
// library but the C one: it runs in an initramfs. Exit status 0 if as many bytes came back.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static int open_peer(const char *name)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK };

	if (sscanf(name, "vsock:%u:%u", &a.svm_cid, &a.svm_port) != 2)
		return open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int s = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -1;
	return fcntl(s, F_SETFL, O_NONBLOCK) < 0 ? -1 : s;
}

/* What there is now; 0 if nothing. */
static ssize_t some(int from, char *buf, size_t room)
{
	ssize_t n = read(from, buf, room);

	return n < 0 && errno == EAGAIN ? 0 : n;
}

int main(int argc, char **argv)
{
	char out[16384], in[16384];
	size_t have = 0, at = 0;
	unsigned long sent = 0, back = 0;

	int peer = argc == 4 ? open_peer(argv[1]) : -1;
	int from = argc == 4 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	int to = argc == 4 ? open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	if (peer < 0 || from < 0 || to < 0) {
		fprintf(stderr, "echoed PEER FILE BACK: %s\n", strerror(errno));
		return 2;
	}
	for (;;) {
		if (at == have) {
			ssize_t n = read(from, out, sizeof(out));
			at = 0;
			have = n > 0 ? (size_t)n : 0;
		}
		if (have == 0 && back >= sent)
			return back == sent ? 0 : 1;
		struct pollfd p = { .fd = peer, .events = POLLIN | (have ? POLLOUT : 0) };
		if (poll(&p, 1, 20000) <= 0) {
			fprintf(stderr, "echoed: %lu bytes sent, %lu came back\n", sent, back);
			return 1;
		}
		ssize_t n = p.revents & POLLIN ? some(peer, in, sizeof(in)) : 0;
		if (n < 0 || (n > 0 && write(to, in, (size_t)n) != n))
			return 1;
		back += (size_t)n;
		n = have && p.revents & POLLOUT ? write(peer, out + at, have - at) : 0;
		if (n < 0 && errno != EAGAIN)
			return 1;
		at += n > 0 ? (size_t)n : 0;
		sent += n > 0 ? (size_t)n : 0;
	}
}
