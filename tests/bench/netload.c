// SPDX-License-Identifier: GPL-2.0-or-later
// Network load for tests/bench/run, both ends of it: "netload peer" answers on the host's side;
// "netload ADDRESS LOAD COUNT" runs a load in the guest and prints "figure LOAD RATE" in bytes or
// packets a second. Loads: out, in (a TCP stream, COUNT in MiB), packets (UDP of 64 bytes to the
// peer; those that arrive count), trips (one such packet there and back, COUNT times). A stream's
// first 24 MiB are not measured: TCP's window grows. Not hardened: both ends are ours.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT  5001
#define BLOCK 65536u
#define WARM  (UINT64_C(24) << 20)

static char block[BLOCK];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *ip)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	a.sin_addr.s_addr = ip ? inet_addr(ip) : htonl(INADDR_ANY);
	return a;
}

static void send_all(int fd, uint64_t n)
{
	while (n > 0) {
		ssize_t r = write(fd, block, n < BLOCK ? n : BLOCK);
		if (r <= 0)
			die("write");
		n -= (uint64_t)r;
	}
}

static void take_all(int fd, uint64_t n)
{
	while (n > 0) {
		ssize_t r = read(fd, block, n < BLOCK ? n : BLOCK);
		if (r <= 0)
			die("read");
		n -= (uint64_t)r;
	}
}

/* ---- the host's side ------------------------------------------------------------------------- */

static int listener(int type)
{
	struct sockaddr_in a = address(NULL);
	int fd = socket(AF_INET, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("bind");
	if (type == SOCK_STREAM)
		listen(fd, 4);
	return fd;
}

/* What begins with 'r' goes back; to an 'e' the answer is how many 'p' came before it. */
static void udp_peer(void)
{
	int fd = listener(SOCK_DGRAM), room = 32 << 20;
	struct sockaddr_in from;
	uint32_t n = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t r = recvfrom(fd, block, 64, 0, (struct sockaddr *)&from, &len);
		if (r > 0 && block[0] == 'r') {
			sendto(fd, block, (size_t)r, 0, (struct sockaddr *)&from, len);
		} else if (r > 0 && block[0] == 'e') {
			sendto(fd, &n, sizeof(n), 0, (struct sockaddr *)&from, len);
			n = 0;
		} else {
			n++;
		}
	}
}

static void tcp_peer(void)
{
	int fd = listener(SOCK_STREAM);

	for (;;) {
		int c = accept(fd, NULL, NULL);
		struct {
			uint32_t in, mib;
		} what;

		if (c < 0 || read(c, &what, sizeof(what)) != sizeof(what))
			continue;
		if (what.in) {
			send_all(c, WARM + ((uint64_t)what.mib << 20));
		} else {
			take_all(c, WARM);
			send_all(c, 1);
			take_all(c, (uint64_t)what.mib << 20);
			send_all(c, 1);
		}
		close(c);
	}
}

/* ---- the guest's ----------------------------------------------------------------------------- */

static double stream(const char *ip, uint32_t in, uint32_t mib)
{
	const uint32_t what[2] = { in, mib };
	struct sockaddr_in a = address(ip);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("connect");
	if (write(fd, what, sizeof(what)) != sizeof(what))
		die("write");
	if (in) {
		take_all(fd, WARM);
	} else {
		send_all(fd, WARM);
		take_all(fd, 1); /* all has arrived */
	}
	double t = now();
	if (in) {
		take_all(fd, (uint64_t)mib << 20);
	} else {
		send_all(fd, (uint64_t)mib << 20);
		take_all(fd, 1);
	}
	return (double)((uint64_t)mib << 20) / (now() - t);
}

static int udp_to(const char *ip)
{
	const struct timeval limit = { .tv_sec = 10 };
	struct sockaddr_in a = address(ip);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		die("connect");
	return fd;
}

static double packets(const char *ip, uint32_t n)
{
	int fd = udp_to(ip);
	uint32_t came;
	double t = now();

	for (uint32_t i = 0; i <= n; i++) {
		block[0] = i < n ? 'p' : 'e';
		if (send(fd, block, 64, 0) != 64)
			die("send");
	}
	if (recv(fd, &came, sizeof(came), 0) != sizeof(came))
		die("recv");
	return came / (now() - t);
}

static double trips(const char *ip, uint32_t n)
{
	int fd = udp_to(ip);
	double t = now();

	block[0] = 'r';
	for (uint32_t i = 0; i < n; i++)
		if (send(fd, block, 64, 0) != 64 || recv(fd, block, 64, 0) != 64)
			die("a packet there and back");
	return n / (now() - t);
}

int main(int argc, char **argv)
{
	if (argc == 2) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			udp_peer();
		}
		tcp_peer();
	}
	if (argc != 4)
		return 2;
	uint32_t n = (uint32_t)strtoul(argv[3], NULL, 10);
	double rate = strcmp(argv[2], "out") == 0     ? stream(argv[1], 0, n)
		      : strcmp(argv[2], "in") == 0    ? stream(argv[1], 1, n)
		      : strcmp(argv[2], "trips") == 0 ? trips(argv[1], n)
						      : packets(argv[1], n);
	printf("figure %s %.0f\n", argv[2], rate);
	return 0;
}
