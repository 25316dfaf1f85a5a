// SPDX-License-Identifier: GPL-2.0-or-later
// The process's terminal in raw mode, and back: at the end, at exit(), on signals that kill, and
// around a stop (SIGTSTP, SIGSTOP) and continuation. Not after SIGKILL: `stty sane` helps.
#pragma once

#include <stdbool.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

/* Raw from now on, as long as this process is in the terminal's foreground. `fd` (kept open by
 * the caller until tty_raw_end) is a terminal; `wake_fd` is an eventfd signalled whenever the
 * process was continued. Signals that someone handles or ignores already are left alone. Once
 * per process at a time: -EBUSY. */
int tty_raw_begin(int fd, int wake_fd, struct verr *reterr);
void tty_raw_end(void); /* no effect if not begun */

/* Is this process in the foreground of the terminal (only then may it read, or set modes)? */
bool tty_foreground(int fd);
/* Raw mode again, if in the foreground: after that may have changed. */
void tty_raw_again(void);

VV_END_DECLS
