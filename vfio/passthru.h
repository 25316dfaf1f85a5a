// SPDX-License-Identifier: GPL-2.0-or-later
// "vfio-pci": a host PCI function handed to the guest. The parts of the device are in
// passthru_cfg.c (what the guest sees of config space), passthru_bar.c (which parts of BARs map
// directly), passthru_msix.c (where the MSI-X table is found), passthru_win.c (mapping BARs),
// passthru_irq.c (interrupt modes, MSI, MSI-X), passthru_intx.c (the pin), passthru_vga.c (legacy
// VGA), passthru_power.c (low power), passthru_reset.c and passthru_life.c (leaving and losing it).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/dev.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "pci/bdf.h"
#include "pci/pcidev.h"
#include "vfio/device.h"
#include "vfio/passthru_bar.h"
#include "vfio/reset.h"
#include "vfio/space.h"

VV_BEGIN_DECLS

extern const struct dev_type vfio_pci_type;

struct passthru_id {
	bool set;
	uint32_t id;
};

enum { PASSTHRU_REQUEST_EJECT, PASSTHRU_REQUEST_STOP };
enum { PASSTHRU_ERROR_STOP, PASSTHRU_ERROR_RESET, PASSTHRU_ERROR_EJECT };

struct passthru_config {
	struct bdf host;
	bool group; /* vmm/assign.c has written the others out already */
	int on_request, on_error;
	bool rombar;
	char *romfile;
	struct bar_wish bar[6];
	int msix_to; /* enum msix_to */
	bool x_no_mmap, x_no_resample, x_vga, low_power;
	bool quirks;
	uint8_t clique;	   /* x-nv-gpudirect-clique plus one; 0: none */
	char vf_token[37]; /* UUID; "": none */
	bool hide_serial;
	struct passthru_id vendor, device, subvendor, subdevice, class_code;
};

/* A directly mapped piece of a BAR: the memory slot and the peer-to-peer DMA map come and go with
 * the one gmem region. The host mapping stays for the device's life. */
struct passthru_win {
	struct gmem_region mem;
	char name[40]; /* "BAR 0 of 0000:03:00.0" */
	uint8_t bar;
	uint64_t off;
};

/* The expansion ROM's image, once there is one. */
struct passthru_rom {
	uint8_t *image; /* owned; NULL: none (yet) */
	uint64_t size;
	bool from_file;
	bool tried; /* read, or found unreadable: not again before a reset */
};

/* passthru_intx.c's. */
struct passthru_intx {
	int fd, resample_fd; /* owned; -1 while off */
	uint64_t raised;     /* times, where user space sees them */

	/* Without resampling: user space raises the line, a BAR access of the guest ends it. */
	bool slow, told;
	bool pending;		/* raised; no BAR was touched since */
	struct loop_fd ready;	/* fd */
	struct loop_timer calm; /* BARs map again */

	struct loop_timer look; /* for storms */
	uint64_t ended;		/* the line's count at the last look */
	unsigned int hot;	/* looks in a row that found too many */
	bool storm;		/* reported */
};

/* Registers that share a page with the MSI-X structures: how often the guest comes for them. */
struct passthru_crowd {
	unsigned int exits;
	uint64_t since; /* of the first of them; CLOCK_MONOTONIC milliseconds */
	bool told;
};

struct quirk_set;

struct passthru {
	struct pcidev pd; /* first */
	struct vfio_seat seat;
	struct vfio_device *vd;	 /* seat.vd */
	struct pcibus *bus;	 /* where it will sit; borrowed */
	struct pcidev *sibling;	 /* while that is chosen; borrowed */
	struct vfio_reset reset; /* as chosen the last time */
	bool taken;		 /* along in another's hot reset, and not at work since */

	struct bar_plan plan;
	struct msix_place msix;	  /* physical, put right by quirks */
	struct passthru_win *win; /* plan.n_pieces, owned */
	unsigned int n_win;
	uint32_t told[6]; /* a BAR's listeners that do without it, as has been said; by index */
	struct passthru_rom rom;
	bool win_held;		  /* passthru_win_hold() */
	struct quirk_set *quirks; /* owned; NULL: it needs none */

