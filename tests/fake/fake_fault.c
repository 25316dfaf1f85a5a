// SPDX-License-Identifier: GPL-2.0-or-later
//
// Faults by plan, and the sweep's own: which calls can fail for a correct caller, and with which
// errnos their manuals say. Owns the tables of names.
#include "tests/fake/fake_fault.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <linux/vhost.h>
#include <string.h>

#include "tests/fake/fake_fault_int.h"

#define FAULTS_MAX 8
#define ERRNOS	   6

static struct {
	struct fake_fault f;
	unsigned int seen;
} faults[FAULTS_MAX];
static unsigned int n_faults, hits;
static struct fk_sweep_plan plan;

// clang-format off
static const struct {
	const char *name;
	int errnos[ERRNOS]; /* what may go wrong without the caller's fault; ends at 0 */
} calls[FAKE_CALLS] = {
	[FAKE_CALL_OPEN] = { "open", { EACCES, EMFILE, ENOENT, EBUSY } },
	[FAKE_CALL_CLOSE] = { "close", { EIO } },
	[FAKE_CALL_IOCTL] = { "ioctl", { EIO, ENOMEM } },
	[FAKE_CALL_READ] = { "read", { EIO } },
	[FAKE_CALL_WRITE] = { "write", { EIO, ENOSPC, EPERM } },
	[FAKE_CALL_READV] = { "readv", { EIO } },
	[FAKE_CALL_WRITEV] = { "writev", { EIO } },
	[FAKE_CALL_PREAD] = { "pread", { EIO } },
	[FAKE_CALL_PWRITE] = { "pwrite", { EIO } },
	[FAKE_CALL_MMAP] = { "mmap", { ENOMEM, EINVAL, EAGAIN } },
	[FAKE_CALL_MUNMAP] = { "munmap", { EINVAL } },
	[FAKE_CALL_MADVISE] = { "madvise", { EINVAL, ENOMEM } },
	[FAKE_CALL_EVENTFD] = { "eventfd", { EMFILE, ENFILE, ENOMEM } },
	[FAKE_CALL_MEMFD] = { "memfd", { EMFILE, ENOMEM } },
	[FAKE_CALL_FTRUNCATE] = { "ftruncate", { EFBIG, EIO } },
	[FAKE_CALL_FSYNC] = { "fsync", { EIO, ENOSPC } },
	[FAKE_CALL_FSTAT] = { "fstat", { EIO } },
	[FAKE_CALL_STAT] = { "stat", { EACCES, ENOENT } },
	[FAKE_CALL_ACCESS] = { "access", { EACCES, ENOENT } },
	[FAKE_CALL_READLINK] = { "readlink", { EACCES, ENOENT } },
	[FAKE_CALL_LISTDIR] = { "listdir", { EACCES, ENOENT, EMFILE } },
	[FAKE_CALL_MKDIR] = { "mkdir", { EACCES, ENOSPC, EROFS } },
	[FAKE_CALL_RENAME] = { "rename", { EACCES, ENOSPC, EIO } },
	[FAKE_CALL_UNLINK] = { "unlink", { EACCES, EROFS, EIO } },
	[FAKE_CALL_FLOCK] = { "flock", { ENOLCK, EWOULDBLOCK } },
	[FAKE_CALL_OFD_LOCK] = { "ofd_lock", { EAGAIN, ENOLCK, EINVAL } },
	[FAKE_CALL_POLL] = { "poll", { ENOMEM } },
	[FAKE_CALL_DIAL] = { "dial", { ENOENT, ECONNREFUSED, EACCES, EMFILE } },
	[FAKE_CALL_SPAWN] = { "spawn", { ENOENT, EACCES, EMFILE, ENOMEM } },
	[FAKE_CALL_REAP] = { "reap", { ECHILD } },
};

