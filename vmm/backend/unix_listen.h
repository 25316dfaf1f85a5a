// SPDX-License-Identifier: GPL-2.0-or-later
// Listening UNIX sockets of ours in the file system: the control socket's, a console's.
#pragma once

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

/* A listening stream socket at `path`, non-blocking, for this user alone (0600). Replaces a socket
 * nobody listens on; anything else in the way stays. The caller unlinks it at the end. `what` is
 * who wants it, for messages ("--control"). Returns the descriptor; -EINVAL, -ENAMETOOLONG,
 * -EEXIST (no socket is there), -EADDRINUSE, or as bind(). */
int unix_listen(const char *what, const char *path, struct verr *reterr);

VV_END_DECLS
