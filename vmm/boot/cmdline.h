// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel command line: our defaults, then the user's --cmdline.
//
// The rule: --cmdline is appended, and wins. A default whose parameter the user also gives (any
// value; '-' and '_' are the same, as to Linux) is left out altogether, so that `console=tty0`
// replaces the default console rather than adding to it. What follows " -- " is for init and is
// not looked at. The only default is `console=ttyS0`, if there is a serial port.
#pragma once

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct pc_layout;

/* *ret is malloced. `user` may be NULL. -EINVAL (a control character), -ENOMEM. Whether the
 * result is too long depends on the kernel: boot_load() says so. */
int cmdline_build(const struct pc_layout *l, const char *user, char **ret, struct verr *reterr);

VV_END_DECLS