	/* passthru_irq.c */
	enum pcidev_irq_mode irq_mode;
	bool irq_refused;   /* irq_mode is what the guest wants; the host did not do it */
	unsigned int armed; /* MSI and MSI-X: vectors [0, armed) exist in hardware */
	uint8_t *used;	    /* MSI-X: one byte per vector that has its eventfd there; owned */
	uint8_t *fresh;	    /* MSI-X: vectors that became live in this batch; owned */
	bool any_fresh;
	struct passthru_intx intx;
	struct passthru_crowd crowd;

	struct loop_fd req, err;     /* the host wants the device back; it had an error */
	int req_fd, err_fd;	     /* owned; -1 */
	uint16_t host_serr;	     /* COMMAND's SERR# Enable as the host has it: it stays */
	struct loop_timer watch;     /* is it still there? */
	unsigned int missed;	     /* looks in a row that did not find it */
	bool lost;		     /* it can't be used any more, which was reported */
	bool asked;		     /* the host's request was reported */
	bool asleep;		     /* the host may have switched it off: low-power=on */
	bool mending;		     /* the guest was asked to let go of it for a reset */
	struct loop_timer mend_late; /* ... and does not */
	unsigned int mended;	     /* resets after an error, ... */
	uint64_t mended_since;	     /* ... since then, CLOCK_MONOTONIC seconds */
};

/* --- passthru.c --- */
/* The hardware's decode bits become the guest's, which a reset leaves behind. */
void passthru_decode(struct passthru *p);

/* --- passthru_cfg.c --- */
/* Reads the function's config space and fills pd->cfg: header, capabilities, extended ones. MSI
 * and MSI-X state machines are added, BARs are not. */
int passthru_cfg_build(struct passthru *p, struct verr *reterr);
/* Where MSI-X structures are; n == 0 if there is none. */
void passthru_cfg_msix(struct vfio_device *vd, struct msix_place *ret);
extern const struct pcicfg_hw passthru_cfg_hw;
/* To the function's COMMAND register. The host's error reporting (PCIe 6.0 6.2.6) is not the
 * guest's to turn off: a bit of the host's in it stays. */
void passthru_command(struct passthru *p, uint32_t command);
/* cfg_write_hook: function-level resets asked for by the guest. */
bool passthru_cfg_hook(struct pcidev *pd, unsigned int off, uint32_t *val, unsigned int size);

/* --- passthru_rom.c --- */
/* Is this a chain of PCI ROM images? -EINVAL says what is wrong with it. size > 0. */
int passthru_rom_check(const uint8_t *rom, uint64_t size, struct verr *reterr);
/* romfile=: an image for this function, or a sentence why not. */
int passthru_rom_file(struct passthru *p, const char *path, struct verr *reterr);
/* Ones where there is no image; 1 to 8 bytes. */
uint64_t passthru_rom_read(struct passthru *p, uint64_t off, unsigned int size);
void passthru_rom_reset(struct passthru *p);
void passthru_rom_free(struct passthru *p);
void passthru_rom_describe(struct passthru *p, FILE *out);

/* --- passthru_vga.c: legacy VGA; nothing without x-vga=on --- */
/* -ENODEV (VFIO has it not, and why), -EBUSY (another function has it; the guest runs). */
int passthru_vga_build(struct passthru *p, struct verr *reterr);
void passthru_vga_describe(struct passthru *p, FILE *out);
/* pcidev_ops.vga_* */
uint64_t passthru_vga_read(struct pcidev *pd, uint32_t addr, unsigned int size);
void passthru_vga_write(struct pcidev *pd, uint32_t addr, uint64_t val, unsigned int size);
void passthru_vga_enable(struct pcidev *pd);

/* --- passthru_power.c: nothing without low-power=on --- */
/* -ENODEV (no such capability), -ENOTTY and others (the kernel does not offer it). pd->cfg is
 * built. */
int passthru_power_build(struct passthru *p, struct verr *reterr);
/* The guest's write at [off, off+size) is about to be done; is done. */
void passthru_power_write(struct passthru *p, unsigned int off, unsigned int size);
void passthru_power_written(struct passthru *p);
void passthru_power_wake(struct passthru *p); /* idempotent */

