// SPDX-License-Identifier: GPL-2.0-or-later
// What KVM refuses and how it delivers, one case each, as cmocka tests on whatever `sys` points
// at: the fake must pass them (tests/unit/kvm) and so must the real /dev/kvm (tests/kvm), which
// is the proof that the fake is faithful.
#pragma once

#include "core/cc.h"

VV_BEGIN_DECLS

/* Runs the cases. `before` and `after` are cmocka group fixtures; NULL: none. The number failed. */
int kvm_rules_run(const char *name, int (*before)(void **state), int (*after)(void **state));

VV_END_DECLS
