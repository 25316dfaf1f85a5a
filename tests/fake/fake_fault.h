// SPDX-License-Identifier: GPL-2.0-or-later
// Fault injection: fail the Nth matching call, and the sweep that fails every call in turn.
#pragma once

#include <stdbool.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

enum fake_call {
	FAKE_CALL_OPEN,
	FAKE_CALL_CLOSE,
	FAKE_CALL_IOCTL,
	FAKE_CALL_READ,
	FAKE_CALL_WRITE,
	FAKE_CALL_READV,
	FAKE_CALL_WRITEV,
	FAKE_CALL_PREAD,
	FAKE_CALL_PWRITE,
	FAKE_CALL_MMAP,
	FAKE_CALL_MUNMAP,
	FAKE_CALL_MADVISE,
	FAKE_CALL_EVENTFD,
	FAKE_CALL_MEMFD,
	FAKE_CALL_FTRUNCATE,
	FAKE_CALL_FSYNC,
	FAKE_CALL_FSTAT,
	FAKE_CALL_STAT,
	FAKE_CALL_ACCESS,
	FAKE_CALL_READLINK,
	FAKE_CALL_LISTDIR,
	FAKE_CALL_MKDIR,
	FAKE_CALL_RENAME,
	FAKE_CALL_UNLINK,
	FAKE_CALL_FLOCK,
	FAKE_CALL_OFD_LOCK,
	FAKE_CALL_POLL,
	FAKE_CALL_DIAL,
	FAKE_CALL_SPAWN,
	FAKE_CALL_REAP,
	FAKE_CALLS
};

struct fake_fault {
	unsigned int calls;    /* mask of BIT32(enum fake_call); 0: any */
	unsigned long request; /* ioctl number; 0: any */
	const char *path;   /* fnmatch() pattern on the path, or the fd's name; NULL: any. Kept. */
	unsigned int nth;   /* 1: the first match */
	unsigned int times; /* how many matches in a row fail from there on; 0: all of them */
	int err;	    /* errno to give, positive */
};

/* Up to 8 faults at once; each counts its own matches from now. */
void fake_fault_add(const struct fake_fault *f);
void fake_fault_clear(void);
/* How many calls have been failed since fake_reset() or clear. */
unsigned int fake_fault_hits(void);

/* The sweep. Every round: fake_reset(), setup(), fake_mark(), then run() with the Nth call
 * failing; then nothing may be held, no rule broken, and if run() failed its verr must be set,
 * with that error's sign, non-empty text, and `names` in it. Every errno that call documents is
 * tried. A round whose run() succeeds although a call failed (best effort) is counted as
 * absorbed. Ends when run() comes to its end with no call left to fail, which must succeed.
 *
 * Calls that never fail for a correct caller are not failed unless `undo` is set: close, munmap,
 * DMA unmap, slot deletion, irqfd and ioeventfd deassign, KVM-VFIO del, SET_IRQS with count 0,
 * KVM_RUN, poll. During a sweep the call log is not kept. */
struct fake_sweep {
	const char *name;
	void (*setup)(void *opaque); /* devices, files; may be NULL */
	/* The whole life: open, use, close. 0 or -errno with *err set. */
	int (*run)(void *opaque, struct verr *err);
	void *opaque;
	unsigned int calls; /* mask of kinds to fail; 0: all */
	const char *path;   /* only calls on these; NULL: all */
	const char *names;  /* must occur in each error text (the BDF...); NULL: not asked */
	bool undo;	    /* also fail undoing calls: then only fds and mappings are checked */
	unsigned int max;   /* stop after so many rounds and fail; 0: 20000 */
};

struct fake_sweep_stats {
	unsigned int calls;    /* distinct calls failed */
	unsigned int injected; /* rounds: calls times errnos */
	unsigned int failed;   /* run() reported it */
	unsigned int absorbed; /* run() succeeded anyway */
	unsigned int bad;      /* findings; each was printed to stderr */
};

/* Returns the number of findings: 0 is a pass. Prints one line of statistics to stdout.
 * `ret` may be NULL. */
unsigned int fault_sweep(const struct fake_sweep *s, struct fake_sweep_stats *ret);

VV_END_DECLS
