// SPDX-License-Identifier: GPL-2.0-or-later
//
// The mappings user space has made through the seam: what they are of, which are inaccessible
// now, and whether memory is taken away while a memory slot or a DMA map still uses it. Owns the
// guard that turns a host access to a vanished BAR into a finding instead of a crash.
#include "tests/fake/fake_sys.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fake/fake_int.h"

#define GUARDS 256

static struct list maps = { &maps, &maps }; /* unsorted, disjoint */

/* Read by the signal handler, so no list: address 0 is a free entry. */
static volatile struct guard {
	uintptr_t addr;
	size_t len;
} guards[GUARDS];
static volatile sig_atomic_t guard_hits;
static volatile uintptr_t guard_last;
static struct sigaction old_segv;

static void on_segv(int sig, siginfo_t *si, void *ctx)
{
	(void)sig;
	(void)ctx;
	uintptr_t at = (uintptr_t)si->si_addr;
	for (unsigned int i = 0; i < GUARDS; i++) {
		if (guards[i].addr && at >= guards[i].addr && at - guards[i].addr < guards[i].len) {
			guard_hits++;
			guard_last = at;
			mprotect((void *)(at & ~(FK_PAGE - 1)), FK_PAGE, PROT_READ | PROT_WRITE);
			return;
		}
	}
	/* Not ours: whoever was here before meets it again. */
	sigaction(SIGSEGV, &old_segv, NULL);
}

/* Each time anew: cmocka sets its own handler for every test and every fixture. */
static void guard_install(void)
{
	struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER }, now;
	if (sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_sigaction == on_segv)
		return;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGSEGV, &sa, &old_segv);
}

void fk_guard_collect(void)
{
	if (guard_hits)
		fk_violation(
			"host access to a BAR mapping that had vanished (%d times, last at %#lx)",
			(int)guard_hits, (unsigned long)guard_last);
	guard_hits = 0;
}

static void guard_set(uintptr_t addr, size_t len, bool on)
{
	if (on)
		guard_install();
	for (unsigned int i = 0; i < GUARDS; i++) {
		if (guards[i].addr == (on ? 0 : addr)) {
			guards[i].len = len;
			guards[i].addr = on ? addr : 0;
			return;
		}
	}
}

void fk_map_zap(struct fk_map *m, bool zap)
{
	if (m->zapped == zap)
		return;
	m->zapped = zap;
	guard_set(m->addr, m->len, zap);
	mprotect((void *)m->addr, m->len, zap ? PROT_NONE : m->prot);
}

struct fk_map *fk_map_at(uintptr_t addr)
{
	struct fk_map *m;
	list_for_each(m, &maps, struct fk_map, node)
		if (addr >= m->addr && addr - m->addr < m->len)
			return m;
	return NULL;
}

void fk_map_each_bar(const struct fake_dev *d, void (*fn)(struct fk_map *m, void *opaque),
		     void *opaque)
{
	struct fk_map *m, *next;
	list_for_each_safe(m, next, &maps, struct fk_map, node)
		if (m->kind == FK_MAP_BAR && m->dev == d)
			fn(m, opaque);
}

static void map_add(struct fk_map *m)
{
	list_add_tail(&maps, &m->node);
	if (m->kind == FK_MAP_BAR)
		fk_vdev_get(m->dev->vdev);
	if (m->zapped)
		guard_set(m->addr, m->len, true);
}

static void map_drop(struct fk_map *m)
{
	if (m->zapped)
		guard_set(m->addr, m->len, false);
	list_del(&m->node);
	if (m->kind == FK_MAP_BAR)
		fk_vdev_put(m->dev->vdev);
	free(m);
}

/* Forgets [addr, addr+len): whole mappings go, others lose that part. */
static void carve(uintptr_t addr, size_t len)
{
	uintptr_t end = addr + len;
	struct fk_map *m, *next;
	list_for_each_safe(m, next, &maps, struct fk_map, node) {
		uintptr_t m_end = m->addr + m->len;
		if (m_end <= addr || m->addr >= end)
			continue;
		if (m_end > end) {
			struct fk_map *tail = fk_zalloc(sizeof(*tail));
			*tail = *m;
			tail->addr = end;
			tail->len = m_end - end;
			tail->off += end - m->addr;
			map_add(tail);
		}
		if (m->addr < addr) {
			if (m->zapped)
				guard_set(m->addr, m->len, false);
			m->len = addr - m->addr;
			if (m->zapped)
				guard_set(m->addr, m->len, true);
		} else {
			map_drop(m);
		}
	}
}

