// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of how much memory a guest may take: locked memory (process and cgroup), what
// the host has, hugepages by NUMA node; and the number of DMA maps. Reads only.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "vfio/hostproc.h"
#include "vfio/preflight_int.h"
#include "vfio/why.h"

#define PATH_SIZE    512
#define TYPE1_PARAMS "/sys/module/vfio_iommu_type1/parameters"
#define HUGE_SIZE    MIB(2)
/* --- locked memory --------------------------------------------------------------------------- */

/* VFIO pins all guest RAM against the process's limit unless it may lock what it wants. */
static void check_memlock(struct preflight_ctx *c)
{
	struct vfio_memlock m;
	uint64_t need = c->req->ram_bytes;
	if (need == 0)
		return;
	vfio_why_memlock(&m);
	uint64_t need_mib = (need + MIB(1) - 1) >> 20;
	if (!m.known) {
		preflight_say(c, VERDICT_UNKNOWN, "memlock", NULL,
			      "whether %" PRIu64 " MiB may be locked can't be told: "
			      "/proc/self/limits can't be read",
			      need_mib);
		return;
	}

	if (m.unlimited || (m.used <= m.limit && m.limit - m.used >= need)) {
		preflight_say(c, VERDICT_OK, "memlock", NULL,
			      "%" PRIu64 " MiB of guest RAM may be locked", need_mib);
		if (m.unlimited)
			preflight_evidence(c, "no limit, or CAP_IPC_LOCK (/proc/self/status)");
		else
			preflight_evidence(c, "/proc/self/limits: %" PRIu64 " KiB", m.limit >> 10);
		return;
	}
	char fix[256];
	snprintf(fix, sizeof(fix),
		 "run as root, or allow it: LimitMEMLOCK=%" PRIu64 "M in the systemd unit, or a "
		 "memlock line of %" PRIu64 " in /etc/security/limits.conf and a new login",
		 need_mib, need_mib << 10);
	preflight_say(c, VERDICT_FAIL, "memlock", fix,
		      "%" PRIu64 " MiB of guest RAM must be locked for DMA and the limit "
		      "(RLIMIT_MEMLOCK) is %" PRIu64 " KiB",
		      need_mib, m.limit >> 10);
	preflight_evidence(c, "/proc/self/limits: %" PRIu64 " KiB, of which %" PRIu64 " are in use",
			   m.limit >> 10, m.used >> 10);
}

/* "0::/user.slice/user-1000.slice" */
static int cgroup_line(void *opaque, char *line)
{
	if (strncmp(line, "0::/", 4) != 0)
		return 0;
	snprintf((char *)opaque, PATH_SIZE / 2, "%s", line + 3);
	return 1;
}

/* Pinned RAM is charged to the control group: over its limit the guest is killed, not refused. */
static void check_cgroup(struct preflight_ctx *c)
{
	char group[PATH_SIZE / 2], path[PATH_SIZE];
	uint64_t limit, least = UINT64_MAX, need = c->req->ram_bytes;
	char at[PATH_SIZE / 2] = "";

	if (need == 0 || hostproc_lines("/proc/self/cgroup", cgroup_line, group) != 1)
		return;
	/* Every level above counts as well; the root has no limit. */
	for (char *slash; group[0] == '/' && group[1]; *slash = '\0') {
		hostpci_path(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group);
		if (sys_read_u64(path, &limit) == 0 && limit < least) { /* "max" is no number */
			least = limit;
			snprintf(at, sizeof(at), "%s", group);
		}
		slash = strrchr(group, '/');
	}
	if (least == UINT64_MAX)
		return;
	if (least >= need) {
		preflight_say(c, VERDICT_OK, "cgroup", NULL,
			      "the control group allows %" PRIu64 " MiB", least >> 20);
	} else {
		char fix[320];
		const char *unit = strrchr(at, '/');
		snprintf(fix, sizeof(fix), "run: systemctl set-property %s MemoryMax=%" PRIu64 "M",
			 unit ? unit + 1 : at, ((need + MIB(1) - 1) >> 20) + 512);
		preflight_say(c, VERDICT_FAIL, "cgroup", fix,
			      "the control group %s allows %" PRIu64 " MiB and %" PRIu64
			      " MiB of guest RAM must be pinned: the kernel would kill the guest",
			      at, least >> 20, (need + MIB(1) - 1) >> 20);
	}
	preflight_evidence(c, "/sys/fs/cgroup%s/memory.max: %" PRIu64, at, least);
}

/* --- what the host has ----------------------------------------------------------------------- */

struct meminfo {
	uint64_t total, available, huge_free, huge_size; /* KiB; huge_free: pages */
};

static int meminfo_line(void *opaque, char *line)
{
	struct meminfo *m = opaque;
	sscanf(line, "MemTotal: %" SCNu64, &m->total);
	sscanf(line, "MemAvailable: %" SCNu64, &m->available);
	sscanf(line, "HugePages_Free: %" SCNu64, &m->huge_free);
	sscanf(line, "Hugepagesize: %" SCNu64, &m->huge_size);
	return 0;
}

