// SPDX-License-Identifier: GPL-2.0-or-later
// Programs of the fake kernel: who is at the other end of a socket that was dialled, or handed to a
// program. A test plays them.
#pragma once

#include "core/cc.h"

VV_BEGIN_DECLS

/* Somebody listens at that path (kept). */
void fake_listen(const char *path);
/* A program of that name can be started (kept). */
void fake_program(const char *name);
/* The other end of the last connection, never blocking, the fake's; -1: there is none. */
int fake_other_end(void);
/* It closes. */
void fake_hang_up(void);
/* The arguments of the program started last, with a space between. */
const char *fake_arguments(void);

VV_END_DECLS