#define IOCTL(n, ...) { n, #n, { __VA_ARGS__ } }
static const struct {
	unsigned long request;
	const char *name;
	int errnos[ERRNOS];
} ioctls[] = {
	IOCTL(VFIO_GET_API_VERSION, ENOTTY),
	IOCTL(VFIO_CHECK_EXTENSION, ENOTTY),
	IOCTL(VFIO_SET_IOMMU, ENODEV, EPERM, EINVAL, ENOMEM),
	IOCTL(VFIO_GROUP_GET_STATUS, EINVAL),
	IOCTL(VFIO_GROUP_SET_CONTAINER, EPERM, EINVAL, EBUSY, ENOMEM),
	IOCTL(VFIO_GROUP_UNSET_CONTAINER, EBUSY),
	IOCTL(VFIO_GROUP_GET_DEVICE_FD, ENODEV, EBUSY, EINVAL, EPERM, EIO),
	IOCTL(VFIO_DEVICE_GET_INFO, EINVAL, ENODEV),
	IOCTL(VFIO_DEVICE_GET_REGION_INFO, EINVAL, ENODEV, ENOMEM),
	IOCTL(VFIO_DEVICE_GET_IRQ_INFO, EINVAL, ENODEV),
	IOCTL(VFIO_DEVICE_SET_IRQS, EINVAL, ENOSPC, ENOMEM, EIO),
	IOCTL(VFIO_DEVICE_RESET, EINVAL, EAGAIN, EIO, ENOTTY),
	IOCTL(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, ENODEV, ENOSPC),
	IOCTL(VFIO_DEVICE_PCI_HOT_RESET, EINVAL, ENODEV, EAGAIN),
	IOCTL(VFIO_DEVICE_FEATURE, ENOTTY, EINVAL),
	IOCTL(VFIO_IOMMU_GET_INFO, EINVAL, ENOMEM),
	IOCTL(VFIO_IOMMU_MAP_DMA, ENOMEM, EFAULT, EINVAL, EEXIST, ENOSPC),
	IOCTL(VFIO_IOMMU_UNMAP_DMA, EINVAL),
	IOCTL(KVM_GET_API_VERSION, ENOTTY),
	IOCTL(KVM_CREATE_VM, ENOMEM, EBUSY, EPERM),
	IOCTL(KVM_CHECK_EXTENSION, EINVAL),
	IOCTL(KVM_GET_VCPU_MMAP_SIZE, EINVAL),
	IOCTL(KVM_GET_SUPPORTED_CPUID, E2BIG, ENOMEM),
	IOCTL(KVM_GET_MSR_INDEX_LIST, E2BIG, EFAULT),
	IOCTL(KVM_CREATE_VCPU, ENOMEM, EINVAL, EEXIST),
	IOCTL(KVM_SET_USER_MEMORY_REGION, ENOMEM, EINVAL, EEXIST),
	IOCTL(KVM_CREATE_IRQCHIP, EEXIST, ENOMEM),
	IOCTL(KVM_CREATE_PIT2, EEXIST, ENOENT),
	IOCTL(KVM_ENABLE_CAP, EINVAL, ENOMEM),
	IOCTL(KVM_SET_TSS_ADDR, EINVAL),
	IOCTL(KVM_SET_IDENTITY_MAP_ADDR, EINVAL),
	IOCTL(KVM_SET_GSI_ROUTING, EINVAL, ENOMEM),
	IOCTL(KVM_IRQFD, EINVAL, EBUSY, ENOMEM),
	IOCTL(KVM_IRQ_LINE, ENXIO),
	IOCTL(KVM_IRQ_LINE_STATUS, ENXIO),
	IOCTL(KVM_SIGNAL_MSI, EINVAL),
	IOCTL(KVM_IOEVENTFD, EEXIST, ENOSPC, ENOMEM),
	IOCTL(KVM_CREATE_DEVICE, ENODEV, EBUSY, ENOMEM),
	IOCTL(KVM_SET_DEVICE_ATTR, EINVAL, EEXIST, ENXIO, ENOMEM),
	IOCTL(KVM_HAS_DEVICE_ATTR, ENXIO),
	IOCTL(KVM_GET_REGS, ENOMEM), IOCTL(KVM_SET_REGS, EINVAL),
	IOCTL(KVM_GET_SREGS, ENOMEM), IOCTL(KVM_SET_SREGS, EINVAL),
	IOCTL(KVM_GET_FPU, ENOMEM), IOCTL(KVM_SET_FPU, EINVAL),
	IOCTL(KVM_GET_XSAVE, ENOMEM), IOCTL(KVM_SET_XSAVE, EINVAL), IOCTL(KVM_GET_XSAVE2, ENOMEM),
	IOCTL(KVM_GET_XCRS, ENOMEM), IOCTL(KVM_SET_XCRS, EINVAL),
	IOCTL(KVM_GET_LAPIC, EINVAL), IOCTL(KVM_SET_LAPIC, EINVAL),
	IOCTL(KVM_GET_MP_STATE, EINVAL), IOCTL(KVM_SET_MP_STATE, EINVAL),
	IOCTL(KVM_GET_VCPU_EVENTS, EINVAL), IOCTL(KVM_SET_VCPU_EVENTS, EINVAL),
	IOCTL(KVM_GET_DEBUGREGS, EINVAL), IOCTL(KVM_SET_DEBUGREGS, EINVAL),
	IOCTL(KVM_SET_CPUID2, EINVAL, E2BIG, ENOMEM),
	IOCTL(KVM_GET_MSRS, EINVAL), IOCTL(KVM_SET_MSRS, EINVAL, ENOMEM),
	IOCTL(KVM_SET_SIGNAL_MASK, EINVAL),
	IOCTL(KVM_GET_TSC_KHZ, EIO), IOCTL(KVM_SET_TSC_KHZ, EINVAL),
	IOCTL(KVM_GET_CLOCK, EINVAL), IOCTL(KVM_SET_CLOCK, EINVAL),
	IOCTL(KVM_GET_IRQCHIP, ENXIO), IOCTL(KVM_SET_IRQCHIP, ENXIO),
	IOCTL(KVM_GET_PIT2, ENXIO), IOCTL(KVM_SET_PIT2, ENXIO),
	IOCTL(KVM_SET_BOOT_CPU_ID, EBUSY),
	IOCTL(KVM_INTERRUPT, EINVAL), IOCTL(KVM_NMI, EINVAL), IOCTL(KVM_KVMCLOCK_CTRL, EINVAL),
	IOCTL(KVM_RUN, EFAULT),
	IOCTL(VHOST_GET_FEATURES, ENOTTY),
	IOCTL(VHOST_SET_FEATURES, EOPNOTSUPP),
	IOCTL(VHOST_SET_OWNER, EBUSY, ENOMEM, EPERM),
	IOCTL(VHOST_SET_MEM_TABLE, E2BIG, ENOMEM, EFAULT),
	IOCTL(VHOST_SET_VRING_NUM, EBUSY),
	IOCTL(VHOST_SET_VRING_BASE, EBUSY),
	IOCTL(VHOST_GET_VRING_BASE, EFAULT),
	IOCTL(VHOST_SET_VRING_ADDR, EINVAL),
	IOCTL(VHOST_SET_VRING_KICK, ENOMEM),
	IOCTL(VHOST_SET_VRING_CALL, ENOMEM),
	IOCTL(VHOST_SET_VRING_ERR, ENOMEM),
	IOCTL(VHOST_NET_SET_BACKEND, ENOTSOCK, ENOMEM, EFAULT),
	IOCTL(VHOST_VSOCK_SET_GUEST_CID, EADDRINUSE, EINVAL),
	IOCTL(VHOST_VSOCK_SET_RUNNING, EFAULT),
	IOCTL(TUNSETIFF, EPERM, EBUSY, EINVAL, ENOMEM), IOCTL(TUNGETIFF, EBADFD),
	IOCTL(TUNSETVNETHDRSZ, EINVAL, EBADFD), IOCTL(TUNSETOFFLOAD, EINVAL, EBADFD),
	IOCTL(TUNSETQUEUE, EINVAL, E2BIG),
};
// clang-format on

