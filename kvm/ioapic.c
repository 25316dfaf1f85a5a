// SPDX-License-Identifier: GPL-2.0-or-later
//
// The IOAPIC of a split irqchip (Intel 82093AA, with the EOI register of version 0x20). Owns the
// redirection entries and the pins' state. Must not know of KVM, routes or eventfds: the sink
// acts. Polarity is not looked at: a pin is asserted or not.
#include "kvm/ioapic.h"

#include <string.h>

#define LOG_TAG "kvm/ioapic"
#include "core/log.h"

enum {
	REG_SELECT = 0x00,
	REG_WINDOW = 0x10,
	REG_EOI = 0x40,
	IDX_ID = 0x00,
	IDX_VERSION = 0x01,
	IDX_ARB = 0x02,
	IDX_RTE = 0x10,
	VERSION = 0x20,
};

#define RTE_VECTOR     UINT64_C(0xff)
#define RTE_DELMODE    UINT64_C(0x700)
#define RTE_LOGICAL    BIT64(11)
#define RTE_PENDING    BIT64(12)
#define RTE_REMOTE_IRR BIT64(14)
#define RTE_LEVEL      BIT64(15)
#define RTE_MASKED     BIT64(16)
#define RTE_DEST_SHIFT 56
#define RTE_RO	       (RTE_PENDING | RTE_REMOTE_IRR)
#define RTE_WRITABLE   (UINT64_C(0xff0000000001ffff) & ~RTE_RO)

static struct msi_msg rte_msg(uint64_t rte)
{
	/* SDM 3 11.11: the message an MSI would carry; level ones say "assert". */
	struct msi_msg m = {
		.addr = 0xfee00000 | (rte >> RTE_DEST_SHIFT) << 12 | (rte & RTE_LOGICAL ? 4 : 0),
		.data = (uint32_t)(rte & (RTE_VECTOR | RTE_DELMODE)),
	};
	if (rte & RTE_LEVEL)
		m.data |= 1u << 15 | 1u << 14;
	return m;
}

/* The pin is asserted and may be delivered. */
static void fire(struct kvm_ioapic *io, unsigned int pin)
{
	uint64_t rte = io->rte[pin];
	if ((rte & RTE_MASKED) || ((rte & RTE_LEVEL) && (rte & RTE_REMOTE_IRR)))
		return;
	if (rte & RTE_LEVEL)
		io->rte[pin] |= RTE_REMOTE_IRR;
	const struct msi_msg m = rte_msg(rte);
	io->sink->send(io->opaque, &m);
}

/* Level pins that were asserted while they could not be delivered. */
static void fire_level(struct kvm_ioapic *io, unsigned int pin)
{
	if ((io->rte[pin] & RTE_LEVEL) && (io->level & BIT32(pin)))
		fire(io, pin);
}

static void end_pin(struct kvm_ioapic *io, unsigned int pin, uint8_t vector)
{
	uint64_t rte = io->rte[pin];
	if (!(rte & RTE_LEVEL) || (rte & RTE_VECTOR) != vector)
		return;
	io->rte[pin] &= ~RTE_REMOTE_IRR;
	io->sink->eoi(io->opaque, pin);
	fire_level(io, pin);
}

static void rte_write(struct kvm_ioapic *io, unsigned int pin, uint64_t val)
{
	uint64_t old = io->rte[pin];
	uint64_t rte = (val & RTE_WRITABLE) | (old & RTE_RO);
	if (!(rte & RTE_LEVEL)) /* 82093AA 3.2.4: meaningless, and how old kernels clear it */
		rte &= ~RTE_REMOTE_IRR;
	io->rte[pin] = rte;

	const struct msi_msg m = rte_msg(rte), was = rte_msg(old);
	if (rte & RTE_MASKED) {
		if (!(old & RTE_MASKED))
			io->sink->pin(io->opaque, pin, NULL);
		return;
	}
	if ((old & RTE_MASKED) || m.addr != was.addr || m.data != was.data)
		io->sink->pin(io->opaque, pin, &m);
	fire_level(io, pin);
}

static uint32_t window_read(const struct kvm_ioapic *io)
{
	switch (io->select) {
	case IDX_ID:
	case IDX_ARB:
		return io->id;
	case IDX_VERSION:
		return VERSION | (KVM_IOAPIC_NPINS - 1) << 16;
	default:
		if (io->select < IDX_RTE || io->select >= IDX_RTE + 2 * KVM_IOAPIC_NPINS)
			return 0;
		uint64_t rte = io->rte[(io->select - IDX_RTE) / 2];
		return (uint32_t)(io->select & 1 ? rte >> 32 : rte);
	}
}

