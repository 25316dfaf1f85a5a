// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket: JSON lines on a UNIX stream socket, in QMP's shape. One line a message.
//   -> {"execute": "status", "arguments": {...}, "id": any}
//   <- {"return": {...}, "id": any}  or  {"error": {"class": "...", "desc": "..."}, "id": any}
//   <- {"event": "RESUME", "timestamp": {...}, "data": {...}}   to every client, at any time
// Commands are in control_cmd.c; help lists them. All under the machine lock.
#pragma once

#include "core/cc.h"
#include "core/loop.h"
#include "core/verr.h"
#include "vmm/machine.h"

VV_BEGIN_DECLS

struct control;

/* Creates the socket, mode 0600. -EADDRINUSE: somebody listens there; a stale socket is replaced,
 * anything else at that path is refused. */
int control_open(const char *path, struct machine *m, struct loop *l, struct control **ret,
		 struct verr *reterr);
/* Tells clients goodbye, unlinks the path. NULL allowed. Without the machine lock. */
void control_close(struct control *c);

VV_END_DECLS