/* --- passthru_ids.c --- */
/* Property parsers: a struct passthru_id, the same, char[37], a struct bar_wish. */
int passthru_id_parse(void *field, const char *text, struct verr *reterr);
int passthru_class_parse(void *field, const char *text, struct verr *reterr);
int passthru_token_parse(void *field, const char *text, struct verr *reterr);
int passthru_bar_parse(void *field, const char *text, struct verr *reterr);
void passthru_ids_apply(struct passthru *p); /* to pd->cfg, whose header is built */

/* --- passthru_port.c: the guest's root port above; nothing if there is none --- */
void passthru_port_show(struct passthru *p);   /* after attaching */
void passthru_port_forget(struct passthru *p); /* before detaching */

/* --- passthru_reset.c --- */
/* No DMA, no interrupts, no windows, decoding off. */
void passthru_quiesce(struct passthru *p);
/* dev_ops.reset_begin */
void passthru_reset_begin(struct dev *d);
/* Quiesced, in D0, reset by the best method there is. -errno: reterr names the method. */
int passthru_hw_reset(struct passthru *p, struct verr *reterr);
/* The last before the device fd is closed, quiesced already: in D0, and reset where the kernel has
 * no better method for that than power management. */
void passthru_leave(struct passthru *p);
/* pcidev_ops.reset */
void passthru_function_reset(struct pcidev *pd);
/* The method that would be taken now, for people. */
void passthru_reset_text(struct passthru *p, char *buf, size_t size);

/* --- passthru_life.c: the host wants it back, it had an error, it is gone --- */
int passthru_notify_on(struct passthru *p, struct verr *reterr);
void passthru_notify_off(struct passthru *p);
/* It can't be used any more: reads ones from now on, windows go, the machine is told. `vanished`
 * or failed. Idempotent. */
void passthru_mended(struct passthru *p); /* it was reset, whoever did it */
void passthru_lose(struct passthru *p, bool vanished, const char *why);

/* --- passthru_win.c --- */
/* Reads what the function has, decides what the guest gets (p->plan, p->msix, the BARs). */
int passthru_bars_build(struct passthru *p, struct verr *reterr);
void passthru_bars_describe(struct passthru *p, FILE *out);
int passthru_win_open(struct passthru *p, struct verr *reterr); /* maps every piece */
void passthru_win_close(struct passthru *p);
void passthru_win_enable(struct pcidev *pd, unsigned int bar);
void passthru_win_disable(struct pcidev *pd, unsigned int bar);
/* The function is gone: every window goes. True if there was one. */
bool passthru_win_drop(struct passthru *p);

/* No window at all until the release: every access traps. */
void passthru_win_hold(struct passthru *p);
void passthru_win_release(struct passthru *p);

/* --- passthru_irq.c --- */
void passthru_irq_mode(struct pcidev *pd, enum pcidev_irq_mode mode, unsigned int n);
void passthru_irq_vector(struct pcidev *pd, unsigned int vec, struct msivec *v, bool live);
void passthru_irq_settled(struct pcidev *pd);
void passthru_irq_off(struct passthru *p); /* every index off; idempotent */
/* The guest's write at [off, off+size) is committed: back in D0, the host may grant what it refused
 * a function that slept. */
void passthru_irq_cfg_written(struct pcidev *pd, unsigned int off, unsigned int size);

/* --- passthru_msix.c --- */
/* The guest has just made a trapped access there, which was not to table or pending bits. */
void passthru_crowd_count(struct passthru *p, unsigned int bar, uint64_t off);

/* --- passthru_intx.c --- */
void passthru_intx_init(struct passthru *p); /* before anything that may fail */
int passthru_intx_on(struct passthru *p);    /* -errno: it stays off, reported */
void passthru_intx_off(struct passthru *p);  /* idempotent */
/* The guest has just made a trapped access to a BAR. */
void passthru_intx_touched(struct passthru *p);

static inline struct passthru *passthru_of(struct pcidev *pd)
{
	return container_of(pd, struct passthru, pd);
}

VV_END_DECLS