const char *fk_call_name(enum fake_call c)
{
	return calls[c].name;
}

/* The row of an ioctl; -1: unknown. VFIO uses some numbers twice, for devices and for IOMMUs. */
static int ioctl_row(const struct fk_call *c)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ioctls); i++)
		if (ioctls[i].request == c->request &&
		    !(c->kind == FK_CONTAINER && strncmp(ioctls[i].name, "VFIO_DEVICE_", 12) == 0))
			return (int)i;
	return -1;
}

const char *fk_ioctl_name(const struct fk_call *c)
{
	int i = ioctl_row(c);
	return i < 0 ? NULL : ioctls[i].name;
}

/* --- by plan ------------------------------------------------------------------------------ */

void fake_fault_add(const struct fake_fault *f)
{
	fk_lock();
	if (n_faults == FAULTS_MAX)
		fk_bug("more than %d faults", FAULTS_MAX);
	if (f->nth == 0 || f->err <= 0)
		fk_bug("a fault needs nth from 1 and a positive errno");
	faults[n_faults].f = *f;
	faults[n_faults++].seen = 0;
	fk_unlock();
}

void fake_fault_clear(void)
{
	fk_lock();
	n_faults = 0;
	hits = 0;
	fk_unlock();
}

unsigned int fake_fault_hits(void)
{
	fk_lock();
	unsigned int n = hits;
	fk_unlock();
	return n;
}

