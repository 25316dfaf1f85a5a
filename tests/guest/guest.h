// SPDX-License-Identifier: GPL-2.0-or-later
// The guest player: a machine as vfio-vmm builds it, and somebody who plays its operating system -
// configuration space by ECAM and by ports, BAR sizing, enumeration, MSI-X programming, resets.
//
// With accelerator "kvm" (on the fake kernel) an access takes the way a guest's would: a memory
// slot, or an exit that a vCPU thread brings to the machine. With "none" there is no vCPU: the
// accesses are made of what the machine has told the accelerator, memory regions and exits.
// Set-up reports by struct verr; in play, what no test expects (a broken capability list, an exit
// nobody answers) ends the test with a message.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/loop.h"
#include "core/verr.h"
#include "vmm/machine.h"

VV_BEGIN_DECLS

#define GUEST_DEVICES  64
#define GUEST_BACKENDS 8

struct guest_setup {
	const char *accel;		   /* as for --accel; NULL: "kvm" */
	const char *machine;		   /* properties of "pc"; NULL: none */
	const char *device[GUEST_DEVICES]; /* as for --device; NULL ends */
	/* Made before the devices; kind and argument, as for --blockdev and the like. */
	struct {
		enum backend_kind kind;
		const char *arg; /* NULL ends */
	} backend[GUEST_BACKENDS];
	uint64_t ram;	    /* bytes; 0: 4 MiB */
	unsigned int vcpus; /* 0: 1 */
	const char *kernel; /* bzImage; NULL: nothing to boot */
	bool reboot_exits, dry_run;
};

struct guest {
	struct loop *loop;
	struct machine *m;
	bool kvm;
	int last; /* how the last memory or port access was served: enum fake_access */
};

/* Machine, devices, memory map: as far as machine_realize(). On failure nothing is left. */
int guest_open(struct guest *g, const struct guest_setup *s, struct verr *reterr);
/* machine_start(): devices reset, vCPUs run. "none" runs none, and is no failure. */
int guest_run(struct guest *g, struct verr *reterr);
/* Both; ends the test if either fails. */
void guest_start(struct guest *g, const struct guest_setup *s);
void guest_close(struct guest *g); /* may be called twice */
/* machine_reset() under the lock. */
int guest_reset(struct guest *g, struct verr *reterr);
/* Lets the loop do what is due. */
void guest_turn(struct guest *g);

/* --- accesses --------------------------------------------------------------------------------- */

uint64_t guest_read(struct guest *g, uint64_t gpa, unsigned int size);
void guest_write(struct guest *g, uint64_t gpa, uint64_t val, unsigned int size);
uint32_t guest_in(struct guest *g, uint16_t port, unsigned int size);
void guest_out(struct guest *g, uint16_t port, uint32_t val, unsigned int size);

/* --- functions -------------------------------------------------------------------------------- */

struct guest_fn {
	struct guest *g;
	uint8_t bus, devfn;
};

/* As an operating system scans: function 0, others if it says so, behind bridges by their bus
 * numbers. Returns how many; at most `max` are stored. */
unsigned int guest_enumerate(struct guest *g, struct guest_fn *ret, unsigned int max);
/* The nth (from 0) function with these ids; ends the test if there is none. */
struct guest_fn guest_find(struct guest *g, uint16_t vendor, uint16_t device, unsigned int nth);
/* NULL: it is a function of the machine that is not known. */
struct pcidev *guest_pcidev(struct guest_fn f);

uint32_t guest_cfg(struct guest_fn f, unsigned int off, unsigned int size); /* ECAM */
void guest_cfg_set(struct guest_fn f, unsigned int off, uint32_t val, unsigned int size);
uint32_t guest_cf8(struct guest_fn f, unsigned int off, unsigned int size); /* 0xCF8, 0xCFC */
void guest_cf8_set(struct guest_fn f, unsigned int off, uint32_t val, unsigned int size);

/* Offset, or 0. */
unsigned int guest_cap(struct guest_fn f, uint8_t id);
unsigned int guest_ecap(struct guest_fn f, uint16_t id);
/* Capabilities in the list (standard and extended); -1: it can't be walked to an end. */
int guest_caps_walk(struct guest_fn f, bool extended);

/* COMMAND: bits to set, bits to clear, in one write. */
void guest_command(struct guest_fn f, uint16_t set, uint16_t clear);

struct guest_bar {
	bool io, is64, prefetch;
	uint64_t addr, size; /* size 0: no such BAR */
};
/* Sizes it as an operating system does: decoding off, ones written, restored. */
struct guest_bar guest_bar(struct guest_fn f, unsigned int bar);
/* Its address as programmed, nothing written. */
uint64_t guest_bar_addr(struct guest_fn f, unsigned int bar);
void guest_bar_move(struct guest_fn f, unsigned int bar, uint64_t addr); /* decoding as it is */

/* Function-level reset by PCI Express or Advanced Features, whichever it has. */
void guest_flr(struct guest_fn f);
void guest_power(struct guest_fn f, unsigned int d_state);

/* --- its interrupts --------------------------------------------------------------------------- */

void guest_msix(struct guest_fn f, bool on, bool fmask);
/* Message and mask bit of one vector, mask last. */
void guest_msix_vector(struct guest_fn f, unsigned int vec, uint64_t addr, uint32_t data,
		       bool masked);
void guest_msix_mask(struct guest_fn f, unsigned int vec, bool masked);
bool guest_msix_pending(struct guest_fn f, unsigned int vec);
/* 1 << log2n vectors with data, data + 1, ...; off: log2n < 0. */
void guest_msi(struct guest_fn f, int log2n, uint64_t addr, uint16_t data);
/* GSI that the machine's tables give for its pin. */
uint32_t guest_gsi(struct guest_fn f);

VV_END_DECLS
