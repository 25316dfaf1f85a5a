// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of the machine as a whole: KVM, the IOMMU, interrupt remapping, the VFIO
// modules, lockdown. Judges the state the kernel is in; the kernel command line only serves to
// word the advice.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

struct cpu {
	bool known, vmx, svm, guest;
};

static bool has_word(const char *line, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = line; (at = strstr(at, word)); at += len) {
		if (at > line && at[-1] == ' ' && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

static int cpu_line(void *opaque, char *line)
{
	struct cpu *cpu = (struct cpu *)opaque;
	if (strncmp(line, "flags", 5) != 0)
		return 0;
	cpu->known = true;
	cpu->vmx = has_word(line, "vmx");
	cpu->svm = has_word(line, "svm");
	cpu->guest = has_word(line, "hypervisor");
	return 1;
}

static struct cpu read_cpu(void)
{
	struct cpu cpu = { .known = false };
	hostproc_lines("/proc/cpuinfo", cpu_line, &cpu);
	return cpu;
}

/* There is no /dev/kvm: the processor's flags and the modules tell which of four reasons it is. */
static void say_no_kvm(struct preflight_ctx *c, const struct cpu *cpu)
{
	const char *module = cpu->svm ? "kvm_amd" : "kvm_intel", *text, *fix;
	char loaded[64], module_fix[160];

	snprintf(loaded, sizeof(loaded), "/sys/module/%s", module);
	if (!cpu->known) {
		text = "/dev/kvm does not exist: KVM is not there";
		fix = "run: modprobe kvm-intel or kvm-amd; if that fails, switch on VT-x or AMD-V "
		      "in the firmware set-up";
	} else if (cpu->vmx || cpu->svm) {
		snprintf(module_fix, sizeof(module_fix),
			 "run: modprobe %s; if that fails, switch on %s in the firmware set-up",
			 module, cpu->svm ? "AMD-V (SVM)" : "VT-x");
		text = "/dev/kvm does not exist, though the processor can virtualise: KVM's module "
		       "is not loaded";
		fix = module_fix;
		if (exists(loaded)) {
			text = "/dev/kvm does not exist, though KVM's module is loaded: KVM did not "
			       "start, or /dev is not the machine's own (a container)";
			fix = "see why with: dmesg | grep -i kvm; a container needs: --device "
			      "/dev/kvm";
		}
	} else if (cpu->guest) {
		text = "/dev/kvm does not exist: this machine is itself a virtual machine, and its "
		       "host lets it have no virtualisation (nested)";
		fix = "on the outer host, load kvm_intel or kvm_amd with nested=1 and give this "
		      "machine the processor's flags (QEMU: -cpu host)";
	} else {
		text = "/dev/kvm does not exist: the processor shows neither vmx nor svm, it can't "
		       "virtualise or the firmware has switched that off";
		fix = "switch on VT-x or AMD-V (SVM) in the firmware set-up";
	}
	preflight_say(c, VERDICT_FAIL, "kvm", fix, "%s", text);
	if (cpu->known)
		preflight_evidence(c, "/proc/cpuinfo: flags %s, %s",
				   cpu->vmx   ? "with vmx"
				   : cpu->svm ? "with svm"
					      : "without vmx and svm",
				   cpu->guest ? "a virtual machine" : "no hypervisor below");
}

static void check_kvm(struct preflight_ctx *c)
{
	char path[PATH_SIZE], owner[96], fix[160];
	struct cpu cpu = read_cpu();
	int fd = sys_open(hostpci_path(path, sizeof(path), "/dev/kvm"), O_RDWR, 0);

	if (fd >= 0) {
		sys_close(fd);
		preflight_say(c, VERDICT_OK, "kvm", NULL, "/dev/kvm can be opened%s",
			      cpu.guest ? "; this machine is itself a virtual machine (nested)"
					: "");
		preflight_node_owner("/dev/kvm", owner, sizeof(owner), NULL);
		preflight_evidence(c, "/dev/kvm: %s", owner);
	} else if (fd == -ENOENT) {
		say_no_kvm(c, &cpu);
	} else if (fd == -EACCES || fd == -EPERM) {
		char group[32] = "";
		preflight_node_owner("/dev/kvm", owner, sizeof(owner), group);
		if (group[0] && strcmp(group, "root") != 0)
			snprintf(fix, sizeof(fix),
				 "run as root, or: usermod -aG %s USER, and log in again", group);
		else
			snprintf(fix, sizeof(fix),
				 "run as root, or make it a udev rule: KERNEL==\"kvm\", "
				 "GROUP=\"kvm\", MODE=\"0660\"");
		preflight_say(c, VERDICT_FAIL, "kvm", fix, "/dev/kvm may not be opened: %s%s%s",
			      strerror(-fd), owner[0] ? ", it belongs to " : "", owner);
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
		if (strstr(cmdline, "amd_iommu=on"))
			return "see why with: dmesg | grep -i amd-vi (amd_iommu=on is nothing that "
			       "Linux knows)";
		return "see why with: dmesg | grep -i amd-vi";
	}
	if (read_cpu().guest)
		return "give this virtual machine a virtual IOMMU (QEMU: -M q35 -device "
		       "intel-iommu,intremap=on, or amd-iommu; with a split irqchip)";
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
	if (!groups)
		preflight_evidence(c, "ACPI table: %s",
				   exists("/sys/firmware/acpi/tables/DMAR")   ? "DMAR (Intel VT-d)"
				   : exists("/sys/firmware/acpi/tables/IVRS") ? "IVRS (AMD-Vi)"
									      : "neither DMAR nor "
										"IVRS");
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
		preflight_evidence(c, "/proc/interrupts: chips named IR-");
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
	preflight_evidence(c, "/proc/interrupts: no chip named IR-; allow_unsafe_interrupts %s",
			   text[0] ? text : "unknown");
}

/* Does the IOMMU post interrupts straight to a guest's processor? Its registers say: VT-d
 * 4.0 11.4.2 bit 59 (PI), AMD IOMMU 3.08 3.4.9 bits 22:21 (GAMSup). */
static bool iommu_posts(const char *file, uint64_t bits)
{
	char path[PATH_SIZE], unit[64], text[64];
	if (!any_entry("/sys/class/iommu", unit))
		return false;
	hostpci_path(path, sizeof(path), "/sys/class/iommu/%s/%s", unit, file);
	return sys_read_text(path, text, sizeof(text)) >= 0 && (strtoull(text, NULL, 16) & bits);
}

/* Without it all works, and each interrupt of the device costs its guest's processor an exit. */
static void check_posting(struct preflight_ctx *c)
{
	static const struct {
		const char *param, *fix, *file;
		uint64_t bits;
	} kinds[] = {
		{ "/sys/module/kvm_intel/parameters/enable_apicv",
		  "load it with: modprobe kvm_intel enable_apicv=1", "intel-iommu/cap", BIT64(59) },
		{ "/sys/module/kvm_amd/parameters/avic", "load it with: modprobe kvm_amd avic=1",
		  "amd-iommu/features", BIT64(21) | BIT64(22) },
	};
	char path[PATH_SIZE], on[8];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (sys_read_text(hostpci_path(path, sizeof(path), "%s", kinds[i].param), on,
				  sizeof(on)) < 0)
			continue;
		bool kvm = on[0] == 'Y' || on[0] == '1';
		bool iommu = iommu_posts(kinds[i].file, kinds[i].bits);
		if (kvm && iommu)
			preflight_say(c, VERDICT_OK, "intr-posting", NULL,
				      "interrupts reach a running guest without an exit (posted)");
		else
			preflight_say(c, VERDICT_OK, "intr-posting", iommu ? kinds[i].fix : NULL,
				      "each interrupt of a device costs its guest an exit: %s",
				      !iommu ? "the IOMMU posts none"
					     : "KVM does without the processor's virtual APIC");
		preflight_evidence(c, "%s: %s", kinds[i].param, on);
		return;
	}
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

/* What vfio-vmm uses is type1, which every kernel has; iommufd is news for other programs. */
static void check_iommufd(struct preflight_ctx *c)
{
	if (exists("/dev/iommu"))
		preflight_say(c, VERDICT_OK, "iommufd", NULL,
			      "iommufd is there too; vfio-vmm uses the type1 container");
	else
		preflight_say(c, VERDICT_OK, "iommufd", NULL,
			      "no iommufd, and none needed: vfio-vmm uses the type1 container");
	preflight_evidence(c, "/dev/iommu %s", exists("/dev/iommu") ? "exists" : "does not exist");
}

/* --- lockdown -------------------------------------------------------------------------------- */

#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

/* Four bytes of attributes, then the variable. */
static bool secure_boot(void)
{
	char path[PATH_SIZE];
	uint8_t text[5] = { 0 };
	int fd = sys_open(hostpci_path(path, sizeof(path), SECURE_BOOT), O_RDONLY, 0);
	if (fd < 0)
		return false;
	ssize_t n = sys_read(fd, text, sizeof(text));
	sys_close(fd);
	return n == (ssize_t)sizeof(text) && text[4] == 1;
}

/* VFIO itself works under lockdown; what does not is what people reach for next to it. */
static void check_lockdown(struct preflight_ctx *c)
{
	char path[PATH_SIZE], text[64];
	bool secure = secure_boot();
	if (sys_read_text(hostpci_path(path, sizeof(path), "/sys/kernel/security/lockdown"), text,
			  sizeof(text)) < 0)
		return; /* a kernel without, or securityfs is not mounted */
	const char *on = strchr(text, '[');
	if (!on || strncmp(on, "[none]", 6) == 0)
		preflight_say(c, VERDICT_OK, "lockdown", NULL, "the kernel is not locked down%s",
			      secure ? ", though Secure Boot is on" : "");
	else
		preflight_say(c, VERDICT_OK, "lockdown", NULL,
			      "the kernel is locked down%s: VFIO works, modules without a known "
			      "signature (vendor-reset) and writes to PCI config space do not",
			      secure ? " by Secure Boot" : "");
	preflight_evidence(c, "/sys/kernel/security/lockdown: %s", text);
}

void preflight_host(struct preflight_ctx *c)
{
	if (c->req->need_kvm)
		check_kvm(c);
	if (c->req->n_bdfs == 0)
		return;
	check_iommu(c);
	check_modules(c);
	check_iommufd(c);
	check_interrupt_remapping(c);
	check_posting(c);
	check_lockdown(c);
}