static bool path_matches(const char *pattern, const char *path)
{
	return !pattern || (path && fnmatch(pattern, path, 0) == 0);
}

static int planned(const struct fk_call *c)
{
	int err = 0;
	for (unsigned int i = 0; i < n_faults; i++) {
		const struct fake_fault *f = &faults[i].f;
		if ((f->calls && !(f->calls & BIT32(c->call))) ||
		    (f->request && f->request != c->request) || !path_matches(f->path, c->path))
			continue;
		unsigned int n = ++faults[i].seen;
		if (n >= f->nth && (f->times == 0 || n < f->nth + f->times) && err == 0)
			err = f->err;
	}
	hits += err != 0;
	return -err;
}

/* --- the sweep's -------------------------------------------------------------------------- */

static bool undoes(const struct fk_call *c)
{
	switch (c->request) {
	case VFIO_IOMMU_UNMAP_DMA:
	case VFIO_GROUP_UNSET_CONTAINER:
		return true;
	case VFIO_DEVICE_SET_IRQS:
		return fk_irqs_all_off_request(c->arg);
	case KVM_SET_USER_MEMORY_REGION:
		return ((const struct kvm_userspace_memory_region *)c->arg)->memory_size == 0;
	case KVM_IRQFD:
		return ((const struct kvm_irqfd *)c->arg)->flags & KVM_IRQFD_FLAG_DEASSIGN;
	case KVM_IOEVENTFD:
		return ((const struct kvm_ioeventfd *)c->arg)->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	case KVM_SET_DEVICE_ATTR:
		return ((const struct kvm_device_attr *)c->arg)->attr == KVM_DEV_VFIO_GROUP_DEL;
	default:
		return false;
	}
}

static bool candidate(const struct fk_call *c)
{
	if (plan.calls && !(plan.calls & BIT32(c->call)))
		return false;
	if (!path_matches(plan.path, c->path))
		return false;
	if (c->call == FAKE_CALL_POLL || c->call == FAKE_CALL_REAP ||
	    (c->call == FAKE_CALL_IOCTL && c->request == KVM_RUN))
		return false;
	/* Eventfd reads and writes with a count to move can't fail. */
	if (c->kind == FK_EVENTFD && (c->call == FAKE_CALL_READ || c->call == FAKE_CALL_WRITE))
		return false;
	if (plan.undo)
		return c->call != FAKE_CALL_CLOSE && c->call != FAKE_CALL_MUNMAP;
	return c->call != FAKE_CALL_CLOSE && c->call != FAKE_CALL_MUNMAP &&
	       !(c->call == FAKE_CALL_IOCTL && undoes(c));
}

static const int *errnos_of(const struct fk_call *c)
{
	int i = c->call == FAKE_CALL_IOCTL ? ioctl_row(c) : -1;
	return i >= 0 && ioctls[i].errnos[0] ? ioctls[i].errnos : calls[c->call].errnos;
}

static int swept(const struct fk_call *c)
{
	if (!plan.on || !candidate(c) || ++plan.seen != plan.nth)
		return 0;
	const int *e = errnos_of(c);
	plan.n_errnos = 0;
	while (plan.n_errnos < ERRNOS && e[plan.n_errnos])
		plan.n_errnos++;
	plan.hit = true;
	plan.err = e[plan.errno_index];
	const char *name = c->call == FAKE_CALL_IOCTL ? fk_ioctl_name(c) : NULL;
	snprintf(plan.what, sizeof(plan.what), "%s %s %s", calls[c->call].name,
		 c->path ? c->path : "-", name ? name : "");
	return -plan.err;
}

int fk_fault(const struct fk_call *c)
{
	int r = planned(c);
	return r ? r : swept(c);
}

bool fk_sweeping(void)
{
	return plan.on;
}

struct fk_sweep_plan *fk_sweep_plan(void)
{
	return &plan;
}

void fk_fault_reset(void)
{
	n_faults = 0;
	hits = 0;
	plan.on = false;
}
