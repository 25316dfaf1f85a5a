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

#define TEXT_MAX      4096 /* one sysfs page; /proc/self/status and limits are smaller */
#define CAP_IPC_LOCK_BIT 14 /* linux/capability.h */

struct holder_scan {
	const char *node;
	char pid[16];
};

static int holder_each_fd(void *opaque, const char *name)
{
	struct holder_scan *s = opaque;
	char path[64], target[64];

	if (snprintf(path, sizeof(path), "/proc/%s/fd/%s", s->pid, name) >= (int)sizeof(path))
		return 0;
	ssize_t n = sys->readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return 0;
	target[n] = '\0';
	return strcmp(target, s->node) == 0;
}

static int holder_each_pid(void *opaque, const char *name)
{
	struct holder_scan *s = opaque;
	char path[32];

	if (!isdigit((unsigned char)name[0]) || strlen(name) >= sizeof(s->pid))
		return 0;
	snprintf(s->pid, sizeof(s->pid), "%s", name);
	snprintf(path, sizeof(path), "/proc/%s/fd", s->pid);
	/* A process that ends meanwhile, or another user's, has no readable fds: go on. */
	return sys->listdir(path, holder_each_fd, s) == 1;
}

bool vfio_why_holder(const char *node, char *buf, size_t size)
{
	struct holder_scan s = { .node = node };
	char path[32], comm[32];

	buf[0] = '\0';
	if (sys->listdir("/proc", holder_each_pid, &s) != 1)
		return false;

	snprintf(path, sizeof(path), "/proc/%s/comm", s.pid);
	if (sys_read_text(path, comm, sizeof(comm)) < 0)
		snprintf(comm, sizeof(comm), "a process");
	for (char *c = comm; *c; c++) /* a process names itself as it likes */
		if (!isprint((unsigned char)*c))
			*c = '?';
	if (strtol(s.pid, NULL, 10) == (long)getpid())
		snprintf(buf, size, "this process itself (pid %s)", s.pid);
	else
		snprintf(buf, size, "%s (pid %s)", comm, s.pid);
	return true;
}

static int any_entry(void *opaque, const char *name)
{
	(void)opaque;
	(void)name;
	return 1;
}

bool vfio_why_has_iommu(void)
{
	char path[128];

	return sys->listdir(hostpci_path(path, sizeof(path), "/sys/class/iommu"), any_entry,
			    NULL) == 1;
}

/* The first fitting line of the group's reserved_regions: "0x00000000fee00000 0x00000000feefffff msi". */
static bool reserved_find(unsigned int group, const struct range *over, const char *type,
			  struct vfio_reserved *ret)
{
	char path[128], text[TEXT_MAX];

	hostpci_path(path, sizeof(path), "/sys/kernel/iommu_groups/%u/reserved_regions", group);
	if (sys_read_text(path, text, sizeof(text)) < 0)
		return false;

	for (const char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			next++;
		struct vfio_reserved v;

		if (sscanf(line, "%" SCNi64 " %" SCNi64 " %23s", (int64_t *)&v.r.first,
			   (int64_t *)&v.r.last, v.type) != 3 ||
		    v.r.first > v.r.last)
			continue;
		if (over && !range_overlaps(*over, v.r))
			continue;
		if (type && strcmp(type, v.type) != 0)
			continue;
		*ret = v;
		return true;
	}
	return false;
}

bool vfio_why_reserved(unsigned int group, struct range r, struct vfio_reserved *ret)
{
	return reserved_find(group, &r, NULL, ret);
}

void vfio_why_eperm(unsigned int group, char *buf, size_t size)
{
	char path[128], allow[8];
	struct vfio_reserved v;

	/* Both refusals are EPERM: the driver of the IOMMU gives it for memory that the firmware
	 * keeps for itself (RMRR), type1 for a platform without interrupt remapping. */
	if (reserved_find(group, NULL, "direct", &v)) {
		snprintf(buf, size,
			 "the firmware reserves memory %#" PRIx64 "-%#" PRIx64 " for a device of "
			 "group %u (RMRR), and Linux does not hand such devices out; a firmware "
			 "setting or update may drop the reservation",
			 v.r.first, v.r.last, group);
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

/* The soft limit in /proc/self/limits: "Max locked memory  8388608  8388608  bytes". */
static bool memlock_limit(struct vfio_memlock *ret)
{
	static const char key[] = "Max locked memory";
	char text[TEXT_MAX], soft[24];

	if (sys_read_text("/proc/self/limits", text, sizeof(text)) < 0)
		return false;
	const char *at = strstr(text, key);

	if (!at || sscanf(at + strlen(key), " %23s", soft) != 1)
		return false;
	if (strcmp(soft, "unlimited") == 0) {
		ret->unlimited = true;
		return true;
	}
	char *end;

	errno = 0;
	ret->limit = strtoull(soft, &end, 10);
	return errno == 0 && end != soft && *end == '\0';
}

void vfio_why_memlock(struct vfio_memlock *ret)
{
	char text[TEXT_MAX];
	const char *at;

	*ret = (struct vfio_memlock){ .known = false };
	ret->known = memlock_limit(ret);
	if (sys_read_text("/proc/self/status", text, sizeof(text)) < 0)
		return;
	at = strstr(text, "\nVmLck:");
	if (at)
		ret->used = strtoull(at + strlen("\nVmLck:"), NULL, 10) * 1024;
	at = strstr(text, "\nCapEff:");
	if (at && (strtoull(at + strlen("\nCapEff:"), NULL, 16) >> CAP_IPC_LOCK_BIT & 1))
		ret->unlimited = true;
}

bool vfio_why_dma_limit(uint64_t *ret)
{
	char path[128];

	hostpci_path(path, sizeof(path), "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
	return sys_read_u64(path, ret) == 0;
}
