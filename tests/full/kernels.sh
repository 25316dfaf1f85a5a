#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Matrix of tests/run --full: the lab's tests of vfio-vmm with other kernels in the lab and in the
# guest, and with the AMD IOMMU. A job is LAB_KERNEL:GUEST_KERNEL:IOMMU:TEST.

set -eu
src=${VV_SRC:?}

if [ "${1:-}" = --list ]; then
	for pair in 6.1:6.12 6.1:sid 6.12:6.1 6.12:6.12 6.12:sid sid:6.1 sid:6.12 sid:sid; do
		for test in net nvme stock; do
			echo "$pair:intel:$test"
		done
	done
	for test in net nvme both end; do
		echo "6.1:6.1:amd:$test"
	done
	exit
fi

IFS=: read -r lab guest iommu test <<<"${1:?usage: kernels.sh --list | LAB:GUEST:IOMMU:TEST}"
export LAB_TEST_LAB_KERNEL=$lab LAB_TEST_KERNEL=$guest LAB_TEST_IOMMU=$iommu LAB_TEST_TIMEOUT=480
exec "$src/tests/lab/test_vmm_$test.sh"
