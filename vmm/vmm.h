// SPDX-License-Identifier: GPL-2.0-or-later
// The program behind tools/vfio-vmm.c, as a function so that tests can call it.
#pragma once

#include "core/cc.h"

VV_BEGIN_DECLS

/* The whole program: returns the process's exit status. */
int vmm_main(int argc, char **argv);

VV_END_DECLS