static void window_write(struct kvm_ioapic *io, uint32_t val)
{
	if (io->select == IDX_ID) {
		io->id = val & 0x0f000000;
		return;
	}
	if (io->select < IDX_RTE || io->select >= IDX_RTE + 2 * KVM_IOAPIC_NPINS)
		return;
	unsigned int pin = (io->select - IDX_RTE) / 2u;
	uint64_t rte = io->rte[pin];
	if (io->select & 1)
		rte = (rte & UINT32_MAX) | (uint64_t)val << 32;
	else
		rte = (rte & ~(uint64_t)UINT32_MAX) | val;
	rte_write(io, pin, rte);
}

static uint64_t region_read(void *opaque, uint64_t off, unsigned int size)
{
	struct kvm_ioapic *io = opaque;
	(void)size;
	uint64_t val = 0;
	pthread_mutex_lock(&io->lock);
	if (off == REG_SELECT)
		val = io->select;
	else if (off == REG_WINDOW)
		val = window_read(io);
	pthread_mutex_unlock(&io->lock);
	return val;
}

static void region_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct kvm_ioapic *io = opaque;
	(void)size;
	pthread_mutex_lock(&io->lock);
	if (off == REG_SELECT) {
		io->select = (uint8_t)val;
	} else if (off == REG_WINDOW) {
		window_write(io, (uint32_t)val);
	} else if (off == REG_EOI) {
		for (unsigned int i = 0; i < KVM_IOAPIC_NPINS; i++)
			end_pin(io, i, (uint8_t)val);
	} else {
		guest_warn("write of %#llx to nothing at IOAPIC offset %#llx",
			   (unsigned long long)val, (unsigned long long)off);
	}
	pthread_mutex_unlock(&io->lock);
}

static const struct io_region_ops region_ops = {
	.read = region_read,
	.write = region_write,
	.min = 1,
	.max = 4,
};

void kvm_ioapic_init(struct kvm_ioapic *io, const struct kvm_ioapic_sink *sink, void *opaque)
{
	memset(io, 0, sizeof(*io));
	pthread_mutex_init(&io->lock, NULL);
	io->sink = sink;
	io->opaque = opaque;
	io->region.name = "ioapic";
	io->region.ops = &region_ops;
	io->region.opaque = io;
	for (unsigned int i = 0; i < KVM_IOAPIC_NPINS; i++)
		io->rte[i] = RTE_MASKED;
}

void kvm_ioapic_fini(struct kvm_ioapic *io)
{
	aspace_unmap(&io->region);
	pthread_mutex_destroy(&io->lock);
}

int kvm_ioapic_map(struct kvm_ioapic *io, struct aspace *mmio, struct verr *reterr)
{
	return aspace_map(mmio, &io->region, KVM_IOAPIC_GPA, KVM_IOAPIC_SIZE, reterr);
}

void kvm_ioapic_set(struct kvm_ioapic *io, unsigned int pin, bool level)
{
	pthread_mutex_lock(&io->lock);
	bool was = (io->level & BIT32(pin)) != 0;
	if (level)
		io->level |= BIT32(pin);
	else
		io->level &= ~BIT32(pin);
	/* An edge on a masked pin is lost, as on the chip: 82093AA 3.2.4. */
	if (level && (!was || (io->rte[pin] & RTE_LEVEL)))
		fire(io, pin);
	pthread_mutex_unlock(&io->lock);
}

void kvm_ioapic_eoi(struct kvm_ioapic *io, uint8_t vector)
{
	pthread_mutex_lock(&io->lock);
	for (unsigned int i = 0; i < KVM_IOAPIC_NPINS; i++)
		end_pin(io, i, vector);
	pthread_mutex_unlock(&io->lock);
}

void kvm_ioapic_reset(struct kvm_ioapic *io)
{
	pthread_mutex_lock(&io->lock);
	io->select = 0;
	io->id = 0;
	for (unsigned int i = 0; i < KVM_IOAPIC_NPINS; i++) {
		bool open = !(io->rte[i] & RTE_MASKED);
		io->rte[i] = RTE_MASKED;
		if (open)
			io->sink->pin(io->opaque, i, NULL);
	}
	pthread_mutex_unlock(&io->lock);
}
