// SPDX-License-Identifier: GPL-2.0-or-later
// What KVM refuses and how it delivers, one case each, as cmocka tests on whatever `sys` points
// at: the fake must pass them (tests/unit/kvm) and so must the real /dev/kvm (tests/kvm), which
// is the proof that the fake is faithful.
#pragma once

#include <stddef.h>

struct CMUnitTest;

/* The cases, for _cmocka_run_group_tests(). */
extern const struct CMUnitTest kvm_rules[];
extern const size_t kvm_rules_count;
