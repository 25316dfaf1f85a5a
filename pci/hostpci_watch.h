// SPDX-License-Identifier: GPL-2.0-or-later
// Tells when something about the host's PCI functions or VFIO's device nodes may have changed. Not
// what: events come in bursts, get lost and are out of date when they are read; who wants to know
// looks again.
#pragma once

#include <stdbool.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct hostpci_watch;

/* From udev's daemon when it runs, so that its rules have been applied; else from the kernel:
 * *ret_kernel. */
int hostpci_watch_open(struct hostpci_watch **ret, bool *ret_kernel, struct verr *reterr);
void hostpci_watch_close(struct hostpci_watch *w); /* NULL allowed */
/* Readable when there are events; borrowed. */
int hostpci_watch_fd(const struct hostpci_watch *w);
/* Takes all events that are there. Returns how many, one at least when some were lost. */
unsigned int hostpci_watch_drain(struct hostpci_watch *w);

VV_END_DECLS