static void check_unused(uintptr_t addr, size_t len, const char *what)
{
	if (fk_kvm_uses(addr, len))
		fk_violation("%s of %#lx, %zu bytes, that a KVM memory slot still uses", what,
			     (unsigned long)addr, len);
	if (fk_iommu_uses(addr, len))
		fk_violation("%s of %#lx, %zu bytes, that a device may still reach by DMA", what,
			     (unsigned long)addr, len);
	if (fk_vhost_uses(addr, len))
		fk_violation("%s of %#lx, %zu bytes, that vhost still serves rings in", what,
			     (unsigned long)addr, len);
}

static int map_file(struct fk_map *m, int *fd, off_t *off)
{
	struct fk_file *f = fk_file(*fd);
	if (!f)
		return -EBADF;
	if (!f->ops) {
		m->kind = FK_MAP_FILE;
		return 0;
	}
	return f->ops->mmap ? f->ops->mmap(f, m, *off, fd, off) : -ENODEV;
}

int fk_mmap(void **ret, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	struct fk_map *m = fk_zalloc(sizeof(*m));
	m->len = ALIGN_UP(len, (size_t)FK_PAGE);
	m->prot = prot;
	m->kind = FK_MAP_ANON;
	int r = 0;
	if (len == 0)
		r = -EINVAL;
	else if (!(flags & MAP_ANONYMOUS))
		r = map_file(m, &fd, &off);
	if (r == 0 && m->kind == FK_MAP_BAR && !(flags & MAP_SHARED))
		r = -EINVAL;
	if (r == 0 && (flags & MAP_FIXED) && !(flags & MAP_FIXED_NOREPLACE))
		check_unused((uintptr_t)addr, m->len, "replacement");
	if (r == 0) {
		void *p = mmap(addr, len, m->zapped ? PROT_NONE : prot, flags, fd, off);
		if (p == MAP_FAILED) {
			r = -errno;
		} else {
			m->addr = (uintptr_t)p;
			carve(m->addr, m->len);
			map_add(m);
			*ret = p;
			return 0;
		}
	}
	free(m);
	return r;
}

int fk_munmap(void *addr, size_t len)
{
	uintptr_t at = (uintptr_t)addr;
	if (at % FK_PAGE || len == 0)
		return -EINVAL;
	len = ALIGN_UP(len, (size_t)FK_PAGE);
	check_unused(at, len, "munmap");
	if (munmap(addr, len) < 0)
		return -errno;
	carve(at, len);
	return 0;
}

/* How much of [addr, addr+len) the mapping at addr covers, or one page of memory that did not
 * come through the seam; 0: inaccessible. */
static uint64_t accessible(uintptr_t addr, uint64_t len, bool write, bool *bar)
{
	struct fk_map *m = fk_map_at(addr);
	if (!m) {
		unsigned char vec;
		uintptr_t page = addr & ~(uintptr_t)(FK_PAGE - 1);
		if (mincore((void *)page, FK_PAGE, &vec) < 0)
			return 0;
		return MIN(len, page + FK_PAGE - addr);
	}
	if (m->zapped || !(m->prot & PROT_READ) || (write && !(m->prot & PROT_WRITE)))
		return 0;
	*bar |= m->kind == FK_MAP_BAR;
	return MIN(len, m->addr + m->len - addr);
}

int fk_va_check(uintptr_t addr, uint64_t len, bool write, bool *ret_bar)
{
	bool bar = false;
	while (len) {
		uint64_t n = accessible(addr, len, write, &bar);
		if (n == 0)
			return -EFAULT;
		addr += n;
		len -= n;
	}
	*ret_bar = bar;
	return 0;
}

unsigned int fk_map_leaks(FILE *f)
{
	static const char *const kinds[] = { "anonymous", "file", "BAR", "vCPU" };
	unsigned int n = 0;
	struct fk_map *m;
	list_for_each(m, &maps, struct fk_map, node) {
		n++;
		if (!f)
			continue;
		fprintf(f, "leak: %s mapping at %#lx, %zu bytes", kinds[m->kind],
			(unsigned long)m->addr, m->len);
		if (m->kind == FK_MAP_BAR)
			fprintf(f, " (BAR%u of %s at %#llx)", m->bar, m->dev->bdf,
				(unsigned long long)m->off);
		fputc('\n', f);
	}
	return n;
}

void fk_map_reset(void)
{
	struct fk_map *m, *next;
	list_for_each_safe(m, next, &maps, struct fk_map, node) {
		munmap((void *)m->addr, m->len);
		map_drop(m);
	}
}
