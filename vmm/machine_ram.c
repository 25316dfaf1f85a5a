// SPDX-License-Identifier: GPL-2.0-or-later
// Guest RAM: one host mapping, aligned so that guest and host agree modulo 1 GiB and both page
// tables and the IOMMU can use large entries. Anonymous memory with transparent huge pages, as a
// tmpfs often has them off; memfd only where somebody needs a descriptor; hugetlbfs on request,
// populated at once, so that a short pool is an error now and not a SIGBUS later.

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/sys.h"
#include "core/thread.h"
#include "vmm/machine.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif

#define PREFAULT_THREADS_MAX 16
#define HUGE_PAGE	     MIB(2)

struct prefault {
	char *start;
	size_t len;
	int result;
};

static void *prefault_thread(void *arg)
{
	struct prefault *p = arg;

	p->result = sys->madvise(p->start, p->len, MADV_POPULATE_WRITE);
	return NULL;
}

/* Zeroing pages is what pinning costs; the IOMMU map that follows finds them there. */
static int prefault(void *hva, uint64_t size)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int n = (unsigned int)MIN(MAX(cpus, 1), PREFAULT_THREADS_MAX);
	struct prefault part[PREFAULT_THREADS_MAX];
	pthread_t thread[PREFAULT_THREADS_MAX];
	bool started[PREFAULT_THREADS_MAX] = { false };
	uint64_t step = ALIGN_UP(size / n, HUGE_PAGE);
	int r = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t first = MIN(i * step, size);
		uint64_t end = i + 1 == n ? size : MIN(first + step, size);

		part[i] = (struct prefault){ (char *)hva + first, end - first, 0 };
		if (end == first)
			continue;
		started[i] = thread_start(&thread[i], prefault_thread, &part[i]) == 0;
		if (!started[i])
			prefault_thread(&part[i]);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (started[i])
			pthread_join(thread[i], NULL);
		/* An old kernel does not know the advice: pages then come as they are touched. */
		if (part[i].result < 0 && part[i].result != -EINVAL)
			r = part[i].result;
	}
	return r;
}

/* An address that is a multiple of `align`, by reserving more and giving back the rest. */
static int reserve(uint64_t size, uint64_t align, void **ret)
{
	void *p;
	int r = sys_mmap(&p, NULL, size + align, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (r < 0)
		return r;
	uint64_t start = ALIGN_UP((uint64_t)(uintptr_t)p, align), base = (uint64_t)(uintptr_t)p;
	if (start > base)
		sys_munmap(p, start - base);
	if (base + align > start)
		sys_munmap((void *)(uintptr_t)(start + size), base + align - start);
	*ret = (void *)(uintptr_t)start;
	return 0;
}

static int open_memfd(struct machine_ram *m, const struct ram_opts *o, struct verr *reterr)
{
	m->fd = sys->memfd("guest-ram",
			   o->hugepages ? MFD_HUGETLB | MFD_HUGE_2MB : MFD_ALLOW_SEALING);
	if (m->fd < 0) {
		int r = m->fd;
		m->fd = -1;
		return verr_set(reterr, r, "can't create a memory file for guest RAM: %s",
				strerror(-r));
	}
	int r = sys->ftruncate(m->fd, (off_t)o->size);
	if (r < 0)
		return verr_set(reterr, r, "can't size the memory file to %llu MiB: %s",
				(unsigned long long)(o->size >> 20), strerror(-r));
	return 0;
}

static int few_huge_pages(const struct ram_opts *o, int r, struct verr *reterr)
{
	unsigned long long need = o->size / HUGE_PAGE;
	char have[48] = "";
	uint64_t n;

	if (sys_read_u64("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", &n) == 0)
		snprintf(have, sizeof(have), " and %" PRIu64 " are free", n);
	return verr_set(reterr, r,
			"not enough huge pages for %llu MiB of guest RAM: %llu of 2 MiB are "
			"needed%s; raise /proc/sys/vm/nr_hugepages, or the hugetlb limit of the "
			"control group",
			(unsigned long long)(o->size >> 20), need, have);
}

static int map(struct machine_ram *m, const struct ram_opts *o, struct verr *reterr)
{
	int flags =
		MAP_FIXED | (m->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
	uint64_t align = o->size >= GIB(1) ? GIB(1) : HUGE_PAGE;
	void *at;

	int r = reserve(o->size, align, &at);
	if (r == 0) {
		m->hva = at;
		m->size = o->size;
		r = sys_mmap(&at, m->hva, o->size, PROT_READ | PROT_WRITE, flags, m->fd, 0);
		/* The kernel sets huge pages aside now: a short pool is refused here. */
		if (r == -ENOMEM && o->hugepages)
			return few_huge_pages(o, r, reterr);
	}
	if (r < 0)
		return verr_set(reterr, r, "can't map %llu MiB of guest RAM: %s",
				(unsigned long long)(o->size >> 20), strerror(-r));
	if (m->fd < 0)
		sys->madvise(m->hva, m->size, MADV_HUGEPAGE); /* best effort: no THP, small pages */
	sys->madvise(m->hva, m->size, MADV_DONTDUMP);
	return 0;
}

int machine_ram_alloc(struct machine_ram *m, const struct ram_opts *o, struct verr *reterr)
{
	int r = 0;

	memset(m, 0, sizeof(*m));
	m->fd = -1;
	m->huge = o->hugepages;
	if (o->hugepages && !IS_ALIGNED(o->size, HUGE_PAGE))
		return verr_set(reterr, -EINVAL,
				"with hugepages=on --memory must be a multiple of "
				"2 MiB");
	if (o->shared || o->hugepages)
		r = open_memfd(m, o, reterr);
	if (r == 0)
		r = map(m, o, reterr);
	if (r == 0 && (o->prefault || o->hugepages)) {
		r = prefault(m->hva, m->size);
		if (r < 0 && o->hugepages)
			few_huge_pages(o, r, reterr);
		else if (r < 0)
			verr_set(reterr, r,
				 "can't populate %llu MiB of guest RAM: %s; take a smaller "
				 "--memory",
				 (unsigned long long)(o->size >> 20), strerror(-r));
	}
	if (r < 0)
		machine_ram_free(m);
	return r;
}

void machine_ram_free(struct machine_ram *m)
{
	if (m->hva)
		sys_munmap(m->hva, m->size);
	m->hva = NULL;
	sys_close_fd(&m->fd);
}