/* Pinned memory can't be swapped: a guest that is too large takes it from everybody else. */
static void check_memory(struct preflight_ctx *c)
{
	struct meminfo m = { 0 };
	uint64_t need_mib = (c->req->ram_bytes + MIB(1) - 1) >> 20;
	if (c->req->ram_bytes == 0 || hostproc_lines("/proc/meminfo", meminfo_line, &m) < 0 ||
	    m.total == 0)
		return;
	uint64_t free_mib = (m.available + m.huge_free * m.huge_size) >> 10;
	if (need_mib > m.total >> 10)
		preflight_say(c, VERDICT_FAIL, "memory", "give a smaller --memory",
			      "%" PRIu64 " MiB of guest RAM must be pinned for DMA and this host "
			      "has %" PRIu64 " MiB",
			      need_mib, m.total >> 10);
	else if (need_mib > free_mib)
		preflight_say(c, VERDICT_WARN, "memory",
			      "give a smaller --memory, or stop what uses it",
			      "%" PRIu64 " MiB of guest RAM must be pinned for DMA and %" PRIu64
			      " MiB are available: the host may kill processes for it",
			      need_mib, free_mib);
	else
		preflight_say(c, VERDICT_OK, "memory", NULL, "%" PRIu64 " MiB are available",
			      free_mib);
}

/* --- hugepages ------------------------------------------------------------------------------- */

struct nodes {
	char text[160]; /* "node 0: 512, node 1: 0" */
	uint64_t free;
	unsigned int n;
};

static int look_at_node(void *opaque, const char *name)
{
	struct nodes *s = (struct nodes *)opaque;
	char path[PATH_SIZE], *end;
	uint64_t free_pages;
	if (strncmp(name, "node", 4) != 0)
		return 0;
	unsigned long node = strtoul(name + 4, &end, 10);
	hostpci_path(path, sizeof(path),
		     "/sys/devices/system/node/%s/hugepages/hugepages-2048kB/free_hugepages", name);
	if (end == name + 4 || *end || sys_read_u64(path, &free_pages) < 0)
		return 0;
	size_t at = strlen(s->text);
	snprintf(s->text + at, sizeof(s->text) - at, "%snode %lu: %" PRIu64, s->n ? ", " : "", node,
		 free_pages);
	s->free += free_pages;
	s->n++;
	return 0;
}

/* Not needed, only faster to map: a matter of failure only for who asked for them. */
static void check_hugepages(struct preflight_ctx *c)
{
	char path[PATH_SIZE], fix[96];
	struct nodes s = { .n = 0 };
	uint64_t want = (c->req->ram_bytes + HUGE_SIZE - 1) / HUGE_SIZE;

	if (want == 0 || sys->listdir(hostpci_path(path, sizeof(path), "/sys/devices/system/node"),
				      look_at_node, &s) < 0)
		return;
	if (s.n == 0) {
		hostpci_path(path, sizeof(path),
			     "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
		if (sys_read_u64(path, &s.free) < 0)
			return;
		snprintf(s.text, sizeof(s.text), "free: %" PRIu64, s.free);
	}
	snprintf(fix, sizeof(fix), "run: sysctl vm.nr_hugepages=%" PRIu64, want);
	if (s.free >= want)
		preflight_say(c, VERDICT_OK, "hugepages", NULL,
			      "%" PRIu64 " free hugepages of 2 MiB: enough for guest RAM (%s)",
			      s.free, s.text);
	else if (c->req->hugepages)
		preflight_say(c, VERDICT_FAIL, "hugepages", fix,
			      "guest RAM wants %" PRIu64 " hugepages of 2 MiB and %" PRIu64
			      " are free (%s)",
			      want, s.free, s.text);
	else
		preflight_say(c, VERDICT_OK, "hugepages", NULL,
			      "%" PRIu64 " of %" PRIu64 " hugepages of 2 MiB are free, so guest "
			      "RAM takes ordinary pages, slower to map",
			      s.free, want);
	preflight_evidence(c, "hugepages-2048kB/free_hugepages, %s", s.text);
}

/* --- DMA maps -------------------------------------------------------------------------------- */

/* RAM takes a map below and one above 4 GiB and a few for firmware areas; each function's BARs
 * up to a handful more, so that functions reach each other. */
#define RAM_MAPS      4
#define FUNCTION_MAPS 8

static void check_dma_limit(struct preflight_ctx *c)
{
	uint64_t limit, want = RAM_MAPS + (uint64_t)FUNCTION_MAPS * c->req->n_bdfs;
	if (!vfio_why_dma_limit(&limit))
		return;
	if (limit >= want)
		preflight_say(c, VERDICT_OK, "dma-limit", NULL, "%" PRIu64 " DMA maps are allowed",
			      limit);
	else
		preflight_say(c, limit < RAM_MAPS ? VERDICT_FAIL : VERDICT_WARN, "dma-limit",
			      "run: echo 65535 > " TYPE1_PARAMS "/dma_entry_limit",
			      "VFIO allows %" PRIu64 " DMA maps and about %" PRIu64 " are needed",
			      limit, want);
}

void preflight_limits(struct preflight_ctx *c)
{
	if (c->req->n_bdfs == 0)
		return;
	check_memlock(c);
	check_cgroup(c);
	check_memory(c);
	check_hugepages(c);
	check_dma_limit(c);
}
