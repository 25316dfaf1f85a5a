// SPDX-License-Identifier: GPL-2.0-or-later
// Why the kernel refused. Type1's errnos are few and mean several things each; what tells them
// apart lies in sysfs and procfs. This file reads it and makes phrases; it owns nothing and must
// not know who asks.
#define LOG_TAG "vfio/why"

#include "vfio/why.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "pci/hostpci.h"
#include "vfio/hostproc.h"

#define PATH_SIZE	 512
#define CAP_IPC_LOCK_BIT 14 /* linux/capability.h */

/* --- who ------------------------------------------------------------------------------------- */

struct holder_scan {
	void (*each)(void *opaque, const char *node, const char *who);
	void *opaque;
	char pid[16];
};

static void holder_name(const char *pid, char *buf, size_t size)
{
	char path[PATH_SIZE], comm[32];

	hostpci_path(path, sizeof(path), "/proc/%s/comm", pid);
	if (sys_read_text(path, comm, sizeof(comm)) < 0)
		snprintf(comm, sizeof(comm), "a process");
	for (char *c = comm; *c; c++) /* a process names itself as it likes */
		if (!isprint((unsigned char)*c))
			*c = '?';
	if (strtol(pid, NULL, 10) == (long)getpid())
		snprintf(buf, size, "this process itself (pid %s)", pid);
	else
		snprintf(buf, size, "%s (pid %s)", comm, pid);
}

static int holder_each_fd(void *opaque, const char *name)
{
	struct holder_scan *s = opaque;
	char path[PATH_SIZE], target[64], who[64];

	hostpci_path(path, sizeof(path), "/proc/%s/fd/%s", s->pid, name);
	ssize_t n = sys->readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return 0;
	target[n] = '\0';
	if (strncmp(target, "/dev/vfio/", 10) == 0) {
		holder_name(s->pid, who, sizeof(who));
		s->each(s->opaque, target, who);
	}
	return 0;
}

static int holder_each_pid(void *opaque, const char *name)
{
	struct holder_scan *s = opaque;
	char path[PATH_SIZE];

	if (!isdigit((unsigned char)name[0]) || strlen(name) >= sizeof(s->pid))
		return 0;
	snprintf(s->pid, sizeof(s->pid), "%s", name);
	hostpci_path(path, sizeof(path), "/proc/%s/fd", s->pid);
	/* A process that ends meanwhile, or another user's, has no readable fds: go on. */
	sys->listdir(path, holder_each_fd, s);
	return 0;
}

void vfio_why_holders(void (*each)(void *opaque, const char *node, const char *who), void *opaque)
{
	struct holder_scan s = { .each = each, .opaque = opaque };
	char path[PATH_SIZE];

	sys->listdir(hostpci_path(path, sizeof(path), "/proc"), holder_each_pid, &s);
}

struct one_holder {
	const char *node;
	char *buf;
	size_t size;
};

static void take_holder(void *opaque, const char *node, const char *who)
{
	struct one_holder *o = opaque;

	if (o->buf[0] == '\0' && strcmp(node, o->node) == 0)
		snprintf(o->buf, o->size, "%s", who);
}

bool vfio_why_holder(const char *node, char *buf, size_t size)
{
	struct one_holder o = { .node = node, .buf = buf, .size = size };

	buf[0] = '\0';
	vfio_why_holders(take_holder, &o);
	return buf[0] != '\0';
}

/* --- the IOMMU ------------------------------------------------------------------------------- */

static int any_entry(void *opaque, const char *name)
{
	(void)opaque;
	(void)name;
	return 1;
}

bool vfio_why_has_iommu(void)
{
	char path[PATH_SIZE];

	return sys->listdir(hostpci_path(path, sizeof(path), "/sys/class/iommu"), any_entry,
			    NULL) == 1;
}

struct reserved_scan {
	const struct range *over; /* NULL: anywhere */
	const char *type;	  /* NULL: any */
	struct vfio_reserved found;
};

