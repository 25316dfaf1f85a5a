// SPDX-License-Identifier: GPL-2.0-or-later
//
// /dev/kvm: opens it, checks the API version and the table of capabilities, and explains what is
// wrong in words of use to the person whose machine it is. Owns the file. Must not know of
// machines, vCPUs or memory.
#include "kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LOG_TAG "kvm"
#include "core/log.h"
#include "core/sys.h"

enum need { NEED_ALWAYS, NEED_SPLIT, OPTIONAL };

struct cap_row {
	int cap;
	enum need need;
	const char *name;
	const char *since; /* Linux version that brought it */
	const char *why;   /* "... needs it to" */
};

#define ROW(id, cap_, need_, since_, why_)                                                         \
	[id] = { .cap = cap_, .need = need_, .name = #cap_, .since = since_, .why = why_ }

static const struct cap_row caps[KVM_CAP_IDS] = {
	ROW(KVM_HAS_USER_MEMORY, KVM_CAP_USER_MEMORY, NEED_ALWAYS, "2.6.25",
	    "give the guest memory"),
	ROW(KVM_HAS_NR_MEMSLOTS, KVM_CAP_NR_MEMSLOTS, NEED_ALWAYS, "2.6.26",
	    "map RAM and device BARs"),
	ROW(KVM_HAS_READONLY_MEM, KVM_CAP_READONLY_MEM, NEED_ALWAYS, "3.7", "map ROMs"),
	ROW(KVM_HAS_TSS_ADDR, KVM_CAP_SET_TSS_ADDR, NEED_ALWAYS, "2.6.25",
	    "run real mode on Intel"),
	ROW(KVM_HAS_IDENTITY_MAP, KVM_CAP_SET_IDENTITY_MAP_ADDR, NEED_ALWAYS, "2.6.32",
	    "run real mode on Intel"),
	ROW(KVM_HAS_EXT_CPUID, KVM_CAP_EXT_CPUID, NEED_ALWAYS, "2.6.26",
	    "describe the guest's CPU"),
	ROW(KVM_HAS_IMMEDIATE_EXIT, KVM_CAP_IMMEDIATE_EXIT, NEED_ALWAYS, "4.11",
	    "stop a virtual CPU at an instruction boundary"),
	ROW(KVM_HAS_IRQCHIP, KVM_CAP_IRQCHIP, NEED_ALWAYS, "2.6.25", "give the guest local APICs"),
	ROW(KVM_HAS_SPLIT_IRQCHIP, KVM_CAP_SPLIT_IRQCHIP, NEED_SPLIT, "4.4",
	    "keep the IOAPIC in user space"),
	ROW(KVM_HAS_IRQ_ROUTING, KVM_CAP_IRQ_ROUTING, NEED_ALWAYS, "2.6.30", "route MSIs"),
	ROW(KVM_HAS_IRQFD, KVM_CAP_IRQFD, NEED_ALWAYS, "2.6.31", "deliver device interrupts"),
	ROW(KVM_HAS_SIGNAL_MSI, KVM_CAP_SIGNAL_MSI, NEED_ALWAYS, "3.5", "inject MSIs"),
	ROW(KVM_HAS_IOEVENTFD, KVM_CAP_IOEVENTFD, NEED_ALWAYS, "2.6.32", "have doorbells"),
	ROW(KVM_HAS_MAX_VCPUS, KVM_CAP_MAX_VCPUS, NEED_ALWAYS, "3.1",
	    "tell how many vCPUs it takes"),
	ROW(KVM_HAS_IRQFD_RESAMPLE, KVM_CAP_IRQFD_RESAMPLE, OPTIONAL, "3.7",
	    "pass INTx of devices through without user space"),
	ROW(KVM_HAS_IOEVENTFD_ANY, KVM_CAP_IOEVENTFD_ANY_LENGTH, OPTIONAL, "4.4",
	    "have doorbells of any width"),
	ROW(KVM_HAS_TSC_DEADLINE, KVM_CAP_TSC_DEADLINE_TIMER, OPTIONAL, "3.2",
	    "offer the TSC-deadline timer"),
	ROW(KVM_HAS_X2APIC_API, KVM_CAP_X2APIC_API, OPTIONAL, "4.8", "have more than 254 vCPUs"),
};

int kvm_call(int fd, unsigned long request, void *arg, const char *what, struct verr *reterr)
{
	int r;
	do {
		r = sys_ioctl(fd, request, arg);
	} while (r == -EINTR);
	if (r < 0)
		return verr_set(reterr, r, "%s: %s", what, strerror(-r));
	return r;
}

static int open_failed(int r, struct verr *reterr)
{
	switch (r) {
	case -ENOENT:
		return verr_set(reterr, r,
				"/dev/kvm does not exist: turn on VT-x or AMD-V in the firmware "
				"set-up, then run modprobe kvm_intel or modprobe kvm_amd");
	case -ENODEV:
	case -ENXIO:
		return verr_set(
			reterr, r,
			"/dev/kvm is there but has no KVM behind it: run modprobe kvm_intel "
			"or modprobe kvm_amd and read dmesg");
	case -EACCES:
	case -EPERM:
		return verr_set(reterr, r,
				"no permission to open /dev/kvm: run as root, or join its group "
				"(usermod -aG kvm USER) and log in again");
	case -EBUSY:
		return verr_set(
			reterr, r,
			"/dev/kvm is busy: another hypervisor holds the CPU's virtualization "
			"(stop it, for VirtualBox: rmmod vboxdrv)");
	default:
		return verr_set(reterr, r, "open /dev/kvm: %s", strerror(-r));
	}
}

static bool needed(const struct cap_row *row, enum kvm_chip_mode mode)
{
	return row->need == NEED_ALWAYS || (row->need == NEED_SPLIT && mode == KVM_CHIP_SPLIT);
}

static int check_caps(struct kvm_host *h, enum kvm_chip_mode mode, struct verr *reterr)
{
	for (unsigned int i = 0; i < KVM_CAP_IDS; i++) {
		const struct cap_row *row = &caps[i];
		int r = sys_ioctl_n(h->fd, KVM_CHECK_EXTENSION, (unsigned long)row->cap);
		if (r < 0)
			return verr_set(reterr, r, "KVM_CHECK_EXTENSION(%s): %s", row->name,
					strerror(-r));
		if (r == 0 && needed(row, mode))
			return verr_set(
				reterr, -EOPNOTSUPP,
				"this kernel's KVM lacks %s, needed to %s (Linux %s or later "
				"has it)",
				row->name, row->why, row->since);
		if (r == 0)
			log_debug("%s is absent: can't %s", row->name, row->why);
		h->cap[i] = r;
	}
	return 0;
}

int kvm_host_open(struct kvm_host *h, enum kvm_chip_mode mode, struct verr *reterr)
{
	memset(h, 0, sizeof(*h));
	h->fd = sys_open("/dev/kvm", O_RDWR | O_CLOEXEC, 0);
	if (h->fd < 0) {
		int r = h->fd;
		h->fd = -1;
		return open_failed(r, reterr);
	}

	int r = KVM_CALL(h->fd, KVM_GET_API_VERSION, NULL, reterr);
	if (r < 0)
		goto fail;
	h->api = r;
	if (r != KVM_API_VERSION) {
		r = verr_set(reterr, -EOPNOTSUPP,
			     "/dev/kvm speaks API version %d, not %d: it is "
			     "not a KVM we know",
			     r, KVM_API_VERSION);
		goto fail;
	}
	r = check_caps(h, mode, reterr);
	if (r < 0)
		goto fail;
	r = KVM_CALL(h->fd, KVM_GET_VCPU_MMAP_SIZE, NULL, reterr);
	if (r < 0)
		goto fail;
	if ((size_t)r < sizeof(struct kvm_run)) {
		r = verr_set(reterr, -EOPNOTSUPP,
			     "KVM_GET_VCPU_MMAP_SIZE: %d bytes are too few for "
			     "struct kvm_run (%zu)",
			     r, sizeof(struct kvm_run));
		goto fail;
	}
	h->run_size = (unsigned int)r;
	return 0;
fail:
	kvm_host_close(h);
	return r;
}

void kvm_host_close(struct kvm_host *h)
{
	sys_close_fd(&h->fd);
}
