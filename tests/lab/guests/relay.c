// SPDX-License-Identifier: GPL-2.0-or-later
// In a guest: "relay ADDRESS" takes what comes from port 5001 there and at once sends it to 5002,
// which greets with one byte; prints how many bytes, and their CRC-32. One process with large
// blocks: where processors are emulated, the small ones of busybox's nc, through pipes, would be
// most of a test's time.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

static unsigned char block[1 << 18];

static int die(const char *what)
{
	perror(what);
	exit(1);
}

static int connected(const char *ip, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = inet_addr(ip);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? die("connect") : fd;
}

int main(int argc, char **argv)
{
	unsigned long crc = crc32(0, NULL, 0);
	unsigned long long total = 0;

	if (argc != 2)
		return 2;
	int in = connected(argv[1], 5001), out = connected(argv[1], 5002);
	if (read(out, block, 1) != 1) {
		fprintf(stderr, "%s port 5002 does not greet\n", argv[1]);
		return 1;
	}
	for (;;) {
		ssize_t n = read(in, block, sizeof(block));
		if (n == 0)
			break;
		if (n < 0)
			die("read");
		crc = crc32(crc, block, (uInt)n);
		total += (unsigned long long)n;
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(out, block + done, (size_t)(n - done));
			if (w < 0)
				die("write");
			done += w;
		}
	}
	/* All of it is there before this guest may power off. */
	shutdown(out, SHUT_WR);
	while (read(out, block, sizeof(block)) > 0)
		;
	printf("guest: relayed %llu %08lx\n", total, crc);
	return 0;
}
