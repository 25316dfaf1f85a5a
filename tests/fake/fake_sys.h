// SPDX-License-Identifier: GPL-2.0-or-later
// The fake kernel: a small stateful kernel behind core/sys.h that keeps VFIO, KVM and sysfs state
// in memory, refuses what Linux refuses with the errno Linux gives, and counts what is left over.
//
// Use, in a test:
//	sys = &sys_fake;			once, in main(), before any thread
//	fake_reset();				before every case: an empty host, no faults
//	d = fake_dev_add(&zoo_e1000e, &(struct fake_place){ .bdf = "0000:03:00.0", .group = 14 });
//	... code under test ...
//	fake_assert_clean();			nothing left open, mapped or bound; no rule broken
//
// The descriptors it hands out are real ones (memfd, eventfd), so poll(), mmap() of BARs and
// eventfd counts really work; what is behind them is fake. Paths come from an in-memory tree
// (fake_host.h). Thread safe: vCPU threads may sit in KVM_RUN while the test drives them.
//
// Two kinds of findings: *leaks* are things still held; *violations* are things no kernel
// refuses but no correct program does (a memory slot over a BAR whose decode was switched off,
// munmap of memory that a device may still write, an interrupt signalled into no route).
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "core/sys.h"

VV_BEGIN_DECLS

extern const struct sys_ops sys_fake;

/* Everything back to an empty host: closes what is still open, forgets devices, faults, logs and
 * violations, restores every default (fake_vfio.h, fake_kvm.h). Also raises RLIMIT_NOFILE's soft
 * limit to the hard one. No vCPU thread may be inside KVM_RUN. */
void fake_reset(void);

/* Paths under `prefix` go to the real kernel (a test's own temporary files, "/dev/zero"). Their
 * fds still count as leaks. */
void fake_allow_path(const char *prefix);

/* Takes the present driver bindings, overrides and files under /run as what "clean" means. Done
 * implicitly for each device when it is added. */
void fake_mark(void);

/* What is still held: open fds, mappings, DMA maps, attached groups, open devices, slots, irqfds,
 * ioeventfds, routes, bindings and overrides that differ from the mark, files left in /run.
 * One line each to `f` (NULL: silent). Returns their number. */
unsigned int fake_leaks(FILE *f);

/* Rules broken since fake_reset(), one line each. */
unsigned int fake_violations(FILE *f);
/* Forgets them: for tests that provoke one on purpose. */
void fake_violations_clear(void);
/* True if a recorded violation contains `part`. */
bool fake_violated(const char *part);

/* No leaks and no violations; otherwise both lists go to stderr. */
bool fake_clean(void);
/* For tests that have included cmocka.h. */
#define fake_assert_clean() assert_true(fake_clean())

/* The calls seen since fake_reset() (or fake_log_clear()), in order, as text:
 * "ioctl /dev/vfio/14 VFIO_GROUP_SET_CONTAINER = 0". For order checks in tests. */
void fake_log_clear(void);
void fake_log_print(FILE *f);
/* Index of the first line at or after `from` that contains `part`; -1 if none. */
int fake_log_find(const char *part, int from);
/* Number of lines that contain `part`. */
unsigned int fake_log_count(const char *part);

/* The fd's object, e.g. "/dev/vfio/14", "vfio-device 0000:03:00.0", "kvm-vcpu 0", "eventfd"; NULL
 * if it is none of ours. */
const char *fake_fd_name(int fd);

VV_END_DECLS
