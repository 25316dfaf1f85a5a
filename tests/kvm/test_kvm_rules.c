// SPDX-License-Identifier: GPL-2.0-or-later
//
// The machine's own KVM obeys the rules the fake was given (tests/fake/kvm_rules.c): what passes
// here and in tests/unit/kvm/test_fake_kvm.c is how both behave.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "core/sys.h"
#include "tests/fake/kvm_rules.h"

int main(void)
{
	int fd = sys_open("/dev/kvm", O_RDWR, 0);
	if (fd < 0) {
		printf("skipped: /dev/kvm can't be opened (error %d)\n", -fd);
		return 77;
	}
	sys_close(fd);
	return kvm_rules_run("kvm_rules", NULL, NULL);
}
