// SPDX-License-Identifier: GPL-2.0-or-later
//
// The KVM-VFIO pseudo-device (Linux virt/kvm/devices/vfio.rst), created at the first use: a
// machine without assigned devices does not pay for it. Owns its fd.
#include "kvm/kvm_vfio.h"

#include <errno.h>
#include <string.h>

#define LOG_TAG "kvm/vfio"
#include "core/log.h"
#include "core/sys.h"

void kvm_vfio_init(struct kvm_vfio *kv, const struct kvm_vm *vm)
{
	kv->vm = vm;
	kv->fd = -1;
}

void kvm_vfio_fini(struct kvm_vfio *kv)
{
	sys_close_fd(&kv->fd);
}

static int create(struct kvm_vfio *kv, struct verr *reterr)
{
	static const char none[] =
		"this kernel has no KVM-VFIO device (CONFIG_KVM_VFIO, Linux 3.13 "
		"or later)";
	/* KVM_CAP_DEVICE_CTRL says nothing: x86 has devices and answers 0. */
	struct kvm_create_device cd = { .type = KVM_DEV_TYPE_VFIO };
	int r = kvm_call(kv->vm->fd, KVM_CREATE_DEVICE, &cd, "KVM_CREATE_DEVICE", NULL);
	if (r == -ENODEV)
		return verr_set(reterr, -EOPNOTSUPP, "%s", none);
	if (r < 0)
		return verr_set(reterr, r, "KVM_CREATE_DEVICE(VFIO): %s", strerror(-r));
	kv->fd = (int)cd.fd;
	return 0;
}

int kvm_vfio_add(struct kvm_vfio *kv, int fd, struct verr *reterr)
{
	if (kv->fd < 0) {
		int r = create(kv, reterr);
		if (r < 0)
			return r;
	}
	int32_t arg = fd;
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = KVM_DEV_VFIO_FILE_ADD,
		.addr = (uint64_t)(uintptr_t)&arg,
	};
	return kvm_call(kv->fd, KVM_SET_DEVICE_ATTR, &attr,
			"KVM_SET_DEVICE_ATTR(KVM_DEV_VFIO_FILE_ADD)", reterr);
}

void kvm_vfio_del(struct kvm_vfio *kv, int fd)
{
	if (kv->fd < 0)
		return;
	int32_t arg = fd;
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_FILE,
		.attr = KVM_DEV_VFIO_FILE_DEL,
		.addr = (uint64_t)(uintptr_t)&arg,
	};
	int r = kvm_call(kv->fd, KVM_SET_DEVICE_ATTR, &attr, "KVM_SET_DEVICE_ATTR", NULL);
	if (r < 0 && r != -ENOENT)
		log_debug("KVM_DEV_VFIO_FILE_DEL of fd %d: %s", fd, strerror(-r));
}
