// SPDX-License-Identifier: GPL-2.0-or-later
//
// The machine as a whole: what procfs, DMI and /dev say. Best effort: what is missing stays
// unknown.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "tools/inspect/inv_int.h"
#include "vfio/hostproc.h"

static void text_of(const char *file, char *buf, size_t size)
{
	char path[INV_PATH];
	if (sys_read_text(hostpci_path(path, sizeof(path), "%s", file), buf, size) < 0)
		buf[0] = '\0';
}

static bool exists(const char *file)
{
	char path[INV_PATH];
	return sys->access(hostpci_path(path, sizeof(path), "%s", file), F_OK) == 0;
}

/* Of the first processor: they are alike. */
static int cpu_line(void *opaque, char *line)
{
	struct inv *inv = opaque;
	char *colon = strchr(line, ':');
	if (line[0] == '\0')
		return inv->phys_bits != 0;
	if (!colon)
		return 0;
	if (strncmp(line, "model name", 10) == 0)
		snprintf(inv->cpu, sizeof(inv->cpu), "%s", colon + 1 + (colon[1] == ' '));
	else if (strncmp(line, "address sizes", 13) == 0)
		sscanf(colon + 1, " %u bits physical", &inv->phys_bits);
	return 0;
}

static int memory_line(void *opaque, char *line)
{
	uint64_t kib;
	if (sscanf(line, "MemTotal: %" SCNu64, &kib) != 1)
		return 0;
	((struct inv *)opaque)->ram_bytes = kib << 10;
	return 1;
}

static int interrupt_line(void *opaque, char *line)
{
	(void)opaque;
	return strstr(line, " IR-") != NULL;
}

void inv_host_read(struct inv *inv)
{
	char cmdline[4096];
	text_of("/proc/sys/kernel/osrelease", inv->kernel, sizeof(inv->kernel));
	text_of("/sys/class/dmi/id/product_name", inv->product, sizeof(inv->product));
	text_of("/proc/cmdline", cmdline, sizeof(cmdline));
	inv->acs_override = strstr(cmdline, "pcie_acs_override=") != NULL;
	hostproc_lines("/proc/cpuinfo", cpu_line, inv);
	hostproc_lines("/proc/meminfo", memory_line, inv);
	inv_clean(inv->kernel);
	inv_clean(inv->product);
	inv_clean(inv->cpu);
	int r = hostproc_lines("/proc/interrupts", interrupt_line, NULL);
	inv->intr_known = r >= 0;
	inv->intr_remapped = r == 1;
	inv->has_kvm = exists("/dev/kvm");
	inv->has_vfio = exists("/dev/vfio/vfio");
	inv->has_iommufd = exists("/dev/iommu");
}