/* "0x00000000fee00000 0x00000000feefffff msi" */
static int reserved_line(void *opaque, char *line)
{
	struct reserved_scan *s = opaque;
	struct vfio_reserved v;

	if (sscanf(line, "%" SCNx64 " %" SCNx64 " %23s", &v.r.first, &v.r.last, v.type) != 3 ||
	    v.r.first > v.r.last)
		return 0;
	/* One that the kernel lets go of (USB, graphics) stands in nobody's way. */
	if (strcmp(v.type, "direct-relaxable") == 0)
		return 0;
	if ((s->over && !range_overlaps(*s->over, v.r)) ||
	    (s->type && strcmp(s->type, v.type) != 0))
		return 0;
	s->found = v;
	return 1;
}

static bool reserved_find(unsigned int group, struct reserved_scan *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/reserved_regions", group);
	return hostproc_lines(path, reserved_line, s) == 1;
}

bool vfio_why_reserved(unsigned int group, struct range r, struct vfio_reserved *ret)
{
	struct reserved_scan s = { .over = &r };

	if (!reserved_find(group, &s))
		return false;
	*ret = s.found;
	return true;
}

void vfio_why_eperm(unsigned int group, char *buf, size_t size)
{
	char path[PATH_SIZE], allow[8];
	struct reserved_scan s = { .type = "direct" };

	/* Both refusals are EPERM: the driver of the IOMMU gives it for memory that the firmware
	 * keeps for itself (RMRR), type1 for a platform without interrupt remapping. */
	if (reserved_find(group, &s)) {
		snprintf(buf, size,
			 "the firmware reserves memory %#" PRIx64 "-%#" PRIx64 " for a device of "
			 "group %u (RMRR), and Linux does not hand such devices out; a firmware "
			 "setting or update may drop the reservation",
			 s.found.r.first, s.found.r.last, group);
		return;
	}
	hostpci_path(path, sizeof(path),
		     "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	if (sys_read_text(path, allow, sizeof(allow)) >= 0 && allow[0] == 'Y') {
		snprintf(buf, size, "the kernel's reason is in its log (run: dmesg)");
		return;
	}
	snprintf(buf, size,
		 "this machine has no interrupt remapping (dmesg says so), so the guest could send "
		 "interrupts to the host; switch it on in the firmware, or accept the risk: "
		 "modprobe vfio_iommu_type1 allow_unsafe_interrupts=1");
}

/* --- limits ---------------------------------------------------------------------------------- */

/* "Max locked memory         8388608              8388608              bytes" */
static int limits_line(void *opaque, char *line)
{
	static const char key[] = "Max locked memory";
	struct vfio_memlock *m = opaque;
	char soft[24], *end;

	if (strncmp(line, key, strlen(key)) != 0)
		return 0;
	if (sscanf(line + strlen(key), " %23s", soft) != 1)
		return 1;
	if (strcmp(soft, "unlimited") == 0) {
		m->known = m->unlimited = true;
		return 1;
	}
	errno = 0;
	m->limit = strtoull(soft, &end, 10);
	m->known = errno == 0 && end != soft && *end == '\0';
	return 1;
}

static int status_line(void *opaque, char *line)
{
	struct vfio_memlock *m = opaque;

	if (strncmp(line, "VmLck:", 6) == 0)
		m->used = strtoull(line + 6, NULL, 10) * 1024;
	else if (strncmp(line, "CapEff:", 7) == 0)
		m->unlimited |= strtoull(line + 7, NULL, 16) >> CAP_IPC_LOCK_BIT & 1;
	return 0;
}

void vfio_why_memlock(struct vfio_memlock *ret)
{
	*ret = (struct vfio_memlock){ .known = false };
	hostproc_lines("/proc/self/limits", limits_line, ret);
	hostproc_lines("/proc/self/status", status_line, ret);
}

bool vfio_why_dma_limit(uint64_t *ret)
{
	char path[PATH_SIZE];

	hostpci_path(path, sizeof(path), "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
	return sys_read_u64(path, ret) == 0;
}
