// SPDX-License-Identifier: GPL-2.0-or-later
// The registries: explicit lists, so that what exists is seen in one place.

#include "vmm/tables.h"

#include "kvm/accel_kvm.h"
#include "pci/hostbridge.h"
#include "pci/pcieport.h"
#include "vfio/passthru.h"
#include "vmm/accel_none.h"
#include "vmm/backend/blockdev.h"
#include "vmm/backend/chardevs.h"
#include "vmm/backend/netdev.h"
#include "vmm/dev/devs.h"
#include "vmm/machine_pc.h"
#include "vmm/virtio/virtio_devs.h"

/* One a line, so that they are merged without conflicts. */
/* clang-format off */
const struct dev_type *const dev_types[] = {
	&acpi_pm_type,
	&debugexit_type,
	&downstream_type,
	&hostbridge_type,
	&i8042_type,
	&legacy_type,
	&rootport_type,
	&rtc_type,
	&serial_type,
	&switch_type,
	&vfio_pci_type,
	&virtio_balloon_type,
	&virtio_blk_type,
	&virtio_console_type,
	&virtio_net_type,
	&virtio_rng_type,
	&virtio_vsock_type,
	NULL,
};
/* clang-format on */

const struct machine_type *const machine_types[] = { &pc_machine, NULL };

const struct accel_type *const accel_types[] = { &kvm_accel, &none_accel, NULL };

static const struct backend_type *const blockdev_types[] = { &blk_file_type, NULL };
static const struct backend_type *const netdev_types[] = { &net_tap_type, &net_user_type, NULL };
static const struct backend_type *const chardev_types[] = {
	&chr_file_backend,   &chr_null_backend,	 &chr_pty_backend,
	&chr_socket_backend, &chr_stdio_backend, NULL,
};

const struct backend_type *const *const backend_types[BACKEND_N_KINDS] = {
	[BACKEND_BLOCK] = blockdev_types,
	[BACKEND_NET] = netdev_types,
	[BACKEND_CHAR] = chardev_types,
};
