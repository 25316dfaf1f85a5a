#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Matrix of tests/run --full: functions that come and go, kill -9 at many points, reboots and many
# functions at once: often on one pair of kernels, a few times on the others there are, in the lab
# and in the guest. With the AMD IOMMU what needs no root ports. A job is
# LAB_KERNEL:GUEST_KERNEL:IOMMU:TEST[:COUNT].

set -eu
src=${VV_SRC:?}

if [ "${1:-}" = --list ]; then
	printf '6.1:6.1:intel:%s\n' plug:20 life:20 kill:300
	for pair in 6.1:6.12 6.1:sid 6.12:6.1 6.12:6.12 sid:6.1 sid:sid; do
		printf "$pair:intel:%s\n" plug:3 life:3 reboots:3
	done
	printf '6.1:6.1:amd:%s\n' plug:20 reboots:3
	for lab in 6.1 6.12 sid; do
		for iommu in intel amd; do
			[ "$lab:$iommu" = 6.1:intel ] || echo "$lab:6.1:$iommu:kill:20"
			echo "$lab:6.1:$iommu:many"
		done
	done
	exit
fi

IFS=: read -r lab guest iommu test count <<<"${1:?usage: life.sh --list | JOB}"
export LAB_TEST_LAB_KERNEL=$lab LAB_TEST_KERNEL=$guest LAB_TEST_IOMMU=$iommu
if [ -n "$count" ]; then
	export LAB_TEST_ROUNDS=$count LAB_TEST_KILLS=$count LAB_TEST_REBOOTS=$count
else
	export LAB_TEST_TIMEOUT=480
fi
exec "$src/tests/lab/test_vmm_$test.sh"
