// SPDX-License-Identifier: GPL-2.0-or-later
// The load of tests/bench/run disk, in the guest: DEPTH threads that each read BLOCK bytes at a
// time past the page cache, COUNT times together. Says "figure LOAD DEPTH RATE", the rate in
// requests a second. No library but the C one: it runs in an initramfs.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 64

static int fd;
static size_t block;
static uint64_t blocks, count, next;
static int random_order, failed;

/* Every order is the same in each run. */
static uint64_t place(uint64_t i)
{
	uint64_t x = i;

	if (!random_order)
		return i % blocks;
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % blocks;
}

static void *reader(void *arg)
{
	char *buf = aligned_alloc(4096, block);
	uint64_t i;

	(void)arg;
	while (buf && (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < count)
		if (pread(fd, buf, block, (off_t)(place(i) * block)) != (ssize_t)block)
			__atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
	if (!buf)
		__atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
	free(buf);
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	pthread_t thread[DEPTH_MAX];

	if (argc != 6) {
		fprintf(stderr, "usage: diskload DEVICE DEPTH BLOCK COUNT random|sequential\n");
		return 2;
	}
	unsigned long depth = strtoul(argv[2], NULL, 10);
	block = strtoul(argv[3], NULL, 10);
	count = strtoull(argv[4], NULL, 10);
	random_order = strcmp(argv[5], "random") == 0;
	fd = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (size < 0 || depth == 0 || depth > DEPTH_MAX || block == 0 || (size_t)size < block) {
		fprintf(stderr, "diskload: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	blocks = (uint64_t)size / block;
	double before = now();
	for (unsigned long i = 0; i < depth; i++)
		if (pthread_create(&thread[i], NULL, reader, NULL) != 0)
			return 1;
	for (unsigned long i = 0; i < depth; i++)
		pthread_join(thread[i], NULL);
	if (failed) {
		fprintf(stderr, "diskload: a read failed\n");
		return 1;
	}
	printf("figure %s %zu depth %lu %.1f\n", argv[5], block, depth,
	       (double)count / (now() - before));
	return 0;
}
