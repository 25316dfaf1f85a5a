#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Matrix of tests/run --full: drivers of virtio devices unbound and bound 50 times, in the lab.

set -eu
src=${VV_SRC:?}

if [ "${1:-}" = --list ]; then
	printf '%s\n' rebind-disk rebind-all
	exit
fi
export LAB_TEST_ROUNDS=50 LAB_TEST_TIMEOUT=900
case ${1:?usage: virtio.sh --list | rebind-disk | rebind-all} in
rebind-disk) exec "$src/tests/lab/test_vmm_disk.sh" ;;
rebind-all) exec "$src/tests/lab/test_vmm_virtio.sh" ;;
*) echo "virtio.sh: no job '$1'" >&2; exit 1 ;;
esac
