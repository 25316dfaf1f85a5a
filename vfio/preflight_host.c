// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of the machine as a whole: KVM, the IOMMU, the VFIO modules, interrupt
// remapping, and the limits on locked memory and DMA maps. Judges the state the kernel is in;
// the kernel command line only serves to word the advice.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "vfio/hostproc.h"
#include "vfio/preflight_int.h"
#include "vfio/why.h"

#define PATH_SIZE    512
#define TYPE1_PARAMS "/sys/module/vfio_iommu_type1/parameters"

static bool exists(const char *path)
{
	char full[PATH_SIZE];
	return sys->access(hostpci_path(full, sizeof(full), "%s", path), F_OK) == 0;
}

static int stop_at_first(void *opaque, const char *name)
{
	snprintf((char *)opaque, 64, "%s", name);
	return 1;
}

/* The name of an entry of that folder in first[64], or false: empty, or no such folder. */
static bool any_entry(const char *path, char *first)
{
	char full[PATH_SIZE];
	return sys->listdir(hostpci_path(full, sizeof(full), "%s", path), stop_at_first, first) ==
	       1;
}

/* --- KVM ------------------------------------------------------------------------------------- */

static void check_kvm(struct preflight_ctx *c)
{
	char path[PATH_SIZE];
	int fd = sys_open(hostpci_path(path, sizeof(path), "/dev/kvm"), O_RDWR, 0);
	if (fd >= 0) {
		sys_close(fd);
		preflight_say(c, VERDICT_OK, "kvm", NULL, "/dev/kvm can be opened");
	} else if (fd == -ENOENT) {
		preflight_say(
			c, VERDICT_FAIL, "kvm",
			"run: modprobe kvm-intel or kvm-amd; if that fails, switch on VT-x or "
			"AMD-V in the firmware set-up",
			"/dev/kvm does not exist: KVM is not there");
	} else if (fd == -EACCES || fd == -EPERM) {
		preflight_say(c, VERDICT_FAIL, "kvm",
			      "run as root, or add the user to the group that owns it (kvm)",
			      "/dev/kvm may not be opened: %s", strerror(-fd));
	} else {
		preflight_say(c, VERDICT_FAIL, "kvm", NULL, "/dev/kvm can't be opened: %s",
			      strerror(-fd));
	}
}

/* --- IOMMU ----------------------------------------------------------------------------------- */

#define WHERE                                                                                      \
	" the kernel command line (GRUB_CMDLINE_LINUX in /etc/default/grub and update-grub; "      \
	"systemd-boot: the entry's options line) and reboot"

const char *preflight_iommu_fix(void)
{
	char cmdline[4096], path[PATH_SIZE];
	if (sys_read_text(hostpci_path(path, sizeof(path), "/proc/cmdline"), cmdline,
			  sizeof(cmdline)) < 0)
		cmdline[0] = '\0';

	if (exists("/sys/firmware/acpi/tables/DMAR")) {
		if (strstr(cmdline, "iommu=off"))
			return "replace iommu=off by intel_iommu=on in" WHERE;
		if (strstr(cmdline, "intel_iommu=on"))
			return "intel_iommu=on is given but has no effect, see: dmesg | grep -i dmar";
		return "add intel_iommu=on to" WHERE;
	}
	if (exists("/sys/firmware/acpi/tables/IVRS")) {
		if (strstr(cmdline, "iommu=off"))
			return "remove iommu=off and amd_iommu=off from" WHERE;
		return "see why with: dmesg | grep -i amd-vi";
	}
	return "switch on VT-d or AMD-Vi (IOMMU) in the firmware set-up; "
	       "a virtual machine needs a virtual IOMMU";
}

static void check_iommu(struct preflight_ctx *c)
{
	char unit[64], group[64];
	bool units = any_entry("/sys/class/iommu", unit);
	bool groups = any_entry("/sys/kernel/iommu_groups", group);

	c->no_iommu = !groups;
	if (groups)
		preflight_say(c, VERDICT_OK, "iommu", NULL, "the IOMMU is on%s%s",
			      units ? ": " : "", units ? unit : "");
	else if (units)
		preflight_say(c, VERDICT_FAIL, "iommu", preflight_iommu_fix(),
			      "the IOMMU %s is there but translates nothing: "
			      "/sys/kernel/iommu_groups is empty",
			      unit);
	else
		preflight_say(c, VERDICT_FAIL, "iommu", preflight_iommu_fix(),
			      "no IOMMU is active: /sys/class/iommu and /sys/kernel/iommu_groups "
			      "are empty");
}

