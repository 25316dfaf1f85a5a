#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Matrix of tests/run --full: functions that come and go, often; kill -9 at many points; reboots and
# many functions at once; on the kernels there are, in the lab and in the guest. With the AMD IOMMU
# what needs no root ports. A job is LAB_KERNEL:GUEST_KERNEL:IOMMU:TEST[:COUNT].

set -eu
src=${VV_SRC:?}

if [ "${1:-}" = --list ]; then
	for pair in 6.1:6.1 6.1:6.12 6.1:sid 6.12:6.1 6.12:6.12 sid:6.1 sid:sid; do
		echo "$pair:intel:plug:20"
		echo "$pair:intel:life:20"
		echo "$pair:intel:reboots:3"
	done
	for lab in 6.1 6.12 sid; do
		for iommu in intel amd; do
			echo "$lab:6.1:$iommu:kill:300"
			echo "$lab:6.1:$iommu:many"
		done
	done
	for test in plug:20 reboots:20; do
		echo "6.1:6.1:amd:$test"
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
