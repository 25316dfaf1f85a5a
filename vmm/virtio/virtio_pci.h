// SPDX-License-Identifier: GPL-2.0-or-later
// The modern PCI transport (VIRTIO 1.2 4.1): one BAR with the common, notify, ISR and device
// windows and the MSI-X table; the PCI configuration access capability; doorbells; vectors.
// A notification is an ioeventfd where the accelerator has them, and a trapped write otherwise.
// Everything under the machine lock.
#pragma once

#include "vmm/virtio/virtio.h"

VV_BEGIN_DECLS

/* Where things are in the BAR; drivers find them by the capabilities. */
enum {
	VPCI_BAR = 0,
	VPCI_COMMON = 0x0000,
	VPCI_ISR = 0x1000,
	VPCI_DEVICE = 0x2000,
	VPCI_NOTIFY = 0x3000,
	VPCI_NOTIFY_MULT = 4,
	VPCI_MSIX_TABLE = 0x4000, /* up to 2048 entries */
	VPCI_MSIX_PBA = 0xc000,
	VPCI_BAR_SIZE = 0x10000,
};

/* Function, BAR, capabilities, bus. Called by virtio_realize(). */
int virtio_pci_open(struct virtio_dev *vd, uint32_t class_code, struct verr *reterr);
void virtio_pci_close(struct virtio_dev *vd); /* any state */
/* Registers to power-on. */
void virtio_pci_reset_regs(struct virtio_dev *vd);
/* Doorbells of the started queues: there while the device is active and its BAR decodes. */
void virtio_pci_bells(struct virtio_dev *vd);
/* Tells every queue what to signal, after vectors or interrupt mode changed. */
void virtio_pci_calls(struct virtio_dev *vd);
void virtio_pci_config_irq(struct virtio_dev *vd);
/* May the function reach memory: bus master enabled, in D0? */
bool virtio_pci_dma_ok(const struct virtio_dev *vd);

VV_END_DECLS