static int has_remapped(void *opaque, char *line)
{
	(void)opaque;
	return strstr(line, " IR-") != NULL;
}

/* The kernel names remapped interrupt chips IR-...; what VFIO asks it in the end is the same. */
static void check_interrupt_remapping(struct preflight_ctx *c)
{
	char path[PATH_SIZE], text[8] = "";
	int r = hostproc_lines("/proc/interrupts", has_remapped, NULL);
	if (r < 0 || c->no_iommu)
		return;
	if (r == 1) {
		preflight_say(c, VERDICT_OK, "intr-remapping", NULL, "interrupts are remapped");
		return;
	}
	sys_read_text(hostpci_path(path, sizeof(path), TYPE1_PARAMS "/allow_unsafe_interrupts"),
		      text, sizeof(text));
	if (text[0] == 'Y')
		preflight_say(c, VERDICT_WARN, "intr-remapping", NULL,
			      "interrupts are not remapped and allow_unsafe_interrupts is set: a "
			      "guest can raise any interrupt on this host");
	else
		preflight_say(c, VERDICT_WARN, "intr-remapping",
			      "switch it on in the firmware set-up and remove nointremap or "
			      "intremap=off from the kernel command line; or, trusting the guest, "
			      "run: echo Y > " TYPE1_PARAMS "/allow_unsafe_interrupts",
			      "no interrupt is remapped: VFIO may refuse the IOMMU group (EPERM)");
}

/* --- modules --------------------------------------------------------------------------------- */

static void check_modules(struct preflight_ctx *c)
{
	static const struct {
		const char *path, *what, *fix;
	} needs[] = {
		{ "/dev/vfio/vfio", "vfio", "run: modprobe vfio-pci" },
		{ "/sys/bus/pci/drivers/vfio-pci", "vfio-pci", "run: modprobe vfio-pci" },
		{ "/sys/module/vfio_iommu_type1", "vfio_iommu_type1",
		  "run: modprobe vfio_iommu_type1" },
	};
	bool all = true;
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (exists(needs[i].path))
			continue;
		all = false;
		preflight_say(c, VERDICT_FAIL, "vfio-modules", needs[i].fix,
			      "the kernel module %s is not loaded: %s does not exist",
			      needs[i].what, needs[i].path);
	}
	if (!all)
		return;

	char path[PATH_SIZE];
	hostpci_path(path, sizeof(path), "/dev/vfio/vfio");
	int r = sys->access(path, R_OK | W_OK);
	if (r < 0)
		preflight_say(c, VERDICT_FAIL, "vfio-modules", "run: chmod 0666 /dev/vfio/vfio",
			      "/dev/vfio/vfio may not be opened: %s", strerror(-r));
	else
		preflight_say(c, VERDICT_OK, "vfio-modules", NULL,
			      "vfio, vfio-pci and vfio_iommu_type1 are loaded");
}

void preflight_host(struct preflight_ctx *c)
{
	if (c->req->need_kvm)
		check_kvm(c);
	if (c->req->n_bdfs == 0)
		return;
	check_iommu(c);
	check_modules(c);
	check_interrupt_remapping(c);
}

/* --- limits ---------------------------------------------------------------------------------- */

/* VFIO pins all guest RAM against the process's limit unless it may lock what it wants. */
static void check_memlock(struct preflight_ctx *c)
{
	struct vfio_memlock m;
	uint64_t need = c->req->ram_bytes;
	if (need == 0)
		return;
	vfio_why_memlock(&m);
	if (!m.known)
		return;
	uint64_t need_mib = (need + MIB(1) - 1) >> 20;

	if (m.unlimited || (m.used <= m.limit && m.limit - m.used >= need)) {
		preflight_say(c, VERDICT_OK, "memlock", NULL,
			      "%" PRIu64 " MiB of guest RAM may be locked", need_mib);
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
}

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
	check_memory(c);
	check_dma_limit(c);
}
